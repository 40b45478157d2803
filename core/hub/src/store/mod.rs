//! What front and desk keep, as two traits, so that a front can later run on another database.
//!
//! To add a back end: implement the trait in a module beside `sqlite`, and call its suite in `conformance`. Every method
//! is one transaction that is durable when it returns; a method that takes a batch takes all of it or nothing. Time is an
//! argument, look-ups answer `Option`. The two stores share no table, because the two roles share no computer.

#[cfg(test)]
mod conformance;
mod set_aside;
mod sqlite;
mod standing;

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tazune_link::{
    audit::{Chain, CheckpointRow, Event},
    front_api::{
        ArrivedHello, DeskReceipt, DeviceContact, DeviceRegistration, DeviceStanding, HandIn, HelloRefused,
        PairingAnswer,
    },
    keys::{SealingKey, VerifyingKey},
    pairing::{SealedHello, SessionId},
    receipt::{QuarantineReason, SignedReceipt},
    renewal::{ArrivedRenewal, RenewalAnswer},
};
use tazune_model::{Bytes, DeviceId, FailureCode, RecordId, Sha256, StoreFault, Timestamp, Validity};
use tokio::sync::watch;

pub use set_aside::{Decided, Decision, NoPageMark, Page, PageMark, Rejection, SetAside, SetAsideSummary};
pub(crate) use sqlite::{AuditReader, WitnessError};
pub use sqlite::{SqliteDeskStore, SqliteFrontStore};
pub use standing::{DeviceSummary, NewStanding, Reason, StandingChange, StandingChanged, UntoldDevice};

/// A store could not do what was asked; nothing of it was done.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{fault}: {detail}")]
pub struct StoreError {
    fault: StoreFault,
    detail: String,
}

impl StoreError {
    /// `detail` is for the log: a message of the database, never a stored value.
    pub(crate) const fn new(fault: StoreFault, detail: String) -> Self {
        Self { fault, detail }
    }

    /// In which way the store failed.
    #[must_use]
    pub const fn fault(&self) -> StoreFault {
        self.fault
    }

    /// The failure a person meets.
    #[must_use]
    pub const fn failure_code(&self) -> FailureCode {
        self.fault.failure_code()
    }
}

/// An envelope as the front takes it: checked, and never opened.
#[derive(Clone, Debug)]
pub struct NewEnvelope {
    /// The record inside.
    pub record_id: RecordId,
    /// The device that handed it in.
    pub device: DeviceId,
    /// Digest of `sealed`.
    pub sha256: Sha256,
    /// The bytes the desk is given.
    pub sealed: Bytes,
}

/// A pairing session as the front knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrontPairing {
    /// Until when a hello may come.
    pub expires_at: Timestamp,
    /// The hello that came first.
    pub hello: Option<SealedHello>,
    /// What the desk last said.
    pub answer: Option<PairingAnswer>,
}

/// What the front keeps: devices, the mailbox, and pairing sessions.
#[async_trait]
pub trait FrontStore: Send + Sync {
    /// Registers a device, or changes its registration; false when it is revoked and would not be any more: that is final,
    /// also for a desk that was set back to a time before.
    async fn put_device(&self, device: &DeviceId, registration: &DeviceRegistration) -> Result<bool, StoreError>;

    /// The registration of a device.
    async fn device(&self, device: &DeviceId) -> Result<Option<DeviceRegistration>, StoreError>;

    /// Takes envelopes, and says for each what became of it.
    ///
    /// The same bytes again are `Received`, or `Accepted` once the desk has answered, and then the receipt is offered
    /// again; other bytes under a known record id are refused as replayed. Id and digest are kept for ever.
    async fn receive(&self, envelopes: Vec<NewEnvelope>, now: Timestamp) -> Result<Vec<HandIn>, StoreError>;

    /// Envelopes without a receipt, oldest first, together at most `max_bytes` but at least one.
    async fn waiting_envelopes(&self, max_bytes: usize) -> Result<Vec<Bytes>, StoreError>;

    /// Devices that are revoked and have envelopes without a receipt.
    async fn revoked_senders(&self) -> Result<Vec<DeviceId>, StoreError>;

    /// Keeps receipts for their devices and drops the sealed bytes; another receipt than before takes its place, and is
    /// offered though the one before was taken.
    async fn put_receipts(&self, receipts: Vec<DeskReceipt>) -> Result<(), StoreError>;

