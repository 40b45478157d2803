use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::{SignedDuration, Timestamp};
use rand::Rng as _;
use serde_json::json;
use tazune_model::Clock;

use super::{
    answer::{self, Question},
    authority::{Authority, DeviceIdentity},
    judge::Judge,
    shape::{ChallengeRequest, Check, Enrolment},
};
use crate::{population::Person, world::World};

const CHALLENGE_LIFE: SignedDuration = SignedDuration::from_mins(10);
const SKEW: SignedDuration = SignedDuration::from_mins(5);
/// How long an ended challenge is still known as such.
const MEMORY: SignedDuration = SignedDuration::from_mins(60);

/// Why the gateway refuses; the table of the protocol page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Malformed,
    UnknownClient,
    WrongInstitution,
    UnknownChallenge,
    ChallengeUsed,
    ChallengeExpired,
    TooLarge,
    BadSignature,
    UntrustedCertificate,
    CertificateNotValid,
    ClockSkew,
    Busy,
}

impl Refusal {
    /// HTTP status and word.
    pub(super) const fn on_the_wire(self) -> (u16, &'static str) {
        match self {
            Self::Malformed => (400, "malformed"),
            Self::UnknownClient => (401, "unknown_client"),
            Self::WrongInstitution => (403, "wrong_institution"),
            Self::UnknownChallenge => (404, "unknown_challenge"),
            Self::ChallengeUsed => (409, "challenge_used"),
            Self::ChallengeExpired => (410, "challenge_expired"),
            Self::TooLarge => (413, "too_large"),
            Self::BadSignature => (422, "bad_signature"),
            Self::UntrustedCertificate => (422, "untrusted_certificate"),
            Self::CertificateNotValid => (422, "certificate_not_valid"),
            Self::ClockSkew => (422, "clock_skew"),
            Self::Busy => (503, "busy"),
        }
    }
}

/// What the gateway knows and decides, without the network.
pub(super) struct Service {
    pub(super) authority: Authority,
    clock: Arc<dyn Clock>,
    judge: Judge,
    /// Institution code and its enrolment secret.
    enrolment: (String, String),
    people: Vec<Person>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    challenges: HashMap<Vec<u8>, Challenge>,
    revoked: Vec<u32>,
}

struct Challenge {
    institution: String,
    issued_at: Timestamp,
    expires_at: Timestamp,
    /// The whole body of the check that used it, and its answer.
    used: Option<(Vec<u8>, Vec<u8>)>,
}

impl Service {
    /// The service of a world; `None` when the world's files are not what they should be.
    pub(super) fn new(world: &World, clock: Arc<dyn Clock>) -> Option<Self> {
        Some(Self {
            authority: world.gateway_authority()?,
            clock,
            judge: Judge::new(world.user_ca())?,
            enrolment: (world.institution().to_owned(), world.enrolment_secret().to_owned()),
            people: world.people().to_vec(),
            state: Mutex::default(),
        })
    }

    /// Treats the certificate of this serial number as revoked from now on.
    pub(super) fn revoke(&self, serial: u32) {
        self.state().revoked.push(serial);
    }

    /// `POST …/devices`: JSON.
    pub(super) fn enrol(&self, body: &[u8], bearer: Option<&str>) -> Result<Vec<u8>, Refusal> {
        let enrolment = Enrolment::parse(body).ok_or(Refusal::Malformed)?;
        let (institution, secret) = &self.enrolment;
        if bearer != Some(secret) {
            return Err(Refusal::UnknownClient);
        }
        if enrolment.institution.0 != *institution {
            return Err(Refusal::WrongInstitution);
        }
        let issued =
            self.authority.issue(&enrolment.csr, institution, &enrolment.device_id).ok_or(Refusal::Malformed)?;
        let chain = [STANDARD.encode(issued), STANDARD.encode(&self.authority.certificate)];
        Ok(json!({ "certificates": chain }).to_string().into_bytes())
    }

    /// `POST …/challenges`: JSON.
    pub(super) fn challenge(&self, body: &[u8], device: Option<&DeviceIdentity>) -> Result<Vec<u8>, Refusal> {
        let request = ChallengeRequest::parse(body).ok_or(Refusal::Malformed)?;
        let institution = institution_of(device, &request.institution.0)?;
        let issued_at = self.clock.now();
        let expires_at = issued_at.saturating_add(CHALLENGE_LIFE).expect("minutes always add");
        let mut challenge = vec![0; 32];
        crate::generator().fill_bytes(&mut challenge);
        let answer = json!({
            "challenge": STANDARD.encode(&challenge),
            "issued_at": issued_at.to_string(),
            "expires_at": expires_at.to_string(),
        });
        let mut state = self.state();
        state.challenges.retain(|_, known| issued_at.duration_since(known.expires_at) < MEMORY);
        state.challenges.insert(challenge, Challenge { institution, issued_at, expires_at, used: None });
        Ok(answer.to_string().into_bytes())
    }

    /// `POST …/checks`: message 002. The order of the checks is that of the protocol page.
    ///
    /// `for_another` answers about somebody else, the one fault that lies in the answer itself.
    pub(super) fn check(
        &self,
        body: &[u8],
        device: Option<&DeviceIdentity>,
        for_another: bool,
    ) -> Result<Vec<u8>, Refusal> {
        let (check, request) = Check::parse(body).ok_or(Refusal::Malformed)?;
        let institution = institution_of(device, &request.institution.0)?;
        let now = self.clock.now();
        let mut state = self.state();
        let State { challenges, revoked } = &mut *state;

        let challenge = challenges.get_mut(&request.challenge).filter(|known| known.institution == institution);
        let challenge = challenge.ok_or(Refusal::UnknownChallenge)?;
        if now > challenge.expires_at {
            return Err(Refusal::ChallengeExpired);
        }
        if let Some((used_by, answer)) = &challenge.used {
            return if used_by == body { Ok(answer.clone()) } else { Err(Refusal::ChallengeUsed) };
        }
        let certificate = self.judge.trust(&check.certificate).ok_or(Refusal::UntrustedCertificate)?;
        let is_revoked = revoked.iter().any(|serial| is_serial(certificate.serial(), *serial));
        if is_revoked || !certificate.has_begun(now) {
            return Err(Refusal::CertificateNotValid);
        }
        if !certificate.signed(&check.request, &check.signature) {
            return Err(Refusal::BadSignature);
        }
        let early = challenge.issued_at.duration_since(request.signed_at) > SKEW;
        let late = request.signed_at.duration_since(challenge.expires_at) > SKEW;
        if early || late {
            return Err(Refusal::ClockSkew);
        }

        let is_holder = |person: &&Person| is_serial(certificate.serial(), person.certificate.serial) != for_another;
        let answer = answer::write(&Question {
            institution: &institution,
            now,
            phase: certificate.phase(now),
            consent: &request.consent,
            person: self.people.iter().find(is_holder),
        });
        challenge.used = Some((body.to_vec(), answer.clone()));
        Ok(answer)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The institution of the client certificate, which must be the one the body names.
fn institution_of(device: Option<&DeviceIdentity>, named: &str) -> Result<String, Refusal> {
    let device = device.ok_or(Refusal::UnknownClient)?;
    if device.institution == named { Ok(device.institution.clone()) } else { Err(Refusal::WrongInstitution) }
}

fn is_serial(bytes: &[u8], serial: u32) -> bool {
    let number = serial.to_be_bytes();
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..) == Some(bytes)
}
