use tokio::sync::Notify;

use crate::TazuneError;

/// Ends calls that wait: cancelling a task in Swift does not reach Rust.
#[derive(Default)]
pub(crate) struct Cancel(Notify);

impl Cancel {
    /// Ends what runs now.
    pub(crate) fn cancel(&self) {
        self.0.notify_waiters();
    }

    /// Drops `work` when it is cancelled from now on.
    pub(crate) async fn or<T>(&self, work: impl Future<Output = Result<T, TazuneError>>) -> Result<T, TazuneError> {
        // It counts from here on, polled or not.
        let cancelled = self.0.notified();
        tokio::select! {
            done = work => done,
            () = cancelled => Err(TazuneError::Cancelled),
        }
    }
}
