//! What every back end must do; `open` opens the same database anew, as after a restart.

use serde_json::json;
use tazune_link::{
    audit::PairingRefusal,
    envelope::Refusal,
    front_api::{ArrivedHello, DeskReceipt, DeviceRegistration, DeviceStanding, HandIn, HelloRefused, PairingAnswer},
    keys::{OpeningKey, VerifyingKey, sha256},
    pairing::{SealedHello, SessionId},
    receipt::{QuarantineReason, SignedReceipt},
    renewal::{ArrivedRenewal, RenewalAnswer},
};
use tazune_model::{Bytes, DeviceId, InstitutionCode, RecordId, Timestamp, Validity};

use super::{
    AcceptedContent, DeskStore, ExportState, FrontPairing, FrontStore, JudgedEnvelope, NewEnvelope, NewExport,
    OutcomeKind, PairedDevice, PendingExport, Seen,
};

pub(super) async fn front<S: FrontStore>(open: impl AsyncFn() -> S) {
    front_keeps_devices(&open).await;
    front_keeps_the_first_envelope_and_the_first_receipt(&open).await;
    front_limits_what_it_hands_out(&open().await).await;
    front_keeps_one_hello_per_session(&open).await;
    front_tells_each_refusal_until_noted(&open).await;
    front_keeps_one_renewal_per_device(&open).await;
}

