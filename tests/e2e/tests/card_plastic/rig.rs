use std::cell::RefCell;

use jiff::civil::{Date, date};
use tazune_card::{
    Authenticate, CardError, CardEvent, CardReading, Command, Continuity, Conversation, LeMode, Order, ReadCertificate,
    Signature, TrustAnchors,
};
use tazune_model::{Bytes, Pin};
use tazune_sim::{
    CertificateSpec, TestCa,
    card::{CardSpec, LogEntry, Tear, VirtualCard},
};

/// The day of every visit here.
pub(crate) const VISIT_ON: Date = date(2026, 11, 21);
/// What the card signs.
pub(crate) const MESSAGE: &[u8] = b"challenge and consent of a visit that never was";
pub(crate) const BOTH_MODES: [LeMode; 2] = [LeMode::Extended, LeMode::Short];

pub(crate) fn anchors() -> TrustAnchors {
    TrustAnchors::from_der(&[Bytes::from(TestCa::user().certificate())]).unwrap()
}

/// A card of the trusted CA with a certificate of 1,590 bytes and the PIN 1234.
pub(crate) fn good_card() -> CardSpec {
    CardSpec::issued(&TestCa::user(), &CertificateSpec::valid_on(VISIT_ON))
}

/// A card of somebody else: another key, serial number and PIN.
pub(crate) fn somebody_elses_card() -> CardSpec {
    let certificate =
        CertificateSpec { key: "other-card".into(), serial: 0x5A_17_02, ..CertificateSpec::valid_on(VISIT_ON) };
    CardSpec { pin: "8765".into(), ..CardSpec::issued(&TestCa::user(), &certificate) }
}

pub(crate) fn pin(digits: &str) -> Pin {
    Pin::from_entry(digits).unwrap()
}

/// One command as the conversation saw it: what it sent and the data it got, `None` when the card was lost over it.
pub(crate) struct Sent {
    pub(crate) command: Command,
    pub(crate) apdu: Vec<u8>,
    pub(crate) answer: Option<Vec<u8>>,
}

/// A reader with a card in its field, and the card that takes its place when that one is torn away.
pub(crate) struct Field {
    pub(crate) card: VirtualCard,
    pub(crate) swap_for: Option<VirtualCard>,
    pub(crate) sent: Vec<Sent>,
    pub(crate) awaited_count: usize,
}

impl Field {
    pub(crate) fn with(spec: &CardSpec) -> Self {
        let mut card = VirtualCard::new(spec);
        card.power_on();
        Self { card, swap_for: None, sent: Vec::new(), awaited_count: 0 }
    }

    pub(crate) fn torn(spec: &CardSpec, tear: Tear) -> Self {
        let mut field = Self::with(spec);
        field.card.tear(tear);
        field
    }

    /// Runs a conversation to its end, bringing a card back whenever it asks for one.
    pub(crate) fn run<C: Conversation>(
        &mut self,
        conversation: &mut C,
        continuity: Continuity,
    ) -> Result<C::Outcome, CardError> {
        let mut order = conversation.on(CardEvent::Present(continuity));
        loop {
            order = match order {
                Order::Transmit(apdu) => {
                    let answer = self.card.transmit(&apdu);
                    self.sent.push(Sent { command: apdu.command(), apdu: apdu.to_vec(), answer: answer.clone() });
                    match answer {
                        Some(answer) => conversation.on(CardEvent::Answer(&answer)),
                        None => conversation.on(CardEvent::Lost),
                    }
                }
                Order::AwaitCard => {
                    self.awaited_count += 1;
                    if let Some(other) = self.swap_for.take() {
                        self.card = other;
                    }
                    self.card.power_on();
                    conversation.on(CardEvent::Present(Continuity::Fresh))
                }
                Order::Finished(result) => return result,
            };
        }
    }

    pub(crate) fn read(&mut self, le: LeMode) -> Result<CardReading, CardError> {
        self.run(&mut ReadCertificate::new(anchors(), VISIT_ON, le), Continuity::Fresh)
    }

    pub(crate) fn authenticate(
        &mut self,
        reading: &CardReading,
        digits: &str,
        continuity: Continuity,
    ) -> Result<Signature, CardError> {
        self.run(&mut Authenticate::new(reading, pin(digits), MESSAGE), continuity)
    }

    /// How many commands of a kind were sent.
    pub(crate) fn count(&self, command: Command) -> usize {
        self.sent.iter().filter(|sent| sent.command == command).count()
    }
}

impl Drop for Field {
    /// Every test here ends by looking at all that its cards were ever sent.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_nothing_forbidden(self.card.log());
            self.swap_for.iter().for_each(|card| assert_nothing_forbidden(card.log()));
        }
    }
}

/// Nothing but the commands of card-protocol §4.2–4.4: no input-support application, hence neither the number file nor
/// 照合番号A, no other PIN than that of the user certificate, no file but token and user certificate.
pub(crate) fn assert_nothing_forbidden(log: &[LogEntry]) {
    let jpki: &[u8] = b"\x00\xA4\x04\x0C\x0A\xD3\x92\xF0\x00\x26\x01\x00\x00\x00\x01";
    let issuer_domain: &[u8] = b"\x00\xA4\x04\x0C\x07\xA0\x00\x00\x01\x51\x00\x00";
    for command in log.iter().filter_map(LogEntry::as_command) {
        let is_allowed = match command {
            [0x00, 0xA4, ..] => command == jpki || command == issuer_domain,
            [0x00, 0xB0, 0x86, 0x00, 0x20] | [0x00, 0xB0, 0x8A, 0x00, ..] => true,
            [0x00, 0xB0, p1, ..] => p1 & 0x80 == 0,
            [0x00, 0x20, 0x00, 0x98] => true,
            [0x00, 0x20, 0x00, 0x98, 0x04, data @ ..] => data.len() == 4,
            [0x80, 0x2A, 0x00, 0x97, 0x33, ..] => true,
            _ => false,
        };
        assert!(is_allowed, "{command:02X?}");
    }
}

/// The whole flow, as a visit makes it: reading, then as many entries of the right PIN as are asked for.
///
/// The reading ends first, then the signature; each may come with the card torn away.
pub(crate) struct Flow {
    pub(crate) reading: CardReading,
    pub(crate) signature: Signature,
    /// How many times the PIN was asked.
    pub(crate) entries: usize,
}

pub(crate) fn whole_flow(field: &mut Field, le: LeMode) -> Result<Flow, CardError> {
    let mut reading = field.read(le)?;
    let mut continuity = Continuity::Same;
    for entries in 1.. {
        let verified_before = field.count(Command::Verify);
        let result = field.authenticate(&reading, "1234", continuity);
        assert!(field.count(Command::Verify) - verified_before <= 1, "an entry was sent twice");
        continuity = Continuity::after(&result);
        match result {
            Ok(signature) => return Ok(Flow { reading, signature, entries }),
            Err(CardError::AskPinAgain { tries_left }) => reading.tries_left = tries_left,
            Err(error) => return Err(error),
        }
    }
    unreachable!("the loop ends by returning")
}

thread_local! {
    static READING: RefCell<Option<CardReading>> = const { RefCell::new(None) };
}

/// The reading of [`good_card`].
pub(crate) fn good_reading() -> CardReading {
    READING.with_borrow_mut(|reading| {
        reading.get_or_insert_with(|| Field::with(&good_card()).read(LeMode::Extended).unwrap()).clone()
    })
}
