//! Nothing of the audit can be altered, taken out, swapped or cut off unseen: every mutation of a real desk's database.

use std::{collections::BTreeSet, fs, path::Path};

use jiff::SignedDuration;
use rcgen::{KeyPair, PublicKeyData as _, SigningKey as _};
use rusqlite::{Connection, params, types::Value as SqlValue};
use serde_json::{Value, json};
use tazune_hub::{
    admin::messages::{PairingView, StandingOrder},
    audit::Audit,
    store::{ExportState, RecordSummary},
};
use tazune_link::{
    audit::{
        CheckpointBody, Entry, Event, Finding, FindingKind, PairingRefusal, SignedCheckpoint, UnsignedCheckpoint,
        checkpoint_hash,
    },
    envelope::{Envelope, EnvelopeHeader},
    keys::{OpeningKey, VerifyingKey},
    renewal::RenewalAnswer,
    tombstone::RevocationKind,
};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::{
    clinic::{Clinic, Roles},
    device::{ANSWER_VALID, Device, Hopeful, MARKED},
    renewal,
    revocation::{hand_over, order, revoke, suspend},
};

/// A desk that has done everything a desk does, stopped, and the folder that its copies are altered in.
struct Evidence {
    clinic: Clinic,
    place: TempDir,
}

#[derive(Clone, Debug)]
struct Row {
    position: i64,
    chain: String,
    number: i64,
    entry: String,
}

/// Evidence that no test alters, gathered once.
async fn evidence() -> &'static Evidence {
    static EVIDENCE: OnceCell<Evidence> = OnceCell::const_new();
    EVIDENCE.get_or_init(Evidence::gather).await
}

impl Evidence {
    async fn gather() -> Self {
        let mut clinic = Clinic::open().await;
        let (device, lost) = (clinic.pair().await, clinic.pair().await);
        device.hand_in(&clinic, &[answered(&clinic, &device), to_another_clinic(&clinic, &device)]).await;
        clinic.records(|records| records.len() == 2 && records.iter().any(is_written)).await;
        clinic.stop().await;
        // As a database from before there was an audit.
        settle(&clinic.desk_folder());
        let database = Connection::open(clinic.desk_folder().join("desk.sqlite")).unwrap();
        database.execute_batch("DELETE FROM audit_entry; DELETE FROM audit_checkpoint").unwrap();
        drop(database);
        fs::remove_file(clinic.desk_folder().join("audit-witness.jsonl")).unwrap();
        clinic.start(Roles::Both).await;

        clinic.pair().await;
        refuse_pairings(&clinic).await;
        device.hand_in(&clinic, &[answered(&clinic, &device), to_another_clinic(&clinic, &device)]).await;
        clinic.records(|records| records.iter().filter(|line| is_written(line)).count() == 2).await;
        let renewed = renewal::ask(&device.caller(&clinic), &renewal::request(&device.key)).await;
        assert!(matches!(renewed, Ok(RenewalAnswer::Renewed { .. })));
        for ordered in [suspend(), StandingOrder::Resume, suspend(), revoke(RevocationKind::Lost)] {
            order(&clinic, &lost, ordered).await;
        }
        order(&clinic, &device, suspend()).await;
        order(&clinic, &device, StandingOrder::Resume).await;
        let late: Vec<_> = (0..3).map(|_| answered(&clinic, &lost)).collect();
        hand_over(&clinic, &lost, &late).await;
        clinic.records(|records| records.iter().filter(|line| line.quarantine.is_some()).count() == 5).await;
        let [taken, turned_down] = [&late[0], &late[1]].map(|envelope| envelope.header().unwrap().record_id);
        clinic.admin().accept_set_aside(taken, None).await.unwrap();
        clinic.admin().reject_set_aside(turned_down, None, "二重".into()).await.unwrap();
        clinic.records(|records| records.iter().filter(|line| is_written(line)).count() == 3).await;

        clinic.stop().await;
        let key = KeyPair::generate().unwrap();
        fs::write(clinic.desk_folder().join("receipt.key"), key.serialize_der()).unwrap();
        clinic.start(Roles::Both).await;
        let deferred = device.seal(&clinic, &device.record(&clinic));
        let record = deferred.header().unwrap().record_id;
        device.hand_in(&clinic, &[deferred]).await;
        clinic.records(|records| records.iter().any(|line| line.record_id == record)).await;
        clinic.stop().await;
        settle(&clinic.desk_folder());
        Self { clinic, place: tempfile::tempdir().unwrap() }
    }

