use std::{
    fs::{self, OpenOptions},
    io, mem,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use rusqlite::{
    Connection, ErrorCode, InterruptHandle, OpenFlags, Transaction, TransactionBehavior, ffi::SQLITE_IOERR_SHMSIZE,
};
use tazune_model::StoreFault;
use tokio::sync::oneshot;

use crate::{
    files,
    ports::{Ports, Worker},
    store::StoreError,
};

/// How many statements are kept prepared: more than a store has.
const STATEMENTS: usize = 64;

/// Ending of the copy of a damaged database.
const DAMAGED: &str = "damaged";

/// A piece of work in a transaction, or without one if none could begin, which returns how its caller is told once it is
/// known whether that was committed.
type Piece = Box<dyn FnOnce(Result<&Transaction<'_>, StoreError>) -> Tell + Send>;
type Tell = Box<dyn FnOnce(Result<(), StoreError>)>;

/// A SQLite database with the one worker that may touch it.
///
/// WAL with `synchronous=FULL`: when [`Database::run`] has returned, what it wrote survives a loss of power.
/// The schema version is `user_version`; each step of `migrations` raises it by one.
pub(super) struct Database {
    connection: Arc<Mutex<Connection>>,
    waiting: Arc<Mutex<Vec<Piece>>>,
    worker: Worker,
    /// Where the whole is checked beside all other work.
    checker: Worker,
    path: PathBuf,
}

impl Database {
    /// Opens or makes the database and brings it to the newest schema, all steps or none.
    ///
    /// An older one is first copied to `….before-v2`, where 2 is the version that it is brought to. Only the schema is
    /// checked here, because a check of everything takes as long as there are records: see [`Database::check`]. Where one
    /// has found damage before (there is a copy named `….damaged`), everything is checked at once.
    ///
    /// # Errors
    /// [`StoreFault::Newer`] above the last migration, with nothing touched; [`StoreFault::Damaged`] when it is no
    /// database or not consistent: it is left as it is, with a copy beside it named `….damaged`.
    pub(super) fn open(path: &Path, migrations: &'static [&'static str], ports: &Ports) -> Result<Self, StoreError> {
        let connection = prepare(path, migrations).inspect_err(|error| copy_aside_if_damaged(error, path))?;
        let (worker, checker) =
            (ports.worker("sqlite").map_err(failed)?, ports.worker("sqlite-check").map_err(failed)?);
        let (connection, waiting) = (Arc::new(Mutex::new(connection)), Arc::default());
        Ok(Self { connection, waiting, worker, checker, path: path.to_owned() })
    }

    /// Runs `work` whole or not at all; it is committed when this returns `Ok`.
    ///
    /// What waits for the worker at the same time shares one transaction, because a commit waits for the disk however
    /// much it holds. Nobody hears anything before that commit; what fails by itself is undone by itself.
    pub(super) async fn run<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let piece: Piece = Box::new(move |transaction| {
            let done = transaction.and_then(|transaction| alone(transaction, work));
            // A caller that went away has no use for the answer; the work is done all the same.
            Box::new(move |committed| drop(answer.send(done.and_then(|value| committed.map(|()| value)))))
        });
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(piece);
        let (connection, waiting) = (self.connection.clone(), self.waiting.clone());
        self.worker.give(Box::new(move || {
            let pieces = mem::take(&mut *waiting.lock().unwrap_or_else(PoisonError::into_inner));
            // A panic inside a transaction rolled it back.
            transact(&mut connection.lock().unwrap_or_else(PoisonError::into_inner), pieces);
        }));
        answered.await.map_err(|_| failed("the database thread has ended"))?
    }

    /// Proves that something can be committed, by writing the version that is there.
    pub(super) async fn prove_writable(&self) -> Result<(), StoreError> {
        self.run(|transaction| {
            let version: u32 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
            transaction.pragma_update(None, "user_version", version)
        })
        .await
    }

    /// Brings everything into the one file, so that nothing of the log is left.
    pub(super) async fn settle(&self) -> Result<(), StoreError> {
        let work = |connection: &mut Connection| {
            connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(StoreError::from)
        };
        self.job(work).await
    }

    /// The bytes that the database takes on the disk, its log included.
    pub(super) fn size(&self) -> u64 {
        let bytes = |path: &Path| fs::metadata(path).map_or(0, |metadata| metadata.len());
        bytes(&self.path) + bytes(&log_of(&self.path))
    }

    /// Reads everything and looks whether it fits together, beside all other work; ends when dropped.
    ///
    /// # Errors
    /// [`StoreFault::Damaged`] when it does not: it is left as it is, with a copy beside it.
    pub(super) async fn check(&self) -> Result<(), StoreError> {
        struct Interrupt(InterruptHandle);
        impl Drop for Interrupt {
            fn drop(&mut self) {
                self.0.interrupt();
            }
        }
        let connection = Connection::open_with_flags(&self.path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let interrupt = Interrupt(connection.get_interrupt_handle());
        let (answer, answered) = oneshot::channel();
        let path = self.path.clone();
        let work = move || {
            let checked = check_all(&connection).inspect_err(|error| copy_aside_if_damaged(error, &path));
            // Let go of the database before anybody who waits closes it.
            drop(connection);
            let _ = answer.send(checked);
        };
        self.checker.give(Box::new(work));
        let checked = answered.await.map_err(|_| failed("the check has ended"))?;
        drop(interrupt);
        checked
    }

    async fn job<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let connection = self.connection.clone();
        self.worker.give(Box::new(move || {
            // A panic inside a transaction rolled it back.
            let mut connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
            // A caller that went away has no use for the answer; the work is done all the same.
            let _ = answer.send(work(&mut connection));
        }));
        answered.await.map_err(|_| failed("the database thread has ended"))?
    }
}

