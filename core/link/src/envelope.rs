//! The sealed envelope: what travels from the device over the front to the desk, and who checks what of it.

use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use tazune_model::{Bytes, DeviceId, FailureCode, InstitutionCode, RecordId, Sha256, VisitRecord};
use zeroize::Zeroizing;

use crate::{
    V1, hpke_seal,
    keys::{KeyId, Label, OpeningKey, SealingKey, VerifyingKey, length_prefixed, sha256},
    record::{RecordError, SignedRecord},
};

/// Largest envelope, in bytes of its JSON: 1 MiB.
pub const MAX_ENVELOPE_BYTES: usize = 1 << 20;

/// Largest batch, 8 MiB: of a device's request its whole body, of the desk's work the bytes of the envelopes.
pub const MAX_BATCH_BYTES: usize = 8 << 20;

/// Longest ECDSA signature on P-256 in ASN.1 DER.
const MAX_SIGNATURE_BYTES: usize = 72;

/// What is in an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A visit record.
    Record,
}

/// What anybody may read of an envelope; its JSON bytes are the associated data of the seal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvelopeHeader {
    /// Version of envelope and content.
    pub version: V1,
    /// What is inside.
    pub kind: Kind,
    /// The clinic's key it is sealed to.
    pub key_id: KeyId,
    /// The clinic it is for.
    pub tenant: InstitutionCode,
    /// The device that made it.
    pub device: DeviceId,
    /// The record inside.
    pub record_id: RecordId,
}

impl EnvelopeHeader {
    /// The header under which `record` is sealed to `clinic_key`.
    #[must_use]
    pub fn new(clinic_key: &SealingKey, record: &VisitRecord) -> Self {
        Self {
            version: V1,
            kind: Kind::Record,
            key_id: clinic_key.key_id(),
            tenant: record.institution.clone(),
            device: record.device_id.clone(),
            record_id: record.record_id,
        }
    }
}

/// Why a record cannot be sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The envelope would be larger than [`MAX_ENVELOPE_BYTES`].
    #[error("the record is too large for an envelope")]
    Oversized,
}

impl SealError {
    /// The failure a person meets.
    #[must_use]
    pub const fn failure_code(self) -> FailureCode {
        match self {
            Self::Oversized => FailureCode::RecordOversized,
        }
    }
}

/// Seals a record to the clinic's key; from here on the device cannot read it.
///
/// `header` names `clinic_key` and the record, see [`EnvelopeHeader::new`].
///
/// # Errors
/// [`SealError::Oversized`] when the finished envelope could exceed [`MAX_ENVELOPE_BYTES`].
pub fn seal(
    clinic_key: &SealingKey,
    header: EnvelopeHeader,
    record: &SignedRecord,
    rng: &mut impl CryptoRng,
) -> Result<UnsignedEnvelope, SealError> {
    let header = serde_json::to_vec(&header).expect("a header is plain fields");
    let plaintext = Zeroizing::new(serde_json::to_vec(record).expect("a signed record is plain fields"));
    let sealed = hpke_seal::seal(clinic_key, Label::Envelope.text().as_bytes(), &header, &plaintext, rng);
    let unsigned = UnsignedEnvelope { header: header.into(), encapsulated: sealed.encapsulated, sealed: sealed.sealed };
    let longest = unsigned.clone().sign(vec![0; MAX_SIGNATURE_BYTES].into());
    if longest.to_bytes().len() > MAX_ENVELOPE_BYTES { Err(SealError::Oversized) } else { Ok(unsigned) }
}

/// A sealed envelope, still without the signature that lets the front check it.
#[derive(Clone, Debug)]
pub struct UnsignedEnvelope {
    header: Bytes,
    encapsulated: Bytes,
    sealed: Bytes,
}

impl UnsignedEnvelope {
    /// What the device's transport key signs.
    #[must_use]
    pub fn bytes_to_sign(&self) -> Vec<u8> {
        Label::Envelope.bytes_to_sign(&signed_part(&self.header, &self.encapsulated, &self.sealed))
    }

    /// Adds the signature over [`Self::bytes_to_sign`].
    #[must_use]
    pub fn sign(self, signature: Bytes) -> Envelope {
        Envelope { header: self.header, encapsulated: self.encapsulated, sealed: self.sealed, signature }
    }
}

/// A sealed and signed envelope; stored and sent as the bytes of [`Envelope::to_bytes`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    header: Bytes,
    encapsulated: Bytes,
    sealed: Bytes,
    signature: Bytes,
}

