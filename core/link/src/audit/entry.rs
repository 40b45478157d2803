use std::fmt;

use serde::{Deserialize, Serialize};
use tazune_model::{DeviceId, InstitutionCode, RecordId, Sha256, TextError, Timestamp};

use crate::{
    V1,
    keys::{length_prefixed, sha256},
    pairing::SessionId,
    receipt::QuarantineReason,
};

/// Which chain: each paired device has its own, and the desk's own deeds are one more.
///
/// As text `desk` or `device:` and the device's id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Chain {
    /// What the desk did of itself, or about a device it does not know.
    Desk,
    /// What concerns one device.
    Device(DeviceId),
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Desk => f.write_str("desk"),
            Self::Device(device) => write!(f, "device:{device}"),
        }
    }
}

impl TryFrom<String> for Chain {
    type Error = TextError;

    fn try_from(text: String) -> Result<Self, TextError> {
        match text.strip_prefix("device:") {
            Some(device) => DeviceId::new(device).map(Self::Device),
            None if text == "desk" => Ok(Self::Desk),
            None => Err(TextError::Alphabet { what: "chain" }),
        }
    }
}

impl From<Chain> for String {
    fn from(chain: Chain) -> Self {
        chain.to_string()
    }
}

/// What happened; closed, and nothing in it names a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum Event {
    /// The audit begins: always the first entry, and of what came before only what the `…_found` entries say is known.
    AuditBegan,
    /// A record that was there when the audit began.
    RecordFound {
        /// The record.
        record_id: RecordId,
        /// Digest of its envelope.
        content_sha256: Sha256,
    },
    /// An envelope that was in quarantine when the audit began.
    QuarantinedFound {
        /// The record it names.
        record_id: RecordId,
        /// Digest of the envelope.
        content_sha256: Sha256,
    },
    /// A device that was paired when the audit began.
    DeviceFound {
        /// Digest of the key it signs with.
        key_sha256: Sha256,
    },
    /// The hub was started.
    HubStarted,
    /// The hub ended as it was asked to; without this entry it was killed.
    HubStopped,
    /// From here on checkpoints are signed with another key.
    CheckpointKeyChanged {
        /// Digest of the new key.
        key_sha256: Sha256,
    },
    /// A device was paired.
    DevicePaired {
        /// Digest of the key it signs with.
        key_sha256: Sha256,
    },
    /// A device may not hand in for now.
    DeviceSuspended {
        /// Digest of the reason that was typed, see [`reason_digest`].
        reason_sha256: Sha256,
    },
    /// A suspended device may hand in again.
    DeviceResumed {
        /// Digest of the reason that was typed, see [`reason_digest`].
        reason_sha256: Sha256,
    },
    /// A device may never hand in again.
    DeviceRevoked {
        /// Digest of the reason that was typed, see [`reason_digest`].
        reason_sha256: Sha256,
    },
    /// A device was given a new certificate.
    CertificateRenewed {
        /// Digest of the certificate, DER.
        content_sha256: Sha256,
    },
    /// Somebody was not paired.
    PairingRefused {
        /// The session.
        session: SessionId,
        /// Why.
        reason: PairingRefusal,
    },
    /// A record was opened and committed.
    RecordAccepted {
        /// The record.
        record_id: RecordId,
        /// Digest of its envelope.
        content_sha256: Sha256,
    },
    /// An envelope was set aside.
    RecordQuarantined {
        /// The record it names.
        record_id: RecordId,
        /// Digest of the envelope.
        content_sha256: Sha256,
        /// Why.
        reason: QuarantineReason,
    },
    /// A person took an envelope out of the quarantine as a record.
    QuarantineAccepted {
        /// The record.
        record_id: RecordId,
        /// Digest of the envelope.
        content_sha256: Sha256,
        /// Digest of the reason that was typed, see [`reason_digest`].
        reason_sha256: Sha256,
    },
    /// A person decided that an envelope in the quarantine is not to be taken.
    QuarantineRejected {
        /// The record it names.
        record_id: RecordId,
        /// Digest of the envelope.
        content_sha256: Sha256,
        /// Digest of the reason that was typed, see [`reason_digest`].
        reason_sha256: Sha256,
    },
    /// The face file of a record was put into the folder.
    ///
    /// Without a digest: a few known fields make up the file, so a digest would let its holder try guesses, and the
    /// file follows from the envelope, whose digest is there.
    FaceFileWritten {
        /// The record.
        record_id: RecordId,
    },
}

