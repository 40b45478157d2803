use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    iter::Peekable,
};

use serde::{Deserialize, Serialize};
use tazune_model::{FailureCode, InstitutionCode, Sha256};

use super::{CheckpointBody, Entry, Event, SignedCheckpoint, checkpoint_hash, entry_hash};
use crate::keys::{VerifyingKey, sha256};

/// A stored entry as it is found; nothing of it is believed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryRow {
    /// Place among all entries.
    pub position: i64,
    /// The chain's text.
    pub chain: String,
    /// Place in the chain.
    pub number: i64,
    /// The record it is about.
    pub record_id: Option<String>,
    /// The entry's bytes.
    pub entry: String,
}

/// A stored checkpoint as it is found; nothing of it is believed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointRow {
    /// Its place.
    pub number: i64,
    /// The checkpoint's bytes.
    pub checkpoint: String,
}

/// What is wrong at one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// Not what was written.
    Altered,
    /// Not there.
    Missing,
    /// Not in its place.
    Swapped,
    /// The chain ends before this place, and a checkpoint says that it reached it.
    CutOff,
    /// No checkpoint covers it.
    Unsigned,
    /// The checkpoint is not one of this desk, or not the one that was here.
    CheckpointBad,
    /// What the entry tells of is not in the database.
    ContentMissing,
    /// What the entry tells of is in the database with another digest.
    ContentDiffers,
    /// A row of the database that no entry tells of.
    Unrecorded,
    /// The witness has another checkpoint of this number.
    WitnessDiffers,
    /// The witness has a checkpoint that the database has not: the database was set back, or cut off.
    WitnessAhead,
    /// The line of the witness is no checkpoint of this desk.
    WitnessBad,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Finding {
    /// What is wrong.
    pub kind: FindingKind,
    /// The chain; or `checkpoint`, `witness`, or a table of the desk.
    pub place: String,
    /// Number in the chain or of the checkpoint; line of the witness, row of the table.
    pub number: i64,
}

impl Finding {
    /// A finding at a place.
    pub fn new(kind: FindingKind, place: impl Into<String>, number: i64) -> Self {
        Self { kind, place: place.into(), number }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            FindingKind::Altered => "altered",
            FindingKind::Missing => "missing",
            FindingKind::Swapped => "not in its place",
            FindingKind::CutOff => "cut off",
            FindingKind::Unsigned => "covered by no checkpoint",
            FindingKind::CheckpointBad => "not a checkpoint of this desk, or not the one that was here",
            FindingKind::ContentMissing => "what it tells of is gone",
            FindingKind::ContentDiffers => "what it tells of was altered",
            FindingKind::Unrecorded => "no entry tells of this row",
            FindingKind::WitnessDiffers => "the witness has another checkpoint of this number",
            FindingKind::WitnessAhead => "the witness has it, the database has not: set back or cut off",
            FindingKind::WitnessBad => "no checkpoint of this desk",
        };
        write!(f, "{} {}: {what}", self.place, self.number)
    }
}

/// The audit is not whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the audit is not whole: {findings} findings")]
pub struct AuditBroken {
    /// How many things are wrong.
    pub findings: u64,
}

impl AuditBroken {
    /// The failure a person meets.
    #[must_use]
    pub const fn failure_code(self) -> FailureCode {
        FailureCode::AuditBroken
    }
}

/// What [`verify`] tells while it reads.
#[derive(Debug)]
pub enum Told<'a> {
    /// An entry that could be read, to be compared with what it tells of.
    Entry {
        /// The entry.
        entry: &'a Entry,
        /// The key of the checkpoint that covers it, if one does.
        key: Option<&'a VerifyingKey>,
    },
    /// Something is wrong.
    Finding(Finding),
}

/// What was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Entries.
    pub entries: u64,
    /// Checkpoints.
    pub checkpoints: u64,
    /// Chains.
    pub chains: u64,
    /// Number of the last checkpoint.
    pub last_checkpoint: i64,
}

