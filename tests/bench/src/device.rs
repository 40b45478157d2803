use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};
use rusqlite::Connection;
use tazune_engine::{Device, DeviceConfig, DraftId, KeyStore, Ports, SystemClock};
use tazune_link::{
    envelope::{self, Envelope, EnvelopeHeader},
    keys::{OpeningKey, SealingKey, VerifyingKey},
    pairing::{GatewaySettings, Settings},
    record::UnsignedRecord,
};
use tazune_model::{Bytes, Clock as _, RecordId, VisitRecord};
use tazune_sim::TestCa;
use tazune_visit::{UnsealedVisit, Visit};

use crate::visit;

/// The engine's device in a folder of its own, and the one draft that all measurements use.
pub(crate) struct TestDevice {
    device: Device,
    keys: Arc<dyn KeyStore>,
    clinic_key: SealingKey,
    draft: DraftId,
    database: PathBuf,
}

/// What a device knows of its clinic, as far as a measurement needs it.
pub(crate) struct Clinic {
    pub(crate) key: SealingKey,
    pub(crate) receipt_key: VerifyingKey,
}

impl Clinic {
    /// One whose records nobody opens.
    pub(crate) fn nowhere(keys: &dyn KeyStore) -> Self {
        keys.make_keys().expect("the store takes keys");
        let key = OpeningKey::from_bytes(&[7; 32]).expect("32 bytes are a key").sealing_key();
        Self { key, receipt_key: keys.transport_public().expect("the keys were made") }
    }
}

impl TestDevice {
    /// A device of that clinic in an empty folder.
    ///
    /// The row of its pairing is written past the engine: nobody has to approve it here.
    pub(crate) async fn open(folder: &Path, keys: Arc<dyn KeyStore>, clinic: &Clinic, ports: Ports) -> Self {
        keys.make_keys().expect("the store takes keys");
        let config = DeviceConfig { folder: folder.to_path_buf(), keys: keys.clone(), clock: Arc::new(SystemClock) };
        let device = Device::open_with(config, ports).await.expect("the folder is empty and writable");
        let database = folder.join("device.db");
        let connection = Connection::open(&database).expect("the device made it");
        let insert = "INSERT INTO meta (name, value) VALUES ('pairing', ?1)";
        connection.execute(insert, [pairing(clinic)]).expect("the table is there");
        let draft = DraftId::make(&mut ChaCha20Rng::seed_from_u64(1));
        Self { device, keys, clinic_key: clinic.key.clone(), draft, database }
    }

    /// Saves a visit as the draft, which is not there.
    pub(crate) async fn add(&self, visit: &Visit) {
        self.device.add_visit(&self.draft, visit).await.expect("the disk takes a draft");
    }

    /// Saves a visit in place of the draft.
    pub(crate) async fn save(&self, visit: &Visit) {
        self.device.save_visit(&self.draft, visit).await.expect("the disk takes a draft");
    }

    /// Seals a visit in place of the draft, which is there.
    pub(crate) async fn seal(&self, visit: UnsealedVisit) -> RecordId {
        self.device.seal(visit, &self.draft).await.expect("the disk takes a record")
    }

    /// What [`Self::seal`] computes, without the store; the steps are the engine's.
    pub(crate) fn seal_in_memory(&self, visit: UnsealedVisit, generator: &mut ChaCha20Rng) -> Envelope {
        let now = SystemClock.now();
        let record = visit.finish(RecordId::make(now, &[7; 10]), now);
        let sign = |bytes: Vec<u8>| Bytes(self.keys.sign(&bytes).expect("the keys were made"));
        seal_record(&record, &self.clinic_key, sign, generator)
    }

    /// Returns once nothing is at work in the store any more, as the wipe of its log after a sealing is.
    pub(crate) async fn rest(&self) {
        self.device.queue().await.expect("the store can be read");
    }

    /// Hands in what waits and collects the receipts.
    pub(crate) async fn deliver(&self, receipts_within: Duration) {
        self.device.deliver_now(receipts_within).await.expect("front and desk run");
    }

    /// How many records the clinic has accepted.
    pub(crate) async fn accepted_count(&self) -> usize {
        self.device.queue().await.expect("the store can be read").accepted_count()
    }

    /// The sealed bytes of a record.
    pub(crate) fn envelope(&self, record_id: RecordId) -> Vec<u8> {
        let connection = Connection::open(&self.database).expect("the device made it");
        let select = "SELECT envelope FROM records WHERE record_id = ?1";
        connection.query_row(select, [record_id.to_string()], |row| row.get(0)).expect("it was just sealed")
    }
}

/// Signs and seals a record as the engine does.
pub(crate) fn seal_record(
    record: &VisitRecord,
    clinic_key: &SealingKey,
    sign: impl Fn(Vec<u8>) -> Bytes,
    generator: &mut ChaCha20Rng,
) -> Envelope {
    let unsigned = UnsignedRecord::new(record);
    let signature = sign(unsigned.bytes_to_sign());
    let header = EnvelopeHeader::new(clinic_key, record);
    let unsigned = envelope::seal(clinic_key, header, &unsigned.sign(signature), generator);
    let unsigned = unsigned.expect("the record is not too large");
    let signature = sign(unsigned.bytes_to_sign());
    unsigned.sign(signature)
}

/// A pairing as the engine keeps it.
fn pairing(clinic: &Clinic) -> Vec<u8> {
    let settings = Settings {
        gateway: GatewaySettings {
            url: "https://gateway.invalid".into(),
            ca_certificates: vec![],
            client_certificates: vec![],
        },
        card_anchors: vec![TestCa::user().certificate().into()],
        consent_items: vec![],
        purge_after_hours: 72,
    };
    let pairing = serde_json::json!({
        "device_id": "bench-1",
        "tenant": visit::INSTITUTION,
        "settings": settings,
        "fronts": ["https://front.invalid"],
        "paired_at": visit::now(),
        "spki_sha256": "00".repeat(32),
        "certificates": [],
        "clinic_key": clinic.key,
        "receipt_key": clinic.receipt_key,
        "opening_key": "",
    });
    pairing.to_string().into_bytes()
}
