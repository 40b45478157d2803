use std::fs;

use jiff::SignedDuration;
use rcgen::{CertificateParams, KeyPair};
use reqwest::{Method, StatusCode};
use rusqlite::Connection;
use serde_json::Value;
use tazune_link::{
    V1,
    front_api::{ApiError, RENEWAL},
    renewal::{RenewalAnswer, RenewalRequest},
};
use tokio::net::TcpListener;

use crate::{
    clinic::{Clinic, Roles},
    device::{Caller, Device, Told},
};

pub(crate) fn request(key: &KeyPair) -> RenewalRequest {
    let csr = CertificateParams::default().serialize_request(key).unwrap().der().to_vec();
    RenewalRequest { version: V1, csr: csr.into() }
}

pub(crate) async fn ask(caller: &Caller, request: &RenewalRequest) -> Told<RenewalAnswer> {
    caller.call(Method::POST, &format!("{RENEWAL}?wait_s=15"), Some(request)).await
}

fn certificate(answer: &RenewalAnswer) -> Vec<u8> {
    let RenewalAnswer::Renewed { hub_certificates, .. } = answer else { panic!("{answer:?}") };
    hub_certificates[0].0.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_given_again_until_the_device_uses_it_also_to_a_certificate_that_has_run_out() {
    let clinic = Clinic::open().await;
    let device = clinic.pair().await;
    clinic.clock.advance(SignedDuration::from_hours(91 * 24));
    let first = ask(&device.caller(&clinic), &request(&device.key)).await.unwrap();
    let again = ask(&device.caller(&clinic), &request(&device.key)).await.unwrap();
    assert_eq!(first, again);
    clinic.clock.advance(SignedDuration::from_hours(60 * 24));
    let renewed = Caller::new(&clinic, Some((certificate(&first), device.key.serialize_der())));
    let next = ask(&renewed, &request(&device.key)).await.unwrap();
    assert_ne!(certificate(&next), certificate(&first));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_certified_with_another_key_or_without_standing() {
    let clinic = Clinic::open().await;
    let device: Device = clinic.pair().await;
    let other_key = KeyPair::generate().unwrap();
    assert_eq!(ask(&device.caller(&clinic), &request(&other_key)).await, Ok(RenewalAnswer::Refused));
    let garbage = RenewalRequest { version: V1, csr: vec![0x30, 0].into() };
    assert_eq!(ask(&device.caller(&clinic), &garbage).await, Ok(RenewalAnswer::Refused));
    assert!(ask(&Caller::new(&clinic, None), &request(&device.key)).await.is_err());

    let front = Connection::open(clinic.front_folder().join("front.sqlite")).unwrap();
    // A revoked device of an older front, which kept no tombstone.
    for (state, told) in [("suspended", ApiError::Suspended), ("revoked", ApiError::UnknownDevice)] {
        let sql = "UPDATE device SET registration = json_set(registration, '$.state', ?1)";
        front.execute(sql, [state]).unwrap();
        let asked = ask(&device.caller(&clinic), &request(&device.key)).await;
        assert_eq!(asked, Err((StatusCode::FORBIDDEN, Some(told))));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_says_nothing_to_one_renewal_holds_up_no_record_until_the_next() {
    let mut clinic = Clinic::open().await;
    let devices = [clinic.pair().await, clinic.pair().await];
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = clinic.desk_folder().join("settings.json");
    let mut json: Value = serde_json::from_slice(&fs::read(&settings).unwrap()).unwrap();
    json["gateway_url"] = format!("https://{}", silent.local_addr().unwrap()).into();
    fs::write(&settings, json.to_string()).unwrap();
    clinic.restart(Roles::FrontOnly).await;
    for device in &devices {
        let asked: Told<RenewalAnswer> =
            device.caller(&clinic).call(Method::POST, RENEWAL, Some(&request(&device.key))).await;
        assert_eq!(asked, Ok(RenewalAnswer::Waiting));
    }
    clinic.restart(Roles::Both).await;
    let (first, _) = silent.accept().await.unwrap();
    devices[0].hand_in(&clinic, &[devices[0].seal(&clinic, &devices[0].record(&clinic))]).await;
    drop(first);
    let (_second, _) = silent.accept().await.unwrap();
    assert_eq!(clinic.admin().records().await.unwrap().records.len(), 1);
}

/// The desk decides by its own word, also while the front still takes the device for active.
#[tokio::test(flavor = "multi_thread")]
async fn a_desk_that_suspended_or_revoked_a_device_certifies_it_no_more_whatever_the_front_knows() {
    let clinic = Clinic::open().await;
    let desk = Connection::open(clinic.desk_folder().join("desk.sqlite")).unwrap();
    for state in ["suspended", "revoked", "active"] {
        let device = clinic.pair().await;
        let id = device.reply.device_id.to_string();
        desk.execute("UPDATE device SET standing = ?1 WHERE device = ?2", [format!("{state:?}"), id.clone()]).unwrap();
        let end = async || clinic.admin().device(&device.reply.device_id).await.unwrap().certificate_expires_at;
        let before = end().await;
        clinic.clock.advance(SignedDuration::from_hours(61 * 24));
        let answer = ask(&device.caller(&clinic), &request(&device.key)).await.unwrap();
        let is_renewed = matches!(answer, RenewalAnswer::Renewed { .. });
        let told = "SELECT count(*) FROM audit_entry WHERE chain = ?1 AND instr(entry, 'certificate_renewed')";
        let told: i64 = desk.query_row(told, [format!("device:{id}")], |row| row.get(0)).unwrap();
        let is_active = state == "active";
        assert_eq!((is_renewed, end().await > before, told > 0), (is_active, is_active, is_active), "{state}");
    }
}
