//! A visit under way: performs the machine's effects and tells it what came of them.
//!
//! One task owns the [`Visit`]. Card and gateway work run in tasks of their own and report back through one channel, so that
//! the machine sees one event at a time. The draft is saved before an effect is performed: after a kill the visit goes on
//! from what is on the disk.

use std::{
    sync::{Arc, Mutex as Lock, MutexGuard, PoisonError},
    time::Duration,
};

use tazune_card::{Authenticate, CardError, Conversation, LeMode, ReadCertificate, TrustAnchors};
use tazune_model::{Clock, FailureCode, Language, PlannedPatient, StaffId, Timestamp};
use tazune_visit::{CardTrouble, Effect, Event, Intent, Refused, Screen, Visit, VisitSetup};
use tokio::{
    sync::{Mutex, mpsc, oneshot, watch},
    task::AbortHandle,
};

use crate::{
    Device, DraftId, EngineError, Pairing,
    card_port::CardPort,
    card_runner::{CardNews, CardRunner, RunError},
    gateway::GatewayClient,
};

/// Intents and news waiting for the machine; a person and one card cannot fill it.
const INBOX: usize = 64;

/// How often the clock is looked at before a wake: it may be set meanwhile, and no timer runs while the device sleeps.
const LOOK_AT_CLOCK: Duration = Duration::from_secs(1);

/// Why an intent was not taken; the visit is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IntentError {
    /// The screen of this moment does not offer it.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The draft could not be saved, so nothing was done.
    #[error("the visit could not be saved: {0}")]
    NotSaved(FailureCode),
    /// The visit is over.
    #[error("the visit is over")]
    Over,
}

/// A visit under way on this device.
///
/// Dropping it stops the work and lets the card go; the draft stays and can be resumed.
#[derive(Debug)]
pub struct VisitSession {
    /// None when the visit was left: the actor ends with the last of its senders.
    inbox: Lock<Option<mpsc::Sender<Message>>>,
    screens: watch::Receiver<Screen>,
    /// The receiver that knows which screen was given out last.
    given: Mutex<watch::Receiver<Screen>>,
    draft: DraftId,
}

impl VisitSession {
    /// What to show now.
    #[must_use]
    pub fn screen(&self) -> Screen {
        self.screens.borrow().clone()
    }

    /// Waits until the screen is another than this gave last; `None` when the visit is over and will not change any more.
    ///
    /// It may be dropped at any time: no screen is lost.
    pub async fn next_screen(&self) -> Option<Screen> {
        let mut given = self.given.lock().await;
        given.changed().await.ok()?;
        Some(given.borrow_and_update().clone())
    }

    /// Sends what the person chose; afterwards [`screen`](Self::screen) shows what came of it.
    ///
    /// # Errors
    /// [`IntentError`]; the visit is then as it was.
    pub async fn send(&self, intent: Intent) -> Result<(), IntentError> {
        let (reply, answer) = oneshot::channel();
        let inbox = self.inbox().clone().ok_or(IntentError::Over)?;
        inbox.send(Message::Intent(intent, reply)).await.map_err(|_| IntentError::Over)?;
        answer.await.map_err(|_| IntentError::Over)?
    }

    /// Leaves the visit as its draft, waits until the card is let go, and gives the last screen.
    ///
    /// A record that is being sealed is waited for, so the last screen may be the one of a sealed visit.
    pub async fn close(&self) -> Screen {
        drop(self.inbox().take());
        let mut screens = self.screens.clone();
        // The task drops its end when it is done.
        while screens.changed().await.is_ok() {}
        screens.borrow().clone()
    }

    fn inbox(&self) -> MutexGuard<'_, Option<mpsc::Sender<Message>>> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The draft under which the visit is saved until it is sealed.
    #[must_use]
    pub const fn draft(&self) -> &DraftId {
        &self.draft
    }
}

