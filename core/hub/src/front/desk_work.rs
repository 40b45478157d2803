use std::sync::Arc;

use axum::{Json, extract::State};
use tazune_link::{envelope::MAX_BATCH_BYTES, front_api::DeskWork};

use super::{
    Shared,
    api::{Failed, Wait},
    peer::DeskPeer,
};

/// `GET /v1/desk/work`: everything without a receipt, and every hello not yet answered; waits for the first.
pub(super) async fn get(
    State(shared): State<Arc<Shared>>,
    _: DeskPeer,
    Wait(wait): Wait,
) -> Result<Json<DeskWork>, Failed> {
    let mut news = shared.work.listen(wait, &shared.stopping);
    loop {
        let mut work = DeskWork {
            envelopes: shared.store.waiting_envelopes(MAX_BATCH_BYTES).await?,
            hellos: shared.store.waiting_hellos().await?,
            renewals: shared.store.waiting_renewals().await?,
            refusals: shared.store.waiting_refusals().await?,
            contacts: Vec::new(),
            revoked: shared.store.revoked_senders().await?,
        };
        let is_idle =
            work.envelopes.is_empty() && work.hellos.is_empty() && work.renewals.is_empty() && work.refusals.is_empty();
        if !is_idle || !news.rang().await {
            work.contacts = shared.contacts.take();
            return Ok(Json(work));
        }
    }
}
