//! P3: from a finished visit to a sealed record that survives a power cut.

use std::{
    fs::{File, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use tazune_visit::{UnsealedVisit, Visit};

use crate::{
    device::TestDevice,
    report::{Row, p50_p99, ratio},
    sqlcipher::SqlCipher,
    stopwatch::{Samples, Stopwatch},
    visit::{self, ANSWER},
};

/// Document with which the sealed record comes to about 20 KB: three base64 encodings lie around it.
const LONG_DOCUMENT_BYTES: usize = 7_600;

/// Measures both sizes; everything is written into `folder`, where the device's database lies.
pub(crate) async fn rows(
    device: &TestDevice,
    folder: &Path,
    python: &Result<PathBuf, String>,
    iterations: usize,
) -> Vec<Row> {
    let (draft, _) = visit::authenticating();
    // Blanks after the last element are part of the document as it came.
    let mut document = ANSWER.to_vec();
    document.resize(LONG_DOCUMENT_BYTES, b' ');
    let mut raw =
        OpenOptions::new().create(true).append(true).open(folder.join("raw")).expect("the folder is writable");
    let mut rows = vec![];
    for unsealed in [visit::unsealed_without_answer(), visit::unsealed(&document)] {
        device.add(&draft).await;
        let envelope = device.envelope(device.seal(unsealed.clone()).await);
        let mut references = References {
            raw: (&mut raw, Samples::default()),
            cipher: python
                .clone()
                .and_then(|python| Ok((SqlCipher::start(&python, folder, &envelope)?, Samples::default()))),
            envelope,
        };
        let sealing = measure(device, &draft, &unsealed, &mut references, iterations).await;
        rows.extend(sealing.rows(&references));
    }
    rows
}

/// What writes the same bytes more simply.
struct References<'a> {
    envelope: Vec<u8>,
    raw: (&'a mut File, Samples),
    /// Or why there is none.
    cipher: Result<(SqlCipher, Samples), String>,
}

impl References<'_> {
    fn measure(&mut self) {
        let (file, samples) = &mut self.raw;
        let watch = Stopwatch::start();
        file.write_all(&self.envelope).and_then(|()| file.sync_all()).expect("the disk takes a file");
        samples.push(watch.elapsed());
        if let Ok((cipher, samples)) = &mut self.cipher {
            match cipher.insert() {
                Ok(elapsed) => samples.push(elapsed),
                Err(why) => self.cipher = Err(why),
            }
        }
    }
}

/// The engine's sealing, whole and in its parts.
#[derive(Default)]
struct Sealing {
    whole: Samples,
    computing: Samples,
    store: Samples,
    wipe: Samples,
}

async fn measure(
    device: &TestDevice,
    draft: &Visit,
    unsealed: &UnsealedVisit,
    references: &mut References<'_>,
    iterations: usize,
) -> Sealing {
    let mut generator = ChaCha20Rng::seed_from_u64(7);
    let mut sealing = Sealing::default();
    for iteration in 0..iterations {
        device.rest().await;
        device.add(draft).await;
        // Turn and turn about, so that neither is always the one after the draft.
        if iteration % 2 == 0 {
            references.measure();
        }
        let watch = Stopwatch::start();
        device.seal(unsealed.clone()).await;
        let whole = watch.elapsed();
        let watch = Stopwatch::start();
        device.rest().await;
        sealing.wipe.push(watch.elapsed());
        let watch = Stopwatch::start();
        let unstored = device.seal_in_memory(unsealed.clone(), &mut generator).to_bytes();
        let computing: Duration = watch.elapsed();
        // Lengths of signatures and of the instant's fraction vary by a few bytes.
        assert!(unstored.len().abs_diff(references.envelope.len()) < 64, "the steps are no longer the engine's");
        sealing.whole.push(whole);
        sealing.computing.push(computing);
        sealing.store.push(whole.saturating_sub(computing));
        if iteration % 2 == 1 {
            references.measure();
        }
    }
    sealing
}

impl Sealing {
    fn rows(&self, references: &References<'_>) -> [Row; 3] {
        let bytes = references.envelope.len();
        let (_, raw) = &references.raw;
        let cipher = match &references.cipher {
            Ok((_, samples)) => format!("SQLCipher: {}", p50_p99(samples)),
            Err(why) => format!("SQLCipher not run: {why}"),
        };
        let against = |ours: &Samples| {
            let quotient = |other: &Samples| ratio(ours.percentile_ms(50), other.percentile_ms(50));
            let cipher = references.cipher.as_ref().map_or("–".into(), |(_, samples)| quotient(samples));
            format!("p50 {} × raw, {cipher} × SQLCipher", quotient(raw))
        };
        let steadiness = |samples: &Samples| ratio(samples.percentile_ms(99), samples.percentile_ms(50));
        [
            Row {
                metric: format!("P3 durable enqueue of a sealed record of {bytes} bytes: the store's share"),
                ours: format!(
                    "{}; the wipe of the log, which nobody waits for, {}",
                    p50_p99(&self.store),
                    p50_p99(&self.wipe)
                ),
                reference: format!("raw append + fsync: {}; {cipher}", p50_p99(raw)),
                ratio: against(&self.store),
                target: "p50 ≤ 1.0 × raw, ≤ 0.75 × SQLCipher".into(),
            },
            Row {
                metric: format!("P3 the same with signing and sealing, {bytes} bytes"),
                ours: format!("{}; signing and sealing alone {}", p50_p99(&self.whole), p50_p99(&self.computing)),
                reference: "the same".into(),
                ratio: against(&self.whole),
                target: "–".into(),
            },
            Row {
                metric: format!("P3 steadiness, record of {bytes} bytes"),
                ours: format!(
                    "p99 / p50 = {}, with signing and sealing {}",
                    steadiness(&self.store),
                    steadiness(&self.whole)
                ),
                reference: format!("p99 / p50 = {}", steadiness(raw)),
                ratio: ratio(
                    self.store.percentile_ms(99) / self.store.percentile_ms(50),
                    raw.percentile_ms(99) / raw.percentile_ms(50),
                ),
                target: "p99 ≤ 5 × p50".into(),
            },
        ]
    }
}
