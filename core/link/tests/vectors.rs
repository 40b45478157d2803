//! One stored sample of every format, in `tests/vectors/link`: what was written once must be written the same and read for ever.
//!
//! `UPDATE_VECTORS=1 cargo test -p tazune-link --test vectors -- --test-threads=1` writes the samples anew. ECDSA signatures differ each time they are made, so a stored one that
//! still verifies is used again, and everything around it is compared byte by byte.

#[expect(dead_code, reason = "shared by several test programs")]
mod common;

use std::{fs, path::PathBuf};

use common::*;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tazune_link::{
    V1,
    audit::{
        Chain, CheckpointBody, CheckpointRow, Entry, EntryRow, Event, Finding, FindingKind, Head, PairingRefusal,
        SignedCheckpoint, Told, UnsignedCheckpoint, checkpoint_hash, entry_hash, reason_digest, verify,
    },
    delivery::{Delivery, Reason},
    envelope::{Envelope, EnvelopeHeader, Refusal, check_at_front, open, seal},
    front_api::{
        ApiError, ArrivedHello, DeskReceipt, DeskReceipts, DeskWork, DeviceContact, DeviceRegistration, DeviceStanding,
        EnvelopeResult, EnvelopesAnswer, EnvelopesRequest, ErrorBody, HandIn, HelloRefused, PairingAnswer,
        PairingOpened, ReceiptsAnswer, ReceiptsTaken, RefusalsNoted, WaitQuery,
    },
    keys::{Label, OpeningKey, VerifyingKey},
    pairing::{DeskEvent, DeskPairing, DeskState, DeviceEvent, DevicePairing, DeviceState, PairingOffer, SessionId},
    receipt::{ExpectedReceipt, QuarantineReason, ReceiptBody, SignedReceipt, UnsignedReceipt, Verdict},
    record::{SignedRecord, UnsignedRecord},
    renewal::{ArrivedRenewal, RenewalAnswer, RenewalRequest},
    revocation::Revocation,
    tombstone::{ExpectedTombstone, RevocationKind, SignedTombstone, TombstoneBody, UnsignedTombstone},
};
use tazune_model::{Bytes, Sha256, VisitRecord};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/link")
}

fn stored(name: &str) -> Option<Vec<u8>> {
    fs::read(folder().join(name)).ok()
}

fn is_update() -> bool {
    std::env::var_os("UPDATE_VECTORS").is_some()
}

/// Compares with the stored bytes, or stores them.
fn check(name: &str, made: &[u8]) {
    let stored = store_or_read(name, made);
    assert!(stored == made, "{name} differs from what is made now:\n{}", String::from_utf8_lossy(made));
}

/// Compares with the stored JSON whatever its layout, or stores it.
fn check_json(name: &str, made: &Value) {
    let stored = store_or_read(name, format!("{made:#}\n").as_bytes());
    let stored: Value = serde_json::from_slice(&stored).unwrap();
    assert!(stored == *made, "{name} differs from what is made now:\n{made:#}");
}

fn store_or_read(name: &str, made: &[u8]) -> Vec<u8> {
    if is_update() {
        fs::create_dir_all(folder()).unwrap();
        fs::write(folder().join(name), made).unwrap();
    }
    stored(name).unwrap_or_else(|| panic!("{name} is missing; UPDATE_VECTORS=1 makes it"))
}

/// The signature of the stored sample while it verifies; else, when updating, a new one.
fn signature(name: &str, label: Label, to_sign: &[u8], signer: &Signer) -> Bytes {
    let kept = stored(name)
        .and_then(|sample| serde_json::from_slice::<Value>(&sample).ok())
        .and_then(|sample| serde_json::from_value::<Bytes>(sample["signature"].clone()).ok())
        .filter(|kept| {
            let signed = &to_sign[label.text().len() + 1..];
            signer.verifying_key().verify(label, signed, kept.as_slice()).is_ok()
        });
    match kept {
        Some(kept) => kept,
        None if is_update() => signer.sign(to_sign),
        None => panic!("{name}: the stored signature is not over what is signed now"),
    }
}

