use tazune_card::{CardError, CardFound, InspectCard};
use tazune_model::Date;
use tazune_visit::{CardTrouble, ReaderTrouble};
use tokio::sync::watch;

use crate::{
    Pairing,
    card_port::CardPort,
    card_runner::{CardRunner, RunError},
};

/// Why nothing can be told about what is on a reader.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InspectError {
    /// Nothing was held to it within its time.
    #[error("no card within the time given")]
    Absent,
    /// There is no reader to work with.
    #[error(transparent)]
    Reader(#[from] ReaderTrouble),
    /// The card gave an answer that its command does not have.
    #[error(transparent)]
    Card(CardError),
}

/// Looks at what is held to a reader, on the day `on` in Japan: no PIN, no try, nothing kept; the card is let go after it.
///
/// Only the clinic of a `pairing` says who may issue a certificate; without one the issuer is not checked.
///
/// # Errors
/// [`InspectError`].
pub async fn inspect_card(
    port: Box<dyn CardPort>,
    pairing: Option<&Pairing>,
    on: Date,
) -> Result<CardFound, InspectError> {
    let anchors = pairing.and_then(|pairing| pairing.card_anchors().ok());
    let mut runner = CardRunner::new(port);
    let (_never, mut cancel) = watch::channel(false);
    let found = runner.run(&mut InspectCard::new(anchors, on), &mut cancel, &mut |_| {}).await;
    runner.leave().await;
    found.map_err(|error| match error {
        RunError::Card(error) => InspectError::Card(error),
        RunError::Trouble(CardTrouble::Reader(trouble)) => InspectError::Reader(trouble),
        RunError::Trouble(CardTrouble::Absent | CardTrouble::Lost) => InspectError::Absent,
    })
}
