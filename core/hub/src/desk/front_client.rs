use std::sync::Arc;

use async_trait::async_trait;
use reqwest::{Client, Method, header};
use serde::Serialize;
use tazune_link::{
    envelope::MAX_BATCH_BYTES,
    front_api::{
        self, ApiError, DESK_RECEIPTS, DESK_REFUSALS, DESK_WORK, DeskReceipt, DeskReceipts, DeskWork,
        DeviceRegistration, ErrorBody, HelloRefused, PairingAnswer, PairingOpened, RefusalsNoted, parse_answer,
    },
    pairing::SessionId,
    renewal::RenewalAnswer,
};
use tazune_model::{DeviceId, Timestamp};

use crate::{
    config::FrontAddress,
    ports::{FrontPort, NoAnswer},
    tls,
};

/// A full batch of envelopes in base64, and room for hellos and what devices were heard of.
const MAX_ANSWER_BYTES: usize = 2 * MAX_BATCH_BYTES;

/// Seconds a question for work waits at the front; below the time-out of the client.
const WAIT_S: u32 = 25;

/// The front did not do what the desk asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrontError {
    /// No answer.
    #[error("the front cannot be reached: {0}")]
    Unreachable(#[from] NoAnswer),
    /// An answer that says no.
    #[error("the front refused: {0:?}")]
    Refused(ApiError),
    /// An answer that is none.
    #[error("the front's answer is none (HTTP {0})")]
    Garbage(u16),
}

/// The front's API as the desk uses it.
#[derive(Clone)]
pub(super) struct FrontClient(Arc<dyn FrontPort>);

impl FrontClient {
    /// `http` has the desk's certificate and trusts the hub's CA.
    pub(super) fn new(http: Client, front: &FrontAddress) -> Self {
        Self::over(Arc::new(Https { http, base: front.to_string() }))
    }

    /// A client that makes its requests through this port.
    pub(super) fn over(port: Arc<dyn FrontPort>) -> Self {
        Self(port)
    }

    /// What waits for the desk; waits for the first.
    pub(super) async fn work(&self) -> Result<DeskWork, FrontError> {
        let path = format!("{DESK_WORK}?wait_s={WAIT_S}");
        let (status, body) = self.call(Method::GET, &path, None::<&()>).await?;
        parse_answer(&body).map_err(|_| FrontError::Garbage(status))
    }

    /// Hands over receipts.
    pub(super) async fn put_receipts(&self, receipts: Vec<DeskReceipt>) -> Result<(), FrontError> {
        self.call(Method::POST, DESK_RECEIPTS, Some(&DeskReceipts { receipts })).await.map(drop)
    }

    /// Opens a pairing session.
    pub(super) async fn open_pairing(&self, session: &SessionId, expires_at: Timestamp) -> Result<(), FrontError> {
        let path = front_api::desk_pairing_path(session);
        self.call(Method::PUT, &path, Some(&PairingOpened { expires_at })).await.map(drop)
    }

    /// Says what the device of a session is to hear.
    pub(super) async fn put_pairing_answer(
        &self,
        session: &SessionId,
        answer: &PairingAnswer,
    ) -> Result<(), FrontError> {
        self.call(Method::PUT, &front_api::desk_pairing_state_path(session), Some(answer)).await.map(drop)
    }

    /// Says what a device that asked for new certificates is to hear.
    pub(super) async fn put_renewal_answer(&self, device: &DeviceId, answer: &RenewalAnswer) -> Result<(), FrontError> {
        self.call(Method::PUT, &front_api::desk_renewal_path(device), Some(answer)).await.map(drop)
    }

    /// Says which refusals are noted.
    pub(super) async fn refusals_noted(&self, refusals: Vec<HelloRefused>) -> Result<(), FrontError> {
        self.call(Method::POST, DESK_REFUSALS, Some(&RefusalsNoted { refusals })).await.map(drop)
    }

    /// Registers a device.
    pub(super) async fn put_device(
        &self,
        device: &DeviceId,
        registration: &DeviceRegistration,
    ) -> Result<(), FrontError> {
        self.call(Method::PUT, &front_api::desk_device_path(device), Some(registration)).await.map(drop)
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<(u16, Vec<u8>), FrontError> {
        let body = body.map(|body| serde_json::to_vec(body).expect("the messages of the API are plain fields"));
        let (status, answer) = self.0.call(method, path, body.unwrap_or_default()).await?;
        if (200..300).contains(&status) {
            return Ok((status, answer));
        }
        Err(match parse_answer::<ErrorBody>(&answer) {
            Ok(body) => FrontError::Refused(body.error),
            Err(_) => FrontError::Garbage(status),
        })
    }
}

struct Https {
    http: Client,
    base: String,
}

#[async_trait]
impl FrontPort for Https {
    async fn call(&self, method: Method, path: &str, body: Vec<u8>) -> Result<(u16, Vec<u8>), NoAnswer> {
        let no_answer = |error: reqwest::Error| NoAnswer(error.to_string());
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json").body(body);
        }
        let response = request.send().await.map_err(no_answer)?;
        let status = response.status().as_u16();
        let answer = tls::read_body(response, MAX_ANSWER_BYTES).await.map_err(|error| NoAnswer(error.to_string()))?;
        Ok((status, answer))
    }
}
