use jiff::{SignedDuration, tz::TimeZone};
use tazune_card::Signature;
use tazune_link::keys::sha256;
use tazune_model::{
    ConsentItem, DeviceId, InstitutionCode, Language, Personal, PlannedPatient, RecordId, Sex, StaffId, Timestamp,
    VisitRecord,
};
use tazune_visit::{AnswerReceived, Challenge, Effect, Event, Intent, UnsealedVisit, Visit, VisitSetup};

use crate::card::{self, VISIT_ON};

/// Message 002 about an invented person, some four kilobytes.
pub(crate) const ANSWER: &[u8] = include_bytes!("../../vectors/oqs/answer-valid.xml");

/// The clinic of every visit here.
pub(crate) const INSTITUTION: &str = "9918000010";

/// The instant of every event here: eleven in the morning in Japan.
pub(crate) fn now() -> Timestamp {
    TimeZone::UTC.to_timestamp(VISIT_ON.at(2, 0, 0, 0)).expect("UTC has every time of day once")
}

/// A visit whose PIN was entered, and the signature that the card gives for it.
pub(crate) fn authenticating() -> (Visit, Signature) {
    let mut visit = Visit::plan(setup(), now());
    on(&mut visit, Event::Intent(Intent::AgreeAll));
    on(&mut visit, Event::Intent(Intent::Continue));
    let mut card = card::powered();
    let reading = card::read(&mut card);
    on(&mut visit, Event::CardRead(Ok(reading)));
    on(&mut visit, Event::Challenged(Ok(challenge())));
    let effects = on(&mut visit, Event::Intent(Intent::EnterPin(card::pin())));
    let [Effect::Authenticate { reading, message, .. }] = effects.as_slice() else {
        unreachable!("an entry makes the card sign");
    };
    let signature = card::sign(&mut card, reading, message);
    (visit, signature)
}

/// An answer as the engine's gateway client reads it.
pub(crate) fn received(document: &[u8]) -> AnswerReceived {
    let message = tazune_oqs::parse(document).expect("the sample is a message");
    let eligibility = message.eligibility().expect("the sample is complete");
    AnswerReceived { document: document.into(), sha256: sha256(document), eligibility }
}

/// A visit with this answer, to be sealed.
pub(crate) fn unsealed(document: &[u8]) -> UnsealedVisit {
    let (mut visit, signature) = authenticating();
    on(&mut visit, Event::CardAuthenticated(Ok(signature)));
    on(&mut visit, Event::Answered(Ok(received(document))));
    on(&mut visit, Event::Intent(Intent::Continue));
    to_seal(&mut visit)
}

/// A visit that the staff ended before there was an answer, to be sealed.
pub(crate) fn unsealed_without_answer() -> UnsealedVisit {
    let (mut visit, _) = authenticating();
    on(&mut visit, Event::Intent(Intent::EndWithoutAnswer));
    to_seal(&mut visit)
}

/// The record of a visit, under an id that is not meant to stay.
pub(crate) fn record(unsealed: UnsealedVisit) -> VisitRecord {
    unsealed.finish(RecordId::make(now(), &[7; 10]), now())
}

fn to_seal(visit: &mut Visit) -> UnsealedVisit {
    let effects = on(visit, Event::Intent(Intent::ConfirmCardReturned));
    let sealed = effects.into_iter().find_map(|effect| match effect {
        Effect::Seal(unsealed) => Some(*unsealed),
        _ => None,
    });
    sealed.expect("a returned card closes the visit")
}

fn on(visit: &mut Visit, event: Event) -> Vec<Effect> {
    visit.on(event, now()).expect("the events come in order")
}

fn challenge() -> Challenge {
    let (issued_at, expires_at) = (now(), now() + SignedDuration::from_mins(10));
    Challenge { challenge: vec![0xC5; 32].into(), issued_at, expires_at }
}

/// A visit planned for the person of [`ANSWER`].
fn setup() -> VisitSetup {
    VisitSetup {
        institution: InstitutionCode::new(INSTITUTION).expect("ten digits"),
        device_id: DeviceId::new("bench-1").expect("a short word"),
        staff: StaffId::new("staff-mihon").expect("a short word"),
        patient: Some(PlannedPatient {
            reference_number: None,
            name: Personal::new("見本 太郎".into()),
            birth_date: Personal::new(jiff::civil::date(1953, 4, 5)),
            sex: Personal::new(Sex::Male),
        }),
        language: Language::Ja,
        consent_items: vec![ConsentItem::Drug, ConsentItem::CheckUp],
    }
}
