//! Databases and disks.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use rusqlite::Connection;
use serde_json::{Value, json};
use tazune_e2e::process::programs;
use tazune_model::FailureCode;

use crate::scene::{Scene, device_fails, hub_fails, words_of};

/// What a command on a full disk wrote and its exit code; `None` where the system gives us no disk of our own.
///
/// The folder is copied to a small disk in memory that only the command sees; after `keep_free` bytes it is full.
fn on_a_full_disk(folder: &Path, keep_free: u32, program: &str, arguments: &[&str]) -> Option<(String, i32)> {
    const SCRIPT: &str = r#"
        mount -t tmpfs -o size=4m tmpfs "$1" || exit 99
        cp -R "$2/." "$1" || exit 99
        cat /dev/zero > "$1/filler" 2>/dev/null
        truncate -s "-$3" "$1/filler" || exit 99
        shift 3
        exec timeout 60 "$@" 2>&1
    "#;
    let place = tempfile::tempdir().unwrap();
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let program = path(&programs().join(program));
    for own_rights in [&["--mount"][..], &["--mount", "--map-root-user"]] {
        let output = Command::new("unshare")
            .args(own_rights)
            .args(["sh", "-c", SCRIPT, "sh", &path(place.path()), &path(folder), &keep_free.to_string(), &program])
            .args(arguments.iter().map(|argument| argument.replace("FOLDER", &path(place.path()))))
            .output();
        match output {
            Ok(output) if output.status.code() == Some(99) => {}
            Ok(output) if output.stdout.is_empty() && !output.status.success() => {}
            Ok(output) => return Some((String::from_utf8(output.stdout).unwrap(), output.status.code().unwrap())),
            Err(_) => {}
        }
    }
    skipped();
    None
}

/// Names what was not tested; where everything has to be, that is a failure.
#[expect(clippy::print_stderr, reason = "what was not tested is named")]
fn skipped() {
    let why = "a full disk needs the right to mount one (unshare --mount)";
    assert!(std::env::var_os("CI").is_none(), "{why}");
    eprintln!("SKIPPED: {why}");
}

pub(crate) fn the_devices_disk_is_full(code: FailureCode) {
    let mut scene = Scene::open();
    scene.seal_unsent();
    let send = ["--data", "FOLDER", "--insecure-file-keys", "--json", "queue", "--send"];
    // Full before the database is opened, and full when it is written.
    for keep_free in [0, 40 * 1024] {
        let Some((told, exit)) = on_a_full_disk(scene.tablet.data(), keep_free, "tazune", &send) else { return };
        let failure = serde_json::json!({ "failure": words_of(code) }).to_string();
        assert!(told.contains(&failure) && exit == 7, "{keep_free}: {exit}: {told}");
    }
    scene.clinic.start_hub();
    assert_eq!(scene.queue(&["--send"]).1, 0, "nothing that was saved is lost");
}

pub(crate) fn the_hubs_disk_is_full(code: FailureCode) {
    let mut scene = Scene::open();
    scene.clinic.stop_hub();
    settle(&scene.front_folder().join("front.sqlite"));
    let serve = ["serve", "--role", "front", "--data", "FOLDER"];
    let Some((told, exit)) = on_a_full_disk(&scene.clinic.hub_folder(), 0, "tazune-hub", &serve) else { return };
    assert!(told.contains(&format!("tazune-hub: {code}: ")) && exit == 6, "{exit}: {told}");
    scene.clinic.start_hub();
    scene.still_works();
}

pub(crate) fn the_hubs_disk_is_nearly_full(code: FailureCode) {
    let mut scene = Scene::open();
    let folders = [scene.front_folder(), scene.desk_folder()];
    let limits = |low: u64, critical: u64| {
        let limits =
            json!({ "low_bytes": low, "low_percent": 100, "critical_bytes": critical, "critical_percent": 100 });
        for folder in &folders {
            let path = folder.join("settings.json");
            let mut settings: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            settings["disk"] = limits.clone();
            fs::write(path, settings.to_string()).unwrap();
        }
    };
    scene.clinic.stop_hub();
    limits(1 << 62, 0);
    scene.clinic.start_hub();
    // Announced, and everything works.
    scene.still_works();
    let logged = format!("code={code} folder=\"front\"");
    assert!(scene.clinic.hub_transcript().contains(&logged), "{}", scene.clinic.hub_transcript());
    for arguments in [&["--json"][..], &[]] {
        let mut records = scene.clinic.start("records", arguments);
        records.close_input();
        let told = records.finish();
        assert_eq!(told.code(), 0, "{}", told.transcript);
        assert!(told.log.contains(&format!("tazune-hub: warning: {code} ")), "{}", told.log);
        assert!(!told.output.contains("warning"), "a script reads what it always reads");
    }

    // What is left is for receipts: the device keeps its visit, and is told to come again.
    scene.clinic.stop_hub();
    limits(1 << 62, 1 << 62);
    scene.clinic.start_hub();
    scene.seal_undelivered();
    scene.clinic.stop_hub();
    limits(0, 0);
    scene.clinic.start_hub();
    assert_eq!(scene.queue(&["--send"]).1, 0);
    scene.still_works();
}

