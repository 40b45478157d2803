use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use tazune_engine::{EngineError, Personal, StaffId, SystemClock};

use crate::{
    CardPort, Failure, KeyStore, TazuneError, VisitSession,
    cancel::Cancel,
    card::ForeignCard,
    error::texts,
    keys::ForeignKeys,
    screen::{Language, system_time},
};

pub use tazune_engine::{DeliverUntil, Sex};

/// The sex that is registered (性別).
#[uniffi::remote(Enum)]
pub enum Sex {
    Male,
    Female,
    NotSet,
}

/// When delivery in the background ends: when nothing is on its way any more, or never by itself.
#[uniffi::remote(Enum)]
pub enum DeliverUntil {
    Idle,
    Forever,
}

/// The device (端末): pairing, drafts, sealed records and their delivery.
///
/// Whatever a method that writes has returned without an error for survives a kill.
#[derive(uniffi::Object)]
pub struct Device {
    engine: Arc<tazune_engine::Device>,
    /// For failures.
    language: Language,
    cancel: Cancel,
}

#[uniffi::export(async_runtime = "tokio")]
impl Device {
    /// Opens the device in its own folder, which is made if it is not there; failures are explained in `language`.
    ///
    /// # Errors
    /// [`TazuneError::Failed`] when the database is newer, damaged or cannot be used.
    #[uniffi::constructor]
    pub async fn open(folder: String, keys: Arc<dyn KeyStore>, language: Language) -> Result<Self, TazuneError> {
        let config = tazune_engine::DeviceConfig {
            folder: PathBuf::from(folder),
            keys: Arc::new(ForeignKeys(keys)),
            clock: Arc::new(SystemClock),
        };
        let engine = tazune_engine::Device::open(config).await;
        let engine = engine.map_err(|error| TazuneError::of_engine(error, language))?;
        Ok(Self { engine: Arc::new(engine), language, cancel: Cancel::default() })
    }

    /// The clinic this device belongs to.
    ///
    /// # Errors
    /// [`TazuneError::Failed`] when there is none.
    pub async fn pairing(&self) -> Result<Paired, TazuneError> {
        self.engine.pairing().await.map(Paired::from).map_err(self.failed())
    }

    /// Answers the offer of a scanned code; the clinic decides, see [`PairingAttempt::finish`].
    ///
    /// # Errors
    /// [`TazuneError::Failed`]; the device is then as it was, and a new offer is needed.
    pub async fn pair(&self, offer: String, about: AboutDevice) -> Result<PairingAttempt, TazuneError> {
        let (engine, failed) = (self.engine.clone(), self.failed());
        let attempt = self.cancel.or(async move { engine.pair(&offer, about.into()).await.map_err(failed) }).await?;
        let code = attempt.code().digits();
        Ok(PairingAttempt {
            attempt: Mutex::new(Some(attempt)),
            code,
            language: self.language,
            cancel: Cancel::default(),
        })
    }

    /// Begins a visit, with a reader for its card and the language its screens begin in.
    ///
    /// # Errors
    /// [`TazuneError::Failed`] when the device is not paired; [`TazuneError::Malformed`] for the id of the staff, which has 1 to 64
    /// characters of `a-z A-Z 0-9 - _ .`, and the patient's birth date.
    pub async fn begin_visit(
        &self,
        staff: String,
        patient: Option<PlannedPatient>,
        language: Language,
        card: Arc<dyn CardPort>,
    ) -> Result<VisitSession, TazuneError> {
        let (staff, patient) = (StaffId::new(staff)?, patient.map(TryInto::try_into).transpose()?);
        let session = self.engine.begin_visit(staff, patient, language, Box::new(ForeignCard(card))).await;
        session.map(VisitSession).map_err(self.failed())
    }

    /// Goes on with a visit that was not finished.
    ///
    /// # Errors
    /// [`TazuneError::Failed`] when the draft is gone or cannot be opened; [`TazuneError::Malformed`] for what is no draft's id.
    pub async fn resume_visit(&self, draft: String, card: Arc<dyn CardPort>) -> Result<VisitSession, TazuneError> {
        let session = self.engine.resume_visit(draft.parse()?, Box::new(ForeignCard(card))).await;
        session.map(VisitSession).map_err(self.failed())
    }

    /// The visits that are not sealed yet, longest untouched first.
    ///
    /// # Errors
    /// [`TazuneError::Failed`] when the store cannot be read.
    pub async fn drafts(&self) -> Result<Vec<Draft>, TazuneError> {
        let drafts = self.engine.drafts().await.map_err(self.failed())?;
        Ok(drafts.into_iter().map(|(id, at)| Draft { id: id.to_string(), saved_at: system_time(at) }).collect())
    }

