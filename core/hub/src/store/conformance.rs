//! What every back end must do; `open` opens the same database anew, as after a restart.

use serde_json::json;
use tazune_link::{
    audit::PairingRefusal,
    envelope::Refusal,
    front_api::{
        ArrivedHello, DeskReceipt, DeviceContact, DeviceRegistration, DeviceStanding, HandIn, HelloRefused,
        PairingAnswer,
    },
    keys::{OpeningKey, VerifyingKey, sha256},
    pairing::{SealedHello, SessionId},
    receipt::{QuarantineReason, SignedReceipt},
    renewal::{ArrivedRenewal, RenewalAnswer},
    tombstone::{RevocationKind, SignedTombstone},
};
use tazune_model::{Bytes, DeviceId, InstitutionCode, RecordId, Timestamp, Validity};

use super::{
    AcceptedContent, Decided, Decision, DeskStore, ExportState, FrontPairing, FrontStore, JudgedEnvelope, NewEnvelope,
    NewExport, NewStanding, NoPageMark, OutcomeKind, PageMark, PairedDevice, PendingExport, Reason, Rejection, Seen,
    StandingChange, StandingChanged,
};

pub(super) async fn front<S: FrontStore>(open: impl AsyncFn() -> S) {
    front_keeps_devices(&open).await;
    front_keeps_the_first_envelope_and_the_last_receipt(&open).await;
    front_names_revoked_senders(&open).await;
    front_limits_what_it_hands_out(&open().await).await;
    front_keeps_one_hello_per_session(&open).await;
    front_tells_each_refusal_until_noted(&open).await;
    front_keeps_one_renewal_per_device(&open).await;
}

pub(super) async fn desk<S: DeskStore>(open: impl AsyncFn() -> S) {
    desk_keeps_devices(&open).await;
    desk_remembers_what_it_said(&open).await;
    desk_hands_out_each_export_until_written(&open).await;
    desk_keeps_how_devices_stand(&open).await;
    desk_decides_once_on_what_was_set_aside(&open).await;
    desk_lists_page_by_page(&open().await).await;
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
    use DeviceStanding::{Active, Revoked, Suspended};
    for (state, kept) in [
        (Active, Active),
        (Suspended, Suspended),
        (Active, Active),
        (Revoked, Revoked),
        (Active, Revoked),
        (Suspended, Revoked),
        (Revoked, Revoked),
    ] {
        let with = |state| DeviceRegistration { state, device_key: key(), tenant: tenant.clone(), tombstone: None };
        assert_eq!(open().await.put_device(&id, &with(state)).await.unwrap(), state == kept);
        assert_eq!(open().await.device(&id).await.unwrap(), Some(with(kept)), "{state:?}");
    }
}