impl Device {
    /// Begins a visit, with a reader for its card.
    ///
    /// # Errors
    /// [`EngineError`] when the device is not paired or its settings cannot be read.
    pub async fn begin_visit(
        self: &Arc<Self>,
        staff: StaffId,
        patient: Option<PlannedPatient>,
        language: Language,
        port: Box<dyn CardPort>,
    ) -> Result<VisitSession, EngineError> {
        let pairing = self.pairing().await?;
        let setup = VisitSetup {
            institution: pairing.tenant.clone(),
            device_id: pairing.device_id.clone(),
            staff,
            patient,
            language,
            consent_items: pairing.settings.consent_items.clone(),
        };
        let visit = Visit::plan(setup, self.now());
        let draft = DraftId::make(&mut crate::clock::system_generator());
        self.start(&pairing, Draft { id: draft, is_saved: false }, visit, Vec::new(), port)
    }

    /// Goes on with a visit that was not finished.
    ///
    /// # Errors
    /// [`EngineError`] when the draft is gone, or cannot be opened.
    pub async fn resume_visit(
        self: &Arc<Self>,
        draft: DraftId,
        port: Box<dyn CardPort>,
    ) -> Result<VisitSession, EngineError> {
        // First, because a revoked device has no drafts any more: that it is revoked says more.
        let pairing = self.pairing().await?;
        let mut visit = self.load_visit(&draft).await?;
        let effects = visit.resume(self.now());
        self.start(&pairing, Draft { id: draft, is_saved: true }, visit, effects, port)
    }

    fn start(
        self: &Arc<Self>,
        pairing: &Pairing,
        draft: Draft,
        visit: Visit,
        effects: Vec<Effect>,
        port: Box<dyn CardPort>,
    ) -> Result<VisitSession, EngineError> {
        let (inbox, messages) = mpsc::channel(INBOX);
        let (screen, screens) = watch::channel(visit.screen());
        let draft_id = draft.id.clone();
        let mut actor = Actor {
            gateway: GatewayClient::new(&pairing.settings.gateway, self.keys().clone()),
            anchors: pairing.card_anchors()?,
            device: self.clone(),
            draft,
            visit,
            runner: Arc::new(Mutex::new(CardRunner::new(port))),
            card: None,
            network: None,
            work: 0,
            wake_at: None,
            screen,
            // Weak: the actor ends when the session is dropped.
            inbox: inbox.downgrade(),
            sealing: None,
        };
        actor.perform(effects);
        tokio::spawn(actor.run(messages));
        let (inbox, given) = (Lock::new(Some(inbox)), Mutex::new(screens.clone()));
        Ok(VisitSession { inbox, screens, given, draft: draft_id })
    }
}

enum Message {
    Intent(Intent, oneshot::Sender<Result<(), IntentError>>),
    /// What came of a piece of work, with the work's number.
    Outcome(u64, Box<Event>),
    /// What happens during it.
    News(u64, CardNews),
}

/// Work under way: its number, and what ends it.
struct Work<T> {
    number: u64,
    end: T,
}

/// Where the visit is saved, and whether it was.
struct Draft {
    id: DraftId,
    is_saved: bool,
}

struct Actor {
    device: Arc<Device>,
    draft: Draft,
    visit: Visit,
    gateway: GatewayClient,
    anchors: TrustAnchors,
    runner: Arc<Mutex<CardRunner>>,
    card: Option<Work<watch::Sender<bool>>>,
    network: Option<Work<AbortHandle>>,
    /// Number of the last piece of work: the outcome of one that was ended must not be taken for another's.
    work: u64,
    wake_at: Option<Timestamp>,
    screen: watch::Sender<Screen>,
    inbox: mpsc::WeakSender<Message>,
    /// Keeps the inbox open while a record is on its way to the disk, also when the session is dropped meanwhile.
    sealing: Option<mpsc::Sender<Message>>,
}

