//! The route `DirectCheck`: the card signs a challenge in the home and the gateway answers at once.

mod gateway;
mod request;

pub use gateway::{AnswerReceived, Challenge, GatewayError, Refusal};

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use tazune_card::{CardError, CardReading};
use tazune_model::{
    Bytes, CertificateSummary, Consent, Date, DeferredReason, FailureCode, InstitutionCode, PlannedPatient,
    RecordedOutcome, Timestamp,
};

use crate::{
    CardTrouble, Effect, Event, Failure, Intent, Notice, PinAskedAgain, direct_check::gateway::LiveChallenge,
    outcome::Outcome,
};

/// What the route waits for. Each state carries what is legal in it, and none the PIN.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum DirectCheck {
    /// Token, certificate and counter of whichever card comes.
    ReadingCertificate { hold: Hold },
    /// A challenge; without one no PIN is asked.
    AwaitingChallenge { reading: CardReading, notice: Option<Notice> },
    /// The entry; `reading.tries_left` is the number shown.
    AwaitingPin { reading: CardReading, challenge: LiveChallenge, notice: Option<Notice> },
    /// The card's signature over these request bytes.
    Authenticating { reading: CardReading, challenge: LiveChallenge, request: Bytes, hold: Hold },
    /// A choice: the first card again, or a start with this one. Nothing of this one was kept.
    OtherCardHeld { first: Option<CardReading> },
    /// The gateway's answer to the signed request.
    AwaitingAnswer { reading: CardReading, signed: SignedRequest },
    /// The instant to send the same bytes again.
    AwaitingSignal { reading: CardReading, signed: SignedRequest, retry_at: Timestamp, failure: Failure },
}

/// Where the card is while a conversation is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Hold {
    /// Not on the reader yet.
    Awaited,
    /// At work: do not move it.
    Working {
        /// Bytes of the certificate read so far.
        read: usize,
        /// Bytes to read in all, once known.
        total: Option<usize>,
    },
    /// It left before it was done; what was read is kept.
    Lost,
}

impl Hold {
    /// How much of the certificate is read, 0 to 100; `None` while that is not known.
    #[must_use]
    pub fn percent(self) -> Option<u8> {
        let Self::Working { read, total: Some(total) } = self else { return None };
        let percent = read.saturating_mul(100).checked_div(total)?;
        u8::try_from(percent.min(100)).ok()
    }
}

/// What the card signed, ready to be sent as often as needed while its challenge lives.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SignedRequest {
    body: Bytes,
    ends_at: Timestamp,
    /// Times it was sent without an answer.
    failed_count: u32,
}

/// What the route has to know of its visit.
pub(crate) struct Facts {
    pub(crate) visit_on: Date,
    pub(crate) institution: InstitutionCode,
    pub(crate) patient: Option<PlannedPatient>,
    pub(crate) consent: Consent,
}

/// Where a step leads.
pub(crate) enum Next {
    /// On in the route.
    Stay(DirectCheck, Vec<Effect>),
    /// To an outcome that the staff look at.
    Show { outcome: Outcome, certificate: Option<CertificateSummary>, effects: Vec<Effect> },
    /// To the end, because the staff chose it.
    Close { outcome: RecordedOutcome, certificate: Option<CertificateSummary>, effects: Vec<Effect> },
}

impl DirectCheck {
    /// The beginning: a card is wanted.
    pub(crate) const fn reading() -> Self {
        Self::ReadingCertificate { hold: Hold::Awaited }
    }