async fn front_keeps_the_first_envelope_and_the_last_receipt<S: FrontStore>(open: &impl AsyncFn() -> S) {
    let hand_in = async |envelope| open().await.receive(vec![envelope], at(0)).await.unwrap();
    assert_eq!(hand_in(envelope(1, "dev-a", b"first")).await, [HandIn::Received]);
    assert_eq!(hand_in(envelope(1, "dev-a", b"first")).await, [HandIn::Received]);
    assert_eq!(hand_in(envelope(1, "dev-a", b"other")).await, [HandIn::Refused(Refusal::Replayed)]);
    assert_eq!(hand_in(envelope(1, "dev-b", b"first")).await, [HandIn::Refused(Refusal::Replayed)]);
    assert_eq!(open().await.waiting_envelopes(100).await.unwrap(), [Bytes(b"first".to_vec())]);

    let say = |word| vec![DeskReceipt { record_id: record(1), device: device("dev-a"), receipt: receipt(word) }];
    open().await.put_receipts(say("accepted")).await.unwrap();
    assert_eq!(open().await.waiting_envelopes(100).await.unwrap(), []);
    assert_eq!(open().await.receipts(&device("dev-a"), 10).await.unwrap(), [receipt("accepted")]);
    assert_eq!(open().await.receipts(&device("dev-b"), 10).await.unwrap(), []);

    open().await.receipts_taken(&device("dev-b"), vec![record(1)]).await.unwrap();
    assert_eq!(open().await.receipts(&device("dev-a"), 10).await.unwrap().len(), 1, "another device's word");
    open().await.receipts_taken(&device("dev-a"), vec![record(1)]).await.unwrap();
    assert_eq!(open().await.receipts(&device("dev-a"), 10).await.unwrap(), []);
    open().await.put_receipts(say("accepted")).await.unwrap();
    assert_eq!(open().await.receipts(&device("dev-a"), 10).await.unwrap(), [], "the same word again");
    open().await.put_receipts(say("decided")).await.unwrap();
    assert_eq!(open().await.receipts(&device("dev-a"), 10).await.unwrap(), [receipt("decided")], "another word");
    open().await.put_receipts(say("accepted")).await.unwrap();

    assert_eq!(hand_in(envelope(1, "dev-a", b"first")).await, [HandIn::Accepted]);
    assert_eq!(open().await.receipts(&device("dev-a"), 10).await.unwrap(), [receipt("accepted")], "offered again");
    assert_eq!(hand_in(envelope(1, "dev-a", b"other")).await, [HandIn::Refused(Refusal::Replayed)]);
}

