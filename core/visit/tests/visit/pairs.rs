use std::collections::{BTreeMap, BTreeSet};

use tazune_visit::{Event, IntentKind};

use crate::common::{every_intent, every_report, every_state, names};

/// The reports that each state takes; every other pair is refused. Intents are held against the screen instead.
const TAKEN: &[(&str, &[&str])] = &[
    ("reading", &["CardAwaited", "CardProgress", "CardRead", "CardTrouble"]),
    ("awaiting challenge", &["Challenged"]),
    ("awaiting PIN", &["Woken"]),
    ("authenticating", &["CardAuthenticated", "CardAwaited", "CardProgress", "CardTrouble"]),
    ("awaiting answer", &["Answered"]),
    ("awaiting signal", &["Woken"]),
    ("sealing", &["SealFailed", "Sealed"]),
];

#[test]
fn every_pair_of_state_and_report_is_taken_or_refused_as_the_table_says() {
    let table: BTreeMap<_, BTreeSet<_>> =
        TAKEN.iter().map(|(state, events)| (*state, events.iter().copied().collect())).collect();
    let states = every_state();
    for state in table.keys() {
        assert!(states.iter().any(|(name, _)| name == state), "{state}: no such state");
    }
    for (state, trial) in states {
        for (name, event) in every_report() {
            let shown = format!("{state}, {event:?}");
            let mut after = trial.clone();
            let result = after.try_on(event);
            let is_wanted = table.get(state).is_some_and(|events| events.contains(name));
            assert_eq!(result.is_ok(), is_wanted, "{shown}");
            if result.is_err() {
                assert_eq!(after.json(), trial.json(), "{shown}: refused, but the state changed");
            }
        }
    }
}

#[test]
fn a_screen_offers_exactly_what_the_machine_does_not_refuse() {
    for (state, trial) in every_state() {
        let offered = trial.visit.screen().intents;
        assert_eq!(offered.len(), offered.iter().collect::<std::collections::HashSet<_>>().len(), "{state}: doubled");
        for intent in every_intent() {
            let kind = intent.kind();
            let mut after = trial.clone();
            let result = after.try_on(Event::Intent(intent));
            assert_eq!(result.is_ok(), offered.contains(&kind), "{state}: {kind:?}");
            if result.is_err() {
                assert_eq!(after.json(), trial.json(), "{state}: {kind:?} was refused, but the state changed");
            }
        }
    }
}

#[test]
fn an_offered_choice_is_the_intent_it_names() {
    for intent in every_intent() {
        match intent.kind().intent() {
            Some(again) => assert_eq!(again.kind(), intent.kind()),
            None => assert_eq!(intent.kind(), IntentKind::EnterPin),
        }
    }
}

#[test]
fn a_refusal_names_state_and_event() {
    for (_, mut trial) in every_state() {
        if let Err(refused) = trial.try_on(Event::Intent(tazune_visit::Intent::EnterPin(crate::common::pin()))) {
            let text = refused.to_string();
            assert!(text.starts_with("enter-pin: not legal while ") && !text.contains(crate::common::PIN), "{text}");
        }
    }
}

#[test]
fn cancel_works_everywhere_and_lets_a_card_in_play_go() {
    let with_card = ["reading", "awaiting challenge", "awaiting PIN", "authenticating"];
    let closed = ["sealing", "sealed", "cancelled"];
    for (state, mut trial) in every_state() {
        let result = trial.try_on(Event::Intent(tazune_visit::Intent::Cancel)).map(|effects| names(&effects));
        let expected: Option<&[&str]> = match state {
            _ if with_card.contains(&state) => Some(&["CancelCard", "Discard"]),
            _ if closed.contains(&state) => None,
            _ => Some(&["Discard"]),
        };
        assert_eq!(result.ok().as_deref(), expected, "{state}");
        if expected.is_some() {
            assert!(trial.visit.is_over(), "{state}");
            assert_eq!(trial.visit.screen().body, tazune_visit::Body::Cancelled, "{state}");
        }
    }
}

#[test]
fn a_state_without_a_card_has_ordered_its_release_on_the_way() {
    // Every way out of a state with a card, by any event, orders release or cancel, or keeps the card for the next step.
    let keeps = ["reading", "awaiting challenge", "awaiting PIN", "authenticating"];
    let bodies_with_card = |body: &tazune_visit::Body| {
        matches!(
            body,
            tazune_visit::Body::HoldCard { .. }
                | tazune_visit::Body::Connecting { .. }
                | tazune_visit::Body::EnterPin { .. }
        )
    };
    for (state, trial) in every_state().into_iter().filter(|(state, _)| keeps.contains(state)) {
        let events = every_intent().into_iter().map(Event::Intent).chain(every_report().into_iter().map(|(_, e)| e));
        for event in events {
            let shown = format!("{state}, {event:?}");
            let mut after = trial.clone();
            let Ok(effects) = after.try_on(event) else { continue };
            let names = names(&effects);
            let lets_go = names.contains(&"CancelCard") || names.contains(&"ReleaseCard");
            assert_eq!(lets_go, !bodies_with_card(&after.visit.screen().body), "{shown}");
        }
    }
}
