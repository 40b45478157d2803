use tazune_link::{
    envelope::SealError,
    front_api::{ApiError, Garbage},
    pairing::PairingError,
    renewal::RenewalRefused,
    revocation::Revoked,
    tombstone::TombstoneError,
};
use tazune_model::{FailureCode, StoreFault};

use crate::{keys::KeyStoreError, store::StoreError};

/// Why the device could not do what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// The device belongs to no clinic yet.
    #[error("the device is not paired")]
    NotPaired,
    /// Pairing anew would strand visits that the present clinic does not have yet.
    #[error("{count} visits are not at the clinic yet")]
    Undelivered {
        /// Drafts, and sealed records without a receipt.
        count: usize,
    },
    /// A key could not be used.
    #[error(transparent)]
    Keys(#[from] KeyStoreError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreFault),
    /// The hub could not be asked, or refused.
    #[error(transparent)]
    Front(#[from] FrontError),
    /// The pairing ended without success.
    #[error(transparent)]
    Pairing(#[from] PairingError),
    /// The device's certificate has run out, and the clinic did not renew it.
    #[error(transparent)]
    Renewal(#[from] RenewalRefused),
    /// The record cannot be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The clinic has revoked the device.
    #[error(transparent)]
    Revoked(#[from] Revoked),
    /// The hub calls the device revoked and does not prove it.
    #[error(transparent)]
    Tombstone(#[from] TombstoneError),
}

impl EngineError {
    /// The failure a person meets.
    #[must_use]
    pub const fn failure_code(self) -> FailureCode {
        match self {
            Self::NotPaired => FailureCode::NotPaired,
            Self::Undelivered { .. } => FailureCode::VisitsUndelivered,
            Self::Keys(error) => error.failure_code(),
            Self::Store(fault) => fault.failure_code(),
            Self::Front(error) => error.failure_code(),
            Self::Pairing(error) => error.failure_code(),
            Self::Renewal(error) => error.failure_code(),
            Self::Seal(error) => error.failure_code(),
            Self::Revoked(revoked) => revoked.failure_code(),
            Self::Tombstone(error) => error.failure_code(),
        }
    }
}

impl From<StoreError> for EngineError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Fault(fault) => Self::Store(fault),
            StoreError::Keys(error) => Self::Keys(error),
            StoreError::Revoked(revoked) => Self::Revoked(revoked),
        }
    }
}

/// Why the front gave no good answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrontError {
    /// It could not be reached at any of its addresses, was another than the paired one, or cannot work just now.
    #[error("the hub could not be reached")]
    Unreachable,
    /// It refused the whole request.
    #[error("the hub refused the request: {0:?}")]
    Refused(ApiError),
    /// Its answer is none.
    #[error("the hub's answer is none")]
    Garbage,
}

impl FrontError {
    /// The failure a person meets.
    #[must_use]
    pub const fn failure_code(self) -> FailureCode {
        match self {
            Self::Unreachable => FailureCode::HubUnreachable,
            Self::Refused(error) => error.failure_code(),
            Self::Garbage => Garbage.failure_code(),
        }
    }
}

impl From<Garbage> for FrontError {
    fn from(Garbage: Garbage) -> Self {
        Self::Garbage
    }
}
