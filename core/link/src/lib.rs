//! What device, front and desk say to each other: records, envelopes, receipts, delivery, pairing, revocation,
//! the front's API; and the audit of the desk.
//!
//! Pure: time, random bytes and signatures come in as arguments. Private signing keys never come here; a type that
//! is still to be signed gives the bytes to sign and takes the signature back. Signed bytes are encoded once, travel
//! as they are and are never encoded again.
//! Formats: `docs/src/protocol/records.md`, `pairing.md`, `front-api.md`, `audit.md`; samples of each in `tests/vectors/link`.

pub mod audit;
pub mod delivery;
pub mod envelope;
pub mod front_api;
mod hpke_seal;
pub mod keys;
pub mod pairing;
pub mod receipt;
pub mod record;
pub mod renewal;
pub mod revocation;
pub mod tombstone;
mod version;

pub use version::V1;

/// The event does not belong to the state the machine is in; the machine stays as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the event does not belong to this state")]
pub struct Refused;
