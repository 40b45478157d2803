//! The device's keys.

use std::{fs, os::unix::net::UnixListener};

use tazune_e2e::{clinic::Clinic, key_ring::session, process::Launcher, tablet::Tablet};
use tazune_model::FailureCode;

use crate::scene::{Scene, device_fails, is_told_to_a_person, person_is_told, person_without_rights_is_told, words_of};

/// Whoever may not read the key file cannot use the keys now, but they are there: the store is locked.
pub(crate) fn the_key_file_may_not_be_read(code: FailureCode) {
    use std::os::unix::fs::PermissionsExt as _;

    let mut scene = Scene::open();
    scene.seal_unsent();
    scene.clinic.start_hub();
    let path = scene.tablet.data().join("keys").join("transport.key");
    let allow = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    allow(0o000);
    if fs::read(&path).is_ok() {
        let data = scene.tablet.data().to_str().unwrap();
        // The administrator may read everything; without that right the program is as anybody's.
        person_without_rights_is_told(&["--data", data, "--insecure-file-keys", "queue", "--send"], code, 8);
    } else {
        device_fails(&scene.tablet, &["queue", "--send"], code, 8);
    }
    allow(0o600);
    assert_eq!(scene.queue(&["--send"]).1, 0);
}

pub(crate) fn plain_files_were_not_asked_for(code: FailureCode) {
    let scene = Scene::open();
    let data = scene.tablet.data().to_str().unwrap();
    person_is_told(&["--data", data, "queue"], code, 8);
}

pub(crate) fn the_key_files_are_gone(code: FailureCode) {
    let mut scene = Scene::open();
    scene.seal_unsent();
    scene.clinic.start_hub();
    let (keys, aside) = (scene.tablet.data().join("keys"), scene.tablet.data().join("aside"));
    fs::rename(&keys, &aside).unwrap();
    device_fails(&scene.tablet, &["queue", "--send"], code, 8);
    fs::rename(aside, keys).unwrap();
    assert_eq!(scene.queue(&["--send"]).1, 0);
}

pub(crate) fn no_key_store_runs_here(code: FailureCode) {
    pairing_fails(&session(None), code);
}

/// Somebody listens where the session bus should be, and says nothing.
pub(crate) fn the_key_store_is_silent(code: FailureCode) {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("bus");
    let _silent = UnixListener::bind(&socket).unwrap();
    pairing_fails(&session(Some(&socket)), code);
}

/// A device in this session cannot make its keys, which a script and a person are told at once; nothing was sent.
fn pairing_fails(session: &Launcher, code: FailureCode) {
    let folder = tempfile::tempdir().unwrap();
    let clinic = Clinic::open(folder.path());
    let mut desk = clinic.start("pair", &["--json"]);
    let offer = desk.expect_event("opened")["offer"].as_str().unwrap().to_owned();
    let pair = ["pair", "--name", "tablet-1", "--offer", &offer];
    let [data, others_data] = ["tablet-1", "tablet-2"].map(|name| folder.path().join(name));
    let mut for_script = Tablet::in_session(data, session.clone()).start(&pair);
    let own = ["--data", others_data.to_str().unwrap()];
    let for_person = session.start("tazune", &[own.as_slice(), &pair].concat());
    assert_eq!(for_script.expect("failure"), words_of(code));
    assert_eq!(for_script.finish().code(), 8);
    let told = for_person.finish();
    assert_eq!(told.code(), 8, "{}", told.transcript);
    is_told_to_a_person(&told.transcript, code);
    assert!(!desk.kill().transcript.contains("awaiting_code"));
}
