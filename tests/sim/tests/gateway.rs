//! The gateway held to the protocol page, over real TLS with a real client.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::{SignedDuration, Timestamp};
use quick_xml::{Reader, events::Event};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use reqwest::{Certificate, Client, Identity, Response, StatusCode};
use rsa::{Pkcs1v15Sign, RsaPrivateKey, sha2::Digest as _, sha2::Sha256};
use serde_json::{Value, json};
use tazune_model::{Clock as _, ManualClock};
use tazune_sim::{
    CertificateSpec, Defect, TestCa,
    gateway::{Call, Fault, FaultOrder, Gateway},
    population::MARKED_VALUES,
    rsa_key,
    world::World,
};

const INSTITUTION: &str = "1310123456";
const OTHER_INSTITUTION: &str = "1310999998";
const NOON: &str = "2026-11-21T03:00:00Z";

/// A person's key, elements with their text, elements that must be absent.
type Expected = (&'static str, &'static [(&'static str, &'static str)], &'static [&'static str]);

/// A world with a gateway and one enrolled device.
struct Stage {
    world: World,
    clock: Arc<ManualClock>,
    gateway: Gateway,
    device: Client,
    _dir: tempfile::TempDir,
}

impl Stage {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let now: Timestamp = NOON.parse().unwrap();
        World::create(dir.path(), INSTITUTION, now.to_zoned(jiff::tz::TimeZone::fixed(jiff::tz::offset(9))).date())
            .unwrap();
        let world = World::load(dir.path()).unwrap();
        let clock = Arc::new(ManualClock::new(now));
        let gateway = Gateway::start(&world, clock.clone(), 0).await.unwrap();
        let key = KeyPair::generate().unwrap();
        let answer = enrol(&world, &gateway, world.enrolment_secret(), &enrolment(&csr(&key))).await;
        let chain: Value = answer.json().await.unwrap();
        let device = client(&world, Some((&key, &chain["certificates"])));
        Self { world, clock, gateway, device, _dir: dir }
    }

    async fn post(&self, call: &str, body: Vec<u8>) -> Result<Response, reqwest::Error> {
        post(&self.device, &self.gateway, call, body).await
    }

    async fn challenge(&self) -> Value {
        let answer =
            self.post("challenges", json!({ "institution": INSTITUTION }).to_string().into_bytes()).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        answer.json().await.unwrap()
    }

    /// The request of a sound check with a fresh challenge; every item shown and agreed to.
    async fn request(&self) -> Value {
        let items = json!(["drug", "treatment", "surgery", "check_up", "cost_limit", "specific_disease"]);
        json!({
            "version": 1,
            "challenge": self.challenge().await["challenge"],
            "institution": INSTITUTION,
            "signed_at": self.clock.now().to_string(),
            "consent": {
                "actor": "patient",
                "shown": items,
                "agreed": items,
                "language": "ja",
                "text_version": "2026-11",
                "given_at": "2026-11-21T02:59:00Z",
            },
            "not_known_yet": true,
        })
    }

    /// The body for a request, signed by the card of this person.
    fn body(&self, person: &str, request: &Value) -> Vec<u8> {
        let card = self.world.card(person).unwrap();
        check_body(request.to_string().as_bytes(), &card.key, &card.certificate.unwrap())
    }

    async fn check(&self, person: &str) -> String {
        let answer = self.post("checks", self.body(person, &self.request().await)).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["content-type"], "application/xml");
        answer.text().await.unwrap()
    }

    async fn refusal(&self, body: Vec<u8>) -> (u16, String) {
        refusal(self.post("checks", body).await.unwrap()).await
    }
}

fn client(world: &World, device: Option<(&KeyPair, &Value)>) -> Client {
    // Whichever test comes first installs it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let ca = Certificate::from_der(world.gateway_ca()).unwrap();
    let mut builder = Client::builder().tls_certs_only([ca]).timeout(Duration::from_secs(20));
    if let Some((key, chain)) = device {
        let mut pem = key.serialize_pem();
        for certificate in chain.as_array().unwrap() {
            pem +=
                &format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", certificate.as_str().unwrap());
        }
        builder = builder.identity(Identity::from_pem(pem.as_bytes()).unwrap());
    }
    builder.build().unwrap()
}

