use std::{pin::Pin, sync::Arc, time::Duration};

use tokio::{
    sync::{Notify, futures::OwnedNotified},
    time::Instant,
};

use crate::Stopping;

/// Wakes everybody who waits for news of one kind, in the order in which they came.
pub(super) struct Bell(Arc<Notify>);

/// Somebody who waits; no ring since the start is missed, also while looking what there is.
pub(super) struct Listening {
    bell: Arc<Notify>,
    /// Made before each look: it hears every ring from then on.
    ring: Pin<Box<OwnedNotified>>,
    deadline: Instant,
    stopping: Stopping,
}

impl Bell {
    pub(super) fn new() -> Self {
        Self(Arc::new(Notify::new()))
    }

    pub(super) fn ring(&self) {
        self.0.notify_waiters();
    }

    /// Starts to wait for news, for `wait` at most.
    pub(super) fn listen(&self, wait: Duration, stopping: &Stopping) -> Listening {
        Listening {
            bell: self.0.clone(),
            ring: next_ring(&self.0),
            deadline: Instant::now() + wait,
            stopping: stopping.clone(),
        }
    }
}

impl Listening {
    /// True when it is worth looking again; false when the time is over or the front stops.
    pub(super) async fn rang(&mut self) -> bool {
        // Biased, so that it is no matter of chance which of two goes first.
        tokio::select! {
            biased;
            () = self.ring.as_mut() => {
                self.ring = next_ring(&self.bell);
                true
            }
            () = tokio::time::sleep_until(self.deadline) => false,
            () = self.stopping.requested() => false,
        }
    }
}

fn next_ring(bell: &Arc<Notify>) -> Pin<Box<OwnedNotified>> {
    Box::pin(bell.clone().notified_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Stop;

    #[tokio::test(start_paused = true)]
    async fn a_ring_while_looking_is_heard_and_several_count_as_one() {
        let (bell, (_stop, stopping)) = (Bell::new(), Stop::new());
        bell.ring();
        let mut listening = bell.listen(Duration::from_secs(60), &stopping);
        bell.ring();
        bell.ring();
        assert!(listening.rang().await);
        bell.ring();
        assert!(listening.rang().await, "after the last answer, before the next question");
        let began = Instant::now();
        assert!(!listening.rang().await);
        assert_eq!(began.elapsed(), Duration::from_secs(60));
    }

    #[tokio::test]
    async fn the_end_of_the_front_ends_the_wait() {
        let (bell, (stop, stopping)) = (Bell::new(), Stop::new());
        let mut listening = bell.listen(Duration::from_secs(60), &stopping);
        stop.stop();
        assert!(!listening.rang().await);
    }
}
