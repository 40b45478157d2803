//! Front and desk of one clinic in one process: TLS, client certificates, the front's API, the desk's keys.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use axum::{
    Extension, Json, Router,
    body::Bytes as Body,
    extract::{Path, Query, State},
    http::{StatusCode, Uri},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
    service::TowerToHyperService,
};
use rand::RngExt;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType, IsCa, Issuer, KeyPair,
    PKCS_ECDSA_P256_SHA256, PublicKeyData,
};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    server::WebPkiClientVerifier,
};
use tazune_link::{
    V1,
    envelope::{self, Envelope, Refusal},
    front_api::{
        ApiError, ENVELOPES, EnvelopeResult, EnvelopesAnswer, EnvelopesRequest, ErrorBody, HandIn, PAIRING,
        PairingAnswer, RECEIPTS, RECEIPTS_TAKEN, REVOKED_ENVELOPES, REVOKED_RECEIPTS, REVOKED_RECEIPTS_TAKEN,
        ReceiptsAnswer, ReceiptsTaken, WaitQuery,
    },
    keys::{OpeningKey, VerifyingKey, sha256},
    pairing::{
        DeskEvent, DeskPairing, DeskState, GatewaySettings, Hello, PairingCode, Reply, SealedHello, SessionId, Settings,
    },
    receipt::{QuarantineReason, ReceiptBody, SignedReceipt, UnsignedReceipt, Verdict},
    tombstone::{RevocationKind, SignedTombstone, TombstoneBody, UnsignedTombstone},
};
use tazune_model::{Bytes, Clock, ConsentItem, DeviceId, InstitutionCode, ManualClock, RecordId, VisitRecord};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::generator;

/// How the front knows the device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Standing {
    #[default]
    Active,
    Revoked,
}

/// What the clinic does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Takes connections and drops them.
    Silent,
    /// Answers every request with this status and something that is no answer.
    Garbage(StatusCode),
    /// Answers every request with this error.
    Error(ApiError),
    /// Stores the envelopes, then loses the answer; once.
    LoseNextAnswer,
    /// Refuses a batch with more than one envelope as a whole.
    RefuseBatches(ApiError),
}

pub(crate) struct Clinic {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    clock: Arc<ManualClock>,
    authority: (CertificateDer<'static>, Issuer<'static, KeyPair>),
    spki_sha256: tazune_model::Sha256,
    opening_key: OpeningKey,
    receipt_key: EcdsaKeyPair,
    state: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    fault: Option<Fault>,
    desk_is_off: bool,
    has_forged_receipts: bool,
    refused: BTreeMap<RecordId, Refusal>,
    set_aside: BTreeSet<RecordId>,
    quarantine: BTreeSet<RecordId>,
    tombstone: Option<SignedTombstone>,
    standing: Standing,
    requests: Vec<String>,
    connection_count: usize,
    pairing: Option<DeskPairing>,
    answer: Option<PairingAnswer>,
    device_key: Option<VerifyingKey>,
    held: BTreeMap<RecordId, Vec<u8>>,
    records: BTreeMap<RecordId, VisitRecord>,
    receipts: BTreeMap<RecordId, SignedReceipt>,
}

