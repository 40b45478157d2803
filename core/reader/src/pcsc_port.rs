use std::{ffi::CString, sync::mpsc, thread, time::Duration};

use async_trait::async_trait;
use pcsc::{Card, Context, Disposition, Error, Protocols, ReaderState, Scope, ShareMode, State};
use tazune_engine::{CardPort, PortError, ReaderTrouble};
use tokio::{sync::oneshot, time::Instant};
use zeroize::Zeroizing;

/// How long one wait for a change at the reader takes: whoever waits is asked in between whether it still wants a card.
const SLICE: Duration = Duration::from_millis(200);

/// How long a card that another program holds is waited for: systems look at a new card themselves for a moment.
const HELD_FOR: Duration = Duration::from_secs(3);

/// The readers that are plugged in, by the names that PC/SC gives them.
///
/// # Errors
/// [`ReaderTrouble::NoService`], or [`ReaderTrouble::Unusable`].
pub(crate) fn readers() -> Result<Vec<String>, ReaderTrouble> {
    let context = Context::establish(Scope::User).map_err(trouble)?;
    names(&context).map(|names| names.iter().map(|name| name.to_string_lossy().into_owned()).collect())
}

/// Chooses the only reader, or the only one whose name has `part` in it, whatever its case.
///
/// # Errors
/// [`ReaderTrouble::Missing`] or [`ReaderTrouble::Several`].
pub(crate) fn choose<T: AsRef<str>>(names: &[T], part: Option<&str>) -> Result<usize, ReaderTrouble> {
    let part = part.unwrap_or_default().to_lowercase();
    let mut fitting = names.iter().enumerate().filter(|(_, name)| name.as_ref().to_lowercase().contains(&part));
    match (fitting.next(), fitting.next()) {
        (Some((only, _)), None) => Ok(only),
        (None, _) => Err(ReaderTrouble::Missing),
        (Some(_), Some(_)) => Err(ReaderTrouble::Several),
    }
}

/// A reader that the system's PC/SC service drives (PC/SC 対応のカードリーダー).
///
/// The card is held exclusively from `connect` to `release`, so nobody else can use a PIN that was verified, and the card
/// is ours alone in between (ADR 1). Each `connect` asks the service and chooses the reader anew, so a reader that was
/// unplugged and a service that was restarted are found again. PC/SC blocks, so a thread of its own does it.
pub(crate) struct PcscPort {
    orders: mpsc::Sender<Order>,
}

impl PcscPort {
    /// A port to the only reader, or to the one whose name has `part` in it, which waits this long for a card.
    pub(crate) fn new(part: Option<String>, patience: Duration) -> Self {
        let (orders, received) = mpsc::channel();
        thread::spawn(move || {
            let mut slot = Slot { part, patience, card: None };
            for order in received {
                slot.obey(order);
            }
            slot.release();
        });
        Self { orders }
    }

    /// Has the thread do something; `None` when it is gone, which only a panic there can do.
    async fn order<T>(&self, order: impl FnOnce(oneshot::Sender<T>) -> Order) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.orders.send(order(reply)).ok()?;
        answer.await.ok()
    }
}

#[async_trait]
impl CardPort for PcscPort {
    async fn connect(&mut self) -> Result<(), PortError> {
        self.order(Order::Connect).await.unwrap_or(Err(ReaderTrouble::Unusable.into()))
    }

    async fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, PortError> {
        // Wiped: it may hold a PIN.
        let command = Zeroizing::new(command.to_vec());
        self.order(|reply| Order::Transmit(command, reply)).await.flatten().ok_or(PortError::Lost)
    }

    async fn release(&mut self) {
        self.order(Order::Release).await;
    }
}

/// What the thread is told to do, with where the answer goes.
enum Order {
    Connect(oneshot::Sender<Result<(), PortError>>),
    Transmit(Zeroizing<Vec<u8>>, oneshot::Sender<Option<Vec<u8>>>),
    Release(oneshot::Sender<()>),
}

/// The thread's side: everything here blocks.
struct Slot {
    part: Option<String>,
    patience: Duration,
    card: Option<Card>,
}

impl Slot {
    fn obey(&mut self, order: Order) {
        // Whoever asked may have given up meanwhile.
        match order {
            Order::Connect(reply) => {
                let connected = self.connect(&reply);
                let _ = reply.send(connected);
            }
            Order::Transmit(command, reply) => {
                let _ = reply.send(self.transmit(&command));
            }
            Order::Release(reply) => {
                self.release();
                let _ = reply.send(());
            }
        }
    }

