use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
    http::StatusCode,
};
use tazune_link::{
    front_api::ApiError,
    renewal::{RenewalAnswer, RenewalRequest},
};
use tazune_model::DeviceId;

use super::{
    Shared,
    api::{Body, Failed, Wait},
    peer::{DeskPeer, Device},
};
use crate::tls::Peer;

/// `POST /v1/renewal`: asks the desk for new certificates; waits for its answer.
///
/// An answer that was lost on its way is given again, as long as it lasts longer than the certificate of the connection.
pub(super) async fn ask(
    State(shared): State<Arc<Shared>>,
    device: Device,
    Wait(wait): Wait,
    Body(request): Body<RenewalRequest>,
) -> Result<Json<RenewalAnswer>, Failed> {
    let mut news = shared.renewals.listen(wait, &shared.stopping);
    device.recheck(&shared).await?;
    if let Some(answer) = shared.store.renewal_answer(&device.id).await?
        && is_newer(&answer, &device)
    {
        return Ok(Json(answer));
    }
    shared.store.ask_renewal(&device.id, &request.csr).await?;
    shared.work.ring();
    loop {
        if let Some(answer) = shared.store.renewal_answer(&device.id).await? {
            return Ok(Json(answer));
        }
        if !news.rang().await {
            return Ok(Json(RenewalAnswer::Waiting));
        }
        device.recheck(&shared).await?;
    }
}

/// `PUT /v1/desk/renewals/{device}`: what the device is to hear.
pub(super) async fn answer(
    State(shared): State<Arc<Shared>>,
    _: DeskPeer,
    device: Result<Path<DeviceId>, PathRejection>,
    Body(answer): Body<RenewalAnswer>,
) -> Result<StatusCode, Failed> {
    let Path(device) = device.map_err(|_| ApiError::Malformed)?;
    shared.store.put_renewal_answer(&device, &answer).await?;
    shared.renewals.ring();
    Ok(StatusCode::NO_CONTENT)
}

fn is_newer(answer: &RenewalAnswer, device: &Device) -> bool {
    let RenewalAnswer::Renewed { hub_certificates, .. } = answer else { return false };
    let renewed = hub_certificates.first().and_then(|certificate| Peer::from_certificate(certificate.as_slice()));
    renewed.is_some_and(|renewed| renewed.expires_at > device.certified_until)
}
