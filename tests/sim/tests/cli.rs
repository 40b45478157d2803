//! The program as other processes use it.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, TcpListener},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::Value;

fn sim(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tazune-sim"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn json(arguments: &[&str]) -> Value {
    let output = sim(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn make_world(dir: &Path) -> Value {
    json(&["world", "--dir", dir.to_str().unwrap(), "--institution", "1310123456"])
}

fn first_line(child: &mut Child) -> String {
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    line
}

#[test]
fn world_says_where_everything_is() {
    let dir = tempfile::tempdir().unwrap();
    let world = make_world(dir.path());
    assert_eq!(world["institution"], "1310123456");
    for file in ["gateway_ca", "user_ca", "foreign_ca", "enrolment_secret"] {
        assert!(std::fs::metadata(world[file].as_str().unwrap()).unwrap().len() > 0, "{file}");
    }
    let people = json(&["people", "--dir", dir.path().to_str().unwrap(), "--json"]);
    let keys: Vec<_> = people.as_array().unwrap().iter().map(|person| person["key"].as_str().unwrap()).collect();
    assert_eq!(keys, ["valid", "lost", "none", "elder", "hidden", "unknown-kanji", "grace"]);
}

#[cfg(unix)]
#[test]
fn secrets_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    make_world(dir.path());
    for file in ["enrolment-secret", "gateway-ca.p8", "people/valid.p8"] {
        assert_eq!(std::fs::metadata(dir.path().join(file)).unwrap().permissions().mode() & 0o777, 0o600, "{file}");
    }
}

#[test]
fn two_processes_that_make_the_keys_at_once_agree_on_them() {
    let (keys, a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let start = |dir: &Path| {
        let arguments = ["world", "--dir", dir.to_str().unwrap(), "--institution", "1310123456"];
        sim(&arguments).env("TAZUNE_SIM_KEYS", keys.path()).spawn().unwrap()
    };
    for child in [start(a.path()), start(b.path())] {
        assert!(child.wait_with_output().unwrap().status.success());
    }
    for file in ["user-ca.pem", "people/valid.pem", "people/valid.p8", "people/grace.p8"] {
        assert!(std::fs::read(a.path().join(file)).unwrap() == std::fs::read(b.path().join(file)).unwrap(), "{file}");
    }
}

#[test]
fn gateway_says_its_url_takes_orders_and_ends_with_its_input() {
    let dir = tempfile::tempdir().unwrap();
    make_world(dir.path());
    let mut gateway = sim(&["gateway", "--dir", dir.path().to_str().unwrap(), "--drop-answers", "1"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let line: Value = serde_json::from_str(&first_line(&mut gateway)).unwrap();
    assert!(line["url"].as_str().unwrap().starts_with("https://127.0.0.1:"));
    let mut input = gateway.stdin.take().unwrap();
    input.write_all(b"check:busy:2\nunreachable\nreachable\nnonsense\n").unwrap();
    drop(input);
    let output = gateway.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stderr).lines().count(), 1, "only the nonsense is complained about");
}

#[test]
fn card_comes_to_the_reader_and_is_torn_away_as_told() {
    let dir = tempfile::tempdir().unwrap();
    make_world(dir.path());
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let arguments = ["card", "--dir", dir.path().to_str().unwrap(), "--person", "valid", "--connect", &address];
    let options = ["--tear-after", "1", "--return-after-ms", "10", "--tries", "2", "--short-le"];
    let mut card = sim(&[arguments.as_slice(), options.as_slice()].concat()).spawn().unwrap();

    let select = [0, 15, 0x00, 0xA4, 0x04, 0x0C, 0x0A, 0xD3, 0x92, 0xF0, 0x00, 0x26, 0x01, 0x00, 0x00, 0x00, 0x01];
    let counter = [0, 4, 0x00, 0x20, 0x00, 0x98];
    let extended = [0, 7, 0x00, 0xB0, 0x8A, 0x00, 0x00, 0x06, 0x36];
    let power_on = [0, 1, 1];
    let mut answer = [0; 4];

    let (mut socket, _) = listener.accept().unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket.write_all(&[power_on.as_slice(), &select].concat()).unwrap();
    socket.read_exact(&mut answer).unwrap();
    assert_eq!(answer, [0, 2, 0x90, 0x00]);
    socket.write_all(&counter).unwrap();
    assert_eq!(socket.read(&mut answer).unwrap_or(0), 0, "torn after one answered command");

    let (mut socket, _) = listener.accept().unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket.write_all(&power_on).unwrap();
    for (command, status) in [(&select[..], [0x90, 0x00]), (&counter, [0x63, 0xC2]), (&extended, [0x67, 0x00])] {
        socket.write_all(command).unwrap();
        socket.read_exact(&mut answer).unwrap();
        assert_eq!(answer[2..], status);
    }
    card.kill().unwrap();
    card.wait().unwrap();
}

#[test]
fn exit_status_tells_wrong_arguments_from_failures() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().to_str().unwrap();
    for (arguments, status) in [
        (vec!["world", "--dir", dir], 2),
        (vec!["world", "--dir", dir, "--institution", "1"], 1),
        (vec!["gateway", "--dir", dir], 1),
        (vec!["gateway", "--dir", dir, "--fault", "x"], 2),
        (vec!["people", "--dir", dir, "--json"], 1),
        (vec!["--help"], 0),
    ] {
        assert_eq!(sim(&arguments).output().unwrap().status.code(), Some(status), "{arguments:?}");
    }
}
