//! The audit in the desk's database: entries are added in the very transaction of what they tell.

use std::{collections::BTreeMap, sync::Arc};

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use tazune_link::{
    V1,
    audit::{
        Chain, CheckpointBody, CheckpointRow, Entry, EntryRow, Event, Head, SignedCheckpoint, UnsignedCheckpoint,
        checkpoint_hash, entry_hash,
    },
    keys::{VerifyingKey, sha256},
};
use tazune_model::{DeviceId, InstitutionCode, Sha256, Timestamp};
use tokio::sync::watch;

use super::{from_json, parsed, unreadable};
use crate::desk::ReceiptKey;

/// What the desk's schema gains with the audit.
pub(super) const SCHEMA: &str = "
    CREATE TABLE audit_entry (
        position INTEGER PRIMARY KEY,
        chain TEXT NOT NULL,
        number INTEGER NOT NULL,
        record_id TEXT,
        entry TEXT NOT NULL,
        UNIQUE (chain, number)
    ) STRICT;
    CREATE INDEX audit_entry_of_record ON audit_entry (record_id) WHERE record_id IS NOT NULL;
    CREATE TABLE audit_checkpoint (
        number INTEGER PRIMARY KEY,
        checkpoint TEXT NOT NULL
    ) STRICT;
";

/// Adds to the audit of one clinic, and signs for it.
#[derive(Clone)]
pub(super) struct Auditor {
    tenant: InstitutionCode,
    key: Arc<ReceiptKey>,
    grew: watch::Sender<()>,
}

impl Auditor {
    pub(super) fn new(tenant: InstitutionCode, key: Arc<ReceiptKey>) -> Self {
        Self { tenant, key, grew: watch::Sender::new(()) }
    }

    /// Hears of every addition, at the latest when it is committed.
    pub(super) fn grew(&self) -> watch::Receiver<()> {
        self.grew.subscribe()
    }

    /// Begins the audit in a database that has none, or says that another key signs from now on.
    pub(super) fn begin(&self, t: &Transaction<'_>, at: Timestamp) -> rusqlite::Result<()> {
        let key = self.key.verifying_key();
        match last_checkpoint(t)? {
            None => self.enter(t, at, found(t)?),
            Some(last) if SignedCheckpoint::verify(&last.checkpoint).is_some_and(|last| last.key != key) => {
                let key_sha256 = sha256(key.as_bytes());
                self.enter(t, at, [(Chain::Desk, Event::CheckpointKeyChanged { key_sha256 })])
            }
            Some(_) => Ok(()),
        }
    }

