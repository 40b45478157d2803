use std::fmt;

use serde::{Deserialize, Serialize};
use tazune_model::Date;

use crate::{
    CardError, CardEvent, CommandApdu, Continuity, Conversation, Order, Progress, TrustAnchors, UserCertificate,
    apdu::Le,
    certificate_file::{CertificateFile, Taken},
    conversation::{Driver, Next, Script},
    exchange::Reply,
    prefix,
    status::{CounterOutcome, ReadOutcome, SelectOutcome},
    token::Token,
};

/// How the length of an answer is asked for; learned per card, because some cards and readers refuse the long form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeMode {
    /// Three bytes: the certificate in one read.
    Extended,
    /// One byte: 256 bytes at a time.
    Short,
}

/// What a card told before any PIN (カードの読取結果). It is kept in an encrypted draft; `Debug` shows nothing personal.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardReading {
    /// The user certificate.
    pub certificate: UserCertificate,
    /// Tries left when the card was last asked, 2 or 3 after a reading; the number to show before the entry.
    ///
    /// The caller writes the number of [`CardError::WrongPin`] and [`CardError::AskPinAgain`] here before it asks again.
    pub tries_left: u8,
    /// The form of Le that this card and reader take.
    pub le: LeMode,
}

impl fmt::Debug for CardReading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { certificate, tries_left, le } = self;
        write!(f, "CardReading {{ {certificate:?}, tries_left: {tries_left}, le: {le:?} }}")
    }
}

/// Reads what is needed before the PIN is asked: kind of token, user certificate, counter. Costs no try.
///
/// The certificate is checked before the counter is asked, so everything that stops does so before any entry. After a
/// loss only issuer and serial number are read again; if they are another card's, everything read is wiped. A refused
/// long read, or a card lost in one, changes to short reads once and for all.
/// Source: card-protocol §4.2, §4.3, §4.4.
pub struct ReadCertificate(Driver<Reading>);

impl ReadCertificate {
    /// A reading for a visit on `visit_on` (in Japan), of a certificate issued by one of `anchors`, beginning with `le`.
    #[must_use]
    pub fn new(anchors: TrustAnchors, visit_on: Date, le: LeMode) -> Self {
        Self(Driver::new(Reading { anchors, visit_on, file: CertificateFile::new(le), certificate: None }))
    }
}

impl Conversation for ReadCertificate {
    type Outcome = CardReading;

    fn on(&mut self, event: CardEvent<'_>) -> Order<CardReading> {
        self.0.on(event)
    }

    fn progress(&self) -> Progress {
        self.0.progress()
    }
}

struct Reading {
    anchors: TrustAnchors,
    visit_on: Date,
    file: CertificateFile,
    /// Set once all of it is there and was accepted.
    certificate: Option<UserCertificate>,
}

#[derive(Clone, Copy)]
enum Step {
    Select,
    Token,
    /// The first bytes again, to know that it is the same card.
    Identity,
    Certificate,
    Counter,
}

impl Script for Reading {
    type Step = Step;
    type Outcome = CardReading;

    fn begin(&mut self, _: Continuity) -> Next<Self> {
        Next::Send(Step::Select, CommandApdu::select_jpki())
    }

    fn answered(&mut self, step: Step, reply: &Reply) -> Next<Self> {
        match step {
            Step::Select => self.selected(reply),
            Step::Token => self.token_read(reply),
            Step::Identity => self.identity_read(reply),
            Step::Certificate => self.certificate_read(reply),
            Step::Counter => self.tries_counted(reply),
        }
    }

    fn lost(&mut self, step: Step) {
        if matches!(step, Step::Certificate) {
            self.file.lost();
        }
    }

    fn progress(&self) -> Progress {
        self.file.progress()
    }
}

impl Reading {
    fn selected(&mut self, reply: &Reply) -> Next<Self> {
        let known = prefix::identity_bytes(self.file.bytes());
        match (SelectOutcome::from(reply.status), known) {
            (SelectOutcome::Selected, Some(count)) => {
                Next::Send(Step::Identity, CommandApdu::read_certificate(Le::Short(count)))
            }
            (SelectOutcome::Selected, None) => {
                self.file.begin_anew();
                Next::Send(Step::Token, CommandApdu::read_token())
            }
            (SelectOutcome::Absent, Some(_)) => Next::Finish(Err(CardError::OtherCard)),
            (SelectOutcome::Absent, None) => Next::Finish(Err(CardError::NotMyNumberCard)),
            (SelectOutcome::Other, _) => Next::Finish(Err(reply.unexpected())),
        }
    }

    fn token_read(&mut self, reply: &Reply) -> Next<Self> {
        match ReadOutcome::from(reply.status) {
            ReadOutcome::Data => match Token::from_name(&reply.data) {
                Token::Card => self.read_on(),
                Token::Phone(phone) => Next::Finish(Err(CardError::PhoneTapped(phone))),
                Token::Other => Next::Finish(Err(CardError::NotMyNumberCard)),
            },
            ReadOutcome::Absent => Next::Finish(Err(CardError::NotMyNumberCard)),
            ReadOutcome::Protected | ReadOutcome::Other => Next::Finish(Err(reply.unexpected())),
        }
    }

    fn identity_read(&mut self, reply: &Reply) -> Next<Self> {
        let count = prefix::identity_bytes(self.file.bytes()).unwrap_or_default();
        match ReadOutcome::from(reply.status) {
            ReadOutcome::Data if reply.data.get(..count).is_some_and(|read| self.file.bytes().starts_with(read)) => {
                if self.certificate.is_some() {
                    count_tries()
                } else {
                    self.read_on()
                }
            }
            ReadOutcome::Data | ReadOutcome::Absent | ReadOutcome::Protected => Next::Finish(Err(CardError::OtherCard)),
            ReadOutcome::Other => Next::Finish(Err(reply.unexpected())),
        }
    }

    fn certificate_read(&mut self, reply: &Reply) -> Next<Self> {
        match self.file.take(reply) {
            Taken::More => self.read_on(),
            Taken::Whole => self.accept(),
            Taken::Missing => Next::Finish(Err(CardError::CertificateMissing)),
            Taken::Broken(fault) => Next::Finish(Err(CardError::CertificateBroken(fault))),
            Taken::Unexpected => Next::Finish(Err(reply.unexpected())),
        }
    }

    fn accept(&mut self) -> Next<Self> {
        match self.anchors.accept(self.file.bytes(), self.visit_on) {
            Ok(certificate) => {
                self.certificate = Some(certificate);
                count_tries()
            }
            Err(error) => Next::Finish(Err(error)),
        }
    }

    fn tries_counted(&mut self, reply: &Reply) -> Next<Self> {
        Next::Finish(match CounterOutcome::from(reply.status) {
            CounterOutcome::Locked => Err(CardError::PinLocked),
            CounterOutcome::TriesLeft(1) => Err(CardError::PinLastTry),
            CounterOutcome::TriesLeft(tries_left) => {
                let certificate = self.certificate.take().expect("the counter is asked after the certificate only");
                Ok(CardReading { certificate, tries_left, le: self.file.le() })
            }
            CounterOutcome::Other => Err(reply.unexpected()),
        })
    }

    /// Reads the certificate from where it is.
    fn read_on(&self) -> Next<Self> {
        match self.file.next_read() {
            Ok(apdu) => Next::Send(Step::Certificate, apdu),
            Err(fault) => Next::Finish(Err(CardError::CertificateBroken(fault))),
        }
    }
}

fn count_tries() -> Next<Reading> {
    Next::Send(Step::Counter, CommandApdu::count_tries())
}
