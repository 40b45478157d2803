use std::sync::Arc;

use tazune_engine::{KeyStoreError, StoreFault, VerifyingKey};
use zeroize::Zeroizing;

/// The device's two keys, kept by the shell in the phone's hardware: *transport* (P-256, signs) and *staff* (wraps 32-byte keys).
///
/// Calls may block for as long as a hardware key takes, some 100 ms; none of them waits for a person.
#[uniffi::export(with_foreign)]
pub trait KeyStore: Send + Sync {
    /// Makes the keys that are not there yet; those that are stay as they are.
    ///
    /// # Errors
    /// [`KeyError`] when the store is locked or cannot be written.
    fn make_keys(&self) -> Result<(), KeyError>;

    /// The public half of the transport key: the uncompressed point, 65 bytes, first byte 4.
    ///
    /// # Errors
    /// [`KeyError`] when the store is locked or holds no key.
    fn transport_public(&self) -> Result<Vec<u8>, KeyError>;

    /// Signs with the transport key: ECDSA P-256 with SHA-256, ASN.1 DER.
    ///
    /// # Errors
    /// [`KeyError`] when the store is locked or holds no key.
    fn sign(&self, bytes: Vec<u8>) -> Result<Vec<u8>, KeyError>;

    /// Encrypts a 32-byte key with the staff key, authenticated.
    ///
    /// # Errors
    /// [`KeyError`] when the store is locked or holds no key.
    fn wrap_key(&self, key: Vec<u8>) -> Result<Vec<u8>, KeyError>;

    /// Decrypts what [`wrap_key`](Self::wrap_key) made.
    ///
    /// # Errors
    /// [`KeyError::Missing`] also when it was wrapped by another staff key.
    fn unwrap_key(&self, wrapped: Vec<u8>) -> Result<Vec<u8>, KeyError>;

    /// Destroys the staff key; what it wrapped can never be unwrapped again. One that is not there is destroyed.
    ///
    /// # Errors
    /// [`KeyError`] when the store is locked or cannot be written.
    fn destroy_staff_key(&self) -> Result<(), KeyError>;

    /// Destroys the transport key; the staff key is another one. One that is not there is destroyed.
    ///
    /// # Errors
    /// [`KeyError`] when the store is locked or cannot be written.
    fn destroy_transport_key(&self) -> Result<(), KeyError>;
}

/// Why a key could not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, uniffi::Error)]
pub enum KeyError {
    /// The keys are there but may not be used now.
    #[error("the key store is locked")]
    Locked,
    /// No key of this device, or not the one that wrapped the data.
    #[error("the key is missing")]
    Missing,
    /// The store could not be used just now.
    #[error("the key store could not be used")]
    Failed,
}

/// An exception that no store declares; its text is the shell's and is dropped, because it may hold a secret.
impl From<uniffi::UnexpectedUniFFICallbackError> for KeyError {
    fn from(_: uniffi::UnexpectedUniFFICallbackError) -> Self {
        Self::Failed
    }
}

impl From<KeyError> for KeyStoreError {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Locked => Self::Locked,
            KeyError::Missing => Self::Missing,
            KeyError::Failed => Self::Storage(StoreFault::Failed),
        }
    }
}

/// The shell's store as the engine uses it.
pub(crate) struct ForeignKeys(pub(crate) Arc<dyn KeyStore>);

impl tazune_engine::KeyStore for ForeignKeys {
    fn make_keys(&self) -> Result<(), KeyStoreError> {
        Ok(self.0.make_keys()?)
    }

    fn transport_public(&self) -> Result<VerifyingKey, KeyStoreError> {
        VerifyingKey::from_bytes(&self.0.transport_public()?).map_err(|_| KeyStoreError::Missing)
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyStoreError> {
        Ok(self.0.sign(message.to_vec())?)
    }

    fn wrap_key(&self, key: &[u8; 32]) -> Result<Vec<u8>, KeyStoreError> {
        Ok(self.0.wrap_key(key.to_vec())?)
    }

    fn unwrap_key(&self, wrapped: &[u8]) -> Result<Zeroizing<[u8; 32]>, KeyStoreError> {
        let key = Zeroizing::new(self.0.unwrap_key(wrapped.to_vec())?);
        let key = key.as_slice().try_into().map_err(|_| KeyStoreError::Missing)?;
        Ok(Zeroizing::new(key))
    }

    fn destroy_staff_key(&self) -> Result<(), KeyStoreError> {
        Ok(self.0.destroy_staff_key()?)
    }

    fn destroy_transport_key(&self) -> Result<(), KeyStoreError> {
        Ok(self.0.destroy_transport_key()?)
    }
}
