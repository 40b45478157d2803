//! The card port: the only way the engine talks to a reader.
//!
//! A USB reader, a phone's NFC chip and the virtual slot below are implementations of one small trait.

use std::{io, net::SocketAddr, time::Duration};

use async_trait::async_trait;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

/// Why the port has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PortError {
    /// No card came into the field within the time given.
    #[error("no card within the time given")]
    Absent,
    /// The card left the field, or did not answer in time; whether it got the command is unknown.
    #[error("the card left the field")]
    Lost,
    /// The reader itself cannot be used.
    #[error("the reader cannot be used")]
    Unavailable,
}

/// A reader for one card at a time.
#[async_trait]
pub trait CardPort: Send {
    /// How long a person is given to find the card and hold it; an iPhone ends its own sheet after these 60 seconds.
    fn patience(&self) -> Duration {
        Duration::from_secs(60)
    }

    /// Waits up to `within` for a card and gives it power; a card that already had power is reset.
    ///
    /// After this no application is selected and no PIN is verified.
    ///
    /// # Errors
    /// [`PortError::Absent`] or [`PortError::Unavailable`].
    async fn connect(&mut self, within: Duration) -> Result<(), PortError>;

    /// Sends one command APDU and returns the card's data and status word.
    ///
    /// # Errors
    /// [`PortError::Lost`] when the card is gone; it must be connected again.
    async fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, PortError>;

    /// Takes power from the card, which ends every verified state; does nothing without a card.
    async fn release(&mut self);
}

/// How long a card may take for one command; a signature takes up to 700 ms, a loss is told by the socket.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// The longest answer of an extended read is 65,536 bytes and a status word, but the frame's length has 16 bits.
const LONGEST_FRAME: usize = u16::MAX as usize;

/// A virtual reader slot on the loopback interface, for cards that speak the socket protocol of vpcd.
///
/// The slot listens and a card connects; each frame is a two-byte big-endian length and that many bytes. A frame of one
/// byte is a control: `00` power off, `01` power on, `02` reset. A closed socket is a card that left the field.
/// Source: shared facts "card-protocol" section 14.
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

    async fn send(&mut self, payload: &[u8]) -> io::Result<()> {
        let length = u16::try_from(payload.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        let card = self.card.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        // One write: length and body in two packets would wait for a delayed acknowledgement, 44 ms each.
        let mut frame = zeroize::Zeroizing::new(Vec::with_capacity(payload.len() + 2));
        frame.extend_from_slice(&length.to_be_bytes());
        frame.extend_from_slice(payload);
        card.write_all(&frame).await
    }

    async fn receive(&mut self) -> io::Result<Vec<u8>> {
        let card = self.card.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        let length = usize::from(card.read_u16().await?);
        debug_assert!(length <= LONGEST_FRAME);
        let mut payload = vec![0; length];
        card.read_exact(&mut payload).await?;
        Ok(payload)
    }

    async fn exchange(&mut self, command: &[u8]) -> io::Result<Vec<u8>> {
        self.send(command).await?;
        self.receive().await
    }

    /// Accepts the newest card: one that left and came back has a new socket.
    async fn accept(&mut self, within: Duration) -> Result<(), PortError> {
        let (card, _) = timeout(within, self.listener.accept())
            .await
            .map_err(|_| PortError::Absent)?
            .map_err(|_| PortError::Unavailable)?;
        card.set_nodelay(true).map_err(|_| PortError::Unavailable)?;
        self.card = Some(card);
        Ok(())
    }
}

#[async_trait]
impl CardPort for VirtualSlot {
    fn patience(&self) -> Duration {
        self.patience
    }

    async fn connect(&mut self, within: Duration) -> Result<(), PortError> {
        const POWER_OFF: &[u8] = &[0x00];
        const POWER_ON: &[u8] = &[0x01];
        let until = tokio::time::Instant::now() + within;
        loop {
            if self.card.is_none() {
                self.accept(until.saturating_duration_since(tokio::time::Instant::now())).await?;
            }
            if self.send(POWER_OFF).await.is_ok() && self.send(POWER_ON).await.is_ok() && self.is_alive().await {
                return Ok(());
            }
            self.card = None;
        }
    }

    async fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, PortError> {
        match timeout(ANSWER_WITHIN, self.exchange(command)).await {
            Ok(Ok(answer)) if answer.len() >= 2 => Ok(answer),
            _ => {
                self.card = None;
                Err(PortError::Lost)
            }
        }
    }

    async fn release(&mut self) {
        // A card that is gone has no power to take.
        let _ = self.send(&[0x00]).await;
    }
}

impl VirtualSlot {
    /// Asks for the answer to reset: a socket whose card left takes bytes for a while before it fails.
    async fn is_alive(&mut self) -> bool {
        const ASK_ATR: &[u8] = &[0x04];
        matches!(timeout(Duration::from_secs(2), self.exchange(ASK_ATR)).await, Ok(Ok(atr)) if !atr.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

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
        let mut slot = VirtualSlot::listen(([127, 0, 0, 1], 0).into(), PATIENCE).await.unwrap();
        let address = slot.address().unwrap();
        assert_eq!(slot.connect(Duration::from_millis(20)).await, Err(PortError::Absent));

        tokio::spawn(echo_card(address, 1));
        slot.connect(Duration::from_secs(5)).await.unwrap();
        assert_eq!(slot.transmit(&[1, 2, 3]).await.unwrap(), [1, 2, 3, 0x90, 0x00]);
        assert_eq!(slot.transmit(&[1, 2, 3]).await, Err(PortError::Lost));
        assert_eq!(slot.transmit(&[1, 2, 3]).await, Err(PortError::Lost));

        tokio::spawn(echo_card(address, 1));
        slot.connect(Duration::from_secs(5)).await.unwrap();
        assert!(slot.transmit(&[7, 7]).await.is_ok());
    }

    #[tokio::test]
    async fn a_slot_is_not_opened_to_the_network() {
        assert!(VirtualSlot::listen(([0, 0, 0, 0], 0).into(), PATIENCE).await.is_err());
    }
}
