//! Records on their way to the clinic, and receipts on their way back.

use std::{fs, path::Path, sync::Arc};

use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair, SubjectPublicKeyInfo,
    date_time_ymd,
};
use rusqlite::{Connection, params};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    server::ParsedCertificate,
    version::TLS13,
};
use serde_json::{Value, json};
use tazune_e2e::clinic::Clinic;
use tazune_model::{Bytes, FailureCode};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

use crate::scene::{Scene, device_fails, words_of};

pub(crate) fn the_hub_is_down(code: FailureCode) {
    let mut scene = Scene::open();
    scene.seal_unsent();
    device_fails(&scene.tablet, &["queue", "--send"], code, 6);
    assert_eq!(scene.queue(&[]).0["last_failure"], words_of(code));
    scene.clinic.start_hub();
    is_accepted(&scene);
}

pub(crate) fn the_front_forgot_the_device(code: FailureCode) {
    let mut scene = Scene::open();
    scene.seal_unsent();
    scene.clinic.start_hub();
    let front = scene.front_database();
    front.execute_batch("CREATE TABLE kept AS SELECT * FROM device; DELETE FROM device").unwrap();
    device_fails(&scene.tablet, &["queue", "--send"], code, 6);
    assert_eq!(scene.queue(&[]).0["counts"]["sealed"], 1, "the record waits");
    front.execute_batch("INSERT INTO device SELECT * FROM kept; DROP TABLE kept").unwrap();
    is_accepted(&scene);
}

pub(crate) fn the_certificate_ran_out_and_the_desk_forgot_the_device(code: FailureCode) {
    let scene = Scene::open();
    let database = scene.device_database();
    let kept: Vec<u8> =
        database.query_row("SELECT value FROM meta WHERE name = 'pairing'", [], |row| row.get(0)).unwrap();
    let mut pairing: Value = serde_json::from_slice(&kept).unwrap();
    pairing["certificates"][0] = json!(run_out(&scene, &pairing));
    let set = "UPDATE meta SET value = ?1 WHERE name = 'pairing'";
    database.execute(set, [serde_json::to_vec(&pairing).unwrap()]).unwrap();
    let desk = Connection::open(scene.desk_folder().join("desk.sqlite")).unwrap();
    desk.execute_batch("CREATE TABLE kept AS SELECT * FROM device; DELETE FROM device").unwrap();
    device_fails(&scene.tablet, &["queue", "--send"], code, 6);
    assert_eq!(scene.queue(&[]).0["last_failure"], words_of(code));
    // The desk knows the device again, and all is well: the certificate is renewed, also long after its end.
    desk.execute_batch("INSERT INTO device SELECT * FROM kept; DROP TABLE kept").unwrap();
    assert_eq!(scene.queue(&["--send"]).1, 0);
    scene.still_works();
    assert!(scene.clinic.hub_transcript().contains("certificate renewed"));
}

/// The device's certificate as the clinic's authority would have made it years ago.
fn run_out(scene: &Scene, pairing: &Value) -> Bytes {
    let read = |name: &str| fs::read(scene.desk_folder().join(name)).unwrap();
    let authority =
        Issuer::from_ca_cert_der(&read("ca.crt").into(), KeyPair::try_from(read("ca.key")).unwrap()).unwrap();
    let present: Bytes = serde_json::from_value(pairing["certificates"][0].clone()).unwrap();
    let present = CertificateDer::from(present.0);
    let spki = ParsedCertificate::try_from(&present).unwrap().subject_public_key_info();
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = DistinguishedName::new();
    let text = |name: &str| pairing[name].as_str().unwrap().to_owned();
    parameters.distinguished_name.push(DnType::OrganizationName, text("tenant"));
    parameters.distinguished_name.push(DnType::CommonName, text("device_id"));
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    // The authority was made today, so its certificate begins later; only the end of a client's is looked at.
    (parameters.not_before, parameters.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2020, 4, 1));
    let key = SubjectPublicKeyInfo::from_der(&spki).unwrap();
    Bytes(parameters.signed_by(&key, &authority).unwrap().der().to_vec())
}

pub(crate) fn the_front_holds_another_envelope_of_this_record(code: FailureCode) {
    let mut scene = Scene::open();
    scene.seal_unsent();
    let record_id: String =
        scene.device_database().query_row("SELECT record_id FROM records", [], |row| row.get(0)).unwrap();
    let other = "INSERT INTO envelope (record_id, device, sha256, received_at)
                 SELECT ?1, device, hex(zeroblob(32)), '2026-01-01T00:00:00.000000000Z' FROM device";
    scene.front_database().execute(other, params![record_id]).unwrap();
    scene.clinic.start_hub();
    scene.is_set_aside(code);
    is_logged(&scene, code);
}

pub(crate) fn an_envelope_is_altered_on_the_device(code: FailureCode) {
    let mut scene = Scene::open();
    scene.seal_unsent();
    alter_sealed(&scene, |sealed| {
        let last = sealed.len() - 6;
        let other = if &sealed[last..=last] == "A" { "B" } else { "A" };
        sealed.replace_range(last..=last, other);
    });
    scene.clinic.start_hub();
    scene.is_set_aside(code);
    is_logged(&scene, code);
}

pub(crate) fn an_envelope_grows_on_the_device(code: FailureCode) {
    let mut scene = Scene::open();
    scene.seal_unsent();
    alter_sealed(&scene, |sealed| sealed.insert_str(0, &"A".repeat(1 << 20)));
    scene.clinic.start_hub();
    scene.is_set_aside(code);
}

