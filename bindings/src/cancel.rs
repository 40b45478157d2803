use std::panic::resume_unwind;

use tokio::{sync::Notify, task::JoinSet};

use crate::TazuneError;

/// Ends calls that wait: cancelling a task in Swift does not reach Rust.
#[derive(Default)]
pub(crate) struct Cancel(Notify);

impl Cancel {
    /// Ends what runs now.
    pub(crate) fn cancel(&self) {
        self.0.notify_waiters();
    }

    /// Ends `work` when it is cancelled from now on, or dropped.
    pub(crate) async fn or<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, TazuneError>> + Send + 'static,
    ) -> Result<T, TazuneError> {
        // It counts from here on, polled or not.
        let cancelled = self.0.notified();
        // Away from the thread that waits: an app may wait on the one that draws, and a connection waits for the key store.
        let mut running = JoinSet::new();
        running.spawn(work);
        tokio::select! {
            done = running.join_next() => match done.expect("it was started above") {
                Ok(done) => done,
                Err(ended) => ended.try_into_panic().map_or(Err(TazuneError::Cancelled), |panic| resume_unwind(panic)),
            },
            () = cancelled => Err(TazuneError::Cancelled),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[tokio::test]
    async fn what_waits_ends_when_it_is_cancelled_and_what_comes_later_does_not() {
        let cancel = Cancel::default();
        cancel.cancel();
        let (ended, ()) = tokio::join!(cancel.or(pending::<Result<(), _>>()), async { cancel.cancel() });
        assert_eq!(ended, Err(TazuneError::Cancelled));
        cancel.cancel();
        assert_eq!(cancel.or(async { Ok(7) }).await, Ok(7));
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_any_more_is_dropped() {
        let (held, mut dropped) = tokio::sync::oneshot::channel::<()>();
        let work = async move {
            let _held = held;
            pending::<Result<(), _>>().await
        };
        let cancel = Cancel::default();
        tokio::select! {
            biased;
            _ = cancel.or(work) => unreachable!("it waits for ever"),
            () = tokio::task::yield_now() => {}
        }
        assert!((&mut dropped).await.is_err());
    }
}
