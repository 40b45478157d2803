//! Nothing of the audit can be altered, taken out, swapped or cut off unseen: every mutation of a real desk's database.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rcgen::{KeyPair, PublicKeyData as _, SigningKey as _};
use rusqlite::Connection;
use serde_json::{Value, json};
use tazune_hub::{admin::messages::PairingView, audit::Audit, store::ExportState};
use tazune_link::{
    audit::{CheckpointBody, Finding, FindingKind, SignedCheckpoint, UnsignedCheckpoint, checkpoint_hash},
    envelope::EnvelopeHeader,
    keys::{OpeningKey, VerifyingKey},
};
use tempfile::TempDir;

use crate::{
    clinic::{Clinic, Roles},
    device::{ANSWER_VALID, Hopeful, MARKED},
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

impl Evidence {
    async fn gather() -> Self {
        let mut clinic = Clinic::open().await;
        let device = clinic.pair().await;
        let admin = clinic.admin();
        let refused = admin.open_pairing().await.unwrap();
        let mut hopeful = Hopeful::scan(&refused.offer, &clinic);
        hopeful.say_hello().await.unwrap();
        clinic.view(&refused.session).await;
        let wrong = if hopeful.digits() == "000000" { "000001" } else { "000000" };
        assert_eq!(admin.type_code(&refused.session, wrong).await.unwrap(), PairingView::CodeWrong);

        let good = device.seal(&clinic, &device.answered(&clinic, ANSWER_VALID));
        let other_key = OpeningKey::make(&mut clinic.random.clone()).sealing_key();
        let record = device.record(&clinic);
        let bad = device.seal_to(&clinic, &record, &other_key, EnvelopeHeader::new(&other_key, &record));
        device.hand_in(&clinic, &[good, bad]).await;
        clinic
            .records(|records| records.len() == 2 && records.iter().any(|line| line.export == ExportState::Written))
            .await;
        clinic.stop().await;
        let key = KeyPair::generate().unwrap();
        fs::write(clinic.desk_folder().join("receipt.key"), key.serialize_der()).unwrap();
        clinic.start(Roles::Both).await;
        device.hand_in(&clinic, &[device.seal(&clinic, &device.record(&clinic))]).await;
        clinic.records(|records| records.len() == 3).await;
        clinic.stop().await;
        settle(&clinic.desk_folder());
        Self { clinic, place: tempfile::tempdir().unwrap() }
    }

    /// A fresh copy of the desk's folder.
    fn copy(&self) -> PathBuf {
        let copy = self.place.path().join("desk");
        let _ = fs::remove_dir_all(&copy);
        fs::create_dir(&copy).unwrap();
        for name in ["settings.json", "receipt.key", "desk.sqlite", "audit-witness.jsonl"] {
            fs::copy(self.clinic.desk_folder().join(name), copy.join(name)).unwrap();
        }
        copy
    }

    /// What is found after `mutate`, without a witness.
    fn findings(&self, mutate: impl FnOnce(&Connection)) -> Vec<Finding> {
        self.after(mutate, false)
    }

    fn after(&self, mutate: impl FnOnce(&Connection), with_witness: bool) -> Vec<Finding> {
        let copy = self.copy();
        mutate(&Connection::open(copy.join("desk.sqlite")).unwrap());
        verify(&copy, with_witness)
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
    assert_eq!(verify(&evidence.copy(), true), []);
    let rows = evidence.rows();
    let events: std::collections::BTreeSet<String> =
        rows.iter().map(|row| serde_json::from_str::<Value>(&row.entry).unwrap()["event"].to_string()).collect();
    for event in [
        "audit_began",
        "hub_started",
        "hub_stopped",
        "device_paired",
        "pairing_refused",
        "record_accepted",
        "record_quarantined",
        "face_file_written",
        "checkpoint_key_changed",
    ] {
        assert!(events.contains(&format!("{event:?}")), "{event}: {events:?}");
    }
    assert!(!rows.iter().any(|row| row.entry.contains(MARKED) || row.entry.contains("見本")));
    let witness = fs::read_to_string(evidence.clinic.desk_folder().join("audit-witness.jsonl")).unwrap();
    assert_eq!(witness.lines().collect::<Vec<_>>(), evidence.checkpoints(), "the witness has every checkpoint");

    evidence.clinic.start(Roles::Both).await;
    assert_eq!(verify(&evidence.clinic.desk_folder(), true), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_alteration_of_an_entry_is_found_and_named() {
    let evidence = Evidence::gather().await;
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
    let evidence = Evidence::gather().await;
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
    let evidence = Evidence::gather().await;
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
    let evidence = Evidence::gather().await;
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
    let evidence = Evidence::gather().await;
    for (sql, kind) in [
        ("DELETE FROM record WHERE seq = 1", FindingKind::ContentMissing),
        ("UPDATE record SET envelope = x'00' WHERE seq = 1", FindingKind::ContentDiffers),
        ("UPDATE record SET envelope = (SELECT envelope FROM quarantine) WHERE seq = 1", FindingKind::ContentDiffers),
        ("UPDATE record SET sha256 = 'other' WHERE seq = 1", FindingKind::Unrecorded),
        ("UPDATE record SET device = 'another' WHERE seq = 1", FindingKind::ContentDiffers),
        ("UPDATE record SET export = 'waiting' WHERE seq = 1", FindingKind::ContentDiffers),
        ("UPDATE record SET record_id = 'other' WHERE seq = 1", FindingKind::Unrecorded),
        ("DELETE FROM quarantine", FindingKind::ContentMissing),
        ("UPDATE quarantine SET envelope = x'00'", FindingKind::ContentDiffers),
        (
            "INSERT INTO quarantine (record_id, device, sha256, envelope, receipt, at, reason)
             SELECT record_id, device, 'other', envelope, receipt, at, reason FROM quarantine",
            FindingKind::Unrecorded,
        ),
        ("UPDATE device SET device_key = '\"AA==\"'", FindingKind::ContentDiffers),
        ("DELETE FROM device", FindingKind::ContentMissing),
    ] {
        let findings = evidence.findings(|database| execute(database, sql, []));
        assert!(findings.iter().any(|finding| finding.kind == kind), "{sql}: {findings:?}");
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
