use jiff::civil::{Date, date};
use tazune_card::{
    Authenticate, CardEvent, CardReading, Continuity, Conversation, LeMode, Order, ReadCertificate, Signature,
    TrustAnchors,
};
use tazune_model::Pin;
use tazune_sim::{
    CertificateSpec, TestCa,
    card::{CardSpec, LogEntry, VirtualCard},
};

/// The day of every visit here.
pub(crate) const VISIT_ON: Date = date(2026, 11, 21);

/// One authentication, as the card's own log tells it.
pub(crate) struct Authentication {
    /// What is special about it.
    pub(crate) name: &'static str,
    /// Its number of commands should be this; `None` where no target speaks of it.
    pub(crate) target: Option<Target>,
    /// Bytes of the certificate that was read.
    pub(crate) certificate_bytes: usize,
    /// For every command its bytes and those of its answer, status word included.
    pub(crate) exchanges: Vec<(usize, usize)>,
}

/// What targets P1 and P2 ask for.
#[derive(Clone, Copy)]
pub(crate) struct Target {
    pub(crate) commands: usize,
    /// Modelled time as a share of OpenSC's; the targets give none for the card that refuses.
    pub(crate) time_share: Option<f64>,
}

/// The ways an authentication goes: token file, certificate, counter, PIN, one signature.
pub(crate) fn authentications() -> Vec<Authentication> {
    let refusing = CardSpec { takes_extended: false, ..good_card() };
    let target = |commands, time_share| Some(Target { commands, time_share });
    vec![
        authentication("short Le", &good_card(), LeMode::Short, Hold::One, target(12, Some(0.88))),
        authentication("extended Le", &good_card(), LeMode::Extended, Hold::One, target(6, Some(0.76))),
        authentication("extended Le refused by the card", &refusing, LeMode::Extended, Hold::One, target(13, None)),
        authentication("extended Le, card lifted before the PIN", &good_card(), LeMode::Extended, Hold::Two, None),
    ]
}

/// A card with nothing wrong with it, on the reader.
pub(crate) fn powered() -> VirtualCard {
    let mut card = VirtualCard::new(&good_card());
    card.power_on();
    card
}

/// Reads the card on the reader with extended Le.
pub(crate) fn read(card: &mut VirtualCard) -> CardReading {
    read_with(LeMode::Extended, card)
}

/// Has the card sign that was just read and still is on the reader.
pub(crate) fn sign(card: &mut VirtualCard, reading: &CardReading, message: &[u8]) -> Signature {
    run(&mut Authenticate::new(reading, pin(), message), card, Continuity::Same)
}

/// The PIN of the virtual card.
pub(crate) fn pin() -> Pin {
    Pin::from_entry("1234").expect("four digits")
}

/// Whether the card stays on the reader between certificate and PIN.
enum Hold {
    One,
    Two,
}

/// Bytes of a command and of its answer; nothing for what is no command.
pub(crate) fn exchange(entry: &LogEntry) -> Option<(usize, usize)> {
    match entry {
        LogEntry::Command { command, answer } => Some((command.len(), answer.as_ref().map_or(0, Vec::len))),
        _ => None,
    }
}

/// What a card with nothing wrong with it is made of.
pub(crate) fn good_card() -> CardSpec {
    CardSpec::issued(&TestCa::user(), &CertificateSpec::valid_on(VISIT_ON))
}

fn authentication(
    name: &'static str,
    spec: &CardSpec,
    le: LeMode,
    hold: Hold,
    target: Option<Target>,
) -> Authentication {
    let mut card = VirtualCard::new(spec);
    card.power_on();
    let reading = read_with(le, &mut card);
    let continuity = match hold {
        Hold::One => Continuity::Same,
        Hold::Two => {
            card.power_off();
            card.power_on();
            Continuity::Fresh
        }
    };
    run(&mut Authenticate::new(&reading, pin(), b"a challenge and a consent"), &mut card, continuity);
    Authentication {
        name,
        target,
        certificate_bytes: reading.certificate.der().as_slice().len(),
        exchanges: card.log().iter().filter_map(exchange).collect(),
    }
}

fn read_with(le: LeMode, card: &mut VirtualCard) -> CardReading {
    let anchor = TestCa::user().certificate().into();
    let anchors = TrustAnchors::from_der(&[anchor]).expect("the test authority's certificate is one");
    run(&mut ReadCertificate::new(anchors, VISIT_ON, le), card, Continuity::Fresh)
}

/// Runs a conversation with a card that stays on the reader and has nothing wrong with it.
fn run<C: Conversation>(conversation: &mut C, card: &mut VirtualCard, continuity: Continuity) -> C::Outcome {
    let mut order = conversation.on(CardEvent::Present(continuity));
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
