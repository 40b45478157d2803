//! The virtual card on a socket, with the framing of vsmartcard's vpcd; this is the card's side, which connects.
//!
//! A frame is a length of two bytes, big-endian, and that many bytes. From the reader one byte is a control (`00` power off,
//! `01` power on, `02` reset, `04` send the ATR) and more are a command APDU. The card answers the ATR request and each command
//! with one frame, and the other controls with nothing. Source: shared facts "card-protocol" §14.
//!
//! **How a torn card shows:** the socket closes, where the answer would have come or before. After [`InField::serve`]'s `away` the
//! card connects anew and waits for power on. While nobody listens it tries again every 20 ms, so either side may start first,
//! and a reader that closes its end finds the card back after the same `away`.

use std::{
    io::{self, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use crate::card::VirtualCard;

/// A card that test and socket share.
pub type SharedCard = Arc<Mutex<VirtualCard>>;

/// A card that is held to a reader over the network; dropping it takes the card away for good.
pub struct InField {
    field: Arc<Field>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Field {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    is_over: bool,
    socket: Option<TcpStream>,
}

impl InField {
    /// Holds the card to the reader that listens, or will listen, at `reader`; a card that was lost comes back after `away`.
    #[must_use]
    pub fn serve(card: SharedCard, reader: SocketAddr, away: Duration) -> Self {
        let field = Arc::new(Field::default());
        let thread = thread::spawn({
            let field = Arc::clone(&field);
            move || field.run(&card, reader, away)
        });
        Self { field, thread: Some(thread) }
    }
}

impl Drop for InField {
    fn drop(&mut self) {
        let mut state = self.field.lock();
        state.is_over = true;
        if let Some(socket) = state.socket.take() {
            // A socket that is closed already is what is wanted.
            let _ = socket.shutdown(Shutdown::Both);
        }
        drop(state);
        self.field.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Field {
    fn run(&self, card: &SharedCard, reader: SocketAddr, away: Duration) {
        while !self.lock().is_over {
            let Ok(socket) = TcpStream::connect_timeout(&reader, Duration::from_secs(1)) else {
                self.wait(Duration::from_millis(20));
                continue;
            };
            self.lock().socket = socket.try_clone().ok();
            // A connection ends by either side's will or by a tear; the reason makes no difference here.
            let _ = converse(socket, card);
            self.lock().socket = None;
            card.lock().unwrap_or_else(PoisonError::into_inner).power_off();
            self.wait(away);
        }
    }

    fn wait(&self, time: Duration) {
        let state = self.lock();
        let _ = self.changed.wait_timeout_while(state, time, |state| !state.is_over);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// vpcd writes length and body in two packets and waits for the first to be acknowledged, which is put off by 40 ms.
///
/// The system forgets it with every packet, so it is asked for before each.
#[cfg_attr(not(target_os = "linux"), expect(clippy::unnecessary_wraps, reason = "only Linux knows the option"))]
fn acknowledge_at_once(socket: &TcpStream) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    socket2::SockRef::from(socket).set_tcp_quickack(true)?;
    #[cfg(not(target_os = "linux"))]
    let _ = socket;
    Ok(())
}

/// Answers frames until the card is gone or the reader is.
fn converse(mut socket: TcpStream, card: &SharedCard) -> io::Result<()> {
    socket.set_nodelay(true)?;
    loop {
        acknowledge_at_once(&socket)?;
        let mut length = [0; 2];
        socket.read_exact(&mut length)?;
        acknowledge_at_once(&socket)?;
        let mut frame = vec![0; usize::from(u16::from_be_bytes(length))];
        socket.read_exact(&mut frame)?;
        let mut card = card.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = match frame.as_slice() {
            [0x00] => {
                card.power_off();
                continue;
            }
            [0x01] => {
                card.power_on();
                continue;
            }
            [0x02] => {
                card.reset();
                continue;
            }
            [0x04] => card.atr().to_vec(),
            [] | [_] => continue,
            command => match card.transmit(command) {
                Some(answer) => answer,
                None => return Ok(()),
            },
        };
        drop(card);
        let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
        socket.write_all(&[length.to_be_bytes().as_slice(), &answer].concat())?;
    }
}
