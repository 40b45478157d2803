//! Pairing of a device with a clinic; steps and diagram in `pairing/README.md`.

mod code;
mod desk;
mod device;
mod hello;
mod offer;
mod reply;

use tazune_model::FailureCode;

pub use code::PairingCode;
pub use desk::{DeskEvent, DeskPairing, DeskState};
pub use device::{DeviceEvent, DevicePairing, DeviceState};
pub use hello::{Hello, MAX_HELLO_BYTES, SealedHello, Transcript};
pub use offer::{MAX_FRONTS, PairingOffer, SessionId, is_front};
pub use reply::{GatewaySettings, Reply, Settings};

use crate::front_api::{ApiError, Garbage};

/// The code must be scanned within 60 seconds of its making.
pub const SCAN_WITHIN: std::time::Duration = std::time::Duration::from_secs(60);

/// The pairing must be finished within 5 minutes of its beginning, counted by each side on its own clock.
pub const FINISH_WITHIN: std::time::Duration = std::time::Duration::from_secs(5 * 60);

/// Why a device was not paired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PairingError {
    /// The scanned text is no offer, or the front does not know its session.
    #[error("not a pairing code of this hub")]
    QrInvalid,
    /// The session has ended.
    #[error("the pairing session has ended")]
    Expired,
    /// Another device answered this offer first.
    #[error("another device has answered this pairing code")]
    Taken,
    /// Other six digits were typed at the clinic.
    #[error("other digits were typed at the clinic")]
    CodeWrong,
    /// The clinic turned the device down.
    #[error("the clinic turned the device down")]
    Rejected,
    /// What came back is no answer, or was not made by the desk that made the offer.
    #[error("the answer is none of the desk's")]
    AnswerInvalid,
}

impl PairingError {
    /// The failure a person meets.
    #[must_use]
    pub const fn failure_code(self) -> FailureCode {
        match self {
            Self::QrInvalid => FailureCode::PairingQrInvalid,
            Self::Expired => FailureCode::PairingExpired,
            Self::Taken => FailureCode::PairingTaken,
            Self::CodeWrong => FailureCode::PairingCodeWrong,
            Self::Rejected => FailureCode::PairingRejected,
            Self::AnswerInvalid => Garbage.failure_code(),
        }
    }
}

impl From<ApiError> for PairingError {
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::PairingUnknown => Self::QrInvalid,
            ApiError::PairingTaken => Self::Taken,
            ApiError::PairingExpired => Self::Expired,
            ApiError::Oversized
            | ApiError::UnknownDevice
            | ApiError::Malformed
            | ApiError::Forbidden
            | ApiError::NotFound
            | ApiError::Suspended
            | ApiError::Revoked
            | ApiError::Unavailable => Self::AnswerInvalid,
        }
    }
}
