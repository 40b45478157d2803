use tazune_card::{
    Authenticate, CardError, CardEvent, Command, Continuity, Conversation, LeMode, LeaveCard, Order, ReadCertificate,
};
use tazune_sim::card::{LogEntry, VirtualCard};

use crate::rig::{BOTH_MODES, Field, MESSAGE, VISIT_ON, anchors, good_card, good_reading, pin};

/// Cancels a conversation after `count` answers; `false` when it ended before.
fn cancel_after<C: Conversation>(mut conversation: C, card: &mut VirtualCard, count: usize) -> bool {
    let mut order = conversation.on(CardEvent::Present(Continuity::Fresh));
    for _ in 0..count {
        let Order::Transmit(apdu) = order else { return false };
        order = conversation.on(CardEvent::Answer(&card.transmit(&apdu).unwrap()));
    }
    let Order::Transmit(_not_sent) = order else { return false };
    let Order::Transmit(leave) = conversation.on(CardEvent::Cancel) else { panic!("the card is not left") };
    assert_eq!(leave.command(), Command::Leave);
    let answer = card.transmit(&leave).unwrap();
    assert_cancelled(conversation.on(CardEvent::Answer(&answer)));
    assert_cancelled(conversation.on(CardEvent::Present(Continuity::Fresh)));
    true
}

#[test]
fn cancelled_after_every_command_the_card_is_de_selected_and_forgot_the_pin() {
    for le in BOTH_MODES {
        let counts = (0..).take_while(|count| {
            let mut field = Field::with(&good_card());
            let is_cancelled = cancel_after(ReadCertificate::new(anchors(), VISIT_ON, le), &mut field.card, *count);
            assert!(!is_cancelled || is_left(&mut field.card));
            is_cancelled
        });
        assert_eq!(counts.count(), if le == LeMode::Short { 10 } else { 4 });
    }
    let counts = (0..).take_while(|count| {
        let mut field = Field::with(&good_card());
        let conversation = Authenticate::new(&good_reading(), pin("1234"), MESSAGE);
        let is_cancelled = cancel_after(conversation, &mut field.card, *count);
        assert!(!is_cancelled || is_left(&mut field.card));
        is_cancelled
    });
    assert_eq!(counts.count(), 5, "select, identity, counter, PIN, signature");
}

#[test]
fn without_a_card_cancel_ends_at_once() {
    let mut never_begun = ReadCertificate::new(anchors(), VISIT_ON, LeMode::Extended);
    assert_cancelled(never_begun.on(CardEvent::Cancel));

    let mut lost = Authenticate::new(&good_reading(), pin("1234"), MESSAGE);
    let _ = lost.on(CardEvent::Present(Continuity::Fresh));
    assert!(matches!(lost.on(CardEvent::Lost), Order::AwaitCard));
    assert_cancelled(lost.on(CardEvent::Cancel));
}

#[test]
fn a_card_lost_or_a_second_cancel_while_leaving_ends_it() {
    for event in [CardEvent::Lost, CardEvent::Cancel, CardEvent::Present(Continuity::Fresh), CardEvent::Answer(&[])] {
        let mut conversation = Authenticate::new(&good_reading(), pin("1234"), MESSAGE);
        let _ = conversation.on(CardEvent::Present(Continuity::Same));
        assert!(matches!(conversation.on(CardEvent::Cancel), Order::Transmit(_)));
        assert_cancelled(conversation.on(event));
    }
}

#[test]
fn a_verified_card_can_be_left_after_the_signature() {
    let mut field = Field::with(&good_card());
    field.authenticate(&good_reading(), "1234", Continuity::Fresh).unwrap();
    field.run(&mut LeaveCard, Continuity::Same).unwrap();
    assert!(is_left(&mut field.card));
}

/// Whether the de-select was the last command and a signature is refused, also inside the application.
fn is_left(card: &mut VirtualCard) -> bool {
    let leave: &[u8] = b"\x00\xA4\x04\x0C\x07\xA0\x00\x00\x01\x51\x00\x00";
    let is_last = card.log().last().and_then(LogEntry::as_command) == Some(leave);
    let sign = [b"\x80\x2A\x00\x97\x33".as_slice(), &[7; 51], &[0]].concat();
    let outside = card.transmit(&sign);
    card.transmit(b"\x00\xA4\x04\x0C\x0A\xD3\x92\xF0\x00\x26\x01\x00\x00\x00\x01").unwrap();
    let inside = card.transmit(&sign);
    is_last && outside == Some(vec![0x6A, 0x88]) && inside == Some(vec![0x69, 0x82])
}

fn assert_cancelled<T>(order: Order<T>) {
    assert!(matches!(order, Order::Finished(Err(CardError::Cancelled))));
}