async fn post(client: &Client, gateway: &Gateway, call: &str, body: Vec<u8>) -> Result<Response, reqwest::Error> {
    client.post(format!("{}/direct-check/v1/{call}", gateway.url())).body(body).send().await
}

async fn enrol(world: &World, gateway: &Gateway, secret: &str, body: &Value) -> Response {
    let url = format!("{}/direct-check/v1/devices", gateway.url());
    client(world, None).post(url).bearer_auth(secret).body(body.to_string()).send().await.unwrap()
}

fn csr(key: &KeyPair) -> Vec<u8> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, OTHER_INSTITUTION);
    params.serialize_request(key).unwrap().der().to_vec()
}

fn enrolment(csr: &[u8]) -> Value {
    json!({ "institution": INSTITUTION, "device_id": "tablet-1", "csr": STANDARD.encode(csr) })
}

fn check_body(request: &[u8], key: &RsaPrivateKey, certificate: &[u8]) -> Vec<u8> {
    let digest = Sha256::digest([b"tazune direct check v1\0", request].concat());
    let signature = key.sign(Pkcs1v15Sign::new::<Sha256>(), &digest).unwrap();
    json!({
        "request": STANDARD.encode(request),
        "signature": STANDARD.encode(signature),
        "certificate": STANDARD.encode(certificate),
    })
    .to_string()
    .into_bytes()
}

async fn refusal(answer: Response) -> (u16, String) {
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body.as_object().unwrap().len(), 1, "a refusal says nothing but its word: {body}");
    (status, body["error"].as_str().unwrap().to_owned())
}

/// Every element with text, by name; panics on XML that is not well formed.
fn leaves(xml: &str) -> BTreeMap<String, String> {
    let mut reader = Reader::from_str(xml);
    let mut leaves = BTreeMap::new();
    let mut path = Vec::new();
    loop {
        match reader.read_event().unwrap() {
            Event::Start(start) => path.push(start.name().as_ref().to_owned()),
            Event::End(_) => drop(path.pop().unwrap()),
            Event::Text(text) => {
                let text = text.xml10_content().into_owned();
                // Indentation stands beside elements, the two spaces of an insurer number within its own.
                if !text.starts_with('\n')
                    && let Some(name) = path.last()
                {
                    leaves.insert(name.clone(), text);
                }
            }
            Event::Eof => break,
            _ => {}
        }
    }
    assert!(path.is_empty());
    leaves
}

fn word(status: u16, word: &str) -> (u16, String) {
    (status, word.to_owned())
}

