//! The desk: sits at the clinic, holds its keys, dials out to the front, opens what devices sealed, writes face files.
//!
//! Five things run beside each other and meet only in the store and in the pairing sessions: the dialler takes work from
//! the front and has each envelope judged, the face exporter empties the outbox, the admin port serves commands, the witness
//! writes the audit's checkpoints elsewhere, the monitor looks after all of it.

mod decision;
mod dialler;
mod enrolment;
pub(crate) mod face;
mod front_client;
mod health;
pub(crate) mod keys;
mod opener;
mod pairing;
mod pause;
mod renewal;
mod set_aside;
mod standings;
mod witness;

use std::{net::SocketAddr, path::Path, sync::Arc};

use axum::Router;
use tazune_link::{
    audit::{Chain, Event},
    pairing::{GatewaySettings, Settings},
};
use tazune_model::{Bytes, Clock, FailureCode};
use tokio::sync::Notify;

pub(crate) use decision::DecisionError;
pub use keys::ReceiptKey;
pub(crate) use pairing::{PairError, Pairings};
pub(crate) use set_aside::SetAsides;
pub(crate) use standings::Standings;

use crate::{
    Ports, Random, StartError, Stopping,
    admin::{AdminPort, AdminState},
    config::{self, DeskSettings, FrontAddress, SettingError},
    disk::Disk,
    files::FolderLock,
    health::Health,
    store::{DeskStore, Page, PageMark, RecordSummary, SqliteDeskStore, StoreError},
    tls,
};
use dialler::{Dialler, LastSuccess};
use enrolment::Enrolment;
use face::{FaceExporter, FaceFolder};
use front_client::FrontClient;
use health::Monitor;
use keys::DeskKeys;
use opener::Opener;
use renewal::Renewals;
use witness::Witness;

/// Name of the database in the desk's folder.
pub(crate) const DATABASE: &str = "desk.sqlite";

/// Where the desk finds the front.
#[derive(Clone, Debug)]
pub enum FrontAt {
    /// In this process, listening on this address.
    Here(SocketAddr),
    /// At the first address of the settings.
    Settings,
    /// At this address, and devices too.
    Address(FrontAddress),
}

/// A desk that has its keys and its database, and is ready to serve.
pub struct Desk {
    dialler: Dialler,
    exporter: Arc<FaceExporter>,
    admin: AdminPort,
    witness: Witness,
    monitor: Monitor,
    clock: Arc<dyn Clock>,
    stopping: Stopping,
    lock: FolderLock,
}

impl Desk {
    /// Opens the desk of a data folder.
    ///
    /// # Errors
    /// [`StartError`] when settings, keys or database cannot be used.
    pub async fn open(
        folder: &Path,
        front: FrontAt,
        clock: Arc<dyn Clock>,
        random: Random,
        stopping: Stopping,
    ) -> Result<Self, StartError> {
        Self::open_with(folder, front, clock, random, stopping, Ports::system()).await
    }

