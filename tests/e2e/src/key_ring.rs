//! The session of a signed-in user: a session bus, and on it the real key store of GNOME.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, PoisonError},
    thread,
    time::Duration,
};

use crate::process::Launcher;

/// How programs are started in the session of a user: with the session bus at this socket, or with none, as on a server.
#[must_use]
pub fn session(bus: Option<&Path>) -> Launcher {
    let bus = bus.map(|socket| (BUS_VARIABLE, format!("unix:path={}", socket.display())));
    Launcher { environment: bus.into_iter().collect(), ..Launcher::default() }
}

/// Where a program finds the session bus.
const BUS_VARIABLE: &str = "DBUS_SESSION_BUS_ADDRESS";

/// A session bus with GNOME's key store, whose files are in a folder of its own.
pub struct KeyRing {
    folder: PathBuf,
    _bus: Running,
    daemon: Mutex<Running>,
}

/// The password of the key ring.
const PASSWORD: &str = "a password of the tests";

impl KeyRing {
    /// Starts both in `folder`; the key ring is made, and open.
    ///
    /// # Panics
    /// When one of them does not start.
    #[must_use]
    pub fn open(folder: &Path) -> Self {
        fs::create_dir_all(folder.join("control")).expect("the folder can be written");
        let settings = folder.join("bus.conf");
        // Nothing on this bus is started by it: what answers is what the test started.
        let lines = format!(
            r#"<busconfig><type>session</type><listen>unix:path={}</listen><auth>EXTERNAL</auth>
            <policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy>
            </busconfig>"#,
            folder.join("bus").display()
        );
        fs::write(&settings, lines).expect("the folder can be written");
        let mut bus = Command::new("dbus-daemon");
        bus.arg("--nofork").arg("--nopidfile").arg("--config-file").arg(&settings);
        let bus = Running::start(bus, None);
        until(|| folder.join("bus").exists());
        let daemon = Mutex::new(Self::start_daemon(folder, Some(PASSWORD)));
        Self { folder: folder.to_owned(), _bus: bus, daemon }
    }

    /// The session with this key ring.
    #[must_use]
    pub fn session(&self) -> Launcher {
        session(Some(&self.folder.join("bus")))
    }

    /// Ends the session and begins it anew without the password: the key ring is there, and locked.
    pub fn lock(&self) {
        self.restart(None);
    }

    /// Begins the session anew with the password.
    pub fn unlock(&self) {
        self.restart(Some(PASSWORD));
    }

    /// Lets the key store run no further; who asks it is not answered.
    pub fn hang(&self) {
        self.daemon().signal("-STOP");
    }

    /// Lets it run again.
    pub fn go_on(&self) {
        self.daemon().signal("-CONT");
    }

    fn daemon(&self) -> std::sync::MutexGuard<'_, Running> {
        self.daemon.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn restart(&self, password: Option<&str>) {
        let mut daemon = self.daemon();
        daemon.end();
        until(|| !has_key_store(&self.folder));
        *daemon = Self::start_daemon(&self.folder, password);
    }

    fn start_daemon(folder: &Path, password: Option<&str>) -> Running {
        let mut daemon = Command::new("gnome-keyring-daemon");
        daemon.args(["--foreground", "--components=secrets"]).args(password.map(|_| "--unlock"));
        daemon.arg("--control-directory").arg(folder.join("control"));
        daemon.envs(session(Some(&folder.join("bus"))).environment).env("XDG_RUNTIME_DIR", folder);
        daemon.env("HOME", folder).env("XDG_DATA_HOME", folder.join("data")).env_remove("DISPLAY");
        let daemon = Running::start(daemon, password);
        until(|| has_key_store(folder));
        daemon
    }
}

/// Whether the key store answers for its name on the bus.
fn has_key_store(folder: &Path) -> bool {
    let mut ask = Command::new("dbus-send");
    ask.envs(session(Some(&folder.join("bus"))).environment);
    ask.args(["--session", "--print-reply", "--dest=org.freedesktop.DBus", "/org/freedesktop/DBus"]);
    ask.args(["org.freedesktop.DBus.NameHasOwner", "string:org.freedesktop.secrets"]);
    let answer = ask.output().expect("dbus-send is there");
    String::from_utf8_lossy(&answer.stdout).contains("boolean true")
}

/// Waits for something that a program does in a moment.
fn until(is_so: impl Fn() -> bool) {
    for _ in 0..1500 {
        if is_so() {
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
    panic!("the session does not come up");
}

/// A program of the desktop; dropping it ends it.
struct Running(Child);

impl Running {
    fn start(mut command: Command, input: Option<&str>) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        // The end of the input is the end of the password.
        let mut stdin = child.stdin.take().expect("it was asked for");
        stdin.write_all(input.unwrap_or_default().as_bytes()).expect("it reads");
        drop(stdin);
        Self(child)
    }

    fn signal(&self, signal: &str) {
        let id = self.0.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().expect("kill is there").success());
    }

    fn end(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}