    /// Adds entries, and the checkpoint that covers them. Called once in a transaction, after what is told was done.
    pub(super) fn enter(
        &self,
        t: &Transaction<'_>,
        at: Timestamp,
        deeds: impl IntoIterator<Item = (Chain, Event)>,
    ) -> rusqlite::Result<()> {
        let mut position: i64 =
            t.prepare_cached("SELECT coalesce(max(position), 0) FROM audit_entry")?.query_row([], |row| row.get(0))?;
        let mut heads = BTreeMap::new();
        let mut insert = t.prepare_cached(
            "INSERT INTO audit_entry (position, chain, number, record_id, entry) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?;
        for (chain, event) in deeds {
            let head = match heads.remove(&chain) {
                Some(head) => head,
                None => head(t, chain.clone())?,
            };
            position += 1;
            let record = event.record_id().map(|record| record.to_string());
            let entry = Entry {
                version: V1,
                tenant: self.tenant.clone(),
                position,
                chain: chain.clone(),
                number: head.number + 1,
                at,
                event,
                previous: head.hash,
            };
            let json = entry.to_json();
            insert.execute(params![position, chain.to_string(), entry.number, record, json])?;
            heads.insert(chain.clone(), Head { chain, number: entry.number, hash: entry_hash(&json) });
        }
        self.sign(t, at, position, heads.into_values().collect())
    }

    fn sign(&self, t: &Transaction<'_>, at: Timestamp, entries: i64, heads: Vec<Head>) -> rusqlite::Result<()> {
        let (number, previous) = last_checkpoint(t)?
            .map_or((1, Sha256([0; 32])), |last| (last.number + 1, checkpoint_hash(&last.checkpoint)));
        let unsigned = UnsignedCheckpoint::new(&CheckpointBody {
            version: V1,
            tenant: self.tenant.clone(),
            number,
            at,
            entries,
            heads,
            key: self.key.verifying_key(),
            previous,
        });
        let signature = self.key.sign(&unsigned.bytes_to_sign());
        t.prepare_cached("INSERT INTO audit_checkpoint (number, checkpoint) VALUES (?1, ?2)")?
            .execute(params![number, unsigned.sign(signature.into()).to_json()])?;
        self.grew.send_replace(());
        Ok(())
    }
}

/// The chain of a device, or the desk's when the desk does not know it: so nobody else makes chains.
pub(super) fn chain_of(t: &Connection, device: &DeviceId) -> rusqlite::Result<Chain> {
    let mut known = t.prepare_cached("SELECT 1 FROM device WHERE device = ?1")?;
    Ok(if known.exists([device.as_str()])? { Chain::Device(device.clone()) } else { Chain::Desk })
}

fn head(t: &Transaction<'_>, chain: Chain) -> rusqlite::Result<Head> {
    let last = t
        .prepare_cached("SELECT number, entry FROM audit_entry WHERE chain = ?1 ORDER BY number DESC LIMIT 1")?
        .query_row([chain.to_string()], |row| Ok((row.get("number")?, row.get::<_, String>("entry")?)))
        .optional()?;
    Ok(match last {
        Some((number, entry)) => Head { chain, number, hash: entry_hash(&entry) },
        None => Head::of_empty(chain),
    })
}

fn last_checkpoint(t: &Transaction<'_>) -> rusqlite::Result<Option<CheckpointRow>> {
    t.prepare_cached("SELECT number, checkpoint FROM audit_checkpoint ORDER BY number DESC LIMIT 1")?
        .query_row([], checkpoint_row)
        .optional()
}

/// What is in the database when the audit begins: nothing in a new one.
fn found(t: &Transaction<'_>) -> rusqlite::Result<Vec<(Chain, Event)>> {
    let mut deeds = vec![(Chain::Desk, Event::AuditBegan)];
    let mut devices = t.prepare("SELECT device, device_key FROM device ORDER BY paired_at, device")?;
    for device in devices.query_map([], |row| Ok((device(row)?, from_json::<VerifyingKey>(row, "device_key")?)))? {
        let (device, key) = device?;
        deeds.push((Chain::Device(device), Event::DeviceFound { key_sha256: sha256(key.as_bytes()) }));
    }
    let mut records = t.prepare("SELECT device, record_id, sha256 FROM record ORDER BY seq")?;
    for row in records.query_map([], |row| Ok((device(row)?, parsed(row, "record_id")?, parsed(row, "sha256")?)))? {
        let (device, record_id, content_sha256) = row?;
        deeds.push((chain_of(t, &device)?, Event::RecordFound { record_id, content_sha256 }));
    }
    let mut aside = t.prepare("SELECT device, record_id, sha256 FROM quarantine ORDER BY seq")?;
    for row in aside.query_map([], |row| Ok((device(row)?, parsed(row, "record_id")?, parsed(row, "sha256")?)))? {
        let (device, record_id, content_sha256) = row?;
        deeds.push((chain_of(t, &device)?, Event::QuarantinedFound { record_id, content_sha256 }));
    }
    Ok(deeds)
}

pub(super) fn device(row: &Row<'_>) -> rusqlite::Result<DeviceId> {
    DeviceId::new(row.get::<_, String>("device")?).map_err(|_| unreadable("device"))
}

pub(super) fn checkpoint_row(row: &Row<'_>) -> rusqlite::Result<CheckpointRow> {
    Ok(CheckpointRow { number: row.get("number")?, checkpoint: row.get("checkpoint")? })
}

pub(super) fn entry_row(row: &Row<'_>) -> rusqlite::Result<EntryRow> {
    Ok(EntryRow {
        position: row.get("position")?,
        chain: row.get("chain")?,
        number: row.get("number")?,
        record_id: row.get("record_id")?,
        entry: row.get("entry")?,
    })
}
