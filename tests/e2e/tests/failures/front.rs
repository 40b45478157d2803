//! The front, asked by a client that holds a device's keys and does as it likes.

use std::{fs, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::StatusCode;
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair},
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    version::TLS13,
};
use serde_json::{Value, json};
use tazune_link::keys::Label;

use crate::scene::Scene;

/// Who stole a device's folder.
struct Thief {
    http: reqwest::Client,
    url: String,
    /// PKCS#8.
    key: Vec<u8>,
}

impl Thief {
    fn of(scene: &Scene) -> Self {
        let key = fs::read(scene.tablet.data().join("keys").join("transport.key")).unwrap();
        let pairing: Vec<u8> = scene
            .device_database()
            .query_row("SELECT value FROM meta WHERE name = 'pairing'", [], |row| row.get(0))
            .unwrap();
        let pairing: Value = serde_json::from_slice(&pairing).unwrap();
        let certificates = pairing["certificates"].as_array().unwrap().iter();
        let certificates = certificates.map(|der| STANDARD.decode(der.as_str().unwrap()).unwrap().into()).collect();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(fs::read(scene.front_folder().join("hub-ca.crt")).unwrap())).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .with_root_certificates(roots)
            .with_client_auth_cert(certificates, PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.clone())))
            .unwrap();
        let http = reqwest::Client::builder().no_proxy().tls_backend_preconfigured(config).build().unwrap();
        Self { http, url: format!("https://{}/v1/envelopes", scene.front_address()), key }
    }

    /// Posts a body and returns status and answer.
    async fn post(&self, body: impl Into<reqwest::Body>) -> (StatusCode, Value) {
        let answer = self.http.post(&self.url).body(body).send().await.unwrap();
        (answer.status(), serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap())
    }

    /// What the front says to one envelope.
    async fn hand_in(&self, envelope: &Value) -> Value {
        let (status, answer) = self.post(json!({ "envelopes": [envelope] }).to_string()).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer["results"][0]["result"].clone()
    }

    /// Signs the parts of an envelope anew, as `docs/src/protocol/records.md` says.
    #[expect(clippy::disallowed_methods, reason = "the thief is an end of the system with a generator of their own")]
    fn signed_anew(&self, mut envelope: Value) -> Value {
        let mut signed = Vec::new();
        for part in ["header", "encapsulated", "sealed"] {
            let part = STANDARD.decode(envelope[part].as_str().unwrap()).unwrap();
            signed.extend_from_slice(&u32::try_from(part.len()).unwrap().to_be_bytes());
            signed.extend_from_slice(&part);
        }
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &self.key, &random).unwrap();
        let signature = pair.sign(&random, &Label::Envelope.bytes_to_sign(&signed)).unwrap();
        envelope["signature"] = STANDARD.encode(signature).into();
        envelope
    }
}

fn with(envelope: &Value, change: impl FnOnce(&mut Value)) -> Value {
    let mut changed = envelope.clone();
    change(&mut changed);
    changed
}

/// The envelope under a header that was changed.
fn with_header(envelope: &Value, name: &str, value: &str) -> Value {
    let header = STANDARD.decode(envelope["header"].as_str().unwrap()).unwrap();
    let mut header: Value = serde_json::from_slice(&header).unwrap();
    header[name] = value.into();
    with(envelope, |envelope| envelope["header"] = STANDARD.encode(header.to_string()).into())
}

#[test]
fn the_front_answers_each_bad_envelope_by_name_logs_it_and_keeps_serving() {
    let scene = Scene::open();
    scene.still_works();
    let thief = Thief::of(&scene);
    let good: Vec<u8> =
        scene.device_database().query_row("SELECT envelope FROM records", [], |row| row.get(0)).unwrap();
    let good: Value = serde_json::from_slice(&good).unwrap();
    let elsewhere = thief.signed_anew(with_header(&good, "tenant", "9918000010"));
    let of_another = thief.signed_anew(with_header(&good, "device", "dev-somebody"));
    let table = [
        (thief.signed_anew(good.clone()), "replayed"),
        (with(&good, |envelope| envelope["sealed"] = "AAAA".into()), "altered"),
        (with(&good, |envelope| envelope["header"] = "AAAA".into()), "malformed"),
        (with(&good, |envelope| envelope["sealed"] = "A".repeat(1 << 20).into()), "oversized"),
        (elsewhere, "misaddressed"),
        (of_another, "misaddressed"),
    ];
    let runtime = scene.clinic.runtime();
    for (envelope, refusal) in &table {
        assert_eq!(runtime.block_on(thief.hand_in(envelope)), json!({ "refused": refusal }));
        assert_eq!(runtime.block_on(thief.hand_in(&good)), "accepted", "the same again after {refusal}");
    }
    let too_much = vec![b' '; (8 << 20) + 1];
    assert_eq!(
        runtime.block_on(thief.post(too_much)),
        (StatusCode::PAYLOAD_TOO_LARGE, json!({ "error": "oversized" }))
    );
    assert_eq!(runtime.block_on(thief.post("{")), (StatusCode::BAD_REQUEST, json!({ "error": "malformed" })));

    let front = scene.front_database();
    front.execute_batch("CREATE TABLE kept AS SELECT * FROM device; DELETE FROM device").unwrap();
    let unknown = runtime.block_on(thief.post(json!({ "envelopes": [good] }).to_string()));
    assert_eq!(unknown, (StatusCode::FORBIDDEN, json!({ "error": "unknown_device" })));
    front.execute_batch("INSERT INTO device SELECT * FROM kept; DROP TABLE kept").unwrap();

    scene.still_works();
    assert_eq!(scene.clinic.records().len(), 2);
    let log = scene.clinic.hub_transcript();
    for code in ["TZ-H03", "TZ-H04", "TZ-H05", "TZ-H06"] {
        assert!(log.contains(code), "{code} is not in the log:\n{log}");
    }
    assert!(log.contains("UnknownDevice"), "{log}");
    for marked in tazune_sim::population::MARKED_VALUES {
        assert!(!log.contains(marked), "{marked} is in the log");
    }
}
