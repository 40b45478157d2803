use std::fmt;

use tazune_model::{Date, TextError};

/// A value of a message as it was written, padding and `●` included; `Debug` never shows it.
///
/// Shape: characters XML can carry, and not blank, because a blank element means an absent one. No length limit of its own.
#[derive(Clone, PartialEq, Eq)]
pub struct Text(String);

impl Text {
    /// Checks and keeps a value.
    ///
    /// # Errors
    /// [`TextError::Length`] when it is empty or only blanks, [`TextError::Alphabet`] for a character XML cannot carry.
    pub fn new(text: impl Into<String>) -> Result<Self, TextError> {
        let text = text.into();
        if is_blank(&text) {
            return Err(TextError::Length { what: "text of a message" });
        }
        if !text.chars().all(is_xml_character) {
            return Err(TextError::Alphabet { what: "text of a message" });
        }
        Ok(Self(text))
    }

    /// The value as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The date as the messages write it: `yyyyMMdd`.
impl From<Date> for Text {
    fn from(date: Date) -> Self {
        Self(date.strftime("%Y%m%d").to_string())
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[personal]")
    }
}

/// Whether there is nothing but XML white space: space, tab, line ends.
pub(crate) fn is_blank(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n'))
}

/// XML 1.0, production `Char`; surrogates cannot occur in a `char`.
fn is_xml_character(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{FFFD}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_padding_and_unknown_kanji_and_refuses_blanks_and_control_characters() {
        for kept in ["  138057", "見本　太●", "ﾐﾎﾝ ﾀﾛｳ", " x ", "\u{1F600}", "a\r\nb", "\u{3000}"] {
            assert_eq!(Text::new(kept).unwrap().as_str(), kept);
        }
        for blank in ["", " ", "\r\n\t "] {
            assert_eq!(Text::new(blank), Err(TextError::Length { what: "text of a message" }));
        }
        for control in ["a\0", "\u{1}", "\u{1b}[31m", "\u{FFFE}", "\u{FFFF}"] {
            assert_eq!(Text::new(control), Err(TextError::Alphabet { what: "text of a message" }));
        }
    }
}
