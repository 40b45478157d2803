//! The clinic's side: a world of simulators, the `tazune-hub` program on it, and a receipt computer that takes face files.

use std::{
    fs,
    hash::{BuildHasher as _, RandomState},
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use jiff::SignedDuration;
use serde_json::Value;
use tazune_model::{Clock, Timestamp, japan_date};
use tazune_sim::{
    card::{CardSpec, VirtualCard},
    gateway::Gateway,
    vpcd::SharedCard,
    world::World,
};
use tokio::runtime::Runtime;

use crate::{
    process::{Finished, Launcher, Program},
    tablet::Tablet,
};

/// The clinic of the tests; its check digit is right, the clinic is invented.
pub const INSTITUTION: &str = "1310123458";

const HUB_FOLDER: &str = "hub";

/// Everything one clinic needs, in one folder, on free ports of the loopback interface.
pub struct Clinic {
    folder: PathBuf,
    world: World,
    gateway: Gateway,
    hub: Option<Program>,
    /// How the hub is started.
    hub_launcher: Launcher,
    /// Everything that hubs wrote which have ended.
    hub_transcript: String,
    /// How commands find the desk.
    desk: [String; 2],
    // Last, because the gateway's tasks run on it.
    runtime: Runtime,
}

/// A free port, below those that systems give to outgoing connections: while a hub is down, none takes its port.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn free_port() -> u16 {
    const PORTS: u64 = 20_000;
    let drawn = RandomState::new().hash_one(0) % PORTS;
    let ports = (drawn..PORTS).chain(0..drawn).filter_map(|port| u16::try_from(10_000 + port).ok());
    let mut free = ports.filter(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok());
    free.next().expect("a port is free")
}

/// The wall clock, which the programs under test have too, and how far this one is ahead of it.
struct WallClock {
    ahead: SignedDuration,
}

impl Clock for WallClock {
    #[expect(clippy::disallowed_methods, reason = "the programs under test live on the wall clock too")]
    fn now(&self) -> Timestamp {
        Timestamp::now() + self.ahead
    }
}

impl Clinic {
    /// Makes simulators and hub in `folder`, and starts both.
    ///
    /// # Panics
    /// When one of them does not start.
    #[must_use]
    pub fn open(folder: &Path) -> Self {
        Self::open_with_gateway_ahead(folder, SignedDuration::ZERO)
    }

    /// The same, with a gateway whose clock is ahead.
    ///
    /// # Panics
    /// When one of them does not start.
    #[must_use]
    pub fn open_with_gateway_ahead(folder: &Path, ahead: SignedDuration) -> Self {
        let clock = WallClock { ahead };
        let today = japan_date(clock.now());
        let world = World::create(&folder.join("world"), INSTITUTION, today).expect("a world is made");
        let runtime = Runtime::new().expect("a runtime starts");
        let gateway = runtime.block_on(Gateway::start(&world, Arc::new(clock), 0)).expect("a gateway starts");
        let desk = ["--data".into(), text(folder.join(HUB_FOLDER))];
        let mut clinic = Self {
            folder: folder.to_owned(),
            world,
            gateway,
            hub: None,
            hub_launcher: Launcher::default(),
            hub_transcript: String::new(),
            desk,
            runtime,
        };
        fs::create_dir(clinic.face_folder()).expect("the receipt computer has its folder");
        clinic.init().success();
        clinic.start_hub();
        clinic
    }

    fn init(&self) -> Finished {
        let listen = format!("127.0.0.1:{}", free_port());
        let front = format!("https://{listen}");
        Program::run(
            "tazune-hub",
            &[
                "init",
                "--data",
                &text(self.hub_folder()),
                "--institution",
                INSTITUTION,
                "--front-address",
                &front,
                "--front-listen",
                &listen,
                "--face-folder",
                &text(self.face_folder()),
                "--gateway-url",
                &self.gateway.url(),
                "--gateway-ca",
                &text(self.world.path("gateway-ca.pem")),
                "--gateway-enrolment-secret-file",
                &text(self.world.path("enrolment-secret")),
                "--card-anchor",
                &text(self.world.path("user-ca.pem")),
            ],
        )
    }