impl Actor {
    async fn run(mut self, mut messages: mpsc::Receiver<Message>) {
        loop {
            let woken = reached(self.device.clock().clone(), self.wake_at);
            let mut taken = None;
            tokio::select! {
                message = messages.recv() => match message {
                    Some(Message::Intent(intent, reply)) => taken = Some((reply, self.take_intent(intent).await)),
                    Some(Message::Outcome(number, event)) if self.is_current(number) => self.take(*event).await,
                    Some(Message::News(number, news)) if self.is_current(number) => self.take_news(news),
                    Some(_) => {}
                    None => break,
                },
                () = woken => {
                    self.wake_at = None;
                    self.take(Event::Woken).await;
                }
            }
            self.screen.send_if_modified(|shown| {
                let screen = self.visit.screen();
                let is_other = *shown != screen;
                *shown = screen;
                is_other
            });
            // After the screen, so that whoever is told that the intent was taken sees what came of it.
            if let Some((reply, taken)) = taken {
                // The person may have left the screen meanwhile.
                let _ = reply.send(taken);
            }
            if self.visit.is_over() {
                break;
            }
        }
        self.end_network();
        self.let_card_go().await;
    }

    async fn take_intent(&mut self, intent: Intent) -> Result<(), IntentError> {
        let before = self.visit.clone();
        let effects = self.visit.on(Event::Intent(intent), self.device.now())?;
        if let Err(code) = self.save(&effects).await {
            self.visit = before;
            return Err(IntentError::NotSaved(code));
        }
        self.perform(effects);
        Ok(())
    }

    /// Takes the outcome of work; what is already forgotten is dropped.
    async fn take(&mut self, event: Event) {
        let is_sealed = matches!(event, Event::Sealed(_));
        if is_sealed || matches!(event, Event::SealFailed(_)) {
            self.sealing = None;
        }
        let Ok(effects) = self.visit.on(event, self.device.now()) else { return };
        // Sealing dropped the draft. Else, what came is not thrown away because the disk is full: sealing will tell.
        if !is_sealed && let Err(code) = self.save(&effects).await {
            tracing::warn!(%code, "the draft could not be saved");
        }
        self.perform(effects);
    }

    /// What the card does is shown and not stored: a resumed visit asks for the card again anyway.
    fn take_news(&mut self, news: CardNews) {
        let event = match news {
            CardNews::Awaited => Event::CardAwaited,
            CardNews::Lost => Event::CardTrouble(CardTrouble::Lost),
            CardNews::Progress(progress) => {
                Event::CardProgress { read: progress.read_bytes, total: progress.total_bytes }
            }
        };
        if let Ok(effects) = self.visit.on(event, self.device.now()) {
            self.perform(effects);
        }
    }

    async fn save(&mut self, effects: &[Effect]) -> Result<(), FailureCode> {
        let (device, Draft { id, is_saved }) = (&self.device, &mut self.draft);
        let saved = if effects.iter().any(|effect| matches!(effect, Effect::Discard)) {
            device.discard_visit(id).await
        } else if *is_saved {
            device.save_visit(id, &self.visit).await
        } else {
            device.add_visit(id, &self.visit).await
        };
        *is_saved |= saved.is_ok();
        saved.map_err(EngineError::failure_code)
    }

