//! The one HPKE suite in use, RFC 9180 base mode: X25519 with HKDF-SHA256, HKDF-SHA256, AES-256-GCM.

use hpke::{Deserializable as _, OpModeR, OpModeS, Serializable as _};
use rand_core::CryptoRng;
use tazune_model::Bytes;
use zeroize::Zeroizing;

use crate::keys::{OpeningKey, SealingKey};

pub(crate) type Kem = hpke::kem::X25519HkdfSha256;
pub(crate) type PrivateKey = <Kem as hpke::Kem>::PrivateKey;
type PublicKey = <Kem as hpke::Kem>::PublicKey;
type EncappedKey = <Kem as hpke::Kem>::EncappedKey;
type Kdf = hpke::kdf::HkdfSha256;
type Aead = hpke::aead::AesGcm256;

/// A sealed message and the sender's end of its context.
pub(crate) struct Sealed {
    pub(crate) encapsulated: Bytes,
    pub(crate) sealed: Bytes,
    context: hpke::aead::AeadCtxS<Aead, Kdf, Kem>,
}

/// An opened message and the receiver's end of its context.
pub(crate) struct Opened {
    pub(crate) plaintext: Zeroizing<Vec<u8>>,
    context: hpke::aead::AeadCtxR<Aead, Kdf, Kem>,
}

/// The message was not sealed to this key with this `info` and associated data, or was altered.
#[derive(Debug)]
pub(crate) struct NotOpened;

/// Seals one message; `info` and `associated` must be the same at opening.
pub(crate) fn seal(
    to: &SealingKey,
    info: &[u8],
    associated: &[u8],
    plaintext: &[u8],
    rng: &mut impl CryptoRng,
) -> Sealed {
    let to = PublicKey::from_bytes(to.as_bytes()).expect("a sealing key has 32 bytes");
    let (encapsulated, mut context) = hpke::setup_sender_with_rng::<Aead, Kdf, Kem>(&OpModeS::Base, &to, info, rng)
        .expect("a sealing key is not of small order");
    let sealed = context.seal(plaintext, associated).expect("the first message of a context");
    Sealed { encapsulated: encapsulated.to_bytes().as_slice().into(), sealed: sealed.into(), context }
}

/// Opens one message.
pub(crate) fn open(
    with: &OpeningKey,
    info: &[u8],
    associated: &[u8],
    encapsulated: &[u8],
    sealed: &[u8],
) -> Result<Opened, NotOpened> {
    let encapsulated = EncappedKey::from_bytes(encapsulated).map_err(|_| NotOpened)?;
    let mut context = hpke::setup_receiver::<Aead, Kdf, Kem>(&OpModeR::Base, &with.to_hpke(), &encapsulated, info)
        .map_err(|_| NotOpened)?;
    let plaintext = Zeroizing::new(context.open(sealed, associated).map_err(|_| NotOpened)?);
    Ok(Opened { plaintext, context })
}

impl Sealed {
    /// A secret that only the two ends of this message know; `purpose` keeps secrets of one message apart.
    pub(crate) fn export(&self, purpose: &[u8]) -> Zeroizing<[u8; 32]> {
        let mut secret = Zeroizing::new([0; 32]);
        self.context.export(purpose, secret.as_mut_slice()).expect("32 bytes are within HKDF's limit");
        secret
    }
}

impl Opened {
    /// The same secret at the other end.
    pub(crate) fn export(&self, purpose: &[u8]) -> Zeroizing<[u8; 32]> {
        let mut secret = Zeroizing::new([0; 32]);
        self.context.export(purpose, secret.as_mut_slice()).expect("32 bytes are within HKDF's limit");
        secret
    }
}

/// Whether the point gives everybody the same shared secret, whatever the private key.
pub(crate) fn is_small_order(public_key: &[u8; 32]) -> bool {
    // Decapsulation refuses exactly these points, for any private key.
    let any_key = PrivateKey::from_bytes(&[1; 32]).expect("a private key has 32 bytes");
    let point = EncappedKey::from_bytes(public_key).expect("an encapsulated key has 32 bytes");
    hpke::setup_receiver::<Aead, Kdf, Kem>(&OpModeR::Base, &any_key, &point, &[]).is_err()
}
