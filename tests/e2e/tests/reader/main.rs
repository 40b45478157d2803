//! A real reader, as far as a program can tell: the system's PC/SC service, its driver, and the virtual card on it.
//!
//! The programs are the shipped ones, `tazune` built with the feature `pcsc`; the code that runs is that of a USB reader.
//! OpenSC reads and signs on the same card, so that one mistake cannot hide on both sides.

mod look;
mod opensc;
mod troubles;
mod visits;

use std::sync::{Arc, Mutex};

use tazune_e2e::{
    clinic::Clinic,
    reader_rig::ReaderRig,
    tablet::{Tablet, Visiting},
};
use tazune_sim::{
    CertificateSpec, TestCa,
    card::{CardSpec, LogEntry, VirtualCard},
    vpcd::SharedCard,
};
use tempfile::TempDir;

/// A clinic with one paired laptop, which has readers.
struct Scene {
    clinic: Clinic,
    laptop: Tablet,
    rig: Arc<ReaderRig>,
    _folder: TempDir,
}

impl Scene {
    fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clinic = Clinic::open(folder.path());
        let rig = Arc::new(ReaderRig::open());
        let laptop = clinic.pair("laptop-1").with_readers(rig.clone());
        Self { clinic, laptop, rig, _folder: folder }
    }

    fn card(&self) -> SharedCard {
        self.clinic.card("valid")
    }
}

/// A laptop with readers that belongs to no clinic, in a folder that does not exist.
fn unpaired(rig: &Arc<ReaderRig>) -> (Tablet, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (Tablet::new(folder.path().join("nobody")).with_readers(rig.clone()), folder)
}

/// What a plastic card with a good certificate is made of; on which day nobody here asks.
fn sample() -> CardSpec {
    CardSpec::issued(&TestCa::user(), &CertificateSpec::valid_on(jiff::civil::date(2026, 11, 21)))
}

fn shared(spec: &CardSpec) -> SharedCard {
    Arc::new(Mutex::new(VirtualCard::new(spec)))
}

/// How often a PIN was sent to the card: VERIFY with data.
fn pins_sent(card: &SharedCard) -> usize {
    let card = card.lock().unwrap();
    let commands = card.log().iter().filter_map(LogEntry::as_command);
    commands.filter(|command| command.get(1) == Some(&0x20) && command.len() > 5).count()
}

/// Works the visit to its end; the clinic has it.
fn ends_accepted(mut visit: Visiting) {
    visit.until("sealed", |_| {});
    assert_eq!(visit.program().expect("delivered")["state"], "accepted");
    visit.finish().success();
}
