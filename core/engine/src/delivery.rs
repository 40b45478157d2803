use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tazune_link::{
    delivery::{BackOff, Delivery, Effect, Event},
    envelope::{Envelope, MAX_BATCH_BYTES, Refusal},
    front_api::{ApiError, HandIn},
    receipt::{ExpectedReceipt, ReceiptError, SignedReceipt},
    revocation::{Revocation, Revoked},
};
use tazune_model::{Clock, FailureCode, RecordId, StoreFault, Timestamp};
use tokio::time::{Instant, sleep};

use crate::{
    Device,
    error::{EngineError, FrontError},
    front_client::{CallError, FrontClient},
    keys::{file_fault, lock_file},
    pairing::{Pairing, paired, stored_pairing},
    store::{Database, Step, Store},
};

/// How long one question for receipts waits for the first, in [`Device::run_delivery`].
const RECEIPT_WAIT: Duration = Duration::from_secs(25);

/// Pause after a question that brought nothing, so that a front that does not wait is not asked in a tight loop.
const PAUSE: Duration = Duration::from_secs(1);

/// Pause after receipts that do not verify: the front offers them again at once.
const INVALID_RECEIPT_PAUSE: Duration = Duration::from_secs(60);

/// How often an idle queue looks whether a purge is due.
const IDLE_ROUND: Duration = Duration::from_secs(60 * 60);

/// How long one question for new certificates waits for the desk.
const RENEWAL_WAIT: Duration = Duration::from_secs(10);

/// A record without receipt is handed in again after this time, in case the front was restored from an older backup.
const HAND_IN_AGAIN: Duration = Duration::from_secs(6 * 60 * 60);

/// Bytes of a request around its envelopes, and between two of them.
const BATCH_FRAME_BYTES: usize = br#"{"envelopes":[]}"#.len();

/// When [`Device::run_delivery`] ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliverUntil {
    /// When no record is on its way any more: each is accepted, purged or quarantined.
    Idle,
    /// Never by itself.
    Forever,
}

/// Whether a record is on the device only, or not known to be at the clinic.
pub(crate) const fn is_undelivered(delivery: Delivery) -> bool {
    matches!(delivery, Delivery::Sealed | Delivery::Sending | Delivery::Received)
}

impl Device {
    /// Tries once, whatever the back-off says: hands in all that waits, then collects the receipts that come in time.
    ///
    /// It ends before `receipts_within` when there is nothing to wait for. The front is asked in any case, because it may
    /// have a word for this device.
    ///
    /// # Errors
    /// [`EngineError::Revoked`] when the device is revoked, however well that went on; otherwise every record is as safe as before, and [`Device::run_delivery`] tries again.
    pub async fn deliver_now(&self, receipts_within: Duration) -> Result<(), EngineError> {
        let outcome = self.deliver_once(receipts_within).await;
        self.note(outcome).await
    }

