//! What is synced before what is told, seen from outside by strace.
//!
//! SIGKILL keeps the page cache, so the kills of this suite would pass without one sync. Here each program runs under
//! strace, on a visit of its own: the sync that covers a record has returned before anybody hears of it.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use tazune_e2e::{
    disk::{Counted, Strike},
    process::{Launcher, Program},
    tablet::Tablet,
};
use tokio::time::Instant;

use crate::{
    scene::{Scene, close, queue},
    trace::{Call, in_order, is_told_after_sync, read},
};

/// Wide enough for a page of the database.
const STRACE: [&str; 9] = [
    "strace",
    // The program stays our child, and strace ends with it.
    "-D",
    "-f",
    "-yy",
    "-s",
    "8192",
    "-e",
    "trace=write,writev,pwrite64,pwritev,sendto,sendmsg,fsync,fdatasync,rename,renameat,renameat2",
    "-o",
];

/// Set by the suite that has strace: what cannot be traced is a failure then.
const MUST_TRACE: &str = "TAZUNE_MUST_TRACE";

/// Whether this system lets us trace.
#[expect(clippy::print_stderr, reason = "what was not tested is named")]
fn can_trace() -> bool {
    let traced = Command::new("strace").args(["-D", "-f", "-o", "/dev/null", "true"]).output();
    if traced.is_ok_and(|output| output.status.success()) {
        return true;
    }
    let why = "the order of syncs needs strace, and the right to trace (ptrace)";
    assert!(env::var_os(MUST_TRACE).is_none(), "{why}");
    eprintln!("SKIPPED: {why}");
    false
}

fn traced(scene: &Scene, name: &str) -> (Launcher, PathBuf) {
    let log = scene.log(name);
    let prefix = STRACE.iter().map(ToString::to_string).chain([log.to_str().unwrap().to_owned()]).collect();
    (Launcher { prefix, environment: Vec::new() }, log)
}

fn calls(log: &Path) -> Vec<Call> {
    read(&String::from_utf8_lossy(&fs::read(log).unwrap()))
}

/// Whether it writes to standard output that this record is saved.
fn says_saved(call: &Call, record_id: &str) -> bool {
    call.is_write()
        && call.arguments.starts_with("1<")
        && call.arguments.contains("sealed")
        && call.arguments.contains(record_id)
}

/// Closes a visit under strace and judges when it was said to be saved.
fn saved_after_sync(scene: &Scene, to_close: &Tablet, launcher: &Launcher, log: &Path) -> Result<(), String> {
    let tablet = scene.copy(to_close, "traced");
    let told = close(&tablet, launcher);
    let sealed = told.lines.iter().find_map(|line| line["sealed"].as_str()).expect("it is sealed");
    is_told_after_sync(&calls(log), "device.db-wal", sealed, |call| says_saved(call, sealed))
}

#[test]
fn a_device_says_saved_after_the_sync_of_the_record() {
    if !can_trace() {
        return;
    }
    let scene = Scene::open();
    let to_close = scene.with_visit_to_close(&scene.paired());
    let (launcher, log) = traced(&scene, "device");
    assert_eq!(saved_after_sync(&scene, &to_close, &launcher, &log), Ok(()));

    // The same program on a database that is never synced, as with `synchronous=OFF`, is caught.
    let (mut launcher, log) = traced(&scene, "device-without-syncs");
    launcher.environment = scene.disk.launcher().environment;
    scene.disk.order_onward(Strike::ForgetSyncs, Counted::All, 1);
    let judged = saved_after_sync(&scene, &to_close, &launcher, &log);
    assert!(judged.as_ref().is_err_and(|wrong| wrong.contains("never synced")), "{judged:?}");
}

/// Starts one role of the hub under strace.
fn start_role(scene: &Scene, role: &str) -> (Program, PathBuf) {
    let (launcher, log) = traced(scene, role);
    let data = scene.clinic.hub_folder();
    let arguments = ["serve", "--role", role, "--data", data.to_str().unwrap(), "--ready-json"];
    let mut program = launcher.start("tazune-hub", &arguments);
    program.expect("ready");
    (program, log)
}

