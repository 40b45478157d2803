//! The device: performs what the visit and the delivery ask for, with keys, an encrypted store, network and clock.

mod card_port;
mod card_runner;
mod clock;
mod delivery;
mod device;
mod error;
mod front_client;
mod gateway;
mod https;
mod inspect;
mod keys;
mod pairing;
mod ports;
mod renewal;
mod revocation;
mod store;
mod visit_session;

pub use card_port::{CardPort, PortError, VirtualSlot};
pub use clock::SystemClock;
pub use delivery::DeliverUntil;
pub use device::{Device, DeviceConfig, QueueStatus, QueuedRecord};
pub use error::{EngineError, FrontError};
pub use inspect::{InspectError, inspect_card};
#[cfg(feature = "os-keys")]
pub use keys::OsKeyStore;
pub use keys::{FileKeyStore, InsecureFileKeys, KeyStore, KeyStoreError, MemoryKeyStore};
pub use pairing::{AboutDevice, Pairing, PairingAttempt};
pub use ports::{FrontAnswer, FrontPort, FrontRequest, Job, Ports, Worker};
pub use store::{DraftId, RevocationStatus};
pub use visit_session::{IntentError, VisitSession};

// The words a shell needs to show a visit and its queue, so that it uses this crate alone.
pub use tazune_card::{CardFound, CertificateFound, Issuer, Phone};
pub use tazune_link::{delivery::Delivery, keys::VerifyingKey, revocation::Revocation, tombstone::RevocationKind};
pub use tazune_model::{
    CertificatePhase, CertificateSummary, Clock, ConsentActor, ConsentItem, FailureCode, Language, Personal, Pin,
    PlannedPatient, RecordId, Sex, StaffId, StoreFault, TextError, Timestamp, japan_date,
};
pub use tazune_visit::{
    Body, CardStep, CardTrouble, Hold, Intent, IntentKind, Notice, ReaderTrouble, RenderedScreen, Screen, Texts,
};
