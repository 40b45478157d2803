use std::sync::Arc;

use tazune_engine::{KeyStoreError, StoreFault, VerifyingKey};
use zeroize::Zeroizing;

/// The device's two keys, kept by the shell in the phone's hardware: *transport* (P-256, signs) and *staff* (wraps 32-byte keys).
///
/// Calls block: some 100 ms for a hardware key, longer where the person has to unlock it. The library makes them one at a time, on
/// a thread of its own. One that takes more than 20 seconds is a failure (`TZ-K05`) for whoever waits; its answer is dropped.
/// Whatever is thrown besides a [`KeyError`] counts as [`KeyError::Failed`].
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
    /// The library believes it when using the key is [`KeyError::Missing`], and asks again later otherwise.
    ///
    /// # Errors
    /// [`KeyError`] when the store is locked or cannot be written.
    fn destroy_staff_key(&self) -> Result<(), KeyError>;

    /// Destroys the transport key; the staff key is another one. One that is not there is destroyed.
    ///
    /// It is believed as [`destroy_staff_key`](Self::destroy_staff_key) is.
    ///
    /// # Errors
    /// [`KeyError`] when the store is locked or cannot be written.
    fn destroy_transport_key(&self) -> Result<(), KeyError>;
}

/// Why a key could not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, uniffi::Error)]
pub enum KeyError {
    /// The keys are there but may not be used now: screen locked, unlocking declined.
    #[error("the key store is locked")]
    Locked,
    /// No key of this device, one that the platform invalidated, or not the one that wrapped the data.
    #[error("the key is missing")]
    Missing,
    /// There is no key store on this phone that could be used.
    #[error("there is no key store here")]
    Absent,
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
            KeyError::Absent => Self::Absent,
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
        self.0.destroy_staff_key()?;
        is_gone(self.wrap_key(&[0; 32]))
    }

    fn destroy_transport_key(&self) -> Result<(), KeyStoreError> {
        self.0.destroy_transport_key()?;
        is_gone(self.sign(&[]))
    }
}

/// Judges a key by the try to use it: UniFFI takes a call that the JVM ended by an `Error` for one that did its work.
fn is_gone<T>(used: Result<T, KeyStoreError>) -> Result<(), KeyStoreError> {
    match used {
        Err(KeyStoreError::Missing) => Ok(()),
        Err(error) => Err(error),
        Ok(_) => Err(KeyStoreError::Storage(StoreFault::Failed)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, PoisonError};

    use tazune_engine::{KeyStore as _, MemoryKeyStore};

    use super::*;

    /// An app's store that can be told what to answer instead.
    #[derive(Default)]
    struct AppKeys {
        keys: MemoryKeyStore,
        instead: Mutex<Option<Result<Vec<u8>, KeyError>>>,
    }

    impl AppKeys {
        fn answers(&self, instead: Result<Vec<u8>, KeyError>) {
            *self.instead.lock().unwrap() = Some(instead);
        }

        fn or(
            &self,
            work: impl FnOnce(&MemoryKeyStore) -> Result<Vec<u8>, KeyStoreError>,
        ) -> Result<Vec<u8>, KeyError> {
            let instead = self.instead.lock().unwrap_or_else(PoisonError::into_inner).clone();
            instead.unwrap_or_else(|| work(&self.keys).map_err(|_| KeyError::Missing))
        }
    }

    impl KeyStore for AppKeys {
        fn make_keys(&self) -> Result<(), KeyError> {
            self.or(|keys| keys.make_keys().map(|()| vec![])).map(drop)
        }

        fn transport_public(&self) -> Result<Vec<u8>, KeyError> {
            self.or(|keys| keys.transport_public().map(|key| key.as_bytes().to_vec()))
        }

        fn sign(&self, bytes: Vec<u8>) -> Result<Vec<u8>, KeyError> {
            self.or(|keys| keys.sign(&bytes))
        }

        fn wrap_key(&self, key: Vec<u8>) -> Result<Vec<u8>, KeyError> {
            self.or(|keys| keys.wrap_key(&key.try_into().unwrap()))
        }

        fn unwrap_key(&self, wrapped: Vec<u8>) -> Result<Vec<u8>, KeyError> {
            self.or(|keys| keys.unwrap_key(&wrapped).map(|key| key.to_vec()))
        }

        fn destroy_staff_key(&self) -> Result<(), KeyError> {
            self.or(|keys| keys.destroy_staff_key().map(|()| vec![])).map(drop)
        }

        fn destroy_transport_key(&self) -> Result<(), KeyError> {
            self.or(|keys| keys.destroy_transport_key().map(|()| vec![])).map(drop)
        }
    }

    fn app() -> (Arc<AppKeys>, ForeignKeys) {
        let app = Arc::<AppKeys>::default();
        (app.clone(), ForeignKeys(app))
    }

    /// How each call ends.
    fn every_call(keys: &ForeignKeys) -> [Option<KeyStoreError>; 7] {
        [
            keys.make_keys().err(),
            keys.transport_public().err(),
            keys.sign(b"x").err(),
            keys.wrap_key(&[7; 32]).err(),
            keys.unwrap_key(&[7; 60]).err(),
            keys.destroy_staff_key().err(),
            keys.destroy_transport_key().err(),
        ]
    }

    #[test]
    fn what_an_app_refuses_or_throws_is_named_in_every_call() {
        let (app, keys) = app();
        let failed = KeyStoreError::Storage(StoreFault::Failed);
        let thrown = uniffi::UnexpectedUniFFICallbackError::new("MARKED-SECRET").into();
        for (error, wanted) in [
            (KeyError::Locked, KeyStoreError::Locked),
            (KeyError::Missing, KeyStoreError::Missing),
            (KeyError::Absent, KeyStoreError::Absent),
            (KeyError::Failed, failed),
            (thrown, failed),
        ] {
            app.answers(Err(error));
            assert_eq!(every_call(&keys), [Some(wanted); 7], "{error:?}");
        }
    }

    #[test]
    fn what_is_no_key_is_a_missing_one() {
        let (app, keys) = app();
        for length in [0, 31, 33, 64, 66] {
            app.answers(Ok(vec![4; length]));
            assert_eq!(keys.transport_public().err(), Some(KeyStoreError::Missing), "{length}");
            assert_eq!(keys.unwrap_key(&[7; 60]).err(), Some(KeyStoreError::Missing), "{length}");
        }
    }

    #[test]
    fn each_key_is_destroyed_alone() {
        let (_, keys) = app();
        keys.make_keys().unwrap();
        let wrapped = keys.wrap_key(&[7; 32]).unwrap();
        assert_eq!(*keys.unwrap_key(&wrapped).unwrap(), [7; 32]);
        keys.destroy_staff_key().unwrap();
        assert_eq!(keys.unwrap_key(&wrapped).unwrap_err(), KeyStoreError::Missing);
        keys.sign(b"x").unwrap();
        keys.destroy_transport_key().unwrap();
        assert_eq!(keys.sign(b"x").unwrap_err(), KeyStoreError::Missing);
    }

    #[test]
    fn a_key_that_can_still_be_used_is_not_destroyed_whatever_the_app_says() {
        let (app, keys) = app();
        app.answers(Ok(vec![7; 64]));
        let failed = Err(KeyStoreError::Storage(StoreFault::Failed));
        assert_eq!((keys.destroy_staff_key(), keys.destroy_transport_key()), (failed, failed));
    }
}
