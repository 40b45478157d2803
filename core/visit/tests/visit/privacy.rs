use std::fs;

use serde::Serialize;
use serde_json::Value;
use tazune_card::CardError;
use tazune_model::Pin;
use tazune_visit::{Effect, Event, GatewayError, Intent, Visit};

use crate::common::{PIN, Trial, after, answer, challenge, every_state, patient, pin, reading, record_id, signature};

/// Compiles only if `$type` does not implement `$trait`: otherwise two impls fit and the call is ambiguous.
macro_rules! assert_not_impl {
    ($type:ty: $($bound:tt)+) => {
        const _: fn() = || {
            trait AmbiguousIfImplemented<A> {
                fn call() {}
            }
            struct Implemented;
            impl<T: ?Sized> AmbiguousIfImplemented<()> for T {}
            impl<T: ?Sized + $($bound)+> AmbiguousIfImplemented<Implemented> for T {}
            let _ = <$type as AmbiguousIfImplemented<_>>::call;
        };
    };
}

assert_not_impl!(Pin: Serialize);
assert_not_impl!(Pin: serde::de::DeserializeOwned);
assert_not_impl!(Pin: Clone);
assert_not_impl!(Intent: Serialize);
assert_not_impl!(Intent: Clone);
assert_not_impl!(Event: Serialize);
assert_not_impl!(Effect: Serialize);

const fn assert_stored<T: Serialize + serde::de::DeserializeOwned>() {}
const _: () = assert_stored::<Visit>();

/// A PIN is no field of a stored type: those derive `Serialize` whole, and a PIN has none.
#[test]
fn no_field_of_a_stored_type_is_left_out_of_what_is_derived() {
    let sources = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
    for folder in [sources.to_owned(), format!("{sources}/direct_check")] {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                let source = fs::read_to_string(&path).unwrap();
                for hidden in ["serde(skip", "serde(with", "serde(serialize_with", "impl Serialize"] {
                    assert!(!source.contains(hidden), "{}: {hidden}", path.display());
                }
            }
        }
    }
}

/// Whether the digits stand anywhere, as text, number or list; bytes in base64 are too long to be an entry.
fn holds_pin(value: &Value) -> bool {
    let digits: Vec<u64> = PIN.bytes().map(|c| u64::from(c - b'0')).collect();
    match value {
        Value::String(text) => text.len() < 64 && text.contains(PIN),
        Value::Number(number) => number.to_string().contains(PIN),
        Value::Array(items) => {
            let numbers: Vec<_> = items.iter().filter_map(Value::as_u64).collect();
            let ascii: Vec<_> = digits.iter().map(|digit| digit + u64::from(b'0')).collect();
            numbers == digits || numbers == ascii || items.iter().any(holds_pin)
        }
        Value::Object(members) => members.values().any(holds_pin),
        Value::Null | Value::Bool(_) => false,
    }
}

#[test]
fn a_whole_visit_never_stores_the_pin() {
    let events: Vec<fn() -> Event> = vec![
        || Event::Intent(Intent::AgreeAll),
        || Event::Intent(Intent::Continue),
        || Event::CardProgress { read: 100, total: Some(1590) },
        || Event::CardRead(Ok(reading(3))),
        || Event::Challenged(Ok(challenge())),
        || Event::Intent(Intent::EnterPin(pin())),
        || Event::CardProgress { read: 1590, total: Some(1590) },
        || Event::CardAwaited,
        || Event::CardAuthenticated(Err(CardError::WrongPin { tries_left: 2 })),
        || Event::Intent(Intent::EnterPin(pin())),
        || Event::CardAuthenticated(Err(CardError::OtherCard)),
        || Event::Intent(Intent::TryAgain),
        || Event::Challenged(Ok(challenge())),
        || Event::Intent(Intent::EnterPin(pin())),
        || Event::CardAuthenticated(Ok(signature())),
        || Event::Answered(Err(GatewayError::Timeout)),
        || Event::Intent(Intent::TryAgain),
        || Event::Answered(Ok(answer())),
        || Event::Intent(Intent::Continue),
        || Event::Intent(Intent::ConfirmCardReturned),
    ];
    let mut trial = Trial::new(Some(patient()));
    assert!(holds_pin(&serde_json::json!({ "found": [1, "x4911"] })), "the search finds what it looks for");
    for event in events {
        let event = event();
        let shown = format!("{event:?}");
        assert!(!shown.contains(PIN), "{shown}");
        let effects = trial.on(event);
        assert!(!holds_pin(&trial.json()), "{shown}");
        assert!(!format!("{effects:?}{:?}", trial.visit).contains(PIN), "{shown}");
    }
}

#[test]
fn debug_names_nobody_in_any_state() {
    for (state, trial) in every_state() {
        let shown = format!("{:?}{:?}", trial.visit, trial.visit.screen());
        for marked in ["見本", "太郎", "1941", "別人", "4911"] {
            assert!(!shown.contains(marked), "{state}: {marked}");
        }
    }
}

#[test]
fn a_record_holds_nothing_of_the_card_but_phase_and_expiry() {
    let mut trial = Trial::closing();
    let effects = trial.say(Intent::ConfirmCardReturned);
    let [Effect::Seal(unsealed)] = effects.as_slice() else { panic!("{effects:?}") };
    let record = unsealed.as_ref().clone().finish(record_id(), after(60));
    let json = serde_json::to_value(&record).unwrap();
    assert_eq!(json["certificate"], serde_json::json!({ "phase": "valid", "expires_on": "2028-11-21" }));
    let text = json.to_string();
    let certificate = serde_json::to_value(&reading(3).certificate).unwrap();
    let signature = serde_json::to_value(tazune_model::Bytes::from(signature().as_bytes().as_slice())).unwrap();
    for hidden in [certificate.as_str().unwrap(), signature.as_str().unwrap()] {
        assert!(!text.contains(&hidden[..40]));
    }
}
