use serde::{Deserialize, Serialize};
use tazune_model::{
    CertificateSummary, Consent, ConsentItem, DeviceId, FailureCode, InstitutionCode, Language, PlannedPatient,
    RecordId, RecordedOutcome, StaffId, StaffTicks, Timestamp, japan_date,
};

use crate::{
    Effect, Event, Intent, Refused, UnsealedVisit,
    consent_form::ConsentForm,
    direct_check::{DirectCheck, Facts, Next},
    outcome::Outcome,
};

/// What is known before the visit begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VisitSetup {
    /// The institution the visit belongs to.
    pub institution: InstitutionCode,
    /// The device in use.
    pub device_id: DeviceId,
    /// The member of staff who is signed in.
    pub staff: StaffId,
    /// The patient to be visited, if the visit was planned for one.
    pub patient: Option<PlannedPatient>,
    /// The language to begin with.
    pub language: Language,
    /// The items of the institution's setting, asked in this order.
    pub consent_items: Vec<ConsentItem>,
}

/// A home visit (訪問) from its plan to its sealing.
///
/// It serialises whole, as an encrypted draft: the PIN passes through from [`Intent::EnterPin`] to
/// [`Effect::Authenticate`] and is in none of its fields.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Visit {
    pub(crate) setup: VisitSetup,
    pub(crate) started_at: Timestamp,
    pub(crate) consent: Option<Consent>,
    /// Of the card whose reading led to the outcome.
    pub(crate) certificate: Option<CertificateSummary>,
    /// A card was handed over, so one has to be given back.
    pub(crate) card_seen: bool,
    pub(crate) state: State,
}

/// What the visit waits for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum State {
    /// The consent.
    Planned(ConsentForm),
    /// The route's answer.
    OnRoute(DirectCheck),
    /// The staff's look at what came of the route.
    Outcome(Outcome),
    /// The card's return and the sealing; no way back.
    Confirming { outcome: RecordedOutcome, ticks: StaffTicks, step: Closing },
    /// Nothing: the record is sealed.
    Sealed(RecordId),
    /// Nothing: the visit was thrown away.
    Cancelled,
}

/// The last steps.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Closing {
    /// The patient gets the card back.
    ReturningCard,
    /// The record is being sealed; not to be interrupted.
    Sealing,
    /// It could not be sealed; it is all still there.
    SealFailed(FailureCode),
}

impl Visit {
    /// A visit that begins now, with nothing agreed to.
    #[must_use]
    pub fn plan(setup: VisitSetup, now: Timestamp) -> Self {
        let state = State::Planned(ConsentForm::blank());
        Self { setup, started_at: now, consent: None, certificate: None, card_seen: false, state }
    }

