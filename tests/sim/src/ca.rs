use std::{str::FromStr as _, time::Duration};

use der::{
    Encode as _,
    asn1::{Ia5String, OctetString, UtcTime},
    flagset::FlagSet,
    oid::{AssociatedOid, ObjectIdentifier},
};
use jiff::{Timestamp, ToSpan as _, civil::Date, tz::Offset};
use rsa::{
    RsaPrivateKey,
    pkcs1v15::{Signature, SigningKey},
    sha2::{Digest as _, Sha256},
};
use x509_cert::{
    TbsCertificate,
    builder::{Builder as _, CertificateBuilder, profile::BuilderProfile},
    ext::{
        Extension,
        pkix::{
            AccessDescription, AuthorityInfoAccessSyntax, AuthorityKeyIdentifier, BasicConstraints,
            CertificatePolicies, CrlDistributionPoints, ExtendedKeyUsage, IssuerAltName, KeyUsage, KeyUsages,
            SubjectKeyIdentifier,
            certpolicy::{PolicyInformation, PolicyQualifierInfo},
            crl::dp::DistributionPoint,
            name::{DistributionPointName, GeneralName},
        },
    },
    name::Name,
    serial_number::SerialNumber,
    spki::{SubjectPublicKeyInfo, SubjectPublicKeyInfoRef},
    time::{Time, Validity},
};

/// The arc of IANA's enterprise number for documentation (RFC 5612): no identifier below it can be a real one.
const POLICY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.32473.8.5.1.3.30");
const UNKNOWN_EXTENSION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.32473.99");
const CPS_QUALIFIER: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.2.1");
const OCSP: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1");
const CLIENT_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2");
const SERVER_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");

/// A certificate authority that issues user certificates of the card's shape, under a name that no real one has.
///
/// One level, RSA-2048, self-signed; the same certificate for the same key. Source: shared facts "card-protocol" §7.
pub struct TestCa {
    name: Name,
    key: RsaPrivateKey,
    certificate: Vec<u8>,
}

/// What a user certificate says; [`TestCa::issue`] makes it.
#[derive(Clone, Debug)]
pub struct CertificateSpec {
    /// The key it is for, as [`crate::rsa_key`] names it.
    pub key: String,
    /// Its serial number; with the issuer the key of the eligibility look-up (発行番号).
    pub serial: u32,
    /// The common name of the subject: no name of a person on these cards.
    pub common_name: String,
    /// Valid from, included.
    pub not_before: Timestamp,
    /// Valid to, included.
    pub not_after: Timestamp,
    /// Length of the DER in bytes, reached by padding; without it what comes naturally.
    pub size: Option<usize>,
    /// What is wrong with it, if anything.
    pub defect: Option<Defect>,
}

/// One thing wrong with a user certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    /// A critical extension that nobody knows.
    UnknownCriticalExtension,
    /// Key usage without digitalSignature.
    NoDigitalSignature,
    /// Basic constraints that make it a CA.
    IsCa,
    /// An authority key identifier of another key.
    WrongKeyId,
    /// Extended key usage serverAuth instead of clientAuth.
    WrongExtendedKeyUsage,
    /// A signature with its last bit turned.
    BrokenSignature,
    /// This many zero bytes after the DER.
    Trailing(usize),
    /// This many bytes missing at the end.
    Truncated(usize),
}

impl CertificateSpec {
    /// A certificate of 1,590 bytes whose last day in Japan is `last_day`, issued five years before.
    #[must_use]
    pub fn until(last_day: Date) -> Self {
        let japan = Offset::constant(9);
        let instant = |time| japan.to_timestamp(time).expect("dates of this century are in range");
        Self {
            key: "card".into(),
            serial: 0x5A_17_01,
            common_name: "SIM00001TAZUNE13101003A".into(),
            not_before: instant(last_day.saturating_sub(5.years()).at(10, 12, 41, 0)),
            not_after: instant(last_day.at(23, 59, 59, 0)),
            size: Some(1590),
            defect: None,
        }
    }

    /// A certificate in the middle of its life on `day`.
    #[must_use]
    pub fn valid_on(day: Date) -> Self {
        Self::until(day.saturating_add(2.years()))
    }

