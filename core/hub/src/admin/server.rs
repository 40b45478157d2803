use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path as FilePath, PathBuf},
    sync::Arc,
};

use axum::{
    Json, Router,
    extract::{Path, Query, Request, State},
    http::{
        StatusCode,
        header::{AUTHORIZATION, HOST},
        uri::Authority,
    },
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use tazune_link::{
    front_api::WaitQuery,
    keys::sha256,
    pairing::{PairingCode, SessionId},
};
use tazune_model::{DeviceId, RecordId, Sha256};
use tokio::net::TcpListener;

use super::{
    AdminFile, admin_file,
    messages::{
        AdminRefusal, DEVICE_STANDING, DEVICES, Decision, DevicesView, OpenedPairing, PAIRING, PAIRING_CODE,
        PAIRING_DECISION, PAIRINGS, PageQuery, PairingView, RECORDS, RecordsView, SET_ASIDE, SET_ASIDES, SetAsideOrder,
        StandingOrder, TypedCode, WARNINGS, Warnings,
    },
};
use crate::{
    Random, Stopping,
    config::SettingError,
    desk::{DecisionError, PairError, Pairings, Records, SetAsides, Standings},
    files,
    health::Health,
    store::{DeviceSummary, Page, SetAsideSummary, StoreError},
};

/// What the handlers have at hand.
#[derive(Clone)]
pub(crate) struct AdminState {
    pub(crate) pairings: Arc<Pairings>,
    pub(crate) records: Records,
    pub(crate) health: Arc<Health>,
    pub(crate) standings: Arc<Standings>,
    pub(crate) set_asides: Arc<SetAsides>,
}

/// The admin port: listens on this computer only, and its file says where.
pub(crate) struct AdminPort {
    listener: TcpListener,
    address: SocketAddr,
    router: Router,
    file: PathBuf,
}

impl AdminPort {
    /// Takes a free port and writes the file with it and a new token.
    pub(crate) async fn open(folder: &FilePath, state: AdminState, random: &Random) -> Result<Self, SettingError> {
        let bound = SettingError::address("admin port".into());
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(&bound)?;
        let address = listener.local_addr().map_err(&bound)?;
        let token = random.hex::<32>();
        let expected = sha256(format!("Bearer {token}").as_bytes());
        let file = admin_file(folder);
        let json = serde_json::to_vec(&AdminFile { address, token }).expect("an address and a text");
        files::write_private(&file, &json).map_err(SettingError::file(&file))?;
        let router = Router::new()
            .route(PAIRINGS, post(open_pairing))
            .route(PAIRING, get(pairing))
            .route(PAIRING_CODE, post(code))
            .route(PAIRING_DECISION, post(decision))
            .route(RECORDS, get(records))
            .route(WARNINGS, get(warnings))
            .route(DEVICES, get(devices))
            .route(DEVICE_STANDING, get(device).post(order))
            .route(SET_ASIDES, get(set_asides))
            .route(SET_ASIDE, post(decide_set_aside))
            .layer(middleware::from_fn_with_state(expected, only_with_token))
            .layer(middleware::from_fn(only_for_this_computer))
            .with_state(state);
        Ok(Self { listener, address, router, file })
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What the port serves.
    pub(crate) fn service(&self) -> Router {
        self.router.clone()
    }

    /// Serves until asked to stop, and takes the file away.
    pub(crate) async fn serve(self, stopping: Stopping) {
        let server = axum::serve(self.listener, self.router);
        tokio::select! {
            ended = async { server.await } => if let Err(error) = ended {
                tracing::error!(%error, "the admin port ended");
            },
            () = stopping.requested() => {}
        }
        let _ = fs::remove_file(&self.file);
    }
}

/// Refuses requests that name another host: a page in a browser of this computer could have been led here by its DNS.
async fn only_for_this_computer(request: Request, next: Next) -> Response {
    let named = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let named = named.or_else(|| request.uri().authority().map(Authority::as_str));
    let host = named.and_then(|named| named.parse::<Authority>().ok());
    match host.as_ref().map(Authority::host) {
        Some("127.0.0.1" | "localhost" | "[::1]") => next.run(request).await,
        _ => StatusCode::MISDIRECTED_REQUEST.into_response(),
    }
}

/// Compares digests, so that the time taken says nothing of the token.
async fn only_with_token(State(expected): State<Sha256>, request: Request, next: Next) -> Response {
    let given = request.headers().get(AUTHORIZATION).map(|value| sha256(value.as_bytes()));
    if given == Some(expected) { next.run(request).await } else { StatusCode::UNAUTHORIZED.into_response() }
}

async fn open_pairing(State(state): State<AdminState>) -> Result<Json<OpenedPairing>, Refused> {
    Ok(Json(state.pairings.open().await?))
}

async fn pairing(
    State(state): State<AdminState>,
    Path(session): Path<SessionId>,
    Query(query): Query<WaitQuery>,
) -> Result<Json<PairingView>, Refused> {
    Ok(Json(state.pairings.view(&session, query.wait()).await?))
}

async fn code(
    State(state): State<AdminState>,
    Path(session): Path<SessionId>,
    Json(typed): Json<TypedCode>,
) -> Result<Json<PairingView>, Refused> {
    let code = PairingCode::parse(&typed.code).map_err(|error| Refused {
        status: StatusCode::BAD_REQUEST,
        refusal: AdminRefusal { code: None, detail: error.to_string() },
    })?;
    Ok(Json(state.pairings.type_code(&session, code).await?))
}

async fn decision(
    State(state): State<AdminState>,
    Path(session): Path<SessionId>,
    Json(decision): Json<Decision>,
) -> Result<Json<PairingView>, Refused> {
    let pairings = &state.pairings;
    let view = if decision.approve { pairings.approve(&session).await } else { pairings.reject(&session).await };
    Ok(Json(view?))
}

async fn records(
    State(state): State<AdminState>,
    Query(query): Query<PageQuery>,
) -> Result<Json<RecordsView>, Refused> {
    let Page { lines, next } = state.records.list(query.after).await?;
    Ok(Json(RecordsView { records: lines, next, face_failure: state.records.face_failure() }))
}

async fn devices(State(state): State<AdminState>) -> Result<Json<DevicesView>, Refused> {
    let pending = state.pairings.pending().await;
    Ok(Json(DevicesView { pending, devices: state.standings.list().await? }))
}

async fn device(State(state): State<AdminState>, Path(device): Path<DeviceId>) -> Result<Json<DeviceSummary>, Refused> {
    Ok(Json(state.standings.find(&device).await?))
}

async fn order(
    State(state): State<AdminState>,
    Path(device): Path<DeviceId>,
    Json(order): Json<StandingOrder>,
) -> Result<Json<DeviceSummary>, Refused> {
    Ok(Json(state.standings.order(&device, order).await?))
}

async fn set_asides(
    State(state): State<AdminState>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<SetAsideSummary>>, Refused> {
    Ok(Json(state.set_asides.list(query.after).await?))
}

async fn decide_set_aside(
    State(state): State<AdminState>,
    Path(record): Path<RecordId>,
    Json(order): Json<SetAsideOrder>,
) -> Result<Json<SetAsideSummary>, Refused> {
    let SetAsideOrder { sha256, rejected_because } = order;
    let decided = match rejected_because {
        None => state.set_asides.accept(record, sha256).await,
        Some(reason) => state.set_asides.reject(record, sha256, reason).await,
    };
    Ok(Json(decided?))
}

async fn warnings(State(state): State<AdminState>) -> Json<Warnings> {
    Json(Warnings { codes: state.health.warnings().into_iter().collect() })
}

struct Refused {
    status: StatusCode,
    refusal: AdminRefusal,
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.status, Json(self.refusal)).into_response()
    }
}

impl From<PairError> for Refused {
    fn from(error: PairError) -> Self {
        let status = match &error {
            PairError::Unknown => StatusCode::NOT_FOUND,
            PairError::NotNow => StatusCode::CONFLICT,
            PairError::Front(_) | PairError::Enrolment(_) => StatusCode::BAD_GATEWAY,
            PairError::Store(_) | PairError::Ca(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        tracing::warn!(%error, "a step of pairing did not work");
        Self { status, refusal: AdminRefusal { code: error.failure_code(), detail: error.to_string() } }
    }
}

impl From<DecisionError> for Refused {
    fn from(error: DecisionError) -> Self {
        let status = match error {
            DecisionError::Store(error) => return error.into(),
            DecisionError::UnknownDevice(_) | DecisionError::UnknownRecord(_) => StatusCode::NOT_FOUND,
            _ => StatusCode::CONFLICT,
        };
        tracing::warn!(code = %error.failure_code(), %error, "an order was not done");
        Self { status, refusal: AdminRefusal { code: Some(error.failure_code()), detail: error.to_string() } }
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the desk's store failed");
        let refusal = AdminRefusal { code: Some(error.failure_code()), detail: error.to_string() };
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, refusal }
    }
}
