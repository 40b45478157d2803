//! An error, or a full disk, at every write of device and hub.

use std::{
    collections::{BTreeMap, BTreeSet},
    thread,
    time::Duration,
};

use tazune_e2e::{
    disk::{Counted, Strike},
    process::{Finished, Launcher},
};
use tazune_model::FailureCode;

use crate::{
    kills::{send_until_struck, told},
    scene::{Scene, close, finish, panicked, queue},
};

/// No story has so many calls; reaching it means that the count is broken.
const MANY: u32 = 2000;

#[derive(Clone, Copy, Debug)]
enum Lasting {
    Once,
    Onward,
}

/// A call fails and those after it do not; or the disk is full and stays so until somebody makes room.
const FAULTS: [(Strike, Lasting); 2] = [(Strike::InputOutput, Lasting::Once), (Strike::Full, Lasting::Onward)];

/// Lets `run` happen with the fault at every number until one is not reached; returns how many were.
fn at_every_number(scene: &mut Scene, fault: (Strike, Lasting), mut run: impl FnMut(&mut Scene, &str)) -> u32 {
    let (strike, lasting) = fault;
    for number in 1..MANY {
        match lasting {
            Lasting::Once => scene.disk.order(strike, Counted::All, number),
            Lasting::Onward => scene.disk.order_onward(strike, Counted::All, number),
        }
        run(scene, &format!("{fault:?} {number}"));
        scene.disk.withdraw();
        if scene.disk.struck().is_empty() {
            return number - 1;
        }
    }
    panic!("{fault:?}: never over");
}

/// The codes of storage; what a program that could not write has to name.
const STORAGE: [FailureCode; 2] = [FailureCode::DiskFull, FailureCode::StoreFailed];

fn names_storage(text: &str) -> bool {
    STORAGE.iter().any(|code| text.contains(code.code()))
}

/// Checks how a program ended: by itself, without a panic, and with a name for what it could not do.
fn ended_well(ended: &Finished, story: &str) {
    assert!(ended.status.code().is_some(), "{story}: {}\n{}", ended.status, ended.transcript);
    assert!(!panicked(&ended.transcript), "{story}: {}", ended.transcript);
    let did_its_work = [0, 10].contains(&ended.code());
    assert!(did_its_work || names_storage(&ended.transcript), "{story}: {}\n{}", ended.status, ended.transcript);
}

#[test]
fn a_device_whose_writes_fail_names_it_and_keeps_the_old_state_or_the_new_one() {
    let mut scene = Scene::open();
    let to_close = scene.with_visit_to_close(&scene.paired());
    let mut sealed = BTreeSet::new();
    for fault in FAULTS {
        let mut ends = BTreeMap::<_, u32>::new();
        let count = at_every_number(&mut scene, fault, |scene, story| {
            let tablet = scene.copy(&to_close, "victim");
            let run = close(&tablet, &scene.disk.launcher());
            scene.disk.withdraw();
            let story = told(&scene.disk, story);
            *ends.entry(run.ended.code()).or_default() += 1;
            ended_well(&run.ended, &story);
            let state = queue(&tablet, &[]).0;
            let is_sealed = state["records"].as_array().is_some_and(|records| records.len() == 1);
            assert!(is_sealed || !run.says("sealed"), "{story}: said to be saved: {state}");
            assert!(is_sealed || run.ended.code() != 0, "{story}: {state}");
            assert!(sealed.insert(finish(&tablet, &story)), "{story}: an id of its own");
        });
        assert!(count > 20 && ends.len() > 1, "{fault:?}: {count} {ends:?}");
    }
    let records = scene.settle();
    let ids: BTreeSet<_> = records.iter().map(|record| record["record_id"].as_str().unwrap().to_owned()).collect();
    assert_eq!((records.len(), &ids), (sealed.len(), &sealed));
    scene.check_taken(0, &sealed, "at the end");
}

#[test]
fn a_hub_whose_writes_fail_names_it_and_goes_on_where_it_was() {
    let mut scene = Scene::open();
    let to_close = scene.with_visit_to_close(&scene.paired());
    let (to_send, ids) = scene.with_records_to_send(&to_close);
    scene.keep_hub();
    for fault in FAULTS {
        let count = at_every_number(&mut scene, fault, |scene, story| {
            scene.restore_hub();
            let before = scene.computer.taken().len();
            let tablet = scene.copy(&to_send, "victim");
            scene.clinic.start_hub_under(scene.disk.launcher());
            match scene.clinic.try_start_hub() {
                Ok(()) => {
                    send_until_struck(&tablet, &scene.disk);
                    while scene.disk.struck().is_empty() && !scene.is_written(&ids[0]) {
                        thread::sleep(Duration::from_millis(2));
                    }
                    let ended = scene.clinic.end_hub().expect("it ran");
                    let story = told(&scene.disk, story);
                    // The last writes bring the database to rest; where they fail, the stop is a named failure.
                    if ended.code() != 0 {
                        ended_well(&ended, &story);
                    }
                    assert!(!panicked(&ended.transcript), "{story}: {}", ended.transcript);
                }
                Err(ended) => {
                    let story = told(&scene.disk, story);
                    assert_ne!(ended.code(), 0, "{story}");
                    ended_well(&ended, &story);
                }
            }
            scene.disk.withdraw();
            let story = told(&scene.disk, story);
            scene.clinic.start_hub_under(Launcher::default());
            scene.clinic.start_hub();
            scene.is_all_done(&tablet, &ids, before, &story);
            scene.stop_hub_with_whole_audit(&story);
        });
        assert!(count > 30, "{fault:?}: {count}");
    }
}
