use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::Arc,
};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, header::AUTHORIZATION},
    response::{IntoResponse, Response},
    routing::get,
};
use tazune_link::{front_api::HEALTH, keys::sha256};
use tazune_model::Sha256;
use tokio::net::TcpListener;

use crate::{Random, Stopping, config::SettingError, files, health::Health, telemetry::Telemetry};

/// Name of the file in a data folder that holds the token of `/metrics`; made once, so that it can be configured.
const TOKEN: &str = "metrics-token";

/// The port for what watches over the hub, on this computer only: `/healthz` for anybody, `/metrics` with a token.
pub struct OpsPort {
    listener: TcpListener,
    address: SocketAddr,
    router: Router,
    stopping: Stopping,
}

struct Shared {
    healths: Vec<Arc<Health>>,
    telemetry: Telemetry,
    expected: Sha256,
}

impl OpsPort {
    /// Takes the port (0: any), and makes the token in `folder` if there is none.
    ///
    /// # Errors
    /// [`SettingError`] when the port is taken or the token cannot be read or written.
    pub async fn open(
        port: u16,
        folder: &Path,
        healths: Vec<Arc<Health>>,
        random: &Random,
        stopping: Stopping,
    ) -> Result<Self, SettingError> {
        let bound = SettingError::address(format!("ops port {port}"));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(&bound)?;
        let address = listener.local_addr().map_err(&bound)?;
        let path = folder.join(TOKEN);
        if !path.exists() {
            files::write_private(&path, random.hex::<32>().as_bytes()).map_err(SettingError::file(&path))?;
        }
        let token = fs::read_to_string(&path).map_err(SettingError::file(&path))?;
        let expected = sha256(format!("Bearer {}", token.trim()).as_bytes());
        let shared = Shared { healths, telemetry: Telemetry::install(), expected };
        let router =
            Router::new().route(HEALTH, get(health)).route("/metrics", get(metrics)).with_state(Arc::new(shared));
        Ok(Self { listener, address, router, stopping })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until asked to stop.
    pub async fn serve(self) {
        let server = axum::serve(self.listener, self.router);
        tokio::select! {
            ended = async { server.await } => if let Err(error) = ended {
                tracing::error!(%error, "the ops port ended");
            },
            () = self.stopping.requested() => {}
        }
    }
}

async fn health(State(shared): State<Arc<Shared>>) -> StatusCode {
    status(shared.healths.iter().all(|health| health.is_well()))
}

/// Compares digests, so that the time taken says nothing of the token.
async fn metrics(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let given = headers.get(AUTHORIZATION).map(|value| sha256(value.as_bytes()));
    if given == Some(shared.expected) {
        shared.telemetry.render().into_response()
    } else {
        StatusCode::UNAUTHORIZED.into_response()
    }
}

/// What `/healthz` answers, without a body.
pub(crate) const fn status(is_well: bool) -> StatusCode {
    if is_well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}
