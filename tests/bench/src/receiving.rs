//! P4, the front's half: sealed records received per second over mTLS, durable before the answer.

use std::{path::Path, sync::Arc};

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};
use reqwest::{Client, Method};
use tazune_hub::{Stop, SystemClock, front::Front};
use tazune_link::front_api::{ENVELOPES, EnvelopesAnswer, EnvelopesRequest, HEALTH, HandIn};
use tokio::task::JoinSet;

use crate::{
    append_server::AppendServer,
    hub::{Hub, Identity, call},
    report::{Row, ratio},
    stopwatch::{Samples, Stopwatch},
    stored, visit,
};

/// How much is measured.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) devices: usize,
    /// Records that each device hands in, one by one, in each of the [`ROUNDS`].
    pub(crate) records: usize,
}

/// Front and reference take turns, so that what else the machine does meets both.
const ROUNDS: usize = 2;

/// Requests of one kind of server.
#[derive(Default)]
struct Measured {
    latencies: Samples,
    requests: usize,
    seconds: f64,
}

impl Measured {
    fn per_second(&self) -> f64 {
        self.requests as f64 / self.seconds
    }
}

/// Measures with each of `counts` records stored before, in rising order.
pub(crate) async fn rows(folder: &Path, load: Load, counts: &[u32]) -> Vec<Row> {
    let hub = Hub::set_up(folder.join("receiving"));
    let identities: Vec<_> = (0..load.devices).map(|number| hub.identity(&format!("bench-{number}"))).collect();
    let (mut rows, mut rates) = (Vec::new(), Vec::new());
    for &count in counts {
        let (ours, reference) = measure(&hub, &identities, load, count).await;
        let p99 = |measured: &Measured| measured.latencies.percentile_ms(99);
        rows.push(Row {
            metric: format!("P4 front, {} devices, {count} records stored", load.devices),
            ours: format!("{:.0} records/s, p99 {:.1} ms", ours.per_second(), p99(&ours)),
            reference: format!("append + fsync: {:.0}/s, p99 {:.1} ms", reference.per_second(), p99(&reference)),
            ratio: ratio(ours.per_second(), reference.per_second()),
            target: "≥ 0.6; p99 ≤ 100 ms".into(),
        });
        rates.push((count, ours.per_second(), reference.per_second()));
    }
    rows.extend(flat("P4 front", &rates));
    rows
}

/// How the rate changes between the fewest and the most records stored; each is `(records, ours, reference)`.
pub(crate) fn flat(name: &str, rates: &[(u32, f64, f64)]) -> Option<Row> {
    let (&(few, ours_few, reference_few), &(many, ours_many, reference_many)) = (rates.first()?, rates.last()?);
    Some(Row {
        metric: format!("{name}, rate with {many} records stored ÷ with {few}"),
        ours: ratio(ours_many, ours_few),
        reference: format!("append + fsync at the same two times: {}", ratio(reference_many, reference_few)),
        ratio: ratio(ours_many / ours_few, reference_many / reference_few),
        target: "0.8 to 1.2".into(),
    })
}

async fn measure(hub: &Hub, identities: &[Identity], load: Load, count: u32) -> (Measured, Measured) {
    let (stop, stopping) = Stop::new();
    let open = async || Front::open(&hub.front_folder(), Arc::new(SystemClock), stopping.clone()).await;
    drop(open().await.expect("init made it"));
    stored::in_front(&hub.front_folder().join("front.sqlite"), count);
    let front = open().await.expect("it was opened before");
    let url = format!("https://{}", front.address());
    let serving = tokio::spawn(front.serve());
    let reference = AppendServer::start(hub.server_tls(), &hub.folder().join("appended")).await;

    let clients: Vec<_> = identities.iter().map(|identity| identity.client(hub)).collect();
    for (identity, client) in identities.iter().zip(&clients) {
        hub.register(&url, identity).await;
        // The handshakes are no part of what is measured.
        call(client, Method::GET, &format!("{url}{HEALTH}"), Vec::new()).await;
        call(client, Method::GET, &format!("{}{HEALTH}", reference.url()), Vec::new()).await;
    }
    let (mut ours, mut theirs) = (Measured::default(), Measured::default());
    for _ in 0..ROUNDS {
        let bodies = bodies(hub, identities, load.records);
        hand_in(&clients, reference.url(), &bodies, &mut theirs, |_| {}).await;
        hand_in(&clients, &url, &bodies, &mut ours, |answer| {
            let answer: EnvelopesAnswer = serde_json::from_slice(answer).expect("the front answers as it says");
            assert!(answer.results.iter().all(|result| result.result == HandIn::Received), "{answer:?}");
        })
        .await;
    }
    stop.stop();
    serving.await.expect("no panic").expect("the database comes to rest");
    (ours, theirs)
}

/// Requests with one new record each: so many for each device.
fn bodies(hub: &Hub, identities: &[Identity], count: usize) -> Vec<Vec<Vec<u8>>> {
    let (record, clinic_key) = (visit::record(visit::unsealed_without_answer()), hub.clinic_key());
    let mut generator = ChaCha20Rng::seed_from_u64(11);
    let mut body = |identity: &Identity| {
        let envelopes = vec![identity.seal(&record, &clinic_key, &mut generator)];
        serde_json::to_vec(&EnvelopesRequest { envelopes }).expect("plain fields")
    };
    identities.iter().map(|identity| (0..count).map(|_| body(identity)).collect()).collect()
}

/// Every device hands in its own, one after the other; all devices at once.
async fn hand_in(clients: &[Client], server: &str, bodies: &[Vec<Vec<u8>>], measured: &mut Measured, check: fn(&[u8])) {
    let mut devices = JoinSet::new();
    let watch = Stopwatch::start();
    for (client, bodies) in clients.iter().cloned().zip(bodies.iter().cloned()) {
        let url = format!("{server}{ENVELOPES}");
        devices.spawn(async move {
            let mut latencies = Samples::default();
            for body in bodies {
                let watch = Stopwatch::start();
                let (status, answer) = call(&client, Method::POST, &url, body).await;
                latencies.push(watch.elapsed());
                assert!(status.is_success(), "{status}");
                check(&answer);
            }
            latencies
        });
    }
    while let Some(latencies) = devices.join_next().await {
        measured.latencies.extend(latencies.expect("a device does not panic"));
    }
    measured.seconds += watch.elapsed().as_secs_f64();
    measured.requests += bodies.iter().map(Vec::len).sum::<usize>();
}
