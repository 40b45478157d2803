//! The hub without anybody beside it: what it tells the service manager and whoever watches, and how it ends.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    os::unix::net::UnixDatagram,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    thread,
    time::Duration,
};

use rusqlite::Connection;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, pki_types::ServerName};
use serde_json::Value;
use tazune_e2e::{
    clinic::Clinic,
    process::{Program, programs},
    tablet::PIN,
    traces::Traces,
};
use tempfile::TempDir;

/// A clinic whose hub is run by the test itself.
struct Scene {
    clinic: Clinic,
    folder: TempDir,
}

impl Scene {
    fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut clinic = Clinic::open(folder.path());
        clinic.stop_hub();
        Self { clinic, folder }
    }

    fn data(&self) -> String {
        self.clinic.hub_folder().to_str().unwrap().to_owned()
    }

    /// Runs the hub with health and metrics, and says at which address.
    fn serve(&self, arguments: &[&str]) -> (Program, String) {
        let serve = ["serve", "--data", &self.data(), "--ready-json", "--ops-port", "0"];
        let mut hub = Program::start("tazune-hub", &[&serve[..], arguments].concat());
        let ops = hub.expect("ops").as_str().unwrap().to_owned();
        (hub, ops)
    }

    fn front(&self) -> String {
        let settings = fs::read(self.clinic.hub_folder().join("front/settings.json")).unwrap();
        let settings: Value = serde_json::from_slice(&settings).unwrap();
        settings["listen"].as_str().unwrap().to_owned()
    }

    fn token(&self) -> String {
        fs::read_to_string(self.clinic.hub_folder().join("desk/metrics-token")).unwrap()
    }

    fn metrics(&self, ops: &str) -> String {
        let (status, body) = get(ops, "/metrics", &format!("Authorization: Bearer {}\r\n", self.token()));
        assert_eq!(status, 200);
        body
    }
}

/// Status and body of a plain request.
fn get(address: &str, path: &str, headers: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n{headers}\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    split(&answer)
}

fn split(answer: &str) -> (u16, String) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// A connection to the front of somebody without a certificate.
fn connect(scene: &Scene) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(fs::read(scene.clinic.hub_folder().join("front/hub-ca.crt")).unwrap().into()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let stream = TcpStream::connect(scene.front()).unwrap();
    StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), stream)
}

