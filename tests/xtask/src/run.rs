use std::{
    env, fmt,
    io::{BufRead, BufReader},
    ops::AddAssign,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread,
    time::Duration,
};

/// One command of a suite or an installation, run in the root of the workspace.
pub(crate) struct Step {
    program: &'static str,
    arguments: &'static [&'static str],
    environment: &'static [(&'static str, &'static str)],
}

/// Tests counted in a suite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    /// Tests marked `#[ignore]`, and suites that could not run.
    pub(crate) skipped: usize,
}

/// How a step ended.
pub(crate) struct Ran {
    pub(crate) succeeded: bool,
    /// The sum over the test programs the step ran; zero for anything but `cargo test`.
    pub(crate) counts: Counts,
}

impl Step {
    pub(crate) const fn new(program: &'static str, arguments: &'static [&'static str]) -> Self {
        Self { program, arguments, environment: &[] }
    }

    pub(crate) const fn with(self, environment: &'static [(&'static str, &'static str)]) -> Self {
        Self { environment, ..self }
    }

    /// Runs the step; what it prints is passed on line by line, so that long work shows its progress.
    pub(crate) fn run(&self) -> Ran {
        self.run_within(None)
    }

    /// Runs the step; what takes longer than `limit` is ended with everything it started, and has failed.
    pub(crate) fn run_within(&self, limit: Option<Duration>) -> Ran {
        println!("$ {self}");
        let mut counts = Counts::default();
        let mut command = self.command();
        if limit.is_some() {
            // A group of its own can be ended whole; without a limit it stays in the terminal's, for the sake of Ctrl-C.
            command.process_group(0);
        }
        let mut child = match command.stdout(Stdio::piped()).spawn() {
            Ok(child) => child,
            Err(error) => {
                println!("cannot start {}: {error}", self.program);
                return Ran { succeeded: false, counts };
            }
        };
        let watching = limit.map(|limit| watch(child.id(), limit));
        let output = child.stdout.take().expect("standard output was asked for as a pipe");
        for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line);
            println!("{line}");
            if let Some(of_one_program) = Counts::parse(&line) {
                counts += of_one_program;
            }
        }
        let succeeded = child.wait().is_ok_and(|status| status.success());
        drop(watching);
        Ran { succeeded, counts }
    }

    /// Whether the step succeeds; what it prints is dropped.
    pub(crate) fn succeeds_quietly(&self) -> bool {
        self.command().stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    }

    fn command(&self) -> Command {
        let mut command = command(self.program);
        command.args(self.arguments).envs(self.environment.iter().copied()).current_dir(root()).stdin(Stdio::null());
        command
    }
}

/// The step as a line for a shell.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |text: &str| if text.contains(' ') { format!("'{text}'") } else { text.to_owned() };
        for (name, value) in self.environment {
            write!(f, "{name}={} ", quoted(value))?;
        }
        write!(f, "{}", self.program)?;
        self.arguments.iter().try_for_each(|argument| write!(f, " {}", quoted(argument)))
    }
}

/// Ends a group of processes at the limit, unless what is returned was dropped before.
fn watch(group: u32, limit: Duration) -> Sender<()> {
    let (watching, over) = mpsc::channel();
    thread::spawn(move || {
        if over.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
            println!("took longer than {} s: ended", limit.as_secs());
            let _ = Command::new("kill").args(["-KILL", "--", &format!("-{group}")]).status();
        }
    });
    watching
}

impl Counts {
    /// Reads the closing line of a test program, whatever language it is for.
    fn parse(line: &str) -> Option<Self> {
        Self::of_rust(line).or_else(|| Self::of_maven(line)).or_else(|| Self::of_swift(line))
    }

    /// `test result: ok. 5 passed; 0 failed; 1 ignored; …`.
    fn of_rust(line: &str) -> Option<Self> {
        let (_, numbers) = line.strip_prefix("test result: ")?.split_once(". ")?;
        let count = |word: &str| {
            numbers.split("; ").find_map(|part| part.strip_suffix(word)?.trim().parse().ok()).unwrap_or_default()
        };
        Some(Self { passed: count("passed"), failed: count("failed"), skipped: count("ignored") })
    }

