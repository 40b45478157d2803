//! Runs the shipped programs as a person or a script does: arguments, lines in, lines out, signals.

use std::{
    io::{BufRead as _, BufReader, Read, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use serde_json::Value;

/// Nothing that a test waits for takes this long on a slow machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// A program of the workspace that runs; dropping it kills it.
pub struct Program {
    name: String,
    child: Arc<Mutex<Child>>,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    /// Everything it wrote, both streams, for messages and for the search for values that must not be there.
    transcript: Arc<Mutex<String>>,
    /// What it wrote to its standard error alone.
    log: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
}

/// Kills a program while another thread works it.
pub struct Killer(Arc<Mutex<Child>>);

impl Killer {
    /// SIGKILL; nothing, when the program has ended.
    pub fn kill(&self) {
        let _ = self.0.lock().unwrap_or_else(PoisonError::into_inner).kill();
    }
}

/// The folder of the workspace's programs: they are built beside the tests.
///
/// # Panics
/// When they are not built; the message says how.
#[must_use]
pub fn programs() -> PathBuf {
    let me = std::env::current_exe().expect("a running program has a path");
    let is_there = |folder: &&Path| folder.join(file_name("tazune-hub")).exists();
    let folder = me.ancestors().skip(1).take(2).find(is_there);
    folder.expect("build the programs first: cargo build --bins").to_owned()
}

/// How programs are started: as they are, or with something around them that watches or disturbs them.
#[derive(Clone, Debug, Default)]
pub struct Launcher {
    /// A program and its arguments, to which the program's own are added.
    pub prefix: Vec<String>,
    /// Variables that the program has besides those of the tests.
    pub environment: Vec<(&'static str, String)>,
}

impl Launcher {
    /// Starts `program` with these arguments, logging all it can.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(&self, program: &str, arguments: &[&str]) -> Program {
        let path = programs().join(file_name(program));
        let mut command = match self.prefix.split_first() {
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(path);
                command
            }
            None => Command::new(path),
        };
        // The desktop on which the tests run is none of theirs.
        command.env_remove("DBUS_SESSION_BUS_ADDRESS").env("XDG_RUNTIME_DIR", "/nowhere");
        command.args(arguments).envs(self.environment.iter().map(|(name, value)| (name, value)));
        Program::spawn(program, command)
    }
}

fn file_name(program: &str) -> String {
    format!("{program}{}", std::env::consts::EXE_SUFFIX)
}

impl Program {
    /// Starts `program` with these arguments, logging all it can, in a session without a desktop.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(program: &str, arguments: &[&str]) -> Self {
        Launcher::default().start(program, arguments)
    }

    fn spawn(program: &str, mut command: Command) -> Self {
        let mut child = command
            .env("RUST_LOG", "debug")
            .env("TAZUNE_LOG", "debug")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{program} does not start: {error}"));
        let (transcript, log) = (Arc::<Mutex<String>>::default(), Arc::<Mutex<String>>::default());
        let (sender, lines) = channel();
        let stdout = child.stdout.take().expect("it was asked for");
        let stderr = child.stderr.take().expect("it was asked for");
        let readers = vec![
            read_lines(stdout, &transcript, move |line| drop(sender.send(line))),
            read_lines(stderr, &transcript, {
                let log = log.clone();
                move |line| push_line(&log, &line)
            }),
        ];
        let stdin = child.stdin.take();
        let child = Arc::new(Mutex::new(child));
        Self { name: program.into(), child, stdin, lines, transcript, log, readers }
    }

    /// Runs `program` to its end.
    #[must_use]
    pub fn run(program: &str, arguments: &[&str]) -> Finished {
        let mut program = Self::start(program, arguments);
        program.stdin = None;
        program.finish()
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child().id()
    }

    /// What kills it from another thread.
    #[must_use]
    pub fn killer(&self) -> Killer {
        Killer(self.child.clone())
    }

    /// Writes a line to its standard input; a program that ended meanwhile does not hear it.
    pub fn say(&mut self, line: &str) {
        if let Some(stdin) = &mut self.stdin {
            let _ = writeln!(stdin, "{line}").and_then(|()| stdin.flush());
        }
    }

    /// Ends its standard input.
    pub fn close_input(&mut self) {
        self.stdin = None;
    }

    /// The next line on its standard output that is JSON; `None` when it ended.
    ///
    /// # Panics
    /// When nothing comes for too long.
    pub fn next_json(&mut self) -> Option<Value> {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => {
                    if let Ok(value) = serde_json::from_str::<Value>(&line)
                        && value.is_object()
                    {
                        return Some(value);
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => panic!("{} says nothing more:\n{}", self.name, self.transcript()),
            }
        }
    }

    /// The value under `key` of the next line that has it.
    ///
    /// # Panics
    /// When the program ends without it.
    pub fn expect(&mut self, key: &str) -> Value {
        loop {
            let Some(mut value) = self.next_json() else {
                panic!("{} ended without {key}:\n{}", self.name, self.transcript());
            };
            if let Some(found) = value.get_mut(key) {
                return found.take();
            }
        }
    }

    /// The next line that tells of this event: `{"event": …}`.
    ///
    /// # Panics
    /// When the program ends without it.
    pub fn expect_event(&mut self, event: &str) -> Value {
        loop {
            match self.next_json() {
                Some(value) if value["event"] == event => return value,
                Some(_) => {}
                None => panic!("{} ended without {event}:\n{}", self.name, self.transcript()),
            }
        }
    }

    /// Everything it wrote so far.
    #[must_use]
    pub fn transcript(&self) -> String {
        text(&self.transcript)
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it does not end.
    #[must_use]
    pub fn finish(mut self) -> Finished {
        let mut output = String::new();
        while let Some(line) = self.next_line() {
            output.push_str(&line);
            output.push('\n');
        }
        let status = self.child().wait().expect("a child can be waited for");
        for reader in std::mem::take(&mut self.readers) {
            let _ = reader.join();
        }
        Finished { status, output, transcript: self.transcript(), log: text(&self.log) }
    }

    /// SIGKILL: the program learns nothing of it.
    pub fn kill(self) -> Finished {
        self.killer().kill();
        self.finish()
    }

    /// SIGTERM, and waits for its end.
    ///
    /// # Panics
    /// When it does not end.
    #[cfg(unix)]
    #[must_use]
    pub fn terminate(self) -> Finished {
        let id = self.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &id]).status().expect("kill is there");
        assert!(asked.success(), "kill -TERM {id}");
        self.finish()
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_line(&mut self) -> Option<String> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("{} does not end:\n{}", self.name, self.transcript()),
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already.
        let mut child = self.child();
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// How a program ended.
#[derive(Debug)]
pub struct Finished {
    /// Its exit status.
    pub status: ExitStatus,
    /// What it wrote to its standard output and nobody read before.
    pub output: String,
    /// Everything it wrote.
    pub transcript: String,
    /// What it wrote to its standard error.
    pub log: String,
}

impl Finished {
    /// The exit code; -1 when a signal ended it.
    #[must_use]
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or(-1)
    }

    /// Its unread output, after checking that it ended well.
    ///
    /// # Panics
    /// When it did not.
    pub fn success(self) -> String {
        assert!(self.status.success(), "ended with {}:\n{}", self.status, self.transcript);
        self.output
    }
}

fn read_lines(
    stream: impl Read + Send + 'static,
    transcript: &Arc<Mutex<String>>,
    mut each: impl FnMut(String) + Send + 'static,
) -> JoinHandle<()> {
    let transcript = transcript.clone();
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            push_line(&transcript, &line);
            each(line);
        }
    })
}

fn push_line(text: &Mutex<String>, line: &str) {
    let mut text = text.lock().unwrap_or_else(PoisonError::into_inner);
    text.push_str(line);
    text.push('\n');
}

fn text(text: &Mutex<String>) -> String {
    text.lock().unwrap_or_else(PoisonError::into_inner).clone()
}
