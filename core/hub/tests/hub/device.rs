use std::sync::Arc;

use jiff::civil::date;
use rcgen::{CertificateParams, KeyPair, PublicKeyData as _, SigningKey as _};
use reqwest::{Method, StatusCode};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, client::WantsClientCert, version::TLS13};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde::{Serialize, de::DeserializeOwned};
use tazune_hub::Random;
use tazune_link::{
    V1,
    envelope::{Envelope, EnvelopeHeader, seal},
    front_api::{
        ApiError, ENVELOPES, EnvelopesAnswer, EnvelopesRequest, ErrorBody, HandIn, PairingAnswer, RECEIPTS,
        RECEIPTS_TAKEN, ReceiptsAnswer, ReceiptsTaken, pairing_path,
    },
    keys::{OpeningKey, SealingKey, VerifyingKey},
    pairing::{DeviceEvent, DevicePairing, DeviceState, Hello, Reply, SealedHello},
    receipt::{ExpectedReceipt, ReceiptBody, SignedReceipt},
    record::UnsignedRecord,
};
use tazune_model::{
    Answer, Bytes, Clock as _, DeferredReason, Personal, PlannedPatient, RecordId, RecordedOutcome, Route, Sex,
    StaffId, StaffTicks, VisitRecord,
};

use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::clinic::{Clinic, PATIENCE};

/// Stands in every record; must be nowhere outside the desk's folder and the face file.
pub(crate) const MARKED: &str = "印付 太郎";

pub(crate) const ANSWER_VALID: &[u8] = include_bytes!("../../../../tests/vectors/oqs/answer-valid.xml");

/// A client of the front, perhaps with a certificate.
#[derive(Clone)]
pub(crate) struct Caller {
    http: reqwest::Client,
    base: String,
}

pub(crate) type Told<T> = Result<T, (StatusCode, Option<ApiError>)>;

impl Caller {
    /// Trusts the hub's CA, and shows `identity` (certificate, PKCS#8 key) if given.
    pub(crate) fn new(clinic: &Clinic, identity: Option<(Vec<u8>, Vec<u8>)>) -> Self {
        let config = trusting_the_hub(clinic);
        let config = match identity {
            Some((certificate, key)) => config
                .with_client_auth_cert(vec![certificate.into()], PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key)))
                .unwrap(),
            None => config.with_no_client_auth(),
        };
        let http =
            reqwest::Client::builder().no_proxy().tls_backend_preconfigured(config).timeout(PATIENCE).build().unwrap();
        Self { http, base: format!("https://{}", clinic.front) }
    }

    /// A connection without a certificate and without a request.
    pub(crate) async fn connect(clinic: &Clinic, protocol: &str) -> TlsStream<TcpStream> {
        let mut config = trusting_the_hub(clinic).with_no_client_auth();
        config.alpn_protocols = vec![protocol.into()];
        let stream = TcpStream::connect(clinic.front).await.unwrap();
        TlsConnector::from(Arc::new(config)).connect(clinic.front.ip().into(), stream).await.unwrap()
    }

    pub(crate) async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Told<T> {
        let body = body.map(|body| serde_json::to_vec(body).unwrap()).unwrap_or_default();
        let (status, answer) = self.send(method, path, body).await.unwrap();
        if status.is_success() {
            let json = if answer.is_empty() { b"null".to_vec() } else { answer };
            return Ok(serde_json::from_slice(&json).unwrap());
        }
        Err((status, serde_json::from_slice::<ErrorBody>(&answer).ok().map(|body| body.error)))
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<(StatusCode, Vec<u8>), reqwest::Error> {
        let response = self.http.request(method, format!("{}{path}", self.base)).body(body).send().await?;
        Ok((response.status(), response.bytes().await?.to_vec()))
    }

    pub(crate) async fn hello(&self, session: &tazune_link::pairing::SessionId, hello: &SealedHello) -> Told<()> {
        self.call(Method::POST, &pairing_path(session), Some(hello)).await
    }

    pub(crate) async fn pairing_state(&self, session: &tazune_link::pairing::SessionId) -> Told<PairingAnswer> {
        self.call(Method::GET, &format!("{}?wait_s=5", pairing_path(session)), None::<&()>).await
    }
}

