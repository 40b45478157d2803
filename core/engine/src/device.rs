use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use rand::RngExt;
use serde::Serialize;
use tazune_link::{
    delivery::Delivery,
    envelope::{self, EnvelopeHeader},
    record::UnsignedRecord,
};
use tazune_model::{Bytes, Clock, FailureCode, RecordId, StoreFault, Timestamp};
use tazune_visit::{UnsealedVisit, Visit};
use tokio::sync::Notify;
use zeroize::Zeroizing;

use crate::{
    clock::system_generator,
    error::EngineError,
    front_client::FrontClient,
    keys::{KeyStore, Keys, TimedKeyStore, create_private_folder, file_fault},
    pairing::{Pairing, paired},
    ports::{Ports, Worker},
    store::{Database, DraftId, RevocationStatus, Store},
};

/// Where a device keeps its data, and what it is given from outside.
#[derive(Clone)]
pub struct DeviceConfig {
    /// The device's own folder; made if it is not there.
    pub folder: PathBuf,
    /// The key store; one that does not answer in time holds nothing up.
    pub keys: Arc<dyn KeyStore>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}

/// The device (端末): drafts, sealed records and their delivery, pairing.
///
/// Whatever a method that writes has returned `Ok` for survives a kill. Several processes may open the same folder.
pub struct Device {
    config: DeviceConfig,
    ports: Ports,
    store: Store,
    sealed: Notify,
}

impl Device {
    /// Opens the device in its folder.
    ///
    /// # Errors
    /// [`EngineError::Store`] when the database is newer, damaged (it was copied aside) or cannot be used.
    pub async fn open(mut config: DeviceConfig) -> Result<Self, EngineError> {
        config.keys = Arc::new(TimedKeyStore::new(config.keys));
        Self::open_with(config, Ports::system()).await
    }

    /// Opens the device in its folder, with threads, network and randomness of the caller's, and with keys that are
    /// always answered for at once.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_with(config: DeviceConfig, ports: Ports) -> Result<Self, EngineError> {
        create_private_folder(&config.folder).map_err(|error| file_fault(&error))?;
        let database = config.folder.join("device.db");
        let store = Store::open(database, config.keys.clone(), ports.worker.clone()).await?;
        let device = Self { config, ports, store, sealed: Notify::new() };
        // A device that was killed while it was being revoked goes on; it takes nothing new, whether that succeeds or not.
        if let Err(error) = device.go_on_with_revocation().await {
            tracing::warn!(code = %error.failure_code(), "a step of the revocation has to be repeated");
        }
        Ok(device)
    }

    /// The drafts, longest untouched first, with the instant of their last change.
    ///
    /// # Errors
    /// [`EngineError::Store`].
    pub async fn drafts(&self) -> Result<Vec<(DraftId, Timestamp)>, EngineError> {
        self.store.run(|database| Ok(database.drafts()?)).await
    }

    /// Saves a visit for the first time, encrypted.
    ///
    /// # Errors
    /// [`EngineError`] when the store or the staff key cannot be used.
    pub async fn add_visit(&self, draft: &DraftId, visit: &Visit) -> Result<(), EngineError> {
        let (draft, plain, now) = (draft.clone(), plain(visit), self.now());
        self.store.run(move |database| Ok(database.add_draft(&draft, &plain, now)?)).await
    }

    /// Saves a visit, encrypted, in place of what was saved under this id.
    ///
    /// # Errors
    /// [`EngineError`] when the store or the staff key cannot be used; [`StoreFault::Failed`] when nothing is saved
    /// under this id any more: a visit that was sealed or thrown away does not come back.
    pub async fn save_visit(&self, draft: &DraftId, visit: &Visit) -> Result<(), EngineError> {
        let (draft, plain, now) = (draft.clone(), plain(visit), self.now());
        self.store.run(move |database| Ok(database.replace_draft(&draft, &plain, now)?)).await
    }

    /// Reads a saved visit.
    ///
    /// # Errors
    /// [`StoreFault::Failed`] when there is none, [`StoreFault::Damaged`] when it was altered or is of another version.
    pub async fn load_visit(&self, draft: &DraftId) -> Result<Visit, EngineError> {
        let draft = draft.clone();
        let plain = self.store.run(move |database| Ok::<_, EngineError>(database.load_draft(&draft)?)).await?;
        let plain = plain.ok_or(StoreFault::Failed)?;
        Ok(serde_json::from_slice(&plain).map_err(|_| StoreFault::Damaged)?)
    }

    /// Deletes a saved visit.
    ///
    /// # Errors
    /// [`EngineError::Store`].
    pub async fn discard_visit(&self, draft: &DraftId) -> Result<(), EngineError> {
        let draft = draft.clone();
        self.store.run(move |database| Ok(database.delete_draft(&draft)?)).await
    }

    /// Seals a finished visit to the clinic and puts it into the queue in place of its draft.
    ///
    /// "Saved" (保存済み) may be shown once this returned; this device cannot read the record from then on, or from the
    /// next opening when it is killed in that moment.
    ///
    /// # Errors
    /// [`EngineError`]; the draft is then still there. A draft that was sealed before is [`StoreFault::Failed`].
    pub async fn seal(&self, visit: UnsealedVisit, draft: &DraftId) -> Result<RecordId, EngineError> {
        let (keys, draft, now) = (self.keys().clone(), draft.clone(), self.now());
        let record_id = self.store.run(move |database| seal(database, &keys, visit, &draft, now)).await?;
        // The drafts' key is still here: with the draft's bytes, the record could be read.
        self.store.wipe_log_soon();
        self.sealed.notify_one();
        Ok(record_id)
    }

    /// The queue as it is now.
    ///
    /// # Errors
    /// [`EngineError::Store`].
    pub async fn queue(&self) -> Result<QueueStatus, EngineError> {
        let has_insecure_file_keys = self.has_insecure_file_keys();
        self.store.run(move |database| queue(database, has_insecure_file_keys)).await
    }

    /// Whether the keys lie in plain files, which is said wherever a person works.
    #[must_use]
    pub fn has_insecure_file_keys(&self) -> bool {
        self.keys().is_insecure()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.config.clock.now()
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.config.clock
    }

    pub(crate) fn keys(&self) -> &Keys {
        &self.config.keys
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.config.folder
    }

    /// A client of the front that `pairing` names.
    pub(crate) fn front(&self, pairing: &Pairing) -> FrontClient {
        match &self.ports.front {
            Some(port) => FrontClient::over(port.clone()),
            None => pairing.front(self.keys()),
        }
    }

    /// Random bits for the pause before the next try.
    pub(crate) fn jitter(&self) -> u32 {
        (self.ports.jitter)()
    }

    pub(crate) fn worker(&self) -> &Worker {
        &self.ports.worker
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// Ends when a record was sealed by this object since the last time this ended.
    pub(crate) async fn record_sealed(&self) {
        self.sealed.notified().await;
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Device")
    }
}

