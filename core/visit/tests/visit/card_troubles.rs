use tazune_card::CardError;
use tazune_model::{FailureCode, RecordedOutcome};
use tazune_visit::{
    Body, CardTrouble, Effect, Event, Failure, Hold, Intent, IntentKind, Notice, PinAskedAgain, ReaderTrouble,
};

use crate::common::{
    Trial, after, challenge, every_intent, every_report, every_state, names, patient, pin, reading, record_id,
};

fn notice(trial: &Trial) -> Option<Notice> {
    trial.visit.screen().notice
}

fn failure(code: FailureCode) -> Option<Notice> {
    Some(Notice::Failure(Failure::from(code)))
}

fn recorded(mut trial: Trial) -> RecordedOutcome {
    trial.say(Intent::EndWithoutAnswer);
    let effects = trial.say(Intent::ConfirmCardReturned);
    let [Effect::Seal(unsealed)] = effects.as_slice() else { panic!("{effects:?}") };
    unsealed.as_ref().clone().finish(record_id(), after(60)).outcome
}

#[test]
fn no_event_but_an_entry_orders_the_card_to_verify_and_an_entry_orders_it_once() {
    for (state, trial) in every_state() {
        let events = every_intent().into_iter().map(Event::Intent).chain(every_report().into_iter().map(|(_, e)| e));
        for event in events {
            let shown = format!("{state}, {event:?}");
            let is_entry = matches!(event, Event::Intent(Intent::EnterPin(_)));
            let mut after = trial.clone();
            let Ok(effects) = after.try_on(event) else { continue };
            let count = names(&effects).iter().filter(|name| **name == "Authenticate").count();
            assert_eq!(count, usize::from(is_entry), "{shown}");
            if is_entry {
                assert!(after.try_on(Event::Intent(Intent::EnterPin(pin()))).is_err(), "{shown}: a second entry");
            }
        }
    }
}

#[test]
fn a_lost_card_is_asked_for_again_in_both_holds() {
    for mut trial in [Trial::reading(Some(patient())), Trial::authenticating(Some(patient()))] {
        trial.on(Event::CardAwaited);
        assert!(matches!(trial.visit.screen().body, Body::HoldCard { hold: Hold::Awaited, .. }));
        for loss in [Event::CardAwaited, Event::CardTrouble(CardTrouble::Lost)] {
            trial.on(Event::CardProgress { read: 256, total: Some(1590) });
            assert_eq!(notice(&trial), None);
            assert_eq!(names(&trial.on(loss)), [""; 0]);
            assert!(matches!(trial.visit.screen().body, Body::HoldCard { hold: Hold::Lost, .. }));
            assert_eq!(notice(&trial), failure(FailureCode::CardLost));
        }
    }
}

