use std::collections::BTreeSet;

use tazune_card::{
    Authenticate, CardError, CardEvent, Command, Continuity, Conversation as _, LeMode, Order, ReadCertificate,
};
use tazune_sim::card::{Tear, TearMoment};

use crate::rig::{BOTH_MODES, Field, MESSAGE, VISIT_ON, anchors, good_card, good_reading, pin, whole_flow};

const BOTH_MOMENTS: [TearMoment; 2] = [TearMoment::BeforeProcessing, TearMoment::AnswerLost];

/// How many commands the undisturbed flow has.
fn length(le: LeMode) -> usize {
    let mut field = Field::with(&good_card());
    whole_flow(&mut field, le).unwrap();
    field.sent.len()
}

#[test]
fn torn_away_at_every_command_the_flow_goes_on_and_no_entry_is_sent_twice() {
    for le in BOTH_MODES {
        for at in 1..=length(le) {
            for moment in BOTH_MOMENTS {
                let mut field = Field::torn(&good_card(), Tear { at, moment });
                let flow = whole_flow(&mut field, le).unwrap_or_else(|error| panic!("{le:?} {at} {moment:?}: {error}"));
                assert!(flow.reading.certificate.verifies(MESSAGE, flow.signature.as_bytes()));
                assert_eq!(field.awaited_count, 1, "the loss is told, once");

                let torn = field.sent.iter().find(|sent| sent.answer.is_none()).unwrap().command;
                let spent = usize::from(matches!(torn, Command::Verify | Command::Sign));
                assert_eq!(
                    flow.entries,
                    1 + spent,
                    "{le:?} {at} {moment:?}: asked again only when the entry was spent"
                );
                assert_eq!(field.count(Command::Verify), flow.entries);
                assert_eq!(field.card.tries_left(), Some(3));
                assert_the_counter_is_known_before_every_pin(&field);
                assert_nothing_is_read_again(&field);
            }
        }
    }
}

#[test]
fn torn_away_again_and_again_the_flow_still_ends() {
    for le in BOTH_MODES {
        // From the sixth on the rest of the flow is too short to be torn three times.
        for at in 3..=5 {
            let mut field = Field::with(&good_card());
            for _ in 0..3 {
                field.card.tear(Tear { at, moment: TearMoment::AnswerLost });
            }
            let flow = whole_flow(&mut field, le).unwrap();
            assert_eq!(field.awaited_count, 3);
            assert!(flow.reading.certificate.verifies(MESSAGE, flow.signature.as_bytes()));
            assert_nothing_is_read_again(&field);
        }
    }
}

#[test]
fn a_loss_in_an_extended_read_changes_to_short_reads() {
    let mut field = Field::torn(&good_card(), Tear { at: 3, moment: TearMoment::AnswerLost });
    assert_eq!(field.read(LeMode::Extended).unwrap().le, LeMode::Short);

    let mut field = Field::torn(&good_card(), Tear { at: 4, moment: TearMoment::AnswerLost });
    assert_eq!(field.read(LeMode::Extended).unwrap().le, LeMode::Extended, "the long read had worked");
}

#[test]
fn what_was_read_shows_while_the_card_is_awaited() {
    let mut field = Field::with(&good_card());
    let mut conversation = ReadCertificate::new(anchors(), VISIT_ON, LeMode::Short);
    let mut order = conversation.on(CardEvent::Present(Continuity::Fresh));
    for _ in 0..4 {
        let Order::Transmit(apdu) = order else { panic!("{order:?}") };
        order = conversation.on(CardEvent::Answer(&field.card.transmit(&apdu).unwrap()));
    }
    assert!(matches!(conversation.on(CardEvent::Lost), Order::AwaitCard));
    assert!(matches!(conversation.on(CardEvent::Lost), Order::AwaitCard), "a second report changes nothing");
    assert!(matches!(conversation.on(CardEvent::Answer(&[0x90, 0x00])), Order::AwaitCard), "nobody asked");
    assert_eq!((conversation.progress().read_bytes, conversation.progress().total_bytes), (512, Some(1590)));
    field.card.power_on();
    assert!(field.run(&mut conversation, Continuity::Fresh).is_ok());
}

#[test]
fn after_a_loss_no_link_counts_as_the_same() {
    let mut conversation = Authenticate::new(&good_reading(), pin("1234"), MESSAGE);
    for event in [CardEvent::Present(Continuity::Fresh), CardEvent::Present(Continuity::Same)] {
        let Order::Transmit(apdu) = conversation.on(event) else { panic!("nothing sent") };
        assert_eq!(apdu.command(), Command::SelectApplication);
        assert!(matches!(conversation.on(CardEvent::Lost), Order::AwaitCard));
    }
}

/// The tries fell while the answer to VERIFY was lost: the person is told the new number, or not asked at all.
#[test]
fn a_wrong_entry_whose_answer_was_lost_is_counted() {
    let tear = Tear { at: 1, moment: TearMoment::AnswerLost };
    for (tries_left, expected) in
        [(3, CardError::AskPinAgain { tries_left: 2 }), (2, CardError::PinLastTry), (1, CardError::PinLastTry)]
    {
        let mut reading = good_reading();
        reading.tries_left = tries_left;
        let mut spec = good_card();
        spec.tries_left = tries_left;
        let mut field = Field::with(&spec);
        // One command selects, so that the entry is the first one after it.
        field.card.transmit(b"\x00\xA4\x04\x0C\x0A\xD3\x92\xF0\x00\x26\x01\x00\x00\x00\x01").unwrap();
        field.card.tear(tear);
        assert_eq!(field.authenticate(&reading, "0000", Continuity::Same), Err(expected));
        assert_eq!(field.count(Command::Verify), usize::from(tries_left > 1));
    }
}

fn assert_the_counter_is_known_before_every_pin(field: &Field) {
    let mut is_known = false;
    for sent in &field.sent {
        match (sent.command, &sent.answer) {
            (Command::CountTries, Some(_)) => is_known = true,
            (Command::Verify, _) => {
                assert!(is_known, "a PIN was sent without asking the counter");
                is_known = false;
            }
            (_, None) => is_known = false,
            _ => {}
        }
    }
}

/// No part of the certificate arrives twice, but for issuer and serial number, which are shorter than any part.
fn assert_nothing_is_read_again(field: &Field) {
    let identity = good_reading().certificate.identity().len();
    let mut arrived = BTreeSet::new();
    for sent in field.sent.iter().filter(|sent| sent.command == Command::ReadCertificate) {
        let is_identity = sent.apdu == [0x00, 0xB0, 0x8A, 0x00, identity as u8];
        let Some(answer) = sent.answer.as_ref().filter(|_| !is_identity) else { continue };
        let &[_, _, p1, p2, ..] = sent.apdu.as_slice() else { panic!("a command has a header") };
        let begin = if p1 & 0x80 == 0 { usize::from(p1) << 8 | usize::from(p2) } else { 0 };
        for offset in begin..(begin + answer.len() - 2).min(1590) {
            assert!(arrived.insert(offset), "byte {offset} was read twice");
        }
    }
    assert_eq!(arrived.len(), 1590);
}
