//! The card port: the only way the engine talks to a reader.
//!
//! A USB reader, a phone's NFC chip and the virtual slot below are implementations of one small trait.

use std::{io, net::SocketAddr, time::Duration};

use async_trait::async_trait;
use tazune_visit::ReaderTrouble;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{Instant, timeout, timeout_at},
};
use zeroize::Zeroizing;

/// Why the port has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PortError {
    /// No card came into the field within the time given.
    #[error("no card within the time given")]
    Absent,
    /// The card left the field, or did not answer in time; whether it got the command is unknown.
    #[error("the card left the field")]
    Lost,
    /// There is no reader to work with.
    #[error(transparent)]
    Reader(#[from] ReaderTrouble),
}

/// A reader for one card at a time.
///
/// A call that is dropped before it ends loses the card at most: the next [`connect`](Self::connect) starts anew.
#[async_trait]
pub trait CardPort: Send {
    /// Waits for a card, as long as the reader's kind gives a person to hold it, and gives it power; a card that
    /// already had power is reset.
    ///
    /// After this no application is selected and no PIN is verified.
    ///
    /// # Errors
    /// [`PortError::Absent`] or [`PortError::Reader`].
    async fn connect(&mut self) -> Result<(), PortError>;

    /// Sends one command APDU and returns the card's data and status word, within seconds.
    ///
    /// # Errors
    /// [`PortError::Lost`] when the card is gone; it must be connected again. [`PortError::Reader`] ends the work with the card.
    async fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, PortError>;

    /// Takes power from the card, which ends every verified state; does nothing without a card.
    async fn release(&mut self);
}

/// How long a card may take for one command; a signature takes up to 700 ms, a loss is told by the socket.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// How long a card that has power may take for its answer to reset.
const ATR_WITHIN: Duration = Duration::from_secs(2);

/// A virtual reader slot on the loopback interface, for cards that speak the socket protocol of vpcd.
///
/// The slot listens and a card connects; each frame is a two-byte big-endian length and that many bytes. A frame of one
/// byte is a control: `00` power off, `01` power on, `02` reset, `04` asks for the answer to reset. A closed socket is a
/// card that left the field. Source: shared facts "card-protocol" section 14.
#[derive(Debug)]
pub struct VirtualSlot {
    listener: TcpListener,
    card: Option<TcpStream>,
    patience: Duration,
}

impl VirtualSlot {
    /// Opens a slot on a loopback address, which waits this long for a card; port 0 takes a free one.
    ///
    /// # Errors
    /// Any address outside the loopback range is refused, because a slot has no authentication; else what the system says.
    pub async fn listen(address: SocketAddr, patience: Duration) -> io::Result<Self> {
        if !address.ip().is_loopback() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a virtual slot listens on loopback only"));
        }
        Ok(Self { listener: TcpListener::bind(address).await?, card: None, patience })
    }

    /// The address cards connect to.
    ///
    /// # Errors
    /// What the system says.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

#[async_trait]
impl CardPort for VirtualSlot {
    async fn connect(&mut self) -> Result<(), PortError> {
        let until = Instant::now() + self.patience;
        loop {
            let mut card = match self.card.take() {
                Some(card) => card,
                // One that left and came back has a new socket.
                None => match timeout_at(until, self.listener.accept()).await {
                    Ok(accepted) => accepted.map_err(|_| ReaderTrouble::Unusable)?.0,
                    Err(_) => return Err(PortError::Absent),
                },
            };
            // Kept only when it has answered: half an answer left behind would pass for the answer to the next command.
            if timeout(ATR_WITHIN, power(&mut card)).await.is_ok_and(|powered| powered.is_ok()) {
                self.card = Some(card);
                return Ok(());
            }
        }
    }

    async fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, PortError> {
        let mut card = self.card.take().ok_or(PortError::Lost)?;
        match timeout(ANSWER_WITHIN, exchange(&mut card, command)).await {
            Ok(Ok(answer)) if answer.len() >= 2 => {
                self.card = Some(card);
                Ok(answer)
            }
            _ => Err(PortError::Lost),
        }
    }

    async fn release(&mut self) {
        if let Some(card) = &mut self.card {
            // A card that is gone has no power to take.
            let _ = send(card, POWER_OFF).await;
        }
    }
}

