use std::{fmt, mem};

use crate::{
    CardError, CommandApdu,
    exchange::{Exchange, Received, Reply},
};

/// What happened to the card.
#[derive(Clone, Copy)]
pub enum CardEvent<'a> {
    /// A card is on the reader.
    Present(Continuity),
    /// The card's answer to the command last ordered: data, then two status bytes.
    Answer(&'a [u8]),
    /// The card left, or did not answer in time.
    Lost,
    /// The person or the visit wants to stop. A command under way need not be waited for.
    Cancel,
}

impl fmt::Debug for CardEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Present(continuity) => write!(f, "Present({continuity:?})"),
            Self::Answer(answer) => write!(f, "Answer({} bytes)", answer.len()),
            Self::Lost => f.write_str("Lost"),
            Self::Cancel => f.write_str("Cancel"),
        }
    }
}

/// Whether the card still is where the conversation before this one left it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Continuity {
    /// The card was just powered, or its state is not known, or it may be another one: everything is selected and compared again.
    Fresh,
    /// The link never broke, nobody else used it, and [`Continuity::after`] the conversation before says so: application
    /// and counter are known.
    Same,
}

impl Continuity {
    /// What the next conversation may rely on when this one ended so and the card stayed powered since.
    ///
    /// Never [`Continuity::Same`] after [`LeaveCard`], which leaves nothing to rely on.
    #[must_use]
    pub const fn after<T>(result: &Result<T, CardError>) -> Self {
        match result {
            Ok(_) | Err(CardError::WrongPin { .. } | CardError::AskPinAgain { .. }) => Self::Same,
            Err(_) => Self::Fresh,
        }
    }
}

/// What to do next.
#[derive(Debug)]
pub enum Order<T> {
    /// Send this to the card and report its answer, or its loss.
    Transmit(CommandApdu),
    /// Ask for the card to be held (again); what was read is kept.
    AwaitCard,
    /// The conversation is over; the card may stay on the reader ([`LeaveCard`] ends its session).
    Finished(Result<T, CardError>),
}

/// How much of the certificate has been read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes read.
    pub read_bytes: usize,
    /// Bytes in all, once the first ones told.
    pub total_bytes: Option<usize>,
}

/// A conversation with the card, pushed by events; it does nothing by itself.
///
/// It begins with [`CardEvent::Present`]. An answer nobody asked for is ignored. [`CardEvent::Cancel`] with a card
/// present orders one last command that leaves the application; what it answers does not matter. After the end every
/// event gives [`CardError::Cancelled`].
pub trait Conversation {
    /// What it is for.
    type Outcome;

    /// Takes an event and says what to do.
    fn on(&mut self, event: CardEvent<'_>) -> Order<Self::Outcome>;

    /// How far the certificate is.
    fn progress(&self) -> Progress;
}

/// Leaves the card's application and with it the verified state, which would survive a dropped connection.
///
/// For the end of a visit with the card still on the reader. A card that is gone is left already, so it never fails.
/// Source: card-protocol §1 line 8.
#[derive(Debug, Default)]
pub struct LeaveCard;

impl Conversation for LeaveCard {
    type Outcome = ();

    fn on(&mut self, event: CardEvent<'_>) -> Order<()> {
        match event {
            CardEvent::Present(_) => Order::Transmit(CommandApdu::leave()),
            CardEvent::Answer(_) | CardEvent::Lost | CardEvent::Cancel => Order::Finished(Ok(())),
        }
    }

    fn progress(&self) -> Progress {
        Progress::default()
    }
}

/// What one conversation says; what all of them share is in [`Driver`].
pub(crate) trait Script {
    /// What the command under way is for.
    type Step: Copy;
    type Outcome;

    /// A card came; it may be another one unless the link is the same.
    fn begin(&mut self, continuity: Continuity) -> Next<Self>;

    /// The whole answer to the command sent for `step`.
    fn answered(&mut self, step: Self::Step, reply: &Reply) -> Next<Self>;

    /// The card left while the command for `step` was under way.
    fn lost(&mut self, step: Self::Step);

    fn progress(&self) -> Progress;
}

/// What a script wants next.
pub(crate) enum Next<S: Script + ?Sized> {
    Send(S::Step, CommandApdu),
    Finish(Result<S::Outcome, CardError>),
}

/// Runs a script: every pair of state and event is handled here, once for all conversations.
///
/// When it ends, also by cancel, the script is dropped and with it PIN and certificate.
pub(crate) struct Driver<S: Script> {
    state: State<S>,
    progress: Progress,
}

enum State<S: Script> {
    /// No card; `has_begun` when one was there before.
    NoCard {
        script: S,
        has_begun: bool,
    },
    /// A command is under way.
    Talking {
        script: S,
        step: S::Step,
        exchange: Exchange,
    },
    /// The command that leaves the application is under way, after cancel.
    Leaving,
    Over,
}

impl<S: Script> Driver<S> {
    pub(crate) fn new(script: S) -> Self {
        let progress = script.progress();
        Self { state: State::NoCard { script, has_begun: false }, progress }
    }

    pub(crate) const fn progress(&self) -> Progress {
        self.progress
    }

    pub(crate) fn on(&mut self, event: CardEvent<'_>) -> Order<S::Outcome> {
        match (mem::replace(&mut self.state, State::Over), event) {
            (State::NoCard { mut script, has_begun }, CardEvent::Present(continuity)) => {
                let next = script.begin(if has_begun { Continuity::Fresh } else { continuity });
                self.follow(script, next)
            }
            (State::NoCard { script, has_begun }, CardEvent::Answer(_) | CardEvent::Lost) => {
                self.state = State::NoCard { script, has_begun };
                Order::AwaitCard
            }
            (State::Talking { mut script, step, .. }, CardEvent::Present(_)) => {
                // A card that comes while one is there was away in between.
                script.lost(step);
                let next = script.begin(Continuity::Fresh);
                self.follow(script, next)
            }
            (State::Talking { mut script, step, .. }, CardEvent::Lost) => {
                script.lost(step);
                self.state = State::NoCard { script, has_begun: true };
                Order::AwaitCard
            }
            (State::Talking { mut script, step, mut exchange }, CardEvent::Answer(answer)) => {
                match exchange.receive(answer) {
                    Received::Whole(reply) => {
                        let next = script.answered(step, &reply);
                        self.follow(script, next)
                    }
                    Received::More(apdu) => {
                        self.state = State::Talking { script, step, exchange };
                        Order::Transmit(apdu)
                    }
                    Received::Malformed(error) => Order::Finished(Err(error)),
                }
            }
            (State::Talking { .. }, CardEvent::Cancel) => {
                self.state = State::Leaving;
                Order::Transmit(CommandApdu::leave())
            }
            (State::NoCard { .. }, CardEvent::Cancel) | (State::Leaving | State::Over, _) => {
                Order::Finished(Err(CardError::Cancelled))
            }
        }
    }

    fn follow(&mut self, script: S, next: Next<S>) -> Order<S::Outcome> {
        self.progress = script.progress();
        match next {
            Next::Send(step, apdu) => {
                self.state = State::Talking { script, step, exchange: Exchange::of(&apdu) };
                Order::Transmit(apdu)
            }
            Next::Finish(result) => Order::Finished(result),
        }
    }
}
