use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use zeroize::Zeroizing;

use super::{
    KeyStoreError,
    file::{create_private_folder, lock_file, storage},
    software::{self, StaffKey, TransportKey},
};

/// One of the device's two keys, each kept by itself, so that one can go without the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyName {
    Transport,
    Staff,
}

/// A place that keeps the bytes of the two keys.
pub(super) trait Vault {
    /// The bytes of a key; `None` when there is none.
    fn read(&self, key: KeyName) -> Result<Option<Zeroizing<Vec<u8>>>, KeyStoreError>;

    /// Keeps the bytes of a key, whole or not at all.
    fn write(&self, key: KeyName, bytes: &[u8]) -> Result<(), KeyStoreError>;

    /// Destroys a key; one that is not there is destroyed.
    fn destroy(&self, key: KeyName) -> Result<(), KeyStoreError>;
}

/// The keys of one device in a vault, used in this process's memory once they were read.
#[derive(Debug)]
pub(super) struct VaultKeys<V> {
    folder: PathBuf,
    vault: V,
    loaded: Mutex<Loaded>,
}

#[derive(Debug, Default)]
struct Loaded {
    transport: Option<Arc<TransportKey>>,
    staff: Option<Arc<StaffKey>>,
}

impl<V: Vault> VaultKeys<V> {
    /// Keys in `vault`, with `folder` for the lock between processes; nothing is read or written yet.
    pub(super) fn new(folder: PathBuf, vault: V) -> Self {
        Self { folder, vault, loaded: Mutex::default() }
    }

    #[cfg(all(test, feature = "os-keys"))]
    pub(super) const fn vault(&self) -> &V {
        &self.vault
    }

    /// Makes the keys that are not there, also when a killed run left only one.
    pub(super) fn make(&self) -> Result<(), KeyStoreError> {
        create_private_folder(&self.folder).map_err(|error| storage(&error))?;
        // Two processes that made keys at once would each use their own and leave only one in the vault.
        let turn = lock_file(&self.folder.join("make.lock")).map_err(|error| storage(&error))?;
        turn.lock().map_err(|error| storage(&error))?;
        if self.vault.read(KeyName::Transport)?.is_none() {
            self.vault.write(KeyName::Transport, &software::make_transport())?;
        }
        if self.vault.read(KeyName::Staff)?.is_none() {
            self.vault.write(KeyName::Staff, &*software::make_staff())?;
        }
        self.transport()?;
        self.staff().map(drop)
    }

    /// The transport key; [`KeyStoreError::Missing`] unless it is there and whole.
    pub(super) fn transport(&self) -> Result<Arc<TransportKey>, KeyStoreError> {
        let mut loaded = self.loaded();
        if loaded.transport.is_none() {
            *loaded = self.load()?;
        }
        loaded.transport.clone().ok_or(KeyStoreError::Missing)
    }

    /// The staff key; [`KeyStoreError::Missing`] unless it is there and whole.
    pub(super) fn staff(&self) -> Result<Arc<StaffKey>, KeyStoreError> {
        let mut loaded = self.loaded();
        if loaded.staff.is_none() {
            *loaded = self.load()?;
        }
        loaded.staff.clone().ok_or(KeyStoreError::Missing)
    }

    /// Destroys one key, here and in the vault.
    pub(super) fn destroy(&self, key: KeyName) -> Result<(), KeyStoreError> {
        let mut loaded = self.loaded();
        match key {
            KeyName::Transport => loaded.transport = None,
            KeyName::Staff => loaded.staff = None,
        }
        self.vault.destroy(key)
    }

    /// Reads both, so that the person is asked to unlock the vault at most once.
    fn load(&self) -> Result<Loaded, KeyStoreError> {
        let transport = self.vault.read(KeyName::Transport)?;
        let staff = self.vault.read(KeyName::Staff)?;
        // A damaged one is as good as none.
        Ok(Loaded {
            transport: transport.and_then(|bytes| TransportKey::from_pkcs8(&bytes).ok()).map(Arc::new),
            staff: staff.and_then(|bytes| StaffKey::from_bytes(&bytes).ok()).map(Arc::new),
        })
    }

    fn loaded(&self) -> MutexGuard<'_, Loaded> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
