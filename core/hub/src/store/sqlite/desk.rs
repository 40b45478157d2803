use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use rusqlite::{OptionalExtension, Row, params};
use serde::Deserialize;
use tazune_link::{
    audit::{Chain, CheckpointRow, Event},
    front_api::{DeskReceipt, DeviceContact},
    keys::sha256,
    receipt::QuarantineReason,
};
use tazune_model::{Bytes, DeviceId, InstitutionCode, RecordId, Sha256, Timestamp};
use tokio::sync::watch;

use super::{
    audit::{self, Auditor},
    database::Database,
    from_json, from_optional_json, instant, optional_instant, parsed, set_aside, standing, to_json, unreadable,
};
use crate::{
    Ports,
    desk::ReceiptKey,
    store::{
        AcceptedContent, Decided, DeskPulse, DeskStore, DeviceSummary, ExportState, JudgedEnvelope, NewExport,
        NewStanding, Page, PageMark, PairedDevice, PendingExport, Reason, RecordSummary, Rejection, Seen, SetAside,
        SetAsideSummary, StandingChange, StandingChanged, StoreError, UntoldDevice,
    },
};

/// Each step brings the schema up by one version; a published step is never changed.
pub(super) const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE device (
        device TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        model TEXT NOT NULL,
        os TEXT NOT NULL,
        device_key TEXT NOT NULL,
        sealing_key TEXT NOT NULL,
        paired_at TEXT NOT NULL
    ) STRICT;
    CREATE TABLE record (
        seq INTEGER PRIMARY KEY,
        record_id TEXT NOT NULL UNIQUE,
        device TEXT NOT NULL,
        sha256 TEXT NOT NULL,
        envelope BLOB NOT NULL,
        receipt TEXT NOT NULL,
        at TEXT NOT NULL,
        outcome TEXT NOT NULL,
        validity TEXT,
        export TEXT NOT NULL CHECK (export IN ('not_due', 'unreadable', 'waiting', 'renaming', 'written')),
        file TEXT,
        content BLOB
    ) STRICT;
    CREATE INDEX record_to_export ON record (export, seq) WHERE export IN ('waiting', 'renaming');
    CREATE TABLE quarantine (
        seq INTEGER PRIMARY KEY,
        record_id TEXT NOT NULL,
        device TEXT NOT NULL,
        sha256 TEXT NOT NULL,
        envelope BLOB NOT NULL,
        receipt TEXT NOT NULL,
        at TEXT NOT NULL,
        reason TEXT NOT NULL,
        UNIQUE (record_id, sha256)
    ) STRICT;
",
    audit::SCHEMA,
    "
    ALTER TABLE device ADD COLUMN standing TEXT NOT NULL DEFAULT '\"active\"';
    ALTER TABLE device ADD COLUMN changes INTEGER NOT NULL DEFAULT 1;
    ALTER TABLE device ADD COLUMN told INTEGER NOT NULL DEFAULT 1;
    ALTER TABLE device ADD COLUMN changed_at TEXT;
    ALTER TABLE device ADD COLUMN reason TEXT;
    ALTER TABLE device ADD COLUMN kind TEXT;
    ALTER TABLE device ADD COLUMN tombstone TEXT;
    ALTER TABLE device ADD COLUMN last_contact_at TEXT;
    ALTER TABLE device ADD COLUMN certificate_expires_at TEXT;
    UPDATE device SET certificate_expires_at = strftime('%Y-%m-%dT%H:%M:%S', paired_at, '+90 days') || '.000000000Z';
    CREATE TABLE device_change (
        seq INTEGER PRIMARY KEY,
        device TEXT NOT NULL,
        at TEXT NOT NULL,
        standing TEXT NOT NULL,
        reason TEXT NOT NULL,
        salt BLOB NOT NULL
    ) STRICT;
    CREATE INDEX device_untold ON device (device) WHERE changes > told;
    ALTER TABLE record ADD COLUMN is_said INTEGER NOT NULL DEFAULT 1;
    CREATE INDEX record_unsaid ON record (seq) WHERE is_said = 0;
    CREATE INDEX record_by_time ON record (at, record_id, sha256);
    CREATE INDEX record_of_device ON record (device);
    ALTER TABLE quarantine ADD COLUMN decision TEXT;
    ALTER TABLE quarantine ADD COLUMN decided_at TEXT;
    ALTER TABLE quarantine ADD COLUMN decision_reason TEXT;
    ALTER TABLE quarantine ADD COLUMN decision_salt BLOB;
    CREATE INDEX quarantine_by_time ON quarantine (at, record_id, sha256);
    CREATE INDEX quarantine_of_device ON quarantine (device);
