use std::sync::{Mutex, MutexGuard, PoisonError};

use tazune_engine::Pin;
use zeroize::{Zeroize as _, Zeroizing};

use crate::TazuneError;

/// How many digits a PIN has.
const DIGITS: usize = 4;

/// The entry of a PIN (暗証番号), digit by digit: no text of Kotlin or Swift ever holds it.
///
/// It is wiped when it is submitted, cleared or dropped.
#[derive(uniffi::Object)]
pub struct PinEntry(Mutex<Digits>);

/// The digits in ASCII, and how many there are; the object's handle keeps them in one place of memory.
struct Digits {
    entered: Zeroizing<[u8; DIGITS]>,
    count: usize,
}

#[uniffi::export]
impl PinEntry {
    /// An empty entry.
    #[uniffi::constructor]
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it is made by a shell")]
    pub fn new() -> Self {
        Self(Mutex::new(Digits { entered: Zeroizing::new([0; DIGITS]), count: 0 }))
    }

    /// Adds a digit, 0 to 9; `false` when it is none, or the entry has four already.
    pub fn push(&self, digit: u8) -> bool {
        let mut digits = self.digits();
        let count = digits.count;
        let Some(place) = digits.entered.get_mut(count).filter(|_| digit <= 9) else { return false };
        *place = b'0' + digit;
        digits.count += 1;
        true
    }

    /// Takes the last digit away.
    pub fn backspace(&self) {
        let mut digits = self.digits();
        if let Some(last) = digits.count.checked_sub(1) {
            digits.entered[last] = 0;
            digits.count = last;
        }
    }

    /// How many digits there are, 0 to 4.
    #[expect(clippy::len_without_is_empty, reason = "a shell shows a number of dots")]
    pub fn len(&self) -> u8 {
        u8::try_from(self.digits().count).unwrap_or(u8::MAX)
    }

    /// Wipes the entry.
    pub fn clear(&self) {
        let mut digits = self.digits();
        digits.entered.zeroize();
        digits.count = 0;
    }
}

impl PinEntry {
    /// The PIN; the entry is empty afterwards, also when it was none.
    pub(crate) fn take(&self) -> Result<Pin, TazuneError> {
        let pin = {
            let digits = self.digits();
            let entered = std::str::from_utf8(&digits.entered[..digits.count]).expect("digits are ASCII");
            Pin::from_entry(entered)
        };
        self.clear();
        pin.map_err(|_| TazuneError::Malformed { what: "PIN".to_owned() })
    }

    fn digits(&self) -> MutexGuard<'_, Digits> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(digits: &[u8]) -> PinEntry {
        let entry = PinEntry::new();
        digits.iter().for_each(|digit| assert!(entry.push(*digit)));
        entry
    }

    #[test]
    fn four_digits_are_a_pin_and_are_wiped_when_taken() {
        let entry = entry(&[4, 9, 0, 1]);
        assert_eq!(entry.take().unwrap().expose(), b"4901");
        assert_eq!(entry.len(), 0);
        assert_eq!(*entry.digits().entered, [0; DIGITS]);
    }

    #[test]
    fn what_is_no_digit_and_a_fifth_one_are_refused() {
        let entry = entry(&[1, 2, 3]);
        assert!(!entry.push(10) && !entry.push(b'4'));
        assert!(entry.push(4));
        assert!(!entry.push(5));
        assert_eq!(entry.take().unwrap().expose(), b"1234");
    }

    #[test]
    fn an_entry_that_is_short_is_no_pin_and_is_wiped_too() {
        let entry = entry(&[4, 9, 1]);
        assert_eq!(entry.take().unwrap_err(), TazuneError::Malformed { what: "PIN".into() });
        assert_eq!((entry.len(), *entry.digits().entered), (0, [0; DIGITS]));
    }

    #[test]
    fn a_digit_that_is_taken_back_is_wiped() {
        let entry = entry(&[4, 9]);
        entry.backspace();
        assert_eq!((entry.len(), *entry.digits().entered), (1, [b'4', 0, 0, 0]));
        entry.backspace();
        entry.backspace();
        assert_eq!((entry.len(), *entry.digits().entered), (0, [0; DIGITS]));
        assert!(entry.push(7) && entry.push(7));
        entry.clear();
        assert_eq!((entry.len(), *entry.digits().entered), (0, [0; DIGITS]));
    }
}
