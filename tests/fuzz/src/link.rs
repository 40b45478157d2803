use std::{str, sync::LazyLock};

use serde_json::Value;
use tazune_link::{
    audit::{Entry, SignedCheckpoint},
    envelope::{Envelope, EnvelopeHeader, MAX_ENVELOPE_BYTES, Refusal, check_at_front, open},
    front_api::{
        DeskReceipts, DeskWork, DeviceRegistration, EnvelopesAnswer, EnvelopesRequest, ErrorBody, PairingAnswer,
        PairingOpened, ReceiptsAnswer, ReceiptsTaken, RefusalsNoted, WaitQuery, parse_answer,
    },
    keys::{OpeningKey, VerifyingKey, sha256},
    pairing::{DevicePairing, Hello, PairingCode, PairingOffer, Reply, SealedHello, is_front},
    receipt::{ExpectedReceipt, ReceiptBody, SignedReceipt},
    record::SignedRecord,
    renewal::{RenewalAnswer, RenewalRequest},
    revocation::Revocation,
    tombstone::{ExpectedTombstone, SignedTombstone, TombstoneBody},
};
use tazune_model::{Bytes, DeviceId, InstitutionCode, Timestamp, VisitRecord};

use crate::{Target, readable, samples, shape};

/// Device to front: a batch. The front reads each envelope by itself, so one that is none is one refusal.
pub(crate) const ENVELOPES_REQUEST: Target = Target {
    name: "envelopes-request",
    run: |data| {
        let whole = readable::<EnvelopesRequest>(data);
        let Ok(batch) = serde_json::from_slice::<Value>(data) else { return };
        let Some(envelopes) = batch["envelopes"].as_array() else { return };
        let readable = envelopes.iter().filter(|one| serde_json::from_value::<Envelope>((*one).clone()).is_ok());
        let readable_count = readable.count();
        if let Some(whole) = whole {
            assert_eq!(readable_count, whole.envelopes.len(), "read together or one by one");
        }
    },
    seeds: || samples::front_api("envelopes_request"),
};

/// Front to device: what became of a batch.
pub(crate) const ENVELOPES_ANSWER: Target = Target {
    name: "envelopes-answer",
    run: shape::<EnvelopesAnswer>,
    seeds: || samples::front_api("envelopes_answer"),
};

/// Front to device: receipts.
pub(crate) const RECEIPTS_ANSWER: Target = Target {
    name: "receipts-answer",
    run: |data| {
        for receipt in readable::<ReceiptsAnswer>(data).into_iter().flat_map(|answer| answer.receipts) {
            // A forged or damaged one is told apart without a panic, whatever it holds.
            let _ = receipt.claimed_record_id();
        }
    },
    seeds: || samples::front_api("receipts_answer"),
};

/// Device to front: receipts that it has.
pub(crate) const RECEIPTS_TAKEN: Target = Target {
    name: "receipts-taken",
    run: |data| {
        shape::<ReceiptsTaken>(data);
        shape::<WaitQuery>(data);
    },
    seeds: || [samples::front_api("receipts_taken"), samples::front_api("wait_query")].concat(),
};

/// Front to device, desk to front: state of a pairing.
pub(crate) const PAIRING_ANSWER: Target =
    Target { name: "pairing-answer", run: shape::<PairingAnswer>, seeds: || samples::front_api("pairing_answers") };

/// Device to front to desk: the sealed hello.
pub(crate) const SEALED_HELLO: Target =
    Target { name: "sealed-hello", run: shape::<SealedHello>, seeds: || vec![samples::pairing("sealed_hello")] };

/// The hello as the desk reads it after opening.
pub(crate) const HELLO: Target =
    Target { name: "hello", run: shape::<Hello>, seeds: || vec![samples::pairing("hello")] };

/// The desk's reply as the device reads it after opening.
pub(crate) const REPLY: Target =
    Target { name: "reply", run: shape::<Reply>, seeds: || vec![samples::pairing("reply")] };

/// Desk to device by QR code: the offer's text.
pub(crate) const OFFER: Target = Target {
    name: "offer",
    run: |data| {
        let Ok(text) = str::from_utf8(data) else { return };
        let Ok(offer) = PairingOffer::parse(text) else { return };
        assert!(text.len() <= 2048, "longer than an offer may be");
        assert!(offer.fronts.iter().all(|front| is_front(front)), "a front that is no address");
        let again = PairingOffer::parse(&offer.to_text()).expect("what was read can be written");
        assert_eq!(again, offer);
        // Whether it still counts is a matter of time; reading it never panics.
        let _ = DevicePairing::scan(text, now());
    },
    seeds: || vec![samples::pairing_text("offer_text").into_bytes()],
};

