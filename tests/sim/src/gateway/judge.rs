use der::{Decode as _, Encode as _, oid::ObjectIdentifier};
use jiff::{Timestamp, ToSpan as _, civil::Date, tz::Offset};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use x509_cert::{
    Certificate,
    ext::pkix::{AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectKeyIdentifier},
};

const LABEL: &[u8] = b"tazune direct check v1\0";

const SHA256_WITH_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
const CLIENT_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2");
const KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");
const SUBJECT_KEY_IDENTIFIER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.14");
const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
const CERTIFICATE_POLICIES: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.32");
const AUTHORITY_KEY_IDENTIFIER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.35");
const EXTENDED_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37");

/// Judges user certificates of one CA.
pub(super) struct Judge {
    ca: Certificate,
}

/// A user certificate of the trusted CA, fit for signing a check.
pub(super) struct UserCertificate(Certificate);

/// Where in its life a user certificate is on a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// More than three months before its end.
    Valid,
    /// In its last three months.
    Expiring,
    /// After its end, to the end of the third month after the month of its end: eligibility only.
    Grace,
    /// After that.
    Expired,
}

impl Judge {
    /// Trusts this CA certificate; `None` when it is none.
    pub(super) fn new(ca: &[u8]) -> Option<Self> {
        Some(Self { ca: Certificate::from_der(ca).ok()? })
    }

    /// Checks issuer, signature and usage; `None` for anything not trusted.
    pub(super) fn trust(&self, der: &[u8]) -> Option<UserCertificate> {
        let certificate = Certificate::from_der(der).ok()?;
        let (tbs, ca) = (certificate.tbs_certificate(), self.ca.tbs_certificate());
        let algorithms_agree = tbs.signature() == certificate.signature_algorithm();
        if !algorithms_agree || tbs.signature().oid != SHA256_WITH_RSA || tbs.issuer() != ca.subject() {
            return None;
        }
        verify(&self.ca, &tbs.to_der().ok()?, certificate.signature().raw_bytes())?;
        self.usage_fits(&certificate).then_some(UserCertificate(certificate))
    }

    fn usage_fits(&self, certificate: &Certificate) -> bool {
        let mut signs = false;
        let mut for_clients = false;
        for extension in certificate.tbs_certificate().extensions().map_or(&[][..], Vec::as_slice) {
            let value = extension.extn_value.as_bytes();
            match extension.extn_id {
                KEY_USAGE => signs = KeyUsage::from_der(value).is_ok_and(|usage| usage.digital_signature()),
                EXTENDED_KEY_USAGE => {
                    for_clients = ExtendedKeyUsage::from_der(value).is_ok_and(|usage| usage.0.contains(&CLIENT_AUTH));
                }
                BASIC_CONSTRAINTS if BasicConstraints::from_der(value).is_ok_and(|constraints| !constraints.ca) => {}
                BASIC_CONSTRAINTS => return false,
                AUTHORITY_KEY_IDENTIFIER if self.is_key_of_ca(value) => {}
                AUTHORITY_KEY_IDENTIFIER => return false,
                CERTIFICATE_POLICIES => {}
                _ if extension.critical => return false,
                _ => {}
            }
        }
        signs && for_clients
    }

    fn is_key_of_ca(&self, authority: &[u8]) -> bool {
        let extensions = self.ca.tbs_certificate().extensions().map_or(&[][..], Vec::as_slice);
        let subject = extensions.iter().find(|extension| extension.extn_id == SUBJECT_KEY_IDENTIFIER);
        let subject =
            subject.and_then(|extension| SubjectKeyIdentifier::from_der(extension.extn_value.as_bytes()).ok());
        let authority = AuthorityKeyIdentifier::from_der(authority).ok().and_then(|id| id.key_identifier);
        subject.is_some() && subject.map(|id| id.0) == authority
    }
}

impl UserCertificate {
    /// The serial number, big-endian, without leading zeros; with the one trusted issuer it names a person.
    pub(super) fn serial(&self) -> &[u8] {
        let bytes = self.0.tbs_certificate().serial_number().as_bytes();
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        bytes.get(zeros..).unwrap_or_default()
    }

    /// Whether its first day has come.
    pub(super) fn has_begun(&self, now: Timestamp) -> bool {
        let not_before = self.0.tbs_certificate().validity().not_before.to_unix_duration();
        Timestamp::UNIX_EPOCH.checked_add(not_before).is_ok_and(|not_before| not_before <= now)
    }

    /// Whether its key signed the request bytes of a check.
    pub(super) fn signed(&self, request: &[u8], signature: &[u8]) -> bool {
        verify(&self.0, &[LABEL, request].concat(), signature).is_some()
    }

    /// Its phase on the day in Japan.
    pub(super) fn phase(&self, now: Timestamp) -> Phase {
        let not_after = self.0.tbs_certificate().validity().not_after.to_unix_duration();
        let Ok(not_after) = Timestamp::UNIX_EPOCH.checked_add(not_after) else { return Phase::Expired };
        phase(japan_date(not_after), japan_date(now))
    }
}

fn phase(last_day: Date, today: Date) -> Phase {
    let end_of_grace = last_day.first_of_month().saturating_add(3.months()).last_of_month();
    if today > end_of_grace {
        return Phase::Expired;
    }
    if today > last_day {
        return Phase::Grace;
    }
    if today > last_day.saturating_sub(3.months()) { Phase::Expiring } else { Phase::Valid }
}

pub(super) fn japan_date(at: Timestamp) -> Date {
    Offset::constant(9).to_datetime(at).date()
}

/// RSASSA-PKCS1-v1_5 with SHA-256 under the certificate's key.
fn verify(signer: &Certificate, message: &[u8], signature: &[u8]) -> Option<()> {
    let key = signer.tbs_certificate().subject_public_key_info().subject_public_key.as_bytes()?;
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key).verify(message, signature).ok()
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::{CertificateSpec, Defect, TestCa};

    #[test]
    fn the_phase_changes_on_the_right_days() {
        let last_day = date(2026, 8, 31);
        for (today, expected) in [
            (date(2026, 5, 31), Phase::Valid),
            (date(2026, 6, 1), Phase::Expiring),
            (date(2026, 8, 31), Phase::Expiring),
            (date(2026, 9, 1), Phase::Grace),
            (date(2026, 11, 30), Phase::Grace),
            (date(2026, 12, 1), Phase::Expired),
        ] {
            assert_eq!(phase(last_day, today), expected, "{today}");
        }
    }

    #[test]
    fn trusts_only_a_sound_certificate_of_its_ca() {
        let spec = CertificateSpec::valid_on(date(2026, 11, 21));
        let judge = Judge::new(TestCa::user().certificate()).unwrap();
        let certificate = judge.trust(&TestCa::user().issue(&spec)).unwrap();
        assert_eq!(certificate.serial(), [0x5A, 0x17, 0x01]);
        assert!(judge.trust(&TestCa::foreign().issue(&spec)).is_none());
        assert!(judge.trust(&TestCa::impostor().issue(&spec)).is_none());
        assert!(judge.trust(TestCa::user().certificate()).is_none());
        assert!(judge.trust(&[]).is_none());
        for defect in [
            Defect::UnknownCriticalExtension,
            Defect::NoDigitalSignature,
            Defect::IsCa,
            Defect::WrongKeyId,
            Defect::WrongExtendedKeyUsage,
            Defect::BrokenSignature,
            Defect::Trailing(1),
            Defect::Truncated(1),
        ] {
            assert!(judge.trust(&TestCa::user().issue(&spec.clone().with(defect))).is_none(), "{defect:?}");
        }
    }
}
