use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tazune_link::{
    V1,
    audit::{Chain, Event, PairingRefusal},
    front_api::{ApiError, ArrivedHello, DeviceRegistration, DeviceStanding, HelloRefused, PairingAnswer},
    keys::{OpeningKey, SealingKey, VerifyingKey, sha256},
    pairing::{DeskEvent, DeskPairing, DeskState, Hello, PairingCode, Reply, SessionId, Settings},
};
use tazune_model::{Bytes, Clock, DeviceId, FailureCode, InstitutionCode, Sha256, Timestamp};
use tokio::{
    sync::{Mutex as AsyncMutex, Notify},
    time::timeout,
};

use super::{
    enrolment::{Enrolment, EnrolmentError},
    front_client::{FrontClient, FrontError},
};
use crate::{
    Random,
    admin::messages::{DeviceView, OpenedPairing, PairingView, PendingDevice},
    ca::{CaError, DeviceRequest, HubCa, device_certificate_end},
    store::{DeskStore, PairedDevice, StoreError},
};

/// A session that is held longer than this is being approved: everything else takes moments.
const BUSY_AFTER: Duration = Duration::from_millis(500);

/// Pairing sessions of the desk; they live in memory, so a restart of the desk ends them.
pub(crate) struct Pairings {
    pub(super) fronts: Vec<String>,
    pub(super) front_spki_sha256: Sha256,
    pub(super) institution: InstitutionCode,
    pub(super) settings: Settings,
    pub(super) ca: Arc<HubCa>,
    pub(super) clinic_key: SealingKey,
    pub(super) receipt_key: VerifyingKey,
    pub(super) front: FrontClient,
    pub(super) enrolment: Arc<Enrolment>,
    pub(super) store: Arc<dyn DeskStore>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) random: Random,
    pub(super) sessions: Mutex<HashMap<SessionId, Arc<Session>>>,
}

/// One session: the link's machine, and the desk's word on it at the front.
pub(super) struct Session {
    progress: AsyncMutex<Progress>,
    changed: Notify,
}

struct Progress {
    machine: DeskPairing,
    /// The device's id, once it is approved.
    device: Option<DeviceId>,
    /// What the device is to hear.
    word: PairingAnswer,
    /// Whether the front has heard the word.
    is_said: bool,
    /// Whether somebody answered.
    is_answered: bool,
    /// Why who answered was refused, until the audit knows it.
    refusal: Option<PairingRefusal>,
}

