//! The witness of the audit: every checkpoint as a line of a file that may lie on another disk or share.
//!
//! Who sets the whole database back, checkpoints and all, leaves a chain that is whole; only the witness knows more. It is
//! written beside the work and behind it, never in its way: a share that is away makes the witness late, not the desk. What
//! it missed it gets later, because the database keeps every checkpoint. Nothing here ever shortens the file, but for a last
//! line that was torn.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tazune_link::audit::{AuditBroken, CheckpointRow, SignedCheckpoint};
use tokio::sync::watch;

use super::pause::Pause;
use crate::{
    Stopping, files,
    ports::Worker,
    store::{DeskStore, StoreError},
};

/// Rest after a failure.
const PAUSE: Pause = Pause::new(Duration::from_millis(500), Duration::from_secs(60));

/// Most checkpoints that are written at once.
const BATCH: u32 = 500;

pub(super) struct Witness {
    path: PathBuf,
    store: Arc<dyn DeskStore>,
    worker: Worker,
    grew: watch::Receiver<()>,
    /// How far the file reaches; `None` while it has to be looked at.
    reached: Option<Reached>,
}

/// How far the file reaches.
#[derive(Clone, Debug)]
struct Reached {
    /// Number of its last checkpoint, 0 for none.
    number: i64,
    /// Its length in whole lines, in bytes.
    length: u64,
}

#[derive(Debug, thiserror::Error)]
enum WitnessError {
    #[error(transparent)]
    File(#[from] io::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Witness {
    pub(super) fn new(path: PathBuf, store: Arc<dyn DeskStore>, worker: Worker) -> Self {
        let grew = store.audit_grew();
        Self { path, store, worker, grew, reached: None }
    }

    /// Writes every checkpoint as soon as it can, until asked to stop.
    pub(super) async fn run(&mut self, stopping: Stopping) {
        let mut pause = PAUSE;
        loop {
            self.grew.mark_unchanged();
            let mut rest = Duration::MAX;
            match self.catch_up().await {
                Ok(()) => pause.reset(),
                Err(error) => {
                    tracing::warn!(%error, "the witness of the audit waits");
                    self.reached = None;
                    rest = pause.after_failure();
                }
            }
            tokio::select! {
                biased;
                () = stopping.requested() => return,
                _ = self.grew.changed(), if rest == Duration::MAX => {}
                () = tokio::time::sleep(rest) => {}
            }
        }
    }

    /// Writes what came last.
    pub(super) async fn finish(mut self) {
        if let Err(error) = self.catch_up().await {
            tracing::warn!(%error, "the witness of the audit will get its last lines at the next start");
        }
    }

    async fn catch_up(&mut self) -> Result<(), WitnessError> {
        let mut reached = match self.reached.clone() {
            Some(reached) => reached,
            None => self.look().await?,
        };
        loop {
            let rows = self.store.checkpoints_after(reached.number, BATCH).await?;
            let Some(last) = rows.last() else { break };
            let (path, length, number) = (self.path.clone(), reached.length, last.number);
            reached = Reached { number, length: self.worker.run(move || append(&path, length, &rows)).await? };
        }
        self.reached = Some(reached);
        Ok(())
    }

    /// Looks where the file ends, and whether the database still has what stands there.
    async fn look(&self) -> Result<Reached, WitnessError> {
        let path = self.path.clone();
        let Some((line, length)) = self.worker.run(move || last_line(&path)).await? else {
            return Ok(Reached { number: 0, length: 0 });
        };
        let witnessed = SignedCheckpoint::verify(&line).map_or(0, |body| body.number);
        let stored = self.store.checkpoints_after(witnessed.saturating_sub(1), 1).await?.pop();
        if stored.is_some_and(|stored| stored.number == witnessed && stored.checkpoint == line) {
            return Ok(Reached { number: witnessed, length });
        }
        let code = AuditBroken { findings: 1 }.failure_code();
        tracing::error!(%code, witnessed, "the database was set back, or the witness is of another desk");
        // The file keeps what it says; all that the database says follows.
        Ok(Reached { number: 0, length })
    }
}

/// The last whole line and where it ends; `None` when there is none.
fn last_line(path: &Path) -> io::Result<Option<(String, u64)>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let (mut lines, mut line, mut last, mut length) = (BufReader::new(file), String::new(), None, 0);
    while lines.read_line(&mut line)? > 0 && line.ends_with('\n') {
        length += line.len() as u64;
        last = Some((line.trim_end().to_owned(), length));
        line.clear();
    }
    Ok(last)
}

/// Adds lines after `length` bytes, where the last whole line ended, and returns where they end once they are on the disk.
///
/// Whole lines that somebody else put behind them, such as the same desk restored on another computer, are kept: they tell
/// of it.
fn append(path: &Path, length: u64, rows: &[CheckpointRow]) -> io::Result<u64> {
    let is_new = !path.exists();
    if is_new && length > 0 {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the witness is gone; it is written anew"));
    }
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    let found = file.metadata()?.len();
    if found < length {
        return Err(io::Error::other("the witness has become shorter"));
    }
    let mut behind = Vec::new();
    file.seek(SeekFrom::Start(length))?;
    file.read_to_end(&mut behind)?;
    let whole = behind.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    if whole < behind.len() {
        // What was torn was never called written.
        file.set_len(length + whole as u64)?;
    }
    file.seek(SeekFrom::End(0))?;
    let lines: String = rows.iter().map(|row| format!("{}\n", row.checkpoint)).collect();
    file.write_all(lines.as_bytes())?;
    file.sync_all()?;
    if is_new && let Some(folder) = path.parent() {
        files::sync_folder(folder)?;
    }
    Ok(file.metadata()?.len())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn only_a_torn_line_is_ever_cut_also_where_another_desk_writes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("witness");
        let row = |number: i64| CheckpointRow { number, checkpoint: format!("line {number}") };
        let reached = append(&path, 0, &[row(1)]).unwrap();
        fs::write(&path, "line 1\nof another\nto").unwrap();
        let reached = append(&path, reached, &[row(2)]).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "line 1\nof another\nline 2\n");
        assert_eq!(append(&path, reached, &[row(3)]).unwrap(), fs::metadata(&path).unwrap().len());
        assert_eq!(fs::read_to_string(&path).unwrap(), "line 1\nof another\nline 2\nline 3\n");
        fs::write(&path, "line 1\n").unwrap();
        assert!(append(&path, reached, &[row(4)]).is_err(), "it is looked at again");
    }
}
