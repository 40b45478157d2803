use jiff::SignedDuration;
use tazune_model::{DeferredReason, FailureCode, RecordedOutcome};
use tazune_visit::{Body, Effect, Event, Failure, GatewayError, Intent, IntentKind, Notice, PinAskedAgain, Refusal};

use crate::common::{
    Trial, after, answer, challenge, challenge_at, every_gateway_error, names, patient, pin, reading, record_id,
    signature,
};

fn body_of(effects: &[Effect]) -> Vec<u8> {
    let bodies: Vec<_> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::SendCheck { body } => Some(body.0.clone()),
            _ => None,
        })
        .collect();
    let [body] = bodies.try_into().expect("one check is sent");
    body
}

fn deferred(trial: &Trial) -> Option<DeferredReason> {
    match trial.visit.screen().body {
        Body::Deferred { reason, .. } => Some(reason),
        _ => None,
    }
}

#[test]
fn a_visit_with_signal_asks_once_and_ends_sealed() {
    let mut trial = Trial::new(Some(patient()));
    trial.say(Intent::AgreeAll);
    assert_eq!(names(&trial.say(Intent::Continue)), ["ReadCertificate"]);
    assert_eq!(names(&trial.on(Event::CardRead(Ok(reading(3))))), ["RequestChallenge"]);
    assert_eq!(names(&trial.on(Event::Challenged(Ok(challenge())))), ["WakeAt"]);
    assert_eq!(names(&trial.say(Intent::EnterPin(pin()))), ["Authenticate"]);
    assert_eq!(names(&trial.on(Event::CardAuthenticated(Ok(signature())))), ["ReleaseCard", "SendCheck"]);
    assert_eq!(names(&trial.on(Event::Answered(Ok(answer())))), [""; 0]);
    assert_eq!(names(&trial.say(Intent::Continue)), [""; 0]);
    let effects = trial.say(Intent::ConfirmCardReturned);
    let [Effect::Seal(unsealed)] = effects.as_slice() else { panic!("{effects:?}") };
    let record = unsealed.as_ref().clone().finish(record_id(), after(60));
    assert_eq!(record.visit_on.to_string(), "2026-11-21");
    assert!(record.ticks.card_returned && !record.ticks.person_confirmed);
    assert!(matches!(record.outcome, RecordedOutcome::Answer { .. }) && record.certificate.is_some());
    trial.on(Event::Sealed(record_id()));
    assert_eq!(trial.visit.screen().body, Body::Sealed { record_id: record_id() });
}

#[test]
fn without_a_challenge_no_pin_is_asked_and_consent_and_phase_are_kept() {
    for error in [GatewayError::Unreachable, GatewayError::Timeout, GatewayError::Refused(Refusal::Busy)] {
        let mut trial = Trial::awaiting_challenge(Some(patient()));
        assert_eq!(names(&trial.on(Event::Challenged(Err(error)))), ["ReleaseCard"]);
        assert_eq!(deferred(&trial), Some(DeferredReason::NoSignal));
        assert!(!trial.visit.screen().intents.contains(&IntentKind::EnterPin));
        trial.say(Intent::EndWithoutAnswer);
        let effects = trial.say(Intent::ConfirmCardReturned);
        let [Effect::Seal(unsealed)] = effects.as_slice() else { panic!("{effects:?}") };
        let record = unsealed.as_ref().clone().finish(record_id(), after(60));
        assert_eq!(record.outcome, RecordedOutcome::Deferred { reason: DeferredReason::NoSignal });
        assert!(record.consent.is_some() && record.certificate.is_some());
    }
}

#[test]
fn when_signal_comes_back_the_visit_goes_on_with_the_card_already_read() {
    let mut trial = Trial::awaiting_challenge(Some(patient()));
    trial.on(Event::Challenged(Err(GatewayError::Unreachable)));
    assert_eq!(names(&trial.say(Intent::TryAgain)), ["RequestChallenge"]);
    trial.on(Event::Challenged(Ok(challenge())));
    assert!(matches!(trial.visit.screen().body, Body::EnterPin { tries_left: 3, .. }));
}

#[test]
fn a_lost_signal_sends_the_same_bytes_until_the_challenge_ends_and_then_defers() {
    let mut trial = Trial::authenticating(Some(patient()));
    let first = body_of(&trial.on(Event::CardAuthenticated(Ok(signature()))));
    let ends_at = trial.now + SignedDuration::from_mins(10);
    let errors = [GatewayError::Unreachable, GatewayError::Timeout, GatewayError::Refused(Refusal::Busy)];
    let mut sent_count = 1;
    for error in errors.into_iter().cycle() {
        let effects = trial.on(Event::Answered(Err(error)));
        let [Effect::WakeAt(at)] = effects.as_slice() else { panic!("{effects:?}") };
        assert!(*at > trial.now && *at <= ends_at);
        let screen = trial.visit.screen();
        assert_eq!(screen.body, Body::Sending { retry_at: Some(*at) });
        assert!(matches!(screen.notice, Some(Notice::Failure(Failure { code, .. })) if code == error.failure_code()));
        trial.now = *at;
        let effects = trial.on(Event::Woken);
        if trial.now >= ends_at {
            assert_eq!(names(&effects), [""; 0]);
            break;
        }
        assert_eq!(body_of(&effects), first);
        sent_count += 1;
    }
    assert!((10..30).contains(&sent_count), "{sent_count}");
    assert_eq!(deferred(&trial), Some(DeferredReason::ChallengeEnded));
    // Asking again takes a new challenge and a new entry.
    assert_eq!(names(&trial.say(Intent::TryAgain)), ["RequestChallenge"]);
}

