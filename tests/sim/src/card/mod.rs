//! A My Number card in memory: real keys, PIN counters that count and lock, state that is lost as the real one loses it.
//!
//! It knows SELECT, READ BINARY, VERIFY, GET CHALLENGE and the card's own signing command. PIN change, secure messaging, the
//! card face and the data objects of the issuer domain are not there and answer as unknown instructions or files.
//! Source: shared facts "card-protocol" §1–§8.

mod apdu;
mod files;
mod log;
mod sign;

use std::collections::{BTreeSet, VecDeque};

use rand::Rng as _;
use rsa::RsaPrivateKey;

pub use self::log::LogEntry;
use self::{
    apdu::{Command, Wanted},
    files::{Application, File},
    sign::SignRefusal,
};
use crate::{CertificateSpec, TestCa};

/// What kind of thing is held to the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CardKind {
    /// The plastic My Number card.
    MyNumber,
    /// An Android phone with a smartphone certificate: the certificate needs the PIN, no other application exists.
    AndroidPhone,
    /// An iPhone with the card in its wallet.
    IPhone,
    /// A card that is no My Number card: it has the application of a driving licence.
    Other,
}

/// What a card is made of.
#[derive(Clone, Debug)]
pub struct CardSpec {
    /// What kind of card.
    pub kind: CardKind,
    /// The bytes of the user certificate, whatever they are; `None` for a card without one.
    pub certificate: Option<Vec<u8>>,
    /// The CA certificate that lies on the card; it proves nothing.
    pub ca_certificate: Vec<u8>,
    /// The private key of the user certificate.
    pub key: RsaPrivateKey,
    /// The PIN of the user certificate.
    pub pin: String,
    /// Tries left for it, 0 to 3.
    pub tries_left: u8,
    /// Size of the certificate file; what the certificate does not fill is filler.
    pub certificate_file_len: usize,
    /// The byte of the filler.
    pub filler: u8,
    /// Whether extended lengths are understood; otherwise they are answered `6700`.
    pub takes_extended: bool,
}

impl CardSpec {
    /// A plastic card with these certificates (DER) and this key; PIN `1234`, three tries.
    #[must_use]
    pub fn plastic(certificate: Vec<u8>, ca_certificate: Vec<u8>, key: RsaPrivateKey) -> Self {
        Self {
            kind: CardKind::MyNumber,
            certificate: Some(certificate),
            ca_certificate,
            key,
            pin: "1234".into(),
            tries_left: 3,
            certificate_file_len: 2048,
            filler: 0xFF,
            takes_extended: true,
        }
    }

    /// A plastic card with the certificate that `ca` issues.
    #[must_use]
    pub fn issued(ca: &TestCa, certificate: &CertificateSpec) -> Self {
        Self::plastic(ca.issue(certificate), ca.certificate().to_vec(), crate::rsa_key(&certificate.key))
    }
}

/// When, within one APDU, the card is torn out of the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TearMoment {
    /// The command never arrived.
    BeforeProcessing,
    /// The command took effect and its answer was lost.
    AnswerLost,
}

/// One loss of the card, used up when it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tear {
    /// At which APDU, from 1, counted from the tear before it or from when the first was armed.
    pub at: usize,
    /// Whether that APDU still took effect.
    pub moment: TearMoment,
}

/// A card in the field of a reader, or out of it.
///
/// It begins without power. A torn card answers nothing until [`VirtualCard::power_on`].
pub struct VirtualCard {
    kind: CardKind,
    takes_extended: bool,
    applications: Vec<Application>,
    is_powered: bool,
    /// Index into `applications`; the first is the issuer domain.
    application: usize,
    file: Option<u16>,
    /// PIN files of the current application (or of the one before a warm reset) that were verified.
    verified: BTreeSet<u16>,
    verified_in: usize,
    tears: VecDeque<Tear>,
    since_tear: usize,
    /// Instruction bytes, and what is answered to the next command of each.
    faults: VecDeque<(u8, Vec<u8>)>,
    log: Vec<LogEntry>,
}