/// The queue as the staff see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct QueueStatus {
    /// Every record that is still on the device, oldest first.
    pub records: Vec<QueuedRecord>,
    /// How many records were purged after the clinic accepted them.
    pub purged_count: u32,
    /// How many visits are not sealed yet.
    pub draft_count: usize,
    /// When the hub last answered well; a try without success does not count.
    pub last_success_at: Option<Timestamp>,
    /// What went wrong since.
    pub last_failure: Option<FailureCode>,
    /// Whether the keys lie in plain files; shown in every status line.
    pub has_insecure_file_keys: bool,
    /// How far the device is if the clinic has revoked it.
    pub revocation: Option<RevocationStatus>,
}

/// One record of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct QueuedRecord {
    /// Its id.
    pub record_id: RecordId,
    /// When it was sealed, on the device's clock.
    pub sealed_at: Timestamp,
    /// Where it is.
    pub delivery: Delivery,
}

impl QueueStatus {
    /// How many records the front does not have.
    #[must_use]
    pub fn unsent_count(&self) -> usize {
        self.count(|delivery| matches!(delivery, Delivery::Sealed | Delivery::Sending))
    }

    /// How many records the front has and the clinic has not answered.
    #[must_use]
    pub fn received_count(&self) -> usize {
        self.count(|delivery| delivery == Delivery::Received)
    }

    /// How many records the clinic has, and the device still.
    #[must_use]
    pub fn accepted_count(&self) -> usize {
        self.count(|delivery| matches!(delivery, Delivery::Accepted { .. }))
    }

    /// How many records were set aside and need a person.
    #[must_use]
    pub fn quarantined_count(&self) -> usize {
        self.count(|delivery| matches!(delivery, Delivery::Quarantined { .. }))
    }

    fn count(&self, is_counted: impl Fn(Delivery) -> bool) -> usize {
        self.records.iter().filter(|record| is_counted(record.delivery)).count()
    }
}

/// A visit as it is encrypted.
fn plain(visit: &Visit) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(serde_json::to_vec(visit).expect("a visit is plain fields"))
}

/// The record gets its id, is signed, sealed, signed again for the front, and committed.
fn seal(
    database: &mut Database,
    keys: &Keys,
    visit: UnsealedVisit,
    draft: &DraftId,
    now: Timestamp,
) -> Result<RecordId, EngineError> {
    let pairing = paired(database)?;
    let mut generator = system_generator();
    let record_id = RecordId::make(now, &generator.random());
    let record = visit.finish(record_id, now);
    let unsigned = UnsignedRecord::new(&record);
    let signature = keys.sign(&unsigned.bytes_to_sign())?;
    let signed = unsigned.sign(Bytes(signature));
    let header = EnvelopeHeader::new(&pairing.clinic_key, &record);
    let unsigned = envelope::seal(&pairing.clinic_key, header, &signed, &mut generator)?;
    let signature = keys.sign(&unsigned.bytes_to_sign())?;
    let envelope = unsigned.sign(Bytes(signature));
    database.insert_sealed(record_id, now, &envelope.to_bytes(), envelope.sha256(), draft)?;
    Ok(record_id)
}

fn queue(database: &mut Database, has_insecure_file_keys: bool) -> Result<QueueStatus, EngineError> {
    let records = database.records()?.into_iter().map(|record| QueuedRecord {
        record_id: record.record_id,
        sealed_at: record.sealed_at,
        delivery: record.delivery,
    });
    let exchange = database.exchange()?;
    Ok(QueueStatus {
        records: records.collect(),
        purged_count: database.purged_count()?,
        draft_count: database.drafts()?.len(),
        last_success_at: exchange.last_success_at,
        last_failure: exchange.last_failure,
        has_insecure_file_keys,
        revocation: database.revocation()?,
    })
}
