use proptest::prelude::*;
use tazune_card::{Authenticate, CardEvent, Command, Continuity, Conversation, LeMode, Order, ReadCertificate};
use tazune_sim::card::VirtualCard;

use crate::rig::{MESSAGE, VISIT_ON, anchors, assert_nothing_forbidden, good_card, good_reading, pin};

/// What happens next, whatever was ordered.
#[derive(Clone, Debug)]
enum Chance {
    /// The card answers as it should.
    True,
    /// The card's data under another status word.
    OtherStatus(u16),
    /// Part of the card's answer.
    Cut(usize),
    Bytes(Vec<u8>),
    Lost,
    Cancel,
    Present(Continuity),
}

fn chance() -> impl Strategy<Value = Chance> {
    let status = prop_oneof![
        any::<u16>(),
        (0_u16..=0xFF).prop_flat_map(|low| proptest::sample::select(vec![
            0x6100 | low,
            0x6C00 | low,
            0x63C0 | low & 15
        ])),
        proptest::sample::select(vec![0x9000, 0x6282, 0x6700, 0x6982, 0x6984, 0x6A82, 0x6B00]),
    ];
    prop_oneof![
        12 => Just(Chance::True),
        3 => status.prop_map(Chance::OtherStatus),
        1 => (0_usize..260).prop_map(Chance::Cut),
        1 => proptest::collection::vec(any::<u8>(), 0..300).prop_map(Chance::Bytes),
        2 => Just(Chance::Lost),
        1 => Just(Chance::Cancel),
        1 => proptest::sample::select(vec![Continuity::Fresh, Continuity::Same]).prop_map(Chance::Present),
    ]
}

/// Lets chance answer; returns how many times a PIN was sent.
fn play<C: Conversation>(mut conversation: C, first: Continuity, chances: &[Chance]) -> usize {
    let mut card = VirtualCard::new(&good_card());
    card.power_on();
    let mut pins = 0;
    let mut order = conversation.on(CardEvent::Present(first));
    for chance in chances {
        let answer = match &order {
            Order::Transmit(apdu) => {
                pins += usize::from(apdu.command() == Command::Verify);
                card.transmit(apdu).unwrap_or_default()
            }
            Order::AwaitCard | Order::Finished(_) => vec![0x90, 0x00],
        };
        let data = &answer[..answer.len().saturating_sub(2)];
        order = match chance {
            Chance::True if matches!(order, Order::AwaitCard) => conversation.on(CardEvent::Present(Continuity::Fresh)),
            Chance::True => conversation.on(CardEvent::Answer(&answer)),
            Chance::OtherStatus(status) => conversation.on(CardEvent::Answer(&[data, &status.to_be_bytes()].concat())),
            Chance::Cut(count) => conversation.on(CardEvent::Answer(&answer[..(*count).min(answer.len())])),
            Chance::Bytes(bytes) => conversation.on(CardEvent::Answer(bytes)),
            Chance::Lost => conversation.on(CardEvent::Lost),
            Chance::Cancel => conversation.on(CardEvent::Cancel),
            Chance::Present(continuity) => conversation.on(CardEvent::Present(*continuity)),
        };
        let progress = conversation.progress();
        assert!(progress.total_bytes.is_none_or(|total| progress.read_bytes <= total));
    }
    assert_nothing_forbidden_but_get_response(&card);
    pins
}

fn assert_nothing_forbidden_but_get_response(card: &VirtualCard) {
    let is_get_response =
        |entry: &&tazune_sim::card::LogEntry| entry.as_command().is_some_and(|c| c.starts_with(&[0, 0xC0]));
    let rest: Vec<_> = card.log().iter().filter(|entry| !is_get_response(entry)).cloned().collect();
    assert_nothing_forbidden(&rest);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn no_answer_makes_a_reading_panic_or_send_a_pin(chances in proptest::collection::vec(chance(), 0..40), is_short: bool) {
        let le = if is_short { LeMode::Short } else { LeMode::Extended };
        prop_assert_eq!(play(ReadCertificate::new(anchors(), VISIT_ON, le), Continuity::Fresh, &chances), 0);
    }

    #[test]
    fn no_answer_makes_an_entry_panic_or_go_out_twice(chances in proptest::collection::vec(chance(), 0..30), is_same: bool) {
        let first = if is_same { Continuity::Same } else { Continuity::Fresh };
        let conversation = Authenticate::new(&good_reading(), pin("1234"), MESSAGE);
        prop_assert!(play(conversation, first, &chances) <= 1);
    }
}
