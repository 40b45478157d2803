//! What each of device, front and desk accepts and refuses of records, envelopes and receipts.

#[expect(dead_code, reason = "shared by several test programs")]
mod common;

use common::*;
use proptest::prelude::*;
use serde_json::{Value, json};
use tazune_link::{
    V1,
    envelope::{
        Envelope, EnvelopeHeader, MAX_ENVELOPE_BYTES, OpenError, Refusal, SealError, check_at_front, open, seal,
    },
    keys::{KeyError, Label, OpeningKey, SealingKey, VerifyingKey, sha256},
    receipt::{ExpectedReceipt, QuarantineReason, ReceiptBody, ReceiptError, SignedReceipt, UnsignedReceipt, Verdict},
    record::{RecordError, SignedRecord},
};
use tazune_model::{DeviceId, FailureCode, InstitutionCode, RecordId, Sha256};

fn front(envelope: &Envelope) -> Result<EnvelopeHeader, Refusal> {
    check_at_front(envelope, &tenant(), &device_id(), &Signer::device().verifying_key())
}

fn desk(envelope: &Envelope) -> Result<tazune_model::VisitRecord, OpenError> {
    open(&clinic_key(), envelope, &Signer::device().verifying_key())
}

/// The same envelope with one member replaced.
fn with_member(envelope: &Envelope, name: &str, value: Value) -> Envelope {
    let mut json = serde_json::to_value(envelope).unwrap();
    json[name] = value;
    serde_json::from_value(json).unwrap()
}

fn other_record() -> tazune_model::VisitRecord {
    tazune_model::VisitRecord { record_id: RecordId::make(at("2026-11-20T02:00:00Z"), &[2; 10]), ..record() }
}

#[test]
fn a_sealed_record_passes_the_front_and_opens_at_the_desk() {
    let envelope = Envelope::parse(&envelope(&record()).to_bytes()).unwrap();
    assert_eq!(front(&envelope).unwrap(), EnvelopeHeader::new(&clinic_key().sealing_key(), &record()));
    assert_eq!(desk(&envelope).unwrap(), record());
}

#[test]
fn nothing_of_the_person_shows_in_an_envelope_or_in_debug() {
    let record = record();
    let envelope = envelope(&record);
    let seen = format!(
        "{}{envelope:?}{:?}{:?}{:?}",
        String::from_utf8(envelope.to_bytes()).unwrap(),
        signed_record(&record),
        unsigned_envelope(&record),
        clinic_key()
    );
    for marked in ["MARKED", "見本", "1941", "TUFSS0VE"] {
        assert!(!seen.contains(marked), "{marked}");
    }
}

#[test]
fn an_alteration_of_any_byte_is_refused_by_front_and_desk() {
    let bytes = envelope(&record()).to_bytes();
    for place in 0..bytes.len() {
        // The lowest bit, the bit between upper and lower case, and everything.
        for flip in [0x01, 0x20, 0xff] {
            let mut altered = bytes.clone();
            altered[place] ^= flip;
            let Ok(altered) = Envelope::parse(&altered) else { continue };
            assert!(front(&altered).is_err(), "front took byte {place} flipped by {flip:#04x}");
            assert!(desk(&altered).is_err(), "desk took byte {place} flipped by {flip:#04x}");
        }
    }
}

#[test]
fn the_front_refuses_another_device_another_clinic_and_anothers_signature() {
    let envelope = envelope(&record());
    let key = Signer::device().verifying_key();
    let other_device = DeviceId::new("tablet-2").unwrap();
    let other_tenant = InstitutionCode::new("1310000000").unwrap();
    assert_eq!(check_at_front(&envelope, &tenant(), &other_device, &key), Err(Refusal::Misaddressed));
    assert_eq!(check_at_front(&envelope, &other_tenant, &device_id(), &key), Err(Refusal::Misaddressed));
    assert_eq!(
        check_at_front(&envelope, &tenant(), &device_id(), &Signer::desk().verifying_key()),
        Err(Refusal::Altered)
    );
    assert_eq!(open(&clinic_key(), &envelope, &Signer::desk().verifying_key()), Err(OpenError::Altered));
}

#[test]
fn the_front_refuses_what_has_no_header_of_this_version() {
    let mut header = serde_json::to_value(EnvelopeHeader::new(&clinic_key().sealing_key(), &record())).unwrap();
    header["version"] = json!(2);
    for header in [header, json!({}), json!("x")] {
        let bytes = tazune_model::Bytes(serde_json::to_vec(&header).unwrap());
        let altered = with_member(&envelope(&record()), "header", json!(bytes));
        assert_eq!(front(&altered), Err(Refusal::Malformed));
        assert_eq!(desk(&altered), Err(OpenError::Malformed));
    }
}