fn trusting_the_hub(clinic: &Clinic) -> ConfigBuilder<ClientConfig, WantsClientCert> {
    let mut roots = RootCertStore::empty();
    let ca = std::fs::read(clinic.front_folder().join("hub-ca.crt")).unwrap();
    roots.add(CertificateDer::from(ca)).unwrap();
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_root_certificates(roots)
}

/// A device that has scanned an offer.
pub(crate) struct Hopeful {
    pub(crate) caller: Caller,
    pub(crate) pairing: DevicePairing,
    key: KeyPair,
    hello: Hello,
    clock: Arc<tazune_model::ManualClock>,
    random: Random,
}

impl Hopeful {
    pub(crate) fn scan(offer: &str, clinic: &Clinic) -> Self {
        let key = KeyPair::generate().unwrap();
        let csr = CertificateParams::default().serialize_request(&key).unwrap().der().to_vec();
        let hello = Hello {
            version: V1,
            csr: csr.into(),
            device_key: VerifyingKey::from_bytes(key.der_bytes()).unwrap(),
            sealing_key: OpeningKey::make(&mut clinic.random.clone()).sealing_key(),
            name: "往診タブレット".into(),
            model: "Sample tablet".into(),
            os: "Sample OS 1".into(),
        };
        Self {
            caller: Caller::new(clinic, None),
            pairing: DevicePairing::scan(offer, clinic.clock.now()).unwrap(),
            key,
            hello,
            clock: clinic.clock.clone(),
            random: clinic.random.clone(),
        }
    }

    /// Claims another device's key in the hello.
    pub(crate) fn claim_key_of(&mut self, other: &Self) {
        self.hello.device_key = other.hello.device_key.clone();
    }

    pub(crate) async fn say_hello(&mut self) -> Told<()> {
        let hello = self.pairing.make_hello(&self.hello, self.clock.now(), &mut self.random).unwrap();
        let session = self.pairing.offer().session.clone();
        self.caller.hello(&session, &hello).await?;
        // The answer may get lost, so the same may be said again.
        self.caller.hello(&session, &hello).await
    }

    /// Says hello to another session than the one that was scanned.
    pub(crate) async fn say_hello_to(&mut self, session: &tazune_link::pairing::SessionId) -> Told<()> {
        let hello = self.pairing.make_hello(&self.hello, self.clock.now(), &mut self.random).unwrap();
        self.caller.hello(session, &hello).await
    }

    pub(crate) fn digits(&self) -> String {
        self.pairing.code().unwrap().digits()
    }

    /// Asks until the clinic has decided.
    pub(crate) async fn wait_for_the_end(&mut self) -> &DeviceState {
        while let DeviceState::HelloSent { .. } = self.pairing.state() {
            let event = match self.caller.pairing_state(&self.pairing.offer().session).await {
                Ok(answer) => DeviceEvent::Answered(answer),
                Err((_, error)) => DeviceEvent::FrontRefused(error.unwrap()),
            };
            self.pairing.on(event, self.clock.now()).unwrap();
        }
        self.pairing.state()
    }

    pub(crate) fn into_device(self) -> Device {
        let DeviceState::Paired(reply) = self.pairing.state() else { panic!("not paired: {:?}", self.pairing.state()) };
        Device { reply: (**reply).clone(), key: self.key }
    }
}

/// A paired device.
pub(crate) struct Device {
    pub(crate) reply: Reply,
    pub(crate) key: KeyPair,
}

impl Device {
    pub(crate) fn caller(&self, clinic: &Clinic) -> Caller {
        let certificate = self.reply.hub_certificates[0].0.clone();
        Caller::new(clinic, Some((certificate, self.key.serialize_der())))
    }

