//! Crashes and failing disks: the shipped programs are killed at every call that changes their files, or such a call
//! fails; and what is synced before what is said.
//!
//! | file | shows |
//! |---|---|
//! | `kills` | killed beside every numbered durable write, device and hub lose nothing and bring nothing twice |
//! | `faults` | with an error or a full disk at every write, the state is the old or the new one, and a failure is named |
//! | `way_out` | the same of a revocation: the device on its way out, the desk at what is ordered about it |
//! | `order` | a sync precedes "saved", the front's answer, each receipt and each rename |
//! | `scene`, `trace` | the clinic and devices that it happens to; what strace wrote |
#![cfg(target_os = "linux")]

mod faults;
mod kills;
mod order;
mod scene;
mod trace;
mod way_out;
