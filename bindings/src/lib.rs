//! The device for apps: `core/engine` as Kotlin and Swift see it, through UniFFI.
//!
//! Every method delegates to the engine in a line; what is here besides is the translation of words. No rule, no machine, and
//! no state but handles, the entry of a PIN, and the language in which failures are explained.
//!
//! | file | holds |
//! |---|---|
//! | `contract` | whether app and library belong together; a shell asks that first |
//! | `device` | pairing, drafts, queue, delivery |
//! | `visit` | a visit under way |
//! | `screen` | what a shell shows and what can be chosen |
//! | `pin` | the entry of a PIN, digit by digit |
//! | `card`, `keys` | what a shell implements: the reader, the key store |
//! | `error` | what can go wrong, with code and words |
//! | `cancel` | what ends a call that waits |
//!
//! # Unsafe code
//! There is none of ours, and the workspace's `forbid` holds here too. The macros of UniFFI expand to `extern "C"` functions that
//! are unsafe by nature; the compiler's lint leaves out what other crates' macros write.
//!
//! # What crosses the border
//! UniFFI wipes nothing. A PIN crosses as single digits into [`PinEntry`], and once more inside the VERIFY command that
//! [`CardPort::transmit`] is given; a wrapped key's plain bytes cross in [`KeyStore::wrap_key`] and [`KeyStore::unwrap_key`].
//! A shell overwrites such arrays when it is done with them; copies that UniFFI's buffers made stay until the memory is used again.

mod cancel;
mod card;
mod contract;
mod device;
mod error;
mod keys;
mod pin;
mod screen;
mod visit;

pub use card::{CardError, CardPort};
pub use contract::{CONTRACT, check_library};
pub use device::{
    AboutDevice, DeliverUntil, Delivery, Device, Draft, Paired, PairingAttempt, PlannedPatient, Queue, QueuedRecord,
    Revocation, Revoked, Sex,
};
pub use error::{Failure, TazuneError};
pub use keys::{KeyError, KeyStore};
pub use pin::PinEntry;
pub use screen::{Body, CardStep, Choice, ConsentActor, ConsentItem, Hold, Intent, Language, Screen, Tick};
pub use visit::VisitSession;

uniffi::setup_scaffolding!();
