//! What the first bytes of a certificate tell before it is there as a whole.

use der::{Decode as _, Header, Reader as _, SliceReader, Tag};

use crate::{CertificateFault, apdu::SHORT_LE_MAX};

/// The most bytes a certificate may announce; real ones have about 1,600. Source: card-protocol §3.1.
pub(crate) const CERTIFICATE_MAX_BYTES: usize = 8192;

/// Length of the whole certificate from its DER header; `None` while the header is not there.
///
/// # Errors
/// [`CertificateFault::NotDer`] when it is no header of a SEQUENCE, [`CertificateFault::TooLong`] when it announces
/// more than [`CERTIFICATE_MAX_BYTES`].
pub(crate) fn announced_bytes(first_bytes: &[u8]) -> Result<Option<usize>, CertificateFault> {
    let mut reader = SliceReader::new(first_bytes).map_err(|_| CertificateFault::TooLong)?;
    let header = match Header::decode(&mut reader) {
        Ok(header) => header,
        Err(error) if matches!(error.kind(), der::ErrorKind::Incomplete { .. }) => return Ok(None),
        Err(_) => return Err(CertificateFault::NotDer),
    };
    if header.tag() != Tag::Sequence {
        return Err(CertificateFault::NotDer);
    }
    let total = (reader.position() + header.length()).and_then(usize::try_from).ok();
    total.filter(|total| *total <= CERTIFICATE_MAX_BYTES).map(Some).ok_or(CertificateFault::TooLong)
}

/// How many of the first bytes cover serial number and issuer; `None` while they are not all there.
///
/// One short read: an issuer that reaches beyond 256 bytes is compared up to there.
pub(crate) fn identity_bytes(first_bytes: &[u8]) -> Option<usize> {
    let mut reader = SliceReader::new(first_bytes).ok()?;
    // Into Certificate and TBSCertificate, then past version, serial number, algorithm and issuer (RFC 5280 §4.1).
    for _ in 0..2 {
        Header::decode(&mut reader).ok()?;
    }
    for _ in 0..4 {
        reader.tlv_bytes().ok()?;
    }
    usize::try_from(reader.position()).ok().map(|end| end.min(SHORT_LE_MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tazune_model::Bytes;

    use super::*;
    use crate::UserCertificate;

    /// Certificate of 1,590 bytes up to its issuer, which has `issuer` bytes.
    fn begin(issuer: u8) -> Vec<u8> {
        let mut bytes = vec![0x30, 0x82, 0x06, 0x32, 0x30, 0x82, 0x05, 0x1A, 0xA0, 0x03, 0x02, 0x01, 0x02];
        bytes.extend([0x02, 0x03, 0x22, 0x7B, 0x13, 0x30, 0x02, 0x05, 0x00, 0x30, 0x81, issuer]);
        bytes.resize(bytes.len() + usize::from(issuer), 0xAA);
        bytes
    }

    #[test]
    fn the_length_is_known_from_the_fourth_byte_on() {
        let bytes = begin(150);
        for count in 0..4 {
            assert_eq!(announced_bytes(&bytes[..count]), Ok(None));
        }
        for count in 4..20 {
            assert_eq!(announced_bytes(&bytes[..count]), Ok(Some(1590)));
        }
    }

    #[test]
    fn refuses_what_does_not_begin_a_certificate() {
        let table: [(&[u8], _); 5] = [
            (&[0xFF; 256], CertificateFault::NotDer),
            (&[0x04, 0x82, 0x06, 0x32], CertificateFault::NotDer),
            (&[0x30, 0x80, 0x00, 0x00], CertificateFault::NotDer),
            (&[0x30, 0x82, 0xFF, 0xFF], CertificateFault::TooLong),
            (&[0x30, 0x84, 0xFF, 0xFF, 0xFF, 0xFF], CertificateFault::TooLong),
        ];
        for (bytes, fault) in table {
            assert_eq!(announced_bytes(bytes), Err(fault), "{bytes:02X?}");
        }
    }

    #[test]
    fn issuer_and_serial_are_covered_exactly() {
        let bytes = begin(150);
        assert_eq!(identity_bytes(&bytes), Some(bytes.len()));
        assert_eq!(identity_bytes(&[bytes.as_slice(), &[0x30, 0x1E]].concat()), Some(bytes.len()));
        for count in 0..bytes.len() {
            assert_eq!(identity_bytes(&bytes[..count]), None);
        }
        assert_eq!(identity_bytes(&begin(250)), Some(256));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), at in 0_usize..180) {
            let mut begun = begin(150);
            begun.splice(at.min(begun.len()).., bytes.iter().copied());
            for bytes in [bytes, begun] {
                prop_assert!(identity_bytes(&bytes).is_none_or(|count| count <= bytes.len().min(SHORT_LE_MAX)));
                if let Ok(Some(total)) = announced_bytes(&bytes) {
                    prop_assert!(total <= CERTIFICATE_MAX_BYTES);
                }
                prop_assert!(UserCertificate::try_from(Bytes::from(bytes)).is_err());
            }
        }
    }
}