fn vector_record() -> SignedRecord {
    let unsigned = UnsignedRecord::new(&record());
    let signature = signature("record.json", Label::Record, &unsigned.bytes_to_sign(), &Signer::device());
    unsigned.sign(signature)
}

fn vector_envelope() -> Envelope {
    let key = clinic_key().sealing_key();
    let unsigned = seal(&key, EnvelopeHeader::new(&key, &record()), &vector_record(), &mut rng(2026)).unwrap();
    let signature = signature("envelope.json", Label::Envelope, &unsigned.bytes_to_sign(), &Signer::device());
    unsigned.sign(signature)
}

fn vector_receipt(name: &str, verdict: Verdict) -> SignedReceipt {
    let unsigned = UnsignedReceipt::new(&ReceiptBody {
        version: V1,
        record_id: record().record_id,
        tenant: tenant(),
        device: device_id(),
        envelope_sha256: vector_envelope().sha256(),
        verdict,
        at: at("2026-11-20T03:00:00Z"),
    });
    let signature = signature(name, Label::Receipt, &unsigned.bytes_to_sign(), &Signer::desk());
    unsigned.sign(signature)
}

const RECEIPTS: [(&str, Verdict); 2] = [
    ("receipt-accepted.json", Verdict::Accepted),
    ("receipt-quarantined.json", Verdict::Quarantined { reason: QuarantineReason::WrongKey }),
];

fn vector_tombstone() -> SignedTombstone {
    let unsigned = UnsignedTombstone::new(&TombstoneBody {
        version: V1,
        tenant: tenant(),
        device: device_id(),
        device_key_id: Signer::device().verifying_key().key_id(),
        revoked_at: at("2026-11-20T04:00:00Z"),
        kind: RevocationKind::Stolen,
    });
    let signature = signature("tombstone.json", Label::Tombstone, &unsigned.bytes_to_sign(), &Signer::desk());
    unsigned.sign(signature)
}

fn session_key() -> OpeningKey {
    OpeningKey::from_bytes(&[3; 32]).unwrap()
}

fn desk_pairing() -> DeskPairing {
    let fronts = vec!["https://clinic.example:8443".into(), "https://192.0.2.7:8443".into()];
    DeskPairing::open(fronts, Sha256([5; 32]), SessionId::make(&[6; 16]), session_key(), at("2026-11-20T00:00:00Z"))
}

fn to_bytes(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap()
}

#[test]
fn records_envelopes_receipts_and_tombstones_are_made_as_stored() {
    check_json(
        "keys.json",
        &json!({
            "note": "Keys of these samples only.",
            "clinic_private": Bytes::from(clinic_key().to_bytes().as_slice()),
            "clinic_public": clinic_key().sealing_key(),
            "clinic_key_id": clinic_key().sealing_key().key_id(),
            "device_public": Signer::device().verifying_key(),
            "receipt_public": Signer::desk().verifying_key(),
            "session_private": Bytes::from(session_key().to_bytes().as_slice()),
        }),
    );
    check_json("visit-record.json", &serde_json::to_value(record()).unwrap());
    check("record.json", &to_bytes(&vector_record()));
    check("envelope.json", &vector_envelope().to_bytes());
    for (name, verdict) in RECEIPTS {
        check(name, &to_bytes(&vector_receipt(name, verdict)));
    }
    check("tombstone.json", &to_bytes(&vector_tombstone()));
}

#[test]
fn a_pairing_is_made_as_stored() {
    let (start, mut desk) = (at("2026-11-20T00:00:10Z"), desk_pairing());
    let mut device = DevicePairing::scan(desk.offer_text(), start).unwrap();
    let sealed = device.make_hello(&hello("訪問用タブレット"), start, &mut rng(7)).unwrap();
    let code = device.code().unwrap();
    desk.on(DeskEvent::HelloArrived(sealed.clone()), start).unwrap();
    desk.on(DeskEvent::CodeTyped(code), start).unwrap();
    let answer = desk.on(DeskEvent::Approved(Box::new(reply())), start).unwrap().unwrap();
    check_json(
        "pairing.json",
        &json!({
            "offer": desk.offer(),
            "offer_text": desk.offer_text(),
            "hello": hello("訪問用タブレット"),
            "sealed_hello": sealed,
            "code": code.digits(),
            "reply": reply(),
            "answer": answer,
        }),
    );
}