#[test]
fn a_wrong_pin_is_asked_again_at_two_and_not_at_one() {
    let mut trial = Trial::authenticating(Some(patient()));
    assert_eq!(names(&trial.on(Event::CardAuthenticated(Err(CardError::WrongPin { tries_left: 2 })))), ["WakeAt"]);
    assert!(matches!(trial.visit.screen().body, Body::EnterPin { tries_left: 2, .. }));
    assert_eq!(notice(&trial), failure(FailureCode::PinWrong));

    // The card is told the number that was shown, so it does not take the change for somebody else's.
    let effects = trial.say(Intent::EnterPin(pin()));
    let [Effect::Authenticate { reading, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(reading.tries_left, 2);

    trial.on(Event::CardAuthenticated(Err(CardError::WrongPin { tries_left: 1 })));
    let screen = trial.visit.screen();
    assert_eq!(screen.body, Body::Trouble);
    assert_eq!(screen.notice, failure(FailureCode::PinLastTry));
    assert!(!screen.intents.contains(&IntentKind::EnterPin));
    assert_eq!(recorded(trial), RecordedOutcome::Trouble { code: "TZ-C11".into() });
}

#[test]
fn a_card_without_tries_to_spare_is_not_asked_whatever_said_so() {
    for (tries_left, code) in [(0, FailureCode::PinLocked), (1, FailureCode::PinLastTry)] {
        let mut trial = Trial::reading(Some(patient()));
        trial.on(Event::CardRead(Ok(reading(tries_left))));
        trial.on(Event::Challenged(Ok(challenge())));
        assert_eq!(notice(&trial), failure(code));
    }
    for (error, code) in [
        (CardError::PinLocked, FailureCode::PinLocked),
        (CardError::PinLastTry, FailureCode::PinLastTry),
        (CardError::AskPinAgain { tries_left: 1 }, FailureCode::PinLastTry),
    ] {
        let mut trial = Trial::authenticating(Some(patient()));
        trial.on(Event::CardAuthenticated(Err(error)));
        assert_eq!(notice(&trial), failure(code));
    }
}

#[test]
fn an_entry_that_did_not_count_is_asked_again_and_says_why() {
    let mut trial = Trial::authenticating(Some(patient()));
    trial.on(Event::CardAuthenticated(Err(CardError::AskPinAgain { tries_left: 3 })));
    assert!(matches!(trial.visit.screen().body, Body::EnterPin { tries_left: 3, .. }));
    assert_eq!(notice(&trial), Some(Notice::PinAskedAgain(PinAskedAgain::CardInterrupted)));
}

#[test]
fn giving_up_after_a_wrong_pin_records_it_and_giving_up_without_one_leaves_the_question_open() {
    let mut trial = Trial::authenticating(Some(patient()));
    trial.on(Event::CardAuthenticated(Err(CardError::WrongPin { tries_left: 2 })));
    assert_eq!(recorded(trial), RecordedOutcome::Trouble { code: "TZ-C10".into() });
    let open = RecordedOutcome::Deferred { reason: tazune_model::DeferredReason::StaffChoice };
    assert_eq!(recorded(Trial::awaiting_pin(Some(patient()))), open);
}

#[test]
fn another_card_wipes_the_entry_and_the_person_chooses() {
    let mut trial = Trial::authenticating(Some(patient()));
    assert_eq!(names(&trial.on(Event::CardAuthenticated(Err(CardError::OtherCard)))), ["ReleaseCard"]);
    assert_eq!(trial.visit.screen().body, Body::OtherCard { is_first_read: true });
    assert_eq!(notice(&trial), failure(FailureCode::OtherCard));
    assert_eq!(recorded(trial.clone()), RecordedOutcome::Trouble { code: "TZ-C03".into() });

    let mut first_again = trial.clone();
    assert_eq!(names(&first_again.say(Intent::TryAgain)), ["RequestChallenge"]);
    first_again.on(Event::Challenged(Ok(challenge())));
    assert!(matches!(first_again.visit.screen().body, Body::EnterPin { .. }));

    // Starting over keeps nothing of the first card.
    assert_eq!(names(&trial.say(Intent::StartOver)), ["ReadCertificate"]);
    let bare = Trial::reading(Some(patient()));
    assert_eq!(trial.json()["state"], bare.json()["state"]);

    let mut unread = Trial::reading(Some(patient()));
    unread.on(Event::CardRead(Err(CardError::OtherCard)));
    assert_eq!(unread.visit.screen().body, Body::OtherCard { is_first_read: false });
    assert_eq!(names(&unread.say(Intent::TryAgain)), ["ReadCertificate"]);
}

#[test]
fn what_stops_before_the_pin_is_named_can_be_tried_again_and_can_end_the_visit() {
    let stops = crate::common::every_card_error().into_iter().filter(|error| {
        !matches!(error, CardError::OtherCard | CardError::WrongPin { .. } | CardError::AskPinAgain { .. })
    });
    for error in stops {
        let code = error.failure_code().unwrap_or(FailureCode::CardAbsent);
        let mut trial = Trial::reading(Some(patient()));
        assert_eq!(names(&trial.on(Event::CardRead(Err(error.clone())))), ["ReleaseCard"]);
        let screen = trial.visit.screen();
        assert_eq!(screen.body, Body::Trouble, "{error}");
        assert!(matches!(screen.notice, Some(Notice::Failure(failure)) if failure.code == code), "{error}");
        assert_eq!(recorded(trial.clone()), RecordedOutcome::Trouble { code: code.to_string() });
        assert_eq!(names(&trial.say(Intent::TryAgain)), ["ReadCertificate"]);
    }
}

#[test]
fn no_card_for_the_signature_keeps_the_first_reading() {
    for trouble in [CardTrouble::Absent, CardTrouble::Reader(ReaderTrouble::Missing)] {
        let mut trial = Trial::authenticating(Some(patient()));
        assert_eq!(names(&trial.on(Event::CardTrouble(trouble))), ["ReleaseCard"]);
        assert_eq!(trial.visit.screen().body, Body::Trouble);
        assert_eq!(names(&trial.say(Intent::TryAgain)), ["RequestChallenge"]);
    }
}

#[test]
fn an_unexpected_answer_reads_the_card_anew_but_keeps_what_the_record_needs() {
    let mut trial = Trial::authenticating(Some(patient()));
    trial.on(Event::CardAuthenticated(Err(CardError::PinLocked)));
    let mut again = trial.clone();
    assert_eq!(names(&again.say(Intent::TryAgain)), ["ReadCertificate"]);
    trial.say(Intent::EndWithoutAnswer);
    let effects = trial.say(Intent::ConfirmCardReturned);
    let [Effect::Seal(unsealed)] = effects.as_slice() else { panic!("{effects:?}") };
    assert!(unsealed.as_ref().clone().finish(record_id(), after(60)).certificate.is_some());
}

#[test]
fn a_visit_that_saw_no_card_gives_none_back() {
    let mut trial = Trial::reading(Some(patient()));
    trial.on(Event::CardAwaited);
    trial.on(Event::CardTrouble(CardTrouble::Absent));
    trial.say(Intent::EndWithoutAnswer);
    assert!(matches!(trial.visit.screen().body, Body::Closing { has_card: false, .. }));
    let effects = trial.say(Intent::Continue);
    let [Effect::Seal(unsealed)] = effects.as_slice() else { panic!("{effects:?}") };
    let record = unsealed.as_ref().clone().finish(record_id(), after(60));
    assert!(!record.ticks.card_returned);
    assert_eq!(record.outcome, RecordedOutcome::Trouble { code: "TZ-C01".into() });
}