    /// The transitions, top to bottom; `None` refuses.
    pub(crate) fn on(self, event: Event, now: Timestamp, facts: &Facts) -> Option<Next> {
        Some(match (self, event) {
            // Both holds: where the card is.
            (route, Event::CardAwaited) => Next::Stay(route.with_hold(Hold::awaited)?, vec![]),
            (route, Event::CardProgress { read, total }) => {
                Next::Stay(route.with_hold(|_| Hold::Working { read, total })?, vec![])
            }
            (route, Event::CardTrouble(CardTrouble::Lost)) => Next::Stay(route.with_hold(|_| Hold::Lost)?, vec![]),

            // First hold: the card tells what it is. No PIN is in play.
            (Self::ReadingCertificate { .. }, Event::CardTrouble(trouble)) => {
                fail(trouble.failure_code().into(), Self::reading(), facts)
            }
            (Self::ReadingCertificate { .. }, Event::CardRead(Ok(reading))) => fetch_challenge(reading, None, facts),
            (Self::ReadingCertificate { .. }, Event::CardRead(Err(CardError::OtherCard))) => {
                Next::Stay(Self::OtherCardHeld { first: None }, vec![Effect::ReleaseCard])
            }
            (Self::ReadingCertificate { .. }, Event::CardRead(Err(error))) => {
                fail(Failure::of_card(&error), Self::reading(), facts)
            }

            // No challenge, no PIN.
            (Self::AwaitingChallenge { reading, notice }, Event::Challenged(Ok(challenge))) => {
                match challenge.receive(now) {
                    Ok(challenge) => ask_pin(reading, challenge, notice, now, facts),
                    Err(error) => fail(error.failure_code().into(), Self::AwaitingChallenge { reading, notice }, facts),
                }
            }
            (Self::AwaitingChallenge { reading, notice }, Event::Challenged(Err(error))) => {
                let back = Self::AwaitingChallenge { reading, notice };
                let failure = Failure::from(error.failure_code());
                if error.says_nothing() {
                    defer(DeferredReason::NoSignal, Some(failure), back, vec![Effect::ReleaseCard], facts)
                } else {
                    fail(failure, back, facts)
                }
            }

            // One entry, one order to the card.
            (Self::AwaitingPin { reading, challenge, .. }, Event::Intent(Intent::EnterPin(pin))) => {
                if !challenge.can_be_signed(now) {
                    // The entry is wiped here: no state can hold it until the next challenge is there.
                    return Some(fetch_challenge(reading, again(PinAskedAgain::ChallengeRenewed), facts));
                }
                let request = request::request_bytes(&challenge.challenge, &facts.institution, now, &facts.consent);
                let message = request::message_to_sign(&request);
                let order = Effect::Authenticate { reading: reading.clone(), pin, message };
                Next::Stay(Self::Authenticating { reading, challenge, request, hold: Hold::Awaited }, vec![order])
            }
            (Self::AwaitingPin { reading, challenge, notice }, Event::Woken) => {
                ask_pin(reading, challenge, notice, now, facts)
            }

            // Second hold: one VERIFY, one signature.
            (Self::Authenticating { reading, .. }, Event::CardTrouble(trouble)) => {
                fail(trouble.failure_code().into(), Self::AwaitingChallenge { reading, notice: None }, facts)
            }
            (Self::Authenticating { mut reading, challenge, request, .. }, Event::CardAuthenticated(Ok(signature))) => {
                reading.tries_left = TRIES_AFTER_SUCCESS;
                let body = request::body(&request, &signature, &reading.certificate);
                let signed = SignedRequest { body, ends_at: challenge.ends_at, failed_count: 0 };
                send(reading, signed, vec![Effect::ReleaseCard], now, facts)
            }
            (Self::Authenticating { mut reading, challenge, .. }, Event::CardAuthenticated(Err(error))) => {
                match error {
                    CardError::WrongPin { tries_left } => {
                        reading.tries_left = tries_left;
                        ask_pin(reading, challenge, Some(Notice::Failure(Failure::of_card(&error))), now, facts)
                    }
                    CardError::AskPinAgain { tries_left } => {
                        reading.tries_left = tries_left;
                        ask_pin(reading, challenge, again(PinAskedAgain::CardInterrupted), now, facts)
                    }
                    CardError::OtherCard => {
                        Next::Stay(Self::OtherCardHeld { first: Some(reading) }, vec![Effect::ReleaseCard])
                    }
                    _ => {
                        let certificate = Some(reading.certificate.summary_on(facts.visit_on));
                        fail_with(Failure::of_card(&error), Self::reading(), certificate)
                    }
                }
            }

            // The entry is wiped with the conversation; the person says which card it is to be.
            (Self::OtherCardHeld { first: Some(reading) }, Event::Intent(Intent::TryAgain)) => {
                fetch_challenge(reading, again(PinAskedAgain::CardInterrupted), facts)
            }
            (Self::OtherCardHeld { first: None }, Event::Intent(Intent::TryAgain))
            | (Self::OtherCardHeld { .. }, Event::Intent(Intent::StartOver)) => read_card(facts),

            // The signed bytes are sent until an answer comes or their challenge ends.
            (Self::AwaitingAnswer { reading, .. }, Event::Answered(Ok(answer)))
                if answer.eligibility.institution == facts.institution =>
            {
                let outcome = Outcome::of_answer(answer, facts.patient.as_ref(), now);
                let certificate = outcome.keeps_certificate().then(|| reading.certificate.summary_on(facts.visit_on));
                Next::Show { outcome, certificate, effects: vec![] }
            }
            (Self::AwaitingAnswer { reading, mut signed }, Event::Answered(result)) => {
                let error = result.err().unwrap_or(GatewayError::Garbage);
                let failure = Failure::from(error.failure_code());
                if error.says_nothing() {
                    signed.failed_count = signed.failed_count.saturating_add(1);
                    wait_for_signal(reading, signed, failure, now, facts)
                } else if error.ends_challenge() {
                    fetch_challenge(reading, again(PinAskedAgain::ChallengeRenewed), facts)
                } else if error == GatewayError::Garbage {
                    // What came may not be from the gateway at all, so the same bytes may still be answered.
                    fail(failure, Self::AwaitingAnswer { reading, signed }, facts)
                } else {
                    fail(failure, Self::AwaitingChallenge { reading, notice: None }, facts)
                }
            }
            (Self::AwaitingSignal { reading, signed, retry_at, failure }, Event::Woken) if now < retry_at => {
                Next::Stay(Self::AwaitingSignal { reading, signed, retry_at, failure }, vec![Effect::WakeAt(retry_at)])
            }
            (Self::AwaitingSignal { reading, signed, .. }, Event::Woken | Event::Intent(Intent::TryAgain)) => {
                send(reading, signed, vec![], now, facts)
            }

            // The staff may end the wait anywhere. What had failed is recorded; otherwise the question stays open.
            (route, Event::Intent(Intent::EndWithoutAnswer)) => {
                let outcome = match route.failure() {
                    Some(code) => RecordedOutcome::Trouble { code: code.code().into() },
                    None => RecordedOutcome::Deferred { reason: DeferredReason::StaffChoice },
                };
                let effects = if route.has_card() { vec![Effect::CancelCard] } else { vec![] };
                Next::Close { outcome, certificate: route.certificate(facts.visit_on), effects }
            }

            _ => return None,
        })
    }

