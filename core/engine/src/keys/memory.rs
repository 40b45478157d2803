use std::sync::{Mutex, MutexGuard, PoisonError};

use tazune_link::keys::VerifyingKey;
use zeroize::Zeroizing;

use super::{
    KeyStore, KeyStoreError,
    software::{self, StaffKey, TransportKey},
};

/// Keys that live and die with this object: for tests and simulators; it can be locked like a phone's.
#[derive(Debug, Default)]
pub struct MemoryKeyStore(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    transport: Option<TransportKey>,
    staff: Option<StaffKey>,
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

    /// The keys, unless they are locked.
    fn unlocked(&self) -> Result<MutexGuard<'_, State>, KeyStoreError> {
        let state = self.state();
        if state.locked { Err(KeyStoreError::Locked) } else { Ok(state) }
    }

    fn with_transport<T>(&self, use_key: impl FnOnce(&TransportKey) -> T) -> Result<T, KeyStoreError> {
        self.unlocked()?.transport.as_ref().map(use_key).ok_or(KeyStoreError::Missing)
    }

    fn with_staff<T>(&self, use_key: impl FnOnce(&StaffKey) -> T) -> Result<T, KeyStoreError> {
        self.unlocked()?.staff.as_ref().map(use_key).ok_or(KeyStoreError::Missing)
    }
}

impl KeyStore for MemoryKeyStore {
    fn make_keys(&self) -> Result<(), KeyStoreError> {
        let mut state = self.unlocked()?;
        if state.transport.is_none() {
            state.transport = Some(TransportKey::from_pkcs8(&software::make_transport())?);
        }
        if state.staff.is_none() {
            state.staff = Some(StaffKey::from_bytes(&*software::make_staff())?);
        }
        Ok(())
    }

    fn transport_public(&self) -> Result<VerifyingKey, KeyStoreError> {
        self.with_transport(TransportKey::public)?
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyStoreError> {
        self.with_transport(|key| key.sign(message))
    }

    fn wrap_key(&self, key: &[u8; 32]) -> Result<Vec<u8>, KeyStoreError> {
        self.with_staff(|staff| staff.wrap_key(key))
    }

    fn unwrap_key(&self, wrapped: &[u8]) -> Result<Zeroizing<[u8; 32]>, KeyStoreError> {
        self.with_staff(|staff| staff.unwrap_key(wrapped))?
    }

    fn destroy_staff_key(&self) -> Result<(), KeyStoreError> {
        self.unlocked()?.staff = None;
        Ok(())
    }

    fn destroy_transport_key(&self) -> Result<(), KeyStoreError> {
        self.unlocked()?.transport = None;
        Ok(())
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

    #[test]
    fn each_key_is_destroyed_alone_and_made_anew_as_another() {
        let store = MemoryKeyStore::new();
        store.make_keys().unwrap();
        let (public, wrapped) = (store.transport_public().unwrap(), store.wrap_key(&[7; 32]).unwrap());
        store.set_locked(true);
        assert_eq!(store.destroy_staff_key().unwrap_err(), KeyStoreError::Locked);
        store.set_locked(false);
        for _ in 0..2 {
            store.destroy_staff_key().unwrap();
            assert_eq!(store.unwrap_key(&wrapped).unwrap_err(), KeyStoreError::Missing);
            store.sign(b"x").unwrap();
        }
        for _ in 0..2 {
            store.destroy_transport_key().unwrap();
            assert_eq!(store.sign(b"x").unwrap_err(), KeyStoreError::Missing);
        }
        store.make_keys().unwrap();
        assert_ne!(store.transport_public().unwrap(), public);
        assert_eq!(store.unwrap_key(&wrapped).unwrap_err(), KeyStoreError::Missing);
    }
}
