//! After visits of every kind, nothing personal is in a log, on the device or at the front, and no PIN anywhere; a record
//! that was sealed cannot be read on the device again.

use std::{fs, net::TcpListener, path::PathBuf, thread, time::Duration};

use rusqlite::{Connection, OpenFlags};
use serde_json::Value;
use tazune_e2e::{
    clinic::Clinic,
    process::Finished,
    tablet::{PIN, Tablet, Visiting},
    traces::Traces,
};
use tazune_link::{
    envelope::{Envelope, open},
    keys::{OpeningKey, VerifyingKey},
};
use tazune_model::RecordedOutcome;
use tempfile::TempDir;

/// Typed where the card wants another.
const WRONG_PIN: &str = "8302";

/// Whom a visit was planned for: known to the device before a card is read.
const PLANNED: [&str; 6] = ["--patient-name", "見本　花子", "--birth-date", "1961-04-13", "--sex", "female"];

struct Scene {
    clinic: Clinic,
    tablet: Tablet,
    /// What names or describes a patient.
    people: Traces,
    pins: Traces,
    /// What the device's program wrote to standard error, in all visits.
    log: String,
    /// All it wrote; patients are named in it, where screens show them.
    transcript: String,
    _folder: TempDir,
}

#[test]
fn nothing_of_the_patient_and_no_pin_is_in_a_log_on_the_device_or_at_the_front() {
    let mut scene = Scene::open();

    let mut answered = scene.begin("valid", &PLANNED);
    answered.until("answer", |_| {});
    // The draft holds the answer now.
    scene.check();
    answered.go_on();
    answered.until("sealed", |_| {});
    scene.end(answered.finish());

    let mut wrong_pin = scene.begin("hidden", &[]);
    wrong_pin.until("enter-pin", |_| {});
    wrong_pin.choose(&format!("enter-pin {WRONG_PIN}"));
    while wrong_pin.failure() != Some("TZ-C10") {
        wrong_pin.next_screen().expect("a wrong PIN ends no visit");
    }
    scene.check();
    wrong_pin.go_on();
    wrong_pin.until("sealed", |_| {});
    scene.end(wrong_pin.finish());

    let killed = {
        let mut visit = scene.begin("unknown-kanji", &[]);
        visit.until("closing", |_| {});
        visit.kill()
    };
    scene.end_killed(killed);
    scene.check();

    scene.clinic.gateway().set_reachable(false);
    let mut deferred = scene.begin("elder", &[]);
    deferred.until("sealed", |_| {});
    scene.end(deferred.finish());
    scene.check();

    let mut outcomes: Vec<_> = scene.clinic.records().iter().map(|record| record["outcome"].to_string()).collect();
    outcomes.sort();
    assert_eq!(outcomes, [r#""answer""#, r#""answer""#, r#""deferred""#]);
    let shown = scene.people.found_in(scene.transcript.as_bytes());
    assert!(!shown.is_empty(), "the search finds patients where screens name them");
    assert!(scene.log.len() > 1000 && scene.clinic.hub_transcript().len() > 1000, "there are logs to search");
}

#[test]
fn a_sealed_record_is_on_the_device_and_only_the_clinic_can_read_it() {
    let mut scene = Scene::open();
    let mut visit = scene.begin("valid", &PLANNED);
    visit.until("closing", |_| {});
    scene.end_killed(visit.kill());
    let drafts: Vec<Vec<u8>> = rows(&scene.device_database(), "SELECT sealed FROM drafts");
    let [draft] = drafts.as_slice() else { panic!("{} drafts", drafts.len()) };
    let pieces = draft.chunks_exact(16).enumerate();
    let pieces = pieces.fold(Traces::default(), |all, (index, piece)| {
        all.and(Traces::of_secret(&format!("piece {index} of the draft"), piece))
    });
    let kept = pieces.found_in_folder(scene.tablet.data());
    // Some lie across the pages of the database.
    assert!(kept.len() > draft.len() / 16 / 2, "the search finds a draft where it is: {kept:?}");

    scene.clinic.stop_hub();
    let settings = fs::read(scene.clinic.hub_folder().join("front/settings.json")).unwrap();
    let settings: Value = serde_json::from_slice(&settings).unwrap();
    // Who calls here waits, so that the program is killed before its end, which tidies up.
    let _mute_front = TcpListener::bind(settings["listen"].as_str().unwrap()).unwrap();
    let mut visit = scene.tablet.begin_visit(&["--resume"]);
    visit.until("sealed", |_| {});
    visit.program().expect("sealed");
    let device = scene.tablet.data();
    // "Saved" is said before the draft is wiped; that follows at once, with the front away and the visit on the screen.
    for _ in 0..100 {
        if pieces.found_in_folder(device).is_empty() {
            break;
        }
        thread::sleep(Duration::from_millis(50));
    }
    visit.kill();

    let found = pieces.found_in_folder(device);
    assert!(found.is_empty(), "a sealed visit can be recovered: {found:?}");
    assert!(scene.people.found_in_folder(device).is_empty());

    let keys = scene.clinic.hub_folder().join("desk");
    let clinic_key = fs::read(keys.join("clinic.key")).unwrap();
    let envelopes: Vec<Vec<u8>> = rows(&scene.device_database(), "SELECT envelope FROM records");
    let [envelope] = envelopes.as_slice() else { panic!("{} envelopes", envelopes.len()) };
    let device_keys: Vec<String> = rows(&keys.join("desk.sqlite"), "SELECT device_key FROM device");
    let device_key: VerifyingKey = serde_json::from_str(&device_keys[0]).unwrap();
    let opened = open(&OpeningKey::from_bytes(&clinic_key).unwrap(), &Envelope::parse(envelope).unwrap(), &device_key);
    assert!(matches!(opened.unwrap().outcome, RecordedOutcome::Answer { .. }), "the clinic's key opens it");

    assert!(Traces::of_secret("clinic.key", &clinic_key).found_in_folder(device).is_empty());
    let resumed = scene.tablet.run(&["visit", "--resume", "--card", "virtual:127.0.0.1:0"]);
    assert_eq!(resumed.code(), 2, "there is no draft: {}", resumed.transcript);
}

impl Scene {
    fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clinic = Clinic::open(folder.path());
        let tablet = clinic.pair("tablet-1");
        let people = Traces::of_people(clinic.world().people());
        let pins = Traces::of_texts([PIN, WRONG_PIN]);
        Self { clinic, tablet, people, pins, log: String::new(), transcript: String::new(), _folder: folder }
    }

    fn begin(&self, person: &str, arguments: &[&str]) -> Visiting {
        let mut visit = self.tablet.begin_visit(arguments);
        visit.hold(self.clinic.card(person));
        visit
    }

    fn end(&mut self, ended: Finished) {
        assert_eq!(ended.code(), 0, "{}", ended.transcript);
        self.end_killed(ended);
    }

    fn end_killed(&mut self, ended: Finished) {
        self.log.push_str(&ended.log);
        self.transcript.push_str(&ended.transcript);
    }

    /// Searches everything there is so far.
    fn check(&self) {
        let (device, front) = (self.tablet.data(), self.clinic.hub_folder().join("front"));
        let hub = self.clinic.hub_transcript();
        for traces in [&self.people, &self.pins] {
            assert!(traces.found_in_folder(device).is_empty(), "{:#?}", traces.found_in_folder(device));
            assert!(traces.found_in_folder(&front).is_empty(), "{:#?}", traces.found_in_folder(&front));
            for log in [&self.log, &hub] {
                assert!(traces.found_in(log.as_bytes()).is_empty(), "{:?}:\n{log}", traces.found_in(log.as_bytes()));
            }
        }
        // A PIN is in no screen either, nor anywhere at the clinic.
        let said = self.pins.found_in(self.transcript.as_bytes());
        assert!(said.is_empty(), "{said:?}:\n{}", self.transcript);
        let desk = self.clinic.hub_folder().join("desk");
        assert!(self.pins.found_in_folder(&desk).is_empty(), "{:#?}", self.pins.found_in_folder(&desk));
    }

    fn device_database(&self) -> PathBuf {
        self.tablet.data().join("device.db")
    }
}

/// The first column of a query; the database stays as it is.
fn rows<T: rusqlite::types::FromSql>(database: &PathBuf, query: &str) -> Vec<T> {
    let connection = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let mut statement = connection.prepare(query).unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}
