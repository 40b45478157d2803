//! What commands and the running desk say to each other.

use serde::{Deserialize, Serialize};
use tazune_link::{pairing::SessionId, tombstone::RevocationKind};
use tazune_model::{DeviceId, FailureCode, Sha256, Timestamp};

use crate::store::{DeviceSummary, PageMark, RecordSummary};

/// `POST`: opens a pairing session, [`OpenedPairing`].
pub(super) const PAIRINGS: &str = "/v1/pairings";
/// `GET` with `wait_s`: [`PairingView`].
pub(super) const PAIRING: &str = "/v1/pairings/{session}";
/// `POST` [`TypedCode`]: [`PairingView`].
pub(super) const PAIRING_CODE: &str = "/v1/pairings/{session}/code";
/// `POST` [`Decision`]: [`PairingView`].
pub(super) const PAIRING_DECISION: &str = "/v1/pairings/{session}/decision";
/// `GET` [`PageQuery`]: [`RecordsView`].
pub(super) const RECORDS: &str = "/v1/records";
/// `GET`: [`DevicesView`].
pub(super) const DEVICES: &str = "/v1/devices";
/// `POST` [`StandingOrder`]: [`DeviceSummary`].
pub(super) const DEVICE_STANDING: &str = "/v1/devices/{device}/standing";
/// `GET` [`PageQuery`]: `Page` of `SetAsideSummary`.
pub(super) const SET_ASIDES: &str = "/v1/quarantine";
/// `POST` [`SetAsideOrder`]: `SetAsideSummary`.
pub(super) const SET_ASIDE: &str = "/v1/quarantine/{record}";

/// Which page of a list.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct PageQuery {
    /// The mark of the page before; the first page without.
    pub after: Option<PageMark>,
}

/// `GET`: [`Warnings`].
pub(super) const WARNINGS: &str = "/v1/warnings";

/// A pairing session that was opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenedPairing {
    /// The session.
    pub session: SessionId,
    /// The text of the QR code.
    pub offer: String,
    /// Until when it may be scanned.
    pub expires_at: Timestamp,
}

/// Where a pairing stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum PairingView {
    /// The QR code may be scanned.
    Open,
    /// A device answered; its six digits are to be typed.
    AwaitingCode {
        /// The device that answered.
        device: DeviceView,
    },
    /// The digits were right; the device is to be approved.
    AwaitingApproval {
        /// The device at hand.
        device: DeviceView,
    },
    /// The device is paired.
    Approved {
        /// Its id.
        device_id: DeviceId,
    },
    /// The device was turned down, or what answered was no device.
    Rejected,
    /// Other digits were typed.
    CodeWrong,
    /// The time was up.
    Expired,
}

impl PairingView {
    /// Whether the session has ended.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        matches!(self, Self::Approved { .. } | Self::Rejected | Self::CodeWrong | Self::Expired)
    }
}

/// A device as it describes itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceView {
    /// What the staff call it.
    pub name: String,
    /// Make and model.
    pub model: String,
    /// System and version.
    pub os: String,
    /// Fingerprint of the key it signs with.
    pub key_sha256: Sha256,
}

/// The six digits as they were typed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TypedCode {
    /// Digits, also full-width, spaces anywhere.
    pub code: String,
}

/// What the admin decided about a device.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Decision {
    /// Whether the device is paired.
    pub approve: bool,
}

/// The devices of the desk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DevicesView {
    /// Those that are being paired.
    pub pending: Vec<PendingDevice>,
    /// Those that are paired, oldest first.
    pub devices: Vec<DeviceSummary>,
}

/// A device that is being paired.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingDevice {
    /// The session.
    pub session: SessionId,
    /// The device as it describes itself.
    pub device: DeviceView,
}

/// What a person orders about a device.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "to")]
pub enum StandingOrder {
    /// It may hand in no more, until it is resumed.
    Suspend {
        /// Why; stays at the desk.
        reason: String,
    },
    /// It may hand in again.
    Resume,
    /// It may never hand in again; final.
    Revoke {
        /// Why; stays at the desk.
        reason: String,
        /// Why, as the device is told.
        kind: RevocationKind,
    },
}

/// What a person decides about an envelope that was set aside; final.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SetAsideOrder {
    /// Which envelope, where several name the record.
    pub sha256: Option<Sha256>,
    /// Why it is turned down; it is accepted without.
    pub rejected_because: Option<String>,
}

/// The records of the desk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordsView {
    /// Oldest first.
    pub records: Vec<RecordSummary>,
    /// Where the next page begins; `None` at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<PageMark>,
    /// Why face files wait, if they do.
    pub face_failure: Option<FailureCode>,
}

/// What a person is told beside the answer to any command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warnings {
    /// What will hurt if nobody acts.
    pub codes: Vec<FailureCode>,
}

/// Body of every answer that is no success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdminRefusal {
    /// The failure, if it is one a person meets.
    pub code: Option<FailureCode>,
    /// What happened, in English.
    pub detail: String,
}