    /// Receipts that a device has not taken, oldest first, at most `max_count`.
    async fn receipts(&self, device: &DeviceId, max_count: u32) -> Result<Vec<SignedReceipt>, StoreError>;

    /// Stops offering receipts; those of other devices are left alone.
    async fn receipts_taken(&self, device: &DeviceId, records: Vec<RecordId>) -> Result<(), StoreError>;

    /// Opens a pairing session for a hello until `expires_at`; forgets those that ended more than a day ago.
    async fn open_pairing(&self, session: &SessionId, expires_at: Timestamp, now: Timestamp) -> Result<(), StoreError>;

    /// A pairing session.
    async fn pairing(&self, session: &SessionId) -> Result<Option<FrontPairing>, StoreError>;

    /// Keeps `hello` if the session has none, and returns the one that the session has now; `None` without a session.
    async fn put_hello(&self, session: &SessionId, hello: &SealedHello) -> Result<Option<SealedHello>, StoreError>;

    /// Hellos that the desk has said nothing about.
    async fn waiting_hellos(&self) -> Result<Vec<ArrivedHello>, StoreError>;

    /// Keeps that a hello was turned down, to be told to the desk once for each session and reason.
    async fn refuse_hello(&self, refused: &HelloRefused) -> Result<(), StoreError>;

    /// Refusals that the desk has not noted.
    async fn waiting_refusals(&self) -> Result<Vec<HelloRefused>, StoreError>;

    /// Stops telling refusals.
    async fn refusals_noted(&self, refusals: Vec<HelloRefused>) -> Result<(), StoreError>;

    /// Keeps a device's request for new certificates, in place of an earlier one and what was answered to it.
    async fn ask_renewal(&self, device: &DeviceId, csr: &Bytes) -> Result<(), StoreError>;

    /// The desk's answer to the request of a device, if there is one.
    async fn renewal_answer(&self, device: &DeviceId) -> Result<Option<RenewalAnswer>, StoreError>;

    /// Requests that the desk has not answered.
    async fn waiting_renewals(&self) -> Result<Vec<ArrivedRenewal>, StoreError>;

    /// Keeps what the desk answers to a device's request.
    async fn put_renewal_answer(&self, device: &DeviceId, answer: &RenewalAnswer) -> Result<(), StoreError>;

    /// Keeps what the desk says about a session; false without a session.
    async fn put_pairing_answer(&self, session: &SessionId, answer: &PairingAnswer) -> Result<bool, StoreError>;

    /// Proves that something can be committed, and counts what there is.
    async fn pulse(&self) -> Result<FrontPulse, StoreError>;

    /// Reads everything and looks whether it fits together, beside all other work; may be dropped.
    async fn check(&self) -> Result<(), StoreError>;

    /// Brings the store to rest before the end of the process; afterwards it still works.
    async fn settle(&self) -> Result<(), StoreError>;
}

/// What a front that can be written holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FrontPulse {
    /// How many envelopes have no receipt.
    pub waiting: u32,
    /// When the oldest of them came.
    pub oldest_received_at: Option<Timestamp>,
    /// How many devices are registered with each state, the word of the API.
    pub devices: Vec<(String, u32)>,
    /// Bytes on the disk.
    pub size: u64,
}

/// A paired device, as the desk knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairedDevice {
    /// Its id.
    pub device: DeviceId,
    /// What the staff call it.
    pub name: String,
    /// Make and model.
    pub model: String,
    /// System and version.
    pub os: String,
    /// The key it signs with.
    pub device_key: VerifyingKey,
    /// The key that answers for it are sealed to.
    pub sealing_key: SealingKey,
    /// When it was approved.
    pub paired_at: Timestamp,
    /// The last instant of its certificate.
    pub certificate_expires_at: Timestamp,
    /// Whether it may hand in.
    pub standing: DeviceStanding,
}

/// What the desk has said about an envelope before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Neither the envelope nor its record is known.
    Never,
    /// This very envelope was answered with this receipt.
    Answered(SignedReceipt),
    /// Another envelope was accepted under this record id.
    OtherAccepted,
}

