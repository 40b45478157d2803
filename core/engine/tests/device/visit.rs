//! A visit under way against a reader in memory: what is cancelled, dropped, saved and sealed, and how the card is left.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tazune_engine::{
    Body, CardPort, CardStep, Device, DraftId, FailureCode, Hold, Intent, IntentError, Notice, PortError,
    ReaderTrouble, Screen, VisitSession,
};
use tazune_model::{Language, StaffId};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::{Rig, SOON};

/// SELECT of the issuer domain: it leaves the application, and with it every verified PIN. Source: card-protocol §2.
const LEAVE: &[u8] = &[0x00, 0xA4, 0x04, 0x0C, 0x07, 0xA0, 0x00, 0x00, 0x01, 0x51, 0x00, 0x00];
const OK: &[u8] = &[0x90, 0x00];
/// Token information of a plastic card, and a status word. Source: card-protocol §3.1.
const TOKEN: &[u8] = b"JPKIAPICCTOKEN2                 \x90\x00";

/// What the engine did with the reader.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Did {
    Sent(Vec<u8>),
    Released,
}

/// A reader that waits until the test holds a card to it, and a card that works until the test answers.
struct MemoryPort {
    cards: UnboundedReceiver<Result<(), PortError>>,
    answers: UnboundedReceiver<Result<Vec<u8>, PortError>>,
    did: UnboundedSender<Did>,
}

#[async_trait]
impl CardPort for MemoryPort {
    async fn connect(&mut self) -> Result<(), PortError> {
        self.cards.recv().await.unwrap_or(Err(ReaderTrouble::Unusable.into()))
    }

    async fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, PortError> {
        self.did.send(Did::Sent(command.to_vec())).unwrap();
        self.answers.recv().await.unwrap_or(Err(PortError::Lost))
    }

    async fn release(&mut self) {
        self.did.send(Did::Released).unwrap();
    }
}

/// The other side of the reader.
struct Hand {
    cards: UnboundedSender<Result<(), PortError>>,
    answers: UnboundedSender<Result<Vec<u8>, PortError>>,
    did: UnboundedReceiver<Did>,
}

impl Hand {
    fn new() -> (Self, Box<MemoryPort>) {
        let (cards, held) = unbounded_channel();
        let (answers, answered) = unbounded_channel();
        let (did, seen) = unbounded_channel();
        (Self { cards, answers, did: seen }, Box::new(MemoryPort { cards: held, answers: answered, did }))
    }

    fn hold(&self) {
        self.cards.send(Ok(())).unwrap();
    }

    fn answer(&self, answer: Result<&[u8], PortError>) {
        self.answers.send(answer.map(<[u8]>::to_vec)).unwrap();
    }

    /// The next command that the card is given.
    async fn command(&mut self) -> Vec<u8> {
        match tokio::time::timeout(SOON, self.did.recv()).await.expect("a command comes") {
            Some(Did::Sent(command)) => command,
            other => panic!("no command: {other:?}"),
        }
    }

    /// What was done until the reader was no longer needed.
    async fn rest(mut self) -> Vec<Did> {
        let mut rest = vec![];
        while let Some(did) = tokio::time::timeout(SOON, self.did.recv()).await.expect("the reader is given back") {
            rest.push(did);
        }
        rest
    }
}

async fn begin(device: &Arc<Device>) -> (VisitSession, Hand) {
    let (hand, port) = Hand::new();
    let staff = StaffId::new("dr-sample").unwrap();
    (device.begin_visit(staff, None, Language::Ja, port).await.unwrap(), hand)
}

/// A visit whose card has been selected and works on the command for its token information.
async fn reading(device: &Arc<Device>) -> (VisitSession, Hand) {
    let (session, mut hand) = begin(device).await;
    session.send(Intent::Continue).await.unwrap();
    hand.hold();
    hand.command().await;
    hand.answer(Ok(OK));
    hand.command().await;
    (session, hand)
}

/// Follows the screens until one has what is looked for.
async fn until(session: &mut VisitSession, is_wanted: impl Fn(&Screen) -> bool) -> Screen {
    let found = async {
        loop {
            let screen = session.screen();
            if is_wanted(&screen) {
                return screen;
            }
            session.next_screen().await.expect("the visit goes on");
        }
    };
    tokio::time::timeout(SOON, found).await.expect("the screen comes")
}

