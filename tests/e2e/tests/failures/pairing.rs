//! Pairing: offers, digits, and devices that may not be paired now.

use std::fs;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;
use tazune_e2e::{clinic::Clinic, process::Program, tablet::Tablet};
use tazune_model::FailureCode;

use crate::scene::{Scene, device_fails, words_of};

/// Begins at the desk: the command, and the text of its offer.
fn opened(clinic: &Clinic) -> (Program, String) {
    let mut desk = clinic.start("pair", &["--json"]);
    let offer = desk.expect_event("opened")["offer"].as_str().unwrap().to_owned();
    (desk, offer)
}

/// A device with a folder of its own that answers the offer; the digits it shows.
fn answered(scene: &Scene, offer: &str) -> (Program, String) {
    let tablet = Tablet::new(scene.folder.path().join("tablet-2"));
    let mut device = tablet.start(&["pair", "--offer", offer]);
    let digits = device.expect("code").as_str().unwrap().to_owned();
    (device, digits)
}

/// The device is told why it was not paired.
fn is_told(mut device: Program, code: FailureCode) {
    assert_eq!(device.expect("failure"), words_of(code));
    assert_eq!(device.finish().code(), 3);
}

/// The desk is told too.
fn desk_is_told(mut desk: Program, code: FailureCode) {
    assert_eq!(desk.expect_event("failed")["code"], code.code());
    let ended = desk.finish();
    assert_eq!(ended.code(), 5);
    assert!(ended.transcript.contains(&format!("tazune-hub: {code}: ")), "{}", ended.transcript);
}

fn fails_on_a_new_device(scene: &Scene, offer: &str, code: FailureCode) {
    let tablet = Tablet::new(scene.folder.path().join("tablet-2"));
    device_fails(&tablet, &["pair", "--offer", offer], code, 3);
    // What it made of keys is used when it is paired after all.
    let _paired = scene.clinic.pair("tablet-2");
}

pub(crate) fn the_text_is_no_offer(code: FailureCode) {
    let scene = Scene::open();
    fails_on_a_new_device(&scene, "https://clinic.example/", code);
}

pub(crate) fn the_session_is_of_another_hub(code: FailureCode) {
    let scene = Scene::open();
    let (_desk, offer) = opened(&scene.clinic);
    let stranger = changed(&offer, |offer| offer["session"] = "0".repeat(32).into());
    fails_on_a_new_device(&scene, &stranger, code);
}

pub(crate) fn the_offer_is_of_yesterday(code: FailureCode) {
    let scene = Scene::open();
    let (_desk, offer) = opened(&scene.clinic);
    let stale = changed(&offer, |offer| offer["expires_at"] = "2026-01-01T00:00:00Z".into());
    fails_on_a_new_device(&scene, &stale, code);
}

pub(crate) fn the_hub_was_restarted_meanwhile(code: FailureCode) {
    let mut scene = Scene::open();
    let (_desk, offer) = opened(&scene.clinic);
    scene.clinic.stop_hub();
    scene.clinic.start_hub();
    let (device, _) = answered(&scene, &offer);
    is_told(device, code);
    let _paired = scene.clinic.pair("tablet-2");
}

pub(crate) fn another_device_was_faster(code: FailureCode) {
    let scene = Scene::open();
    let (_desk, offer) = opened(&scene.clinic);
    let (_faster, _) = answered(&scene, &offer);
    device_fails(&Tablet::new(scene.folder.path().join("tablet-3")), &["pair", "--offer", &offer], code, 3);
}

pub(crate) fn other_digits_are_typed(code: FailureCode) {
    let scene = Scene::open();
    let (mut desk, offer) = opened(&scene.clinic);
    let (device, digits) = answered(&scene, &offer);
    desk.expect_event("awaiting_code");
    desk.say(if digits == "000000" { "000001" } else { "000000" });
    desk_is_told(desk, code);
    is_told(device, code);
    let _paired = scene.clinic.pair("tablet-2");
}

pub(crate) fn the_admin_says_no(code: FailureCode) {
    let scene = Scene::open();
    let (mut desk, offer) = opened(&scene.clinic);
    let (device, digits) = answered(&scene, &offer);
    desk.expect_event("awaiting_code");
    desk.say(&digits);
    desk.expect_event("awaiting_approval");
    desk.say("n");
    desk_is_told(desk, code);
    is_told(device, code);
    let _paired = scene.clinic.pair("tablet-2");
}

pub(crate) fn a_visit_begins_on_an_unpaired_device(code: FailureCode) {
    let folder = tempfile::tempdir().unwrap();
    let tablet = Tablet::new(folder.path().join("tablet"));
    let visit = ["visit", "--staff", "dr-sample", "--card", "virtual:127.0.0.1:0"];
    device_fails(&tablet, &visit, code, 3);
    device_fails(&tablet, &["queue", "--send"], code, 3);
}

pub(crate) fn a_device_with_visits_is_paired_anew(code: FailureCode) {
    let mut scene = Scene::open();
    scene.seal_unsent();
    let before = fs::read(scene.tablet.data().join("keys").join("transport.key")).unwrap();
    scene.clinic.start_hub();
    let (_desk, offer) = opened(&scene.clinic);
    device_fails(&scene.tablet, &["pair", "--offer", &offer], code, 10);
    assert_eq!(fs::read(scene.tablet.data().join("keys").join("transport.key")).unwrap(), before);
    assert_eq!(scene.queue(&["--send"]).1, 0, "the record still has its way to the clinic");
}

/// The offer with something changed, as text again.
fn changed(offer: &str, change: impl FnOnce(&mut Value)) -> String {
    let json = URL_SAFE_NO_PAD.decode(offer.strip_prefix("TZ1:").unwrap()).unwrap();
    let mut offer = serde_json::from_slice(&json).unwrap();
    change(&mut offer);
    format!("TZ1:{}", URL_SAFE_NO_PAD.encode(offer.to_string()))
}