/// An envelope that the desk has judged, with the receipt that says so.
#[derive(Clone, Debug)]
pub struct JudgedEnvelope {
    /// The record the envelope names.
    pub record_id: RecordId,
    /// The device it names.
    pub device: DeviceId,
    /// Digest of `envelope`.
    pub sha256: Sha256,
    /// The envelope as it came: sealed to the clinic's key and signed by the device, it stays the proof.
    pub envelope: Bytes,
    /// The receipt.
    pub receipt: SignedReceipt,
    /// When it was judged, as the receipt says.
    pub at: Timestamp,
}

/// What an accepted record says, as far as it names nobody, and the face file it gives.
#[derive(Clone, Debug)]
pub struct AcceptedContent {
    /// How the visit ended.
    pub outcome: OutcomeKind,
    /// Validity of the qualification (資格有効性), if there is an answer that says it.
    pub validity: Option<Validity>,
    /// What the receipt computer is given.
    pub export: NewExport,
}

/// How a visit ended, without its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeKind {
    /// An answer came.
    Answer,
    /// No answer yet.
    Deferred,
    /// Nothing usable could be read.
    Trouble,
    /// The answer was about somebody else.
    PersonMismatch,
}

/// What the receipt computer is to be given for a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewExport {
    /// Nothing: there is no answer.
    NotDue,
    /// Nothing: the answer cannot be read.
    Unreadable,
    /// A face file.
    File {
        /// Its name, fixed once and for all.
        name: String,
        /// Its bytes, fixed once and for all; forgotten when it is written.
        content: Bytes,
    },
}

/// A face file on its way; see `desk/face.rs` for the order of steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingExport {
    /// The record.
    pub record_id: RecordId,
    /// The file's name.
    pub name: String,
    /// The file's bytes.
    pub content: Bytes,
    /// Whether the staged file was already declared complete, so that it may be renamed and never be staged again.
    pub is_renaming: bool,
}

/// Where the export of a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExportState {
    /// There is nothing to export.
    NotDue,
    /// The answer cannot be read; a person has to look at it.
    Unreadable,
    /// The file is not yet in the folder.
    Waiting,
    /// The file was put into the folder, once.
    Written,
}

/// One line of the list of records: nothing in it names a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordSummary {
    /// The record.
    pub record_id: RecordId,
    /// The device that made it.
    pub device: DeviceId,
    /// When the desk took it from the front.
    pub received_at: Timestamp,
    /// When the desk accepted it; `None` when it was set aside.
    pub accepted_at: Option<Timestamp>,
    /// Why it was set aside.
    pub quarantine: Option<QuarantineReason>,
    /// How the visit ended.
    pub outcome: Option<OutcomeKind>,
    /// Validity of the qualification (資格有効性).
    pub validity: Option<Validity>,
    /// Where the face file stands.
    pub export: ExportState,
    /// The face file's name.
    pub file: Option<String>,
}

/// What the desk keeps: devices, records, quarantine, the outbox of face files, and the audit of all of it.
///
/// A method that changes what the audit tells of adds to the audit in the same transaction.
#[async_trait]
pub trait DeskStore: Send + Sync {
    /// Adds a device; the front knows it.
    async fn put_device(&self, device: &PairedDevice) -> Result<(), StoreError>;

    /// A paired device.
    async fn device(&self, device: &DeviceId) -> Result<Option<PairedDevice>, StoreError>;

    /// Every paired device, oldest first.
    async fn devices(&self) -> Result<Vec<DeviceSummary>, StoreError>;

    /// Changes whether a device may hand in; the front has not been told then.
    async fn change_standing(&self, change: StandingChange) -> Result<StandingChanged, StoreError>;

    /// Notes that a device is given a new certificate; false, and nothing is noted, unless it is active.
    async fn certificate_renewed(
        &self,
        device: &DeviceId,
        expires_at: Timestamp,
        certificate_sha256: Sha256,
        at: Timestamp,
    ) -> Result<bool, StoreError>;

    /// What the front has not been told of devices.
    async fn untold_devices(&self) -> Result<Vec<UntoldDevice>, StoreError>;

    /// The front was told of this change; later ones stay untold.
    async fn front_was_told(&self, device: &DeviceId, change: i64) -> Result<(), StoreError>;

