//! The visiting side: the `tazune` program with a data folder of its own, and a person who works it.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use serde_json::Value;
use tazune_sim::vpcd::{InField, SharedCard};

use crate::{
    process::{Finished, Launcher, Program},
    reader_rig::{ReaderRig, SLOTS, SOCKET_VARIABLE},
};

/// The PIN of every card of the population; marked, so that its traces can be searched for.
pub const PIN: &str = "1234";

/// A device with its data folder.
pub struct Tablet {
    data: PathBuf,
    launcher: Launcher,
    /// Whether its keys are in the key store of the session that the launcher gives.
    has_key_store: bool,
    /// The readers plugged into it, if it has any.
    readers: Option<Arc<ReaderRig>>,
}

impl Tablet {
    /// A device that keeps its data in `data`, and its keys there in plain files.
    #[must_use]
    pub fn new(data: PathBuf) -> Self {
        Self { data, launcher: Launcher::default(), has_key_store: false, readers: None }
    }

    /// A device that keeps its keys in the key store of a session, as [`key_ring`](crate::key_ring) has them.
    #[must_use]
    pub fn in_session(data: PathBuf, session: Launcher) -> Self {
        Self { data, launcher: session, has_key_store: true, readers: None }
    }

    /// The same device, its programs started in this way.
    #[must_use]
    pub fn under(&self, launcher: Launcher) -> Self {
        Self { data: self.data.clone(), launcher, has_key_store: self.has_key_store, readers: self.readers.clone() }
    }

    /// The same device with readers plugged in: its visits read cards at the first of them, by PC/SC.
    #[must_use]
    pub fn with_readers(self, readers: Arc<ReaderRig>) -> Self {
        Self { readers: Some(readers), ..self }
    }

    /// Its data folder.
    #[must_use]
    pub const fn data(&self) -> &PathBuf {
        &self.data
    }

    /// Starts `tazune` with these arguments, speaking JSON.
    #[must_use]
    pub fn start(&self, arguments: &[&str]) -> Program {
        let data = self.data.to_str().expect("test folders have plain names");
        let socket = |readers: &Arc<ReaderRig>| readers.socket().into_os_string().into_string().expect("a plain name");
        let mut launcher = self.launcher.clone();
        launcher.environment.extend(self.readers.as_ref().map(|readers| (SOCKET_VARIABLE, socket(readers))));
        let keys: &[&str] = if self.has_key_store { &[] } else { &["--insecure-file-keys"] };
        launcher.start("tazune", &[&["--data", data, "--json"], keys, arguments].concat())
    }

    /// Runs `tazune` to its end.
    #[must_use]
    pub fn run(&self, arguments: &[&str]) -> Finished {
        let mut program = self.start(arguments);
        program.close_input();
        program.finish()
    }

    /// Starts a visit with a reader for virtual cards, or at the device's own.
    #[must_use]
    pub fn begin_visit(&self, arguments: &[&str]) -> Visiting {
        let own_reader = format!("pcsc:{}", SLOTS[0]);
        let reader = if self.readers.is_some() { own_reader.as_str() } else { "virtual:127.0.0.1:0" };
        let visit: &[&str] = &["visit", "--card", reader];
        let is_resumed = arguments.iter().any(|argument| ["--resume", "--draft"].contains(argument));
        let staff: &[&str] = if is_resumed { &[] } else { &["--staff", "dr-sample"] };
        let mut program = self.start(&[visit, staff, arguments].concat());
        let reader = match &self.readers {
            Some(readers) => Reader::Own(readers.clone()),
            None => {
                let slot = program.expect("slot");
                Reader::Slot(slot.as_str().and_then(|slot| slot.parse().ok()).expect("a slot is an address"))
            }
        };
        Visiting { program, reader, card: None, screen: Value::Null, has_agreed: false }
    }
}

/// Where a visit reads its card.
enum Reader {
    /// At the slot that the program opened.
    Slot(SocketAddr),
    /// At the first of the device's readers.
    Own(Arc<ReaderRig>),
}

/// A visit under way, and the card that is held to its reader.
pub struct Visiting {
    program: Program,
    reader: Reader,
    card: Option<InField>,
    screen: Value,
    has_agreed: bool,
}

