use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, de};

/// `POST …/devices`.
#[derive(Deserialize)]
pub(super) struct Enrolment {
    pub(super) institution: Institution,
    pub(super) device_id: String,
    #[serde(deserialize_with = "base64")]
    pub(super) csr: Vec<u8>,
}

/// `POST …/challenges`.
#[derive(Deserialize)]
pub(super) struct ChallengeRequest {
    pub(super) institution: Institution,
}

/// `POST …/checks`.
#[derive(Deserialize)]
pub(super) struct Check {
    #[serde(deserialize_with = "base64")]
    pub(super) request: Vec<u8>,
    #[serde(deserialize_with = "base64")]
    pub(super) signature: Vec<u8>,
    #[serde(deserialize_with = "base64")]
    pub(super) certificate: Vec<u8>,
}

/// The bytes that the card signed, read.
#[derive(Deserialize)]
pub(super) struct SignedRequest {
    pub(super) version: u32,
    #[serde(deserialize_with = "base64")]
    pub(super) challenge: Vec<u8>,
    pub(super) institution: Institution,
    #[serde(deserialize_with = "instant")]
    pub(super) signed_at: Timestamp,
    pub(super) consent: GivenConsent,
}

/// The consent as it came.
#[derive(Deserialize)]
pub(super) struct GivenConsent {
    pub(super) actor: Actor,
    pub(super) shown: Vec<Item>,
    pub(super) agreed: Vec<Item>,
    #[serde(rename = "language")]
    pub(super) _language: String,
    #[serde(rename = "text_version")]
    pub(super) _text_version: String,
    #[serde(deserialize_with = "instant")]
    pub(super) given_at: Timestamp,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Actor {
    Patient,
    LegalRepresentative,
    CarerHelping,
    CannotExpress,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Item {
    Drug,
    Treatment,
    Surgery,
    CheckUp,
    CostLimit,
    SpecificDisease,
}

/// 医療機関コード: ten digits.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Institution(pub(super) String);

impl TryFrom<String> for Institution {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if is_institution(&text) { Ok(Self(text)) } else { Err("an institution code has ten digits") }
    }
}

pub(crate) fn is_institution(text: &str) -> bool {
    text.len() == 10 && text.bytes().all(|c| c.is_ascii_digit())
}

impl Enrolment {
    /// Reads the body; `None` for any other shape.
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let enrolment: Self = serde_json::from_slice(body).ok()?;
        (1..=64).contains(&enrolment.device_id.chars().count()).then_some(enrolment)
    }
}

impl ChallengeRequest {
    /// Reads the body; `None` for any other shape.
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }
}

impl Check {
    /// Reads the body and the request bytes in it; `None` for any other shape.
    pub(super) fn parse(body: &[u8]) -> Option<(Self, SignedRequest)> {
        let check: Self = serde_json::from_slice(body).ok()?;
        let request: SignedRequest = serde_json::from_slice(&check.request).ok()?;
        let consent = &request.consent;
        let is_sound = request.version == 1
            && request.challenge.len() == 32
            && check.signature.len() == 256
            && consent.agreed.iter().all(|item| consent.shown.contains(item))
            && (consent.actor != Actor::CannotExpress || consent.agreed.is_empty());
        is_sound.then_some((check, request))
    }
}

fn base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    STANDARD.decode(String::deserialize(deserializer)?).map_err(|_| de::Error::custom("not standard base64"))
}

/// RFC 3339 in UTC, so with a final `Z`.
fn instant<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.strip_suffix('Z').and_then(|_| text.parse().ok()).ok_or_else(|| de::Error::custom("not an instant in UTC"))
}
