use std::fmt;

use rand_core::CryptoRng;
use ring::aead;
use serde::{Deserialize, Serialize};
use tazune_model::{Bytes, Sha256};
use zeroize::Zeroizing;

use super::{PairingCode, PairingError, PairingOffer, Reply};
use crate::{
    V1, hpke_seal,
    keys::{OpeningKey, SealingKey, VerifyingKey, length_prefixed, sha256},
};

/// Largest sealed hello, in bytes of its JSON.
pub const MAX_HELLO_BYTES: usize = 16 << 10;

const TRANSCRIPT_LABEL: &[u8] = b"tazune pairing v1";
const CODE_LABEL: &[u8] = b"tazune pairing code v1";
const REPLY_LABEL: &[u8] = b"tazune pairing reply v1";

/// Longest name, model or system that is shown to the admin, in characters.
const MAX_TEXT_CHARS: usize = 100;

/// What a device says of itself when it answers an offer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Version of the hello.
    pub version: V1,
    /// PKCS#10 request (DER) of the device's transport key; the desk checks it and that its key is `device_key`.
    pub csr: Bytes,
    /// The transport key's public half.
    pub device_key: VerifyingKey,
    /// The device's own sealing key, for what the desk sends to it.
    pub sealing_key: SealingKey,
    /// What the staff call the device; like the two below at most 100 characters, no control character.
    pub name: String,
    /// Make and model.
    pub model: String,
    /// System and version.
    pub os: String,
}

/// A hello that only the desk which made the offer can open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedHello {
    /// The sender's end of the HPKE exchange, 32 bytes.
    pub encapsulated: Bytes,
    /// The sealed hello.
    pub sealed: Bytes,
}

impl Hello {
    /// Seals the hello to the offer's session key; `offer_text` is the text exactly as scanned, `offer` the same read.
    pub(super) fn seal(
        &self,
        offer_text: &str,
        offer: &PairingOffer,
        rng: &mut impl CryptoRng,
    ) -> (SealedHello, Transcript) {
        let plaintext = serde_json::to_vec(self).expect("a hello is plain fields");
        let sealed = hpke_seal::seal(&offer.session_key, TRANSCRIPT_LABEL, offer_text.as_bytes(), &plaintext, rng);
        let exported = [sealed.export(CODE_LABEL), sealed.export(REPLY_LABEL)];
        let hello = SealedHello { encapsulated: sealed.encapsulated, sealed: sealed.sealed };
        let transcript = Transcript::new(offer_text, &hello, exported);
        (hello, transcript)
    }

    fn is_showable(&self) -> bool {
        [&self.name, &self.model, &self.os]
            .into_iter()
            .all(|text| text.chars().count() <= MAX_TEXT_CHARS && !text.chars().any(char::is_control))
    }
}

impl SealedHello {
    /// Opens a hello with the session's private key.
    ///
    /// # Errors
    /// [`PairingError::AnswerInvalid`] when it does not answer this offer, or is none.
    pub(super) fn open(&self, offer_text: &str, session_key: &OpeningKey) -> Result<(Hello, Transcript), PairingError> {
        let opened = hpke_seal::open(
            session_key,
            TRANSCRIPT_LABEL,
            offer_text.as_bytes(),
            self.encapsulated.as_slice(),
            self.sealed.as_slice(),
        )
        .map_err(|_| PairingError::AnswerInvalid)?;
        let hello: Hello = serde_json::from_slice(&opened.plaintext).map_err(|_| PairingError::AnswerInvalid)?;
        if !hello.is_showable() {
            return Err(PairingError::AnswerInvalid);
        }
        let exported = [opened.export(CODE_LABEL), opened.export(REPLY_LABEL)];
        Ok((hello, Transcript::new(offer_text, self, exported)))
    }
}

/// What both sides of one pairing hold after the hello, and nobody else: the six digits and the key of the reply.
///
/// The digits also depend on a secret of the exchange, so that somebody who sees offer and sealed hello pass, the
/// front's host for one, cannot look for a hello of his own with the same digits.
pub struct Transcript {
    hash: Sha256,
    code: PairingCode,
    reply_key: Zeroizing<[u8; 32]>,
}

