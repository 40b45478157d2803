use std::time::Duration;

use reqwest::{Method, StatusCode};
use rusqlite::Connection;
use serde_json::{Value, json};
use tazune_hub::{
    admin::{AdminError, messages::StandingOrder},
    store::{Decision, DeskStore, DeviceSummary, ExportState, NewStanding, Reason, StandingChange, StandingChanged},
};
use tazune_link::{
    envelope::{Envelope, EnvelopeHeader},
    front_api::{
        ApiError, DeviceStanding, ENVELOPES, EnvelopesAnswer, EnvelopesRequest, ErrorBody, HandIn, RECEIPTS,
        RECEIPTS_TAKEN, REVOKED_ENVELOPES, REVOKED_RECEIPTS, REVOKED_RECEIPTS_TAKEN, ReceiptsAnswer,
    },
    keys::OpeningKey,
    receipt::{QuarantineReason, SignedReceipt, Verdict},
    tombstone::{ExpectedTombstone, RevocationKind, SignedTombstone},
};
use tazune_model::{Clock as _, DeviceId, RecordId};
use tokio::time::timeout;

use crate::{
    clinic::{Clinic, PATIENCE, Roles},
    device::{ANSWER_VALID, Caller, Device, Hopeful},
};

const DEVICE_PATHS: [(Method, &str, &str); 3] = [
    (Method::POST, ENVELOPES, r#"{"envelopes":[]}"#),
    (Method::GET, RECEIPTS, ""),
    (Method::POST, RECEIPTS_TAKEN, r#"{"record_ids":[]}"#),
];
const REVOKED_PATHS: [(Method, &str, &str); 3] = [
    (Method::POST, REVOKED_ENVELOPES, r#"{"envelopes":[]}"#),
    (Method::GET, REVOKED_RECEIPTS, ""),
    (Method::POST, REVOKED_RECEIPTS_TAKEN, r#"{"record_ids":[]}"#),
];

pub(crate) fn revoke(kind: RevocationKind) -> StandingOrder {
    StandingOrder::Revoke { reason: "電車に忘れた".into(), kind }
}

pub(crate) fn suspend() -> StandingOrder {
    StandingOrder::Suspend { reason: "見当たらない".into() }
}

pub(crate) async fn order(clinic: &Clinic, device: &Device, order: StandingOrder) -> DeviceSummary {
    clinic.admin().order(&device.reply.device_id, &order).await.unwrap()
}

/// What a path answers: the status, and the error if it is one.
async fn asked(caller: &Caller, (method, path, body): &(Method, &str, &str)) -> (u16, Option<ErrorBody>) {
    let (status, body) = caller.send(method.clone(), path, body.as_bytes().to_vec()).await.unwrap();
    (status.as_u16(), if status.is_success() { None } else { Some(serde_json::from_slice(&body).unwrap()) })
}

/// Every path of a list refuses with the same word.
async fn refuses(caller: &Caller, paths: &[(Method, &str, &str)], status: u16, error: ApiError) {
    for path in paths {
        let (told, body) = asked(caller, path).await;
        assert_eq!((told, body.map(|body| body.error)), (status, Some(error)), "{path:?}");
    }
}

async fn serves(caller: &Caller, paths: &[(Method, &str, &str)]) {
    for path in paths {
        let (status, body) = asked(caller, path).await;
        assert!(matches!(status, 200 | 204), "{path:?}: {status} {body:?}");
    }
}

fn is_genuine(tombstone: &SignedTombstone, device: &Device, kind: RevocationKind) {
    let device_key = device.verifying_key();
    let expected =
        ExpectedTombstone { tenant: &device.reply.tenant, device: &device.reply.device_id, device_key: &device_key };
    assert_eq!(tombstone.verify(&device.reply.receipt_key, &expected).unwrap().kind, kind);
}

/// Every path shows the tombstone, which verifies.
async fn shows_the_tombstone(caller: &Caller, device: &Device, kind: RevocationKind) {
    for path in &DEVICE_PATHS {
        let (status, body) = asked(caller, path).await;
        let body = body.unwrap();
        assert_eq!((status, body.error), (403, ApiError::Revoked), "{path:?}");
        is_genuine(&body.tombstone.unwrap(), device, kind);
    }
}

pub(crate) async fn hand_over(clinic: &Clinic, device: &Device, envelopes: &[Envelope]) -> Vec<HandIn> {
    let request = EnvelopesRequest { envelopes: envelopes.to_vec() };
    let answer: EnvelopesAnswer =
        device.caller(clinic).call(Method::POST, REVOKED_ENVELOPES, Some(&request)).await.unwrap();
    answer.results.into_iter().map(|result| result.result).collect()
}

/// The receipt of one record, once the front offers one with this verdict.
async fn receipt(clinic: &Clinic, device: &Device, envelope: &Envelope, verdict: Verdict) -> SignedReceipt {
    let record = envelope.header().unwrap().record_id;
    let offered = async {
        loop {
            let path = format!("{REVOKED_RECEIPTS}?wait_s=1");
            let told: ReceiptsAnswer = device.caller(clinic).call(Method::GET, &path, None::<&()>).await.unwrap();
            let found = told.receipts.into_iter().find(|receipt| receipt.claimed_record_id() == Ok(record));
            if let Some(receipt) = found.filter(|receipt| device.verify(receipt, envelope).verdict == verdict) {
                return receipt;
            }
        }
    };
    timeout(PATIENCE, offered).await.unwrap()
}

fn refusal(told: Result<impl std::fmt::Debug, AdminError>) -> String {
    let error = told.unwrap_err();
    assert_eq!(error.failure_code().map(|code| code.name()), Some("DecisionImpossible"), "{error}");
    error.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_standing_has_its_answer_on_every_path() {
    let clinic = Clinic::open().await;
    let (device, other) = (clinic.pair().await, clinic.pair().await);
    let (caller, stranger) = (device.caller(&clinic), Caller::new(&clinic, None));
    for paths in [&DEVICE_PATHS, &REVOKED_PATHS] {
        refuses(&stranger, paths, 403, ApiError::Forbidden).await;
    }
    serves(&caller, &DEVICE_PATHS).await;
    refuses(&caller, &REVOKED_PATHS, 403, ApiError::Forbidden).await;

    for _ in 0..2 {
        let line = order(&clinic, &device, suspend()).await;
        assert_eq!((line.state, line.is_at_front), (DeviceStanding::Suspended, true));
        assert_eq!((line.reason.as_deref(), line.kind), (Some("見当たらない"), None));
        for paths in [&DEVICE_PATHS, &REVOKED_PATHS] {
            refuses(&caller, paths, 403, ApiError::Suspended).await;
        }
    }
    let line = order(&clinic, &device, StandingOrder::Resume).await;
    assert_eq!((line.state, line.reason), (DeviceStanding::Active, None));
    serves(&caller, &DEVICE_PATHS).await;

    order(&clinic, &device, revoke(RevocationKind::Lost)).await;
    shows_the_tombstone(&caller, &device, RevocationKind::Lost).await;
    serves(&caller, &REVOKED_PATHS).await;
    // Said once: the same order again, with another kind, changes no word of it.
    order(&clinic, &device, revoke(RevocationKind::Stolen)).await;
    shows_the_tombstone(&caller, &device, RevocationKind::Lost).await;
    for again in [suspend(), StandingOrder::Resume] {
        let refused = clinic.admin().order(&device.reply.device_id, &again).await;
        assert!(refusal(refused).contains("final"));
    }
    let unknown = DeviceId::new("dev-unknown").unwrap();
    for ordered in [suspend(), StandingOrder::Resume, revoke(RevocationKind::Other)] {
        assert!(refusal(clinic.admin().order(&unknown, &ordered).await).contains("dev-unknown"));
    }

    serves(&other.caller(&clinic), &DEVICE_PATHS).await;
    clinic.clock.advance(jiff::SignedDuration::from_hours(24 * 400));
    shows_the_tombstone(&device.caller(&clinic), &device, RevocationKind::Lost).await;
    serves(&device.caller(&clinic), &REVOKED_PATHS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_reaches_connections_and_waits_that_are_open() {
    let clinic = Clinic::open().await;
    let device = clinic.pair().await;
    let caller = device.caller(&clinic);
    serves(&caller, &DEVICE_PATHS).await;
    let waiting = {
        let caller = caller.clone();
        tokio::spawn(async move { caller.send(Method::GET, &format!("{RECEIPTS}?wait_s=30"), vec![]).await.unwrap() })
    };
    // It waits by the time that a later request on the same connection was answered.
    serves(&caller, &DEVICE_PATHS[2..]).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    order(&clinic, &device, revoke(RevocationKind::Stolen)).await;
    shows_the_tombstone(&caller, &device, RevocationKind::Stolen).await;
    let (status, body) = timeout(PATIENCE, waiting).await.expect("the wait ends at once").unwrap();
    assert_eq!(status, StatusCode::FORBIDDEN);
    is_genuine(
        &serde_json::from_slice::<ErrorBody>(&body).unwrap().tombstone.unwrap(),
        &device,
        RevocationKind::Stolen,
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_front_was_not_told_is_told_when_it_is_back() {
    let mut clinic = Clinic::open().await;
    let device = clinic.pair().await;
    clinic.stop().await;
    // As after a kill between the commit and the word to the front.
    let store = clinic.desk_store().await;
    let change = StandingChange {
        device: device.reply.device_id.clone(),
        to: NewStanding::Suspended,
        reason: Reason { text: String::new(), salt: [0; 16] },
        at: clinic.clock.now(),
    };
    assert_eq!(store.change_standing(change).await.unwrap(), StandingChanged::Changed);
    drop(store);
    clinic.start(Roles::FrontOnly).await;
    serves(&device.caller(&clinic), &DEVICE_PATHS).await;
    clinic.restart(Roles::Both).await;
    let told = async {
        while !clinic.admin().device(&device.reply.device_id).await.unwrap().is_at_front {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, told).await.unwrap();
    refuses(&device.caller(&clinic), &DEVICE_PATHS, 403, ApiError::Suspended).await;
}

/// The desk waits for work at that moment, and must not wait to its end before it tells again.
#[tokio::test(flavor = "multi_thread")]
async fn a_front_that_could_not_store_a_revocation_hears_it_as_soon_as_it_can() {
    let clinic = Clinic::open().await;
    let device = clinic.pair().await;
    let front = rusqlite::Connection::open(clinic.front_folder().join("front.sqlite")).unwrap();
    front.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert!(!order(&clinic, &device, revoke(RevocationKind::Lost)).await.is_at_front);
    front.execute_batch("ROLLBACK").unwrap();
    let told = async {
        while !clinic.admin().device(&device.reply.device_id).await.unwrap().is_at_front {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    // Less than the desk waits for work.
    timeout(PATIENCE / 2, told).await.unwrap();
    shows_the_tombstone(&device.caller(&clinic), &device, RevocationKind::Lost).await;
}

/// A front that is laid back from a backup has forgotten what it was told since; it learns it as soon as the device asks.
#[tokio::test(flavor = "multi_thread")]
async fn a_front_that_forgot_how_a_device_stands_is_told_again() {
    let clinic = Clinic::open().await;
    let device = clinic.pair().await;
    let front = Connection::open(clinic.front_folder().join("front.sqlite")).unwrap();
    let registered = |state: &str| {
        let sql = "UPDATE device SET registration = json_set(json_remove(registration, '$.tombstone'), '$.state', ?1)";
        front.execute(sql, [state]).unwrap();
    };
    let told = async |ordered: StandingOrder, before: &str| {
        order(&clinic, &device, ordered).await;
        registered(before);
        let _ = asked(&device.caller(&clinic), &DEVICE_PATHS[0]).await;
    };
    let until = async |status: u16| {
        // Something to do ends the desk's wait for work.
        Hopeful::scan(&clinic.admin().open_pairing().await.unwrap().offer, &clinic).say_hello().await.unwrap();
        let heard = async {
            while asked(&device.caller(&clinic), &DEVICE_PATHS[0]).await.0 != status {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, heard).await.unwrap();
    };
    told(suspend(), "active").await;
    until(403).await;
    refuses(&device.caller(&clinic), &DEVICE_PATHS, 403, ApiError::Suspended).await;
    told(StandingOrder::Resume, "suspended").await;
    until(200).await;
    told(revoke(RevocationKind::Lost), "active").await;
    until(403).await;
    shows_the_tombstone(&device.caller(&clinic), &device, RevocationKind::Lost).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_revoked_device_hands_in_is_set_aside_until_a_person_decides() {
    let clinic = Clinic::open().await;
    let device = clinic.pair().await;
    let before = device.seal(&clinic, &device.answered(&clinic, ANSWER_VALID));
    device.hand_in(&clinic, std::slice::from_ref(&before)).await;
    let first = device.receipts(&clinic).await.remove(0);
    clinic.records(|records| records.iter().any(|line| line.export == ExportState::Written)).await;
    assert_eq!(clinic.face_files().len(), 1);

    order(&clinic, &device, revoke(RevocationKind::Lost)).await;
    let good = device.seal(&clinic, &device.answered(&clinic, ANSWER_VALID));
    let turned_down = device.seal(&clinic, &device.answered(&clinic, ANSWER_VALID));
    let other_key = OpeningKey::make(&mut clinic.random.clone()).sealing_key();
    let record = device.record(&clinic);
    let wrong_key = device.seal_to(&clinic, &record, &other_key, EnvelopeHeader::new(&other_key, &record));
    let batch = [before.clone(), good.clone(), turned_down.clone(), wrong_key.clone()];
    let taken = hand_over(&clinic, &device, &batch).await;
    assert_eq!(taken, [HandIn::Accepted, HandIn::Received, HandIn::Received, HandIn::Received]);
    assert_eq!(receipt(&clinic, &device, &before, Verdict::Accepted).await, first, "its old receipt");
    let aside = Verdict::Quarantined { reason: QuarantineReason::DeviceRevoked };
    for envelope in [&good, &turned_down, &wrong_key] {
        receipt(&clinic, &device, envelope, aside).await;
    }
    assert_eq!(clinic.face_files().len(), 1);
    let line = clinic.admin().device(&device.reply.device_id).await.unwrap();
    assert_eq!((line.accepted_count, line.quarantined_count), (1, 3));

    let id = |envelope: &Envelope| envelope.header().unwrap().record_id;
    let admin = clinic.admin();
    for _ in 0..2 {
        let accepted = admin.accept_set_aside(id(&good), None).await.unwrap();
        assert_eq!(accepted.decision, Some(Decision::Accepted));
        receipt(&clinic, &device, &good, Verdict::Accepted).await;
        let rejected = admin.reject_set_aside(id(&turned_down), None, "二重".into()).await.unwrap();
        assert_eq!((rejected.decision, rejected.decision_reason.as_deref()), (Some(Decision::Rejected), Some("二重")));
    }
    clinic.records(|records| records.iter().filter(|line| line.export == ExportState::Written).count() == 2).await;
    assert_eq!(clinic.face_files().len(), 2, "exactly one file more");

    let refused = admin.reject_set_aside(id(&good), None, "x".into()).await;
    assert!(refusal(refused).contains("accepted before"));
    assert!(refusal(admin.accept_set_aside(id(&turned_down), None).await).contains("rejected before"));
    assert!(refusal(admin.accept_set_aside(id(&wrong_key), None).await).contains("key"));
    let unknown = RecordId::make(clinic.clock.now(), &[9; 10]);
    assert!(refusal(admin.accept_set_aside(unknown, None).await).contains("no envelope"));

    let lines = admin.set_asides().await.unwrap();
    let decisions: Vec<_> = [&good, &turned_down, &wrong_key]
        .map(|envelope| lines.iter().find(|line| line.record_id == id(envelope)).unwrap().decision)
        .into();
    assert_eq!(decisions, [Some(Decision::Accepted), Some(Decision::Rejected), None]);
    let records = clinic.records(|_| true).await;
    assert_eq!(records.len(), 4, "an accepted one stands once in the list");
    assert_eq!(hand_over(&clinic, &device, std::slice::from_ref(&good)).await, [HandIn::Accepted]);
    receipt(&clinic, &device, &good, Verdict::Accepted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_device_hands_in_after_it_is_resumed() {
    let clinic = Clinic::open().await;
    let device = clinic.pair().await;
    order(&clinic, &device, suspend()).await;
    let envelope = device.seal(&clinic, &device.record(&clinic));
    let request = EnvelopesRequest { envelopes: vec![envelope.clone()] };
    let told: Result<Value, _> = device.caller(&clinic).call(Method::POST, ENVELOPES, Some(&request)).await;
    assert_eq!(told, Err((StatusCode::FORBIDDEN, Some(ApiError::Suspended))));
    order(&clinic, &device, StandingOrder::Resume).await;
    assert_eq!(device.hand_in(&clinic, std::slice::from_ref(&envelope)).await, [HandIn::Received]);
    assert_eq!(device.verify(&device.receipts(&clinic).await[0], &envelope).verdict, Verdict::Accepted);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_of_devices_tells_who_is_there_and_who_is_being_paired() {
    let clinic = Clinic::open().await;
    let device = clinic.pair().await;
    let opened = clinic.admin().open_pairing().await.unwrap();
    Hopeful::scan(&opened.offer, &clinic).say_hello().await.unwrap();
    clinic.view(&opened.session).await;
    let view = clinic.admin().devices().await.unwrap();
    assert_eq!((view.pending.len(), &view.pending[0].session), (1, &opened.session));
    let [line] = view.devices.as_slice() else { panic!("{view:?}") };
    assert_eq!((&line.device, line.state, line.is_at_front), (&device.reply.device_id, DeviceStanding::Active, true));
    assert_eq!(line.certificate_expires_at, line.paired_at + jiff::SignedDuration::from_hours(24 * 90));

    clinic.clock.advance(jiff::SignedDuration::from_hours(1));
    let asked_at = clinic.clock.now();
    device.hand_in(&clinic, &[device.seal(&clinic, &device.record(&clinic))]).await;
    let known = async {
        while clinic.admin().device(&device.reply.device_id).await.unwrap().last_contact_at != Some(asked_at) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, known).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_front_takes_a_revocation_only_with_its_tombstone_and_no_way_back() {
    let clinic = Clinic::open().await;
    let device = clinic.pair().await;
    let read = |name: &str| std::fs::read(clinic.desk_folder().join(name)).unwrap();
    let desk = Caller::new(&clinic, Some((read("desk.crt"), read("desk.key"))));
    let tombstone = json!({ "body": "", "signature": "" });
    let path = tazune_link::front_api::desk_device_path(&device.reply.device_id);
    for (state, tombstone, status) in [
        ("revoked", Value::Null, 400),
        ("active", tombstone.clone(), 400),
        ("suspended", tombstone.clone(), 400),
        ("revoked", tombstone, 204),
        // As a desk would say that was set back to a time before.
        ("active", Value::Null, 403),
        ("suspended", Value::Null, 403),
    ] {
        let body = json!({ "state": state, "tombstone": tombstone, "tenant": device.reply.tenant,
                           "device_key": device.verifying_key() });
        let (told, _) = desk.send(Method::PUT, &path, body.to_string().into_bytes()).await.unwrap();
        assert_eq!(told.as_u16(), status, "{body}");
    }
}
