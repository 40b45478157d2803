use std::path::Path;

use async_trait::async_trait;
use rusqlite::{OptionalExtension, Row, params};
use serde::Deserialize;
use tazune_link::{keys::VerifyingKey, receipt::QuarantineReason};
use tazune_model::{Bytes, DeviceId, RecordId, Sha256, StoreFault, Timestamp};

use super::{database::Database, from_json, from_optional_json, instant, parsed, to_json, unreadable};
use crate::{
    Ports,
    store::{
        AcceptedContent, DeskStore, ExportState, JudgedEnvelope, NewExport, PairedDevice, PendingExport, RecordSummary,
        Seen, StoreError,
    },
};

/// Each step brings the schema up by one version; a published step is never changed.
const MIGRATIONS: &[&str] = &["
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
"];

/// The desk's store in one SQLite file.
pub struct SqliteDeskStore(Database);

impl SqliteDeskStore {
    /// Opens or makes the file.
    ///
    /// # Errors
    /// [`StoreError`], also when the file is damaged or was written by a newer program.
    pub fn open(path: &Path, ports: &Ports) -> Result<Self, StoreError> {
        let worker = ports.worker("sqlite").map_err(|error| StoreError::new(StoreFault::Failed, error.to_string()))?;
        Database::open(path, MIGRATIONS, worker).map(Self)
    }

    async fn set_export(&self, record: RecordId, sql: &'static str) -> Result<(), StoreError> {
        self.0.run(move |t| t.execute(sql, [record.to_string()])).await.map(drop)
    }
}

#[async_trait]
impl DeskStore for SqliteDeskStore {
    async fn put_device(&self, device: &PairedDevice) -> Result<(), StoreError> {
        let device = device.clone();
        let work = move |t: &rusqlite::Transaction<'_>| {
            t.execute(
                "INSERT INTO device (device, name, model, os, device_key, sealing_key, paired_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                [
                    device.device.into(),
                    device.name,
                    device.model,
                    device.os,
                    to_json(&device.device_key),
                    to_json(&device.sealing_key),
                    instant(device.paired_at),
                ],
            )
        };
        self.0.run(work).await.map(drop)
    }

    async fn device(&self, device: &DeviceId) -> Result<Option<PairedDevice>, StoreError> {
        let device = device.clone();
        let work = move |t: &rusqlite::Transaction<'_>| {
            t.query_row("SELECT * FROM device WHERE device = ?1", [device.to_string()], |row| {
                Ok(PairedDevice {
                    device: device.clone(),
                    name: row.get("name")?,
                    model: row.get("model")?,
                    os: row.get("os")?,
                    device_key: from_json::<VerifyingKey>(row, "device_key")?,
                    sealing_key: from_json(row, "sealing_key")?,
                    paired_at: parsed(row, "paired_at")?,
                })
            })
            .optional()
        };
        self.0.run(work).await
    }

    async fn seen(&self, record: RecordId, sha256: Sha256) -> Result<Seen, StoreError> {
        let (record, sha256) = (record.to_string(), sha256.to_string());
        let work = move |t: &rusqlite::Transaction<'_>| {
            let answered = t
                .query_row(
                    "SELECT receipt FROM record WHERE record_id = ?1 AND sha256 = ?2 UNION ALL
                     SELECT receipt FROM quarantine WHERE record_id = ?1 AND sha256 = ?2",
                    [&record, &sha256],
                    |row| from_json(row, "receipt"),
                )
                .optional()?;
            if let Some(receipt) = answered {
                return Ok(Seen::Answered(receipt));
            }
            let other = t.query_row("SELECT 1 FROM record WHERE record_id = ?1", [&record], |_| Ok(())).optional()?;
            Ok(if other.is_some() { Seen::OtherAccepted } else { Seen::Never })
        };
        self.0.run(work).await
    }

    async fn accept(&self, envelope: JudgedEnvelope, content: AcceptedContent) -> Result<(), StoreError> {
        let work = move |t: &rusqlite::Transaction<'_>| {
            let (export, file, bytes) = match content.export {
                NewExport::NotDue => ("not_due", None, None),
                NewExport::Unreadable => ("unreadable", None, None),
                NewExport::File { name, content } => ("waiting", Some(name), Some(content.0)),
            };
            t.execute(
                "INSERT INTO record
                 (record_id, device, sha256, envelope, receipt, at, outcome, validity, export, file, content)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
                params![
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
                ],
            )
        };
        self.0.run(work).await.map(drop)
    }

    async fn quarantine(&self, envelope: JudgedEnvelope, reason: QuarantineReason) -> Result<(), StoreError> {
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
            )
        };
        self.0.run(work).await.map(drop)
    }

    async fn next_export(&self) -> Result<Option<PendingExport>, StoreError> {
        let work = |t: &rusqlite::Transaction<'_>| {
            // In the alphabet, `renaming` comes before `waiting`.
            t.query_row(
                "SELECT record_id, file, content, export = 'renaming' AS is_renaming FROM record
                 WHERE export IN ('waiting', 'renaming') ORDER BY export, seq LIMIT 1",
                [],
                |row| {
                    Ok(PendingExport {
                        record_id: parsed(row, "record_id")?,
                        name: row.get("file")?,
                        content: Bytes(row.get("content")?),
                        is_renaming: row.get("is_renaming")?,
                    })
                },
            )
            .optional()
        };
        self.0.run(work).await
    }

    async fn export_renaming(&self, record: RecordId) -> Result<(), StoreError> {
        self.set_export(record, "UPDATE record SET export = 'renaming' WHERE record_id = ?1 AND export = 'waiting'")
            .await
    }

    async fn export_written(&self, record: RecordId) -> Result<(), StoreError> {
        self.set_export(
            record,
            "UPDATE record SET export = 'written', content = NULL WHERE record_id = ?1 AND export = 'renaming'",
        )
        .await
    }

    async fn records(&self) -> Result<Vec<RecordSummary>, StoreError> {
        let work = |t: &rusqlite::Transaction<'_>| {
            t.prepare_cached(
                "SELECT record_id, device, at, at AS accepted_at, NULL AS reason, outcome, validity, export, file
                 FROM record UNION ALL
                 SELECT record_id, device, at, NULL, reason, NULL, NULL, 'not_due', NULL
                 FROM quarantine ORDER BY at, record_id",
            )?
            .query_map([], summary)?
            .collect()
        };
        self.0.run(work).await
    }
}

fn summary(row: &Row<'_>) -> rusqlite::Result<RecordSummary> {
    let device: String = row.get("device")?;
    let export: String = row.get("export")?;
    let accepted_at: Option<String> = row.get("accepted_at")?;
    Ok(RecordSummary {
        record_id: parsed(row, "record_id")?,
        device: DeviceId::new(device).map_err(|_| unreadable("device"))?,
        received_at: parsed(row, "at")?,
        accepted_at: accepted_at
            .map(|at| at.parse::<Timestamp>())
            .transpose()
            .map_err(|_| unreadable("accepted_at"))?,
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

    #[tokio::test]
    async fn conforms() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("desk.sqlite");
        crate::store::conformance::desk(async || SqliteDeskStore::open(&path, &Ports::system()).unwrap()).await;
    }
}
