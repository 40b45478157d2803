//! What the entries of the audit tell, compared with the tables that hold it.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, Error, Row, params};
use tazune_link::{
    audit::{Chain, Entry, Event, Finding, FindingKind, reason_digest},
    envelope::Envelope,
    front_api::DeviceStanding,
    keys::{VerifyingKey, sha256},
    tombstone::{ExpectedTombstone, RevocationKind, SignedTombstone},
};
use tazune_model::{DeviceId, RecordId, Sha256, Timestamp};

use super::{
    audit::{chain_of, device},
    from_json, from_optional_json, instant, optional_instant, parsed, to_json,
};
use crate::store::Decision;

/// Compares each entry as it is read, and at the end what no entry tells of.
///
/// Memory grows with the devices and with how often their standing was changed, not with the records.
pub(super) struct Truth<'a> {
    tables: &'a Connection,
    /// How each device stands by the entries read so far; not in it is one that was never anything but active.
    standings: BTreeMap<DeviceId, Standing>,
    /// Rows of `device_change` that an entry tells of.
    changes: BTreeSet<i64>,
}

/// How a device stands by the last entry about it.
struct Standing {
    standing: DeviceStanding,
    at: Timestamp,
    /// How many such entries there are.
    count: i64,
    /// The last one's number.
    number: i64,
}

impl<'a> Truth<'a> {
    pub(super) const fn of(tables: &'a Connection) -> Self {
        Self { tables, standings: BTreeMap::new(), changes: BTreeSet::new() }
    }

    /// What is wrong with what an entry tells, if something is; `key` signed the checkpoint that covers it.
    pub(super) fn check(&mut self, entry: &Entry, key: Option<&VerifyingKey>) -> rusqlite::Result<Option<FindingKind>> {
        let is_then = |row: &Row<'_>| Ok(parsed::<Timestamp>(row, "at")? == entry.at);
        match &entry.event {
            Event::RecordFound { record_id, content_sha256 } => {
                self.has_envelope("record", entry, *record_id, *content_sha256, |_| Ok(true))
            }
            Event::RecordAccepted { record_id, content_sha256 } => {
                self.has_envelope("record", entry, *record_id, *content_sha256, is_then)
            }
            Event::QuarantinedFound { record_id, content_sha256 } => {
                self.has_envelope("quarantine", entry, *record_id, *content_sha256, |_| Ok(true))
            }
            Event::RecordQuarantined { record_id, content_sha256, reason } => {
                let is_aside = |row: &Row<'_>| Ok(is_then(row)? && row.get::<_, String>("reason")? == to_json(reason));
                self.has_envelope("quarantine", entry, *record_id, *content_sha256, is_aside)
            }
            Event::QuarantineAccepted { record_id, content_sha256, reason_sha256 } => {
                let decided = |row: &Row<'_>| is_decided(row, Decision::Accepted, entry.at, *reason_sha256);
                let aside = self.has_envelope("quarantine", entry, *record_id, *content_sha256, decided)?;
                let taken = self.has_envelope("record", entry, *record_id, *content_sha256, is_then)?;
                Ok(aside.or(taken))
            }
            Event::QuarantineRejected { record_id, content_sha256, reason_sha256 } => {
                let decided = |row: &Row<'_>| is_decided(row, Decision::Rejected, entry.at, *reason_sha256);
                self.has_envelope("quarantine", entry, *record_id, *content_sha256, decided)
            }
            Event::FaceFileWritten { record_id } => {
                let sql = "SELECT export = 'written' FROM record WHERE record_id = ?1";
                compared(self.tables.prepare_cached(sql)?.query_row([record_id.to_string()], |row| row.get(0)))
            }
            Event::DevicePaired { key_sha256 } | Event::DeviceFound { key_sha256 } => {
                let Chain::Device(device) = &entry.chain else { return Ok(Some(FindingKind::ContentMissing)) };
                let mut keys = self.tables.prepare_cached("SELECT device_key FROM device WHERE device = ?1")?;
                let key = keys.query_row([device.as_str()], |row| from_json::<VerifyingKey>(row, "device_key"));
                compared(key.map(|key| sha256(key.as_bytes()) == *key_sha256))
            }
            Event::DeviceSuspended { reason_sha256 } => {
                self.has_changed(entry, DeviceStanding::Suspended, *reason_sha256)
            }
            Event::DeviceResumed { reason_sha256 } => self.has_changed(entry, DeviceStanding::Active, *reason_sha256),
            Event::DeviceRevoked { reason_sha256 } => {
                let changed = self.has_changed(entry, DeviceStanding::Revoked, *reason_sha256)?;
                Ok(changed.or(self.has_tombstone(entry, key)?))
            }
            // Of these the tables hold nothing that could be compared.
            Event::AuditBegan
            | Event::HubStarted
            | Event::HubStopped
            | Event::CheckpointKeyChanged { .. }
            | Event::CertificateRenewed { .. }
            | Event::PairingRefused { .. } => Ok(None),
        }
    }

