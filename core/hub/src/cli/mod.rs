mod audit;
mod devices;
mod init;
mod output;
mod pair;
mod quarantine;
mod records;
mod remedy;
mod serve;
mod service;
mod table;
mod warning;

use std::{fmt, path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};
use tazune_hub::{StartError, admin::AdminError, config::SettingError, service::ServiceError};
use tazune_model::FailureCode;

/// How a command ended: its exit code, the same in every version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Done.
    Done = 0,
    /// Input or output failed, or an address or disk that may be there at the next try.
    Broken = 1,
    /// The command line is wrong; clap's own code.
    Usage = 2,
    /// A setting or a data folder cannot be used.
    Setting = 3,
    /// The hub does not run, or its admin port cannot be used.
    NotRunning = 4,
    /// The hub refused, a device was not paired, or the audit is not whole.
    Refused = 5,
    /// The database cannot be used.
    Store = 6,
    /// The service manager refused.
    Service = 7,
    /// A second signal ended the hub before it was done.
    StoppedAtOnce = 8,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A command that did not do what was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    code: Option<FailureCode>,
    text: String,
}

impl Failure {
    fn new(exit: Exit, code: Option<FailureCode>, text: impl ToString) -> Self {
        Self { exit, code, text: text.to_string() }
    }

    const fn exit(&self) -> Exit {
        self.exit
    }

    /// Says what went wrong and what to do, and ends with its exit code.
    #[expect(clippy::print_stderr, reason = "a command says on stderr why it failed")]
    pub(crate) fn report(self) -> ExitCode {
        eprintln!("tazune-hub: {self}");
        for line in self.code.map(remedy::of).unwrap_or_default() {
            eprintln!("  {line}");
        }
        self.exit.into()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => write!(f, "{code}: {}", self.text),
            None => f.write_str(&self.text),
        }
    }
}

impl From<ServiceError> for Failure {
    fn from(error: ServiceError) -> Self {
        Self::new(Exit::Service, Some(error.failure_code()), error)
    }
}

impl From<SettingError> for Failure {
    fn from(error: SettingError) -> Self {
        let exit = if error.may_pass() { Exit::Broken } else { Exit::Setting };
        Self::new(exit, Some(error.failure_code()), error)
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Setting(error) => error.into(),
            StartError::Store(error) => Self::new(Exit::Store, Some(error.failure_code()), error),
        }
    }
}

impl From<AdminError> for Failure {
    fn from(error: AdminError) -> Self {
        let exit = match &error {
            AdminError::NotRunning(_) => Exit::NotRunning,
            AdminError::Refused(_) => Exit::Refused,
        };
        Self::new(exit, error.failure_code(), error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(Exit::Broken, None, error)
    }
}

/// The clinic's hub: a mailbox of sealed envelopes (front) and the desk that opens them.
///
/// Exit codes: 0 done, 1 input, output or an address failed, 2 wrong command line, 3 setting or data folder, 4 hub not
/// running, 5 refused or the audit broken, 6 database, 7 service, 8 stopped at once by a second signal, 70 a fault of the
/// program.
#[derive(Debug, Parser)]
#[command(name = "tazune-hub", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make keys, settings and data folders of a new hub.
    Init(Box<init::Init>),
    /// Run the hub until it is asked to stop.
    Serve(serve::Serve),
    /// Pair a device: QR code, six digits, approval.
    Pair(pair::Pair),
    /// Verify or list the audit of the desk.
    Audit(audit::AuditCommand),
    /// List the records of the desk; nothing in the list names a person.
    Records(records::Records),
    /// List the devices and how they stand.
    Devices(devices::Devices),
    /// Take a device's right to hand in, until it is resumed; it keeps everything.
    Suspend(devices::Suspend),
    /// Give a suspended device its right back.
    Resume(devices::Resume),
    /// Take a device's right for ever; it destroys what its staff could read and hands in the rest.
    Revoke(devices::Revoke),
    /// List the envelopes that were set aside, accept one, or turn one down.
    Quarantine(quarantine::Quarantine),
    /// Run the hub as a service of this computer, or stop doing so.
    Service(service::Service),
}

