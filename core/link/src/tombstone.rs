//! The clinic's signed word that a device is revoked (墓標); only after it does a device destroy anything.

use serde::{Deserialize, Serialize};
use tazune_model::{Bytes, DeviceId, FailureCode, InstitutionCode, Timestamp};

use crate::{
    V1,
    keys::{BadSignature, KeyId, Label, VerifyingKey},
};

/// Why a device is revoked: all that the device is told; the staff's own words stay at the desk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RevocationKind {
    /// Nobody knows where it is (紛失).
    Lost,
    /// It was taken (盗難).
    Stolen,
    /// Another device does its work (交換).
    Replaced,
    /// Its user no longer works for the clinic (退職).
    Left,
    /// Anything else.
    Other,
}

impl RevocationKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Lost, Self::Stolen, Self::Replaced, Self::Left, Self::Other];
}

/// What a tombstone says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TombstoneBody {
    /// Version of the tombstone.
    pub version: V1,
    /// The clinic.
    pub tenant: InstitutionCode,
    /// The device.
    pub device: DeviceId,
    /// Id of the device's transport key: a device that was paired anew is another one.
    pub device_key_id: KeyId,
    /// When, on the desk's clock.
    pub revoked_at: Timestamp,
    /// Why.
    pub kind: RevocationKind,
}

/// A tombstone encoded once, still without its signature.
#[derive(Debug)]
pub struct UnsignedTombstone {
    body: Bytes,
}

impl UnsignedTombstone {
    /// Encodes a tombstone as JSON.
    #[must_use]
    pub fn new(body: &TombstoneBody) -> Self {
        Self { body: serde_json::to_vec(body).expect("a tombstone is plain fields").into() }
    }

    /// What the desk's receipt key signs.
    #[must_use]
    pub fn bytes_to_sign(&self) -> Vec<u8> {
        Label::Tombstone.bytes_to_sign(self.body.as_slice())
    }

    /// Adds the signature over [`Self::bytes_to_sign`].
    #[must_use]
    pub fn sign(self, signature: Bytes) -> SignedTombstone {
        SignedTombstone { body: self.body, signature }
    }
}

/// A tombstone as signed bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedTombstone {
    body: Bytes,
    signature: Bytes,
}

/// The device that a tombstone must be for.
#[derive(Clone, Copy, Debug)]
pub struct ExpectedTombstone<'a> {
    /// The device's clinic.
    pub tenant: &'a InstitutionCode,
    /// The device itself.
    pub device: &'a DeviceId,
    /// Its transport key.
    pub device_key: &'a VerifyingKey,
}

/// Why a tombstone proves nothing; the device stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TombstoneError {
    /// The hub says that the device is revoked and shows no tombstone.
    #[error("the tombstone is missing")]
    Missing,
    /// The signature is not the desk's.
    #[error("the tombstone's signature does not verify")]
    Signature,
    /// Not a tombstone of this version.
    #[error("malformed tombstone")]
    Malformed,
    /// It is for another clinic, device or key.
    #[error("the tombstone is for another device")]
    AboutAnother,
}

impl TombstoneError {
    /// The failure a person meets, whatever the reason.
    #[must_use]
    pub const fn failure_code(self) -> FailureCode {
        FailureCode::TombstoneInvalid
    }
}

impl SignedTombstone {
    /// Checks the signature, and that the tombstone is for exactly the expected device and key.
    ///
    /// # Errors
    /// [`TombstoneError`] otherwise.
    pub fn verify(
        &self,
        receipt_key: &VerifyingKey,
        expected: &ExpectedTombstone<'_>,
    ) -> Result<TombstoneBody, TombstoneError> {
        receipt_key
            .verify(Label::Tombstone, self.body.as_slice(), self.signature.as_slice())
            .map_err(|BadSignature| TombstoneError::Signature)?;
        let body: TombstoneBody =
            serde_json::from_slice(self.body.as_slice()).map_err(|_| TombstoneError::Malformed)?;
        if body.tenant != *expected.tenant
            || body.device != *expected.device
            || body.device_key_id != expected.device_key.key_id()
        {
            return Err(TombstoneError::AboutAnother);
        }
        Ok(body)
    }
}
