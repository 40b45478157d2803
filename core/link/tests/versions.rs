//! Device, front and desk are updated at different times: each reads its own version of a message and the one before, and
//! what a newer side adds does not stop an older one.
//!
//! `tests/vectors/link` holds the samples of today, its folder `before` those of the version before.

use std::{fs, path::PathBuf};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};
use tazune_link::{
    delivery::Delivery,
    envelope::{Envelope, EnvelopeHeader, open},
    front_api::{
        DeskReceipts, DeskWork, DeviceRegistration, EnvelopesAnswer, EnvelopesRequest, ErrorBody, PairingAnswer,
        PairingOpened, ReceiptsAnswer, ReceiptsTaken, RefusalsNoted, WaitQuery,
    },
    keys::{OpeningKey, VerifyingKey, sha256},
    pairing::{Hello, PairingOffer, Reply, SealedHello},
    receipt::{ExpectedReceipt, ReceiptBody, SignedReceipt},
    record::SignedRecord,
    renewal::{RenewalAnswer, RenewalRequest},
    tombstone::TombstoneBody,
};
use tazune_model::{Bytes, DeviceId, InstitutionCode, VisitRecord};

const NOW: &str = "";
const BEFORE: &str = "before";

fn sample(version: &str, file: &str) -> Value {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/link").join(version);
    serde_json::from_slice(&fs::read(folder.join(file)).unwrap()).unwrap()
}

/// One sample, or each of a list.
fn each(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_else(|| vec![value.clone()])
}

/// Adds a member that no version has to every object inside, but for a word with its detail: that is one member for ever.
fn with_something_new(value: &Value) -> Value {
    const WORDS: [&str; 3] = ["refused", "front", "desk"];
    match value {
        Value::Object(members) if members.keys().any(|name| WORDS.contains(&name.as_str())) => value.clone(),
        Value::Object(members) => {
            let mut more: Map<_, _> =
                members.iter().map(|(name, member)| (name.clone(), with_something_new(member))).collect();
            more.insert("of_a_later_version".into(), json!({ "a": [1] }));
            Value::Object(more)
        }
        Value::Array(members) => Value::Array(members.iter().map(with_something_new).collect()),
        other => other.clone(),
    }
}