    /// A fresh copy of the desk's folder.
    fn copy(&self) -> TempDir {
        let copy = tempfile::tempdir_in(&self.place).unwrap();
        for name in ["settings.json", "receipt.key", "desk.sqlite", "audit-witness.jsonl"] {
            fs::copy(self.clinic.desk_folder().join(name), copy.path().join(name)).unwrap();
        }
        copy
    }

    /// What is found after `mutate`, without a witness.
    fn findings(&self, mutate: impl FnOnce(&Connection)) -> Vec<Finding> {
        self.after(mutate, false)
    }

    fn after(&self, mutate: impl FnOnce(&Connection), with_witness: bool) -> Vec<Finding> {
        let copy = self.copy();
        mutate(&Connection::open(copy.path().join("desk.sqlite")).unwrap());
        verify(copy.path(), with_witness)
    }

    fn rows(&self) -> Vec<Row> {
        let database = Connection::open(self.clinic.desk_folder().join("desk.sqlite")).unwrap();
        let mut rows = database.prepare("SELECT * FROM audit_entry ORDER BY position").unwrap();
        let rows = rows.query_map([], |row| {
            Ok(Row {
                position: row.get("position")?,
                chain: row.get("chain")?,
                number: row.get("number")?,
                entry: row.get("entry")?,
            })
        });
        rows.unwrap().map(Result::unwrap).collect()
    }

    fn checkpoints(&self) -> Vec<String> {
        let database = Connection::open(self.clinic.desk_folder().join("desk.sqlite")).unwrap();
        let mut rows = database.prepare("SELECT checkpoint FROM audit_checkpoint ORDER BY number").unwrap();
        rows.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }
}

/// The word of an event, as it stands in its entry.
fn word(event: &Event) -> String {
    serde_json::to_value(event).unwrap()["event"].as_str().unwrap().to_owned()
}

/// The word of every event there is, as their own reader names them to somebody with another.
fn every_word() -> BTreeSet<String> {
    let refused = serde_json::from_value::<Event>(json!({ "event": "none" })).unwrap_err().to_string();
    let (_, words) = refused.split_once("expected one of ").unwrap();
    words.split(", ").map(|word| word.trim_matches('`').to_owned()).collect()
}

fn is_written(line: &RecordSummary) -> bool {
    line.export == ExportState::Written
}

fn answered(clinic: &Clinic, device: &Device) -> Envelope {
    device.seal(clinic, &device.answered(clinic, ANSWER_VALID))
}

/// An envelope that the desk cannot open.
fn to_another_clinic(clinic: &Clinic, device: &Device) -> Envelope {
    let other_key = OpeningKey::make(&mut clinic.random.clone()).sealing_key();
    let record = device.record(clinic);
    device.seal_to(clinic, &record, &other_key, EnvelopeHeader::new(&other_key, &record))
}

/// Somebody answers an offer and is not paired, for every reason there is.
async fn refuse_pairings(clinic: &Clinic) {
    let admin = clinic.admin();
    let answered = async || {
        let opened = admin.open_pairing().await.unwrap();
        let mut hopeful = Hopeful::scan(&opened.offer, clinic);
        hopeful.say_hello().await.unwrap();
        clinic.view(&opened.session).await;
        (opened, hopeful)
    };
    let (opened, hopeful) = answered().await;
    let wrong = if hopeful.digits() == "000000" { "000001" } else { "000000" };
    assert_eq!(admin.type_code(&opened.session, wrong).await.unwrap(), PairingView::CodeWrong);

    let (opened, _) = answered().await;
    assert!(Hopeful::scan(&opened.offer, clinic).say_hello().await.is_err(), "taken");
    assert_eq!(admin.decide(&opened.session, false).await.unwrap(), PairingView::Rejected);

    let [offer, other] = [admin.open_pairing().await.unwrap(), admin.open_pairing().await.unwrap()];
    Hopeful::scan(&other.offer, clinic).say_hello_to(&offer.session).await.unwrap();
    assert_eq!(clinic.view(&offer.session).await, PairingView::Rejected);
    let mut thief = Hopeful::scan(&other.offer, clinic);
    thief.claim_key_of(&hopeful);
    thief.say_hello().await.unwrap();
    assert_eq!(clinic.view(&other.session).await, PairingView::Rejected);

    let (opened, hopeful) = answered().await;
    clinic.clock.advance(SignedDuration::from_secs(301));
    assert_eq!(admin.type_code(&opened.session, &hopeful.digits()).await.unwrap(), PairingView::Expired);
}

