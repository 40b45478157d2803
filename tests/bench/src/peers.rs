//! Other programs that authenticate with the same virtual card, at a reader that pcscd and its driver vpcd make.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use tazune_e2e::reader_rig::{ReaderRig, SLOTS, SOCKET_VARIABLE};
use tazune_sim::{
    card::{LogEntry, VirtualCard},
    vpcd::SharedCard,
};

use crate::card;

/// Only the card's own driver, or its probes would be counted; and nothing remembered between two programs.
const CONFIGURATION: &str = "app default { card_drivers = jpki; framework pkcs15 { use_file_caching = no; } }\n";
const PIN: &str = "1234";
/// A project of its own, with its own lock file: nothing of it is linked here.
const MYNA_CARD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/myna-card");

/// For every command its bytes and those of its answer; or why there are none.
type Exchanges = Result<Vec<(usize, usize)>, String>;

/// One authentication by another program, as the virtual card's log tells it.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    pub(crate) exchanges: Exchanges,
}

/// Runs OpenSC and myna-card; `folder` takes what they need and what is built for them.
pub(crate) fn run(folder: &Path) -> [Peer; 2] {
    let peers = reader_is_possible().and_then(|()| Reader::open(folder));
    let with_reader = |run: fn(&Reader<'_>) -> Exchanges| match &peers {
        Ok(reader) => run(reader),
        Err(why) => Err(why.clone()),
    };
    [
        Peer { name: "OpenSC", exchanges: with_reader(opensc) },
        Peer { name: "myna-card 3.3.4", exchanges: with_reader(myna_card) },
    ]
}

/// The peers of a run that is too short for them.
pub(crate) fn left_out() -> [Peer; 2] {
    ["OpenSC", "myna-card 3.3.4"].map(|name| Peer { name, exchanges: Err("a short run".into()) })
}

/// What the rig takes: it says why it cannot, instead of failing.
fn reader_is_possible() -> Result<(), String> {
    if !Path::new("/etc/reader.conf.d/vpcd").exists() {
        return Err("the driver vpcd is missing (packages pcscd, vsmartcard-vpcd, opensc, iproute2)".into());
    }
    for (program, option) in [("pcscd", "--version"), ("ip", "-V"), ("pkcs15-tool", "--version")] {
        if Command::new(program).arg(option).output().is_err() {
            return Err(format!("{program} is missing"));
        }
    }
    let allowed = Command::new("unshare").args(["--net", "--mount", "true"]).output();
    if allowed.is_ok_and(|output| output.status.success()) {
        Ok(())
    } else {
        Err("only root may make namespaces".into())
    }
}

/// A reader with a card on it, and a folder for the programs.
struct Reader<'a> {
    folder: &'a Path,
    rig: ReaderRig,
    card: SharedCard,
    _field: tazune_sim::vpcd::InField,
}

impl<'a> Reader<'a> {
    fn open(folder: &'a Path) -> Result<Self, String> {
        fs::write(folder.join("opensc.conf"), CONFIGURATION).map_err(|error| error.to_string())?;
        fs::write(folder.join("hash"), [7; 32]).map_err(|error| error.to_string())?;
        let (rig, card) = (ReaderRig::open(), Arc::new(Mutex::new(VirtualCard::new(&card::good_card()))));
        let field = rig.hold(0, card.clone(), Duration::ZERO);
        let reader = Self { folder, rig, card, _field: field };
        let is_seen = (0..150).any(|_| {
            thread::sleep(Duration::from_millis(100));
            reader.start("opensc-tool", &["-r", "0", "--atr"]).is_ok_and(|output| output.status.success())
        });
        if is_seen { Ok(reader) } else { Err("OpenSC does not see the card".into()) }
    }

    /// Runs a program to its end, which must be a good one, and returns what the card was told meanwhile.
    fn commands_of(&self, program: &str, arguments: &[&str]) -> Result<Vec<LogEntry>, String> {
        let log = || self.card.lock().unwrap_or_else(PoisonError::into_inner).log().to_vec();
        let before = log().len();
        let output = self.start(program, arguments)?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!("{program} failed: {}", said.lines().next().unwrap_or_default()));
        }
        let is_command = |entry: &LogEntry| entry.as_command().is_some();
        Ok(log().split_off(before).into_iter().filter(is_command).collect())
    }

    fn start(&self, program: &str, arguments: &[&str]) -> Result<Output, String> {
        let mut command = Command::new("timeout");
        command.args(["60", program]).args(arguments).current_dir(self.folder);
        command.env(SOCKET_VARIABLE, self.rig.socket()).env("OPENSC_CONF", self.folder.join("opensc.conf"));
        command.output().map_err(|error| format!("{program}: {error}"))
    }
}

/// Certificate and signature are two programs; the second's binding, which repeats the first's, is left out.
fn opensc(reader: &Reader<'_>) -> Exchanges {
    let mut all = reader.commands_of("pkcs15-tool", &["-r", "0", "--read-certificate", "01"])?;
    let sign = ["-r", "0", "--sign", "--key", "01", "--pin", PIN, "--sha-256", "--pkcs1", "-R", "-i", "hash", "-o"];
    let signing = reader.commands_of("pkcs15-crypt", &[&sign[..], &["signature"]].concat())?;
    let repeated = all.iter().zip(&signing).take_while(|(one, other)| one.as_command() == other.as_command()).count();
    all.extend(signing.into_iter().skip(repeated));
    Ok(all.iter().filter_map(card::exchange).collect())
}

fn myna_card(reader: &Reader<'_>) -> Exchanges {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/bench/myna-card");
    let built = Command::new("cargo")
        .args(["build", "--release", "--locked", "--quiet", "--manifest-path"])
        .arg(Path::new(MYNA_CARD).join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        .output()
        .map_err(|error| format!("cargo: {error}"))?;
    if !built.status.success() {
        let said = String::from_utf8_lossy(&built.stderr);
        return Err(format!("it cannot be built: {}", said.lines().next().unwrap_or_default()));
    }
    let program = target.join("release/peer-myna-card");
    let [reader_name, _] = SLOTS;
    let commands = reader.commands_of(&program.to_string_lossy(), &[reader_name, PIN])?;
    Ok(commands.iter().filter_map(card::exchange).collect())
}
