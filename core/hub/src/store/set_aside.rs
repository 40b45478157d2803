use std::fmt;

use serde::{Deserialize, Serialize};
use tazune_link::receipt::QuarantineReason;
use tazune_model::{Bytes, DeviceId, RecordId, Sha256, Timestamp};

use super::Reason;

/// What a person decided about an envelope that was set aside; final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// It is a record of the clinic, as if it had been accepted at once.
    Accepted,
    /// It is none; its bytes are kept all the same.
    Rejected,
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
        })
    }
}

/// What became of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decided {
    /// It is so from now on.
    Done,
    /// It was decided before, like this or otherwise; nothing was changed.
    Before(Decision),
    /// Another envelope is the record of this id; nothing was changed.
    OtherAccepted,
    /// No such envelope is set aside.
    Unknown,
}

/// One line of the list of envelopes that were set aside: nothing in it names a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetAsideSummary {
    /// The record it names.
    pub record_id: RecordId,
    /// The device it names.
    pub device: DeviceId,
    /// Digest of the envelope: there may be several under one record id.
    pub sha256: Sha256,
    /// When it was set aside.
    pub at: Timestamp,
    /// Why.
    pub reason: QuarantineReason,
    /// What a person decided about it.
    pub decision: Option<Decision>,
    /// When.
    pub decided_at: Option<Timestamp>,
    /// Why, in the person's own words.
    pub decision_reason: Option<String>,
}

/// An envelope that was set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAside {
    /// Its line in the list.
    pub summary: SetAsideSummary,
    /// The envelope as it came.
    pub envelope: Bytes,
}

/// A person turns down an envelope that was set aside.
#[derive(Clone, Debug)]
pub struct Rejection {
    /// The record it names.
    pub record_id: RecordId,
    /// Digest of the envelope.
    pub sha256: Sha256,
    /// The device it names.
    pub device: DeviceId,
    /// Why.
    pub reason: Reason,
    /// When.
    pub at: Timestamp,
}

/// One piece of a long list, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page<T> {
    /// The lines.
    pub lines: Vec<T>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<PageMark>,
}

/// The last line of a page; the next one begins after it. As text `<instant>_<record id>_<digest>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PageMark {
    pub(super) at: Timestamp,
    pub(super) record_id: RecordId,
    pub(super) sha256: Sha256,
}

impl fmt::Display for PageMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, record_id, sha256 } = self;
        write!(f, "{at:.9}_{record_id}_{sha256}")
    }
}

/// The text is no [`PageMark`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the mark of a page")]
pub struct NoPageMark;

impl TryFrom<String> for PageMark {
    type Error = NoPageMark;

    fn try_from(text: String) -> Result<Self, NoPageMark> {
        let mut parts = text.splitn(3, '_');
        let mut part = || parts.next().ok_or(NoPageMark);
        Ok(Self {
            at: part()?.parse().map_err(|_| NoPageMark)?,
            record_id: part()?.parse().map_err(|_| NoPageMark)?,
            sha256: part()?.parse().map_err(|_| NoPageMark)?,
        })
    }
}

impl From<PageMark> for String {
    fn from(mark: PageMark) -> Self {
        mark.to_string()
    }
}
