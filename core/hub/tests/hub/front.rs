use std::fs;

use rcgen::{CertificateParams, KeyPair};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tazune_link::{
    envelope::{Envelope, MAX_BATCH_BYTES, MAX_ENVELOPE_BYTES, Refusal},
    front_api::{
        ApiError, DESK_RECEIPTS, DESK_WORK, DeskWork, DeviceRegistration, DeviceStanding, ENVELOPES, EnvelopeResult,
        EnvelopesAnswer, EnvelopesRequest, HandIn, RECEIPTS, desk_device_path,
    },
    keys::VerifyingKey,
    pairing::MAX_HELLO_BYTES,
    receipt::Verdict,
};
use tazune_model::{DeviceId, InstitutionCode};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    task::JoinSet,
    time::timeout,
};

use crate::{
    clinic::{Clinic, PATIENCE, Roles},
    device::{ANSWER_VALID, Caller, Device, MARKED, Told},
};

fn altered(envelope: &Envelope, change: impl FnOnce(&mut Value)) -> Envelope {
    let mut json = serde_json::to_value(envelope).unwrap();
    change(&mut json);
    serde_json::from_value(json).unwrap()
}

/// The desk's own identity, as somebody with its folder could use it.
fn desk_caller(clinic: &Clinic) -> Caller {
    let read = |name: &str| fs::read(clinic.desk_folder().join(name)).unwrap();
    Caller::new(clinic, Some((read("desk.crt"), read("desk.key"))))
}