impl Cli {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        if let Some(folder) = self.command.asks() {
            warning::tell(&folder.path()).await;
        }
        match self.command {
            Command::Init(command) => command.run(),
            Command::Serve(command) => command.run().await,
            Command::Pair(command) => command.run().await,
            Command::Audit(command) => command.run(),
            Command::Records(command) => command.run().await,
            Command::Devices(command) => command.run().await,
            Command::Suspend(command) => command.run().await,
            Command::Resume(command) => command.run().await,
            Command::Revoke(command) => command.run().await,
            Command::Quarantine(command) => command.run().await,
            Command::Service(command) => command.run(),
        }
    }
}

impl Command {
    /// The desk that it talks to, if it does.
    const fn asks(&self) -> Option<&DeskFolder> {
        match self {
            Self::Pair(command) => Some(command.folder()),
            Self::Records(command) => Some(command.folder()),
            Self::Devices(command) => Some(command.folder()),
            Self::Suspend(command) => Some(command.folder()),
            Self::Resume(command) => Some(command.folder()),
            Self::Revoke(command) => Some(command.folder()),
            Self::Quarantine(command) => Some(command.folder()),
            Self::Init(_) | Self::Serve(_) | Self::Audit(_) | Self::Service(_) => None,
        }
    }
}

/// A reason in somebody's own words: one line, and not blank.
fn reason(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    match text {
        "" => Err("must say something"),
        text if text.chars().any(char::is_control) => Err("must be one line"),
        text => Ok(text.to_owned()),
    }
}

/// Where the desk keeps its data.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct DeskFolder {
    /// The folder that `init` made.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The desk's own folder, where it runs without a front.
    #[arg(long, value_name = "DIR")]
    desk_data: Option<PathBuf>,
}

impl DeskFolder {
    fn path(&self) -> PathBuf {
        let beside_front = self.data.as_ref().map(|data| data.join("desk"));
        self.desk_data.clone().or(beside_front).expect("clap asks for one of the two")
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{self, ErrorKind},
        path::Path,
    };

    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn a_reason_says_something_in_one_line() {
        assert_eq!(reason(" 電車に忘れた "), Ok("電車に忘れた".to_owned()));
        for text in ["", " ", "\u{3000}", "a\nb", "a\u{1b}[2Jb"] {
            assert!(reason(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn only_what_does_not_mend_itself_ends_as_a_wrong_setting() {
        let exit = |kind: ErrorKind| Failure::from(SettingError::file(Path::new("place"))(io::Error::from(kind))).exit;
        assert_eq!(exit(ErrorKind::NotFound), Exit::Setting);
        assert_eq!(exit(ErrorKind::StorageFull), Exit::Broken);
        assert_eq!(exit(ErrorKind::TimedOut), Exit::Broken);
        assert_eq!(Failure::from(SettingError::value("name", "why")).exit, Exit::Setting);
        let source = io::Error::from(ErrorKind::AddrNotAvailable);
        assert_eq!(Failure::from(SettingError::Address { name: "listen".into(), source }).exit, Exit::Broken);
    }

    #[test]
    fn every_command_argument_and_choice_has_its_help() {
        fn check(command: &clap::Command) {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
                let name = format!("{} {}", command.get_name(), argument.get_id());
                assert!(argument.get_help().is_some(), "{name}");
                // A switch takes no value, though clap has two for it.
                let is_choice = argument.get_action().takes_values();
                let choices = if is_choice { argument.get_possible_values() } else { Vec::new() };
                assert!(choices.iter().all(|choice| choice.get_help().is_some()), "{name}: {choices:?}");
            }
            command.get_subcommands().for_each(check);
        }
        check(&Cli::command());
    }
}