",
];

/// The desk's store in one SQLite file.
pub struct SqliteDeskStore {
    database: Database,
    auditor: Auditor,
}

impl SqliteDeskStore {
    /// Opens or makes the file; `receipt_key` signs the checkpoints of its audit.
    ///
    /// # Errors
    /// [`StoreError`], also when the file is damaged or was written by a newer program.
    pub async fn open(
        path: &Path,
        tenant: InstitutionCode,
        receipt_key: Arc<ReceiptKey>,
        now: Timestamp,
        ports: &Ports,
    ) -> Result<Self, StoreError> {
        let (database, auditor) = (Database::open(path, MIGRATIONS, ports)?, Auditor::new(tenant, receipt_key));
        let begins = auditor.clone();
        database.run(move |t| begins.begin(t, now)).await?;
        Ok(Self { database, auditor })
    }
}

#[async_trait]
impl DeskStore for SqliteDeskStore {
    async fn put_device(&self, device: &PairedDevice) -> Result<(), StoreError> {
        let (device, auditor) = (device.clone(), self.auditor.clone());
        let work = move |t: &rusqlite::Transaction<'_>| {
            standing::put(t, &device)?;
            let paired = Event::DevicePaired { key_sha256: sha256(device.device_key.as_bytes()) };
            auditor.enter(t, device.paired_at, [(Chain::Device(device.device), paired)])
        };
        self.database.run(work).await
    }

    async fn device(&self, device: &DeviceId) -> Result<Option<PairedDevice>, StoreError> {
        let device = device.clone();
        self.database.run(move |t| standing::find(t, &device)).await
    }

    async fn devices(&self) -> Result<Vec<DeviceSummary>, StoreError> {
        self.database.run(standing::list).await
    }

    async fn change_standing(&self, change: StandingChange) -> Result<StandingChanged, StoreError> {
        let auditor = self.auditor.clone();
        let work = move |t: &rusqlite::Transaction<'_>| {
            let changed = standing::change(t, &change)?;
            if changed == StandingChanged::Changed {
                let reason_sha256 = change.reason.digest();
                let event = match change.to {
                    NewStanding::Active => Event::DeviceResumed { reason_sha256 },
                    NewStanding::Suspended => Event::DeviceSuspended { reason_sha256 },
                    NewStanding::Revoked { .. } => Event::DeviceRevoked { reason_sha256 },
                };
                auditor.enter(t, change.at, [(Chain::Device(change.device), event)])?;
            }
            Ok(changed)
        };
        self.database.run(work).await
    }

    async fn certificate_renewed(
        &self,
        device: &DeviceId,
        expires_at: Timestamp,
        certificate_sha256: Sha256,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let (device, auditor) = (device.clone(), self.auditor.clone());
        let work = move |t: &rusqlite::Transaction<'_>| {
            let is_active = standing::renewed(t, &device, expires_at)?;
            if is_active {
                let renewed = Event::CertificateRenewed { content_sha256: certificate_sha256 };
                auditor.enter(t, at, [(Chain::Device(device), renewed)])?;
            }
            Ok(is_active)
        };
        self.database.run(work).await
    }

    async fn untold_devices(&self) -> Result<Vec<UntoldDevice>, StoreError> {
        self.database.run(standing::untold).await
    }

    async fn front_was_told(&self, device: &DeviceId, change: i64) -> Result<(), StoreError> {
        let device = device.clone();
        self.database.run(move |t| standing::told(t, &device, change)).await.map(drop)
    }

    async fn contacted(&self, contacts: Vec<DeviceContact>) -> Result<(), StoreError> {
        self.database.run(move |t| standing::contacted(t, contacts)).await
    }

    async fn seen(&self, record: RecordId, sha256: Sha256) -> Result<Seen, StoreError> {
        let (record, sha256) = (record.to_string(), sha256.to_string());
        let work = move |t: &rusqlite::Transaction<'_>| {
            // An envelope that was set aside and accepted later is in both: the later word counts.
            let answered = t
                .prepare_cached(
                    "SELECT receipt, 1 AS turn FROM record WHERE record_id = ?1 AND sha256 = ?2 UNION ALL
                     SELECT receipt, 2 AS turn FROM quarantine WHERE record_id = ?1 AND sha256 = ?2 ORDER BY turn LIMIT 1",
                )?
                .query_row([&record, &sha256], |row| from_json(row, "receipt"))
                .optional()?;
            if let Some(receipt) = answered {
                return Ok(Seen::Answered(receipt));
            }
            let is_other = t.prepare_cached("SELECT 1 FROM record WHERE record_id = ?1")?.exists([&record])?;
            Ok(if is_other { Seen::OtherAccepted } else { Seen::Never })
        };
        self.database.run(work).await
    }

    async fn accept(&self, envelope: JudgedEnvelope, content: AcceptedContent) -> Result<bool, StoreError> {
        let auditor = self.auditor.clone();
        let work = move |t: &rusqlite::Transaction<'_>| {
            if standing::is_revoked(t, &envelope.device)? {
                return Ok(false);
            }
            insert_record(t, &envelope, content, true)?;
            let accepted = Event::RecordAccepted { record_id: envelope.record_id, content_sha256: envelope.sha256 };
            auditor.enter(t, envelope.at, [(audit::chain_of(t, &envelope.device)?, accepted)])?;
            Ok(true)
        };
        self.database.run(work).await
    }

    async fn quarantine(&self, envelope: JudgedEnvelope, reason: QuarantineReason) -> Result<(), StoreError> {
        let auditor = self.auditor.clone();
        let work = move |t: &rusqlite::Transaction<'_>| {
            t.execute(
                "INSERT INTO quarantine (record_id, device, sha256, envelope, receipt, at, reason)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    envelope.record_id.to_string(),
                    envelope.device.as_str(),
                    envelope.sha256.to_string(),
                    envelope.envelope.0,
                    to_json(&envelope.receipt),
                    instant(envelope.at),
                    to_json(&reason),
                ],
            )?;
            let (record_id, content_sha256) = (envelope.record_id, envelope.sha256);
            let aside = Event::RecordQuarantined { record_id, content_sha256, reason };
            auditor.enter(t, envelope.at, [(audit::chain_of(t, &envelope.device)?, aside)])
        };
        self.database.run(work).await
    }

    async fn set_asides(&self, after: Option<PageMark>, max_count: u32) -> Result<Page<SetAsideSummary>, StoreError> {
        self.database.run(move |t| set_aside::page(t, after.as_ref(), max_count)).await
    }

    async fn set_aside_under(&self, record: RecordId) -> Result<Vec<SetAside>, StoreError> {
        self.database.run(move |t| set_aside::under(t, record)).await
    }

    async fn accept_set_aside(
        &self,
        envelope: JudgedEnvelope,
        content: AcceptedContent,
        reason: Reason,
    ) -> Result<Decided, StoreError> {
        let auditor = self.auditor.clone();
        let work = move |t: &rusqlite::Transaction<'_>| {
            let decided = set_aside::accept(t, &envelope, &reason)?;
            if decided == Decided::Done {
                insert_record(t, &envelope, content, false)?;
                let accepted = Event::QuarantineAccepted {
                    record_id: envelope.record_id,
                    content_sha256: envelope.sha256,
                    reason_sha256: reason.digest(),
                };
                auditor.enter(t, envelope.at, [(audit::chain_of(t, &envelope.device)?, accepted)])?;
            }
            Ok(decided)
        };
        self.database.run(work).await
    }

    async fn reject_set_aside(&self, rejection: Rejection) -> Result<Decided, StoreError> {
        let auditor = self.auditor.clone();
        let work = move |t: &rusqlite::Transaction<'_>| {
            let decided = set_aside::reject(t, &rejection)?;
            if decided == Decided::Done {
                let rejected = Event::QuarantineRejected {
                    record_id: rejection.record_id,
                    content_sha256: rejection.sha256,
                    reason_sha256: rejection.reason.digest(),
                };
                auditor.enter(t, rejection.at, [(audit::chain_of(t, &rejection.device)?, rejected)])?;
            }
            Ok(decided)
        };
        self.database.run(work).await
    }

    async fn unsaid_receipts(&self, max_count: u32) -> Result<Vec<DeskReceipt>, StoreError> {
        self.database.run(move |t| set_aside::unsaid(t, max_count)).await
    }

    async fn receipts_said(&self, records: Vec<RecordId>) -> Result<(), StoreError> {
        self.database.run(move |t| set_aside::said(t, &records)).await
    }

    async fn next_exports(&self, max_count: u32) -> Result<Vec<PendingExport>, StoreError> {
        let work = move |t: &rusqlite::Transaction<'_>| {
            // In the alphabet, `renaming` comes before `waiting`.
            t.prepare_cached(
                "SELECT record_id, file, content, export = 'renaming' AS is_renaming FROM record
                 WHERE export IN ('waiting', 'renaming') ORDER BY export, seq LIMIT ?1",
            )?
            .query_map([max_count], |row| {
                Ok(PendingExport {
                    record_id: parsed(row, "record_id")?,
                    name: row.get("file")?,
                    content: Bytes(row.get("content")?),
                    is_renaming: row.get("is_renaming")?,
                })
            })?
            .collect()
        };
        self.database.run(work).await
    }

    async fn exports_renaming(&self, records: Vec<RecordId>) -> Result<(), StoreError> {
        let work = move |t: &rusqlite::Transaction<'_>| {
            let mut update =
                t.prepare_cached("UPDATE record SET export = 'renaming' WHERE record_id = ?1 AND export = 'waiting'")?;
            records.iter().try_for_each(|record| update.execute([record.to_string()]).map(drop))
        };
        self.database.run(work).await
    }

    async fn exports_written(&self, records: Vec<RecordId>, at: Timestamp) -> Result<(), StoreError> {
        let auditor = self.auditor.clone();
        let work = move |t: &rusqlite::Transaction<'_>| {
            let mut update = t.prepare_cached(
                "UPDATE record SET export = 'written', content = NULL
                 WHERE record_id = ?1 AND export = 'renaming' RETURNING device",
            )?;
            let mut deeds = Vec::new();
            for record_id in records {
                if let Some(device) = update.query_row([record_id.to_string()], audit::device).optional()? {
                    deeds.push((audit::chain_of(t, &device)?, Event::FaceFileWritten { record_id }));
                }
            }
            if deeds.is_empty() { Ok(()) } else { auditor.enter(t, at, deeds) }
        };
        self.database.run(work).await
    }

    async fn note(&self, chain: Chain, event: Event, at: Timestamp) -> Result<(), StoreError> {
        let auditor = self.auditor.clone();
        self.database.run(move |t| auditor.enter(t, at, [(chain, event)])).await
    }

    async fn checkpoints_after(&self, number: i64, max_count: u32) -> Result<Vec<CheckpointRow>, StoreError> {
        let work = move |t: &rusqlite::Transaction<'_>| {
            t.prepare_cached(
                "SELECT number, checkpoint FROM audit_checkpoint WHERE number > ?1 ORDER BY number LIMIT ?2",
            )?
            .query_map(params![number, max_count], audit::checkpoint_row)?
            .collect()
        };
        self.database.run(work).await
    }

    fn audit_grew(&self) -> watch::Receiver<()> {
        self.auditor.grew()
    }

    async fn records(&self, after: Option<PageMark>, max_count: u32) -> Result<Page<RecordSummary>, StoreError> {
        let work = move |t: &rusqlite::Transaction<'_>| {
            let [at, record, sha256] = set_aside::place(after.as_ref());
            let lines: Vec<_> = t
                .prepare_cached(
                    "SELECT record_id, sha256, device, at, at AS accepted_at, NULL AS reason, outcome, validity, export, file
                     FROM record WHERE (at, record_id, sha256) > (?1, ?2, ?3) UNION ALL
                     SELECT record_id, sha256, device, at, NULL, reason, NULL, NULL, 'not_due', NULL
                     FROM quarantine
                     WHERE (at, record_id, sha256) > (?1, ?2, ?3) AND decision IS NOT '\"accepted\"'
                     ORDER BY at, record_id, sha256 LIMIT ?4",
                )?
                .query_map(params![at, record, sha256, max_count], |row| Ok((summary(row)?, parsed(row, "sha256")?)))?
                .collect::<rusqlite::Result<_>>()?;
            let next = set_aside::next(&lines, max_count, |(line, sha256): &(RecordSummary, Sha256)| PageMark {
                at: line.received_at,
                record_id: line.record_id,
                sha256: *sha256,
            });
            Ok(Page { lines: lines.into_iter().map(|(line, _)| line).collect(), next })
        };
        self.database.run(work).await
    }

    async fn pulse(&self) -> Result<DeskPulse, StoreError> {
        self.database.prove_writable().await?;
        let work = |t: &rusqlite::Transaction<'_>| {
            let waiting = "SELECT count(*), min(at) FROM record WHERE export IN ('waiting', 'renaming')";
            let (waiting, oldest) =
                t.query_row(waiting, [], |row| Ok((row.get(0)?, row.get::<_, Option<String>>(1)?)))?;
            Ok((waiting, optional_instant(oldest)?))
        };
        let (waiting, oldest_accepted_at) = self.database.run(work).await?;
        Ok(DeskPulse { waiting, oldest_accepted_at, size: self.database.size() })
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.database.check().await
    }

    async fn settle(&self) -> Result<(), StoreError> {
        self.database.settle().await
    }
}