#[test]
fn the_bodies_of_the_fronts_api_are_written_as_stored() {
    let receipt = vector_receipt(RECEIPTS[0].0, RECEIPTS[0].1);
    let session = SessionId::make(&[6; 16]);
    let hello = DevicePairing::scan(desk_pairing().offer_text(), at("2026-11-20T00:00:10Z"))
        .unwrap()
        .make_hello(&hello("訪問用タブレット"), at("2026-11-20T00:00:10Z"), &mut rng(7))
        .unwrap();
    let result = |result| EnvelopeResult { record_id: Some(record().record_id), result };
    let mut results = vec![result(HandIn::Received), result(HandIn::Accepted)];
    results.extend(Refusal::ALL.map(|refusal| result(HandIn::Refused(refusal))));
    results.push(EnvelopeResult { record_id: None, result: HandIn::Refused(Refusal::Malformed) });
    let answers = [
        PairingAnswer::Waiting,
        PairingAnswer::Rejected,
        PairingAnswer::CodeWrong,
        PairingAnswer::Expired,
        PairingAnswer::Approved { reply: vec![1, 2, 3].into() },
    ];
    let renewed = |gateway_certificates| RenewalAnswer::Renewed {
        hub_certificates: vec![vec![0x30, 1].into(), vec![0x30, 2].into()],
        gateway_certificates,
    };
    let renewals =
        [RenewalAnswer::Waiting, renewed(None), renewed(Some(vec![vec![0x30, 4].into()])), RenewalAnswer::Refused];
    let refusals: Vec<_> = [PairingRefusal::Taken, PairingRefusal::Expired]
        .map(|reason| HelloRefused { session: session.clone(), reason })
        .into();
    let standings = [DeviceStanding::Active, DeviceStanding::Suspended, DeviceStanding::Revoked];
    check_json(
        "front-api.json",
        &json!({
            "wait_query": WaitQuery { wait_s: 20 },
            "envelopes_request": EnvelopesRequest { envelopes: vec![vector_envelope()] },
            "envelopes_answer": EnvelopesAnswer { results },
            "receipts_answer": ReceiptsAnswer { receipts: vec![receipt.clone()] },
            "receipts_taken": ReceiptsTaken { record_ids: vec![record().record_id] },
            "pairing_answers": answers,
            "desk_work": DeskWork {
                envelopes: vec![vector_envelope().to_bytes().into()],
                hellos: vec![ArrivedHello { session: session.clone(), hello }],
                ..DeskWork::default()
            },
            "desk_work_of_people": DeskWork {
                renewals: vec![ArrivedRenewal { device: device_id(), csr: vec![0x30, 0].into() }],
                refusals: refusals.clone(),
                ..DeskWork::default()
            },
            "refusals_noted": RefusalsNoted { refusals },
            "renewal_request": RenewalRequest { version: V1, csr: vec![0x30, 0].into() },
            "renewal_answers": renewals,
            "desk_work_of_devices": DeskWork {
                contacts: vec![
                    DeviceContact { device: device_id(), at: at("2026-11-20T05:00:00Z"), state: None },
                    DeviceContact {
                        device: device_id(),
                        at: at("2026-11-20T06:00:00Z"),
                        state: Some(DeviceStanding::Suspended),
                    },
                ],
                revoked: vec![device_id()],
                ..DeskWork::default()
            },
            "desk_receipts": DeskReceipts {
                receipts: vec![DeskReceipt { record_id: record().record_id, device: device_id(), receipt }],
            },
            "pairing_opened": PairingOpened { expires_at: at("2026-11-20T00:01:00Z") },
            "device_registrations": standings.map(|state| DeviceRegistration {
                state,
                device_key: Signer::device().verifying_key(),
                tenant: tenant(),
                tombstone: (state == DeviceStanding::Revoked).then(vector_tombstone),
            }),
            "errors": ApiError::ALL.map(|error| ErrorBody {
                error,
                tombstone: (error == ApiError::Revoked).then(vector_tombstone),
            }),
        }),
    );
}

