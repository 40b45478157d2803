//! Who is at the other end of a connection, and what that allows.
//!
//! The handshake lets in a certificate of this hub's CA, also an expired one, or none. Here it is decided: none may only
//! pair; a device must be registered under exactly this key and be active, its certificate may have expired; the desk's
//! certificate must say so and be valid.

use std::sync::Arc;

use axum::{extract::FromRequestParts, http::request::Parts};
use tazune_link::{
    front_api::{ApiError, DeviceStanding},
    keys::VerifyingKey,
};
use tazune_model::{DeviceId, InstitutionCode, Timestamp};

use super::{Shared, api::Failed};
use crate::{ca::DESK, tls::Peer};

/// The client certificate of a connection, or none: an extension of every request.
#[derive(Clone, Debug)]
pub(super) struct Connected(pub(super) Option<Arc<Peer>>);

/// A registered, active device.
pub(super) struct ActiveDevice {
    pub(super) id: DeviceId,
    pub(super) tenant: InstitutionCode,
    pub(super) key: VerifyingKey,
    /// The end of the certificate of this connection; it may have passed.
    pub(super) certified_until: Timestamp,
}

/// The desk of this institution.
pub(super) struct DeskPeer;

fn certificate(parts: &Parts) -> Result<Arc<Peer>, Failed> {
    let Some(Connected(Some(peer))) = parts.extensions.get::<Connected>() else {
        return Err(ApiError::Forbidden.into());
    };
    Ok(peer.clone())
}

impl FromRequestParts<Arc<Shared>> for ActiveDevice {
    type Rejection = Failed;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, Failed> {
        let peer = certificate(parts)?;
        if peer.unit.is_some() {
            return Err(ApiError::Forbidden.into());
        }
        let id = DeviceId::new(peer.name.as_str()).map_err(|_| ApiError::UnknownDevice)?;
        let registration = shared.store.device(&id).await?.ok_or(ApiError::UnknownDevice)?;
        let is_this_device = registration.device_key.as_bytes().as_slice() == peer.public_key
            && registration.tenant.as_str() == peer.institution;
        if !is_this_device || registration.state != DeviceStanding::Active {
            tracing::info!(device = %id, "a certificate of a device that may not hand in");
            return Err(ApiError::UnknownDevice.into());
        }
        Ok(Self { id, tenant: registration.tenant, key: registration.device_key, certified_until: peer.expires_at })
    }
}

impl FromRequestParts<Arc<Shared>> for DeskPeer {
    type Rejection = Failed;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, Failed> {
        let peer = certificate(parts)?;
        let is_desk = peer.name == DESK
            && peer.unit.as_deref() == Some(DESK)
            && peer.institution == shared.institution.as_str()
            && shared.clock.now() <= peer.expires_at;
        if is_desk { Ok(Self) } else { Err(ApiError::Forbidden.into()) }
    }
}