    /// Opens the desk of a data folder, with threads and network of the caller's.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_with(
        folder: &Path,
        front: FrontAt,
        clock: Arc<dyn Clock>,
        random: Random,
        stopping: Stopping,
        ports: Ports,
    ) -> Result<Self, StartError> {
        let settings: DeskSettings = config::load(folder)?;
        let lock = FolderLock::take(folder)
            .map_err(SettingError::file(folder))?
            .ok_or_else(|| SettingError::InUse { path: folder.to_owned() })?;
        let unusable = |error: tls::TlsError| SettingError::value(folder.display().to_string(), error);
        let keys = DeskKeys::load(folder, settings.institution.clone(), &random)?;
        let tenant = settings.institution.clone();
        let database = folder.join(DATABASE);
        let store = SqliteDeskStore::open(&database, tenant, keys.receipt.clone(), clock.now(), &ports).await?;
        let store: Arc<dyn DeskStore> = Arc::new(store);
        let witness = settings.audit_witness_in(folder);
        let worker = ports.worker("witness").map_err(SettingError::file(&witness))?;
        let witness = Witness::new(witness, store.clone(), worker);

        let (dialled, offered) = addresses(&front, &settings)?;
        let front = match &ports.front {
            Some(port) => FrontClient::over(port.clone()),
            None => {
                let authority = [keys.ca.certificate()];
                let http = tls::https_client(authority, Some(keys.client), clock.clone()).map_err(unusable)?;
                FrontClient::new(http, &dialled)
            }
        };
        let gateway_ca = settings.gateway_ca_certificates.iter().map(Bytes::as_slice);
        let http = tls::https_client(gateway_ca, None, clock.clone()).map_err(unusable)?;
        let enrolment =
            Enrolment::new(http, &settings.gateway_url, settings.institution.clone(), keys.enrolment_secret);

        let worker = |name| ports.worker(name).map_err(SettingError::file(&settings.face_folder));
        let face_folder = FaceFolder::new(settings.face_folder.clone(), folder);
        let exporter = FaceExporter::new(face_folder.clone(), store.clone(), clock.clone(), worker("face")?);
        let exporter = Arc::new(exporter);
        let success = Arc::new(LastSuccess::new());
        let monitor = Monitor {
            health: Arc::new(Health::new("desk")),
            store: store.clone(),
            clock: clock.clone(),
            success: success.clone(),
            folder: face_folder,
            worker: worker("face-probe")?,
            disk: Disk::new("desk", folder.to_owned(), settings.disk),
            face_disk: Arc::new(Disk::new("face", settings.face_folder.clone(), settings.disk)),
        };
        let (ca, enrolment) = (Arc::new(keys.ca), Arc::new(enrolment));
        let renewals =
            Renewals { ca: ca.clone(), enrolment: enrolment.clone(), store: store.clone(), clock: clock.clone() };
        let news = Arc::new(Notify::new());
        let standings = Arc::new(Standings {
            institution: settings.institution.clone(),
            receipt_key: keys.receipt.clone(),
            store: store.clone(),
            front: front.clone(),
            clock: clock.clone(),
            random: random.clone(),
            telling: Default::default(),
            news: news.clone(),
        });
        let pairings = Arc::new(Pairings {
            fronts: offered.iter().map(ToString::to_string).collect(),
            front_spki_sha256: settings.front_spki_sha256,
            institution: settings.institution.clone(),
            settings: device_settings(&settings),
            ca: ca.clone(),
            clinic_key: keys.clinic.sealing_key(),
            receipt_key: keys.receipt.verifying_key(),
            front: front.clone(),
            enrolment: enrolment.clone(),
            store: store.clone(),
            clock: clock.clone(),
            random: random.clone(),
            sessions: Default::default(),
        });
        let opener = Arc::new(Opener {
            institution: settings.institution,
            clinic_key: keys.clinic,
            receipt_key: keys.receipt,
            store: store.clone(),
            clock: clock.clone(),
        });
        let set_asides = SetAsides {
            opener: opener.clone(),
            store: store.clone(),
            exporter: exporter.clone(),
            clock: clock.clone(),
            random: random.clone(),
            news: news.clone(),
        };
        let admin_state = AdminState {
            pairings: pairings.clone(),
            records: Records { store: store.clone(), exporter: exporter.clone() },
            standings: standings.clone(),
            set_asides: Arc::new(set_asides),
            health: monitor.health.clone(),
        };
        let admin = AdminPort::open(folder, admin_state, &random).await?;
        let dialler = Dialler {
            front,
            opener,
            store: store.clone(),
            standings,
            pairings,
            renewals,
            exporter: exporter.clone(),
            clock: clock.clone(),
            success,
            news,
        };
        store.note(Chain::Desk, Event::HubStarted, clock.now()).await?;
        Ok(Self { dialler, exporter, admin, witness, monitor, clock, stopping, lock })
    }

    /// The address of the admin port, on this computer only.
    #[must_use]
    pub const fn admin_address(&self) -> SocketAddr {
        self.admin.address()
    }

    /// The API of the admin port for requests that come without a connection; they need the token all the same.
    pub fn admin_service(&self) -> Router {
        self.admin.service()
    }

    /// How it is doing.
    #[must_use]
    pub fn health(&self) -> Arc<Health> {
        self.monitor.health.clone()
    }

    /// Serves until asked to stop; then the database is brought to rest.
    ///
    /// # Errors
    /// [`StoreError`] when the database turns out to be damaged, or cannot be brought to rest.
    pub async fn serve(self) -> Result<(), StoreError> {
        let Self { dialler, exporter, admin, mut witness, monitor, clock, stopping, lock } = self;
        let dialling = async {
            // May be dropped anywhere: what it commits it commits whole, and the front offers the rest again.
            tokio::select! {
                () = dialler.run() => {}
                () = stopping.requested() => {}
            }
        };
        let serving = async {
            tokio::join!(
                admin.serve(stopping.clone()),
                exporter.run(stopping.clone()),
                witness.run(stopping.clone()),
                dialling
            )
        };
        let served = tokio::select! {
            biased;
            ((), (), (), ()) = serving => Ok(()),
            error = monitor.run() => Err(error),
        };
        if let Err(error) = monitor.store.note(Chain::Desk, Event::HubStopped, clock.now()).await {
            tracing::error!(code = %error.failure_code(), %error, "the audit does not know of this stop");
        }
        witness.finish().await;
        let settled = monitor.store.settle().await;
        drop(lock);
        served.and(settled)
    }
}

