use std::time::Duration;

use tokio::{sync::watch, time::Instant};

use crate::Stopping;

/// Wakes everybody who waits for news of one kind.
pub(super) struct Bell(watch::Sender<()>);

/// Somebody who waits; no ring since the start is missed, also while looking what there is.
pub(super) struct Listening {
    rings: watch::Receiver<()>,
    deadline: Instant,
    stopping: Stopping,
}

impl Bell {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(()))
    }

    pub(super) fn ring(&self) {
        self.0.send_replace(());
    }

    /// Starts to wait for news, for `wait` at most.
    pub(super) fn listen(&self, wait: Duration, stopping: &Stopping) -> Listening {
        Listening { rings: self.0.subscribe(), deadline: Instant::now() + wait, stopping: stopping.clone() }
    }
}

impl Listening {
    /// True when it is worth looking again; false when the time is over or the front stops.
    pub(super) async fn rang(&mut self) -> bool {
        // Biased, so that it is no matter of chance which of two goes first.
        tokio::select! {
            biased;
            rang = self.rings.changed() => rang.is_ok(),
            () = tokio::time::sleep_until(self.deadline) => false,
            () = self.stopping.requested() => false,
        }
    }
}
