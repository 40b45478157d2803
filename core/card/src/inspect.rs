use tazune_model::{Bytes, CertificateSummary, Date};

use crate::{
    CardError, CardEvent, CertificateFault, CommandApdu, Continuity, Conversation, LeMode, Order, Phone, Progress,
    TrustAnchors, UserCertificate,
    certificate_file::{CertificateFile, Taken},
    conversation::{Driver, Next, Script},
    exchange::Reply,
    status::{CounterOutcome, ReadOutcome, SelectOutcome},
    token::Token,
};

/// What is held to a reader, as it tells itself without a PIN (カードの確認); nothing in it is a person's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CardFound {
    /// The plastic My Number card.
    MyNumberCard {
        /// Its user certificate.
        certificate: CertificateFound,
        /// Tries left of the PIN; 0 is locked.
        tries_left: u8,
    },
    /// A phone with a smartphone certificate, which tells nothing more before its PIN.
    Phone(Phone),
    /// Something else.
    Other,
}

/// The user certificate of a card that was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateFound {
    /// It keeps its profile.
    Present {
        /// Phase and last day.
        summary: CertificateSummary,
        /// Who issued it.
        issuer: Issuer,
    },
    /// The card has none.
    Missing,
    /// It cannot be read as one, or breaks its profile.
    Broken(CertificateFault),
}

/// Who issued a certificate, as far as is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Issuer {
    /// One of the pinned authorities.
    Trusted,
    /// None of them.
    Foreign,
    /// No authority is pinned here, so it was not checked.
    Unchecked,
}

/// Looks at what is held to the reader: kind, certificate, PIN counter. Costs no try, and sends no PIN.
///
/// A card that leaves is looked at anew. Source: card-protocol §4.2–§4.4.
pub struct InspectCard(Driver<Inspecting>);

impl InspectCard {
    /// A look on the day `on` (in Japan); without `anchors` the issuer is not checked.
    #[must_use]
    pub fn new(anchors: Option<TrustAnchors>, on: Date) -> Self {
        let file = CertificateFile::new(LeMode::Extended);
        Self(Driver::new(Inspecting { anchors, on, file, certificate: CertificateFound::Missing }))
    }
}

impl Conversation for InspectCard {
    type Outcome = CardFound;

    fn on(&mut self, event: CardEvent<'_>) -> Order<CardFound> {
        self.0.on(event)
    }

    fn progress(&self) -> Progress {
        self.0.progress()
    }
}

struct Inspecting {
    anchors: Option<TrustAnchors>,
    on: Date,
    file: CertificateFile,
    certificate: CertificateFound,
}

#[derive(Clone, Copy)]
enum Step {
    Select,
    Token,
    Certificate,
    Counter,
}

impl Script for Inspecting {
    type Step = Step;
    type Outcome = CardFound;

    fn begin(&mut self, _: Continuity) -> Next<Self> {
        self.file.begin_anew();
        Next::Send(Step::Select, CommandApdu::select_jpki())
    }

    fn answered(&mut self, step: Step, reply: &Reply) -> Next<Self> {
        match step {
            Step::Select => match SelectOutcome::from(reply.status) {
                SelectOutcome::Selected => Next::Send(Step::Token, CommandApdu::read_token()),
                SelectOutcome::Absent => Next::Finish(Ok(CardFound::Other)),
                SelectOutcome::Other => Next::Finish(Err(reply.unexpected())),
            },
            Step::Token => self.token_read(reply),
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

impl Inspecting {
    fn token_read(&mut self, reply: &Reply) -> Next<Self> {
        match ReadOutcome::from(reply.status) {
            ReadOutcome::Data => match Token::from_name(&reply.data) {
                Token::Card => self.read_on(),
                Token::Phone(phone) => Next::Finish(Ok(CardFound::Phone(phone))),
                Token::Other => Next::Finish(Ok(CardFound::Other)),
            },
            ReadOutcome::Absent => Next::Finish(Ok(CardFound::Other)),
            ReadOutcome::Protected | ReadOutcome::Other => Next::Finish(Err(reply.unexpected())),
        }
    }

    fn certificate_read(&mut self, reply: &Reply) -> Next<Self> {
        self.certificate = match self.file.take(reply) {
            Taken::More => return self.read_on(),
            Taken::Whole => self.judge(),
            Taken::Missing => CertificateFound::Missing,
            Taken::Broken(fault) => CertificateFound::Broken(fault),
            Taken::Unexpected => return Next::Finish(Err(reply.unexpected())),
        };
        count_tries()
    }

    fn read_on(&mut self) -> Next<Self> {
        match self.file.next_read() {
            Ok(apdu) => Next::Send(Step::Certificate, apdu),
            Err(fault) => {
                self.certificate = CertificateFound::Broken(fault);
                count_tries()
            }
        }
    }

    fn judge(&self) -> CertificateFound {
        let certificate = match UserCertificate::try_from(Bytes::from(self.file.bytes())) {
            Ok(certificate) => certificate,
            Err(fault) => return CertificateFound::Broken(fault),
        };
        let issuer = match &self.anchors {
            None => Issuer::Unchecked,
            Some(anchors) => match anchors.accept(self.file.bytes(), self.on) {
                Ok(_) | Err(CardError::CertificateNotYetValid { .. }) => Issuer::Trusted,
                Err(_) => Issuer::Foreign,
            },
        };
        CertificateFound::Present { summary: certificate.summary_on(self.on), issuer }
    }

    fn tries_counted(&self, reply: &Reply) -> Next<Self> {
        let tries_left = match CounterOutcome::from(reply.status) {
            CounterOutcome::Locked => 0,
            CounterOutcome::TriesLeft(tries_left) => tries_left,
            CounterOutcome::Other => return Next::Finish(Err(reply.unexpected())),
        };
        Next::Finish(Ok(CardFound::MyNumberCard { certificate: self.certificate, tries_left }))
    }
}

fn count_tries() -> Next<Inspecting> {
    Next::Send(Step::Counter, CommandApdu::count_tries())
}