    /// Enters the state again after a kill, or when it is tried again: transient work is ordered anew.
    pub(crate) fn resume(self, now: Timestamp, facts: &Facts) -> Next {
        match self {
            Self::ReadingCertificate { .. } => read_card(facts),
            Self::AwaitingChallenge { reading, notice } => fetch_challenge(reading, notice, facts),
            Self::AwaitingPin { reading, challenge, notice } => ask_pin(reading, challenge, notice, now, facts),
            Self::Authenticating { reading, challenge, .. } => {
                ask_pin(reading, challenge, again(PinAskedAgain::Restarted), now, facts)
            }
            Self::OtherCardHeld { .. } => Next::Stay(self, vec![]),
            Self::AwaitingAnswer { reading, signed } | Self::AwaitingSignal { reading, signed, .. } => {
                send(reading, signed, vec![], now, facts)
            }
        }
    }

    /// The same with the card elsewhere; `None` where no conversation is under way.
    fn with_hold(mut self, change: impl FnOnce(Hold) -> Hold) -> Option<Self> {
        match &mut self {
            Self::ReadingCertificate { hold } | Self::Authenticating { hold, .. } => *hold = change(*hold),
            _ => return None,
        }
        Some(self)
    }

    /// Whether a card may lie on the reader, selected or at work.
    pub(crate) const fn has_card(&self) -> bool {
        match self {
            Self::ReadingCertificate { .. }
            | Self::AwaitingChallenge { .. }
            | Self::AwaitingPin { .. }
            | Self::Authenticating { .. } => true,
            Self::OtherCardHeld { .. } | Self::AwaitingAnswer { .. } | Self::AwaitingSignal { .. } => false,
        }
    }

