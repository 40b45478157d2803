use std::{env, fs, process::Command};

use tazune_hub::logs;

/// Set in the process that is to panic, to the folder of its log.
const LOG: &str = "TAZUNE_TEST_PANICS_INTO";

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_any_task_ends_the_process_and_its_message_is_not_logged() {
    if let Some(folder) = env::var_os(LOG) {
        logs::start(Some(folder.as_ref())).unwrap();
        let task = tokio::spawn(async { panic!("about {}", "印付 太郎") });
        // Whoever waits for the task would go on without it.
        let _ = task.await;
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let own_name = "panic::a_panic_in_any_task_ends_the_process_and_its_message_is_not_logged";
    let ended = Command::new(env::current_exe().unwrap())
        .args(["--exact", own_name, "--nocapture"])
        .env(LOG, folder.path())
        .output()
        .unwrap();
    assert_eq!(ended.status.code(), Some(logs::PANICKED), "{ended:?}");
    let logged = fs::read_to_string(folder.path().join("tazune-hub.log")).unwrap();
    assert!(logged.contains("tests/hub/panic.rs:"), "{logged}");
    for told in [logged.as_bytes(), &ended.stderr, &ended.stdout] {
        assert!(!String::from_utf8_lossy(told).contains("印付"));
    }
}
