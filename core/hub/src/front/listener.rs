use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Extension, Router,
    extract::Request,
    middleware::{self, Next},
    response::Response,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::peer::Connected;
use crate::{Stopping, tls::Peer};

/// Longest time a handshake, and the head of a request, may take; so soon the first request must come.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// Longest time between two requests; a little more than our clients keep a connection they do not use (90 s).
const IDLE_WITHIN: Duration = Duration::from_secs(100);
/// Most connections at a time: whoever opens more takes no file from databases and face folder.
const MAX_CONNECTIONS: usize = 512;
/// Most requests at a time on one connection; each may hold a body of 8 MiB.
const MAX_STREAMS: u32 = 16;
/// How long the running requests of a connection that ends are waited for.
const END_WITHIN: Duration = Duration::from_secs(5);
/// Pause after the system had no socket to give.
const BREATHE: Duration = Duration::from_millis(100);

/// Accepts connections until asked to stop, then lets running requests finish.
pub(super) async fn serve(listener: TcpListener, acceptor: TlsAcceptor, router: Router, stopping: Stopping) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => match accepted {
                Ok((stream, from)) => {
                    let (acceptor, router, stopping) = (acceptor.clone(), router.clone(), stopping.clone());
                    connections.spawn(connection(stream, from, acceptor, router, stopping));
                }
                Err(error) => {
                    tracing::warn!(%error, "no connection could be accepted");
                    tokio::time::sleep(BREATHE).await;
                }
            },
            Some(_) = connections.join_next() => {}
            () = stopping.requested() => break,
        }
    }
    drop(listener);
    // Each ends by itself within this time; whatever has not is dropped.
    let _ = timeout(END_WITHIN, async { while connections.join_next().await.is_some() {} }).await;
}

async fn connection(stream: TcpStream, from: SocketAddr, acceptor: TlsAcceptor, router: Router, stopping: Stopping) {
    // Small answers would otherwise wait for the client's acknowledgement: 44 ms for the first request.
    let _ = stream.set_nodelay(true);
    let shaken = timeout(HEAD_WITHIN, acceptor.accept(stream)).await;
    if !matches!(shaken, Ok(Ok(_))) {
        metrics::counter!("tazune_tls_handshakes_failed_total").increment(1);
    }
    let stream = match shaken {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::info!(%from, %error, "the handshake failed"),
        Err(_) => return tracing::info!(%from, "the handshake took too long"),
    };
    let (running, requests) = watch::channel(0);
    let counted = router
        .layer(middleware::from_fn(move |request, next| count(running.clone(), request, next)))
        .layer(Extension(connected(&stream)));
    let builder = builder(&stream);
    let connection = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(counted));
    tokio::pin!(connection);
    let over = async {
        tokio::select! {
            () = stopping.requested() => {}
            () = idle(requests) => {}
        }
    };
    let ended = tokio::select! {
        ended = connection.as_mut() => Ok(ended),
        () = over => {
            connection.as_mut().graceful_shutdown();
            timeout(END_WITHIN, connection).await
        }
    };
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%from, %error, "the connection ended"),
        Err(_) => tracing::debug!(%from, "the connection was cut"),
    }
}

/// Speaks the version that the handshake agreed on: guessing it from the first bytes would wait for them for ever.
fn builder(stream: &TlsStream<TcpStream>) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN);
    builder.http2().max_concurrent_streams(MAX_STREAMS);
    match stream.get_ref().1.alpn_protocol() {
        Some(b"h2") => builder.http2_only(),
        _ => builder.http1_only(),
    }
}

/// Runs a request and counts it meanwhile, also when it is given up.
async fn count(running: watch::Sender<usize>, request: Request, next: Next) -> Response {
    struct Running(watch::Sender<usize>);
    impl Drop for Running {
        fn drop(&mut self) {
            self.0.send_modify(|count| *count -= 1);
        }
    }
    running.send_modify(|count| *count += 1);
    let _running = Running(running);
    next.run(request).await
}

/// Returns once a connection has asked nothing for so long that nobody needs it.
async fn idle(mut requests: watch::Receiver<usize>) {
    let mut within = HEAD_WITHIN;
    while let Ok(Ok(())) = timeout(within, requests.changed()).await {
        let _ = requests.wait_for(|count| *count == 0).await;
        within = IDLE_WITHIN;
    }
}

fn connected(stream: &TlsStream<TcpStream>) -> Connected {
    let (_, session) = stream.get_ref();
    let leaf = session.peer_certificates().and_then(<[_]>::first);
    Connected(leaf.and_then(|leaf| Peer::from_certificate(leaf)).map(Arc::new))
}