impl Visiting {
    /// Holds a card to the reader; one that is torn away comes back by itself after a moment.
    pub fn hold(&mut self, card: SharedCard) {
        self.hold_with_pauses(card, Duration::from_millis(50));
    }

    /// Holds a card to the reader; one that is torn away stays away.
    pub fn hold_once(&mut self, card: SharedCard) {
        self.hold_with_pauses(card, Duration::from_secs(3600));
    }

    fn hold_with_pauses(&mut self, card: SharedCard, away: Duration) {
        self.card = None;
        self.card = Some(match &self.reader {
            Reader::Slot(slot) => InField::serve(card, *slot, away),
            Reader::Own(readers) => readers.hold(0, card, away),
        });
    }

    /// Chooses, or types.
    pub fn choose(&mut self, intent: &str) {
        self.program.say(intent);
    }

    /// The next screen; `None` when the program ended.
    pub fn next_screen(&mut self) -> Option<&Value> {
        loop {
            let mut line = self.program.next_json()?;
            if let Some(refused) = line.get("refused") {
                panic!("the visit refused: {refused}\n{}", self.program.transcript());
            }
            if let Some(screen) = line.get_mut("screen") {
                self.screen = screen.take();
                return Some(&self.screen);
            }
        }
    }

    /// The matter of the screen shown last, for example `enter-pin`.
    #[must_use]
    pub fn body(&self) -> &str {
        self.screen["body"].as_str().unwrap_or_default()
    }

    /// The failure shown last, for example `TZ-C10`.
    #[must_use]
    pub fn failure(&self) -> Option<&str> {
        self.screen["failure"].as_str()
    }

    /// The words of the screen shown last.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let title = self.screen["title"].as_str().into_iter();
        let lines = self.screen["lines"].as_array().into_iter().flatten().filter_map(Value::as_str);
        title.chain(lines).map(ToOwned::to_owned).collect()
    }

    /// What the screen offers.
    #[must_use]
    pub fn choices(&self) -> Vec<String> {
        let choices = self.screen["choices"].as_array().into_iter().flatten();
        choices.filter_map(|choice| choice["id"].as_str()).map(ToOwned::to_owned).collect()
    }

    /// Works the visit as a willing patient and a calm member of staff, until the screen has `body`.
    ///
    /// `each` sees every screen first.
    ///
    /// # Panics
    /// When the program ends before.
    pub fn until(&mut self, body: &str, mut each: impl FnMut(&Self)) {
        loop {
            assert!(self.next_screen().is_some(), "ended before {body}:\n{}", self.program.transcript());
            each(self);
            if self.body() == body {
                return;
            }
            self.go_on();
        }
    }

    /// Does what a screen asks for, once; nothing where it asks for patience.
    pub fn go_on(&mut self) {
        let offers = |choice: &str| self.choices().iter().any(|offered| offered == choice);
        let intent = match self.body() {
            "consent" if !self.has_agreed => "agree-all",
            "consent" | "answer" => "continue",
            "enter-pin" => &format!("enter-pin {PIN}"),
            "confirm-person" => "confirm-person",
            "deferred" | "trouble" | "person-mismatch" => "end-without-answer",
            "closing" if offers("confirm-card-returned") => "confirm-card-returned",
            "closing" => "continue",
            _ => return,
        };
        let intent = intent.to_owned();
        self.has_agreed |= intent == "agree-all";
        self.choose(&intent);
    }

    /// The program behind it.
    pub const fn program(&mut self) -> &mut Program {
        &mut self.program
    }

    /// Closes its input and waits for its end.
    #[must_use]
    pub fn finish(mut self) -> Finished {
        self.program.close_input();
        self.program.finish()
    }

    /// SIGKILL for the program; the card stays where it is, until what comes back is dropped.
    #[must_use]
    pub fn kill_program(self) -> Option<InField> {
        let Self { program, card, .. } = self;
        program.kill();
        card
    }

    /// SIGKILL.
    pub fn kill(self) -> Finished {
        self.program.kill()
    }
}
