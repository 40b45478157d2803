//! The gateway of the direct check: the protocol page `docs/src/protocol/direct-check.md`, served over real TLS.

mod answer;
mod authority;
mod faults;
mod judge;
mod server;
mod service;
mod shape;

use std::{io, net::SocketAddr, sync::Arc};

use tazune_model::Clock;
use tokio::task::JoinHandle;

pub use self::faults::{Call, Fault, FaultOrder, FaultOrderError};
pub(crate) use self::{authority::Authority, shape::is_institution};
use self::{
    faults::Faults,
    service::Service,
    shape::{ChallengeRequest, Check, Enrolment},
};
use crate::world::World;

/// Whether these bytes are of the shape of any request that a gateway reads, whatever it would then decide.
#[must_use]
pub fn is_request(body: &[u8]) -> bool {
    Enrolment::parse(body).is_some() || ChallengeRequest::parse(body).is_some() || Check::parse(body).is_some()
}

/// A gateway that is served on loopback until it is dropped.
pub struct Gateway {
    address: SocketAddr,
    service: Arc<Service>,
    faults: Arc<Faults>,
    task: JoinHandle<()>,
}

impl Gateway {
    /// Starts the gateway of `world` on this port of 127.0.0.1 (0: a free one), inside the running tokio runtime.
    ///
    /// `clock` decides everything the protocol says about time; TLS certificates are valid by any clock.
    ///
    /// # Errors
    /// When the port is taken, or the world's CA files are not what they should be.
    pub async fn start(world: &World, clock: Arc<dyn Clock>, port: u16) -> io::Result<Self> {
        let service = Service::new(world, clock).ok_or(io::ErrorKind::InvalidData)?;
        let service = Arc::new(service);
        let faults = Arc::<Faults>::default();
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(server::run(listener, Arc::clone(&service), Arc::clone(&faults)));
        Ok(Self { address, service, faults, task })
    }

    /// Where it listens, for example `https://127.0.0.1:40001`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Orders a fault.
    pub fn fail(&self, order: FaultOrder) {
        self.faults.order(order);
    }

    /// While not reachable, every connection is closed: a new one before the handshake, an open one at its next call.
    pub fn set_reachable(&self, is_reachable: bool) {
        self.faults.set_reachable(is_reachable);
    }

    /// Treats the user certificate of this serial number as revoked from now on.
    pub fn revoke(&self, serial: u32) {
        self.service.revoke(serial);
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.task.abort();
    }
}