    /// Deletes a visit that is not sealed.
    ///
    /// # Errors
    /// [`TazuneError::Failed`] when the store cannot be written; [`TazuneError::Malformed`] for what is no draft's id.
    pub async fn discard_visit(&self, draft: String) -> Result<(), TazuneError> {
        self.engine.discard_visit(&draft.parse()?).await.map_err(self.failed())
    }

    /// The queue as it is now.
    ///
    /// # Errors
    /// [`TazuneError::Failed`] when the store cannot be read.
    pub async fn queue(&self) -> Result<Queue, TazuneError> {
        self.engine.queue().await.map(|queue| Queue::new(queue, self.language)).map_err(self.failed())
    }

    /// Tries once to send all that waits, then collects the receipts that come in time.
    ///
    /// # Errors
    /// [`TazuneError::Failed`]; every record is as safe as before. [`TazuneError::Cancelled`].
    pub async fn deliver_now(&self, receipts_within: Duration) -> Result<(), TazuneError> {
        let (engine, failed) = (self.engine.clone(), self.failed());
        self.cancel.or(async move { engine.deliver_now(receipts_within).await.map_err(failed) }).await
    }

    /// Delivers in the background, for as long as it takes; a failure is noted in the queue's status and tried again.
    ///
    /// # Errors
    /// [`TazuneError::Failed`] when it cannot begin. [`TazuneError::Cancelled`].
    pub async fn run_delivery(&self, until: DeliverUntil) -> Result<(), TazuneError> {
        let (engine, failed) = (self.engine.clone(), self.failed());
        self.cancel.or(async move { engine.run_delivery(until).await.map_err(failed) }).await
    }

    /// Ends the calls of this object that wait for the network: deliveries, and the beginning of a pairing.
    pub fn cancel(&self) {
        self.cancel.cancel();
    }
}

impl Device {
    fn failed(&self) -> impl Fn(EngineError) -> TazuneError + use<> {
        let language = self.language;
        move |error| TazuneError::of_engine(error, language)
    }
}

/// A pairing that waits for the clinic; dropping it ends it.
#[derive(uniffi::Object)]
pub struct PairingAttempt {
    attempt: Mutex<Option<tazune_engine::PairingAttempt>>,
    code: String,
    language: Language,
    cancel: Cancel,
}

#[uniffi::export(async_runtime = "tokio")]
impl PairingAttempt {
    /// The six digits to show: the admin types them at the clinic.
    pub fn code(&self) -> String {
        self.code.clone()
    }

    /// Waits, 5 minutes at most, until the clinic has decided, and keeps what it gave. It can be asked once.
    ///
    /// # Errors
    /// [`TazuneError::Failed`] when the clinic did not approve; [`TazuneError::Cancelled`]; [`TazuneError::Over`] when it was asked or
    /// cancelled before.
    pub async fn finish(&self) -> Result<Paired, TazuneError> {
        let (attempt, language) = (self.take().ok_or(TazuneError::Over)?, self.language);
        let failed = move |error| TazuneError::of_engine(error, language);
        self.cancel.or(async move { attempt.finish().await.map(Paired::from).map_err(failed) }).await
    }

    /// Ends the attempt; the device stays as it was.
    pub fn cancel(&self) {
        self.cancel.cancel();
        drop(self.take());
    }
}