/// The whole answer of the front to that person.
fn get_from_front(scene: &Scene, path: &str) -> String {
    let mut stream = connect(scene);
    write!(stream, "GET {path} HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    // The end of the connection may come without its alert.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

/// Waits until `is_so`, which is soon.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..1500 {
        if is_so() {
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
    panic!("never: {what}");
}

fn signal(program: &Program, name: &str) {
    let asked = Command::new("kill").args([&format!("-{name}"), &program.id().to_string()]).status().unwrap();
    assert!(asked.success());
}

#[test]
fn the_service_manager_is_told_ready_alive_and_stopping_in_this_order() {
    let scene = Scene::open();
    let socket = scene.folder.path().join("notify");
    let manager = UnixDatagram::bind(&socket).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let next = || {
        let mut told = [0; 256];
        let length = manager.recv(&mut told).unwrap();
        String::from_utf8(told[..length].to_vec()).unwrap().trim().to_owned()
    };
    let mut hub = Command::new(programs().join("tazune-hub"))
        .args(["serve", "--data", &scene.data(), "--log-folder", scene.folder.path().join("log").to_str().unwrap()])
        .env("NOTIFY_SOCKET", &socket)
        .env("WATCHDOG_USEC", "300000")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    assert_eq!(next(), "READY=1");
    assert!(get_from_front(&scene, "/healthz").starts_with("HTTP/1.1 "), "whoever is ready serves");
    for _ in 0..3 {
        assert_eq!(next(), "WATCHDOG=1");
    }
    Command::new("kill").args(["-TERM", &hub.id().to_string()]).status().unwrap();
    until("STOPPING=1", || next() == "STOPPING=1");
    assert!(hub.wait().unwrap().success());
}

#[test]
fn a_hub_that_cannot_start_never_says_that_it_is_ready() {
    let scene = Scene::open();
    let socket = scene.folder.path().join("notify");
    let manager = UnixDatagram::bind(&socket).unwrap();
    manager.set_nonblocking(true).unwrap();
    fs::write(scene.clinic.hub_folder().join("desk/desk.sqlite"), [0x5a; 8192]).unwrap();
    let log = scene.folder.path().join("log");
    let ended = Command::new(programs().join("tazune-hub"))
        .args(["serve", "--data", &scene.data(), "--log-folder", log.to_str().unwrap()])
        .env("NOTIFY_SOCKET", &socket)
        .output()
        .unwrap();
    assert_eq!(ended.status.code(), Some(6));
    assert!(manager.recv(&mut [0; 256]).is_err());
    let logged = fs::read_to_string(log.join("tazune-hub.log")).unwrap();
    assert!(logged.contains("TZ-S03"), "the log of a service tells why it ended: {logged}");
}

#[test]
fn health_and_metrics_tell_nothing_of_anybody_after_a_whole_visit() {
    let scene = Scene::open();
    let log = scene.folder.path().join("log");
    let (hub, ops) = scene.serve(&["--log-folder", log.to_str().unwrap()]);
    let tablet = scene.clinic.pair("tablet-1");
    let mut visit = tablet.begin_visit(&[]);
    visit.hold(scene.clinic.card("valid"));
    visit.until("sealed", |_| {});
    let delivered = visit.program().expect("delivered");
    assert_eq!(delivered["state"], "accepted");
    let _ = visit.finish();

    until("well", || get(&ops, "/healthz", "").0 == 200);
    assert_eq!(get(&ops, "/healthz", "").1, "");
    let answer = get_from_front(&scene, "/healthz");
    assert_eq!(split(&answer), (200, String::new()), "{answer}");
    assert!(!answer.to_lowercase().contains("server:") && !answer.contains(env!("CARGO_PKG_VERSION")), "{answer}");

    for wrong in ["", "Authorization: Bearer 0\r\n", "Authorization: Bearer \r\n"] {
        assert_eq!(get(&ops, "/metrics", wrong), (401, String::new()));
    }
    until("looked", || scene.metrics(&ops).contains("tazune_devices{state=\"active\"} 1"));
    let metrics = scene.metrics(&ops);
    for line in [
        "tazune_envelopes_received_total 1",
        "tazune_records_accepted_total 1",
        "tazune_receipts_total 1",
        "tazune_pairings_total{outcome=\"approved\"} 1",
        "tazune_healthy{role=\"front\"} 1",
        "tazune_healthy{role=\"desk\"} 1",
        "tazune_waiting_envelopes 0",
        "tazune_waiting_face_files 0",
        "tazune_disk_nearly_full{folder=\"face\"} 0",
        "tazune_http_requests_total{path=\"/v1/envelopes\",status=\"200\"} 1",
    ] {
        assert!(metrics.lines().any(|told| told == line), "{line}:\n{metrics}");
    }
    let record = delivered["record_id"].as_str().unwrap();
    let records = scene.clinic.records();
    let device = records[0]["device"].as_str().unwrap();
    let traces = Traces::of_people(scene.clinic.world().people()).and(Traces::of_texts([PIN, record, device]));
    assert!(!traces.found_in(serde_json::to_string(&records).unwrap().as_bytes()).is_empty(), "the search finds ids");
    assert!(traces.found_in(metrics.as_bytes()).is_empty(), "{metrics}");
    // A log names devices and records, and nobody.
    let people = Traces::of_people(scene.clinic.world().people()).and(Traces::of_texts([PIN]));
    assert!(people.found_in_folder(&log).is_empty(), "{:#?}", people.found_in_folder(&log));
    assert!(!Traces::of_texts([record]).found_in_folder(&log).is_empty(), "there is a log to search");
    let session = |line: &&str| line.contains("/pairing/") && !line.contains("{session}");
    assert_eq!(metrics.lines().find(session), None, "a path is counted as it is written");

    // Each measure is one that the book explains.
    let book = include_str!("../../../docs/src/operation.md");
    for line in metrics.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let name = line.split(['{', ' ']).next().unwrap();
        let name = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        assert!(book.contains(&format!("| `{name}` |")), "{name} is not in the book");
    }
    assert_eq!(hub.terminate().code(), 0);
}

#[test]
fn a_folder_that_cannot_be_written_makes_the_hub_unwell_until_it_is_back() {
    let scene = Scene::open();
    let share = scene.clinic.face_folder().with_extension("away");
    fs::rename(scene.clinic.face_folder(), &share).unwrap();
    // The place where it was mounted is there, and empty.
    fs::create_dir(scene.clinic.face_folder()).unwrap();
    let (hub, ops) = scene.serve(&[]);
    until("unwell", || hub.transcript().contains("FaceFolderUnwritable"));
    assert_eq!(get(&ops, "/healthz", ""), (503, String::new()));
    until("measured", || scene.metrics(&ops).contains("tazune_healthy{role=\"desk\"} 0"));
    // It takes records all the same.
    until("the front is well", || split(&get_from_front(&scene, "/healthz")).0 == 200);
    assert_eq!(get(&ops, "/healthz", "").0, 503);
    assert_eq!(fs::read_dir(scene.clinic.face_folder()).unwrap().count(), 0, "nothing is written there");
    assert_eq!(hub.terminate().code(), 0);

    fs::remove_dir(scene.clinic.face_folder()).unwrap();
    fs::rename(&share, scene.clinic.face_folder()).unwrap();
    let (hub, ops) = scene.serve(&[]);
    until("well", || get(&ops, "/healthz", "").0 == 200);
    assert_eq!(hub.terminate().code(), 0);
}

#[test]
fn a_stop_leaves_no_log_of_a_database_and_loses_nothing_in_flight() {
    let scene = Scene::open();
    for stop in ["TERM", "INT"] {
        let (mut hub, _) = scene.serve(&[]);
        let tablet = scene.clinic.pair(&format!("tablet-{stop}"));
        let mut visit = tablet.begin_visit(&[]);
        visit.hold(scene.clinic.card("valid"));
        // Asked to stop while the visit is on its way.
        visit.until("sealed", |_| {});
        signal(&hub, stop);
        let _ = visit.finish();
        hub.close_input();
        let ended = hub.finish();
        assert_eq!(ended.code(), 0, "{}", ended.transcript);
        for log in ["front/front.sqlite-wal", "desk/desk.sqlite-wal"] {
            let log = scene.clinic.hub_folder().join(log);
            assert!(fs::metadata(&log).map_or(0, |log| log.len()) == 0, "{}", log.display());
        }
        let (hub, _) = scene.serve(&[]);
        let mut queue = tablet.start(&["queue", "--send"]);
        assert_eq!(queue.expect("queue")["counts"]["accepted"], 1);
        assert_eq!(hub.terminate().code(), 0);
    }
    let seen = record_count(&scene.clinic.hub_folder().join("desk/desk.sqlite"));
    assert_eq!(seen, 2, "once each");
}

#[test]
fn a_second_signal_ends_a_hub_that_waits_for_a_request_at_once() {
    let scene = Scene::open();
    let (hub, _) = scene.serve(&[]);
    // Begins a request and never ends it.
    let mut request = connect(&scene);
    let path = "/v1/pairing/00000000000000000000000000000000";
    write!(request, "POST {path} HTTP/1.1\r\nHost: hub\r\nContent-Length: 100\r\n\r\nx").unwrap();
    request.flush().unwrap();
    // The head is read before the signal comes.
    thread::sleep(Duration::from_millis(300));
    signal(&hub, "TERM");
    until("stopping", || hub.transcript().contains("stopping"));
    signal(&hub, "TERM");
    let ended = hub.finish();
    assert_eq!(ended.code(), 8, "{}", ended.transcript);
    let (hub, _) = scene.serve(&[]);
    assert_eq!(hub.terminate().code(), 0);
}

#[test]
fn damage_that_a_start_does_not_see_ends_the_hub_by_name_and_every_start_after_that() {
    let scene = Scene::open();
    let path = scene.clinic.hub_folder().join("desk/desk.sqlite");
    {
        let database = Connection::open(&path).unwrap();
        let many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
            INSERT INTO quarantine (record_id, device, sha256, envelope, receipt, at, reason)
            SELECT 'r' || i, 'd', 's', x'00', 'r', 'a', 'x' FROM n";
        database.execute_batch(many).unwrap();
    }
    let mut damaged = fs::read(&path).unwrap();
    let page = damaged.len() / 2 / 4096 * 4096;
    damaged[page..page + 4096].fill(0x5a);
    fs::write(&path, &damaged).unwrap();
    for _ in 0..2 {
        let ended = Program::run("tazune-hub", &["serve", "--data", &scene.data()]);
        assert_eq!(ended.code(), 6, "{}", ended.transcript);
        assert!(ended.transcript.contains("tazune-hub: TZ-S03: "), "{}", ended.transcript);
    }
    assert!(path.with_added_extension("damaged").exists());
}

#[test]
fn installing_writes_a_unit_of_the_persons_own_and_taking_it_away_leaves_the_data() {
    let scene = Scene::open();
    let place = scene.folder.path().join("a person's 100 % own");
    let (bin, calls) = (place.join("bin"), place.join("calls"));
    fs::create_dir_all(&bin).unwrap();
    let script = format!("#!/bin/sh\necho \"$@\" >> '{}'\n", calls.display().to_string().replace('\'', r"'\''"));
    fs::write(bin.join("systemctl"), script).unwrap();
    Command::new("chmod").arg("+x").arg(bin.join("systemctl")).status().unwrap();
    let service = |arguments: &[&str]| {
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
        let done = Command::new(programs().join("tazune-hub"))
            .arg("service")
            .args(arguments)
            .env("PATH", path)
            .env("XDG_CONFIG_HOME", &place)
            .output()
            .unwrap();
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    };
    let unit = place.join("systemd/user/tazune-hub.service");
    let data = scene.data();
    let install = ["install", "--user", "--ops-port", "9464", "--data", &data];
    let would = service(&[&install[..], &["--dry-run"]].concat());
    assert!(!unit.exists() && !calls.exists(), "a dry run does nothing");
    service(&install);
    let written = fs::read_to_string(&unit).unwrap();
    assert!(would.contains(&written), "a dry run tells all: {would}");
    assert!(written.contains("Type=notify\n") && written.contains("\"--ops-port\" \"9464\"\n"), "{written}");
    service(&["status", "--user"]);
    service(&["uninstall", "--user", "--dry-run"]);
    assert!(unit.exists());
    service(&["uninstall", "--user"]);
    assert!(!unit.exists() && scene.clinic.hub_folder().join("desk/desk.sqlite").exists());
    let calls: Vec<_> = fs::read_to_string(&calls).unwrap().lines().map(ToOwned::to_owned).collect();
    let expected = [
        "daemon-reload",
        "enable tazune-hub",
        "restart tazune-hub",
        "show tazune-hub",
        "disable --now tazune-hub",
        "daemon-reload",
    ];
    assert_eq!(calls.len(), expected.len(), "{calls:?}");
    for (call, expected) in calls.iter().zip(expected) {
        assert!(call.starts_with(&format!("--user {expected}")), "{calls:?}");
    }
}

fn record_count(path: &Path) -> u32 {
    Connection::open(path).unwrap().query_row("SELECT count(*) FROM record", [], |row| row.get(0)).unwrap()
}
