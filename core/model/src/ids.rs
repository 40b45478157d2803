use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::TextError;

/// Identity of a visit record, a UUIDv7 made when the record is sealed; the idempotency key of its delivery.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RecordId(Uuid);

impl RecordId {
    /// Makes an id from the current instant (milliseconds are used) and ten random bytes.
    #[must_use]
    pub fn make(now: Timestamp, random: &[u8; 10]) -> Self {
        let millis = u64::try_from(now.as_millisecond()).unwrap_or(0);
        Self(uuid::Builder::from_unix_timestamp_millis(millis, random).into_uuid())
    }

    /// The id as a 128-bit number, for names derived from it.
    #[must_use]
    pub const fn as_u128(self) -> u128 {
        self.0.as_u128()
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecordId({self})")
    }
}

impl std::str::FromStr for RecordId {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        Uuid::try_parse(text).map(Self).map_err(|_| TextError::Alphabet { what: "record id" })
    }
}

macro_rules! short_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks and keeps an id.
            ///
            /// # Errors
            /// [`TextError`] when it is empty, longer than 64, or has a character outside `a-z A-Z 0-9 - _ .`.
            pub fn new(text: impl Into<String>) -> Result<Self, TextError> {
                let text = text.into();
                if !(1..=64).contains(&text.len()) {
                    return Err(TextError::Length { what: $what });
                }
                if !text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.')) {
                    return Err(TextError::Alphabet { what: $what });
                }
                Ok(Self(text))
            }

            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = TextError;

            fn try_from(text: String) -> Result<Self, TextError> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }
    };
}

short_id! {
    /// Identity of a paired device, given by the desk: 1 to 64 characters of `a-z A-Z 0-9 - _ .`.
    DeviceId, "device id"
}

short_id! {
    /// Identity of a member of staff (職員): 1 to 64 characters of `a-z A-Z 0-9 - _ .`.
    StaffId, "staff id"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_ids_are_version_seven_ordered_by_time_and_survive_text() {
        let early = RecordId::make("2026-11-21T00:00:00Z".parse().unwrap(), &[0xff; 10]);
        let late = RecordId::make("2026-11-21T00:00:01Z".parse().unwrap(), &[0; 10]);
        assert!(early < late);
        assert_eq!(early.0.get_version_num(), 7);
        assert_eq!(early.to_string().parse::<RecordId>().unwrap(), early);
    }

    #[test]
    fn ids_refuse_what_a_path_or_a_header_could_misread() {
        for text in ["", "a/b", "..\\x", "a b", "é", &"x".repeat(65)] {
            assert!(DeviceId::new(text).is_err(), "{text}");
        }
        assert_eq!(StaffId::new("dr-sample.1").unwrap().as_str(), "dr-sample.1");
    }
}