#[test]
fn a_header_of_another_envelope_breaks_the_seal_even_when_signed_anew() {
    let swapped = serde_json::to_value(envelope(&other_record())).unwrap()["header"].clone();
    let altered = with_member(&envelope(&record()), "header", swapped);
    assert_eq!(front(&altered), Err(Refusal::Altered));

    let json = serde_json::to_value(&altered).unwrap();
    let part = |name: &str| serde_json::from_value::<tazune_model::Bytes>(json[name].clone()).unwrap();
    let mut signed = vec![];
    for part in [part("header"), part("encapsulated"), part("sealed")] {
        signed.extend_from_slice(&u32::try_from(part.0.len()).unwrap().to_be_bytes());
        signed.extend_from_slice(part.as_slice());
    }
    let signature = Signer::device().sign(&Label::Envelope.bytes_to_sign(&signed));
    let signed_anew = with_member(&altered, "signature", json!(signature));
    assert!(front(&signed_anew).is_ok(), "the front cannot know");
    assert_eq!(desk(&signed_anew), Err(OpenError::Altered));
}

#[test]
fn the_desk_refuses_a_record_that_is_not_the_one_the_header_names() {
    let key = clinic_key().sealing_key();
    let named = EnvelopeHeader::new(&key, &record());
    let headers = [
        EnvelopeHeader { record_id: other_record().record_id, ..named.clone() },
        EnvelopeHeader { tenant: InstitutionCode::new("1310000000").unwrap(), ..named.clone() },
        EnvelopeHeader { device: DeviceId::new("tablet-2").unwrap(), ..named },
    ];
    for header in headers {
        let envelope = signed_by_device(seal(&key, header, &signed_record(&record()), &mut rng(1)).unwrap());
        assert_eq!(desk(&envelope), Err(OpenError::Misaddressed));
    }
}

#[test]
fn the_desk_refuses_another_key_by_name_and_by_content() {
    let other = OpeningKey::from_bytes(&[8; 32]).unwrap();
    let sealed_to = |key: &SealingKey, named: &SealingKey| {
        signed_by_device(
            seal(key, EnvelopeHeader::new(named, &record()), &signed_record(&record()), &mut rng(1)).unwrap(),
        )
    };
    let ours = clinic_key().sealing_key();
    assert_eq!(desk(&sealed_to(&other.sealing_key(), &other.sealing_key())), Err(OpenError::WrongKey));
    assert_eq!(desk(&sealed_to(&other.sealing_key(), &ours)), Err(OpenError::Altered));
}

#[test]
fn the_desk_refuses_a_record_signed_by_another_key_or_under_another_label() {
    let key = clinic_key().sealing_key();
    let unsigned = tazune_link::record::UnsignedRecord::new(&record());
    let body = unsigned.bytes_to_sign()[Label::Record.text().len() + 1..].to_vec();
    let signatures = [
        Signer::desk().sign(&Label::Record.bytes_to_sign(&body)),
        Signer::device().sign(&Label::Envelope.bytes_to_sign(&body)),
        Signer::device().sign(&body),
    ];
    for signature in signatures {
        let signed: SignedRecord =
            serde_json::from_value(json!({ "body": tazune_model::Bytes(body.clone()), "signature": signature }))
                .unwrap();
        assert_eq!(signed.verify(&Signer::device().verifying_key()), Err(RecordError::Signature));
        let header = EnvelopeHeader::new(&key, &record());
        let envelope = signed_by_device(seal(&key, header, &signed, &mut rng(1)).unwrap());
        assert_eq!(desk(&envelope), Err(OpenError::Altered));
    }
}

#[test]
fn signed_bytes_that_are_no_record_are_refused_as_such() {
    let body = tazune_model::Bytes(b"{\"record_id\":1}".to_vec());
    let signature = Signer::device().sign(&Label::Record.bytes_to_sign(body.as_slice()));
    let signed: SignedRecord = serde_json::from_value(json!({ "body": body, "signature": signature })).unwrap();
    assert_eq!(signed.verify(&Signer::device().verifying_key()), Err(RecordError::Malformed));
}

