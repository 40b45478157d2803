//! What a person or a script types: lines, and a PIN that is not shown.

use std::{
    io::{self, IsTerminal as _, Read},
    sync::mpsc as blocking,
    thread,
};

use crossterm::{
    event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers},
    terminal,
};
use tazune_engine::Pin;
use tokio::sync::mpsc;
use zeroize::{Zeroize as _, Zeroizing};

use crate::output::Output;

/// One line without its end, wiped after use: it may hold a PIN.
pub(crate) type Line = Zeroizing<String>;

/// Standard input, read by a thread of its own, because no system can take back a read that waits for a key.
pub(crate) struct Input {
    asks: blocking::Sender<()>,
    lines: mpsc::Receiver<Line>,
    is_asked: bool,
}

impl Input {
    /// Begins; nothing is read before the first line is asked for.
    pub(crate) fn start() -> Self {
        let (asks, asked) = blocking::channel();
        let (sender, lines) = mpsc::channel(1);
        thread::spawn(move || {
            let mut reader = LineReader::new(io::stdin());
            while asked.recv().is_ok() {
                let Some(line) = reader.next_line() else { return };
                if sender.blocking_send(line).is_err() {
                    return;
                }
            }
        });
        Self { asks, lines, is_asked: false }
    }

    /// The next line; `None` at the end of the input. Dropping the future loses no line.
    pub(crate) async fn line(&mut self) -> Option<Line> {
        if !self.is_asked {
            self.asks.send(()).ok()?;
            self.is_asked = true;
        }
        let line = self.lines.recv().await;
        self.is_asked = false;
        line
    }
}

/// Whether a person types at a terminal, so that a PIN can be typed unseen; what is said may still go elsewhere.
pub(crate) fn is_terminal() -> bool {
    io::stdin().is_terminal()
}

/// Why no PIN was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoEntry {
    /// The person went back, by the escape key.
    GivenUp,
    /// The person ends the program, by Ctrl-C, or the terminal is gone.
    Interrupted,
}

/// Reads a PIN key by key from the terminal, showing a star for each digit; no line may be asked for meanwhile.
pub(crate) async fn masked_pin() -> Result<Pin, NoEntry> {
    tokio::task::spawn_blocking(read_masked).await.unwrap_or(Err(NoEntry::Interrupted))
}

fn read_masked() -> Result<Pin, NoEntry> {
    let _raw = RawMode::enter().map_err(|_| NoEntry::Interrupted)?;
    let mut entry = Entry::new();
    loop {
        let Event::Key(key) = event::read().map_err(|_| NoEntry::Interrupted)? else { continue };
        let shown = entry.shown();
        let taken = entry.take(key);
        Output.write(&redraw(shown, entry.shown())).map_err(|_| NoEntry::Interrupted)?;
        if let Some(end) = taken {
            return end;
        }
    }
}

/// The stars from `before` to `after` of them.
fn redraw(before: usize, after: usize) -> String {
    format!("{}{}", "\u{8} \u{8}".repeat(before.saturating_sub(after)), "*".repeat(after.saturating_sub(before)))
}

/// Keys come one by one and unseen while this lives.
struct RawMode;

impl RawMode {
    fn enter() -> io::Result<Self> {
        terminal::enable_raw_mode().map(|()| Self)
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        // A terminal that is gone needs no care.
        let _ = terminal::disable_raw_mode();
    }
}

/// The digits typed so far; at most four, so that the buffer never moves and leaves nothing behind.
struct Entry(Zeroizing<String>);

impl Entry {
    const DIGITS: usize = 4;

    fn new() -> Self {
        // A full-width digit takes three bytes.
        Self(Zeroizing::new(String::with_capacity(Self::DIGITS * 3)))
    }

    fn shown(&self) -> usize {
        self.0.chars().count()
    }

    /// Takes a key; `Some` when the entry is over.
    fn take(&mut self, key: KeyEvent) -> Option<Result<Pin, NoEntry>> {
        if key.kind == KeyEventKind::Release {
            return None;
        }
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c') if is_control => return Some(Err(NoEntry::Interrupted)),
            KeyCode::Esc => return Some(Err(NoEntry::GivenUp)),
            KeyCode::Enter => return Pin::from_entry(&self.0).ok().map(Ok),
            KeyCode::Backspace => drop(self.0.pop()),
            KeyCode::Char(digit @ ('0'..='9' | '０'..='９')) if !is_control && self.shown() < Self::DIGITS => {
                self.0.push(digit);
            }
            _ => {}
        }
        None
    }
}

/// Lines longer than this are no offer and no intent; they come out empty.
const LONGEST_LINE: usize = 8 * 1024;

/// Reads lines and wipes whatever it held of them.
struct LineReader<R> {
    source: R,
    chunk: Zeroizing<Vec<u8>>,
    /// The part of `chunk` that was read and not yet used.
    unused: std::ops::Range<usize>,
}

impl<R: Read> LineReader<R> {
    fn new(source: R) -> Self {
        // A read this large goes past the standard library's own buffer, which nobody could wipe.
        Self { source, chunk: Zeroizing::new(vec![0; 64 * 1024]), unused: 0..0 }
    }

