use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// A value that names or describes a person; `Debug` never shows it.
///
/// It serialises as the bare value, because the places it goes to are encrypted: drafts and sealed records.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Personal<T>(T);

impl<T> Personal<T> {
    /// Marks a value as personal.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value, for a screen, a message or a comparison; each caller says why in a comment `// EXPOSE:`.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Personal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[personal]")
    }
}

/// The four-digit PIN of the user certificate (利用者証明用電子証明書の暗証番号).
///
/// It is wiped when dropped, cannot be copied, stored or printed, and lives for one entry. It stays in one place: a move
/// through queues and tasks leaves no digits behind.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Pin(Box<[u8; 4]>);

/// Why an entry is not a PIN; never carries the entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PinError {
    /// Not exactly four characters.
    #[error("the PIN has four digits")]
    Length,
    /// A character other than a digit.
    #[error("the PIN has digits only")]
    NotDigits,
}

impl Pin {
    /// Reads an entry of four digits; full-width digits of a Japanese keyboard count as digits.
    ///
    /// The caller wipes its own copy of `entry`.
    ///
    /// # Errors
    /// [`PinError::Length`] unless there are four characters, [`PinError::NotDigits`] for any other character.
    pub fn from_entry(entry: &str) -> Result<Self, PinError> {
        if entry.chars().count() != 4 {
            return Err(PinError::Length);
        }
        let mut pin = Self(Box::new([0; 4]));
        for (digit, c) in pin.0.iter_mut().zip(entry.chars()) {
            *digit = match c {
                '0'..='9' => c as u8,
                // U+FF10..U+FF19: three bytes each in UTF-8, so a card would count them as a wrong PIN.
                '０'..='９' => b'0' + (c as u32 - '０' as u32) as u8,
                _ => return Err(PinError::NotDigits),
            };
        }
        Ok(pin)
    }

    /// The four ASCII digits, for the VERIFY command only.
    #[must_use]
    pub fn expose(&self) -> &[u8; 4] {
        &self.0
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[PIN]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_full_width_digits() {
        assert_eq!(Pin::from_entry("１２３４").unwrap().expose(), b"1234");
        assert_eq!(Pin::from_entry("0９1８").unwrap().expose(), b"0918");
    }

    #[test]
    fn refuses_anything_but_four_digits() {
        assert_eq!(Pin::from_entry("123").unwrap_err(), PinError::Length);
        assert_eq!(Pin::from_entry("12345").unwrap_err(), PinError::Length);
        assert_eq!(Pin::from_entry("12a4").unwrap_err(), PinError::NotDigits);
        assert_eq!(Pin::from_entry("一二三四").unwrap_err(), PinError::NotDigits);
    }

    #[test]
    fn neither_pin_nor_person_shows_in_debug() {
        assert_eq!(format!("{:?}", Pin::from_entry("4911").unwrap()), "[PIN]");
        assert_eq!(format!("{:?}", Personal::new("MARKED")), "[personal]");
    }
}