mod sw {
    pub(super) const OK: u16 = 0x9000;
    pub(super) const END_OF_FILE: u16 = 0x6282;
    pub(super) const WRONG_LENGTH: u16 = 0x6700;
    pub(super) const NO_CHANNEL: u16 = 0x6881;
    pub(super) const NO_SECURE_MESSAGING: u16 = 0x6882;
    pub(super) const WRONG_KIND_OF_FILE: u16 = 0x6981;
    pub(super) const NOT_VERIFIED: u16 = 0x6982;
    pub(super) const BLOCKED: u16 = 0x6984;
    pub(super) const CONDITIONS: u16 = 0x6985;
    pub(super) const NO_CURRENT_FILE: u16 = 0x6986;
    pub(super) const NOT_FOUND: u16 = 0x6A82;
    pub(super) const WRONG_P1_P2: u16 = 0x6A86;
    pub(super) const NO_SUCH_KEY: u16 = 0x6A88;
    pub(super) const PAST_END: u16 = 0x6B00;
    pub(super) const WRONG_LE: u16 = 0x6C00;
    pub(super) const UNKNOWN_INS: u16 = 0x6D00;
    pub(super) const UNKNOWN_CLA: u16 = 0x6E00;
    pub(super) const fn tries_left(count: u8) -> u16 {
        0x63C0 | count as u16
    }
}

/// Data and status word, or the status word of a refusal.
type Answer = Result<(Vec<u8>, u16), u16>;

impl VirtualCard {
    /// A card made of `spec`, without power.
    #[must_use]
    pub fn new(spec: &CardSpec) -> Self {
        Self {
            kind: spec.kind,
            takes_extended: spec.takes_extended,
            applications: files::applications(spec),
            is_powered: false,
            application: 0,
            file: None,
            verified: BTreeSet::new(),
            verified_in: 0,
            tears: VecDeque::new(),
            since_tear: 0,
            faults: VecDeque::new(),
            log: Vec::new(),
        }
    }

