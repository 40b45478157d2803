use serde::{Deserialize, Serialize};
use tazune_card::CardError;
use tazune_model::{Date, FailureCode};

use crate::CardTrouble;

/// What went otherwise than hoped, shown above the rest of a screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Notice {
    /// A failure with its code.
    Failure(Failure),
    /// No failure: the PIN has to be entered once more.
    PinAskedAgain(PinAskedAgain),
}

/// Why the PIN is asked once more although nothing was wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PinAskedAgain {
    /// The card left while it worked, its counter changed, or another card came in between.
    CardInterrupted,
    /// The challenge was used up or became too old.
    ChallengeRenewed,
    /// The program was ended in between; no PIN is ever kept.
    Restarted,
}

/// A failure as a screen explains it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The code; texts and book explain it.
    pub code: FailureCode,
    /// First day of a certificate that is not valid yet.
    pub begins_on: Option<Date>,
}

impl From<FailureCode> for Failure {
    fn from(code: FailureCode) -> Self {
        Self { code, begins_on: None }
    }
}

impl Failure {
    /// The failure behind an error of the card; a conversation that ended without one has simply seen no card.
    pub(crate) fn of_card(error: &CardError) -> Self {
        let begins_on = match error {
            CardError::CertificateNotYetValid { begins_on } => Some(*begins_on),
            _ => None,
        };
        Self { code: error.failure_code().unwrap_or(CardTrouble::Absent.failure_code()), begins_on }
    }
}