    /// Delivers in the background: at once when a record is sealed, again after a failure with growing pauses of up to
    /// an hour, for as long as it takes; purges what is due.
    ///
    /// It may be dropped at any time, and several may run, also in several processes.
    ///
    /// # Errors
    /// [`EngineError`] when it cannot begin, [`EngineError::NotPaired`] above all, and [`EngineError::Revoked`] when a
    /// revoked device has handed in all and nothing is left; a later failure is noted in the queue's status and tried
    /// again.
    pub async fn run_delivery(&self, until: DeliverUntil) -> Result<(), EngineError> {
        let mut courier = Courier::of(self).await?;
        let mut back_off = BackOff::default();
        let mut handed_in_again_at = Instant::now();
        loop {
            let is_again = handed_in_again_at.elapsed() >= HAND_IN_AGAIN;
            if is_again {
                handed_in_again_at = Instant::now();
            }
            let round = self.round(&courier, is_again, until).await;
            let round = self.heed(&courier.pairing, round).await;
            let mut next = self.note(round).await;
            if next.is_ok() && courier.is_revoked {
                if self.is_closed().await {
                    return self.note(Err(Revoked.into())).await;
                }
            } else if next.is_ok() {
                tokio::select! {
                    biased;
                    renewed = self.renew(RENEWAL_WAIT) => match self.note(renewed).await {
                        Ok(true) => courier = Courier::of(self).await?,
                        Err(error @ EngineError::Revoked(_)) => next = Err(error),
                        _ => {}
                    },
                    () = self.record_sealed() => next = Ok(Next::In(Duration::ZERO)),
                }
            }
            let pause = match next {
                Ok(Next::Idle) if until == DeliverUntil::Idle => return Ok(()),
                Ok(next) => {
                    back_off.reset();
                    next.pause()
                }
                Err(_) => {
                    // The device may have been paired anew; if not even that can be read, the old one tries again.
                    let was_revoked = courier.is_revoked;
                    match Courier::of(self).await {
                        Ok(fresh) => courier = fresh,
                        Err(error @ EngineError::Revoked(_)) => return self.note(Err(error)).await,
                        Err(_) => {}
                    }
                    // Whoever has just learned that the device is revoked hands in what it holds without waiting.
                    if courier.is_revoked && !was_revoked {
                        Duration::ZERO
                    } else {
                        back_off.after_failure(self.jitter())
                    }
                }
            };
            // Biased here and below: which of two that are ready goes first is then no matter of chance.
            tokio::select! {
                biased;
                () = self.record_sealed() => {}
                () = sleep(pause) => {}
            }
        }
    }

    async fn deliver_once(&self, receipts_within: Duration) -> Result<(), EngineError> {
        let was_revoked = self.go_on_with_revocation().await?.is_some();
        match self.deliver_as_it_stands(receipts_within).await {
            // Whoever has just learned that the device is revoked hands in what it holds without waiting.
            Err(EngineError::Revoked(_)) if !was_revoked => self.deliver_as_it_stands(receipts_within).await,
            outcome => outcome,
        }
    }

    async fn deliver_as_it_stands(&self, receipts_within: Duration) -> Result<(), EngineError> {
        let courier = Courier::of(self).await?;
        let outcome = self.exchange(&courier, receipts_within).await;
        self.heed(&courier.pairing, outcome).await?;
        if courier.is_revoked {
            self.go_on_with_revocation().await?;
            return Err(Revoked.into());
        }
        self.renew(RENEWAL_WAIT.min(receipts_within)).await.map(drop)
    }

    /// Takes the tombstone if the front showed one.
    pub(crate) async fn heed<T>(&self, pairing: &Pairing, outcome: Result<T, CallError>) -> Result<T, EngineError> {
        match outcome {
            Ok(value) => Ok(value),
            Err(CallError::Engine(error)) => Err(error),
            Err(CallError::Tombstone(tombstone)) => {
                self.take_tombstone(pairing, &tombstone).await?;
                Err(Revoked.into())
            }
        }
    }

    /// Goes on with a revocation, and says whether nothing is left.
    async fn is_closed(&self) -> bool {
        matches!(self.go_on_with_revocation().await, Ok(Some(Revocation::Finished) | None))
    }

    async fn exchange(&self, courier: &Courier, receipts_within: Duration) -> Result<(), CallError> {
        let has_asked = courier.hand_in(true).await?;
        if !has_asked && courier.awaited_receipts().await? == 0 {
            return courier.collect(Duration::ZERO).await.map(drop);
        }
        let end = Instant::now() + receipts_within;
        loop {
            let awaited_count = courier.awaited_receipts().await?;
            if awaited_count == 0 {
                break;
            }
            let left = end.saturating_duration_since(Instant::now());
            let collected = courier.collect(left).await?;
            // The front offers one that does not verify again and again; it must not end the wait for the others.
            if end <= Instant::now() || collected.invalid_count >= awaited_count {
                break;
            }
            if collected.verified_count == 0 {
                sleep(PAUSE.min(end.saturating_duration_since(Instant::now()))).await;
            }
        }
        Ok(())
    }