pub(crate) fn a_record_of_another_device_lies_in_the_queue(code: FailureCode) {
    let mut scene = Scene::open();
    let own = std::mem::replace(&mut scene.tablet, scene.clinic.pair("tablet-2"));
    scene.seal_unsent();
    let other = std::mem::replace(&mut scene.tablet, own);
    let database = scene.device_database();
    database.execute("ATTACH ?1 AS other", params![other.data().join("device.db").to_str()]).unwrap();
    database.execute("INSERT INTO records SELECT * FROM other.records", []).unwrap();
    drop(database);
    scene.clinic.start_hub();
    scene.is_set_aside(code);
    is_logged(&scene, code);
}

pub(crate) fn the_desk_signs_with_another_key(code: FailureCode) {
    let mut scene = Scene::open();
    scene.seal_unsent();
    let own = take_key_of_another_clinic(&scene, "receipt.key");
    scene.clinic.start_hub();
    let (queue, exit) = scene.queue(&["--send"]);
    assert_eq!((&queue["counts"]["received"], exit), (&json!(1), 10), "the record is kept: {queue}");
    assert_eq!(queue["last_failure"], words_of(code));

    // The front goes on offering that receipt; the next visit's arrives beside it.
    give_key_back(&mut scene, "receipt.key", &own);
    scene.still_works();
}

pub(crate) fn the_desk_has_another_clinics_key(code: FailureCode) {
    let mut scene = Scene::open();
    scene.seal_unsent();
    let own = take_key_of_another_clinic(&scene, "clinic.key");
    scene.clinic.start_hub();
    let (queue, exit) = scene.queue(&["--send"]);
    assert_eq!((&queue["records"][0]["failure"], exit), (&words_of(code), 10), "{queue}");
    assert_eq!(scene.clinic.records()[0]["quarantine"], "wrong_key");
    is_logged(&scene, code);

    give_key_back(&mut scene, "clinic.key", &own);
    scene.still_works();
}

/// Whoever answers has the front's own key: anybody else is not believed, and counts as a hub that cannot be reached.
pub(crate) fn something_else_answers_with_the_fronts_key(code: FailureCode) {
    let mut scene = Scene::open();
    scene.seal_unsent();
    let impostor = answer_with_a_page(&scene);
    device_fails(&scene.tablet, &["queue", "--send"], code, 6);
    assert_eq!(scene.queue(&[]).0["counts"]["sealed"], 1, "the record waits");
    impostor.abort();
    scene.clinic.runtime().block_on(async { impostor.await.unwrap_err() });
    scene.clinic.start_hub();
    is_accepted(&scene);
}

/// Sends the one record, which the clinic accepts.
fn is_accepted(scene: &Scene) {
    let (queue, exit) = scene.queue(&["--send"]);
    assert_eq!((&queue["counts"]["accepted"], exit), (&json!(1), 0), "{queue}");
    assert_eq!(queue["last_failure"], Value::Null);
    assert_eq!(scene.clinic.records().len(), 1);
}

/// The hub wrote the code into its log, and nothing of a person.
fn is_logged(scene: &Scene, code: FailureCode) {
    let log = scene.clinic.hub_transcript();
    assert!(log.contains(code.code()), "{log}");
    for marked in tazune_sim::population::MARKED_VALUES {
        assert!(!log.contains(marked), "{marked} is in the log");
    }
}

/// Changes the sealed part, base64, of the one envelope that the device holds.
fn alter_sealed(scene: &Scene, change: impl FnOnce(&mut String)) {
    let database = scene.device_database();
    let envelope: Vec<u8> = database.query_row("SELECT envelope FROM records", [], |row| row.get(0)).unwrap();
    let mut envelope: Value = serde_json::from_slice(&envelope).unwrap();
    let Value::String(sealed) = &mut envelope["sealed"] else { panic!("the sealed part is text") };
    change(sealed);
    database.execute("UPDATE records SET envelope = ?1", params![serde_json::to_vec(&envelope).unwrap()]).unwrap();
}

/// Gives the desk this key of another clinic, as a wrong backup would; returns its own.
fn take_key_of_another_clinic(scene: &Scene, name: &str) -> Vec<u8> {
    let other = Clinic::open(&scene.folder.path().join("other"));
    let own = fs::read(scene.desk_folder().join(name)).unwrap();
    fs::copy(other.hub_folder().join("desk").join(name), scene.desk_folder().join(name)).unwrap();
    own
}

/// Restarts the desk with this key of its own.
fn give_key_back(scene: &mut Scene, name: &str, own: &[u8]) {
    scene.clinic.stop_hub();
    fs::write(scene.desk_folder().join(name), own).unwrap();
    scene.clinic.start_hub();
}

/// Serves a page of a portal at the front's address, with the front's certificate.
fn answer_with_a_page(scene: &Scene) -> JoinHandle<()> {
    let acceptor = acceptor(&scene.front_folder());
    let listener = scene.clinic.runtime().block_on(TcpListener::bind(scene.front_address())).unwrap();
    scene.clinic.runtime().spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let Ok(mut socket) = acceptor.accept(socket).await else { continue };
            let mut request = [0; 4096];
            let _ = socket.read(&mut request).await;
            let page = b"HTTP/1.1 200 OK\r\ncontent-length: 13\r\nconnection: close\r\n\r\n<html></html>";
            let _ = socket.write_all(page).await;
            let _ = socket.shutdown().await;
        }
    })
}

fn acceptor(front: &Path) -> TlsAcceptor {
    let certificate = CertificateDer::from(fs::read(front.join("front.crt")).unwrap());
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(fs::read(front.join("front.key")).unwrap()));
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key);
    TlsAcceptor::from(Arc::new(config.unwrap()))
}
