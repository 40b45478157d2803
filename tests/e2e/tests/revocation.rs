//! A tablet is lost: the admin revokes it while it is away, and whatever is killed when it comes back, the clinic gets every
//! sealed record and the thief nothing that the staff could read.

use std::{fs, path::Path, thread, time::Duration};

use serde_json::{Value, json};
use tazune_e2e::{
    clinic::Clinic,
    process::{Finished, Program},
    tablet::Tablet,
};
use tempfile::TempDir;
use tokio::time::Instant;

/// How often the device is killed on its way out, each time a little later.
const KILLS: u32 = 16;

struct Scene {
    clinic: Clinic,
    tablet: Tablet,
    device: String,
    _folder: TempDir,
}

impl Scene {
    /// A device with an unsent record and a draft; the hub is up again.
    fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clinic = Clinic::open(folder.path());
        let tablet = clinic.pair("tablet-1");
        let mut scene = Self { clinic, tablet, device: String::new(), _folder: folder };
        scene.device = scene.devices()[0]["device"].as_str().unwrap().to_owned();
        scene.load();
        scene
    }

    fn load(&mut self) {
        self.clinic.stop_hub();
        let mut visit = self.tablet.begin_visit(&[]);
        visit.hold(self.clinic.card("valid"));
        visit.until("sealed", |_| {});
        assert_eq!(visit.finish().code(), 10);
        let mut draft = self.tablet.begin_visit(&[]);
        draft.hold(self.clinic.card("elder"));
        draft.until("enter-pin", |_| {});
        draft.kill();
        assert_eq!(self.queue(&[]).0["counts"]["draft"], 1);
        self.clinic.start_hub();
    }

    fn audit_is_whole(&self) {
        let hub = self.clinic.hub_folder();
        Program::run("tazune-hub", &["audit", "verify", "--data", hub.to_str().unwrap()]).success();
    }

    fn hub(&self, command: &str, arguments: &[&str]) -> Finished {
        let mut program = self.clinic.start(command, arguments);
        program.close_input();
        program.finish()
    }

    fn told(&self, command: &str, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.hub(command, &[arguments, &["--json"]].concat()).success()).unwrap()
    }

    fn devices(&self) -> Vec<Value> {
        self.told("devices", &[])["devices"].as_array().unwrap().clone()
    }

    fn revoke(&self) -> Value {
        self.told("revoke", &[&self.device, "--reason", "電車に忘れた", "--kind", "lost", "--yes"])
    }

    fn queue(&self, arguments: &[&str]) -> (Value, i32) {
        let mut queue = self.tablet.start(&[&["queue"], arguments].concat());
        (queue.expect("queue"), queue.finish().code())
    }

    fn has_key(&self, name: &str) -> bool {
        self.tablet.data().join("keys").join(name).exists()
    }

    /// Every record of the quarantine, with reason and decision.
    fn quarantine(&self) -> Vec<Value> {
        self.told("quarantine", &[]).as_array().unwrap().clone()
    }

    fn waits_for_face_files(&self, count: usize) {
        let patience = Instant::now() + Duration::from_secs(30);
        while self.clinic.face_files().len() < count && Instant::now() < patience {
            thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(self.clinic.face_files().len(), count);
    }
}

fn holds(folder: &Path, needle: &[u8]) -> bool {
    fs::read_dir(folder)
        .unwrap()
        .flatten()
        .filter(|entry| entry.path().is_file())
        .any(|entry| fs::read(entry.path()).unwrap().windows(needle.len()).any(|window| window == needle))
}

