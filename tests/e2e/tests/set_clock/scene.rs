use std::{
    io::{self, Write},
    path::PathBuf,
    sync::{Arc, Mutex, Once, PoisonError},
    time::Duration,
};

use jiff::SignedDuration;
use serde_json::Value;
use tazune_e2e::clinic::{INSTITUTION, free_port};
use tazune_engine::{AboutDevice, Device, DeviceConfig, EngineError, MemoryKeyStore, Pairing};
use tazune_hub::{
    Random, Stop, SystemClock,
    admin::{
        AdminClient,
        messages::{OpenedPairing, PairingView},
    },
    audit::Audit,
    desk::{Desk, FrontAt},
    front::Front,
    init::{InitOptions, init},
};
use tazune_link::pairing::SessionId;
use tazune_model::{Clock, InstitutionCode, ManualClock, Timestamp, japan_date};
use tazune_sim::{gateway::Gateway, world::World};
use tempfile::TempDir;
use tokio::{task::JoinHandle, time::timeout};

/// Longest time anything may take that a test waits for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Everything the programs logged in this process.
static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A clinic whose front and desk have clocks of their own.
pub(crate) struct Clinic {
    pub(crate) front_clock: Arc<ManualClock>,
    pub(crate) desk_clock: Arc<ManualClock>,
    pub(crate) gateway: Gateway,
    pub(crate) front: String,
    running: [Option<(Stop, JoinHandle<()>)>; 2],
    folder: TempDir,
}

/// A role of the hub.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Front,
    Desk,
}

/// A tablet with a clock of its own.
pub(crate) struct Tablet {
    pub(crate) device: Arc<Device>,
    pub(crate) clock: Arc<ManualClock>,
    _folder: TempDir,
}

