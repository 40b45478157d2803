//! What a thief of the tablet gets: the sentences of `docs/src/thief.md` that no other test shows.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;
use tazune_e2e::{
    clinic::{Clinic, INSTITUTION},
    tablet::Tablet,
    traces::Traces,
};
use tempfile::TempDir;

/// Whom the visit was planned for.
const PLANNED: [&str; 6] = ["--patient-name", "見本　花子", "--birth-date", "1961-04-13", "--sex", "female"];

/// A tablet with a sealed record that the clinic does not have, and a draft.
struct Stolen {
    people: Traces,
    tablet: Tablet,
    front: String,
    folder: TempDir,
}

impl Stolen {
    fn take() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut clinic = Clinic::open(folder.path());
        let tablet = clinic.pair("tablet-1");
        let settings = fs::read(clinic.hub_folder().join("front/settings.json")).unwrap();
        let settings: Value = serde_json::from_slice(&settings).unwrap();
        let front = settings["listen"].as_str().unwrap().to_owned();
        clinic.stop_hub();
        let mut sealed = tablet.begin_visit(&PLANNED);
        sealed.hold(clinic.card("valid"));
        sealed.until("sealed", |_| {});
        assert_eq!(sealed.finish().code(), 10, "saved, and not at the clinic");
        let mut draft = tablet.begin_visit(&PLANNED);
        draft.hold(clinic.card("valid"));
        draft.until("enter-pin", |_| {});
        draft.kill();
        Self { people: Traces::of_people(clinic.world().people()), tablet, front, folder }
    }

    /// The tablet's folder on the thief's own computer, with or without the keys.
    fn copied(&self, with_keys: bool) -> Tablet {
        let copy = self.folder.path().join("copy");
        copy_folder(self.tablet.data(), &copy, &|path| with_keys || !path.ends_with("keys"));
        Tablet::new(copy)
    }
}

fn copy_folder(from: &Path, to: &PathBuf, is_taken: &dyn Fn(&Path) -> bool) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if !is_taken(&path) {
            continue;
        }
        if path.is_dir() {
            copy_folder(&path, &target, is_taken);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

#[test]
fn a_copy_without_the_keys_tells_how_many_records_there_are_and_opens_no_draft() {
    let stolen = Stolen::take();
    let copy = stolen.copied(false);
    let queue = copy.run(&["queue"]);
    assert!(queue.transcript.contains(r#""state":"sealed""#), "{}", queue.transcript);
    let resumed = copy.run(&["visit", "--resume", "--card", "virtual:127.0.0.1:0"]);
    assert!(resumed.transcript.contains("TZ-K03"), "{}", resumed.transcript);
    for said in [&queue, &resumed] {
        let found = stolen.people.found_in(said.transcript.as_bytes());
        assert!(found.is_empty(), "{found:?}:\n{}", said.transcript);
    }
}

#[test]
fn a_copy_with_plain_key_files_opens_the_draft_and_no_sealed_record() {
    let stolen = Stolen::take();
    let copy = stolen.copied(true);
    let queue = copy.run(&["queue"]);
    assert!(queue.transcript.contains(r#""insecure_file_keys":true"#), "the tool warns: {}", queue.transcript);
    let mut resumed = copy.begin_visit(&["--resume"]);
    resumed.next_screen().expect("the draft is shown");
    let shown = resumed.kill();
    assert!(shown.transcript.contains("\"screen\""), "{}", shown.transcript);
    // Everything on the disk, and everything the program can be made to say about what is sealed.
    assert!(stolen.people.found_in_folder(copy.data()).is_empty());
    assert!(stolen.people.found_in(queue.transcript.as_bytes()).is_empty());
}

#[test]
fn what_lies_in_clear_names_the_clinic_its_hub_and_no_patient() {
    let stolen = Stolen::take();
    let device = stolen.tablet.data();
    assert!(stolen.people.found_in_folder(device).is_empty());
    for clear in [INSTITUTION, &stolen.front] {
        assert!(!Traces::of_texts([clear]).found_in_folder(device).is_empty(), "{clear}");
    }
}
