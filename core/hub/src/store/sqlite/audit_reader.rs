use std::{
    cell::{Cell, RefCell},
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
};

use rusqlite::{Connection, Error, OpenFlags, OptionalExtension, params};
use tazune_link::{
    audit::{Chain, Entry, EntryRow, Event, Finding, FindingKind, Summary, Told, compare_with_witness, verify},
    envelope::Envelope,
    keys::{VerifyingKey, sha256},
};
use tazune_model::{InstitutionCode, RecordId, Sha256, StoreFault};

use super::{
    audit::{chain_of, checkpoint_row, device, entry_row},
    desk::MIGRATIONS,
    from_json,
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
        found: impl FnMut(Finding),
    ) -> Result<Summary, StoreError> {
        let mut entries = self.0.prepare("SELECT * FROM audit_entry ORDER BY position")?;
        let mut checkpoints = self.0.prepare("SELECT * FROM audit_checkpoint ORDER BY number")?;
        let (found, failed, count) = (RefCell::new(found), Cell::new(None), Cell::new(0));
        let summary = verify(
            tenant,
            key,
            entries.query_map([], entry_row)?,
            checkpoints.query_map([], checkpoint_row)?,
            |told| match told {
                Told::Finding(finding) => (found.borrow_mut())(finding),
                Told::Entry(entry) => {
                    count.set(count.get() + 1);
                    read(count.get());
                    match self.is_true(entry) {
                        Ok(None) => {}
                        Ok(Some(kind)) => {
                            (found.borrow_mut())(Finding::new(kind, entry.chain.to_string(), entry.number));
                        }
                        Err(error) => failed.set(Some(error)),
                    }
                }
            },
        )?;
        if let Some(error) = failed.take() {
            return Err(error.into());
        }
        self.find_unrecorded(&mut *found.borrow_mut())?;
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

    /// Whether the tables hold what an entry tells of.
    fn is_true(&self, entry: &Entry) -> rusqlite::Result<Option<FindingKind>> {
        match &entry.event {
            Event::RecordAccepted { record_id, content_sha256 } | Event::RecordFound { record_id, content_sha256 } => {
                self.has_envelope("record", *record_id, *content_sha256, &entry.chain)
            }
            Event::QuarantinedFound { record_id, content_sha256 }
            | Event::RecordQuarantined { record_id, content_sha256, .. } => {
                self.has_envelope("quarantine", *record_id, *content_sha256, &entry.chain)
            }
            Event::FaceFileWritten { record_id } => {
                let mut exports =
                    self.0.prepare_cached("SELECT export = 'written' FROM record WHERE record_id = ?1")?;
                compared(exports.query_row([record_id.to_string()], |row| row.get(0)))
            }
            Event::DevicePaired { key_sha256 } | Event::DeviceFound { key_sha256 } => {
                let Chain::Device(device) = &entry.chain else { return Ok(Some(FindingKind::ContentMissing)) };
                let mut keys = self.0.prepare_cached("SELECT device_key FROM device WHERE device = ?1")?;
                let key = keys.query_row([device.as_str()], |row| from_json::<VerifyingKey>(row, "device_key"));
                compared(key.map(|key| sha256(key.as_bytes()) == *key_sha256))
            }
            Event::AuditBegan
            | Event::HubStarted
            | Event::HubStopped
            | Event::CheckpointKeyChanged { .. }
            | Event::DeviceSuspended { .. }
            | Event::DeviceResumed { .. }
            | Event::DeviceRevoked { .. }
            | Event::CertificateRenewed { .. }
            | Event::PairingRefused { .. }
            | Event::QuarantineAccepted { .. }
            | Event::QuarantineRejected { .. } => Ok(None),
        }
    }

    fn has_envelope(
        &self,
        table: &str,
        record: RecordId,
        digest: Sha256,
        chain: &Chain,
    ) -> rusqlite::Result<Option<FindingKind>> {
        let sql = format!("SELECT device, envelope FROM {table} WHERE record_id = ?1 AND sha256 = ?2");
        compared(self.0.prepare_cached(&sql)?.query_row([record.to_string(), digest.to_string()], |row| {
            let envelope: Vec<u8> = row.get("envelope")?;
            Ok(Envelope::parse(&envelope).is_ok_and(|envelope| envelope.sha256() == digest)
                && chain_of(&self.0, &device(row)?)? == *chain)
        }))
    }

    /// Rows that no entry tells of; by the digest in the entry's text, because an altered entry is no JSON.
    fn find_unrecorded(&self, found: &mut impl FnMut(Finding)) -> Result<(), StoreError> {
        for (table, sql) in [
            (
                "record",
                "SELECT seq FROM record WHERE NOT EXISTS (SELECT 1 FROM audit_entry
                WHERE audit_entry.record_id = record.record_id AND instr(entry, sha256))",
            ),
            (
                "quarantine",
                "SELECT seq FROM quarantine WHERE NOT EXISTS (SELECT 1 FROM audit_entry
                WHERE audit_entry.record_id = quarantine.record_id AND instr(entry, sha256))",
            ),
            (
                "device",
                "SELECT rowid FROM device WHERE NOT EXISTS (SELECT 1 FROM audit_entry
                WHERE chain = 'device:' || device AND number = 1)",
            ),
        ] {
            let mut rows = self.0.prepare(sql)?;
            for row in rows.query_map([], |row| row.get(0))? {
                found(Finding::new(FindingKind::Unrecorded, table, row?));
            }
        }
        Ok(())
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

/// What is wrong, if something is; a row that cannot be read was altered.
fn compared(is_same: rusqlite::Result<bool>) -> rusqlite::Result<Option<FindingKind>> {
    match is_same {
        Ok(true) => Ok(None),
        Ok(false) | Err(Error::FromSqlConversionFailure(..) | Error::InvalidColumnType(..)) => {
            Ok(Some(FindingKind::ContentDiffers))
        }
        Err(Error::QueryReturnedNoRows) => Ok(Some(FindingKind::ContentMissing)),
        Err(error) => Err(error),
    }
}
