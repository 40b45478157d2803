use std::{fmt, sync::Arc};

use der::Decode as _;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use tazune_model::{Bytes, CertificatePhase, Date};
use x509_cert::{
    Certificate,
    ext::pkix::{AuthorityKeyIdentifier, BasicConstraints, KeyUsage, SubjectKeyIdentifier},
    name::Name,
};

use crate::{
    CardError, CertificateFault, UserCertificate,
    certificate::{extension, is_signed_as_expected, knows_every_critical_extension, rsa_key, signed_bytes},
};

/// The authorities (認証局) whose user certificates are accepted; cheap to clone.
///
/// All generations of the real authority share one name, so one is chosen by key identifier and name, and then the
/// signature decides. An authority's own dates do not matter: the last certificates it issued are in grace after its end.
/// Source: card-protocol §7; libraries-and-conventions §1 (path validation).
#[derive(Clone)]
pub struct TrustAnchors(Arc<[Anchor]>);

/// Why a certificate cannot be pinned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnchorError {
    /// It is no DER of a certificate.
    #[error("a pinned certificate cannot be read")]
    NotACertificate,
    /// It is no RSA certificate authority that may sign certificates and has a key identifier.
    #[error("a pinned certificate is not that of a certificate authority")]
    NotAnAuthority,
}

impl TrustAnchors {
    /// Pins the authorities with these certificates, each DER.
    ///
    /// # Errors
    /// [`AnchorError`] when one of them cannot serve.
    pub fn from_der(certificates: &[Bytes]) -> Result<Self, AnchorError> {
        certificates.iter().map(|der| Anchor::from_der(der.as_slice())).collect::<Result<_, _>>().map(Self)
    }

    /// Accepts a certificate just read: issued by one of these, of the right profile, and begun by `visit_on`.
    ///
    /// Expiring, grace and expired are accepted: they are phases, and the answer of the national system decides.
    ///
    /// # Errors
    /// The four certificate errors of [`CardError`] other than a missing one.
    pub(crate) fn accept(&self, der: &[u8], visit_on: Date) -> Result<UserCertificate, CardError> {
        let certificate =
            Certificate::from_der(der).map_err(|_| CardError::CertificateBroken(CertificateFault::NotDer))?;
        let anchor = self.issuer_of(&certificate).ok_or(CardError::CertificateForeign)?;
        if !is_signed_as_expected(&certificate) {
            return Err(CardError::CertificateBroken(CertificateFault::Algorithm));
        }
        if !anchor.has_signed(der, &certificate) {
            return Err(CardError::CertificateForeign);
        }
        let certificate = UserCertificate::try_from(Bytes::from(der)).map_err(CardError::CertificateBroken)?;
        if certificate.phase_on(visit_on) == CertificatePhase::NotYetValid {
            return Err(CardError::CertificateNotYetValid { begins_on: certificate.begins_on() });
        }
        Ok(certificate)
    }

    fn issuer_of(&self, certificate: &Certificate) -> Option<&Anchor> {
        let tbs = certificate.tbs_certificate();
        let authority = extension::<AuthorityKeyIdentifier>(tbs, CertificateFault::NotDer).ok()??;
        let key_id = authority.key_identifier?;
        self.0.iter().find(|anchor| anchor.key_id == key_id.as_bytes() && anchor.name == *tbs.issuer())
    }
}

impl fmt::Debug for TrustAnchors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TrustAnchors({})", self.0.len())
    }
}

struct Anchor {
    name: Name,
    key_id: Vec<u8>,
    public_key: Vec<u8>,
}

impl Anchor {
    fn from_der(der: &[u8]) -> Result<Self, AnchorError> {
        let certificate = Certificate::from_der(der).map_err(|_| AnchorError::NotACertificate)?;
        Self::of(&certificate).ok_or(AnchorError::NotAnAuthority)
    }

    fn of(certificate: &Certificate) -> Option<Self> {
        let tbs = certificate.tbs_certificate();
        let fault = CertificateFault::NotDer;
        let may_sign = knows_every_critical_extension(tbs)
            && extension::<BasicConstraints>(tbs, fault).ok()??.ca
            && extension::<KeyUsage>(tbs, fault).ok()??.key_cert_sign();
        let key_id = extension::<SubjectKeyIdentifier>(tbs, fault).ok()??.0.as_bytes().to_vec();
        let public_key = rsa_key(tbs.subject_public_key_info())?;
        may_sign.then(|| Self { name: tbs.subject().clone(), key_id, public_key })
    }

    fn has_signed(&self, der: &[u8], certificate: &Certificate) -> bool {
        let (Some(signed), Some(signature)) = (signed_bytes(der), certificate.signature().as_bytes()) else {
            return false;
        };
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.public_key).verify(signed, signature).is_ok()
    }
}
