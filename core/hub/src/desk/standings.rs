use std::sync::Arc;

use tazune_link::{
    V1,
    front_api::{ApiError, DeviceContact, DeviceRegistration},
    tombstone::{RevocationKind, SignedTombstone, TombstoneBody, UnsignedTombstone},
};
use tazune_model::{Clock, DeviceId, InstitutionCode, Timestamp};
use tokio::sync::{Mutex, Notify};

use super::{
    decision::DecisionError,
    front_client::{FrontClient, FrontError},
    keys::ReceiptKey,
};
use crate::{
    Random,
    admin::messages::StandingOrder,
    store::{DeskStore, DeviceSummary, NewStanding, PairedDevice, Reason, StandingChange, StandingChanged, StoreError},
};

/// Whether each device may hand in: decided and kept here, and told to the front until it knows.
pub(crate) struct Standings {
    pub(super) institution: InstitutionCode,
    pub(super) receipt_key: Arc<ReceiptKey>,
    pub(super) store: Arc<dyn DeskStore>,
    pub(super) front: FrontClient,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) random: Random,
    /// Held while the front is told, so that it never hears an older word after a newer one.
    pub(super) telling: Mutex<()>,
    /// Rung when the dialler has something to tell the front, in case it cannot be told at once.
    pub(super) news: Arc<Notify>,
}

/// The front was not told.
#[derive(Debug, thiserror::Error)]
pub(super) enum TellError {
    #[error(transparent)]
    Front(#[from] FrontError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Standings {
    /// Every paired device.
    pub(crate) async fn list(&self) -> Result<Vec<DeviceSummary>, StoreError> {
        self.store.devices().await
    }

    /// One paired device.
    pub(crate) async fn find(&self, device: &DeviceId) -> Result<DeviceSummary, DecisionError> {
        let found = self.store.devices().await?.into_iter().find(|line| line.device == *device);
        found.ok_or_else(|| DecisionError::UnknownDevice(device.clone()))
    }

    /// Commits what was ordered, then tells the front if it can be told; the same order again changes nothing.
    pub(crate) async fn order(&self, device: &DeviceId, order: StandingOrder) -> Result<DeviceSummary, DecisionError> {
        let unknown = || DecisionError::UnknownDevice(device.clone());
        let paired = self.store.device(device).await?.ok_or_else(unknown)?;
        let at = self.clock.now();
        let (to, reason) = match order {
            StandingOrder::Suspend { reason } => (NewStanding::Suspended, reason),
            StandingOrder::Resume => (NewStanding::Active, String::new()),
            StandingOrder::Revoke { reason, kind } => {
                let tombstone = self.tombstone(&paired, kind, at);
                (NewStanding::Revoked { kind, tombstone }, reason)
            }
        };
        let standing = to.standing();
        let reason = Reason { text: reason, salt: self.random.bytes() };
        let change = StandingChange { device: device.clone(), to, reason, at };
        match self.store.change_standing(change).await? {
            StandingChanged::Changed => {
                tracing::warn!(%device, ?standing, "the standing of a device was changed");
                self.news.notify_one();
            }
            StandingChanged::Already => {}
            StandingChanged::Final => return Err(DecisionError::Revoked(device.clone())),
            StandingChanged::Unknown => return Err(unknown()),
        }
        if let Err(error) = self.announce().await {
            tracing::warn!(%error, "the front has not heard yet how a device stands");
        }
        self.find(device).await
    }

    /// Tells the front what it has not heard.
    pub(super) async fn announce(&self) -> Result<(), TellError> {
        let _telling = self.telling.lock().await;
        for untold in self.store.untold_devices().await? {
            let registration = DeviceRegistration {
                state: untold.standing,
                device_key: untold.device_key,
                tenant: self.institution.clone(),
                tombstone: untold.tombstone,
            };
            match self.front.put_device(&untold.device, &registration).await {
                Ok(()) => self.store.front_was_told(&untold.device, untold.change).await?,
                // It cannot store just now: to be told again soon.
                Err(error @ FrontError::Refused(ApiError::Unavailable)) => return Err(error.into()),
                // Of another version, perhaps; it must not hold up the others.
                Err(error @ FrontError::Refused(_)) => {
                    tracing::error!(device = %untold.device, %error, "the front does not take how a device stands");
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Keeps when devices were last heard of.
    pub(super) async fn contacted(&self, contacts: Vec<DeviceContact>) -> Result<(), StoreError> {
        if contacts.is_empty() { Ok(()) } else { self.store.contacted(contacts).await }
    }

    fn tombstone(&self, paired: &PairedDevice, kind: RevocationKind, at: Timestamp) -> SignedTombstone {
        let unsigned = UnsignedTombstone::new(&TombstoneBody {
            version: V1,
            tenant: self.institution.clone(),
            device: paired.device.clone(),
            device_key_id: paired.device_key.key_id(),
            revoked_at: at,
            kind,
        });
        let signature = self.receipt_key.sign(&unsigned.bytes_to_sign());
        unsigned.sign(signature.into())
    }
}