#[test]
fn the_states_of_delivery_are_written_as_stored() {
    let mut states = vec![
        Delivery::Sealed,
        Delivery::Sending,
        Delivery::Received,
        Delivery::Accepted { at: at("2026-11-20T03:00:00Z") },
        Delivery::Purged,
    ];
    states.extend(Refusal::ALL.map(|refusal| Delivery::Quarantined { reason: Reason::Front(refusal) }));
    states.extend(QuarantineReason::ALL.map(|reason| Delivery::Quarantined { reason: Reason::Desk(reason) }));
    check_json("delivery.json", &serde_json::to_value(states).unwrap());
    let revocations = [Revocation::Destroying, Revocation::HandingIn, Revocation::Closing, Revocation::Finished];
    check_json("revocation.json", &serde_json::to_value(revocations).unwrap());
}

fn audit_events() -> Vec<(Chain, Event)> {
    let (record_id, content_sha256) = (record().record_id, Sha256([1; 32]));
    let (key_sha256, reason_sha256) = (Sha256([2; 32]), reason_digest(&[3; 16], "端末を電車に置き忘れた"));
    let of_device = [
        Event::DeviceFound { key_sha256 },
        Event::RecordFound { record_id, content_sha256 },
        Event::QuarantinedFound { record_id, content_sha256 },
        Event::DevicePaired { key_sha256 },
        Event::DeviceSuspended { reason_sha256 },
        Event::DeviceResumed { reason_sha256 },
        Event::DeviceRevoked { reason_sha256 },
        Event::CertificateRenewed { content_sha256 },
        Event::RecordAccepted { record_id, content_sha256 },
        Event::QuarantineAccepted { record_id, content_sha256, reason_sha256 },
        Event::QuarantineRejected { record_id, content_sha256, reason_sha256 },
        Event::FaceFileWritten { record_id },
    ];
    let aside = QuarantineReason::ALL.map(|reason| Event::RecordQuarantined { record_id, content_sha256, reason });
    let of_device = of_device.into_iter().chain(aside).map(|event| (Chain::Device(device_id()), event));
    let session = SessionId::make(&[6; 16]);
    let refused = PairingRefusal::ALL.map(|reason| Event::PairingRefused { session: session.clone(), reason });
    let of_desk = [Event::HubStarted, Event::HubStopped, Event::CheckpointKeyChanged { key_sha256 }];
    let of_desk = of_desk.into_iter().chain(refused).map(|event| (Chain::Desk, event));
    [(Chain::Desk, Event::AuditBegan)].into_iter().chain(of_device).chain(of_desk).collect()
}

fn audit_entries() -> (Vec<EntryRow>, Vec<Head>) {
    let (mut rows, mut heads) = (Vec::new(), Vec::<Head>::new());
    for (position, (chain, event)) in (1..).zip(audit_events()) {
        let head = match heads.iter().position(|head| head.chain == chain) {
            Some(at) => heads.swap_remove(at),
            None => Head::of_empty(chain),
        };
        let (number, at) = (head.number + 1, at("2026-11-20T03:00:00Z"));
        let (chain, previous) = (head.chain, head.hash);
        let record_id = event.record_id().map(|record| record.to_string());
        let entry = Entry { version: V1, tenant: tenant(), position, chain, number, at, event, previous };
        let json = entry.to_json();
        heads.push(Head { chain: entry.chain.clone(), number, hash: entry_hash(&json) });
        rows.push(EntryRow { position, chain: entry.chain.to_string(), number, record_id, entry: json });
    }
    heads.sort_by(|a, b| a.chain.cmp(&b.chain));
    (rows, heads)
}

