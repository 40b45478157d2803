//! Messages of the national eligibility system (オンライン資格確認等システム): message 002 and the face file.
//!
//! Pure: no folder is watched, no file opened. Facts and their reliability: shared facts "oqs-interface" 1 and 3 to 6; the
//! official annex is not public, so a reader here takes what comes and depends on little.
//!
//! From bytes to words in three steps, each a module:
//!
//! 1. `tree` reads the document with quick-xml's event reader into a small element tree. Limits, encoding and refused XML
//!    features live there. A tree, and not serde, because order must not matter, text must stay exact (the two spaces that
//!    pad an insurer number are data) and elements nobody knows must survive.
//! 2. `message` is the table of the annex: one line per element, used for reading and writing. Values stay as they were
//!    written ([`Text`]); only what this program decides on is a checked type, so an odd date in a field that only the
//!    receipt computer needs never costs the patient the answer.
//! 3. `eligibility` turns the message into [`tazune_model::Eligibility`], and is strict there.
//!
//! [`face_file`] is the way back: the file that a receipt computer (レセコン) takes as a check-in at a card reader.

mod eligibility;
mod error;
mod face;
mod field;
mod message;
mod text;
mod tree;

pub use error::ParseError;
pub use face::{face_file, face_file_name};
pub use field::ViewingConsent;
pub use message::{
    Body, CostLimitInfo, ElderlyCertificateInfo, Header, MedicalTicketInfo, QualificationResult, ResultMessage,
    SearchInfo, Segment, SpecificDiseaseInfo, parse,
};
pub use text::Text;
pub use tree::Element;
