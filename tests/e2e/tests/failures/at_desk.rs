//! The clinic's PC.

use std::{fs, thread, time::Duration};

use serde_json::Value;
use tazune_model::FailureCode;

use crate::scene::{Scene, hub_fails};

pub(crate) fn the_face_folder_is_gone(code: FailureCode) {
    let scene = Scene::open();
    fs::remove_dir_all(scene.clinic.face_folder()).unwrap();
    // Only the file waits: the record is accepted.
    scene.still_works();
    let told = || -> Value {
        let mut records = scene.clinic.start("records", &["--json"]);
        records.close_input();
        serde_json::from_str(&records.finish().success()).unwrap()
    };
    while told()["face_failure"] != code.code() {
        thread::sleep(Duration::from_millis(20));
    }
    let mut records = scene.clinic.start("records", &[]);
    records.close_input();
    assert!(records.finish().success().contains(code.code()), "a person is told too");

    fs::create_dir(scene.clinic.face_folder()).unwrap();
    while scene.clinic.face_files().is_empty() {
        thread::sleep(Duration::from_millis(20));
    }
    while told()["face_failure"] != Value::Null {
        thread::sleep(Duration::from_millis(20));
    }
}

pub(crate) fn no_hub_runs_here(code: FailureCode) {
    let mut scene = Scene::open();
    scene.clinic.stop_hub();
    let hub = scene.clinic.hub_folder();
    for command in ["records", "pair"] {
        hub_fails(&[command, "--data", hub.to_str().unwrap()], code, 4);
    }
    scene.clinic.start_hub();
    scene.still_works();
}

pub(crate) fn the_gateway_does_not_enrol(code: FailureCode) {
    let scene = Scene::open();
    scene.clinic.gateway().set_reachable(false);
    let mut desk = scene.clinic.start("pair", &["--json", "--yes"]);
    let offer = desk.expect_event("opened")["offer"].as_str().unwrap().to_owned();
    let tablet = tazune_e2e::tablet::Tablet::new(scene.folder.path().join("tablet-2"));
    let mut device = tablet.start(&["pair", "--offer", &offer]);
    let digits = device.expect("code");
    desk.expect_event("awaiting_code");
    desk.say(digits.as_str().unwrap());
    let ended = desk.finish();
    assert_eq!(ended.code(), 5, "{}", ended.transcript);
    assert!(ended.transcript.contains(&format!("tazune-hub: {code}: ")), "{}", ended.transcript);
    device.kill();
    scene.clinic.gateway().set_reachable(true);
    let _paired = scene.clinic.pair("tablet-2");
}

pub(crate) fn a_setting_is_malformed(code: FailureCode) {
    let mut scene = Scene::open();
    let hub = scene.clinic.hub_folder();
    let hub = hub.to_str().unwrap();
    // A second hub cannot use the folder of one that runs.
    hub_fails(&["serve", "--data", hub], code, 3);
    scene.clinic.stop_hub();
    let path = scene.desk_folder().join("settings.json");
    let settings = fs::read_to_string(&path).unwrap();
    fs::write(&path, settings.replace("\"gateway_url\"", "\"gateway_adress\"")).unwrap();
    hub_fails(&["serve", "--data", hub], code, 3);
    fs::write(&path, settings).unwrap();
    scene.clinic.start_hub();
    scene.still_works();
}
