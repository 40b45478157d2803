//! A first visit through every layer: card, consent, PIN, signature, answer, sealing, delivery, face file.

use std::fs;

use tazune_e2e::{
    clinic::Clinic,
    tablet::{Tablet, Visiting},
};
use tazune_model::{Eligibility, Validity};
use tazune_oqs::ResultMessage;
use tazune_sim::population::Sex;
use tempfile::TempDir;

struct Scene {
    clinic: Clinic,
    tablet: Tablet,
    _folder: TempDir,
}

fn scene() -> Scene {
    let folder = tempfile::tempdir().unwrap();
    let clinic = Clinic::open(folder.path());
    let tablet = clinic.pair("tablet-1");
    Scene { clinic, tablet, _folder: folder }
}

impl Scene {
    /// A visit with this person's card, worked to its end; the words of every screen.
    fn visit(&self, person: &str, arguments: &[&str]) -> Vec<String> {
        let mut visit = self.tablet.begin_visit(arguments);
        visit.hold(self.clinic.card(person));
        let words = words_until(&mut visit, "sealed");
        let delivered = visit.program().expect("delivered");
        assert_eq!(delivered["state"], "accepted");
        visit.finish().success();
        words
    }

    /// The face files, parsed, in the order of their names.
    fn faces(&self) -> Vec<ResultMessage> {
        let read = |name: &String| fs::read(self.clinic.face_folder().join(name)).unwrap();
        self.clinic.face_files().iter().map(|name| tazune_oqs::parse(&read(name)).unwrap()).collect()
    }
}

fn words_until(visit: &mut Visiting, body: &str) -> Vec<String> {
    let mut words = Vec::new();
    visit.until(body, |visit| words.extend(visit.words()));
    words
}

fn name(eligibility: &Eligibility) -> String {
    eligibility.qualifications[0].name.expose().clone()
}

#[test]
fn a_visit_ends_as_one_record_and_one_face_file_at_the_clinic() {
    let scene = scene();
    let words = scene.visit("valid", &[]);
    assert!(words.iter().any(|line| line.contains("保険は使えます")), "{words:?}");

    let records = scene.clinic.records();
    let [record] = records.as_slice() else { panic!("{records:?}") };
    assert_eq!((&record["outcome"], &record["validity"]), (&"answer".into(), &"valid".into()));
    assert_eq!(scene.clinic.face_files(), [record["file"].as_str().unwrap()]);
    let faces = scene.faces();
    let eligibility = faces[0].eligibility().unwrap();
    assert_eq!(eligibility.validity, Some(Validity::Valid));
    assert!(words.iter().any(|line| line.contains(&name(&eligibility))), "the screen and the file name one person");
}

#[test]
fn every_person_of_the_population_arrives_with_their_own_answer() {
    let scene = scene();
    let expected = [
        ("valid", "valid"),
        ("lost", "invalid"),
        ("none", "none"),
        ("elder", "valid"),
        ("hidden", "valid"),
        ("unknown-kanji", "valid"),
        ("grace", "valid"),
    ];
    for (count, (person, validity)) in expected.into_iter().enumerate() {
        scene.visit(person, &[]);
        let records = scene.clinic.records();
        assert_eq!(records.len(), count + 1);
        assert!(records.iter().any(|record| record["validity"] == validity), "{person}: {records:?}");
    }
    assert_eq!(scene.clinic.face_files().len(), expected.len(), "an answer is exported whatever its validity");
    let answers: Vec<_> = scene.faces().iter().map(|face| face.eligibility().unwrap()).collect();
    assert!(answers.iter().any(|answer| answer.qualifications.is_empty()));
    let people = || answers.iter().flat_map(|answer| &answer.qualifications);
    assert!(people().any(|person| person.address.is_none()), "a hidden address stays hidden");
    assert!(people().any(|person| person.name.expose().contains('●')));
    assert!(people().any(|person| person.copayment_percent == Some(30)));
}

#[test]
fn a_name_that_is_written_otherwise_blocks_nothing() {
    let scene = scene();
    let person = scene.clinic.world().people().iter().find(|person| person.key == "unknown-kanji").unwrap();
    let birth_date = person.birth_date.to_string();
    let sex = if person.sex == Sex::Male { "male" } else { "female" };
    let planned = ["--patient-name", "見本 髙子", "--birth-date", &birth_date, "--sex", sex];
    let words = scene.visit("unknown-kanji", &planned);
    assert!(words.iter().any(|line| line.contains("見本 髙子")), "the staff are shown both names: {words:?}");
    assert_eq!(scene.clinic.records()[0]["outcome"], "answer");
}

