use std::sync::Arc;

use tazune_link::receipt::QuarantineReason;
use tazune_model::{Clock, RecordId, Sha256};
use tokio::sync::Notify;

use super::{decision::DecisionError, face::FaceExporter, opener::Opener};
use crate::{
    Random,
    store::{Decided, Decision, DeskStore, Page, PageMark, Reason, Rejection, SetAside, SetAsideSummary, StoreError},
};

/// Most lines of one page of a list.
pub(super) const PAGE_LINES: u32 = 500;

/// The envelopes that were set aside, and what a person decides about them.
pub(crate) struct SetAsides {
    pub(super) opener: Arc<Opener>,
    pub(super) store: Arc<dyn DeskStore>,
    pub(super) exporter: Arc<FaceExporter>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) random: Random,
    /// Rung when the dialler has a receipt to say.
    pub(super) news: Arc<Notify>,
}

impl SetAsides {
    /// One page of them, oldest first.
    pub(crate) async fn list(&self, after: Option<PageMark>) -> Result<Page<SetAsideSummary>, StoreError> {
        self.store.set_asides(after, PAGE_LINES).await
    }

    /// Takes an envelope as if its device were active: record, receipt and face file are committed together.
    pub(crate) async fn accept(
        &self,
        record: RecordId,
        sha256: Option<Sha256>,
    ) -> Result<SetAsideSummary, DecisionError> {
        let found = self.find(record, sha256).await?;
        let decided = match found.summary.decision {
            Some(before) => Decided::Before(before),
            None => {
                let (envelope, content) = self
                    .opener
                    .reopen(found.envelope.clone())
                    .await?
                    .map_err(|reason| DecisionError::Unopened(record, words(reason)))?;
                self.store.accept_set_aside(envelope, content, self.reason(String::new())).await?
            }
        };
        settled(record, decided, Decision::Accepted)?;
        self.exporter.wake();
        self.news.notify_one();
        self.again(record, found).await
    }

    /// Turns an envelope down; bytes and reason are kept.
    pub(crate) async fn reject(
        &self,
        record: RecordId,
        sha256: Option<Sha256>,
        reason: String,
    ) -> Result<SetAsideSummary, DecisionError> {
        let found = self.find(record, sha256).await?;
        let rejection = Rejection {
            record_id: record,
            sha256: found.summary.sha256,
            device: found.summary.device.clone(),
            reason: self.reason(reason),
            at: self.clock.now(),
        };
        settled(record, self.store.reject_set_aside(rejection).await?, Decision::Rejected)?;
        self.again(record, found).await
    }

    /// The one envelope that is meant: of several the one that is undecided.
    async fn find(&self, record: RecordId, sha256: Option<Sha256>) -> Result<SetAside, DecisionError> {
        let mut found = self.store.set_aside_under(record).await?;
        found.retain(|one| sha256.is_none_or(|sha256| one.summary.sha256 == sha256));
        if found.len() > 1 && found.iter().filter(|one| one.summary.decision.is_none()).count() == 1 {
            found.retain(|one| one.summary.decision.is_none());
        }
        match found.len() {
            0 => Err(DecisionError::UnknownRecord(record)),
            1 => Ok(found.remove(0)),
            _ => Err(DecisionError::Several(record)),
        }
    }

    fn reason(&self, text: String) -> Reason {
        Reason { text, salt: self.random.bytes() }
    }

    async fn again(&self, record: RecordId, found: SetAside) -> Result<SetAsideSummary, DecisionError> {
        Ok(self.find(record, Some(found.summary.sha256)).await?.summary)
    }
}

fn settled(record: RecordId, decided: Decided, wanted: Decision) -> Result<(), DecisionError> {
    match decided {
        Decided::Done => {
            tracing::warn!(%record, ?wanted, "an envelope that was set aside is decided");
            Ok(())
        }
        Decided::Before(before) if before == wanted => Ok(()),
        Decided::Before(before) => Err(DecisionError::Otherwise { record, before }),
        Decided::OtherAccepted => Err(DecisionError::OtherAccepted(record)),
        Decided::Unknown => Err(DecisionError::UnknownRecord(record)),
    }
}

const fn words(reason: QuarantineReason) -> &'static str {
    match reason {
        QuarantineReason::Malformed => "it, or the record inside, cannot be read",
        QuarantineReason::WrongKey => "it is sealed to a key that this desk does not hold",
        QuarantineReason::Altered => "a signature does not verify, or the seal is broken",
        QuarantineReason::Misaddressed => "it is for another clinic, or the record inside is another one",
        QuarantineReason::UnknownDevice => "this desk does not know its device",
        QuarantineReason::Replayed => "another envelope is this record",
        QuarantineReason::DeviceRevoked => "its device is revoked",
    }
}
