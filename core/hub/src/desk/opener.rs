use std::sync::Arc;

use tazune_link::{
    V1,
    envelope::{Envelope, EnvelopeHeader, Refusal, open},
    front_api::{DeskReceipt, DeviceStanding},
    keys::OpeningKey,
    receipt::{QuarantineReason, ReceiptBody, SignedReceipt, UnsignedReceipt, Verdict},
};
use tazune_model::{Bytes, Clock, DeviceId, InstitutionCode, RecordedOutcome, Sha256, Timestamp, VisitRecord};

use super::keys::ReceiptKey;
use crate::{
    store::{AcceptedContent, DeskStore, JudgedEnvelope, NewExport, OutcomeKind, PairedDevice, Seen, StoreError},
    telemetry::word,
};

/// Opens envelopes, commits what is in them, and says so in a signed receipt.
///
/// Record, receipt and face file are one transaction, and a receipt leaves the desk only after it. The envelope itself is
/// kept: it carries both signatures of the device, and only the clinic's key opens it.
pub(super) struct Opener {
    pub(super) institution: InstitutionCode,
    pub(super) clinic_key: OpeningKey,
    pub(super) receipt_key: Arc<ReceiptKey>,
    pub(super) store: Arc<dyn DeskStore>,
    pub(super) clock: Arc<dyn Clock>,
}

impl Opener {
    /// Judges an envelope; the same one again gets its receipt. `None` when it names no record to answer for.
    ///
    /// What a revoked device hands in is set aside unopened; `revoked` are those that the front takes for revoked.
    ///
    /// # Errors
    /// [`StoreError`]: nothing was committed, and the envelope is to be judged again.
    pub(super) async fn judge(&self, bytes: Bytes, revoked: &[DeviceId]) -> Result<Option<DeskReceipt>, StoreError> {
        let Ok((envelope, header)) = read(&bytes) else {
            tracing::error!("the front offers an envelope without a readable header");
            return Ok(None);
        };
        let sha256 = envelope.sha256();
        let is_replayed = match self.store.seen(header.record_id, sha256).await? {
            Seen::Answered(receipt) => return Ok(Some(addressed(header, receipt))),
            Seen::OtherAccepted => true,
            Seen::Never => false,
        };
        let device = self.store.device(&header.device).await?;
        // The front's word counts too: a desk that was restored may have forgotten its own.
        let is_revoked = revoked.contains(&header.device)
            || device.as_ref().is_some_and(|device| device.standing == DeviceStanding::Revoked);
        let judged = match is_revoked {
            true => Err(QuarantineReason::DeviceRevoked),
            false if is_replayed => Err(QuarantineReason::Replayed),
            false => self.open(&envelope, &header, device),
        };
        let reason = match judged {
            Ok(record) => {
                let envelope = self.judged(bytes.clone(), &header, sha256, Verdict::Accepted);
                let (receipt, content) = (envelope.receipt.clone(), content(&record, envelope.at));
                if self.store.accept(envelope, content).await? {
                    metrics::counter!("tazune_records_accepted_total").increment(1);
                    tracing::info!(record = %header.record_id, device = %header.device, "record accepted");
                    return Ok(Some(addressed(header, receipt)));
                }
                // Revoked while it was opened.
                QuarantineReason::DeviceRevoked
            }
            Err(reason) => reason,
        };
        let envelope = self.judged(bytes, &header, sha256, Verdict::Quarantined { reason });
        let receipt = envelope.receipt.clone();
        self.store.quarantine(envelope, reason).await?;
        metrics::counter!("tazune_records_quarantined_total", "reason" => word(&reason)).increment(1);
        let code = reason.failure_code();
        tracing::warn!(record = %header.record_id, device = %header.device, %code, ?reason, "set aside");
        Ok(Some(addressed(header, receipt)))
    }

    /// Opens an envelope that was set aside, as if it had come from an active device.
    pub(super) async fn reopen(
        &self,
        bytes: Bytes,
    ) -> Result<Result<(JudgedEnvelope, AcceptedContent), QuarantineReason>, StoreError> {
        let Ok((envelope, header)) = read(&bytes) else { return Ok(Err(QuarantineReason::Malformed)) };
        let device = self.store.device(&header.device).await?;
        let record = match self.open(&envelope, &header, device) {
            Ok(record) => record,
            Err(reason) => return Ok(Err(reason)),
        };
        let judged = self.judged(bytes, &header, envelope.sha256(), Verdict::Accepted);
        let content = content(&record, judged.at);
        Ok(Ok((judged, content)))
    }

    fn judged(&self, bytes: Bytes, header: &EnvelopeHeader, sha256: Sha256, verdict: Verdict) -> JudgedEnvelope {
        let at = self.clock.now();
        JudgedEnvelope {
            record_id: header.record_id,
            device: header.device.clone(),
            sha256,
            envelope: bytes,
            receipt: self.sign(header, sha256, verdict, at),
            at,
        }
    }

    /// Opens an envelope of a device that the desk knows as `device`, if it knows it.
    fn open(
        &self,
        envelope: &Envelope,
        header: &EnvelopeHeader,
        device: Option<PairedDevice>,
    ) -> Result<VisitRecord, QuarantineReason> {
        if header.tenant != self.institution {
            return Err(QuarantineReason::Misaddressed);
        }
        let device = device.ok_or(QuarantineReason::UnknownDevice)?;
        open(&self.clinic_key, envelope, &device.device_key).map_err(QuarantineReason::from)
    }

    fn sign(&self, header: &EnvelopeHeader, sha256: Sha256, verdict: Verdict, at: Timestamp) -> SignedReceipt {
        let unsigned = UnsignedReceipt::new(&ReceiptBody {
            version: V1,
            record_id: header.record_id,
            tenant: header.tenant.clone(),
            device: header.device.clone(),
            envelope_sha256: sha256,
            verdict,
            at,
        });
        let signature = self.receipt_key.sign(&unsigned.bytes_to_sign());
        unsigned.sign(signature.into())
    }
}

fn read(bytes: &Bytes) -> Result<(Envelope, EnvelopeHeader), Refusal> {
    let envelope = Envelope::parse(bytes.as_slice())?;
    let header = envelope.header()?;
    Ok((envelope, header))
}

fn addressed(header: EnvelopeHeader, receipt: SignedReceipt) -> DeskReceipt {
    DeskReceipt { record_id: header.record_id, device: header.device, receipt }
}

/// What of a record goes into the list, and the face file: for an answer that can be read, whatever its validity.
fn content(record: &VisitRecord, at: Timestamp) -> AcceptedContent {
    let plain = |outcome| AcceptedContent { outcome, validity: None, export: NewExport::NotDue };
    let answer = match &record.outcome {
        RecordedOutcome::Answer { answer, .. } => answer,
        RecordedOutcome::Deferred { .. } => return plain(OutcomeKind::Deferred),
        RecordedOutcome::Trouble { .. } => return plain(OutcomeKind::Trouble),
        RecordedOutcome::PersonMismatch => return plain(OutcomeKind::PersonMismatch),
    };
    let Ok(message) = tazune_oqs::parse(answer.document.as_slice()) else {
        return AcceptedContent { outcome: OutcomeKind::Answer, validity: None, export: NewExport::Unreadable };
    };
    AcceptedContent {
        outcome: OutcomeKind::Answer,
        validity: message.eligibility().ok().and_then(|eligibility| eligibility.validity),
        export: NewExport::File {
            name: tazune_oqs::face_file_name(&record.institution, record.record_id, at),
            content: Bytes(tazune_oqs::face_file(&message, record.record_id)),
        },
    }
}