    /// The same with something wrong.
    #[must_use]
    pub fn with(mut self, defect: Defect) -> Self {
        self.defect = Some(defect);
        self
    }
}

impl TestCa {
    /// The CA that the simulated gateway, and a device in a test, trust.
    #[must_use]
    pub fn user() -> Self {
        Self::new("User authentication of a simulated card", crate::rsa_key("user-ca"))
    }

    /// The CA of signature certificates, whose certificate lies on every card.
    #[must_use]
    pub fn signature() -> Self {
        Self::new("Digital signature of a simulated card", crate::rsa_key("user-ca"))
    }

    /// A CA of another name, trusted by nobody.
    #[must_use]
    pub fn foreign() -> Self {
        Self::new("User authentication of a foreign simulated card", crate::rsa_key("foreign-ca"))
    }

    /// A CA with the name of [`TestCa::user`] and another key, trusted by nobody: names prove nothing.
    #[must_use]
    pub fn impostor() -> Self {
        Self::new("User authentication of a simulated card", crate::rsa_key("foreign-ca"))
    }

    fn new(unit: &str, key: RsaPrivateKey) -> Self {
        let name = name(&format!("OU=Nobody,OU={unit},O=TAZUNE-SIMULATED,C=JP"));
        let validity =
            Validity::new(time(Timestamp::constant(1_577_836_800, 0)), time(Timestamp::constant(2_208_988_799, 0)));
        let extensions = vec![
            extension(true, &BasicConstraints { ca: true, path_len_constraint: None }),
            extension(true, &KeyUsage(KeyUsages::KeyCertSign | KeyUsages::CRLSign)),
            extension(false, &SubjectKeyIdentifier(octets(key_id(&key).to_vec()))),
            extension(false, &japanese_issuer()),
        ];
        let shape = Shape { issuer: name.clone(), subject: name.clone(), extensions };
        let certificate = sign(shape, 1, validity, &key, &key);
        Self { name, key, certificate }
    }

    /// Its own certificate, DER.
    #[must_use]
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// Issues the certificate, DER (with the defect asked for); the same bytes for the same request.
    ///
    /// # Panics
    /// When `spec.size` cannot be reached: smaller than the natural size, or far beyond it.
    #[must_use]
    pub fn issue(&self, spec: &CertificateSpec) -> Vec<u8> {
        let mut der = match spec.size {
            None => self.issue_padded(spec, 0, 0),
            Some(size) => self.issue_sized(spec, size),
        };
        match spec.defect {
            Some(Defect::BrokenSignature) => *der.last_mut().expect("a certificate has bytes") ^= 1,
            Some(Defect::Trailing(count)) => der.resize(der.len() + count, 0),
            Some(Defect::Truncated(count)) => der.truncate(der.len().saturating_sub(count)),
            _ => {}
        }
        der
    }

    fn issue_sized(&self, spec: &CertificateSpec, size: usize) -> Vec<u8> {
        // Where nested lengths grow to another byte, some sizes are jumped over; a second place to pad reaches them.
        for second in 0..8 {
            let mut padding = 0;
            for _ in 0..4 {
                let der = self.issue_padded(spec, padding, second);
                if der.len() == size {
                    return der;
                }
                padding = (padding + size).saturating_sub(der.len());
            }
        }
        panic!("a certificate of {size} bytes cannot be made");
    }