    /// The answer to reset as a PC/SC reader reports it for this contactless card.
    #[must_use]
    pub const fn atr(&self) -> &'static [u8] {
        &[0x3B, 0x88, 0x80, 0x01, 0x00, 0x00, 0x05, 0xE0, 0xB3, 0x81, 0xA1, 0x00, 0x7F]
    }

    /// The card comes into the field, or the reader powers it: every state but the PIN counters is lost.
    pub fn power_on(&mut self) {
        self.lose_state();
        self.is_powered = true;
        self.log.push(LogEntry::PowerOn);
    }

    /// The card leaves the field, or the reader cuts its power.
    pub fn power_off(&mut self) {
        self.lose_state();
        self.is_powered = false;
        self.log.push(LogEntry::PowerOff);
    }

    /// A warm reset: the issuer domain is current again, a verified PIN stays verified.
    pub fn reset(&mut self) {
        self.application = 0;
        self.file = None;
        self.log.push(LogEntry::Reset);
    }

    /// Whether the card has power, which a torn one has not.
    #[must_use]
    pub const fn is_powered(&self) -> bool {
        self.is_powered
    }

    /// Arms one more loss of the card.
    pub fn tear(&mut self, tear: Tear) {
        if self.tears.is_empty() {
            self.since_tear = 0;
        }
        self.tears.push_back(tear);
    }

    /// A faulty card: the next command with this instruction byte is not processed, and this is its answer.
    pub fn answer_next(&mut self, ins: u8, answer: &[u8]) {
        self.faults.push_back((ins, answer.to_vec()));
    }

    /// One command APDU and its answer, data and status word; `None` when the card is not there (any more).
    pub fn transmit(&mut self, command: &[u8]) -> Option<Vec<u8>> {
        if !self.is_powered {
            return None;
        }
        self.since_tear += 1;
        let tear = self.tears.front().filter(|tear| tear.at <= self.since_tear).map(|tear| tear.moment);
        let answer = if tear == Some(TearMoment::BeforeProcessing) { None } else { Some(self.answer(command)) };
        self.log.push(LogEntry::command(command, answer.clone()));
        if tear.is_some() {
            self.tears.pop_front();
            self.since_tear = 0;
            self.lose_state();
            self.is_powered = false;
            self.log.push(LogEntry::Torn);
            return None;
        }
        answer
    }

    /// Everything that happened to the card, the data of VERIFY masked.
    #[must_use]
    pub fn log(&self) -> &[LogEntry] {
        &self.log
    }

    /// Tries left of the user certificate's PIN; `None` when the card has none.
    #[must_use]
    pub fn tries_left(&self) -> Option<u8> {
        self.applications.iter().find_map(|application| match application.files.get(&0x0018) {
            Some(File::Pin { left, .. }) => Some(*left),
            _ => None,
        })
    }

    fn lose_state(&mut self) {
        self.application = 0;
        self.file = None;
        self.verified.clear();
    }

    fn answer(&mut self, bytes: &[u8]) -> Vec<u8> {
        let fault = self.faults.iter().position(|(ins, _)| bytes.get(1) == Some(ins));
        if let Some((_, answer)) = fault.and_then(|index| self.faults.remove(index)) {
            return answer;
        }
        let (mut data, status) = match Command::parse(bytes).ok_or(sw::WRONG_LENGTH).and_then(|c| self.process(&c)) {
            Ok((data, status)) => (data, status),
            Err(status) => (Vec::new(), status),
        };
        data.extend(status.to_be_bytes());
        data
    }

    fn process(&mut self, command: &Command<'_>) -> Answer {
        match command.cla {
            0x00 | 0x80 => {}
            0x01..=0x03 | 0x40..=0x7F | 0x81..=0x83 => return Err(sw::NO_CHANNEL),
            0x04 | 0x08 | 0x0C | 0x84 | 0x88 | 0x8C => return Err(sw::NO_SECURE_MESSAGING),
            _ => return Err(sw::UNKNOWN_CLA),
        }
        if command.is_extended && !self.takes_extended {
            return Err(sw::WRONG_LENGTH);
        }
        match (command.cla, command.ins) {
            (0x00, 0xA4) => self.select(command),
            (0x00, 0xB0) => self.read_binary(command),
            (0x00, 0x20) => self.verify(command),
            (0x00, 0x84) => challenge(command),
            (0x80, 0x2A) => self.sign(command),
            // The iPhone's mark of the last command; the plastic card knows the instruction and not the length.
            (0x80, 0xFC) if self.kind == CardKind::IPhone => Ok((Vec::new(), sw::OK)),
            (0x80, 0xFC) => Err(sw::WRONG_LENGTH),
            _ => Err(sw::UNKNOWN_INS),
        }
    }

    fn select(&mut self, command: &Command<'_>) -> Answer {
        if !matches!(command.p2, 0x00 | 0x0C) {
            return Err(sw::WRONG_P1_P2);
        }
        match (command.p1, command.data) {
            (0x04, []) => Err(sw::WRONG_LENGTH),
            (0x04, aid) => {
                let index = self.applications.iter().position(|application| application.aid.starts_with(aid));
                let index = index.ok_or(sw::NOT_FOUND)?;
                if index != self.verified_in {
                    self.verified.clear();
                    self.verified_in = index;
                }
                self.application = index;
                self.file = None;
                Ok((if command.p2 == 0x00 { control_information(self.current().aid) } else { Vec::new() }, sw::OK))
            }
            (0x02, &[hi, lo]) => {
                let id = u16::from_be_bytes([hi, lo]);
                if !self.current().files.contains_key(&id) {
                    return Err(sw::NOT_FOUND);
                }
                self.file = Some(id);
                Ok((Vec::new(), sw::OK))
            }
            (0x02, _) => Err(sw::WRONG_LENGTH),
            // Select MF: a refusal right after reset, and no effect inside an application.
            (0x00, []) if self.application == 0 => Err(sw::WRONG_P1_P2),
            (0x00, []) => Ok((Vec::new(), sw::OK)),
            (0x00, _) => Err(sw::NOT_FOUND),
            _ => Err(sw::WRONG_P1_P2),
        }
    }

    fn read_binary(&mut self, command: &Command<'_>) -> Answer {
        if !command.data.is_empty() {
            return Err(sw::WRONG_LENGTH);
        }
        let wanted = command.wanted.ok_or(sw::WRONG_LENGTH)?;
        let offset = if command.p1 & 0x80 == 0 {
            u16::from_be_bytes([command.p1, command.p2])
        } else {
            let id = short_id(command.p1).ok_or(sw::WRONG_P1_P2)?;
            if !self.current().files.contains_key(&id) {
                return Err(sw::NOT_FOUND);
            }
            self.file = Some(id);
            u16::from(command.p2)
        };
        let id = self.file.ok_or(sw::NO_CURRENT_FILE)?;
        let Some(File::Data { bytes, needs }) = self.current().files.get(&id) else {
            return Err(sw::WRONG_KIND_OF_FILE);
        };
        if needs.is_some_and(|pin| !self.verified.contains(&pin)) {
            return Err(sw::NOT_VERIFIED);
        }
        let rest = bytes.get(usize::from(offset)..).filter(|rest| !rest.is_empty()).ok_or(sw::PAST_END)?;
        let part = rest.get(..wanted.count()).unwrap_or(rest);
        let is_short = matches!(wanted, Wanted::Exactly(count) if part.len() < count);
        Ok((part.to_vec(), if is_short { sw::END_OF_FILE } else { sw::OK }))
    }

    fn verify(&mut self, command: &Command<'_>) -> Answer {
        if command.p1 != 0 {
            return Err(sw::WRONG_P1_P2);
        }
        if command.wanted.is_some() || command.data.len() > 16 {
            return Err(sw::WRONG_LENGTH);
        }
        let id = self.reference(command.p2)?;
        let application = self.applications.get_mut(self.application).expect("the current application exists");
        let Some(File::Pin { value, most, left }) = application.files.get_mut(&id) else {
            return Err(sw::WRONG_KIND_OF_FILE);
        };
        if command.data.is_empty() {
            return Err(sw::tries_left(*left));
        }
        if *left == 0 {
            return Err(sw::BLOCKED);
        }
        if command.data == value.as_slice() {
            *left = *most;
            self.verified.insert(id);
            return Ok((Vec::new(), sw::OK));
        }
        *left -= 1;
        let left = *left;
        self.verified.remove(&id);
        Err(sw::tries_left(left))
    }

    fn sign(&self, command: &Command<'_>) -> Answer {
        let id = self.reference(command.p2)?;
        let Some(File::Key { key, needs }) = self.current().files.get(&id) else {
            return Err(sw::WRONG_KIND_OF_FILE);
        };
        if !self.verified.contains(needs) {
            return Err(sw::NOT_VERIFIED);
        }
        if command.wanted.ok_or(sw::WRONG_LENGTH)?.count() < 256 {
            return Err(sw::WRONG_LE);
        }
        match sign::sign(key, command.p1, command.data) {
            Ok(signature) => Ok((signature, sw::OK)),
            Err(SignRefusal::Scheme) => Err(sw::WRONG_P1_P2),
            Err(SignRefusal::Length) if command.p1 == 0x00 => Err(sw::WRONG_LENGTH),
            Err(SignRefusal::Length) => Err(sw::CONDITIONS),
        }
    }

    /// The PIN or key that P2 names: `80` the current file, `80` + short identifier.
    fn reference(&self, p2: u8) -> Result<u16, u16> {
        if p2 == 0x80 {
            return self.file.ok_or(sw::NO_CURRENT_FILE);
        }
        let id = short_id(p2).ok_or(sw::WRONG_P1_P2)?;
        if self.current().files.contains_key(&id) { Ok(id) } else { Err(sw::NO_SUCH_KEY) }
    }

    fn current(&self) -> &Application {
        self.applications.get(self.application).expect("the current application exists")
    }
}

/// The short file identifier in a byte `80` + 1..=30.
const fn short_id(byte: u8) -> Option<u16> {
    match byte {
        0x81..=0x9E => Some((byte & 0x1F) as u16),
        _ => None,
    }
}

/// File control information with nothing but the application's name.
fn control_information(aid: &[u8]) -> Vec<u8> {
    let length = |bytes: usize| u8::try_from(bytes).expect("a name has at most 16 bytes");
    let mut bytes = vec![0x6F, length(aid.len() + 2), 0x84, length(aid.len())];
    bytes.extend_from_slice(aid);
    bytes
}

fn challenge(command: &Command<'_>) -> Answer {
    if command.is_extended {
        return Err(sw::CONDITIONS);
    }
    if (command.p1, command.p2) != (0, 0) {
        return Err(sw::WRONG_P1_P2);
    }
    let mut bytes = vec![0; command.wanted.filter(|_| command.data.is_empty()).ok_or(sw::WRONG_LENGTH)?.count()];
    crate::generator().fill_bytes(&mut bytes);
    Ok((bytes, sw::OK))
}