#[test]
fn the_largest_record_gives_an_envelope_within_the_limit_and_one_more_step_does_not() {
    let key = clinic_key().sealing_key();
    let sealed = |length: usize| {
        let record = record_with_document(&vec![b'x'; length]);
        seal(&key, EnvelopeHeader::new(&key, &record), &signed_record(&record), &mut rng(1))
    };
    let (mut fits, mut exceeds) = (400_000, 480_000);
    while exceeds - fits > 1 {
        let middle = usize::midpoint(fits, exceeds);
        if sealed(middle).is_ok() { fits = middle } else { exceeds = middle }
    }
    let largest = signed_by_device(sealed(fits).unwrap());
    let length = largest.to_bytes().len();
    assert!(length <= MAX_ENVELOPE_BYTES && length > MAX_ENVELOPE_BYTES - 32, "{length}");
    assert!(front(&Envelope::parse(&largest.to_bytes()).unwrap()).is_ok());
    assert_eq!(sealed(exceeds).unwrap_err(), SealError::Oversized);
    assert_eq!(SealError::Oversized.failure_code(), FailureCode::RecordOversized);
}

#[test]
fn an_envelope_of_exactly_one_mebibyte_is_read_and_one_byte_more_is_not() {
    let mut bytes = envelope(&record()).to_bytes();
    bytes.resize(MAX_ENVELOPE_BYTES, b' ');
    assert!(Envelope::parse(&bytes).is_ok());
    bytes.push(b' ');
    assert_eq!(Envelope::parse(&bytes), Err(Refusal::Oversized));
}

#[test]
fn the_front_refuses_an_oversized_envelope_out_of_a_batch() {
    let sealed = tazune_model::Bytes(vec![0; MAX_ENVELOPE_BYTES]);
    assert_eq!(front(&with_member(&envelope(&record()), "sealed", json!(sealed))), Err(Refusal::Oversized));
}

#[test]
fn keys_of_wrong_length_form_or_small_order_are_refused() {
    assert_eq!(VerifyingKey::from_bytes(&[4; 64]), Err(KeyError));
    assert_eq!(VerifyingKey::from_bytes(&[2; 65]), Err(KeyError));
    // Has the form of a point, lies on no curve: nothing verifies under it.
    let off_curve = VerifyingKey::from_bytes(&[4; 65]).unwrap();
    assert!(off_curve.verify(Label::Record, b"x", &[]).is_err());
    assert_eq!(SealingKey::from_bytes(&[7; 31]), Err(KeyError));
    let mut one = [0; 32];
    one[0] = 1;
    for small_order in [[0; 32], one] {
        assert_eq!(SealingKey::from_bytes(&small_order), Err(KeyError));
        assert!(serde_json::from_value::<SealingKey>(json!(tazune_model::Bytes(small_order.to_vec()))).is_err());
    }
    assert!(OpeningKey::from_bytes(&[7; 31]).is_err());
}

#[test]
fn a_key_survives_its_store() {
    let key = OpeningKey::make(&mut rng(3));
    let stored = OpeningKey::from_bytes(key.to_bytes().as_slice()).unwrap();
    assert_eq!(stored.sealing_key(), key.sealing_key());
    assert_ne!(OpeningKey::make(&mut rng(4)).sealing_key(), key.sealing_key());
}

fn receipt_body() -> ReceiptBody {
    ReceiptBody {
        version: V1,
        record_id: record().record_id,
        tenant: tenant(),
        device: device_id(),
        envelope_sha256: sha256(b"an envelope"),
        verdict: Verdict::Accepted,
        at: at("2026-11-20T03:00:00Z"),
    }
}

fn receipt(body: &ReceiptBody) -> SignedReceipt {
    let unsigned = UnsignedReceipt::new(body);
    let signature = Signer::desk().sign(&unsigned.bytes_to_sign());
    unsigned.sign(signature)
}

fn verify(receipt: &SignedReceipt) -> Result<ReceiptBody, ReceiptError> {
    let (tenant, device) = (tenant(), device_id());
    let expected = ExpectedReceipt {
        record_id: record().record_id,
        tenant: &tenant,
        device: &device,
        envelope_sha256: sha256(b"an envelope"),
    };
    receipt.verify(&Signer::desk().verifying_key(), &expected)
}

