//! A clinic, a device with a visit that only has to be closed, and a device with records that only have to be sent.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use rusqlite::{Connection, params};
use serde_json::{Value, json};
use tazune_e2e::{
    clinic::{Clinic, ReceiptComputer},
    disk::{Disk, copy_folder},
    process::{Finished, Launcher, Program},
    tablet::Tablet,
};
use tempfile::TempDir;
use tokio::time::Instant;

pub(crate) struct Scene {
    pub(crate) clinic: Clinic,
    pub(crate) computer: ReceiptComputer,
    pub(crate) disk: Disk,
    folder: TempDir,
    own: TempDir,
}

/// What a run of the device's program said, and how it ended.
pub(crate) struct Told {
    pub(crate) lines: Vec<Value>,
    pub(crate) ended: Finished,
}

impl Told {
    pub(crate) fn says(&self, key: &str) -> bool {
        self.lines.iter().any(|line| line.get(key).is_some())
    }
}

impl Scene {
    /// Devices purge at once what the clinic has.
    pub(crate) fn open() -> Self {
        let (folder, own) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut clinic = Clinic::open(folder.path());
        clinic.stop_hub();
        let settings = clinic.hub_folder().join("desk/settings.json");
        let mut changed: Value = serde_json::from_slice(&fs::read(&settings).unwrap()).unwrap();
        changed["purge_after_hours"] = json!(0);
        fs::write(settings, changed.to_string()).unwrap();
        clinic.start_hub();
        let computer = ReceiptComputer::watch(clinic.face_folder());
        let disk = Disk::new(own.path(), folder.path());
        Self { clinic, computer, disk, folder, own }
    }

