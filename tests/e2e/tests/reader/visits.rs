//! Whole visits at a reader.

use std::time::Duration;

use tazune_sim::card::{LogEntry, Tear, TearMoment};

use crate::{Scene, ends_accepted, pins_sent};

#[test]
fn a_visit_is_made_at_a_reader_and_leaves_the_card_without_power() {
    let scene = Scene::open();
    let card = scene.card();
    let mut visit = scene.laptop.begin_visit(&[]);
    visit.hold(card.clone());
    ends_accepted(visit);
    assert_eq!((pins_sent(&card), card.lock().unwrap().tries_left()), (1, Some(3)));
    let card = card.lock().unwrap();
    let log = card.log();
    // Whatever a program before it left verified is gone, and so is what this one verified.
    let first = log.iter().position(|entry| entry.as_command().is_some()).unwrap();
    assert!(log[..first].iter().any(|entry| matches!(entry, LogEntry::PowerOff)), "{:?}", &log[..first]);
    let last = log.iter().rposition(|entry| entry.as_command().is_some()).unwrap();
    assert!(matches!(log.get(last + 1), Some(LogEntry::PowerOff)), "{:?}", &log[last..]);
}

#[test]
fn a_card_that_is_torn_away_at_any_command_is_put_back_and_no_pin_is_sent_twice() {
    let scene = Scene::open();
    // In the middle of the certificate, and with a PIN on its way.
    for (at, moment) in [(3, TearMoment::AnswerLost), (5, TearMoment::BeforeProcessing), (5, TearMoment::AnswerLost)] {
        let card = scene.card();
        card.lock().unwrap().tear(Tear { at, moment });
        let mut visit = scene.laptop.begin_visit(&[]);
        visit.hold(card.clone());
        let mut entries = 0;
        visit.until("sealed", |visit| {
            entries += usize::from(visit.body() == "enter-pin" && visit.failure().is_none());
        });
        assert!(pins_sent(&card) <= entries.max(1), "at {at}: {} sent, {entries} asked", pins_sent(&card));
        assert_eq!(visit.program().expect("delivered")["state"], "accepted");
        visit.finish().success();
    }
}

#[test]
fn another_card_laid_down_while_the_pin_is_typed_is_never_given_it() {
    let scene = Scene::open();
    let (first, other) = (scene.card(), scene.clinic.card("elder"));
    let mut visit = scene.laptop.begin_visit(&[]);
    visit.hold(first.clone());
    visit.until("enter-pin", |_| {});
    visit.hold(other.clone());
    visit.go_on();
    visit.until("other-card", |_| {});
    assert_eq!(visit.failure(), Some("TZ-C03"), "{:?}", visit.words());
    assert_eq!((pins_sent(&first), pins_sent(&other)), (0, 0));
    visit.hold(first);
    visit.choose("try-again");
    ends_accepted(visit);
    assert_eq!(pins_sent(&other), 0);
}

#[test]
fn a_reader_that_is_unplugged_in_the_middle_is_found_again() {
    let scene = Scene::open();
    let card = scene.card();
    let mut visit = scene.laptop.begin_visit(&[]);
    visit.hold(card.clone());
    visit.until("enter-pin", |_| {});
    scene.rig.unplug();
    visit.go_on();
    visit.until("trouble", |_| {});
    assert_eq!(visit.failure(), Some("TZ-C15"), "{:?}", visit.words());
    assert_eq!(pins_sent(&card), 0);
    scene.rig.plug_in();
    visit.choose("try-again");
    ends_accepted(visit);
}

#[test]
fn waiting_for_a_card_is_cancelled_at_once() {
    let scene = Scene::open();
    let mut visit = scene.laptop.begin_visit(&["--card-wait", "600"]);
    visit.until("hold-card-reading", |_| {});
    visit.choose("cancel");
    let ended = visit.finish();
    assert_eq!(ended.code(), 9, "{}", ended.transcript);
}

#[test]
fn a_program_that_is_killed_leaves_a_card_without_power_soon() {
    let scene = Scene::open();
    let card = scene.card();
    let mut visit = scene.laptop.begin_visit(&[]);
    visit.hold(card.clone());
    visit.until("enter-pin", |_| {});
    let held = visit.kill_program();
    let has_no_power = || !card.lock().unwrap().is_powered();
    let is_off = (0..300).any(|_| {
        std::thread::sleep(Duration::from_millis(100));
        has_no_power()
    });
    assert!(is_off, "the service takes the power of a card that nobody uses");
    drop(held);
}
