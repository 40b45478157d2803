//! How commands talk to the running desk: JSON over HTTP on a port of this computer, with a token from the data folder.
//!
//! Whoever may read `admin.json` (mode 0600) may use the port. Commands never open the database.

mod client;
pub mod messages;
mod server;

use std::{net::SocketAddr, path::Path};

use serde::{Deserialize, Serialize};

pub use client::{AdminClient, AdminError};
pub(crate) use server::{AdminPort, AdminState};

/// Name of the file in the desk's data folder that says where the port is.
const ADMIN_FILE: &str = "admin.json";

/// Where the admin port of the running desk is, and what opens it.
#[derive(Serialize, Deserialize)]
struct AdminFile {
    address: SocketAddr,
    token: String,
}

fn admin_file(folder: &Path) -> std::path::PathBuf {
    folder.join(ADMIN_FILE)
}