impl Transcript {
    fn new(offer_text: &str, hello: &SealedHello, [code_secret, reply_key]: [Zeroizing<[u8; 32]>; 2]) -> Self {
        let parts = length_prefixed(&[offer_text.as_bytes(), hello.encapsulated.as_slice(), hello.sealed.as_slice()]);
        let hash = sha256(&[TRANSCRIPT_LABEL, &[0], &parts].concat());
        let code_input = Zeroizing::new([CODE_LABEL, &[0], &hash.0, code_secret.as_slice()].concat());
        Self { hash, code: PairingCode::derive(&sha256(&code_input)), reply_key }
    }

    /// The six digits.
    #[must_use]
    pub const fn code(&self) -> PairingCode {
        self.code
    }

    /// Seals the desk's reply; consumes the transcript, because the reply key is good for one message.
    pub(super) fn seal_reply(self, reply: &Reply) -> Bytes {
        let mut bytes = serde_json::to_vec(reply).expect("a reply is plain fields");
        self.key()
            .seal_in_place_append_tag(Self::nonce(), aead::Aad::from(self.hash.0), &mut bytes)
            .expect("a reply is far below the limit of AES-GCM");
        bytes.into()
    }

    /// Opens the desk's reply.
    ///
    /// # Errors
    /// [`PairingError::AnswerInvalid`] when it was not sealed by the other end, or is no reply.
    pub(super) fn open_reply(&self, sealed: &[u8]) -> Result<Reply, PairingError> {
        let mut bytes = sealed.to_vec();
        let plaintext = self
            .key()
            .open_in_place(Self::nonce(), aead::Aad::from(self.hash.0), &mut bytes)
            .map_err(|_| PairingError::AnswerInvalid)?;
        serde_json::from_slice(plaintext).map_err(|_| PairingError::AnswerInvalid)
    }

    fn key(&self) -> aead::LessSafeKey {
        let key = aead::UnboundKey::new(&aead::AES_256_GCM, self.reply_key.as_slice()).expect("the key has 32 bytes");
        aead::LessSafeKey::new(key)
    }

    /// One nonce for all: each reply key seals one message.
    fn nonce() -> aead::Nonce {
        aead::Nonce::assume_unique_for_key([0; 12])
    }
}

impl fmt::Debug for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Transcript")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transcript(offer: &str, encapsulated: &[u8], sealed: &[u8], secret: u8) -> Transcript {
        let hello = SealedHello { encapsulated: encapsulated.into(), sealed: sealed.into() };
        Transcript::new(offer, &hello, [Zeroizing::new([secret; 32]), Zeroizing::new([1; 32])])
    }

    #[test]
    fn the_code_differs_when_any_part_of_the_transcript_differs() {
        let all = [
            transcript("TZ1:offer", b"encapsulated", b"sealed", 0),
            transcript("TZ1:offes", b"encapsulated", b"sealed", 0),
            transcript("TZ1:offer", b"encapsulatee", b"sealed", 0),
            transcript("TZ1:offer", b"encapsulated", b"sealee", 0),
            transcript("TZ1:offer", b"encapsulated", b"sealed", 1),
            // The same bytes, divided otherwise.
            transcript("TZ1:offer", b"encapsulateds", b"ealed", 0),
            transcript("TZ1:offere", b"ncapsulated", b"sealed", 0),
        ];
        let codes: std::collections::HashSet<String> = all.iter().map(|each| each.code().digits()).collect();
        assert_eq!(codes.len(), all.len());
    }

    #[test]
    fn the_hash_also_without_the_secret_differs_when_any_public_part_differs() {
        let one = transcript("TZ1:offer", b"encapsulated", b"sealed", 0);
        assert_eq!(one.hash, transcript("TZ1:offer", b"encapsulated", b"sealed", 9).hash);
        assert_ne!(one.hash, transcript("TZ1:offer", b"encapsulateds", b"ealed", 0).hash);
    }
}
