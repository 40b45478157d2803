use rusqlite::{Transaction, params};
use serde::{Deserialize, Serialize};
use tazune_link::{
    revocation::{Event, Revocation, Revoked},
    tombstone::RevocationKind,
};
use tazune_model::{FailureCode, StoreFault, Timestamp};

use super::{
    Database,
    database::{SqlFault, read_meta, write_meta},
    drafts::DATA_KEY,
    records::purge_answered,
};
use crate::pairing::{PAIRING, Pairing};

/// Name in `meta` of the [`RevocationStatus`].
const REVOCATION: &str = "revocation";

/// How a revoked device stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevocationStatus {
    /// How far it is.
    pub state: Revocation,
    /// Why, as the clinic says.
    pub kind: RevocationKind,
    /// When, on the desk's clock.
    pub revoked_at: Timestamp,
}

impl RevocationStatus {
    /// The failure that every visit here meets from now on.
    #[must_use]
    pub const fn failure_code(&self) -> FailureCode {
        Revoked.failure_code()
    }
}

impl Database {
    /// How the device stands if it is revoked.
    pub(crate) fn revocation(&mut self) -> Result<Option<RevocationStatus>, StoreFault> {
        self.transaction(|transaction| read_meta(transaction, REVOCATION))
    }

    /// Commits that the device is revoked, unless it is by now or was paired anew since `pairing` was read.
    pub(crate) fn begin_revocation(&mut self, pairing: &Pairing, status: &RevocationStatus) -> Result<(), StoreFault> {
        self.transaction(|transaction| {
            let current = read_meta::<Pairing>(transaction, PAIRING)?;
            let is_current = current.is_some_and(|current| current.is_same_as(pairing));
            if is_current && !is_revoked(transaction)? {
                write_meta(transaction, REVOCATION, status)?;
            }
            Ok(())
        })
    }

    /// Deletes what the staff key wrapped and the gateway's settings, in one transaction with the state that says so.
    pub(crate) fn delete_secrets(&mut self) -> Result<(), StoreFault> {
        self.transaction(|transaction| {
            if !advance(transaction, Event::SecretsDestroyed)? {
                return Ok(());
            }
            transaction.execute("DELETE FROM drafts", [])?;
            transaction.execute("DELETE FROM meta WHERE name = ?1", params![DATA_KEY])?;
            if let Some(pairing) = read_meta::<Pairing>(transaction, PAIRING)? {
                write_meta(transaction, PAIRING, &pairing.without_secrets())?;
            }
            Ok(())
        })?;
        self.wipe_log();
        Ok(())
    }

    /// Deletes the sealed bytes if the desk has signed for every record; says whether it had.
    pub(crate) fn purge_if_every_record_is_answered(&mut self, now: Timestamp) -> Result<bool, StoreFault> {
        let is_answered = self.transaction(|transaction| {
            Ok(purge_answered(transaction, now)? && advance(transaction, Event::EveryRecordAnswered)?)
        })?;
        if is_answered {
            self.wipe_log();
        }
        Ok(is_answered)
    }

    /// Commits that nothing is left.
    pub(crate) fn finish_revocation(&mut self) -> Result<(), StoreFault> {
        self.transaction(|transaction| advance(transaction, Event::TransportKeyDestroyed).map(drop))
    }

    /// Keeps a new pairing; a finished revocation of the one before is forgotten.
    ///
    /// False, and nothing is kept, when the device is being revoked.
    pub(crate) fn keep_pairing(&mut self, pairing: &Pairing) -> Result<bool, StoreFault> {
        self.transaction(|transaction| {
            match read_meta::<RevocationStatus>(transaction, REVOCATION)? {
                None | Some(RevocationStatus { state: Revocation::Finished, .. }) => {}
                Some(_) => return Ok(false),
            }
            write_meta(transaction, PAIRING, pairing)?;
            transaction.execute("DELETE FROM meta WHERE name = ?1", params![REVOCATION])?;
            Ok(true)
        })
    }
}

/// Whether the device takes no new content.
pub(super) fn is_revoked(transaction: &Transaction<'_>) -> Result<bool, SqlFault> {
    Ok(read_meta::<RevocationStatus>(transaction, REVOCATION)?.is_some())
}

/// Advances the state; false when it stays, because another process was faster or it is too early.
fn advance(transaction: &Transaction<'_>, event: Event) -> Result<bool, SqlFault> {
    let Some(status) = read_meta::<RevocationStatus>(transaction, REVOCATION)? else { return Ok(false) };
    match status.state.on(event) {
        Ok(state) if state != status.state => {
            write_meta(transaction, REVOCATION, &RevocationStatus { state, ..status })?;
            Ok(true)
        }
        _ => Ok(false),
    }
}