#[test]
fn a_receipt_proves_itself_only_for_its_own_envelope() {
    let genuine = receipt_body();
    assert_eq!(receipt(&genuine).claimed_record_id(), Ok(genuine.record_id));
    assert_eq!(verify(&receipt(&genuine)).unwrap(), genuine);
    let replayed = [
        ReceiptBody { record_id: other_record().record_id, ..genuine.clone() },
        ReceiptBody { tenant: InstitutionCode::new("1310000000").unwrap(), ..genuine.clone() },
        ReceiptBody { device: DeviceId::new("tablet-2").unwrap(), ..genuine.clone() },
        ReceiptBody { envelope_sha256: Sha256([0; 32]), ..genuine },
    ];
    for body in replayed {
        assert_eq!(verify(&receipt(&body)), Err(ReceiptError::AboutAnother));
    }
    assert_eq!(ReceiptError::AboutAnother.failure_code(), FailureCode::ReceiptInvalid);
}

#[test]
fn a_receipt_of_another_key_or_under_another_label_proves_nothing() {
    let unsigned = || UnsignedReceipt::new(&receipt_body());
    let by_device = unsigned().sign(Signer::device().sign(&unsigned().bytes_to_sign()));
    let body = serde_json::to_vec(&receipt_body()).unwrap();
    let as_record = unsigned().sign(Signer::desk().sign(&Label::Record.bytes_to_sign(&body)));
    for receipt in [by_device, as_record] {
        assert_eq!(verify(&receipt), Err(ReceiptError::Signature));
    }
}

#[test]
fn an_alteration_of_any_byte_of_a_receipt_is_refused() {
    let bytes = serde_json::to_vec(&receipt(&receipt_body())).unwrap();
    for place in 0..bytes.len() {
        for flip in [0x01, 0x20, 0xff] {
            let mut altered = bytes.clone();
            altered[place] ^= flip;
            let Ok(altered) = serde_json::from_slice(&altered) else { continue };
            assert!(verify(&altered).is_err(), "took byte {place} flipped by {flip:#04x}");
        }
    }
}

#[test]
fn what_the_desk_cannot_open_has_one_failure_and_its_own_reason() {
    let errors = [OpenError::Malformed, OpenError::WrongKey, OpenError::Altered, OpenError::Misaddressed];
    let reasons: std::collections::HashSet<QuarantineReason> = errors.map(QuarantineReason::from).into();
    assert_eq!(reasons.len(), errors.len());
    assert!(QuarantineReason::ALL.iter().all(|reason| reason.failure_code() == FailureCode::RecordQuarantined));
}

/// Bytes near a valid message: a few of its bytes replaced, then cut or lengthened.
fn near(valid: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let length = valid.len();
    let edits = prop::collection::vec((0..length, any::<u8>()), 0..4);
    (edits, 0..=length, prop::collection::vec(any::<u8>(), 0..8)).prop_map(move |(edits, cut, tail)| {
        let mut bytes = valid.clone();
        for (place, byte) in edits {
            bytes[place] = byte;
        }
        bytes.truncate(if tail.len() % 2 == 0 { length } else { cut });
        bytes.extend(tail);
        bytes
    })
}

proptest! {
    #[test]
    fn no_bytes_make_reading_an_envelope_panic(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        if let Ok(envelope) = Envelope::parse(&bytes) {
            prop_assert!(front(&envelope).is_err() && desk(&envelope).is_err());
        }
    }

    #[test]
    fn no_altered_envelope_is_taken(bytes in near(envelope(&record()).to_bytes())) {
        if let Ok(parsed) = Envelope::parse(&bytes) {
            // Space around the JSON is no alteration.
            let is_same = parsed.to_bytes() == bytes.trim_ascii();
            prop_assert!(front(&parsed).is_err() || is_same);
            prop_assert!(desk(&parsed).is_err() || is_same);
        }
    }

    #[test]
    fn no_altered_receipt_is_taken(bytes in near(serde_json::to_vec(&receipt(&receipt_body())).unwrap())) {
        if let Ok(parsed) = serde_json::from_slice::<SignedReceipt>(&bytes) {
            let _ = parsed.claimed_record_id();
            if let Ok(body) = verify(&parsed) {
                prop_assert_eq!(body, receipt_body());
            }
        }
    }

    #[test]
    fn no_sealed_content_makes_opening_panic(parts in prop::array::uniform3(prop::collection::vec(any::<u8>(), 0..64))) {
        // The header is good, so that opening goes on to the rest.
        let [encapsulated, sealed, signature] = parts;
        let mut envelope = envelope(&record());
        for (name, bytes) in [("encapsulated", encapsulated), ("sealed", sealed), ("signature", signature)] {
            envelope = with_member(&envelope, name, json!(tazune_model::Bytes(bytes)));
        }
        prop_assert_eq!(front(&envelope), Err(Refusal::Altered));
        prop_assert_eq!(desk(&envelope), Err(OpenError::Altered));
    }
}
