use tazune_engine::{EngineError, FailureCode, KeyStoreError, ReaderTrouble};

use crate::{exit::Exit, output::OutputClosed};

/// Why a command ended before its work was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The device could not do it.
    Engine(EngineError),
    /// There is no reader to work with.
    Reader(ReaderTrouble),
    /// What is on the reader could not be looked at.
    Card(FailureCode),
    /// The arguments are not what the command needs; the key of the text that says so.
    Usage(&'static str),
    /// The person cancelled.
    Cancelled,
    /// The visit was left; its draft is kept.
    Unfinished,
    /// Nobody reads the output any more.
    OutputClosed,
}

impl Ended {
    /// What the process says to whoever started it.
    pub(crate) const fn exit(self) -> Exit {
        match self {
            Self::Engine(error) => match error {
                EngineError::NotPaired | EngineError::Pairing(_) | EngineError::Revoked(_) => Exit::NotPaired,
                EngineError::Undelivered { .. } => Exit::Undelivered,
                EngineError::Front(_) | EngineError::Renewal(_) | EngineError::Tombstone(_) => Exit::Hub,
                EngineError::Store(_) => Exit::Store,
                EngineError::Keys(_) => Exit::Keys,
                EngineError::Seal(_) => Exit::Failed,
            },
            Self::Reader(_) | Self::Card(_) => Exit::Card,
            Self::Usage(_) => Exit::Usage,
            Self::Cancelled => Exit::Cancelled,
            Self::Unfinished => Exit::Unfinished,
            Self::OutputClosed => Exit::OutputClosed,
        }
    }

    /// The failure to explain, if it is one.
    pub(crate) const fn failure_code(self) -> Option<FailureCode> {
        match self {
            Self::Engine(error) => Some(error.failure_code()),
            Self::Reader(trouble) => Some(trouble.failure_code()),
            Self::Card(code) => Some(code),
            Self::Usage(_) | Self::Cancelled | Self::Unfinished | Self::OutputClosed => None,
        }
    }
}

impl From<EngineError> for Ended {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}

impl From<KeyStoreError> for Ended {
    fn from(error: KeyStoreError) -> Self {
        Self::Engine(error.into())
    }
}

impl From<ReaderTrouble> for Ended {
    fn from(trouble: ReaderTrouble) -> Self {
        Self::Reader(trouble)
    }
}

impl From<OutputClosed> for Ended {
    fn from(OutputClosed: OutputClosed) -> Self {
        Self::OutputClosed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_has_its_exit_code_and_failure() {
        let table = [
            (Ended::Engine(EngineError::NotPaired), 3, Some("TZ-P06")),
            (Ended::Engine(EngineError::Keys(KeyStoreError::Locked)), 8, Some("TZ-K01")),
            (Ended::Engine(EngineError::Keys(KeyStoreError::InsecureRefused)), 8, Some("TZ-K02")),
            (Ended::Engine(EngineError::Keys(KeyStoreError::Missing)), 8, Some("TZ-K03")),
            (Ended::Engine(EngineError::Keys(KeyStoreError::Absent)), 8, Some("TZ-K04")),
            (Ended::Engine(EngineError::Keys(KeyStoreError::Late)), 8, Some("TZ-K05")),
            (Ended::Reader(ReaderTrouble::Unusable), 4, Some("TZ-C14")),
            (Ended::Reader(ReaderTrouble::NoService), 4, Some("TZ-C19")),
            (Ended::Usage("tool-card-malformed"), 2, None),
            (Ended::Cancelled, 9, None),
            (Ended::Unfinished, 11, None),
            (Ended::OutputClosed, 12, None),
        ];
        for (ended, number, code) in table {
            assert_eq!(ended.exit() as u8, number, "{ended:?}");
            assert_eq!(ended.failure_code().map(FailureCode::code), code, "{ended:?}");
        }
    }

    #[test]
    fn errors_of_the_engine_end_in_their_area() {
        let undelivered = EngineError::Undelivered { count: 1 };
        assert_eq!(Ended::from(undelivered).exit(), Exit::Undelivered);
    }
}
