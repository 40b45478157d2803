use jiff::SignedDuration;
use tazune_engine::{EngineError, FrontError, KeyStore, KeyStoreError};
use tazune_link::{
    front_api::ApiError,
    pairing::{DeskEvent, PairingCode, PairingError},
};

use crate::{
    Rig, about,
    clinic::{Fault, device_id, tenant},
    seal,
};

#[tokio::test]
async fn a_device_is_paired_and_stays_so_after_a_restart() {
    let rig = Rig::new().await;
    assert_eq!(rig.device().await.pairing().await.unwrap_err(), EngineError::NotPaired);
    drop(rig.paired().await);
    let pairing = rig.device().await.pairing().await.unwrap();
    assert_eq!((pairing.device_id, pairing.tenant), (device_id(), tenant()));
    assert_eq!(pairing.settings.purge_after_hours, 24);
}

#[tokio::test]
async fn the_clinic_ends_a_pairing_with_a_named_reason() {
    let wrong = |code: PairingCode| {
        let other = (code.digits().parse::<u32>().unwrap() + 1) % 1_000_000;
        DeskEvent::CodeTyped(PairingCode::parse(&format!("{other:06}")).unwrap())
    };
    let rig = Rig::new().await;
    let device = rig.device().await;
    for (is_rejected, error) in [(true, PairingError::Rejected), (false, PairingError::CodeWrong)] {
        let attempt = device.pair(&rig.clinic.offer(), about()).await.unwrap();
        rig.clinic.event(if is_rejected { DeskEvent::Rejected } else { wrong(attempt.code()) });
        assert_eq!(attempt.finish().await.unwrap_err(), EngineError::Pairing(error));
        assert_eq!(device.pairing().await.unwrap_err(), EngineError::NotPaired);
    }
}

#[tokio::test]
async fn an_offer_is_good_for_one_device_and_for_its_time() {
    let rig = Rig::new().await;
    let device = rig.device().await;
    let refused = async |offer: &str| device.pair(offer, about()).await.unwrap_err();
    assert_eq!(refused("TZ1:abc").await, EngineError::Pairing(PairingError::QrInvalid));
    let offer = rig.clinic.offer();
    let _first = device.pair(&offer, about()).await.unwrap();
    assert_eq!(refused(&offer).await, EngineError::Pairing(PairingError::Taken));
    let old = rig.clinic.offer();
    rig.clinic.offer();
    assert_eq!(refused(&old).await, EngineError::Pairing(PairingError::QrInvalid));
    let late = rig.clinic.offer();
    rig.clock.advance(SignedDuration::from_secs(61));
    assert_eq!(refused(&late).await, EngineError::Pairing(PairingError::Expired));
    rig.clock.advance(SignedDuration::from_mins(11));
    assert_eq!(refused(&late).await, EngineError::Pairing(PairingError::Expired));
}

#[tokio::test]
async fn a_pairing_ends_after_five_minutes_also_when_the_front_is_gone() {
    let rig = Rig::new().await;
    let device = rig.device().await;
    let attempt = device.pair(&rig.clinic.offer(), about()).await.unwrap();
    rig.clinic.set_fault(Some(Fault::Silent));
    rig.clock.advance(SignedDuration::from_secs(301));
    assert_eq!(attempt.finish().await.unwrap_err(), EngineError::Pairing(PairingError::Expired));
}

#[tokio::test]
async fn a_server_with_another_key_is_not_spoken_to() {
    let rig = Rig::new().await;
    let error = rig.device().await.pair(&rig.clinic.offer_with_wrong_pin(), about()).await.unwrap_err();
    assert_eq!(error, EngineError::Front(FrontError::Unreachable));
    assert!(rig.clinic.requests().is_empty());
    let nobody = rig.clinic.offer_at(vec!["https://127.0.0.1:1".into()]);
    let error = rig.device().await.pair(&nobody, about()).await.unwrap_err();
    assert_eq!(error, EngineError::Front(FrontError::Unreachable));
}

#[tokio::test]
async fn a_reply_with_a_certificate_for_another_key_is_refused() {
    let rig = Rig::new().await;
    let device = rig.device().await;
    let attempt = device.pair(&rig.clinic.offer(), about()).await.unwrap();
    rig.clinic.event(DeskEvent::CodeTyped(attempt.code()));
    let hello = rig.clinic.hello();
    let mut reply = rig.clinic.reply(&hello);
    reply.hub_certificates = vec![rig.clinic.foreign_certificate()];
    rig.clinic.event(DeskEvent::Approved(Box::new(reply)));
    assert_eq!(attempt.finish().await.unwrap_err(), EngineError::Pairing(PairingError::AnswerInvalid));
    assert_eq!(device.pairing().await.unwrap_err(), EngineError::NotPaired);
}

#[tokio::test]
async fn a_device_that_holds_visits_is_not_paired_anew() {
    let rig = Rig::new().await;
    let device = rig.paired().await;
    seal(&device, rig.now()).await;
    let again = device.pair(&rig.clinic.offer(), about()).await;
    assert_eq!(again.unwrap_err(), EngineError::Undelivered { count: 1 });
    device.deliver_now(crate::SOON).await.unwrap();
    let public = rig.keys.transport_public().unwrap();
    rig.paired().await;
    assert_eq!(rig.keys.transport_public().unwrap(), public, "keys are made once");
}

#[tokio::test]
async fn a_locked_key_store_is_named() {
    let rig = Rig::new().await;
    rig.keys.set_locked(true);
    let error = rig.device().await.pair(&rig.clinic.offer(), about()).await.unwrap_err();
    assert_eq!(error, EngineError::Keys(KeyStoreError::Locked));
    rig.keys.set_locked(false);
    let device = rig.paired().await;
    rig.keys.set_locked(true);
    let locked = Err(EngineError::Keys(KeyStoreError::Locked));
    assert_eq!(device.deliver_now(crate::SOON).await, locked, "the front is asked also when nothing waits");
}

#[tokio::test]
async fn a_front_that_answers_nonsense_is_named() {
    let rig = Rig::new().await;
    let device = rig.device().await;
    rig.clinic.set_fault(Some(Fault::Error(ApiError::Malformed)));
    let error = device.pair(&rig.clinic.offer(), about()).await.unwrap_err();
    assert_eq!(error, EngineError::Pairing(PairingError::AnswerInvalid));
    rig.clinic.set_fault(Some(Fault::Garbage(axum::http::StatusCode::BAD_REQUEST)));
    let error = device.pair(&rig.clinic.offer(), about()).await.unwrap_err();
    assert_eq!(error, EngineError::Front(FrontError::Garbage));
}
