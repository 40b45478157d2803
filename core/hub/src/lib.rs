//! The hub: the *front*, a mailbox of sealed envelopes that devices reach, and the *desk*, which opens them at the clinic.
//!
//! The two are roles of one program. The desk reaches the front only through the front's HTTPS API, also in one process,
//! so that either can move to another computer. The front holds nothing that names a patient and no key of the clinic.
//!
//! | module | holds |
//! |---|---|
//! | [`mod@init`], [`config`] | data folders: what is made once, and what is read at every start |
//! | [`front`] | the API of devices and desk, one endpoint per file |
//! | [`desk`] | dialler, opener, face exporter, pairing, keys |
//! | [`store`] | what both keep, as traits with one conformance suite, on SQLite |
//! | [`audit`] | reads and verifies the audit of a desk without the desk |
//! | [`admin`] | how commands talk to the running desk |
//! | [`service`], [`logs`] | what an unattended hub needs of its system |
//! | [`telemetry`], [`Health`], [`OpsPort`] | what watches over an unattended hub |

pub mod admin;
pub mod audit;
mod ca;
mod clock;
pub mod config;
pub mod desk;
mod disk;
mod error;
mod files;
pub mod front;
mod health;
pub mod init;
pub mod logs;
mod ops;
mod ports;
mod random;
pub mod service;
mod stop;
pub mod store;
pub mod telemetry;
mod tls;

pub use clock::SystemClock;
pub use disk::DiskLimits;
pub use error::StartError;
pub use health::Health;
pub use ops::OpsPort;
pub use ports::{FrontPort, Job, NoAnswer, Ports, Worker};
pub use random::Random;
pub use stop::{Stop, Stopping};
