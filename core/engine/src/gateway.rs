//! The device's client of the direct check, as docs/src/protocol/direct-check.md describes it.

use std::time::Duration;

use serde::Deserialize;
use tazune_link::{envelope::MAX_ENVELOPE_BYTES, pairing::GatewaySettings};
use tazune_model::{Bytes, InstitutionCode, Sha256};
use tazune_visit::{AnswerReceived, Challenge, GatewayError, Refusal};

use crate::{
    https::{self, BodyError, Identity},
    keys::Keys,
};

/// Sent again by the visit when it runs out, so it need not be patient.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);
/// A challenge and a refusal are a few lines.
const MAX_JSON_BYTES: usize = 16 * 1024;
/// One person's answer is some ten kilobytes. What is taken must be sealable.
const MAX_ANSWER_BYTES: usize = 256 * 1024;
// In record, signed record and envelope it is base64 three times over; plan and consent need room beside it.
const _: () = assert!(MAX_ANSWER_BYTES / 27 * 64 + MAX_ENVELOPE_BYTES / 4 < MAX_ENVELOPE_BYTES);

/// Asks the gateway, authenticated by the device's own certificate.
#[derive(Clone, Debug)]
pub(crate) struct GatewayClient {
    http: reqwest::Client,
    base: String,
}

impl GatewayClient {
    /// A client for the gateway of these settings, with the device's key and its certificate there.
    pub(crate) fn new(settings: &GatewaySettings, keys: Keys) -> Self {
        let identity = Identity { certificates: settings.client_certificates.clone(), keys };
        let http = https::client(https::trusting(&settings.ca_certificates, Some(identity)));
        Self { http, base: format!("{}/direct-check/v1", settings.url.trim_end_matches('/')) }
    }

    pub(crate) async fn challenge(&self, institution: &InstitutionCode) -> Result<Challenge, GatewayError> {
        let body = serde_json::json!({ "institution": institution });
        let answer = self.post("challenges", body.to_string().into_bytes(), MAX_JSON_BYTES).await?;
        serde_json::from_slice(&answer).map_err(|_| GatewayError::Garbage)
    }

    /// Sends a signed request; an answer for another institution is none.
    pub(crate) async fn check(
        &self,
        institution: &InstitutionCode,
        body: Bytes,
    ) -> Result<AnswerReceived, GatewayError> {
        let document = self.post("checks", body.0, MAX_ANSWER_BYTES).await?;
        let eligibility = tazune_oqs::parse(&document)
            .and_then(|message| message.eligibility())
            .map_err(|_| GatewayError::Garbage)?;
        if eligibility.institution != *institution {
            return Err(GatewayError::Garbage);
        }
        let digest = ring::digest::digest(&ring::digest::SHA256, &document);
        let sha256 = Sha256(digest.as_ref().try_into().expect("SHA-256 has 32 bytes"));
        Ok(AnswerReceived { document: document.into(), sha256, eligibility })
    }

    async fn post(&self, call: &str, body: Vec<u8>, longest: usize) -> Result<Vec<u8>, GatewayError> {
        let request = self
            .http
            .post(format!("{}/{call}", self.base))
            .header(reqwest::header::CONTENT_TYPE, "application/json")
            .timeout(ANSWER_WITHIN)
            .body(body);
        let response = request.send().await.map_err(|error| silence(&error))?;
        let status = response.status();
        let answer = https::read_body(response, longest).await.map_err(|error| match error {
            BodyError::Interrupted => GatewayError::Unreachable,
            BodyError::TooLarge => GatewayError::Garbage,
        })?;
        if status == reqwest::StatusCode::OK { Ok(answer) } else { Err(refusal(&answer)) }
    }
}

/// Whatever went wrong on the way says nothing about the request.
fn silence(error: &reqwest::Error) -> GatewayError {
    if error.is_timeout() { GatewayError::Timeout } else { GatewayError::Unreachable }
}

fn refusal(answer: &[u8]) -> GatewayError {
    #[derive(Deserialize)]
    struct Body<'a> {
        error: &'a str,
    }
    serde_json::from_slice::<Body<'_>>(answer)
        .ok()
        .and_then(|body| Refusal::from_word(body.error))
        .map_or(GatewayError::Garbage, GatewayError::Refused)
}