#[test]
fn another_persons_answer_is_neither_shown_nor_kept() {
    let scene = scene();
    let planned = ["--patient-name", "見本 一郎", "--birth-date", "1930-01-01", "--sex", "male"];
    let mut visit = scene.tablet.begin_visit(&planned);
    visit.hold(scene.clinic.card("valid"));
    let words = words_until(&mut visit, "person-mismatch");
    assert_eq!(visit.failure(), Some("TZ-V01"));
    visit.choose("end-without-answer");
    let words = [words, words_until(&mut visit, "sealed")].concat().concat();
    visit.finish().success();
    for marked in tazune_sim::population::MARKED_VALUES {
        // Names of the population share a family name with the planned patient, who may be shown.
        assert!(!words.replace("見本 一郎", "").contains(marked), "{marked} was shown");
    }
    assert_eq!(scene.clinic.records()[0]["outcome"], "person_mismatch");
    assert_eq!(scene.clinic.face_files(), [""; 0]);
}

#[test]
fn without_a_challenge_the_pin_is_not_asked_and_the_question_stays_open() {
    let scene = scene();
    scene.clinic.gateway().set_reachable(false);
    let mut visit = scene.tablet.begin_visit(&[]);
    let card = scene.clinic.card("valid");
    visit.hold(card.clone());
    let mut bodies = Vec::new();
    visit.until("sealed", |visit| bodies.push(visit.body().to_owned()));
    visit.finish().success();
    assert!(
        bodies.iter().any(|body| body == "deferred") && !bodies.iter().any(|body| body == "enter-pin"),
        "{bodies:?}"
    );
    assert!(
        card.lock()
            .unwrap()
            .log()
            .iter()
            .filter_map(|entry| entry.as_command())
            .all(|command| command.len() <= 5 || command[1] != 0x20)
    );
    assert_eq!(scene.clinic.records()[0]["outcome"], "deferred");
    assert_eq!(scene.clinic.face_files(), [""; 0]);
}

#[test]
fn a_visit_killed_at_the_pin_goes_on_with_consent_and_reading_but_asks_the_pin_anew() {
    let scene = scene();
    let card = scene.clinic.card("valid");
    let mut visit = scene.tablet.begin_visit(&[]);
    visit.hold(card.clone());
    visit.until("enter-pin", |_| {});
    visit.kill();
    let read_before = card.lock().unwrap().log().len();

    let mut visit = scene.tablet.begin_visit(&["--resume"]);
    visit.hold(card.clone());
    let mut bodies = Vec::new();
    visit.until("sealed", |visit| bodies.push(visit.body().to_owned()));
    visit.finish().success();
    assert!(!bodies.iter().any(|body| body == "consent" || body == "hold-card-reading"), "{bodies:?}");
    let log = card.lock().unwrap().log()[read_before..].to_vec();
    let read: usize = log.iter().filter_map(|entry| entry.as_command()).filter(|command| command[1] == 0xB0).count();
    assert_eq!(read, 1, "only issuer and serial are read again: {log:?}");
    assert_eq!(scene.clinic.records().len(), 1);
}

#[test]
fn a_cancelled_visit_leaves_the_card_deselected_and_nothing_behind() {
    let scene = scene();
    let card = scene.clinic.card("valid");
    let mut visit = scene.tablet.begin_visit(&[]);
    visit.hold(card.clone());
    visit.until("enter-pin", |_| {});
    visit.choose("cancel");
    while visit.next_screen().is_some() {}
    assert_eq!(visit.finish().code(), 9, "cancelled");
    let log = card.lock().unwrap().log().to_vec();
    let last = log.iter().rev().find_map(|entry| entry.as_command()).unwrap();
    assert_eq!(last, [0x00, 0xA4, 0x04, 0x0C, 0x07, 0xA0, 0x00, 0x00, 0x01, 0x51, 0x00, 0x00]);
    let mut queue = scene.tablet.start(&["queue"]);
    let queue = queue.expect("queue");
    assert_eq!((queue["records"].as_array().unwrap().len(), queue["drafts"].as_array().unwrap().len()), (0, 0));
    assert_eq!(scene.clinic.records().len(), 0);
}

#[test]
fn a_record_sealed_while_the_hub_is_down_arrives_once_when_it_is_back() {
    let mut scene = scene();
    scene.clinic.stop_hub();
    let mut visit = scene.tablet.begin_visit(&[]);
    visit.hold(scene.clinic.card("valid"));
    visit.until("sealed", |_| {});
    assert_eq!(visit.program().expect("delivered")["state"], "sealed");
    assert_eq!(visit.finish().code(), 10, "done, but not everything is at the clinic");
    scene.clinic.start_hub();
    for _ in 0..2 {
        // The second time there is nothing to send.
        let mut queue = scene.tablet.start(&["queue", "--send"]);
        let queue = queue.expect("queue");
        assert_eq!(queue["counts"]["accepted"], 1);
        assert_eq!(queue["insecure_file_keys"], true, "every status says so");
    }
    assert_eq!(scene.clinic.records().len(), 1);
    assert_eq!(scene.clinic.face_files().len(), 1);
}
