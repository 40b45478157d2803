//! Face files: each is put into the folder of the receipt computer (レセコン) once, and never again.
//!
//! The consumer takes a file within moments and deletes it, so a file that is not there may have been taken. Therefore:
//!
//! 1. Name and bytes are committed with the record (`waiting`).
//! 2. The bytes are *staged* in the folder under a hidden name that no consumer takes; file and folder are synced.
//! 3. `renaming` is committed. From here on nothing is ever staged again.
//! 4. The staged file is renamed; the folder is synced.
//! 5. `written` is committed.
//!
//! Files that wait at the same time take each step together, and share its waits for the disk.
//!
//! After a kill before 3 the file is staged anew: nobody has seen it. After a kill between 3 and 5 the staged name tells:
//! still there, so it was not renamed and is renamed now; gone, so it was renamed, and the consumer may have it already.
//! "Gone" must not be believed of a folder that is not there, and nothing may be written into the empty folder where a
//! share is not mounted, so a small marker file shows that the folder is the one that the desk claimed first.

use std::{
    fs::{self, OpenOptions},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tazune_model::{Clock, FailureCode, RecordId};
use tokio::sync::Notify;

use super::pause::Pause;
use crate::{
    Stopping, files,
    ports::Worker,
    store::{DeskStore, PendingExport, StoreError},
};

const MARKER: &str = ".tazune-face-folder";
const MARKER_TEXT: &[u8] = b"Tazune stages face files in this folder. Leave this file here.\n";
const UNMARKED: &str = "its file .tazune-face-folder is not there: a share is not connected, or the file was deleted (then make an empty one)";

/// Made and removed to see whether the folder can be written; hidden, and named as no face file is.
const PROBE: &str = ".tazune-probe.tmp";

/// Name of the file in the desk's folder that says which folder was claimed.
const NOTE: &str = "face-folder-claimed";

/// Most files that take a step together.
const FILES_AT_ONCE: u32 = 32;

/// Rest after a failure.
const PAUSE: Pause = Pause::new(Duration::from_millis(500), Duration::from_secs(30));

/// The face folder cannot be used just now; the record waits.
#[derive(Debug, thiserror::Error)]
#[error("the face folder cannot be written: {0}")]
struct FaceError(#[from] io::Error);

impl FaceError {
    /// The failure a person meets.
    const fn failure_code(&self) -> FailureCode {
        FailureCode::FaceFolderUnwritable
    }
}

/// Empties the outbox into the face folder.
pub(crate) struct FaceExporter {
    folder: FaceFolder,
    worker: Worker,
    store: Arc<dyn DeskStore>,
    clock: Arc<dyn Clock>,
    bell: Notify,
    failure: Mutex<Option<FailureCode>>,
}

#[derive(Debug, thiserror::Error)]
enum ExportError {
    #[error(transparent)]
    Face(#[from] FaceError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ExportError {
    const fn failure_code(&self) -> FailureCode {
        match self {
            Self::Face(error) => error.failure_code(),
            Self::Store(error) => error.failure_code(),
        }
    }
}

impl FaceExporter {
    pub(super) fn new(folder: FaceFolder, store: Arc<dyn DeskStore>, clock: Arc<dyn Clock>, worker: Worker) -> Self {
        Self { folder, worker, store, clock, bell: Notify::new(), failure: Mutex::new(None) }
    }

    /// Why files wait, if they do.
    pub(super) fn failure(&self) -> Option<FailureCode> {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// There may be something in the outbox.
    pub(super) fn wake(&self) {
        self.bell.notify_one();
    }

    /// Writes what is in the outbox and waits for more, until asked to stop; a step once begun is finished.
    pub(super) async fn run(&self, stopping: Stopping) {
        let mut pause = PAUSE;
        loop {
            let step = self.step().await;
            *self.failure.lock().unwrap_or_else(PoisonError::into_inner) =
                step.as_ref().err().map(ExportError::failure_code);
            let mut rest = Duration::ZERO;
            match step {
                Ok(true) => pause.reset(),
                Ok(false) => rest = Duration::MAX,
                Err(error) => {
                    tracing::warn!(code = %error.failure_code(), %error, "a face file waits");
                    rest = pause.after_failure();
                }
            }
            tokio::select! {
                biased;
                () = stopping.requested() => return,
                () = self.bell.notified() => {}
                () = tokio::time::sleep(rest) => {}
            }
        }
    }

    /// Takes the next files all the way; false when there are none.
    ///
    /// Several at once, because a wait for the disk costs the same for one as for many.
    async fn step(&self) -> Result<bool, ExportError> {
        let mut exports = self.store.next_exports(FILES_AT_ONCE).await?;
        let Some(first) = exports.first() else { return Ok(false) };
        // What a kill left half-way is finished before anything is begun.
        let is_renaming = first.is_renaming;
        exports.retain(|export| export.is_renaming == is_renaming);
        if !is_renaming {
            let folder = self.folder.clone();
            exports = self.blocking(move || folder.stage(exports)).await?;
            self.store.exports_renaming(records_of(&exports)).await?;
        }
        let (folder, records) = (self.folder.clone(), records_of(&exports));
        self.blocking(move || folder.publish(&exports)).await?;
        self.store.exports_written(records.clone(), self.clock.now()).await?;
        for record in records {
            tracing::info!(%record, "face file written");
        }
        Ok(true)
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> Result<T, FaceError> {
        Ok(self.worker.run(work).await?)
    }
}

fn records_of(exports: &[PendingExport]) -> Vec<RecordId> {
    exports.iter().map(|export| export.record_id).collect()
}

/// The folder, and the desk's note that it is the one: a folder that was claimed has the marker file ever since.
#[derive(Clone)]
pub(crate) struct FaceFolder {
    path: PathBuf,
    note: PathBuf,
}

impl FaceFolder {
    /// `desk` is the desk's own folder, which keeps the note.
    pub(crate) fn new(path: PathBuf, desk: &Path) -> Self {
        Self { path, note: desk.join(NOTE) }
    }

    /// Puts the marker into the folder, the first time that this desk uses it; afterwards the marker must be there.
    ///
    /// An empty folder without it, such as the place where a share is mounted, is not the one that was claimed.
    pub(crate) fn claim(&self) -> io::Result<()> {
        let marker = self.path.join(MARKER);
        if self.is_claimed() {
            return if marker.exists() { Ok(()) } else { Err(io::Error::new(io::ErrorKind::NotFound, UNMARKED)) };
        }
        files::write_synced(OpenOptions::new().write(true).create(true).truncate(true), &marker, MARKER_TEXT)?;
        files::sync_folder(&self.path)?;
        files::write_private(&self.note, self.path.as_os_str().as_encoded_bytes())
    }

    /// Whether it is the claimed folder and takes a file, which is removed at once.
    pub(super) fn prove_writable(&self) -> io::Result<()> {
        self.claim()?;
        let probe = self.path.join(PROBE);
        fs::write(&probe, [])?;
        fs::remove_file(&probe)
    }

    fn is_claimed(&self) -> bool {
        fs::read(&self.note).is_ok_and(|noted| noted == self.path.as_os_str().as_encoded_bytes())
    }

    fn staged(&self, name: &str) -> PathBuf {
        self.path.join(format!(".{name}.tmp"))
    }

    /// Puts each file under its hidden name, whole and durable, and returns those that are: all up to one that fails.
    fn stage(&self, mut exports: Vec<PendingExport>) -> io::Result<Vec<PendingExport>> {
        self.claim()?;
        for index in 0..exports.len() {
            if let Err(error) = self.stage_one(&exports[index]) {
                if index == 0 {
                    return Err(error);
                }
                // It is the first of the next turn, and told then.
                exports.truncate(index);
                break;
            }
        }
        files::sync_folder(&self.path)?;
        Ok(exports)
    }

    fn stage_one(&self, export: &PendingExport) -> io::Result<()> {
        let staged = self.staged(&export.name);
        match fs::remove_file(&staged) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // A new file, so that nothing put there by others is followed; readable as other files of the share are.
        files::write_synced(OpenOptions::new().write(true).create_new(true), &staged, export.content.as_slice())
    }

    /// Gives each staged file its name, unless that has happened before.
    fn publish(&self, exports: &[PendingExport]) -> io::Result<()> {
        for PendingExport { name, .. } in exports {
            match fs::rename(self.staged(name), self.path.join(name)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound && self.path.join(MARKER).exists() => {}
                renamed => renamed?,
            }
        }
        files::sync_folder(&self.path)
    }
}

#[cfg(test)]
mod tests {
    use tazune_model::{Bytes, Timestamp};

    use super::*;

    fn export(name: &str) -> PendingExport {
        let record_id = RecordId::make(Timestamp::UNIX_EPOCH, &[7; 10]);
        PendingExport { record_id, name: name.into(), content: Bytes(b"content".to_vec()), is_renaming: false }
    }

    #[test]
    fn what_can_be_staged_before_a_file_that_cannot_is_not_held_up() {
        let place = tempfile::tempdir().unwrap();
        let folder = FaceFolder::new(place.path().join("face"), place.path());
        fs::create_dir(&folder.path).unwrap();
        let names = ["a.xml", "no/such/folder.xml", "b.xml"];
        let staged = folder.stage(names.map(export).to_vec()).unwrap();
        assert_eq!(staged, [export("a.xml")]);
        assert!(folder.stage(names[1..].iter().map(|name| export(name)).collect()).is_err());
        folder.publish(&staged).unwrap();
        folder.publish(&staged).unwrap();
        assert_eq!(fs::read(folder.path.join("a.xml")).unwrap(), b"content");
    }

    #[test]
    fn a_folder_is_claimed_once_and_one_without_the_marker_takes_nothing_after_that() {
        let place = tempfile::tempdir().unwrap();
        let (path, desk) = (place.path().join("face"), place.path().join("desk"));
        fs::create_dir(&desk).unwrap();
        let folder = FaceFolder::new(path.clone(), &desk);
        assert!(folder.prove_writable().is_err() && !folder.is_claimed());
        fs::create_dir(&path).unwrap();
        folder.prove_writable().unwrap();
        let names = || fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
        assert_eq!(names(), [MARKER]);

        // The share is gone, and the place where it was mounted is there.
        fs::rename(&path, place.path().join("share")).unwrap();
        fs::create_dir(&path).unwrap();
        let told = folder.stage(vec![export("a.xml")]).unwrap_err().to_string();
        assert!(told.contains(MARKER), "{told}");
        assert!(folder.prove_writable().is_err() && folder.publish(&[export("a.xml")]).is_err());
        assert_eq!(names(), [""; 0]);

        fs::remove_dir(&path).unwrap();
        fs::rename(place.path().join("share"), &path).unwrap();
        let staged = folder.stage(vec![export("a.xml")]).unwrap();
        folder.publish(&staged).unwrap();
        assert_eq!(names().len(), 2);

        // Another folder in the settings is another folder.
        let other = FaceFolder::new(place.path().join("other"), &desk);
        fs::create_dir(place.path().join("other")).unwrap();
        other.claim().unwrap();
        assert!(other.is_claimed() && !folder.is_claimed());
    }
}
