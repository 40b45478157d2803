//! Files of a data folder: readable by their owner only, and never seen half-written.
//!
//! On Unix the mode says so (0600, folders 0700); on Windows a new file inherits the rights of its folder, which belongs
//! to the account that ran `init`.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write},
    path::Path,
};

/// Makes a folder, with its parents, that only its owner may enter; an existing one keeps its mode.
pub(crate) fn create_private_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Writes a file of mode 0600 so that after a crash either the old or the new content is there, whole.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = path.with_added_extension("new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    write_synced(&options, &temporary, content)?;
    fs::rename(&temporary, path)?;
    match path.parent() {
        Some(folder) => sync_folder(folder),
        None => Ok(()),
    }
}

/// Writes a file and returns once its content is on the disk.
pub(crate) fn write_synced(options: &OpenOptions, path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = options.open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Returns once the names in `folder` are on the disk.
///
/// Windows has no such call and keeps them in its own journal; a share may not have it either.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    match File::open(folder)?.sync_all() {
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
        synced => synced,
    }
}

/// The right to use a data folder, held by one process at a time and given back when dropped.
#[derive(Debug)]
pub(crate) struct FolderLock(#[expect(dead_code, reason = "the lock lives as long as the open file")] File);

impl FolderLock {
    /// Takes the folder, or `None` when another process has it.
    pub(crate) fn take(folder: &Path) -> io::Result<Option<Self>> {
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(folder.join("lock"))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_folder_belongs_to_one_process_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let first = FolderLock::take(folder.path()).unwrap().unwrap();
        assert!(FolderLock::take(folder.path()).unwrap().is_none());
        drop(first);
        assert!(FolderLock::take(folder.path()).unwrap().is_some());
    }

    #[cfg(unix)]
    #[test]
    fn private_files_are_readable_by_their_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        for content in [b"first".as_slice(), b"2"] {
            write_private(&path, content).unwrap();
            assert_eq!(fs::read(&path).unwrap(), content);
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file stays");
    }
}
