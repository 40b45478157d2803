//! Killed at the durable writes of a revocation: the device on its way out, the desk at what a person orders.
//!
//! Only at what makes a change durable or visible: between two of those nothing is kept that the one before did not keep.

use std::{collections::BTreeSet, path::Path, thread, time::Duration};

use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};
use tazune_e2e::{
    disk::{
        Counted, Disk,
        Strike::{KillAfter, KillBefore},
    },
    process::{Finished, Launcher},
    tablet::Tablet,
};

use crate::{
    kills::{at_every_number, told},
    scene::{Scene, queue},
};

/// A device with two unsent records, one of them for another clinic's key, and a draft; the hub runs and knows it as `device`.
struct Laden {
    tablet: Tablet,
    records: [String; 2],
    device: String,
}

fn laden(scene: &mut Scene) -> Laden {
    let to_close = scene.with_visit_to_close(&scene.paired());
    let (tablet, records) = scene.with_records_to_send(&to_close);
    let mut draft = tablet.begin_visit(&[]);
    draft.hold(scene.clinic.card("elder"));
    draft.until("enter-pin", |_| {});
    draft.kill();
    assert_eq!(queue(&tablet, &[]).0["counts"]["draft"], 1);
    scene.clinic.start_hub();
    let device = devices(scene)[0]["device"].as_str().unwrap().to_owned();
    Laden { tablet, records, device }
}

fn hub(scene: &Scene, command: &str, arguments: &[&str]) -> Finished {
    let mut program = scene.clinic.start(command, &[arguments, &["--json"]].concat());
    program.close_input();
    program.finish()
}

fn list(scene: &Scene, command: &str) -> Value {
    serde_json::from_str(&hub(scene, command, &[]).success()).unwrap()
}

fn devices(scene: &Scene) -> Vec<Value> {
    list(scene, "devices")["devices"].as_array().unwrap().clone()
}

fn revoke(scene: &Scene, device: &str) -> Finished {
    hub(scene, "revoke", &[device, "--reason", "電車に忘れた", "--kind", "lost", "--yes"])
}

fn has_key(tablet: &Tablet, name: &str) -> bool {
    tablet.data().join("keys").join(name).exists()
}

/// How many sealed records the device still holds.
fn held(data: &Path) -> i64 {
    let database = Connection::open_with_flags(data.join("device.db"), OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
    database.query_row("SELECT count(*) FROM records WHERE envelope IS NOT NULL", [], |row| row.get(0)).unwrap()
}

/// Each envelope of the quarantine: record, reason, decision.
fn set_aside(scene: &Scene) -> BTreeSet<[String; 3]> {
    let lines = list(scene, "quarantine");
    let text = |line: &Value, key: &str| line[key].as_str().unwrap_or("-").to_owned();
    lines
        .as_array()
        .unwrap()
        .iter()
        .map(|line| ["record_id", "reason", "decision"].map(|key| text(line, key)))
        .collect()
}

#[test]
fn a_device_killed_at_every_step_of_its_way_out_hands_over_all_and_keeps_no_key() {
    let mut scene = Scene::open();
    let laden = laden(&mut scene);
    revoke(&scene, &laden.device).success();
    for strike in [KillAfter, KillBefore] {
        let count = at_every_number(&scene.disk, strike, Counted::Barriers, |_, story| {
            let tablet = scene.copy(&laden.tablet, "victim");
            let _ = tablet.under(scene.disk.launcher()).run(&["queue", "--send"]);
            scene.disk.withdraw();
            let story = told(&scene.disk, story);
            assert!(has_key(&tablet, "transport.key") || held(tablet.data()) == 0, "{story}: the last key went first");
            let (state, exit) = queue(&tablet, &["--send"]);
            assert_eq!((&state["revocation"]["state"], exit), (&json!("finished"), 3), "{story}: {state}");
            assert_eq!(
                (&state["counts"]["draft"], &state["counts"]["purged"]),
                (&json!(0), &json!(2)),
                "{story}: {state}"
            );
            assert!(!has_key(&tablet, "staff.key") && !has_key(&tablet, "transport.key"), "{story}");
            assert_eq!(held(tablet.data()), 0, "{story}");
        });
        assert!(count > 15, "{strike:?}: {count}");
    }
    let aside = laden.records.map(|record| [record, "device_revoked".to_owned(), "-".to_owned()]);
    assert_eq!(set_aside(&scene), aside.into());
    scene.stop_hub_with_whole_audit("at the end");
}

/// Revokes one device, accepts a record of another that was set aside, and rejects one; says whether each was done.
fn give_orders(scene: &Scene, device: &str, [good, strange]: &[String; 2]) -> [i32; 3] {
    let accepted = || hub(scene, "quarantine", &["accept", good]).code();
    let rejected = || hub(scene, "quarantine", &["reject", strange, "--reason", "別の医院"]).code();
    [revoke(scene, device).code(), accepted(), rejected()]
}

#[test]
fn a_desk_killed_at_every_step_of_an_order_does_it_once_when_it_is_ordered_again() {
    let mut scene = Scene::open();
    let Laden { tablet, records, device } = laden(&mut scene);
    revoke(&scene, &device).success();
    assert_eq!(queue(&tablet, &["--send"]).0["revocation"]["state"], "finished");
    let other = scene.clinic.pair("other");
    let is_other = |line: &&Value| line["state"] == "active";
    let other_id = devices(&scene).iter().find(is_other).unwrap()["device"].as_str().unwrap().to_owned();
    scene.clinic.stop_hub();
    scene.keep_hub();

    let disk = Disk::clone(&scene.disk);
    let count = at_every_number(&disk, KillAfter, Counted::Barriers, |number, story| {
        // Its start is another story.
        disk.withdraw();
        scene.restore_hub();
        let before = scene.computer.taken().len();
        scene.clinic.start_hub_under(disk.launcher());
        scene.clinic.start_hub();
        disk.order(KillAfter, Counted::Barriers, number);
        let done = give_orders(&scene, &other_id, &records);
        while done == [0; 3] && disk.struck().is_empty() && !scene.is_written(&records[0]) {
            thread::sleep(Duration::from_millis(2));
        }
        scene.clinic.kill_hub();
        disk.withdraw();
        let story = told(&disk, story);

        scene.clinic.start_hub_under(Launcher::default());
        scene.clinic.start_hub();
        assert_eq!(give_orders(&scene, &other_id, &records), [0; 3], "{story}: {}", scene.clinic.hub_transcript());
        let (victim, [good, strange]) = (scene.copy(&other, "victim"), records.clone());
        assert_eq!(queue(&victim, &["--send"]).0["revocation"]["state"], "finished", "{story}: the front knows");
        scene.settle();
        scene.check_taken(before, &BTreeSet::from([good.clone()]), &story);
        let decided = [(good, "accepted"), (strange, "rejected")]
            .map(|(record, decision)| [record, "device_revoked".to_owned(), decision.to_owned()]);
        assert_eq!(set_aside(&scene), decided.into(), "{story}");
        scene.stop_hub_with_whole_audit(&story);
    });
    assert!(count > 10, "{count}");
}
