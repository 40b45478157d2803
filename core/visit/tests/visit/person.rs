use jiff::civil::date;
use tazune_model::{
    Consent, ConsentActor, ConsentItem, Eligibility, FailureCode, Language, PersonMatch, ProcessingStatus,
    Qualification, RecordedOutcome, Sex, Validity, VisitRecord,
};
use tazune_visit::{Body, Effect, Event, Failure, Intent, Notice, TEXT_VERSION};

use crate::common::{self, Trial, after, answer_of, eligibility, names, patient, qualification, record_id};

fn sealed(mut trial: Trial) -> VisitRecord {
    let effects = trial.say(Intent::ConfirmCardReturned);
    let [Effect::Seal(unsealed)] = effects.as_slice() else { panic!("{effects:?}") };
    unsealed.as_ref().clone().finish(record_id(), after(60))
}

fn answered(is_planned: bool, eligibility: Eligibility) -> Trial {
    let mut trial = Trial::awaiting_answer(is_planned.then(patient));
    trial.on(Event::Answered(Ok(answer_of(eligibility))));
    trial
}

fn person(name: &str, birth_year: i16, sex: Sex) -> Qualification {
    common::person(name, date(birth_year, 5, 5), sex)
}

#[test]
fn birth_date_and_sex_decide_and_a_name_is_only_shown() {
    use PersonMatch::*;
    let table = [
        (vec![person("見本　太郎", 1941, Sex::Male)], Some(Same)),
        (vec![person("見本　太●", 1941, Sex::Male)], Some(NameDiffers)),
        (vec![person("ミホン　タロウ", 1941, Sex::NotSet)], Some(NameDiffers)),
        (vec![person("見本　太郎", 1942, Sex::Male)], Some(OtherPerson)),
        (vec![person("見本　太郎", 1941, Sex::Female)], Some(OtherPerson)),
        (vec![person("見本　太郎", 1941, Sex::Male), person("見本　太●", 1941, Sex::Male)], Some(NameDiffers)),
        (vec![person("見本　太郎", 1941, Sex::Male), person("見本　太郎", 1940, Sex::Male)], Some(OtherPerson)),
        (vec![], None),
    ];
    for (qualifications, expected) in table {
        let mut trial = answered(true, eligibility(qualifications.clone()));
        let screen = trial.visit.screen();
        match expected {
            Some(OtherPerson) => {
                assert_eq!(screen.body, Body::PersonMismatch);
                assert_eq!(screen.notice, Some(Notice::Failure(Failure::from(FailureCode::PersonMismatch))));
            }
            expected => {
                let Body::Answer { other_name, .. } = screen.body else { panic!("{qualifications:?}") };
                assert_eq!(other_name.is_some(), expected == Some(NameDiffers));
                trial.say(Intent::Continue);
                let outcome = sealed(trial).outcome;
                assert!(matches!(outcome, RecordedOutcome::Answer { person, .. } if person == expected));
            }
        }
    }
}

#[test]
fn nothing_of_another_person_is_shown_kept_or_recorded() {
    let mut trial = answered(true, eligibility(vec![person("印字　別人", 1950, Sex::Female)]));
    let holds_nothing = |trial: &Trial| {
        let json = trial.json().to_string();
        ["印字", "1950", "PFhtbE1zZy8+"].iter().all(|part| !json.contains(part))
    };
    assert!(holds_nothing(&trial));

    // The right card is read from the start.
    let mut again = trial.clone();
    assert_eq!(names(&again.say(Intent::TryAgain)), ["ReadCertificate"]);

    trial.say(Intent::EndWithoutAnswer);
    assert!(holds_nothing(&trial));
    let record = sealed(trial);
    assert_eq!(record.outcome, RecordedOutcome::PersonMismatch);
    assert_eq!(record.certificate, None);
}

