//! `tazune`: the laptop tool. It shows what the engine says and sends what a person or a script chooses.
//!
//! | file | holds |
//! |---|---|
//! | `arguments` | the command line |
//! | `pair`, `visit`, `queue`, `card` | one command each |
//! | `card_source`, `pcsc_port` | where a card is read; a reader of the system, with the feature `pcsc` |
//! | `console` | everything that is said, as words or as JSON lines; `screen_text`, `screen_json`: a visit's screen |
//! | `input`, `intent_line` | lines and the PIN as they are typed; intents as lines |
//! | `ended`, `exit` | why a command ended, and its exit code |
//! | `output` | the one writer |

mod arguments;
mod card;
mod card_source;
mod console;
mod ended;
mod exit;
mod input;
mod intent_line;
mod output;
mod pair;
#[cfg(feature = "pcsc")]
mod pcsc_port;
mod queue;
mod screen_json;
mod screen_text;
mod visit;

use std::{io::IsTerminal as _, path::Path, process::ExitCode, sync::Arc, time::Duration};

use clap::Parser as _;
use tazune_engine::{
    Device, DeviceConfig, EngineError, FileKeyStore, InsecureFileKeys, KeyStore, OsKeyStore, SystemClock,
};
use tracing_subscriber::EnvFilter;

use crate::{
    arguments::{Arguments, Command},
    console::{Console, Form},
    ended::Ended,
    exit::Exit,
};

/// Names the events to log on standard error, for example `debug`; what a person must know is said without it.
const LOG_VARIABLE: &str = "TAZUNE_LOG";

/// Work under way when a command ends, such as a write to the database, may take this long.
const FINISH_WITHIN: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = EnvFilter::try_from_env(LOG_VARIABLE).unwrap_or_else(|_| EnvFilter::new("error"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    let form = if arguments.json { Form::Json } else { Form::Words };
    let mut console = Console::new(form, arguments.language.into());
    let runtime = tokio::runtime::Runtime::new().expect("the system has a thread to give");
    let ended = runtime.block_on(run(arguments, &mut console));
    runtime.shutdown_timeout(FINISH_WITHIN);
    ended.unwrap_or_else(|ended| explain(ended, &console)).into()
}

async fn run(arguments: Arguments, console: &mut Console) -> Result<Exit, Ended> {
    let device = open(&arguments).await.map(Arc::new);
    if let (Ok(device), Command::Pair(_) | Command::Visit(_)) = (&device, &arguments.command)
        && device.has_insecure_file_keys()
    {
        // The queue's own status says it too.
        console.hint("insecure-keys")?;
    }
    match arguments.command {
        Command::Pair(pair) => pair::run(pair, &device?, console).await,
        Command::Visit(visit) => visit::run(visit, arguments.language.into(), &device?, console).await,
        Command::Queue(queue) => queue::run(queue, &*device?, console).await,
        Command::Card(card) => card::run(&card, device.ok().as_deref(), console).await,
    }
}

async fn open(arguments: &Arguments) -> Result<Device, Ended> {
    let folder = arguments.data_folder()?;
    if matches!(arguments.command, Command::Card(_)) && !folder.is_dir() {
        // A look at a card makes no device where there is none.
        return Err(EngineError::NotPaired.into());
    }
    let keys = key_store(&folder.join("keys"), arguments.insecure_file_keys)?;
    Ok(Device::open(DeviceConfig { folder, keys, clock: Arc::new(SystemClock) }).await?)
}

/// The key store of the signed-in user, unless plain files were asked for, or are what this device has.
fn key_store(folder: &Path, asked_for_files: bool) -> Result<Arc<dyn KeyStore>, Ended> {
    let insecure = if asked_for_files { InsecureFileKeys::Allowed } else { InsecureFileKeys::Refused };
    if asked_for_files || FileKeyStore::is_in(folder) {
        return Ok(Arc::new(FileKeyStore::open(folder, insecure)?));
    }
    Ok(Arc::new(OsKeyStore::open(folder)))
}

fn explain(ended: Ended, console: &Console) -> Exit {
    if let Some(code) = ended.failure_code() {
        console.failure(code);
    }
    match ended {
        Ended::Usage(key) => console.farewell(key),
        Ended::Cancelled => console.farewell("tool-cancelled"),
        Ended::Unfinished => console.farewell("tool-visit-kept"),
        Ended::Engine(_) | Ended::Reader(_) | Ended::Card(_) | Ended::OutputClosed => {}
    }
    ended.exit()
}