const POWER_OFF: &[u8] = &[0x00];
const POWER_ON: &[u8] = &[0x01];
const ASK_ATR: &[u8] = &[0x04];

/// Resets a card and asks for its answer to that: a socket whose card left takes bytes for a while before it fails.
async fn power(card: &mut TcpStream) -> io::Result<()> {
    card.set_nodelay(true)?;
    send(card, POWER_OFF).await?;
    send(card, POWER_ON).await?;
    let atr = exchange(card, ASK_ATR).await?;
    if atr.is_empty() { Err(io::ErrorKind::InvalidData.into()) } else { Ok(()) }
}

async fn exchange(card: &mut TcpStream, payload: &[u8]) -> io::Result<Vec<u8>> {
    send(card, payload).await?;
    let mut answer = vec![0; usize::from(card.read_u16().await?)];
    card.read_exact(&mut answer).await?;
    Ok(answer)
}

async fn send(card: &mut TcpStream, payload: &[u8]) -> io::Result<()> {
    let length = u16::try_from(payload.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    // One write: length and body in two packets would wait for a delayed acknowledgement, 44 ms each. Wiped: it may
    // hold a PIN.
    let mut frame = Zeroizing::new(Vec::with_capacity(payload.len() + 2));
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(payload);
    card.write_all(&frame).await
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn slot(patience: Duration) -> (VirtualSlot, SocketAddr) {
        let slot = VirtualSlot::listen(([127, 0, 0, 1], 0).into(), patience).await.unwrap();
        let address = slot.address().unwrap();
        (slot, address)
    }

    /// A card that answers every command with its own bytes and 90 00, and leaves after `answers` of them.
    async fn echo_card(address: SocketAddr, answers: usize) {
        let mut socket = TcpStream::connect(address).await.unwrap();
        let mut left = answers;
        while let Ok(length) = socket.read_u16().await {
            let mut payload = vec![0; usize::from(length)];
            socket.read_exact(&mut payload).await.unwrap();
            let answer = match payload.as_slice() {
                [0x04] => vec![0x3b, 0x80],
                [_] => continue,
                _ if left == 0 => return,
                command => [command, &[0x90, 0x00]].concat(),
            };
            if payload.len() > 1 {
                left -= 1;
            }
            socket
                .write_all(&[&u16::try_from(answer.len()).unwrap().to_be_bytes(), answer.as_slice()].concat())
                .await
                .unwrap();
        }
    }

    #[tokio::test]
    async fn a_card_that_left_is_lost_and_one_that_comes_back_is_found() {
        let (mut slot, address) = slot(Duration::from_millis(500)).await;
        assert_eq!(slot.connect().await, Err(PortError::Absent));

        tokio::spawn(echo_card(address, 1));
        slot.connect().await.unwrap();
        assert_eq!(slot.transmit(&[1, 2, 3]).await.unwrap(), [1, 2, 3, 0x90, 0x00]);
        assert_eq!(slot.transmit(&[1, 2, 3]).await, Err(PortError::Lost));
        assert_eq!(slot.transmit(&[1, 2, 3]).await, Err(PortError::Lost));

        tokio::spawn(echo_card(address, 1));
        slot.connect().await.unwrap();
        assert!(slot.transmit(&[7, 7]).await.is_ok());
    }

    #[tokio::test]
    async fn a_slot_is_not_opened_to_the_network() {
        assert!(VirtualSlot::listen(([0, 0, 0, 0], 0).into(), Duration::ZERO).await.is_err());
    }

    #[tokio::test]
    async fn an_answer_that_nobody_waited_for_is_never_taken_for_the_next_one() {
        let (mut slot, address) = slot(Duration::from_secs(20)).await;
        let mut slow = TcpStream::connect(address).await.unwrap();
        assert!(timeout(Duration::from_millis(200), slot.connect()).await.is_err(), "the card has not answered yet");
        // It may have been thrown out already.
        let _ = slow.write_all(&[0, 2, 0x3b, 0x80]).await;
        tokio::spawn(echo_card(address, 9));
        slot.connect().await.unwrap();
        assert_eq!(slot.transmit(&[1, 2, 3]).await.unwrap(), [1, 2, 3, 0x90, 0x00]);
    }
}