fn settle(desk: &Path) {
    let database = Connection::open(desk.join("desk.sqlite")).unwrap();
    database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
}

fn verify(desk: &Path, with_witness: bool) -> Vec<Finding> {
    let witness = with_witness.then(|| desk.join("audit-witness.jsonl"));
    let mut findings = Vec::new();
    let audit = Audit::open(desk, &tazune_hub::Random::system()).unwrap();
    audit.verify(witness.as_ref(), |_| {}, |finding| findings.push(finding)).unwrap();
    findings
}

fn names(findings: &[Finding], place: &str, number: i64) -> bool {
    findings.iter().any(|finding| finding.place == place && finding.number == number)
}

fn execute(database: &Connection, sql: &str, parameters: impl rusqlite::Params) {
    assert!(database.execute(sql, parameters).unwrap() > 0, "{sql}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_untouched_audit_is_whole_also_while_the_hub_runs_and_names_nobody() {
    let mut evidence = Evidence::gather().await;
    assert_eq!(verify(evidence.copy().path(), true), []);
    let rows = evidence.rows();
    let entries: Vec<Entry> = rows.iter().map(|row| serde_json::from_str(&row.entry).unwrap()).collect();
    let told: BTreeSet<String> = entries.iter().map(|entry| word(&entry.event)).collect();
    assert_eq!(told, every_word(), "the evidence has every kind of event");
    for reason in PairingRefusal::ALL {
        let is_told = |event: &Event| matches!(event, Event::PairingRefused { reason: told, .. } if *told == reason);
        assert!(entries.iter().any(|entry| is_told(&entry.event)), "{reason:?}");
    }
    assert!(!rows.iter().any(|row| row.entry.contains(MARKED)
        || ["見本", "見当たらない", "電車", "二重"].iter().any(|typed| row.entry.contains(typed))));
    let witness = fs::read_to_string(evidence.clinic.desk_folder().join("audit-witness.jsonl")).unwrap();
    assert_eq!(witness.lines().collect::<Vec<_>>(), evidence.checkpoints(), "the witness has every checkpoint");

    evidence.clinic.start(Roles::Both).await;
    assert_eq!(verify(&evidence.clinic.desk_folder(), true), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_alteration_of_an_entry_is_found_and_named() {
    let evidence = evidence().await;
    let rows = evidence.rows();
    for row in &rows {
        let Row { position, chain, number, entry } = row;
        let set = |column: &str, value: &dyn rusqlite::ToSql| {
            let sql = format!("UPDATE audit_entry SET {column} = ?1 WHERE position = ?2");
            let findings = evidence.findings(|database| execute(database, &sql, (value, position)));
            assert!(names(&findings, chain, *number), "{column} of {row:?}: {findings:?}");
        };
        set("position", &(position + 1000));
        set("position", &(-position));
        set("number", &(number + 1000));
        set("chain", &"device:another");
        set("record_id", &"another");
        set("entry", &entry.replacen(',', ", ", 1));
        set("entry", &"");
        let parsed: serde_json::Map<String, Value> = serde_json::from_str(entry).unwrap();
        for (member, value) in &parsed {
            let other = match (member.as_str(), value) {
                ("at", _) => json!("2020-01-01T00:00:00Z"),
                ("chain", _) => json!("device:another"),
                ("tenant", _) => json!("1310123456"),
                ("event", _) => json!("audit_began"),
                (_, Value::Number(number)) => json!(number.as_i64().unwrap() + 1),
                (_, Value::String(text)) => {
                    let last = text.chars().last().unwrap();
                    json!(format!("{}{}", &text[..text.len() - 1], if last == '0' { '1' } else { '0' }))
                }
                other => panic!("{other:?}"),
            };
            if other != *value {
                let mut altered = parsed.clone();
                altered.insert(member.clone(), other);
                set("entry", &serde_json::to_string(&altered).unwrap());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_entry_taken_out_and_every_pair_swapped_is_found_and_named() {
    let evidence = evidence().await;
    let rows = evidence.rows();
    for row in &rows {
        let delete = "DELETE FROM audit_entry WHERE position = ?1";
        let findings = evidence.findings(|database| execute(database, delete, [row.position]));
        assert!(names(&findings, &row.chain, row.number), "{row:?}: {findings:?}");
        // And the gap closed behind it.
        let findings = evidence.findings(|database| {
            execute(database, delete, [row.position]);
            let later: i64 = database
                .query_row("SELECT count(*) FROM audit_entry WHERE position > ?1", [row.position], |row| row.get(0))
                .unwrap();
            for position in row.position + 1..=row.position + later {
                execute(database, "UPDATE audit_entry SET position = ?1 - 1 WHERE position = ?1", [position]);
            }
        });
        assert!(names(&findings, &row.chain, row.number), "{row:?}: {findings:?}");
    }
    for pair in rows.windows(2) {
        let [one, two] = pair else { unreachable!() };
        let place = "UPDATE audit_entry SET position = ?2 WHERE position = ?1";
        let findings = evidence.findings(|database| {
            for (from, to) in [(one.position, 0), (two.position, one.position), (0, two.position)] {
                execute(database, place, (from, to));
            }
        });
        assert!(names(&findings, &one.chain, one.number), "{pair:?}: {findings:?}");
        let text = "UPDATE audit_entry SET entry = ?2 WHERE position = ?1";
        let findings = evidence.findings(|database| {
            execute(database, text, (one.position, &two.entry));
            execute(database, text, (two.position, &one.entry));
        });
        assert!(names(&findings, &one.chain, one.number), "{pair:?}: {findings:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_tail_cut_off_is_found_with_its_checkpoints_by_the_witness() {
    let evidence = evidence().await;
    let (rows, checkpoints) = (evidence.rows(), evidence.checkpoints());
    for row in &rows {
        let cut = "DELETE FROM audit_entry WHERE position >= ?1";
        let findings = evidence.findings(|database| execute(database, cut, [row.position]));
        assert!(names(&findings, &row.chain, row.number), "{row:?}: {findings:?}");
        // With every checkpoint that tells of it.
        let first = checkpoints.iter().map(|one| SignedCheckpoint::verify(one).unwrap());
        let first = first.filter(|body| body.entries >= row.position).map(|body| body.number).min().unwrap();
        let set_back = |database: &Connection| {
            execute(database, cut, [row.position]);
            execute(database, "DELETE FROM audit_checkpoint WHERE number >= ?1", [first]);
        };
        let findings = evidence.after(set_back, true);
        let ahead = Finding::new(FindingKind::WitnessAhead, "checkpoint", first);
        assert!(findings.contains(&ahead), "{row:?}: {findings:?}");
    }
    // A forged entry at the end.
    let findings = evidence.findings(|database| {
        let insert =
            "INSERT INTO audit_entry (position, chain, number, entry) SELECT position + 1, chain, number + 1, entry
            FROM audit_entry ORDER BY position DESC LIMIT 1";
        execute(database, insert, []);
    });
    assert!(findings.iter().any(|finding| finding.kind == FindingKind::Unsigned), "{findings:?}");
    let findings = evidence.findings(|database| {
        database.execute_batch("DELETE FROM audit_entry; DELETE FROM audit_checkpoint").unwrap();
    });
    assert!(names(&findings, "checkpoint", 1), "{findings:?}");
}

/// The checkpoints from `number` on, signed anew by a key that is not the desk's; at most `count` of them.
fn signed_anew(checkpoints: &[String], number: i64, count: usize) -> Vec<(i64, String)> {
    let key = KeyPair::generate().unwrap();
    let mut previous = None;
    let from = usize::try_from(number).unwrap() - 1;
    let anew = checkpoints[from..].iter().take(count).map(|checkpoint| {
        let mut body: CheckpointBody = SignedCheckpoint::verify(checkpoint).unwrap();
        body.key = VerifyingKey::from_bytes(key.der_bytes()).unwrap();
        body.previous = previous.unwrap_or(body.previous);
        let (number, unsigned) = (body.number, UnsignedCheckpoint::new(&body));
        let signature = key.sign(&unsigned.bytes_to_sign()).unwrap();
        let json = unsigned.sign(signature.into()).to_json();
        previous = Some(checkpoint_hash(&json));
        (number, json)
    });
    anew.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_checkpoint_altered_taken_out_swapped_or_signed_by_another_is_found_and_named() {
    let evidence = evidence().await;
    let checkpoints = evidence.checkpoints();
    let last = i64::try_from(checkpoints.len()).unwrap();
    let text = "UPDATE audit_checkpoint SET checkpoint = ?2 WHERE number = ?1";
    for (number, checkpoint) in (1..).zip(&checkpoints) {
        for at in [12, checkpoint.len() / 2, checkpoint.len() - 6] {
            let altered = format!(
                "{}{}{}",
                &checkpoint[..at],
                if checkpoint[at..].starts_with('A') { 'B' } else { 'A' },
                &checkpoint[at + 1..]
            );
            let findings = evidence.findings(|database| execute(database, text, (number, &altered)));
            assert!(names(&findings, "checkpoint", number), "{number} at {at}: {findings:?}");
        }
        let findings = evidence.findings(|database| {
            execute(database, "UPDATE audit_checkpoint SET number = ?1 + 1000 WHERE number = ?1", [number]);
        });
        assert!(names(&findings, "checkpoint", number), "{number}: {findings:?}");
        let findings = evidence.after(
            |database| execute(database, "DELETE FROM audit_checkpoint WHERE number = ?1", [number]),
            // Of the last one only its entries tell otherwise, and the witness.
            number == last,
        );
        assert!(names(&findings, "checkpoint", number), "{number}: {findings:?}");
        for count in [1, checkpoints.len()] {
            let findings = evidence.findings(|database| {
                for (number, json) in signed_anew(&checkpoints, number, count) {
                    execute(database, text, (number, json));
                }
            });
            assert!(findings.iter().any(|finding| finding.place == "checkpoint"), "{number}: {findings:?}");
        }
        if number < last {
            let next = &checkpoints[usize::try_from(number).unwrap()];
            let findings = evidence.findings(|database| {
                execute(database, text, (number, next));
                execute(database, text, (number + 1, checkpoint));
            });
            assert!(names(&findings, "checkpoint", number), "{number}: {findings:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_entries_tell_of_is_compared_with_the_tables() {
    let evidence = evidence().await;
    let of_the_last = "(SELECT device FROM device WHERE standing = '\"revoked\"')";
    for (sql, kind) in [
        ("DELETE FROM record WHERE seq = 1", FindingKind::ContentMissing),
        ("UPDATE record SET envelope = (SELECT envelope FROM quarantine) WHERE seq = 1", FindingKind::ContentDiffers),
        ("UPDATE record SET sha256 = 'other' WHERE seq = 1", FindingKind::Unrecorded),
        ("UPDATE record SET record_id = 'other' WHERE seq = 1", FindingKind::Unrecorded),
        ("UPDATE record SET export = 'written' WHERE export = 'not_due'", FindingKind::Unrecorded),
        ("DELETE FROM quarantine", FindingKind::ContentMissing),
        (
            "INSERT INTO quarantine (record_id, device, sha256, envelope, receipt, at, reason)
             SELECT record_id, device, 'other', envelope, receipt, at, reason FROM quarantine",
            FindingKind::Unrecorded,
        ),
        ("DELETE FROM device", FindingKind::ContentMissing),
        // A record that was never accepted.
        (
            "INSERT INTO record (record_id, device, sha256, envelope, receipt, at, outcome, export)
             SELECT record_id, device, sha256, envelope, receipt, at, '\"deferred\"', 'not_due' FROM quarantine
             WHERE decision = '\"rejected\"'",
            FindingKind::Unrecorded,
        ),
        // A decision that nobody made, one that was turned round, and one that was taken back.
        ("UPDATE quarantine SET decision = '\"rejected\"' WHERE decision IS NULL", FindingKind::Unrecorded),
        (
            "UPDATE quarantine SET decision = '\"accepted\"' WHERE decision = '\"rejected\"'",
            FindingKind::ContentDiffers,
        ),
        (
            "UPDATE quarantine SET decision = NULL, decided_at = NULL, decision_reason = NULL, decision_salt = NULL",
            FindingKind::ContentDiffers,
        ),
        // A standing that nobody ordered, with and without its line in the history.
        ("UPDATE device SET standing = '\"suspended\"' WHERE changes = 1", FindingKind::Unrecorded),
        (
            "INSERT INTO device_change (device, at, standing, reason, salt)
             SELECT device, '2026-11-21T00:00:00.000000000Z', '\"suspended\"', '', x'00' FROM device WHERE changes = 1",
            FindingKind::Unrecorded,
        ),
        // An order that was taken back.
        (
            "UPDATE device SET standing = '\"active\"', kind = NULL, tombstone = NULL
             WHERE standing = '\"revoked\"'",
            FindingKind::ContentDiffers,
        ),
        ("DELETE FROM device_change", FindingKind::ContentMissing),
        // The same order twice, and another device's tombstone.
        (
            "INSERT INTO device_change (device, at, standing, reason, salt)
             SELECT device, at, standing, 'other words', salt FROM device_change",
            FindingKind::Unrecorded,
        ),
        (
            "UPDATE device SET tombstone = json_set(tombstone, '$.signature', 'AAAA') WHERE tombstone IS NOT NULL",
            FindingKind::ContentDiffers,
        ),
    ] {
        let findings = evidence.findings(|database| execute(database, sql, []));
        assert!(findings.iter().any(|finding| finding.kind == kind), "{sql}: {findings:?}");
    }
    // Of the whole history of a device not even a consistent part can be taken back.
    let findings = evidence.findings(|database| {
        let last = format!("DELETE FROM device_change WHERE device = {of_the_last} AND standing = '\"revoked\"'");
        execute(database, &last, []);
        let before =
            "UPDATE device SET standing = '\"suspended\"', kind = NULL, tombstone = NULL, changes = changes - 1,
            (changed_at, reason) = (SELECT at, reason FROM device_change WHERE device_change.device = device.device
                ORDER BY seq DESC LIMIT 1) WHERE standing = '\"revoked\"'";
        execute(database, before, []);
    });
    assert!(findings.iter().any(|finding| finding.kind == FindingKind::ContentMissing), "{findings:?}");
    assert!(findings.iter().any(|finding| finding.kind == FindingKind::ContentDiffers), "{findings:?}");
}

/// What nobody finds when it is altered; the page says so of each.
const UNCOVERED: [(&str, &[&str]); 4] = [
    ("record", &["seq", "receipt", "outcome", "validity", "file", "content", "is_said"]),
    ("quarantine", &["seq", "receipt"]),
    (
        "device",
        &["name", "model", "os", "sealing_key", "paired_at", "told", "last_contact_at", "certificate_expires_at"],
    ),
    ("device_change", &["seq"]),
];

/// The same of what was there before the audit began.
const UNCOVERED_IF_FOUND: [&str; 3] = ["at", "reason", "export"];

/// The record that was found when the audit began, if the entry is about one.
fn found_record(row: &Row) -> Option<String> {
    match serde_json::from_str::<Entry>(&row.entry).unwrap().event {
        Event::RecordFound { record_id, .. } | Event::QuarantinedFound { record_id, .. } => Some(record_id.to_string()),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_column_altered_is_found_or_named_as_not_covered() {
    let evidence = evidence().await;
    let page = include_str!("../../../../docs/src/protocol/audit.md");
    let read = Connection::open(evidence.clinic.desk_folder().join("desk.sqlite")).unwrap();
    let found: BTreeSet<String> = evidence.rows().iter().filter_map(found_record).collect();
    for (table, uncovered) in UNCOVERED {
        let line_of_page = |line: &'static str| line.strip_prefix(&format!("| `{table}` |"));
        let uncovered_on_page = page.lines().find_map(line_of_page).unwrap();
        let mut rows = read.prepare(&format!("SELECT rowid AS at_row, * FROM {table}")).unwrap();
        let columns: Vec<String> = rows.column_names().iter().skip(1).map(ToString::to_string).collect();
        assert!(uncovered.iter().all(|column| columns.iter().any(|found| found == column)), "{columns:?}");
        let mut rows = rows.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let at_row: i64 = row.get("at_row").unwrap();
            let is_found = row.get("record_id").is_ok_and(|record: String| found.contains(&record));
            for column in &columns {
                let before: SqlValue = row.get(column.as_str()).unwrap();
                let sql = format!("UPDATE {table} SET {column} = ?1 WHERE rowid = ?2");
                let findings =
                    evidence.findings(|database| execute(database, &sql, params![other(column, before), at_row]));
                let is_covered = !uncovered.contains(&column.as_str());
                let is_named = uncovered_on_page.contains(&format!("`{column}`"));
                assert_eq!(is_named, !is_covered, "{table}.{column} on the page");
                let is_covered = is_covered && !(is_found && UNCOVERED_IF_FOUND.contains(&column.as_str()));
                assert_eq!(!findings.is_empty(), is_covered, "{table}.{column} of row {at_row}: {findings:?}");
            }
        }
    }
    // Words that were typed can be erased with their salt, by whoever must not keep them any longer.
    let findings = evidence.findings(|database| {
        execute(database, "UPDATE device_change SET reason = '', salt = x''", []);
        execute(database, "UPDATE device SET reason = NULL", []);
        execute(database, "UPDATE quarantine SET decision_reason = NULL, decision_salt = NULL", []);
    });
    assert_eq!(findings, []);
    for kept in ["UPDATE device_change SET reason = ''", "UPDATE device_change SET salt = x''"] {
        assert_ne!(evidence.findings(|database| execute(database, kept, [])), [], "{kept}");
    }
}

/// Another value that the column takes.
fn other(column: &str, value: SqlValue) -> SqlValue {
    match (column, value) {
        ("export", SqlValue::Text(state)) => {
            SqlValue::Text(if state == "written" { "waiting" } else { "written" }.into())
        }
        (_, SqlValue::Integer(number)) => SqlValue::Integer(number + 1000),
        (_, SqlValue::Text(text)) => SqlValue::Text(format!("{text}x")),
        (_, SqlValue::Blob(mut bytes)) => {
            bytes.push(0);
            SqlValue::Blob(bytes)
        }
        ("content" | "decision_salt", SqlValue::Null) => SqlValue::Blob(vec![1]),
        (_, SqlValue::Null | SqlValue::Real(_)) => SqlValue::Text("x".into()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_witness_goes_on_after_a_torn_line_and_keeps_what_a_database_set_back_denies() {
    let evidence = Evidence::gather().await;
    let mut clinic = evidence.clinic;
    let witness = clinic.desk_folder().join("audit-witness.jsonl");
    let before = fs::read(clinic.desk_folder().join("desk.sqlite")).unwrap();
    let mut torn = fs::read(&witness).unwrap();
    let whole = torn.len();
    torn.extend_from_slice(b"{\"body\":\"torn");
    fs::write(&witness, &torn).unwrap();
    clinic.start(Roles::Both).await;
    clinic.stop().await;
    assert_eq!(fs::read(&witness).unwrap()[..whole], torn[..whole]);
    assert_eq!(verify(&clinic.desk_folder(), true), []);

    // The database of before is laid back, and the desk works on it.
    settle(&clinic.desk_folder());
    let kept = fs::read_to_string(&witness).unwrap();
    fs::write(clinic.desk_folder().join("desk.sqlite"), before).unwrap();
    clinic.start(Roles::Both).await;
    clinic.stop().await;
    assert!(fs::read_to_string(&witness).unwrap().starts_with(&kept), "nothing in the witness is ever changed");
    assert_eq!(verify(&clinic.desk_folder(), false), [], "of itself the database is whole");
    let findings = verify(&clinic.desk_folder(), true);
    assert!(findings.iter().any(|finding| finding.kind == FindingKind::WitnessDiffers), "{findings:?}");
}
