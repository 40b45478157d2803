use tazune_card::{Command, LeMode};
use tazune_sim::{CertificateSpec, TestCa, card::CardSpec};

use crate::rig::{Field, VISIT_ON, good_card, whole_flow};

/// Target P1: token, select, certificate of 1,590 bytes, counter, PIN, one signature.
#[test]
fn the_whole_flow_takes_twelve_commands_with_short_le_and_six_with_extended() {
    for (le, count) in [(LeMode::Short, 12), (LeMode::Extended, 6)] {
        let mut field = Field::with(&good_card());
        let flow = whole_flow(&mut field, le).unwrap();
        assert_eq!(field.sent.len(), count, "{le:?}");
        assert_eq!((flow.reading.le, flow.entries), (le, 1));
    }
}

#[test]
fn a_card_that_refuses_extended_le_costs_one_command_more_and_is_remembered() {
    let mut field = Field::with(&CardSpec { takes_extended: false, ..good_card() });
    let flow = whole_flow(&mut field, LeMode::Extended).unwrap();
    assert_eq!(field.sent.len(), 13);
    assert_eq!(flow.reading.le, LeMode::Short);
}

#[test]
fn the_filler_after_the_certificate_is_cut() {
    for file_len in [1590, 1591, 2048, 4096] {
        for le in [LeMode::Short, LeMode::Extended] {
            let spec = CardSpec { certificate_file_len: file_len, ..good_card() };
            let mut field = Field::with(&spec);
            let reading = field.read(le).unwrap();
            assert_eq!(Some(reading.certificate.der().as_slice()), spec.certificate.as_deref());
        }
    }
}

#[test]
fn a_long_read_brings_hardly_any_filler_and_a_long_certificate_costs_one_more() {
    for (size, reads) in [(1590, 1), (1600, 1), (1632, 2), (2304, 2)] {
        let certificate = CertificateSpec { size: Some(size), ..CertificateSpec::valid_on(VISIT_ON) };
        let spec = CardSpec { certificate_file_len: 4096, ..CardSpec::issued(&TestCa::user(), &certificate) };
        let mut field = Field::with(&spec);
        field.read(LeMode::Extended).unwrap();
        let answers = field.sent.iter().filter(|sent| sent.command == Command::ReadCertificate);
        let arrived: usize =
            answers.clone().map(|sent| sent.answer.as_ref().map_or(0, |answer| answer.len() - 2)).sum();
        assert_eq!(answers.count(), reads, "{size}");
        assert!(arrived - size <= 10, "{arrived} bytes for {size}");
    }
}

#[test]
fn the_certificate_is_read_before_the_counter_and_the_counter_asked_before_the_pin() {
    let mut field = Field::with(&good_card());
    whole_flow(&mut field, LeMode::Extended).unwrap();
    let order: Vec<_> = field.sent.iter().map(|sent| sent.command).collect();
    use Command::*;
    assert_eq!(order, [SelectApplication, ReadToken, ReadCertificate, CountTries, Verify, Sign]);
}
