//! Fixed keys and samples for the tests of this crate; every person in them is invented.

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use tazune_link::{
    V1,
    envelope::{Envelope, EnvelopeHeader, UnsignedEnvelope, seal},
    keys::{OpeningKey, VerifyingKey, sha256},
    pairing::{GatewaySettings, Hello, Reply, Settings},
    record::{SignedRecord, UnsignedRecord},
};
use tazune_model::{
    Answer, Bytes, CertificatePhase, CertificateSummary, Consent, ConsentActor, ConsentItem, Date, DeviceId,
    InstitutionCode, Language, PersonMatch, Personal, PlannedPatient, RecordId, RecordedOutcome, Route, Sex, StaffId,
    StaffTicks, Timestamp, VisitRecord,
};

/// A signing key as the key port holds it.
pub(crate) struct Signer {
    key: EcdsaKeyPair,
    random: SystemRandom,
}

impl Signer {
    /// The device's: the P-256 key of RFC 6979, A.2.5.
    pub(crate) fn device() -> Self {
        Self::new(
            "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721",
            "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6",
            "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299",
        )
    }

    /// The desk's: private key 1, so the public key is the curve's generator.
    pub(crate) fn desk() -> Self {
        Self::new(
            "0000000000000000000000000000000000000000000000000000000000000001",
            "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296",
            "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5",
        )
    }

    fn new(private: &str, x: &str, y: &str) -> Self {
        #[expect(clippy::disallowed_methods, reason = "ring takes no other generator, and no test depends on it")]
        let random = SystemRandom::new();
        let point = [vec![4], hex(x), hex(y)].concat();
        let key = EcdsaKeyPair::from_private_key_and_public_key(
            &ECDSA_P256_SHA256_ASN1_SIGNING,
            &hex(private),
            &point,
            &random,
        )
        .unwrap();
        Self { key, random }
    }

    pub(crate) fn sign(&self, bytes: &[u8]) -> Bytes {
        self.key.sign(&self.random, bytes).unwrap().as_ref().into()
    }

    pub(crate) fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey::from_bytes(self.key.public_key().as_ref()).unwrap()
    }
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
}

pub(crate) fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

pub(crate) fn clinic_key() -> OpeningKey {
    OpeningKey::from_bytes(&[7; 32]).unwrap()
}

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(crate) fn day(text: &str) -> Date {
    text.parse().unwrap()
}

pub(crate) fn tenant() -> InstitutionCode {
    InstitutionCode::new("1310123456").unwrap()
}

pub(crate) fn device_id() -> DeviceId {
    DeviceId::new("tablet-1").unwrap()
}

pub(crate) fn record() -> VisitRecord {
    record_with_document(b"<XmlMsg>MARKED-DOCUMENT</XmlMsg>")
}

pub(crate) fn record_with_document(document: &[u8]) -> VisitRecord {
    let consent = Consent::new(
        ConsentActor::Patient,
        ConsentItem::ALL.into_iter().collect(),
        [ConsentItem::Drug].into_iter().collect(),
        Language::Ja,
        "1".into(),
        at("2026-11-20T01:02:00Z"),
    );
    VisitRecord {
        record_id: RecordId::make(at("2026-11-20T01:05:00Z"), &[1; 10]),
        institution: tenant(),
        device_id: device_id(),
        staff: StaffId::new("dr-sample").unwrap(),
        patient: Some(PlannedPatient {
            reference_number: Some(Personal::new("MARKED-0001".into())),
            name: Personal::new("見本 太郎".into()),
            birth_date: Personal::new(day("1941-05-05")),
            sex: Personal::new(Sex::Male),
        }),
        visit_on: day("2026-11-20"),
        started_at: at("2026-11-20T01:00:00Z"),
        sealed_at: at("2026-11-20T01:05:00Z"),
        route: Route::DirectCheck,
        consent: Some(consent.unwrap()),
        certificate: Some(CertificateSummary { phase: CertificatePhase::Valid, expires_on: day("2030-05-05") }),
        outcome: RecordedOutcome::Answer {
            answer: Answer {
                document: document.into(),
                sha256: sha256(document),
                received_at: at("2026-11-20T01:04:00Z"),
            },
            person: Some(PersonMatch::Same),
        },
        ticks: StaffTicks { person_confirmed: false, card_returned: true },
    }
}

pub(crate) fn signed_record(record: &VisitRecord) -> SignedRecord {
    let unsigned = UnsignedRecord::new(record);
    let signature = Signer::device().sign(&unsigned.bytes_to_sign());
    unsigned.sign(signature)
}

pub(crate) fn unsigned_envelope(record: &VisitRecord) -> UnsignedEnvelope {
    let key = clinic_key().sealing_key();
    seal(&key, EnvelopeHeader::new(&key, record), &signed_record(record), &mut rng(1)).unwrap()
}

pub(crate) fn signed_by_device(unsigned: UnsignedEnvelope) -> Envelope {
    let signature = Signer::device().sign(&unsigned.bytes_to_sign());
    unsigned.sign(signature)
}

pub(crate) fn envelope(record: &VisitRecord) -> Envelope {
    signed_by_device(unsigned_envelope(record))
}

pub(crate) fn hello(name: &str) -> Hello {
    Hello {
        version: V1,
        csr: vec![0x30, 0].into(),
        device_key: Signer::device().verifying_key(),
        sealing_key: OpeningKey::from_bytes(&[9; 32]).unwrap().sealing_key(),
        name: name.into(),
        model: "Sample Tab 10".into(),
        os: "SampleOS 1".into(),
    }
}

pub(crate) fn reply() -> Reply {
    Reply {
        version: V1,
        device_id: device_id(),
        tenant: tenant(),
        hub_certificates: vec![vec![0x30, 1].into(), vec![0x30, 2].into()],
        clinic_key: clinic_key().sealing_key(),
        receipt_key: Signer::desk().verifying_key(),
        settings: Settings {
            gateway: GatewaySettings {
                url: "https://gateway.example".into(),
                ca_certificates: vec![vec![0x30, 3].into()],
                client_certificates: vec![vec![0x30, 4].into()],
            },
            card_anchors: vec![vec![0x30, 5].into()],
            consent_items: ConsentItem::ALL.to_vec(),
            purge_after_hours: 72,
        },
        issued_at: at("2026-11-20T00:02:00Z"),
    }
}
