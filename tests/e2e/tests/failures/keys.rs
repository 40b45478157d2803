//! The device's keys.

use std::fs;

use tazune_model::FailureCode;

use crate::scene::{Scene, device_fails, person_is_told, person_without_rights_is_told};

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
