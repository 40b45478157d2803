use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::future;
use tazune_link::front_api::DeskWork;
use tazune_model::Clock;
use tokio::{sync::Notify, time::Instant};

use super::{
    PairError, Pairings,
    face::FaceExporter,
    front_client::{FrontClient, FrontError},
    opener::Opener,
    pause::Pause,
    renewal::Renewals,
    standings::{Standings, TellError},
};
use crate::store::{DeskStore, StoreError};

/// Rest after a failure.
const PAUSE: Pause = Pause::new(Duration::from_millis(250), Duration::from_secs(15));

/// Most receipts that are said at once.
const MAX_RECEIPTS: u32 = 500;

/// Asks the front for work, for ever, and hands back what the desk says to it.
pub(super) struct Dialler {
    pub(super) front: FrontClient,
    pub(super) opener: Arc<Opener>,
    pub(super) store: Arc<dyn DeskStore>,
    pub(super) standings: Arc<Standings>,
    pub(super) pairings: Arc<Pairings>,
    pub(super) renewals: Renewals,
    pub(super) exporter: Arc<FaceExporter>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) success: Arc<LastSuccess>,
    /// Rung when there is something to say to the front.
    pub(super) news: Arc<Notify>,
}

/// When the front last answered as it should; the desk's monitor looks at it.
pub(super) struct LastSuccess(Mutex<Instant>);

impl LastSuccess {
    /// Counts from now on.
    pub(super) fn new() -> Self {
        Self(Mutex::new(Instant::now()))
    }

    pub(super) fn age(&self) -> Duration {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    fn is_now(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}

#[derive(Debug, thiserror::Error)]
enum RoundError {
    #[error(transparent)]
    Front(#[from] FrontError),
    #[error(transparent)]
    Pair(#[from] PairError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Tell(#[from] TellError),
    /// The front offers only what cannot be answered; asking at once would bring the same.
    #[error("the front offers envelopes that name no record")]
    NoProgress,
}

impl Dialler {
    pub(super) async fn run(&self) {
        let mut pause = PAUSE;
        loop {
            match self.round().await {
                Ok(()) => {
                    pause.reset();
                    self.success.is_now();
                    #[expect(clippy::cast_precision_loss, reason = "a gauge is a floating-point number")]
                    let at = self.clock.now().as_second() as f64;
                    metrics::gauge!("tazune_front_last_success_seconds").set(at);
                }
                Err(error) => {
                    let rest = pause.after_failure();
                    tracing::warn!(%error, pause_ms = rest.as_millis(), "no work could be taken from the front");
                    tokio::time::sleep(rest).await;
                }
            }
        }
    }

    async fn round(&self) -> Result<(), RoundError> {
        self.pairings.announce().await?;
        self.standings.announce().await?;
        self.say_receipts().await?;
        // Biased, so that it is no matter of chance which of two goes first.
        let work = tokio::select! {
            biased;
            work = self.front.work() => work?,
            () = self.news.notified() => return Ok(()),
        };
        let DeskWork { envelopes, hellos, renewals, refusals, contacts, revoked } = work;
        self.standings.contacted(contacts).await?;
        let was_nothing_but_envelopes =
            hellos.is_empty() && renewals.is_empty() && refusals.is_empty() && !envelopes.is_empty();
        self.pairings.refused_at_front(refusals).await?;
        for hello in hellos {
            self.pairings.hello_arrived(hello).await?;
        }
        // Together, because a commit waits for the disk however many records it holds.
        let judging = envelopes.into_iter().map(|bytes| self.opener.judge(bytes, &revoked));
        let mut receipts = Vec::new();
        let mut failed = None;
        for judged in future::join_all(judging).await {
            match judged {
                Ok(receipt) => receipts.extend(receipt),
                // What was judged beside it is committed and can be said; this one is offered again.
                Err(error) => failed = Some(error),
            }
        }
        self.exporter.wake();
        let has_progress = !receipts.is_empty();
        if has_progress {
            let count = receipts.len() as u64;
            self.front.put_receipts(receipts).await?;
            metrics::counter!("tazune_receipts_total").increment(count);
        }
        // Last, and one in each round, because the gateway is asked for it and may take its time; the others are offered again.
        if let Some(renewal) = renewals.into_iter().next() {
            let device = renewal.device.clone();
            let answer = self.renewals.judge(renewal).await?;
            self.front.put_renewal_answer(&device, &answer).await?;
        }
        match failed {
            Some(error) => Err(error.into()),
            None if was_nothing_but_envelopes && !has_progress => Err(RoundError::NoProgress),
            None => Ok(()),
        }
    }

    /// Says the receipts of what was accepted after it had been set aside; only here, so that no older one overtakes.
    async fn say_receipts(&self) -> Result<(), RoundError> {
        loop {
            let receipts = self.store.unsaid_receipts(MAX_RECEIPTS).await?;
            if receipts.is_empty() {
                return Ok(());
            }
            let said = receipts.iter().map(|receipt| receipt.record_id).collect();
            self.front.put_receipts(receipts).await?;
            self.store.receipts_said(said).await?;
        }
    }
}
