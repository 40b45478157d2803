//! The audit (監査): hash chains of what the desk did, checkpoints signed over their heads, and how both are verified.
//!
//! Format for an outside auditor: `docs/src/protocol/audit.md`. Nothing here names a person or holds a word that somebody
//! typed: what is personal stands outside as a digest, so that it can be deleted while the chain stays whole.

mod checkpoint;
mod entry;
mod verify;

pub use checkpoint::{CheckpointBody, SignedCheckpoint, UnsignedCheckpoint, checkpoint_hash};
pub use entry::{Chain, Entry, Event, Head, PairingRefusal, entry_hash, reason_digest};
pub use verify::{
    AuditBroken, CheckpointRow, EntryRow, Finding, FindingKind, Summary, Told, compare_with_witness, verify,
};
