//! Who is at the other end of a connection, and what that allows.
//!
//! The handshake lets in a certificate of this hub's CA, also an expired one, or none. Here it is decided: none may only
//! pair; a device must be registered under exactly this key, and its certificate may have expired. An active device may
//! use the ordinary paths; a suspended one hears that it is; a revoked one hears its tombstone, except on the paths made
//! for it, where it hands in what it holds. The desk's certificate must say so and be valid.

use std::sync::Arc;

use axum::{extract::FromRequestParts, http::request::Parts};
use tazune_link::{
    front_api::{ApiError, DeviceRegistration, DeviceStanding},
    keys::VerifyingKey,
};
use tazune_model::{DeviceId, InstitutionCode, Timestamp};

use super::{Shared, api::Failed};
use crate::{ca::DESK, tls::Peer};

/// How the paths for revoked devices begin.
const OF_REVOKED: &str = "/v1/revoked/";

/// The client certificate of a connection, or none: an extension of every request.
#[derive(Clone, Debug)]
pub(super) struct Connected(pub(super) Option<Arc<Peer>>);

/// A registered device on a path that its standing allows.
pub(super) struct Device {
    pub(super) id: DeviceId,
    pub(super) tenant: InstitutionCode,
    pub(super) key: VerifyingKey,
    /// The end of the certificate of this connection; it may have passed.
    pub(super) certified_until: Timestamp,
    is_path_of_revoked: bool,
}

impl Device {
    /// Asks again whether the device may, after something was waited for: the desk may have said otherwise meanwhile.
    pub(super) async fn recheck(&self, shared: &Shared) -> Result<(), Failed> {
        let registration = shared.store.device(&self.id).await?.ok_or(ApiError::UnknownDevice)?;
        allow(registration, self.is_path_of_revoked)
    }
}

fn allow(registration: DeviceRegistration, is_path_of_revoked: bool) -> Result<(), Failed> {
    match (registration.state, is_path_of_revoked) {
        (DeviceStanding::Active, false) | (DeviceStanding::Revoked, true) => Ok(()),
        (DeviceStanding::Active, true) => Err(ApiError::Forbidden.into()),
        (DeviceStanding::Suspended, _) => Err(ApiError::Suspended.into()),
        (DeviceStanding::Revoked, false) => {
            Err(registration.tombstone.map_or_else(|| ApiError::UnknownDevice.into(), Failed::revoked))
        }
    }
}

/// The desk of this institution.
pub(super) struct DeskPeer;

fn certificate(parts: &Parts) -> Result<Arc<Peer>, Failed> {
    let Some(Connected(Some(peer))) = parts.extensions.get::<Connected>() else {
        return Err(ApiError::Forbidden.into());
    };
    Ok(peer.clone())
}

impl FromRequestParts<Arc<Shared>> for Device {
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
        if !is_this_device {
            tracing::info!(device = %id, "a certificate of another key or clinic than the registered one");
            return Err(ApiError::UnknownDevice.into());
        }
        shared.contacts.note(&id, registration.state, shared.clock.now());
        let (tenant, key) = (registration.tenant.clone(), registration.device_key.clone());
        let is_path_of_revoked = parts.uri.path().starts_with(OF_REVOKED);
        allow(registration, is_path_of_revoked)
            .inspect_err(|_| tracing::info!(device = %id, "a device that may not hand in"))?;
        Ok(Self { id, tenant, key, certified_until: peer.expires_at, is_path_of_revoked })
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