fn failed(error: impl ToString) -> StoreError {
    StoreError::new(StoreFault::Failed, error.to_string())
}

/// Does all pieces in one transaction, commits it, and tells each caller; none is left to do where an earlier job took all.
fn transact(connection: &mut Connection, pieces: Vec<Piece>) {
    if pieces.is_empty() {
        return;
    }
    let (tells, committed): (Vec<Tell>, _) =
        match connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(StoreError::from) {
            Ok(transaction) => {
                let tells = pieces.into_iter().map(|piece| piece(Ok(&transaction))).collect();
                (tells, transaction.commit().map_err(StoreError::from))
            }
            Err(error) => (pieces.into_iter().map(|piece| piece(Err(error.clone()))).collect(), Err(error)),
        };
    tells.into_iter().for_each(|tell| tell(committed.clone()));
}

/// Undoes what `work` did when it fails, and nothing that others did in the same transaction.
fn alone<T>(
    transaction: &Transaction<'_>,
    work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
) -> Result<T, StoreError> {
    // After some failures SQLite has undone the whole transaction. The commit will fail then, and a savepoint would begin
    // a transaction of its own, whose end commits.
    if transaction.is_autocommit() {
        return Err(failed("the transaction was undone"));
    }
    transaction.execute_batch("SAVEPOINT piece")?;
    let done = work(transaction);
    let ended = if done.is_ok() { "RELEASE piece" } else { "ROLLBACK TO piece; RELEASE piece" };
    let ended = transaction.execute_batch(ended);
    let value = done?;
    ended?;
    Ok(value)
}

fn prepare(path: &Path, migrations: &[&str]) -> Result<Connection, StoreError> {
    let mut connection = Connection::open(path)?;
    let version: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let Some(missing) = migrations.get(version as usize..) else {
        return Err(StoreError::new(StoreFault::Newer, format!("schema {version}, known up to {}", migrations.len())));
    };
    if path.with_added_extension(DAMAGED).exists() {
        check_all(&connection)?;
    } else {
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    }
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "secure_delete", true)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    if missing.is_empty() {
        return Ok(connection);
    }
    if version > 0 {
        keep_copy(&connection, path, migrations.len())?;
        tracing::info!(from = version, to = migrations.len(), "the database is brought to a newer version");
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    upgrade(&transaction, missing, migrations.len())?;
    transaction.commit()?;
    Ok(connection)
}

fn upgrade(transaction: &Transaction<'_>, missing: &[&str], reached: usize) -> rusqlite::Result<()> {
    for sql in missing {
        transaction.execute_batch(sql)?;
    }
    transaction.pragma_update(None, "user_version", u32::try_from(reached).unwrap_or(u32::MAX))
}

/// Keeps the database as it is before it is brought to `version`: whole and durable, in place of an earlier such copy.
fn keep_copy(connection: &Connection, path: &Path, version: usize) -> Result<(), StoreError> {
    let copy = path.with_added_extension(format!("before-v{version}"));
    let unfinished = copy.with_added_extension("new");
    let name = unfinished.to_str().ok_or_else(|| failed("the data folder's name is no Unicode text"))?;
    let on_disk = |error: io::Error| match error.kind() {
        io::ErrorKind::StorageFull => StoreError::new(StoreFault::DiskFull, error.to_string()),
        _ => failed(error),
    };
    // Empty and for its owner only, so that SQLite fills it.
    files::write_private(&unfinished, b"").map_err(on_disk)?;
    connection.execute("VACUUM INTO ?1", [name])?;
    OpenOptions::new().write(true).open(&unfinished).and_then(|file| file.sync_all()).map_err(on_disk)?;
    fs::rename(&unfinished, &copy).map_err(on_disk)?;
    path.parent().map_or(Ok(()), files::sync_folder).map_err(on_disk)
}