fn insert_record(
    t: &rusqlite::Transaction<'_>,
    envelope: &JudgedEnvelope,
    content: AcceptedContent,
    is_said: bool,
) -> rusqlite::Result<usize> {
    let (export, file, bytes) = match content.export {
        NewExport::NotDue => ("not_due", None, None),
        NewExport::Unreadable => ("unreadable", None, None),
        NewExport::File { name, content } => ("waiting", Some(name), Some(content.0)),
    };
    t.prepare_cached(
        "INSERT INTO record
         (record_id, device, sha256, envelope, receipt, at, outcome, validity, export, file, content, is_said)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    )?
    .execute(params![
        envelope.record_id.to_string(),
        envelope.device.as_str(),
        envelope.sha256.to_string(),
        envelope.envelope.0,
        to_json(&envelope.receipt),
        instant(envelope.at),
        to_json(&content.outcome),
        content.validity.as_ref().map(to_json),
        export,
        file,
        bytes,
        is_said,
    ])
}

fn summary(row: &Row<'_>) -> rusqlite::Result<RecordSummary> {
    let device: String = row.get("device")?;
    let export: String = row.get("export")?;
    Ok(RecordSummary {
        record_id: parsed(row, "record_id")?,
        device: DeviceId::new(device).map_err(|_| unreadable("device"))?,
        received_at: parsed(row, "at")?,
        accepted_at: optional_instant(row.get("accepted_at")?)?,
        quarantine: from_optional_json(row, "reason")?,
        outcome: from_optional_json(row, "outcome")?,
        validity: from_optional_json(row, "validity")?,
        export: match export.as_str() {
            "renaming" => ExportState::Waiting,
            state => ExportState::deserialize(serde::de::value::StrDeserializer::<serde::de::value::Error>::new(state))
                .map_err(|_| unreadable("export"))?,
        },
        file: row.get("file")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::AuditReader;

    #[tokio::test]
    async fn conforms() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("desk.sqlite");
        let (tenant, key) = (InstitutionCode::new("1310123458").unwrap(), ReceiptKey::for_tests());
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        crate::store::conformance::desk(async || {
            SqliteDeskStore::open(&path, tenant.clone(), key.clone(), now, &Ports::system()).await.unwrap()
        })
        .await;
    }

    /// A device, a record and a quarantined envelope in a database of the first version.
    #[tokio::test]
    async fn the_audit_of_an_older_database_begins_with_what_is_there() {
        const FIRST: &[&str] = &[MIGRATIONS[0]];
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("desk.sqlite");
        let envelope = include_bytes!("../../../../../tests/vectors/link/envelope.json");
        let parsed = tazune_link::envelope::Envelope::parse(envelope).unwrap();
        let (header, digest) = (parsed.header().unwrap(), parsed.sha256());
        let key = ReceiptKey::for_tests();
        let older = Database::open(&path, FIRST, &Ports::system()).unwrap();
        let (device, record) = (header.device.to_string(), header.record_id.to_string());
        let device_key = to_json(&key.verifying_key());
        let work = move |t: &rusqlite::Transaction<'_>| {
            t.execute("INSERT INTO device VALUES (?1, '', '', '', ?2, '', '')", [&device, &device_key])?;
            t.execute(
                "INSERT INTO record (record_id, device, sha256, envelope, receipt, at, outcome, export)
                 VALUES (?1, ?2, ?3, ?4, '', '', '', 'not_due')",
                params![record, device, digest.to_string(), envelope],
            )?;
            t.execute(
                "INSERT INTO quarantine (record_id, device, sha256, envelope, receipt, at, reason)
                 VALUES (?1, 'dev-unknown', ?2, ?3, '', '', '')",
                params![record, digest.to_string(), envelope],
            )
        };
        older.run(work).await.unwrap();
        drop(older);

        let (tenant, now) =
            (InstitutionCode::new("1310123458").unwrap(), Timestamp::from_second(1_800_000_000).unwrap());
        for _ in 0..2 {
            SqliteDeskStore::open(&path, tenant.clone(), key.clone(), now, &Ports::system()).await.unwrap();
        }
        let reader = AuditReader::open(&path).unwrap();
        let summary = reader.verify(&tenant, &key.verifying_key(), |_| {}, |found| panic!("{found}")).unwrap();
        assert_eq!((summary.entries, summary.checkpoints, summary.chains), (4, 1, 2));
        let entries = reader.entries(None, 0, 10).unwrap();
        let told: Vec<_> = entries.iter().map(|row| (row.chain.clone(), row.number)).collect();
        let chain = Chain::Device(header.device).to_string();
        assert_eq!(told, [("desk".into(), 1), (chain.clone(), 1), (chain, 2), ("desk".into(), 2)]);
    }
}
