//! Words of the trade: the checked types every other part of Tazune speaks in.
//!
//! This crate uses no other crate of ours, no runtime, no file, socket, clock or random source.
//! A value that exists is well formed: constructors check, nothing has a `validate`.
//! A number that is not for arithmetic is text, and its leading zeros and padding are data.

mod bytes;
mod certificate;
mod clock;
mod consent;
mod eligibility;
mod failure;
mod ids;
mod patient;
mod record;
mod secret;
mod store_fault;
mod text;

pub use bytes::{Bytes, Sha256};
pub use certificate::{CertificatePhase, CertificateSummary};
pub use clock::{Clock, ManualClock, japan_date, japan_timestamp_digits};
pub use consent::{Consent, ConsentActor, ConsentError, ConsentItem, Language};
pub use eligibility::{
    CostLimitCertificate, Eligibility, InsuredOrDependent, ProcessingStatus, Qualification, Validity,
};
pub use failure::FailureCode;
pub use ids::{DeviceId, RecordId, StaffId};
pub use patient::{PersonMatch, PlannedPatient, Sex};
pub use record::{Answer, DeferredReason, RecordedOutcome, Route, StaffTicks, VisitRecord};
pub use secret::{Personal, Pin, PinError};
pub use store_fault::StoreFault;
pub use text::{BranchNumber, InstitutionCode, InsuredNumber, InsuredSymbol, InsurerNumber, TextError};

pub use jiff::{Timestamp, civil::Date};
