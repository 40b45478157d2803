//! The gateway, its answers, and what becomes of them.

use jiff::SignedDuration;
use tazune_e2e::clinic::Clinic;
use tazune_model::FailureCode;
use tazune_sim::gateway::{Call, Fault, FaultOrder};

use crate::scene::{Scene, ends_accepted, until_failure};

/// A visit that meets the fault, shows the failure on a screen with `body`, and is done when it is tried again.
fn is_met_and_tried_again(code: FailureCode, order: FaultOrder, body: &str) {
    let scene = Scene::open();
    scene.clinic.gateway().fail(order);
    let mut visit = scene.tablet.begin_visit(&[]);
    visit.hold(scene.clinic.card("valid"));
    until_failure(&mut visit, code);
    assert_eq!(visit.body(), body);
    visit.choose("try-again");
    ends_accepted(visit);
    assert_eq!(scene.clinic.records()[0]["outcome"], "answer");
}

pub(crate) fn the_gateway_is_away(code: FailureCode) {
    let scene = Scene::open();
    scene.clinic.gateway().set_reachable(false);
    let mut visit = scene.tablet.begin_visit(&[]);
    visit.hold(scene.clinic.card("valid"));
    until_failure(&mut visit, code);
    assert_eq!(visit.body(), "deferred", "no PIN without a challenge");
    scene.clinic.gateway().set_reachable(true);
    visit.choose("try-again");
    ends_accepted(visit);
}

pub(crate) fn the_answer_is_lost_on_its_way(code: FailureCode) {
    let scene = Scene::open();
    scene.clinic.gateway().fail(FaultOrder::once(Call::Check, Fault::DropAnswer));
    let mut visit = scene.tablet.begin_visit(&[]);
    visit.hold(scene.clinic.card("valid"));
    until_failure(&mut visit, code);
    assert_eq!(visit.body(), "sending");
    // The same signed request is sent again by itself: no second PIN.
    visit.until("answer", |visit| assert_ne!(visit.body(), "enter-pin"));
    visit.go_on();
    ends_accepted(visit);
}

pub(crate) fn the_gateway_is_silent(code: FailureCode) {
    is_met_and_tried_again(code, FaultOrder::once(Call::Challenge, Fault::TimeOut), "deferred");
}

pub(crate) fn the_gateway_is_busy(code: FailureCode) {
    is_met_and_tried_again(code, FaultOrder::once(Call::Check, Fault::Busy), "sending");
}

pub(crate) fn the_certificate_is_revoked(code: FailureCode) {
    let scene = Scene::open();
    let person = scene.clinic.world().people().iter().find(|person| person.key == "lost").unwrap();
    scene.clinic.gateway().revoke(person.certificate.serial);
    let mut visit = scene.tablet.begin_visit(&[]);
    visit.hold(scene.clinic.card("lost"));
    until_failure(&mut visit, code);
    assert_eq!(visit.body(), "trouble");
    visit.choose("end-without-answer");
    ends_accepted(visit);
    assert_eq!(scene.clinic.records()[0]["outcome"], "trouble");
    scene.still_works();
}

pub(crate) fn the_challenge_is_garbage(code: FailureCode) {
    is_met_and_tried_again(code, FaultOrder::once(Call::Challenge, Fault::Garbage), "trouble");
}

pub(crate) fn the_answer_is_garbage(code: FailureCode) {
    is_met_and_tried_again(code, FaultOrder::once(Call::Check, Fault::Garbage), "trouble");
}

pub(crate) fn the_gateways_clock_is_ahead(code: FailureCode) {
    let scene = Scene::of(|folder| Clinic::open_with_gateway_ahead(folder, SignedDuration::from_mins(6)));
    let mut visit = scene.tablet.begin_visit(&[]);
    visit.hold(scene.clinic.card("valid"));
    until_failure(&mut visit, code);
    assert_eq!(visit.body(), "trouble");
    visit.choose("end-without-answer");
    ends_accepted(visit);
}

pub(crate) fn the_answer_is_about_another_person(code: FailureCode) {
    let scene = Scene::open();
    let person = scene.clinic.world().people().iter().find(|person| person.key == "valid").unwrap();
    let birth_date = person.birth_date.to_string();
    let planned = ["--patient-name", person.name, "--birth-date", &birth_date, "--sex", "female"];
    scene.clinic.gateway().fail(FaultOrder::once(Call::Check, Fault::OtherPerson));
    let mut visit = scene.tablet.begin_visit(&planned);
    visit.hold(scene.clinic.card("valid"));
    until_failure(&mut visit, code);
    assert_eq!(visit.body(), "person-mismatch");
    visit.choose("try-again");
    ends_accepted(visit);
    assert_eq!(scene.clinic.records()[0]["outcome"], "answer");
}

/// No answer that is taken is too large, so it is the plan: a name of control characters takes six bytes each in JSON.
pub(crate) fn the_plan_is_too_large_to_be_sealed(code: FailureCode) {
    let scene = Scene::open();
    let name = "\u{1}".repeat(120_000);
    let planned = ["--patient-name", &name, "--birth-date", "1930-01-01", "--sex", "male"];
    let mut visit = scene.tablet.begin_visit(&planned);
    visit.until("hold-card-reading", |_| {});
    visit.choose("end-without-answer");
    until_failure(&mut visit, code);
    assert_eq!(visit.body(), "seal-failed");
    visit.choose("cancel");
    while visit.next_screen().is_some() {}
    assert_eq!(visit.finish().code(), 9);
    scene.still_works();
}
