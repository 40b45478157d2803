use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tazune_engine::{KeyStore, KeyStoreError, MemoryKeyStore};
use tazune_link::keys::VerifyingKey;
use zeroize::Zeroizing;

/// The keys of a device in one schedule: the same for all schedules, and destroyed in each for itself.
pub(crate) struct LentKeys {
    keys: Arc<MemoryKeyStore>,
    has_staff: AtomicBool,
    has_transport: AtomicBool,
    /// Whether the transport key goes with the staff key: a broken variant.
    go_together: bool,
}

impl LentKeys {
    pub(crate) fn new(keys: Arc<MemoryKeyStore>, go_together: bool) -> Self {
        Self { keys, has_staff: true.into(), has_transport: true.into(), go_together }
    }

    pub(crate) fn has_staff(&self) -> bool {
        self.has_staff.load(Ordering::Relaxed)
    }

    pub(crate) fn has_transport(&self) -> bool {
        self.has_transport.load(Ordering::Relaxed)
    }

    fn staff(&self) -> Result<&MemoryKeyStore, KeyStoreError> {
        if self.has_staff() { Ok(&self.keys) } else { Err(KeyStoreError::Missing) }
    }

    fn transport(&self) -> Result<&MemoryKeyStore, KeyStoreError> {
        if self.has_transport() { Ok(&self.keys) } else { Err(KeyStoreError::Missing) }
    }
}

impl KeyStore for LentKeys {
    /// No device is paired anew here.
    fn make_keys(&self) -> Result<(), KeyStoreError> {
        Err(KeyStoreError::Missing)
    }

    fn transport_public(&self) -> Result<VerifyingKey, KeyStoreError> {
        self.transport()?.transport_public()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyStoreError> {
        self.transport()?.sign(message)
    }

    fn wrap_key(&self, key: &[u8; 32]) -> Result<Vec<u8>, KeyStoreError> {
        self.staff()?.wrap_key(key)
    }

    fn unwrap_key(&self, wrapped: &[u8]) -> Result<Zeroizing<[u8; 32]>, KeyStoreError> {
        self.staff()?.unwrap_key(wrapped)
    }

    fn destroy_staff_key(&self) -> Result<(), KeyStoreError> {
        self.has_staff.store(false, Ordering::Relaxed);
        if self.go_together { self.destroy_transport_key() } else { Ok(()) }
    }

    fn destroy_transport_key(&self) -> Result<(), KeyStoreError> {
        self.has_transport.store(false, Ordering::Relaxed);
        Ok(())
    }
}