/// The six digits as a person types them.
pub(crate) const TYPED_CODE: Target = Target {
    name: "typed-code",
    run: |data| {
        let Ok(text) = str::from_utf8(data) else { return };
        let Ok(code) = PairingCode::parse(text) else { return };
        assert_eq!(PairingCode::parse(&code.digits()), Ok(code));
    },
    seeds: || ["012345", " 01 23 45 ", "０１２３４５", "01234", "0123456", "1e5"].map(|text| text.into()).into(),
};

/// Front to desk: work.
pub(crate) const DESK_WORK: Target = Target {
    name: "desk-work",
    run: |data| {
        for envelope in readable::<DeskWork>(data).into_iter().flat_map(|work| work.envelopes) {
            envelope_rules(envelope.as_slice());
        }
    },
    seeds: || {
        [
            samples::front_api("desk_work"),
            samples::front_api("desk_work_of_devices"),
            samples::front_api("desk_work_of_people"),
        ]
        .concat()
    },
};

/// Desk to front: receipts.
pub(crate) const DESK_RECEIPTS: Target =
    Target { name: "desk-receipts", run: shape::<DeskReceipts>, seeds: || samples::front_api("desk_receipts") };

/// Desk to front: a session that may take a hello.
pub(crate) const PAIRING_OPENED: Target =
    Target { name: "pairing-opened", run: shape::<PairingOpened>, seeds: || samples::front_api("pairing_opened") };

/// Desk to front: a device and its standing.
pub(crate) const DEVICE_REGISTRATION: Target = Target {
    name: "device-registration",
    run: shape::<DeviceRegistration>,
    seeds: || samples::front_api("device_registrations"),
};

/// Front to device and desk: why not.
pub(crate) const REFUSAL: Target = Target {
    name: "refusal",
    run: |data| {
        let answer = parse_answer::<ErrorBody>(data);
        assert_eq!(readable::<ErrorBody>(data), answer.ok());
    },
    seeds: || samples::front_api("errors"),
};

/// The envelope itself: at the front and at the desk.
pub(crate) const ENVELOPE: Target = Target {
    name: "envelope",
    run: |data| {
        envelope_rules(data);
        shape::<EnvelopeHeader>(data);
    },
    seeds: || {
        let envelope: Value = serde_json::from_slice(samples::ENVELOPE).expect("the sample is JSON");
        let header: Bytes = serde_json::from_value(envelope["header"].clone()).expect("the header is base64");
        vec![samples::ENVELOPE.to_vec(), header.0]
    },
};

/// The record inside: signed, and as the desk reads it.
pub(crate) const RECORD: Target = Target {
    name: "record",
    run: |data| {
        if let Some(signed) = readable::<SignedRecord>(data)
            && signed.verify(&KEYS.device).is_ok()
        {
            let sample: SignedRecord = serde_json::from_slice(samples::RECORD).expect("the sample is a record");
            assert_eq!(signed.verify(&KEYS.device), sample.verify(&KEYS.device), "forged");
        }
        shape::<VisitRecord>(data);
    },
    seeds: || vec![samples::RECORD.to_vec(), samples::VISIT_RECORD.to_vec()],
};

/// The desk's receipt as the device checks it.
pub(crate) const RECEIPT: Target = Target {
    name: "receipt",
    run: |data| {
        shape::<ReceiptBody>(data);
        let Some(receipt) = readable::<SignedReceipt>(data) else { return };
        let Ok(record_id) = receipt.claimed_record_id() else { return };
        let expected = ExpectedReceipt {
            record_id,
            tenant: &KEYS.tenant,
            device: &KEYS.device_id,
            envelope_sha256: sha256(samples::ENVELOPE),
        };
        if let Ok(body) = receipt.verify(&KEYS.receipt, &expected) {
            let is_sample = samples::RECEIPTS.iter().any(|sample| {
                let sample: SignedReceipt = serde_json::from_slice(sample).expect("the sample is a receipt");
                sample.verify(&KEYS.receipt, &expected).is_ok_and(|sample| sample == body)
            });
            assert!(is_sample, "forged");
        }
    },
    seeds: || samples::RECEIPTS.map(<[u8]>::to_vec).into(),
};

