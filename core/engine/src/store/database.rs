use std::{
    ffi::OsString,
    fs::{self, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use ring::digest;
use rusqlite::{
    Connection, ErrorCode, OptionalExtension, Transaction, TransactionBehavior, ffi::SQLITE_IOERR_SHMSIZE, params,
};
use serde::{Serialize, de::DeserializeOwned};
use tazune_model::StoreFault;

use crate::keys::Keys;

/// One step per schema version; a database at version n has had the first n. Steps are only ever added.
const MIGRATIONS: &[&str] = &["
    CREATE TABLE meta (
        name TEXT PRIMARY KEY,
        value BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE drafts (
        id TEXT PRIMARY KEY,
        kind TEXT NOT NULL,
        saved_at TEXT NOT NULL,
        nonce BLOB NOT NULL,
        sealed BLOB NOT NULL
    ) STRICT;
    CREATE TABLE records (
        record_id TEXT PRIMARY KEY,
        sealed_at TEXT NOT NULL,
        delivery TEXT NOT NULL,
        envelope_sha256 TEXT NOT NULL,
        envelope BLOB,
        receipt BLOB,
        is_purged INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE INDEX records_kept ON records (record_id) WHERE is_purged = 0;
"];

/// How long a statement waits for another process that writes the same database.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Length that an empty log is given: the last drafts of a visit and its record of 20 KB fit in.
const LOG_BYTES: usize = 128 * 1024;

/// The device's one SQLite file: `meta` (settings, last success), `drafts` (encrypted), `records` (sealed envelopes).
pub(crate) struct Database {
    pub(super) connection: Connection,
    pub(super) keys: Keys,
    path: PathBuf,
}

impl Database {
    /// Opens or makes the database, checks it whole and brings its schema up to date.
    ///
    /// A newer one is not touched; a damaged one is copied beside itself and left as it is.
    pub(crate) fn open(path: &Path, keys: Keys) -> Result<Self, StoreFault> {
        let connection = Connection::open(path).map_err(|error| SqlFault::from(error).0)?;
        let mut database = Self { connection, keys, path: path.to_path_buf() };
        let prepared = database.prepare();
        database.reported(prepared)?;
        Ok(database)
    }

    /// Runs `operation` in one transaction that is durable when this returns `Ok`, and undone otherwise.
    pub(super) fn transaction<T>(
        &mut self,
        operation: impl FnOnce(&Transaction<'_>) -> Result<T, SqlFault>,
    ) -> Result<T, StoreFault> {
        let outcome = self.try_transaction(operation);
        self.reported(outcome)
    }

    /// A value of the `meta` table.
    pub(crate) fn meta<T: DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>, StoreFault> {
        self.transaction(|transaction| read_meta(transaction, name))
    }

    /// Writes a value of the `meta` table.
    pub(crate) fn set_meta<T: Serialize>(&mut self, name: &str, value: &T) -> Result<(), StoreFault> {
        self.transaction(|transaction| write_meta(transaction, name, value))
    }

    /// Copies a damaged database aside, then passes the outcome on.
    pub(super) fn reported<T>(&self, outcome: Result<T, SqlFault>) -> Result<T, StoreFault> {
        if let Err(SqlFault(StoreFault::Damaged)) = outcome {
            set_aside(&self.path);
        }
        outcome.map_err(|SqlFault(fault)| fault)
    }

    /// Wipes from the log what was deleted or replaced; `secure_delete` wipes only the database itself.
    ///
    /// While another process reads, the log stays until the next call, or until the last process closes the database.
    pub(super) fn wipe_log(&mut self) {
        let _busy = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        if let Err(fault) = self.lay_out_log() {
            tracing::debug!(?fault, "the next commits wait for the log's length too");
        }
    }

    /// Gives the emptied log a length again, in zeros, so that a commit waits for its own bytes and for nothing else.
    ///
    /// A file that grows costs the disk a second write in each sync. To SQLite a log that begins with zeros is an empty
    /// one (its file format, section 4: the header's magic number). The right to write is held meanwhile, so that no
    /// other process can have put anything into the log that is empty.
    fn lay_out_log(&mut self) -> Result<(), SqlFault> {
        let log = with_suffix(&self.path, "-wal");
        let holding = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if fs::metadata(&log).is_ok_and(|metadata| metadata.len() == 0) {
            let zeros = vec![0; LOG_BYTES];
            let written = OpenOptions::new().write(true).open(&log).and_then(|mut file| {
                file.write_all(&zeros)?;
                file.sync_all()
            });
            written.map_err(|_| SqlFault(StoreFault::Failed))?;
        }
        drop(holding);
        Ok(())
    }

    fn try_transaction<T>(
        &mut self,
        operation: impl FnOnce(&Transaction<'_>) -> Result<T, SqlFault>,
    ) -> Result<T, SqlFault> {
        // Immediate: what is read here cannot be changed by another process before it is written back.
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let value = operation(&transaction)?;
        transaction.commit()?;
        Ok(value)
    }

    fn prepare(&mut self) -> Result<(), SqlFault> {
        self.connection.busy_timeout(BUSY_TIMEOUT)?;
        let version = schema_version(&self.connection)?;
        if version > MIGRATIONS.len() {
            return Err(SqlFault(StoreFault::Newer));
        }
        let report = self.connection.pragma_query_value(None, "quick_check", |row| row.get::<_, String>(0))?;
        if report != "ok" {
            return Err(SqlFault(StoreFault::Damaged));
        }
        self.connection.pragma_update(None, "journal_mode", "WAL")?;
        self.connection.pragma_update(None, "synchronous", "FULL")?;
        // Apple's fsync leaves the bytes in the disk's own cache; without effect elsewhere.
        self.connection.pragma_update(None, "fullfsync", "ON")?;
        self.connection.pragma_update(None, "secure_delete", "ON")?;
        if version < MIGRATIONS.len() {
            self.try_transaction(upgrade)?;
        }
        // What was deleted just before a kill may still be in the log.
        self.wipe_log();
        Ok(())
    }
}

/// A [`StoreFault`] on its way out of a transaction.
#[derive(Clone, Copy, Debug)]
pub(super) struct SqlFault(pub(super) StoreFault);

impl From<rusqlite::Error> for SqlFault {
    fn from(error: rusqlite::Error) -> Self {
        Self(match error {
            rusqlite::Error::SqliteFailure(failure, _) => {
                tracing::debug!(code = failure.extended_code, "database");
                match failure.code {
                    ErrorCode::DiskFull => StoreFault::DiskFull,
                    // The index of the log could not be made larger.
                    _ if failure.extended_code == SQLITE_IOERR_SHMSIZE => StoreFault::DiskFull,
                    ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => StoreFault::Damaged,
                    _ => StoreFault::Failed,
                }
            }
            rusqlite::Error::FromSqlConversionFailure(..) | rusqlite::Error::InvalidColumnType(..) => {
                StoreFault::Damaged
            }
            _ => StoreFault::Failed,
        })
    }
}

fn schema_version(connection: &Connection) -> Result<usize, SqlFault> {
    let version = connection.pragma_query_value(None, "user_version", |row| row.get::<_, i32>(0))?;
    // A negative one was not written by this program or an older one.
    usize::try_from(version).map_err(|_| SqlFault(StoreFault::Newer))
}

fn upgrade(transaction: &Transaction<'_>) -> Result<(), SqlFault> {
    // Read again inside the transaction: another process may have upgraded meanwhile.
    for (step, version) in MIGRATIONS.iter().zip(1_i32..).skip(schema_version(transaction)?) {
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", version)?;
    }
    Ok(())
}

pub(super) fn read_meta<T: DeserializeOwned>(connection: &Connection, name: &str) -> Result<Option<T>, SqlFault> {
    let value = connection
        .prepare_cached("SELECT value FROM meta WHERE name = ?1")?
        .query_row(params![name], |row| row.get::<_, Vec<u8>>(0))
        .optional()?;
    value.map(|json| serde_json::from_slice(&json).map_err(|_| SqlFault(StoreFault::Damaged))).transpose()
}

pub(super) fn write_meta<T: Serialize>(connection: &Connection, name: &str, value: &T) -> Result<(), SqlFault> {
    let json = serde_json::to_vec(value).expect("our own types always encode");
    connection
        .prepare_cached("INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)")?
        .execute(params![name, json])?;
    Ok(())
}

/// Copies the database and its log to `<name>.damaged-<first 8 digits of its digest>`; one copy per damage, not per try.
fn set_aside(path: &Path) {
    let Ok(bytes) = fs::read(path) else {
        tracing::error!("a damaged database cannot be copied aside");
        return;
    };
    let digest = digest::digest(&digest::SHA256, &bytes);
    let mark: String = digest.as_ref().iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    for part in ["", "-wal"] {
        let from = with_suffix(path, part);
        let to = with_suffix(path, &format!(".damaged-{mark}{part}"));
        let has_content = fs::metadata(&from).is_ok_and(|metadata| metadata.len() > 0);
        if has_content && !to.exists() && fs::copy(&from, &to).is_err() {
            tracing::error!("a damaged database cannot be copied aside");
            // Half a copy would pass for the whole one at the next try.
            let _ = fs::remove_file(&to);
        }
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::keys::{KeyStore, MemoryKeyStore};

    pub(in super::super) fn keys() -> Keys {
        let keys = MemoryKeyStore::new();
        keys.make_keys().unwrap();
        Arc::new(keys)
    }

    fn damaged_copies(folder: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.to_string_lossy().contains(".damaged-")).collect()
    }

    fn schema(connection: &Connection) -> Vec<String> {
        let mut statement =
            connection.prepare("SELECT sql FROM sqlite_schema WHERE sql NOT NULL ORDER BY name").unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn what_was_committed_is_there_after_a_reopen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("device.db");
        Database::open(&path, keys()).unwrap().set_meta("a", &7_u8).unwrap();
        let mut database = Database::open(&path, keys()).unwrap();
        assert_eq!(database.meta::<u8>("a").unwrap(), Some(7));
        assert_eq!(database.meta::<u8>("b").unwrap(), None);
    }

    #[test]
    fn an_emptied_log_keeps_its_length_for_what_comes_next_and_what_is_in_it_survives_a_kill() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("device.db");
        let log = || fs::metadata(with_suffix(&path, "-wal")).unwrap().len();
        let mut killed = Database::open(&path, keys()).unwrap();
        assert_eq!(log(), LOG_BYTES as u64);
        killed.set_meta("a", &1_u8).unwrap();
        killed.wipe_log();
        killed.set_meta("a", &2_u8).unwrap();
        assert_eq!(log(), LOG_BYTES as u64, "it did not have to grow");
        // Another process reads and writes meanwhile.
        let mut other = Database { connection: Connection::open(&path).unwrap(), keys: keys(), path: path.clone() };
        assert_eq!(other.meta::<u8>("a").unwrap(), Some(2));
        other.set_meta("a", &3_u8).unwrap();
        assert_eq!(killed.meta::<u8>("a").unwrap(), Some(3));
        // Never closed, as by a kill: closing would empty the log. Nor does another process hold its index.
        std::mem::forget((killed, other));
        let copy = tempfile::tempdir().unwrap();
        for name in ["device.db", "device.db-wal"] {
            fs::copy(folder.path().join(name), copy.path().join(name)).unwrap();
        }
        let mut opened = Database::open(&copy.path().join("device.db"), keys()).unwrap();
        assert_eq!(opened.meta::<u8>("a").unwrap(), Some(3));
    }

    #[test]
    fn a_log_that_others_write_into_is_not_laid_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("device.db");
        let mut database = Database::open(&path, keys()).unwrap();
        database.set_meta("a", &1_u8).unwrap();
        database.lay_out_log().unwrap();
        assert_eq!(database.meta::<u8>("a").unwrap(), Some(1));
        let other = Connection::open(&path).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        database.connection.busy_timeout(Duration::ZERO).unwrap();
        assert!(database.lay_out_log().is_err());
    }

    #[test]
    fn every_commit_is_synced_and_deleted_content_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("device.db"), keys()).unwrap();
        let pragma = |name| database.connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).unwrap();
        let journal = database.connection.pragma_query_value(None, "journal_mode", |row| row.get::<_, String>(0));
        assert_eq!(journal.unwrap(), "wal");
        assert_eq!(pragma("synchronous"), 2);
        assert_eq!(pragma("secure_delete"), 1);
    }

    #[test]
    fn every_older_schema_upgrades_to_the_newest() {
        let folder = tempfile::tempdir().unwrap();
        let fresh = Database::open(&folder.path().join("fresh.db"), keys()).unwrap();
        for version in 0..=MIGRATIONS.len() {
            let path = folder.path().join(format!("{version}.db"));
            let old = Connection::open(&path).unwrap();
            for step in &MIGRATIONS[..version] {
                old.execute_batch(step).unwrap();
            }
            old.pragma_update(None, "user_version", version as i32).unwrap();
            drop(old);
            let upgraded = Database::open(&path, keys()).unwrap();
            assert_eq!(schema(&upgraded.connection), schema(&fresh.connection), "from {version}");
            assert_eq!(schema_version(&upgraded.connection).unwrap(), MIGRATIONS.len());
        }
    }

    /// What a table holds, each value as text.
    fn rows(connection: &Connection, table: &str, columns: &[String]) -> Vec<Vec<String>> {
        let quoted: Vec<_> = columns.iter().map(|column| format!("quote({column})")).collect();
        let mut all = connection.prepare(&format!("SELECT {} FROM {table} ORDER BY 1", quoted.join(", "))).unwrap();
        let row = |row: &rusqlite::Row<'_>| (0..columns.len()).map(|at| row.get(at)).collect();
        all.query_map([], row).unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn every_row_of_every_version_that_was_shipped_comes_along_and_can_be_used() {
        let folder = tempfile::tempdir().unwrap();
        for version in 1..=MIGRATIONS.len() {
            let file = format!("../../tests/vectors/databases/device-v{version}.sql");
            let dump = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
            if version == MIGRATIONS.len() && !dump.exists() {
                continue;
            }
            let path = folder.path().join(format!("shipped-{version}.db"));
            let old = Connection::open(&path).unwrap();
            let sql = fs::read_to_string(&dump).unwrap_or_else(|_| panic!("add {}", dump.display()));
            old.execute_batch(&sql).unwrap();
            assert_eq!(schema_version(&old).unwrap(), version);
            let columns = |table: &str| -> Vec<String> {
                let all = old.prepare(&format!("SELECT * FROM {table}")).unwrap();
                all.column_names().into_iter().map(ToOwned::to_owned).collect()
            };
            let tables = ["meta", "drafts", "records"].map(|table| (table, columns(table)));
            let content = |connection: &Connection| tables.clone().map(|(table, of)| rows(connection, table, &of));
            let before = content(&old);
            assert!(before.iter().all(|rows| !rows.is_empty()));

            let mut database = Database::open(&path, keys()).unwrap();
            assert_eq!(schema_version(&database.connection).unwrap(), MIGRATIONS.len());
            for (new, old) in content(&database.connection).iter().zip(&before) {
                assert!(old.iter().all(|row| new.contains(row)), "{version}: {new:?}");
            }
            assert_eq!(database.records().unwrap().len(), 2, "{version}");
            assert_eq!(database.purged_count().unwrap(), 1, "{version}");
            assert_eq!(database.drafts().unwrap().len(), 1, "{version}");
        }
    }

    #[test]
    fn a_newer_database_is_refused_untouched() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("device.db");
        Connection::open(&path).unwrap().pragma_update(None, "user_version", MIGRATIONS.len() as i32 + 1).unwrap();
        let before = fs::read(&path).unwrap();
        assert_eq!(Database::open(&path, keys()).err(), Some(StoreFault::Newer));
        assert_eq!(fs::read(&path).unwrap(), before);
        assert!(damaged_copies(folder.path()).is_empty());
    }

    #[test]
    fn a_damaged_database_is_copied_aside_once_and_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("device.db");
        Database::open(&path, keys()).unwrap().set_meta("a", &"x".repeat(20_000)).unwrap();
        let whole = fs::read(&path).unwrap();
        let mut torn = whole.clone();
        torn[4096..8192].fill(0xA5);
        for damage in [torn, b"not a database, but long enough to have a header".repeat(4), whole[..6000].to_vec()] {
            for copy in damaged_copies(folder.path()) {
                fs::remove_file(copy).unwrap();
            }
            fs::write(&path, &damage).unwrap();
            for _ in 0..2 {
                assert_eq!(Database::open(&path, keys()).err(), Some(StoreFault::Damaged));
            }
            assert_eq!(fs::read(&path).unwrap(), damage);
            let copies = damaged_copies(folder.path());
            let copy = copies.iter().find(|copy| !copy.to_string_lossy().ends_with("-wal")).unwrap();
            assert_eq!(fs::read(copy).unwrap(), damage);
            assert_eq!(copies.len(), 1, "{copies:?}");
        }
    }

    #[test]
    fn a_full_disk_undoes_the_transaction_and_keeps_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let mut database = Database::open(&folder.path().join("device.db"), keys()).unwrap();
        database.set_meta("kept", &1_u8).unwrap();
        let pages: i64 = database.connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        let limit = |database: &Database, pages: i64| {
            database.connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(())).unwrap();
        };
        limit(&database, pages);
        assert_eq!(database.set_meta("big", &"x".repeat(100_000)), Err(StoreFault::DiskFull));
        assert_eq!(database.meta::<u8>("kept").unwrap(), Some(1));
        assert_eq!(database.meta::<String>("big").unwrap(), None);
        limit(&database, pages + 1000);
        database.set_meta("big", &"x".repeat(100_000)).unwrap();
    }
}