impl Event {
    /// The record it is about.
    #[must_use]
    pub const fn record_id(&self) -> Option<RecordId> {
        match self {
            Self::RecordFound { record_id, .. }
            | Self::QuarantinedFound { record_id, .. }
            | Self::RecordAccepted { record_id, .. }
            | Self::RecordQuarantined { record_id, .. }
            | Self::QuarantineAccepted { record_id, .. }
            | Self::QuarantineRejected { record_id, .. }
            | Self::FaceFileWritten { record_id } => Some(*record_id),
            Self::AuditBegan
            | Self::DeviceFound { .. }
            | Self::HubStarted
            | Self::HubStopped
            | Self::CheckpointKeyChanged { .. }
            | Self::DevicePaired { .. }
            | Self::DeviceSuspended { .. }
            | Self::DeviceResumed { .. }
            | Self::DeviceRevoked { .. }
            | Self::CertificateRenewed { .. }
            | Self::PairingRefused { .. } => None,
        }
    }
}

/// Why somebody was not paired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PairingRefusal {
    /// Other digits were typed than the answering device shows: somebody else answered.
    CodeWrong,
    /// The admin turned the device down.
    Rejected,
    /// The time was up, or the session was of before a restart.
    Expired,
    /// What answered was not sealed to this session's key: it was altered, or made for another session.
    HelloInvalid,
    /// The certification request is not for the key that the device says it signs with.
    KeySwapped,
    /// Another hello had come first.
    Taken,
}

impl PairingRefusal {
    /// Every reason.
    pub const ALL: [Self; 6] =
        [Self::CodeWrong, Self::Rejected, Self::Expired, Self::HelloInvalid, Self::KeySwapped, Self::Taken];

    /// The word that stands in entries and in logs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::CodeWrong => "code_wrong",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::HelloInvalid => "hello_invalid",
            Self::KeySwapped => "key_swapped",
            Self::Taken => "taken",
        }
    }
}

/// One entry; its JSON is written once, and the bytes are stored and hashed as they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Version of the entry.
    pub version: V1,
    /// The clinic.
    pub tenant: InstitutionCode,
    /// Place among all entries of the clinic, from 1 without a gap.
    pub position: i64,
    /// The chain.
    pub chain: Chain,
    /// Place in the chain, from 1 without a gap.
    pub number: i64,
    /// When, on the desk's clock.
    pub at: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
    /// [`entry_hash`] of the entry before in the chain; of the first entry 32 zero bytes.
    pub previous: Sha256,
}

impl Entry {
    /// The entry as JSON, to be written once.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("an entry is plain fields")
    }
}

/// The hash of an entry: SHA-256 of `tazune audit entry v1`, one zero byte, and its bytes as stored.
#[must_use]
pub fn entry_hash(entry: &str) -> Sha256 {
    sha256(&[b"tazune audit entry v1\0", entry.as_bytes()].concat())
}

/// What stands in the chain for a reason that somebody typed.
///
/// `salt` is random and kept beside the reason: when both are deleted, nobody can try out what the reason may have been.
#[must_use]
pub fn reason_digest(salt: &[u8; 16], reason: &str) -> Sha256 {
    sha256(&[b"tazune audit reason v1\0".as_slice(), &length_prefixed(&[salt, reason.as_bytes()])].concat())
}

/// How far a chain reaches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The chain.
    pub chain: Chain,
    /// Number of its last entry; 0 before the first.
    pub number: i64,
    /// Hash of its last entry; before the first 32 zero bytes.
    pub hash: Sha256,
}

impl Head {
    /// A chain without an entry.
    #[must_use]
    pub const fn of_empty(chain: Chain) -> Self {
        Self { chain, number: 0, hash: Sha256([0; 32]) }
    }
}
