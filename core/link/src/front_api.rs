//! The front's API as types and paths: `docs/src/protocol/front-api.md`.

use std::time::Duration;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tazune_model::{Bytes, DeviceId, FailureCode, InstitutionCode, RecordId, Timestamp};

use crate::{
    audit::PairingRefusal,
    envelope::{Envelope, Refusal},
    keys::VerifyingKey,
    pairing::{PairingError, SealedHello, SessionId},
    receipt::SignedReceipt,
    renewal::ArrivedRenewal,
    revocation::Revoked,
    tombstone::SignedTombstone,
};

/// `POST`, device: [`EnvelopesRequest`] to [`EnvelopesAnswer`].
pub const ENVELOPES: &str = "/v1/envelopes";
/// `GET`, device, [`WaitQuery`]: [`ReceiptsAnswer`].
pub const RECEIPTS: &str = "/v1/receipts";
/// `POST`, device: [`ReceiptsTaken`] to 204.
pub const RECEIPTS_TAKEN: &str = "/v1/receipts/taken";
/// `POST`, device, [`WaitQuery`]: [`RenewalRequest`](crate::renewal::RenewalRequest) to
/// [`RenewalAnswer`](crate::renewal::RenewalAnswer).
pub const RENEWAL: &str = "/v1/renewal";
/// As [`ENVELOPES`], for a revoked device; no other path answers it with anything but its tombstone.
pub const REVOKED_ENVELOPES: &str = "/v1/revoked/envelopes";
/// As [`RECEIPTS`], for a revoked device.
pub const REVOKED_RECEIPTS: &str = "/v1/revoked/receipts";
/// As [`RECEIPTS_TAKEN`], for a revoked device.
pub const REVOKED_RECEIPTS_TAKEN: &str = "/v1/revoked/receipts/taken";
/// `POST`, anybody: [`SealedHello`] to 202; `GET`, anybody, [`WaitQuery`]: [`PairingAnswer`]. See [`pairing_path`].
pub const PAIRING: &str = "/v1/pairing/{session}";
/// `GET`, desk, [`WaitQuery`]: [`DeskWork`].
pub const DESK_WORK: &str = "/v1/desk/work";
/// `POST`, desk: [`DeskReceipts`] to 204.
pub const DESK_RECEIPTS: &str = "/v1/desk/receipts";
/// `PUT`, desk: [`PairingOpened`] to 204. See [`desk_pairing_path`].
pub const DESK_PAIRING: &str = "/v1/desk/pairing/{session}";
/// `PUT`, desk: [`PairingAnswer`] to 204. See [`desk_pairing_state_path`].
pub const DESK_PAIRING_STATE: &str = "/v1/desk/pairing/{session}/state";
/// `PUT`, desk: [`DeviceRegistration`] to 204. See [`desk_device_path`].
pub const DESK_DEVICE: &str = "/v1/desk/devices/{device}";
/// `PUT`, desk: [`RenewalAnswer`](crate::renewal::RenewalAnswer) to 204. See [`desk_renewal_path`].
pub const DESK_RENEWAL: &str = "/v1/desk/renewals/{device}";
/// `POST`, desk: [`RefusalsNoted`] to 204.
pub const DESK_REFUSALS: &str = "/v1/desk/refusals/noted";
/// `GET`, anybody: 200 while the front is well, else 503; no body.
pub const HEALTH: &str = "/healthz";

/// Longest time a question may wait for news.
pub const MAX_WAIT: Duration = Duration::from_secs(30);

/// The path of [`PAIRING`] for a session.
#[must_use]
pub fn pairing_path(session: &SessionId) -> String {
    PAIRING.replace("{session}", session.as_str())
}

/// The path of [`DESK_PAIRING`] for a session.
#[must_use]
pub fn desk_pairing_path(session: &SessionId) -> String {
    DESK_PAIRING.replace("{session}", session.as_str())
}

/// The path of [`DESK_PAIRING_STATE`] for a session.
#[must_use]
pub fn desk_pairing_state_path(session: &SessionId) -> String {
    DESK_PAIRING_STATE.replace("{session}", session.as_str())
}

/// The path of [`DESK_DEVICE`] for a device.
#[must_use]
pub fn desk_device_path(device: &DeviceId) -> String {
    DESK_DEVICE.replace("{device}", device.as_str())
}

/// The path of [`DESK_RENEWAL`] for a device.
#[must_use]
pub fn desk_renewal_path(device: &DeviceId) -> String {
    DESK_RENEWAL.replace("{device}", device.as_str())
}

/// Query of a question that may wait for news.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitQuery {
    /// Seconds to wait; 0 answers at once, more than [`MAX_WAIT`] counts as that.
    #[serde(default)]
    pub wait_s: u32,
}

impl WaitQuery {
    /// The time to wait, within [`MAX_WAIT`].
    #[must_use]
    pub fn wait(self) -> Duration {
        Duration::from_secs(self.wait_s.into()).min(MAX_WAIT)
    }
}