/// Verifies everything: `entries` by position and `checkpoints` by number, both ascending, each read once.
///
/// `key` is the desk's receipt key of today. It is the last checkpoint that must be signed with it; every older one hangs on
/// the last by its hash, and a change of keys must be an entry of its own. Memory grows with the chains, not the entries.
///
/// # Errors
/// The first error of either source; what was told before stands.
pub fn verify<E>(
    tenant: &InstitutionCode,
    key: &VerifyingKey,
    entries: impl Iterator<Item = Result<EntryRow, E>>,
    checkpoints: impl Iterator<Item = Result<CheckpointRow, E>>,
    told: impl FnMut(Told<'_>),
) -> Result<Summary, E> {
    let mut verifier = Verifier {
        tenant,
        told,
        chains: BTreeMap::new(),
        grown: BTreeSet::new(),
        announced_keys: Vec::new(),
        checkpoint: None,
        is_gap: false,
        summary: Summary::default(),
    };
    let mut entries = entries.peekable();
    for row in checkpoints {
        verifier.checkpoint(&row?, &mut entries)?;
    }
    verifier.finish(key, entries)
}

/// Compares the lines of a witness with the checkpoints that `stored` finds by number; gives the number of lines.
///
/// # Errors
/// The first error of either source; what was found before stands.
pub fn compare_with_witness<E>(
    lines: impl Iterator<Item = Result<String, E>>,
    mut stored: impl FnMut(i64) -> Result<Option<String>, E>,
    mut found: impl FnMut(Finding),
) -> Result<i64, E> {
    let mut count = 0;
    for line in lines {
        let line = line?;
        count += 1;
        let Some(body) = SignedCheckpoint::verify(&line) else {
            found(Finding::new(FindingKind::WitnessBad, "witness", count));
            continue;
        };
        match stored(body.number)? {
            Some(stored) if stored == line => {}
            Some(_) => found(Finding::new(FindingKind::WitnessDiffers, "checkpoint", body.number)),
            None => found(Finding::new(FindingKind::WitnessAhead, "checkpoint", body.number)),
        }
    }
    Ok(count)
}

struct Verifier<'a, F> {
    tenant: &'a InstitutionCode,
    told: F,
    chains: BTreeMap<String, Reached>,
    /// Chains with entries after the last good checkpoint.
    grown: BTreeSet<String>,
    /// Digests of keys that entries after the last good checkpoint announce.
    announced_keys: Vec<Sha256>,
    checkpoint: Option<LastCheckpoint>,
    /// A checkpoint was bad or missing: the next one does not name what only that one covered.
    is_gap: bool,
    summary: Summary,
}

/// How far a chain was read.
struct Reached {
    number: i64,
    hash: Sha256,
    /// Whether a checkpoint signs exactly this.
    is_signed: bool,
}

struct LastCheckpoint {
    number: i64,
    hash: Sha256,
    /// The key, unless the checkpoint was bad.
    key: Option<VerifyingKey>,
    /// The key of the last good one.
    key_in_force: Option<VerifyingKey>,
}

