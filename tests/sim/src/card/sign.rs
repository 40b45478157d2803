use rsa::{
    Pkcs1v15Sign, RsaPrivateKey,
    pss::Pss,
    sha2::{Digest as _, Sha256},
};

/// Why the card does not sign.
pub(super) enum SignRefusal {
    /// P1 is no scheme.
    Scheme,
    /// The input has a length that the scheme cannot take.
    Length,
}

/// Signs as scheme `p1` of the proprietary `80 2A` command: 256 bytes.
///
/// | P1 | signed | input |
/// |---|---|---|
/// | 00 | PKCS#1 v1.5 over the bytes as given | 1–245 bytes |
/// | 01 | PKCS#1 v1.5 over the bare SHA-256 of the message | message |
/// | 02 | PKCS#1 v1.5 over DigestInfo of a given SHA-256 | 32 bytes |
/// | 03 | PKCS#1 v1.5 over DigestInfo of the message's SHA-256 | message |
/// | 04, 05 | PSS over a given hash, over a message | 32 bytes, message |
///
/// Source: shared facts "card-protocol" §4.3.
pub(super) fn sign(key: &RsaPrivateKey, p1: u8, input: &[u8]) -> Result<Vec<u8>, SignRefusal> {
    if input.is_empty() {
        return Err(SignRefusal::Length);
    }
    let plain = |bytes: &[u8]| key.sign(Pkcs1v15Sign::new_unprefixed(), bytes);
    let digest = || Sha256::digest(input);
    let given_hash = || if input.len() == 32 { Ok(input) } else { Err(SignRefusal::Length) };
    let signature = match p1 {
        0x00 if input.len() > 245 => return Err(SignRefusal::Length),
        0x00 => plain(input),
        0x01 => plain(&digest()),
        0x02 => key.sign(Pkcs1v15Sign::new::<Sha256>(), given_hash()?),
        0x03 => key.sign(Pkcs1v15Sign::new::<Sha256>(), &digest()),
        0x04 => key.sign_with_rng(&mut crate::generator(), Pss::<Sha256>::new(), given_hash()?),
        0x05 => key.sign_with_rng(&mut crate::generator(), Pss::<Sha256>::new(), &digest()),
        _ => return Err(SignRefusal::Scheme),
    };
    Ok(signature.expect("an input of a checked length can be signed with a key of 2048 bits"))
}
