use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use tazune_link::front_api::RefusalsNoted;

use super::{
    Shared,
    api::{Body, Failed},
    peer::DeskPeer,
};

/// `POST /v1/desk/refusals/noted`: the desk's audit has them.
pub(super) async fn noted(
    State(shared): State<Arc<Shared>>,
    _: DeskPeer,
    Body(noted): Body<RefusalsNoted>,
) -> Result<StatusCode, Failed> {
    shared.store.refusals_noted(noted.refusals).await?;
    Ok(StatusCode::NO_CONTENT)
}
