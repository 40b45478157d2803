use std::{
    collections::HashMap,
    fmt::{self, Write as _},
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use keyring_core::{CredentialStore, Entry, Error};
use rand::RngExt as _;
use tazune_link::keys::VerifyingKey;
use tazune_model::StoreFault;
use zeroize::Zeroizing;

use super::{
    KeyStore, KeyStoreError,
    file::{storage, write_private_file},
    vault::{KeyName, Vault, VaultKeys},
};
use crate::clock::system_generator;

/// Keys in the key store of the signed-in user: Secret Service on Linux, Credential Manager on Windows, the keychain on macOS.
///
/// Transport and staff key are two entries of the service `tazune`. Their names end with a random number that lies in the
/// device's folder, so that two devices on one computer share no key. The first use of a key may ask the person to unlock
/// the store; after that both keys are used in this process's memory, because none of these stores signs by itself.
#[derive(Debug)]
pub struct OsKeyStore(VaultKeys<OsEntries>);

impl OsKeyStore {
    /// The keys of the device whose `folder` this is; nothing is read, written or asked yet.
    #[must_use]
    pub fn open(folder: &Path) -> Self {
        Self::with(folder, open_store)
    }

    fn with(folder: &Path, open: impl Fn() -> Result<Arc<CredentialStore>, Error> + Send + Sync + 'static) -> Self {
        let entries = OsEntries { number: folder.join("os-entries"), open: Box::new(open) };
        Self(VaultKeys::new(folder.to_path_buf(), entries))
    }
}

impl KeyStore for OsKeyStore {
    fn make_keys(&self) -> Result<(), KeyStoreError> {
        self.0.make()
    }

    fn transport_public(&self) -> Result<VerifyingKey, KeyStoreError> {
        self.0.transport()?.public()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyStoreError> {
        Ok(self.0.transport()?.sign(message))
    }

    fn wrap_key(&self, key: &[u8; 32]) -> Result<Vec<u8>, KeyStoreError> {
        Ok(self.0.staff()?.wrap_key(key))
    }

    fn unwrap_key(&self, wrapped: &[u8]) -> Result<Zeroizing<[u8; 32]>, KeyStoreError> {
        self.0.staff()?.unwrap_key(wrapped)
    }

    fn destroy_staff_key(&self) -> Result<(), KeyStoreError> {
        self.0.destroy(KeyName::Staff)
    }

    fn destroy_transport_key(&self) -> Result<(), KeyStoreError> {
        self.0.destroy(KeyName::Transport)
    }
}

type OpenStore = dyn Fn() -> Result<Arc<CredentialStore>, Error> + Send + Sync;

struct OsEntries {
    /// The file with the number that ends this device's entry names.
    number: PathBuf,
    open: Box<OpenStore>,
}

impl OsEntries {
    /// The number of this device; `None` before its first key was made.
    fn number(&self) -> Result<Option<String>, KeyStoreError> {
        match fs::read_to_string(&self.number) {
            Ok(number) => Ok(Some(number)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(storage(&error)),
        }
    }

    fn make_number(&self) -> Result<String, KeyStoreError> {
        let bytes: [u8; 16] = system_generator().random();
        let number = bytes.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        });
        write_private_file(&self.number, number.as_bytes()).map_err(|error| storage(&error))?;
        Ok(number)
    }

    fn entry(&self, key: KeyName, number: &str) -> Result<Entry, KeyStoreError> {
        let kind = match key {
            KeyName::Transport => "transport",
            KeyName::Staff => "staff",
        };
        // Whatever keeps the store from being opened, there is none to be used.
        let store = (self.open)().map_err(|error| {
            tracing::debug!(%error, "the key store of the system could not be opened");
            KeyStoreError::Absent
        })?;
        let modifiers: HashMap<&str, &str> = ENTRY_MODIFIERS.iter().copied().collect();
        store.build("tazune", &format!("{kind}-{number}"), Some(&modifiers)).map_err(refused)
    }
}

impl Vault for OsEntries {
    fn read(&self, key: KeyName) -> Result<Option<Zeroizing<Vec<u8>>>, KeyStoreError> {
        let Some(number) = self.number()? else { return Ok(None) };
        match self.entry(key, &number)?.get_secret() {
            Ok(bytes) => Ok(Some(Zeroizing::new(bytes))),
            Err(Error::NoEntry) => Ok(None),
            Err(error) => Err(refused(error)),
        }
    }

    fn write(&self, key: KeyName, bytes: &[u8]) -> Result<(), KeyStoreError> {
        let number = match self.number()? {
            Some(number) => number,
            None => self.make_number()?,
        };
        self.entry(key, &number)?.set_secret(bytes).map_err(refused)
    }

    fn destroy(&self, key: KeyName) -> Result<(), KeyStoreError> {
        let Some(number) = self.number()? else { return Ok(()) };
        match self.entry(key, &number)?.delete_credential() {
            Ok(()) | Err(Error::NoEntry) => Ok(()),
            Err(error) => Err(refused(error)),
        }
    }
}

impl fmt::Debug for OsEntries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OsEntries")
    }
}

