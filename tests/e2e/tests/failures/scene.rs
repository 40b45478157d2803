use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
};

use rusqlite::Connection;
use serde_json::{Value, json};
use tazune_e2e::{
    clinic::Clinic,
    process::{Program, programs},
    tablet::{Tablet, Visiting},
};
use tazune_model::{FailureCode, Language};
use tazune_visit::Texts;
use tempfile::TempDir;

/// A clinic with one paired device.
pub(crate) struct Scene {
    pub(crate) clinic: Clinic,
    pub(crate) tablet: Tablet,
    pub(crate) folder: TempDir,
}

impl Scene {
    pub(crate) fn open() -> Self {
        Self::of(Clinic::open)
    }

    pub(crate) fn of(open: impl FnOnce(&std::path::Path) -> Clinic) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clinic = open(folder.path());
        let tablet = clinic.pair("tablet-1");
        Self { clinic, tablet, folder }
    }

    /// A visit from the consent to the clinic's receipt.
    pub(crate) fn still_works(&self) {
        let mut visit = self.tablet.begin_visit(&[]);
        visit.hold(self.clinic.card("valid"));
        ends_accepted(visit);
    }

    /// Seals a record while the hub is down, then starts the hub: the record is still to be sent.
    pub(crate) fn seal_unsent(&mut self) {
        self.clinic.stop_hub();
        self.seal_undelivered();
    }

    /// A visit whose record the hub does not take: the device keeps it.
    pub(crate) fn seal_undelivered(&self) {
        let mut visit = self.tablet.begin_visit(&[]);
        visit.hold(self.clinic.card("valid"));
        visit.until("sealed", |_| {});
        assert_eq!(visit.program().expect("delivered")["state"], "sealed");
        assert_eq!(visit.finish().code(), 10);
    }

    /// The device's database, from outside its program.
    pub(crate) fn device_database(&self) -> Connection {
        database(self.tablet.data().join("device.db"))
    }

    pub(crate) fn front_folder(&self) -> PathBuf {
        self.clinic.hub_folder().join("front")
    }

    pub(crate) fn desk_folder(&self) -> PathBuf {
        self.clinic.hub_folder().join("desk")
    }

    /// The front's database, from outside its program.
    pub(crate) fn front_database(&self) -> Connection {
        database(self.front_folder().join("front.sqlite"))
    }

    /// The address of the front, as `IP:PORT`.
    pub(crate) fn front_address(&self) -> String {
        let settings = fs::read(self.front_folder().join("settings.json")).unwrap();
        serde_json::from_slice::<Value>(&settings).unwrap()["listen"].as_str().unwrap().to_owned()
    }

    /// What `queue` tells, after sending when asked to, and its exit code.
    pub(crate) fn queue(&self, arguments: &[&str]) -> (Value, i32) {
        let mut queue = self.tablet.start(&[&["queue"], arguments].concat());
        (queue.expect("queue"), queue.finish().code())
    }

    /// Sends the one record, which is set aside with this failure, and goes on to the next visit.
    pub(crate) fn is_set_aside(&self, code: FailureCode) {
        let (queue, exit) = self.queue(&["--send"]);
        assert_eq!((&queue["counts"]["quarantined"], exit), (&json!(1), 10), "{queue}");
        assert_eq!(queue["records"][0]["failure"], words_of(code));
        // Set aside is neither deleted nor sent again, and holds up no other.
        self.still_works();
        let (queue, exit) = self.queue(&["--send"]);
        let counts = &queue["counts"];
        assert_eq!((&counts["quarantined"], &counts["accepted"], exit), (&json!(1), &json!(1), 10), "{queue}");
    }
}

/// Opens a database that another program may be using.
fn database(path: PathBuf) -> Connection {
    let database = Connection::open(path).unwrap();
    database.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
    database
}

/// The failure as `--json` tells it, in Japanese.
pub(crate) fn words_of(code: FailureCode) -> Value {
    let texts = Texts::new(Language::Ja);
    json!({ "code": code.code(), "title": texts.failure_title(code), "do": texts.failure_remedy(code) })
}

/// Works the visit until a screen has a failure, which is this one.
pub(crate) fn until_failure(visit: &mut Visiting, code: FailureCode) {
    loop {
        assert!(visit.next_screen().is_some(), "ended before {code}:\n{}", visit.program().transcript());
        if visit.failure().is_some() {
            return shows(visit, code);
        }
        visit.go_on();
    }
}

/// The screen has this failure with its words.
pub(crate) fn shows(visit: &Visiting, code: FailureCode) {
    let (texts, words) = (Texts::new(Language::Ja), visit.words());
    assert_eq!(visit.failure(), Some(code.code()), "{words:?}");
    assert!(words.contains(&format!("{} [{code}]", texts.failure_title(code))), "{words:?}");
    assert!(words.contains(&texts.failure_remedy(code)), "{words:?}");
}

/// Works the visit to its end; the clinic has it.
pub(crate) fn ends_accepted(mut visit: Visiting) {
    visit.until("sealed", |_| {});
    assert_eq!(visit.program().expect("delivered")["state"], "accepted");
    visit.finish().success();
}

/// Runs a command of the device that fails, for a script and for a person: each is told code, matter and remedy.
pub(crate) fn device_fails(tablet: &Tablet, arguments: &[&str], code: FailureCode, exit: i32) {
    let mut program = tablet.start(arguments);
    program.close_input();
    assert_eq!(program.expect("failure"), words_of(code));
    assert_eq!(program.finish().code(), exit, "{code}");
    let data = tablet.data().to_str().unwrap();
    person_is_told(&[&["--data", data, "--insecure-file-keys"], arguments].concat(), code, exit);
}

/// Runs `tazune` for a person, who reads code, matter and remedy in Japanese and English.
pub(crate) fn person_is_told(arguments: &[&str], code: FailureCode, exit: i32) {
    let told = Program::run("tazune", arguments);
    assert_eq!(told.code(), exit, "{}", told.transcript);
    is_told_to_a_person(&told.transcript, code);
}

/// The same, with an administrator's right to read every file taken away.
pub(crate) fn person_without_rights_is_told(arguments: &[&str], code: FailureCode, exit: i32) {
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set", "-dac_override,-dac_read_search"]).arg(programs().join("tazune")).args(arguments);
    let told = command.stdin(Stdio::null()).output().unwrap();
    assert_eq!(told.status.code(), Some(exit));
    is_told_to_a_person(&String::from_utf8(told.stderr).unwrap(), code);
}

/// These words tell a person code, matter and remedy in Japanese and English.
pub(crate) fn is_told_to_a_person(told: &str, code: FailureCode) {
    for texts in [Language::Ja, Language::En].map(Texts::new) {
        let words = format!("[{code}] {}\n  {}", texts.failure_title(code), texts.failure_remedy(code));
        assert!(told.contains(&words), "{told}");
    }
}

/// Runs a command of the hub that fails: standard error has the code and what it is about.
pub(crate) fn hub_fails(arguments: &[&str], code: FailureCode, exit: i32) {
    let ended = Program::run("tazune-hub", arguments);
    assert_eq!(ended.code(), exit, "{}", ended.transcript);
    let start = format!("tazune-hub: {code}: ");
    let about = ended.transcript.lines().find_map(|line| line.strip_prefix(&start));
    assert!(about.is_some_and(|about| !about.is_empty()), "{}", ended.transcript);
}
