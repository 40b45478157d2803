//! Schedules of seeds: nothing lost, nothing twice, everything delivered once the faults stop.
#![expect(clippy::print_stdout, reason = "a test says what it has run")]

use std::{env, thread};

use tazune_simulation::{Sabotage, campaign, replay};

const SCHEDULES: u64 = 10_000;

fn threads() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

#[test]
fn every_schedule_ends_with_each_record_at_the_clinic_once() {
    if let Ok(seed) = env::var("TAZUNE_SEED") {
        let seed = seed.parse().expect("TAZUNE_SEED is a number");
        match replay(seed) {
            Ok(trace) => return println!("{trace}"),
            Err(failure) => panic!("{failure}"),
        }
    }
    match campaign(0, SCHEDULES, threads(), None, |_| {}) {
        Ok(counts) => println!("{counts}"),
        Err(failure) => panic!("{failure}"),
    }
}

#[test]
fn every_broken_variant_is_found_within_as_many_schedules() {
    for sabotage in Sabotage::ALL {
        let failure = campaign(0, SCHEDULES, 1, Some(sabotage), |_| {}).err();
        let failure = failure.unwrap_or_else(|| panic!("{sabotage:?} was not found"));
        println!("{sabotage:?}: seed {}: {}", failure.seed, failure.violation);
    }
}

#[test]
fn a_seed_gives_the_same_trace_every_time() {
    for seed in 0..10 {
        let [first, second] = [(); 2].map(|()| replay(seed).unwrap_or_else(|failure| panic!("{failure}")));
        let differing = first.lines().zip(second.lines()).find(|(first, second)| first != second);
        assert_eq!(differing, None, "seed {seed}");
        assert_eq!(first.len(), second.len(), "seed {seed}");
    }
}