    /// Renews the certificates if it is time; of failures only the one that a person has to know of is one here.
    async fn renew(&self, wait: Duration) -> Result<bool, EngineError> {
        match self.renew_if_due(wait).await {
            Err(error)
                if !matches!(error, EngineError::Renewal(_) | EngineError::Revoked(_) | EngineError::Tombstone(_)) =>
            {
                tracing::info!(code = %error.failure_code(), "the certificate is renewed another time");
                Ok(false)
            }
            outcome => outcome,
        }
    }

    /// Hands in what waits and asks once for receipts; a record sealed meanwhile ends the wait for them.
    async fn round(&self, courier: &Courier, is_again: bool, until: DeliverUntil) -> Result<Next, CallError> {
        let has_asked = courier.hand_in(is_again).await?;
        if courier.awaited_receipts().await? == 0 {
            // Whoever hands in nothing must hear all the same that it is revoked.
            if !has_asked && until == DeliverUntil::Forever {
                courier.collect(Duration::ZERO).await?;
            }
            return Ok(Next::Idle);
        }
        let collected = tokio::select! {
            biased;
            collected = courier.collect(RECEIPT_WAIT) => collected?,
            () = self.record_sealed() => return Ok(Next::In(Duration::ZERO)),
        };
        Ok(match collected {
            Collected { invalid_count: 1.., .. } => Next::In(INVALID_RECEIPT_PAUSE),
            Collected { verified_count: 0, .. } => Next::In(PAUSE),
            Collected { .. } => Next::In(Duration::ZERO),
        })
    }

    /// Keeps a failure for the queue's status.
    async fn note<T>(&self, outcome: Result<T, EngineError>) -> Result<T, EngineError> {
        if let Err(error) = &outcome {
            let code = error.failure_code();
            tracing::warn!(%code, "delivery failed");
            // A store that cannot take this either is named by the next operation.
            let _ = self.store().run(move |database| database.note_failure(code).map_err(EngineError::from)).await;
        }
        outcome
    }
}

/// What a successful round leaves to do.
enum Next {
    /// Nothing is on its way.
    Idle,
    /// Receipts are still to come.
    In(Duration),
}

impl Next {
    const fn pause(self) -> Duration {
        match self {
            Self::Idle => IDLE_ROUND,
            Self::In(pause) => pause,
        }
    }
}

/// What a question for receipts brought.
#[derive(Clone, Copy, Debug, Default)]
struct Collected {
    verified_count: usize,
    invalid_count: usize,
}

/// Carries sealed records to the front and receipts back.
struct Courier {
    store: Store,
    front: FrontClient,
    pairing: Pairing,
    turn_path: PathBuf,
    clock: Arc<dyn Clock>,
    /// Whether it hands in for a device that knows that it is revoked.
    is_revoked: bool,
}

impl Courier {
    async fn of(device: &Device) -> Result<Self, EngineError> {
        let is_revoked = match device.go_on_with_revocation().await? {
            None => false,
            Some(Revocation::HandingIn) => true,
            Some(_) => return Err(Revoked.into()),
        };
        let pairing = device.store().run(if is_revoked { stored_pairing } else { paired }).await?;
        let front = device.front(&pairing);
        Ok(Self {
            store: device.store().clone(),
            front: if is_revoked { front.of_revoked() } else { front },
            is_revoked,
            pairing,
            turn_path: device.folder().join("delivery.lock"),
            clock: device.clock().clone(),
        })
    }

    /// Hands in all sealed records, oldest first, until none is left or the front fails; purges what is due.
    ///
    /// Says whether the front was asked anything.
    async fn hand_in(&self, is_again: bool) -> Result<bool, CallError> {
        // One at a time, so that a record in `Sending` was left behind by a killed process and not by a busy one.
        let _turn = Turn::take(&self.turn_path).await?;
        let (now, grace) = (self.clock.now(), self.purge_grace());
        let mut waiting = self.store.run(move |database| prepare(database, is_again, grace, now)).await?;
        let has_waiting = !waiting.is_empty();
        while !waiting.is_empty() {
            let listed = waiting;
            let batch = self.store.run(move |database| next_batch(database, listed, now)).await?;
            waiting = batch.left;
            if let Err(error) = self.send(&batch.envelopes).await {
                // Those with a result by now ignore it.
                self.advance(batch.envelopes.iter().map(|(id, _)| Step::new(*id, Event::SendFailed)).collect()).await?;
                return Err(error);
            }
        }
        Ok(has_waiting)
    }