    /// `[INFO] Tests run: 5, Failures: 0, Errors: 1, Skipped: 0`; a line that goes on is about one class of them.
    fn of_maven(line: &str) -> Option<Self> {
        let (_, numbers) = line.split_once("Tests run: ")?;
        let mut numbers = numbers.split(", ").map(|part| part.rsplit(' ').next().unwrap_or(part).parse::<usize>());
        let mut next = || numbers.next()?.ok();
        let (run, failed, broken, skipped) = (next()?, next()?, next()?, next()?);
        let counts = Self { passed: run.checked_sub(failed + broken + skipped)?, failed: failed + broken, skipped };
        numbers.next().is_none().then_some(counts)
    }

    /// `✔ Test run with 5 tests passed after 2 seconds.`, or `✘ Test run with 5 tests failed after 2 seconds with 3 issues.`
    fn of_swift(line: &str) -> Option<Self> {
        let (_, told) = line.split_once("Test run with ")?;
        let (count, end) = told.split_once(' ')?;
        let (count, has_failed) = (count.parse().ok()?, end.contains("failed"));
        // It tells of issues, not of tests that failed.
        let failed = usize::from(has_failed);
        Some(Self { passed: usize::checked_sub(count, failed)?, failed, skipped: 0 })
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

/// A command that is not told what `cargo run` tells this program of itself: build scripts watch these names, and half of what
/// plain `cargo` built before would be built anew, and again at its next run.
pub(crate) fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("this crate lies two folders below the root")
        .to_path_buf()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_closing_line_of_a_test_program() {
        let line = "test result: FAILED. 5 passed; 2 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.01s";
        assert_eq!(Counts::parse(line), Some(Counts { passed: 5, failed: 2, skipped: 1 }));
        assert_eq!(Counts::parse("test works ... ok"), None);

        let all = "[ERROR] Tests run: 9, Failures: 1, Errors: 2, Skipped: 1";
        assert_eq!(Counts::parse(all), Some(Counts { passed: 5, failed: 3, skipped: 1 }));
        assert_eq!(Counts::parse(&format!("{all}, Time elapsed: 2.1 s -- in tazune.host.VisitTest")), None);

        let passed = "✔ Test run with 7 tests passed after 2.5 seconds.";
        assert_eq!(Counts::parse(passed), Some(Counts { passed: 7, failed: 0, skipped: 0 }));
        let failed = "✘ Test run with 7 tests failed after 2.5 seconds with 3 issues.";
        assert_eq!(Counts::parse(failed), Some(Counts { passed: 6, failed: 1, skipped: 0 }));
    }

    #[test]
    fn a_step_reports_its_success_and_sums_what_it_prints() {
        let text = "printf 'test result: ok. 2 passed; 0 failed; 0 ignored\\ntest result: ok. 3 passed; 0 failed\\n'";
        let script: &'static [&'static str] = Box::leak(Box::new(["-c", Box::leak(text.to_owned().into_boxed_str())]));
        let ran = Step::new("sh", script).run();
        assert!(ran.succeeded);
        assert_eq!(ran.counts, Counts { passed: 5, failed: 0, skipped: 0 });
        assert!(!Step::new("sh", &["-c", "exit 3"]).run().succeeded);
        assert!(!Step::new("a-program-that-nobody-has", &[]).run().succeeded);
    }

    #[test]
    fn a_step_that_takes_too_long_is_ended_with_what_it_started_and_fails() {
        let limit = Some(Duration::from_millis(200));
        // The inner one holds the pipe open, as a test program that hangs does.
        assert!(!Step::new("sh", &["-c", "sh -c 'sleep 600'; true"]).run_within(limit).succeeded);
        assert!(Step::new("sh", &["-c", "true"]).run_within(Some(Duration::from_secs(600))).succeeded);
    }

    #[test]
    fn what_is_run_is_not_told_which_package_runs_it() {
        assert!(env::var_os("CARGO_MANIFEST_DIR").is_some(), "cargo tells a test as it tells a program");
        assert!(Step::new("sh", &["-c", "test -z \"$CARGO_MANIFEST_DIR$CARGO_PKG_NAME\""]).run().succeeded);
    }

    #[test]
    fn a_step_shows_as_a_line_for_a_shell() {
        let step = Step::new("cargo", &["doc", "--no-deps"]).with(&[("RUSTDOCFLAGS", "-D warnings")]);
        assert_eq!(step.to_string(), "RUSTDOCFLAGS='-D warnings' cargo doc --no-deps");
    }
}
