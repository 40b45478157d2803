use std::{
    fs::{File, OpenOptions},
    io::Write as _,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{Router, body::Bytes, extract::State, http::StatusCode};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use rustls::ServerConfig;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_rustls::TlsAcceptor;

/// The front's TLS and HTTP with a handler that only appends the body to a file and syncs it, one after the other.
pub(crate) struct AppendServer {
    url: String,
    task: JoinHandle<()>,
}

impl AppendServer {
    /// Serves on a free port of the loopback interface until dropped.
    pub(crate) async fn start(tls: ServerConfig, file: &Path) -> Self {
        let file = OpenOptions::new().create(true).append(true).open(file).expect("the folder is writable");
        let router = Router::new().fallback(append).with_state(Arc::new(Mutex::new(file)));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let url = format!("https://{}", listener.local_addr().expect("it is bound"));
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, router) = (acceptor.clone(), router.clone());
                tokio::spawn(async move {
                    let _ = stream.set_nodelay(true);
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                    let builder = auto::Builder::new(TokioExecutor::new());
                    let builder = if is_http2 { builder.http2_only() } else { builder.http1_only() };
                    // A client that goes away ends its connection.
                    let _ = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router)).await;
                });
            }
        });
        Self { url, task }
    }

    /// Its address.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for AppendServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn append(State(file): State<Arc<Mutex<File>>>, body: Bytes) -> StatusCode {
    let appended = tokio::task::spawn_blocking(move || {
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(&body).and_then(|()| file.sync_all())
    });
    match appended.await {
        Ok(Ok(())) => StatusCode::OK,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
