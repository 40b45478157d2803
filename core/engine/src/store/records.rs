use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};
use tazune_link::{
    delivery::{Delivery, Effect, Event},
    receipt::SignedReceipt,
};
use tazune_model::{FailureCode, RecordId, Sha256, StoreFault, Timestamp};

use super::{Database, DraftId, database::SqlFault, drafts::delete_draft};

/// Name in `meta` of the [`Exchange`].
const EXCHANGE: &str = "exchange";

/// How delivery went lately.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Exchange {
    /// When the hub last answered well.
    pub(crate) last_success_at: Option<Timestamp>,
    /// What went wrong since, or in that answer.
    pub(crate) last_failure: Option<FailureCode>,
}

/// A sealed record as the queue knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredRecord {
    pub(crate) record_id: RecordId,
    pub(crate) sealed_at: Timestamp,
    pub(crate) delivery: Delivery,
    /// Digest of the envelope as stored, kept beyond the purge: a late receipt can still be checked.
    pub(crate) envelope_sha256: Sha256,
}

/// One event for one record, and the receipt that caused it, if one did.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) record_id: RecordId,
    pub(crate) event: Event,
    pub(crate) receipt: Option<SignedReceipt>,
}

impl Step {
    pub(crate) const fn new(record_id: RecordId, event: Event) -> Self {
        Self { record_id, event, receipt: None }
    }
}

impl Database {
    /// Takes a sealed record into the queue and deletes the draft it came from, both or neither.
    ///
    /// A draft that is gone was sealed before: [`StoreFault::Failed`], because a visit is sealed once.
    pub(crate) fn insert_sealed(
        &mut self,
        record_id: RecordId,
        sealed_at: Timestamp,
        envelope: &[u8],
        envelope_sha256: Sha256,
        draft: &DraftId,
    ) -> Result<(), StoreFault> {
        // The draft's ciphertext stays in the log until `Store::wipe_log_soon`: "saved" need not wait for that.
        self.transaction(|transaction| {
            transaction
                .prepare_cached(
                    "INSERT INTO records (record_id, sealed_at, delivery, envelope_sha256, envelope)
                     VALUES (?1, ?2, ?3, ?4, ?5)",
                )?
                .execute(params![
                    record_id.to_string(),
                    sealed_at.to_string(),
                    encode(Delivery::Sealed),
                    envelope_sha256.to_string(),
                    envelope
                ])?;
            if delete_draft(transaction, draft)? { Ok(()) } else { Err(SqlFault(StoreFault::Failed)) }
        })
    }

    /// All records but the purged, oldest first.
    pub(crate) fn records(&mut self) -> Result<Vec<StoredRecord>, StoreFault> {
        self.transaction(|transaction| {
            let mut statement = transaction.prepare(&format!("{SELECT} WHERE is_purged = 0 ORDER BY record_id"))?;
            let rows = statement.query_map([], columns)?;
            rows.map(|row| stored(row?)).collect()
        })
    }

    /// How many records were purged.
    pub(crate) fn purged_count(&mut self) -> Result<u32, StoreFault> {
        self.transaction(|transaction| {
            Ok(transaction.query_row("SELECT count(*) FROM records WHERE is_purged = 1", [], |row| row.get(0))?)
        })
    }

    /// One record, purged or not.
    pub(crate) fn record(&mut self, record_id: RecordId) -> Result<Option<StoredRecord>, StoreFault> {
        self.transaction(|transaction| select(transaction, record_id))
    }

    /// The sealed envelope of a record that is not purged.
    pub(crate) fn envelope(&mut self, record_id: RecordId) -> Result<Option<Vec<u8>>, StoreFault> {
        self.transaction(|transaction| {
            let envelope = transaction
                .query_row("SELECT envelope FROM records WHERE record_id = ?1", params![record_id.to_string()], |row| {
                    row.get::<_, Option<Vec<u8>>>(0)
                })
                .optional();
            Ok(envelope?.flatten())
        })
    }

