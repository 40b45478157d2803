//! What is held to the reader, and what it answers.

use std::{
    net::TcpListener,
    sync::{Arc, Mutex},
};

use jiff::{Timestamp, ToSpan as _};
use tazune_model::FailureCode;
use tazune_sim::{
    CertificateSpec, Defect, TestCa,
    card::{CardKind, CardSpec, Tear, TearMoment, VirtualCard},
    vpcd::SharedCard,
};

use crate::scene::{Scene, device_fails, ends_accepted, shows, until_failure};

fn card(spec: &CardSpec) -> SharedCard {
    Arc::new(Mutex::new(VirtualCard::new(spec)))
}

fn tries_left(card: &SharedCard) -> Option<u8> {
    card.lock().unwrap().tries_left()
}

/// Whether a PIN was ever sent to the card: VERIFY with data.
fn was_given_a_pin(card: &SharedCard) -> bool {
    let card = card.lock().unwrap();
    card.log().iter().filter_map(|entry| entry.as_command()).any(|command| command[1] == 0x20 && command.len() > 5)
}

/// A visit with a card that stops before the PIN; with a good card it then goes on from there.
fn stops_before_the_pin(code: FailureCode, change: impl FnOnce(&mut CardSpec)) {
    let scene = Scene::open();
    let mut spec = scene.clinic.card_spec("valid");
    change(&mut spec);
    let (bad, tries) = (card(&spec), spec.tries_left);
    let mut visit = scene.tablet.begin_visit(&[]);
    visit.hold(bad.clone());
    until_failure(&mut visit, code);
    assert_eq!(visit.body(), "trouble");
    assert!(!was_given_a_pin(&bad));
    assert_eq!(tries_left(&bad).unwrap_or(tries), tries);
    visit.hold(scene.clinic.card("valid"));
    visit.choose("try-again");
    ends_accepted(visit);
}

fn with_certificate(spec: &mut CardSpec, ca: &TestCa, certificate: &CertificateSpec) {
    let CardSpec { certificate: der, key, .. } = CardSpec::issued(ca, certificate);
    (spec.certificate, spec.key) = (der, key);
}

fn in_its_life() -> CertificateSpec {
    CertificateSpec::valid_on(today())
}

fn today() -> jiff::civil::Date {
    now().to_zoned(jiff::tz::TimeZone::UTC).date()
}

#[expect(clippy::disallowed_methods, reason = "the programs under test live on the wall clock too")]
fn now() -> Timestamp {
    Timestamp::now()
}

pub(crate) fn no_card_is_held(code: FailureCode) {
    let scene = Scene::open();
    let mut visit = scene.tablet.begin_visit(&["--card-wait", "1"]);
    until_failure(&mut visit, code);
    assert_eq!(visit.body(), "trouble");
    visit.hold(scene.clinic.card("valid"));
    visit.choose("try-again");
    ends_accepted(visit);
}

pub(crate) fn the_card_is_torn_away(code: FailureCode) {
    let scene = Scene::open();
    let card = scene.clinic.card("valid");
    card.lock().unwrap().tear(Tear { at: 3, moment: TearMoment::AnswerLost });
    let mut visit = scene.tablet.begin_visit(&[]);
    visit.hold_once(card.clone());
    until_failure(&mut visit, code);
    assert_eq!(visit.body(), "hold-card-reading");
    visit.hold(card);
    ends_accepted(visit);
}

pub(crate) fn another_card_is_held_for_the_signature(code: FailureCode) {
    let scene = Scene::open();
    let (first, other) = (scene.clinic.card("valid"), scene.clinic.card("elder"));
    let mut visit = scene.tablet.begin_visit(&[]);
    visit.hold(first.clone());
    visit.until("enter-pin", |_| {});
    visit.hold(other.clone());
    visit.go_on();
    // That the first card left may be shown on the way.
    visit.until("other-card", |_| {});
    shows(&visit, code);
    assert!(!was_given_a_pin(&first) && !was_given_a_pin(&other), "the entry was wiped");
    visit.hold(first);
    visit.choose("try-again");
    ends_accepted(visit);
    assert!(!was_given_a_pin(&other));
}

pub(crate) fn a_driving_licence_is_held(code: FailureCode) {
    stops_before_the_pin(code, |spec| spec.kind = CardKind::Other);
}

pub(crate) fn an_android_phone_is_held(code: FailureCode) {
    stops_before_the_pin(code, |spec| spec.kind = CardKind::AndroidPhone);
}

pub(crate) fn an_iphone_is_held(code: FailureCode) {
    stops_before_the_pin(code, |spec| spec.kind = CardKind::IPhone);
}