fn check_all(connection: &Connection) -> Result<(), StoreError> {
    let report: String = connection.pragma_query_value(None, "quick_check", |row| row.get(0))?;
    match report.as_str() {
        "ok" => Ok(()),
        _ => Err(StoreError::new(StoreFault::Damaged, "the integrity check failed".into())),
    }
}

fn log_of(path: &Path) -> PathBuf {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    log.into()
}

fn copy_aside_if_damaged(error: &StoreError, path: &Path) {
    if error.fault() == StoreFault::Damaged {
        copy_aside(path);
    }
}

/// Copies database and log beside themselves, once: the damaged ones stay, so a later start would copy the same.
fn copy_aside(path: &Path) {
    for source in [path.to_owned(), log_of(path)] {
        let copy = source.with_added_extension(DAMAGED);
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
    use crate::ports::Job;

    const SCHEMA: &[&str] = &["CREATE TABLE word (word TEXT PRIMARY KEY) STRICT"];

    fn fault(path: &Path) -> StoreFault {
        Database::open(path, SCHEMA, &Ports::system()).map(drop).unwrap_err().fault()
    }

    #[tokio::test]
    async fn a_failed_job_leaves_nothing_behind_and_the_thread_running() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("db"), SCHEMA, &Ports::system()).unwrap();
        let failed = database.run(|t| {
            t.execute("INSERT INTO word VALUES ('lost')", [])?;
            t.execute("INSERT INTO nowhere VALUES (1)", [])
        });
        assert_eq!(failed.await.unwrap_err().fault(), StoreFault::Failed);
        let count = database.run(|t| t.query_row("SELECT count(*) FROM word", [], |row| row.get::<_, i64>(0)));
        assert_eq!(count.await.unwrap(), 0);
    }

    /// A worker that does nothing until it is told to, so that work gathers.
    fn held_back() -> (Ports, impl Fn()) {
        let jobs = Arc::<Mutex<Vec<Job>>>::default();
        let worker = Worker::new({
            let jobs = jobs.clone();
            move |job| jobs.lock().unwrap().push(job)
        });
        (Ports { worker: Some(worker), ..Ports::system() }, move || {
            let jobs = mem::take(&mut *jobs.lock().unwrap());
            jobs.into_iter().for_each(|job| job());
        })
    }

    /// Frames of the log that end a transaction: those that name the size of the database after it.
    fn commits(path: &Path) -> usize {
        let log = fs::read(log_of(path)).unwrap();
        let page_bytes = u32::from_be_bytes(log[8..12].try_into().unwrap()) as usize;
        log[32..].chunks(24 + page_bytes).filter(|frame| frame[4..8] != [0; 4]).count()
    }

    #[tokio::test]
    async fn what_waits_is_committed_together_and_what_fails_is_undone_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        let (ports, work_off) = held_back();
        let database = Database::open(&path, SCHEMA, &ports).unwrap();
        let before = commits(&path);
        let first = database.run(|t| t.execute("INSERT INTO word VALUES ('first')", []));
        let fails = database.run(|t| {
            t.execute("INSERT INTO word VALUES ('lost')", [])?;
            t.execute("INSERT INTO word VALUES ('first')", [])
        });
        let last = database.run(|t| t.execute("INSERT INTO word VALUES ('last')", []));
        let (first, fails, last, ()) = tokio::join!(biased; first, fails, last, async { work_off() });
        assert_eq!((first.unwrap(), last.unwrap()), (1, 1));
        assert_eq!(fails.unwrap_err().fault(), StoreFault::Failed);
        assert_eq!(commits(&path), before + 1);
        let words: String = Connection::open(&path)
            .unwrap()
            .query_row("SELECT group_concat(word, ' ' ORDER BY word) FROM word", [], |row| row.get(0))
            .unwrap();
        assert_eq!(words, "first last");
    }

    #[tokio::test]
    async fn nobody_is_told_of_success_when_the_commit_fails() {
        const LINKED: &[&str] = &["
            CREATE TABLE word (word TEXT PRIMARY KEY) STRICT;
            CREATE TABLE used (word TEXT REFERENCES word DEFERRABLE INITIALLY DEFERRED) STRICT;
        "];
        let folder = tempfile::tempdir().unwrap();
        let (ports, work_off) = held_back();
        let database = Database::open(&folder.path().join("db"), LINKED, &ports).unwrap();
        database.connection.lock().unwrap().pragma_update(None, "foreign_keys", true).unwrap();
        let insert = |sql: &'static str| database.run(move |t| t.execute(sql, []));
        let (good, bad) = (insert("INSERT INTO word VALUES ('word')"), insert("INSERT INTO used VALUES ('missing')"));
        let (good, bad, ()) = tokio::join!(biased; good, bad, async { work_off() });
        assert!(good.is_err() && bad.is_err(), "which of the two SQLite found out only at the end");
        let (again, ()) = tokio::join!(biased; insert("INSERT INTO word VALUES ('word')"), async { work_off() });
        assert_eq!(again.unwrap(), 1, "nothing of it had stayed");
    }

    #[tokio::test]
    async fn nothing_is_committed_after_a_failure_that_undid_the_whole_transaction() {
        let folder = tempfile::tempdir().unwrap();
        let (ports, work_off) = held_back();
        let database = Database::open(&folder.path().join("db"), SCHEMA, &ports).unwrap();
        let insert = |sql: &'static str| database.run(move |t| t.execute(sql, []));
        let first = insert("INSERT INTO word VALUES ('first')");
        let undoes = insert("INSERT OR ROLLBACK INTO word VALUES ('first')");
        let last = insert("INSERT INTO word VALUES ('last')");
        let (first, undoes, last, ()) = tokio::join!(biased; first, undoes, last, async { work_off() });
        assert!(first.is_err() && undoes.is_err() && last.is_err());
        let count = database.run(|t| t.query_row("SELECT count(*) FROM word", [], |row| row.get::<_, i64>(0)));
        let (count, ()) = tokio::join!(biased; count, async { work_off() });
        assert_eq!(count.unwrap(), 0, "who was told of a failure finds nothing done");
    }

    #[tokio::test]
    async fn why_no_transaction_could_begin_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        let database = Database::open(&path, SCHEMA, &Ports::system()).unwrap();
        database.connection.lock().unwrap().busy_timeout(std::time::Duration::ZERO).unwrap();
        let other = Connection::open(&path).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let told = database.run(|t| t.execute("INSERT INTO word VALUES ('word')", [])).await.unwrap_err();
        assert!(told.to_string().contains("locked"), "{told}");
    }

    #[tokio::test]
    async fn every_commit_waits_for_the_disk_and_what_is_deleted_is_wiped() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("db"), SCHEMA, &Ports::system()).unwrap();
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

    #[tokio::test]
    async fn damage_behind_the_schema_is_found_by_the_check_beside_the_work_and_then_at_every_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        let database = Database::open(&path, SCHEMA, &Ports::system()).unwrap();
        let many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
            INSERT INTO word SELECT 'word ' || i FROM n";
        database.run(|t| t.execute(many, [])).await.unwrap();
        database.settle().await.unwrap();
        database.check().await.unwrap();
        drop(database);
        let mut damaged = fs::read(&path).unwrap();
        let middle = damaged.len() / 8192 * 4096;
        damaged[middle..middle + 4096].fill(0x5a);
        fs::write(&path, &damaged).unwrap();

        let database = Database::open(&path, SCHEMA, &Ports::system()).unwrap();
        assert_eq!(database.check().await.unwrap_err().fault(), StoreFault::Damaged);
        drop(database);
        assert_eq!(fs::read(path.with_added_extension(DAMAGED)).unwrap(), damaged);
        assert_eq!(fault(&path), StoreFault::Damaged, "not only when the check comes to it");
        assert_eq!(fs::read(&path).unwrap(), damaged, "nothing was changed");
    }

    #[tokio::test]
    async fn nothing_of_the_log_is_left_once_it_is_settled_and_work_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("db"), SCHEMA, &Ports::system()).unwrap();
        for word in ["first", "second"] {
            database.run(move |t| t.execute("INSERT INTO word VALUES (?1)", [word])).await.unwrap();
            database.prove_writable().await.unwrap();
            assert!(fs::metadata(folder.path().join("db-wal")).unwrap().len() > 0);
            database.settle().await.unwrap();
            assert_eq!(fs::metadata(folder.path().join("db-wal")).unwrap().len(), 0);
        }
        assert_eq!(database.size(), fs::metadata(folder.path().join("db")).unwrap().len());
    }
}