/// What an entry's refusal means; the error is not told on, because it can carry the entry's bytes.
fn refused(error: Error) -> KeyStoreError {
    match error {
        // Also when the person declined to unlock it.
        Error::NoStorageAccess(_) => KeyStoreError::Locked,
        Error::BadEncoding(bytes) | Error::BadDataFormat(bytes, _) => {
            drop(Zeroizing::new(bytes));
            KeyStoreError::Missing
        }
        Error::Ambiguous(_) => KeyStoreError::Missing,
        Error::NoDefaultStore | Error::NotSupportedByStore(_) => KeyStoreError::Absent,
        _ => KeyStoreError::Storage(StoreFault::Failed),
    }
}

#[cfg(windows)]
fn open_store() -> Result<Arc<CredentialStore>, Error> {
    Ok(windows_native_keyring_store::Store::new()?)
}

/// A key belongs to this computer and does not follow the user to another.
#[cfg(windows)]
const ENTRY_MODIFIERS: &[(&str, &str)] = &[("persistence", "Local")];

#[cfg(target_vendor = "apple")]
fn open_store() -> Result<Arc<CredentialStore>, Error> {
    Ok(apple_native_keyring_store::keychain::Store::new()?)
}

#[cfg(not(any(windows, target_vendor = "apple")))]
fn open_store() -> Result<Arc<CredentialStore>, Error> {
    Ok(zbus_secret_service_keyring_store::Store::new()?)
}

#[cfg(not(windows))]
const ENTRY_MODIFIERS: &[(&str, &str)] = &[];

#[cfg(test)]
mod tests {
    use keyring_core::mock;

    use super::*;

    /// Stores of one user: each [`OsKeyStore`] opens the same one.
    struct User {
        store: Arc<mock::Store>,
        folder: tempfile::TempDir,
    }

    impl User {
        fn new() -> Self {
            Self { store: mock::Store::new().unwrap(), folder: tempfile::tempdir().unwrap() }
        }

        fn device(&self, name: &str) -> OsKeyStore {
            let store = self.store.clone();
            OsKeyStore::with(&self.folder.path().join(name), move || Ok(store.clone()))
        }

        fn entry(&self, name: &str, key: KeyName) -> Entry {
            let number = fs::read_to_string(self.folder.path().join(name).join("os-entries")).unwrap();
            self.device(name).0.vault().entry(key, &number).unwrap()
        }

        fn fails_once(&self, name: &str, error: Error) {
            let entry = self.entry(name, KeyName::Transport);
            entry.as_any().downcast_ref::<mock::Cred>().unwrap().set_error(error);
        }
    }

    #[test]
    fn keys_survive_a_restart_and_are_never_made_anew() {
        let user = User::new();
        let first = user.device("a");
        assert_eq!(first.transport_public().unwrap_err(), KeyStoreError::Missing);
        first.make_keys().unwrap();
        let (public, wrapped) = (first.transport_public().unwrap(), first.wrap_key(&[7; 32]).unwrap());
        let second = user.device("a");
        second.make_keys().unwrap();
        assert_eq!(second.transport_public().unwrap(), public);
        assert_eq!(*second.unwrap_key(&wrapped).unwrap(), [7; 32]);
        assert!(!second.is_insecure());
    }

    #[test]
    fn two_devices_on_one_computer_share_no_key() {
        let user = User::new();
        let (a, b) = (user.device("a"), user.device("b"));
        a.make_keys().unwrap();
        b.make_keys().unwrap();
        assert_ne!(a.transport_public().unwrap(), b.transport_public().unwrap());
        assert_eq!(b.unwrap_key(&a.wrap_key(&[7; 32]).unwrap()).unwrap_err(), KeyStoreError::Missing);
    }

