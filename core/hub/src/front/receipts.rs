use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use tazune_link::front_api::{ReceiptsAnswer, ReceiptsTaken};

use super::{
    Shared,
    api::{Body, Failed, Wait},
    peer::Device,
};

/// Most receipts in one answer; the device takes them and asks again.
const MAX_RECEIPTS: u32 = 1000;

/// `GET /v1/receipts`: the receipts that the device has not taken; waits for the first.
pub(super) async fn waiting(
    State(shared): State<Arc<Shared>>,
    device: Device,
    Wait(wait): Wait,
) -> Result<Json<ReceiptsAnswer>, Failed> {
    let mut news = shared.receipts.listen(wait, &shared.stopping);
    loop {
        device.recheck(&shared).await?;
        let receipts = shared.store.receipts(&device.id, MAX_RECEIPTS).await?;
        if !receipts.is_empty() || !news.rang().await {
            return Ok(Json(ReceiptsAnswer { receipts }));
        }
    }
}

/// `POST /v1/receipts/taken`: the device has verified and committed them.
pub(super) async fn taken(
    State(shared): State<Arc<Shared>>,
    device: Device,
    Body(taken): Body<ReceiptsTaken>,
) -> Result<StatusCode, Failed> {
    shared.store.receipts_taken(&device.id, taken.record_ids).await?;
    Ok(StatusCode::NO_CONTENT)
}
