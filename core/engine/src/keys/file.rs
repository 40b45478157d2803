use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
};

use tazune_link::keys::VerifyingKey;
use tazune_model::StoreFault;
use zeroize::Zeroizing;

use super::{
    KeyStore, KeyStoreError,
    vault::{KeyName, Vault, VaultKeys},
};

/// Whether the person asked, by name, for keys in plain files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InsecureFileKeys {
    /// Not asked for: [`FileKeyStore::open`] fails.
    Refused,
    /// Asked for, on the command line by `--insecure-file-keys`.
    Allowed,
}

/// Keys in two plain files that only their owner may read: `transport.key` (PKCS#8) and `staff.key` (32 bytes).
///
/// On Windows the folder's own permissions decide. Whoever can read the files can use the keys, so this is for development
/// and demonstrations.
#[derive(Debug)]
pub struct FileKeyStore(VaultKeys<KeyFiles>);

impl FileKeyStore {
    /// A key store in `folder`; nothing is read or written yet.
    ///
    /// # Errors
    /// [`KeyStoreError::InsecureRefused`] unless plain files were asked for.
    pub fn open(folder: &Path, insecure: InsecureFileKeys) -> Result<Self, KeyStoreError> {
        if insecure == InsecureFileKeys::Refused {
            return Err(KeyStoreError::InsecureRefused);
        }
        let files = KeyFiles { folder: folder.to_path_buf() };
        Ok(Self(VaultKeys::new(folder.to_path_buf(), files)))
    }

    /// Whether a device keeps its keys in plain files in `folder`.
    #[must_use]
    pub fn is_in(folder: &Path) -> bool {
        KeyFiles { folder: folder.to_path_buf() }.path(KeyName::Transport).exists()
    }
}

impl KeyStore for FileKeyStore {
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

    fn is_insecure(&self) -> bool {
        true
    }
}

#[derive(Debug)]
struct KeyFiles {
    folder: PathBuf,
}

impl KeyFiles {
    fn path(&self, key: KeyName) -> PathBuf {
        self.folder.join(match key {
            KeyName::Transport => "transport.key",
            KeyName::Staff => "staff.key",
        })
    }
}

impl Vault for KeyFiles {
    fn read(&self, key: KeyName) -> Result<Option<Zeroizing<Vec<u8>>>, KeyStoreError> {
        match fs::read(self.path(key)) {
            Ok(bytes) => Ok(Some(Zeroizing::new(bytes))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) if error.kind() == ErrorKind::PermissionDenied => Err(KeyStoreError::Locked),
            Err(error) => Err(storage(&error)),
        }
    }

    fn write(&self, key: KeyName, bytes: &[u8]) -> Result<(), KeyStoreError> {
        write_private_file(&self.path(key), bytes).map_err(|error| storage(&error))
    }

    fn destroy(&self, key: KeyName) -> Result<(), KeyStoreError> {
        wipe(&self.path(key)).map_err(|error| storage(&error))
    }
}

/// Creates a folder, and its parents, that only the owner may enter.
pub(crate) fn create_private_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Opens a file that is there to be locked; its content is not touched, because another process may hold it.
pub(crate) fn lock_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(false).open(path)
}

/// Writes a file that only the owner may read, whole or not at all: temporary name, sync, rename, sync of the folder.
pub(super) fn write_private_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    // A left-over of a killed run may have been written with anybody's mode: it is made anew.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    fs::rename(&temporary, path)?;
    sync_parent(path)
}

/// Overwrites and deletes a file; what a disk keeps of old blocks is beyond a plain file's reach.
fn wipe(path: &Path) -> io::Result<()> {
    let mut file = match OpenOptions::new().write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let length = usize::try_from(file.metadata()?.len()).unwrap_or_default();
    file.write_all(&vec![0; length])?;
    file.sync_all()?;
    drop(file);
    fs::remove_file(path)?;
    sync_parent(path)
}

/// Returns once the names in the folder of `path` are on the disk.
fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if cfg!(unix) => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

