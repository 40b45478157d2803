use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};
use rusqlite::Connection;
use tazune_engine::{Device, DeviceConfig, KeyStore, MemoryKeyStore};
use tazune_hub::{
    Ports, Random,
    desk::ReceiptKey,
    init::{InitOptions, init},
    store::{DeskStore as _, FrontStore as _, PairedDevice, SqliteDeskStore, SqliteFrontStore},
};
use tazune_link::{
    envelope::{self, Envelope, EnvelopeHeader},
    front_api::{DeviceRegistration, DeviceStanding},
    keys::{OpeningKey, SealingKey, VerifyingKey, sha256},
    pairing::{GatewaySettings, Settings},
    record::UnsignedRecord,
};
use tazune_model::{
    Answer, Bytes, Clock, DeferredReason, DeviceId, InstitutionCode, RecordId, RecordedOutcome, Route, StaffId,
    StaffTicks, Timestamp, VisitRecord, japan_date,
};
use tazune_sim::TestCa;
use tempfile::TempDir;

use crate::plan::{DEVICES, Kind, RECORDS};

/// Message 002 about an invented person.
const ANSWER: &[u8] = include_bytes!("../../vectors/oqs/answer-valid.xml");

/// Names of what a party keeps in its folder.
pub(crate) const DEVICE_DATABASE: &str = "device.db";
pub(crate) const FRONT_DATABASE: &str = "front.sqlite";
pub(crate) const DESK_DATABASE: &str = "desk.sqlite";
pub(crate) const WITNESS: &str = "audit-witness.jsonl";

/// A clinic with its keys, paired devices and sealed records: made once, and the same for every schedule.
pub(crate) struct World {
    pub(crate) tenant: InstitutionCode,
    pub(crate) devices: Vec<TestDevice>,
    pub(crate) desk_certificate: Vec<u8>,
    pub(crate) receipt_key: VerifyingKey,
    template: TempDir,
}

/// A paired device.
pub(crate) struct TestDevice {
    pub(crate) id: DeviceId,
    pub(crate) keys: Arc<MemoryKeyStore>,
    pub(crate) certificate: Vec<u8>,
    envelopes: Vec<Sealed>,
}

/// A record that was sealed beforehand.
pub(crate) struct Sealed {
    pub(crate) record_id: RecordId,
    pub(crate) envelope: Vec<u8>,
    pub(crate) sha256: tazune_model::Sha256,
}

/// The instant at which every schedule begins.
pub(crate) fn start() -> Timestamp {
    "2026-11-21T00:00:00Z".parse().expect("an instant")
}

struct AtStart;

impl Clock for AtStart {
    fn now(&self) -> Timestamp {
        start()
    }
}

/// A folder that costs no disk, where the system has such.
pub(crate) fn quick_folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a temporary folder can be made")
}

