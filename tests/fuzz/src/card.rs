use std::sync::LazyLock;

use jiff::civil::{Date, date};
use tazune_card::{
    Authenticate, CardEvent, CardReading, Continuity, Conversation, LeMode, Order, ReadCertificate, TrustAnchors,
};
use tazune_model::Pin;
use tazune_sim::{
    CertificateSpec, TestCa,
    card::{CardSpec, LogEntry, VirtualCard},
};

use crate::Target;

const DAY: Date = date(2026, 11, 21);

/// A conversation asks no card more often than this, whatever it answers.
const MOST_COMMANDS: usize = 200;

/// Card to device: any bytes as the answers of a card, for both conversations of a visit.
///
/// Two bytes tell the length of the next answer; what is left after the last whole one is a card that was torn away.
pub(crate) const CONVERSATION: Target = Target {
    name: "card-conversation",
    run: |data| {
        for le in [LeMode::Short, LeMode::Extended] {
            let mut read = ReadCertificate::new(GOOD.anchors.clone(), DAY, le);
            converse(&mut read, data);
            let pin = Pin::from_entry("1234").expect("four digits");
            converse(&mut Authenticate::new(&GOOD.reading, pin, b"to sign"), data);
        }
    },
    seeds: || GOOD.answers.clone(),
};

/// The reading of a card with nothing wrong with it.
pub(crate) fn good_reading(on: Date) -> CardReading {
    let mut card = powered(on);
    finished(&mut ReadCertificate::new(anchors(), on, LeMode::Short), &mut card)
}

struct Good {
    anchors: TrustAnchors,
    reading: CardReading,
    /// The answers of whole conversations, framed as the target reads them.
    answers: Vec<Vec<u8>>,
}

static GOOD: LazyLock<Good> = LazyLock::new(|| {
    let mut answers = Vec::new();
    let mut reading = None;
    for le in [LeMode::Short, LeMode::Extended] {
        let mut card = powered(DAY);
        let found = finished(&mut ReadCertificate::new(anchors(), DAY, le), &mut card);
        answers.push(framed(&card));
        let mut card = powered(DAY);
        let pin = Pin::from_entry("1234").expect("four digits");
        finished(&mut Authenticate::new(&found, pin, b"to sign"), &mut card);
        answers.push(framed(&card));
        reading = Some(found);
    }
    Good { anchors: anchors(), reading: reading.expect("two were read"), answers }
});

fn anchors() -> TrustAnchors {
    TrustAnchors::from_der(&[TestCa::user().certificate().into()]).expect("the test authority's certificate is one")
}

fn powered(on: Date) -> VirtualCard {
    let mut card = VirtualCard::new(&CardSpec::issued(&TestCa::user(), &CertificateSpec::valid_on(on)));
    card.power_on();
    card
}

fn finished<C: Conversation>(conversation: &mut C, card: &mut VirtualCard) -> C::Outcome {
    let mut order = conversation.on(CardEvent::Present(Continuity::Fresh));
    loop {
        order = match order {
            Order::Transmit(apdu) => {
                let answer = card.transmit(apdu.as_bytes()).expect("the card is not torn away");
                conversation.on(CardEvent::Answer(&answer))
            }
            Order::AwaitCard => unreachable!("the card is on the reader"),
            Order::Finished(result) => return result.expect("nothing is wrong with this card"),
        };
    }
}

/// Each answer after its length in two bytes.
fn framed(card: &VirtualCard) -> Vec<u8> {
    let answers = card.log().iter().filter_map(|entry| match entry {
        LogEntry::Command { answer: Some(answer), .. } => Some(answer),
        _ => None,
    });
    let frame = |answer: &Vec<u8>| {
        let length = u16::try_from(answer.len()).expect("an answer has at most 64 KiB");
        [length.to_be_bytes().as_slice(), answer].concat()
    };
    answers.flat_map(frame).collect()
}

/// Answers a conversation from `data`; it must come to an end by itself.
fn converse<C: Conversation>(conversation: &mut C, mut data: &[u8]) {
    let mut order = conversation.on(CardEvent::Present(Continuity::Fresh));
    for _ in 0..MOST_COMMANDS {
        order = match order {
            Order::Transmit(_) => match next(&mut data) {
                Some(answer) => conversation.on(CardEvent::Answer(answer)),
                None => conversation.on(CardEvent::Lost),
            },
            Order::AwaitCard if data.is_empty() => conversation.on(CardEvent::Cancel),
            Order::AwaitCard => conversation.on(CardEvent::Present(Continuity::Fresh)),
            Order::Finished(_) => return,
        };
    }
    // An endless card is ended by the person.
    for _ in 0..MOST_COMMANDS {
        if let Order::Finished(_) = conversation.on(CardEvent::Cancel) {
            return;
        }
    }
    panic!("the conversation cannot be ended");
}

fn next<'a>(data: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = data.split_first_chunk::<2>()?;
    let length = usize::from(u16::from_be_bytes(*length));
    let Some((answer, rest)) = rest.split_at_checked(length) else {
        *data = &[];
        return None;
    };
    *data = rest;
    Some(answer)
}
