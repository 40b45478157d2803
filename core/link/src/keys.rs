//! The keys of device and desk: what each is for, and what is signed under which label.

use std::fmt;

use hpke::{Deserializable as _, Kem as _, Serializable as _};
use rand_core::CryptoRng;
use ring::{digest, signature};
use serde::{Deserialize, Serialize};
use tazune_model::{Bytes, Sha256, TextError};
use zeroize::Zeroizing;

use crate::hpke_seal::{self, Kem};

/// What a signature is for; a signature under one label never passes under another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Label {
    /// A visit record, by the device's transport key.
    Record,
    /// A sealed envelope, by the device's transport key.
    Envelope,
    /// A receipt, by the desk's receipt key.
    Receipt,
    /// A tombstone, by the desk's receipt key.
    Tombstone,
    /// A checkpoint of the audit, by the desk's receipt key.
    AuditCheckpoint,
}

impl Label {
    /// Every label.
    pub const ALL: [Self; 5] = [Self::Record, Self::Envelope, Self::Receipt, Self::Tombstone, Self::AuditCheckpoint];

    /// The label as it is signed, for example `tazune record v1`.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Record => "tazune record v1",
            Self::Envelope => "tazune envelope v1",
            Self::Receipt => "tazune receipt v1",
            Self::Tombstone => "tazune tombstone v1",
            Self::AuditCheckpoint => "tazune audit checkpoint v1",
        }
    }

    /// What the key port signs: label, one zero byte, `bytes`.
    #[must_use]
    pub fn bytes_to_sign(self, bytes: &[u8]) -> Vec<u8> {
        [self.text().as_bytes(), &[0], bytes].concat()
    }
}

/// The bytes are not a key of the wanted kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a key of this kind")]
pub struct KeyError;

/// The signature was not made over these bytes, under this label, by this key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not verify")]
pub struct BadSignature;

/// The public half of a signing key: ECDSA on P-256 with SHA-256, signatures in ASN.1 DER.
///
/// The uncompressed point, 65 bytes, first byte 4; in JSON standard base64. Whether the point lies on the curve shows
/// at the first verification.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Bytes", into = "Bytes")]
pub struct VerifyingKey([u8; 65]);

impl VerifyingKey {
    /// Takes an uncompressed point.
    ///
    /// # Errors
    /// [`KeyError`] unless there are 65 bytes and the first is 4.
    pub fn from_bytes(point: &[u8]) -> Result<Self, KeyError> {
        let point: [u8; 65] = point.try_into().map_err(|_| KeyError)?;
        if point[0] == 4 { Ok(Self(point)) } else { Err(KeyError) }
    }

    /// The uncompressed point.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 65] {
        &self.0
    }

    /// The key's id.
    #[must_use]
    pub fn key_id(&self) -> KeyId {
        KeyId::of(&self.0)
    }

    /// Checks a signature over `bytes` under `label`.
    ///
    /// # Errors
    /// [`BadSignature`] when it does not verify, for whatever reason.
    pub fn verify(&self, label: Label, bytes: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
        signature::UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_ASN1, &self.0)
            .verify(&label.bytes_to_sign(bytes), signature)
            .map_err(|_| BadSignature)
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({})", self.key_id())
    }
}

impl TryFrom<Bytes> for VerifyingKey {
    type Error = KeyError;

    fn try_from(point: Bytes) -> Result<Self, KeyError> {
        Self::from_bytes(point.as_slice())
    }
}

impl From<VerifyingKey> for Bytes {
    fn from(key: VerifyingKey) -> Self {
        Self::from(key.0.as_slice())
    }
}

/// Which key: the first eight bytes of the SHA-256 of its public half, as 16 lower-case hexadecimal characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyId(u64);

