use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{Extension, Router};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::peer::Connected;
use crate::{Stopping, tls::Peer};

/// Longest time a handshake, and the head of a request, may take.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// How long running requests are waited for at the end.
const END_WITHIN: Duration = Duration::from_secs(5);
/// Pause after the system had no socket to give.
const BREATHE: Duration = Duration::from_millis(100);

/// Accepts connections until asked to stop, then lets running requests finish.
pub(super) async fn serve(listener: TcpListener, acceptor: TlsAcceptor, router: Router, stopping: Stopping) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
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
    let _ = timeout(END_WITHIN, connections.join_all()).await;
}

async fn connection(stream: TcpStream, from: SocketAddr, acceptor: TlsAcceptor, router: Router, stopping: Stopping) {
    // Small answers would otherwise wait for the client's acknowledgement: 44 ms for the first request.
    let _ = stream.set_nodelay(true);
    let stream = match timeout(HEAD_WITHIN, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::info!(%from, %error, "the handshake failed"),
        Err(_) => return tracing::info!(%from, "the handshake took too long"),
    };
    let service = TowerToHyperService::new(router.layer(Extension(connected(&stream))));
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopping.requested() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%from, %error, "the connection ended");
    }
}

fn connected(stream: &TlsStream<TcpStream>) -> Connected {
    let (_, session) = stream.get_ref();
    let leaf = session.peer_certificates().and_then(<[_]>::first);
    Connected(leaf.and_then(|leaf| Peer::from_certificate(leaf)).map(Arc::new))
}
