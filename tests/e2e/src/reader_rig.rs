//! Readers made of software: the system's own `pcscd` with the `vpcd` driver, and virtual cards on them.
//!
//! To a program this is a USB reader with two slots: it finds them by PC/SC and knows nothing of the rest. Both run in
//! namespaces of their own, because vpcd listens on every address and pcscd has one fixed folder; so rigs stand side by side,
//! and programs outside find theirs by the socket's path. Source: shared facts "card-protocol" §14.

use std::{
    fs::{self, File},
    io,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, PoisonError},
    thread,
    time::Duration,
};

use tazune_sim::vpcd::{InField, SharedCard};
use tempfile::TempDir;

/// The environment variable by which PC/SC programs find another socket than the system's.
pub const SOCKET_VARIABLE: &str = "PCSCLITE_CSOCK_NAME";

/// The names of the two slots, which PC/SC shows as two readers.
pub const SLOTS: [&str; 2] = ["Virtual PCD 00 00", "Virtual PCD 00 01"];

/// Where the driver's slots listen, inside the rig.
const PORTS: [u16; 2] = [0x8C7B, 0x8C7C];

/// The failures that only a reader can provoke: tests/reader has one provocation of each.
pub const FAILURES: [&str; 4] = ["TZ-C15", "TZ-C16", "TZ-C17", "TZ-C19"];

/// A card that comes back sooner is never noticed by pcscd.
const AWAY: Duration = Duration::from_secs(2);

/// A PC/SC service with two readers of its own; dropping it ends everything.
pub struct ReaderRig {
    folder: TempDir,
    /// Keeps the namespaces while no service runs; it ends when its standard input does.
    keeper: Child,
    service: Mutex<Option<Child>>,
    /// Whether a card was in the slot before.
    used: Mutex<[bool; 2]>,
}

impl ReaderRig {
    /// Starts the service with both readers plugged in and no card.
    ///
    /// # Panics
    /// When the system does not let it: it takes root, and the packages pcscd, vsmartcard-vpcd and iproute2.
    #[must_use]
    pub fn open() -> Self {
        let folder = tempfile::tempdir().expect("a folder for the rig");
        for name in ["run/pcscd", "no-readers"] {
            fs::create_dir_all(folder.path().join(name)).expect("a folder for the rig");
        }
        let set_up = r#"ip link set lo up && mount --bind "$1" /run && echo && exec cat"#;
        let mut keeper = Command::new("unshare")
            .args(["--net", "--mount", "--propagation", "private", "sh", "-c", set_up, "rig"])
            .arg(folder.path().join("run"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare is there");
        let mut is_set_up = [0];
        let output = keeper.stdout.as_mut().expect("it was asked for");
        io::Read::read_exact(output, &mut is_set_up).expect("root may make namespaces");
        let rig = Self { folder, keeper, service: Mutex::default(), used: Mutex::default() };
        rig.plug_in();
        rig
    }

    /// The socket of the service, for [`SOCKET_VARIABLE`].
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("run/pcscd/pcscd.comm")
    }

    /// Plugs the readers in.
    ///
    /// # Panics
    /// When the service does not start.
    pub fn plug_in(&self) {
        self.start(Path::new("/etc/reader.conf.d"));
    }

    /// Unplugs the readers; the service goes on without any.
    ///
    /// # Panics
    /// When the service does not start.
    pub fn unplug(&self) {
        self.start(&self.folder.path().join("no-readers"));
    }

    /// Ends the service.
    pub fn stop(&self) {
        if let Some(mut service) = self.service().take() {
            end(&mut service);
            for left in ["run/pcscd/pcscd.comm", "run/pcscd/pcscd.pid"] {
                // It may have been tidied up.
                let _ = fs::remove_file(self.folder.path().join(left));
            }
        }
    }

    /// Lays a card on a reader, 0 or 1; one that was lost comes back after `away`.
    ///
    /// # Panics
    /// When the rig is gone.
    #[must_use]
    pub fn hold(&self, slot: usize, card: SharedCard, away: Duration) -> InField {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let was_used = used.get_mut(slot).expect("a rig has two slots");
        if std::mem::replace(was_used, true) {
            thread::sleep(AWAY);
        }
        drop(used);
        let network = File::open(self.namespace("net")).expect("the rig has a network");
        let reader = ([127, 0, 0, 1], *PORTS.get(slot).expect("a rig has two slots")).into();
        // A namespace is a thread's own, and those that it starts inherit it.
        let held = thread::spawn(move || {
            enter(&network);
            InField::serve(card, reader, away.max(AWAY))
        });
        held.join().expect("a card can be laid down")
    }

    fn start(&self, readers: &Path) {
        self.stop();
        let mut service = Command::new("nsenter");
        for namespace in ["net", "mnt"] {
            let option = if namespace == "net" { "--net" } else { "--mount" };
            service.arg(format!("{option}={}", self.namespace(namespace)));
        }
        // One that is busy with a lost card can be slow to say so; its own words help nobody.
        let service = service.args(["pcscd", "--foreground", "--config"]).arg(readers);
        let started = service.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        *self.service() = Some(started.expect("nsenter is there"));
        let is_up = (0..300).any(|_| {
            thread::sleep(Duration::from_millis(50));
            UnixStream::connect(self.socket()).is_ok()
        });
        assert!(is_up, "pcscd does not start");
    }

    fn namespace(&self, kind: &str) -> String {
        format!("/proc/{}/ns/{kind}", self.keeper.id())
    }

    fn service(&self) -> std::sync::MutexGuard<'_, Option<Child>> {
        self.service.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ReaderRig {
    fn drop(&mut self) {
        self.stop();
        end(&mut self.keeper);
    }
}

/// Moves this thread into a network.
#[cfg(target_os = "linux")]
fn enter(network: &File) {
    use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
    let kind = Some(LinkNameSpaceType::Network);
    move_into_link_name_space(std::os::fd::AsFd::as_fd(network), kind).expect("root may enter");
}

#[cfg(not(target_os = "linux"))]
fn enter(_: &File) {
    unreachable!("a rig opens on Linux only");
}

fn end(child: &mut Child) {
    // It may have ended already.
    let _ = child.kill();
    let _ = child.wait();
}
