use crate::FailureCode;

/// Why a database could not be used; the device and the hub keep separate stores but fail in the same four ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreFault {
    /// No room left; the transaction was rolled back and nothing saved before is lost.
    #[error("the disk is full")]
    DiskFull,
    /// The schema version is above the one this program knows; nothing was touched.
    #[error("the database was written by a newer program")]
    Newer,
    /// Not a database, or an inconsistent one; it was copied aside and left as it is.
    #[error("the database is damaged")]
    Damaged,
    /// Any other failure to read or write: locked, no permission, an I/O error.
    #[error("the database could not be used")]
    Failed,
}

impl StoreFault {
    /// The failure a person meets.
    #[must_use]
    pub const fn failure_code(self) -> FailureCode {
        match self {
            Self::DiskFull => FailureCode::DiskFull,
            Self::Newer => FailureCode::DatabaseNewer,
            Self::Damaged => FailureCode::DatabaseDamaged,
            Self::Failed => FailureCode::StoreFailed,
        }
    }
}
