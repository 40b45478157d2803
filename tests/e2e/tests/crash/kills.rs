//! Killed beside every numbered durable write.
//!
//! Right after each call that changes a file, contents too; and right before each that makes a change durable or visible, by
//! when everything between it and the call before has happened: a request was answered, a line was shown.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use tazune_e2e::{
    disk::{
        Counted, Disk,
        Strike::{self, KillAfter, KillBefore},
    },
    process::Launcher,
    tablet::Tablet,
};

use crate::scene::{Scene, close, finish, queue};

/// No story has so many calls; reaching it means that the count is broken.
const MANY: u32 = 2000;

const SIDES: [(Strike, Counted); 2] = [(KillAfter, Counted::All), (KillBefore, Counted::Barriers)];

/// Lets `run` happen with a kill at every number until one is not reached; returns how many were.
pub(crate) fn at_every_number(disk: &Disk, strike: Strike, counted: Counted, mut run: impl FnMut(u32, &str)) -> u32 {
    for number in 1..MANY {
        disk.order(strike, counted, number);
        run(number, &format!("{strike:?} {counted:?} {number}"));
        disk.withdraw();
        if disk.struck().is_empty() {
            return number - 1;
        }
    }
    panic!("{strike:?}: never over");
}

/// The story of what was struck, for a failed assertion.
pub(crate) fn told(disk: &Disk, story: &str) -> String {
    format!("{story}: {:?}", disk.struck())
}

#[test]
fn a_device_killed_beside_every_durable_step_of_its_pairing_is_paired_or_can_be() {
    let scene = Scene::open();
    let fresh = Tablet::new(scene.fresh_folder("fresh"));
    for (strike, counted) in [KillAfter, KillBefore].map(|strike| (strike, Counted::Barriers)) {
        let count = at_every_number(&scene.disk, strike, counted, |_, story| {
            let tablet = scene.copy(&fresh, "victim");
            scene.pair(&tablet.under(scene.disk.launcher()));
            scene.disk.withdraw();
            let story = told(&scene.disk, story);
            if tablet.run(&["queue"]).code() != 0 {
                scene.pair(&tablet);
            }
            let (state, exit) = queue(&tablet, &[]);
            assert_eq!(exit, 0, "{story}: {state}");
            // Its keys are those that the clinic and the gateway know.
            let mut visit = tablet.begin_visit(&[]);
            visit.hold(scene.clinic.card("valid"));
            visit.until("sealed", |_| {});
            assert_eq!(visit.program().expect("delivered")["state"], "accepted", "{story}");
            let _ = visit.finish();
        });
        assert!(count > 15, "{strike:?}: {count}");
    }
}

#[test]
fn a_device_killed_while_it_keeps_a_visit_has_it_or_never_showed_it() {
    let scene = Scene::open();
    let paired = scene.paired();
    for (strike, counted) in SIDES {
        let count = at_every_number(&scene.disk, strike, counted, |_, story| {
            let tablet = scene.copy(&paired, "victim");
            let mut program = tablet.under(scene.disk.launcher()).start(&[
                "visit",
                "--card",
                "virtual:127.0.0.1:0",
                "--staff",
                "dr-sample",
            ]);
            let mut bodies = Vec::new();
            while let Some(line) = program.next_json() {
                let Some(body) = line["screen"]["body"].as_str() else { continue };
                match (body, bodies.len()) {
                    ("consent", 0) => program.say("agree-all"),
                    ("consent", _) => program.say("continue"),
                    _ => program.close_input(),
                }
                bodies.push(body.to_owned());
            }
            let _ = program.finish();
            scene.disk.withdraw();
            let story = format!("{} {bodies:?}", told(&scene.disk, story));
            let drafts = queue(&tablet, &[]).0["drafts"].as_array().unwrap().len();
            let was_shown_as_kept = bodies.len() > 1;
            assert!(drafts == 1 || drafts == 0 && !was_shown_as_kept, "{story}: {drafts}");
            if drafts == 1 {
                let mut visit = tablet.begin_visit(&["--resume"]);
                assert!(visit.next_screen().is_some(), "{story}");
            }
        });
        assert!(count > 5, "{strike:?}: {count}");
    }
}

