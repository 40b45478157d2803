//! Replays what fuzzing starts from and what it has found, and fixed mutations of both, on the stable compiler.

use std::{fs, path::Path};

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;
use tazune_fuzz::{TARGETS, Target};

/// Mutations of each sample.
const MUTATIONS: usize = 300;

/// Pieces that decide something in one format or another.
const PIECES: &[&[u8]] = &[
    b"null",
    b"{}",
    b"[]",
    b"\"\"",
    b"-1",
    b"1e999",
    b"18446744073709551616",
    b"\"version\":2",
    b"\"version\":0",
    b"\\u0000",
    b"\xff\xfe",
    b"\x00",
    b"\x90\x00",
    b"\x6c\xff",
    b"\x61\x00",
    b"\x63\xc0",
    b"\x30\x82\xff\xff",
    b"<!DOCTYPE a [<!ENTITY b \"c\">]>",
    b"&b;",
    b"<![CDATA[",
    b"]]>",
    "\u{25cf}".as_bytes(),
    "\u{e000}".as_bytes(),
];

#[test]
fn samples_and_findings_break_no_rule() {
    for target in TARGETS {
        for sample in samples(target) {
            run(target, &sample);
        }
    }
}

#[test]
fn mutated_samples_break_no_rule() {
    for target in TARGETS {
        let mut random = ChaCha20Rng::seed_from_u64(4);
        let samples = samples(target);
        for sample in &samples {
            for _ in 0..MUTATIONS {
                let mut data = sample.clone();
                for _ in 0..random.random_range(1..4) {
                    mutate(&mut data, &samples, &mut random);
                }
                run(target, &data);
            }
        }
    }
}

#[test]
fn every_target_has_a_name_of_its_own_and_a_sample_that_is_read() {
    let mut names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), TARGETS.len());
    for target in TARGETS {
        assert!((target.seeds)().iter().any(|seed| !seed.is_empty()), "{}", target.name);
    }
}

#[test]
fn every_folder_of_findings_belongs_to_a_target() {
    for entry in fs::read_dir(corpus()).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            let name = entry.file_name();
            assert!(TARGETS.iter().any(|target| *target.name == *name), "{}", name.display());
        }
    }
}

fn samples(target: &Target) -> Vec<Vec<u8>> {
    let mut samples = (target.seeds)();
    let mut findings: Vec<_> = fs::read_dir(corpus().join(target.name))
        .map(|entries| entries.map(|entry| entry.unwrap().path()).collect())
        .unwrap_or_default();
    findings.sort();
    samples.extend(findings.iter().map(|path| fs::read(path).unwrap()));
    samples
}

fn corpus() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/corpus"))
}

/// Runs a target and names the bytes that broke it.
fn run(target: &Target, data: &[u8]) {
    let outcome = std::panic::catch_unwind(|| (target.run)(data));
    assert!(outcome.is_ok(), "{} is broken by {:?}", target.name, String::from_utf8_lossy(data));
}

fn mutate(data: &mut Vec<u8>, samples: &[Vec<u8>], random: &mut ChaCha20Rng) {
    let at = random.random_range(0..=data.len());
    match random.random_range(0..7) {
        0 => data.truncate(at),
        1 => drop(data.drain(..at)),
        2 if at < data.len() => data[at] ^= 1 << random.random_range(0..8),
        3 => drop(data.splice(at..at, PIECES[random.random_range(0..PIECES.len())].iter().copied())),
        4 => {
            let end = random.random_range(at..=data.len().min(at + 40));
            let piece = data[at..end].to_vec();
            data.splice(at..at, piece);
        }
        5 => {
            let end = random.random_range(at..=data.len().min(at + 40));
            data.drain(at..end);
        }
        _ => {
            let other = &samples[random.random_range(0..samples.len())];
            let from = random.random_range(0..=other.len());
            data.truncate(at);
            data.extend_from_slice(&other[from..]);
        }
    }
}
