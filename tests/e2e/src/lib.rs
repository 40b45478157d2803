//! What the end-to-end tests and the demo share: the shipped programs, run as people run them, on simulators.

pub mod clinic;
#[cfg(target_os = "linux")]
pub mod disk;
#[cfg(unix)]
pub mod key_ring;
pub mod process;
pub mod reader_rig;
pub mod tablet;
pub mod traces;
