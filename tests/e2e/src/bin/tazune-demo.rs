//! Three home visits, told as a story: `cargo xtask demo`.
//!
//! The programs are the shipped ones, started as processes. Card, gateway and people are simulated; everything between them
//! is real: TLS, signatures, SQLite, files.
#![expect(clippy::print_stdout, reason = "a story is told on standard output")]

use std::{env, fs, path::PathBuf, process::ExitCode, sync::Arc};

use serde_json::Value;
use tazune_e2e::{
    clinic::{Clinic, INSTITUTION},
    process::Program,
    reader_rig::{ReaderRig, SLOTS},
    tablet::{PIN, Tablet, Visiting},
};
use tazune_model::{Timestamp, japan_timestamp_digits};
use tazune_sim::{
    card::{LogEntry, Tear, TearMoment},
    gateway::{Call, Fault, FaultOrder},
};

const HELP: &str = "\
Three home visits on this computer: an answer, a lost insurance, and a card and a network that keep failing.

Usage: cargo xtask demo [--keep] [--language en|ja] [--reader [real|virtual]]

  --keep           leave hub and simulator running at the end, until Enter or Ctrl-C
  --language LANG  language of the visit's screens [default: en]
  --reader         make the visits at a PC/SC reader made of software (needs root, pcscd, vpcd); first look, without a
                   PIN, at what lies on a real reader, if one is plugged in; --reader virtual leaves that out
  -h, --help       show this";

struct Options {
    keep: bool,
    language: String,
    reader: Option<WhichReader>,
}

/// Which reader is looked at first; the visits are at a virtual one, because their patients are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum WhichReader {
    Real,
    Virtual,
}