    /// Keeps when devices were last heard of; an earlier instant than the known one changes nothing.
    ///
    /// A front that took a device for something else has to be told again, unless it took it for revoked: that is final,
    /// and this database may be the one that was restored.
    async fn contacted(&self, contacts: Vec<DeviceContact>) -> Result<(), StoreError>;

    /// What was said about an envelope before.
    async fn seen(&self, record: RecordId, sha256: Sha256) -> Result<Seen, StoreError>;

    /// Commits a record, its receipt and its face file together; false, and nothing is committed, once its device is
    /// revoked.
    async fn accept(&self, envelope: JudgedEnvelope, content: AcceptedContent) -> Result<bool, StoreError>;

    /// Sets an envelope aside, with its receipt.
    async fn quarantine(&self, envelope: JudgedEnvelope, reason: QuarantineReason) -> Result<(), StoreError>;

    /// One page of the envelopes that were set aside, oldest first.
    async fn set_asides(&self, after: Option<PageMark>, max_count: u32) -> Result<Page<SetAsideSummary>, StoreError>;

    /// The envelopes that were set aside under a record id.
    async fn set_aside_under(&self, record: RecordId) -> Result<Vec<SetAside>, StoreError>;

    /// Commits an envelope that was set aside as a record, with its face file; the front is to be told its receipt.
    async fn accept_set_aside(
        &self,
        envelope: JudgedEnvelope,
        content: AcceptedContent,
        reason: Reason,
    ) -> Result<Decided, StoreError>;

    /// Turns an envelope down that was set aside; bytes and reason are kept.
    async fn reject_set_aside(&self, rejection: Rejection) -> Result<Decided, StoreError>;

    /// Receipts of [`Self::accept_set_aside`] that the front has not been told, oldest first.
    async fn unsaid_receipts(&self, max_count: u32) -> Result<Vec<DeskReceipt>, StoreError>;

    /// The front was told the receipts of these records.
    async fn receipts_said(&self, records: Vec<RecordId>) -> Result<(), StoreError>;

    /// The face files to work on: those that are being renamed, then those that wait, each oldest first.
    async fn next_exports(&self, max_count: u32) -> Result<Vec<PendingExport>, StoreError>;

    /// Declares the staged files of records complete: from now on they are renamed and never staged again.
    async fn exports_renaming(&self, records: Vec<RecordId>) -> Result<(), StoreError>;

    /// Declares the files of records written: their bytes are forgotten and they are never written again.
    async fn exports_written(&self, records: Vec<RecordId>, at: Timestamp) -> Result<(), StoreError>;

    /// Tells the audit of something that changes nothing else here.
    async fn note(&self, chain: Chain, event: Event, at: Timestamp) -> Result<(), StoreError>;

    /// Checkpoints of the audit above a number, in their order, at most `max_count`.
    async fn checkpoints_after(&self, number: i64, max_count: u32) -> Result<Vec<CheckpointRow>, StoreError>;

    /// Changes whenever there are new checkpoints.
    fn audit_grew(&self) -> watch::Receiver<()>;

    /// One page of the records, and of the envelopes that were set aside and not accepted, oldest first.
    async fn records(&self, after: Option<PageMark>, max_count: u32) -> Result<Page<RecordSummary>, StoreError>;

    /// Proves that something can be committed, and counts what there is.
    async fn pulse(&self) -> Result<DeskPulse, StoreError>;

    /// Reads everything and looks whether it fits together, beside all other work; may be dropped.
    async fn check(&self) -> Result<(), StoreError>;

    /// Brings the store to rest before the end of the process; afterwards it still works.
    async fn settle(&self) -> Result<(), StoreError>;
}

/// What a desk that can be written holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeskPulse {
    /// How many face files are not in the folder yet.
    pub waiting: u32,
    /// When the oldest record whose face file waits was accepted.
    pub oldest_accepted_at: Option<Timestamp>,
    /// Bytes on the disk.
    pub size: u64,
}

/// Pause between two checks of everything.
pub(crate) const CHECK_EVERY: Duration = Duration::from_hours(24);

/// What a check has found, if it is damage.
pub(crate) fn damage(checked: Result<(), StoreError>) -> Option<StoreError> {
    match checked {
        Ok(()) => tracing::info!("the database is whole"),
        Err(error) if error.fault() == StoreFault::Damaged => return Some(error),
        Err(error) => tracing::warn!(%error, "the database could not be checked"),
    }
    None
}