#[test]
fn a_device_killed_beside_every_write_of_sealing_and_delivery_loses_nothing_and_sends_nothing_twice() {
    let mut scene = Scene::open();
    let to_close = scene.with_visit_to_close(&scene.paired());
    let mut sealed = BTreeSet::new();
    for (strike, counted) in SIDES {
        let count = at_every_number(&scene.disk, strike, counted, |_, story| {
            let tablet = scene.copy(&to_close, "victim");
            let told_before = close(&tablet, &scene.disk.launcher());
            scene.disk.withdraw();
            let story = told(&scene.disk, story);
            if told_before.says("sealed") {
                assert_eq!(queue(&tablet, &[]).0["records"].as_array().unwrap().len(), 1, "{story}: said to be saved");
            }
            assert!(sealed.insert(finish(&tablet, &story)), "{story}: an id of its own");
            purge_killed_nowhere(&tablet, &story);
        });
        assert!(count > 15, "{strike:?}: {count}");
    }
    check_the_clinic(&mut scene, &sealed);
}

/// What the clinic accepted is purged with the next sending, and only then.
fn purge_killed_nowhere(tablet: &Tablet, story: &str) {
    let counts = queue(tablet, &["--send"]).0["counts"].clone();
    assert_eq!((&counts["purged"], &counts["accepted"]), (&1.into(), &0.into()), "{story}: {counts}");
}

#[test]
fn a_device_killed_beside_every_write_of_a_purge_has_purged_or_not() {
    let mut scene = Scene::open();
    let accepted = scene.with_visit_to_close(&scene.paired());
    let record_id = finish(&accepted, "undisturbed");
    for (strike, counted) in SIDES {
        let count = at_every_number(&scene.disk, strike, counted, |_, story| {
            let tablet = scene.copy(&accepted, "victim");
            let _ = tablet.under(scene.disk.launcher()).run(&["queue", "--send"]);
            scene.disk.withdraw();
            let story = told(&scene.disk, story);
            let counts = queue(&tablet, &[]).0["counts"].clone();
            let is_old = (&counts["accepted"], &counts["purged"]) == (&1.into(), &0.into());
            let is_new = (&counts["accepted"], &counts["purged"]) == (&0.into(), &1.into());
            assert!(is_old || is_new, "{story}: {counts}");
            purge_killed_nowhere(&tablet, &story);
        });
        assert!(count > 5, "{strike:?}: {count}");
    }
    check_the_clinic(&mut scene, &BTreeSet::from([record_id]));
}

fn check_the_clinic(scene: &mut Scene, sealed: &BTreeSet<String>) {
    let records = scene.settle();
    assert!(records.iter().all(|record| record["export"] == "written"), "{records:#?}");
    let ids: Vec<_> = records.iter().map(|record| record["record_id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), sealed.len());
    assert_eq!(BTreeSet::from_iter(ids), *sealed);
    scene.check_taken(0, sealed, "at the end");
    scene.stop_hub_with_whole_audit("at the end");
}

#[test]
fn a_hub_killed_beside_every_write_loses_nothing_and_writes_no_face_file_twice() {
    let mut scene = Scene::open();
    let to_close = scene.with_visit_to_close(&scene.paired());
    let (to_send, ids) = scene.with_records_to_send(&to_close);
    scene.keep_hub();
    for (strike, counted) in SIDES {
        let disk = Disk::clone(&scene.disk);
        let count = at_every_number(&disk, strike, counted, |_, story| {
            scene.restore_hub();
            let before = scene.computer.taken().len();
            let tablet = scene.copy(&to_send, "victim");
            scene.clinic.start_hub_under(disk.launcher());
            if scene.clinic.try_start_hub().is_ok() {
                send_until_struck(&tablet, &disk);
                while disk.struck().is_empty() && !scene.is_written(&ids[0]) {
                    thread::sleep(Duration::from_millis(2));
                }
                // The writes of its end are numbered too.
                scene.clinic.end_hub();
            }
            disk.withdraw();
            let story = told(&disk, story);
            scene.clinic.start_hub_under(Launcher::default());
            scene.clinic.start_hub();
            scene.is_all_done(&tablet, &ids, before, &story);
            scene.stop_hub_with_whole_audit(&story);
        });
        assert!(count > 15, "{strike:?}: {count}");
    }
}

/// Sends until all is answered or the hub is struck.
pub(crate) fn send_until_struck(tablet: &Tablet, disk: &Disk) {
    let sending = tablet.start(&["queue", "--send"]);
    let killer = sending.killer();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                if !disk.struck().is_empty() {
                    // A hub that cannot go on lets its devices wait.
                    thread::sleep(Duration::from_millis(20));
                    return killer.kill();
                }
                thread::sleep(Duration::from_millis(2));
            }
        });
        let _ = sending.finish();
        is_over.store(true, Ordering::Relaxed);
    });
}