impl Clinic {
    pub(crate) async fn open() -> Self {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            tracing_subscriber::fmt().with_writer(|| Log).with_ansi(false).init();
        });
        let folder = tempfile::tempdir().unwrap();
        let now = SystemClock.now();
        let (front_clock, desk_clock) = (Arc::new(ManualClock::new(now)), Arc::new(ManualClock::new(now)));
        let world = World::create(&folder.path().join("world"), INSTITUTION, japan_date(now)).unwrap();
        let gateway = Gateway::start(&world, desk_clock.clone(), 0).await.unwrap();
        let listen = format!("127.0.0.1:{}", free_port());
        let front = format!("https://{listen}");
        let options = InitOptions {
            data: folder.path().join("hub"),
            institution: InstitutionCode::new(INSTITUTION).unwrap(),
            front_addresses: vec![front.parse().unwrap()],
            front_listen: Some(listen.parse().unwrap()),
            face_folder: folder.path().join("face"),
            gateway_url: gateway.url(),
            gateway_ca: world.path("gateway-ca.pem"),
            gateway_enrolment_secret_file: world.path("enrolment-secret"),
            card_anchors: vec![world.path("user-ca.pem")],
            purge_after_hours: 72,
        };
        init(&options, &Random::system(), now).unwrap();
        let mut clinic = Self { front_clock, desk_clock, gateway, front, running: [None, None], folder };
        clinic.start(Role::Front).await;
        clinic.start(Role::Desk).await;
        clinic
    }

    pub(crate) async fn start(&mut self, role: Role) {
        let (stop, stopping) = Stop::new();
        let serving = match role {
            Role::Front => {
                let front = Front::open(&self.folder_of(role), self.front_clock.clone(), stopping).await.unwrap();
                tokio::spawn(async { front.serve().await.unwrap() })
            }
            Role::Desk => {
                let (clock, random) = (self.desk_clock.clone(), Random::system());
                let desk = Desk::open(&self.folder_of(role), FrontAt::Settings, clock, random, stopping).await.unwrap();
                tokio::spawn(async { desk.serve().await.unwrap() })
            }
        };
        self.running[role as usize] = Some((stop, serving));
    }

    pub(crate) async fn stop(&mut self, role: Role) {
        if let Some((stop, serving)) = self.running[role as usize].take() {
            stop.stop();
            timeout(PATIENCE, serving).await.unwrap().unwrap();
        }
    }

    pub(crate) fn folder_of(&self, role: Role) -> PathBuf {
        self.folder.path().join("hub").join(if role == Role::Front { "front" } else { "desk" })
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.desk_clock.now()
    }

    /// Lets time pass for the clinic, and for these tablets.
    pub(crate) fn pass(&self, time: SignedDuration, tablets: &[&Tablet]) {
        for clock in [&self.front_clock, &self.desk_clock].into_iter().chain(tablets.iter().map(|tablet| &tablet.clock))
        {
            clock.advance(time);
        }
    }

    pub(crate) fn admin(&self) -> AdminClient {
        AdminClient::find(&self.folder_of(Role::Desk)).unwrap()
    }

    pub(crate) async fn offer(&self) -> OpenedPairing {
        self.admin().open_pairing().await.unwrap()
    }

    /// Where a session stands once it is no longer open.
    pub(crate) async fn view(&self, session: &SessionId) -> PairingView {
        let changed = async {
            loop {
                match self.admin().pairing(session, 1).await.unwrap() {
                    PairingView::Open => {}
                    view => return view,
                }
            }
        };
        timeout(PATIENCE, changed).await.unwrap()
    }

    /// Types the digits and approves.
    pub(crate) async fn approve(&self, session: &SessionId, digits: &str) {
        assert!(matches!(self.view(session).await, PairingView::AwaitingCode { .. }));
        let typed = self.admin().type_code(session, digits).await.unwrap();
        assert!(matches!(typed, PairingView::AwaitingApproval { .. }), "{typed:?}");
        let approved = self.admin().decide(session, true).await.unwrap();
        assert!(matches!(approved, PairingView::Approved { .. }), "{approved:?}");
    }

    /// A tablet that is paired as it should be.
    pub(crate) async fn paired(&self) -> Tablet {
        let (tablet, opened) = (Tablet::new(self.now()).await, self.offer().await);
        self.pair(&tablet, &opened).await.unwrap();
        tablet
    }

    /// Pairs a tablet on an offer, with the right digits and the admin's approval.
    pub(crate) async fn pair(&self, tablet: &Tablet, opened: &OpenedPairing) -> Result<Pairing, EngineError> {
        let attempt = tablet.device.pair(&opened.offer, about()).await?;
        self.approve(&opened.session, &attempt.code().digits()).await;
        attempt.finish().await
    }

    /// The entries of the audit, once there is one that is wanted.
    pub(crate) async fn audited(&self, is_wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
        let found = async {
            loop {
                let audit = Audit::open(&self.folder_of(Role::Desk), &Random::system()).unwrap();
                let rows = audit.entries(None, 0, 10_000).unwrap();
                let entries: Vec<Value> = rows.iter().map(|row| serde_json::from_str(&row.entry).unwrap()).collect();
                if entries.iter().any(&is_wanted) {
                    return entries;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, found).await.unwrap()
    }

    /// Waits until audit and log know of a refused pairing.
    pub(crate) async fn refused(&self, session: &SessionId, reason: &str) {
        let is_it = |entry: &Value| {
            entry["event"] == "pairing_refused" && entry["session"] == session.as_str() && entry["reason"] == reason
        };
        let count = self.audited(is_it).await.iter().filter(|entry| is_it(entry)).count();
        assert_eq!(count, 1, "told once");
        let line = format!("pairing refused session={session} reason={reason:?}");
        let logged = async {
            // The desk logs what it has committed.
            while !String::from_utf8_lossy(&LOG.lock().unwrap_or_else(PoisonError::into_inner)).contains(&line) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, logged).await.unwrap();
    }
}

impl Tablet {
    pub(crate) async fn new(now: Timestamp) -> Self {
        let (folder, clock) = (tempfile::tempdir().unwrap(), Arc::new(ManualClock::new(now)));
        let keys = Arc::new(MemoryKeyStore::new());
        let config = DeviceConfig { folder: folder.path().to_owned(), keys, clock: clock.clone() };
        Self { device: Arc::new(Device::open(config).await.unwrap()), clock, _folder: folder }
    }

    /// Whole days until its certificate ends, as the clinic counts.
    pub(crate) async fn days_left(&self, clinic: &Clinic) -> i64 {
        let until = self.device.pairing().await.unwrap().certified_until().unwrap();
        (until.as_second() - clinic.now().as_second()).div_euclid(86_400)
    }
}

pub(crate) fn about() -> AboutDevice {
    AboutDevice { name: "往診タブレット".into(), model: "Sample tablet".into(), os: "Sample OS 1".into() }
}
