//! The desk's signed word on one envelope; only after it may a device purge.

use serde::{Deserialize, Serialize};
use tazune_model::{Bytes, DeviceId, FailureCode, InstitutionCode, RecordId, Sha256, Timestamp};

use crate::{
    V1,
    envelope::OpenError,
    keys::{BadSignature, Label, VerifyingKey},
};

/// What the desk did with an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Opened and durably committed.
    Accepted,
    /// Set aside; a person looks at it.
    Quarantined {
        /// Why.
        reason: QuarantineReason,
    },
}

/// Why the desk set an envelope aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuarantineReason {
    /// It, or the record inside, cannot be read.
    Malformed,
    /// It is sealed to a key the desk does not hold.
    WrongKey,
    /// A signature does not verify, or the seal is broken.
    Altered,
    /// It is for another clinic, or the record inside is not the one the header names.
    Misaddressed,
    /// The desk does not know the device.
    UnknownDevice,
    /// The desk holds another record under this id.
    Replayed,
    /// The device was revoked before the desk had it; nobody looked inside.
    DeviceRevoked,
}

impl QuarantineReason {
    /// Every reason.
    pub const ALL: [Self; 7] = [
        Self::Malformed,
        Self::WrongKey,
        Self::Altered,
        Self::Misaddressed,
        Self::UnknownDevice,
        Self::Replayed,
        Self::DeviceRevoked,
    ];

    /// The failure a person meets, whatever the reason.
    #[must_use]
    pub const fn failure_code(self) -> FailureCode {
        FailureCode::RecordQuarantined
    }
}

impl From<OpenError> for QuarantineReason {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Malformed => Self::Malformed,
            OpenError::WrongKey => Self::WrongKey,
            OpenError::Altered => Self::Altered,
            OpenError::Misaddressed => Self::Misaddressed,
        }
    }
}

/// What a receipt says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptBody {
    /// Version of the receipt.
    pub version: V1,
    /// The record.
    pub record_id: RecordId,
    /// The clinic.
    pub tenant: InstitutionCode,
    /// The device that made the envelope.
    pub device: DeviceId,
    /// Digest of exactly the envelope this is about.
    pub envelope_sha256: Sha256,
    /// What was done.
    pub verdict: Verdict,
    /// When, on the desk's clock.
    pub at: Timestamp,
}

/// A receipt encoded once, still without its signature.
#[derive(Debug)]
pub struct UnsignedReceipt {
    body: Bytes,
}

impl UnsignedReceipt {
    /// Encodes a receipt as JSON.
    #[must_use]
    pub fn new(body: &ReceiptBody) -> Self {
        Self { body: serde_json::to_vec(body).expect("a receipt is plain fields").into() }
    }

    /// What the desk's receipt key signs.
    #[must_use]
    pub fn bytes_to_sign(&self) -> Vec<u8> {
        Label::Receipt.bytes_to_sign(self.body.as_slice())
    }

    /// Adds the signature over [`Self::bytes_to_sign`].
    #[must_use]
    pub fn sign(self, signature: Bytes) -> SignedReceipt {
        SignedReceipt { body: self.body, signature }
    }
}

/// A receipt as signed bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedReceipt {
    body: Bytes,
    signature: Bytes,
}

/// Which envelope a device waits to hear of.
#[derive(Clone, Copy, Debug)]
pub struct ExpectedReceipt<'a> {
    /// The record.
    pub record_id: RecordId,
    /// The device's clinic.
    pub tenant: &'a InstitutionCode,
    /// The device itself.
    pub device: &'a DeviceId,
    /// Digest of the envelope as stored.
    pub envelope_sha256: Sha256,
}

/// Why a receipt proves nothing; the record is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// The signature is not the desk's.
    #[error("the receipt's signature does not verify")]
    Signature,
    /// Not a receipt of this version.
    #[error("malformed receipt")]
    Malformed,
    /// It is about another record, envelope, clinic or device.
    #[error("the receipt is about another envelope")]
    AboutAnother,
}

impl ReceiptError {
    /// The failure a person meets, whatever the reason.
    #[must_use]
    pub const fn failure_code(self) -> FailureCode {
        FailureCode::ReceiptInvalid
    }
}

impl SignedReceipt {
    /// The record the receipt claims to be about, to find what to [`Self::verify`] it against.
    ///
    /// # Errors
    /// [`ReceiptError::Malformed`] when it is no receipt.
    pub fn claimed_record_id(&self) -> Result<RecordId, ReceiptError> {
        self.body().map(|body| body.record_id)
    }

    /// Checks the signature, and that the receipt is about exactly the expected envelope.
    ///
    /// # Errors
    /// [`ReceiptError`] otherwise.
    pub fn verify(
        &self,
        receipt_key: &VerifyingKey,
        expected: &ExpectedReceipt<'_>,
    ) -> Result<ReceiptBody, ReceiptError> {
        receipt_key
            .verify(Label::Receipt, self.body.as_slice(), self.signature.as_slice())
            .map_err(|BadSignature| ReceiptError::Signature)?;
        let body = self.body()?;
        if body.record_id != expected.record_id
            || body.tenant != *expected.tenant
            || body.device != *expected.device
            || body.envelope_sha256 != expected.envelope_sha256
        {
            return Err(ReceiptError::AboutAnother);
        }
        Ok(body)
    }

    fn body(&self) -> Result<ReceiptBody, ReceiptError> {
        serde_json::from_slice(self.body.as_slice()).map_err(|_| ReceiptError::Malformed)
    }
}