impl KeyId {
    fn of(public_key: &[u8]) -> Self {
        let Sha256(digest) = sha256(public_key);
        Self(digest.iter().take(8).fold(0, |id, byte| id << 8 | u64::from(*byte)))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

impl TryFrom<String> for KeyId {
    type Error = TextError;

    fn try_from(text: String) -> Result<Self, TextError> {
        if text.len() != 16 {
            return Err(TextError::Length { what: "key id" });
        }
        if !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(TextError::Alphabet { what: "key id" });
        }
        u64::from_str_radix(&text, 16).map(Self).map_err(|_| TextError::Alphabet { what: "key id" })
    }
}

impl From<KeyId> for String {
    fn from(id: KeyId) -> Self {
        id.to_string()
    }
}

/// The public half of an [`OpeningKey`]: whoever has it can seal, only the other half opens.
///
/// X25519, 32 bytes; in JSON standard base64. Points of small order, with which everybody could open, are refused.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Bytes", into = "Bytes")]
pub struct SealingKey([u8; 32]);

impl SealingKey {
    /// Takes an X25519 public key.
    ///
    /// # Errors
    /// [`KeyError`] unless there are 32 bytes and the point is not of small order.
    pub fn from_bytes(public_key: &[u8]) -> Result<Self, KeyError> {
        let bytes: [u8; 32] = public_key.try_into().map_err(|_| KeyError)?;
        if hpke_seal::is_small_order(&bytes) { Err(KeyError) } else { Ok(Self(bytes)) }
    }

    /// The X25519 public key.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The key's id.
    #[must_use]
    pub fn key_id(&self) -> KeyId {
        KeyId::of(&self.0)
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingKey({})", self.key_id())
    }
}

impl TryFrom<Bytes> for SealingKey {
    type Error = KeyError;

    fn try_from(public_key: Bytes) -> Result<Self, KeyError> {
        Self::from_bytes(public_key.as_slice())
    }
}

impl From<SealingKey> for Bytes {
    fn from(key: SealingKey) -> Self {
        Self::from(key.0.as_slice())
    }
}

/// The private half of a [`SealingKey`]: X25519, 32 bytes, wiped when dropped, never printed or serialised.
pub struct OpeningKey(Zeroizing<[u8; 32]>);

impl OpeningKey {
    /// Makes a new key.
    pub fn make(rng: &mut impl CryptoRng) -> Self {
        let (private, _) = Kem::gen_keypair_with_rng(rng);
        Self::from_hpke(&private)
    }

    /// Takes a key back from a key store; clamped as RFC 7748 asks.
    ///
    /// # Errors
    /// [`KeyError`] unless there are 32 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        hpke_seal::PrivateKey::from_bytes(bytes).map(|key| Self::from_hpke(&key)).map_err(|_| KeyError)
    }

    /// The key for a key store.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        self.0.clone()
    }

    /// The public half.
    #[must_use]
    pub fn sealing_key(&self) -> SealingKey {
        SealingKey(Kem::sk_to_pk(&self.to_hpke()).to_bytes().into())
    }

    pub(crate) fn to_hpke(&self) -> hpke_seal::PrivateKey {
        hpke_seal::PrivateKey::from_bytes(self.0.as_slice()).expect("the key has 32 bytes")
    }

    fn from_hpke(key: &hpke_seal::PrivateKey) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        key.write_exact(bytes.as_mut_slice());
        Self(bytes)
    }
}

impl fmt::Debug for OpeningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OpeningKey of {}", self.sealing_key().key_id())
    }
}

/// SHA-256 of some bytes.
#[must_use]
pub fn sha256(bytes: &[u8]) -> Sha256 {
    let mut out = [0; 32];
    out.iter_mut().zip(digest::digest(&digest::SHA256, bytes).as_ref()).for_each(|(to, from)| *to = *from);
    Sha256(out)
}

/// Parts joined so that no two lists of parts give the same bytes: each part after its length, 4 bytes big-endian.
pub(crate) fn length_prefixed(parts: &[&[u8]]) -> Vec<u8> {
    let mut joined = Vec::with_capacity(parts.iter().map(|part| part.len() + 4).sum());
    for part in parts {
        let length = u32::try_from(part.len()).expect("no part of a message comes near 4 GiB");
        joined.extend_from_slice(&length.to_be_bytes());
        joined.extend_from_slice(part);
    }
    joined
}