async fn end(session: VisitSession) -> Screen {
    let over = async { while session.next_screen().await.is_some() {} };
    tokio::time::timeout(SOON, over).await.expect("the visit ends");
    session.screen()
}

async fn drafts(device: &Device) -> Vec<DraftId> {
    device.drafts().await.unwrap().into_iter().map(|(id, _)| id).collect()
}

#[tokio::test]
async fn a_visit_cancelled_while_the_card_is_away_ends_at_once_and_leaves_nothing() {
    let rig = Rig::new().await;
    let device = rig.paired().await;
    let (session, hand) = begin(&device).await;
    session.send(Intent::Continue).await.unwrap();
    assert_eq!(session.screen().body, Body::HoldCard { step: CardStep::Reading, hold: Hold::Awaited });
    assert_eq!(drafts(&device).await, [session.draft().clone()]);
    session.send(Intent::Cancel).await.unwrap();
    assert_eq!(end(session).await.body, Body::Cancelled);
    assert!(hand.rest().await.iter().all(|did| *did == Did::Released), "no card was ever spoken to");
    assert!(drafts(&device).await.is_empty());
    assert!(device.queue().await.unwrap().records.is_empty());
}

#[tokio::test]
async fn a_cancel_while_the_card_works_waits_for_its_answer_and_leaves_the_card() {
    let rig = Rig::new().await;
    let device = rig.paired().await;
    // The second is the answer of something that is no card of ours, the third is a card that left: power off is enough.
    let table: [(Result<&[u8], PortError>, bool); 3] =
        [(Ok(TOKEN), true), (Ok(&[0x6F, 0x00]), false), (Err(PortError::Lost), false)];
    for (answer, is_left) in table {
        let (session, hand) = reading(&device).await;
        session.send(Intent::Cancel).await.unwrap();
        hand.answer(answer);
        hand.answer(Ok(OK));
        assert_eq!(end(session).await.body, Body::Cancelled);
        let leave = is_left.then(|| Did::Sent(LEAVE.to_vec()));
        let mut rest = hand.rest().await;
        rest.dedup();
        assert_eq!(rest, leave.into_iter().chain([Did::Released]).collect::<Vec<_>>(), "{answer:?}");
        assert!(drafts(&device).await.is_empty());
    }
}

#[tokio::test]
async fn a_card_that_leaves_during_a_cancel_does_not_hold_it_up() {
    let rig = Rig::new().await;
    let device = rig.paired().await;
    let (session, hand) = reading(&device).await;
    session.send(Intent::Cancel).await.unwrap();
    hand.answer(Ok(TOKEN));
    hand.answer(Err(PortError::Lost));
    assert_eq!(end(session).await.body, Body::Cancelled);
    assert_eq!(hand.rest().await.last(), Some(&Did::Released));
}

#[tokio::test]
async fn a_closed_visit_leaves_the_card_and_goes_on_from_its_draft() {
    let rig = Rig::new().await;
    let device = rig.paired().await;
    let (session, hand) = reading(&device).await;
    let draft = session.draft().clone();
    let closing = tokio::spawn(async move { session.close().await });
    // The card answers when the visit has been left for a while.
    tokio::time::sleep(Duration::from_millis(100)).await;
    hand.answer(Ok(TOKEN));
    hand.answer(Ok(OK));
    let last = tokio::time::timeout(SOON, closing).await.expect("it ends").unwrap();
    assert!(matches!(last.body, Body::HoldCard { .. }), "{last:?}");
    let rest = hand.rest().await;
    assert_eq!(rest, [Did::Sent(LEAVE.to_vec()), Did::Released]);

    let (hand, port) = Hand::new();
    let session = device.resume_visit(draft, port).await.unwrap();
    assert_eq!(session.screen().body, Body::HoldCard { step: CardStep::Reading, hold: Hold::Awaited });
    session.send(Intent::Cancel).await.unwrap();
    end(session).await;
    drop(hand);
}