    /// Phase and expiry of the card that was read, if one was.
    pub(crate) fn certificate(&self, visit_on: Date) -> Option<CertificateSummary> {
        let reading = match self {
            Self::ReadingCertificate { .. } => None,
            Self::OtherCardHeld { first } => first.as_ref(),
            Self::AwaitingChallenge { reading, .. }
            | Self::AwaitingPin { reading, .. }
            | Self::Authenticating { reading, .. }
            | Self::AwaitingAnswer { reading, .. }
            | Self::AwaitingSignal { reading, .. } => Some(reading),
        };
        reading.map(|reading| reading.certificate.summary_on(visit_on))
    }

    /// What is shown above the rest, in this state.
    pub(crate) fn notice(&self) -> Option<Notice> {
        match self {
            Self::ReadingCertificate { hold } | Self::Authenticating { hold, .. } => {
                (*hold == Hold::Lost).then(|| Notice::Failure(CardTrouble::Lost.failure_code().into()))
            }
            Self::AwaitingChallenge { notice, .. } | Self::AwaitingPin { notice, .. } => *notice,
            Self::OtherCardHeld { .. } => Some(Notice::Failure(Failure::of_card(&CardError::OtherCard))),
            Self::AwaitingAnswer { .. } => None,
            Self::AwaitingSignal { failure, .. } => Some(Notice::Failure(*failure)),
        }
    }

    /// The failure that ends the visit when the staff give up here; a request that may still be answered has none.
    fn failure(&self) -> Option<FailureCode> {
        match self {
            Self::AwaitingAnswer { .. } | Self::AwaitingSignal { .. } => None,
            _ => match self.notice()? {
                Notice::Failure(failure) => Some(failure.code),
                Notice::PinAskedAgain(_) => None,
            },
        }
    }

    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::ReadingCertificate { .. } => "reading certificate",
            Self::AwaitingChallenge { .. } => "awaiting challenge",
            Self::AwaitingPin { .. } => "awaiting PIN",
            Self::Authenticating { .. } => "authenticating",
            Self::OtherCardHeld { .. } => "other card held",
            Self::AwaitingAnswer { .. } => "awaiting answer",
            Self::AwaitingSignal { .. } => "awaiting signal",
        }
    }
}

impl Hold {
    /// The port wants a card: if one was at work, it has left.
    const fn awaited(self) -> Self {
        match self {
            Self::Awaited => Self::Awaited,
            Self::Working { .. } | Self::Lost => Self::Lost,
        }
    }
}

/// A right PIN sets the counter back; a further entry has to show that number. Source: card-protocol §6.
const TRIES_AFTER_SUCCESS: u8 = 3;

/// Times to wait before the same bytes are sent again; the last one repeats.
const BACK_OFF_SECONDS: [i64; 6] = [2, 4, 8, 16, 32, 60];

fn again(why: PinAskedAgain) -> Option<Notice> {
    Some(Notice::PinAskedAgain(why))
}