#[test]
fn waking_early_sends_nothing_and_sending_at_once_is_a_choice() {
    let mut trial = Trial::awaiting_signal();
    assert_eq!(names(&trial.on(Event::Woken)), ["WakeAt"]);
    assert_eq!(names(&trial.say(Intent::TryAgain)), ["SendCheck"]);
}

#[test]
fn an_answer_after_a_lost_one_is_taken() {
    let mut trial = Trial::awaiting_signal();
    trial.say(Intent::TryAgain);
    trial.on(Event::Answered(Ok(answer())));
    assert!(matches!(trial.visit.screen().body, Body::Answer { .. }));
}

#[test]
fn a_used_up_challenge_takes_a_new_one_and_a_new_entry() {
    for refusal in [Refusal::ChallengeUsed, Refusal::UnknownChallenge, Refusal::ChallengeExpired] {
        let mut trial = Trial::reading(Some(patient()));
        trial.on(Event::CardRead(Ok(reading(2))));
        trial.on(Event::Challenged(Ok(challenge())));
        trial.say(Intent::EnterPin(pin()));
        trial.on(Event::CardAuthenticated(Ok(signature())));
        assert_eq!(names(&trial.on(Event::Answered(Err(GatewayError::Refused(refusal))))), ["RequestChallenge"]);
        trial.on(Event::Challenged(Ok(challenge())));
        let screen = trial.visit.screen();
        // The right PIN has set the counter back.
        assert!(matches!(screen.body, Body::EnterPin { tries_left: 3, .. }), "{refusal:?}");
        assert_eq!(screen.notice, Some(Notice::PinAskedAgain(PinAskedAgain::ChallengeRenewed)));
    }
}

#[test]
fn every_gateway_error_leads_to_a_screen_of_its_own() {
    for error in every_gateway_error() {
        for mut trial in [Trial::awaiting_challenge(None), Trial::awaiting_answer(None)] {
            let waits_for_challenge = matches!(trial.visit.screen().body, Body::Connecting { .. });
            trial.on(if waits_for_challenge { Event::Challenged(Err(error)) } else { Event::Answered(Err(error)) });
            let screen = trial.visit.screen();
            let says_code = screen.notice == Some(Notice::Failure(error.failure_code().into()));
            let starts_anew = matches!(screen.body, Body::Connecting { .. }) && !waits_for_challenge;
            assert!(says_code || starts_anew, "{error:?}: {screen:?}");
        }
    }
}

#[test]
fn garbage_may_be_asked_again_with_the_same_bytes() {
    let mut trial = Trial::authenticating(Some(patient()));
    let first = body_of(&trial.on(Event::CardAuthenticated(Ok(signature()))));
    trial.on(Event::Answered(Err(GatewayError::Garbage)));
    assert_eq!(trial.visit.screen().body, Body::Trouble);
    assert_eq!(body_of(&trial.say(Intent::TryAgain)), first);
}

#[test]
fn an_answer_for_another_institution_is_garbage() {
    let mut trial = Trial::awaiting_answer(Some(patient()));
    let mut foreign = answer();
    foreign.eligibility.institution = tazune_model::InstitutionCode::new("1319999990").unwrap();
    trial.on(Event::Answered(Ok(foreign)));
    let garbage = Failure::from(FailureCode::GatewayGarbage);
    assert_eq!(trial.visit.screen().notice, Some(Notice::Failure(garbage)));
}

#[test]
fn a_wrong_clock_is_found_before_the_pin() {
    let mut trial = Trial::awaiting_challenge(Some(patient()));
    trial.on(Event::Challenged(Ok(challenge_at(after(301)))));
    let screen = trial.visit.screen();
    assert_eq!(screen.notice, Some(Notice::Failure(FailureCode::ClockSkew.into())));
    assert!(!screen.intents.contains(&IntentKind::EnterPin));
}

#[test]
fn a_challenge_that_grew_old_is_renewed_before_the_card_is_used() {
    // The timer came: nobody has entered anything yet.
    let mut trial = Trial::awaiting_pin(Some(patient()));
    trial.now = after(479);
    assert_eq!(names(&trial.on(Event::Woken)), ["WakeAt"]);
    trial.now = after(480);
    assert_eq!(names(&trial.on(Event::Woken)), ["RequestChallenge"]);

    // The timer did not come: the entry is wiped, not used, and the person is told why it is asked again.
    let mut trial = Trial::awaiting_pin(Some(patient()));
    trial.now = after(480);
    assert_eq!(names(&trial.say(Intent::EnterPin(pin()))), ["RequestChallenge"]);
    trial.on(Event::Challenged(Ok(challenge_at(trial.now))));
    let screen = trial.visit.screen();
    assert_eq!(screen.notice, Some(Notice::PinAskedAgain(PinAskedAgain::ChallengeRenewed)));
    assert_eq!(names(&trial.say(Intent::EnterPin(pin()))), ["Authenticate"]);
}

#[test]
fn ending_the_wait_leaves_the_question_open() {
    let mut trial = Trial::awaiting_signal();
    trial.say(Intent::EndWithoutAnswer);
    let effects = trial.say(Intent::ConfirmCardReturned);
    let [Effect::Seal(unsealed)] = effects.as_slice() else { panic!("{effects:?}") };
    let outcome = unsealed.as_ref().clone().finish(record_id(), after(60)).outcome;
    assert_eq!(outcome, RecordedOutcome::Deferred { reason: DeferredReason::StaffChoice });
}