impl PairingAttempt {
    fn take(&self) -> Option<tazune_engine::PairingAttempt> {
        self.attempt.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// What the clinic's admin is shown of the device; each at most 100 characters.
#[derive(Clone, uniffi::Record)]
pub struct AboutDevice {
    /// What the staff call it.
    pub name: String,
    /// Make and model.
    pub model: String,
    /// System and version.
    pub os: String,
}

impl From<AboutDevice> for tazune_engine::AboutDevice {
    fn from(AboutDevice { name, model, os }: AboutDevice) -> Self {
        Self { name, model, os }
    }
}

/// The clinic a device belongs to.
#[derive(Clone, uniffi::Record)]
pub struct Paired {
    /// The clinic's institution code.
    pub institution: String,
    /// The device's id there.
    pub device_id: String,
}

impl From<tazune_engine::Pairing> for Paired {
    fn from(pairing: tazune_engine::Pairing) -> Self {
        Self { institution: pairing.tenant.to_string(), device_id: pairing.device_id.to_string() }
    }
}

/// The patient a visit was planned for. It names a person: it is not logged.
#[derive(Clone, uniffi::Record)]
pub struct PlannedPatient {
    /// Number of the last inquiry (照会番号), if there is one.
    pub reference_number: Option<String>,
    /// Name as the clinic writes it.
    pub name: String,
    /// Birth date, as `1941-05-05`.
    pub birth_date: String,
    /// Sex.
    pub sex: Sex,
}

impl TryFrom<PlannedPatient> for tazune_engine::PlannedPatient {
    type Error = TazuneError;

    fn try_from(patient: PlannedPatient) -> Result<Self, TazuneError> {
        let birth_date = patient.birth_date.parse();
        let birth_date = birth_date.map_err(|_| TazuneError::Malformed { what: "birth date".to_owned() })?;
        Ok(Self {
            reference_number: patient.reference_number.map(Personal::new),
            name: Personal::new(patient.name),
            birth_date: Personal::new(birth_date),
            sex: Personal::new(patient.sex),
        })
    }
}

/// A visit that is not sealed yet.
#[derive(Clone, uniffi::Record)]
pub struct Draft {
    /// Its id, to resume it.
    pub id: String,
    /// When it changed last.
    pub saved_at: SystemTime,
}

/// The queue as the staff see it.
#[derive(Clone, uniffi::Record)]
pub struct Queue {
    /// Every record that is still on the device, oldest first.
    pub records: Vec<QueuedRecord>,
    /// How many records were purged after the clinic accepted them.
    pub purged_count: u32,
    /// How many visits are not sealed yet.
    pub draft_count: u32,
    /// When the hub last answered well; a try without success does not count.
    pub last_success_at: Option<SystemTime>,
    /// What went wrong since.
    pub last_failure: Option<Failure>,
    /// How the device stands if the clinic has revoked it: it takes no visit any more.
    pub revoked: Option<Revoked>,
}

/// A device that the clinic has revoked (登録の取り消し).
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct Revoked {
    /// How far it is.
    pub state: Revocation,
    /// When it was revoked, on the clinic's clock.
    pub at: SystemTime,
    /// What it means for the staff.
    pub failure: Failure,
    /// How far it is, and since when, in words.
    pub text: String,
}

impl Revoked {
    fn new(status: tazune_engine::RevocationStatus, language: Language) -> Self {
        Self {
            state: status.state.into(),
            at: system_time(status.revoked_at),
            failure: Failure::new(status.failure_code(), language),
            text: texts(language).revocation(status.state, status.revoked_at),
        }
    }
}

/// How far a revoked device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum Revocation {
    /// What the staff could read is being destroyed.
    Destroying,
    /// The sealed records go to the clinic.
    HandingIn,
    /// The last key is being destroyed.
    Closing,
    /// Nothing is left; it may be paired anew.
    Finished,
}

impl From<tazune_engine::Revocation> for Revocation {
    fn from(revocation: tazune_engine::Revocation) -> Self {
        use tazune_engine::Revocation as Engine;
        match revocation {
            Engine::Destroying => Self::Destroying,
            Engine::HandingIn => Self::HandingIn,
            Engine::Closing => Self::Closing,
            Engine::Finished => Self::Finished,
        }
    }
}

/// One record of the queue.
#[derive(Clone, uniffi::Record)]
pub struct QueuedRecord {
    /// Its id.
    pub id: String,
    /// When it was sealed, on the device's clock.
    pub sealed_at: SystemTime,
    /// Where it is.
    pub delivery: Delivery,
}

/// Where a record is between device and clinic.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum Delivery {
    /// On the device (保存済み).
    Sealed,
    /// On its way (送信中).
    Sending,
    /// The front has it (送信済み).
    Received,
    /// The clinic has it (受付済み).
    Accepted,
    /// The device deleted its copy (消去済み).
    Purged,
    /// Set aside (要確認).
    Quarantined {
        /// Why.
        failure: Failure,
    },
}

impl Queue {
    fn new(queue: tazune_engine::QueueStatus, language: Language) -> Self {
        let records = queue.records.into_iter().map(|record| QueuedRecord {
            id: record.record_id.to_string(),
            sealed_at: system_time(record.sealed_at),
            delivery: Delivery::new(record.delivery, language),
        });
        Self {
            records: records.collect(),
            purged_count: queue.purged_count,
            draft_count: u32::try_from(queue.draft_count).unwrap_or(u32::MAX),
            last_success_at: queue.last_success_at.map(system_time),
            last_failure: queue.last_failure.map(|code| Failure::new(code, language)),
            revoked: queue.revocation.map(|status| Revoked::new(status, language)),
        }
    }
}

impl Delivery {
    fn new(delivery: tazune_engine::Delivery, language: Language) -> Self {
        use tazune_engine::Delivery as Engine;
        match delivery {
            Engine::Sealed => Self::Sealed,
            Engine::Sending => Self::Sending,
            Engine::Received => Self::Received,
            Engine::Accepted { .. } => Self::Accepted,
            Engine::Purged => Self::Purged,
            Engine::Quarantined { reason } => {
                Self::Quarantined { failure: Failure::new(reason.failure_code(), language) }
            }
        }
    }
}
