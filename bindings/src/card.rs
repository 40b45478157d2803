use std::sync::Arc;

use async_trait::async_trait;
use tazune_engine::{PortError, ReaderTrouble};

/// A reader for one card at a time, written by the shell: NFC on a phone.
///
/// A call that the library no longer waits for is cancelled in Kotlin and Swift; the shell then ends its card's input and output itself.
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
    /// [`CardError::Lost`] when the card is gone; it will be connected again.
    async fn transmit(&self, command: Vec<u8>) -> Result<Vec<u8>, CardError>;

    /// Takes power from the card, which ends every verified state; does nothing without a card.
    async fn release(&self);
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
        Ok(self.0.connect().await?)
    }

    async fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, PortError> {
        Ok(self.0.transmit(command.to_vec()).await?)
    }

    async fn release(&mut self) {
        self.0.release().await;
    }
}