    /// Sends one batch; when the front refuses it as a whole, each envelope alone, so that a bad one stops no other.
    async fn send(&self, batch: &[(RecordId, Envelope)]) -> Result<(), CallError> {
        if batch.is_empty() {
            return Ok(());
        }
        let results = match self.front.hand_in(batch).await {
            Ok(results) => results,
            Err(CallError::Engine(EngineError::Front(FrontError::Refused(
                error @ (ApiError::Malformed | ApiError::Oversized),
            )))) => {
                if batch.len() > 1 {
                    for alone in batch.chunks(1) {
                        Box::pin(self.send(alone)).await?;
                    }
                    return Ok(());
                }
                vec![HandIn::Refused(if error == ApiError::Oversized {
                    Refusal::Oversized
                } else {
                    Refusal::Malformed
                })]
            }
            Err(error) => return Err(error),
        };
        let is_unknown = results.contains(&HandIn::Refused(Refusal::UnknownDevice));
        let steps = batch.iter().zip(results).map(|((record_id, _), result)| {
            let event = match result {
                HandIn::Received | HandIn::Accepted => Event::FrontReceived,
                HandIn::Refused(refusal) => Event::FrontRefused(refusal),
            };
            Step::new(*record_id, event)
        });
        self.advance(steps.collect()).await?;
        if is_unknown {
            return Err(FrontError::Refused(ApiError::UnknownDevice).into());
        }
        Ok(self.note_answer(None).await?)
    }

    /// Asks once for receipts and keeps those that verify; only then the front may forget them.
    async fn collect(&self, wait: Duration) -> Result<Collected, CallError> {
        let receipts = self.front.receipts(wait).await?;
        let offered_count = receipts.len();
        let (pairing, now) = (self.pairing.clone(), self.clock.now());
        let verified = self.store.run(move |database| keep_verified(database, &pairing, receipts, now)).await?;
        let collected = Collected { verified_count: verified.len(), invalid_count: offered_count - verified.len() };
        if !verified.is_empty() {
            self.front.take_receipts(verified).await?;
        }
        let failure = (collected.invalid_count > 0).then(|| ReceiptError::Signature.failure_code());
        self.note_answer(failure).await?;
        Ok(collected)
    }

    /// How many records the front has and the clinic has not answered.
    async fn awaited_receipts(&self) -> Result<usize, EngineError> {
        let records = self.store.run(|database| database.records().map_err(EngineError::from)).await?;
        Ok(records.iter().filter(|record| record.delivery == Delivery::Received).count())
    }

    async fn advance(&self, steps: Vec<Step>) -> Result<(), EngineError> {
        let now = self.clock.now();
        self.store.run(move |database| advance(database, &steps, now)).await
    }

    async fn note_answer(&self, failure: Option<FailureCode>) -> Result<(), EngineError> {
        let now = self.clock.now();
        self.store.run(move |database| database.note_answer(failure, now).map_err(EngineError::from)).await
    }

    fn purge_grace(&self) -> Duration {
        Duration::from_secs(u64::from(self.pairing.settings.purge_after_hours) * 60 * 60)
    }
}

/// Brings back what a killed process left in `Sending`, purges what is due, and lists what is to be handed in.
fn prepare(
    database: &mut Database,
    is_again: bool,
    grace: Duration,
    now: Timestamp,
) -> Result<Vec<RecordId>, EngineError> {
    let steps: Vec<Step> = database
        .records()?
        .iter()
        .filter_map(|record| match record.delivery {
            Delivery::Sending => Some(Step::new(record.record_id, Event::Restarted)),
            Delivery::Accepted { .. } => Some(Step::new(record.record_id, Event::PurgeDue { grace })),
            _ => None,
        })
        .collect();
    advance(database, &steps, now)?;
    let is_wanted = |delivery, sealed_at: Timestamp| match delivery {
        Delivery::Sealed => true,
        Delivery::Received => is_again && sealed_at.checked_add(HAND_IN_AGAIN).is_ok_and(|due| due <= now),
        _ => false,
    };
    let records = database.records()?.into_iter();
    Ok(records.filter(|record| is_wanted(record.delivery, record.sealed_at)).map(|record| record.record_id).collect())
}

