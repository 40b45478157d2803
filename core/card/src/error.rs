use tazune_model::{Date, FailureCode};

use crate::{CertificateFault, Command, StatusWord};

/// How a conversation ends without an outcome; carries nothing personal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CardError {
    /// A phone with a smartphone certificate was held to the reader.
    #[error("a phone was held to the reader instead of a card")]
    PhoneTapped(Phone),
    /// No JPKI application, or the token of an old resident card (住基カード) or of something unknown.
    #[error("not a My Number card")]
    NotMyNumberCard,
    /// The card has no user certificate.
    #[error("the card has no user certificate")]
    CertificateMissing,
    /// The user certificate is not valid yet on the day of the visit.
    #[error("the user certificate is not valid before {begins_on}")]
    CertificateNotYetValid {
        /// First day of validity in Japan.
        begins_on: Date,
    },
    /// No pinned authority issued the user certificate.
    #[error("the user certificate was not issued by a trusted authority")]
    CertificateForeign,
    /// The user certificate cannot be read as one, or breaks its profile.
    #[error("the user certificate is broken: {0}")]
    CertificateBroken(CertificateFault),
    /// The PIN was wrong; with 1 left it is not asked again.
    #[error("wrong PIN, {tries_left} tries left")]
    WrongPin {
        /// Tries left, 1 or more.
        tries_left: u8,
    },
    /// One try is left, so no PIN is sent: another route.
    #[error("one PIN try is left, so the PIN is not asked")]
    PinLastTry,
    /// The PIN is locked; unlocking is for the municipal office.
    #[error("the PIN is locked")]
    PinLocked,
    /// The entry is spent or the counter is another than the person was told: ask anew, showing this number.
    #[error("the PIN has to be asked again, {tries_left} tries left")]
    AskPinAgain {
        /// Tries left, 2 or more.
        tries_left: u8,
    },
    /// Another card than the one read before; nothing of either was kept.
    #[error("another card is on the reader")]
    OtherCard,
    /// An answer that the command does not have here.
    #[error("unexpected answer to {command:?}: {}", .status.map_or_else(|| "no status".into(), |status| status.to_string()))]
    Unexpected {
        /// The command.
        command: Command,
        /// Its status word; `None` when fewer than two bytes came.
        status: Option<StatusWord>,
    },
    /// The conversation was cancelled, or is already over.
    #[error("cancelled")]
    Cancelled,
}

/// A phone that carries a certificate, told by its token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phone {
    /// `JPKIAPGPSETOKEN`.
    Android,
    /// `JPKIAPIOSTOKEN`.
    Iphone,
}

impl CardError {
    /// The failure a person meets; `None` where the visit simply goes on ([`Self::AskPinAgain`], [`Self::Cancelled`]).
    #[must_use]
    pub const fn failure_code(&self) -> Option<FailureCode> {
        Some(match self {
            Self::PhoneTapped(_) => FailureCode::PhoneTapped,
            Self::NotMyNumberCard => FailureCode::NotMyNumberCard,
            Self::CertificateMissing => FailureCode::CertificateMissing,
            Self::CertificateNotYetValid { .. } => FailureCode::CertificateNotYetValid,
            Self::CertificateForeign => FailureCode::CertificateForeign,
            Self::CertificateBroken(_) => FailureCode::CertificateBroken,
            Self::WrongPin { .. } => FailureCode::PinWrong,
            Self::PinLastTry => FailureCode::PinLastTry,
            Self::PinLocked => FailureCode::PinLocked,
            Self::OtherCard => FailureCode::OtherCard,
            Self::Unexpected { .. } => FailureCode::CardUnexpected,
            Self::AskPinAgain { .. } | Self::Cancelled => return None,
        })
    }
}