    /// Starts the hub, if it does not run, and waits until it serves.
    pub fn start_hub(&mut self) {
        if self.hub.is_none() {
            let mut hub = self.start_hub_program();
            hub.expect("ready");
            self.hub = Some(hub);
        }
    }

    /// Starts the hub, if it does not run, and waits until it serves.
    ///
    /// # Errors
    /// How it ended instead.
    pub fn try_start_hub(&mut self) -> Result<(), Finished> {
        if self.hub.is_none() {
            let mut hub = self.start_hub_program();
            if hub.next_json().is_none() {
                let ended = hub.finish();
                self.hub_transcript.push_str(&ended.transcript);
                return Err(ended);
            }
            self.hub = Some(hub);
        }
        Ok(())
    }

    fn start_hub_program(&self) -> Program {
        let [option, folder] = &self.desk;
        self.hub_launcher.start("tazune-hub", &["serve", option, folder, "--ready-json"])
    }

    /// From its next start on, the hub is started in this way.
    pub fn start_hub_under(&mut self, launcher: Launcher) {
        self.hub_launcher = launcher;
    }

    /// Asks the hub to stop, and waits until it did.
    pub fn stop_hub(&mut self) {
        if let Some(ended) = self.end_hub() {
            ended.success();
        }
    }

    /// Asks the hub to stop, and waits until it did, or was killed meanwhile; `None` when none runs.
    pub fn end_hub(&mut self) -> Option<Finished> {
        let ended = self.hub.take()?.terminate();
        self.hub_transcript.push_str(&ended.transcript);
        Some(ended)
    }

    /// SIGKILL for the hub.
    pub fn kill_hub(&mut self) {
        if let Some(hub) = self.hub.take() {
            self.hub_transcript.push_str(&hub.kill().transcript);
        }
    }

    /// Everything the hubs of this clinic wrote so far.
    #[must_use]
    pub fn hub_transcript(&self) -> String {
        let running = self.hub.as_ref().map(Program::transcript);
        self.hub_transcript.clone() + &running.unwrap_or_default()
    }

    /// Starts a command of the hub on this clinic's data.
    #[must_use]
    pub fn start(&self, command: &str, arguments: &[&str]) -> Program {
        let [option, folder] = &self.desk;
        Program::start("tazune-hub", &[&[command, option, folder], arguments].concat())
    }

    /// Commands are for a desk that has its own folder from now on; who moves it there runs it.
    pub fn desk_moved(&mut self, folder: &Path) {
        self.desk = ["--desk-data".into(), text(folder.to_owned())];
    }

    /// Pairs a device as its owner and the clinic's admin do together.
    ///
    /// # Panics
    /// When they do not succeed.
    #[must_use]
    pub fn pair(&self, name: &str) -> Tablet {
        let tablet = Tablet::new(self.folder.join(name));
        self.pair_tablet(&tablet, name);
        tablet
    }

    /// The same with this device.
    ///
    /// # Panics
    /// When they do not succeed.
    pub fn pair_tablet(&self, tablet: &Tablet, name: &str) {
        let mut desk = self.start("pair", &["--json"]);
        let opened = desk.expect_event("opened");
        let offer = opened["offer"].as_str().expect("an offer is text");
        let mut device = tablet.start(&["pair", "--name", name, "--offer", offer]);
        let code = device.expect("code");
        desk.expect_event("awaiting_code");
        desk.say(code.as_str().expect("a code is text"));
        desk.expect_event("awaiting_approval");
        desk.say("y");
        desk.expect_event("approved");
        desk.finish().success();
        device.finish().success();
    }