#[tokio::test]
async fn what_comes_of_ended_work_changes_nothing() {
    let rig = Rig::new().await;
    let device = rig.paired().await;
    let (mut session, hand) = reading(&device).await;
    session.send(Intent::EndWithoutAnswer).await.unwrap();
    let closing = session.screen();
    assert!(matches!(closing.body, Body::Closing { has_card: true, .. }), "{closing:?}");
    hand.answer(Ok(&[0x6F, 0x00]));
    hand.answer(Ok(OK));
    // Sealing waits for nothing of the card, so its outcome has come and gone, or comes too late.
    session.send(Intent::ConfirmCardReturned).await.unwrap();
    until(&mut session, |screen| matches!(screen.body, Body::Sealed { .. })).await;
    end(session).await;
    assert_eq!(hand.rest().await.last(), Some(&Did::Released));
    assert_eq!(device.queue().await.unwrap().records.len(), 1);
}

#[tokio::test]
async fn a_reader_that_fails_is_named_and_can_be_tried_again() {
    let rig = Rig::new().await;
    let device = rig.paired().await;
    let (mut session, mut hand) = begin(&device).await;
    session.send(Intent::Continue).await.unwrap();
    hand.cards.send(Err(ReaderTrouble::Unusable.into())).unwrap();
    let screen = until(&mut session, |screen| screen.body == Body::Trouble).await;
    assert_eq!(screen.notice, Some(Notice::Failure(FailureCode::ReaderUnavailable.into())));
    session.send(Intent::TryAgain).await.unwrap();
    hand.hold();
    assert_eq!(tokio::time::timeout(SOON, hand.did.recv()).await.unwrap(), Some(Did::Released));
    hand.command().await;
    session.send(Intent::Cancel).await.unwrap();
    hand.answer(Err(PortError::Lost));
    end(session).await;
}

#[tokio::test]
async fn a_choice_that_cannot_be_saved_is_not_taken() {
    let rig = Rig::new().await;
    let device = rig.paired().await;
    let (session, hand) = begin(&device).await;
    session.send(Intent::AgreeAll).await.unwrap();
    let before = session.screen();
    for intent in [Intent::Continue, Intent::DeclineAll, Intent::SetLanguage(Language::En)] {
        rig.keys.set_locked(true);
        let refused = session.send(intent).await;
        assert_eq!(refused, Err(IntentError::NotSaved(FailureCode::KeyStoreLocked)));
        assert_eq!(session.screen(), before);
    }
    rig.keys.set_locked(false);
    session.close().await;
    assert!(hand.rest().await.iter().all(|did| *did == Did::Released), "no effect was performed");
}

#[tokio::test]
async fn a_record_under_way_to_the_disk_is_sealed_also_when_the_visit_is_left() {
    let rig = Rig::new().await;
    let device = rig.paired().await;
    for count in 1..=10 {
        let (session, _hand) = begin(&device).await;
        session.send(Intent::Continue).await.unwrap();
        session.send(Intent::EndWithoutAnswer).await.unwrap();
        session.send(Intent::Continue).await.unwrap();
        let last = tokio::time::timeout(SOON, session.close()).await.expect("it ends");
        assert!(matches!(last.body, Body::Sealed { .. }), "{last:?}");
        assert_eq!(device.queue().await.unwrap().records.len(), count);
        assert!(drafts(&device).await.is_empty());
    }
}

#[tokio::test]
async fn a_visit_opened_twice_is_sealed_once() {
    let rig = Rig::new().await;
    let device = rig.paired().await;
    let (session, hand) = begin(&device).await;
    session.send(Intent::Continue).await.unwrap();
    session.send(Intent::EndWithoutAnswer).await.unwrap();
    let draft = session.draft().clone();
    session.close().await;
    drop(hand);

    let other_process = rig.device().await;
    let (_one, port) = Hand::new();
    let first = device.resume_visit(draft.clone(), port).await.unwrap();
    let (_other, port) = Hand::new();
    let second = other_process.resume_visit(draft, port).await.unwrap();
    first.send(Intent::Continue).await.unwrap();
    assert!(matches!(end(first).await.body, Body::Sealed { .. }));
    for intent in [Intent::SetLanguage(Language::En), Intent::Continue] {
        let refused = second.send(intent).await;
        assert_eq!(refused, Err(IntentError::NotSaved(FailureCode::StoreFailed)));
    }
    second.send(Intent::Cancel).await.unwrap();
    end(second).await;
    assert!(drafts(&device).await.is_empty(), "the sealed visit does not come back as a draft");
    assert_eq!(device.queue().await.unwrap().records.len(), 1);
}
