//! The clinic's PC.

use std::{fs, process::Command, thread, time::Duration};

use rusqlite::Connection;
use serde_json::Value;
use tazune_e2e::process::{Program, programs};
use tazune_model::FailureCode;

use crate::scene::{Scene, hub_fails};

pub(crate) fn the_face_folder_is_gone(code: FailureCode) {
    let scene = Scene::open();
    scene.clinic.disconnect_face_folder();
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

    scene.clinic.connect_face_folder();
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

pub(crate) fn the_audit_was_altered(code: FailureCode) {
    let scene = Scene::open();
    scene.still_works();
    let hub = scene.clinic.hub_folder();
    let verify = ["audit", "verify", "--data", hub.to_str().unwrap()];
    // The hub runs meanwhile.
    assert!(Program::run("tazune-hub", &verify).success().contains("The audit is whole."));
    let database = Connection::open(scene.desk_folder().join("desk.sqlite")).unwrap();
    let entry = "FROM audit_entry WHERE position = 2";
    let kept: String = database.query_row(&format!("SELECT entry {entry}"), [], |row| row.get(0)).unwrap();
    let set = "UPDATE audit_entry SET entry = ?1 WHERE position = 2";
    database.execute(set, [kept.replacen("hub_started", "hub_stopped", 1)]).unwrap();
    hub_fails(&verify, code, 5);
    let json = Program::run("tazune-hub", &[&verify[..], &["--json"]].concat());
    assert!(json.code() == 5 && json.transcript.contains("\"kind\": \"altered\""), "{}", json.transcript);
    database.execute(set, [kept]).unwrap();
    Program::run("tazune-hub", &verify).success();

    let page = ["audit", "list", "--data", hub.to_str().unwrap(), "--limit", "1", "--json"];
    let page: Value = serde_json::from_str(&Program::run("tazune-hub", &page).success()).unwrap();
    assert_eq!((&page["entries"][0]["event"], &page["next"]), (&"audit_began".into(), &1.into()));
}

pub(crate) fn the_hubs_database_was_set_back(code: FailureCode) {
    let mut scene = Scene::open();
    scene.clinic.stop_hub();
    let (hub, path) = (scene.clinic.hub_folder(), scene.desk_folder().join("desk.sqlite"));
    let before = fs::read(&path).unwrap();
    scene.clinic.start_hub();
    scene.clinic.stop_hub();
    fs::write(&path, before).unwrap();
    let witness = scene.desk_folder().join("audit-witness.jsonl");
    let verify = ["audit", "verify", "--data", hub.to_str().unwrap()];
    Program::run("tazune-hub", &verify).success();
    hub_fails(&[&verify[..], &["--witness", witness.to_str().unwrap()]].concat(), code, 5);
    scene.clinic.start_hub();
    scene.still_works();
}

pub(crate) fn there_is_no_service_manager(code: FailureCode) {
    let scene = Scene::open();
    let data = scene.clinic.hub_folder();
    let place = scene.folder.path().join("no programs here");
    fs::create_dir(&place).unwrap();
    let service = |arguments: &[&str]| {
        Command::new(programs().join("tazune-hub"))
            .args(["service"])
            .args(arguments)
            .env("PATH", &place)
            .env("XDG_CONFIG_HOME", &place)
            .output()
            .unwrap()
    };
    let install = ["install", "--user", "--data", data.to_str().unwrap()];
    for arguments in [&["status", "--user"][..], &["uninstall", "--user"], &install] {
        let told = service(arguments);
        let said = String::from_utf8(told.stderr).unwrap();
        assert!(said.starts_with(&format!("tazune-hub: {code}: ")), "{arguments:?}: {said}");
        assert_eq!(told.status.code(), Some(7), "{arguments:?}");
    }
    scene.still_works();
}