#[test]
fn the_audit_is_written_as_stored() {
    let (rows, heads) = audit_entries();
    let body = CheckpointBody {
        version: V1,
        tenant: tenant(),
        number: 1,
        at: at("2026-11-20T03:00:00Z"),
        entries: rows.len().try_into().unwrap(),
        heads: heads.clone(),
        key: Signer::desk().verifying_key(),
        previous: Sha256([0; 32]),
    };
    let unsigned = UnsignedCheckpoint::new(&body);
    let signature = signature("audit.json", Label::AuditCheckpoint, &unsigned.bytes_to_sign(), &Signer::desk());
    let checkpoint = unsigned.sign(signature.clone()).to_json();
    check_json(
        "audit.json",
        &json!({
            "note": "Entries and checkpoint are exact text.",
            "reason": { "salt": Bytes(vec![3; 16]), "text": "端末を電車に置き忘れた", "sha256": reason_digest(&[3; 16], "端末を電車に置き忘れた") },
            "entries": rows.iter().map(|row| &row.entry).collect::<Vec<_>>(),
            "entry_hashes": rows.iter().map(|row| entry_hash(&row.entry)).collect::<Vec<_>>(),
            "heads": heads,
            "checkpoint": checkpoint,
            "checkpoint_body": body,
            "checkpoint_hash": checkpoint_hash(&checkpoint),
            "signature": signature,
        }),
    );
}

fn read<T: DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap()
}

fn read_stored(name: &str) -> Value {
    serde_json::from_slice(&stored(name).unwrap_or_else(|| panic!("{name} is missing"))).unwrap()
}

// The tests below use nothing but the stored files, so that they still hold what was written once when the makers change.

#[test]
fn the_stored_envelope_still_opens_and_receipts_and_tombstone_still_verify() {
    if is_update() {
        return;
    }
    let keys = read_stored("keys.json");
    let device_key: VerifyingKey = read(&keys["device_public"]);
    let receipt_key: VerifyingKey = read(&keys["receipt_public"]);
    let clinic_private = OpeningKey::from_bytes(read::<Bytes>(&keys["clinic_private"]).as_slice()).unwrap();
    let visit: VisitRecord = read(&read_stored("visit-record.json"));

    assert_eq!(read::<SignedRecord>(&read_stored("record.json")).verify(&device_key).unwrap(), visit);
    let envelope = Envelope::parse(&stored("envelope.json").unwrap()).unwrap();
    assert!(check_at_front(&envelope, &visit.institution, &visit.device_id, &device_key).is_ok());
    assert_eq!(open(&clinic_private, &envelope, &device_key).unwrap(), visit);
    for (name, verdict) in RECEIPTS {
        let expected = ExpectedReceipt {
            record_id: visit.record_id,
            tenant: &visit.institution,
            device: &visit.device_id,
            envelope_sha256: envelope.sha256(),
        };
        let body = read::<SignedReceipt>(&read_stored(name)).verify(&receipt_key, &expected).unwrap();
        assert_eq!(body.verdict, verdict);
    }
    let expected = ExpectedTombstone { tenant: &visit.institution, device: &visit.device_id, device_key: &device_key };
    let tombstone = read::<SignedTombstone>(&read_stored("tombstone.json")).verify(&receipt_key, &expected).unwrap();
    assert_eq!(tombstone.kind, RevocationKind::Stolen);
}

#[test]
fn the_stored_pairing_still_works_at_both_ends() {
    if is_update() {
        return;
    }
    let (sample, start) = (read_stored("pairing.json"), at("2026-11-20T00:00:10Z"));
    let text = sample["offer_text"].as_str().unwrap();
    assert_eq!(PairingOffer::parse(text).unwrap(), read::<PairingOffer>(&sample["offer"]));

    let mut desk = desk_pairing();
    assert_eq!(desk.offer_text(), text);
    desk.on(DeskEvent::HelloArrived(read(&sample["sealed_hello"])), start).unwrap();
    let DeskState::AwaitingCode { hello, transcript } = desk.state() else { panic!("{:?}", desk.state()) };
    assert_eq!(**hello, read(&sample["hello"]));
    assert_eq!(transcript.code().digits(), sample["code"].as_str().unwrap());

    let mut device = DevicePairing::scan(text, start).unwrap();
    device.make_hello(hello, start, &mut rng(7)).unwrap();
    device.on(DeviceEvent::Answered(read(&sample["answer"])), start).unwrap();
    let DeviceState::Paired(reply) = device.state() else { panic!("{:?}", device.state()) };
    assert_eq!(**reply, read(&sample["reply"]));
}