    #[test]
    fn keys_half_made_are_whole_at_the_next_try_and_the_half_stays() {
        let user = User::new();
        user.device("a").make_keys().unwrap();
        let public = user.device("a").transport_public().unwrap();
        user.entry("a", KeyName::Staff).delete_credential().unwrap();
        assert_eq!(user.device("a").wrap_key(&[7; 32]).unwrap_err(), KeyStoreError::Missing);
        user.device("a").make_keys().unwrap();
        user.device("a").wrap_key(&[7; 32]).unwrap();
        assert_eq!(user.device("a").transport_public().unwrap(), public);
        user.entry("a", KeyName::Transport).delete_credential().unwrap();
        user.device("a").make_keys().unwrap();
        assert_ne!(user.device("a").transport_public().unwrap(), public);
        // Killed after the number and before the first entry.
        fs::create_dir(user.folder.path().join("b")).unwrap();
        user.device("b").0.vault().make_number().unwrap();
        user.device("b").make_keys().unwrap();
        user.device("b").sign(b"x").unwrap();
    }

    #[test]
    fn what_the_store_refuses_is_named_and_passes() {
        let user = User::new();
        user.device("a").make_keys().unwrap();
        let why = || -> Box<dyn std::error::Error + Send + Sync> { Box::new(fmt::Error) };
        let table = [
            (Error::NoStorageAccess(why()), KeyStoreError::Locked),
            (Error::BadEncoding(vec![0xff]), KeyStoreError::Missing),
            (Error::BadDataFormat(vec![0xff], why()), KeyStoreError::Missing),
            (Error::Ambiguous(Vec::new()), KeyStoreError::Missing),
            (Error::NoDefaultStore, KeyStoreError::Absent),
            (Error::PlatformFailure(why()), KeyStoreError::Storage(StoreFault::Failed)),
        ];
        for (error, wanted) in table {
            user.fails_once("a", error);
            let device = user.device("a");
            assert_eq!(device.sign(b"x").unwrap_err(), wanted);
            device.sign(b"x").unwrap();
        }
        user.fails_once("a", Error::NoStorageAccess(why()));
        assert_eq!(user.device("a").make_keys().unwrap_err(), KeyStoreError::Locked, "and makes no other key");
    }

    #[test]
    fn a_destroyed_key_is_gone_from_the_store_and_the_other_stays() {
        let user = User::new();
        let device = user.device("a");
        device.destroy_staff_key().unwrap();
        device.make_keys().unwrap();
        for _ in 0..2 {
            device.destroy_staff_key().unwrap();
            assert_eq!(device.wrap_key(&[7; 32]).unwrap_err(), KeyStoreError::Missing);
            assert!(matches!(user.entry("a", KeyName::Staff).get_secret(), Err(Error::NoEntry)));
            device.sign(b"x").unwrap();
        }
        user.fails_once("a", Error::NoStorageAccess(Box::new(fmt::Error)));
        assert_eq!(device.destroy_transport_key().unwrap_err(), KeyStoreError::Locked, "and can be tried again");
        for _ in 0..2 {
            device.destroy_transport_key().unwrap();
            assert_eq!(device.sign(b"x").unwrap_err(), KeyStoreError::Missing);
        }
    }

    #[test]
    fn a_damaged_entry_is_a_missing_key() {
        let user = User::new();
        user.device("a").make_keys().unwrap();
        for key in [KeyName::Transport, KeyName::Staff] {
            let entry = user.entry("a", key);
            let kept = entry.get_secret().unwrap();
            entry.set_secret(&kept[..kept.len() - 1]).unwrap();
            let device = user.device("a");
            let used = [device.sign(b"x"), device.wrap_key(&[7; 32])].into_iter().filter_map(Result::err);
            assert_eq!(used.collect::<Vec<_>>(), [KeyStoreError::Missing], "{key:?}");
            entry.set_secret(&kept).unwrap();
        }
        user.device("a").sign(b"x").unwrap();
    }

    #[test]
    fn without_a_store_that_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let store = OsKeyStore::with(folder.path(), || Err(Error::PlatformFailure(Box::new(fmt::Error))));
        assert_eq!(store.make_keys().unwrap_err(), KeyStoreError::Absent);
    }
}