#[test]
fn without_a_planned_patient_the_staff_confirm() {
    let mut trial = answered(false, eligibility(vec![qualification()]));
    assert!(matches!(trial.visit.screen().body, Body::ConfirmPerson { qualification: Some(_) }));
    let mut rejected = trial.clone();

    trial.say(Intent::ConfirmPerson);
    trial.say(Intent::Continue);
    let record = sealed(trial);
    assert!(record.ticks.person_confirmed);
    assert!(matches!(record.outcome, RecordedOutcome::Answer { person: None, .. }));

    rejected.say(Intent::RejectPerson);
    assert_eq!(rejected.visit.screen().body, Body::PersonMismatch);
    rejected.say(Intent::EndWithoutAnswer);
    let record = sealed(rejected);
    assert_eq!((record.outcome, record.certificate), (RecordedOutcome::PersonMismatch, None));
}

#[test]
fn an_unusable_answer_is_an_answer_and_shows_its_state() {
    let mut none = eligibility(vec![]);
    none.validity = Some(Validity::None);
    let mut error = eligibility(vec![]);
    (error.status, error.validity) = (ProcessingStatus::Error, None);
    for eligibility in [none, error] {
        for is_planned in [true, false] {
            let mut trial = answered(is_planned, eligibility.clone());
            assert!(matches!(trial.visit.screen().body, Body::Answer { .. }));
            trial.say(Intent::Continue);
            let record = sealed(trial);
            assert!(matches!(record.outcome, RecordedOutcome::Answer { person: None, .. }));
            assert!(!record.ticks.person_confirmed);
        }
    }
}

#[test]
fn nothing_is_ticked_beforehand_and_only_shown_items_take_a_tick() {
    let mut trial = Trial::new(Some(patient()));
    let ticks = |trial: &Trial| match trial.visit.screen().body {
        Body::Consent { items, .. } => items,
        body => panic!("{body:?}"),
    };
    assert_eq!(ticks(&trial), [(ConsentItem::Drug, false), (ConsentItem::CheckUp, false)]);
    assert!(trial.try_on(Event::Intent(Intent::ToggleConsent(ConsentItem::Surgery))).is_err());
    trial.say(Intent::ToggleConsent(ConsentItem::CheckUp));
    assert_eq!(ticks(&trial), [(ConsentItem::Drug, false), (ConsentItem::CheckUp, true)]);
    trial.say(Intent::ToggleConsent(ConsentItem::CheckUp));
    trial.say(Intent::AgreeAll);
    assert!(ticks(&trial).iter().all(|(_, is_ticked)| *is_ticked));
    trial.say(Intent::DeclineAll);
    assert!(ticks(&trial).iter().all(|(_, is_ticked)| !is_ticked));

    // Whoever cannot express a will agrees to nothing, also to nothing ticked before.
    trial.say(Intent::AgreeAll);
    trial.say(Intent::SetActor(ConsentActor::CannotExpress));
    assert!(ticks(&trial).iter().all(|(_, is_ticked)| !is_ticked));
    assert!(trial.try_on(Event::Intent(Intent::AgreeAll)).is_err());
}

#[test]
fn the_record_holds_the_consent_as_it_was_given() {
    let mut trial = Trial::new(Some(patient()));
    trial.say(Intent::SetActor(ConsentActor::LegalRepresentative));
    trial.say(Intent::ToggleConsent(ConsentItem::CheckUp));
    trial.say(Intent::SetLanguage(Language::En));
    trial.now = after(30);
    trial.say(Intent::Continue);
    // What the screen speaks afterwards is not what was read before agreeing.
    trial.say(Intent::SetLanguage(Language::Ja));
    trial.say(Intent::EndWithoutAnswer);
    let effects = trial.say(Intent::Continue);
    let [Effect::Seal(unsealed)] = effects.as_slice() else { panic!("{effects:?}") };
    let expected = Consent::new(
        ConsentActor::LegalRepresentative,
        [ConsentItem::Drug, ConsentItem::CheckUp].into(),
        [ConsentItem::CheckUp].into(),
        Language::En,
        TEXT_VERSION.into(),
        after(30),
    );
    assert_eq!(unsealed.as_ref().clone().finish(record_id(), after(60)).consent, expected.ok());
}