/// What one request takes, and what is left for the next.
struct Batch {
    envelopes: Vec<(RecordId, Envelope)>,
    left: Vec<RecordId>,
}

/// Splits off as many records as one request takes, and marks them as being sent.
fn next_batch(database: &mut Database, waiting: Vec<RecordId>, now: Timestamp) -> Result<Batch, EngineError> {
    let mut envelopes = Vec::new();
    let mut left = Vec::new();
    let mut steps = Vec::new();
    let mut bytes = BATCH_FRAME_BYTES;
    let mut waiting = waiting.into_iter();
    for record_id in waiting.by_ref() {
        let Some(stored) = database.envelope(record_id)? else { continue };
        // One byte for the comma.
        bytes += stored.len() + 1;
        if bytes > MAX_BATCH_BYTES && !envelopes.is_empty() {
            left.push(record_id);
            break;
        }
        steps.push(Step::new(record_id, Event::SendStarted));
        match Envelope::parse(&stored) {
            Ok(envelope) => envelopes.push((record_id, envelope)),
            // Damaged on this disk: set aside as the front would, so that it stops no other.
            Err(refusal) => steps.push(Step::new(record_id, Event::FrontRefused(refusal))),
        }
    }
    left.extend(waiting);
    advance(database, &steps, now)?;
    Ok(Batch { envelopes, left })
}

/// Verifies receipts against the envelopes as stored, commits them, and returns the records of those that verified.
fn keep_verified(
    database: &mut Database,
    pairing: &Pairing,
    receipts: Vec<SignedReceipt>,
    now: Timestamp,
) -> Result<Vec<RecordId>, EngineError> {
    let mut steps = Vec::new();
    for receipt in receipts {
        match verified_step(database, pairing, receipt)? {
            Ok(step) => steps.push(step),
            Err(error) => tracing::warn!(%error, "a receipt does not verify; the record is kept"),
        }
    }
    advance(database, &steps, now)?;
    Ok(steps.into_iter().map(|step| step.record_id).collect())
}

fn verified_step(
    database: &mut Database,
    pairing: &Pairing,
    receipt: SignedReceipt,
) -> Result<Result<Step, ReceiptError>, EngineError> {
    let record_id = match receipt.claimed_record_id() {
        Ok(record_id) => record_id,
        Err(error) => return Ok(Err(error)),
    };
    let Some(record) = database.record(record_id)? else { return Ok(Err(ReceiptError::AboutAnother)) };
    let expected = ExpectedReceipt {
        record_id,
        tenant: &pairing.tenant,
        device: &pairing.device_id,
        envelope_sha256: record.envelope_sha256,
    };
    Ok(receipt.verify(&pairing.receipt_key, &expected).map(|body| Step {
        record_id,
        event: Event::ReceiptVerified(body.verdict),
        receipt: Some(receipt),
    }))
}

fn advance(database: &mut Database, steps: &[Step], now: Timestamp) -> Result<(), EngineError> {
    for (record, effect) in database.advance(steps, now)? {
        if let Effect::Report(reason) = effect {
            tracing::warn!(%record, code = %reason.failure_code(), "a record was set aside");
        }
    }
    Ok(())
}

/// The right to hand in, or to go on with a revocation, one at a time among all processes of this device; the system takes it back from a killed one.
pub(crate) struct Turn {
    _file: File,
}