    /// What the tables hold and no entry tells of.
    pub(super) fn rest(self, found: &mut impl FnMut(Finding)) -> rusqlite::Result<()> {
        self.devices(found)?;
        let mut changes = self.tables.prepare("SELECT seq FROM device_change")?;
        for row in changes.query_map([], |row| row.get(0))? {
            let seq = row?;
            if !self.changes.contains(&seq) {
                found(Finding::new(FindingKind::Unrecorded, "device_change", seq));
            }
        }
        // By the digest in the entry's text, because an altered entry is no JSON.
        let is_told = |table: &str, events: &[&str]| {
            let events: Vec<_> = events.iter().map(|event| format!("instr(entry, '\"event\":\"{event}\"')")).collect();
            format!(
                "EXISTS (SELECT 1 FROM audit_entry WHERE audit_entry.record_id = {table}.record_id
                 AND instr(entry, {table}.sha256) AND ({}))",
                events.join(" OR ")
            )
        };
        let is_written = "EXISTS (SELECT 1 FROM audit_entry WHERE audit_entry.record_id = record.record_id
            AND (instr(entry, '\"event\":\"face_file_written\"') OR instr(entry, '\"event\":\"record_found\"')))";
        for (table, sql) in [
            (
                "record",
                format!(
                    "SELECT seq FROM record WHERE NOT {} OR export = 'written' AND NOT {is_written}",
                    is_told("record", &["record_accepted", "record_found", "quarantine_accepted"])
                ),
            ),
            (
                "quarantine",
                format!(
                    "SELECT seq FROM quarantine WHERE NOT {} OR NOT {}
                     AND coalesce(decision, decided_at, decision_reason, decision_salt) IS NOT NULL",
                    is_told("quarantine", &["record_quarantined", "quarantined_found"]),
                    is_told("quarantine", &["quarantine_accepted", "quarantine_rejected"])
                ),
            ),
            (
                "device",
                "SELECT rowid FROM device WHERE NOT EXISTS (SELECT 1 FROM audit_entry
                 WHERE chain = 'device:' || device AND number = 1)"
                    .to_owned(),
            ),
        ] {
            let mut rows = self.tables.prepare(&sql)?;
            for row in rows.query_map([], |row| row.get(0))? {
                found(Finding::new(FindingKind::Unrecorded, table, row?));
            }
        }
        Ok(())
    }

    /// How each device stands in its table, by the last entry about it.
    fn devices(&self, found: &mut impl FnMut(Finding)) -> rusqlite::Result<()> {
        let mut devices = self.tables.prepare(
            "SELECT rowid, *, CASE WHEN changed_at IS NULL THEN reason IS NULL ELSE EXISTS (
                 SELECT 1 FROM device_change AS change WHERE change.device = device.device AND change.at = changed_at
                 AND change.standing = device.standing AND nullif(change.reason, '') IS device.reason) END AS is_reason
             FROM device",
        )?;
        let mut rows = devices.query([])?;
        while let Some(row) = rows.next()? {
            let told = self.standings.get(&device(row)?);
            if let Some(kind) = compared(stands_as_told(row, told))? {
                found(match told {
                    Some(told) => Finding::new(kind, Chain::Device(device(row)?).to_string(), told.number),
                    None => Finding::new(FindingKind::Unrecorded, "device", row.get("rowid")?),
                });
            }
        }
        Ok(())
    }

    fn has_envelope(
        &self,
        table: &str,
        entry: &Entry,
        record: RecordId,
        digest: Sha256,
        is_so: impl Fn(&Row<'_>) -> rusqlite::Result<bool>,
    ) -> rusqlite::Result<Option<FindingKind>> {
        let sql = format!("SELECT * FROM {table} WHERE record_id = ?1 AND sha256 = ?2");
        compared(self.tables.prepare_cached(&sql)?.query_row([record.to_string(), digest.to_string()], |row| {
            let envelope: Vec<u8> = row.get("envelope")?;
            Ok(Envelope::parse(&envelope).is_ok_and(|envelope| envelope.sha256() == digest)
                && chain_of(self.tables, &device(row)?)? == entry.chain
                && is_so(row)?)
        }))
    }

    /// Whether the change of standing is there, with the words that were typed, and for no other entry.
    fn has_changed(
        &mut self,
        entry: &Entry,
        standing: DeviceStanding,
        reason_sha256: Sha256,
    ) -> rusqlite::Result<Option<FindingKind>> {
        let Chain::Device(device) = &entry.chain else { return Ok(Some(FindingKind::ContentMissing)) };
        let count = self.standings.get(device).map_or(0, |before| before.count) + 1;
        self.standings.insert(device.clone(), Standing { standing, at: entry.at, count, number: entry.number });
        let sql = "SELECT * FROM device_change WHERE device = ?1 AND at = ?2 AND standing = ?3";
        let mut changes = self.tables.prepare_cached(sql)?;
        let mut rows = changes.query([device.as_str(), &instant(entry.at), &to_json(&standing)])?;
        let mut wrong = FindingKind::ContentMissing;
        while let Some(row) = rows.next()? {
            let seq = row.get("seq")?;
            if self.changes.contains(&seq) {
                continue;
            }
            match compared(is_reason(row, "reason", "salt", reason_sha256))? {
                None => {
                    self.changes.insert(seq);
                    return Ok(None);
                }
                Some(kind) => wrong = kind,
            }
        }
        Ok(Some(wrong))
    }

    /// Whether the device is told what was signed, by the key of its day.
    fn has_tombstone(&self, entry: &Entry, key: Option<&VerifyingKey>) -> rusqlite::Result<Option<FindingKind>> {
        // Without a checkpoint nobody knows the key, and that is found of itself.
        let (Chain::Device(device), Some(key)) = (&entry.chain, key) else { return Ok(None) };
        let mut told =
            self.tables.prepare_cached("SELECT device_key, kind, tombstone FROM device WHERE device = ?1")?;
        compared(told.query_row(params![device.as_str()], |row| {
            let device_key = from_json(row, "device_key")?;
            let kind: Option<RevocationKind> = from_optional_json(row, "kind")?;
            let tombstone: Option<SignedTombstone> = from_optional_json(row, "tombstone")?;
            let expected = ExpectedTombstone { tenant: &entry.tenant, device, device_key: &device_key };
            let body = tombstone.and_then(|tombstone| tombstone.verify(key, &expected).ok());
            Ok(body.is_some_and(|body| body.revoked_at == entry.at && Some(body.kind) == kind))
        }))
    }
}

