use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use rand_chacha::ChaCha20Rng;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair, PublicKeyData as _,
    SigningKey as _,
};
use reqwest::{Client, Method, StatusCode};
use rusqlite::Connection;
use rustls::{
    ClientConfig, RootCertStore, ServerConfig, crypto::CryptoProvider, server::WebPkiClientVerifier, version::TLS13,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::json;
use tazune_hub::{
    Random, SystemClock,
    desk::ReceiptKey,
    init::{InitOptions, init},
};
use tazune_link::{
    envelope::Envelope,
    front_api::{DeviceRegistration, DeviceStanding, desk_device_path},
    keys::{OpeningKey, SealingKey, VerifyingKey},
};
use tazune_model::{Bytes, Clock as _, DeviceId, InstitutionCode, RecordId, VisitRecord};
use tazune_sim::TestCa;

use crate::{device, visit::INSTITUTION};

/// A hub that was set up in a folder of its own and listens on a free port of the loopback interface when it runs.
pub(crate) struct Hub {
    folder: PathBuf,
    authority: Issuer<'static, KeyPair>,
}

/// A device's key, and its certificate of the hub's authority.
pub(crate) struct Identity {
    pub(crate) device: DeviceId,
    pub(crate) key: KeyPair,
    pub(crate) certificate: Vec<u8>,
}

impl Hub {
    /// Sets a hub up as `tazune-hub init` does, in `folder`, which is made.
    pub(crate) fn set_up(folder: PathBuf) -> Self {
        fs::create_dir(&folder).expect("the folder above is writable");
        let write = |name: &str, content: &[u8]| {
            let path = folder.join(name);
            fs::write(&path, content).expect("the folder is writable");
            path
        };
        let authority = TestCa::user();
        let options = InitOptions {
            data: folder.clone(),
            institution: tenant(),
            front_addresses: vec!["https://127.0.0.1:0".parse().expect("an address")],
            front_listen: Some(([127, 0, 0, 1], 0).into()),
            face_folder: folder.join("face"),
            gateway_url: "https://gateway.invalid".into(),
            gateway_ca: write("gateway-ca.crt", authority.certificate()),
            gateway_enrolment_secret_file: write("secret", b"measured"),
            card_anchors: vec![write("user-ca.crt", authority.certificate())],
            purge_after_hours: 72,
        };
        init(&options, &Random::system(), SystemClock.now()).expect("every value is good");
        let read = |name: &str| fs::read(folder.join("desk").join(name)).expect("init made it");
        let key = KeyPair::try_from(read("ca.key")).expect("init wrote a key");
        let certificate = CertificateDer::from(read("ca.crt"));
        let authority = Issuer::from_ca_cert_der(&certificate, key).expect("init wrote a certificate");
        Self { folder, authority }
    }

    /// The folder with both roles.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn front_folder(&self) -> PathBuf {
        self.folder.join("front")
    }

    pub(crate) fn desk_folder(&self) -> PathBuf {
        self.folder.join("desk")
    }

    /// The key that devices seal to.
    pub(crate) fn clinic_key(&self) -> SealingKey {
        let bytes = fs::read(self.desk_folder().join("clinic.key")).expect("init made it");
        OpeningKey::from_bytes(&bytes).expect("init wrote a key").sealing_key()
    }

    /// The key that receipts verify with.
    pub(crate) fn receipt_key(&self) -> VerifyingKey {
        ReceiptKey::load(&self.desk_folder(), &Random::system()).expect("init made it").verifying_key()
    }

    /// Names a device, as the desk does when it pairs one.
    pub(crate) fn identity(&self, name: &str) -> Identity {
        let key = KeyPair::generate().expect("the system has random bytes");
        let mut names = DistinguishedName::new();
        names.push(DnType::OrganizationName, INSTITUTION);
        names.push(DnType::CommonName, name);
        let mut params = CertificateParams::default();
        params.distinguished_name = names;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, &self.authority).expect("the authority signs").der().to_vec();
        Identity { device: DeviceId::new(name).expect("a short word"), key, certificate }
    }

    /// Registers a device at the front that runs there, as the desk does.
    pub(crate) async fn register(&self, front: &str, identity: &Identity) {
        let read = |name: &str| fs::read(self.desk_folder().join(name)).expect("init made it");
        let desk = self.client(read("desk.crt"), read("desk.key"));
        let registration = DeviceRegistration {
            state: DeviceStanding::Active,
            device_key: identity.verifying_key(),
            tenant: tenant(),
            tombstone: None,
        };
        let body = serde_json::to_vec(&registration).expect("plain fields");
        let (status, _) =
            call(&desk, Method::PUT, &format!("{front}{}", desk_device_path(&identity.device)), body).await;
        assert!(status.is_success(), "the front takes a device: {status}");
    }

    /// Adds a device to the desk's database, which is there.
    ///
    /// It is written past the desk: nobody approves a pairing here.
    pub(crate) fn add_to_desk(&self, identity: &Identity) {
        let connection = Connection::open(self.desk_folder().join("desk.sqlite")).expect("the desk made it");
        let (key, sealing) = (json!(identity.verifying_key()).to_string(), json!(self.clinic_key()).to_string());
        let insert = "INSERT INTO device
             (device, name, model, os, device_key, sealing_key, paired_at, certificate_expires_at)
             VALUES (?1, '', '', '', ?2, ?3, ?4, ?4)";
        let values = [identity.device.as_str(), &key, &sealing, &SystemClock.now().to_string()];
        connection.execute(insert, values).expect("the table is there");
    }

    /// A client of the front with this certificate and key.
    pub(crate) fn client(&self, certificate: Vec<u8>, key: Vec<u8>) -> Client {
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .expect("the provider knows TLS 1.3")
            .with_root_certificates(self.roots())
            .with_client_auth_cert(vec![certificate.into()], private(key))
            .expect("the key is the certificate's");
        config.alpn_protocols = alpn();
        let builder = Client::builder().no_proxy().tcp_nodelay(true).tls_backend_preconfigured(config);
        builder.build().expect("the TLS settings are of the client's version")
    }

    /// TLS as the front has it: its own certificate, clients of the hub's authority only.
    pub(crate) fn server_tls(&self) -> ServerConfig {
        let read = |name: &str| fs::read(self.front_folder().join(name)).expect("init made it");
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(self.roots()), provider());
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .expect("the provider knows TLS 1.3")
            .with_client_cert_verifier(verifier.build().expect("there is an authority"))
            .with_single_cert(vec![read("front.crt").into()], private(read("front.key")))
            .expect("the key is the certificate's");
        config.alpn_protocols = alpn();
        config
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        let authority = fs::read(self.front_folder().join("hub-ca.crt")).expect("init made it");
        roots.add(authority.into()).expect("it is a certificate");
        roots
    }
}

