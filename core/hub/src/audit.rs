//! Reading the audit (監査) of a desk without the desk: what `tazune-hub audit` does, also while the hub runs.

use std::path::{Path, PathBuf};

use tazune_link::{
    audit::{Chain, EntryRow, Finding, Summary},
    keys::VerifyingKey,
};
use tazune_model::InstitutionCode;

use crate::{
    Random, StartError,
    config::{self, DeskSettings, SettingError},
    desk::{DATABASE, ReceiptKey},
    store::{AuditReader, WitnessError},
};

/// The audit of one desk, as its database is at the moment of opening.
pub struct Audit {
    reader: AuditReader,
    tenant: InstitutionCode,
    key: VerifyingKey,
}

/// What an audit was found to hold.
#[derive(Clone, Debug)]
pub struct Verified {
    /// What was read.
    pub summary: Summary,
    /// Lines of the witness, if there was one.
    pub witnessed: Option<i64>,
    /// The key that the last checkpoint must be signed with.
    pub key: VerifyingKey,
}

impl Audit {
    /// Opens the audit of the desk in `folder`: its settings, its receipt key and its database.
    ///
    /// # Errors
    /// [`StartError`] when one of them cannot be used.
    pub fn open(folder: &Path, random: &Random) -> Result<Self, StartError> {
        let settings: DeskSettings = config::load(folder)?;
        let key = ReceiptKey::load(folder, random)?.verifying_key();
        Ok(Self { reader: AuditReader::open(&folder.join(DATABASE))?, tenant: settings.institution, key })
    }

    /// How many entries there are.
    ///
    /// # Errors
    /// [`StartError`] when the database cannot be read.
    pub fn entry_count(&self) -> Result<i64, StartError> {
        Ok(self.reader.entry_count()?)
    }

    /// Entries after a position, oldest first, of one chain if given.
    ///
    /// # Errors
    /// [`StartError`] when the database cannot be read.
    pub fn entries(&self, chain: Option<&Chain>, after: i64, limit: u32) -> Result<Vec<EntryRow>, StartError> {
        Ok(self.reader.entries(chain, after, limit)?)
    }

    /// Verifies chains and checkpoints, compares them with the records, devices and the quarantine, and with a witness.
    ///
    /// `read` hears the number of entries read so far, `found` everything that is wrong.
    ///
    /// # Errors
    /// [`StartError`] when database or witness cannot be read; what was found before stands.
    pub fn verify(
        &self,
        witness: Option<&PathBuf>,
        read: impl FnMut(u64),
        mut found: impl FnMut(Finding),
    ) -> Result<Verified, StartError> {
        let summary = self.reader.verify(&self.tenant, &self.key, read, &mut found)?;
        let compare = |witness: &PathBuf| {
            self.reader.compare(witness, &mut found).map_err(|error| match error {
                WitnessError::File(error) => SettingError::file(witness)(error).into(),
                WitnessError::Store(error) => StartError::from(error),
            })
        };
        let witnessed = witness.map(compare).transpose()?;
        Ok(Verified { summary, witnessed, key: self.key.clone() })
    }
}
