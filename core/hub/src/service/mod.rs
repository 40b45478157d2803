//! The hub as a service of the system: installed, asked about, taken away, and how it tells the service manager that it
//! is ready, alive and stopping.
//!
//! Linux has a systemd unit that is told by `sd_notify`; Windows has a service of its control manager. Where neither is
//! (macOS), `serve` runs all the same and the verbs fail by name.

#[cfg(unix)]
mod systemd;
#[cfg(windows)]
mod windows;

use std::path::PathBuf;

use tazune_model::FailureCode;

#[cfg(unix)]
pub use systemd::{Manager, Service};
#[cfg(windows)]
pub use windows::{Manager, Service};

/// What the service manager knows the hub by.
const NAME: &str = "tazune-hub";

/// Seconds that a stop may take: the longest request in flight, and the database brought to rest.
const STOP_WITHIN_S: u64 = 30;

/// What the service runs, and as whom.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The program, absolute.
    pub program: PathBuf,
    /// What it is given, `serve` first.
    pub arguments: Vec<String>,
    /// Every folder that it writes to, absolute: the data folder first, then those that may be away for a time.
    pub writes_to: Vec<PathBuf>,
    /// The account that it runs as; `None`: the owner of the first folder.
    pub account: Option<String>,
    /// Whether it listens on a port below 1024.
    pub needs_low_port: bool,
}

/// The service manager did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ServiceError(String);

impl ServiceError {
    /// The failure a person meets.
    #[must_use]
    pub const fn failure_code(&self) -> FailureCode {
        FailureCode::ServiceFailed
    }

    fn new(what: impl std::fmt::Display) -> Self {
        Self(what.to_string())
    }
}
