use tazune_card::{CardError, Command, Continuity, LeMode, Phone};
use tazune_sim::card::{CardKind, CardSpec, Tear, TearMoment, VirtualCard};

use crate::rig::{BOTH_MODES, Field, good_card, good_reading, somebody_elses_card, whole_flow};

/// A field whose card is torn away at a command, and another one comes back.
fn swapped(at: usize, other: &CardSpec) -> Field {
    let mut field = Field::torn(&good_card(), Tear { at, moment: TearMoment::AnswerLost });
    field.swap_for = Some(VirtualCard::new(other));
    field
}

#[test]
fn another_card_after_any_command_is_named_and_nothing_is_mixed() {
    for le in BOTH_MODES {
        let length = if le == LeMode::Short { 12 } else { 6 };
        for at in 1..=length {
            let mut field = swapped(at, &somebody_elses_card());
            let result = whole_flow(&mut field, le);
            // Until issuer and serial number were there, nothing is known of the first card: the second is simply read.
            let is_known = at > 3;
            if is_known {
                assert_eq!(result.err(), Some(CardError::OtherCard), "{le:?} {at}");
            } else {
                // Its PIN is another one, so the flow stops at the entry.
                assert_eq!(result.err(), Some(CardError::WrongPin { tries_left: 2 }), "{le:?} {at}");
            }
            let tries_of_the_other = if is_known { 3 } else { 2 };
            assert_eq!(field.card.tries_left(), Some(tries_of_the_other), "{le:?} {at}");
        }
    }
}

#[test]
fn a_card_swapped_before_its_identity_was_known_is_read_as_a_whole() {
    for le in BOTH_MODES {
        for at in 1..=3 {
            let other = somebody_elses_card();
            let reading = swapped(at, &other).read(le).unwrap();
            assert_eq!(Some(reading.certificate.der().as_slice()), other.certificate.as_deref());
        }
    }
}

#[test]
fn anything_else_in_place_of_the_card_is_another_card() {
    let others = [
        CardSpec { kind: CardKind::AndroidPhone, ..somebody_elses_card() },
        CardSpec { kind: CardKind::IPhone, ..somebody_elses_card() },
        CardSpec { kind: CardKind::Other, ..somebody_elses_card() },
        CardSpec { certificate: None, ..somebody_elses_card() },
    ];
    for other in &others {
        for at in 4..=12 {
            let mut field = swapped(at, other);
            assert_eq!(
                whole_flow(&mut field, LeMode::Short).err(),
                Some(CardError::OtherCard),
                "{:?} {at}",
                other.kind
            );
            assert_ne!(field.card.tries_left(), Some(2));
        }
        let mut field = Field::with(other);
        let result = field.authenticate(&good_reading(), "1234", Continuity::Fresh);
        assert_eq!(result, Err(CardError::OtherCard), "{:?}", other.kind);
        assert_eq!(field.count(Command::Verify), 0);
    }
}

#[test]
fn a_card_swapped_between_reading_and_pin_is_told_before_the_pin_is_sent() {
    let mut field = Field::with(&somebody_elses_card());
    assert_eq!(field.authenticate(&good_reading(), "8765", Continuity::Fresh), Err(CardError::OtherCard));
    assert_eq!((field.count(Command::Verify), field.count(Command::CountTries)), (0, 0));
}

#[test]
fn a_card_swapped_during_a_second_hold_never_sees_the_pin() {
    // Select, identity, counter, VERIFY, signature: the other card comes after each of them.
    for at in 1..=5 {
        let mut field = swapped(at, &somebody_elses_card());
        let result = field.authenticate(&good_reading(), "1234", Continuity::Fresh);
        assert_eq!(result, Err(CardError::OtherCard), "{at}");
        assert_eq!(field.card.tries_left(), Some(3), "{at}");
        assert!(field.count(Command::Verify) <= 1, "{at}");
    }
}

#[test]
fn what_is_no_card_of_ours_is_named_at_the_first_reading() {
    let table = [
        (CardKind::AndroidPhone, CardError::PhoneTapped(Phone::Android)),
        (CardKind::IPhone, CardError::PhoneTapped(Phone::Iphone)),
        (CardKind::Other, CardError::NotMyNumberCard),
    ];
    for (kind, error) in table {
        let mut field = Field::with(&CardSpec { kind, ..good_card() });
        assert_eq!(field.read(LeMode::Extended), Err(error));
        assert!(field.sent.len() <= 2);
    }
}