pub(super) fn storage(error: &io::Error) -> KeyStoreError {
    KeyStoreError::Storage(file_fault(error))
}

/// What a failure to write a file means for the store.
pub(crate) fn file_fault(error: &io::Error) -> StoreFault {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StoreFault::DiskFull,
        _ => StoreFault::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(folder: &Path) -> FileKeyStore {
        FileKeyStore::open(folder, InsecureFileKeys::Allowed).unwrap()
    }

    #[test]
    fn plain_files_are_refused_unless_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let refused = FileKeyStore::open(folder.path(), InsecureFileKeys::Refused).unwrap_err();
        assert_eq!(refused, KeyStoreError::InsecureRefused);
        assert!(store(folder.path()).is_insecure());
    }

    #[test]
    fn keys_survive_a_restart_and_are_never_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let first = store(folder.path());
        first.make_keys().unwrap();
        let (public, wrapped) = (first.transport_public().unwrap(), first.wrap_key(&[7; 32]).unwrap());
        let second = store(folder.path());
        second.make_keys().unwrap();
        assert_eq!(second.transport_public().unwrap(), public);
        assert_eq!(*second.unwrap_key(&wrapped).unwrap(), [7; 32]);
    }

    #[test]
    fn keys_made_at_once_by_many_are_the_same_keys() {
        let folder = tempfile::tempdir().unwrap();
        let made = std::thread::scope(|scope| {
            let make = || {
                let store = store(folder.path());
                store.make_keys().unwrap();
                store.transport_public().unwrap()
            };
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        let kept = store(folder.path()).transport_public().unwrap();
        assert!(made.iter().all(|public| *public == kept));
    }

    #[test]
    fn missing_or_damaged_keys_are_named() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(store(folder.path()).transport_public().unwrap_err(), KeyStoreError::Missing);
        store(folder.path()).make_keys().unwrap();
        for name in ["transport.key", "staff.key"] {
            let path = folder.path().join(name);
            let kept = fs::read(&path).unwrap();
            let use_key = || match name {
                "transport.key" => store(folder.path()).sign(b"x"),
                _ => store(folder.path()).wrap_key(&[7; 32]),
            };
            fs::write(&path, &kept[..kept.len() - 1]).unwrap();
            assert_eq!(use_key().unwrap_err(), KeyStoreError::Missing, "{name}");
            fs::remove_file(&path).unwrap();
            assert_eq!(use_key().unwrap_err(), KeyStoreError::Missing, "{name}");
            fs::write(&path, kept).unwrap();
        }
        store(folder.path()).sign(b"x").unwrap();
    }

    #[test]
    fn a_destroyed_key_is_gone_from_the_disk_and_the_other_stays() {
        let folder = tempfile::tempdir().unwrap();
        let keys = store(folder.path());
        keys.make_keys().unwrap();
        let wrapped = keys.wrap_key(&[7; 32]).unwrap();
        for _ in 0..2 {
            keys.destroy_staff_key().unwrap();
            assert_eq!(keys.unwrap_key(&wrapped).unwrap_err(), KeyStoreError::Missing);
            assert!(!folder.path().join("staff.key").exists());
            store(folder.path()).sign(b"x").unwrap();
        }
        for _ in 0..2 {
            keys.destroy_transport_key().unwrap();
            assert_eq!(keys.sign(b"x").unwrap_err(), KeyStoreError::Missing);
            assert!(!folder.path().join("transport.key").exists());
        }
        keys.make_keys().unwrap();
        assert_eq!(keys.unwrap_key(&wrapped).unwrap_err(), KeyStoreError::Missing, "another key");
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_can_read_them() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("device");
        fs::create_dir(&inner).unwrap();
        fs::write(inner.join("staff.tmp"), b"left over").unwrap();
        store(&inner).make_keys().unwrap();
        for name in ["transport.key", "staff.key"] {
            let mode = fs::metadata(inner.join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
        assert!(!inner.join("staff.tmp").exists());
    }
}
