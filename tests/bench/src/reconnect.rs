//! P10: a device that was away for a day brings its records and gets its receipts.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};
use rcgen::{PublicKeyData as _, SigningKey as _};
use reqwest::{Client, Method};
use tazune_engine::{
    EngineError, FrontAnswer, FrontPort, FrontRequest, KeyStore, KeyStoreError, MemoryKeyStore, Ports,
};
use tazune_hub::{
    Random, Stop, SystemClock,
    desk::{Desk, FrontAt},
    front::Front,
};
use tazune_link::{
    front_api::{ENVELOPES, EnvelopesRequest},
    keys::VerifyingKey,
};
use zeroize::Zeroizing;

use crate::{
    device::{Clinic, TestDevice},
    hub::{Hub, Identity, call},
    report::{Row, ratio},
    stopwatch::{Samples, Stopwatch},
    visit,
};

/// How long the receipts may take; nothing here waits so long.
const RECEIPTS_WITHIN: Duration = Duration::from_secs(60);

/// The device's keys, of which TLS uses the first too.
struct Keys {
    identity: Arc<Identity>,
    staff: MemoryKeyStore,
}

impl KeyStore for Keys {
    fn make_keys(&self) -> Result<(), KeyStoreError> {
        self.staff.make_keys()
    }

    fn transport_public(&self) -> Result<VerifyingKey, KeyStoreError> {
        VerifyingKey::from_bytes(self.identity.key.der_bytes()).map_err(|_| KeyStoreError::Missing)
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyStoreError> {
        self.identity.key.sign(message).map_err(|_| KeyStoreError::Missing)
    }

    fn wrap_key(&self, key: &[u8; 32]) -> Result<Vec<u8>, KeyStoreError> {
        self.staff.wrap_key(key)
    }

    fn unwrap_key(&self, wrapped: &[u8]) -> Result<Zeroizing<[u8; 32]>, KeyStoreError> {
        self.staff.unwrap_key(wrapped)
    }

    fn destroy_staff_key(&self) -> Result<(), KeyStoreError> {
        self.staff.destroy_staff_key()
    }

    fn destroy_transport_key(&self) -> Result<(), KeyStoreError> {
        unreachable!("nobody revokes this device")
    }
}

/// The way to the front, with a count of the requests that go it.
struct Counted {
    client: Client,
    front: String,
    requests: AtomicUsize,
}

#[async_trait]
impl FrontPort for Counted {
    async fn call(&self, request: FrontRequest) -> Result<FrontAnswer, EngineError> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let url = format!("{}{}", self.front, request.path);
        let (status, body) = call(&self.client, request.method, &url, request.body).await;
        Ok(FrontAnswer { status, body })
    }
}

/// Measures `repeats` times a day of `records`.
pub(crate) async fn rows(folder: &Path, records: usize, repeats: usize) -> Vec<Row> {
    let hub = Hub::set_up(folder.join("reconnect"));
    // The second brings the single records, so that nobody's receipts are offered to the first but its own.
    let (identity, other) = (Arc::new(hub.identity("bench-1")), hub.identity("bench-2"));
    let (stop, stopping) = Stop::new();
    let front = Front::open(&hub.front_folder(), Arc::new(SystemClock), stopping.clone()).await.expect("init made it");
    let (address, at) = (format!("https://{}", front.address()), FrontAt::Here(front.address()));
    let desk = Desk::open(&hub.desk_folder(), at, Arc::new(SystemClock), Random::system(), stopping).await;
    let desk = desk.expect("init made it");
    hub.add_to_desk(&identity);
    hub.add_to_desk(&other);
    let serving = [tokio::spawn(front.serve()), tokio::spawn(desk.serve())];
    hub.register(&address, &identity).await;
    hub.register(&address, &other).await;

    let record = visit::record(visit::unsealed_without_answer());
    let mut generator = ChaCha20Rng::seed_from_u64(17);
    let (mut ours, mut reference, mut round_trips) = (Samples::default(), Samples::default(), 0);
    for repeat in 0..repeats {
        let (client, front) = (identity.client(&hub), address.clone());
        let port = Arc::new(Counted { client, front, requests: AtomicUsize::new(0) });
        let device = device(&hub, &identity, &folder.join(format!("reconnect-device-{repeat}")), port.clone()).await;
        let (draft, _) = visit::authenticating();
        for _ in 0..records {
            device.add(&draft).await;
            device.seal(visit::unsealed_without_answer()).await;
        }
        let watch = Stopwatch::start();
        device.deliver(RECEIPTS_WITHIN).await;
        ours.push(watch.elapsed());
        assert_eq!(device.accepted_count().await, records, "each was delivered and receipted");
        round_trips = round_trips.max(port.requests.load(Ordering::Relaxed));

        let bodies: Vec<_> = (0..records)
            .map(|_| {
                let envelopes = vec![other.seal(&record, &hub.clinic_key(), &mut generator)];
                serde_json::to_vec(&EnvelopesRequest { envelopes }).expect("plain fields")
            })
            .collect();
        let (client, url) = (other.client(&hub), format!("{address}{ENVELOPES}"));
        let watch = Stopwatch::start();
        for body in bodies {
            let (status, _) = call(&client, Method::POST, &url, body).await;
            assert!(status.is_success(), "{status}");
        }
        reference.push(watch.elapsed());
    }
    stop.stop();
    for role in serving {
        role.await.expect("no panic").expect("the database comes to rest");
    }
    let (ours, reference) = (ours.percentile_ms(50), reference.percentile_ms(50));
    vec![Row {
        metric: format!("P10 reconnect with {records} records: delivered, receipted, receipts taken"),
        ours: format!("{round_trips} round trips, {ours:.1} ms with the desk's work and a new connection"),
        reference: format!("{records} single round trips, each hands one in: {reference:.1} ms"),
        ratio: format!("round trips {}, time {}", ratio(round_trips as f64, records as f64), ratio(ours, reference)),
        target: "≤ 3 round trips".into(),
    }]
}

/// A device of that hub, with requests that go this way.
async fn device(hub: &Hub, identity: &Arc<Identity>, folder: &Path, port: Arc<Counted>) -> TestDevice {
    let keys = Arc::new(Keys { identity: identity.clone(), staff: MemoryKeyStore::new() });
    let clinic = Clinic { key: hub.clinic_key(), receipt_key: hub.receipt_key() };
    TestDevice::open(folder, keys, &clinic, Ports { front: Some(port), ..Ports::system() }).await
}