impl Clinic {
    pub(crate) async fn start(clock: Arc<ManualClock>) -> Self {
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.distinguished_name.push(DnType::CommonName, "sample hub");
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let certificate = parameters.self_signed(&key).unwrap().der().clone();
        let authority = Issuer::new(parameters, key);

        let server_key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let server = CertificateParams::new(["front.invalid".to_owned()]).unwrap();
        let server = server.signed_by(&server_key, &authority).unwrap().der().clone();
        let spki_sha256 = sha256(&server_key.subject_public_key_info());

        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
            .allow_unauthenticated()
            .build()
            .unwrap();
        let mut tls = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![server], PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(server_key.serialize_der())))
            .unwrap();
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];

        let random = random();
        let receipt_key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
        let receipt_key =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, receipt_key.as_ref(), &random).unwrap();
        let shared = Arc::new(Shared {
            clock,
            authority: (certificate, authority),
            spki_sha256,
            opening_key: OpeningKey::make(&mut generator()),
            receipt_key,
            state: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(listener, TlsAcceptor::from(Arc::new(tls)), shared.clone()));
        Self { address, shared }
    }

    /// Opens a pairing session and gives the text of its code.
    pub(crate) fn offer(&self) -> String {
        // The first address takes no connection, as a clinic's name does outside its network.
        self.offer_at(vec!["https://127.0.0.1:1".into(), format!("https://{}", self.address)])
    }

    pub(crate) fn offer_at(&self, fronts: Vec<String>) -> String {
        let session = SessionId::make(&generator().random());
        let key = OpeningKey::make(&mut generator());
        let pairing = DeskPairing::open(fronts, self.shared.spki_sha256, session, key, self.shared.clock.now());
        let text = pairing.offer_text().to_owned();
        let mut state = self.state();
        state.answer = None;
        state.pairing = Some(pairing);
        text
    }

    /// An offer whose address is right and whose pin is another server's.
    pub(crate) fn offer_with_wrong_pin(&self) -> String {
        let session = SessionId::make(&generator().random());
        let key = OpeningKey::make(&mut generator());
        let fronts = vec![format!("https://{}", self.address)];
        let pairing = DeskPairing::open(fronts, sha256(b"another"), session, key, self.shared.clock.now());
        pairing.offer_text().to_owned()
    }

    /// The admin types the digits and approves.
    pub(crate) fn approve(&self, code: PairingCode) {
        self.event(DeskEvent::CodeTyped(code));
        let hello = self.hello();
        let reply = self.reply(&hello);
        self.event(DeskEvent::Approved(Box::new(reply)));
        self.state().device_key = Some(hello.device_key);
    }

    /// The device that waits for approval.
    pub(crate) fn hello(&self) -> Hello {
        match self.state().pairing.as_ref().unwrap().state() {
            DeskState::AwaitingApproval { hello, .. } => (**hello).clone(),
            state => panic!("the digits were not taken: {state:?}"),
        }
    }

    pub(crate) fn event(&self, event: DeskEvent) {
        let mut state = self.state();
        let answer = state.pairing.as_mut().unwrap().on(event, self.shared.clock.now()).unwrap();
        state.answer = answer.or(state.answer.take());
    }

    /// What an approved device is given.
    pub(crate) fn reply(&self, hello: &Hello) -> Reply {
        let mut request = CertificateSigningRequestParams::from_der(&hello.csr.as_slice().to_vec().into()).unwrap();
        assert!(request.public_key.der_bytes() == hello.device_key.as_bytes(), "the request is for the device's key");
        request.params.distinguished_name.push(DnType::CommonName, device_id().as_str());
        let (authority, issuer) = &self.shared.authority;
        let certificate = request.signed_by(issuer).unwrap().der().to_vec();
        Reply {
            version: V1,
            device_id: device_id(),
            tenant: tenant(),
            hub_certificates: vec![Bytes(certificate), Bytes(authority.to_vec())],
            clinic_key: self.shared.opening_key.sealing_key(),
            receipt_key: VerifyingKey::from_bytes(self.shared.receipt_key.public_key().as_ref()).unwrap(),
            settings: Settings {
                gateway: GatewaySettings {
                    url: "https://gateway.invalid".into(),
                    ca_certificates: vec![],
                    client_certificates: vec![],
                },
                card_anchors: vec![],
                consent_items: ConsentItem::ALL.to_vec(),
                purge_after_hours: 24,
            },
            issued_at: self.shared.clock.now(),
        }
    }

    /// The certificate of the authority itself: it is for another key than any device's.
    pub(crate) fn foreign_certificate(&self) -> Bytes {
        Bytes(self.shared.authority.0.to_vec())
    }

    pub(crate) fn set_fault(&self, fault: Option<Fault>) {
        self.state().fault = fault;
    }

    pub(crate) fn set_desk_off(&self, is_off: bool) {
        let mut state = self.state();
        state.desk_is_off = is_off;
        if !is_off {
            self.shared.work(&mut state);
        }
    }

    pub(crate) fn set_forged_receipts(&self, is_forging: bool) {
        let mut state = self.state();
        state.has_forged_receipts = is_forging;
        state.receipts.clear();
        self.shared.work(&mut state);
    }

    /// The front refuses this record from now on.
    pub(crate) fn refuse(&self, record_id: RecordId, refusal: Refusal) {
        self.state().refused.insert(record_id, refusal);
    }

    /// The desk sets this record aside.
    pub(crate) fn set_aside(&self, record_id: RecordId) {
        self.state().set_aside.insert(record_id);
    }

    /// The front answers as it does to a revoked device, with this tombstone; the desk sets aside what comes.
    pub(crate) fn revoke_with(&self, tombstone: Option<SignedTombstone>) {
        let mut state = self.state();
        state.standing = Standing::Revoked;
        state.tombstone = tombstone;
    }

    /// The front knows the device as active again.
    pub(crate) fn forget_revocation(&self) {
        self.state().standing = Standing::Active;
    }

    /// A tombstone for the paired device, changed as a test wants before it is signed.
    pub(crate) fn tombstone(&self, change: impl FnOnce(&mut TombstoneBody)) -> SignedTombstone {
        let device_key = self.state().device_key.clone().unwrap();
        let mut body = TombstoneBody {
            version: V1,
            tenant: tenant(),
            device: device_id(),
            device_key_id: device_key.key_id(),
            revoked_at: self.shared.clock.now(),
            kind: RevocationKind::Stolen,
        };
        change(&mut body);
        let unsigned = UnsignedTombstone::new(&body);
        let signature = self.shared.receipt_key.sign(&random(), &unsigned.bytes_to_sign()).unwrap();
        unsigned.sign(Bytes(signature.as_ref().to_vec()))
    }

    /// Whether records of a revoked device are at the desk.
    pub(crate) fn quarantine(&self) -> Vec<RecordId> {
        self.state().quarantine.iter().copied().collect()
    }

    /// The front forgets everything, as after a restore from an old backup.
    pub(crate) fn forget(&self) {
        self.state().held.clear();
    }

    /// The records that the desk has committed.
    pub(crate) fn records(&self) -> Vec<RecordId> {
        self.state().records.keys().copied().collect()
    }

    /// The requests since the last call, as `METHOD path`.
    pub(crate) fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.state().requests)
    }

    pub(crate) fn connection_count(&self) -> usize {
        self.state().connection_count
    }

    fn state(&self) -> MutexGuard<'_, Inner> {
        self.shared.state()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, Inner> {
        self.state.lock().unwrap()
    }

    /// The desk opens, commits and signs for what the front holds.
    fn work(&self, state: &mut Inner) {
        if state.desk_is_off {
            return;
        }
        let Some(device_key) = state.device_key.clone() else { return };
        for (record_id, bytes) in state.held.clone() {
            if state.receipts.contains_key(&record_id) {
                continue;
            }
            let envelope = Envelope::parse(&bytes).unwrap();
            let verdict = if state.standing == Standing::Revoked {
                state.quarantine.insert(record_id);
                Verdict::Quarantined { reason: QuarantineReason::DeviceRevoked }
            } else if state.set_aside.contains(&record_id) {
                Verdict::Quarantined { reason: QuarantineReason::Replayed }
            } else {
                let record = envelope::open(&self.opening_key, &envelope, &device_key).unwrap();
                state.records.insert(record_id, record);
                Verdict::Accepted
            };
            let unsigned = UnsignedReceipt::new(&ReceiptBody {
                version: V1,
                record_id,
                tenant: tenant(),
                device: device_id(),
                envelope_sha256: envelope.sha256(),
                verdict,
                at: self.clock.now(),
            });
            let mut to_sign = unsigned.bytes_to_sign();
            if state.has_forged_receipts {
                to_sign.push(0);
            }
            let signature = self.receipt_key.sign(&random(), &to_sign).unwrap();
            state.receipts.insert(record_id, unsigned.sign(Bytes(signature.as_ref().to_vec())));
        }
    }
}

