use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Extension, Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    response::Response,
    routing::post,
};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use super::{
    authority::DeviceIdentity,
    faults::{Call, Fault, Faults},
    service::{Refusal, Service},
};

const LARGEST_BODY: usize = 64 * 1024;
/// A body beyond the limit is read this far, so that the client is there to hear the refusal.
const LARGEST_DRAINED: usize = 1024 * 1024;

/// Accepts until the task is aborted, and with it every connection.
pub(super) async fn run(listener: TcpListener, service: Arc<Service>, faults: Arc<Faults>) {
    let acceptor = TlsAcceptor::from(service.authority.server_config());
    let router = router(service, Arc::clone(&faults));
    let mut connections = JoinSet::new();
    loop {
        let Ok((socket, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        while connections.try_join_next().is_some() {}
        if faults.is_reachable() {
            connections.spawn(converse(socket, acceptor.clone(), router.clone()));
        }
    }
}

async fn converse(socket: TcpStream, acceptor: TlsAcceptor, router: Router) {
    // A client that fails the handshake or goes away has nothing to be told.
    let Ok(socket) = acceptor.accept(socket).await else { return };
    let device = socket.get_ref().1.peer_certificates().and_then(|chain| DeviceIdentity::of(chain.first()?));
    let router = router.layer(Extension(device));
    let service = hyper::service::service_fn(move |request| {
        let router = router.clone();
        async move {
            let Ok::<_, Infallible>(response) = router.oneshot(request).await;
            if response.extensions().get::<HangUp>().is_some() { Err(HangUp) } else { Ok(response) }
        }
    });
    let _ = http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(socket), service).await;
}

/// In a response: it is not sent, the connection ends instead.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the answer is dropped")]
struct HangUp;

struct Front {
    service: Arc<Service>,
    faults: Arc<Faults>,
}

fn router(service: Arc<Service>, faults: Arc<Faults>) -> Router {
    let call = |call| post(move |front, device, request| handle(call, front, device, request));
    Router::new()
        .route("/direct-check/v1/devices", call(Call::Enrol))
        .route("/direct-check/v1/challenges", call(Call::Challenge))
        .route("/direct-check/v1/checks", call(Call::Check))
        .with_state(Arc::new(Front { service, faults }))
}

async fn handle(
    call: Call,
    State(front): State<Arc<Front>>,
    Extension(device): Extension<Option<DeviceIdentity>>,
    request: Request,
) -> Response {
    if !front.faults.is_reachable() {
        return hang_up();
    }
    let fault = front.faults.take(call);
    if fault == Some(Fault::TimeOut) {
        return std::future::pending().await;
    }
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, LARGEST_DRAINED).await;
    let result = match body {
        _ if fault == Some(Fault::Busy) => Err(Refusal::Busy),
        Ok(body) if body.len() <= LARGEST_BODY => match call {
            Call::Enrol => front.service.enrol(&body, bearer(&parts.headers)),
            Call::Challenge => front.service.challenge(&body, device.as_ref()),
            Call::Check => front.service.check(&body, device.as_ref(), fault == Some(Fault::OtherPerson)),
        },
        _ => Err(Refusal::TooLarge),
    };
    match (fault, result) {
        (Some(Fault::DropAnswer), _) => hang_up(),
        (Some(Fault::Garbage), _) => {
            answer(StatusCode::OK, content_type(call), b"<<< \xFF\x00 nobody asked for this".to_vec())
        }
        (_, Ok(body)) => answer(StatusCode::OK, content_type(call), body),
        (_, Err(refusal)) => {
            let (status, word) = refusal.on_the_wire();
            let status = StatusCode::from_u16(status).expect("the table holds HTTP status codes");
            answer(status, "application/json", json!({ "error": word }).to_string().into_bytes())
        }
    }
}

fn hang_up() -> Response {
    let mut response = Response::default();
    response.extensions_mut().insert(HangUp);
    response
}

fn answer(status: StatusCode, content_type: &'static str, body: Vec<u8>) -> Response {
    let response = Response::builder().status(status).header(header::CONTENT_TYPE, content_type);
    response.body(Body::from(body)).expect("the parts of a response are sound")
}

const fn content_type(call: Call) -> &'static str {
    match call {
        Call::Enrol | Call::Challenge => "application/json",
        Call::Check => "application/xml",
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}
