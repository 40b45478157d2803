use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};

use crate::{
    Bytes, CertificateSummary, Consent, DeviceId, InstitutionCode, PersonMatch, PlannedPatient, RecordId, Sha256,
    StaffId,
};

/// The way an answer is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Route {
    /// The card signs a challenge in the home and the gateway answers at once (居宅同意取得型).
    DirectCheck,
}

/// Why the question stays open (あとで確認).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeferredReason {
    /// No challenge could be had, so no PIN was asked.
    NoSignal,
    /// No answer to the signed request came before its challenge ended; whether it arrived is not known.
    ChallengeEnded,
    /// The staff ended the wait.
    StaffChoice,
}

/// The answer as it came: untouched bytes of message 002 and their digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The XML document exactly as received.
    pub document: Bytes,
    /// SHA-256 of `document`.
    pub sha256: Sha256,
    /// When it was received, on the device's clock.
    pub received_at: Timestamp,
}

/// How the visit ended (訪問の結果).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum RecordedOutcome {
    /// An answer came, usable or not.
    Answer {
        /// The answer.
        answer: Answer,
        /// How its person compared with the planned patient; `None` when no patient was planned, or the answer names nobody.
        person: Option<PersonMatch>,
    },
    /// No answer; the question stays open.
    Deferred {
        /// Why.
        reason: DeferredReason,
    },
    /// Nothing usable could be read.
    Trouble {
        /// The failure's stable code, for example `TZ-C12`.
        code: String,
    },
    /// The answer was about somebody else; nothing of it is kept.
    PersonMismatch,
}

/// What the staff confirmed by hand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StaffTicks {
    /// The staff confirmed on screen that the answer's person is the patient.
    pub person_confirmed: bool,
    /// The card went back to the patient.
    pub card_returned: bool,
}

/// A finished visit (訪問記録), the unit that is signed, sealed and delivered.
///
/// It holds no certificate, serial, signature, photo or PIN: of the card only phase and expiry date.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VisitRecord {
    /// Identity, and idempotency key of delivery.
    pub record_id: RecordId,
    /// The institution the visit belongs to.
    pub institution: InstitutionCode,
    /// The device the visit was made with.
    pub device_id: DeviceId,
    /// The member of staff.
    pub staff: StaffId,
    /// The patient the visit was planned for, if any.
    pub patient: Option<PlannedPatient>,
    /// The day in Japan whose rules apply: the day the visit started on.
    pub visit_on: Date,
    /// When the visit started, on the device's clock.
    pub started_at: Timestamp,
    /// When it was sealed, on the device's clock.
    pub sealed_at: Timestamp,
    /// The way the answer was looked for.
    pub route: Route,
    /// The consent; `None` when the visit ended before it was given.
    pub consent: Option<Consent>,
    /// Phase and expiry of the certificate, if it was read.
    pub certificate: Option<CertificateSummary>,
    /// How it ended.
    pub outcome: RecordedOutcome,
    /// What the staff confirmed.
    pub ticks: StaffTicks,
}