pub(crate) fn device_id() -> DeviceId {
    DeviceId::new("device-1").unwrap()
}

pub(crate) fn tenant() -> InstitutionCode {
    InstitutionCode::new("1312345678").unwrap()
}

#[expect(clippy::disallowed_methods, reason = "the clinic of the tests signs too")]
fn random() -> SystemRandom {
    SystemRandom::new()
}

/// Whether the connection showed a certificate for the paired device's key.
#[derive(Clone, Copy)]
struct Authenticated(bool);

async fn serve(listener: TcpListener, tls: TlsAcceptor, shared: Arc<Shared>) {
    let router = Router::new()
        .route(ENVELOPES, post(hand_in))
        .route(RECEIPTS, get(receipts))
        .route(RECEIPTS_TAKEN, post(taken))
        .route(REVOKED_ENVELOPES, post(hand_in))
        .route(REVOKED_RECEIPTS, get(receipts))
        .route(REVOKED_RECEIPTS_TAKEN, post(taken))
        .route(PAIRING, post(hello).get(pairing_answer))
        .with_state(shared.clone());
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        {
            let mut state = shared.state();
            state.connection_count += 1;
            if state.fault == Some(Fault::Silent) {
                continue;
            }
        }
        let (tls, shared, router) = (tls.clone(), shared.clone(), router.clone());
        tokio::spawn(async move {
            let Ok(stream) = tls.accept(stream).await else { return };
            let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first().cloned());
            let is_device = certificate.is_some_and(|certificate| {
                let spki = rustls::server::ParsedCertificate::try_from(&certificate).unwrap().subject_public_key_info();
                shared.state().device_key.as_ref().is_some_and(|key| spki.ends_with(key.as_bytes()))
            });
            let service = TowerToHyperService::new(router.layer(Extension(Authenticated(is_device))));
            let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// Notes the request, and answers wrongly if that is wanted.
#[expect(clippy::result_large_err, reason = "an answer is what a refusal is here")]
fn admit(state: &mut Inner, request: &str, Authenticated(is_device): Authenticated, uri: &Uri) -> Result<(), Response> {
    let is_path_of_revoked = uri.path().starts_with("/v1/revoked/");
    state.requests.push(if is_path_of_revoked { format!("{request} of revoked") } else { request.to_owned() });
    match state.fault {
        Some(Fault::Silent) => return Err(StatusCode::INTERNAL_SERVER_ERROR.into_response()),
        Some(Fault::Garbage(status)) => return Err((status, "<html>MARKED</html>").into_response()),
        Some(Fault::Error(error)) => return Err(refused(error)),
        Some(Fault::LoseNextAnswer | Fault::RefuseBatches(_)) | None => {}
    }
    if !is_device {
        return Err(refused(ApiError::UnknownDevice));
    }
    if request.ends_with("pairing") {
        return Ok(());
    }
    match (state.standing, is_path_of_revoked) {
        (Standing::Active, false) | (Standing::Revoked, true) => Ok(()),
        (Standing::Active, true) => Err(refused(ApiError::Forbidden)),
        (Standing::Revoked, false) => {
            let body = ErrorBody { error: ApiError::Revoked, tombstone: state.tombstone.clone() };
            Err((StatusCode::FORBIDDEN, Json(body)).into_response())
        }
    }
}

fn refused(error: ApiError) -> Response {
    (StatusCode::from_u16(error.status()).unwrap(), Json(ErrorBody::from(error))).into_response()
}

async fn hand_in(
    State(shared): State<Arc<Shared>>,
    Extension(who): Extension<Authenticated>,
    uri: Uri,
    body: Body,
) -> Result<Json<EnvelopesAnswer>, Response> {
    let mut state = shared.state();
    admit(&mut state, "POST envelopes", who, &uri)?;
    let request: EnvelopesRequest = serde_json::from_slice(&body).map_err(|_| refused(ApiError::Malformed))?;
    if let Some(Fault::RefuseBatches(error)) = state.fault
        && (request.envelopes.len() > 1 || request.envelopes.iter().any(|one| is_refused(&state, one)))
    {
        return Err(refused(error));
    }
    let device_key = state.device_key.clone().unwrap();
    let results = request.envelopes.iter().map(|envelope| {
        let header = envelope::check_at_front(envelope, &tenant(), &device_id(), &device_key).unwrap();
        let record_id = header.record_id;
        let result = match (state.refused.get(&record_id), state.held.get(&record_id)) {
            (Some(refusal), _) => HandIn::Refused(*refusal),
            (None, Some(held)) if *held != envelope.to_bytes() => HandIn::Refused(Refusal::Replayed),
            (None, Some(_)) if state.receipts.contains_key(&record_id) => HandIn::Accepted,
            (None, _) => HandIn::Received,
        };
        if !matches!(result, HandIn::Refused(_)) {
            state.held.insert(record_id, envelope.to_bytes());
        }
        EnvelopeResult { record_id: Some(record_id), result }
    });
    let results = results.collect();
    shared.work(&mut state);
    if state.fault == Some(Fault::LoseNextAnswer) {
        state.fault = None;
        return Err(StatusCode::BAD_GATEWAY.into_response());
    }
    Ok(Json(EnvelopesAnswer { results }))
}

fn is_refused(state: &Inner, envelope: &Envelope) -> bool {
    envelope.header().is_ok_and(|header| state.refused.contains_key(&header.record_id))
}

async fn receipts(
    State(shared): State<Arc<Shared>>,
    Extension(who): Extension<Authenticated>,
    uri: Uri,
    Query(query): Query<WaitQuery>,
) -> Result<Json<ReceiptsAnswer>, Response> {
    admit(&mut shared.state(), "GET receipts", who, &uri)?;
    for _ in 0..=query.wait().as_millis() / 20 {
        let receipts: Vec<_> = shared.state().receipts.values().cloned().collect();
        if !receipts.is_empty() {
            return Ok(Json(ReceiptsAnswer { receipts }));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(Json(ReceiptsAnswer { receipts: vec![] }))
}

async fn taken(
    State(shared): State<Arc<Shared>>,
    Extension(who): Extension<Authenticated>,
    uri: Uri,
    Json(taken): Json<ReceiptsTaken>,
) -> Result<StatusCode, Response> {
    let mut state = shared.state();
    admit(&mut state, "POST taken", who, &uri)?;
    for record_id in taken.record_ids {
        state.receipts.remove(&record_id);
        state.held.remove(&record_id);
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn hello(
    State(shared): State<Arc<Shared>>,
    Path(session): Path<String>,
    Json(hello): Json<SealedHello>,
) -> Result<StatusCode, Response> {
    let mut state = shared.state();
    admit(&mut state, "POST pairing", Authenticated(true), &Uri::default())?;
    let now = shared.clock.now();
    let pairing = state.pairing.as_mut().filter(|pairing| pairing.offer().session.as_str() == session);
    let pairing = pairing.ok_or_else(|| refused(ApiError::PairingUnknown))?;
    match pairing.on(DeskEvent::HelloArrived(hello), now) {
        Ok(Some(PairingAnswer::Expired)) => Err(refused(ApiError::PairingExpired)),
        Ok(_) => Ok(StatusCode::ACCEPTED),
        Err(_) => Err(refused(ApiError::PairingTaken)),
    }
}

async fn pairing_answer(State(shared): State<Arc<Shared>>) -> Result<Json<PairingAnswer>, Response> {
    for _ in 0..50 {
        {
            let mut state = shared.state();
            admit(&mut state, "GET pairing", Authenticated(true), &Uri::default())?;
            if let Some(answer) = &state.answer {
                return Ok(Json(answer.clone()));
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(Json(PairingAnswer::Waiting))
}
