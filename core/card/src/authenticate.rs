use std::fmt;

use ring::digest::{SHA256, digest};
use tazune_model::Pin;

use crate::{
    CardError, CardEvent, CardReading, CommandApdu, Continuity, Conversation, Order, Progress, UserCertificate,
    apdu::Le,
    conversation::{Driver, Next, Script},
    exchange::Reply,
    status::{CounterOutcome, ReadOutcome, SelectOutcome, SignOutcome, VerifyOutcome},
};

/// A signature of the card's user key: RSA-2048, PKCS#1 v1.5, SHA-256; checked against the certificate.
#[derive(Clone, PartialEq, Eq)]
pub struct Signature([u8; 256]);

impl Signature {
    /// The 256 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 256] {
        &self.0
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signature(256)")
    }
}

/// Gives one PIN entry to the card that was read, and has it sign one message.
///
/// On a fresh link the card is compared first ([`CardError::OtherCard`]), and its counter is asked: if it is another
/// than `reading.tries_left`, the number the person was shown, the PIN is not sent ([`CardError::AskPinAgain`]).
///
/// On the same link ([`Continuity::Same`]) neither is asked again. `reading.tries_left` is the card's own last word, from
/// the query that ended the reading or from its answer to a wrong PIN, and only VERIFY changes the counter: a card that
/// kept its power and heard nobody else still has it. So every entry is preceded by the card's count, with nothing in
/// between, and no command is spent on hearing it twice. A caller who cannot be sure of that says [`Continuity::Fresh`].
///
/// One entry is one VERIFY: a card lost from then on is only asked for its counter. With one try or none left nothing is
/// sent at all. Source: card-protocol §4.3, §4.4, §6.
pub struct Authenticate(Driver<Signing>);

impl Authenticate {
    /// Takes the entry; SHA-256 of `message` is what the card signs.
    #[must_use]
    pub fn new(reading: &CardReading, pin: Pin, message: &[u8]) -> Self {
        Self(Driver::new(Signing {
            certificate: reading.certificate.clone(),
            tries_shown: reading.tries_left,
            pin: Some(pin),
            message: message.to_vec(),
        }))
    }
}

impl Conversation for Authenticate {
    type Outcome = Signature;

    fn on(&mut self, event: CardEvent<'_>) -> Order<Signature> {
        self.0.on(event)
    }

    fn progress(&self) -> Progress {
        self.0.progress()
    }
}

struct Signing {
    certificate: UserCertificate,
    tries_shown: u8,
    /// Taken when VERIFY is built, so it cannot be sent twice.
    pin: Option<Pin>,
    message: Vec<u8>,
}

#[derive(Clone, Copy)]
enum Step {
    Select,
    /// The first bytes of the certificate, to know that it is the card that was read.
    Identity,
    Counter,
    Verify,
    Sign,
}

impl Script for Signing {
    type Step = Step;
    type Outcome = Signature;

    fn begin(&mut self, continuity: Continuity) -> Next<Self> {
        match continuity {
            Continuity::Fresh => Next::Send(Step::Select, CommandApdu::select_jpki()),
            Continuity::Same => self.verify_with(self.tries_shown),
        }
    }

    fn answered(&mut self, step: Step, reply: &Reply) -> Next<Self> {
        match step {
            Step::Select => self.selected(reply),
            Step::Identity => self.identity_read(reply),
            Step::Counter => self.tries_counted(reply),
            Step::Verify => self.verified(reply),
            Step::Sign => self.signed(reply),
        }
    }

    fn lost(&mut self, _: Step) {}

    fn progress(&self) -> Progress {
        let count = self.certificate.der().as_slice().len();
        Progress { read_bytes: count, total_bytes: Some(count) }
    }
}

impl Signing {
    fn selected(&self, reply: &Reply) -> Next<Self> {
        match SelectOutcome::from(reply.status) {
            SelectOutcome::Selected => {
                let le = Le::Short(self.certificate.identity().len());
                Next::Send(Step::Identity, CommandApdu::read_certificate(le))
            }
            SelectOutcome::Absent => Next::Finish(Err(CardError::OtherCard)),
            SelectOutcome::Other => Next::Finish(Err(reply.unexpected())),
        }
    }

    fn identity_read(&self, reply: &Reply) -> Next<Self> {
        match ReadOutcome::from(reply.status) {
            ReadOutcome::Data if reply.data.starts_with(self.certificate.identity()) => {
                Next::Send(Step::Counter, CommandApdu::count_tries())
            }
            ReadOutcome::Data | ReadOutcome::Absent | ReadOutcome::Protected => Next::Finish(Err(CardError::OtherCard)),
            ReadOutcome::Other => Next::Finish(Err(reply.unexpected())),
        }
    }

    fn tries_counted(&mut self, reply: &Reply) -> Next<Self> {
        match CounterOutcome::from(reply.status) {
            CounterOutcome::TriesLeft(tries_left) => self.verify_with(tries_left),
            CounterOutcome::Locked => self.verify_with(0),
            CounterOutcome::Other => Next::Finish(Err(reply.unexpected())),
        }
    }

    /// Sends the entry, if there still is one and the counter allows it and is what the person was shown.
    fn verify_with(&mut self, tries_left: u8) -> Next<Self> {
        match tries_left {
            0 => Next::Finish(Err(CardError::PinLocked)),
            1 => Next::Finish(Err(CardError::PinLastTry)),
            _ if tries_left != self.tries_shown => Next::Finish(Err(CardError::AskPinAgain { tries_left })),
            _ => match self.pin.take() {
                Some(pin) => Next::Send(Step::Verify, CommandApdu::verify(pin)),
                None => Next::Finish(Err(CardError::AskPinAgain { tries_left })),
            },
        }
    }

    fn verified(&self, reply: &Reply) -> Next<Self> {
        match VerifyOutcome::from(reply.status) {
            VerifyOutcome::Accepted => {
                let hash = digest(&SHA256, &self.message);
                let hash = hash.as_ref().try_into().expect("SHA-256 has 32 bytes");
                Next::Send(Step::Sign, CommandApdu::sign(hash))
            }
            VerifyOutcome::WrongPin(tries_left) => Next::Finish(Err(CardError::WrongPin { tries_left })),
            VerifyOutcome::Locked => Next::Finish(Err(CardError::PinLocked)),
            VerifyOutcome::Other => Next::Finish(Err(reply.unexpected())),
        }
    }

    fn signed(&self, reply: &Reply) -> Next<Self> {
        match SignOutcome::from(reply.status) {
            SignOutcome::Signed => Next::Finish(match <[u8; 256]>::try_from(reply.data.as_slice()) {
                Ok(signature) if self.certificate.verifies(&self.message, &signature) => Ok(Signature(signature)),
                _ => Err(reply.unexpected()),
            }),
            // The entry is spent and the card forgot it: the counter says what to tell the person.
            SignOutcome::NotVerified => Next::Send(Step::Counter, CommandApdu::count_tries()),
            SignOutcome::Other => Next::Finish(Err(reply.unexpected())),
        }
    }
}
