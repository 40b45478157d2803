use tazune_model::{
    CertificateSummary, ConsentActor, ConsentItem, DeferredReason, Eligibility, Language, PersonMatch, Personal,
    PlannedPatient, Qualification, RecordId, RecordedOutcome, Timestamp, japan_date,
};

use crate::{
    Failure, Hold, IntentKind, Notice, Visit,
    direct_check::DirectCheck,
    outcome::Outcome,
    visit::{Closing, State},
};

/// What a shell has to show now, and what it may offer; nothing else of a visit reaches a shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Screen {
    /// The language to show it in.
    pub language: Language,
    /// What went otherwise than hoped, to be shown first.
    pub notice: Option<Notice>,
    /// The matter of the screen.
    pub body: Body,
    /// The legal intents, the likeliest first: exactly those that the visit does not refuse.
    pub intents: Vec<IntentKind>,
}

/// The matter of a screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// The consent is asked, item by item.
    Consent {
        /// Whom the visit was planned for.
        patient: Option<PlannedPatient>,
        /// Who consents.
        actor: ConsentActor,
        /// The items, in order, and whether they are ticked.
        items: Vec<(ConsentItem, bool)>,
    },
    /// A card is wanted on the reader, or at work there.
    HoldCard {
        /// What the card is wanted for.
        step: CardStep,
        /// Where it is.
        hold: Hold,
    },
    /// The gateway is asked for a challenge.
    Connecting {
        /// Of the card that was read.
        certificate: Option<CertificateSummary>,
    },
    /// The PIN is asked.
    EnterPin {
        /// Tries left, 2 or 3; with 2 it is the last entry here.
        tries_left: u8,
        /// Of the card that was read.
        certificate: Option<CertificateSummary>,
    },
    /// Another card than the one read is on the reader.
    OtherCard {
        /// Whether the first card was read whole; if not, either choice reads from the start.
        is_first_read: bool,
    },
    /// The signed request is on its way.
    Sending {
        /// When it is sent again by itself; `None` while it is under way.
        retry_at: Option<Timestamp>,
    },
    /// The staff compare the answer's person with the one before them.
    ConfirmPerson {
        /// The person, as the first qualification names them.
        qualification: Option<Box<Qualification>>,
    },
    /// The answer, usable or not.
    Answer {
        /// What it says.
        eligibility: Box<Eligibility>,
        /// The planned patient's name, where the answer writes another: to be looked at, blocks nothing.
        other_name: Option<Personal<String>>,
        /// Of the card that was read.
        certificate: Option<CertificateSummary>,
    },
    /// No answer now; the question stays open.
    Deferred {
        /// Why.
        reason: DeferredReason,
        /// Of the card that was read.
        certificate: Option<CertificateSummary>,
    },
    /// Nothing usable could be read; the notice says what and what to do.
    Trouble,
    /// The answer is about somebody else, of whom nothing is shown.
    PersonMismatch,
    /// The last step before the visit is closed.
    Closing {
        /// Whether a card has to go back to the patient.
        has_card: bool,
        /// What will be kept.
        ending: Ending,
    },
    /// The record is being sealed.
    Sealing,
    /// The record could not be sealed; it is all still there.
    SealFailed,
    /// The record is sealed and on its way to the clinic.
    Sealed {
        /// Its id.
        record_id: RecordId,
    },
    /// The visit was thrown away.
    Cancelled,
}

/// What a card is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CardStep {
    /// To be read, before the PIN.
    Reading,
    /// To sign, after the PIN was entered.
    Signing,
}

/// What a visit is closed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With an answer.
    Answer,
    /// With the question open.
    Deferred,
    /// With a failure.
    Trouble,
    /// With the note that the answer was somebody else's.
    PersonMismatch,
}

impl Visit {
    /// The projection from the state to what is shown.
    #[must_use]
    pub fn screen(&self) -> Screen {
        let (notice, body) = match &self.state {
            State::Planned(form) => {
                let items = self.setup.consent_items.iter().map(|item| (*item, form.agreed.contains(item))).collect();
                (None, Body::Consent { patient: self.setup.patient.clone(), actor: form.actor, items })
            }
            State::OnRoute(route) => (route.notice(), self.route_body(route)),
            State::Outcome(outcome) => self.outcome_body(outcome),
            State::Confirming { outcome, step, .. } => match step {
                Closing::ReturningCard => (None, Body::Closing { has_card: self.card_seen, ending: outcome.into() }),
                Closing::Sealing => (None, Body::Sealing),
                Closing::SealFailed(code) => (Some(Notice::Failure((*code).into())), Body::SealFailed),
            },
            State::Sealed(record_id) => (None, Body::Sealed { record_id: *record_id }),
            State::Cancelled => (None, Body::Cancelled),
        };
        Screen { language: self.setup.language, notice, body, intents: self.legal_intents() }
    }