    fn connect(&mut self, asker: &oneshot::Sender<Result<(), PortError>>) -> Result<(), PortError> {
        self.release();
        let context = Context::establish(Scope::User).map_err(trouble)?;
        let reader = self.reader(&context)?;
        let mut state = [ReaderState::new(reader.clone(), State::UNAWARE)];
        let until = Instant::now() + self.patience;
        // Since when another program holds the card.
        let mut held_since = None;
        while !asker.is_closed() {
            let wait = if state[0].current_state() == State::UNAWARE { Duration::ZERO } else { SLICE };
            match context.get_status_change(wait, &mut state) {
                Ok(()) | Err(Error::Timeout) => {}
                Err(error) => return Err(trouble(error).into()),
            }
            state[0].sync_current_state();
            let seen = state[0].event_state();
            if seen.intersects(State::UNKNOWN | State::UNAVAILABLE | State::IGNORE) {
                return Err(ReaderTrouble::Missing.into());
            }
            let powered =
                if seen.contains(State::PRESENT) { power(&context, &reader) } else { Err(Error::NoSmartcard) };
            match powered {
                Ok(card) => {
                    self.card = Some(card);
                    return Ok(());
                }
                Err(Error::SharingViolation) => {
                    let now = Instant::now();
                    if now >= until || now - *held_since.get_or_insert(now) >= HELD_FOR {
                        return Err(ReaderTrouble::Busy.into());
                    }
                    thread::sleep(SLICE);
                    continue;
                }
                Err(error) if is_no_card(error) => held_since = None,
                Err(error) => return Err(trouble(error).into()),
            }
            if Instant::now() >= until {
                break;
            }
        }
        Err(PortError::Absent)
    }

    fn reader(&self, context: &Context) -> Result<CString, ReaderTrouble> {
        let mut names = names(context)?;
        let texts: Vec<_> = names.iter().map(|name| name.to_string_lossy()).collect();
        let chosen = choose(&texts, self.part.as_deref())?;
        drop(texts);
        Ok(names.swap_remove(chosen))
    }

    /// Any failure is a lost card: if it is the reader or the service that is gone, the next `connect` tells.
    fn transmit(&mut self, command: &[u8]) -> Option<Vec<u8>> {
        let card = self.card.as_ref()?;
        let mut answer = Zeroizing::new(vec![0; pcsc::MAX_BUFFER_SIZE_EXTENDED]);
        let answer = card.transmit(command, &mut answer).ok().filter(|answer| answer.len() >= 2).map(<[u8]>::to_vec);
        if answer.is_none() {
            self.release();
        }
        answer
    }

    fn release(&mut self) {
        if let Some(card) = self.card.take() {
            // A card that is gone has no power to take.
            let _ = card.disconnect(Disposition::UnpowerCard);
        }
    }
}

/// Takes the card for us alone and gives it power anew: whoever had it before may have left it verified.
fn power(context: &Context, reader: &CString) -> Result<Card, Error> {
    let mut card = context.connect(reader, ShareMode::Exclusive, Protocols::ANY)?;
    card.reconnect(ShareMode::Exclusive, Protocols::ANY, Disposition::UnpowerCard)?;
    Ok(card)
}

fn names(context: &Context) -> Result<Vec<CString>, ReaderTrouble> {
    match context.list_readers_owned() {
        Err(Error::NoReadersAvailable) => Ok(Vec::new()),
        listed => listed.map_err(trouble),
    }
}

/// Whether there is no card, or one that left again or lies askew; the reader itself is in order.
const fn is_no_card(error: Error) -> bool {
    matches!(
        error,
        Error::NoSmartcard
            | Error::RemovedCard
            | Error::ResetCard
            | Error::UnpoweredCard
            | Error::UnresponsiveCard
            | Error::ProtoMismatch
    )
}

const fn trouble(error: Error) -> ReaderTrouble {
    match error {
        Error::NoService | Error::ServiceStopped => ReaderTrouble::NoService,
        Error::UnknownReader | Error::ReaderUnavailable | Error::NoReadersAvailable => ReaderTrouble::Missing,
        Error::SharingViolation => ReaderTrouble::Busy,
        _ => ReaderTrouble::Unusable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_reader_is_chosen_or_none() {
        let names = ["ACS ACR122U 00 00", "Sony RC-S300/S 01 00", "Sony RC-S380/S 02 00"];
        let table = [
            (&names[..1], None, Ok(0)),
            (&names[..0], None, Err(ReaderTrouble::Missing)),
            (&names[..], None, Err(ReaderTrouble::Several)),
            (&names[..], Some("rc-s300"), Ok(1)),
            (&names[..], Some("sony"), Err(ReaderTrouble::Several)),
            (&names[..], Some("Gemalto"), Err(ReaderTrouble::Missing)),
            (&names[..1], Some("sony"), Err(ReaderTrouble::Missing)),
        ];
        for (names, part, chosen) in table {
            assert_eq!(choose(names, part), chosen, "{names:?} {part:?}");
        }
    }

    #[test]
    fn what_pcsc_says_is_told_apart() {
        let table = [
            (Error::NoService, ReaderTrouble::NoService),
            (Error::ServiceStopped, ReaderTrouble::NoService),
            (Error::ReaderUnavailable, ReaderTrouble::Missing),
            (Error::UnknownReader, ReaderTrouble::Missing),
            (Error::SharingViolation, ReaderTrouble::Busy),
            (Error::CommError, ReaderTrouble::Unusable),
        ];
        for (error, told) in table {
            assert_eq!(trouble(error), told, "{error}");
        }
    }
}
