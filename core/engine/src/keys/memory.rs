use std::sync::{Mutex, MutexGuard, PoisonError};

use tazune_link::keys::VerifyingKey;
use zeroize::Zeroizing;

use super::{
    KeyStore, KeyStoreError,
    software::{self, SoftwareKeys},
};

/// Keys that live and die with this object: for tests and simulators; it can be locked like a phone's.
#[derive(Debug, Default)]
pub struct MemoryKeyStore(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    keys: Option<SoftwareKeys>,
    locked: bool,
}

impl MemoryKeyStore {
    /// A store without keys.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Refuses every use of a key from now on, or allows it again.
    pub fn set_locked(&self, locked: bool) {
        self.state().locked = locked;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with_keys<T>(
        &self,
        operation: impl FnOnce(&SoftwareKeys) -> Result<T, KeyStoreError>,
    ) -> Result<T, KeyStoreError> {
        let state = self.state();
        if state.locked {
            return Err(KeyStoreError::Locked);
        }
        operation(state.keys.as_ref().ok_or(KeyStoreError::Missing)?)
    }
}

impl KeyStore for MemoryKeyStore {
    fn make_keys(&self) -> Result<(), KeyStoreError> {
        let mut state = self.state();
        if state.locked {
            return Err(KeyStoreError::Locked);
        }
        if state.keys.is_none() {
            state.keys = Some(SoftwareKeys::from_bytes(&software::make_transport(), &*software::make_staff())?);
        }
        Ok(())
    }

    fn transport_public(&self) -> Result<VerifyingKey, KeyStoreError> {
        self.with_keys(SoftwareKeys::transport_public)
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyStoreError> {
        self.with_keys(|keys| Ok(keys.sign(message)))
    }

    fn wrap_key(&self, key: &[u8; 32]) -> Result<Vec<u8>, KeyStoreError> {
        self.with_keys(|keys| Ok(keys.wrap_key(key)))
    }

    fn unwrap_key(&self, wrapped: &[u8]) -> Result<Zeroizing<[u8; 32]>, KeyStoreError> {
        self.with_keys(|keys| keys.unwrap_key(wrapped))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locked_store_uses_no_key_until_it_is_unlocked() {
        let store = MemoryKeyStore::new();
        assert_eq!(store.sign(b"x").unwrap_err(), KeyStoreError::Missing);
        store.make_keys().unwrap();
        let wrapped = store.wrap_key(&[7; 32]).unwrap();
        store.set_locked(true);
        assert_eq!(store.make_keys().unwrap_err(), KeyStoreError::Locked);
        assert_eq!(store.transport_public().unwrap_err(), KeyStoreError::Locked);
        assert_eq!(store.sign(b"x").unwrap_err(), KeyStoreError::Locked);
        assert_eq!(store.wrap_key(&[7; 32]).unwrap_err(), KeyStoreError::Locked);
        assert_eq!(store.unwrap_key(&wrapped).unwrap_err(), KeyStoreError::Locked);
        store.set_locked(false);
        assert_eq!(*store.unwrap_key(&wrapped).unwrap(), [7; 32]);
    }

    #[test]
    fn a_wrapped_key_opens_only_whole_and_with_its_own_staff_key() {
        let (store, other) = (MemoryKeyStore::new(), MemoryKeyStore::new());
        store.make_keys().unwrap();
        other.make_keys().unwrap();
        let wrapped = store.wrap_key(&[7; 32]).unwrap();
        assert_ne!(wrapped, store.wrap_key(&[7; 32]).unwrap(), "a nonce is never used twice");
        assert_eq!(other.unwrap_key(&wrapped).unwrap_err(), KeyStoreError::Missing);
        for length in 0..wrapped.len() {
            assert_eq!(store.unwrap_key(&wrapped[..length]).unwrap_err(), KeyStoreError::Missing);
        }
        for place in 0..wrapped.len() {
            let mut altered = wrapped.clone();
            altered[place] ^= 1;
            assert_eq!(store.unwrap_key(&altered).unwrap_err(), KeyStoreError::Missing);
        }
    }
}