    fn route_body(&self, route: &DirectCheck) -> Body {
        let certificate = route.certificate(japan_date(self.started_at));
        match route {
            DirectCheck::ReadingCertificate { hold } => Body::HoldCard { step: CardStep::Reading, hold: *hold },
            DirectCheck::AwaitingChallenge { .. } => Body::Connecting { certificate },
            DirectCheck::AwaitingPin { reading, .. } => Body::EnterPin { tries_left: reading.tries_left, certificate },
            DirectCheck::Authenticating { hold, .. } => Body::HoldCard { step: CardStep::Signing, hold: *hold },
            DirectCheck::OtherCardHeld { first } => Body::OtherCard { is_first_read: first.is_some() },
            DirectCheck::AwaitingAnswer { .. } => Body::Sending { retry_at: None },
            DirectCheck::AwaitingSignal { retry_at, .. } => Body::Sending { retry_at: Some(*retry_at) },
        }
    }

    fn outcome_body(&self, outcome: &Outcome) -> (Option<Notice>, Body) {
        let certificate = self.certificate;
        match outcome {
            Outcome::PersonToConfirm { eligibility, .. } => {
                let qualification = eligibility.qualifications.first().cloned().map(Box::new);
                (None, Body::ConfirmPerson { qualification })
            }
            Outcome::Answered { eligibility, person, .. } => {
                let planned = self.setup.patient.as_ref().filter(|_| *person == Some(PersonMatch::NameDiffers));
                let other_name = planned.map(|patient| patient.name.clone());
                (None, Body::Answer { eligibility: eligibility.clone(), other_name, certificate })
            }
            Outcome::Unanswered { outcome, failure, .. } => {
                let body = match outcome {
                    RecordedOutcome::Deferred { reason } => Body::Deferred { reason: *reason, certificate },
                    RecordedOutcome::PersonMismatch => Body::PersonMismatch,
                    RecordedOutcome::Trouble { .. } | RecordedOutcome::Answer { .. } => Body::Trouble,
                };
                (failure.map(|failure: Failure| Notice::Failure(failure)), body)
            }
        }
    }

    /// What is legal now; a test holds it against the machine.
    fn legal_intents(&self) -> Vec<IntentKind> {
        use IntentKind::*;
        let mut intents = match &self.state {
            State::Planned(form) => {
                let ticks = || self.setup.consent_items.iter().copied().map(ToggleConsent);
                let mut intents: Vec<_> = if form.takes_ticks() { ticks().chain([AgreeAll]).collect() } else { vec![] };
                intents.extend([DeclineAll, Continue]);
                intents.extend(ConsentActor::ALL.map(SetActor));
                intents
            }
            State::OnRoute(route) => match route {
                DirectCheck::AwaitingPin { .. } => vec![EnterPin, EndWithoutAnswer],
                DirectCheck::OtherCardHeld { .. } => vec![TryAgain, StartOver, EndWithoutAnswer],
                DirectCheck::AwaitingSignal { .. } => vec![TryAgain, EndWithoutAnswer],
                DirectCheck::ReadingCertificate { .. }
                | DirectCheck::AwaitingChallenge { .. }
                | DirectCheck::Authenticating { .. }
                | DirectCheck::AwaitingAnswer { .. } => vec![EndWithoutAnswer],
            },
            State::Outcome(outcome) => match outcome {
                Outcome::PersonToConfirm { .. } => vec![ConfirmPerson, RejectPerson],
                Outcome::Answered { .. } => vec![Continue],
                Outcome::Unanswered { .. } => vec![TryAgain, EndWithoutAnswer],
            },
            State::Confirming { step, .. } => match step {
                Closing::ReturningCard if self.card_seen => vec![ConfirmCardReturned],
                Closing::ReturningCard => vec![Continue],
                Closing::Sealing => vec![],
                Closing::SealFailed(_) => vec![TryAgain],
            },
            State::Sealed(_) | State::Cancelled => vec![],
        };
        intents.extend(Language::ALL.map(SetLanguage));
        if self.can_be_cancelled() {
            intents.push(Cancel);
        }
        intents
    }

    const fn can_be_cancelled(&self) -> bool {
        !self.is_over() && !matches!(self.state, State::Confirming { step: Closing::Sealing, .. })
    }
}

impl From<&RecordedOutcome> for Ending {
    fn from(outcome: &RecordedOutcome) -> Self {
        match outcome {
            RecordedOutcome::Answer { .. } => Self::Answer,
            RecordedOutcome::Deferred { .. } => Self::Deferred,
            RecordedOutcome::Trouble { .. } => Self::Trouble,
            RecordedOutcome::PersonMismatch => Self::PersonMismatch,
        }
    }
}
