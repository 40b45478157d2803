use serde::{Deserialize, Serialize};
use tazune_model::{Bytes, InstitutionCode, Sha256, Timestamp};

use super::Head;
use crate::{
    V1,
    keys::{Label, VerifyingKey, sha256},
};

/// What a checkpoint says: how far each chain reaches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointBody {
    /// Version of the checkpoint.
    pub version: V1,
    /// The clinic.
    pub tenant: InstitutionCode,
    /// Its place among the checkpoints, from 1 without a gap.
    pub number: i64,
    /// When, on the desk's clock.
    pub at: Timestamp,
    /// Position of the last entry it covers.
    pub entries: i64,
    /// The chains that grew since the checkpoint before; the others reach as far as the checkpoints before say.
    pub heads: Vec<Head>,
    /// The key it is signed with, which is the desk's receipt key of its time.
    pub key: VerifyingKey,
    /// [`checkpoint_hash`] of the checkpoint before; of the first 32 zero bytes.
    pub previous: Sha256,
}

/// A checkpoint encoded once, still without its signature.
#[derive(Debug)]
pub struct UnsignedCheckpoint {
    body: Bytes,
}

impl UnsignedCheckpoint {
    /// Encodes a checkpoint as JSON.
    #[must_use]
    pub fn new(body: &CheckpointBody) -> Self {
        Self { body: serde_json::to_vec(body).expect("a checkpoint is plain fields").into() }
    }

    /// What the desk's receipt key signs.
    #[must_use]
    pub fn bytes_to_sign(&self) -> Vec<u8> {
        Label::AuditCheckpoint.bytes_to_sign(self.body.as_slice())
    }

    /// Adds the signature over [`Self::bytes_to_sign`].
    #[must_use]
    pub fn sign(self, signature: Bytes) -> SignedCheckpoint {
        SignedCheckpoint { body: self.body, signature }
    }
}

/// A checkpoint as signed bytes; its JSON is stored, and is the line of a witness.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedCheckpoint {
    body: Bytes,
    signature: Bytes,
}

impl SignedCheckpoint {
    /// The checkpoint as JSON, to be written once.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a signed checkpoint is plain fields")
    }

    /// Reads a stored checkpoint if it is signed with the key that it names; whose key that is shows in the chain.
    #[must_use]
    pub fn verify(json: &str) -> Option<CheckpointBody> {
        let signed: Self = serde_json::from_str(json).ok()?;
        let body: CheckpointBody = serde_json::from_slice(signed.body.as_slice()).ok()?;
        let is_signed =
            body.key.verify(Label::AuditCheckpoint, signed.body.as_slice(), signed.signature.as_slice()).is_ok();
        is_signed.then_some(body)
    }
}

/// The hash of a checkpoint with its signature: SHA-256 of `tazune audit checkpoint v1`, one zero byte, and its bytes as
/// stored.
#[must_use]
pub fn checkpoint_hash(checkpoint: &str) -> Sha256 {
    sha256(&Label::AuditCheckpoint.bytes_to_sign(checkpoint.as_bytes()))
}
