//! `tazune card`: what is on the reader, without a PIN.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tazune_e2e::{
    process::Finished,
    reader_rig::{ReaderRig, SLOTS},
    tablet::Tablet,
};
use tazune_sim::card::{CardKind, CardSpec};

use crate::{Scene, pins_sent, sample, shared, unpaired};

const FIRST: &str = "pcsc:00 00";

fn look(laptop: &Tablet, arguments: &[&str]) -> (Value, Finished) {
    let mut program = laptop.start(&[&["card"], arguments].concat());
    program.close_input();
    let card = program.expect("card");
    (card, program.finish())
}

#[test]
fn an_unpaired_laptop_tells_kind_phase_and_tries_and_that_the_issuer_was_not_checked() {
    let scene = Scene::open();
    let (nobody, folder) = unpaired(&scene.rig);
    let card = scene.card();
    let _field = scene.rig.hold(0, card.clone(), Duration::ZERO);
    let (told, ended) = look(&nobody, &["--card", FIRST]);
    assert_eq!(ended.code(), 0, "{}", ended.transcript);
    assert_eq!(told["kind"], "my-number-card");
    assert_eq!((&told["certificate"]["state"], &told["certificate"]["phase"]), (&json!("present"), &json!("valid")));
    assert_eq!(told["certificate"]["issuer"], "unchecked");
    assert_eq!(told["tries_left"], 3);
    assert!(!folder.path().join("nobody").exists(), "nothing was made");
    let (told, _) = look(&scene.laptop, &["--card", FIRST]);
    assert_eq!(told["certificate"]["issuer"], "trusted", "the paired one knows the authority");
    assert_eq!((pins_sent(&card), card.lock().unwrap().tries_left()), (0, Some(3)));
    let keys: Vec<_> = told["certificate"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["expires_on", "issuer", "phase", "state"], "no serial, no name, no certificate");
}

#[test]
fn everything_that_may_lie_on_a_reader_is_told_apart() {
    let rig = Arc::new(ReaderRig::open());
    let (laptop, _folder) = unpaired(&rig);
    let card = |certificate: &str, tries_left: u8| json!({ "kind": "my-number-card", "certificate": { "state": certificate }, "tries_left": tries_left });
    let with = |change: fn(&mut CardSpec)| {
        let mut spec = sample();
        change(&mut spec);
        spec
    };
    let table = [
        (with(|spec| spec.kind = CardKind::AndroidPhone), json!({ "kind": "phone" })),
        (with(|spec| spec.kind = CardKind::Other), json!({ "kind": "other" })),
        (with(|spec| spec.certificate = None), card("missing", 3)),
        (with(|spec| (spec.certificate, spec.tries_left) = (None, 0)), card("missing", 0)),
        (
            with(|spec| {
                spec.certificate.as_mut().unwrap().truncate(700);
                spec.certificate_file_len = 700;
            }),
            card("broken", 3),
        ),
    ];
    let (nothing, ended) = look(&laptop, &["--card", FIRST, "--card-wait", "1"]);
    assert_eq!((nothing, ended.code()), (json!({ "kind": "none" }), 0));
    for (spec, wanted) in table {
        let _field = rig.hold(0, shared(&spec), Duration::ZERO);
        let (told, ended) = look(&laptop, &["--card", FIRST, "--card-wait", "20"]);
        assert_eq!((told, ended.code()), (wanted, 0));
    }
}

#[test]
fn of_two_readers_the_named_one_is_used() {
    let scene = Scene::open();
    let _field = scene.rig.hold(1, scene.card(), Duration::ZERO);
    let mut program = scene.laptop.start(&["card", "--card", "pcsc:00 01"]);
    program.close_input();
    let readers = program.next_json().unwrap();
    assert_eq!(readers, json!({ "readers": SLOTS, "reader": SLOTS[1] }));
    assert_eq!(program.expect("card")["kind"], "my-number-card");
    program.finish().success();
    let (told, _) = look(&scene.laptop, &["--card", FIRST, "--card-wait", "1"]);
    assert_eq!(told["kind"], "none");
}