impl World {
    /// Sets up hub and devices through the doors that the programs use; only the pairing is written past them.
    pub(crate) fn make() -> Self {
        let template = quick_folder();
        let data = template.path();
        let tenant = InstitutionCode::new("1310123458").expect("ten digits");
        let (secret, anchor) = (data.join("secret"), data.join("anchor.pem"));
        fs::write(&secret, "marked-secret").expect("the folder is writable");
        fs::write(&anchor, TestCa::user().certificate()).expect("the folder is writable");
        let options = InitOptions {
            data: data.to_owned(),
            institution: tenant.clone(),
            front_addresses: vec!["https://127.0.0.1:0".parse().expect("an address")],
            front_listen: None,
            face_folder: data.join("face"),
            gateway_url: "https://gateway.invalid".into(),
            gateway_ca: anchor.clone(),
            gateway_enrolment_secret_file: secret,
            card_anchors: vec![anchor],
            purge_after_hours: 1,
        };
        init(&options, &random(), start()).expect("the folder is empty");

        let desk = data.join("desk");
        let read = |name: &str| fs::read(desk.join(name)).expect("init made it");
        let clinic_key = OpeningKey::from_bytes(&read("clinic.key")).expect("init made it").sealing_key();
        let receipt_key = ReceiptKey::load(&desk, &random()).expect("init made it");
        let devices: Vec<_> = (0..DEVICES).map(|number| TestDevice::make(number, &tenant, &clinic_key)).collect();
        let world = Self {
            tenant,
            devices,
            desk_certificate: read("desk.crt"),
            receipt_key: receipt_key.verifying_key(),
            template,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(world.make_databases(&clinic_key, receipt_key));
        world
    }

    async fn make_databases(&self, clinic_key: &SealingKey, receipt_key: ReceiptKey) {
        let data = self.template.path();
        let ports = Ports::system();
        let front = SqliteFrontStore::open(&data.join("front").join(FRONT_DATABASE), &ports).expect("a new database");
        let (path, tenant, key) = (data.join("desk").join(DESK_DATABASE), self.tenant.clone(), Arc::new(receipt_key));
        let desk = SqliteDeskStore::open(&path, tenant, key, start(), &ports).await.expect("a new database");
        for (number, device) in self.devices.iter().enumerate() {
            let device_key = device.keys.transport_public().expect("the keys were made");
            let registration = DeviceRegistration {
                state: DeviceStanding::Active,
                device_key: device_key.clone(),
                tenant: self.tenant.clone(),
                tombstone: None,
            };
            front.put_device(&device.id, &registration).await.expect("a new device");
            let paired = PairedDevice {
                device: device.id.clone(),
                name: "見本".into(),
                model: "model".into(),
                os: "os".into(),
                device_key,
                sealing_key: clinic_key.clone(),
                paired_at: start(),
                certificate_expires_at: start(),
                standing: DeviceStanding::Active,
            };
            desk.put_device(&paired).await.expect("a new device");
            let folder = data.join(device_folder(number));
            let config = DeviceConfig { folder: folder.clone(), keys: device.keys.clone(), clock: Arc::new(AtStart) };
            drop(Device::open(config).await.expect("a new database"));
            let connection = Connection::open(folder.join(DEVICE_DATABASE)).expect("the device made it");
            let pairing = self.pairing(device, clinic_key);
            connection.execute("INSERT INTO meta (name, value) VALUES ('pairing', ?1)", [pairing]).expect("a table");
            // What the staff key wraps; nobody opens it here.
            connection.execute("INSERT INTO meta (name, value) VALUES ('data_key', x'00')", []).expect("a table");
            for record in 0..RECORDS {
                let insert =
                    "INSERT INTO drafts (id, kind, saved_at, nonce, sealed) VALUES (?1, 'visit', ?2, x'00', x'00')";
                connection.execute(insert, [draft(record), start().to_string()]).expect("a table");
            }
        }
    }

    /// A pairing as the engine keeps it.
    fn pairing(&self, device: &TestDevice, clinic_key: &SealingKey) -> Vec<u8> {
        let gateway = GatewaySettings {
            url: "https://gateway.invalid".into(),
            ca_certificates: vec![],
            client_certificates: vec![],
        };
        let settings = Settings { gateway, card_anchors: vec![], consent_items: vec![], purge_after_hours: 1 };
        let pairing = serde_json::json!({
            "device_id": device.id,
            "tenant": self.tenant,
            "settings": settings,
            "fronts": ["https://front.invalid"],
            "paired_at": start(),
            "spki_sha256": "00".repeat(32),
            "certificates": [],
            "clinic_key": clinic_key,
            "receipt_key": self.receipt_key,
            "opening_key": "AAAA",
        });
        pairing.to_string().into_bytes()
    }
}

/// The draft that a record is sealed from.
pub(crate) fn draft(record: usize) -> String {
    format!("{record:032x}")
}

/// The folder of each party, and the one that face files go to.
fn parts() -> impl Iterator<Item = String> {
    ["front", "desk", "face"].into_iter().map(String::from).chain((0..DEVICES).map(device_folder))
}

fn device_folder(number: usize) -> String {
    format!("device-{number}")
}

impl TestDevice {
    fn make(number: usize, tenant: &InstitutionCode, clinic_key: &SealingKey) -> Self {
        let keys = Arc::new(MemoryKeyStore::new());
        keys.make_keys().expect("memory takes keys");
        let id = DeviceId::new(format!("tablet-{number}")).expect("a short word");
        let certificate = certificate(&id, tenant, &*keys);
        let mut device = Self { id, keys, certificate, envelopes: Vec::new() };
        for record in 0..RECORDS {
            for kind in Kind::ALL {
                let sealed = device.seal(number, record, kind, tenant, clinic_key);
                device.envelopes.push(sealed);
            }
        }
        device
    }

    pub(crate) fn sealed(&self, record: usize, kind: Kind) -> &Sealed {
        let kind = Kind::ALL.iter().position(|listed| *listed == kind).expect("every kind is listed");
        &self.envelopes[record * Kind::ALL.len() + kind]
    }