/// The list of records, and what keeps their files from being written.
#[derive(Clone)]
pub(crate) struct Records {
    store: Arc<dyn DeskStore>,
    exporter: Arc<FaceExporter>,
}

impl Records {
    /// One page of the records, and of the envelopes that were set aside and not accepted, oldest first.
    pub(crate) async fn list(&self, after: Option<PageMark>) -> Result<Page<RecordSummary>, StoreError> {
        self.store.records(after, set_aside::PAGE_LINES).await
    }

    /// Why face files wait, if they do.
    pub(crate) fn face_failure(&self) -> Option<FailureCode> {
        self.exporter.failure()
    }
}

/// The address the desk dials, and those that devices are told.
fn addresses(front: &FrontAt, settings: &DeskSettings) -> Result<(FrontAddress, Vec<FrontAddress>), SettingError> {
    let configured = settings.front_addresses.clone();
    let (dialled, offered) = match front {
        FrontAt::Here(address) => {
            let offered: Vec<_> = configured.into_iter().map(|front| front.with_port_if_open(address.port())).collect();
            let is_on_loopback = address.ip().is_unspecified() || address.ip().is_loopback();
            let dialled = match (is_on_loopback, address) {
                (true, SocketAddr::V4(_)) => Some(format!("https://127.0.0.1:{}", address.port()).parse()?),
                (true, SocketAddr::V6(_)) => Some(format!("https://[::1]:{}", address.port()).parse()?),
                (false, _) => offered.first().cloned(),
            };
            (dialled, offered)
        }
        FrontAt::Settings => (configured.first().cloned(), configured),
        FrontAt::Address(address) => (Some(address.clone()), vec![address.clone()]),
    };
    let dialled = dialled.ok_or_else(|| SettingError::value("front address", "is missing"))?;
    if dialled.port() == 0 || offered.iter().any(|front| front.port() == 0) {
        return Err(SettingError::value("front address", "has port 0, which only a front in this process can fill in"));
    }
    Ok((dialled, offered))
}

/// What every device is told; the certificates of its own at the gateway are added when it is enrolled.
fn device_settings(settings: &DeskSettings) -> Settings {
    Settings {
        gateway: GatewaySettings {
            url: settings.gateway_url.clone(),
            ca_certificates: settings.gateway_ca_certificates.clone(),
            client_certificates: Vec::new(),
        },
        card_anchors: settings.card_anchors.clone(),
        consent_items: settings.consent_items.clone(),
        purge_after_hours: settings.purge_after_hours,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tazune_model::{InstitutionCode, Sha256};

    #[test]
    fn a_front_in_this_process_is_dialled_on_the_loopback_that_it_listens_on() {
        let settings = DeskSettings {
            institution: InstitutionCode::new("1310123458").unwrap(),
            front_addresses: vec!["https://hub_pc:0".parse().unwrap()],
            front_spki_sha256: Sha256([0; 32]),
            face_folder: "face".into(),
            gateway_url: "https://gateway.example".into(),
            gateway_ca_certificates: Vec::new(),
            card_anchors: Vec::new(),
            consent_items: Vec::new(),
            purge_after_hours: 72,
            audit_witness: None,
            disk: crate::DiskLimits::default(),
        };
        for (listens, dialled) in [
            ("0.0.0.0:1", "https://127.0.0.1:1"),
            ("127.0.0.1:1", "https://127.0.0.1:1"),
            ("[::]:1", "https://[::1]:1"),
            ("[::1]:1", "https://[::1]:1"),
            ("192.0.2.7:1", "https://hub_pc:1"),
        ] {
            let (front, offered) = addresses(&FrontAt::Here(listens.parse().unwrap()), &settings).unwrap();
            assert_eq!((front.to_string().as_str(), offered.len()), (dialled, 1), "{listens}");
        }
    }
}
