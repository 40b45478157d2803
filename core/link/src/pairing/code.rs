use std::fmt;

use subtle::ConstantTimeEq as _;
use tazune_model::{Sha256, TextError};

/// The six digits shown on the device and typed at the clinic (照合コード).
///
/// Compared in constant time; `Debug` does not show it.
#[derive(Clone, Copy)]
pub struct PairingCode(u32);

impl PairingCode {
    /// Six digits from a digest: its first 16 bytes as a number, modulo one million.
    ///
    /// Of 2^128 values each code gets the same number but for one part in 2^108.
    pub(super) fn derive(Sha256(digest): &Sha256) -> Self {
        let number = digest.iter().take(16).fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
        Self(u32::try_from(number % 1_000_000).expect("below one million"))
    }

    /// Reads what was typed: six digits, also full-width, spaces anywhere.
    ///
    /// Something that is not six digits is a slip of the hand, not an attempt.
    ///
    /// # Errors
    /// [`TextError`] when it is not six digits.
    pub fn parse(typed: &str) -> Result<Self, TextError> {
        let mut code = 0;
        let mut count = 0;
        for c in typed.chars().filter(|c| !c.is_whitespace()) {
            let digit = match c {
                '0'..='9' => c as u32 - '0' as u32,
                '０'..='９' => c as u32 - '０' as u32,
                _ => return Err(TextError::Alphabet { what: "pairing code" }),
            };
            count += 1;
            if count > 6 {
                break;
            }
            code = code * 10 + digit;
        }
        if count == 6 { Ok(Self(code)) } else { Err(TextError::Length { what: "pairing code" }) }
    }

    /// The six digits for the device's screen.
    #[must_use]
    pub fn digits(self) -> String {
        format!("{:06}", self.0)
    }
}

impl PartialEq for PairingCode {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for PairingCode {}

impl fmt::Debug for PairingCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[pairing code]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_six_digits_of_the_digests_beginning_with_leading_zeros() {
        let mut digest = [0; 32];
        assert_eq!(PairingCode::derive(&Sha256(digest)).digits(), "000000");
        digest[15] = 42;
        digest[16] = 0xff;
        assert_eq!(PairingCode::derive(&Sha256(digest)).digits(), "000042");
        // 2^128 - 1 ends in 768211455.
        assert_eq!(PairingCode::derive(&Sha256([0xff; 32])).digits(), "211455");
    }

    #[test]
    fn reads_what_people_type_and_refuses_what_is_no_code() {
        for typed in ["012345", "012 345", " ０１２３４５\n", "０12　345"] {
            assert_eq!(PairingCode::parse(typed).unwrap().digits(), "012345", "{typed}");
        }
        for typed in ["", "12345", "1234567", "12345a", "-12345", "一二三四五六", &"1".repeat(1000)] {
            assert!(PairingCode::parse(typed).is_err(), "{typed}");
        }
    }

    #[test]
    fn codes_differ_by_value_and_do_not_show_in_debug() {
        let code = PairingCode::parse("482915").unwrap();
        assert_eq!(code, PairingCode::parse("482 915").unwrap());
        assert_ne!(code, PairingCode::parse("482914").unwrap());
        assert!(!format!("{code:?}").contains('4'));
    }
}