    /// The key it signs with.
    pub(crate) fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey::from_bytes(self.key.der_bytes()).unwrap()
    }

    /// A record of this device that ended without an answer.
    pub(crate) fn record(&self, clinic: &Clinic) -> VisitRecord {
        let now = clinic.clock.now();
        VisitRecord {
            record_id: RecordId::make(now, &clinic.random.bytes()),
            institution: self.reply.tenant.clone(),
            device_id: self.reply.device_id.clone(),
            staff: StaffId::new("dr-sample").unwrap(),
            patient: Some(PlannedPatient {
                reference_number: None,
                name: Personal::new(MARKED.into()),
                birth_date: Personal::new(date(1953, 4, 5)),
                sex: Personal::new(Sex::Male),
            }),
            visit_on: tazune_model::japan_date(now),
            started_at: now,
            sealed_at: now,
            route: Route::DirectCheck,
            consent: None,
            certificate: None,
            outcome: RecordedOutcome::Deferred { reason: DeferredReason::NoSignal },
            ticks: StaffTicks::default(),
        }
    }

    /// A record of this device with an answer.
    pub(crate) fn answered(&self, clinic: &Clinic, document: &[u8]) -> VisitRecord {
        let record = self.record(clinic);
        let answer = Answer {
            document: document.into(),
            sha256: tazune_link::keys::sha256(document),
            received_at: record.sealed_at,
        };
        VisitRecord { outcome: RecordedOutcome::Answer { answer, person: None }, ..record }
    }

    pub(crate) fn seal(&self, clinic: &Clinic, record: &VisitRecord) -> Envelope {
        let clinic_key = &self.reply.clinic_key;
        self.seal_to(clinic, record, clinic_key, EnvelopeHeader::new(clinic_key, record))
    }

    pub(crate) fn seal_to(
        &self,
        clinic: &Clinic,
        record: &VisitRecord,
        to: &SealingKey,
        header: EnvelopeHeader,
    ) -> Envelope {
        let record = UnsignedRecord::new(record);
        let signature = self.sign(&record.bytes_to_sign());
        let envelope = seal(to, header, &record.sign(signature), &mut clinic.random.clone()).unwrap();
        let signature = self.sign(&envelope.bytes_to_sign());
        envelope.sign(signature)
    }

    fn sign(&self, bytes: &[u8]) -> Bytes {
        self.key.sign(bytes).unwrap().into()
    }

    /// Hands in envelopes and returns what became of them.
    pub(crate) async fn hand_in(&self, clinic: &Clinic, envelopes: &[Envelope]) -> Vec<HandIn> {
        let request = EnvelopesRequest { envelopes: envelopes.to_vec() };
        let answer: EnvelopesAnswer = self.caller(clinic).call(Method::POST, ENVELOPES, Some(&request)).await.unwrap();
        answer.results.into_iter().map(|result| result.result).collect()
    }

    /// Waits for receipts.
    pub(crate) async fn receipts(&self, clinic: &Clinic) -> Vec<SignedReceipt> {
        let path = format!("{RECEIPTS}?wait_s=15");
        let answer: ReceiptsAnswer = self.caller(clinic).call(Method::GET, &path, None::<&()>).await.unwrap();
        answer.receipts
    }

    pub(crate) async fn take(&self, clinic: &Clinic, records: &[RecordId]) {
        let taken = ReceiptsTaken { record_ids: records.to_vec() };
        self.caller(clinic).call::<()>(Method::POST, RECEIPTS_TAKEN, Some(&taken)).await.unwrap();
    }

    /// Checks a receipt as the device does before it purges.
    pub(crate) fn verify(&self, receipt: &SignedReceipt, envelope: &Envelope) -> ReceiptBody {
        let expected = ExpectedReceipt {
            record_id: envelope.header().unwrap().record_id,
            tenant: &self.reply.tenant,
            device: &self.reply.device_id,
            envelope_sha256: envelope.sha256(),
        };
        receipt.verify(&self.reply.receipt_key, &expected).unwrap()
    }
}
