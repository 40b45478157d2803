use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use reqwest::{Client, Method, StatusCode, header};
use serde::{Serialize, de::DeserializeOwned};
use tazune_link::{
    envelope::{Envelope, MAX_BATCH_BYTES},
    front_api::{
        self, ApiError, EnvelopesAnswer, EnvelopesRequest, ErrorBody, HandIn, MAX_WAIT, PairingAnswer, ReceiptsAnswer,
        ReceiptsTaken, parse_answer,
    },
    pairing::{SealedHello, SessionId},
    receipt::SignedReceipt,
    renewal::{RenewalAnswer, RenewalRequest},
    tombstone::{SignedTombstone, TombstoneError},
};
use tazune_model::{RecordId, Sha256};

use crate::{
    error::{EngineError, FrontError},
    https::{self, BodyError, Identity},
    ports::{FrontAnswer, FrontPort, FrontRequest},
};

/// How long an answer may take beyond the time that it was asked to wait for news.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// Longest answer that is read.
const MAX_ANSWER_BYTES: usize = MAX_BATCH_BYTES;

/// The device's side of the front's API.
pub(crate) struct FrontClient {
    port: Arc<dyn FrontPort>,
    paths: &'static Paths,
}

/// Where a device hands in.
struct Paths {
    envelopes: &'static str,
    receipts: &'static str,
    receipts_taken: &'static str,
}

const OF_ACTIVE: Paths =
    Paths { envelopes: front_api::ENVELOPES, receipts: front_api::RECEIPTS, receipts_taken: front_api::RECEIPTS_TAKEN };
const OF_REVOKED: Paths = Paths {
    envelopes: front_api::REVOKED_ENVELOPES,
    receipts: front_api::REVOKED_RECEIPTS,
    receipts_taken: front_api::REVOKED_RECEIPTS_TAKEN,
};

/// Why a request to the front brought nothing.
#[derive(Debug)]
pub(crate) enum CallError {
    /// The front answered that the device is revoked, and shows this; it is still to be verified.
    Tombstone(Box<SignedTombstone>),
    /// Anything else.
    Engine(EngineError),
}

impl<E: Into<EngineError>> From<E> for CallError {
    fn from(error: E) -> Self {
        Self::Engine(error.into())
    }
}

impl FrontClient {
    /// A client that shows the device's certificate.
    pub(crate) fn paired(fronts: Vec<String>, pin: Sha256, identity: Identity) -> Self {
        Self::over(Arc::new(Https::new(https::client(https::pinned(pin, Some(identity))), fronts)))
    }

    /// A client without certificate, which may only pair.
    pub(crate) fn unpaired(fronts: Vec<String>, pin: Sha256) -> Self {
        Self::over(Arc::new(Https::new(https::client(https::pinned(pin, None)), fronts)))
    }

    /// A client that makes its requests through this port.
    pub(crate) fn over(port: Arc<dyn FrontPort>) -> Self {
        Self { port, paths: &OF_ACTIVE }
    }

    /// The same client, for a device that knows that it is revoked.
    pub(crate) fn of_revoked(self) -> Self {
        Self { paths: &OF_REVOKED, ..self }
    }

    /// Hands in a batch of at most 8 MiB; one result for each envelope, in order.
    pub(crate) async fn hand_in(&self, batch: &[(RecordId, Envelope)]) -> Result<Vec<HandIn>, CallError> {
        let request = EnvelopesRequest { envelopes: batch.iter().map(|(_, envelope)| envelope.clone()).collect() };
        let answer: EnvelopesAnswer = self.ask(Method::POST, self.paths.envelopes, encode(&request), None).await?;
        let is_about_another = |((record_id, _), result): (&(RecordId, Envelope), &front_api::EnvelopeResult)| {
            result.record_id.map_or(!matches!(result.result, HandIn::Refused(_)), |named| named != *record_id)
        };
        if answer.results.len() != batch.len() || batch.iter().zip(&answer.results).any(is_about_another) {
            return Err(FrontError::Garbage.into());
        }
        Ok(answer.results.into_iter().map(|result| result.result).collect())
    }

    /// The receipts not yet taken; waits up to `wait` (30 s at most, whole seconds) for the first.
    pub(crate) async fn receipts(&self, wait: Duration) -> Result<Vec<SignedReceipt>, CallError> {
        let answer: ReceiptsAnswer = self.ask(Method::GET, self.paths.receipts, Vec::new(), Some(wait)).await?;
        Ok(answer.receipts)
    }

    /// Says that these records' receipts are committed.
    pub(crate) async fn take_receipts(&self, record_ids: Vec<RecordId>) -> Result<(), CallError> {
        let request = ReceiptsTaken { record_ids };
        self.call(Method::POST, self.paths.receipts_taken, encode(&request), None).await.map(|_| ())
    }

