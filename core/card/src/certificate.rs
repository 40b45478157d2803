use std::{fmt, time::Duration};

use der::{
    Decode, Reader as _, Sequence, SliceReader,
    asn1::UintRef,
    oid::{AssociatedOid, ObjectIdentifier},
};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use tazune_model::{Bytes, CertificatePhase, CertificateSummary, Date, Timestamp, japan_date};
use x509_cert::{
    Certificate, TbsCertificate, Version,
    ext::pkix::{BasicConstraints, CertificatePolicies, ExtendedKeyUsage, KeyUsage, KeyUsages},
    spki::SubjectPublicKeyInfoOwned,
};

use crate::prefix;

/// A user certificate (利用者証明用電子証明書) that keeps its profile; it names nobody, but its serial number is a person's.
///
/// One that came out of [`crate::ReadCertificate`] was also issued by a pinned authority; one that was stored and read
/// back has its profile checked again, not its issuer. Source: card-protocol §7.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Bytes", into = "Bytes")]
pub struct UserCertificate {
    der: Bytes,
    begins_on: Date,
    expires_on: Date,
    identity_bytes: usize,
    public_key: Vec<u8>,
}

/// What is wrong with a certificate that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateFault {
    /// The file ends before the certificate does.
    #[error("the file ends too early")]
    Truncated,
    /// It announces more bytes than any certificate has.
    #[error("too long")]
    TooLong,
    /// It is no DER of a certificate, or bytes follow inside it.
    #[error("not the DER of a certificate")]
    NotDer,
    /// Not version 3.
    #[error("not version 3")]
    Version,
    /// Not signed with sha256WithRSAEncryption.
    #[error("not signed with sha256WithRSAEncryption")]
    Algorithm,
    /// Not an RSA key of 2048 bits with the exponent 65537.
    #[error("not an RSA-2048 key with exponent 65537")]
    PublicKey,
    /// Its days of validity cannot be read.
    #[error("validity cannot be read")]
    Validity,
    /// A critical extension that is not known here.
    #[error("an unknown critical extension")]
    CriticalExtension,
    /// Key usage is missing, or is not digitalSignature alone.
    #[error("key usage is not digitalSignature alone")]
    KeyUsage,
    /// Extended key usage is missing or has no clientAuth.
    #[error("extended key usage has no clientAuth")]
    ExtendedKeyUsage,
    /// It says that it is a certificate authority.
    #[error("it is a certificate authority")]
    Authority,
    /// It names no policy.
    #[error("no certificate policy")]
    Policy,
}

impl UserCertificate {
    /// The certificate, DER.
    #[must_use]
    pub const fn der(&self) -> &Bytes {
        &self.der
    }

    /// First day of validity, in Japan.
    #[must_use]
    pub const fn begins_on(&self) -> Date {
        self.begins_on
    }

    /// Last day of validity, in Japan; read from the certificate, never computed.
    #[must_use]
    pub const fn expires_on(&self) -> Date {
        self.expires_on
    }

    /// Where it stands on `day`, a day in Japan.
    #[must_use]
    pub fn phase_on(&self, day: Date) -> CertificatePhase {
        CertificatePhase::on(day, self.begins_on, self.expires_on)
    }

    /// All that a visit record keeps of it.
    #[must_use]
    pub fn summary_on(&self, day: Date) -> CertificateSummary {
        CertificateSummary { phase: self.phase_on(day), expires_on: self.expires_on }
    }

    /// Its first bytes, up to and with serial number and issuer (発行番号), 256 at most: two certificates differ in them.
    #[must_use]
    pub fn identity(&self) -> &[u8] {
        self.der.as_slice().get(..self.identity_bytes).expect("the constructor found the identity inside")
    }

    /// Whether `signature` (PKCS#1 v1.5, SHA-256) over `message` was made with its key.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.public_key).verify(message, signature).is_ok()
    }
}

impl TryFrom<Bytes> for UserCertificate {
    type Error = CertificateFault;

    fn try_from(der: Bytes) -> Result<Self, CertificateFault> {
        let identity_bytes = prefix::identity_bytes(der.as_slice()).ok_or(CertificateFault::NotDer)?;
        let certificate = Certificate::from_der(der.as_slice()).map_err(|_| CertificateFault::NotDer)?;
        let tbs = certificate.tbs_certificate();
        if tbs.version() != Version::V3 {
            return Err(CertificateFault::Version);
        }
        if !is_signed_as_expected(&certificate) {
            return Err(CertificateFault::Algorithm);
        }
        check_extensions(tbs)?;
        let day = |time: x509_cert::time::Time| day_in_japan(time.to_unix_duration());
        Ok(Self {
            begins_on: day(tbs.validity().not_before)?,
            expires_on: day(tbs.validity().not_after)?,
            public_key: rsa_2048_key(tbs.subject_public_key_info()).ok_or(CertificateFault::PublicKey)?,
            identity_bytes,
            der,
        })
    }
}