#[tokio::test]
async fn enrols_a_device_under_the_names_it_was_told() {
    let stage = Stage::new().await;
    let key = KeyPair::generate().unwrap();
    let answer = enrol(&stage.world, &stage.gateway, stage.world.enrolment_secret(), &enrolment(&csr(&key))).await;
    let chain: Value = answer.json().await.unwrap();
    let device = STANDARD.decode(chain["certificates"][0].as_str().unwrap()).unwrap();
    let device = <x509_cert::Certificate as der::Decode>::from_der(&device).unwrap();
    assert_eq!(device.tbs_certificate().subject().to_string(), format!("CN=tablet-1,O={INSTITUTION}"));
    let device = client(&stage.world, Some((&key, &chain["certificates"])));
    let body = json!({ "institution": INSTITUTION }).to_string().into_bytes();
    assert_eq!(post(&device, &stage.gateway, "challenges", body).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn refuses_every_unsound_enrolment() {
    let stage = Stage::new().await;
    let secret = stage.world.enrolment_secret();
    let good = csr(&KeyPair::generate().unwrap());
    let mut broken = good.clone();
    *broken.last_mut().unwrap() ^= 1;
    let p384 = csr(&KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap());
    let with = |member: &str, value: Value| {
        let mut body = enrolment(&good);
        body[member] = value;
        body
    };
    let cases = [
        ("signature of the request", secret, enrolment(&broken), word(400, "malformed")),
        ("other curve", secret, enrolment(&p384), word(400, "malformed")),
        ("no request", secret, enrolment(b"x"), word(400, "malformed")),
        ("not base64", secret, with("csr", json!("%%")), word(400, "malformed")),
        ("institution of nine digits", secret, with("institution", json!("131012345")), word(400, "malformed")),
        ("no device", secret, with("device_id", json!("")), word(400, "malformed")),
        ("missing member", secret, json!({ "institution": INSTITUTION }), word(400, "malformed")),
        ("no JSON object", secret, json!([]), word(400, "malformed")),
        ("other secret", "0000", enrolment(&good), word(401, "unknown_client")),
        ("other institution", secret, with("institution", json!(OTHER_INSTITUTION)), word(403, "wrong_institution")),
    ];
    for (name, secret, body, expected) in cases {
        assert_eq!(refusal(enrol(&stage.world, &stage.gateway, secret, &body).await).await, expected, "{name}");
    }
    let body = enrolment(&good).to_string().into_bytes();
    let without_secret = post(&client(&stage.world, None), &stage.gateway, "devices", body).await.unwrap();
    assert_eq!(refusal(without_secret).await, word(401, "unknown_client"));
}

#[tokio::test]
async fn gives_a_challenge_of_32_bytes_for_ten_minutes() {
    let stage = Stage::new().await;
    let first = stage.challenge().await;
    assert_eq!(STANDARD.decode(first["challenge"].as_str().unwrap()).unwrap().len(), 32);
    assert_eq!(first["issued_at"], NOON);
    assert_eq!(first["expires_at"], "2026-11-21T03:10:00Z");
    assert_ne!(first["challenge"], stage.challenge().await["challenge"]);
}

#[tokio::test]
async fn only_the_enrolment_may_come_without_a_certificate_of_this_gateway() {
    let stage = Stage::new().await;
    let nobody = client(&stage.world, None);
    let challenge = json!({ "institution": INSTITUTION }).to_string().into_bytes();
    let answer = post(&nobody, &stage.gateway, "challenges", challenge.clone()).await.unwrap();
    assert_eq!(refusal(answer).await, word(401, "unknown_client"));
    let check = stage.body("valid", &stage.request().await);
    assert_eq!(
        refusal(post(&nobody, &stage.gateway, "checks", check).await.unwrap()).await,
        word(401, "unknown_client")
    );

    let key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(vec![]).unwrap().self_signed(&key).unwrap();
    let foreign = client(&stage.world, Some((&key, &json!([STANDARD.encode(own.der())]))));
    assert!(post(&foreign, &stage.gateway, "challenges", challenge).await.is_err());
}

#[tokio::test]
async fn refuses_a_certificate_of_another_institution() {
    let stage = Stage::new().await;
    let answer = stage.post("challenges", json!({ "institution": OTHER_INSTITUTION }).to_string().into_bytes()).await;
    assert_eq!(refusal(answer.unwrap()).await, word(403, "wrong_institution"));
    let mut request = stage.request().await;
    request["institution"] = json!(OTHER_INSTITUTION);
    assert_eq!(stage.refusal(stage.body("valid", &request)).await, word(403, "wrong_institution"));
}

#[tokio::test]
async fn answers_each_person_with_what_the_register_says() {
    let stage = Stage::new().await;
    let cases: [Expected; 7] = [
        (
            "valid",
            &[
                ("MedicalInstitutionCode", INSTITUTION),
                ("ProcessExecutionTime", "20261121120000"),
                ("QualificationConfirmationDate", "20261121"),
                ("ReferenceClassification", "1"),
                ("SegmentOfResult", "1"),
                ("CharacterCodeIdentifier", "0"),
                ("ProcessingResultStatus", "1"),
                ("QualificationValidity", "1"),
                ("InsurerNumber", "06139992"),
                ("InsuredCardSymbol", "ＭＡＲＫ１"),
                ("InsuredIdentificationNumber", "9001770"),
                ("InsuredBranchNumber", "00"),
                ("Name", "見本　花子"),
                ("NameKana", "ﾐﾎﾝ ﾊﾅｺ"),
                ("Sex1", "2"),
                ("Birthdate", "19610413"),
                ("PostNumber", "999-0001"),
                ("LimitApplicationCertificateRelatedConsFlg", "1"),
                ("LimitApplicationCertificateRelatedConsTime", "20261121115900"),
                ("LimitApplicationCertificateClassificationFlag", "A03"),
                ("SpecificDiseasesCertificateRelatedConsFlg", "1"),
                ("PharmacistsInfoConsFlg", "1"),
                ("PharmacistsInfoAvailableTime", "20261122115900"),
                ("DiagnosisInfoConsFlg", "1"),
                ("OperationInfoConsFlg", "1"),
                ("SpecificHealthCheckupsInfoConsFlg", "1"),
            ],
            &["ReasonOfLoss", "DisqualificationDate", "InsuredPartialContributionRatio", "ProcessingResultCode"],
        ),
        ("lost", &[("QualificationValidity", "2"), ("DisqualificationDate", "20261001"), ("ReasonOfLoss", "03")], &[]),
        ("none", &[("ProcessingResultStatus", "1"), ("QualificationValidity", "4")], &["Name", "Birthdate"]),
        (
            "elder",
            &[
                ("InsurerNumber", "39139993"),
                ("InsuredIdentificationNumber", "90017701"),
                ("InsuredPartialContributionRatio", "030"),
                ("InsuredCardExpirationDate", "20270731"),
            ],
            &["InsuredCardSymbol", "InsuredBranchNumber"],
        ),
        ("hidden", &[("InsurerNumber", "  138990"), ("PersonalFamilyClassification", "2")], &["Address", "PostNumber"]),
        ("unknown-kanji", &[("Name", "見本　●太"), ("NameKana", "ﾐﾎﾝ ｺｳﾀ")], &[]),
        (
            "grace",
            &[
                ("QualificationValidity", "1"),
                ("ProcessingResultStatus", "1"),
                ("ProcessingResultCode", "SIM-I-0002"),
                ("InsuredPartialContributionRatio", "010"),
                ("LimitApplicationCertificateRelatedConsFlg", "0"),
                ("SpecificDiseasesCertificateRelatedConsFlg", "0"),
                ("PharmacistsInfoConsFlg", "0"),
                ("DiagnosisInfoConsFlg", "0"),
                ("OperationInfoConsFlg", "0"),
                ("SpecificHealthCheckupsInfoConsFlg", "0"),
            ],
            &[
                "LimitApplicationCertificateClassificationFlag",
                "PharmacistsInfoConsTime",
                "PharmacistsInfoAvailableTime",
            ],
        ),
    ];
    for (person, present, absent) in cases {
        let xml = stage.check(person).await;
        let leaves = leaves(&xml);
        for (name, text) in present {
            assert_eq!(leaves.get(*name).map(String::as_str), Some(*text), "{person}: {name}");
        }
        for name in absent {
            assert!(!leaves.contains_key(*name), "{person}: {name}");
        }
        for personal in ["Name", "NameKana", "InsuredCardSymbol", "InsuredIdentificationNumber", "Birthdate", "Address"]
        {
            if let Some(text) = leaves.get(personal) {
                assert!(MARKED_VALUES.iter().any(|mark| text.contains(mark)), "{person}: {personal} carries no mark");
            }
        }
    }
}

#[tokio::test]
async fn echoes_the_consent_item_by_item() {
    let stage = Stage::new().await;
    let mut request = stage.request().await;
    request["consent"]["agreed"] = json!(["drug"]);
    let xml = stage.post("checks", stage.body("valid", &request)).await.unwrap().text().await.unwrap();
    let leaves = leaves(&xml);
    for (name, flag) in [
        ("PharmacistsInfoConsFlg", "1"),
        ("DiagnosisInfoConsFlg", "0"),
        ("OperationInfoConsFlg", "0"),
        ("SpecificHealthCheckupsInfoConsFlg", "0"),
        ("LimitApplicationCertificateRelatedConsFlg", "0"),
        ("SpecificDiseasesCertificateRelatedConsFlg", "0"),
    ] {
        assert_eq!(leaves[name], flag, "{name}");
    }
    assert!(!leaves.contains_key("LimitApplicationCertificateClassificationFlag"));
    assert!(!leaves.contains_key("DiagnosisInfoConsTime"));
}

#[tokio::test]
async fn refuses_every_unsound_shape() {
    let stage = Stage::new().await;
    let good = stage.request().await;
    let with = |change: fn(&mut Value)| {
        let mut request = good.clone();
        change(&mut request);
        stage.body("valid", &request)
    };
    let mut short_signature: Value = serde_json::from_slice(&stage.body("valid", &good)).unwrap();
    short_signature["signature"] = json!(STANDARD.encode([0; 255]));
    let mut no_certificate: Value = serde_json::from_slice(&stage.body("valid", &good)).unwrap();
    no_certificate.as_object_mut().unwrap().remove("certificate");
    let card = stage.world.card("valid").unwrap();
    let cases = [
        ("no JSON", b"<xml/>".to_vec()),
        ("empty", Vec::new()),
        ("request is no JSON", check_body(b"x", &card.key, &card.certificate.unwrap())),
        ("version", with(|request| request["version"] = json!(2))),
        ("short challenge", with(|request| request["challenge"] = json!("AAAA"))),
        ("challenge without padding", with(|request| request["challenge"] = json!("A".repeat(43)))),
        ("institution", with(|request| request["institution"] = json!("13-0123456"))),
        ("local time", with(|request| request["signed_at"] = json!("2026-11-21T12:00:00+09:00"))),
        ("no time", with(|request| request["signed_at"] = json!("noon"))),
        ("no consent", with(|request| drop(request.as_object_mut().unwrap().remove("consent")))),
        ("unknown actor", with(|request| request["consent"]["actor"] = json!("neighbour"))),
        ("unknown item", with(|request| request["consent"]["shown"] = json!(["number"]))),
        ("agreed and not shown", with(|request| request["consent"]["shown"] = json!(["drug"]))),
        ("agreed by nobody", with(|request| request["consent"]["actor"] = json!("cannot_express"))),
        ("no language", with(|request| drop(request["consent"].as_object_mut().unwrap().remove("language")))),
        ("short signature", short_signature.to_string().into_bytes()),
        ("no certificate", no_certificate.to_string().into_bytes()),
    ];
    for (name, body) in cases {
        assert_eq!(stage.refusal(body).await, word(400, "malformed"), "{name}");
    }
    let answer = stage.post("challenges", b"{}".to_vec()).await.unwrap();
    assert_eq!(refusal(answer).await, word(400, "malformed"));
    assert_eq!(stage.post("checks", stage.body("valid", &good)).await.unwrap().status(), 200, "nothing was used up");
}

#[tokio::test]
async fn refuses_a_body_of_more_than_64_kib() {
    let stage = Stage::new().await;
    for len in [64 * 1024 + 1, 200_000, 3_000_000] {
        match stage.post("checks", vec![b' '; len]).await {
            Ok(answer) => assert_eq!(refusal(answer).await, word(413, "too_large"), "{len}"),
            // Far beyond the limit the gateway stops reading, which the client may see first.
            Err(_) => assert!(len > 1024 * 1024, "{len}"),
        }
    }
    assert_eq!(stage.refusal(vec![b' '; 64 * 1024]).await, word(400, "malformed"));
}

#[tokio::test]
async fn trusts_only_sound_certificates_of_its_ca() {
    let stage = Stage::new().await;
    let day = "2026-11-21".parse().unwrap();
    let spec = CertificateSpec::valid_on(day);
    let broken = |defect| TestCa::user().issue(&spec.clone().with(defect));
    let untrusted = [
        ("other CA", TestCa::foreign().issue(&spec)),
        ("other CA of the same name", TestCa::impostor().issue(&spec)),
        ("the CA itself", TestCa::user().certificate().to_vec()),
        ("unknown critical extension", broken(Defect::UnknownCriticalExtension)),
        ("no digital signature", broken(Defect::NoDigitalSignature)),
        ("a CA", broken(Defect::IsCa)),
        ("other key id", broken(Defect::WrongKeyId)),
        ("other usage", broken(Defect::WrongExtendedKeyUsage)),
        ("broken signature", broken(Defect::BrokenSignature)),
        ("trailing bytes", broken(Defect::Trailing(3))),
        ("truncated", broken(Defect::Truncated(3))),
        ("nothing", Vec::new()),
    ];
    let request = stage.request().await.to_string();
    for (name, certificate) in untrusted {
        let body = check_body(request.as_bytes(), &rsa_key("card"), &certificate);
        assert_eq!(stage.refusal(body).await, word(422, "untrusted_certificate"), "{name}");
    }
    let tomorrow = CertificateSpec { not_before: "2026-11-22T00:00:00Z".parse().unwrap(), ..spec };
    let body = check_body(request.as_bytes(), &rsa_key("card"), &TestCa::user().issue(&tomorrow));
    assert_eq!(stage.refusal(body.clone()).await, word(422, "certificate_not_valid"));
    // What a refusal left behind is an unused challenge.
    assert_eq!(stage.post("checks", stage.body("valid", &stage.request().await)).await.unwrap().status(), 200);
}

#[tokio::test]
async fn refuses_a_revoked_certificate() {
    let stage = Stage::new().await;
    let person = &stage.world.people()[0];
    stage.gateway.revoke(person.certificate.serial);
    let body = stage.body(person.key, &stage.request().await);
    assert_eq!(stage.refusal(body).await, word(422, "certificate_not_valid"));
}

#[tokio::test]
async fn refuses_a_signature_of_another_key_or_over_other_bytes() {
    let stage = Stage::new().await;
    let request = stage.request().await.to_string();
    let card = stage.world.card("valid").unwrap();
    let certificate = card.certificate.unwrap();
    let other_key = check_body(request.as_bytes(), &rsa_key("card"), &certificate);
    assert_eq!(stage.refusal(other_key).await, word(422, "bad_signature"));
    let mut other_bytes: Value = serde_json::from_slice(&check_body(b"{}", &card.key, &certificate)).unwrap();
    other_bytes["request"] = json!(STANDARD.encode(&request));
    assert_eq!(stage.refusal(other_bytes.to_string().into_bytes()).await, word(422, "bad_signature"));
    let unlabelled = card.key.sign(Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(&request)).unwrap();
    let mut body = other_bytes;
    body["signature"] = json!(STANDARD.encode(unlabelled));
    assert_eq!(stage.refusal(body.to_string().into_bytes()).await, word(422, "bad_signature"));
}

#[tokio::test]
async fn holds_the_clock_of_the_device_to_five_minutes_around_the_challenge() {
    let stage = Stage::new().await;
    for (signed_at, is_refused) in [
        ("2026-11-21T02:54:59Z", true),
        ("2026-11-21T02:55:00Z", false),
        ("2026-11-21T03:15:00Z", false),
        ("2026-11-21T03:15:01Z", true),
    ] {
        let mut request = stage.request().await;
        request["signed_at"] = json!(signed_at);
        let answer = stage.post("checks", stage.body("valid", &request)).await.unwrap();
        if is_refused {
            assert_eq!(refusal(answer).await, word(422, "clock_skew"), "{signed_at}");
        } else {
            assert_eq!(answer.status(), StatusCode::OK, "{signed_at}");
        }
    }
}

#[tokio::test]
async fn answers_the_identical_body_identically_and_refuses_any_other_under_a_used_challenge() {
    let stage = Stage::new().await;
    let request = stage.request().await;
    let body = stage.body("valid", &request);
    let first = stage.post("checks", body.clone()).await.unwrap().bytes().await.unwrap();
    stage.clock.advance(SignedDuration::from_mins(9));
    let second = stage.post("checks", body.clone()).await.unwrap().bytes().await.unwrap();
    assert_eq!(first, second);

    let respaced = [body.as_slice(), b"\n"].concat();
    assert_eq!(stage.refusal(respaced).await, word(409, "challenge_used"));
    let mut other = request.clone();
    other["consent"]["agreed"] = json!([]);
    assert_eq!(stage.refusal(stage.body("valid", &other)).await, word(409, "challenge_used"));
    assert_eq!(stage.refusal(stage.body("lost", &request)).await, word(409, "challenge_used"));

    stage.clock.advance(SignedDuration::from_mins(1));
    assert_eq!(stage.post("checks", body.clone()).await.unwrap().bytes().await.unwrap(), first, "the last second");
    stage.clock.advance(SignedDuration::from_secs(1));
    assert_eq!(stage.refusal(body).await, word(410, "challenge_expired"));
}

#[tokio::test]
async fn knows_only_challenges_that_it_issued_and_forgets_old_ones() {
    let stage = Stage::new().await;
    let mut invented = stage.request().await;
    invented["challenge"] = json!(STANDARD.encode([7; 32]));
    assert_eq!(stage.refusal(stage.body("valid", &invented)).await, word(404, "unknown_challenge"));

    let body = stage.body("valid", &stage.request().await);
    stage.clock.advance(SignedDuration::from_mins(11));
    assert_eq!(stage.refusal(body.clone()).await, word(410, "challenge_expired"));
    stage.clock.advance(SignedDuration::from_hours(2));
    stage.challenge().await;
    assert_eq!(stage.refusal(body).await, word(404, "unknown_challenge"));
}

#[tokio::test]
async fn past_the_grace_the_answer_is_an_error_with_a_text() {
    let stage = Stage::new().await;
    // The certificate ended on 31 October; the grace ends with January.
    stage.clock.advance(SignedDuration::from_hours(24 * 71));
    assert_eq!(leaves(&stage.check("grace").await)["ProcessingResultStatus"], "1", "31 January");
    stage.clock.advance(SignedDuration::from_hours(24));
    let leaves = leaves(&stage.check("grace").await);
    assert_eq!(leaves["ProcessingResultStatus"], "2");
    assert!(leaves.contains_key("ProcessingResultMessage"));
    assert!(!leaves.contains_key("Name") && !leaves.contains_key("QualificationValidity"));
}

#[tokio::test]
async fn a_lost_answer_can_be_fetched_with_the_same_body() {
    let stage = Stage::new().await;
    stage.gateway.fail(FaultOrder { call: Call::Check, fault: Fault::DropAnswer, times: 2 });
    let request = stage.request().await;
    let body = stage.body("valid", &request);
    for _ in 0..2 {
        assert!(stage.post("checks", body.clone()).await.is_err());
    }
    let mut other = request;
    other["consent"]["agreed"] = json!([]);
    assert_eq!(stage.refusal(stage.body("valid", &other)).await, word(409, "challenge_used"), "it was processed");
    assert_eq!(stage.post("checks", body).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn goes_wrong_in_every_way_it_is_told_to() {
    let stage = Stage::new().await;
    let body = stage.body("valid", &stage.request().await);
    stage.gateway.fail(FaultOrder::once(Call::Check, Fault::Busy));
    assert_eq!(stage.refusal(body.clone()).await, word(503, "busy"));

    stage.gateway.fail(FaultOrder::once(Call::Check, Fault::TimeOut));
    let url = format!("{}/direct-check/v1/checks", stage.gateway.url());
    let impatient = stage.device.post(url).timeout(Duration::from_millis(300)).body(body.clone()).send().await;
    assert!(impatient.unwrap_err().is_timeout());

    stage.gateway.fail(FaultOrder::once(Call::Check, Fault::Garbage));
    let garbage = stage.post("checks", body.clone()).await.unwrap();
    assert_eq!(garbage.status(), StatusCode::OK);
    assert!(String::from_utf8(garbage.bytes().await.unwrap().to_vec()).is_err());

    stage.gateway.fail(FaultOrder::once(Call::Check, Fault::OtherPerson));
    let other = stage.post("checks", stage.body("valid", &stage.request().await)).await.unwrap().text().await.unwrap();
    assert_ne!(leaves(&other)["Birthdate"], "19610413");

    stage.gateway.set_reachable(false);
    assert!(stage.post("checks", body.clone()).await.is_err(), "a connection that is open already");
    let fresh = client(&stage.world, None);
    assert!(post(&fresh, &stage.gateway, "challenges", Vec::new()).await.is_err());
    stage.gateway.set_reachable(true);
    assert_eq!(stage.post("checks", body).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn speaks_tls_1_3_only() {
    let stage = Stage::new().await;
    let ca = Certificate::from_der(stage.world.gateway_ca()).unwrap();
    let old = Client::builder().tls_certs_only([ca]).tls_version_max(reqwest::tls::Version::TLS_1_2).build().unwrap();
    assert!(post(&old, &stage.gateway, "challenges", Vec::new()).await.is_err());
}

#[tokio::test]
async fn is_gone_when_dropped() {
    let stage = Stage::new().await;
    let url = stage.gateway.url();
    drop(stage.gateway);
    tokio::task::yield_now().await;
    assert!(stage.device.post(format!("{url}/direct-check/v1/challenges")).send().await.is_err());
}