    /// Whether nothing can follow: it is sealed, or thrown away.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        matches!(self.state, State::Sealed(_) | State::Cancelled)
    }

    /// The institution the visit belongs to.
    #[must_use]
    pub const fn institution(&self) -> &InstitutionCode {
        &self.setup.institution
    }

    /// Takes an event and says what to do.
    ///
    /// # Errors
    /// [`Refused`] when the event is not legal now; the visit is as it was. For an intent the shell sent what its screen
    /// does not offer; for anything else it is the late outcome of work already ended. Either way the caller drops it.
    pub fn on(&mut self, event: Event, now: Timestamp) -> Result<Vec<Effect>, Refused> {
        let refused = Refused { state: self.state.name(), event: event.name() };
        let mut next = self.clone();
        next.card_seen |= event.shows_a_card();
        let effects = next.step(event, now).ok_or(refused)?;
        *self = next;
        Ok(effects)
    }

    /// Goes on after the program was ended: consent and readings are there, the PIN is not.
    ///
    /// Call it once, after the visit was read back. A step that was under way goes back to where it is safe to repeat.
    pub fn resume(&mut self, now: Timestamp) -> Vec<Effect> {
        match self.state.clone() {
            State::OnRoute(route) => match self.facts() {
                Some(facts) => self.take(route.resume(now, &facts)),
                None => vec![],
            },
            State::Confirming { outcome, ticks, step: Closing::Sealing } => self.seal(outcome, ticks),
            _ => vec![],
        }
    }

    /// The transitions, top to bottom; `None` refuses, and the caller throws the changed copy away.
    fn step(&mut self, event: Event, now: Timestamp) -> Option<Vec<Effect>> {
        match (self.state.clone(), event) {
            (_, Event::Intent(Intent::SetLanguage(language))) => {
                self.setup.language = language;
                Some(vec![])
            }

            (State::Planned(form), Event::Intent(Intent::Continue)) => {
                self.consent = Some(form.give(&self.setup.consent_items, self.setup.language, now));
                Some(self.take(DirectCheck::reading().resume(now, &self.facts()?)))
            }
            (State::OnRoute(route), Event::Intent(Intent::Cancel)) => {
                self.state = State::Cancelled;
                let card = route.has_card().then_some(Effect::CancelCard);
                Some(card.into_iter().chain([Effect::Discard]).collect())
            }
            (
                State::Planned(_)
                | State::Outcome(_)
                | State::Confirming { step: Closing::ReturningCard | Closing::SealFailed(_), .. },
                Event::Intent(Intent::Cancel),
            ) => {
                self.state = State::Cancelled;
                Some(vec![Effect::Discard])
            }
            (State::Planned(form), Event::Intent(intent)) => {
                self.state = State::Planned(form.on(&intent, &self.setup.consent_items)?);
                Some(vec![])
            }

            (State::OnRoute(route), event) => {
                let next = route.on(event, now, &self.facts()?)?;
                Some(self.take(next))
            }

            (
                State::Outcome(Outcome::PersonToConfirm { answer, eligibility }),
                Event::Intent(Intent::ConfirmPerson),
            ) => {
                self.state =
                    State::Outcome(Outcome::Answered { answer, eligibility, person: None, person_confirmed: true });
                Some(vec![])
            }
            (State::Outcome(Outcome::PersonToConfirm { .. }), Event::Intent(Intent::RejectPerson)) => {
                self.show(Outcome::person_mismatch(), None);
                Some(vec![])
            }
            (
                State::Outcome(Outcome::Answered { answer, person, person_confirmed, .. }),
                Event::Intent(Intent::Continue),
            ) => {
                self.close(RecordedOutcome::Answer { answer, person }, person_confirmed);
                Some(vec![])
            }
            (State::Outcome(Outcome::Unanswered { back, .. }), Event::Intent(Intent::TryAgain)) => {
                Some(self.take(back.resume(now, &self.facts()?)))
            }
            (State::Outcome(Outcome::Unanswered { outcome, .. }), Event::Intent(Intent::EndWithoutAnswer)) => {
                self.close(outcome, false);
                Some(vec![])
            }

            (
                State::Confirming { outcome, ticks, step: Closing::ReturningCard },
                Event::Intent(Intent::ConfirmCardReturned),
            ) if self.card_seen => Some(self.seal(outcome, StaffTicks { card_returned: true, ..ticks })),
            (State::Confirming { outcome, ticks, step: Closing::ReturningCard }, Event::Intent(Intent::Continue))
                if !self.card_seen =>
            {
                Some(self.seal(outcome, ticks))
            }
            (State::Confirming { step: Closing::Sealing, .. }, Event::Sealed(record_id)) => {
                self.state = State::Sealed(record_id);
                Some(vec![])
            }
            (State::Confirming { outcome, ticks, step: Closing::Sealing }, Event::SealFailed(code)) => {
                self.state = State::Confirming { outcome, ticks, step: Closing::SealFailed(code) };
                Some(vec![])
            }
            (State::Confirming { outcome, ticks, step: Closing::SealFailed(_) }, Event::Intent(Intent::TryAgain)) => {
                Some(self.seal(outcome, ticks))
            }

            // Everything else is refused: choices that no screen offers, and late outcomes of work already ended.
            _ => None,
        }
    }

    /// What the route has to know; `None` before the consent.
    fn facts(&self) -> Option<Facts> {
        Some(Facts {
            visit_on: japan_date(self.started_at),
            institution: self.setup.institution.clone(),
            patient: self.setup.patient.clone(),
            consent: self.consent.clone()?,
        })
    }

    /// Lands where the route says.
    fn take(&mut self, next: Next) -> Vec<Effect> {
        match next {
            Next::Stay(route, effects) => {
                self.certificate = None;
                self.state = State::OnRoute(route);
                effects
            }
            Next::Show { outcome, certificate, effects } => {
                self.show(outcome, certificate);
                effects
            }
            Next::Close { outcome, certificate, effects } => {
                self.certificate = certificate;
                self.close(outcome, false);
                effects
            }
        }
    }

    fn show(&mut self, outcome: Outcome, certificate: Option<CertificateSummary>) {
        self.certificate = certificate;
        self.state = State::Outcome(outcome);
    }

    fn close(&mut self, outcome: RecordedOutcome, person_confirmed: bool) {
        let ticks = StaffTicks { person_confirmed, card_returned: false };
        self.state = State::Confirming { outcome, ticks, step: Closing::ReturningCard };
    }

    fn seal(&mut self, outcome: RecordedOutcome, ticks: StaffTicks) -> Vec<Effect> {
        self.state = State::Confirming { outcome: outcome.clone(), ticks, step: Closing::Sealing };
        vec![Effect::Seal(Box::new(UnsealedVisit {
            setup: self.setup.clone(),
            started_at: self.started_at,
            consent: self.consent.clone(),
            certificate: self.certificate,
            outcome,
            ticks,
        }))]
    }
}

impl State {
    const fn name(&self) -> &'static str {
        match self {
            Self::Planned(_) => "planned",
            Self::OnRoute(route) => route.name(),
            Self::Outcome(Outcome::PersonToConfirm { .. }) => "person to confirm",
            Self::Outcome(Outcome::Answered { .. }) => "answered",
            Self::Outcome(Outcome::Unanswered { .. }) => "unanswered",
            Self::Confirming { .. } => "confirming",
            Self::Sealed(_) => "sealed",
            Self::Cancelled => "cancelled",
        }
    }
}
