//! The tool as a process, as far as it goes without a clinic.

use std::{
    io::{Read as _, Write as _},
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::Value;

fn tool(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tazune"));
    command.arg("--data").arg(folder).args(arguments).env_remove("TAZUNE_LOG");
    command
}

fn run(folder: &Path, arguments: &[&str], input: &str) -> Output {
    let mut child = tool(folder, arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the tool starts");
    // A tool that asks for nothing may be gone already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// Exit code, standard output, standard error.
fn told(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn keys_in_plain_files_have_to_be_asked_for_each_time() {
    let folder = folder();
    let keys = folder.path().join("keys");
    std::fs::create_dir(&keys).unwrap();
    std::fs::write(keys.join("transport.key"), "whatever it holds").unwrap();
    let (code, said, complained) = told(&run(folder.path(), &["queue"], ""));
    assert_eq!((code, said.as_str()), (8, ""));
    assert!(complained.contains("[TZ-K02]") && complained.contains("--insecure-file-keys"), "{complained}");
    assert!(
        complained.contains("鍵をふつうのファイルに") && complained.contains("Keys in plain files"),
        "{complained}"
    );
    let (code, said, _) = told(&run(folder.path(), &["queue", "--json"], ""));
    assert_eq!(code, 8);
    assert_eq!(serde_json::from_str::<Value>(&said).unwrap()["failure"]["code"], "TZ-K02");
}

#[test]
fn a_folder_that_was_never_paired_has_no_queue() {
    let folder = folder();
    let (code, said, complained) = told(&run(folder.path(), &["--insecure-file-keys", "queue"], ""));
    assert_eq!((code, said.as_str()), (3, ""));
    assert!(complained.contains("[TZ-P06]"), "{complained}");
    let (code, said, _) = told(&run(folder.path(), &["--insecure-file-keys", "--json", "queue"], ""));
    assert_eq!(code, 3);
    assert_eq!(serde_json::from_str::<Value>(&said).unwrap()["failure"]["code"], "TZ-P06");
}

#[test]
fn each_way_to_fail_has_its_exit_code() {
    let table: &[(&[&str], &str, i32, &str)] = &[
        (&["visit"], "", 2, "--staff"),
        (&["visit", "--staff", "dr-mihon", "--card", "usb"], "", 2, "virtual:127.0.0.1"),
        (&["visit", "--staff", "a/b", "--card", "virtual:127.0.0.1:0"], "", 2, "--staff"),
        (&["visit", "--resume", "--card", "virtual:127.0.0.1:0"], "", 2, "tazune queue"),
        (&["visit", "--staff", "dr-mihon", "--card", "virtual:127.0.0.1:0"], "", 3, "[TZ-P06]"),
        (&["pair"], "", 2, "TZ1:"),
        (&["pair"], "no offer\n", 3, "[TZ-P01]"),
        (&["pair", "--offer", "no offer"], "", 3, "[TZ-P01]"),
        (&["queue", "--send"], "", 3, "[TZ-P06]"),
        (&["card", "--card", "virtual:0.0.0.0:1"], "", 2, "pcsc"),
    ];
    for (arguments, input, wanted, reason) in table {
        let folder = folder();
        let (code, _, complained) = told(&run(folder.path(), &[&["--insecure-file-keys"], *arguments].concat(), input));
        assert_eq!(code, *wanted, "{arguments:?}: {complained}");
        assert!(complained.contains(reason), "{arguments:?}: {complained}");
    }
}

#[test]
fn a_wrong_patient_is_named_nowhere() {
    let folder = folder();
    let visit = ["--insecure-file-keys", "visit", "--staff", "dr-mihon", "--card", "virtual:127.0.0.1:0"];
    let patient = ["--patient-name", "MARKED-NAME", "--birth-date", "MARKED-DATE", "--sex", "MARKED-SEX"];
    let (code, said, complained) = told(&run(folder.path(), &[&visit[..], &patient[..]].concat(), ""));
    assert_eq!(code, 2);
    assert!(!said.contains("MARKED") && !complained.contains("MARKED"), "{said}{complained}");
}

#[test]
fn a_reader_that_is_taken_is_the_readers_failure() {
    let folder = folder();
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let card = format!("virtual:{}", taken.local_addr().unwrap());
    let visit = ["--insecure-file-keys", "visit", "--staff", "dr-mihon", "--card", &card];
    let (code, _, complained) = told(&run(folder.path(), &visit, ""));
    assert_eq!(code, 4, "{complained}");
    assert!(complained.contains("[TZ-C14]"), "{complained}");
}

#[test]
fn a_look_at_an_empty_reader_needs_neither_keys_nor_folder_and_is_no_failure() {
    let folder = folder();
    let nowhere = folder.path().join("nowhere");
    let look = ["card", "--card", "virtual:127.0.0.1:0", "--card-wait", "1"];
    let (code, said, complained) = told(&run(&nowhere, &[&look[..], &["--language", "en"]].concat(), ""));
    assert_eq!((code, complained.as_str()), (0, ""));
    assert!(said.ends_with("There is no card on the reader.\n"), "{said}");
    let (code, said, _) = told(&run(&nowhere, &[&look[..], &["--json"]].concat(), ""));
    assert_eq!((code, said.lines().last()), (0, Some(r#"{"card":{"kind":"none"}}"#)));
    assert!(!nowhere.exists());
}

#[test]
fn an_output_that_nobody_reads_ends_it_quietly() {
    let folder = folder();
    let mut child = tool(folder.path(), &["--insecure-file-keys", "pair"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let status = child.wait().unwrap();
    let mut complained = String::new();
    child.stderr.take().unwrap().read_to_string(&mut complained).unwrap();
    assert_eq!((status.code(), complained.as_str()), (Some(12), ""));
}
