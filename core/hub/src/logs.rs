//! Where the hub writes what happens: standard error, or files of its own that stay within a limit.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, IsTerminal as _, Write},
    panic,
    path::{Path, PathBuf},
    process,
    sync::Mutex,
};

use tracing_subscriber::EnvFilter;

use crate::{config::SettingError, files};

/// Name of the file that is written; older ones have `.1`, the youngest, to `.9` behind it.
///
/// Own code, because what there is either has no limit in bytes (`tracing-appender` turns by the clock) or ends the program
/// when somebody deletes an old file (`file-rotate`).
const FILE: &str = "tazune-hub.log";

/// Size of a file, give or take a line, and number of older ones: about 100 MB in all.
const FILE_BYTES: u64 = 10_000_000;
const OLDER_FILES: u32 = 9;

/// Exit code of a hub in which something that cannot be has happened.
pub const PANICKED: i32 = 70;

/// Logs to files in `folder`, or to standard error; `RUST_LOG` chooses what, by default `info`.
///
/// From here on a panic anywhere ends the process with [`PANICKED`], so that no part of the hub goes on without another
/// and the service manager starts it anew. Only the place is logged, because a message may hold a value.
///
/// # Errors
/// [`SettingError`] when the folder cannot be made or written.
pub fn start(folder: Option<&Path>) -> Result<(), SettingError> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter);
    match folder {
        Some(folder) => {
            let file = Rotating::open(folder, FILE_BYTES).map_err(SettingError::file(folder))?;
            log.with_writer(Mutex::new(file)).with_ansi(false).init();
        }
        None => log.with_writer(io::stderr).with_ansi(io::stderr().is_terminal()).init(),
    }
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "the hub ends, because something happened that cannot be");
        process::exit(PANICKED);
    }));
    Ok(())
}

/// A file that makes room for a new one before it grows beyond its limit.
struct Rotating {
    path: PathBuf,
    limit: u64,
    file: File,
    written: u64,
}

impl Rotating {
    fn open(folder: &Path, limit: u64) -> io::Result<Self> {
        files::create_private_folder(folder)?;
        let path = folder.join(FILE);
        let file = append(&path)?;
        let written = file.metadata()?.len();
        Ok(Self { path, limit, file, written })
    }

    fn older(&self, age: u32) -> PathBuf {
        match age {
            0 => self.path.clone(),
            age => self.path.with_added_extension(age.to_string()),
        }
    }

    /// A file that somebody has deleted or holds open (Windows) is passed over; the limit holds all the same.
    fn turn(&mut self) -> io::Result<()> {
        for age in (0..OLDER_FILES).rev() {
            let _ = fs::rename(self.older(age), self.older(age + 1));
        }
        if fs::metadata(&self.path).is_ok_and(|metadata| metadata.len() > 0) {
            self.file.set_len(0)?;
        }
        self.file = append(&self.path)?;
        self.written = 0;
        Ok(())
    }
}

impl Write for Rotating {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.written > 0 && self.written + line.len() as u64 > self.limit {
            self.turn()?;
        }
        let count = self.file.write(line)?;
        self.written += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn append(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_over_many_starts_stays_within_the_limit_and_keeps_the_newest() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("log");
        let line = |n: usize| format!("line {n:08} of a burst that does not end\n");
        for start in 0..5 {
            let mut file = Rotating::open(&folder, 1000).unwrap();
            for n in 0..2000 {
                file.write_all(line(start * 2000 + n).as_bytes()).unwrap();
            }
        }
        let sizes: Vec<u64> =
            fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).collect();
        assert_eq!(sizes.len(), OLDER_FILES as usize + 1);
        assert!(sizes.iter().all(|size| *size <= 1000), "{sizes:?}");
        assert!(fs::read_to_string(folder.join(FILE)).unwrap().ends_with(&line(9999)));
    }

    #[test]
    fn a_log_that_somebody_takes_away_begins_anew() {
        let place = tempfile::tempdir().unwrap();
        let mut file = Rotating::open(place.path(), 100).unwrap();
        for n in 0..100 {
            writeln!(file, "a line of some length, number {n}").unwrap();
            if n == 50 {
                for entry in fs::read_dir(place.path()).unwrap() {
                    fs::remove_file(entry.unwrap().path()).unwrap();
                }
            }
        }
        assert!(fs::read_to_string(place.path().join(FILE)).unwrap().contains("number 99"));
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_told() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("file"), "").unwrap();
        assert!(Rotating::open(&place.path().join("file/log"), 1000).is_err());
    }
}