/// The databases of the hub, which is stopped.
fn hub_databases(scene: &Scene) -> [PathBuf; 2] {
    [scene.front_folder().join("front.sqlite"), scene.desk_folder().join("desk.sqlite")]
}

fn hub_cannot_use(scene: &Scene, code: FailureCode) {
    hub_fails(&["serve", "--data", scene.clinic.hub_folder().to_str().unwrap()], code, 6);
}

/// Changes the version of a database's schema, and returns what it was.
fn set_version(path: &Path, version: u32) -> u32 {
    let connection = Connection::open(path).unwrap();
    let before = connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    connection.pragma_update(None, "user_version", version).unwrap();
    before
}

/// Brings everything into the one file, as the end of the last program that uses it does.
fn settle(path: &Path) {
    Connection::open(path).unwrap().query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
}

/// Overwrites the content of the database behind its header, and returns what it was.
fn damage(path: &Path) -> Vec<u8> {
    settle(path);
    let kept = fs::read(path).unwrap();
    let mut damaged = kept.clone();
    damaged[1024..].fill(0x5a);
    fs::write(path, damaged).unwrap();
    kept
}

/// Whether the folder holds a whole copy of the damaged database.
fn is_copied_aside(path: &Path) -> bool {
    let damaged = fs::read(path).unwrap();
    let others = fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
    others.filter(|other| other != path).any(|other| fs::read(other).is_ok_and(|copy| copy == damaged))
}

pub(crate) fn the_devices_database_is_newer(code: FailureCode) {
    let scene = Scene::open();
    let path = scene.tablet.data().join("device.db");
    let version = set_version(&path, 99);
    let before = fs::read(&path).unwrap();
    device_fails(&scene.tablet, &["queue"], code, 7);
    assert_eq!(fs::read(&path).unwrap(), before, "nothing was touched");
    set_version(&path, version);
    scene.still_works();
}

pub(crate) fn the_hubs_database_is_newer(code: FailureCode) {
    let mut scene = Scene::open();
    scene.clinic.stop_hub();
    for path in hub_databases(&scene) {
        let version = set_version(&path, 99);
        hub_cannot_use(&scene, code);
        set_version(&path, version);
    }
    scene.clinic.start_hub();
    scene.still_works();
}

pub(crate) fn the_devices_database_is_damaged(code: FailureCode) {
    let scene = Scene::open();
    let path = scene.tablet.data().join("device.db");
    let kept = damage(&path);
    device_fails(&scene.tablet, &["queue"], code, 7);
    assert!(is_copied_aside(&path));
    fs::write(&path, kept).unwrap();
    scene.still_works();
}

pub(crate) fn the_hubs_database_is_damaged(code: FailureCode) {
    let mut scene = Scene::open();
    scene.clinic.stop_hub();
    for path in hub_databases(&scene) {
        let kept = damage(&path);
        hub_cannot_use(&scene, code);
        assert!(is_copied_aside(&path));
        fs::write(&path, kept).unwrap();
    }
    scene.clinic.start_hub();
    scene.still_works();
}

pub(crate) fn a_folder_lies_where_the_database_should(code: FailureCode) {
    let scene = Scene::open();
    let (path, aside) = (scene.tablet.data().join("device.db"), scene.tablet.data().join("aside"));
    fs::rename(&path, &aside).unwrap();
    fs::create_dir(&path).unwrap();
    device_fails(&scene.tablet, &["queue"], code, 7);
    fs::remove_dir(&path).unwrap();
    fs::rename(aside, path).unwrap();
    scene.still_works();
}
