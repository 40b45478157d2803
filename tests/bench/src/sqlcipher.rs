use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio},
    time::Duration,
};

/// The wheel, which brings SQLCipher with it.
const WHEEL: &str = "sqlcipher3==0.6.4";

const PROGRAM: &str = include_str!("sqlcipher.py");

/// A Python child with a SQLCipher database: raw key, WAL, synchronous=FULL.
pub(crate) struct SqlCipher {
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

/// Where a Python with the wheel is: in an environment in `folder`, which is made once.
///
/// # Errors
/// Why it cannot be had.
pub(crate) fn install(folder: &Path) -> Result<PathBuf, String> {
    let environment = folder.join("python");
    let python = environment.join("bin/python");
    let has_wheel = || Command::new(&python).args(["-c", "import sqlcipher3"]).output();
    if has_wheel().is_ok_and(|output| output.status.success()) {
        return Ok(python);
    }
    done(Command::new("python3").args(["-m", "venv"]).arg(&environment).output(), "python3 -m venv")?;
    done(Command::new(&python).args(["-m", "pip", "install", "--quiet", WHEEL]).output(), "pip install sqlcipher3")?;
    done(has_wheel(), "import sqlcipher3")?;
    Ok(python)
}

impl SqlCipher {
    /// Starts a child that will write `bytes` again and again into a database in `folder`.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) fn start(python: &Path, folder: &Path, bytes: &[u8]) -> Result<Self, String> {
        let (database, blob) =
            (folder.join(format!("sqlcipher-{}.db", bytes.len())), folder.join(format!("sqlcipher-{}", bytes.len())));
        fs::write(&blob, bytes).map_err(|error| error.to_string())?;
        let mut command = Command::new(python);
        command.args(["-c", PROGRAM]).args([database, blob]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        let orders = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().expect("it was asked for"));
        let mut cipher = Self { child, orders, answers };
        cipher.line()?;
        Ok(cipher)
    }

    /// How long one insert with its commit took, on the child's own clock.
    ///
    /// # Errors
    /// That the child ended.
    pub(crate) fn insert(&mut self) -> Result<Duration, String> {
        let orders = self.orders.as_mut().expect("it is taken when this is dropped");
        writeln!(orders, "insert").map_err(|error| error.to_string())?;
        let answer = self.line()?;
        answer.trim().parse().map(Duration::from_nanos).map_err(|_| format!("it said {answer}"))
    }

    fn line(&mut self) -> Result<String, String> {
        let mut line = String::new();
        match self.answers.read_line(&mut line) {
            Ok(0) => Err("the Python child ended".into()),
            Ok(_) => Ok(line),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl Drop for SqlCipher {
    fn drop(&mut self) {
        // Its input ends, and so does it.
        drop(self.orders.take());
        let _ = self.child.wait();
    }
}

fn done(output: std::io::Result<Output>, what: &str) -> Result<(), String> {
    let output = output.map_err(|error| format!("{what}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{what} failed: {}", said.lines().last().unwrap_or_default()))
}
