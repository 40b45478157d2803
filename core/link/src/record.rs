//! The visit record as signed bytes: the innermost of the three layers record, envelope, receipt.

use serde::{Deserialize, Serialize};
use tazune_model::{Bytes, VisitRecord};

use crate::keys::{BadSignature, Label, VerifyingKey};

/// A visit record encoded once, still without its signature.
#[derive(Debug)]
pub struct UnsignedRecord {
    body: Bytes,
}

impl UnsignedRecord {
    /// Encodes a record as JSON.
    #[must_use]
    pub fn new(record: &VisitRecord) -> Self {
        let body = serde_json::to_vec(record).expect("a record has no map with keys other than text");
        Self { body: body.into() }
    }

    /// What the device's transport key signs.
    #[must_use]
    pub fn bytes_to_sign(&self) -> Vec<u8> {
        Label::Record.bytes_to_sign(self.body.as_slice())
    }

    /// Adds the signature over [`Self::bytes_to_sign`].
    #[must_use]
    pub fn sign(self, signature: Bytes) -> SignedRecord {
        SignedRecord { body: self.body, signature }
    }
}

/// A visit record as signed bytes; as JSON it is the plaintext of an envelope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedRecord {
    body: Bytes,
    signature: Bytes,
}

/// Why signed bytes are not a record of this device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The signature does not verify.
    #[error("the record's signature does not verify")]
    Signature,
    /// The signed bytes are not a visit record.
    #[error("the signed bytes are no visit record")]
    Malformed,
}

impl SignedRecord {
    /// Checks the signature, then reads the record.
    ///
    /// # Errors
    /// [`RecordError`] when the signature is not the device's, or the bytes are no record.
    pub fn verify(&self, device_key: &VerifyingKey) -> Result<VisitRecord, RecordError> {
        device_key
            .verify(Label::Record, self.body.as_slice(), self.signature.as_slice())
            .map_err(|BadSignature| RecordError::Signature)?;
        serde_json::from_slice(self.body.as_slice()).map_err(|_| RecordError::Malformed)
    }
}
