use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use tazune_link::front_api::DeskReceipts;

use super::{
    Shared,
    api::{Body, Failed},
    peer::DeskPeer,
};

/// `POST /v1/desk/receipts`: keeps receipts for their devices; the sealed bytes are dropped.
pub(super) async fn post(
    State(shared): State<Arc<Shared>>,
    _: DeskPeer,
    Body(receipts): Body<DeskReceipts>,
) -> Result<StatusCode, Failed> {
    shared.store.put_receipts(receipts.receipts).await?;
    shared.receipts.ring();
    Ok(StatusCode::NO_CONTENT)
}
