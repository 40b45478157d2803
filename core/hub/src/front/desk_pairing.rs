use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use tazune_link::front_api::{ApiError, PairingAnswer, PairingOpened};

use super::{
    Shared,
    api::{Body, Failed, Session},
    peer::DeskPeer,
};

/// `PUT /v1/desk/pairing/{session}`: opens a session for one hello.
pub(super) async fn open(
    State(shared): State<Arc<Shared>>,
    _: DeskPeer,
    Session(session): Session,
    Body(opened): Body<PairingOpened>,
) -> Result<StatusCode, Failed> {
    shared.store.open_pairing(&session, opened.expires_at, shared.clock.now()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `PUT /v1/desk/pairing/{session}/state`: what the device is to hear.
pub(super) async fn answer(
    State(shared): State<Arc<Shared>>,
    _: DeskPeer,
    Session(session): Session,
    Body(answer): Body<PairingAnswer>,
) -> Result<StatusCode, Failed> {
    if !shared.store.put_pairing_answer(&session, &answer).await? {
        return Err(ApiError::PairingUnknown.into());
    }
    shared.pairings.ring();
    Ok(StatusCode::NO_CONTENT)
}
