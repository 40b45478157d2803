use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a text is not a value of the wanted kind; never carries the text itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Too short or too long.
    #[error("{what}: wrong length")]
    Length {
        /// The kind of value wanted.
        what: &'static str,
    },
    /// A character that may not occur.
    #[error("{what}: a character that may not occur")]
    Alphabet {
        /// The kind of value wanted.
        what: &'static str,
    },
}

macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident, $what:literal, $length:expr, $allowed:expr, debug: $debug:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks and keeps the text as it was read.
            ///
            /// # Errors
            /// [`TextError::Length`] or [`TextError::Alphabet`] when it is not of the shape above.
            pub fn new(text: impl Into<String>) -> Result<Self, TextError> {
                let text = text.into();
                if !$length.contains(&text.chars().count()) {
                    return Err(TextError::Length { what: $what });
                }
                if !text.chars().all($allowed) {
                    return Err(TextError::Alphabet { what: $what });
                }
                Ok(Self(text))
            }

            /// The text as it was read, padding included.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let show: fn(&str) -> &str = $debug;
                write!(f, concat!(stringify!($name), "({})"), show(&self.0))
            }
        }

        impl TryFrom<String> for $name {
            type Error = TextError;

            fn try_from(text: String) -> Result<Self, TextError> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.0
            }
        }
    };
}

text_type! {
    /// Institution code (医療機関コード, `MedicalInstitutionCode`): ten digits, prefecture 2 + fee table 1 + area 2 + number 4 + check 1.
    ///
    /// It also names the tenant: everything at front and desk belongs to one institution. The check digit is not
    /// enforced: returned numbers exist that fail it. Source: shared facts "oqs-interface" 7.4.
    InstitutionCode, "institution code", 10..=10, |c: char| c.is_ascii_digit(), debug: |text| text
}

impl fmt::Display for InstitutionCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

text_type! {
    /// Insurer number (保険者番号, `InsurerNumber`): eight characters, digits, of which the first two may be spaces.
    ///
    /// Six-digit numbers are left-padded with two half-width spaces, and the padding is data.
    /// Older sources also write 4, 6 and 8 digits unpadded. Source: shared facts "oqs-interface" 3.1, 7.2.
    InsurerNumber, "insurer number", 4..=8, |c: char| c.is_ascii_digit() || c == ' ', debug: |_| "[personal]"
}

text_type! {
    /// Insured symbol (被保険者証記号, `InsuredCardSymbol`): up to 80 characters, half or full width.
    ///
    /// Requests use at most 20; no longest length of an answer is public, and a receipt computer keeps 80.
    /// Source: shared facts "oqs-interface" 3.1, 6.1.
    InsuredSymbol, "insured symbol", 0..=80, |c: char| !c.is_control(), debug: |_| "[personal]"
}

text_type! {
    /// Insured number (被保険者証番号, `InsuredIdentificationNumber`): up to 80 characters, half or full width.
    ///
    /// As long as [`InsuredSymbol`], for the same reason.
    InsuredNumber, "insured number", 0..=80, |c: char| !c.is_control(), debug: |_| "[personal]"
}

text_type! {
    /// Branch number (枝番, `InsuredBranchNumber`): two digits.
    BranchNumber, "branch number", 2..=2, |c: char| c.is_ascii_digit(), debug: |_| "[personal]"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_keep_padding_and_refuse_other_shapes() {
        assert_eq!(InsurerNumber::new("  138057").unwrap().as_str(), "  138057");
        assert_eq!(InsurerNumber::new("123456789"), Err(TextError::Length { what: "insurer number" }));
        assert!(InstitutionCode::new("131012345").is_err());
        assert!(InstitutionCode::new("１３１０１２３４５６").is_err());
        assert!(BranchNumber::new("1").is_err());
    }

    #[test]
    fn numbers_of_a_person_do_not_show_in_debug() {
        assert_eq!(format!("{:?}", InsuredNumber::new("MARKED").unwrap()), "InsuredNumber([personal])");
    }
}
