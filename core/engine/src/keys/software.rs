use std::fmt;

use rand::Rng;
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair},
};
use tazune_link::keys::VerifyingKey;
use zeroize::Zeroizing;

use super::KeyStoreError;
use crate::clock::system_generator;

/// Associated data of a wrapped key, so that nothing else sealed with the staff key can pass for one.
const WRAP_LABEL: &[u8] = b"tazune wrapped key v1";

/// A transport key in this process's memory; what the memory and the file store have in common, as [`StaffKey`].
pub(super) struct TransportKey {
    pair: EcdsaKeyPair,
    random: SystemRandom,
}

impl TransportKey {
    /// Reads PKCS#8; [`KeyStoreError::Missing`] when it is damaged.
    pub(super) fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, KeyStoreError> {
        let random = system_random();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8, &random)
            .map_err(|_| KeyStoreError::Missing)?;
        Ok(Self { pair, random })
    }

    pub(super) fn public(&self) -> Result<VerifyingKey, KeyStoreError> {
        VerifyingKey::from_bytes(self.pair.public_key().as_ref()).map_err(|_| KeyStoreError::Missing)
    }

    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let signature = self.pair.sign(&self.random, message);
        signature.expect("signing fails only without randomness").as_ref().to_vec()
    }
}

/// A staff key in this process's memory.
pub(super) struct StaffKey(LessSafeKey);

impl StaffKey {
    /// Reads 32 bytes; [`KeyStoreError::Missing`] when they are fewer or more.
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, KeyStoreError> {
        let key = UnboundKey::new(&AES_256_GCM, bytes).map_err(|_| KeyStoreError::Missing)?;
        Ok(Self(LessSafeKey::new(key)))
    }

    pub(super) fn wrap_key(&self, key: &[u8; 32]) -> Vec<u8> {
        let mut nonce = [0; NONCE_LEN];
        system_generator().fill_bytes(&mut nonce);
        let mut sealed = key.to_vec();
        let tag = self
            .0
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(WRAP_LABEL), &mut sealed)
            .expect("32 bytes are within the cipher's limit");
        [&nonce, sealed.as_slice(), tag.as_ref()].concat()
    }

    pub(super) fn unwrap_key(&self, wrapped: &[u8]) -> Result<Zeroizing<[u8; 32]>, KeyStoreError> {
        let (nonce, sealed) = wrapped.split_first_chunk::<NONCE_LEN>().ok_or(KeyStoreError::Missing)?;
        let mut opened = Zeroizing::new(sealed.to_vec());
        let key = self
            .0
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(WRAP_LABEL), &mut opened)
            .map_err(|_| KeyStoreError::Missing)?;
        let key: &[u8; 32] = (&*key).try_into().map_err(|_| KeyStoreError::Missing)?;
        Ok(Zeroizing::new(*key))
    }
}

impl fmt::Debug for TransportKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[key]")
    }
}

impl fmt::Debug for StaffKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[key]")
    }
}

/// A new transport key as PKCS#8.
pub(super) fn make_transport() -> Zeroizing<Vec<u8>> {
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &system_random());
    Zeroizing::new(document.expect("making a key fails only without randomness").as_ref().to_vec())
}

/// A new staff key.
pub(super) fn make_staff() -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    system_generator().fill_bytes(&mut *key);
    key
}

#[expect(clippy::disallowed_methods, reason = "ring's own generator for ring's signatures, used nowhere else")]
fn system_random() -> SystemRandom {
    SystemRandom::new()
}