    /// Gives each record its event, all in one transaction, and returns what is to be reported or sent.
    ///
    /// A purge is done here, with the state that says so. An event that its state refuses, or a record that is not
    /// there, changes nothing: another process was faster.
    pub(crate) fn advance(&mut self, steps: &[Step], now: Timestamp) -> Result<Vec<(RecordId, Effect)>, StoreFault> {
        let effects = self.transaction(|transaction| {
            let mut effects = Vec::new();
            for step in steps {
                let Some(record) = select(transaction, step.record_id)? else { continue };
                let Ok((delivery, wanted)) = record.delivery.on(step.event, now) else {
                    tracing::debug!(record = %step.record_id, event = ?step.event, "event refused");
                    continue;
                };
                let receipt = step
                    .receipt
                    .as_ref()
                    .map(|receipt| serde_json::to_vec(receipt).expect("a receipt is plain fields"));
                update(transaction, &record, delivery, receipt)?;
                for effect in wanted {
                    if effect == Effect::Purge {
                        purge(transaction, step.record_id)?;
                    }
                    effects.push((step.record_id, effect));
                }
            }
            Ok(effects)
        })?;
        if effects.iter().any(|(_, effect)| *effect == Effect::Purge) {
            self.wipe_log();
        }
        Ok(effects)
    }

    /// How delivery went lately.
    pub(crate) fn exchange(&mut self) -> Result<Exchange, StoreFault> {
        Ok(self.meta(EXCHANGE)?.unwrap_or_default())
    }

    /// Notes that the hub answered, with the failure in it, if there was one.
    pub(crate) fn note_answer(&mut self, failure: Option<FailureCode>, now: Timestamp) -> Result<(), StoreFault> {
        self.set_meta(EXCHANGE, &Exchange { last_success_at: Some(now), last_failure: failure })
    }

    /// Notes a try without success; the last success stays.
    pub(crate) fn note_failure(&mut self, failure: FailureCode) -> Result<(), StoreFault> {
        let last_success_at = self.exchange()?.last_success_at;
        self.set_meta(EXCHANGE, &Exchange { last_success_at, last_failure: Some(failure) })
    }
}

/// Deletes the sealed bytes of every record if the desk has signed for each; false, and nothing is done, otherwise.
pub(super) fn purge_answered(connection: &Connection, now: Timestamp) -> Result<bool, SqlFault> {
    let records: Vec<_> = connection
        .prepare(&format!("{SELECT} WHERE is_purged = 0"))?
        .query_map([], columns)?
        .map(|row| stored(row?))
        .collect::<Result<_, SqlFault>>()?;
    let closing = |record: &StoredRecord| record.delivery.on(Event::RevocationClosing, now);
    let Ok(closed) = records.iter().map(closing).collect::<Result<Vec<_>, _>>() else { return Ok(false) };
    for (record, (delivery, _)) in records.iter().zip(closed) {
        update(connection, record, delivery, None)?;
        purge(connection, record.record_id)?;
    }
    Ok(true)
}

const SELECT: &str = "SELECT record_id, sealed_at, delivery, envelope_sha256 FROM records";

type Columns = [String; 4];

fn columns(row: &Row<'_>) -> rusqlite::Result<Columns> {
    Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?])
}

fn stored([record_id, sealed_at, delivery, envelope_sha256]: Columns) -> Result<StoredRecord, SqlFault> {
    Ok(StoredRecord {
        record_id: record_id.parse().map_err(|_| SqlFault(StoreFault::Damaged))?,
        sealed_at: sealed_at.parse().map_err(|_| SqlFault(StoreFault::Damaged))?,
        delivery: serde_json::from_str(&delivery).map_err(|_| SqlFault(StoreFault::Damaged))?,
        envelope_sha256: envelope_sha256.parse().map_err(|_| SqlFault(StoreFault::Damaged))?,
    })
}

fn select(connection: &Connection, record_id: RecordId) -> Result<Option<StoredRecord>, SqlFault> {
    let row = connection
        .query_row(&format!("{SELECT} WHERE record_id = ?1"), params![record_id.to_string()], columns)
        .optional();
    row?.map(stored).transpose()
}

fn update(
    connection: &Connection,
    record: &StoredRecord,
    delivery: Delivery,
    receipt: Option<Vec<u8>>,
) -> Result<(), SqlFault> {
    if record.delivery != delivery || receipt.is_some() {
        connection.execute(
            "UPDATE records SET delivery = ?2, receipt = coalesce(?3, receipt) WHERE record_id = ?1",
            params![record.record_id.to_string(), encode(delivery), receipt],
        )?;
    }
    Ok(())
}

fn purge(connection: &Connection, record_id: RecordId) -> Result<(), SqlFault> {
    connection.execute(
        "UPDATE records SET envelope = NULL, is_purged = 1 WHERE record_id = ?1",
        params![record_id.to_string()],
    )?;
    Ok(())
}

