use std::fmt;

/// What happened to a card, in order.
#[derive(Clone, PartialEq, Eq)]
pub enum LogEntry {
    /// It got power.
    PowerOn,
    /// Its power was cut.
    PowerOff,
    /// It was reset without losing power.
    Reset,
    /// A command came.
    Command {
        /// The command; in VERIFY and CHANGE PIN every byte after the header and the first length byte is `2A` (`*`).
        command: Vec<u8>,
        /// Data and status word; `None` when the card was gone before it could process the command.
        answer: Option<Vec<u8>>,
    },
    /// It was torn out of the field; an answer of the command before did not arrive.
    Torn,
}

impl LogEntry {
    pub(super) fn command(command: &[u8], answer: Option<Vec<u8>>) -> Self {
        let mut command = command.to_vec();
        if matches!(command.get(1), Some(0x20 | 0x24)) {
            command.iter_mut().skip(5).for_each(|byte| *byte = b'*');
        }
        Self::Command { command, answer }
    }

    /// The command, when this is one.
    #[must_use]
    pub fn as_command(&self) -> Option<&[u8]> {
        match self {
            Self::Command { command, .. } => Some(command),
            _ => None,
        }
    }
}

impl fmt::Display for LogEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = |f: &mut fmt::Formatter<'_>, bytes: &[u8]| bytes.iter().try_for_each(|byte| write!(f, "{byte:02X}"));
        match self {
            Self::PowerOn => f.write_str("power on"),
            Self::PowerOff => f.write_str("power off"),
            Self::Reset => f.write_str("reset"),
            Self::Torn => f.write_str("torn away"),
            Self::Command { command, answer } => {
                hex(f, command)?;
                f.write_str(" -> ")?;
                match answer {
                    None => f.write_str("gone"),
                    Some(answer) => {
                        let (data, status) = answer.split_at(answer.len().saturating_sub(2));
                        write!(f, "{} bytes ", data.len())?;
                        hex(f, status)
                    }
                }
            }
        }
    }
}

impl fmt::Debug for LogEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
