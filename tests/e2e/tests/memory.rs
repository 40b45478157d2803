//! After a PIN was used it is nowhere in the memory of the device's program, which goes on running: what another program of
//! the same user, a crash report or a hibernation file could take from it.
#![cfg(target_os = "linux")]

use std::{
    fs::{self, File},
    os::unix::fs::FileExt as _,
    sync::{Arc, Mutex},
};

use memchr::memmem;
use tazune_e2e::{
    clinic::Clinic,
    tablet::{Tablet, Visiting},
};
use tazune_sim::{card::VirtualCard, vpcd::SharedCard};
use tempfile::TempDir;

/// Four digits may be in a memory by chance, but not in each of so many visits with different PINs.
const VISITS: usize = 3;

/// Everything a process could have written to: heap, stacks, variables.
struct Memory(Vec<Vec<u8>>);

impl Memory {
    fn of(process: u32) -> Self {
        let maps = fs::read_to_string(format!("/proc/{process}/maps")).unwrap();
        let memory = File::open(format!("/proc/{process}/mem")).unwrap();
        let writable =
            maps.lines().filter(|line| line.split(' ').nth(1).is_some_and(|rights| rights.starts_with("rw")));
        let regions = writable.filter_map(|line| {
            let (from, to) = line.split(' ').next()?.split_once('-')?;
            let [from, to] = [from, to].map(|address| u64::from_str_radix(address, 16).unwrap());
            let mut bytes = vec![0; usize::try_from(to - from).unwrap()];
            // A region may be gone by now.
            memory.read_exact_at(&mut bytes, from).ok().map(|()| bytes)
        });
        let memory = Self(regions.collect());
        assert!(memory.0.iter().map(Vec::len).sum::<usize>() > 1_000_000, "there is a memory to search");
        memory
    }

    /// The bytes around each place where `wanted` is.
    fn around(&self, wanted: &[u8]) -> Vec<String> {
        let places = self.0.iter().flat_map(|region| {
            let at = memmem::find_iter(region, wanted);
            at.map(|at| region[at.saturating_sub(24)..(at + wanted.len() + 24).min(region.len())].escape_ascii())
        });
        places.map(|bytes| bytes.to_string()).collect()
    }

    /// Whether `wanted` is anywhere.
    fn contains(&self, wanted: &str) -> bool {
        self.0.iter().any(|region| memmem::find(region, wanted.as_bytes()).is_some())
    }
}

/// A PIN in the forms that only a PIN has, which no chance makes.
fn unmistakable(pin: &str) -> [Vec<u8>; 4] {
    let command = [b"\x00\x20\x00\x80\x04", pin.as_bytes()].concat();
    [
        command,
        format!("enter-pin {pin}").into_bytes(),
        format!("pin {pin}").into_bytes(),
        format!("\"{pin}\"").into_bytes(),
    ]
}

struct Scene {
    clinic: Clinic,
    tablet: Tablet,
    _folder: TempDir,
}

impl Scene {
    fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clinic = Clinic::open(folder.path());
        let tablet = clinic.pair("tablet-1");
        Self { clinic, tablet, _folder: folder }
    }

    /// Makes visits, each with another PIN, until one leaves no trace of its own.
    ///
    /// `use_it` begins when the PIN was entered and the program holds it, and ends when it has no more use for it.
    fn leaves_no_pin(&self, use_it: impl Fn(&mut Visiting, &dyn Fn(&str) -> SharedCard, &str)) {
        let mut traces = Vec::new();
        for _ in 0..VISITS {
            let mut interrupted = self.tablet.begin_visit(&[]);
            interrupted.hold(self.card("0000"));
            interrupted.until("enter-pin", |_| {});
            interrupted.kill();
            // It goes on without the card: the PIN has to wait for it.
            let mut visit = self.tablet.begin_visit(&["--resume"]);
            visit.until("enter-pin", |_| {});
            let process = visit.program().id();
            let before = Memory::of(process);
            let mut pins = (0..10_000).rev().step_by(7).map(|number| format!("{number:04}"));
            let pin = pins.find(|pin| !before.contains(pin)).expect("some digits are not there");

            visit.choose(&format!("enter-pin {pin}"));
            while visit.body() != "hold-card-signing" {
                visit.next_screen().expect("a PIN ends no visit");
            }
            let memory = Memory::of(process);
            assert!(!memory.around(pin.as_bytes()).is_empty(), "the search finds a PIN that waits for its card");
            for form in &unmistakable(&pin)[1..] {
                assert_eq!(memory.around(form), [""; 0], "as it was typed");
            }

            use_it(&mut visit, &|pin| self.card(pin), &pin);
            let memory = Memory::of(process);
            for form in unmistakable(&pin) {
                assert_eq!(memory.around(&form), [""; 0]);
            }
            let found = memory.around(pin.as_bytes());
            if found.is_empty() {
                return;
            }
            traces.push((pin, found));
        }
        panic!("a PIN stays in the memory: {traces:#?}");
    }

    /// The one card of the patient; its PIN may have been changed between two tries.
    fn card(&self, pin: &str) -> SharedCard {
        let mut spec = self.clinic.card_spec("valid");
        spec.pin = pin.to_owned();
        Arc::new(Mutex::new(VirtualCard::new(&spec)))
    }
}

/// Four digits that are not these.
fn another(pin: &str) -> String {
    pin.chars().rev().map(|digit| if digit == '9' { '0' } else { char::from(digit as u8 + 1) }).collect()
}

#[test]
fn the_search_finds_what_a_process_holds() {
    let pin = "4911";
    let held = unmistakable(pin);
    let memory = Memory::of(std::process::id());
    for form in &held {
        assert!(!memory.around(form).is_empty());
    }
    assert!(memory.contains(pin));
}

#[test]
fn a_pin_that_opened_the_card_is_gone() {
    Scene::open().leaves_no_pin(|visit, card, pin| {
        visit.hold(card(pin));
        visit.until("answer", |_| {});
    });
}

#[test]
fn a_wrong_pin_is_gone() {
    Scene::open().leaves_no_pin(|visit, card, pin| {
        visit.hold(card(&another(pin)));
        while visit.failure() != Some("TZ-C10") {
            visit.next_screen().expect("a wrong PIN ends no visit");
        }
    });
}

#[test]
fn a_pin_that_was_not_used_is_gone_with_its_visit() {
    Scene::open().leaves_no_pin(|visit, _, _| {
        visit.choose("end-without-answer");
        visit.until("closing", |_| {});
    });
}
