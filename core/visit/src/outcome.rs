use serde::{Deserialize, Serialize};
use tazune_model::{
    Answer, CertificateSummary, Consent, Eligibility, FailureCode, PersonMatch, PlannedPatient, RecordId,
    RecordedOutcome, Route, StaffTicks, Timestamp, VisitRecord, japan_date,
};

use crate::{AnswerReceived, Failure, VisitSetup, direct_check::DirectCheck};

/// What came of the route, as the staff look at it before it is closed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Outcome {
    /// No patient was planned: the staff say whether the answer's person is the one before them.
    PersonToConfirm { answer: Answer, eligibility: Box<Eligibility> },
    /// The answer, usable or not.
    Answered { answer: Answer, eligibility: Box<Eligibility>, person: Option<PersonMatch>, person_confirmed: bool },
    /// No answer; `back` is the step from which it can be tried again.
    Unanswered { outcome: RecordedOutcome, failure: Option<Failure>, back: Box<DirectCheck> },
}

impl Outcome {
    /// The answer about somebody else: nothing of it is kept, and the next card is read from the start.
    pub(crate) fn person_mismatch() -> Self {
        Self::Unanswered {
            outcome: RecordedOutcome::PersonMismatch,
            failure: Some(FailureCode::PersonMismatch.into()),
            back: Box::new(DirectCheck::reading()),
        }
    }

    /// Compares an answer with the planned patient; birth date and sex decide.
    ///
    /// An answer without any qualification is about nobody, so there is nothing to compare or to confirm.
    pub(crate) fn of_answer(received: AnswerReceived, patient: Option<&PlannedPatient>, now: Timestamp) -> Self {
        let AnswerReceived { document, sha256, eligibility } = received;
        let answer = Answer { document, sha256, received_at: now };
        let eligibility = Box::new(eligibility);
        let Some(patient) = patient else {
            if !eligibility.qualifications.is_empty() {
                return Self::PersonToConfirm { answer, eligibility };
            }
            return Self::Answered { answer, eligibility, person: None, person_confirmed: false };
        };
        // Several qualifications are one person's; if one of them is somebody else's, the answer is not to be trusted.
        let matches: Vec<_> = eligibility.qualifications.iter().map(|one| patient.compare(one)).collect();
        let person = [PersonMatch::OtherPerson, PersonMatch::NameDiffers, PersonMatch::Same]
            .into_iter()
            .find(|found| matches.contains(found));
        match person {
            Some(PersonMatch::OtherPerson) => Self::person_mismatch(),
            _ => Self::Answered { answer, eligibility, person, person_confirmed: false },
        }
    }

    /// Whether the card that was read belongs to what is recorded.
    pub(crate) const fn keeps_certificate(&self) -> bool {
        !matches!(self, Self::Unanswered { outcome: RecordedOutcome::PersonMismatch, .. })
    }
}

/// A finished visit that has no id yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsealedVisit {
    pub(crate) setup: VisitSetup,
    pub(crate) started_at: Timestamp,
    pub(crate) consent: Option<Consent>,
    pub(crate) certificate: Option<CertificateSummary>,
    pub(crate) outcome: RecordedOutcome,
    pub(crate) ticks: StaffTicks,
}

impl UnsealedVisit {
    /// The record, with the id and the instant of its sealing.
    #[must_use]
    pub fn finish(self, record_id: RecordId, sealed_at: Timestamp) -> VisitRecord {
        let Self { setup, started_at, consent, certificate, outcome, ticks } = self;
        VisitRecord {
            record_id,
            institution: setup.institution,
            device_id: setup.device_id,
            staff: setup.staff,
            patient: setup.patient,
            visit_on: japan_date(started_at),
            started_at,
            sealed_at,
            route: Route::DirectCheck,
            consent,
            certificate,
            outcome,
            ticks,
        }
    }
}