fn read_card(facts: &Facts) -> Next {
    Next::Stay(DirectCheck::reading(), vec![Effect::ReadCertificate { visit_on: facts.visit_on }])
}

fn fetch_challenge(reading: CardReading, notice: Option<Notice>, facts: &Facts) -> Next {
    let order = Effect::RequestChallenge { institution: facts.institution.clone() };
    Next::Stay(DirectCheck::AwaitingChallenge { reading, notice }, vec![order])
}

/// Asks for the PIN, unless the card has too few tries or the challenge has too little life left.
fn ask_pin(
    reading: CardReading,
    challenge: LiveChallenge,
    notice: Option<Notice>,
    now: Timestamp,
    facts: &Facts,
) -> Next {
    let too_few = match reading.tries_left {
        0 => Some(CardError::PinLocked),
        1 => Some(CardError::PinLastTry),
        _ => None,
    };
    if let Some(error) = too_few {
        let certificate = Some(reading.certificate.summary_on(facts.visit_on));
        return fail_with(Failure::of_card(&error), DirectCheck::reading(), certificate);
    }
    if !challenge.can_be_signed(now) {
        return fetch_challenge(reading, notice, facts);
    }
    let wake = Effect::WakeAt(challenge.too_old_at());
    Next::Stay(DirectCheck::AwaitingPin { reading, challenge, notice }, vec![wake])
}

/// Sends the signed bytes, unless their challenge has ended.
fn send(reading: CardReading, signed: SignedRequest, mut effects: Vec<Effect>, now: Timestamp, facts: &Facts) -> Next {
    if now >= signed.ends_at {
        let back = DirectCheck::AwaitingChallenge { reading, notice: None };
        return defer(DeferredReason::ChallengeEnded, None, back, effects, facts);
    }
    effects.push(Effect::SendCheck { body: signed.body.clone() });
    Next::Stay(DirectCheck::AwaitingAnswer { reading, signed }, effects)
}

fn wait_for_signal(
    reading: CardReading,
    signed: SignedRequest,
    failure: Failure,
    now: Timestamp,
    facts: &Facts,
) -> Next {
    let step = usize::try_from(signed.failed_count).unwrap_or(usize::MAX).saturating_sub(1);
    let seconds = BACK_OFF_SECONDS.get(step).or(BACK_OFF_SECONDS.last()).copied().unwrap_or_default();
    let retry_at = now.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(signed.ends_at).min(signed.ends_at);
    if retry_at <= now {
        return send(reading, signed, vec![], now, facts);
    }
    let state = DirectCheck::AwaitingSignal { reading, signed, retry_at, failure };
    Next::Stay(state, vec![Effect::WakeAt(retry_at)])
}

/// Ends with a trouble that can be tried again from `back`; the card is let go.
fn fail(failure: Failure, back: DirectCheck, facts: &Facts) -> Next {
    let certificate = back.certificate(facts.visit_on);
    fail_with(failure, back, certificate)
}

fn fail_with(failure: Failure, back: DirectCheck, certificate: Option<CertificateSummary>) -> Next {
    let outcome = RecordedOutcome::Trouble { code: failure.code.code().into() };
    let outcome = Outcome::Unanswered { outcome, failure: Some(failure), back: Box::new(back) };
    Next::Show { outcome, certificate, effects: vec![Effect::ReleaseCard] }
}

/// Leaves the question open; it can be asked again from `back`.
fn defer(
    reason: DeferredReason,
    failure: Option<Failure>,
    back: DirectCheck,
    effects: Vec<Effect>,
    facts: &Facts,
) -> Next {
    let certificate = back.certificate(facts.visit_on);
    let outcome = RecordedOutcome::Deferred { reason };
    Next::Show { outcome: Outcome::Unanswered { outcome, failure, back: Box::new(back) }, certificate, effects }
}