    fn perform(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::ReadCertificate { visit_on } => {
                    let conversation = ReadCertificate::new(self.anchors.clone(), visit_on, LeMode::Extended);
                    self.converse(conversation, Event::CardRead);
                }
                Effect::Authenticate { reading, pin, message } => {
                    self.converse(Authenticate::new(&reading, pin, &message), Event::CardAuthenticated);
                }
                Effect::CancelCard | Effect::ReleaseCard => {
                    let runner = self.runner.clone();
                    self.end_card();
                    tokio::spawn(async move { runner.lock().await.leave().await });
                }
                Effect::RequestChallenge { institution } => {
                    let gateway = self.gateway.clone();
                    self.ask(async move { Event::Challenged(gateway.challenge(&institution).await) });
                }
                Effect::SendCheck { body } => {
                    let (gateway, institution) = (self.gateway.clone(), self.visit.institution().clone());
                    self.ask(async move { Event::Answered(gateway.check(&institution, body).await) });
                }
                Effect::WakeAt(at) => self.wake_at = Some(at),
                Effect::Seal(unsealed) => {
                    let (device, draft) = (self.device.clone(), self.draft.id.clone());
                    self.sealing = self.inbox.upgrade();
                    self.ask(async move {
                        match device.seal(*unsealed, &draft).await {
                            Ok(record_id) => Event::Sealed(record_id),
                            Err(error) => Event::SealFailed(error.failure_code()),
                        }
                    });
                }
                // Done when the draft was saved.
                Effect::Discard => {}
            }
        }
    }

    /// Runs a conversation with the card; it takes its turn after the one before it has let the card go.
    fn converse<C>(&mut self, mut conversation: C, event: fn(Result<C::Outcome, CardError>) -> Event)
    where
        C: Conversation + Send + 'static,
        C::Outcome: Send,
    {
        self.end_card();
        let (number, runner, inbox) = (self.next_work(), self.runner.clone(), self.inbox.clone());
        let (end, mut ended) = watch::channel(false);
        self.card = Some(Work { number, end });
        tokio::spawn(async move {
            let mut runner = runner.lock().await;
            let news_inbox = inbox.clone();
            let mut news = move |news| {
                // A full inbox drops news of progress; the outcome below always waits for its place.
                if let Some(inbox) = news_inbox.upgrade() {
                    let _ = inbox.try_send(Message::News(number, news));
                }
            };
            let event = match runner.run(&mut conversation, &mut ended, &mut news).await {
                Ok(outcome) => event(Ok(outcome)),
                Err(RunError::Card(error)) => event(Err(error)),
                Err(RunError::Trouble(trouble)) => Event::CardTrouble(trouble),
            };
            drop(runner);
            report(&inbox, number, event).await;
        });
    }

    /// Runs work that needs no card; a later one takes its place.
    fn ask(&mut self, work: impl Future<Output = Event> + Send + 'static) {
        self.end_network();
        let (number, inbox) = (self.next_work(), self.inbox.clone());
        let task = tokio::spawn(async move {
            let event = work.await;
            report(&inbox, number, event).await;
        });
        self.network = Some(Work { number, end: task.abort_handle() });
    }

    const fn next_work(&mut self) -> u64 {
        self.work += 1;
        self.work
    }

    fn is_current(&self, number: u64) -> bool {
        self.card.as_ref().is_some_and(|work| work.number == number)
            || self.network.as_ref().is_some_and(|work| work.number == number)
    }

    fn end_card(&mut self) {
        if let Some(work) = self.card.take() {
            // The conversation may be over already.
            let _ = work.end.send(true);
        }
    }

    fn end_network(&mut self) {
        if let Some(work) = self.network.take() {
            work.end.abort();
        }
    }

    async fn let_card_go(&mut self) {
        self.end_card();
        self.runner.lock().await.leave().await;
    }
}

/// Ends when the clock shows this instant; never, if there is none.
async fn reached(clock: Arc<dyn Clock>, at: Option<Timestamp>) {
    let Some(at) = at else { return std::future::pending().await };
    while let Ok(left) = Duration::try_from(at.duration_since(clock.now()))
        && !left.is_zero()
    {
        tokio::time::sleep(left.min(LOOK_AT_CLOCK)).await;
    }
}

async fn report(inbox: &mpsc::WeakSender<Message>, number: u64, event: Event) {
    if let Some(inbox) = inbox.upgrade() {
        // Nobody is left to be told when the session was dropped.
        let _ = inbox.send(Message::Outcome(number, Box::new(event))).await;
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use tazune_model::ManualClock;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_instant_is_reached_when_the_clock_shows_it_however_it_got_there() {
        let start: Timestamp = "2026-11-21T01:00:00Z".parse().unwrap();
        let at = start + SignedDuration::from_mins(8);
        let clock = Arc::new(ManualClock::new(start));
        let mut waiting = tokio::spawn(reached(clock.clone(), Some(at)));
        let minutes = Duration::from_secs(20 * 60);
        assert!(tokio::time::timeout(minutes, &mut waiting).await.is_err(), "the clock stands still");
        clock.advance(SignedDuration::from_mins(8));
        tokio::time::timeout(2 * LOOK_AT_CLOCK, waiting).await.expect("the clock was set").unwrap();
        reached(clock.clone(), Some(start)).await;
        assert!(tokio::time::timeout(minutes, reached(clock, None)).await.is_err());
    }
}
