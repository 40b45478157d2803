//! Conversations with the card: what to send, what its answer means, and what to do when it leaves the reader.
//!
//! Nothing here touches a reader. A [`Conversation`] takes what happened to the card ([`CardEvent`]) and says what to do
//! next ([`Order`]); the same conversation runs over NFC, PC/SC or a list of answers in a test.
//!
//! | file | holds |
//! |---|---|
//! | `conversation` | events, orders, and what every conversation does on loss, resume and cancel |
//! | `read_certificate`, `authenticate` | the two conversations of a visit with the plastic card |
//! | `inspect` | the look at whatever is on a reader |
//! | `apdu` | every command that can be sent, and no other |
//! | `exchange` | one command and its whole answer (`61xx`, `6Cxx`) |
//! | `status` | the meaning of status words, one enum per command |
//! | `certificate_file`, `token` | the two files while they are read |
//! | `certificate`, `anchors`, `prefix` | profile, issuer, and what the first bytes of a certificate tell |
//! | `error` | how a conversation ends without an outcome |
//!
//! The number file (個人番号) and 照合番号A have no command here, so they cannot be read or sent.
//! Facts: shared reference "card-protocol"; sections are cited where they are used.

mod anchors;
mod apdu;
mod authenticate;
mod certificate;
mod certificate_file;
mod conversation;
mod error;
mod exchange;
mod inspect;
mod prefix;
mod read_certificate;
mod status;
mod token;

pub use anchors::{AnchorError, TrustAnchors};
pub use apdu::{Command, CommandApdu};
pub use authenticate::{Authenticate, Signature};
pub use certificate::{CertificateFault, UserCertificate};
pub use conversation::{CardEvent, Continuity, Conversation, LeaveCard, Order, Progress};
pub use error::{CardError, Phone};
pub use inspect::{CardFound, CertificateFound, InspectCard, Issuer};
pub use read_certificate::{CardReading, LeMode, ReadCertificate};
pub use status::StatusWord;
