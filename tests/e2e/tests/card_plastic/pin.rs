use tazune_card::{
    Authenticate, CardError, CardEvent, Command, Continuity, Conversation as _, LeMode, Order, StatusWord,
};
use tazune_sim::card::CardSpec;

use crate::rig::{Field, MESSAGE, good_card, good_reading, pin};

#[test]
fn wrong_entries_lead_down_to_one_try_which_is_never_asked_for() {
    let mut field = Field::with(&good_card());
    let mut reading = field.read(LeMode::Extended).unwrap();
    assert_eq!(reading.tries_left, 3);
    for tries_left in [2, 1] {
        let result = field.authenticate(&reading, "0000", Continuity::Same);
        assert_eq!(result, Err(CardError::WrongPin { tries_left }));
        reading.tries_left = tries_left;
    }
    let sent = field.sent.len();
    assert_eq!(field.authenticate(&reading, "1234", Continuity::Same), Err(CardError::PinLastTry));
    assert_eq!(field.sent.len(), sent, "nothing is sent");
    assert_eq!(field.authenticate(&reading, "1234", Continuity::Fresh), Err(CardError::PinLastTry));
    assert_eq!(field.read(LeMode::Extended), Err(CardError::PinLastTry));
    assert_eq!((field.count(Command::Verify), field.card.tries_left()), (2, Some(1)));
}

#[test]
fn a_right_entry_after_a_wrong_one_signs_and_fills_the_counter() {
    let mut field = Field::with(&good_card());
    let mut reading = field.read(LeMode::Extended).unwrap();
    assert_eq!(field.authenticate(&reading, "0000", Continuity::Same), Err(CardError::WrongPin { tries_left: 2 }));
    reading.tries_left = 2;
    for continuity in [Continuity::Same, Continuity::Fresh] {
        let signature = field.authenticate(&reading, "1234", continuity).unwrap();
        assert!(reading.certificate.verifies(MESSAGE, signature.as_bytes()));
        reading.tries_left = 3;
    }
    assert_eq!(field.card.tries_left(), Some(3));
}

#[test]
fn one_or_no_try_left_ends_the_reading_before_any_entry() {
    for (tries_left, error) in [(1, CardError::PinLastTry), (0, CardError::PinLocked)] {
        let spec = CardSpec { tries_left, ..good_card() };
        assert_eq!(Field::with(&spec).read(LeMode::Extended), Err(error.clone()));

        let mut field = Field::with(&spec);
        assert_eq!(field.authenticate(&good_reading(), "1234", Continuity::Fresh), Err(error));
        assert_eq!(field.count(Command::Verify), 0);
    }
}

#[test]
fn a_counter_that_changed_since_it_was_shown_keeps_the_entry_back() {
    let mut reading = good_reading();
    let mut field = Field::with(&CardSpec { tries_left: 2, ..good_card() });
    assert_eq!(
        field.authenticate(&reading, "1234", Continuity::Fresh),
        Err(CardError::AskPinAgain { tries_left: 2 }),
        "the person was shown 3"
    );
    assert_eq!(field.count(Command::Verify), 0);
    reading.tries_left = 2;
    assert!(field.authenticate(&reading, "1234", Continuity::Same).is_ok());
}

/// What a card may say to VERIFY, and to the signature after it.
#[test]
fn each_answer_to_the_entry_has_its_own_end() {
    let unexpected = |command, status| CardError::Unexpected { command, status: Some(StatusWord(status)) };
    let verify = [
        (0x63C2, CardError::WrongPin { tries_left: 2 }),
        (0x63C1, CardError::WrongPin { tries_left: 1 }),
        (0x63C0, CardError::PinLocked),
        (0x6984, CardError::PinLocked),
        (0x6983, CardError::PinLocked),
        (0x6300, unexpected(Command::Verify, 0x6300)),
        (0x6C04, unexpected(Command::Verify, 0x6C04)),
        (0x6700, unexpected(Command::Verify, 0x6700)),
    ];
    for (status, error) in verify {
        let (mut conversation, _) = entered();
        assert_ends(conversation.on(CardEvent::Answer(&u16::to_be_bytes(status))), &error);
        assert_ends(conversation.on(CardEvent::Present(Continuity::Fresh)), &CardError::Cancelled);
    }
}

#[test]
fn an_answer_without_a_status_word_is_no_answer() {
    for answer in [&[][..], &[0x90]] {
        let (mut conversation, _) = entered();
        let error = CardError::Unexpected { command: Command::Verify, status: None };
        assert_ends(conversation.on(CardEvent::Answer(answer)), &error);
    }
}

#[test]
fn a_signature_that_the_certificate_does_not_verify_is_not_handed_out() {
    for length in [0, 1, 255, 256] {
        let (mut conversation, _) = entered();
        let _ = conversation.on(CardEvent::Answer(&[0x90, 0x00]));
        let answer = [vec![0x5A; length].as_slice(), &[0x90, 0x00]].concat();
        let error = CardError::Unexpected { command: Command::Sign, status: Some(StatusWord(0x9000)) };
        assert_ends(conversation.on(CardEvent::Answer(&answer)), &error);
    }
}

#[test]
fn a_card_that_forgot_the_entry_is_asked_for_its_counter() {
    let (mut conversation, _) = entered();
    let _ = conversation.on(CardEvent::Answer(&[0x90, 0x00]));
    let Order::Transmit(apdu) = conversation.on(CardEvent::Answer(&[0x69, 0x82])) else { panic!("not asked") };
    assert_eq!(apdu.command(), Command::CountTries);
    assert_ends(conversation.on(CardEvent::Answer(&[0x63, 0xC3])), &CardError::AskPinAgain { tries_left: 3 });
}

#[test]
fn the_pin_shows_nowhere_but_in_its_command() {
    let (_, apdu) = entered();
    assert!(apdu.windows(4).any(|part| part == b"1234"));
    assert!(!format!("{apdu:?}").contains("31323334"));
}

/// A conversation whose VERIFY is under way.
fn entered() -> (Authenticate, tazune_card::CommandApdu) {
    let mut conversation = Authenticate::new(&good_reading(), pin("1234"), MESSAGE);
    let Order::Transmit(apdu) = conversation.on(CardEvent::Present(Continuity::Same)) else { panic!("not sent") };
    assert_eq!(apdu.command(), Command::Verify);
    (conversation, apdu)
}

fn assert_ends<T: std::fmt::Debug>(order: Order<T>, error: &CardError) {
    match order {
        Order::Finished(Err(found)) => assert_eq!(&found, error),
        order => panic!("{order:?} instead of {error}"),
    }
}