pub(crate) fn the_card_has_no_certificate(code: FailureCode) {
    stops_before_the_pin(code, |spec| spec.certificate = None);
}

pub(crate) fn the_certificate_begins_next_month(code: FailureCode) {
    let later = CertificateSpec { not_before: now() + (31 * 24).hours(), ..in_its_life() };
    stops_before_the_pin(code, |spec| with_certificate(spec, &TestCa::user(), &later));
}

pub(crate) fn the_certificate_is_of_another_authority(code: FailureCode) {
    stops_before_the_pin(code, |spec| with_certificate(spec, &TestCa::foreign(), &in_its_life()));
}

pub(crate) fn the_certificate_is_of_an_impostor(code: FailureCode) {
    stops_before_the_pin(code, |spec| with_certificate(spec, &TestCa::impostor(), &in_its_life()));
}

pub(crate) fn the_certificate_is_cut_short(code: FailureCode) {
    stops_before_the_pin(code, |spec| {
        spec.certificate.as_mut().unwrap().truncate(700);
        spec.certificate_file_len = 700;
    });
}

pub(crate) fn the_certificate_breaks_its_profile(code: FailureCode) {
    let broken = in_its_life().with(Defect::UnknownCriticalExtension);
    stops_before_the_pin(code, |spec| with_certificate(spec, &TestCa::user(), &broken));
}

pub(crate) fn a_wrong_pin_is_entered(code: FailureCode) {
    let scene = Scene::open();
    let card = scene.clinic.card("valid");
    let mut visit = scene.tablet.begin_visit(&[]);
    visit.hold(card.clone());
    visit.until("enter-pin", |_| {});
    visit.choose("enter-pin 9999");
    until_failure(&mut visit, code);
    assert_eq!((visit.body(), tries_left(&card)), ("enter-pin", Some(2)));
    assert!(visit.words().iter().any(|line| line.contains("これが最後です")), "{:?}", visit.words());
    visit.go_on();
    ends_accepted(visit);
    assert_eq!(tries_left(&card), Some(3), "a right entry brings the number back");
}

pub(crate) fn a_card_with_one_try_left_is_held(code: FailureCode) {
    stops_before_the_pin(code, |spec| spec.tries_left = 1);
}

pub(crate) fn two_wrong_pins_are_entered(code: FailureCode) {
    let scene = Scene::open();
    let card = scene.clinic.card("valid");
    let mut visit = scene.tablet.begin_visit(&[]);
    visit.hold(card.clone());
    visit.until("enter-pin", |_| {});
    visit.choose("enter-pin 9999");
    visit.until("enter-pin", |_| {});
    visit.choose("enter-pin 9998");
    until_failure(&mut visit, code);
    assert_eq!((visit.body(), tries_left(&card)), ("trouble", Some(1)));
    visit.choose("end-without-answer");
    ends_accepted(visit);
    assert_eq!(tries_left(&card), Some(1), "the last try is the patient's");
    scene.still_works();
}

pub(crate) fn a_locked_card_is_held(code: FailureCode) {
    stops_before_the_pin(code, |spec| spec.tries_left = 0);
}

pub(crate) fn the_card_answers_what_no_card_answers(code: FailureCode) {
    let scene = Scene::open();
    // SELECT, VERIFY and the signature: memory failure, and a success without a signature.
    let faults: [(u8, &[u8]); 3] = [(0xA4, &[0x65, 0x81]), (0x20, &[0x65, 0x81]), (0x2A, &[0x90, 0x00])];
    for (ins, answer) in faults {
        let card = scene.clinic.card("valid");
        card.lock().unwrap().answer_next(ins, answer);
        let mut visit = scene.tablet.begin_visit(&[]);
        visit.hold(card);
        until_failure(&mut visit, code);
        assert_eq!(visit.body(), "trouble");
        visit.choose("try-again");
        ends_accepted(visit);
    }
}

pub(crate) fn the_slot_of_the_reader_is_taken(code: FailureCode) {
    let scene = Scene::open();
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let reader = format!("virtual:{}", taken.local_addr().unwrap());
    device_fails(&scene.tablet, &["visit", "--staff", "dr-sample", "--card", &reader], code, 4);
    scene.still_works();
}

/// The suites with readers build another `tazune`; this one is the default.
pub(crate) fn a_reader_is_wanted_of_a_build_without_any(code: FailureCode) {
    let scene = Scene::open();
    device_fails(&scene.tablet, &["visit", "--staff", "dr-sample", "--card", "pcsc"], code, 4);
    device_fails(&scene.tablet, &["card"], code, 4);
    scene.still_works();
}