/// Front to device: the tombstone, and how far a revoked device is.
pub(crate) const TOMBSTONE: Target = Target {
    name: "tombstone",
    run: |data| {
        shape::<TombstoneBody>(data);
        shape::<Revocation>(data);
        let Some(tombstone) = readable::<SignedTombstone>(data) else { return };
        let expected = ExpectedTombstone { tenant: &KEYS.tenant, device: &KEYS.device_id, device_key: &KEYS.device };
        if let Ok(body) = tombstone.verify(&KEYS.receipt, &expected) {
            let sample: SignedTombstone = serde_json::from_slice(samples::TOMBSTONE).expect("the sample is one");
            assert_eq!(sample.verify(&KEYS.receipt, &expected), Ok(body), "forged");
        }
    },
    seeds: || vec![samples::TOMBSTONE.to_vec(), br#""handing_in""#.to_vec()],
};

/// Device to front to desk and back: new certificates.
pub(crate) const RENEWAL: Target = Target {
    name: "renewal",
    run: |data| {
        shape::<RenewalRequest>(data);
        shape::<RenewalAnswer>(data);
    },
    seeds: || [samples::front_api("renewal_request"), samples::front_api("renewal_answers")].concat(),
};

/// Desk to front: refusals that the audit knows.
pub(crate) const REFUSALS_NOTED: Target =
    Target { name: "refusals-noted", run: shape::<RefusalsNoted>, seeds: || samples::front_api("refusals_noted") };

/// The audit as it is verified: entries and checkpoints from a database that anybody may have written to.
pub(crate) const AUDIT: Target = Target {
    name: "audit",
    run: |data| {
        shape::<Entry>(data);
        let Ok(text) = str::from_utf8(data) else { return };
        if let Some(body) = SignedCheckpoint::verify(text) {
            let sample = SignedCheckpoint::verify(&samples::audit_checkpoint());
            assert_eq!(Some(body), sample, "forged");
        }
    },
    seeds: || {
        let entries = samples::audit_entries().into_iter().map(String::into_bytes);
        entries.chain([samples::audit_checkpoint().into_bytes()]).collect()
    },
};

/// Who the samples are of.
struct Keys {
    clinic: OpeningKey,
    device: VerifyingKey,
    receipt: VerifyingKey,
    tenant: InstitutionCode,
    device_id: DeviceId,
}

static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    let bytes = |name| serde_json::from_value::<Bytes>(Value::String(samples::key(name))).expect("keys are base64").0;
    let private = bytes("clinic_private");
    Keys {
        clinic: OpeningKey::from_bytes(&private).expect("the sample is a key"),
        device: VerifyingKey::from_bytes(&bytes("device_public")).expect("the sample is a key"),
        receipt: VerifyingKey::from_bytes(&bytes("receipt_public")).expect("the sample is a key"),
        tenant: InstitutionCode::new("1310123456").expect("ten digits"),
        device_id: DeviceId::new("tablet-1").expect("a short word"),
    }
});

fn envelope_rules(data: &[u8]) {
    let Ok(envelope) = Envelope::parse(data) else { return };
    assert!(data.len() <= MAX_ENVELOPE_BYTES, "longer than an envelope may be");
    let written = envelope.to_bytes();
    assert_eq!(Envelope::parse(&written).as_ref(), Ok(&envelope));
    let checked = check_at_front(&envelope, &KEYS.tenant, &KEYS.device_id, &KEYS.device);
    let opened = open(&KEYS.clinic, &envelope, &KEYS.device);
    if checked.is_ok() || opened.is_ok() {
        let sample = Envelope::parse(samples::ENVELOPE).expect("the sample is an envelope");
        // ECDSA lets a signature be written in two ways; what is signed is the sample or a forgery.
        assert_eq!(envelope.header(), sample.header(), "forged");
        assert_eq!(opened.as_ref().ok(), open(&KEYS.clinic, &sample, &KEYS.device).as_ref().ok(), "forged");
    }
    assert_ne!(checked.err(), Some(Refusal::UnknownDevice), "only the front's store knows devices");
}

fn now() -> Timestamp {
    "2026-11-20T00:00:30Z".parse().expect("an instant")
}