fn wait_until(is_so: impl Fn() -> bool, what: &str) {
    let patience = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < patience, "{what}");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn front_and_desk_answer_and_rename_after_their_syncs() {
    if !can_trace() {
        return;
    }
    let mut scene = Scene::open();
    let to_close = scene.with_visit_to_close(&scene.paired());
    let (to_send, [good, _]) = scene.with_records_to_send(&to_close);

    // The front alone first: nothing else is on its wires while it takes the record.
    let (front, front_log) = start_role(&scene, "front");
    let sending = to_send.start(&["queue", "--send"]);
    wait_until(|| queue(&to_send, &[]).0["counts"]["received"] == 2, "the front takes the records");
    let _ = sending.kill();
    let received = is_told_after_sync(&calls(&front_log), "front.sqlite-wal", &good, Call::is_sent);
    assert_eq!(received, Ok(()));

    let (desk, desk_log) = start_role(&scene, "desk");
    wait_until(|| scene.is_written(&good), "the desk writes the face file");
    assert_eq!(queue(&to_send, &["--send"]).0["counts"]["accepted"], 1);
    for role in [desk, front] {
        role.terminate().success();
    }

    let desk_calls = calls(&desk_log);
    // To the front it speaks TLS; what can be read is the admin port, which is asked for the list all the while.
    let is_told_to_front = |call: &Call| call.is_sent() && !call.arguments.contains("HTTP/1.1 ");
    assert_eq!(is_told_after_sync(&desk_calls, "desk.sqlite-wal", &good, is_told_to_front), Ok(()));
    // As strace quotes it; nothing else that the front keeps begins so.
    let receipt = r#"{\"body\":\""#;
    let receipt_told = is_told_after_sync(&calls(&front_log), "front.sqlite-wal", receipt, Call::is_sent);
    assert_eq!(receipt_told, Ok(()), "the front says that it has the receipt");
    face_file_in_order(&desk_calls).unwrap();
}

/// Staged, synced, announced, renamed, synced, written: `core/hub/src/desk/face.rs`.
fn face_file_in_order(calls: &[Call]) -> Result<(), String> {
    let is_rename = |call: &Call| call.name.starts_with("rename") && call.is_on(".xml") && !call.is_on("admin.json");
    let is_staged = |call: &Call| call.is_on(".xml.tmp");
    let renames: Vec<_> = calls.iter().filter(|call| is_rename(call)).collect();
    let [rename] = renames[..] else { return Err(format!("one face file is renamed once: {renames:?}")) };
    let is_commit = |call: &Call| call.is_write() && call.is_on("desk.sqlite-wal");
    let is_synced_commit = |call: &Call| call.is_sync() && call.is_on("desk.sqlite-wal");
    let is_folder_synced = |call: &Call| call.is_sync() && call.is_on("/face");
    let is_written = |call: &Call| call.is_write() && is_staged(call);
    let is_file_synced = |call: &Call| call.is_sync() && is_staged(call);
    // What had not returned when the rename began does not count as before it.
    let (before, rest): (Vec<_>, Vec<_>) = calls.iter().cloned().partition(|call| call.returned < rename.began);
    let after: Vec<_> = rest.into_iter().filter(|call| call.began >= rename.began).collect();
    in_order(
        &before,
        &[
            ("staged content", &is_written),
            ("sync of the staged file", &is_file_synced),
            ("sync of the folder", &is_folder_synced),
            ("announcement", &is_commit),
            ("sync of the announcement", &is_synced_commit),
        ],
    )?;
    in_order(
        &after,
        &[
            ("rename", &is_rename),
            ("sync of the folder", &is_folder_synced),
            ("note that it is written", &is_commit),
            ("sync of that note", &is_synced_commit),
        ],
    )
}
