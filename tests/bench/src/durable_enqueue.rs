//! P3: from a finished visit to a sealed record that survives a power cut.

use std::{
    fs::{File, OpenOptions},
    io::Write as _,
    path::Path,
};

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use tazune_visit::{UnsealedVisit, Visit};

use crate::{
    device::TestDevice,
    report::{Row, p50_p99, ratio},
    stopwatch::{Samples, Stopwatch},
    visit::{self, ANSWER},
};

/// Document with which the sealed record comes to about 20 KB: three base64 encodings lie around it.
const LONG_DOCUMENT_BYTES: usize = 7_600;

/// Measures both sizes; the reference appends to a file in `folder`, where the device's database lies too.
pub(crate) async fn rows(device: &TestDevice, folder: &Path, iterations: usize) -> Vec<Row> {
    let (draft, _) = visit::authenticating();
    // Blanks after the last element are part of the document as it came.
    let mut document = ANSWER.to_vec();
    document.resize(LONG_DOCUMENT_BYTES, b' ');
    let mut raw =
        OpenOptions::new().create(true).append(true).open(folder.join("raw")).expect("the folder is writable");
    let mut rows = vec![];
    for unsealed in [visit::unsealed_without_answer(), visit::unsealed(&document)] {
        rows.extend(measure(device, &draft, &unsealed, &mut raw, iterations).await);
    }
    rows
}

async fn measure(
    device: &TestDevice,
    draft: &Visit,
    unsealed: &UnsealedVisit,
    raw: &mut File,
    iterations: usize,
) -> [Row; 2] {
    device.add(draft).await;
    let envelope = device.envelope(device.seal(unsealed.clone()).await);
    let mut generator = ChaCha20Rng::seed_from_u64(7);
    let (mut ours, mut computing, mut reference) = (Samples::default(), Samples::default(), Samples::default());
    for iteration in 0..iterations {
        device.add(draft).await;
        // Turn and turn about, so that neither is always the one after the draft.
        if iteration % 2 == 0 {
            reference.push(append(raw, &envelope));
        }
        let watch = Stopwatch::start();
        device.seal(unsealed.clone()).await;
        ours.push(watch.elapsed());
        let watch = Stopwatch::start();
        let unstored = device.seal_in_memory(unsealed.clone(), &mut generator).to_bytes();
        computing.push(watch.elapsed());
        // Lengths of signatures and of the instant's fraction vary by a few bytes.
        assert!(unstored.len().abs_diff(envelope.len()) < 64, "the steps are no longer the engine's");
        if iteration % 2 == 1 {
            reference.push(append(raw, &envelope));
        }
    }
    let bytes = envelope.len();
    let quotient = |percent| ratio(ours.percentile_ms(percent), reference.percentile_ms(percent));
    [
        Row {
            metric: format!("P3 sign, seal and durable enqueue, record of {bytes} bytes"),
            ours: format!("{}; signing and sealing without store {}", p50_p99(&ours), p50_p99(&computing)),
            reference: format!("raw append + fsync of {bytes} bytes: {}", p50_p99(&reference)),
            ratio: format!("p50 {}, p99 {}", quotient(50), quotient(99)),
            target: "p50 ≤ 1.0".into(),
        },
        Row {
            metric: format!("P3 steadiness, record of {bytes} bytes"),
            ours: format!("p99 / p50 = {}", ratio(ours.percentile_ms(99), ours.percentile_ms(50))),
            reference: format!("p99 / p50 = {}", ratio(reference.percentile_ms(99), reference.percentile_ms(50))),
            ratio: "–".into(),
            target: "≤ 5".into(),
        },
    ]
}

fn append(raw: &mut File, bytes: &[u8]) -> std::time::Duration {
    let watch = Stopwatch::start();
    raw.write_all(bytes).and_then(|()| raw.sync_all()).expect("the disk takes a file");
    watch.elapsed()
}
