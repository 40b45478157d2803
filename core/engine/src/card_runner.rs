//! Runs one conversation of `core/card` over a card port: performs its orders and tells it what happened.

use std::mem;

use tazune_card::{CardError, CardEvent, Continuity, Conversation, LeaveCard, Order, Progress};
use tazune_visit::CardTrouble;
use tokio::sync::watch;

use crate::card_port::{CardPort, PortError};

/// What happens while a conversation runs, for the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CardNews {
    /// The card has to be held, for the first time or again.
    Awaited,
    /// The card left.
    Lost,
    /// The conversation moves on.
    Progress(Progress),
}

/// Why a conversation gave no outcome.
#[derive(Debug)]
pub(crate) enum RunError {
    /// The card, or the cancelling person, ended it.
    Card(CardError),
    /// There is no card, or no reader.
    Trouble(CardTrouble),
}

/// A port, and whether the card on it still is where the last conversation left it.
pub(crate) struct CardRunner {
    port: Box<dyn CardPort>,
    continuity: Continuity,
}

impl CardRunner {
    pub(crate) fn new(port: Box<dyn CardPort>) -> Self {
        Self { port, continuity: Continuity::Fresh }
    }

    /// Runs a conversation to its end; a card that leaves is waited for, as long as the reader waits each time.
    ///
    /// `cancel` turning true ends it with [`CardError::Cancelled`] and leaves the card de-selected.
    pub(crate) async fn run<C: Conversation>(
        &mut self,
        conversation: &mut C,
        cancel: &mut watch::Receiver<bool>,
        news: &mut (dyn FnMut(CardNews) + Send),
    ) -> Result<C::Outcome, RunError> {
        // Whatever ends this early leaves a card of which nothing is known.
        let mut order = match mem::replace(&mut self.continuity, Continuity::Fresh) {
            Continuity::Same => conversation.on(CardEvent::Present(Continuity::Same)),
            Continuity::Fresh => Order::AwaitCard,
        };
        let mut is_cancelled = false;
        loop {
            // Asked between commands only: the answer to a command under way is always waited for.
            if !is_cancelled && *cancel.borrow_and_update() {
                is_cancelled = true;
                order = conversation.on(CardEvent::Cancel);
            }
            order = match order {
                Order::Finished(outcome) => {
                    self.continuity = Continuity::after(&outcome);
                    return outcome.map_err(RunError::Card);
                }
                Order::Transmit(command) => match self.port.transmit(command.as_bytes()).await {
                    Ok(answer) => {
                        let order = conversation.on(CardEvent::Answer(&answer));
                        news(CardNews::Progress(conversation.progress()));
                        order
                    }
                    // Another try would find the reader as it is.
                    Err(error @ PortError::Reader(_)) => return Err(trouble(error)),
                    Err(PortError::Absent | PortError::Lost) => {
                        news(CardNews::Lost);
                        conversation.on(CardEvent::Lost)
                    }
                },
                Order::AwaitCard => {
                    news(CardNews::Awaited);
                    tokio::select! {
                        connected = self.port.connect() => {
                            connected.map_err(trouble)?;
                            conversation.on(CardEvent::Present(Continuity::Fresh))
                        }
                        // A closed channel means that nobody is left to want the card.
                        _ = cancel.wait_for(|cancelled| *cancelled) => {
                            is_cancelled = true;
                            conversation.on(CardEvent::Cancel)
                        }
                    }
                }
            };
        }
    }

    /// Leaves the card's application and takes its power: no verified PIN outlives the visit.
    pub(crate) async fn leave(&mut self) {
        if self.continuity == Continuity::Same {
            let (_never, mut cancel) = watch::channel(false);
            // A card that is gone is left already.
            let _ = self.run(&mut LeaveCard, &mut cancel, &mut |_| {}).await;
        }
        self.port.release().await;
        self.continuity = Continuity::Fresh;
    }
}

const fn trouble(error: PortError) -> RunError {
    RunError::Trouble(match error {
        PortError::Absent | PortError::Lost => CardTrouble::Absent,
        PortError::Reader(trouble) => CardTrouble::Reader(trouble),
    })
}