async fn front_names_revoked_senders<S: FrontStore>(open: &impl AsyncFn() -> S) {
    let tenant = InstitutionCode::new("1310123456").unwrap();
    let register = async |name: &str, state| {
        let registration = DeviceRegistration { state, device_key: key(), tenant: tenant.clone(), tombstone: None };
        assert!(open().await.put_device(&device(name), &registration).await.unwrap());
    };
    register("dev-revoked", DeviceStanding::Revoked).await;
    register("dev-active", DeviceStanding::Active).await;
    assert_eq!(open().await.revoked_senders().await.unwrap(), []);
    let batch = vec![envelope(30, "dev-revoked", b"30"), envelope(31, "dev-active", b"31")];
    open().await.receive(batch, at(0)).await.unwrap();
    assert_eq!(open().await.revoked_senders().await.unwrap(), [device("dev-revoked")]);
    let said = [(30, "dev-revoked"), (31, "dev-active")].map(|(n, name)| DeskReceipt {
        record_id: record(n),
        device: device(name),
        receipt: receipt("set aside"),
    });
    open().await.put_receipts(said.to_vec()).await.unwrap();
    assert_eq!(open().await.revoked_senders().await.unwrap(), [], "they wait no more");
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

fn paired(name: &str) -> PairedDevice {
    PairedDevice {
        device: device(name),
        name: "往診タブレット".into(),
        model: "Sample".into(),
        os: "Sample OS 1".into(),
        device_key: key(),
        sealing_key: OpeningKey::from_bytes(&[9; 32]).unwrap().sealing_key(),
        paired_at: at(0),
        certificate_expires_at: at(90),
        standing: DeviceStanding::Active,
    }
}

async fn desk_keeps_devices<S: DeskStore>(open: &impl AsyncFn() -> S) {
    let paired = paired("dev-paired");
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

    assert!(open().await.accept(judged(1, b"good", "accepted"), content(NewExport::NotDue)).await.unwrap());
    assert_eq!(seen(1, b"good").await, Seen::Answered(receipt("accepted")));
    assert_eq!(seen(1, b"altered").await, Seen::Answered(receipt("set aside")));
    assert_eq!(seen(1, b"third").await, Seen::OtherAccepted);
    assert!(open().await.accept(judged(1, b"third", "accepted"), content(NewExport::NotDue)).await.is_err());

    let records = open().await.records(None, 100).await.unwrap().lines;
    assert_eq!(records.len(), 2);
    let [aside, accepted] = [true, false].map(|is| records.iter().find(|r| r.quarantine.is_some() == is).unwrap());
    assert_eq!((aside.quarantine, aside.accepted_at), (Some(QuarantineReason::Altered), None));
    assert_eq!((accepted.accepted_at, accepted.received_at), (Some(at(1)), at(1)));
    assert_eq!((accepted.outcome, accepted.validity), (Some(OutcomeKind::Answer), Some(Validity::Valid)));
}

async fn desk_hands_out_each_export_until_written<S: DeskStore>(open: &impl AsyncFn() -> S) {
    let file = |n: u8| NewExport::File { name: format!("face-{n}.xml"), content: Bytes(vec![n]) };
    let pending = |n: u8, is_renaming| PendingExport {
        record_id: record(n),
        name: format!("face-{n}.xml"),
        content: Bytes(vec![n]),
        is_renaming,
    };
    let next = async || open().await.next_exports(2).await.unwrap();
    assert_eq!(next().await, []);
    assert!(open().await.accept(judged(10, b"ten", "accepted"), content(NewExport::Unreadable)).await.unwrap());
    assert_eq!(next().await, []);
    for n in [11, 12, 13] {
        assert!(open().await.accept(judged(n, &[n], "accepted"), content(file(n))).await.unwrap());
    }
    assert_eq!(next().await, [pending(11, false), pending(12, false)], "the oldest, no more than asked for");
    open().await.exports_written(vec![record(11)], at(11)).await.unwrap();
    assert_eq!(next().await, [pending(11, false), pending(12, false)], "only what is being renamed can be written");

    open().await.exports_renaming(vec![record(12), record(13)]).await.unwrap();
    assert_eq!(next().await, [pending(12, true), pending(13, true)], "what is being renamed comes first");
    open().await.exports_written(vec![record(12), record(13)], at(12)).await.unwrap();
    open().await.exports_renaming(vec![record(12)]).await.unwrap();
    assert_eq!(next().await, [pending(11, false)], "what is written never comes back");

    let records = open().await.records(None, 100).await.unwrap().lines;
    let line =
        |n: u8| records.iter().find(|r| r.record_id == record(n)).map(|r| (r.export, r.file.as_deref())).unwrap();
    assert_eq!(line(10), (ExportState::Unreadable, None));
    assert_eq!(line(11), (ExportState::Waiting, Some("face-11.xml")));
    assert_eq!(line(12), (ExportState::Written, Some("face-12.xml")));
}

fn words(text: &str) -> Reason {
    Reason { text: text.into(), salt: [7; 16] }
}

async fn desk_keeps_how_devices_stand<S: DeskStore>(open: &impl AsyncFn() -> S) {
    let id = device("dev-standing");
    let change = async |to: NewStanding, reason: Option<&str>| {
        let reason = words(reason.unwrap_or_default());
        let change = StandingChange { device: id.clone(), to, reason, at: at(7) };
        open().await.change_standing(change).await.unwrap()
    };
    let line = async || open().await.devices().await.unwrap().into_iter().find(|line| line.device == id).unwrap();
    assert_eq!(change(NewStanding::Suspended, None).await, StandingChanged::Unknown);
    open().await.put_device(&paired("dev-standing")).await.unwrap();
    assert_eq!(open().await.untold_devices().await.unwrap(), [], "the front knows a new device");
    let renewed =
        async |until| open().await.certificate_renewed(&id, at(until), sha256(b"certificate"), at(1)).await.unwrap();
    let accepted = async |n, bytes: &[u8]| {
        let envelope = JudgedEnvelope { device: id.clone(), ..judged(n, bytes, "accepted") };
        open().await.accept(envelope, content(NewExport::NotDue)).await.unwrap()
    };
    assert!(renewed(400).await && accepted(60, b"before").await);
    assert_eq!(change(NewStanding::Active, None).await, StandingChanged::Already);
    let before = line().await;
    assert_eq!((before.state, before.changed_at, before.is_at_front), (DeviceStanding::Active, None, true));

    assert_eq!(change(NewStanding::Suspended, Some("why")).await, StandingChanged::Changed);
    assert_eq!(change(NewStanding::Suspended, Some("other")).await, StandingChanged::Already);
    assert!(!renewed(500).await, "a suspended device is given nothing");
    let suspended = line().await;
    assert_eq!((suspended.state, suspended.is_at_front), (DeviceStanding::Suspended, false));
    assert_eq!((suspended.reason.as_deref(), suspended.changed_at), (Some("why"), Some(at(7))));
    let [told] = open().await.untold_devices().await.unwrap().try_into().unwrap();
    assert_eq!((told.standing, &told.tombstone), (DeviceStanding::Suspended, &None));

    // Changed again while the front was being told.
    let tombstone: SignedTombstone = serde_json::from_value(json!({ "body": "AA==", "signature": "AA==" })).unwrap();
    let revoked = || NewStanding::Revoked { kind: RevocationKind::Stolen, tombstone: tombstone.clone() };
    assert_eq!(change(revoked(), Some("gone")).await, StandingChanged::Changed);
    open().await.front_was_told(&id, told.change).await.unwrap();
    let [untold] = open().await.untold_devices().await.unwrap().try_into().unwrap();
    assert_eq!((untold.standing, &untold.tombstone), (DeviceStanding::Revoked, &Some(tombstone.clone())));
    open().await.front_was_told(&id, untold.change).await.unwrap();
    assert_eq!(open().await.untold_devices().await.unwrap(), []);
    assert_eq!(change(NewStanding::Active, None).await, StandingChanged::Final);
    assert_eq!(change(revoked(), None).await, StandingChanged::Already);
    assert_eq!(open().await.device(&id).await.unwrap().unwrap().standing, DeviceStanding::Revoked);

    for (second, last) in [(20, 20), (10, 20), (30, 30)] {
        open().await.contacted(vec![DeviceContact { device: id.clone(), at: at(second), state: None }]).await.unwrap();
        assert_eq!(line().await.last_contact_at, Some(at(last)));
    }
    assert!(open().await.untold_devices().await.unwrap().is_empty());
    for (state, is_told_again) in [
        (Some(DeviceStanding::Revoked), false),
        (Some(DeviceStanding::Suspended), true),
        (Some(DeviceStanding::Active), true),
    ] {
        open().await.contacted(vec![DeviceContact { device: id.clone(), at: at(30), state }]).await.unwrap();
        let untold = open().await.untold_devices().await.unwrap();
        assert_eq!(!untold.is_empty(), is_told_again, "{state:?}");
        for untold in untold {
            assert_eq!(untold.standing, DeviceStanding::Revoked);
            open().await.front_was_told(&id, untold.change).await.unwrap();
        }
    }
    assert!(!renewed(500).await, "a revoked device is given nothing");
    assert!(!accepted(61, b"after").await, "nothing of a revoked device is taken");
    assert_eq!(open().await.seen(record(61), sha256(b"after")).await.unwrap(), Seen::Never);
    assert_eq!((line().await.certificate_expires_at, line().await.accepted_count), (at(400), 1));
    let line = line().await;
    assert_eq!((line.kind, line.reason.as_deref()), (Some(RevocationKind::Stolen), Some("gone")));
}

async fn desk_decides_once_on_what_was_set_aside<S: DeskStore>(open: &impl AsyncFn() -> S) {
    let aside = async |n, bytes: &[u8]| {
        let reason = QuarantineReason::DeviceRevoked;
        open().await.quarantine(judged(n, bytes, "set aside"), reason).await.unwrap();
    };
    let accept = async |n, bytes: &[u8]| {
        let file = NewExport::File { name: format!("face-{n}.xml"), content: Bytes(vec![n]) };
        open().await.accept_set_aside(judged(n, bytes, "accepted"), content(file), words("")).await.unwrap()
    };
    let reject = async |n, bytes: &[u8]| {
        let rejection = Rejection {
            record_id: record(n),
            sha256: sha256(bytes),
            device: device("dev-a"),
            reason: words("why"),
            at: at(99),
        };
        open().await.reject_set_aside(rejection).await.unwrap()
    };
    assert_eq!(accept(40, b"forty").await, Decided::Unknown);
    assert_eq!(reject(40, b"forty").await, Decided::Unknown);
    for (n, bytes) in [(40, b"forty".as_slice()), (40, b"other"), (41, b"forty-one")] {
        aside(n, bytes).await;
    }
    let under: Vec<_> =
        open().await.set_aside_under(record(40)).await.unwrap().into_iter().map(|one| one.envelope).collect();
    assert_eq!(under, [Bytes(b"forty".to_vec()), Bytes(b"other".to_vec())]);
    assert_eq!(open().await.unsaid_receipts(10).await.unwrap(), []);

    assert_eq!(accept(40, b"forty").await, Decided::Done);
    assert_eq!(accept(40, b"forty").await, Decided::Before(Decision::Accepted));
    assert_eq!(reject(40, b"forty").await, Decided::Before(Decision::Accepted));
    assert_eq!(accept(40, b"other").await, Decided::OtherAccepted);
    assert_eq!(reject(40, b"other").await, Decided::Done);
    assert_eq!(reject(41, b"forty-one").await, Decided::Done);
    assert_eq!(accept(41, b"forty-one").await, Decided::Before(Decision::Rejected));

    let seen = async |n, bytes: &[u8]| open().await.seen(record(n), sha256(bytes)).await.unwrap();
    assert_eq!(seen(40, b"forty").await, Seen::Answered(receipt("accepted")), "the later word counts");
    assert_eq!(seen(41, b"forty-one").await, Seen::Answered(receipt("set aside")));
    let said = DeskReceipt { record_id: record(40), device: device("dev-a"), receipt: receipt("accepted") };
    assert_eq!(open().await.unsaid_receipts(10).await.unwrap(), [said]);
    open().await.receipts_said(vec![record(40)]).await.unwrap();
    assert_eq!(open().await.unsaid_receipts(10).await.unwrap(), []);

    let lines = open().await.records(None, 100).await.unwrap().lines;
    let of_forty: Vec<_> = lines.iter().filter(|line| line.record_id == record(40)).collect();
    assert_eq!(of_forty.iter().filter(|line| line.accepted_at.is_some()).count(), 1);
    assert_eq!(of_forty.len(), 2, "the accepted one once, the rejected one once");
    let files = lines.iter().filter(|line| line.file.as_deref() == Some("face-40.xml")).count();
    assert_eq!(files, 1);
    let kept = open().await.set_aside_under(record(41)).await.unwrap().remove(0);
    assert_eq!(kept.envelope, Bytes(b"forty-one".to_vec()), "the bytes of a rejected one stay");
    assert_eq!((kept.summary.decision, kept.summary.decided_at), (Some(Decision::Rejected), Some(at(99))));
    assert_eq!(kept.summary.decision_reason.as_deref(), Some("why"));
}

async fn desk_lists_page_by_page<S: DeskStore>(store: &S) {
    let all = store.records(None, 1000).await.unwrap();
    assert!(all.lines.len() > 5 && all.next.is_none());
    let asides = store.set_asides(None, 1000).await.unwrap();
    for max_count in [1, 2, 3] {
        let (mut lines, mut after) = (Vec::new(), None);
        loop {
            let page = store.records(after, max_count).await.unwrap();
            lines.extend(page.lines);
            // As text, because so it travels.
            after = page.next.map(|mark| PageMark::try_from(mark.to_string()).unwrap());
            if after.is_none() {
                break;
            }
        }
        assert_eq!(lines, all.lines);
        let (mut lines, mut after) = (Vec::new(), None);
        loop {
            let page = store.set_asides(after, max_count).await.unwrap();
            lines.extend(page.lines);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(lines, asides.lines);
    }
    for text in ["", "x", "2026-01-01T00:00:00Z_x_y", "__"] {
        assert_eq!(PageMark::try_from(text.to_owned()), Err(NoPageMark), "{text}");
    }
}