    fn issue_padded(&self, spec: &CertificateSpec, padding: usize, second: usize) -> Vec<u8> {
        let defect = spec.defect;
        let usage = if defect == Some(Defect::NoDigitalSignature) {
            FlagSet::from(KeyUsages::KeyEncipherment)
        } else {
            KeyUsages::DigitalSignature.into()
        };
        let purpose = if defect == Some(Defect::WrongExtendedKeyUsage) { SERVER_AUTH } else { CLIENT_AUTH };
        let authority = if defect == Some(Defect::WrongKeyId) { [0xEE; 20] } else { key_id(&self.key) };
        let cps = format!("http://www.simulated.invalid/cps.html{}", "x".repeat(padding));
        let ocsp = format!("http://ocspauthnorm.simulated.invalid/{}", "x".repeat(second));

        let mut extensions = vec![
            extension(true, &KeyUsage(usage)),
            extension(false, &ExtendedKeyUsage(vec![purpose])),
            extension(
                true,
                &CertificatePolicies(vec![PolicyInformation {
                    policy_identifier: POLICY,
                    policy_qualifiers: Some(vec![PolicyQualifierInfo {
                        policy_qualifier_id: CPS_QUALIFIER,
                        qualifier: Some((&ia5(&cps)).into()),
                    }]),
                }]),
            ),
            extension(false, &japanese_issuer()),
            extension(
                false,
                &CrlDistributionPoints(vec![DistributionPoint {
                    distribution_point: Some(DistributionPointName::FullName(vec![GeneralName::DirectoryName(name(
                        "CN=Nowhere-shi CRLDP,OU=Nowhere-ken,OU=CRL Distribution Points,\
                         OU=User authentication of a simulated card,O=TAZUNE-SIMULATED,C=JP",
                    ))])),
                    reasons: None,
                    crl_issuer: None,
                }]),
            ),
            extension(
                false,
                &AuthorityInfoAccessSyntax(vec![AccessDescription {
                    access_method: OCSP,
                    access_location: GeneralName::UniformResourceIdentifier(ia5(&ocsp)),
                }]),
            ),
            extension(
                false,
                &AuthorityKeyIdentifier {
                    key_identifier: Some(octets(authority.to_vec())),
                    authority_cert_issuer: Some(vec![GeneralName::DirectoryName(self.name.clone())]),
                    authority_cert_serial_number: Some(SerialNumber::from(1_u32)),
                },
            ),
        ];
        if defect == Some(Defect::IsCa) {
            extensions.push(extension(true, &BasicConstraints { ca: true, path_len_constraint: None }));
        }
        if defect == Some(Defect::UnknownCriticalExtension) {
            extensions.push(Extension {
                extn_id: UNKNOWN_EXTENSION,
                critical: true,
                extn_value: octets(vec![0x05, 0x00]),
            });
        }
        let subject = name(&format!("CN={},C=JP", spec.common_name));
        let shape = Shape { issuer: self.name.clone(), subject, extensions };
        let validity = Validity::new(time(spec.not_before), time(spec.not_after));
        sign(shape, spec.serial, validity, &crate::rsa_key(&spec.key), &self.key)
    }
}

/// What the builder asks for: the names and extensions exactly as given.
struct Shape {
    issuer: Name,
    subject: Name,
    extensions: Vec<Extension>,
}

impl BuilderProfile for Shape {
    fn get_issuer(&self, _: &Name) -> Name {
        self.issuer.clone()
    }

    fn get_subject(&self) -> Name {
        self.subject.clone()
    }

    fn build_extensions(
        &self,
        _: SubjectPublicKeyInfoRef<'_>,
        _: SubjectPublicKeyInfoRef<'_>,
        _: &TbsCertificate,
    ) -> x509_cert::builder::Result<Vec<Extension>> {
        Ok(self.extensions.clone())
    }
}

fn sign(shape: Shape, serial: u32, validity: Validity, subject: &RsaPrivateKey, issuer: &RsaPrivateKey) -> Vec<u8> {
    let public = SubjectPublicKeyInfo::from_key(subject.as_public_key()).expect("an RSA key can be encoded");
    CertificateBuilder::new(shape, SerialNumber::from(serial), validity, public)
        .and_then(|builder| builder.build::<_, Signature>(&SigningKey::<Sha256>::new(issuer.clone())))
        .and_then(|certificate| Ok(certificate.to_der()?))
        .expect("a certificate made of encodable parts can be signed")
}

/// SHA-256 of the modulus, cut to 20 bytes: any function of the key serves as an identifier.
fn key_id(key: &RsaPrivateKey) -> [u8; 20] {
    use rsa::traits::PublicKeyParts as _;
    let digest = Sha256::digest(key.n_bytes());
    std::array::from_fn(|i| digest[i])
}