    /// What the desk has committed, as `records --json` tells it.
    ///
    /// # Panics
    /// When the hub does not tell.
    #[must_use]
    pub fn records(&self) -> Vec<Value> {
        let mut records = self.start("records", &["--json"]);
        records.close_input();
        let told: Value = serde_json::from_str(&records.finish().success()).expect("records --json is JSON");
        told["records"].as_array().expect("a list of records").clone()
    }

    /// A card of the population, as the patient keeps it between visits.
    ///
    /// # Panics
    /// When nobody has the key.
    #[must_use]
    pub fn card(&self, person: &str) -> SharedCard {
        Arc::new(Mutex::new(VirtualCard::new(&self.card_spec(person))))
    }

    /// What that card is made of, to make another of.
    ///
    /// # Panics
    /// When nobody has the key.
    #[must_use]
    pub fn card_spec(&self, person: &str) -> CardSpec {
        self.world.card(person).expect("the population has this person")
    }

    /// The simulated gateway, for its faults.
    #[must_use]
    pub const fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// The simulated world.
    #[must_use]
    pub const fn world(&self) -> &World {
        &self.world
    }

    /// Runs work on the simulators' runtime.
    #[must_use]
    pub const fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// The folder that the receipt computer watches.
    #[must_use]
    pub fn face_folder(&self) -> PathBuf {
        self.folder.join("face")
    }

    /// Takes the face folder away, as a share that is not connected.
    ///
    /// # Panics
    /// When it is not there.
    pub fn disconnect_face_folder(&self) {
        fs::remove_dir_all(self.face_folder()).expect("the face folder is there");
    }

    /// Brings it back: empty but for the marker that the hub put there.
    ///
    /// # Panics
    /// When it is there.
    pub fn connect_face_folder(&self) {
        fs::create_dir(self.face_folder()).expect("the face folder is not there");
        fs::write(self.face_folder().join(".tazune-face-folder"), "").expect("the marker can be written");
    }

    /// The hub's data.
    #[must_use]
    pub fn hub_folder(&self) -> PathBuf {
        self.folder.join(HUB_FOLDER)
    }

    /// Names of the face files that wait to be taken.
    #[must_use]
    pub fn face_files(&self) -> Vec<String> {
        face_files(&self.face_folder())
    }
}

fn text(path: PathBuf) -> String {
    path.into_os_string().into_string().expect("test folders have plain names")
}

fn face_files(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    // What charts look for: oqs-interface 1.2.
    let mut names: Vec<_> =
        names.filter(|name| name.starts_with("OQSsiquc01res_face_") && name.ends_with(".xml")).collect();
    names.sort();
    names
}

/// Name and content of a face file.
pub type Taken = (String, Vec<u8>);

/// A receipt computer that takes each face file the moment it sees it, as charts do: reads it and deletes it.
pub struct ReceiptComputer {
    taken: Arc<Mutex<Vec<Taken>>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl ReceiptComputer {
    /// Watches a folder until it is dropped.
    #[must_use]
    pub fn watch(folder: PathBuf) -> Self {
        let (taken, is_over) = (Arc::<Mutex<Vec<_>>>::default(), Arc::<AtomicBool>::default());
        let thread = thread::spawn({
            let (taken, is_over) = (taken.clone(), is_over.clone());
            move || {
                while !is_over.load(Ordering::Relaxed) {
                    for name in face_files(&folder) {
                        let path = folder.join(&name);
                        if let Ok(content) = fs::read(&path)
                            && fs::remove_file(&path).is_ok()
                        {
                            taken.lock().unwrap_or_else(PoisonError::into_inner).push((name, content));
                        }
                    }
                    thread::sleep(Duration::from_millis(5));
                }
            }
        });
        Self { taken, is_over, thread: Some(thread) }
    }

    /// Name and content of everything it took, in order.
    #[must_use]
    pub fn taken(&self) -> Vec<Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for ReceiptComputer {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
