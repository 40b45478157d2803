//! The device against a small clinic that answers, refuses, lies, goes silent or forgets as a test wants.

mod clinic;
mod pairing;
mod queue;
mod revocation;
mod visit;

use std::{path::Path, sync::Arc, time::Duration};

use clinic::Clinic;
use tazune_engine::{AboutDevice, Device, DeviceConfig, DraftId, KeyStore, MemoryKeyStore};
use tazune_link::delivery::Delivery;
use tazune_model::{Clock, ConsentItem, Language, ManualClock, RecordId, StaffId, Timestamp};
use tazune_visit::{CardTrouble, Effect, Event, Intent, UnsealedVisit, Visit, VisitSetup};

/// A device in its own folder, with keys that survive its restarts.
struct Rig {
    folder: tempfile::TempDir,
    keys: Arc<MemoryKeyStore>,
    clock: Arc<ManualClock>,
    clinic: Clinic,
}

impl Rig {
    async fn new() -> Self {
        let clock = Arc::new(ManualClock::new("2026-11-21T01:00:00Z".parse().unwrap()));
        let clinic = Clinic::start(clock.clone()).await;
        Self { folder: tempfile::tempdir().unwrap(), keys: Arc::new(MemoryKeyStore::new()), clock, clinic }
    }

    async fn device(&self) -> Arc<Device> {
        open(self.folder.path(), self.keys.clone(), self.clock.clone()).await
    }

    /// A device that the clinic has approved.
    async fn paired(&self) -> Arc<Device> {
        let device = self.device().await;
        let offer = self.clinic.offer();
        let attempt = device.pair(&offer, about()).await.unwrap();
        self.clinic.approve(attempt.code());
        attempt.finish().await.unwrap();
        device
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

async fn open(folder: &Path, keys: Arc<dyn KeyStore>, clock: Arc<dyn Clock>) -> Arc<Device> {
    Arc::new(Device::open(DeviceConfig { folder: folder.to_path_buf(), keys, clock }).await.unwrap())
}

fn about() -> AboutDevice {
    AboutDevice { name: "訪問1号".into(), model: "sample tablet".into(), os: "sample 1".into() }
}

/// Seals a visit that ended without an answer.
async fn seal(device: &Device, now: Timestamp) -> RecordId {
    let draft = DraftId::make(&mut generator());
    let (visit, unsealed) = finished_visit(device, now).await;
    device.add_visit(&draft, &visit).await.unwrap();
    device.seal(unsealed, &draft).await.unwrap()
}

async fn finished_visit(device: &Device, now: Timestamp) -> (Visit, UnsealedVisit) {
    let pairing = device.pairing().await.unwrap();
    let setup = VisitSetup {
        institution: pairing.tenant,
        device_id: pairing.device_id,
        staff: StaffId::new("dr-sample").unwrap(),
        patient: None,
        language: Language::Ja,
        consent_items: ConsentItem::ALL.to_vec(),
    };
    let mut visit = Visit::plan(setup, now);
    visit.on(Event::Intent(Intent::Continue), now).unwrap();
    visit.on(Event::CardTrouble(CardTrouble::Absent), now).unwrap();
    visit.on(Event::Intent(Intent::EndWithoutAnswer), now).unwrap();
    let effects = visit.on(Event::Intent(Intent::Continue), now).unwrap();
    let unsealed = effects.into_iter().find_map(|effect| match effect {
        Effect::Seal(unsealed) => Some(*unsealed),
        _ => None,
    });
    (visit, unsealed.expect("the visit is finished"))
}

fn generator() -> rand::rand_core::UnwrapErr<rand::rngs::SysRng> {
    rand::rand_core::UnwrapErr(rand::rngs::SysRng)
}

async fn delivery(device: &Device, record_id: RecordId) -> Delivery {
    let queue = device.queue().await.unwrap();
    queue.records.iter().find(|record| record.record_id == record_id).expect("the record is kept").delivery
}

/// Long enough for a loopback answer on a busy machine; a good run never waits it out.
const SOON: Duration = Duration::from_secs(20);