    /// The steps are those of the engine.
    fn seal(&self, number: usize, index: usize, kind: Kind, tenant: &InstitutionCode, clinic: &SealingKey) -> Sealed {
        let random = |last| [number as u8, index as u8, kind as u8, 1, 2, 3, 4, 5, 6, last];
        let record_id = RecordId::make(start(), &random(7));
        let outcome = match kind {
            Kind::Answer => RecordedOutcome::Answer {
                answer: Answer { document: ANSWER.into(), sha256: sha256(ANSWER), received_at: start() },
                person: None,
            },
            _ => RecordedOutcome::Deferred { reason: DeferredReason::NoSignal },
        };
        let record = VisitRecord {
            record_id,
            institution: tenant.clone(),
            device_id: self.id.clone(),
            staff: StaffId::new("staff-mihon").expect("a short word"),
            patient: None,
            visit_on: japan_date(start()),
            started_at: start(),
            sealed_at: start(),
            route: Route::DirectCheck,
            consent: None,
            certificate: None,
            outcome,
            ticks: StaffTicks::default(),
        };
        let sign = |bytes: Vec<u8>| Bytes(self.keys.sign(&bytes).expect("the keys were made"));
        let mut generator = ChaCha20Rng::seed_from_u64((number * 100 + index * 10 + kind as usize) as u64);
        let foreign = OpeningKey::make(&mut generator).sealing_key();
        let sealing_key = if kind == Kind::WrongKey { &foreign } else { clinic };
        let header = EnvelopeHeader::new(sealing_key, &record);
        let inside = match kind {
            Kind::Misaddressed => VisitRecord { record_id: RecordId::make(start(), &random(8)), ..record },
            _ => record,
        };
        let unsigned = UnsignedRecord::new(&inside);
        let signature = sign(unsigned.bytes_to_sign());
        let unsigned = envelope::seal(sealing_key, header, &unsigned.sign(signature), &mut generator)
            .expect("the record is not too large");
        let signature = match kind {
            Kind::Unsigned => sign(b"something else".to_vec()),
            _ => sign(unsigned.bytes_to_sign()),
        };
        let envelope: Envelope = unsigned.sign(signature);
        Sealed { record_id, sha256: envelope.sha256(), envelope: envelope.to_bytes() }
    }
}

/// A certificate with the names and the key that the front goes by; the handshake is not simulated, so its issuer is
/// nobody.
fn certificate(id: &DeviceId, tenant: &InstitutionCode, keys: &dyn KeyStore) -> Vec<u8> {
    struct Public(Vec<u8>);
    impl rcgen::PublicKeyData for Public {
        fn der_bytes(&self) -> &[u8] {
            &self.0
        }
        fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
            &rcgen::PKCS_ECDSA_P256_SHA256
        }
    }
    let key = Public(keys.transport_public().expect("the keys were made").as_bytes().to_vec());
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::CommonName, id.as_str());
    params.distinguished_name.push(rcgen::DnType::OrganizationName, tenant.as_str());
    let authority = rcgen::KeyPair::generate().expect("the generator has bytes");
    let issuer = rcgen::Issuer::new(rcgen::CertificateParams::default(), authority);
    params.signed_by(&key, &issuer).expect("plain names").der().to_vec()
}

/// Folders of one clinic, put back to the beginning for each schedule.
pub(crate) struct Site {
    folder: TempDir,
}

impl Site {
    /// A copy of the world's folders.
    pub(crate) fn make(world: &World) -> Self {
        let site = Self { folder: quick_folder() };
        let from = world.template.path();
        for part in parts() {
            let to = site.folder.path().join(&part);
            fs::create_dir_all(&to).expect("the folder is writable");
            for entry in fs::read_dir(from.join(&part)).expect("it was made") {
                let entry = entry.expect("it can be read");
                fs::copy(entry.path(), to.join(entry.file_name())).expect("there is room");
            }
        }
        let settings = site.desk().join("settings.json");
        let text = fs::read_to_string(&settings).expect("init made it");
        let (template, here) = (from.join("face"), site.face());
        let text = text.replace(&template.display().to_string(), &here.display().to_string());
        fs::write(&settings, text).expect("the folder is writable");
        site
    }

    /// Every database as it was when the world was made, and no file that was not there then.
    pub(crate) fn reset(&self, world: &World) {
        let from = world.template.path();
        for part in parts() {
            for entry in fs::read_dir(self.folder.path().join(&part)).expect("it was made") {
                let entry = entry.expect("it can be read");
                if !from.join(&part).join(entry.file_name()).exists() {
                    fs::remove_file(entry.path()).expect("it is ours");
                }
            }
        }
        let databases = [("front".to_owned(), FRONT_DATABASE), ("desk".to_owned(), DESK_DATABASE)];
        let devices = (0..DEVICES).map(|number| (device_folder(number), DEVICE_DATABASE));
        for (part, name) in databases.into_iter().chain(devices) {
            let from = from.join(&part).join(name);
            replace_database(&from, &self.folder.path().join(&part).join(name));
        }
    }

    pub(crate) fn device(&self, number: usize) -> PathBuf {
        self.folder.path().join(device_folder(number))
    }

    pub(crate) fn front(&self) -> PathBuf {
        self.folder.path().join("front")
    }

    pub(crate) fn desk(&self) -> PathBuf {
        self.folder.path().join("desk")
    }

    /// What opens the admin port of the desk that runs.
    pub(crate) fn admin_token(&self) -> String {
        let file = fs::read(self.desk().join("admin.json")).expect("the desk wrote it");
        let file: serde_json::Value = serde_json::from_slice(&file).expect("the desk wrote it");
        file["token"].as_str().expect("the desk wrote it").to_owned()
    }

    pub(crate) fn face(&self) -> PathBuf {
        self.folder.path().join("face")
    }
}

/// Puts a copy of a database, with its log, in the place of another that nobody has open.
pub(crate) fn replace_database(from: &Path, to: &Path) {
    // A new file under the old name: SQLite knows files by what they are, not by what they are called.
    for suffix in ["", "-wal", "-shm"] {
        // Most have none.
        let _ = fs::remove_file(with_suffix(to, suffix));
    }
    fs::copy(from, to).expect("there is room");
    let log = with_suffix(from, "-wal");
    if log.exists() {
        fs::copy(log, with_suffix(to, "-wal")).expect("there is room");
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The hub's generator: for keys and tokens, on which no decision depends.
pub(crate) fn random() -> Random {
    Random::system()
}