pub(super) async fn desk<S: DeskStore>(open: impl AsyncFn() -> S) {
    desk_keeps_devices(&open).await;
    desk_remembers_what_it_said(&open).await;
    desk_hands_out_each_export_until_written(&open).await;
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn record(n: u8) -> RecordId {
    RecordId::make(at(n.into()), &[n; 10])
}

fn device(name: &str) -> DeviceId {
    DeviceId::new(name).unwrap()
}

fn key() -> VerifyingKey {
    VerifyingKey::from_bytes(&[4; 65]).unwrap()
}

fn receipt(word: &str) -> SignedReceipt {
    serde_json::from_value(json!({ "body": Bytes(word.into()), "signature": Bytes(b"signature".to_vec()) })).unwrap()
}

fn envelope(n: u8, device_name: &str, content: &[u8]) -> NewEnvelope {
    NewEnvelope {
        record_id: record(n),
        device: device(device_name),
        sha256: sha256(content),
        sealed: Bytes(content.to_vec()),
    }
}

async fn front_keeps_devices<S: FrontStore>(open: &impl AsyncFn() -> S) {
    let (id, tenant) = (device("dev-registered"), InstitutionCode::new("1310123456").unwrap());
    assert_eq!(open().await.device(&id).await.unwrap(), None);
    for state in [DeviceStanding::Active, DeviceStanding::Revoked] {
        let registration = DeviceRegistration { state, device_key: key(), tenant: tenant.clone(), tombstone: None };
        open().await.put_device(&id, &registration).await.unwrap();
        assert_eq!(open().await.device(&id).await.unwrap(), Some(registration));
    }
}

async fn front_keeps_the_first_envelope_and_the_first_receipt<S: FrontStore>(open: &impl AsyncFn() -> S) {
    let hand_in = async |envelope| open().await.receive(vec![envelope], at(0)).await.unwrap();
    assert_eq!(hand_in(envelope(1, "dev-a", b"first")).await, [HandIn::Received]);
    assert_eq!(hand_in(envelope(1, "dev-a", b"first")).await, [HandIn::Received]);
    assert_eq!(hand_in(envelope(1, "dev-a", b"other")).await, [HandIn::Refused(Refusal::Replayed)]);
    assert_eq!(hand_in(envelope(1, "dev-b", b"first")).await, [HandIn::Refused(Refusal::Replayed)]);
    assert_eq!(open().await.waiting_envelopes(100).await.unwrap(), [Bytes(b"first".to_vec())]);

    let say = |word| vec![DeskReceipt { record_id: record(1), device: device("dev-a"), receipt: receipt(word) }];
    open().await.put_receipts(say("accepted")).await.unwrap();
    open().await.put_receipts(say("said later")).await.unwrap();
    assert_eq!(open().await.waiting_envelopes(100).await.unwrap(), []);
    assert_eq!(open().await.receipts(&device("dev-a"), 10).await.unwrap(), [receipt("accepted")]);
    assert_eq!(open().await.receipts(&device("dev-b"), 10).await.unwrap(), []);

    open().await.receipts_taken(&device("dev-b"), vec![record(1)]).await.unwrap();
    assert_eq!(open().await.receipts(&device("dev-a"), 10).await.unwrap().len(), 1, "another device's word");
    open().await.receipts_taken(&device("dev-a"), vec![record(1)]).await.unwrap();
    assert_eq!(open().await.receipts(&device("dev-a"), 10).await.unwrap(), []);

    assert_eq!(hand_in(envelope(1, "dev-a", b"first")).await, [HandIn::Accepted]);
    assert_eq!(open().await.receipts(&device("dev-a"), 10).await.unwrap(), [receipt("accepted")], "offered again");
    assert_eq!(hand_in(envelope(1, "dev-a", b"other")).await, [HandIn::Refused(Refusal::Replayed)]);
}

async fn front_limits_what_it_hands_out<S: FrontStore>(store: &S) {
    let batch = vec![envelope(2, "dev-c", b"12345"), envelope(3, "dev-c", b"12345"), envelope(4, "dev-c", b"12345")];
    assert_eq!(store.receive(batch, at(0)).await.unwrap(), [HandIn::Received; 3]);
    for (limit, count) in [(1, 1), (5, 1), (9, 1), (10, 2), (15, 3)] {
        assert_eq!(store.waiting_envelopes(limit).await.unwrap().len(), count, "{limit}");
    }
    let answer = |n| DeskReceipt { record_id: record(n), device: device("dev-c"), receipt: receipt("accepted") };
    store.put_receipts([2, 3, 4].map(answer).to_vec()).await.unwrap();
    assert_eq!(store.receipts(&device("dev-c"), 2).await.unwrap().len(), 2);
}

async fn front_keeps_one_hello_per_session<S: FrontStore>(open: &impl AsyncFn() -> S) {
    let session = SessionId::make(&[7; 16]);
    let hello = |n: u8| SealedHello { encapsulated: Bytes(vec![n]), sealed: Bytes(vec![n]) };
    assert_eq!(open().await.put_hello(&session, &hello(1)).await.unwrap(), None);
    assert!(!open().await.put_pairing_answer(&session, &PairingAnswer::Waiting).await.unwrap());

    open().await.open_pairing(&session, at(60), at(0)).await.unwrap();
    for n in [1, 2] {
        assert_eq!(open().await.put_hello(&session, &hello(n)).await.unwrap(), Some(hello(1)));
    }
    let arrived = ArrivedHello { session: session.clone(), hello: hello(1) };
    assert_eq!(open().await.waiting_hellos().await.unwrap(), [arrived]);

    let approved = PairingAnswer::Approved { reply: Bytes(b"sealed reply".to_vec()) };
    for answer in [PairingAnswer::Waiting, approved] {
        assert!(open().await.put_pairing_answer(&session, &answer).await.unwrap());
        assert_eq!(open().await.waiting_hellos().await.unwrap(), []);
        let expected = FrontPairing { expires_at: at(60), hello: Some(hello(1)), answer: Some(answer) };
        assert_eq!(open().await.pairing(&session).await.unwrap(), Some(expected));
    }

    open().await.open_pairing(&SessionId::make(&[8; 16]), at(90_000), at(86_461)).await.unwrap();
    assert_eq!(open().await.pairing(&session).await.unwrap(), None, "forgotten after a day");
}

async fn front_tells_each_refusal_until_noted<S: FrontStore>(open: &impl AsyncFn() -> S) {
    let session = SessionId::make(&[9; 16]);
    open().await.open_pairing(&session, at(90_060), at(90_000)).await.unwrap();
    let refused = |reason| HelloRefused { session: session.clone(), reason };
    let (taken, late) = (refused(PairingRefusal::Taken), refused(PairingRefusal::Expired));
    for refused in [&taken, &late, &taken] {
        open().await.refuse_hello(refused).await.unwrap();
    }
    assert_eq!(open().await.waiting_refusals().await.unwrap().len(), 2);
    open().await.refusals_noted(vec![taken.clone()]).await.unwrap();
    open().await.refuse_hello(&taken).await.unwrap();
    assert_eq!(open().await.waiting_refusals().await.unwrap(), [late]);
    open().await.open_pairing(&SessionId::make(&[10; 16]), at(200_000), at(190_000)).await.unwrap();
    assert_eq!(open().await.waiting_refusals().await.unwrap(), [], "forgotten with their session");
}

async fn front_keeps_one_renewal_per_device<S: FrontStore>(open: &impl AsyncFn() -> S) {
    let (id, csr) = (device("dev-renewing"), |n: u8| Bytes(vec![n]));
    assert_eq!(open().await.renewal_answer(&id).await.unwrap(), None);
    for n in [1, 2] {
        open().await.ask_renewal(&id, &csr(n)).await.unwrap();
    }
    let waiting = ArrivedRenewal { device: id.clone(), csr: csr(2) };
    assert_eq!(open().await.waiting_renewals().await.unwrap(), [waiting]);
    open().await.put_renewal_answer(&id, &RenewalAnswer::Refused).await.unwrap();
    assert_eq!(open().await.waiting_renewals().await.unwrap(), []);
    assert_eq!(open().await.renewal_answer(&id).await.unwrap(), Some(RenewalAnswer::Refused));
    open().await.ask_renewal(&id, &csr(3)).await.unwrap();
    assert_eq!(open().await.renewal_answer(&id).await.unwrap(), None, "another question, another answer");
}

async fn desk_keeps_devices<S: DeskStore>(open: &impl AsyncFn() -> S) {
    let paired = PairedDevice {
        device: device("dev-paired"),
        name: "往診タブレット".into(),
        model: "Sample".into(),
        os: "Sample OS 1".into(),
        device_key: key(),
        sealing_key: OpeningKey::from_bytes(&[9; 32]).unwrap().sealing_key(),
        paired_at: at(0),
    };
    assert_eq!(open().await.device(&paired.device).await.unwrap(), None);
    open().await.put_device(&paired).await.unwrap();
    assert_eq!(open().await.device(&paired.device).await.unwrap(), Some(paired.clone()));
    assert!(open().await.put_device(&paired).await.is_err(), "an id is given once");
}

fn judged(n: u8, content: &[u8], word: &str) -> JudgedEnvelope {
    JudgedEnvelope {
        record_id: record(n),
        device: device("dev-a"),
        sha256: sha256(content),
        envelope: Bytes(content.to_vec()),
        receipt: receipt(word),
        at: at(n.into()),
    }
}

fn content(export: NewExport) -> AcceptedContent {
    AcceptedContent { outcome: OutcomeKind::Answer, validity: Some(Validity::Valid), export }
}

async fn desk_remembers_what_it_said<S: DeskStore>(open: &impl AsyncFn() -> S) {
    let seen = async |n, bytes: &[u8]| open().await.seen(record(n), sha256(bytes)).await.unwrap();
    assert_eq!(seen(1, b"good").await, Seen::Never);

    open().await.quarantine(judged(1, b"altered", "set aside"), QuarantineReason::Altered).await.unwrap();
    assert_eq!(seen(1, b"altered").await, Seen::Answered(receipt("set aside")));
    assert_eq!(seen(1, b"good").await, Seen::Never, "what was set aside does not block the good one");

    open().await.accept(judged(1, b"good", "accepted"), content(NewExport::NotDue)).await.unwrap();
    assert_eq!(seen(1, b"good").await, Seen::Answered(receipt("accepted")));
    assert_eq!(seen(1, b"altered").await, Seen::Answered(receipt("set aside")));
    assert_eq!(seen(1, b"third").await, Seen::OtherAccepted);
    assert!(open().await.accept(judged(1, b"third", "accepted"), content(NewExport::NotDue)).await.is_err());

    let records = open().await.records().await.unwrap();
    assert_eq!(records.len(), 2);
    let [aside, accepted] = [true, false].map(|is| records.iter().find(|r| r.quarantine.is_some() == is).unwrap());
    assert_eq!((aside.quarantine, aside.accepted_at), (Some(QuarantineReason::Altered), None));
    assert_eq!((accepted.accepted_at, accepted.received_at), (Some(at(1)), at(1)));
    assert_eq!((accepted.outcome, accepted.validity), (Some(OutcomeKind::Answer), Some(Validity::Valid)));
}

async fn desk_hands_out_each_export_until_written<S: DeskStore>(open: &impl AsyncFn() -> S) {
    let file = |n: u8| NewExport::File { name: format!("face-{n}.xml"), content: Bytes(vec![n]) };
    let pending = |n: u8, is_renaming| {
        Some(PendingExport {
            record_id: record(n),
            name: format!("face-{n}.xml"),
            content: Bytes(vec![n]),
            is_renaming,
        })
    };
    let next = async || open().await.next_export().await.unwrap();
    assert_eq!(next().await, None);
    open().await.accept(judged(10, b"ten", "accepted"), content(NewExport::Unreadable)).await.unwrap();
    assert_eq!(next().await, None);
    for n in [11, 12] {
        open().await.accept(judged(n, &[n], "accepted"), content(file(n))).await.unwrap();
    }
    assert_eq!(next().await, pending(11, false));
    open().await.export_written(record(11), at(11)).await.unwrap();
    assert_eq!(next().await, pending(11, false), "only what is being renamed can be written");

    open().await.export_renaming(record(12)).await.unwrap();
    assert_eq!(next().await, pending(12, true), "what is being renamed comes first");
    open().await.export_written(record(12), at(12)).await.unwrap();
    open().await.export_renaming(record(12)).await.unwrap();
    assert_eq!(next().await, pending(11, false), "what is written never comes back");

    let records = open().await.records().await.unwrap();
    let line =
        |n: u8| records.iter().find(|r| r.record_id == record(n)).map(|r| (r.export, r.file.as_deref())).unwrap();
    assert_eq!(line(10), (ExportState::Unreadable, None));
    assert_eq!(line(11), (ExportState::Waiting, Some("face-11.xml")));
    assert_eq!(line(12), (ExportState::Written, Some("face-12.xml")));
}