async fn still_serves(clinic: &Clinic, device: &Device) {
    let envelope = device.seal(clinic, &device.record(clinic));
    assert_eq!(device.hand_in(clinic, &[envelope]).await, [HandIn::Received]);
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_each_bad_envelope_by_name_and_takes_the_good_ones_beside_it() {
    let clinic = Clinic::open().await;
    let (device, other) = (clinic.pair().await, clinic.pair().await);
    let record = device.record(&clinic);
    let good = device.seal(&clinic, &record);
    let again = device.seal(&clinic, &record);
    let tampered = altered(&device.seal(&clinic, &device.record(&clinic)), |json| json["sealed"] = json!("AAAA"));
    let others = other.seal(&clinic, &other.record(&clinic));
    let mut foreign = device.record(&clinic);
    foreign.institution = InstitutionCode::new("9918000010").unwrap();
    let foreign = device.seal(&clinic, &foreign);
    let headless = altered(&good, |json| json["header"] = json!("AAAA"));
    let large = altered(&good, |json| json["sealed"] = json!("A".repeat(MAX_ENVELOPE_BYTES)));

    let refused = |refusal| HandIn::Refused(refusal);
    let table = [
        (good.clone(), HandIn::Received),
        (again, refused(Refusal::Replayed)),
        (tampered, refused(Refusal::Altered)),
        (others, refused(Refusal::Misaddressed)),
        (foreign, refused(Refusal::Misaddressed)),
        (headless, refused(Refusal::Malformed)),
        (large, refused(Refusal::Oversized)),
    ];
    let (envelopes, expected): (Vec<_>, Vec<_>) = table.into_iter().unzip();
    assert_eq!(device.hand_in(&clinic, &envelopes).await, expected);
    still_serves(&clinic, &device).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_bodies_that_are_none() {
    let clinic = Clinic::open().await;
    let device = clinic.pair().await;
    let caller = device.caller(&clinic);
    let told = async |method: Method, path: &str, body: Vec<u8>| {
        let (status, answer) = caller.send(method, path, body).await.unwrap();
        (status.as_u16(), serde_json::from_slice::<Value>(&answer).unwrap()["error"].as_str().unwrap().to_owned())
    };
    let table = [
        (Method::POST, ENVELOPES, b"{".to_vec(), (400, "malformed")),
        (Method::POST, ENVELOPES, br#"{"envelopes":{}}"#.to_vec(), (400, "malformed")),
        (Method::POST, ENVELOPES, vec![b' '; MAX_BATCH_BYTES], (400, "malformed")),
        (Method::POST, ENVELOPES, vec![b' '; MAX_BATCH_BYTES + 1], (413, "oversized")),
        (Method::GET, "/v1/receipts?wait_s=soon", vec![], (400, "malformed")),
        (Method::POST, "/v1/receipts/taken", br#"{"record_ids":["x"]}"#.to_vec(), (400, "malformed")),
        (Method::GET, "/v1/nothing", vec![], (404, "not_found")),
        (Method::DELETE, ENVELOPES, vec![], (404, "not_found")),
        (Method::POST, "/v1/pairing/x", br#"{"encapsulated":"","sealed":""}"#.to_vec(), (404, "pairing_unknown")),
        (Method::POST, "/v1/pairing/x", vec![b' '; MAX_HELLO_BYTES], (404, "pairing_unknown")),
        (Method::GET, "/v1/pairing/%ff", vec![], (404, "pairing_unknown")),
        (Method::PUT, "/v1/desk/devices/%ff", vec![], (403, "forbidden")),
        (Method::PUT, "/v1/desk/pairing/%ff", vec![], (403, "forbidden")),
    ];
    for (method, path, body, (status, error)) in table {
        assert_eq!(told(method, path, body).await, (status, error.to_owned()), "{path}");
        still_serves(&clinic, &device).await;
    }
    let session = format!("/v1/pairing/{}", "a".repeat(32));
    for (length, expected) in [(MAX_HELLO_BYTES, (400, "malformed")), (MAX_HELLO_BYTES + 1, (413, "oversized"))] {
        let (status, error) = told(Method::POST, &session, vec![b' '; length]).await;
        assert_eq!((status, error.as_str()), expected, "{length}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_envelope_is_refused_alone() {
    let clinic = Clinic::open().await;
    let device = clinic.pair().await;
    let good = device.seal(&clinic, &device.record(&clinic));
    let no_signature = json!({ "header": "", "encapsulated": "", "sealed": "" });
    let batch = json!({ "envelopes": [good, {}, 1, no_signature, good] });
    let told: EnvelopesAnswer = device.caller(&clinic).call(Method::POST, ENVELOPES, Some(&batch)).await.unwrap();
    let none = EnvelopeResult { record_id: None, result: HandIn::Refused(Refusal::Malformed) };
    let taken = EnvelopeResult { record_id: Some(good.header().unwrap().record_id), result: HandIn::Received };
    assert_eq!(told.results, [taken, none, none, none, taken]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_envelopes_that_come_at_once_under_one_record_id_one_is_taken() {
    let mut clinic = Clinic::open().await;
    let device = clinic.pair().await;
    clinic.restart(Roles::FrontOnly).await;
    let record = device.record(&clinic);
    let envelopes = [device.seal(&clinic, &record), device.seal(&clinic, &record)];
    let mut at_once = JoinSet::new();
    for n in 0..8 {
        let (caller, envelope) = (device.caller(&clinic), envelopes[n % 2].clone());
        at_once.spawn(async move {
            let request = EnvelopesRequest { envelopes: vec![envelope] };
            let told: EnvelopesAnswer = caller.call(Method::POST, ENVELOPES, Some(&request)).await.unwrap();
            (n % 2, told.results[0].result)
        });
    }
    let told = at_once.join_all().await;
    for which in [0, 1] {
        let mut same = told.iter().filter(|(n, _)| *n == which).map(|(_, result)| *result);
        let first = same.next().unwrap();
        assert!(same.all(|result| result == first), "the same bytes get the same answer");
    }
    let taken = told.iter().filter(|(_, result)| *result == HandIn::Received).count();
    let refused = told.iter().filter(|(_, result)| *result == HandIn::Refused(Refusal::Replayed)).count();
    assert_eq!((taken, refused), (4, 4));
}

/// The handshake costs nothing and asks for no certificate, so what follows it must not be waited for either.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_asks_nothing_is_closed() {
    let clinic = Clinic::open().await;
    let mut silent = JoinSet::new();
    for (protocol, sent) in [("http/1.1", ""), ("http/1.1", "GET /v1/rec"), ("h2", ""), ("h2", "PRI * HTTP/2.0\r\n")] {
        let mut stream = Caller::connect(&clinic, protocol).await;
        silent.spawn(async move {
            stream.write_all(sent.as_bytes()).await.unwrap();
            let mut told = Vec::new();
            let _ = timeout(PATIENCE, stream.read_to_end(&mut told)).await.expect("the front hangs up");
        });
    }
    silent.join_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_an_active_device_may_only_pair() {
    let clinic = Clinic::open().await;
    let device = clinic.pair().await;
    let hand_in = async |caller: Caller| -> Told<Value> {
        let envelope = device.seal(&clinic, &device.record(&clinic));
        caller.call(Method::POST, ENVELOPES, Some(&EnvelopesRequest { envelopes: vec![envelope] })).await
    };
    let stranger = Caller::new(&clinic, None);
    assert_eq!(hand_in(stranger.clone()).await, Err((StatusCode::FORBIDDEN, Some(ApiError::Forbidden))));
    let opened = clinic.admin().open_pairing().await.unwrap();
    assert!(stranger.pairing_state(&opened.session).await.is_ok());

    // Names this hub's CA as its issuer, but another key signed it.
    let key = KeyPair::generate().unwrap();
    let foreign = CertificateParams::default().self_signed(&key).unwrap().der().to_vec();
    let foreign = Caller::new(&clinic, Some((foreign, key.serialize_der())));
    assert!(foreign.send(Method::GET, RECEIPTS, vec![]).await.is_err(), "another CA ends the handshake");

    register(&clinic, &device, &KeyPair::generate().unwrap()).await.unwrap();
    let other_key = hand_in(device.caller(&clinic)).await;
    assert_eq!(other_key, Err((StatusCode::FORBIDDEN, Some(ApiError::UnknownDevice))));
}

async fn register(clinic: &Clinic, device: &Device, key: &KeyPair) -> Told<()> {
    use rcgen::PublicKeyData as _;
    let registration = DeviceRegistration {
        state: DeviceStanding::Active,
        device_key: VerifyingKey::from_bytes(key.der_bytes()).unwrap(),
        tenant: device.reply.tenant.clone(),
        tombstone: None,
    };
    desk_caller(clinic).call(Method::PUT, &desk_device_path(&device.reply.device_id), Some(&registration)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_whose_certificate_has_expired_still_hands_in() {
    let clinic = Clinic::open().await;
    let device = clinic.pair().await;
    clinic.clock.advance(jiff::SignedDuration::from_hours(24 * 400));
    let envelope = device.seal(&clinic, &device.record(&clinic));
    assert_eq!(device.hand_in(&clinic, std::slice::from_ref(&envelope)).await, [HandIn::Received]);
    let receipts = device.receipts(&clinic).await;
    assert_eq!(device.verify(&receipts[0], &envelope).verdict, Verdict::Accepted);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_desk_takes_work_and_gives_receipts() {
    let clinic = Clinic::open().await;
    let device = clinic.pair().await;
    for caller in [device.caller(&clinic), Caller::new(&clinic, None)] {
        let work: Told<Value> = caller.call(Method::GET, DESK_WORK, None::<&()>).await;
        assert_eq!(work, Err((StatusCode::FORBIDDEN, Some(ApiError::Forbidden))));
        let receipts: Told<()> = caller.call(Method::POST, DESK_RECEIPTS, Some(&json!({ "receipts": [] }))).await;
        assert_eq!(receipts, Err((StatusCode::FORBIDDEN, Some(ApiError::Forbidden))));
    }
    let desk = desk_caller(&clinic);
    assert!(desk.call::<DeskWork>(Method::GET, DESK_WORK, None::<&()>).await.is_ok());
    let hand_in: Told<Value> = desk.call(Method::POST, ENVELOPES, Some(&json!({ "envelopes": [] }))).await;
    assert_eq!(hand_in, Err((StatusCode::FORBIDDEN, Some(ApiError::Forbidden))));
    clinic.clock.advance(jiff::SignedDuration::from_hours(24 * 365 * 21));
    let expired: Told<Value> = desk.call(Method::GET, DESK_WORK, None::<&()>).await;
    assert_eq!(expired, Err((StatusCode::FORBIDDEN, Some(ApiError::Forbidden))), "the desk's must be valid");
    clinic.clock.advance(-jiff::SignedDuration::from_hours(24 * 365 * 21));
    let elsewhere = DeviceRegistration {
        state: DeviceStanding::Active,
        device_key: VerifyingKey::from_bytes(&[4; 65]).unwrap(),
        tenant: InstitutionCode::new("9918000010").unwrap(),
        tombstone: None,
    };
    let path = desk_device_path(&DeviceId::new("dev-elsewhere").unwrap());
    let put: Told<()> = desk.call(Method::PUT, &path, Some(&elsewhere)).await;
    assert_eq!(put, Err((StatusCode::FORBIDDEN, Some(ApiError::Forbidden))));
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_what_it_received_over_a_restart_and_answers_the_same_again() {
    let mut clinic = Clinic::open().await;
    let device = clinic.pair().await;
    clinic.restart(Roles::FrontOnly).await;
    let envelope = device.seal(&clinic, &device.record(&clinic));
    let record_id = envelope.header().unwrap().record_id;
    let hand_in = async |clinic: &Clinic| device.hand_in(clinic, std::slice::from_ref(&envelope)).await;
    assert_eq!(hand_in(&clinic).await, [HandIn::Received]);
    clinic.restart(Roles::FrontOnly).await;
    assert_eq!(hand_in(&clinic).await, [HandIn::Received]);
    let work: DeskWork = desk_caller(&clinic).call(Method::GET, DESK_WORK, None::<&()>).await.unwrap();
    assert_eq!(work.envelopes.len(), 1);

    clinic.restart(Roles::Both).await;
    let first = device.receipts(&clinic).await;
    assert_eq!(device.verify(&first[0], &envelope).verdict, Verdict::Accepted);
    device.take(&clinic, &[record_id]).await;
    assert_eq!(hand_in(&clinic).await, [HandIn::Accepted]);
    assert_eq!(device.receipts(&clinic).await, first, "the first receipt is offered again");
}

#[tokio::test(flavor = "multi_thread")]
async fn its_folder_names_nobody_and_holds_no_key_of_the_clinic() {
    let mut clinic = Clinic::open().await;
    let device = clinic.pair().await;
    clinic.restart(Roles::FrontOnly).await;
    let envelope = device.seal(&clinic, &device.answered(&clinic, ANSWER_VALID));
    assert_eq!(device.hand_in(&clinic, &[envelope]).await, [HandIn::Received]);

    let secrets: Vec<_> = ["ca.key", "clinic.key", "receipt.key", "desk.key", "gateway-secret"]
        .map(|name| fs::read(clinic.desk_folder().join(name)).unwrap())
        .into_iter()
        .chain([MARKED, "見本", "往診タブレット"].map(|text| text.as_bytes().to_vec()))
        .collect();
    let mut count = 0;
    for entry in fs::read_dir(clinic.front_folder()).unwrap() {
        let path = entry.unwrap().path();
        let content = fs::read(&path).unwrap();
        count += 1;
        for secret in &secrets {
            let found = content.windows(secret.len()).any(|window| window == secret.as_slice());
            assert!(!found, "{}", path.display());
        }
    }
    assert!(count >= 5, "settings, key, certificates and database");
}
