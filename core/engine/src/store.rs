mod database;
mod drafts;
mod records;
mod revocation;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tazune_link::revocation::Revoked;
use tazune_model::{FailureCode, StoreFault};

use crate::{
    keys::{KeyStoreError, Keys},
    ports::Worker,
};

pub(crate) use database::Database;
pub use drafts::DraftId;
pub(crate) use records::Step;
pub use revocation::RevocationStatus;

/// The device's database, used from asynchronous code: every operation runs where work may block.
#[derive(Clone)]
pub(crate) struct Store {
    database: Arc<Mutex<Database>>,
    worker: Worker,
}

impl Store {
    /// Opens or makes the database at `path`.
    pub(crate) async fn open(path: PathBuf, keys: Keys, worker: Worker) -> Result<Self, StoreError> {
        let database = worker.run(move || Database::open(&path, keys).map_err(StoreError::from)).await?;
        Ok(Self { database: Arc::new(Mutex::new(database)), worker })
    }

    /// Runs one operation; it completes also when the future is dropped meanwhile.
    pub(crate) async fn run<T: Send + 'static, E: From<StoreFault> + Send + 'static>(
        &self,
        operation: impl FnOnce(&mut Database) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        let database = self.database.clone();
        self.worker.run(move || operation(&mut locked(&database))).await
    }

    /// Wipes from the log what was deleted, beside whatever comes next; opening wipes what a kill left.
    pub(crate) fn wipe_log_soon(&self) {
        let database = self.database.clone();
        self.worker.start(move || locked(&database).wipe_log());
    }
}

/// A panic inside a transaction rolled it back, so a poisoned lock guards a sound database.
fn locked(database: &Mutex<Database>) -> MutexGuard<'_, Database> {
    database.lock().unwrap_or_else(PoisonError::into_inner)
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
    /// The device is revoked and takes nothing new.
    #[error(transparent)]
    Revoked(#[from] Revoked),
}

impl StoreError {
    /// The failure a person meets.
    #[must_use]
    pub const fn failure_code(self) -> FailureCode {
        match self {
            Self::Fault(fault) => fault.failure_code(),
            Self::Keys(error) => error.failure_code(),
            Self::Revoked(revoked) => revoked.failure_code(),
        }
    }
}
