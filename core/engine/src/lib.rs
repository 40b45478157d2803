//! The device: performs what the visit and the delivery ask for, with keys, an encrypted store, network and clock.

mod clock;
mod https;
mod keys;
mod store;

pub use clock::SystemClock;
pub use keys::{FileKeyStore, InsecureFileKeys, KeyStore, KeyStoreError, MemoryKeyStore};
pub use store::{DraftId, StoreError};
