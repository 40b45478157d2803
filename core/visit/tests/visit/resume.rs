use jiff::{SignedDuration, civil::date};
use tazune_model::DeferredReason;
use tazune_visit::{Body, CardStep, Effect, Event, Intent, Notice, PinAskedAgain, Visit};

use crate::common::{Trial, after, every_state, names, patient, setup};

/// Kills the program and starts it again at `seconds`.
fn restarted(trial: &Trial, seconds: i64) -> (Trial, Vec<&'static str>) {
    let stored = serde_json::to_vec(&trial.visit).unwrap();
    let visit: Visit = serde_json::from_slice(&stored).unwrap();
    let mut trial = Trial { visit, now: after(seconds) };
    let effects = trial.visit.resume(trial.now);
    (trial, names(&effects))
}

#[test]
fn every_state_is_stored_and_goes_on_where_it_is_safe() {
    for (state, before) in every_state() {
        let stored = serde_json::to_string(&before.visit).unwrap();
        let read_back: Visit = serde_json::from_str(&stored).unwrap();
        assert_eq!(serde_json::to_string(&read_back).unwrap(), stored, "{state}");

        let (after, effects) = restarted(&before, 60);
        let expected: &[&str] = match state {
            "reading" => &["ReadCertificate"],
            "awaiting challenge" => &["RequestChallenge"],
            "awaiting PIN" | "authenticating" => &["WakeAt"],
            "awaiting answer" | "awaiting signal" => &["SendCheck"],
            "sealing" => &["Seal"],
            _ => &[],
        };
        assert_eq!(effects, expected, "{state}");
        if !["authenticating", "awaiting signal"].contains(&state) {
            assert_eq!(after.visit.screen(), before.visit.screen(), "{state}");
        }
        // The screen still says the truth about what is legal.
        for kind in after.visit.screen().intents {
            if let Some(intent) = kind.intent() {
                assert!(after.clone().try_on(tazune_visit::Event::Intent(intent)).is_ok(), "{state}: {kind:?}");
            }
        }
    }
}

#[test]
fn the_pin_is_not_there_after_a_kill_so_it_is_asked_again() {
    let (trial, _) = restarted(&Trial::authenticating(Some(patient())), 60);
    let screen = trial.visit.screen();
    assert!(matches!(screen.body, Body::EnterPin { tries_left: 3, .. }));
    assert_eq!(screen.notice, Some(Notice::PinAskedAgain(PinAskedAgain::Restarted)));
}

#[test]
fn an_old_challenge_is_not_used_after_a_kill() {
    for trial in [Trial::awaiting_pin(Some(patient())), Trial::authenticating(Some(patient()))] {
        assert_eq!(restarted(&trial, 480).1, ["RequestChallenge"]);
    }
}

#[test]
fn a_signed_request_outlives_a_kill_and_ends_with_its_challenge() {
    for trial in [Trial::awaiting_answer(Some(patient())), Trial::awaiting_signal()] {
        assert_eq!(restarted(&trial, 599).1, ["SendCheck"]);
        let (late, effects) = restarted(&trial, 600);
        assert_eq!(effects, [""; 0]);
        assert!(matches!(
            late.visit.screen().body,
            Body::Deferred { reason: DeferredReason::ChallengeEnded, certificate: Some(_) }
        ));
    }
}

#[test]
fn a_half_read_card_is_read_from_the_start() {
    let mut trial = Trial::reading(Some(patient()));
    trial.on(tazune_visit::Event::CardProgress { read: 700, total: Some(1590) });
    let (trial, _) = restarted(&trial, 1);
    let hold = tazune_visit::Hold::Awaited;
    assert_eq!(trial.visit.screen().body, Body::HoldCard { step: CardStep::Reading, hold });
}

#[test]
fn the_visit_day_is_the_day_in_japan_on_which_it_began_also_the_next_morning() {
    for (started_at, day) in
        [("2026-11-20T14:59:59Z", date(2026, 11, 20)), ("2026-11-20T15:00:00Z", date(2026, 11, 21))]
    {
        let started_at = started_at.parse().unwrap();
        let mut visit = Visit::plan(setup(Some(patient())), started_at);
        let begun = visit.on(Event::Intent(Intent::Continue), started_at).unwrap();
        let next_morning = started_at + SignedDuration::from_hours(12);
        for effects in [begun, visit.resume(next_morning)] {
            let [Effect::ReadCertificate { visit_on }] = effects.as_slice() else { panic!("{effects:?}") };
            assert_eq!(*visit_on, day);
        }
    }
}