fn japanese_issuer() -> IssuerAltName {
    IssuerAltName(vec![GeneralName::DirectoryName(name(
        "OU=どこにもない機構,OU=模擬カードの利用者証明用,O=模擬の公的個人認証サービス,C=JP",
    ))])
}

fn extension<E: AssociatedOid + der::Encode>(critical: bool, value: &E) -> Extension {
    Extension { extn_id: E::OID, critical, extn_value: octets(value.to_der().expect("an extension can be encoded")) }
}

fn octets(bytes: Vec<u8>) -> OctetString {
    OctetString::new(bytes).expect("a few bytes fit an octet string")
}

fn ia5(text: &str) -> Ia5String {
    Ia5String::new(text).expect("an address is ASCII")
}

fn name(rfc4514: &str) -> Name {
    Name::from_str(rfc4514).expect("the names of this file can be parsed")
}

fn time(at: Timestamp) -> Time {
    let since_epoch = Duration::from_secs(u64::try_from(at.as_second()).expect("certificates began after 1970"));
    Time::UtcTime(UtcTime::from_unix_duration(since_epoch).expect("certificates of this program end before 2050"))
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
    use x509_cert::{Certificate, der::Decode as _};

    use super::*;

    const DAY: Date = date(2026, 11, 21);

    fn verifies(certificate: &[u8], ca: &[u8]) -> bool {
        let certificate = Certificate::from_der(certificate).unwrap();
        let ca = Certificate::from_der(ca).unwrap();
        let key = ca.tbs_certificate().subject_public_key_info().subject_public_key.raw_bytes().to_vec();
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key)
            .verify(&certificate.tbs_certificate().to_der().unwrap(), certificate.signature().raw_bytes())
            .is_ok()
    }

    #[test]
    fn issues_what_another_implementation_verifies_and_only_under_the_right_key() {
        let ca = TestCa::user();
        let der = ca.issue(&CertificateSpec::valid_on(DAY));
        assert!(verifies(&der, ca.certificate()));
        assert!(verifies(ca.certificate(), ca.certificate()));
        assert!(!verifies(&der, TestCa::impostor().certificate()));
        assert!(!verifies(&ca.issue(&CertificateSpec::valid_on(DAY).with(Defect::BrokenSignature)), ca.certificate()));
    }

    #[test]
    fn ends_at_the_last_second_of_the_day_in_japan() {
        let der = TestCa::user().issue(&CertificateSpec::until(date(2030, 2, 17)));
        let certificate = Certificate::from_der(&der).unwrap();
        assert_eq!(certificate.tbs_certificate().validity().not_after.to_string(), "2030-02-17T14:59:59Z");
    }

    #[test]
    fn reaches_every_size_asked_for() {
        let ca = TestCa::user();
        let natural = ca.issue(&CertificateSpec { size: None, ..CertificateSpec::valid_on(DAY) }).len();
        for size in (natural..natural + 160).step_by(3).chain([1590, 1591, 1632, 1700]) {
            let spec = CertificateSpec { size: Some(size), ..CertificateSpec::valid_on(DAY) };
            assert_eq!(ca.issue(&spec).len(), size);
        }
    }

    #[test]
    fn the_same_request_gives_the_same_bytes() {
        let spec = CertificateSpec::valid_on(DAY);
        assert_eq!(TestCa::user().issue(&spec), TestCa::user().issue(&spec));
    }

    #[test]
    fn no_name_of_the_real_authority_appears() {
        let ca = TestCa::user();
        let der = ca.issue(&CertificateSpec::valid_on(DAY));
        for real in ["JPKI", "jpki.go.jp", "Japan Agency"] {
            for file in [der.as_slice(), ca.certificate()] {
                assert!(!file.windows(real.len()).any(|part| part == real.as_bytes()));
            }
        }
    }

    #[test]
    fn cuts_and_lengthens_after_the_size() {
        let ca = TestCa::user();
        assert_eq!(ca.issue(&CertificateSpec::valid_on(DAY).with(Defect::Trailing(7))).len(), 1597);
        assert_eq!(ca.issue(&CertificateSpec::valid_on(DAY).with(Defect::Truncated(7))).len(), 1583);
    }
}
