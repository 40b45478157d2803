use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
};

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use tazune_link::{
    audit::{Chain, EntryRow, Finding, Summary, Told, compare_with_witness, verify},
    keys::VerifyingKey,
};
use tazune_model::{InstitutionCode, StoreFault};

use super::{
    audit::{checkpoint_row, entry_row},
    audit_truth::Truth,
    desk::MIGRATIONS,
};
use crate::store::StoreError;

/// Reads the audit of a desk's database, also while the hub runs; nothing is written.
pub(crate) struct AuditReader(Connection);

impl AuditReader {
    /// Opens the database as it is at this moment.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read, is of a newer program, or has no audit yet.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        let version: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let version = version as usize;
        if version > MIGRATIONS.len() {
            let detail = format!("schema {version}, known up to {}", MIGRATIONS.len());
            return Err(StoreError::new(StoreFault::Newer, detail));
        }
        if version < MIGRATIONS.len() {
            let detail = "the database is of an earlier version; start the hub once".into();
            return Err(StoreError::new(StoreFault::Failed, detail));
        }
        // One reading for all questions, so that what the hub writes meanwhile is not seen in halves.
        connection.execute_batch("BEGIN")?;
        Ok(Self(connection))
    }

    /// How many entries there are to verify.
    pub(crate) fn entry_count(&self) -> Result<i64, StoreError> {
        Ok(self.0.query_row("SELECT count(*) FROM audit_entry", [], |row| row.get(0))?)
    }

    /// Entries after a position, oldest first, of one chain if given.
    pub(crate) fn entries(&self, chain: Option<&Chain>, after: i64, limit: u32) -> Result<Vec<EntryRow>, StoreError> {
        let chain = chain.map(Chain::to_string);
        let mut rows = self.0.prepare(
            "SELECT * FROM audit_entry WHERE position > ?1 AND (?2 IS NULL OR chain = ?2) ORDER BY position LIMIT ?3",
        )?;
        let rows = rows.query_map(params![after, chain, limit], entry_row)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Verifies the chains, and compares them with the tables that they tell of.
    ///
    /// `read` hears the number of entries read so far, `found` every finding.
    pub(crate) fn verify(
        &self,
        tenant: &InstitutionCode,
        key: &VerifyingKey,
        mut read: impl FnMut(u64),
        mut found: impl FnMut(Finding),
    ) -> Result<Summary, StoreError> {
        let mut entries = self.0.prepare("SELECT * FROM audit_entry ORDER BY position")?;
        let mut checkpoints = self.0.prepare("SELECT * FROM audit_checkpoint ORDER BY number")?;
        let (mut truth, mut failed, mut count) = (Truth::of(&self.0), None, 0);
        let summary = verify(
            tenant,
            key,
            entries.query_map([], entry_row)?,
            checkpoints.query_map([], checkpoint_row)?,
            |told| match told {
                Told::Finding(finding) => found(finding),
                Told::Entry { entry, key } => {
                    count += 1;
                    read(count);
                    match truth.check(entry, key) {
                        Ok(None) => {}
                        Ok(Some(kind)) => {
                            found(Finding::new(kind, entry.chain.to_string(), entry.number));
                        }
                        Err(error) => failed = Some(error),
                    }
                }
            },
        )?;
        if let Some(error) = failed {
            return Err(error.into());
        }
        truth.rest(&mut found)?;
        Ok(summary)
    }

    /// Compares the lines of a witness with the checkpoints here, and returns their number.
    pub(crate) fn compare(&self, witness: &Path, found: impl FnMut(Finding)) -> Result<i64, WitnessError> {
        let mut lines = BufReader::new(File::open(witness)?);
        let whole_lines = std::iter::from_fn(|| {
            let mut line = Vec::new();
            match lines.read_until(b'\n', &mut line) {
                Ok(_) if line.ends_with(b"\n") => Some(Ok(String::from_utf8_lossy(line.trim_ascii_end()).into_owned())),
                // The end; a last line without its own was torn, and never called written.
                Ok(_) => None,
                Err(error) => Some(Err(error.into())),
            }
        });
        let mut stored = self.0.prepare("SELECT checkpoint FROM audit_checkpoint WHERE number = ?1")?;
        compare_with_witness(whole_lines, |number| Ok(stored.query_row([number], |row| row.get(0)).optional()?), found)
    }
}

/// The witness could not be compared.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WitnessError {
    /// The file.
    #[error(transparent)]
    File(#[from] std::io::Error),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<rusqlite::Error> for WitnessError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}