impl From<UserCertificate> for Bytes {
    fn from(certificate: UserCertificate) -> Self {
        certificate.der
    }
}

impl fmt::Debug for UserCertificate {
    // The last day of validity is a birthday, so it does not show either.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserCertificate([personal])")
    }
}

const SHA256_WITH_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const CLIENT_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2");

/// Extensions whose content is checked, here or where the issuer is; any other may not be critical (RFC 5280 §4.2).
const CHECKED_EXTENSIONS: [ObjectIdentifier; 4] =
    [KeyUsage::OID, ExtendedKeyUsage::OID, BasicConstraints::OID, CertificatePolicies::OID];

/// Whether both places that name the signature algorithm say sha256WithRSAEncryption with NULL (RFC 4055 §5).
pub(crate) fn is_signed_as_expected(certificate: &Certificate) -> bool {
    let algorithm = certificate.signature_algorithm();
    algorithm == certificate.tbs_certificate().signature()
        && algorithm.oid == SHA256_WITH_RSA
        && algorithm.parameters.as_ref().is_some_and(der::asn1::Any::is_null)
}

/// The original bytes that the signature of a certificate covers; never encoded again.
pub(crate) fn signed_bytes(der: &[u8]) -> Option<&[u8]> {
    let mut reader = SliceReader::new(der).ok()?;
    der::Header::decode(&mut reader).ok()?;
    reader.tlv_bytes().ok()
}

/// Whether no extension is critical without being checked.
pub(crate) fn knows_every_critical_extension(tbs: &TbsCertificate) -> bool {
    let mut extensions = tbs.extensions().into_iter().flatten();
    extensions.all(|extension| !extension.critical || CHECKED_EXTENSIONS.contains(&extension.extn_id))
}

/// One extension, if it is there; `Err` when it cannot be decoded or occurs twice.
pub(crate) fn extension<'a, T>(tbs: &'a TbsCertificate, fault: CertificateFault) -> Result<Option<T>, CertificateFault>
where
    T: Decode<'a> + AssociatedOid,
{
    tbs.get_extension::<T>().map(|found| found.map(|(_, extension)| extension)).map_err(|_| fault)
}

/// The profile of card-protocol §7 as far as it decides: what the key is for, and that it is nobody's authority.
fn check_extensions(tbs: &TbsCertificate) -> Result<(), CertificateFault> {
    if !knows_every_critical_extension(tbs) {
        return Err(CertificateFault::CriticalExtension);
    }
    let usage = extension::<KeyUsage>(tbs, CertificateFault::KeyUsage)?;
    if usage.is_none_or(|usage| usage.0 != KeyUsages::DigitalSignature) {
        return Err(CertificateFault::KeyUsage);
    }
    let purposes = extension::<ExtendedKeyUsage>(tbs, CertificateFault::ExtendedKeyUsage)?;
    if purposes.is_none_or(|purposes| !purposes.0.contains(&CLIENT_AUTH)) {
        return Err(CertificateFault::ExtendedKeyUsage);
    }
    if extension::<BasicConstraints>(tbs, CertificateFault::Authority)?.is_some_and(|constraints| constraints.ca) {
        return Err(CertificateFault::Authority);
    }
    let policies = extension::<CertificatePolicies>(tbs, CertificateFault::Policy)?;
    if policies.is_none_or(|policies| policies.0.is_empty()) {
        return Err(CertificateFault::Policy);
    }
    Ok(())
}

#[derive(Sequence)]
struct RsaPublicKey<'a> {
    modulus: UintRef<'a>,
    exponent: UintRef<'a>,
}

/// The RSAPublicKey inside, if it is RSA with 2048 bits and the exponent 65537.
fn rsa_2048_key(info: &SubjectPublicKeyInfoOwned) -> Option<Vec<u8>> {
    let bytes = rsa_key(info)?;
    let key = RsaPublicKey::from_der(&bytes).ok()?;
    let is_2048 = key.modulus.as_bytes().len() == 256 && key.modulus.as_bytes().first()? & 0x80 != 0;
    (is_2048 && key.exponent.as_bytes() == [1, 0, 1]).then_some(bytes)
}

/// The bytes of an RSAPublicKey, of any size.
pub(crate) fn rsa_key(info: &SubjectPublicKeyInfoOwned) -> Option<Vec<u8>> {
    let is_rsa = info.algorithm.oid == RSA && info.algorithm.parameters.as_ref().is_some_and(der::asn1::Any::is_null);
    is_rsa.then(|| info.subject_public_key.as_bytes().map(<[u8]>::to_vec)).flatten()
}

fn day_in_japan(since_epoch: Duration) -> Result<Date, CertificateFault> {
    let seconds = i64::try_from(since_epoch.as_secs()).map_err(|_| CertificateFault::Validity)?;
    Timestamp::from_second(seconds).map(japan_date).map_err(|_| CertificateFault::Validity)
}
