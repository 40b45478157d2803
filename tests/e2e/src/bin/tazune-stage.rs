//! A clinic for tests that are written in other languages: the real hub, the simulated gateway, virtual cards, a phone's keys.
//!
//! It prints one line of JSON, `{"stage": "127.0.0.1:PORT"}`, and ends, with all it started, when its standard input does. On that
//! address it takes any number of connections, each a line of words for a line of answer:
//!
//! | asked | answered, after `ok` |
//! |---|---|
//! | `offer` | opens a pairing at the desk: the text of its code |
//! | `approve DIGITS` | types the device's six digits at the desk and approves; nothing |
//! | `revoke DEVICE` | revokes the device at the desk, as one that was lost; nothing |
//! | `accept RECORD` | accepts at the desk what a revoked device handed in; nothing |
//! | `hold PERSON ADDRESS` | holds this person's card to a reader that listens there; nothing |
//! | `remove` | takes the card away; nothing |
//! | `card PERSON` | tries left, `on` or `off` for its power, the last command it got, in hexadecimal, how many times a PIN came |
//! | `arrived RECORD` | waits until the desk has the record and its face file lies there: how many records, how many face files |
//! | `keys NAME make`, `public`, `sign HEX`, `wrap HEX`, `unwrap HEX` | the key hardware of the phone NAME, which outlives its app: what was asked, in hexadecimal |
//!
//! What cannot be done is answered with `no` and a reason.
#![expect(clippy::print_stdout, reason = "one line on standard output says where it listens")]