    /// Asks for new certificates; waits up to `wait` (30 s at most, whole seconds) for the desk.
    pub(crate) async fn renew(&self, request: &RenewalRequest, wait: Duration) -> Result<RenewalAnswer, CallError> {
        self.ask(Method::POST, front_api::RENEWAL, encode(request), Some(wait)).await
    }

    /// Answers a pairing offer.
    pub(crate) async fn send_hello(&self, session: &SessionId, hello: &SealedHello) -> Result<(), EngineError> {
        let said = self.call(Method::POST, &front_api::pairing_path(session), encode(hello), None).await;
        said.map(drop).map_err(CallError::while_pairing)
    }

    /// What the clinic decided; waits up to `wait` (30 s at most, whole seconds) for it.
    pub(crate) async fn pairing_answer(
        &self,
        session: &SessionId,
        wait: Duration,
    ) -> Result<PairingAnswer, EngineError> {
        let answer = self.ask(Method::GET, &front_api::pairing_path(session), Vec::new(), Some(wait)).await;
        answer.map_err(CallError::while_pairing)
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
        wait: Option<Duration>,
    ) -> Result<T, CallError> {
        let answer = self.call(method, path, body, wait).await?;
        Ok(parse_answer(&answer).map_err(FrontError::from)?)
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
        wait: Option<Duration>,
    ) -> Result<Vec<u8>, CallError> {
        let wait = wait.map(|wait| wait.min(MAX_WAIT));
        let path = match wait {
            Some(wait) => format!("{path}?wait_s={}", wait.as_secs()),
            None => path.to_owned(),
        };
        let request = FrontRequest { method, path, body, wait: wait.unwrap_or_default() };
        let FrontAnswer { status, body } = self.port.call(request).await?;
        if status.is_success() { Ok(body) } else { Err(refusal(status, &body)) }
    }
}

/// HTTPS to the first of several addresses that takes a connection.
struct Https {
    http: Client,
    fronts: Vec<String>,
    /// Index of the address that answered last.
    preferred: AtomicUsize,
}

impl Https {
    fn new(http: Client, fronts: Vec<String>) -> Self {
        Self { http, fronts, preferred: AtomicUsize::new(0) }
    }
}

#[async_trait]
impl FrontPort for Https {
    /// At the address that answered last, or else at the next one that takes a connection.
    async fn call(&self, request: FrontRequest) -> Result<FrontAnswer, EngineError> {
        let preferred = self.preferred.load(Ordering::Relaxed);
        for offset in 0..self.fronts.len() {
            let index = (preferred + offset) % self.fronts.len();
            let sent = self
                .http
                .request(request.method.clone(), format!("{}{}", self.fronts[index], request.path))
                .timeout(ANSWER_WITHIN + request.wait)
                .header(header::CONTENT_TYPE, "application/json")
                .body(request.body.clone());
            match sent.send().await {
                Ok(response) => {
                    self.preferred.store(index, Ordering::Relaxed);
                    let status = response.status();
                    let body = https::read_body(response, MAX_ANSWER_BYTES).await.map_err(|error| match error {
                        BodyError::Interrupted => FrontError::Unreachable,
                        BodyError::TooLarge => FrontError::Garbage,
                    })?;
                    return Ok(FrontAnswer { status, body });
                }
                // Nothing was sent, so another address may be asked; anything else may have been processed.
                Err(error) if error.is_connect() => {
                    if let Some(refusal) = https::key_failure(&error) {
                        return Err(refusal.into());
                    }
                    tracing::debug!(front = index, "no connection to the hub");
                }
                Err(_) => return Err(FrontError::Unreachable.into()),
            }
        }
        Err(FrontError::Unreachable.into())
    }
}

fn refusal(status: StatusCode, body: &[u8]) -> CallError {
    match parse_answer::<ErrorBody>(body) {
        Ok(ErrorBody { error: ApiError::Revoked, tombstone: Some(tombstone) }) => {
            CallError::Tombstone(Box::new(tombstone))
        }
        Ok(ErrorBody { error: ApiError::Revoked, tombstone: None }) => TombstoneError::Missing.into(),
        Ok(ErrorBody { error: ApiError::Unavailable, .. }) => FrontError::Unreachable.into(),
        Ok(ErrorBody { error, .. }) => FrontError::Refused(error).into(),
        Err(_) if status.is_server_error() => FrontError::Unreachable.into(),
        Err(_) => FrontError::Garbage.into(),
    }
}

impl CallError {
    /// Without a certificate nobody is revoked: a tombstone is none.
    fn while_pairing(self) -> EngineError {
        match self {
            Self::Engine(error) => error,
            Self::Tombstone(_) => FrontError::Garbage.into(),
        }
    }
}

fn encode(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).expect("the messages of the API are plain fields")
}
