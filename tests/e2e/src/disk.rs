//! A disk that fails on order: at the n-th call that changes a folder the program is killed, or the call gives an error.
//!
//! The programs are the shipped ones; `disk.c` is loaded between them and the C library. It is compiled when it is first
//! used, by the C compiler that SQLite needed already. Only for Linux.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use crate::process::Launcher;

const SHIM: &str = include_str!("disk.c");

/// What happens at the calls that an order names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strike {
    /// SIGKILL instead of the call.
    KillBefore,
    /// SIGKILL when the call is done.
    KillAfter,
    /// An input or output error (EIO).
    InputOutput,
    /// No space left (ENOSPC).
    Full,
    /// A sync is answered and not done, as by a program that does not ask for one.
    ForgetSyncs,
}

/// Which calls are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// All that change the folder.
    All,
    /// Those that make a change durable or visible: sync, create, rename, delete, truncate.
    Barriers,
}

/// A disk for programs that change one folder.
#[derive(Clone, Debug)]
pub struct Disk {
    shim: PathBuf,
    order: PathBuf,
    root: PathBuf,
}

impl Disk {
    /// Makes a disk that fails for paths in `root`; what it needs is kept in `own`, a folder outside of it.
    ///
    /// # Panics
    /// When there is no C compiler.
    #[must_use]
    pub fn new(own: &Path, root: &Path) -> Self {
        let (source, shim) = (own.join("disk.c"), own.join("disk.so"));
        fs::write(&source, SHIM).expect("a test folder can be written");
        let compiled = Command::new("cc").args(["-O1", "-shared", "-fPIC", "-o"]).args([&shim, &source]).status();
        assert!(compiled.is_ok_and(|status| status.success()), "cc compiles the disk that fails");
        Self { shim, order: own.join("order"), root: root.to_owned() }
    }

    /// How programs are started on this disk.
    #[must_use]
    pub fn launcher(&self) -> Launcher {
        let text = |path: &Path| path.to_str().expect("test folders have plain names").to_owned();
        Launcher {
            prefix: Vec::new(),
            environment: vec![
                ("LD_PRELOAD", text(&self.shim)),
                ("TAZUNE_DISK_ROOT", text(&self.root)),
                ("TAZUNE_DISK_ORDER", text(&self.order)),
            ],
        }
    }

    /// Strikes the `number`-th counted call from now on, from 1.
    ///
    /// A program counts from the first order that it finds: each program takes one.
    ///
    /// # Panics
    /// When the order cannot be written.
    pub fn order(&self, strike: Strike, counted: Counted, number: u32) {
        self.write(strike, counted, number, number);
    }

    /// Strikes every counted call from the `number`-th on.
    ///
    /// # Panics
    /// When the order cannot be written.
    pub fn order_onward(&self, strike: Strike, counted: Counted, number: u32) {
        self.write(strike, counted, number, u32::MAX);
    }

    /// Withdraws the order; the disk is sound again.
    pub fn withdraw(&self) {
        let _ = fs::remove_file(&self.order);
    }

    /// The calls struck since the order: number, name and path of each.
    #[must_use]
    pub fn struck(&self) -> Vec<String> {
        let told = fs::read_to_string(self.hits()).unwrap_or_default();
        told.lines().map(ToOwned::to_owned).collect()
    }

    fn write(&self, strike: Strike, counted: Counted, first: u32, last: u32) {
        let _ = fs::remove_file(self.hits());
        let action = match strike {
            Strike::KillBefore => "before",
            Strike::KillAfter => "after",
            Strike::ForgetSyncs => "forget",
            Strike::InputOutput => "5",
            Strike::Full => "28",
        };
        let which = if counted == Counted::All { "all" } else { "barriers" };
        // Whole at once: a program that runs looks at every call.
        let draft = self.order.with_extension("draft");
        let write = || -> io::Result<()> {
            fs::write(&draft, format!("{action} {which} {first} {last}\n"))?;
            fs::rename(&draft, &self.order)
        };
        write().expect("a test folder can be written");
    }

    fn hits(&self) -> PathBuf {
        self.order.with_extension("hit")
    }
}

/// Copies a folder of files and folders.
///
/// # Panics
/// When something cannot be read or written.
pub fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a test folder can be made");
    for entry in fs::read_dir(from).expect("the folder can be listed") {
        let entry = entry.expect("the folder can be listed");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a file can be copied");
        }
    }
}