impl Identity {
    pub(crate) fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey::from_bytes(self.key.der_bytes()).expect("an uncompressed point")
    }

    /// This device's client of the front.
    pub(crate) fn client(&self, hub: &Hub) -> Client {
        hub.client(self.certificate.clone(), self.key.serialize_der())
    }

    /// Seals a record as this device's own, under a new id.
    pub(crate) fn seal(&self, record: &VisitRecord, clinic_key: &SealingKey, generator: &mut ChaCha20Rng) -> Envelope {
        use rand_chacha::rand_core::Rng as _;
        let mut random = [0; 10];
        generator.fill_bytes(&mut random);
        let mut record = record.clone();
        record.record_id = RecordId::make(SystemClock.now(), &random);
        record.device_id = self.device.clone();
        let sign = |bytes: Vec<u8>| Bytes(self.key.sign(&bytes).expect("the key signs"));
        device::seal_record(&record, clinic_key, sign, generator)
    }
}

/// Makes one request and reads its answer.
pub(crate) async fn call(client: &Client, method: Method, url: &str, body: Vec<u8>) -> (StatusCode, Vec<u8>) {
    let request = client.request(method, url).header("content-type", "application/json").body(body);
    let answer = request.send().await.expect("the server answers");
    let status = answer.status();
    (status, answer.bytes().await.expect("the answer has an end").to_vec())
}

fn tenant() -> InstitutionCode {
    InstitutionCode::new(INSTITUTION).expect("ten digits")
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn private(key: Vec<u8>) -> PrivateKeyDer<'static> {
    PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key))
}

fn alpn() -> Vec<Vec<u8>> {
    vec![b"h2".to_vec(), b"http/1.1".to_vec()]
}