fn main() -> ExitCode {
    let options = match options(env::args().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => {
            println!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(wrong) => {
            println!("{wrong}\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    let folder = folder();
    if let Err(error) = fs::create_dir_all(&folder) {
        println!("{}: {error}", folder.display());
        return ExitCode::FAILURE;
    }
    tell(&options, folder);
    ExitCode::SUCCESS
}

fn options(arguments: impl Iterator<Item = String>) -> Result<Option<Options>, String> {
    let mut options = Options { keep: false, language: "en".into(), reader: None };
    let mut arguments = arguments;
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--keep" => options.keep = true,
            "--language" => match arguments.next() {
                Some(language) if ["en", "ja"].contains(&language.as_str()) => options.language = language,
                _ => return Err("--language takes en or ja".into()),
            },
            "--reader" => {
                options.reader = match arguments.next().as_deref() {
                    Some("real") => Some(WhichReader::Real),
                    Some("virtual") => Some(WhichReader::Virtual),
                    _ => return Err("--reader takes real or virtual".into()),
                }
            }
            "-h" | "--help" => return Ok(None),
            other => return Err(format!("unknown argument: {other}")),
        }
    }
    Ok(Some(options))
}

/// A new folder for each run, so that a hub that was kept is not disturbed.
#[expect(clippy::disallowed_methods, reason = "the demo is an end of the system and names its folder by the clock")]
fn folder() -> PathBuf {
    let target = env::current_exe().ok().and_then(|me| Some(me.parent()?.parent()?.to_owned()));
    target.unwrap_or_else(env::temp_dir).join("demo").join(japan_timestamp_digits(Timestamp::now()))
}

fn tell(options: &Options, folder: PathBuf) {
    heading("A clinic, a tablet, and a national system that is simulated");
    let mut clinic = Clinic::open(&folder);
    fact("gateway", &format!("{} (simulator, mutual TLS, seven invented people)", clinic.gateway().url()));
    fact("hub", &format!("tazune-hub serve --data {}", clinic.hub_folder().display()));
    let mut tablet = clinic.pair("tablet-1");
    fact("device", &format!("tazune --data {}", tablet.data().display()));
    fact("paired", "the QR's text was handed over, the six digits typed at the clinic, the device approved");

    if options.reader == Some(WhichReader::Real) {
        look_at_real_reader(options);
    }
    if options.reader.is_some() {
        tablet = tablet.with_readers(Arc::new(ReaderRig::open()));
        fact("reader", &format!("{} (pcscd and vpcd, in namespaces of their own)", SLOTS[0]));
    }

    heading("Visit 1: the insurance is valid");
    let mut visit = begin(&tablet, options);
    visit.hold(clinic.card("valid"));
    play(&mut visit);
    end(visit);

    heading("Visit 2: the insurance was lost");
    let mut visit = begin(&tablet, options);
    visit.hold(clinic.card("lost"));
    play(&mut visit);
    end(visit);

    heading("Visit 3: the card is torn away twice, the signal is lost, and the clinic's hub is down");
    let card = clinic.card("elder");
    let tear = |at, moment| card.lock().expect("nobody panicked with the card").tear(Tear { at, moment });
    // The certificate's first bytes are lost on their way; everything before is not read again.
    tear(3, TearMoment::AnswerLost);
    clinic.gateway().fail(FaultOrder::once(Call::Check, Fault::DropAnswer));
    aside("the hub stops");
    clinic.stop_hub();
    let mut visit = begin(&tablet, options);
    visit.hold(card.clone());
    let mut entries = 0;
    play_with(&mut visit, |visit| {
        entries += u32::from(visit.body() == "enter-pin");
        if entries == 1 && visit.body() == "enter-pin" {
            // The card takes the PIN and is gone before it signs.
            tear(2, TearMoment::BeforeProcessing);
        }
    });
    end(visit);
    let verifies =
        card.lock().expect("nobody panicked with the card").log().iter().filter(|entry| is_verify(entry)).count();
    fact("card", &format!("{verifies} PIN entries reached it, {entries} were typed: none was sent twice"));
    let queue = queue(&tablet, &["queue"]);
    fact("queue", &format!("{} record(s) wait on the tablet, sealed to the clinic's key", queue["counts"]["sealed"]));
    aside("the hub is back, and the queue is sent");
    clinic.start_hub();
    let queue = queue_sent(&tablet);
    fact("queue", &format!("states now: {}", queue["counts"]));

    heading("What the clinic has");
    for record in clinic.records() {
        let text = |key: &str| record[key].as_str().unwrap_or("-").to_owned();
        fact("record", &format!("{}  {}, {}", text("record_id"), text("outcome"), text("validity")));
    }
    for name in clinic.face_files() {
        fact("face file", &clinic.face_folder().join(name).display().to_string());
    }
    fact("list again", &format!("target/debug/tazune-hub records --data {}", clinic.hub_folder().display()));
    fact("institution", INSTITUTION);
    if options.keep {
        keep(&clinic);
    } else {
        clinic.stop_hub();
        println!("\n  Hub and simulator have stopped; the folder stays. With --keep they go on.");
    }
}

/// No real card can play the patients, who are invented, so it is only looked at.
fn look_at_real_reader(options: &Options) {
    heading("What lies on this computer's own reader: no PIN is asked, no try is spent");
    let looked = Program::run("tazune", &["--language", &options.language, "card", "--card-wait", "3"]);
    looked
        .output
        .lines()
        .chain(looked.log.lines())
        .filter(|line| !line.is_empty())
        .for_each(|line| println!("  {line}"));
}

fn begin(tablet: &Tablet, options: &Options) -> Visiting {
    tablet.begin_visit(&["--language", &options.language])
}

/// Works the visit to its end and tells each new matter once.
fn play(visit: &mut Visiting) {
    play_with(visit, |_| {});
}

/// The same, with somebody who meddles at every screen.
fn play_with(visit: &mut Visiting, mut meddle: impl FnMut(&Visiting)) {
    let mut told = (String::new(), None);
    visit.until("sealed", |visit| {
        meddle(visit);
        let telling = (visit.body().to_owned(), visit.failure().map(ToOwned::to_owned));
        // Progress, ticks and the short pause of saving are for eyes, not for a story.
        if told == telling || telling.0 == "sealing" {
            return;
        }
        show(&visit.words());
        match visit.body() {
            "consent" => aside("one tap agrees to all that is shown; nothing was ticked beforehand"),
            "enter-pin" => aside(&format!("the patient types {}", "•".repeat(PIN.len()))),
            _ => {}
        }
        told = telling;
    });
}

fn end(mut visit: Visiting) {
    let delivered = visit.program().expect("delivered");
    // Exit code 10 says that something waits, which is told below.
    let _ = visit.finish();
    let state = delivered["state"].as_str().unwrap_or("unknown");
    match delivered["failure"].as_str() {
        Some(code) => fact("delivery", &format!("{state} ({code})")),
        None => fact("delivery", state),
    }
}

/// VERIFY with an entry; without one it only asks the counter.
fn is_verify(entry: &LogEntry) -> bool {
    entry.as_command().is_some_and(|command| command.get(1) == Some(&0x20) && command.len() > 4)
}

fn queue(tablet: &Tablet, arguments: &[&str]) -> Value {
    let mut program = tablet.start(arguments);
    program.close_input();
    program.expect("queue")
}

/// Sends until the clinic has everything: the desk reconnects by itself within seconds after a restart.
fn queue_sent(tablet: &Tablet) -> Value {
    let mut last = Value::Null;
    for _ in 0..5 {
        last = queue(tablet, &["queue", "--send"]);
        let waits = |state: &str| last["counts"][state].as_u64().unwrap_or(0);
        if waits("sealed") + waits("sending") + waits("received") == 0 {
            break;
        }
    }
    last
}

fn keep(clinic: &Clinic) {
    println!("\n  Hub and simulator go on. Pair another device, or look around; Enter or Ctrl-C ends them.");
    println!("  target/debug/tazune-hub pair --data {}", clinic.hub_folder().display());
    let mut line = String::new();
    if std::io::stdin().read_line(&mut line).is_ok_and(|read| read == 0) {
        // No terminal: until somebody ends the process.
        loop {
            std::thread::park();
        }
    }
}

fn heading(text: &str) {
    println!("\n== {text}");
}

fn fact(name: &str, text: &str) {
    println!("  {name:<11} {text}");
}

fn aside(text: &str) {
    println!("              ({text})");
}

fn show(words: &[String]) {
    let mut words = words.iter();
    if let Some(title) = words.next() {
        println!("  > {title}");
    }
    for line in words {
        println!("  |   {line}");
    }
}
