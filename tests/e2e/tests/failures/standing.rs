//! Devices that the clinic has suspended or revoked, and decisions that cannot be.

use std::fs;

use serde_json::{Value, json};
use tazune_e2e::clinic::Clinic;
use tazune_model::FailureCode;

use crate::scene::{Scene, device_fails, hub_fails, words_of};

/// Runs a command of the hub about the one device; its answer.
fn order(scene: &Scene, command: &str, arguments: &[&str]) -> Value {
    let mut devices = scene.clinic.start("devices", &["--json"]);
    devices.close_input();
    let told: Value = serde_json::from_str(&devices.finish().success()).unwrap();
    let device = told["devices"][0]["device"].as_str().unwrap().to_owned();
    let mut ordered = scene.clinic.start(command, &[&[&*device, "--json"], arguments].concat());
    ordered.close_input();
    serde_json::from_str(&ordered.finish().success()).unwrap()
}

pub(crate) fn the_device_is_suspended(code: FailureCode) {
    let mut scene = Scene::open();
    scene.seal_unsent();
    scene.clinic.start_hub();
    order(&scene, "suspend", &["--reason", "見当たらない"]);
    device_fails(&scene.tablet, &["queue", "--send"], code, 6);
    assert_eq!(scene.queue(&[]).0["counts"]["sealed"], 1, "the record waits");
    order(&scene, "resume", &[]);
    let (queue, exit) = scene.queue(&["--send"]);
    assert_eq!((&queue["counts"]["accepted"], exit), (&json!(1), 0), "{queue}");
    scene.still_works();
}

pub(crate) fn the_device_is_revoked(code: FailureCode) {
    let mut scene = Scene::open();
    order(&scene, "revoke", &["--reason", "退職", "--kind", "left", "--yes"]);
    device_fails(&scene.tablet, &["queue", "--send"], code, 3);
    device_fails(&scene.tablet, &["visit", "--card", "virtual:127.0.0.1:0", "--staff", "dr-sample"], code, 3);
    scene.tablet = scene.clinic.pair("tablet-1");
    scene.still_works();
}

pub(crate) fn the_tombstone_is_signed_with_another_key(code: FailureCode) {
    let mut scene = Scene::open();
    scene.seal_unsent();
    let other = Clinic::open(&scene.folder.path().join("other"));
    fs::copy(other.hub_folder().join("desk/receipt.key"), scene.desk_folder().join("receipt.key")).unwrap();
    scene.clinic.start_hub();
    order(&scene, "revoke", &["--reason", "偽", "--yes"]);
    device_fails(&scene.tablet, &["queue", "--send"], code, 6);
    let (queue, _) = scene.queue(&[]);
    assert_eq!((&queue["counts"]["sealed"], &queue["revocation"]), (&json!(1), &Value::Null), "{queue}");
    assert_eq!(queue["last_failure"], words_of(code));
    for key in ["staff.key", "transport.key"] {
        assert!(scene.tablet.data().join("keys").join(key).exists(), "{key} stays");
    }
}

pub(crate) fn nobody_has_this_name(code: FailureCode) {
    let scene = Scene::open();
    let hub = scene.clinic.hub_folder();
    let hub = hub.to_str().unwrap();
    let record = "019a0000-0000-7000-8000-000000000001";
    for command in [
        &["suspend", "--data", hub, "dev-none", "--reason", "x"][..],
        &["resume", "--data", hub, "dev-none"],
        &["revoke", "--data", hub, "dev-none", "--reason", "x", "--yes"],
        &["revoke", "--data", hub, "dev-none", "--reason", "x", "--dry-run"],
        &["quarantine", "--data", hub, "accept", record],
        &["quarantine", "--data", hub, "reject", record, "--reason", "x"],
    ] {
        hub_fails(command, code, 5);
    }
    order(&scene, "revoke", &["--reason", "x", "--yes"]);
    let told = order(&scene, "revoke", &["--reason", "y", "--yes"]);
    assert_eq!(told["reason"], "x", "the same order again changes nothing");
    let device = told["device"].as_str().unwrap();
    hub_fails(&["resume", "--data", hub, device], code, 5);
}
