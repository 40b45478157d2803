use std::io::{self, Write as _};

/// Standard output, the only way a command says anything.
///
/// A pipe that nobody reads any more ends the command quietly, where `println!` would panic.
pub(crate) struct Output;

/// Nobody reads the output any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OutputClosed;

impl Output {
    /// Writes a text as it is, at once.
    pub(crate) fn write(&self, text: &str) -> Result<(), OutputClosed> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|_| OutputClosed)
    }
}

/// Writes a line to standard error, for failures of a command that a person reads.
pub(crate) fn complain(text: &str) {
    // If nobody reads it, the exit code still tells.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// A line without characters that steer a terminal: some of it comes from cards and gateways.
pub(crate) fn harmless(line: &str) -> String {
    line.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_cannot_steer_the_terminal() {
        assert_eq!(harmless("有効\u{1b}[2J\u{9b}5m\u{7}\r\n次"), "有効\u{fffd}[2J\u{fffd}5m\u{fffd}\u{fffd}\u{fffd}次");
    }
}
