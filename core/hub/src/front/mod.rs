//! The front: takes sealed envelopes from devices, keeps them until the desk has answered, passes receipts back.
//!
//! It can open nothing. Who may do what is decided per connection by its client certificate, see `peer.rs`; one endpoint
//! is one file. Paths, bodies and errors: `tazune_link::front_api`.

mod api;
mod bell;
mod contacts;
mod desk_devices;
mod desk_pairing;
mod desk_receipts;
mod desk_work;
mod envelopes;
mod health;
mod listener;
mod pairing;
mod peer;
mod receipts;
mod refusals;
mod renewal;

use std::{fs, net::SocketAddr, path::Path, sync::Arc};

use axum::{
    Extension, Router,
    extract::DefaultBodyLimit,
    middleware,
    routing::{get, post, put},
};
use tazune_link::{
    envelope::MAX_BATCH_BYTES,
    front_api::{self, ApiError},
    pairing::MAX_HELLO_BYTES,
};
use tazune_model::{Clock, InstitutionCode};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::{
    Ports, StartError, Stopping,
    ca::Identity,
    config::{self, FrontSettings, SettingError},
    disk::Disk,
    files::FolderLock,
    health::Health,
    init::front_files,
    store::{FrontStore, SqliteFrontStore, StoreError},
    telemetry,
    tls::{self, Peer},
};
use api::Failed;
use bell::Bell;
use contacts::Contacts;
use peer::Connected;

/// A front that has its address and its database, and is ready to serve.
pub struct Front {
    listener: TcpListener,
    address: SocketAddr,
    acceptor: TlsAcceptor,
    shared: Arc<Shared>,
    lock: FolderLock,
}

/// What every handler of the front has at hand.
pub(crate) struct Shared {
    institution: InstitutionCode,
    store: Box<dyn FrontStore>,
    clock: Arc<dyn Clock>,
    stopping: Stopping,
    disk: Disk,
    health: Arc<Health>,
    /// Rung when there may be work for the desk.
    work: Bell,
    /// Rung when there may be receipts for a device, or another word on how it stands.
    receipts: Bell,
    /// Rung when the desk answered a request for new certificates.
    renewals: Bell,
    /// Rung when the desk said something about a pairing session.
    pairings: Bell,
    /// When devices were last heard of.
    contacts: Contacts,
}

impl Front {
    /// Opens the front of a data folder and takes its address.
    ///
    /// # Errors
    /// [`StartError`] when settings, keys, address or database cannot be used.
    pub async fn open(folder: &Path, clock: Arc<dyn Clock>, stopping: Stopping) -> Result<Self, StartError> {
        Self::open_with(folder, clock, stopping, &Ports::system()).await
    }

    /// Opens the front of a data folder and takes its address, with threads of the caller's.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_with(
        folder: &Path,
        clock: Arc<dyn Clock>,
        stopping: Stopping,
        ports: &Ports,
    ) -> Result<Self, StartError> {
        let settings: FrontSettings = config::load(folder)?;
        let lock = FolderLock::take(folder)
            .map_err(SettingError::file(folder))?
            .ok_or_else(|| SettingError::InUse { path: folder.to_owned() })?;
        let read = |name: &str| {
            let path = folder.join(name);
            fs::read(&path).map_err(SettingError::file(&path))
        };
        let identity = Identity { key: read(front_files::TLS_KEY)?, certificate: read(front_files::TLS_CERTIFICATE)? };
        let tls = tls::front_config(identity, &read(front_files::HUB_CA)?, clock.clone())
            .map_err(|error| SettingError::value(folder.display().to_string(), error))?;
        let store = SqliteFrontStore::open(&folder.join("front.sqlite"), ports)?;
        let bound = SettingError::address(format!("listen {}", settings.listen));
        let listener = TcpListener::bind(settings.listen).await.map_err(&bound)?;
        let address = listener.local_addr().map_err(&bound)?;
        let shared = Shared {
            institution: settings.institution,
            store: Box::new(store),
            clock,
            stopping,
            disk: Disk::new("front", folder.to_owned(), settings.disk),
            health: Arc::new(Health::new("front")),
            work: Bell::new(),
            receipts: Bell::new(),
            renewals: Bell::new(),
            pairings: Bell::new(),
            contacts: Contacts::default(),
        };
        Ok(Self { listener, address, acceptor: TlsAcceptor::from(Arc::new(tls)), shared: Arc::new(shared), lock })
    }

    /// The address it listens on.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The API for requests that come without a connection, from whoever holds this certificate (DER), or none.
    ///
    /// `None` when it is no certificate with the names that the handlers go by. The handshake, which checks who issued
    /// it, is then the caller's.
    #[must_use]
    pub fn service(&self, certificate: Option<&[u8]>) -> Option<Router> {
        let peer = certificate.map(|der| Peer::from_certificate(der).ok_or(())).transpose().ok()?;
        Some(router(self.shared.clone()).layer(Extension(Connected(peer.map(Arc::new)))))
    }

    /// How it is doing.
    #[must_use]
    pub fn health(&self) -> Arc<Health> {
        self.shared.health.clone()
    }

    /// Serves until asked to stop; running requests are answered, and the database is brought to rest.
    ///
    /// # Errors
    /// [`StoreError`] when the database turns out to be damaged, or cannot be brought to rest.
    pub async fn serve(self) -> Result<(), StoreError> {
        let Self { listener, acceptor, shared, lock, .. } = self;
        let served = tokio::select! {
            biased;
            () = listener::serve(listener, acceptor, router(shared.clone()), shared.stopping.clone()) => Ok(()),
            error = health::watch(&shared) => Err(error),
        };
        let settled = shared.store.settle().await;
        drop(lock);
        served.and(settled)
    }
}

fn router(shared: Arc<Shared>) -> Router {
    let hello = post(pairing::hello).layer(DefaultBodyLimit::max(MAX_HELLO_BYTES));
    Router::new()
        .route(front_api::ENVELOPES, post(envelopes::post))
        .route(front_api::RECEIPTS, get(receipts::waiting))
        .route(front_api::RECEIPTS_TAKEN, post(receipts::taken))
        .route(front_api::REVOKED_ENVELOPES, post(envelopes::post))
        .route(front_api::REVOKED_RECEIPTS, get(receipts::waiting))
        .route(front_api::REVOKED_RECEIPTS_TAKEN, post(receipts::taken))
        .route(front_api::PAIRING, hello.get(pairing::state))
        .route(front_api::RENEWAL, post(renewal::ask).layer(DefaultBodyLimit::max(MAX_HELLO_BYTES)))
        .route(front_api::DESK_WORK, get(desk_work::get))
        .route(front_api::DESK_RECEIPTS, post(desk_receipts::post))
        .route(front_api::DESK_PAIRING, put(desk_pairing::open))
        .route(front_api::DESK_PAIRING_STATE, put(desk_pairing::answer))
        .route(front_api::DESK_DEVICE, put(desk_devices::put))
        .route(front_api::DESK_RENEWAL, put(renewal::answer))
        .route(front_api::DESK_REFUSALS, post(refusals::noted))
        .route(front_api::HEALTH, get(health::get))
        .fallback(async || Failed::from(ApiError::NotFound))
        .method_not_allowed_fallback(async || Failed::from(ApiError::NotFound))
        .layer(DefaultBodyLimit::max(MAX_BATCH_BYTES))
        .layer(middleware::from_fn(telemetry::count_request))
        .with_state(shared)
}
