use reqwest::Client;
use serde::{Deserialize, Serialize};
use tazune_model::{Bytes, DeviceId, FailureCode, InstitutionCode};
use zeroize::Zeroizing;

use crate::tls;

/// A chain of certificates has some kilobytes.
const MAX_ANSWER_BYTES: usize = 64 << 10;

/// The gateway did not enrol a device.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EnrolmentError {
    /// No answer.
    #[error("the gateway cannot be reached: {0}")]
    Unreachable(#[from] reqwest::Error),
    /// An answer that broke off or does not end.
    #[error("the gateway's answer cannot be read: {0}")]
    Unreadable(#[from] tls::BodyError),
    /// An answer that says no.
    #[error("the gateway refused (HTTP {0})")]
    Refused(u16),
    /// An answer that is none.
    #[error("the gateway's answer holds no certificate")]
    Garbage,
}

impl EnrolmentError {
    /// The failure a person meets.
    pub(crate) const fn failure_code(&self) -> FailureCode {
        FailureCode::EnrolmentFailed
    }
}

/// Enrols devices at the gateway, with the institution's secret (`docs/src/protocol/direct-check.md`).
pub(super) struct Enrolment {
    http: Client,
    url: String,
    institution: InstitutionCode,
    secret: Zeroizing<String>,
}

#[derive(Serialize)]
struct Request<'a> {
    institution: &'a InstitutionCode,
    device_id: &'a DeviceId,
    csr: &'a Bytes,
}

#[derive(Deserialize)]
struct Answer {
    certificates: Vec<Bytes>,
}

impl Enrolment {
    /// `http` trusts the gateway's CA.
    pub(super) fn new(
        http: Client,
        gateway_url: &str,
        institution: InstitutionCode,
        secret: Zeroizing<String>,
    ) -> Self {
        Self { http, url: format!("{gateway_url}/direct-check/v1/devices"), institution, secret }
    }

    /// The device's certificate at the gateway, then any intermediate ones, DER.
    pub(super) async fn enrol(&self, device_id: &DeviceId, csr: &Bytes) -> Result<Vec<Bytes>, EnrolmentError> {
        let request = Request { institution: &self.institution, device_id, csr };
        let response = self.http.post(&self.url).bearer_auth(self.secret.as_str()).json(&request).send().await?;
        let status = response.status();
        if !status.is_success() {
            return Err(EnrolmentError::Refused(status.as_u16()));
        }
        let body = tls::read_body(response, MAX_ANSWER_BYTES).await?;
        let answer: Answer = serde_json::from_slice(&body).map_err(|_| EnrolmentError::Garbage)?;
        if answer.certificates.is_empty() { Err(EnrolmentError::Garbage) } else { Ok(answer.certificates) }
    }
}
