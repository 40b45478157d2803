use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior, ffi::SQLITE_IOERR_SHMSIZE};
use tazune_model::StoreFault;
use tokio::sync::oneshot;

use crate::{ports::Worker, store::StoreError};

/// A SQLite database with the one worker that may touch it.
///
/// WAL with `synchronous=FULL`: when [`Database::run`] has returned, what it wrote survives a loss of power.
/// The schema version is `user_version`; each step of `migrations` raises it by one.
pub(super) struct Database {
    connection: Arc<Mutex<Connection>>,
    worker: Worker,
}

impl Database {
    /// Opens or makes the database and brings it to the newest schema.
    ///
    /// # Errors
    /// [`StoreFault::Newer`] above the last migration, with nothing touched; [`StoreFault::Damaged`] when it is no
    /// database or not consistent: it is left as it is, with a copy beside it named `….damaged`.
    pub(super) fn open(path: &Path, migrations: &'static [&'static str], worker: Worker) -> Result<Self, StoreError> {
        let connection = prepare(path, migrations).inspect_err(|error| {
            if error.fault() == StoreFault::Damaged {
                copy_aside(path);
            }
        })?;
        Ok(Self { connection: Arc::new(Mutex::new(connection)), worker })
    }

    /// Runs `work` in one transaction, committed when it returns `Ok`.
    pub(super) async fn run<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let connection = self.connection.clone();
        self.worker.give(Box::new(move || {
            // A panic inside a transaction rolled it back.
            let mut connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
            // A caller that went away has no use for the answer; the work is done all the same.
            let _ = answer.send(transact(&mut connection, work));
        }));
        answered.await.map_err(|_| StoreError::new(StoreFault::Failed, "the database thread has ended".into()))?
    }
}

fn transact<T>(
    connection: &mut Connection,
    work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
) -> Result<T, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let value = work(&transaction)?;
    transaction.commit()?;
    Ok(value)
}

fn prepare(path: &Path, migrations: &[&str]) -> Result<Connection, StoreError> {
    let mut connection = Connection::open(path)?;
    let version: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let Some(missing) = migrations.get(version as usize..) else {
        return Err(StoreError::new(StoreFault::Newer, format!("schema {version}, known up to {}", migrations.len())));
    };
    let check: String = connection.pragma_query_value(None, "quick_check", |row| row.get(0))?;
    if check != "ok" {
        return Err(StoreError::new(StoreFault::Damaged, "the integrity check failed".into()));
    }
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "secure_delete", true)?;
    for (sql, reached) in missing.iter().zip(version + 1..) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(sql)?;
        transaction.pragma_update(None, "user_version", reached)?;
        transaction.commit()?;
    }
    Ok(connection)
}

/// Copies database and log beside themselves, once: the damaged ones stay, so a later start would copy the same.
fn copy_aside(path: &Path) {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    for source in [path.to_owned(), log.into()] {
        let copy = source.with_added_extension("damaged");
        if source.exists()
            && !copy.exists()
            && let Err(error) = fs::copy(&source, &copy)
        {
            tracing::error!(%error, "the damaged database could not be copied aside");
            // Half a copy would pass for the whole one at the next start.
            let _ = fs::remove_file(&copy);
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        let fault = match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => StoreFault::DiskFull,
            // The index of the log could not be made larger.
            _ if error.sqlite_error().is_some_and(|error| error.extended_code == SQLITE_IOERR_SHMSIZE) => {
                StoreFault::DiskFull
            }
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreFault::Damaged,
            _ => StoreFault::Failed,
        };
        Self::new(fault, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &[&str] = &["CREATE TABLE word (word TEXT PRIMARY KEY) STRICT"];

    fn worker() -> Worker {
        Worker::thread("sqlite").unwrap()
    }

    fn fault(path: &Path) -> StoreFault {
        Database::open(path, SCHEMA, worker()).map(drop).unwrap_err().fault()
    }

    #[tokio::test]
    async fn a_failed_job_leaves_nothing_behind_and_the_thread_running() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("db"), SCHEMA, worker()).unwrap();
        let failed = database.run(|t| {
            t.execute("INSERT INTO word VALUES ('lost')", [])?;
            t.execute("INSERT INTO nowhere VALUES (1)", [])
        });
        assert_eq!(failed.await.unwrap_err().fault(), StoreFault::Failed);
        let count = database.run(|t| t.query_row("SELECT count(*) FROM word", [], |row| row.get::<_, i64>(0)));
        assert_eq!(count.await.unwrap(), 0);
    }

    #[tokio::test]
    async fn every_commit_waits_for_the_disk_and_what_is_deleted_is_wiped() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("db"), SCHEMA, worker()).unwrap();
        let pragma = async |name: &'static str| {
            let asked =
                database.run(move |t| t.pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0)));
            asked.await.unwrap()
        };
        assert_eq!(pragma("journal_mode").await, String::from("wal").into());
        assert_eq!(pragma("synchronous").await, 2.into(), "FULL");
        assert_eq!(pragma("secure_delete").await, 1.into());
    }

    #[test]
    fn refuses_a_newer_database_and_does_not_touch_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        Connection::open(&path).unwrap().pragma_update(None, "user_version", 7).unwrap();
        let before = fs::read(&path).unwrap();
        assert_eq!(fault(&path), StoreFault::Newer);
        assert_eq!(fs::read(&path).unwrap(), before);
    }

    #[test]
    fn a_damaged_database_is_copied_aside_and_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        fs::write(&path, [0x5a; 8192]).unwrap();
        for _ in 0..2 {
            assert_eq!(fault(&path), StoreFault::Damaged);
        }
        assert_eq!(fs::read(&path).unwrap(), [0x5a; 8192]);
        assert_eq!(fs::read(folder.path().join("db.damaged")).unwrap(), [0x5a; 8192]);
    }
}
