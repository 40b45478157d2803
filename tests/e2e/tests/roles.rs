//! Front and desk as two processes with two data folders: the front holds no key of the clinic and nothing that names a
//! patient, and what it keeps for a desk that is away is not lost.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use serde_json::Value;
use tazune_e2e::{
    clinic::Clinic,
    process::Program,
    tablet::{PIN, Tablet},
    traces::Traces,
};
use tempfile::TempDir;

/// A clinic whose front runs elsewhere.
struct Scene {
    clinic: Clinic,
    tablet: Tablet,
    front: Option<Program>,
    desk: Option<Program>,
    front_folder: PathBuf,
    desk_folder: PathBuf,
    /// What the front may hold nowhere.
    marks: Traces,
    _folder: TempDir,
}

#[test]
fn the_front_holds_no_key_of_the_clinic_and_nothing_of_the_patient() {
    let mut scene = Scene::open();
    // Without its folder the desk cannot give the face file away, and has to keep it.
    scene.clinic.disconnect_face_folder();
    assert_eq!(scene.visit("hidden")["state"], "accepted");
    assert_eq!(scene.clinic.records()[0]["outcome"], "answer");
    assert!(!scene.marks.found_in_folder(&scene.desk_folder).is_empty(), "the desk has the patient's answer");
    scene.check_front();

    scene.clinic.connect_face_folder();
    let [name] = scene.face_files().try_into().unwrap();
    let face = fs::read(scene.clinic.face_folder().join(name)).unwrap();
    assert!(!scene.marks.found_in(&face).is_empty(), "the search knows how a face file writes the patient");
    assert_eq!(tazune_oqs::parse(&face).unwrap().eligibility().unwrap().qualifications[0].name.expose(), "見本　桜");

    let transcript = scene.front.take().unwrap().terminate().transcript;
    assert!(transcript.contains("stopping"), "the front logs: {transcript}");
    assert!(scene.marks.found_in(transcript.as_bytes()).is_empty(), "{transcript}");
}

#[test]
fn what_waits_at_the_front_for_a_killed_desk_is_not_lost() {
    let mut scene = Scene::open();
    scene.desk.take().unwrap().kill();
    let delivered = scene.visit("valid");
    assert_eq!(delivered["state"], "received", "the front has it, the clinic has not");
    let record_id = delivered["record_id"].as_str().unwrap();
    let id = Traces::of_texts([record_id]);
    assert!(!id.found_in_folder(&scene.front_folder).is_empty(), "the envelope waits");
    assert_eq!(scene.clinic.face_files(), [""; 0]);
    scene.check_front();

    // It waits on the disk.
    scene.front.take().unwrap().kill();
    scene.start_front();
    scene.start_desk();
    assert_eq!(scene.face_files().len(), 1);
    for _ in 0..2 {
        let mut queue = scene.tablet.start(&["queue", "--send"]);
        assert_eq!(queue.expect("queue")["counts"]["accepted"], 1);
        // And again with a desk that was killed after it had answered.
        scene.desk.take().unwrap().kill();
        scene.start_desk();
    }
    let records = scene.clinic.records();
    let [record] = records.as_slice() else { panic!("{records:?}") };
    assert_eq!(record["record_id"], record_id);
    assert_eq!(scene.clinic.face_files(), [record["file"].as_str().unwrap()]);
    scene.check_front();
}

impl Scene {
    fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut clinic = Clinic::open(folder.path());
        clinic.stop_hub();
        let [front_folder, desk_folder] = ["front", "desk"].map(|role| {
            let own = folder.path().join(format!("{role}-computer"));
            fs::rename(clinic.hub_folder().join(role), &own).unwrap();
            own
        });
        fs::remove_dir(clinic.hub_folder()).unwrap();
        clinic.desk_moved(&desk_folder);
        let marks = Traces::of_people(clinic.world().people()).and(Traces::of_texts([PIN]));
        let front = serve("front", &front_folder);
        let desk = serve("desk", &desk_folder);
        let tablet = clinic.pair("tablet-1");
        let (front, desk) = (Some(front), Some(desk));
        Self { clinic, tablet, front, desk, front_folder, desk_folder, marks, _folder: folder }
    }

    fn start_front(&mut self) {
        self.front = Some(serve("front", &self.front_folder));
    }

    fn start_desk(&mut self) {
        self.desk = Some(serve("desk", &self.desk_folder));
    }

    /// A visit to its end; where its record is then.
    fn visit(&self, person: &str) -> Value {
        let mut visit = self.tablet.begin_visit(&[]);
        visit.hold(self.clinic.card(person));
        visit.until("sealed", |_| {});
        let delivered = visit.program().expect("delivered");
        let _ = visit.finish();
        delivered
    }

    /// The face files, once there are any.
    fn face_files(&self) -> Vec<String> {
        let is_empty = || self.clinic.face_files().is_empty();
        (0..1000).take_while(|_| is_empty()).for_each(|_| thread::sleep(Duration::from_millis(10)));
        self.clinic.face_files()
    }

    fn check_front(&self) {
        let secrets = secrets(&self.desk_folder);
        assert!(!secrets.found_in_folder(&self.desk_folder).is_empty(), "the search finds secrets where they are");
        for traces in [&self.marks, &secrets] {
            let found = traces.found_in_folder(&self.front_folder);
            assert!(found.is_empty(), "the front holds: {found:#?}");
        }
    }
}

fn serve(role: &str, folder: &Path) -> Program {
    let option = format!("--{role}-data");
    let folder = folder.to_str().expect("test folders have plain names");
    let mut program = Program::start("tazune-hub", &["serve", "--role", role, &option, folder, "--ready-json"]);
    program.expect("ready");
    program
}

/// Traces of every secret of the desk.
fn secrets(desk_folder: &Path) -> Traces {
    let read = |name| fs::read(desk_folder.join(name)).unwrap();
    let mut traces = Traces::default();
    for name in ["clinic.key", "gateway-secret"] {
        traces = traces.and(Traces::of_secret(name, &read(name)));
    }
    for name in ["ca.key", "desk.key", "receipt.key"] {
        let key = read(name);
        traces = traces.and(Traces::of_secret(name, &key)).and(Traces::of_secret(name, secret_number(&key)));
    }
    let admin: Value = serde_json::from_slice(&read("admin.json")).unwrap();
    traces.and(Traces::of_texts([admin["token"].as_str().unwrap()]))
}

/// The 32 secret bytes of a P-256 key in PKCS#8, which another file could hold in another form.
fn secret_number(key: &[u8]) -> &[u8] {
    // Of ECPrivateKey (RFC 5915) the version, and tag and length of the secret.
    let head = [0x02, 0x01, 0x01, 0x04, 0x20];
    let at = key.windows(head.len()).position(|window| window == head).expect("an ECPrivateKey");
    &key[at + head.len()..][..32]
}
