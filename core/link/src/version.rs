use serde::{Deserialize, Serialize};

/// Version 1 of a message: the number 1 in JSON, and no other number can be read as it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct V1;

impl TryFrom<u8> for V1 {
    type Error = &'static str;

    fn try_from(version: u8) -> Result<Self, Self::Error> {
        if version == 1 { Ok(Self) } else { Err("not version 1") }
    }
}

impl From<V1> for u8 {
    fn from(_: V1) -> Self {
        1
    }
}
