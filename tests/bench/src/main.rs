//! Measures the numbers to hold and writes `target/bench/report.md`. It prints and never judges a time.
//!
//! | file | holds |
//! |---|---|
//! | `apdu_count` | P1 |
//! | `modelled_time` | P2 |
//! | `durable_enqueue` | P3 |
//! | `visit_time` | P9 |
//! | `card`, `visit`, `device` | what is measured: the virtual card's log, visits in the right state, the engine's device |
//! | `stopwatch`, `report` | the one reader of the clock; the table |
#![expect(clippy::print_stdout, reason = "this tool speaks to the person at the terminal")]

mod apdu_count;
mod card;
mod device;
mod durable_enqueue;
mod modelled_time;
mod report;
mod stopwatch;
mod visit;
mod visit_time;

use std::{fs, io, path::Path};

use self::{
    device::TestDevice,
    report::{Report, Row},
};

/// How often P3 and P9 are repeated; nearest ranks of so many are the percentiles.
const ENQUEUES: usize = 200;
const VISITS: usize = 500;

#[tokio::main]
async fn main() -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("this crate lies two folders below the root")
        .join("target/bench");
    fs::create_dir_all(&folder)?;
    // Beside the report and not in the system's folder for such things, which may be in memory.
    let scratch = tempfile::tempdir_in(&folder)?;
    let report = measure(scratch.path(), ENQUEUES, VISITS).await;
    let path = folder.join("report.md");
    fs::write(&path, report.to_markdown())?;
    println!("{}", path.display());
    Ok(())
}

async fn measure(scratch: &Path, enqueues: usize, visits: usize) -> Report {
    let mut report = Report::default();
    println!("P1, P2: authentications with the virtual card …");
    let authentications = card::authentications();
    add(&mut report, apdu_count::rows(&authentications));
    add(&mut report, modelled_time::rows(&authentications));
    let device = TestDevice::open(scratch).await;
    println!("P3: sealing, and appending to a file …");
    add(&mut report, durable_enqueue::rows(&device, scratch, enqueues).await);
    println!("P9: visits …");
    add(&mut report, visit_time::rows(&device, visits).await);
    report
}

/// Takes lines into the report and shows them: a person waits.
fn add(report: &mut Report, rows: Vec<Row>) {
    for row in &rows {
        println!("    {}: {}", row.metric, row.ours);
    }
    report.extend(rows);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_measured_still_works() {
        let scratch = tempfile::tempdir().unwrap();
        let report = measure(scratch.path(), 2, 2).await.to_markdown();
        for metric in ["P1", "P2", "P3", "P9"] {
            assert!(report.contains(metric), "{metric} is missing in:\n{report}");
        }
    }
}
