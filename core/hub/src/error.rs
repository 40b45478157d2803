use tazune_model::FailureCode;

use crate::{config::SettingError, store::StoreError};

/// Why a role of the hub cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Settings, keys, or the address to listen on.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl StartError {
    /// The failure a person meets.
    #[must_use]
    pub fn failure_code(&self) -> FailureCode {
        match self {
            Self::Setting(error) => error.failure_code(),
            Self::Store(error) => error.failure_code(),
        }
    }
}