/// Whether a row of `device` stands as the entries tell; without one it is active and was never changed.
fn stands_as_told(row: &Row<'_>, told: Option<&Standing>) -> rusqlite::Result<bool> {
    let standing: DeviceStanding = from_json(row, "standing")?;
    let changed_at = optional_instant(row.get("changed_at")?)?;
    let changes: i64 = row.get("changes")?;
    let is_told = (standing, changed_at, changes)
        == told.map_or((DeviceStanding::Active, None, 1), |told| (told.standing, Some(told.at), told.count + 1));
    // Of a revoked device kind and tombstone are compared with its entry.
    let is_bare =
        row.get::<_, Option<String>>("kind")?.is_none() && row.get::<_, Option<String>>("tombstone")?.is_none();
    Ok(is_told && row.get("is_reason")? && (is_bare || standing == DeviceStanding::Revoked))
}

/// Whether a row of `quarantine` was decided so, then, and with these words.
fn is_decided(row: &Row<'_>, decision: Decision, at: Timestamp, reason_sha256: Sha256) -> rusqlite::Result<bool> {
    Ok(from_optional_json(row, "decision")? == Some(decision)
        && optional_instant(row.get("decided_at")?)? == Some(at)
        && is_reason(row, "decision_reason", "decision_salt", reason_sha256)?)
}

/// Whether the words are those of the digest; where words and salt were erased together, nobody can tell any more.
fn is_reason(row: &Row<'_>, text: &str, salt: &str, digest: Sha256) -> rusqlite::Result<bool> {
    let text = row.get::<_, Option<String>>(text)?.unwrap_or_default();
    let salt = row.get::<_, Option<Vec<u8>>>(salt)?.unwrap_or_default();
    Ok(match <&[u8; 16]>::try_from(salt.as_slice()) {
        Ok(salt) => reason_digest(salt, &text) == digest,
        Err(_) => salt.is_empty() && text.is_empty(),
    })
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