#[test]
fn the_stored_audit_still_verifies_and_every_altered_entry_of_it_is_found() {
    if is_update() {
        return;
    }
    let sample = read_stored("audit.json");
    let key: VerifyingKey = read(&read_stored("keys.json")["receipt_public"]);
    let row = |text: &Value| {
        let text: String = read(text);
        let entry: Entry = serde_json::from_str(&text).unwrap();
        EntryRow {
            position: entry.position,
            chain: entry.chain.to_string(),
            number: entry.number,
            record_id: entry.event.record_id().map(|record| record.to_string()),
            entry: text,
        }
    };
    let rows: Vec<_> = sample["entries"].as_array().unwrap().iter().map(row).collect();
    let checkpoint: String = read(&sample["checkpoint"]);
    assert_eq!(SignedCheckpoint::verify(&checkpoint), Some(read(&sample["checkpoint_body"])));
    let findings = |rows: Vec<EntryRow>| {
        let (mut findings, mut read) = (Vec::<Finding>::new(), 0);
        let checkpoints = [CheckpointRow { number: 1, checkpoint: checkpoint.clone() }];
        let entries = rows.into_iter().map(Ok::<_, ()>);
        verify(&tenant(), &key, entries, checkpoints.into_iter().map(Ok), |told| match told {
            Told::Entry { .. } => read += 1,
            Told::Finding(finding) => findings.push(finding),
        })
        .unwrap();
        assert!(read >= sample["entries"].as_array().unwrap().len() - 1);
        findings
    };
    assert_eq!(findings(rows.clone()), []);
    // One checkpoint over many entries: the entry after one altered holds the hash that it had.
    for (at, row) in rows.iter().enumerate() {
        let mut altered = rows.clone();
        altered[at].entry = row.entry.replacen("2026-11-20", "2026-11-21", 1);
        let expected = Finding::new(FindingKind::Altered, &*row.chain, row.number);
        assert!(findings(altered).contains(&expected), "{row:?}");
    }
}

#[test]
fn the_stored_bodies_and_states_are_still_read() {
    if is_update() {
        return;
    }
    fn survives<T: DeserializeOwned + Serialize>(value: &Value) {
        assert_eq!(serde_json::to_value(read::<T>(value)).unwrap(), *value);
    }
    let sample = read_stored("front-api.json");
    survives::<WaitQuery>(&sample["wait_query"]);
    survives::<EnvelopesRequest>(&sample["envelopes_request"]);
    survives::<EnvelopesAnswer>(&sample["envelopes_answer"]);
    survives::<ReceiptsAnswer>(&sample["receipts_answer"]);
    survives::<ReceiptsTaken>(&sample["receipts_taken"]);
    survives::<Vec<PairingAnswer>>(&sample["pairing_answers"]);
    survives::<DeskWork>(&sample["desk_work"]);
    survives::<DeskReceipts>(&sample["desk_receipts"]);
    survives::<DeskWork>(&sample["desk_work_of_people"]);
    survives::<RefusalsNoted>(&sample["refusals_noted"]);
    survives::<RenewalRequest>(&sample["renewal_request"]);
    survives::<Vec<RenewalAnswer>>(&sample["renewal_answers"]);
    survives::<PairingOpened>(&sample["pairing_opened"]);
    survives::<Vec<DeviceRegistration>>(&sample["device_registrations"]);
    survives::<Vec<ErrorBody>>(&sample["errors"]);
    survives::<DeskWork>(&sample["desk_work_of_devices"]);
    survives::<Vec<Delivery>>(&read_stored("delivery.json"));
    survives::<Vec<Revocation>>(&read_stored("revocation.json"));
}