/// A batch of envelopes, at most [`crate::envelope::MAX_BATCH_BYTES`] as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvelopesRequest {
    /// The envelopes.
    pub envelopes: Vec<Envelope>,
}

/// What became of a batch, in its order; durable before it is said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvelopesAnswer {
    /// One result for each envelope.
    pub results: Vec<EnvelopeResult>,
}

/// What became of one envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvelopeResult {
    /// The record the envelope names; `None` when its header cannot be read.
    pub record_id: Option<RecordId>,
    /// What became of it.
    pub result: HandIn,
}

/// What the front did with an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HandIn {
    /// The front has it durably.
    Received,
    /// The desk has answered it already; the receipt is offered (again) at [`RECEIPTS`].
    Accepted,
    /// The front does not take it.
    Refused(Refusal),
}

/// Receipts the device has not yet taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptsAnswer {
    /// The receipts.
    pub receipts: Vec<SignedReceipt>,
}

/// Receipts that the device has verified and committed; the front need not offer them again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptsTaken {
    /// Their records.
    pub record_ids: Vec<RecordId>,
}

/// State of a pairing session as the device hears it; also what the desk puts there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum PairingAnswer {
    /// The clinic has not decided.
    Waiting,
    /// The clinic turned the device down.
    Rejected,
    /// Other digits were typed.
    CodeWrong,
    /// The time was up.
    Expired,
    /// The clinic approved.
    Approved {
        /// The desk's reply, sealed for the device.
        reply: Bytes,
    },
}

/// What waits at the front for the desk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeskWork {
    /// Envelopes as the bytes of [`Envelope::to_bytes`], oldest first, together at most
    /// [`crate::envelope::MAX_BATCH_BYTES`]; offered again until a receipt is given.
    pub envelopes: Vec<Bytes>,
    /// Answers to offers.
    pub hellos: Vec<ArrivedHello>,
    /// Devices that ask for new certificates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub renewals: Vec<ArrivedRenewal>,
    /// Sessions for which the front turned a hello down; offered again until noted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refusals: Vec<HelloRefused>,
    /// Devices that asked for anything since the last answer; never waited for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contacts: Vec<DeviceContact>,
    /// Devices of these envelopes that the front knows as revoked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub revoked: Vec<DeviceId>,
}

/// When a device was last heard of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceContact {
    /// The device.
    pub device: DeviceId,
    /// When, on the front's clock.
    pub at: Timestamp,
    /// What the front took it for: one that was set back may have forgotten what it was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<DeviceStanding>,
}

/// An answer to an offer, with its session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArrivedHello {
    /// The session.
    pub session: SessionId,
    /// The hello, which the front cannot open.
    pub hello: SealedHello,
}

/// A hello that the front turned down; told once for each session and reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HelloRefused {
    /// The session.
    pub session: SessionId,
    /// Why: [`PairingRefusal::Taken`] or [`PairingRefusal::Expired`].
    pub reason: PairingRefusal,
}

/// Refusals that the desk's audit knows; the front need not tell them again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusalsNoted {
    /// The refusals.
    pub refusals: Vec<HelloRefused>,
}

/// Receipts of the desk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeskReceipts {
    /// The receipts.
    pub receipts: Vec<DeskReceipt>,
}

/// One receipt, and whom it is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeskReceipt {
    /// The record.
    pub record_id: RecordId,
    /// The device to offer it to.
    pub device: DeviceId,
    /// The receipt, passed on as it is.
    pub receipt: SignedReceipt,
}

/// A pairing session the front shall take one hello for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairingOpened {
    /// Until when a hello may come.
    pub expires_at: Timestamp,
}

/// A device as the desk wants the front to know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRegistration {
    /// Whether it may hand in.
    pub state: DeviceStanding,
    /// Its transport key.
    pub device_key: VerifyingKey,
    /// Its clinic.
    pub tenant: InstitutionCode,
    /// What a revoked device is told; only and always with [`DeviceStanding::Revoked`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tombstone: Option<SignedTombstone>,
}

/// Whether a device may hand in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceStanding {
    /// It may.
    Active,
    /// Not now.
    Suspended,
    /// Never again, except what it holds, into quarantine.
    Revoked,
}

/// Body of every answer that is no success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// Why.
    pub error: ApiError,
    /// The proof; only and always with [`ApiError::Revoked`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tombstone: Option<SignedTombstone>,
}

impl From<ApiError> for ErrorBody {
    fn from(error: ApiError) -> Self {
        Self { error, tombstone: None }
    }
}

/// Why the front did not do what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApiError {
    /// The body is not what the path takes.
    Malformed,
    /// The device is not known.
    UnknownDevice,
    /// The clinic has suspended the device: it keeps everything and tries again later.
    Suspended,
    /// The clinic has revoked the device.
    Revoked,
    /// The connection's certificate does not allow this path.
    Forbidden,
    /// There is no such path.
    NotFound,
    /// There is no such pairing session.
    PairingUnknown,
    /// Another hello came first.
    PairingTaken,
    /// The pairing session has ended.
    PairingExpired,
    /// The body is too large.
    Oversized,
    /// The front cannot store just now.
    Unavailable,
}