use std::{
    collections::HashMap,
    io::{self, BufRead as _, BufReader, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use tazune_e2e::{clinic::Clinic, process::Program};
use tazune_engine::{KeyStore as _, KeyStoreError, MemoryKeyStore};
use tazune_sim::{
    card::LogEntry,
    vpcd::{InField, SharedCard},
};

/// How long a record may take from the device to its face file.
const ARRIVES_WITHIN: Duration = Duration::from_secs(30);

/// How long a card that was torn away stays away.
const AWAY: Duration = Duration::from_millis(50);

struct Stage {
    clinic: Clinic,
    desk: Option<Program>,
    cards: HashMap<String, SharedCard>,
    held: Option<InField>,
    phones: HashMap<String, Arc<MemoryKeyStore>>,
}

type Answer = Result<String, String>;

fn main() -> io::Result<()> {
    let folder = tempfile::tempdir()?;
    let (cards, phones) = (HashMap::new(), HashMap::new());
    let stage = Stage { clinic: Clinic::open(folder.path()), desk: None, cards, held: None, phones };
    let stage = Arc::new(Mutex::new(stage));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    println!("{}", serde_json::json!({ "stage": listener.local_addr()?.to_string() }));
    thread::spawn({
        let stage = stage.clone();
        move || {
            for connection in listener.incoming().flatten() {
                let stage = stage.clone();
                // Whoever went away in between needs no answer.
                thread::spawn(move || drop(serve(&connection, &stage)));
            }
        }
    });
    io::copy(&mut io::stdin().lock(), &mut io::sink())?;
    let mut stage = lock(&stage);
    (stage.held, stage.desk) = (None, None);
    // Its folder goes with it, and nothing needs to be asked to end.
    stage.clinic.kill_hub();
    folder.close()
}

fn serve(connection: &TcpStream, stage: &Mutex<Stage>) -> io::Result<()> {
    for line in BufReader::new(connection).lines() {
        let answer = match answer(line?.split(' '), stage) {
            Ok(told) => format!("ok {told}\n"),
            Err(reason) => format!("no {reason}\n"),
        };
        (&mut &*connection).write_all(answer.as_bytes())?;
    }
    Ok(())
}

fn answer<'a>(mut words: impl Iterator<Item = &'a str>, stage: &Mutex<Stage>) -> Answer {
    let mut word = || words.next().unwrap_or_default();
    match word() {
        "offer" => lock(stage).offer(),
        "approve" => lock(stage).approve(word()),
        "revoke" => lock(stage).order("revoke", &[word(), "--reason", "見本", "--kind", "lost", "--yes"]),
        "accept" => lock(stage).order("quarantine", &["accept", word()]),
        "hold" => lock(stage).hold(word(), word()),
        "remove" => {
            lock(stage).held = None;
            Ok(String::new())
        }
        "card" => Ok(about(&lock(stage).card(word()))),
        "arrived" => arrived(stage, word()),
        "keys" => {
            let phone = lock(stage).phones.entry(word().to_owned()).or_default().clone();
            keys(&phone, word(), word())
        }
        other => Err(format!("{other}: not known here")),
    }
}

impl Stage {
    fn offer(&mut self) -> Answer {
        let mut desk = self.clinic.start("pair", &["--json"]);
        let opened = desk.expect_event("opened");
        self.desk = Some(desk);
        Ok(opened["offer"].as_str().unwrap_or_default().to_owned())
    }

    fn approve(&mut self, digits: &str) -> Answer {
        let mut desk = self.desk.take().ok_or("no pairing was opened")?;
        desk.expect_event("awaiting_code");
        desk.say(digits);
        desk.expect_event("awaiting_approval");
        desk.say("y");
        desk.expect_event("approved");
        desk.finish().success();
        Ok(String::new())
    }

    /// A command at the desk that asks nothing.
    fn order(&self, command: &str, arguments: &[&str]) -> Answer {
        let mut program = self.clinic.start(command, arguments);
        program.close_input();
        let ended = program.finish();
        if ended.code() == 0 { Ok(String::new()) } else { Err(format!("{command}: ended with {}", ended.code())) }
    }

    fn hold(&mut self, person: &str, address: &str) -> Answer {
        let address = address.parse().map_err(|_| "an address is IP:PORT")?;
        // One card at a time, and the one before is gone before.
        self.held = None;
        self.held = Some(InField::serve(self.card(person), address, AWAY));
        Ok(String::new())
    }

    fn card(&mut self, person: &str) -> SharedCard {
        if !self.cards.contains_key(person) {
            self.cards.insert(person.to_owned(), self.clinic.card(person));
        }
        self.cards[person].clone()
    }
}

fn about(card: &SharedCard) -> String {
    let card = card.lock().unwrap_or_else(PoisonError::into_inner);
    let tries = card.tries_left().map_or_else(|| "-".to_owned(), |tries| tries.to_string());
    let commands: Vec<_> = card.log().iter().filter_map(LogEntry::as_command).collect();
    let last = commands.last().map_or_else(|| "-".to_owned(), |command| hexadecimal(command));
    // VERIFY with an entry; without one it only asks the counter.
    let entries = commands.iter().filter(|command| command.get(1) == Some(&0x20) && command.len() > 5).count();
    format!("{tries} {} {last} {entries}", if card.is_powered() { "on" } else { "off" })
}

fn arrived(stage: &Mutex<Stage>, record: &str) -> Answer {
    const PAUSE: Duration = Duration::from_millis(100);
    let mut left = ARRIVES_WITHIN;
    loop {
        let (records, faces) = {
            let clinic = &lock(stage).clinic;
            (clinic.records(), clinic.face_files())
        };
        if records.iter().any(|told| told["record_id"] == record) && faces.len() >= records.len() {
            return Ok(format!("{} {}", records.len(), faces.len()));
        }
        left = left.checked_sub(PAUSE).ok_or("the record does not arrive")?;
        thread::sleep(PAUSE);
    }
}

fn keys(phone: &MemoryKeyStore, verb: &str, argument: &str) -> Answer {
    let bytes = bytes(argument).ok_or("not hexadecimal")?;
    let done: Result<Vec<u8>, KeyStoreError> = match verb {
        "make" => phone.make_keys().map(|()| vec![]),
        "public" => phone.transport_public().map(|key| key.as_bytes().to_vec()),
        "sign" => phone.sign(&bytes),
        "wrap" => phone.wrap_key(bytes.as_slice().try_into().map_err(|_| "a key has 32 bytes")?),
        "unwrap" => phone.unwrap_key(&bytes).map(|key| key.to_vec()),
        "destroy-staff" => phone.destroy_staff_key().map(|()| vec![]),
        "destroy-transport" => phone.destroy_transport_key().map(|()| vec![]),
        other => return Err(format!("{other}: not done with keys")),
    };
    done.map(|bytes| hexadecimal(&bytes)).map_err(|error| error.to_string())
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
}

fn lock(stage: &Mutex<Stage>) -> MutexGuard<'_, Stage> {
    // A request that failed says so on its connection; the others go on.
    stage.lock().unwrap_or_else(PoisonError::into_inner)
}
