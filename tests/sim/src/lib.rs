//! Simulators of everything Tazune talks to: the card, the certificate authority behind it, the gateway of the direct check.
//!
//! They behave as the shared facts say and refuse what the real thing refuses. They share no APDU, TLV, status-word, XML or
//! certificate code with the crates under `core/`, so that one mistake cannot hide on both sides.

mod ca;
pub mod card;
pub mod gateway;
mod keys;
pub mod population;
pub mod vpcd;
pub mod world;

pub use ca::{CertificateSpec, Defect, TestCa};
pub use keys::rsa_key;

/// The one generator of this crate: simulators are an end of the system, nothing of theirs has to be replayed.
#[expect(clippy::disallowed_methods, reason = "a simulator is an end of the system and hands its one generator down")]
fn generator() -> rand::rngs::ThreadRng {
    rand::rng()
}