impl ApiError {
    /// Every error.
    pub const ALL: [Self; 11] = [
        Self::Malformed,
        Self::UnknownDevice,
        Self::Suspended,
        Self::Revoked,
        Self::Forbidden,
        Self::NotFound,
        Self::PairingUnknown,
        Self::PairingTaken,
        Self::PairingExpired,
        Self::Oversized,
        Self::Unavailable,
    ];

    /// The HTTP status it is sent with.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Malformed => 400,
            Self::UnknownDevice | Self::Suspended | Self::Revoked | Self::Forbidden => 403,
            Self::NotFound | Self::PairingUnknown => 404,
            Self::PairingTaken => 409,
            Self::PairingExpired => 410,
            Self::Oversized => 413,
            Self::Unavailable => 503,
        }
    }

    /// The failure a person meets.
    #[must_use]
    pub const fn failure_code(self) -> FailureCode {
        match self {
            Self::UnknownDevice => Refusal::UnknownDevice.failure_code(),
            Self::Suspended => FailureCode::DeviceSuspended,
            Self::Revoked => Revoked.failure_code(),
            Self::Oversized => Refusal::Oversized.failure_code(),
            Self::PairingUnknown => PairingError::QrInvalid.failure_code(),
            Self::PairingTaken => PairingError::Taken.failure_code(),
            Self::PairingExpired => PairingError::Expired.failure_code(),
            Self::Malformed | Self::Forbidden | Self::NotFound | Self::Unavailable => Garbage.failure_code(),
        }
    }
}

/// A body is not what its path and status promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer is none")]
pub struct Garbage;

impl Garbage {
    /// The failure a person meets.
    #[must_use]
    pub const fn failure_code(self) -> FailureCode {
        FailureCode::HubGarbage
    }
}

/// Reads the body of an answer.
///
/// # Errors
/// [`Garbage`] when it is not the JSON of a `T`.
pub fn parse_answer<T: DeserializeOwned>(body: &[u8]) -> Result<T, Garbage> {
    serde_json::from_slice(body).map_err(|_| Garbage)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_is_one_word_and_keeps_its_failure() {
        let words: Vec<_> = ApiError::ALL.map(|error| serde_json::to_string(&ErrorBody::from(error)).unwrap()).into();
        assert_eq!(
            words,
            [
                r#"{"error":"malformed"}"#,
                r#"{"error":"unknown_device"}"#,
                r#"{"error":"suspended"}"#,
                r#"{"error":"revoked"}"#,
                r#"{"error":"forbidden"}"#,
                r#"{"error":"not_found"}"#,
                r#"{"error":"pairing_unknown"}"#,
                r#"{"error":"pairing_taken"}"#,
                r#"{"error":"pairing_expired"}"#,
                r#"{"error":"oversized"}"#,
                r#"{"error":"unavailable"}"#,
            ]
        );
        for (error, failure) in [
            (ApiError::UnknownDevice, FailureCode::DeviceUnknown),
            (ApiError::Suspended, FailureCode::DeviceSuspended),
            (ApiError::Revoked, FailureCode::DeviceRevoked),
            (ApiError::Oversized, FailureCode::EnvelopeOversized),
            (ApiError::PairingUnknown, FailureCode::PairingQrInvalid),
            (ApiError::PairingTaken, FailureCode::PairingTaken),
            (ApiError::PairingExpired, FailureCode::PairingExpired),
            (ApiError::Unavailable, FailureCode::HubGarbage),
        ] {
            assert_eq!(error.failure_code(), failure, "{error:?}");
        }
    }

    #[test]
    fn a_wait_is_cut_to_its_limit() {
        assert_eq!(WaitQuery { wait_s: 0 }.wait(), Duration::ZERO);
        assert_eq!(WaitQuery { wait_s: 30 }.wait(), MAX_WAIT);
        assert_eq!(WaitQuery { wait_s: u32::MAX }.wait(), MAX_WAIT);
    }

    #[test]
    fn an_answer_that_is_none_is_garbage() {
        for body in [&b""[..], b"<html>", b"{}", b"{\"state\":\"approved\"}", b"{\"state\":\"other\"}", &[0xff; 9]] {
            assert_eq!(parse_answer::<PairingAnswer>(body), Err(Garbage));
        }
        assert_eq!(parse_answer(b"{\"state\":\"code_wrong\"}"), Ok(PairingAnswer::CodeWrong));
    }

    #[test]
    fn paths_name_their_session_or_device() {
        let session = SessionId::make(&[0xab; 16]);
        assert_eq!(pairing_path(&session), "/v1/pairing/abababababababababababababababab");
        assert_eq!(desk_pairing_path(&session), "/v1/desk/pairing/abababababababababababababababab");
        assert_eq!(desk_pairing_state_path(&session), "/v1/desk/pairing/abababababababababababababababab/state");
        assert_eq!(desk_device_path(&DeviceId::new("tablet-1").unwrap()), "/v1/desk/devices/tablet-1");
    }
}
