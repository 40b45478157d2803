use crate::Phone;

/// What carries the JPKI application, told by the first 32 bytes of its token information. Source: card-protocol §3.1.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Token {
    Card,
    Phone(Phone),
    /// The old resident card, or something unknown.
    Other,
}

impl Token {
    pub(crate) fn from_name(name: &[u8]) -> Self {
        match name.get(..32).unwrap_or_default().trim_ascii_end() {
            b"JPKIAPICCTOKEN2" => Self::Card,
            b"JPKIAPGPSETOKEN" => Self::Phone(Phone::Android),
            b"JPKIAPIOSTOKEN" => Self::Phone(Phone::Iphone),
            _ => Self::Other,
        }
    }
}