/// A step of a pairing did not work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PairError {
    /// There is no such session (any more).
    #[error("no such pairing session")]
    Unknown,
    /// The session is not at this step.
    #[error("the pairing session is not at this step")]
    NotNow,
    /// The front.
    #[error(transparent)]
    Front(#[from] FrontError),
    /// The gateway; the admin may approve again.
    #[error(transparent)]
    Enrolment(#[from] EnrolmentError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The hub's CA.
    #[error(transparent)]
    Ca(#[from] CaError),
}

impl PairError {
    /// The failure a person meets, if the step failed for a reason outside the session.
    pub(crate) fn failure_code(&self) -> Option<FailureCode> {
        match self {
            Self::Enrolment(error) => Some(error.failure_code()),
            Self::Store(error) => Some(error.failure_code()),
            Self::Front(FrontError::Refused(error)) => Some(error.failure_code()),
            Self::Unknown | Self::NotNow | Self::Front(_) | Self::Ca(_) => None,
        }
    }
}

impl Pairings {
    /// Opens a session at desk and front.
    pub(crate) async fn open(&self) -> Result<OpenedPairing, PairError> {
        let session = SessionId::make(&self.random.bytes());
        let machine = DeskPairing::open(
            self.fronts.clone(),
            self.front_spki_sha256,
            session.clone(),
            OpeningKey::make(&mut self.random.clone()),
            self.clock.now(),
        );
        let expires_at = machine.offer().expires_at;
        let opened = OpenedPairing { session: session.clone(), offer: machine.offer_text().to_owned(), expires_at };
        self.front.open_pairing(&session, expires_at).await?;
        let progress = AsyncMutex::new(Progress {
            machine,
            device: None,
            word: PairingAnswer::Waiting,
            is_said: true,
            is_answered: false,
            refusal: None,
        });
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|_, session| !self.is_done_with(session));
        sessions.insert(session, Arc::new(Session { progress, changed: Notify::new() }));
        Ok(opened)
    }

    /// Where a session stands; waits up to `wait` for a change.
    pub(crate) async fn view(&self, session: &SessionId, wait: Duration) -> Result<PairingView, PairError> {
        let session = self.find(session)?;
        let changed = session.changed.notified();
        tokio::pin!(changed);
        changed.as_mut().enable();
        let view = self.now(&session).await;
        if view.is_over() || wait.is_zero() {
            return Ok(view);
        }
        let _ = timeout(wait, changed).await;
        Ok(self.now(&session).await)
    }

    /// The devices that are being paired.
    pub(crate) async fn pending(&self) -> Vec<PendingDevice> {
        let mut pending = Vec::new();
        for (session, one) in self.sessions() {
            if let PairingView::AwaitingCode { device } | PairingView::AwaitingApproval { device } =
                self.now(&one).await
            {
                pending.push(PendingDevice { session, device });
            }
        }
        pending
    }

    /// Takes the digits that were typed; there is one attempt.
    pub(crate) async fn type_code(&self, session: &SessionId, code: PairingCode) -> Result<PairingView, PairError> {
        let session = self.find(session)?;
        session.progress.lock().await.on(DeskEvent::CodeTyped(code), self.clock.as_ref())?;
        self.told(&session).await
    }

    /// Turns the device down.
    pub(crate) async fn reject(&self, session: &SessionId) -> Result<PairingView, PairError> {
        let session = self.find(session)?;
        session.progress.lock().await.on(DeskEvent::Rejected, self.clock.as_ref())?;
        self.told(&session).await
    }

    /// Names the device, enrols it at the gateway, registers it at the front and answers it.
    ///
    /// When a step fails the session stays where it is, and may be approved again; an id is never given twice.
    pub(crate) async fn approve(&self, session: &SessionId) -> Result<PairingView, PairError> {
        let session = self.find(session)?;
        {
            let mut progress = session.progress.lock().await;
            progress.on(DeskEvent::TimePassed, self.clock.as_ref())?;
            let hello = match progress.machine.state() {
                DeskState::AwaitingApproval { hello, .. } => hello.clone(),
                _ => return Err(PairError::NotNow),
            };
            let request = DeviceRequest::parse(hello.csr.as_slice())?;
            let device = self.new_device_id();
            let issued_at = self.clock.now();
            let certificate = self.ca.issue_device(&request, &device, issued_at)?;
            let client_certificates = self.enrolment.enrol(&device, &hello.csr).await?;
            self.register(&device, &hello, issued_at).await?;
            let mut settings = self.settings.clone();
            settings.gateway.client_certificates = client_certificates;
            let reply = Reply {
                version: V1,
                device_id: device.clone(),
                tenant: self.institution.clone(),
                hub_certificates: vec![Bytes(certificate), Bytes(self.ca.certificate().to_vec())],
                clinic_key: self.clinic_key.clone(),
                receipt_key: self.receipt_key.clone(),
                settings,
                issued_at: self.clock.now(),
            };
            progress.device = Some(device.clone());
            progress.on(DeskEvent::Approved(Box::new(reply)), self.clock.as_ref())?;
            match progress.machine.state() {
                DeskState::Approved => tracing::info!(%device, "device approved"),
                // Nobody has the certificate that was made for it.
                _ => tracing::warn!(%device, "the time was up before the device could be approved"),
            }
        }
        self.told(&session).await
    }

    /// Takes what answered an offer; it comes again when the front did not hear the desk's word, which is then repeated.
    pub(super) async fn hello_arrived(&self, arrived: ArrivedHello) -> Result<(), FrontError> {
        let Ok(session) = self.find(&arrived.session) else {
            // Made before a restart: its key is gone.
            forget_unknown(self.front.put_pairing_answer(&arrived.session, &PairingAnswer::Expired).await)?;
            let _ = self.note(&arrived.session, PairingRefusal::Expired).await;
            return Ok(());
        };
        {
            let mut progress = session.progress.lock().await;
            if progress.on(DeskEvent::HelloArrived(arrived.hello), self.clock.as_ref()).is_ok()
                && let DeskState::AwaitingCode { hello, .. } = progress.machine.state()
                && !is_request_of(hello)
            {
                let _ = progress.on(DeskEvent::Rejected, self.clock.as_ref());
                progress.refusal = Some(PairingRefusal::KeySwapped);
            }
            if !std::mem::replace(&mut progress.is_answered, true)
                && matches!(progress.machine.state(), DeskState::Expired)
            {
                progress.refusal = Some(PairingRefusal::Expired);
            }
            progress.is_said = false;
        }
        session.changed.notify_waiters();
        self.announce().await
    }

    /// Tells the front what it has not heard, and the audit.
    ///
    /// A session that is being approved, for which the gateway is waited for, holds nothing up: who approves it announces it
    /// afterwards.
    pub(super) async fn announce(&self) -> Result<(), FrontError> {
        for (id, session) in self.sessions() {
            let Ok(mut progress) = timeout(BUSY_AFTER, session.progress.lock()).await else { continue };
            let _ = progress.on(DeskEvent::TimePassed, self.clock.as_ref());
            if let Some(reason) = progress.refusal
                && self.note(&id, reason).await.is_ok()
            {
                progress.refusal = None;
            }
            if !progress.is_said {
                forget_unknown(self.front.put_pairing_answer(&id, &progress.word).await)?;
                progress.is_said = true;
            }
        }
        Ok(())
    }

    /// Tells the front at once if it can be; otherwise the dialler does it when it can.
    async fn told(&self, session: &Session) -> Result<PairingView, PairError> {
        session.changed.notify_waiters();
        if let Err(error) = self.announce().await {
            tracing::warn!(%error, "the front has not heard yet how a pairing went");
        }
        Ok(self.now(session).await)
    }

    fn is_done_with(&self, session: &Session) -> bool {
        session.progress.try_lock().is_ok_and(|mut progress| {
            let _ = progress.on(DeskEvent::TimePassed, self.clock.as_ref());
            progress.view().is_over() && progress.is_said && progress.refusal.is_none()
        })
    }

    async fn now(&self, session: &Session) -> PairingView {
        let mut progress = session.progress.lock().await;
        let _ = progress.on(DeskEvent::TimePassed, self.clock.as_ref());
        progress.view()
    }

    /// Notes what the front turned down.
    ///
    /// # Errors
    /// [`PairError`] of store or front: it is told again.
    pub(super) async fn refused_at_front(&self, refusals: Vec<HelloRefused>) -> Result<(), PairError> {
        if refusals.is_empty() {
            return Ok(());
        }
        for refused in &refusals {
            self.note(&refused.session, refused.reason).await?;
        }
        Ok(self.front.refusals_noted(refusals).await?)
    }

    /// Tells audit and log of a refusal.
    async fn note(&self, session: &SessionId, reason: PairingRefusal) -> Result<(), StoreError> {
        let refused = Event::PairingRefused { session: session.clone(), reason };
        self.store.note(Chain::Desk, refused, self.clock.now()).await.inspect_err(|error| {
            tracing::error!(code = %error.failure_code(), %error, "the audit does not know of a refused pairing");
        })?;
        tracing::warn!(%session, reason = reason.word(), "pairing refused");
        Ok(())
    }

    fn sessions(&self) -> Vec<(SessionId, Arc<Session>)> {
        let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.iter().map(|(id, session)| (id.clone(), session.clone())).collect()
    }

    fn find(&self, session: &SessionId) -> Result<Arc<Session>, PairError> {
        let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.get(session).cloned().ok_or(PairError::Unknown)
    }

    fn new_device_id(&self) -> DeviceId {
        DeviceId::new(format!("dev-{}", self.random.hex::<4>())).expect("letters, digits and a dash")
    }

    /// At the front first: a device that only the front knows has no certificate and is in no list.
    async fn register(&self, device: &DeviceId, hello: &Hello, at: Timestamp) -> Result<(), PairError> {
        let paired = PairedDevice {
            device: device.clone(),
            name: hello.name.clone(),
            model: hello.model.clone(),
            os: hello.os.clone(),
            device_key: hello.device_key.clone(),
            sealing_key: hello.sealing_key.clone(),
            paired_at: at,
            certificate_expires_at: device_certificate_end(at),
            standing: DeviceStanding::Active,
        };
        let registration = DeviceRegistration {
            state: DeviceStanding::Active,
            device_key: hello.device_key.clone(),
            tenant: self.institution.clone(),
            tombstone: None,
        };
        self.front.put_device(device, &registration).await?;
        Ok(self.store.put_device(&paired).await?)
    }
}

/// Whether the certification request is genuine and for the very key the device signs with.
fn is_request_of(hello: &Hello) -> bool {
    DeviceRequest::parse(hello.csr.as_slice())
        .is_ok_and(|request| request.public_key() == hello.device_key.as_bytes().as_slice())
}

/// A session that the front has forgotten needs no answer any more.
fn forget_unknown(said: Result<(), FrontError>) -> Result<(), FrontError> {
    match said {
        Err(FrontError::Refused(ApiError::PairingUnknown)) => Ok(()),
        said => said,
    }
}

impl Progress {
    fn on(&mut self, event: DeskEvent, clock: &dyn Clock) -> Result<(), PairError> {
        let has_answerer = match self.machine.state() {
            DeskState::AwaitingCode { .. } | DeskState::AwaitingApproval { .. } => true,
            DeskState::Open => matches!(event, DeskEvent::HelloArrived(_)),
            DeskState::Approved | DeskState::Rejected | DeskState::CodeWrong | DeskState::Expired => false,
        };
        let is_hello = matches!(event, DeskEvent::HelloArrived(_));
        let was_over = self.outcome().is_some();
        let answer = self.machine.on(event, clock.now()).map_err(|_| PairError::NotNow)?;
        if let (false, Some(outcome)) = (was_over, self.outcome()) {
            metrics::counter!("tazune_pairings_total", "outcome" => outcome).increment(1);
        }
        if let Some(word) = answer {
            self.word = word;
            self.is_said = false;
        }
        if has_answerer {
            self.refusal = match self.machine.state() {
                DeskState::CodeWrong => Some(PairingRefusal::CodeWrong),
                DeskState::Expired => Some(PairingRefusal::Expired),
                DeskState::Rejected if is_hello => Some(PairingRefusal::HelloInvalid),
                DeskState::Rejected => Some(PairingRefusal::Rejected),
                DeskState::Open
                | DeskState::AwaitingCode { .. }
                | DeskState::AwaitingApproval { .. }
                | DeskState::Approved => None,
            };
        }
        Ok(())
    }

    /// How it ended, in a word.
    fn outcome(&self) -> Option<&'static str> {
        match self.machine.state() {
            DeskState::Open | DeskState::AwaitingCode { .. } | DeskState::AwaitingApproval { .. } => None,
            DeskState::Approved => Some("approved"),
            DeskState::Rejected => Some("rejected"),
            DeskState::CodeWrong => Some("code_wrong"),
            DeskState::Expired => Some("expired"),
        }
    }

    fn view(&self) -> PairingView {
        match (self.machine.state(), &self.device) {
            (DeskState::Open, _) => PairingView::Open,
            (DeskState::AwaitingCode { hello, .. }, _) => PairingView::AwaitingCode { device: device_view(hello) },
            (DeskState::AwaitingApproval { hello, .. }, _) => {
                PairingView::AwaitingApproval { device: device_view(hello) }
            }
            (DeskState::Approved, Some(device_id)) => PairingView::Approved { device_id: device_id.clone() },
            (DeskState::Approved | DeskState::Rejected, _) => PairingView::Rejected,
            (DeskState::CodeWrong, _) => PairingView::CodeWrong,
            (DeskState::Expired, _) => PairingView::Expired,
        }
    }
}

fn device_view(hello: &Hello) -> DeviceView {
    DeviceView {
        name: hello.name.clone(),
        model: hello.model.clone(),
        os: hello.os.clone(),
        key_sha256: sha256(hello.device_key.as_bytes()),
    }
}