/// Reads a sample as its receiver does, and the same with members that its receiver does not know.
fn reads<T: DeserializeOwned + Serialize>(what: &str, value: &Value) {
    let read = |value: &Value| {
        let read: T =
            serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{what}: {error}\n{value:#}"));
        serde_json::to_value(&read).unwrap()
    };
    assert_eq!(read(&with_something_new(value)), read(value), "{what}: a new member changes what is read");
}

#[test]
fn every_body_of_the_fronts_api_is_read_in_both_versions() {
    for version in [NOW, BEFORE] {
        let samples = sample(version, "front-api.json");
        let samples = samples.as_object().unwrap();
        for (name, value) in samples {
            for value in each(value) {
                let what = format!("{name} of {version:?}");
                match name.as_str() {
                    "envelopes_request" => reads::<EnvelopesRequest>(&what, &value),
                    "envelopes_answer" => reads::<EnvelopesAnswer>(&what, &value),
                    "receipts_answer" => reads::<ReceiptsAnswer>(&what, &value),
                    "receipts_taken" => reads::<ReceiptsTaken>(&what, &value),
                    "wait_query" => reads::<WaitQuery>(&what, &value),
                    "pairing_answers" => reads::<PairingAnswer>(&what, &value),
                    "pairing_opened" => reads::<PairingOpened>(&what, &value),
                    "renewal_request" => reads::<RenewalRequest>(&what, &value),
                    "renewal_answers" => reads::<RenewalAnswer>(&what, &value),
                    "refusals_noted" => reads::<RefusalsNoted>(&what, &value),
                    "desk_work" | "desk_work_of_devices" | "desk_work_of_people" => reads::<DeskWork>(&what, &value),
                    "desk_receipts" => reads::<DeskReceipts>(&what, &value),
                    "device_registrations" => reads::<DeviceRegistration>(&what, &value),
                    "errors" => reads::<ErrorBody>(&what, &value),
                    other => panic!("{other} is a body of the API and has no version test"),
                }
            }
        }
        assert!(samples.len() >= 11);
    }
}

#[test]
fn what_was_stored_or_shown_by_the_version_before_is_read() {
    for version in [NOW, BEFORE] {
        for state in each(&sample(version, "delivery.json")) {
            reads::<Delivery>("delivery", &state);
        }
        let pairing = sample(version, "pairing.json");
        reads::<SealedHello>("sealed hello", &pairing["sealed_hello"]);
        reads::<Hello>("hello", &pairing["hello"]);
        reads::<Reply>("reply", &pairing["reply"]);
        PairingOffer::parse(pairing["offer_text"].as_str().unwrap()).unwrap();
        reads::<VisitRecord>("visit record", &sample(version, "visit-record.json"));
    }
}

#[test]
fn what_the_version_before_signed_and_sealed_still_verifies_and_opens() {
    let keys = sample(NOW, "keys.json");
    let key = |name: &str| serde_json::from_value::<Bytes>(keys[name].clone()).unwrap().0;
    let device_key = VerifyingKey::from_bytes(&key("device_public")).unwrap();
    let receipt_key = VerifyingKey::from_bytes(&key("receipt_public")).unwrap();
    let clinic_key = OpeningKey::from_bytes(&key("clinic_private")).unwrap();
    for version in [NOW, BEFORE] {
        let envelope: Envelope = serde_json::from_value(sample(version, "envelope.json")).unwrap();
        let record = open(&clinic_key, &envelope, &device_key).unwrap();
        let signed: SignedRecord = serde_json::from_value(sample(version, "record.json")).unwrap();
        assert_eq!(signed.verify(&device_key).unwrap(), record);
        for file in ["receipt-accepted.json", "receipt-quarantined.json"] {
            let receipt: SignedReceipt = serde_json::from_value(sample(version, file)).unwrap();
            let expected = ExpectedReceipt {
                record_id: record.record_id,
                tenant: &InstitutionCode::new("1310123456").unwrap(),
                device: &DeviceId::new("tablet-1").unwrap(),
                envelope_sha256: sha256(&envelope.to_bytes()),
            };
            receipt.verify(&receipt_key, &expected).unwrap();
        }
    }
}

/// There is no version 0; a message of version 2 is for a program that is not written yet, and is refused, not guessed at.
#[test]
fn a_message_with_a_version_of_its_own_is_read_in_that_version_only() {
    fn versions<T: DeserializeOwned>(what: &str, good: &Value) {
        assert!(good["version"] == json!(1), "{what} has no version");
        assert!(serde_json::from_value::<T>(good.clone()).is_ok(), "{what}");
        for version in [json!(0), json!(2), json!(255), json!(-1), json!("1"), json!(null)] {
            let mut other = good.clone();
            other["version"] = version;
            assert!(serde_json::from_value::<T>(other.clone()).is_err(), "{what}: {}", other["version"]);
        }
    }
    let inside = |file: &str, member: &str| {
        let bytes: Bytes = serde_json::from_value(sample(NOW, file)[member].clone()).unwrap();
        serde_json::from_slice::<Value>(bytes.as_slice()).unwrap()
    };
    let pairing = sample(NOW, "pairing.json");
    versions::<PairingOffer>("offer", &pairing["offer"]);
    versions::<Hello>("hello", &pairing["hello"]);
    versions::<Reply>("reply", &pairing["reply"]);
    versions::<RenewalRequest>("renewal", &sample(NOW, "front-api.json")["renewal_request"]);
    versions::<EnvelopeHeader>("envelope", &inside("envelope.json", "header"));
    versions::<ReceiptBody>("receipt", &inside("receipt-accepted.json", "body"));
    versions::<TombstoneBody>("tombstone", &inside("tombstone.json", "body"));
}
