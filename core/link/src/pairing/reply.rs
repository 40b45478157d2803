use serde::{Deserialize, Serialize};
use tazune_model::{Bytes, ConsentItem, DeviceId, InstitutionCode, Timestamp};

use crate::{
    V1,
    keys::{SealingKey, VerifyingKey},
};

/// What an approved device is given: who it is, and whom it may believe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// Version of the reply.
    pub version: V1,
    /// The device's id at the clinic.
    pub device_id: DeviceId,
    /// The clinic.
    pub tenant: InstitutionCode,
    /// The device's certificate (DER) from the hub's CA, then the CA's own.
    pub hub_certificates: Vec<Bytes>,
    /// The key that records are sealed to.
    pub clinic_key: SealingKey,
    /// The key that receipts are signed with.
    pub receipt_key: VerifyingKey,
    /// The clinic's settings.
    pub settings: Settings,
    /// When the reply was made, on the desk's clock.
    pub issued_at: Timestamp,
}

/// What the clinic decides for its devices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Where the direct check goes.
    pub gateway: GatewaySettings,
    /// CA certificates (DER) that user certificates on cards may come from.
    pub card_anchors: Vec<Bytes>,
    /// What the patient is asked to agree to, in this order.
    pub consent_items: Vec<ConsentItem>,
    /// How long an accepted record is kept on the device, in hours.
    pub purge_after_hours: u32,
}

/// The gateway of the direct check, and this device's standing there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewaySettings {
    /// Base address, `https://`.
    pub url: String,
    /// CA certificates (DER) of the gateway's server.
    pub ca_certificates: Vec<Bytes>,
    /// The device's client certificate (DER) at the gateway, then any intermediate ones.
    pub client_certificates: Vec<Bytes>,
}