    /// Where a log may lie, outside of what the programs write.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.own.path().join(name).with_extension("log")
    }

    fn place(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A paired device without visits.
    pub(crate) fn paired(&self) -> Tablet {
        self.clinic.pair("paired")
    }

    /// An empty folder.
    pub(crate) fn fresh_folder(&self, name: &str) -> PathBuf {
        let folder = self.place(name);
        fs::create_dir(&folder).unwrap();
        folder
    }

    /// Pairs a device, whose program may be killed on the way.
    pub(crate) fn pair(&self, tablet: &Tablet) {
        let mut desk = self.clinic.start("pair", &["--json"]);
        let opened = desk.expect_event("opened");
        let mut device = tablet.start(&["pair", "--name", "victim", "--offer", opened["offer"].as_str().unwrap()]);
        let code = std::iter::from_fn(|| device.next_json()).find_map(|line| line["code"].as_str().map(str::to_owned));
        if let Some(code) = code {
            desk.expect_event("awaiting_code");
            desk.say(&code);
            desk.expect_event("awaiting_approval");
            desk.say("y");
            desk.expect_event("approved");
        }
        let _ = (device.finish(), desk.kill());
    }

    /// The same with a visit that has its answer and only has to be closed.
    pub(crate) fn with_visit_to_close(&self, paired: &Tablet) -> Tablet {
        let tablet = self.copy(paired, "to-close");
        let mut visit = tablet.begin_visit(&[]);
        visit.hold(self.clinic.card("valid"));
        visit.until("closing", |_| {});
        let _ = visit.kill();
        tablet
    }

    /// A device that has sealed two records while the hub was down: one for the clinic, one for another's key.
    ///
    /// Also their ids, in this order. The hub is down then.
    pub(crate) fn with_records_to_send(&mut self, to_close: &Tablet) -> (Tablet, [String; 2]) {
        self.clinic.stop_hub();
        let (good, strange) = (self.copy(to_close, "to-send"), self.copy(to_close, "strange"));
        set_clinic_key(&strange);
        let ids = [&good, &strange].map(|tablet| {
            let told = close(tablet, &Launcher::default());
            assert_eq!(told.ended.code(), 10, "{}", told.ended.transcript);
            queue(tablet, &[]).0["records"][0]["record_id"].as_str().unwrap().to_owned()
        });
        Connection::open(good.data().join("device.db"))
            .and_then(|database| {
                database.execute("ATTACH ?1 AS strange", params![strange.data().join("device.db").to_str()])?;
                database.execute("INSERT INTO records SELECT * FROM strange.records", [])
            })
            .unwrap();
        (good, ids)
    }

    /// A device with the same data, in a folder of its own, which is made anew.
    pub(crate) fn copy(&self, tablet: &Tablet, name: &str) -> Tablet {
        let copy = self.place(name);
        let _ = fs::remove_dir_all(&copy);
        copy_folder(tablet.data(), &copy);
        Tablet::new(copy)
    }

    /// Keeps the data of the hub, which does not run.
    pub(crate) fn keep_hub(&self) {
        copy_folder(&self.clinic.hub_folder(), &self.place("hub-kept"));
    }

    /// Puts the hub, which does not run, back to what was kept; the face folder is empty but for the file it is known by.
    pub(crate) fn restore_hub(&self) {
        fs::remove_dir_all(self.clinic.hub_folder()).unwrap();
        copy_folder(&self.place("hub-kept"), &self.clinic.hub_folder());
        for name in names(&self.clinic.face_folder()).iter().filter(|name| *name != ".tazune-face-folder") {
            let _ = fs::remove_file(self.clinic.face_folder().join(name));
        }
    }

    /// What the desk has, if it runs and can say.
    pub(crate) fn records(&self) -> Option<Vec<Value>> {
        let records = self.clinic.start("records", &["--json"]);
        let told: Value = serde_json::from_str(&records.finish().output).ok()?;
        told["records"].as_array().cloned()
    }

    /// Waits until every record of the desk that is to be exported is.
    pub(crate) fn settle(&self) -> Vec<Value> {
        let patience = Instant::now() + Duration::from_secs(30);
        loop {
            let records = self.records().expect("the desk runs");
            let is_settled = !records.iter().any(|record| record["export"] == "waiting");
            if is_settled && self.clinic.face_files().is_empty() || Instant::now() > patience {
                // The computer tells of a file a moment after it deleted it.
                thread::sleep(Duration::from_millis(10));
                return records;
            }
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Whether the desk has put the record's face file into the folder.
    pub(crate) fn is_written(&self, record_id: &str) -> bool {
        let records = self.records().unwrap_or_default();
        records.iter().any(|record| record["record_id"] == record_id && record["export"] == "written")
    }

    /// Sends what the device of [`Self::with_records_to_send`] still has; the clinic has either record once, and the
    /// receipt computer was given one file since it had taken `before`.
    pub(crate) fn is_all_done(&self, tablet: &Tablet, [good, strange]: &[String; 2], before: usize, story: &str) {
        let counts = queue(tablet, &["--send"]).0["counts"].clone();
        let is_accepted = counts["accepted"] == 1 || counts["purged"] == 1;
        assert!(is_accepted && counts["quarantined"] == 1, "{story}: {counts}\n{}", self.clinic.hub_transcript());
        let records = self.settle();
        let of = |id: &str| records.iter().filter(|record| record["record_id"] == id).collect::<Vec<_>>();
        assert_eq!((of(good).len(), of(strange).len(), records.len()), (1, 1, 2), "{story}: {records:#?}");
        let ends = (&of(good)[0]["export"], &of(strange)[0]["quarantine"]);
        assert_eq!(ends, (&json!("written"), &json!("wrong_key")), "{story}:\n{}", self.clinic.hub_transcript());
        self.check_taken(before, &BTreeSet::from([good.clone()]), story);
        assert_eq!(names(&self.clinic.face_folder()), [".tazune-face-folder"], "{story}: nothing is left over");
    }

    /// Stops the hub; its audit is whole, and no shorter than its witness knows.
    pub(crate) fn stop_hub_with_whole_audit(&mut self, story: &str) {
        self.clinic.stop_hub();
        let hub = self.clinic.hub_folder();
        let witness = hub.join("desk/audit-witness.jsonl");
        let (hub, witness) = (hub.to_str().unwrap(), witness.to_str().unwrap());
        let verified = Program::run("tazune-hub", &["audit", "verify", "--data", hub, "--witness", witness]);
        assert_eq!(verified.code(), 0, "{story}: {}", verified.transcript);
    }

    /// Each of `expected`, and nothing else, was given to the receipt computer once since it had taken `before` files.
    pub(crate) fn check_taken(&self, before: usize, expected: &BTreeSet<String>, story: &str) {
        let taken = self.computer.taken().split_off(before);
        let names: BTreeSet<_> = taken.iter().map(|(name, _)| name).collect();
        assert_eq!((taken.len(), names.len()), (expected.len(), expected.len()), "{story}: {names:?}");
        let ids: BTreeSet<_> = taken.iter().map(|(_, content)| record_of(content)).collect();
        assert_eq!(ids, *expected, "{story}");
    }
}

/// The record that a face file, which is whole, was made of.
fn record_of(content: &[u8]) -> String {
    let message = tazune_oqs::parse(content).expect("a face file is whole");
    assert!(message.eligibility().is_ok());
    let text = str::from_utf8(content).unwrap();
    let (_, rest) = text.split_once("<ArbitraryFileIdentifier>").unwrap();
    rest.split_once('<').unwrap().0.to_owned()
}

/// Lets the device seal to a key that is not the clinic's.
fn set_clinic_key(tablet: &Tablet) {
    let database = Connection::open(tablet.data().join("device.db")).unwrap();
    let select = "SELECT value FROM meta WHERE name = 'pairing'";
    let pairing: Vec<u8> = database.query_row(select, [], |row| row.get(0)).unwrap();
    let mut pairing: Value = serde_json::from_slice(&pairing).unwrap();
    let other = tazune_link::keys::OpeningKey::from_bytes(&[7; 32]).unwrap().sealing_key();
    pairing["clinic_key"] = serde_json::to_value(other).unwrap();
    let update = "UPDATE meta SET value = ?1 WHERE name = 'pairing'";
    database.execute(update, params![serde_json::to_vec(&pairing).unwrap()]).unwrap();
}

/// Goes on with the visit that only has to be closed, until the program ends; what cannot be saved is tried twice.
pub(crate) fn close(tablet: &Tablet, launcher: &Launcher) -> Told {
    let tablet = tablet.under(launcher.clone());
    let mut program = tablet.start(&["visit", "--card", "virtual:127.0.0.1:0", "--resume"]);
    let (mut lines, mut has_tried_again) = (Vec::new(), false);
    while let Some(line) = program.next_json() {
        let screen = &line["screen"];
        let offers =
            |wanted: &str| screen["choices"].as_array().is_some_and(|all| all.iter().any(|c| c["id"] == wanted));
        if offers("confirm-card-returned") {
            program.say("confirm-card-returned");
        } else if screen["body"] == "closing" {
            program.say("continue");
        }
        if screen["body"] == "seal-failed" && !has_tried_again {
            has_tried_again = true;
            program.say("try-again");
        } else if screen["body"] == "seal-failed" || line.get("refused").is_some() || line.get("sealed").is_some() {
            program.close_input();
        }
        lines.push(line);
    }
    Told { lines, ended: program.finish() }
}

/// What `queue` tells, after sending when asked to, and its exit code.
pub(crate) fn queue(tablet: &Tablet, arguments: &[&str]) -> (Value, i32) {
    let mut program = tablet.start(&[&["queue"], arguments].concat());
    (program.expect("queue"), program.finish().code())
}

/// Checks that the one visit is a draft or a record, closes and sends it undisturbed, and returns the record's id.
pub(crate) fn finish(tablet: &Tablet, story: &str) -> String {
    let state = queue(tablet, &[]).0;
    let count = |list: &str| state[list].as_array().unwrap().len();
    assert_eq!(count("drafts") + count("records"), 1, "{story}: {state}");
    if count("drafts") == 1 {
        let told = close(tablet, &Launcher::default());
        assert!(told.says("sealed"), "{story}: {}", told.ended.transcript);
    }
    let record_id = queue(tablet, &[]).0["records"][0]["record_id"].as_str().unwrap().to_owned();
    let is_accepted = |queue: &Value| queue["counts"]["accepted"] == 1 || queue["counts"]["purged"] == 1;
    // Copies of one device are offered each other's receipts, which they refuse; that may end one sending early.
    let mut state = queue(tablet, &[]).0;
    for _ in 0..10 {
        if is_accepted(&state) {
            break;
        }
        state = queue(tablet, &["--send"]).0;
    }
    assert!(is_accepted(&state), "{story}: {state}");
    record_id
}

/// Whether a program wrote that one of its threads panicked.
pub(crate) fn panicked(ended: &str) -> bool {
    ended.contains("panicked at")
}

fn names(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}