impl Envelope {
    /// Reads an envelope; whether it is genuine shows in [`check_at_front`] and [`open`].
    ///
    /// # Errors
    /// [`Refusal::Oversized`] above [`MAX_ENVELOPE_BYTES`], [`Refusal::Malformed`] when it is no envelope.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        if bytes.len() > MAX_ENVELOPE_BYTES {
            return Err(Refusal::Oversized);
        }
        serde_json::from_slice(bytes).map_err(|_| Refusal::Malformed)
    }

    /// The envelope as JSON; equal envelopes give equal bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("an envelope is plain fields")
    }

    /// Digest of [`Self::to_bytes`]: what a receipt names, and how the front knows a repetition from a replay.
    #[must_use]
    pub fn sha256(&self) -> Sha256 {
        sha256(&self.to_bytes())
    }

    /// The header, as claimed: genuine only after [`check_at_front`] or [`open`].
    ///
    /// # Errors
    /// [`Refusal::Malformed`] when it is no header of this version.
    pub fn header(&self) -> Result<EnvelopeHeader, Refusal> {
        serde_json::from_slice(self.header.as_slice()).map_err(|_| Refusal::Malformed)
    }

    fn is_signed_by(&self, device_key: &VerifyingKey) -> bool {
        let signed = signed_part(&self.header, &self.encapsulated, &self.sealed);
        device_key.verify(Label::Envelope, &signed, self.signature.as_slice()).is_ok()
    }
}

fn signed_part(header: &Bytes, encapsulated: &Bytes, sealed: &Bytes) -> Vec<u8> {
    length_prefixed(&[header.as_slice(), encapsulated.as_slice(), sealed.as_slice()])
}

/// Why the front refuses an envelope; travels in its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// The front does not know the device.
    #[error("unknown device")]
    UnknownDevice,
    /// The front holds, or held, other bytes under the same record id.
    #[error("another envelope has this record id")]
    Replayed,
    /// The signature is not the device's.
    #[error("altered envelope")]
    Altered,
    /// The envelope, or the batch, is too large.
    #[error("oversized envelope")]
    Oversized,
    /// The envelope names another clinic or another device than the connection's.
    #[error("envelope for another clinic or of another device")]
    Misaddressed,
    /// Not an envelope of this version.
    #[error("malformed envelope")]
    Malformed,
}

impl Refusal {
    /// Every refusal.
    pub const ALL: [Self; 6] =
        [Self::UnknownDevice, Self::Replayed, Self::Altered, Self::Oversized, Self::Misaddressed, Self::Malformed];

    /// The failure a person meets.
    #[must_use]
    pub const fn failure_code(self) -> FailureCode {
        match self {
            Self::UnknownDevice => FailureCode::DeviceUnknown,
            Self::Replayed => FailureCode::EnvelopeReplayed,
            Self::Altered | Self::Malformed => FailureCode::EnvelopeAltered,
            Self::Oversized => FailureCode::EnvelopeOversized,
            Self::Misaddressed => FailureCode::EnvelopeMisaddressed,
        }
    }
}

/// All that the front can check of an envelope without opening it.
///
/// `tenant` and `device` are those of the connection's certificate, `device_key` the one registered for the device.
/// Whether the device may hand in and whether the record id is new is for the front's store to say.
///
/// # Errors
/// [`Refusal`]: oversized, malformed, misaddressed or altered, in this order.
pub fn check_at_front(
    envelope: &Envelope,
    tenant: &InstitutionCode,
    device: &DeviceId,
    device_key: &VerifyingKey,
) -> Result<EnvelopeHeader, Refusal> {
    if envelope.to_bytes().len() > MAX_ENVELOPE_BYTES {
        return Err(Refusal::Oversized);
    }
    let header = envelope.header()?;
    if header.tenant != *tenant || header.device != *device {
        return Err(Refusal::Misaddressed);
    }
    if envelope.is_signed_by(device_key) { Ok(header) } else { Err(Refusal::Altered) }
}

/// Why the desk cannot take what is in an envelope; the envelope is set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The header, the opened bytes or the record cannot be read.
    #[error("malformed envelope or record")]
    Malformed,
    /// Sealed to another key than this one.
    #[error("sealed to another key")]
    WrongKey,
    /// A signature does not verify, or the seal is broken.
    #[error("altered envelope or record")]
    Altered,
    /// The record inside is not the one the header names.
    #[error("the record is not the one the header names")]
    Misaddressed,
}

/// Checks the device's signature, opens the envelope, checks the record's signature and that it is the named one.
///
/// The desk has chosen `key` by the header's `key_id` and `device_key` by its `device`, and knows `tenant` as its own.
///
/// # Errors
/// [`OpenError`]; nothing of the content is given out then.
pub fn open(key: &OpeningKey, envelope: &Envelope, device_key: &VerifyingKey) -> Result<VisitRecord, OpenError> {
    let header = envelope.header().map_err(|_| OpenError::Malformed)?;
    if !envelope.is_signed_by(device_key) {
        return Err(OpenError::Altered);
    }
    if header.key_id != key.sealing_key().key_id() {
        return Err(OpenError::WrongKey);
    }
    let opened = hpke_seal::open(
        key,
        Label::Envelope.text().as_bytes(),
        envelope.header.as_slice(),
        envelope.encapsulated.as_slice(),
        envelope.sealed.as_slice(),
    )
    .map_err(|_| OpenError::Altered)?;
    let signed: SignedRecord = serde_json::from_slice(&opened.plaintext).map_err(|_| OpenError::Malformed)?;
    let record = signed.verify(device_key).map_err(|error| match error {
        RecordError::Signature => OpenError::Altered,
        RecordError::Malformed => OpenError::Malformed,
    })?;
    if record.record_id != header.record_id || record.institution != header.tenant || record.device_id != header.device
    {
        return Err(OpenError::Misaddressed);
    }
    Ok(record)
}
