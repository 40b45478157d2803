use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tazune_engine::{PortError, ReaderTrouble};
use tokio::time::timeout;

/// How long a reader may wait for a card; a phone's gives up after a minute.
const CONNECTS_WITHIN: Duration = Duration::from_mins(5);

/// How long a card may take for one command, or a reader to let it go; a signature takes up to 700 ms.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// A reader for one card at a time, written by the shell: NFC on a phone.
///
/// A call that the library no longer waits for is cancelled in Kotlin and Swift; the shell then ends its card's input and output itself.
/// None is waited for without end: after 5 minutes there is no card ([`CardError::Absent`]), after 10 seconds it is
/// [lost](CardError::Lost).
#[uniffi::export(with_foreign)]
#[async_trait]
pub trait CardPort: Send + Sync {
    /// Waits for a card, as long as the reader's kind gives a person to hold it, and gives it power; a card that
    /// already had power is reset: no application is selected and no PIN is verified.
    ///
    /// # Errors
    /// [`CardError::Absent`] or [`CardError::Unavailable`].
    async fn connect(&self) -> Result<(), CardError>;

    /// Sends one command APDU and returns the card's data and status word, within seconds.
    ///
    /// The command may hold the PIN: it is not logged, and overwritten once it is sent.
    ///
    /// # Errors
    /// [`CardError::Lost`] when the card is gone; it will be connected again. [`CardError::Unavailable`] ends the work.
    async fn transmit(&self, command: Vec<u8>) -> Result<Vec<u8>, CardError>;

    /// Takes power from the card, which ends every verified state; does nothing without a card.
    ///
    /// # Errors
    /// Any: a card that is gone has no power to take.
    async fn release(&self) -> Result<(), CardError>;
}

/// Why the port has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, uniffi::Error)]
pub enum CardError {
    /// No card came within the time given.
    #[error("no card within the time given")]
    Absent,
    /// The card left the field, or did not answer in time.
    #[error("the card left the field")]
    Lost,
    /// The reader itself cannot be used.
    #[error("the reader cannot be used")]
    Unavailable,
}

/// An exception that no port declares; its text is the shell's and is dropped.
impl From<uniffi::UnexpectedUniFFICallbackError> for CardError {
    fn from(_: uniffi::UnexpectedUniFFICallbackError) -> Self {
        Self::Unavailable
    }
}

impl From<CardError> for PortError {
    fn from(error: CardError) -> Self {
        match error {
            CardError::Absent => Self::Absent,
            CardError::Lost => Self::Lost,
            CardError::Unavailable => Self::Reader(ReaderTrouble::Unusable),
        }
    }
}

/// The shell's port as the engine uses it.
pub(crate) struct ForeignCard(pub(crate) Arc<dyn CardPort>);

#[async_trait]
impl tazune_engine::CardPort for ForeignCard {
    async fn connect(&mut self) -> Result<(), PortError> {
        Ok(timeout(CONNECTS_WITHIN, self.0.connect()).await.unwrap_or(Err(CardError::Absent))?)
    }

    async fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, PortError> {
        Ok(timeout(ANSWERS_WITHIN, self.0.transmit(command.to_vec())).await.unwrap_or(Err(CardError::Lost))?)
    }

    async fn release(&mut self) {
        // Whatever came of it, nobody can do more.
        let _ = timeout(ANSWERS_WITHIN, self.0.release()).await;
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tazune_engine::CardPort as _;

    use super::*;

    /// A reader whose calls never end, as an app's whose thread died.
    struct Hanging;

    #[async_trait]
    impl CardPort for Hanging {
        async fn connect(&self) -> Result<(), CardError> {
            pending().await
        }

        async fn transmit(&self, _: Vec<u8>) -> Result<Vec<u8>, CardError> {
            pending().await
        }

        async fn release(&self) -> Result<(), CardError> {
            pending().await
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_hangs_has_no_card_or_a_lost_one_and_is_let_go() {
        let mut card = ForeignCard(Arc::new(Hanging));
        assert_eq!(card.connect().await, Err(PortError::Absent));
        assert_eq!(card.transmit(&[0]).await, Err(PortError::Lost));
        card.release().await;
    }
}
