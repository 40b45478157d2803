//! The device's keys in the real key store of a Linux desktop: GNOME's, on a session bus of its own.
//!
//! Ignored, because a plain machine lacks it: `cargo xtask test --only key-store` installs what it needs and runs them.
#![cfg(target_os = "linux")]

use std::fs;

use serde_json::Value;
use tazune_e2e::{
    clinic::Clinic,
    key_ring::KeyRing,
    tablet::{Tablet, Visiting},
};
use tempfile::TempDir;

struct Scene {
    key_ring: KeyRing,
    tablet: Tablet,
    clinic: Clinic,
    _folder: TempDir,
}

impl Scene {
    fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key_ring = KeyRing::open(&folder.path().join("session"));
        let clinic = Clinic::open(folder.path());
        let tablet = Tablet::in_session(folder.path().join("tablet-1"), key_ring.session());
        clinic.pair_tablet(&tablet, "tablet-1");
        Self { key_ring, tablet, clinic, _folder: folder }
    }

    fn begin(&self, tablet: &Tablet) -> Visiting {
        let mut visit = tablet.begin_visit(&[]);
        visit.hold(self.clinic.card("valid"));
        visit
    }

    fn visit(&self, tablet: &Tablet) {
        ends_accepted(self.begin(tablet));
    }
}

fn ends_accepted(mut visit: Visiting) {
    visit.until("sealed", |_| {});
    assert_eq!(visit.program().expect("delivered")["state"], "accepted");
    visit.finish().success();
}

/// Agrees, and is told that this could not be saved, and why.
fn agreeing_is_refused(visit: &mut Visiting, code: &str) {
    visit.choose("agree-all");
    loop {
        let line = visit.program().next_json().expect("a refused choice ends no visit");
        if line.get("refused").is_some() {
            assert_eq!((&line["refused"], &line["failure"]["code"]), (&"not-saved".into(), &code.into()), "{line}");
            return;
        }
    }
}

#[test]
#[ignore = "needs GNOME's key store"]
fn devices_are_paired_and_make_visits_with_keys_of_their_own_in_the_key_store() {
    let scene = Scene::open();
    let other = Tablet::in_session(scene.tablet.data().with_file_name("tablet-2"), scene.key_ring.session());
    scene.clinic.pair_tablet(&other, "tablet-2");
    for tablet in [&scene.tablet, &other] {
        scene.visit(tablet);
        let mut queue = tablet.start(&["queue"]);
        assert_eq!(queue.expect("queue")["insecure_file_keys"], Value::Bool(false));
        queue.finish().success();
        let mut names: Vec<_> =
            fs::read_dir(tablet.data().join("keys")).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["make.lock", "os-entries"], "no key lies in the folder");
    }
    // With the other's entries its keys do not fit: they are not the same.
    let entries = |tablet: &Tablet| tablet.data().join("keys").join("os-entries");
    fs::copy(entries(&other), entries(&scene.tablet)).unwrap();
    agreeing_is_refused(&mut scene.begin(&scene.tablet), "TZ-K03");
}

#[test]
#[ignore = "needs GNOME's key store"]
fn a_locked_key_store_is_named_and_the_visit_goes_on_when_it_is_unlocked() {
    let scene = Scene::open();
    scene.key_ring.lock();
    let mut visit = scene.begin(&scene.tablet);
    agreeing_is_refused(&mut visit, "TZ-K01");
    scene.key_ring.unlock();
    visit.choose("agree-all");
    ends_accepted(visit);
}

#[test]
#[ignore = "needs GNOME's key store"]
fn a_key_store_that_hangs_is_late_and_the_visit_goes_on_when_it_answers() {
    let scene = Scene::open();
    let mut visit = scene.begin(&scene.tablet);
    scene.key_ring.hang();
    agreeing_is_refused(&mut visit, "TZ-K05");
    scene.key_ring.go_on();
    visit.choose("agree-all");
    ends_accepted(visit);
}