impl Turn {
    pub(crate) async fn take(path: &Path) -> Result<Self, StoreFault> {
        let file = lock_file(path).map_err(|error| file_fault(&error))?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _file: file }),
                Err(TryLockError::WouldBlock) => sleep(Duration::from_millis(50)).await,
                Err(TryLockError::Error(error)) => return Err(file_fault(&error)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use tazune_link::{delivery::Reason, envelope::MAX_ENVELOPE_BYTES, front_api::EnvelopesRequest, keys::sha256};

    use super::*;
    use crate::{
        clock::system_generator,
        keys::{KeyStore, MemoryKeyStore},
        store::DraftId,
    };

    fn now() -> Timestamp {
        "2026-11-21T01:00:00Z".parse().unwrap()
    }

    fn database(folder: &Path, envelopes: impl IntoIterator<Item = Vec<u8>>) -> Database {
        let keys = MemoryKeyStore::new();
        keys.make_keys().unwrap();
        let mut database = Database::open(&folder.join("device.db"), Arc::new(keys)).unwrap();
        for (number, bytes) in envelopes.into_iter().enumerate() {
            let draft = DraftId::make(&mut system_generator());
            database.add_draft(&draft, b"plain", now()).unwrap();
            let record_id = RecordId::make(now(), &[u8::try_from(number).unwrap(); 10]);
            database.insert_sealed(record_id, now(), &bytes, sha256(&bytes), &draft).unwrap();
        }
        database
    }

    /// Something of an envelope's shape and of exactly this length.
    fn envelope(length: usize) -> Vec<u8> {
        let frame = |text: &str| format!(r#"{{"header":"","encapsulated":"","sealed":"{text}","signature":""}}"#);
        let text_length = (length - frame("").len()) / 4 * 4;
        frame(&"A".repeat(text_length)).into_bytes()
    }

    fn batches(database: &mut Database) -> Vec<Vec<(RecordId, Envelope)>> {
        let mut waiting = prepare(database, false, Duration::ZERO, now()).unwrap();
        let mut batches = Vec::new();
        while !waiting.is_empty() {
            let batch = next_batch(database, waiting, now()).unwrap();
            waiting = batch.left;
            batches.push(batch.envelopes);
        }
        batches
    }

    #[test]
    fn a_batch_is_as_large_as_a_request_may_be_and_no_larger() {
        let folder = tempfile::tempdir().unwrap();
        let mut database = database(folder.path(), (0..20).map(|_| envelope(MAX_ENVELOPE_BYTES)));
        let batches = batches(&mut database);
        let sent: BTreeSet<RecordId> = batches.iter().flatten().map(|(record_id, _)| *record_id).collect();
        assert_eq!(sent.len(), 20, "each is in a batch");
        assert_eq!(batches.iter().map(Vec::len).sum::<usize>(), 20, "and only in one");
        for batch in &batches {
            let request = EnvelopesRequest { envelopes: batch.iter().map(|(_, envelope)| envelope.clone()).collect() };
            assert!(serde_json::to_vec(&request).unwrap().len() <= MAX_BATCH_BYTES);
        }
        assert!(batches.len() <= 3, "7 or 8 of a megabyte fit");
    }

    #[test]
    fn a_record_damaged_on_the_disk_is_set_aside_and_blocks_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let envelopes = [envelope(1000), b"no envelope".to_vec(), envelope(1000)];
        let mut database = database(folder.path(), envelopes);
        assert_eq!(batches(&mut database).iter().map(Vec::len).sum::<usize>(), 2);
        let deliveries: Vec<_> = database.records().unwrap().iter().map(|record| record.delivery).collect();
        let reason = Reason::Front(Refusal::Malformed);
        assert_eq!(deliveries, [Delivery::Sending, Delivery::Quarantined { reason }, Delivery::Sending]);
    }

    #[test]
    fn only_what_a_killed_process_left_behind_is_brought_back() {
        let folder = tempfile::tempdir().unwrap();
        let mut database = database(folder.path(), [envelope(1000), envelope(1000)]);
        assert_eq!(batches(&mut database).len(), 1);
        let waiting = prepare(&mut database, false, Duration::ZERO, now()).unwrap();
        assert_eq!(waiting.len(), 2);
        let (first, other) = (waiting[0], waiting[1]);
        let received = [Step::new(first, Event::SendStarted), Step::new(first, Event::FrontReceived)];
        advance(&mut database, &received, now()).unwrap();
        assert_eq!(prepare(&mut database, true, Duration::ZERO, now()).unwrap(), [other]);
    }
}
