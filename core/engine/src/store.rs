mod database;
mod drafts;
mod records;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use tazune_model::{FailureCode, StoreFault};

use crate::keys::{KeyStoreError, Keys};

pub(crate) use database::Database;
pub use drafts::DraftId;
pub(crate) use records::Step;

/// The device's database, used from asynchronous code: every operation runs on a thread that may block.
#[derive(Clone)]
pub(crate) struct Store(Arc<Mutex<Database>>);

impl Store {
    /// Opens or makes the database at `path`.
    pub(crate) async fn open(path: PathBuf, keys: Keys) -> Result<Self, StoreError> {
        let database = blocking(move || Database::open(&path, keys).map_err(StoreError::from)).await?;
        Ok(Self(Arc::new(Mutex::new(database))))
    }

    /// Runs one operation; it completes also when the future is dropped meanwhile.
    pub(crate) async fn run<T: Send + 'static, E: From<StoreError> + Send + 'static>(
        &self,
        operation: impl FnOnce(&mut Database) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        let database = self.0.clone();
        // A panic inside a transaction rolled it back, so a poisoned lock guards a sound database.
        blocking(move || operation(&mut database.lock().unwrap_or_else(PoisonError::into_inner))).await
    }
}

/// Runs what may block away from the runtime's own threads.
async fn blocking<T: Send + 'static, E: From<StoreError> + Send + 'static>(
    operation: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, E> {
    match tokio::task::spawn_blocking(operation).await {
        Ok(result) => result,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The runtime is shutting down, and nobody waits for the answer.
        Err(_) => Err(StoreError::Fault(StoreFault::Failed).into()),
    }
}

/// Why something could not be stored or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The database failed.
    #[error(transparent)]
    Fault(#[from] StoreFault),
    /// The key of the drafts cannot be used.
    #[error(transparent)]
    Keys(#[from] KeyStoreError),
}

impl StoreError {
    /// The failure a person meets.
    #[must_use]
    pub const fn failure_code(self) -> FailureCode {
        match self {
            Self::Fault(fault) => fault.failure_code(),
            Self::Keys(error) => error.failure_code(),
        }
    }
}
