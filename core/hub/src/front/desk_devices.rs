use std::sync::Arc;

use axum::{
    extract::{Path, State, rejection::PathRejection},
    http::StatusCode,
};
use tazune_link::front_api::{ApiError, DeviceRegistration, DeviceStanding};
use tazune_model::DeviceId;

use super::{
    Shared,
    api::{Body, Failed},
    peer::DeskPeer,
};

/// `PUT /v1/desk/devices/{device}`: registers a device of this institution, or changes whether it may hand in.
pub(super) async fn put(
    State(shared): State<Arc<Shared>>,
    _: DeskPeer,
    device: Result<Path<DeviceId>, PathRejection>,
    Body(registration): Body<DeviceRegistration>,
) -> Result<StatusCode, Failed> {
    let Path(device) = device.map_err(|_| ApiError::Malformed)?;
    if registration.tenant != shared.institution {
        return Err(ApiError::Forbidden.into());
    }
    if registration.tombstone.is_some() != (registration.state == DeviceStanding::Revoked) {
        return Err(ApiError::Malformed.into());
    }
    if !shared.store.put_device(&device, &registration).await? {
        tracing::warn!(%device, state = ?registration.state, "a revoked device stays revoked");
        return Err(ApiError::Forbidden.into());
    }
    // Whoever waits hears at once how the device stands now.
    shared.receipts.ring();
    shared.renewals.ring();
    tracing::info!(%device, state = ?registration.state, "device registered");
    Ok(StatusCode::NO_CONTENT)
}
