use std::fs;

use jiff::SignedDuration;
use reqwest::StatusCode;
use rusqlite::Connection;
use serde_json::Value;
use tazune_hub::admin::{AdminError, messages::PairingView};
use tazune_link::{
    front_api::{ApiError, PairingAnswer},
    pairing::{DeviceState, PairingError, SessionId},
    receipt::Verdict,
};
use tokio::net::TcpListener;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::{
    clinic::{Clinic, INSTITUTION, Roles},
    device::{Caller, Hopeful},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_paired_device_gets_its_names_keys_and_settings() {
    let clinic = Clinic::open().await;
    let device = clinic.pair().await;
    let reply = &device.reply;
    assert_eq!(reply.tenant.as_str(), INSTITUTION);
    assert!(reply.device_id.as_str().strip_prefix("dev-").is_some_and(|id| id.len() == 8));
    assert_eq!(reply.settings.gateway.url, clinic.gateway.url());
    assert_eq!((reply.settings.card_anchors.len(), reply.settings.gateway.ca_certificates.len()), (1, 1));
    assert_eq!((reply.settings.consent_items.len(), reply.settings.purge_after_hours), (6, 72));

    let [at_hub, ca] = reply.hub_certificates.as_slice() else { panic!("the device's certificate and the CA's") };
    let at_gateway = reply.settings.gateway.client_certificates.first().unwrap();
    for certificate in [at_hub, at_gateway] {
        let (_, certificate) = X509Certificate::from_der(certificate.as_slice()).unwrap();
        let subject = certificate.subject();
        let only = |mut values: Vec<&str>| (values.len() == 1).then(|| values.remove(0).to_owned());
        let name = subject.iter_common_name().map(|value| value.as_str().unwrap()).collect();
        let institution = subject.iter_organization().map(|value| value.as_str().unwrap()).collect();
        assert_eq!(only(name).as_deref(), Some(reply.device_id.as_str()));
        assert_eq!(only(institution).as_deref(), Some(INSTITUTION));
    }
    let (_, certificate) = X509Certificate::from_der(at_hub.as_slice()).unwrap();
    let (_, ca) = X509Certificate::from_der(ca.as_slice()).unwrap();
    certificate.verify_signature(Some(ca.public_key())).unwrap();
    assert!(!certificate.is_ca() && ca.is_ca());
    let validity = certificate.validity();
    let days = (validity.not_after.timestamp() - validity.not_before.timestamp()) / 86_400;
    assert_eq!(days, 90);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_digits_end_the_session_at_the_first_attempt() {
    let clinic = Clinic::open().await;
    let admin = clinic.admin();
    let opened = admin.open_pairing().await.unwrap();
    let mut hopeful = Hopeful::scan(&opened.offer, &clinic);
    hopeful.say_hello().await.unwrap();
    clinic.view(&opened.session).await;
    let slip = admin.type_code(&opened.session, "12345").await.unwrap_err();
    assert!(matches!(slip, AdminError::Refused(_)), "a slip of the hand is no attempt");
    let wrong = if hopeful.digits() == "000000" { "000001" } else { "000000" };
    assert_eq!(admin.type_code(&opened.session, wrong).await.unwrap(), PairingView::CodeWrong);
    assert!(matches!(hopeful.wait_for_the_end().await, DeviceState::Failed(PairingError::CodeWrong)));
    assert!(admin.type_code(&opened.session, &"0".repeat(6)).await.is_err());
    assert!(admin.decide(&opened.session, true).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_scanner_is_told_that_it_was_not_first() {
    let clinic = Clinic::open().await;
    let opened = clinic.admin().open_pairing().await.unwrap();
    let (mut first, mut second) = (Hopeful::scan(&opened.offer, &clinic), Hopeful::scan(&opened.offer, &clinic));
    first.say_hello().await.unwrap();
    assert_eq!(second.say_hello().await, Err((StatusCode::CONFLICT, Some(ApiError::PairingTaken))));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_may_turn_a_device_down() {
    let clinic = Clinic::open().await;
    let admin = clinic.admin();
    let opened = admin.open_pairing().await.unwrap();
    let mut hopeful = Hopeful::scan(&opened.offer, &clinic);
    hopeful.say_hello().await.unwrap();
    clinic.view(&opened.session).await;
    assert!(admin.decide(&opened.session, true).await.is_err(), "no approval before the digits");
    assert_eq!(admin.decide(&opened.session, false).await.unwrap(), PairingView::Rejected);
    assert!(matches!(hopeful.wait_for_the_end().await, DeviceState::Failed(PairingError::Rejected)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_for_another_key_is_turned_down() {
    let clinic = Clinic::open().await;
    let opened = clinic.admin().open_pairing().await.unwrap();
    let (mut thief, owner) = (Hopeful::scan(&opened.offer, &clinic), Hopeful::scan(&opened.offer, &clinic));
    thief.claim_key_of(&owner);
    thief.say_hello().await.unwrap();
    assert_eq!(clinic.view(&opened.session).await, PairingView::Rejected);
    assert!(matches!(thief.wait_for_the_end().await, DeviceState::Failed(PairingError::Rejected)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_ends_after_a_minute_and_a_session_after_five() {
    let clinic = Clinic::open().await;
    let admin = clinic.admin();
    let late = admin.open_pairing().await.unwrap();
    let mut hopeful = Hopeful::scan(&late.offer, &clinic);
    clinic.clock.advance(SignedDuration::from_secs(61));
    assert_eq!(hopeful.say_hello().await, Err((StatusCode::GONE, Some(ApiError::PairingExpired))));
    assert_eq!(admin.pairing(&late.session, 0).await.unwrap(), PairingView::Expired);

    let slow = admin.open_pairing().await.unwrap();
    let mut hopeful = Hopeful::scan(&slow.offer, &clinic);
    hopeful.say_hello().await.unwrap();
    clinic.view(&slow.session).await;
    clinic.clock.advance(SignedDuration::from_secs(301));
    assert_eq!(admin.type_code(&slow.session, &hopeful.digits()).await.unwrap(), PairingView::Expired);
    assert!(matches!(hopeful.wait_for_the_end().await, DeviceState::Failed(PairingError::Expired)));

    let later = admin.open_pairing().await.unwrap();
    let mut hopeful = Hopeful::scan(&later.offer, &clinic);
    hopeful.say_hello().await.unwrap();
    clinic.view(&later.session).await;
    admin.type_code(&later.session, &hopeful.digits()).await.unwrap();
    clinic.clock.advance(SignedDuration::from_secs(301));
    clinic.gateway.set_reachable(false);
    let late = admin.decide(&later.session, true).await.unwrap_err();
    assert_eq!(late.failure_code(), None, "the gateway was not asked");
    assert_eq!(admin.pairing(&later.session, 0).await.unwrap(), PairingView::Expired);
    assert!(matches!(hopeful.wait_for_the_end().await, DeviceState::Failed(PairingError::Expired)));
}

/// A front set back to an older state asks again what the desk has said, and hears the same.
#[tokio::test(flavor = "multi_thread")]
async fn the_desk_repeats_its_word_to_a_front_that_forgot_it() {
    let clinic = Clinic::open().await;
    let opened = clinic.admin().open_pairing().await.unwrap();
    let mut hopeful = Hopeful::scan(&opened.offer, &clinic);
    hopeful.say_hello().await.unwrap();
    clinic.view(&opened.session).await;
    let other = clinic.admin().open_pairing().await.unwrap();
    clinic.admin().decide(&opened.session, false).await.unwrap();
    let front = Connection::open(clinic.front_folder().join("front.sqlite")).unwrap();
    front.execute_batch("UPDATE pairing SET answer = NULL").unwrap();
    // Another hello makes the desk look for work.
    Hopeful::scan(&other.offer, &clinic).say_hello().await.unwrap();
    clinic.view(&other.session).await;
    assert!(matches!(hopeful.wait_for_the_end().await, DeviceState::Failed(PairingError::Rejected)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_the_hub_ends_its_sessions() {
    let mut clinic = Clinic::open().await;
    let opened = clinic.admin().open_pairing().await.unwrap();
    let mut hopeful = Hopeful::scan(&opened.offer, &clinic);
    clinic.restart(Roles::Both).await;
    hopeful.caller = Caller::new(&clinic, None);
    hopeful.say_hello().await.unwrap();
    assert!(matches!(hopeful.wait_for_the_end().await, DeviceState::Failed(PairingError::Expired)));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_gateway_nothing_is_approved_and_the_admin_may_try_again() {
    let clinic = Clinic::open().await;
    let admin = clinic.admin();
    let opened = admin.open_pairing().await.unwrap();
    let mut hopeful = Hopeful::scan(&opened.offer, &clinic);
    hopeful.say_hello().await.unwrap();
    clinic.view(&opened.session).await;
    admin.type_code(&opened.session, &hopeful.digits()).await.unwrap();
    clinic.gateway.set_reachable(false);
    let error = admin.decide(&opened.session, true).await.unwrap_err();
    assert_eq!(error.failure_code().map(|code| code.name()), Some("EnrolmentFailed"));
    clinic.gateway.set_reachable(true);
    assert!(matches!(admin.decide(&opened.session, true).await.unwrap(), PairingView::Approved { .. }));
    assert!(matches!(hopeful.wait_for_the_end().await, DeviceState::Paired(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_was_never_opened_is_unknown() {
    let clinic = Clinic::open().await;
    let session = SessionId::make(&[1; 16]);
    let told: Result<PairingAnswer, _> = Caller::new(&clinic, None).pairing_state(&session).await;
    assert_eq!(told, Err((StatusCode::NOT_FOUND, Some(ApiError::PairingUnknown))));
    assert!(clinic.admin().pairing(&session, 0).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_that_waits_for_the_gateway_holds_up_no_record() {
    let mut clinic = Clinic::open().await;
    let device = clinic.pair().await;
    clinic.stop().await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = clinic.desk_folder().join("settings.json");
    let mut json: Value = serde_json::from_slice(&fs::read(&settings).unwrap()).unwrap();
    json["gateway_url"] = format!("https://{}", silent.local_addr().unwrap()).into();
    fs::write(&settings, json.to_string()).unwrap();
    clinic.start(Roles::Both).await;

    let admin = clinic.admin();
    let opened = admin.open_pairing().await.unwrap();
    let mut hopeful = Hopeful::scan(&opened.offer, &clinic);
    hopeful.say_hello().await.unwrap();
    clinic.view(&opened.session).await;
    admin.type_code(&opened.session, &hopeful.digits()).await.unwrap();
    let approving = tokio::spawn(async move { admin.decide(&opened.session, true).await });
    let _connection = silent.accept().await.unwrap();
    for _ in 0..2 {
        let envelope = device.seal(&clinic, &device.record(&clinic));
        device.hand_in(&clinic, std::slice::from_ref(&envelope)).await;
        let receipts = device.receipts(&clinic).await;
        assert_eq!(device.verify(&receipts[0], &envelope).verdict, Verdict::Accepted);
        device.take(&clinic, &[envelope.header().unwrap().record_id]).await;
    }
    assert!(!approving.is_finished(), "the gateway still says nothing");
}