#[test]
fn a_lost_tablet_comes_back_revoked_and_the_clinic_has_its_record_once() {
    let scene = Scene::open();
    let staff_key = fs::read(scene.tablet.data().join("keys/staff.key")).unwrap();
    let line = scene.revoke();
    assert_eq!(
        (&line["state"], &line["kind"], &line["is_at_front"]),
        (&json!("revoked"), &json!("lost"), &json!(true))
    );

    let (queue, exit) = scene.queue(&["--send"]);
    assert_eq!((&queue["revocation"]["state"], exit), (&json!("finished"), 3), "{queue}");
    assert_eq!((&queue["counts"]["draft"], &queue["counts"]["purged"]), (&json!(0), &json!(1)), "{queue}");
    assert!(!scene.has_key("staff.key") && !scene.has_key("transport.key"));
    assert!(!holds(&scene.tablet.data().join("keys"), &staff_key) && !holds(scene.tablet.data(), &staff_key));
    let told =
        Program::run("tazune", &["--data", scene.tablet.data().to_str().unwrap(), "--insecure-file-keys", "queue"]);
    assert!(told.transcript.contains("登録し直せます"), "{}", told.transcript);

    let aside = scene.quarantine();
    assert_eq!((aside.len(), &aside[0]["reason"]), (1, &json!("device_revoked")), "{aside:?}");
    assert_eq!(scene.clinic.face_files().len(), 0);
    let record = aside[0]["record_id"].as_str().unwrap();
    for _ in 0..2 {
        assert_eq!(scene.told("quarantine", &["accept", record])["decision"], "accepted");
    }
    scene.waits_for_face_files(1);
    let refused = scene.hub("quarantine", &["reject", record, "--reason", "x"]);
    assert_eq!(refused.code(), 5, "{}", refused.transcript);
    let records = scene.clinic.records();
    assert_eq!((records.len(), &records[0]["outcome"]), (1, &json!("answer")));
    scene.audit_is_whole();

    // Found again: fresh keys, fresh id.
    let tablet = scene.clinic.pair("tablet-1");
    let mut visit = tablet.begin_visit(&[]);
    visit.hold(scene.clinic.card("valid"));
    visit.until("sealed", |_| {});
    assert_eq!(visit.program().expect("delivered")["state"], "accepted");
    visit.finish().success();
    let devices = scene.devices();
    assert_eq!(devices.len(), 2);
    assert_ne!(devices[0]["device"], devices[1]["device"]);
}

/// Each run of the device is killed a little later than the one before, so that every step of its way out is hit.
#[test]
fn kills_on_the_way_out_lose_no_record_and_keep_no_secret() {
    let scene = Scene::open();
    scene.revoke();
    let started = Instant::now();
    let mut lived = Duration::from_millis(10);
    for _ in 0..KILLS {
        let run = scene.tablet.start(&["queue", "--send"]);
        thread::sleep(lived);
        run.kill();
        lived += Duration::from_millis(30);
        let state = scene.queue(&[]).0["revocation"]["state"].clone();
        // Whatever the kill left, the next start has finished what needs no network.
        assert_ne!(state, "destroying");
        assert_eq!(scene.has_key("staff.key"), state.is_null(), "{state}");
        assert!(scene.has_key("transport.key") || state == "finished", "{state}");
        if state == "finished" {
            break;
        }
    }
    let (queue, exit) = scene.queue(&["--send"]);
    assert_eq!((&queue["revocation"]["state"], exit), (&json!("finished"), 3), "{queue} after {:?}", started.elapsed());
    assert_eq!((&queue["counts"]["draft"], &queue["counts"]["purged"]), (&json!(0), &json!(1)), "{queue}");
    let aside = scene.quarantine();
    assert_eq!(aside.len(), 1, "{aside:?}");
    scene.told("quarantine", &["accept", aside[0]["record_id"].as_str().unwrap()]);
    scene.waits_for_face_files(1);
}

#[test]
fn a_suspended_tablet_loses_nothing_and_a_dry_run_does_nothing() {
    let scene = Scene::open();
    let dry = scene.hub("revoke", &[&scene.device, "--reason", "x", "--dry-run"]).success();
    assert!(dry.contains("Nothing was done"), "{dry}");
    let unsure = scene.hub("revoke", &[&scene.device, "--reason", "x"]);
    assert_eq!(unsure.code(), 5, "the end of the input is no yes: {}", unsure.transcript);
    assert_eq!(scene.devices()[0]["state"], "active");

    scene.told("suspend", &[&scene.device, "--reason", "見当たらない"]);
    let (queue, exit) = scene.queue(&["--send"]);
    assert_eq!((&queue["last_failure"]["code"], exit), (&json!("TZ-H09"), 6), "{queue}");
    assert_eq!((&queue["counts"]["sealed"], &queue["counts"]["draft"]), (&json!(1), &json!(1)), "{queue}");
    scene.told("resume", &[&scene.device]);
    let (queue, _) = scene.queue(&["--send"]);
    assert_eq!((&queue["counts"]["accepted"], &queue["counts"]["draft"]), (&json!(1), &json!(1)), "{queue}");
    scene.waits_for_face_files(1);
    scene.audit_is_whole();
}