    /// The next line; `None` at the end, and when the input fails.
    fn next_line(&mut self) -> Option<Line> {
        // Never grows, so that no copy stays behind.
        let mut line = Zeroizing::new(Vec::with_capacity(LONGEST_LINE));
        let mut is_too_long = false;
        loop {
            let rest = self.chunk.get_mut(self.unused.clone()).unwrap_or_default();
            let end = rest.iter().position(|byte| *byte == b'\n');
            let part = rest.get_mut(..end.unwrap_or(rest.len())).unwrap_or_default();
            is_too_long |= line.len() + part.len() > LONGEST_LINE;
            if !is_too_long {
                line.extend_from_slice(part);
            }
            let used = part.len() + usize::from(end.is_some());
            part.zeroize();
            self.unused.start += used;
            if end.is_some() {
                return Some(if is_too_long { Line::default() } else { text(line) });
            }
            let count = self.source.read(&mut self.chunk).unwrap_or(0);
            self.unused = 0..count;
            if count == 0 {
                return (!line.is_empty() && !is_too_long).then(|| text(line));
            }
        }
    }
}

/// The line as text; bytes that are no text make an empty line.
fn text(mut line: Zeroizing<Vec<u8>>) -> Line {
    String::from_utf8(std::mem::take(&mut line)).map_or_else(
        |error| {
            error.into_bytes().zeroize();
            Line::default()
        },
        Zeroizing::new,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(code: KeyCode) -> KeyEvent {
        KeyEvent::new(code, KeyModifiers::NONE)
    }

    fn typed(keys: &[KeyCode]) -> (Entry, Option<Result<Pin, NoEntry>>) {
        let mut entry = Entry::new();
        let mut last = None;
        for code in keys {
            last = entry.take(key(*code));
        }
        (entry, last)
    }

    #[test]
    fn a_pin_is_four_digits_and_enter() {
        use KeyCode::{Backspace, Char, Enter};
        let (_, end) = typed(&[Char('4'), Char('x'), Char('9'), Char('２'), Backspace, Char('1'), Char('１'), Enter]);
        assert_eq!(end.unwrap().unwrap().expose(), b"4911");
        let (entry, end) = typed(&[Char('4'), Char('9'), Char('1'), Enter]);
        assert!(end.is_none() && entry.shown() == 3, "three digits are not taken and stay to be completed");
        let (entry, _) = typed(&[Char('4'), Char('9'), Char('1'), Char('1'), Char('7')]);
        assert_eq!(entry.shown(), 4);
    }

    #[test]
    fn a_pin_entry_can_be_left() {
        assert_eq!(typed(&[KeyCode::Char('4'), KeyCode::Esc]).1.unwrap().unwrap_err(), NoEntry::GivenUp);
        let stop = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(Entry::new().take(stop).unwrap().unwrap_err(), NoEntry::Interrupted);
    }

    #[test]
    fn a_key_let_go_types_nothing() {
        let mut entry = Entry::new();
        let release = KeyEvent::new_with_kind(KeyCode::Char('4'), KeyModifiers::NONE, KeyEventKind::Release);
        assert!(entry.take(release).is_none() && entry.shown() == 0);
    }

    #[test]
    fn shows_stars_only() {
        assert_eq!(redraw(1, 2), "*");
        assert_eq!(redraw(2, 1), "\u{8} \u{8}");
        assert_eq!(redraw(2, 2), "");
    }

    #[test]
    fn reads_lines_however_they_arrive() {
        struct OneByOne(Vec<u8>);
        impl Read for OneByOne {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                if self.0.is_empty() {
                    return Ok(0);
                }
                buffer[0] = self.0.remove(0);
                Ok(1)
            }
        }
        let text = "agree-all\n\nenter-pin 4911\r\nlast";
        let wanted = ["agree-all", "", "enter-pin 4911\r", "last"];
        let mut whole = LineReader::new(text.as_bytes());
        let mut slow = LineReader::new(OneByOne(text.as_bytes().to_vec()));
        for line in wanted {
            assert_eq!(*whole.next_line().unwrap(), line);
            assert_eq!(*slow.next_line().unwrap(), line);
        }
        assert!(whole.next_line().is_none() && slow.next_line().is_none());
    }

    #[test]
    fn wipes_what_it_read() {
        let mut reader = LineReader::new("enter-pin 4911\n".as_bytes());
        assert!(reader.next_line().is_some());
        assert!(!reader.chunk.windows(4).any(|bytes| bytes == b"4911"));
    }

    #[test]
    fn a_line_without_end_or_without_sense_is_empty() {
        let long = [b"x".repeat(LONGEST_LINE + 1).as_slice(), b"\nnext\n\xff\xfe\n"].concat();
        let mut reader = LineReader::new(long.as_slice());
        assert_eq!(*reader.next_line().unwrap(), "");
        assert_eq!(*reader.next_line().unwrap(), "next");
        assert_eq!(*reader.next_line().unwrap(), "");
        assert!(reader.next_line().is_none());
    }
}
