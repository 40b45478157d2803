use jiff::{ToSpan as _, civil::date};
use tazune_card::{
    AnchorError, CardError, CardReading, CertificateFault, Command, Continuity, LeMode, ReadCertificate, TrustAnchors,
    UserCertificate,
};
use tazune_model::{Bytes, CertificatePhase};
use tazune_sim::{CertificateSpec, Defect, TestCa, card::CardSpec};

use crate::rig::{BOTH_MODES, Field, VISIT_ON, good_card, good_reading, whole_flow};

fn valid() -> CertificateSpec {
    CertificateSpec::valid_on(VISIT_ON)
}

/// Reads a card and says how it ended; nothing that stops may have asked for the counter before.
fn read(spec: &CardSpec, le: LeMode) -> Result<CardReading, CardError> {
    let mut field = Field::with(spec);
    let result = field.read(le);
    assert_eq!(field.count(Command::CountTries), usize::from(result.is_ok()));
    result
}

/// Source: libraries-and-conventions §6.
#[test]
fn a_certificate_with_a_defect_stops_before_the_pin() {
    use CertificateFault as F;
    let table = [
        (Defect::UnknownCriticalExtension, CardError::CertificateBroken(F::CriticalExtension)),
        (Defect::NoDigitalSignature, CardError::CertificateBroken(F::KeyUsage)),
        (Defect::IsCa, CardError::CertificateBroken(F::Authority)),
        (Defect::WrongExtendedKeyUsage, CardError::CertificateBroken(F::ExtendedKeyUsage)),
        (Defect::WrongKeyId, CardError::CertificateForeign),
        (Defect::BrokenSignature, CardError::CertificateForeign),
        (Defect::Truncated(1), CardError::CertificateBroken(F::Truncated)),
        (Defect::Truncated(1400), CardError::CertificateBroken(F::Truncated)),
        (Defect::Truncated(1588), CardError::CertificateBroken(F::Truncated)),
    ];
    for (defect, error) in table {
        for le in BOTH_MODES {
            let spec = CardSpec { certificate_file_len: 0, ..CardSpec::issued(&TestCa::user(), &valid().with(defect)) };
            assert_eq!(read(&spec, le), Err(error.clone()), "{defect:?} {le:?}");
        }
    }
}

#[test]
fn what_follows_the_certificate_in_its_file_is_filler() {
    let spec = CardSpec::issued(&TestCa::user(), &valid().with(Defect::Trailing(7)));
    assert_eq!(read(&spec, LeMode::Short).unwrap().certificate.der().as_slice().len(), 1590);
}

#[test]
fn a_certificate_of_another_authority_is_foreign_whatever_its_name() {
    for ca in [TestCa::foreign(), TestCa::impostor()] {
        assert_eq!(read(&CardSpec::issued(&ca, &valid()), LeMode::Extended), Err(CardError::CertificateForeign));
    }
    // A chain that ends on the card itself proves nothing.
    let own = CardSpec { ca_certificate: TestCa::foreign().certificate().to_vec(), ..good_card() };
    assert!(read(&own, LeMode::Extended).is_ok(), "the card's own copy is not even read");
}

#[test]
fn an_impostor_with_the_right_key_identifier_fails_at_the_signature() {
    // The same to-be-signed bytes, signed by nobody: only the last byte differs from a good one.
    let mut certificate = TestCa::user().issue(&valid());
    *certificate.last_mut().unwrap() ^= 0x80;
    let spec = CardSpec { certificate: Some(certificate), ..good_card() };
    assert_eq!(read(&spec, LeMode::Extended), Err(CardError::CertificateForeign));
}

#[test]
fn the_right_key_under_another_name_is_foreign() {
    let mut authority = TestCa::user().certificate().to_vec();
    let name = b"TAZUNE-SIMULATED";
    for at in 0..authority.len() - name.len() {
        if authority[at..].starts_with(name) {
            authority[at] = b'K';
        }
    }
    let anchors = TrustAnchors::from_der(&[Bytes::from(authority)]).unwrap();
    let mut conversation = ReadCertificate::new(anchors, VISIT_ON, LeMode::Extended);
    let result = Field::with(&good_card()).run(&mut conversation, Continuity::Fresh);
    assert_eq!(result, Err(CardError::CertificateForeign));
}

#[test]
fn a_card_without_certificate_or_with_garbage_in_its_place_is_named() {
    let with = |certificate| CardSpec { certificate, ..good_card() };
    let broken = |fault| Err(CardError::CertificateBroken(fault));
    for le in BOTH_MODES {
        assert_eq!(read(&with(None), le), Err(CardError::CertificateMissing));
        assert_eq!(read(&with(Some(vec![0xFF; 1590])), le), broken(CertificateFault::NotDer));
        assert_eq!(read(&with(Some(vec![0x30; 1590])), le), broken(CertificateFault::NotDer));
        let announced = [&[0x30, 0x82, 0xFF, 0xFF][..], &[0; 1586]].concat();
        assert_eq!(read(&with(Some(announced)), le), broken(CertificateFault::TooLong));
        let hollow = [&[0x30, 0x82, 0x06, 0x32][..], &[0; 1586]].concat();
        assert_eq!(read(&with(Some(hollow)), le), broken(CertificateFault::NotDer));
        assert_eq!(
            read(&CardSpec { certificate_file_len: 0, ..with(Some(vec![])) }, le),
            broken(CertificateFault::Truncated)
        );
    }
}

