use tokio::sync::watch;

/// Asks everything that holds a [`Stopping`] of it to end; dropping it asks too.
#[derive(Debug)]
pub struct Stop(watch::Sender<bool>);

/// The other end of a [`Stop`].
#[derive(Clone, Debug)]
pub struct Stopping(watch::Receiver<bool>);

impl Stop {
    /// A pair of ends.
    #[must_use]
    pub fn new() -> (Self, Stopping) {
        let (sender, receiver) = watch::channel(false);
        (Self(sender), Stopping(receiver))
    }

    /// Asks to end.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stopping {
    /// Returns once the end was asked for.
    pub async fn requested(&self) {
        // An error means that nobody is left to ask, which asks as well.
        let _ = self.0.clone().wait_for(|stop| *stop).await;
    }
}
