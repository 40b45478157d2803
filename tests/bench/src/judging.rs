//! P4, the desk's half: records opened, committed and receipted per second.

use std::{
    fs::OpenOptions,
    io::Write as _,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use axum::http::Method;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};
use rusqlite::Connection;
use tazune_hub::{
    FrontPort, NoAnswer, Ports, Random, Stop, SystemClock,
    config::FrontAddress,
    desk::{Desk, FrontAt},
};
use tazune_link::{
    front_api::{DESK_RECEIPTS, DeskReceipts, DeskWork},
    receipt::SignedReceipt,
};
use tazune_model::Bytes;
use tazune_visit::UnsealedVisit;
use tokio::{
    sync::{Notify, mpsc},
    time::timeout,
};

use crate::{
    hub::{Hub, Identity},
    receiving::flat,
    report::{Row, ratio},
    stopwatch::Stopwatch,
    stored, visit,
};

/// Desk and reference take turns, so that what else the machine does meets both.
const ROUNDS: usize = 2;

/// Far more than a round takes: a desk that never says its receipts is a failure, not a long wait.
const PATIENCE: Duration = Duration::from_secs(120);

/// A front inside this process: hands out one batch of envelopes, and takes the receipts.
struct Mailbox {
    work: tokio::sync::Mutex<mpsc::UnboundedReceiver<Vec<Bytes>>>,
    receipts: Mutex<Vec<SignedReceipt>>,
    receipted: Notify,
}

#[async_trait]
impl FrontPort for Mailbox {
    async fn call(&self, method: Method, path: &str, body: Vec<u8>) -> Result<(u16, Vec<u8>), NoAnswer> {
        if path == DESK_RECEIPTS {
            let told: DeskReceipts = serde_json::from_slice(&body).expect("the desk's own words");
            let receipts = told.receipts.into_iter().map(|receipt| receipt.receipt);
            self.receipts.lock().unwrap_or_else(PoisonError::into_inner).extend(receipts);
            self.receipted.notify_one();
            return Ok((204, Vec::new()));
        }
        // Which device there is: nothing hangs on it here.
        if method == Method::PUT {
            return Ok((204, Vec::new()));
        }
        let closed = || NoAnswer("the measurement is over".into());
        let envelopes = self.work.lock().await.recv().await.ok_or_else(closed)?;
        let work = DeskWork { envelopes, ..DeskWork::default() };
        Ok((200, serde_json::to_vec(&work).expect("plain fields")))
    }
}

/// Measures `records` with each of `counts` stored before, in rising order, and with face files beside.
pub(crate) async fn rows(folder: &Path, records: usize, counts: &[u32]) -> Vec<Row> {
    let hub = Hub::set_up(folder.join("judging"));
    let identity = hub.identity("bench-1");
    let (plain, answered) = (visit::unsealed_without_answer(), visit::unsealed(visit::ANSWER));
    let (mut rows, mut rates) = (Vec::new(), Vec::new());
    for (index, &count) in counts.iter().enumerate() {
        let (ours, reference) = measure(&hub, &identity, &plain, records, count, index == 0).await;
        rows.push(row(&format!("{count} records stored"), ours, reference));
        rates.push((count, ours, reference));
    }
    rows.extend(flat("P4 desk", &rates));
    let most = counts.last().copied().unwrap_or_default();
    let (ours, reference) = measure(&hub, &identity, &answered, records, most, false).await;
    rows.push(row(&format!("{most} records stored, answers of 4 KB, face files written beside"), ours, reference));
    rows
}

fn row(what: &str, ours: f64, reference: f64) -> Row {
    Row {
        metric: format!("P4 desk, {what}"),
        ours: format!("{ours:.0} records/s opened, committed and receipted"),
        reference: format!("append + fsync of the same envelopes: {reference:.0}/s"),
        ratio: ratio(ours, reference),
        target: "≥ 0.6".into(),
    }
}

/// Records per second: the desk's, and those that are only appended.
async fn measure(
    hub: &Hub,
    identity: &Identity,
    unsealed: &UnsealedVisit,
    records: usize,
    count: u32,
    is_first: bool,
) -> (f64, f64) {
    let (give, work) = mpsc::unbounded_channel();
    let mailbox =
        Arc::new(Mailbox { work: tokio::sync::Mutex::new(work), receipts: Mutex::default(), receipted: Notify::new() });
    let (stop, stopping) = Stop::new();
    let open = async || {
        let address: FrontAddress = "https://127.0.0.1:1".parse().expect("an address");
        let ports = Ports { front: Some(mailbox.clone()), ..Ports::system() };
        let (clock, random) = (Arc::new(SystemClock), Random::system());
        let folder = hub.desk_folder();
        Desk::open_with(&folder, FrontAt::Address(address), clock, random, stopping.clone(), ports).await
    };
    drop(open().await.expect("init made it"));
    if is_first {
        hub.add_to_desk(identity);
    }
    stored::in_desk(&hub.desk_folder().join("desk.sqlite"), count);
    let desk = tokio::spawn(open().await.expect("it was opened before").serve());

    let mut appended =
        OpenOptions::new().create(true).append(true).open(hub.folder().join("appended")).expect("it is writable");
    let (record, clinic_key) = (visit::record(unsealed.clone()), hub.clinic_key());
    let mut generator = ChaCha20Rng::seed_from_u64(13);
    let (mut ours, mut reference) = (0.0, 0.0);
    for round in 1..=ROUNDS {
        let envelopes: Vec<_> =
            (0..records).map(|_| identity.seal(&record, &clinic_key, &mut generator).to_bytes()).collect();
        let watch = Stopwatch::start();
        for envelope in &envelopes {
            appended.write_all(envelope).and_then(|()| appended.sync_all()).expect("the disk takes a file");
        }
        reference += watch.elapsed().as_secs_f64();
        let watch = Stopwatch::start();
        give.send(envelopes.into_iter().map(Bytes).collect()).expect("the desk asks");
        let receipted = async {
            while mailbox.receipts.lock().unwrap_or_else(PoisonError::into_inner).len() < round * records {
                mailbox.receipted.notified().await;
            }
        };
        timeout(PATIENCE, receipted).await.expect("the desk judges what it is offered");
        ours += watch.elapsed().as_secs_f64();
    }
    let stored = Connection::open(hub.desk_folder().join("desk.sqlite")).expect("the desk made it");
    let aside: u32 = stored.query_row("SELECT count(*) FROM quarantine", [], |row| row.get(0)).expect("it is there");
    assert_eq!(aside, 0, "every record is good");
    drop(stored);
    stop.stop();
    desk.await.expect("no panic").expect("the database comes to rest");
    let per_second = |seconds: f64| (ROUNDS * records) as f64 / seconds;
    (per_second(ours), per_second(reference))
}