#[test]
fn not_yet_valid_stops_and_every_later_phase_goes_on_to_a_signature() {
    let begins_on = VISIT_ON.tomorrow().unwrap();
    let future = CertificateSpec::until(begins_on.saturating_add(5.years()));
    let result = read(&CardSpec::issued(&TestCa::user(), &future), LeMode::Extended);
    assert_eq!(result, Err(CardError::CertificateNotYetValid { begins_on }));

    use CertificatePhase::*;
    let table = [
        (date(2031, 11, 21), Valid),
        (date(2027, 2, 22), Valid),
        (date(2027, 2, 21), Expiring),
        (VISIT_ON, Expiring),
        (date(2026, 11, 20), Grace),
        (date(2026, 8, 1), Grace),
        (date(2026, 7, 31), Expired),
        (date(2022, 2, 17), Expired),
    ];
    for (expires_on, phase) in table {
        let mut field = Field::with(&CardSpec::issued(&TestCa::user(), &CertificateSpec::until(expires_on)));
        let reading = whole_flow(&mut field, LeMode::Extended).unwrap().reading;
        assert_eq!(reading.certificate.expires_on(), expires_on);
        assert_eq!(reading.certificate.phase_on(VISIT_ON), phase, "{expires_on}");
        assert_eq!(reading.certificate.summary_on(VISIT_ON).phase, phase);
    }
}

#[test]
fn every_size_of_certificate_is_read_whole() {
    for size in [1590, 1632, 1792, 2047, 2048, 2049, 2304] {
        for le in BOTH_MODES {
            let spec = CertificateSpec { size: Some(size), ..valid() };
            let reading = read(&CardSpec::issued(&TestCa::user(), &spec), le).unwrap();
            assert_eq!(reading.certificate.der().as_slice().len(), size);
        }
    }
}

#[test]
fn issuer_and_serial_stand_in_the_identity_and_nothing_of_the_subject_does() {
    let certificate = good_reading().certificate;
    let has = |part: &[u8]| certificate.identity().windows(part.len()).any(|window| window == part);
    assert!(has(&[0x02, 0x03, 0x5A, 0x17, 0x01]) && has(b"TAZUNE-SIMULATED"));
    assert!(!has(b"SIM00001"));
}

/// Defects that no authority signs, made in the bytes; the profile is checked without the issuer when a draft is opened.
#[test]
fn a_stored_certificate_has_its_profile_checked_again() {
    use CertificateFault as F;
    let good = good_reading().certificate.der().as_slice().to_vec();
    assert!(UserCertificate::try_from(Bytes::from(good.clone())).is_ok());
    let table: [(&str, &[u8], &[u8], F); 8] = [
        ("version 1", &[0xA0, 0x03, 0x02, 0x01, 0x02], &[0xA0, 0x03, 0x02, 0x01, 0x00], F::Version),
        ("signing in place of authentication", &[0x03, 0x02, 0x07, 0x80], &[0x03, 0x02, 0x06, 0xC0], F::KeyUsage),
        ("exponent 65539", &[0x02, 0x03, 0x01, 0x00, 0x01], &[0x02, 0x03, 0x01, 0x00, 0x03], F::PublicKey),
        (
            "no key usage",
            &[0x06, 0x03, 0x55, 0x1D, 0x0F, 0x01],
            &[0x06, 0x03, 0x55, 0x1D, 0x63, 0x01],
            F::CriticalExtension,
        ),
        (
            "no extended key usage",
            &[0x06, 0x03, 0x55, 0x1D, 0x25],
            &[0x06, 0x03, 0x55, 0x1D, 0x63],
            F::ExtendedKeyUsage,
        ),
        (
            "policies under another name",
            &[0x06, 0x03, 0x55, 0x1D, 0x20, 0x01],
            &[0x06, 0x03, 0x55, 0x1D, 0x63, 0x01],
            F::CriticalExtension,
        ),
        (
            "SHA-1 in the signed part",
            &[0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x0B],
            &[0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x05],
            F::Algorithm,
        ),
        ("a month that is none", b"1121", b"1321", F::NotDer),
    ];
    for (what, from, to, fault) in table {
        let at = good.windows(from.len()).position(|part| part == from).unwrap_or_else(|| panic!("{what}"));
        let mut bad = good.clone();
        bad[at..at + to.len()].copy_from_slice(to);
        assert_eq!(UserCertificate::try_from(Bytes::from(bad)), Err(fault), "{what}");
    }
    for trailing in [1, 100] {
        let long = [good.as_slice(), &vec![0; trailing]].concat();
        assert_eq!(UserCertificate::try_from(Bytes::from(long)), Err(F::NotDer));
    }
    for cut in 0..good.len() {
        assert_eq!(UserCertificate::try_from(Bytes::from(&good[..cut])), Err(F::NotDer), "{cut} bytes");
    }
}

#[test]
fn a_reading_survives_the_draft_and_hides_in_debug() {
    let reading = good_reading();
    let draft = serde_json::to_string(&reading).unwrap();
    assert_eq!(serde_json::from_str::<CardReading>(&draft).unwrap(), reading);
    assert!(serde_json::from_str::<CardReading>(&draft.replacen("MII", "MIJ", 1)).is_err());
    let shown = format!("{reading:?}");
    assert_eq!(shown, "CardReading { UserCertificate([personal]), tries_left: 3, le: Extended }");
}

#[test]
fn only_authorities_can_be_pinned() {
    let pin = |der: &[u8]| TrustAnchors::from_der(&[Bytes::from(der)]).map(|_| ());
    assert_eq!(pin(TestCa::user().certificate()), Ok(()));
    assert_eq!(pin(&TestCa::user().issue(&valid())), Err(AnchorError::NotAnAuthority));
    assert_eq!(pin(&TestCa::user().issue(&valid().with(Defect::IsCa))), Err(AnchorError::NotAnAuthority));
    assert_eq!(pin(&[]), Err(AnchorError::NotACertificate));
    assert!(TrustAnchors::from_der(&[]).is_ok(), "then every certificate is foreign");
}
