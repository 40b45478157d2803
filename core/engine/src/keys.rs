mod file;
mod memory;
#[cfg(feature = "os-keys")]
mod os;
mod software;
mod timed;
mod vault;

use std::sync::Arc;

use tazune_link::keys::VerifyingKey;
use tazune_model::{FailureCode, StoreFault};
use zeroize::Zeroizing;

pub use file::{FileKeyStore, InsecureFileKeys};
pub(crate) use file::{create_private_folder, file_fault, lock_file};
pub use memory::MemoryKeyStore;
#[cfg(feature = "os-keys")]
pub use os::OsKeyStore;
pub(crate) use timed::TimedKeyStore;

/// The device's two keys: *transport* (P-256, signs) and *staff* (wraps 32-byte keys). Nothing else crosses this port.
///
/// A phone brings its own, over its hardware. What an implementation owes:
///
/// - Calls block: some 100 ms for a hardware key, longer where the person has to unlock the store. The device makes them
///   one at a time, on a thread of their own and never on one that runs an executor, so an implementation may wait for
///   its platform as it likes. One that takes more than 20 seconds is [`KeyStoreError::Late`] for the device; it goes on
///   to its end, its answer is dropped, and the person is asked to try again.
/// - Both keys belong to one device folder and to this computer or phone alone: they are in no backup.
/// - The private half of the transport key and the staff key are in no error, log or message.
/// - What cannot be done now and may be later (screen locked, unlocking declined) is [`KeyStoreError::Locked`]; a key that
///   is gone for good, also one that the platform invalidated, is [`KeyStoreError::Missing`]; no key store at all is
///   [`KeyStoreError::Absent`].
/// - `make_keys` can be killed between the two keys; the next call makes what is missing and keeps what is there.
pub trait KeyStore: Send + Sync {
    /// Makes the keys that are not there yet; those that are stay as they are.
    ///
    /// # Errors
    /// [`KeyStoreError`] when the store is locked or cannot be written.
    fn make_keys(&self) -> Result<(), KeyStoreError>;

    /// The public half of the transport key.
    ///
    /// # Errors
    /// [`KeyStoreError`] when the store is locked or holds no key.
    fn transport_public(&self) -> Result<VerifyingKey, KeyStoreError>;

    /// Signs with the transport key: ECDSA P-256 with SHA-256, ASN.1 DER.
    ///
    /// It signs what it is given; TLS and the labels of [`tazune_link::keys::Label`] keep the uses apart.
    ///
    /// # Errors
    /// [`KeyStoreError`] when the store is locked or holds no key.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyStoreError>;

    /// Encrypts a 32-byte key with the staff key, authenticated.
    ///
    /// # Errors
    /// [`KeyStoreError`] when the store is locked or holds no key.
    fn wrap_key(&self, key: &[u8; 32]) -> Result<Vec<u8>, KeyStoreError>;

    /// Decrypts what [`wrap_key`](Self::wrap_key) made.
    ///
    /// # Errors
    /// [`KeyStoreError::Missing`] also when it was wrapped by another staff key.
    fn unwrap_key(&self, wrapped: &[u8]) -> Result<Zeroizing<[u8; 32]>, KeyStoreError>;

    /// Destroys the staff key; what it wrapped can never be unwrapped again. One that is not there is destroyed.
    ///
    /// # Errors
    /// [`KeyStoreError`] when the store is locked or cannot be written.
    fn destroy_staff_key(&self) -> Result<(), KeyStoreError>;

    /// Destroys the transport key. One that is not there is destroyed.
    ///
    /// # Errors
    /// [`KeyStoreError`] when the store is locked or cannot be written.
    fn destroy_transport_key(&self) -> Result<(), KeyStoreError>;

    /// Whether the keys lie in plain files, which every status line then says.
    fn is_insecure(&self) -> bool {
        false
    }
}

/// A key store as it is handed around.
pub(crate) type Keys = Arc<dyn KeyStore>;

/// Why a key could not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyStoreError {
    /// The keys are there but may not be used now.
    #[error("the key store is locked")]
    Locked,
    /// Plain key files were not asked for by name.
    #[error("keys in plain files are refused unless asked for by name")]
    InsecureRefused,
    /// No key of this device, a damaged one, or not the one that wrapped the data.
    #[error("the key is missing or damaged")]
    Missing,
    /// There is no key store that could be used.
    #[error("there is no key store here")]
    Absent,
    /// The key store did not answer in time.
    #[error("the key store does not answer")]
    Late,
    /// The keys could not be written or read.
    #[error("the key store could not be used: {0}")]
    Storage(StoreFault),
}

impl KeyStoreError {
    /// The failure a person meets.
    #[must_use]
    pub const fn failure_code(self) -> FailureCode {
        match self {
            Self::Locked => FailureCode::KeyStoreLocked,
            Self::InsecureRefused => FailureCode::InsecureKeysRefused,
            Self::Missing => FailureCode::KeyMissing,
            Self::Absent => FailureCode::KeyStoreAbsent,
            Self::Late => FailureCode::KeyStoreLate,
            Self::Storage(fault) => fault.failure_code(),
        }
    }
}
