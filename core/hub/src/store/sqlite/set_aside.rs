//! Envelopes that were set aside, in the desk's file; each function is the work of one transaction.

use rusqlite::{OptionalExtension, Row, Transaction, params};
use tazune_link::front_api::DeskReceipt;
use tazune_model::{Bytes, DeviceId, RecordId, Sha256, Timestamp};

use super::{from_json, from_optional_json, instant, optional_instant, parsed, to_json, unreadable};
use crate::store::{Decided, Decision, JudgedEnvelope, Page, PageMark, Reason, Rejection, SetAside, SetAsideSummary};

/// Most envelopes that are looked at under one record id.
const MAX_UNDER_ONE_ID: u32 = 100;

pub(super) fn page(
    t: &Transaction<'_>,
    after: Option<&PageMark>,
    max_count: u32,
) -> rusqlite::Result<Page<SetAsideSummary>> {
    let [at, record, sha256] = place(after);
    let lines: Vec<_> = t
        .prepare_cached(
            "SELECT * FROM quarantine WHERE (at, record_id, sha256) > (?1, ?2, ?3)
             ORDER BY at, record_id, sha256 LIMIT ?4",
        )?
        .query_map(params![at, record, sha256, max_count], summary)?
        .collect::<rusqlite::Result<_>>()?;
    let mark = |line: &SetAsideSummary| PageMark { at: line.at, record_id: line.record_id, sha256: line.sha256 };
    Ok(Page { next: next(&lines, max_count, mark), lines })
}

pub(super) fn under(t: &Transaction<'_>, record: RecordId) -> rusqlite::Result<Vec<SetAside>> {
    t.prepare_cached("SELECT * FROM quarantine WHERE record_id = ?1 ORDER BY seq LIMIT ?2")?
        .query_map(params![record.to_string(), MAX_UNDER_ONE_ID], |row| {
            Ok(SetAside { summary: summary(row)?, envelope: Bytes(row.get("envelope")?) })
        })?
        .collect()
}

/// Marks an envelope as accepted, unless it was decided or another one is the record; the record is the caller's part.
pub(super) fn accept(t: &Transaction<'_>, envelope: &JudgedEnvelope, reason: &Reason) -> rusqlite::Result<Decided> {
    let record = envelope.record_id.to_string();
    match decision(t, &record, envelope.sha256)? {
        None => return Ok(Decided::Unknown),
        Some(Some(before)) => return Ok(Decided::Before(before)),
        Some(None) => {}
    }
    let other = t.query_row("SELECT 1 FROM record WHERE record_id = ?1", [&record], |_| Ok(())).optional()?;
    if other.is_some() {
        return Ok(Decided::OtherAccepted);
    }
    decide(t, &record, envelope.sha256, Decision::Accepted, reason, envelope.at)?;
    Ok(Decided::Done)
}

pub(super) fn reject(t: &Transaction<'_>, rejection: &Rejection) -> rusqlite::Result<Decided> {
    let record = rejection.record_id.to_string();
    match decision(t, &record, rejection.sha256)? {
        None => return Ok(Decided::Unknown),
        Some(Some(before)) => return Ok(Decided::Before(before)),
        Some(None) => {}
    }
    decide(t, &record, rejection.sha256, Decision::Rejected, &rejection.reason, rejection.at)?;
    Ok(Decided::Done)
}

pub(super) fn unsaid(t: &Transaction<'_>, max_count: u32) -> rusqlite::Result<Vec<DeskReceipt>> {
    t.prepare_cached("SELECT record_id, device, receipt FROM record WHERE is_said = 0 ORDER BY seq LIMIT ?1")?
        .query_map([max_count], |row| {
            Ok(DeskReceipt {
                record_id: parsed(row, "record_id")?,
                device: device(row)?,
                receipt: from_json(row, "receipt")?,
            })
        })?
        .collect()
}

pub(super) fn said(t: &Transaction<'_>, records: &[RecordId]) -> rusqlite::Result<()> {
    let mut update = t.prepare_cached("UPDATE record SET is_said = 1 WHERE record_id = ?1")?;
    for record in records {
        update.execute([record.to_string()])?;
    }
    Ok(())
}

/// What a page begins after, as the columns it is sorted by.
pub(super) fn place(after: Option<&PageMark>) -> [String; 3] {
    after.map(|mark| [instant(mark.at), mark.record_id.to_string(), mark.sha256.to_string()]).unwrap_or_default()
}

/// The mark of a full page: behind one that is not full there is nothing.
pub(super) fn next<T>(lines: &[T], max_count: u32, mark: impl FnOnce(&T) -> PageMark) -> Option<PageMark> {
    let is_full = usize::try_from(max_count).is_ok_and(|max_count| lines.len() >= max_count);
    lines.last().filter(|_| is_full).map(mark)
}

fn decide(
    t: &Transaction<'_>,
    record: &str,
    sha256: Sha256,
    decision: Decision,
    reason: &Reason,
    at: Timestamp,
) -> rusqlite::Result<usize> {
    t.execute(
        "UPDATE quarantine SET decision = ?3, decided_at = ?4, decision_reason = ?5, decision_salt = ?6
         WHERE record_id = ?1 AND sha256 = ?2",
        params![
            record,
            sha256.to_string(),
            to_json(&decision),
            instant(at),
            (!reason.text.is_empty()).then_some(&reason.text),
            reason.salt,
        ],
    )
}

fn decision(t: &Transaction<'_>, record: &str, sha256: Sha256) -> rusqlite::Result<Option<Option<Decision>>> {
    t.query_row(
        "SELECT decision FROM quarantine WHERE record_id = ?1 AND sha256 = ?2",
        [record, &sha256.to_string()],
        |row| from_optional_json(row, "decision"),
    )
    .optional()
}

fn summary(row: &Row<'_>) -> rusqlite::Result<SetAsideSummary> {
    Ok(SetAsideSummary {
        record_id: parsed(row, "record_id")?,
        device: device(row)?,
        sha256: parsed(row, "sha256")?,
        at: parsed(row, "at")?,
        reason: from_json(row, "reason")?,
        decision: from_optional_json(row, "decision")?,
        decided_at: optional_instant(row.get("decided_at")?)?,
        decision_reason: row.get("decision_reason")?,
    })
}

fn device(row: &Row<'_>) -> rusqlite::Result<DeviceId> {
    DeviceId::new(row.get::<_, String>("device")?).map_err(|_| unreadable("device"))
}