fn encode(delivery: Delivery) -> String {
    serde_json::to_string(&delivery).expect("a delivery is plain fields")
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path, time::Duration};

    use tazune_link::{delivery::Reason, envelope::Refusal, keys::sha256, receipt::Verdict};

    use super::{super::database::tests::keys, *};
    use crate::clock::system_generator;

    const ENVELOPE: &[u8] = b"MARKED-ENVELOPE sealed bytes";

    fn now() -> Timestamp {
        "2026-11-21T01:00:00Z".parse().unwrap()
    }

    fn record_id(number: u8) -> RecordId {
        RecordId::make(now(), &[number; 10])
    }

    fn database(folder: &Path) -> Database {
        Database::open(&folder.join("device.db"), keys()).unwrap()
    }

    fn insert(database: &mut Database, number: u8) {
        let draft = DraftId::make(&mut system_generator());
        database.add_draft(&draft, b"plain", now()).unwrap();
        database.insert_sealed(record_id(number), now(), ENVELOPE, sha256(ENVELOPE), &draft).unwrap();
    }

    fn holds(folder: &Path, marked: &[u8]) -> bool {
        fs::read_dir(folder).unwrap().any(|entry| {
            let bytes = fs::read(entry.unwrap().path()).unwrap();
            bytes.windows(marked.len()).any(|window| window == marked)
        })
    }

    #[test]
    fn sealing_takes_the_record_and_the_draft_goes_or_neither() {
        let folder = tempfile::tempdir().unwrap();
        let mut database = database(folder.path());
        let draft = DraftId::make(&mut system_generator());
        let seal = |database: &mut Database, number| {
            database.insert_sealed(record_id(number), now(), ENVELOPE, sha256(ENVELOPE), &draft)
        };
        database.add_draft(&draft, b"plain", now()).unwrap();
        seal(&mut database, 1).unwrap();
        assert!(database.drafts().unwrap().is_empty());
        assert_eq!(seal(&mut database, 2), Err(StoreFault::Failed), "the draft was sealed before");
        database.add_draft(&draft, b"plain", now()).unwrap();
        assert_eq!(seal(&mut database, 1), Err(StoreFault::Failed), "the id is taken");
        assert_eq!(database.drafts().unwrap().len(), 1);
        assert_eq!(database.records().unwrap().len(), 1);
        assert_eq!(database.envelope(record_id(1)).unwrap().as_deref(), Some(ENVELOPE));
    }

    #[test]
    fn a_record_advances_and_refused_events_change_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut database = database(folder.path());
        insert(&mut database, 1);
        let mut advance = |event| {
            let effects = database.advance(&[Step::new(record_id(1), event)], now()).unwrap();
            (database.record(record_id(1)).unwrap().unwrap().delivery, effects)
        };
        assert_eq!(advance(Event::FrontReceived), (Delivery::Sealed, vec![]), "never sent");
        assert_eq!(advance(Event::SendStarted), (Delivery::Sending, vec![(record_id(1), Effect::Send)]));
        assert_eq!(advance(Event::Restarted), (Delivery::Sealed, vec![]));
        advance(Event::SendStarted);
        let reason = Reason::Front(Refusal::Altered);
        let report = vec![(record_id(1), Effect::Report(reason))];
        assert_eq!(advance(Event::FrontRefused(Refusal::Altered)), (Delivery::Quarantined { reason }, report));
        let missing = database.advance(&[Step::new(record_id(2), Event::SendStarted)], now()).unwrap();
        assert_eq!(missing, []);
    }

    #[test]
    fn a_purge_leaves_no_sealed_byte_on_the_disk_and_no_refusal_ever_deletes() {
        let folder = tempfile::tempdir().unwrap();
        let mut database = database(folder.path());
        insert(&mut database, 1);
        let accepted = Step::new(record_id(1), Event::ReceiptVerified(Verdict::Accepted));
        let purge = Step::new(record_id(1), Event::PurgeDue { grace: Duration::from_secs(3600) });
        database.advance(std::slice::from_ref(&purge), now()).unwrap();
        database.advance(&[accepted, purge.clone()], now()).unwrap();
        assert!(holds(folder.path(), ENVELOPE), "the grace is not over");
        let due = now() + jiff::SignedDuration::from_secs(3600);
        assert_eq!(database.advance(&[purge], due).unwrap(), [(record_id(1), Effect::Purge)]);
        assert!(!holds(folder.path(), ENVELOPE));
        assert_eq!((database.records().unwrap().len(), database.purged_count().unwrap()), (0, 1));
        let purged = database.record(record_id(1)).unwrap().unwrap();
        assert_eq!((purged.delivery, purged.envelope_sha256), (Delivery::Purged, sha256(ENVELOPE)));
    }
}
