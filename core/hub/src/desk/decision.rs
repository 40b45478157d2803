use tazune_model::{DeviceId, FailureCode, RecordId};

use crate::store::{Decision, StoreError};

/// What a person ordered about a device or a record was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DecisionError {
    /// There is no such device.
    #[error("no device is paired as {0}")]
    UnknownDevice(DeviceId),
    /// The device is revoked.
    #[error("{0} is revoked, which is final; pair the device anew")]
    Revoked(DeviceId),
    /// No envelope of this record is set aside.
    #[error("no envelope of record {0} is set aside")]
    UnknownRecord(RecordId),
    /// Several are.
    #[error("several envelopes of record {0} are set aside; name one by --sha256")]
    Several(RecordId),
    /// It was decided otherwise before.
    #[error("record {record} was {before} before, which is final")]
    Otherwise {
        /// The record.
        record: RecordId,
        /// What was decided.
        before: Decision,
    },
    /// Another envelope is the record of this id.
    #[error("another envelope is accepted as record {0}")]
    OtherAccepted(RecordId),
    /// It cannot be taken as a record.
    #[error("the envelope of record {0} cannot be accepted: {1}")]
    Unopened(RecordId, &'static str),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl DecisionError {
    /// The failure a person meets.
    pub(crate) const fn failure_code(&self) -> FailureCode {
        match self {
            Self::Store(error) => error.failure_code(),
            _ => FailureCode::DecisionImpossible,
        }
    }
}
