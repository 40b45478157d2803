//! Measures the numbers to hold and writes `target/bench/report.md`. It prints and never judges a time.
//!
//! | file | holds |
//! |---|---|
//! | `apdu_count`, `peers` | P1, and the programs it is compared with |
//! | `modelled_time` | P2 |
//! | `durable_enqueue`, `sqlcipher` | P3, and the encrypted database it is compared with |
//! | `receiving`, `append_server` | P4 of the front, and the server it is compared with |
//! | `judging` | P4 of the desk |
//! | `visit_time` | P9 |
//! | `reconnect` | P10 |
//! | `cold_start` | P11 |
//! | `card`, `visit`, `device`, `hub`, `stored` | what is measured: the virtual card's log, visits in the right state, the engine's device, a hub's folder and what it has stored |
//! | `stopwatch`, `report` | the one reader of the clock; the table |
#![expect(clippy::print_stdout, reason = "this tool speaks to the person at the terminal")]

mod apdu_count;
mod append_server;
mod card;
mod cold_start;
mod device;
mod durable_enqueue;
mod hub;
mod judging;
mod modelled_time;
mod peers;
mod receiving;
mod reconnect;
mod report;
mod sqlcipher;
mod stopwatch;
mod stored;
mod visit;
mod visit_time;

use std::{fs, io, path::Path, sync::Arc};

use clap::Parser;
use tazune_engine::{MemoryKeyStore, Ports};

use self::{
    device::{Clinic, TestDevice},
    peers::Peer,
    receiving::Load,
    report::{Report, Row},
};

/// Measures the numbers to hold.
#[derive(Parser)]
struct Arguments {
    /// P4 also with a million records stored, which takes several gigabytes and minutes.
    #[arg(long)]
    full: bool,
}

/// How much is measured; nearest ranks of so many are the percentiles.
struct Scale {
    /// Whether other programs are fetched, built and run.
    has_peers: bool,
    enqueues: usize,
    visits: usize,
    load: Load,
    /// Records stored before P4, in rising order.
    stored: &'static [u32],
    judged: usize,
    days_offline: usize,
    /// Records stored before P11.
    at_start: u32,
    starts: usize,
}

const USUAL: Scale = Scale {
    has_peers: true,
    enqueues: 200,
    visits: 500,
    load: Load { devices: 100, records: 10 },
    stored: &[1_000, 100_000],
    judged: 300,
    days_offline: 5,
    at_start: 100_000,
    starts: 5,
};

const FULL: Scale = Scale { stored: &[1_000, 100_000, 1_000_000], ..USUAL };

#[tokio::main]
async fn main() -> io::Result<()> {
    let scale = if Arguments::parse().full { FULL } else { USUAL };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("this crate lies two folders below the root")
        .join("target/bench");
    fs::create_dir_all(&folder)?;
    // Beside the report and not in the system's folder for such things, which may be in memory.
    let scratch = tempfile::tempdir_in(&folder)?;
    let report = measure(&folder, scratch.path(), &scale).await;
    let path = folder.join("report.md");
    fs::write(&path, report.to_markdown())?;
    println!("{}", path.display());
    Ok(())
}

/// Measures in `scratch`; what is fetched for the peers stays in `kept`.
async fn measure(kept: &Path, scratch: &Path, scale: &Scale) -> Report {
    let mut report = Report::default();
    println!("P1, P2: authentications with the virtual card …");
    let authentications = card::authentications();
    let peers: [Peer; 2] = if scale.has_peers { peers::run(scratch) } else { peers::left_out() };
    add(&mut report, apdu_count::rows(&authentications, &peers));
    add(&mut report, modelled_time::rows(&authentications, &peers));
    let keys = Arc::new(MemoryKeyStore::new());
    let device =
        TestDevice::open(&scratch.join("device"), keys.clone(), &Clinic::nowhere(&*keys), Ports::system()).await;
    println!("P3: sealing, and writing the same bytes more simply …");
    let python = if scale.has_peers { sqlcipher::install(kept) } else { Err("a short run".into()) };
    add(&mut report, durable_enqueue::rows(&device, &scratch.join("device"), &python, scale.enqueues).await);
    println!("P4: devices hand in …");
    add(&mut report, receiving::rows(scratch, scale.load, scale.stored).await);
    println!("P4: the desk opens …");
    add(&mut report, judging::rows(scratch, scale.judged, scale.stored).await);
    println!("P9: visits …");
    add(&mut report, visit_time::rows(&device, scale.visits).await);
    println!("P10: a device comes back …");
    add(&mut report, reconnect::rows(scratch, 50, scale.days_offline).await);
    println!("P11: the hub starts …");
    add(&mut report, cold_start::rows(scratch, scale.at_start, scale.starts).await);
    report
}

/// Takes lines into the report and shows them: a person waits.
fn add(report: &mut Report, rows: Vec<Row>) {
    for Row { metric, ours, reference, ratio, .. } in &rows {
        println!("    {metric}: {ours} | {reference} | {ratio}");
    }
    report.extend(rows);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_measured_still_works() {
        let scratch = tempfile::tempdir().unwrap();
        let short = Scale {
            has_peers: false,
            enqueues: 2,
            visits: 2,
            load: Load { devices: 2, records: 2 },
            stored: &[10, 20],
            judged: 2,
            days_offline: 1,
            at_start: 20,
            starts: 1,
        };
        let report = measure(scratch.path(), scratch.path(), &short).await.to_markdown();
        for metric in ["P1", "P2", "P3", "P4 front", "P4 desk", "P9", "P10", "P11"] {
            assert!(report.contains(metric), "{metric} is missing in:\n{report}");
        }
    }
}
