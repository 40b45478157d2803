use crate::{PinEntry, Screen, TazuneError, screen::Intent};

/// A visit under way on this device.
///
/// Dropping it stops the work and lets the card go; the draft stays and can be resumed.
#[derive(uniffi::Object)]
pub struct VisitSession(pub(crate) tazune_engine::VisitSession);

#[uniffi::export(async_runtime = "tokio")]
impl VisitSession {
    /// What to show now.
    pub fn screen(&self) -> Screen {
        self.0.screen().into()
    }

    /// Waits until the screen changes; `None` when the visit is over or was left, and will not change any more.
    pub async fn next_screen(&self) -> Option<Screen> {
        self.0.next_screen().await.map(Screen::from)
    }

    /// Sends what the person chose; afterwards [`screen`](Self::screen) shows what came of it.
    ///
    /// # Errors
    /// [`TazuneError::NotOffered`], [`TazuneError::Over`], or the failure for which nothing could be saved; the visit is as it was.
    pub async fn send(&self, intent: Intent) -> Result<(), TazuneError> {
        self.tell(intent.intent().ok_or(TazuneError::NotOffered)?).await
    }

    /// Sends the PIN, and wipes the entry whatever comes of it.
    ///
    /// # Errors
    /// [`TazuneError::Malformed`] when it has not four digits; else as [`send`](Self::send).
    pub async fn enter_pin(&self, entry: std::sync::Arc<PinEntry>) -> Result<(), TazuneError> {
        self.tell(tazune_engine::Intent::EnterPin(entry.take()?)).await
    }

    /// Leaves the visit as its draft, waits until the card is de-selected and let go, and gives the last screen.
    ///
    /// It ends a [`next_screen`](Self::next_screen) that waits. A record that is being sealed is waited for. To throw the visit away is an
    /// intent, not this.
    pub async fn cancel(&self) -> Screen {
        self.0.close().await.into()
    }

    /// The id of the draft under which the visit is saved until it is sealed.
    pub fn draft(&self) -> String {
        self.0.draft().to_string()
    }
}

impl VisitSession {
    async fn tell(&self, intent: tazune_engine::Intent) -> Result<(), TazuneError> {
        self.0.send(intent).await.map_err(|error| TazuneError::of_intent(error, self.0.screen().language))
    }
}