impl<F: FnMut(Told<'_>)> Verifier<'_, F> {
    fn found(&mut self, kind: FindingKind, place: impl Into<String>, number: i64) {
        (self.told)(Told::Finding(Finding::new(kind, place, number)));
    }

    fn checkpoint<E>(
        &mut self,
        row: &CheckpointRow,
        entries: &mut Peekable<impl Iterator<Item = Result<EntryRow, E>>>,
    ) -> Result<(), E> {
        self.summary.checkpoints += 1;
        self.summary.last_checkpoint = row.number;
        let hash = checkpoint_hash(&row.checkpoint);
        let last = self.checkpoint.take();
        let expected = last.as_ref().map_or(1, |last| last.number.saturating_add(1));
        if row.number != expected {
            self.is_gap = true;
            self.found(FindingKind::Missing, "checkpoint", expected);
        }
        let key_in_force = last.as_ref().and_then(|last| last.key_in_force.clone());
        let body = SignedCheckpoint::verify(&row.checkpoint)
            .filter(|body| body.number == row.number && body.tenant == *self.tenant);
        let Some(body) = body else {
            self.found(FindingKind::CheckpointBad, "checkpoint", row.number);
            self.is_gap = true;
            self.checkpoint = Some(LastCheckpoint { number: row.number, hash, key: None, key_in_force });
            return Ok(());
        };
        let follows = last.as_ref().map_or(Sha256([0; 32]), |last| last.hash);
        // What was wrong with the one before was said already.
        let is_last_in_doubt = row.number != expected || last.as_ref().is_some_and(|last| last.key.is_none());
        if !is_last_in_doubt && body.previous != follows {
            self.found(FindingKind::CheckpointBad, "checkpoint", row.number);
        }
        while let Some(entry) =
            entries.next_if(|entry| entry.as_ref().map_or(true, |entry| entry.position <= body.entries))
        {
            self.entry(&entry?, Some(&body.key));
        }
        if key_in_force.is_some_and(|key| key != body.key)
            && !self.announced_keys.contains(&sha256(body.key.as_bytes()))
        {
            self.found(FindingKind::CheckpointBad, "checkpoint", row.number);
        }
        self.compare_heads(&body);
        let key = Some(body.key);
        self.checkpoint = Some(LastCheckpoint { number: row.number, hash, key_in_force: key.clone(), key });
        Ok(())
    }

    fn compare_heads(&mut self, body: &CheckpointBody) {
        for head in &body.heads {
            let chain = head.chain.to_string();
            let reached = self.chains.entry(chain.clone()).or_insert_with(Reached::nothing);
            let (number, is_same) = (reached.number, reached.hash == head.hash);
            // From here on, what was signed counts, so that one defect is not found again at each entry after it.
            *reached = Reached { number: head.number, hash: head.hash, is_signed: true };
            self.grown.remove(&chain);
            if number < head.number {
                self.found(FindingKind::CutOff, chain, number.saturating_add(1));
            } else if number > head.number {
                self.found(FindingKind::Unsigned, chain, head.number.saturating_add(1));
            } else if !is_same {
                self.found(FindingKind::Altered, chain, number);
            }
        }
        let unnamed = std::mem::take(&mut self.grown);
        if !std::mem::take(&mut self.is_gap) {
            for chain in unnamed {
                let number = self.chains.get(&chain).map_or(0, |reached| reached.number);
                self.found(FindingKind::Unsigned, chain, number);
            }
        }
        self.announced_keys.clear();
    }

    fn entry(&mut self, row: &EntryRow, key: Option<&VerifyingKey>) {
        self.summary.entries += 1;
        let hash = entry_hash(&row.entry);
        let Some(entry) = serde_json::from_str::<Entry>(&row.entry).ok().filter(|entry| entry.tenant == *self.tenant)
        else {
            self.found(FindingKind::Altered, &*row.chain, row.number);
            self.advance(row.chain.clone(), row.number, hash);
            return;
        };
        let chain = entry.chain.to_string();
        if (row.position, &row.chain, row.number) != (entry.position, &chain, entry.number)
            || row.record_id != entry.event.record_id().map(|record| record.to_string())
        {
            self.found(FindingKind::Altered, &*chain, entry.number);
        }
        let (number, previous, is_signed) = self
            .chains
            .get(&chain)
            .map_or((0, Sha256([0; 32]), true), |reached| (reached.number, reached.hash, reached.is_signed));
        let next = number.saturating_add(1);
        if entry.number > next {
            self.found(FindingKind::Missing, &*chain, next);
        } else if entry.number <= number {
            self.found(FindingKind::Swapped, &*chain, entry.number);
        } else if entry.previous != previous {
            // The one before is beyond doubt if it is signed.
            self.found(FindingKind::Altered, &*chain, if is_signed { entry.number } else { number });
        }
        if let Event::CheckpointKeyChanged { key_sha256 } = &entry.event {
            self.announced_keys.push(*key_sha256);
        }
        (self.told)(Told::Entry { entry: &entry, key });
        self.advance(chain, entry.number, hash);
    }

    fn advance(&mut self, chain: String, number: i64, hash: Sha256) {
        let reached = self.chains.entry(chain.clone()).or_insert_with(Reached::nothing);
        if number > reached.number {
            *reached = Reached { number, hash, is_signed: false };
        }
        self.grown.insert(chain);
    }

    fn finish<E>(
        mut self,
        key: &VerifyingKey,
        entries: impl Iterator<Item = Result<EntryRow, E>>,
    ) -> Result<Summary, E> {
        match self.checkpoint.take() {
            None => self.found(FindingKind::Missing, "checkpoint", 1),
            Some(last) if last.key.as_ref().is_some_and(|last| last != key) => {
                self.found(FindingKind::CheckpointBad, "checkpoint", last.number);
            }
            Some(_) => {}
        }
        let mut without_signature = BTreeMap::new();
        for row in entries {
            let row = row?;
            self.entry(&row, None);
            without_signature.entry(row.chain).or_insert(row.number);
        }
        for (chain, number) in without_signature {
            self.found(FindingKind::Unsigned, chain, number);
        }
        self.summary.chains = u64::try_from(self.chains.len()).unwrap_or(u64::MAX);
        Ok(self.summary)
    }
}

impl Reached {
    const fn nothing() -> Self {
        Self { number: 0, hash: Sha256([0; 32]), is_signed: true }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use tazune_model::Timestamp;

    use super::*;
    use crate::{V1, audit::Chain};

    #[test]
    fn a_number_that_nothing_can_follow_is_found_and_ends_nothing() {
        let tenant = InstitutionCode::new("1310123458").unwrap();
        let row = |position, number| {
            let entry = Entry {
                version: V1,
                tenant: tenant.clone(),
                position,
                chain: Chain::Desk,
                number,
                at: Timestamp::UNIX_EPOCH,
                event: Event::HubStarted,
                previous: Sha256([0; 32]),
            };
            Ok::<_, Infallible>(EntryRow {
                position,
                chain: "desk".into(),
                number,
                record_id: None,
                entry: entry.to_json(),
            })
        };
        let entries = [row(1, i64::MAX), row(2, 2), row(3, i64::MIN)];
        let checkpoint = |number| Ok(CheckpointRow { number, checkpoint: String::new() });
        let checkpoints = [checkpoint(i64::MIN), checkpoint(i64::MAX), checkpoint(i64::MAX)];
        let key = VerifyingKey::from_bytes(&[4; 65]).unwrap();
        let mut places = Vec::new();
        let told = |told: Told<'_>| {
            if let Told::Finding(finding) = told {
                places.push((finding.place, finding.number));
            }
        };
        verify(&tenant, &key, entries.into_iter(), checkpoints.into_iter(), told).unwrap();
        for place in [("desk", 2), ("desk", i64::MIN), ("checkpoint", i64::MAX)] {
            assert!(places.contains(&(place.0.to_owned(), place.1)), "{place:?}: {places:?}");
        }
    }
}
