//! The look at whatever is on a reader.

use jiff::ToSpan as _;
use tazune_card::{
    CardError, CardFound, CertificateFault, CertificateFound, Command, Continuity, InspectCard, Issuer, Phone,
    TrustAnchors,
};
use tazune_model::CertificatePhase;
use tazune_sim::{
    CertificateSpec, TestCa,
    card::{CardKind, CardSpec, Tear, TearMoment, VirtualCard},
};

use crate::rig::{Field, VISIT_ON, anchors, good_card, somebody_elses_card};

fn look(field: &mut Field, anchors: Option<TrustAnchors>) -> Result<CardFound, CardError> {
    field.run(&mut InspectCard::new(anchors, VISIT_ON), Continuity::Fresh)
}

fn with(change: impl FnOnce(&mut CardSpec)) -> CardSpec {
    let mut spec = good_card();
    change(&mut spec);
    spec
}

/// The certificate of the sample card without its last day, which the table of phases looks at.
fn phase_and_issuer(found: CertificateFound) -> Option<(CertificatePhase, Issuer)> {
    match found {
        CertificateFound::Present { summary, issuer } => Some((summary.phase, issuer)),
        CertificateFound::Missing | CertificateFound::Broken(_) => None,
    }
}

#[test]
fn every_kind_of_thing_is_told_apart_and_no_try_is_spent() {
    let card = |certificate, tries_left| CardFound::MyNumberCard { certificate, tries_left };
    let missing = CertificateFound::Missing;
    let broken = CertificateFound::Broken(CertificateFault::Truncated);
    let table = [
        (with(|spec| spec.kind = CardKind::AndroidPhone), CardFound::Phone(Phone::Android)),
        (with(|spec| spec.kind = CardKind::IPhone), CardFound::Phone(Phone::Iphone)),
        (with(|spec| spec.kind = CardKind::Other), CardFound::Other),
        (with(|spec| spec.certificate = None), card(missing, 3)),
        (with(|spec| (spec.certificate, spec.tries_left) = (None, 0)), card(missing, 0)),
        (
            with(|spec| {
                spec.certificate.as_mut().unwrap().truncate(700);
                spec.certificate_file_len = 700;
            }),
            card(broken, 3),
        ),
    ];
    for (spec, wanted) in table {
        let mut field = Field::with(&spec);
        let before = field.card.tries_left();
        assert_eq!(look(&mut field, None), Ok(wanted));
        assert_eq!((field.count(Command::Verify), field.card.tries_left()), (0, before), "{wanted:?}");
    }
}

#[test]
fn phase_and_tries_are_told_also_where_a_visit_would_stop() {
    for tries_left in 0..=3 {
        let found = look(&mut Field::with(&with(|spec| spec.tries_left = tries_left)), Some(anchors())).unwrap();
        let CardFound::MyNumberCard { certificate, tries_left: told } = found else { panic!("{found:?}") };
        assert_eq!(told, tries_left);
        assert_eq!(phase_and_issuer(certificate), Some((CertificatePhase::Valid, Issuer::Trusted)));
    }
    let later = CertificateSpec {
        not_before: "2027-01-01T00:00:00Z".parse().unwrap(),
        ..CertificateSpec::valid_on(VISIT_ON + 60.days())
    };
    let issuers = [
        (TestCa::user(), Some(anchors()), Issuer::Trusted),
        (TestCa::foreign(), Some(anchors()), Issuer::Foreign),
        (TestCa::impostor(), Some(anchors()), Issuer::Foreign),
        (TestCa::foreign(), None, Issuer::Unchecked),
    ];
    for (ca, anchors, issuer) in issuers {
        let found = look(&mut Field::with(&CardSpec::issued(&ca, &later)), anchors).unwrap();
        let CardFound::MyNumberCard { certificate, .. } = found else { panic!("{found:?}") };
        assert_eq!(phase_and_issuer(certificate), Some((CertificatePhase::NotYetValid, issuer)));
    }
}

#[test]
fn a_card_lost_at_any_command_is_looked_at_anew_and_nothing_of_two_cards_is_mixed() {
    let spec = good_card();
    let wanted = look(&mut Field::with(&spec), Some(anchors()));
    let other = CardSpec { tries_left: 2, ..somebody_elses_card() };
    let wanted_of_other = look(&mut Field::with(&other), Some(anchors()));
    assert!(wanted.is_ok() && wanted_of_other.is_ok() && wanted != wanted_of_other);
    for (at, moment) in (1..=4).flat_map(|at| [TearMoment::BeforeProcessing, TearMoment::AnswerLost].map(|m| (at, m))) {
        let mut field = Field::torn(&spec, Tear { at, moment });
        assert_eq!(look(&mut field, Some(anchors())), wanted, "{at} {moment:?}");
        assert_eq!(field.awaited_count, 1);

        let mut field = Field::torn(&spec, Tear { at, moment });
        field.swap_for = Some(VirtualCard::new(&other));
        assert_eq!(look(&mut field, Some(anchors())), wanted_of_other, "{at} {moment:?}");
    }
}

#[test]
fn an_answer_that_no_card_gives_ends_the_look() {
    for ins in [0xA4, 0xB0, 0x20] {
        let mut field = Field::with(&with(|spec| spec.takes_extended = false));
        field.card.answer_next(ins, &[0x65, 0x81]);
        assert!(matches!(look(&mut field, None), Err(CardError::Unexpected { .. })), "{ins:02X}");
    }
}
