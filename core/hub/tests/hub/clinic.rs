use std::{fs, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use tazune_hub::{
    Random, Stop, SystemClock,
    admin::{AdminClient, messages::PairingView},
    config::FrontAddress,
    desk::{Desk, FrontAt, ReceiptKey},
    front::Front,
    init::{InitOptions, init},
    store::{RecordSummary, SqliteDeskStore, StoreError},
};
use tazune_model::{Clock, InstitutionCode, ManualClock, japan_date};
use tazune_sim::{gateway::Gateway, world::World};
use tempfile::TempDir;
use tokio::{task::JoinHandle, time::timeout};

use crate::device::{Device, Hopeful};

pub(crate) const INSTITUTION: &str = "1310123458";

/// Longest time anything may take that a test waits for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A set-up hub with a gateway, in a folder of its own; front and desk run in this process until dropped.
pub(crate) struct Clinic {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) gateway: Gateway,
    pub(crate) random: Random,
    pub(crate) front: SocketAddr,
    running: Option<Running>,
    folder: TempDir,
}

struct Running {
    stop: Stop,
    front: JoinHandle<Result<(), StoreError>>,
    desk: Option<JoinHandle<Result<(), StoreError>>>,
}

/// Which roles run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Roles {
    FrontOnly,
    Both,
}

impl Clinic {
    /// Sets a hub up and runs both roles.
    pub(crate) async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (clock, random) = (Arc::new(ManualClock::new(SystemClock.now())), Random::system());
        let world = World::create(&folder.path().join("world"), INSTITUTION, japan_date(clock.now())).unwrap();
        let gateway = Gateway::start(&world, clock.clone(), 0).await.unwrap();
        let options = InitOptions {
            data: folder.path().join("hub"),
            institution: InstitutionCode::new(INSTITUTION).unwrap(),
            front_addresses: vec!["https://127.0.0.1:0".parse::<FrontAddress>().unwrap()],
            front_listen: Some(([127, 0, 0, 1], 0).into()),
            face_folder: folder.path().join("face"),
            gateway_url: gateway.url(),
            gateway_ca: world.path("gateway-ca.pem"),
            gateway_enrolment_secret_file: world.path("enrolment-secret"),
            card_anchors: vec![world.path("user-ca.pem")],
            purge_after_hours: 72,
        };
        init(&options, &random, clock.now()).unwrap();
        let front = ([127, 0, 0, 1], 0).into();
        let mut clinic = Self { clock, gateway, random, front, running: None, folder };
        clinic.start(Roles::Both).await;
        clinic
    }

    /// Starts what was stopped, on another port.
    pub(crate) async fn start(&mut self, roles: Roles) {
        let (stop, stopping) = Stop::new();
        let front = Front::open(&self.front_folder(), self.clock.clone(), stopping.clone()).await.unwrap();
        self.front = front.address();
        let desk = match roles {
            Roles::FrontOnly => None,
            Roles::Both => {
                let at = FrontAt::Here(front.address());
                let (clock, random) = (self.clock.clone(), self.random.clone());
                let desk = Desk::open(&self.desk_folder(), at, clock, random, stopping).await.unwrap();
                Some(tokio::spawn(desk.serve()))
            }
        };
        self.running = Some(Running { stop, front: tokio::spawn(front.serve()), desk });
    }

    /// Stops what runs, and waits until it has let go of its folders.
    pub(crate) async fn stop(&mut self) {
        let Some(Running { stop, front, desk }) = self.running.take() else { return };
        stop.stop();
        timeout(PATIENCE, front).await.unwrap().unwrap().unwrap();
        if let Some(desk) = desk {
            timeout(PATIENCE, desk).await.unwrap().unwrap().unwrap();
        }
    }

    pub(crate) async fn restart(&mut self, roles: Roles) {
        self.stop().await;
        self.start(roles).await;
    }

    pub(crate) fn front_folder(&self) -> PathBuf {
        self.folder.path().join("hub/front")
    }

    pub(crate) fn desk_folder(&self) -> PathBuf {
        self.folder.path().join("hub/desk")
    }

    /// The desk's database, while the desk does not run.
    pub(crate) async fn desk_store(&self) -> SqliteDeskStore {
        let (tenant, folder) = (InstitutionCode::new(INSTITUTION).unwrap(), self.desk_folder());
        let key = Arc::new(ReceiptKey::load(&folder, &self.random).unwrap());
        SqliteDeskStore::open(&folder.join("desk.sqlite"), tenant, key, self.clock.now(), &tazune_hub::Ports::system())
            .await
            .unwrap()
    }

    pub(crate) fn face_folder(&self) -> PathBuf {
        self.folder.path().join("face")
    }

    /// The face folder comes back as a share does: with the marker that the desk put there.
    pub(crate) fn connect_face_folder(&self) {
        fs::create_dir(self.face_folder()).unwrap();
        fs::write(self.face_folder().join(".tazune-face-folder"), "").unwrap();
    }

    pub(crate) fn admin(&self) -> AdminClient {
        AdminClient::find(&self.desk_folder()).unwrap()
    }

    /// Pairs a device, with the right digits and the admin's approval.
    pub(crate) async fn pair(&self) -> Device {
        let admin = self.admin();
        let opened = admin.open_pairing().await.unwrap();
        let mut hopeful = Hopeful::scan(&opened.offer, self);
        hopeful.say_hello().await.unwrap();
        let PairingView::AwaitingCode { .. } = self.view(&opened.session).await else { panic!("a hello arrived") };
        let typed = admin.type_code(&opened.session, &hopeful.digits()).await.unwrap();
        assert!(matches!(typed, PairingView::AwaitingApproval { .. }));
        let approved = admin.decide(&opened.session, true).await.unwrap();
        assert!(matches!(approved, PairingView::Approved { .. }));
        hopeful.wait_for_the_end().await;
        hopeful.into_device()
    }

    /// Where a session stands once it is no longer open.
    pub(crate) async fn view(&self, session: &tazune_link::pairing::SessionId) -> PairingView {
        let admin = self.admin();
        let changed = async {
            loop {
                match admin.pairing(session, 1).await.unwrap() {
                    PairingView::Open => {}
                    view => return view,
                }
            }
        };
        timeout(PATIENCE, changed).await.unwrap()
    }

    /// The list of records, once `is_done` says so.
    pub(crate) async fn records(&self, is_done: impl Fn(&[RecordSummary]) -> bool) -> Vec<RecordSummary> {
        let admin = self.admin();
        let done = async {
            loop {
                let records = admin.records().await.unwrap().records;
                if is_done(&records) {
                    return records;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, done).await.unwrap()
    }

    /// Names of the face files that a receipt computer would take.
    pub(crate) fn face_files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.face_folder()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("OQSsiquc01res_face_")).collect()
    }
}
