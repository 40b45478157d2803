//! Every failure that only a reader can have, provoked; tests/failures has all others.

use std::{collections::BTreeSet, time::Duration};

use serde_json::json;
use tazune_e2e::reader_rig::{FAILURES, SLOTS};
use tazune_model::{FailureCode, Language};
use tazune_visit::Texts;

use crate::{Scene, ends_accepted, pins_sent};

macro_rules! provocations {
    ($($code:literal $name:ident;)*) => {
        const PROVOKED: &[&str] = &[$($code,)*];

        $(
            #[test]
            fn $name() {
                provoke::$name(FailureCode::from_code($code).expect("a code of this version"));
            }
        )*
    };
}

provocations! {
    "TZ-C15" no_reader_is_plugged_in;
    "TZ-C16" two_readers_are_plugged_in_and_none_is_chosen;
    "TZ-C17" another_program_holds_the_card;
    "TZ-C19" the_service_does_not_run;
}

#[test]
fn every_code_of_a_reader_is_provoked() {
    assert_eq!(PROVOKED.iter().collect::<BTreeSet<_>>(), FAILURES.iter().collect());
}

/// `tazune card` and `tazune visit` end with this failure, for a script with its Japanese words.
fn both_commands_fail(scene: &Scene, card: &str, code: FailureCode) {
    let texts = Texts::new(Language::Ja);
    let words = json!({ "code": code.code(), "title": texts.failure_title(code), "do": texts.failure_remedy(code) });
    for command in [&["card"][..], &["visit", "--staff", "dr-sample"][..]] {
        let mut program = scene.laptop.start(&[command, &["--card", card]].concat());
        program.close_input();
        assert_eq!(program.expect("failure"), words, "{command:?}");
        assert_eq!(program.finish().code(), 4, "{command:?}");
    }
}

mod provoke {
    use super::*;

    fn still_works(scene: &Scene) {
        let mut visit = scene.laptop.begin_visit(&[]);
        visit.hold(scene.card());
        ends_accepted(visit);
    }

    pub(super) fn no_reader_is_plugged_in(code: FailureCode) {
        let scene = Scene::open();
        both_commands_fail(&scene, "pcsc:a-reader-nobody-has", code);
        scene.rig.unplug();
        both_commands_fail(&scene, "pcsc", code);
        scene.rig.plug_in();
        still_works(&scene);
    }

    pub(super) fn two_readers_are_plugged_in_and_none_is_chosen(code: FailureCode) {
        let scene = Scene::open();
        both_commands_fail(&scene, "pcsc", code);
        both_commands_fail(&scene, "pcsc:virtual pcd", code);
        let ended = scene.laptop.run(&["card"]);
        assert!(SLOTS.iter().all(|slot| ended.output.contains(slot)), "{}", ended.output);
        still_works(&scene);
    }

    pub(super) fn another_program_holds_the_card(code: FailureCode) {
        let scene = Scene::open();
        let card = scene.card();
        let mut visit = scene.laptop.begin_visit(&[]);
        visit.hold(card.clone());
        // It keeps the card to itself while the person types.
        visit.until("enter-pin", |_| {});
        let mut second = scene.laptop.start(&["card", "--card", "pcsc:00 00"]);
        second.close_input();
        assert_eq!(second.expect("failure")["code"], code.code());
        assert_eq!(second.finish().code(), 4);
        visit.go_on();
        ends_accepted(visit);
        assert_eq!(pins_sent(&card), 1);

        // In the middle of a visit it is told on the screen, and the visit goes on when the other is done.
        let mut visit = scene.laptop.begin_visit(&[]);
        let mut other = scene.laptop.begin_visit(&[]);
        other.hold(scene.card());
        other.until("enter-pin", |_| {});
        visit.until("trouble", |_| {});
        assert_eq!(visit.failure(), Some(code.code()), "{:?}", visit.words());
        other.choose("cancel");
        assert_eq!(other.finish().code(), 9);
        std::thread::sleep(Duration::from_secs(2));
        visit.choose("try-again");
        visit.hold(scene.card());
        ends_accepted(visit);
    }

    pub(super) fn the_service_does_not_run(code: FailureCode) {
        let scene = Scene::open();
        scene.rig.stop();
        both_commands_fail(&scene, "pcsc", code);
        scene.rig.plug_in();
        still_works(&scene);
    }
}
