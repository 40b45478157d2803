use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use tazune_model::{Bytes, Eligibility, FailureCode, Sha256, Timestamp};

/// More than this between the two clocks is a clock failure. Source: docs, "Direct check", Challenge.
const MAX_SKEW: SignedDuration = SignedDuration::from_mins(5);
/// A PIN is asked only while a challenge has this much life left: time to hold the card and to send.
const TIME_TO_SIGN: SignedDuration = SignedDuration::from_mins(2);
/// No challenge lives longer, whatever it says. Source: as above.
const MAX_LIFE: SignedDuration = SignedDuration::from_mins(10);
const CHALLENGE_BYTES: usize = 32;

/// A challenge as the gateway gave it; reads from the answer's JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Challenge {
    /// 32 random bytes.
    pub challenge: Bytes,
    /// The gateway's clock.
    pub issued_at: Timestamp,
    /// End of its life on the gateway's clock.
    pub expires_at: Timestamp,
}

impl Challenge {
    /// Takes the challenge in: its life is counted from now on, so a small difference of clocks does not matter.
    ///
    /// # Errors
    /// [`GatewayError::Garbage`] when it is no challenge or lives too short to sign, [`GatewayError::ClockSkew`] when
    /// the clocks are too far apart.
    pub(crate) fn receive(self, now: Timestamp) -> Result<LiveChallenge, GatewayError> {
        let life = self.expires_at.duration_since(self.issued_at);
        if self.challenge.as_slice().len() != CHALLENGE_BYTES || life <= TIME_TO_SIGN {
            return Err(GatewayError::Garbage);
        }
        if now.duration_since(self.issued_at).abs() > MAX_SKEW {
            return Err(GatewayError::ClockSkew);
        }
        let ends_at = now.saturating_add(life.min(MAX_LIFE)).map_err(|_| GatewayError::Garbage)?;
        Ok(LiveChallenge { challenge: self.challenge, ends_at })
    }
}

/// A challenge with its end on the device's clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LiveChallenge {
    pub(crate) challenge: Bytes,
    pub(crate) ends_at: Timestamp,
}

impl LiveChallenge {
    /// The instant from which on no PIN is asked under it.
    pub(crate) fn too_old_at(&self) -> Timestamp {
        self.ends_at.saturating_sub(TIME_TO_SIGN).expect("a duration of seconds always subtracts")
    }

    pub(crate) fn can_be_signed(&self, now: Timestamp) -> bool {
        now < self.too_old_at()
    }
}

/// Message 002 as it came, and what was read from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerReceived {
    /// The XML document, untouched.
    pub document: Bytes,
    /// SHA-256 of `document`.
    pub sha256: Sha256,
    /// What it says.
    pub eligibility: Eligibility,
}

/// Why the gateway gave no challenge or no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GatewayError {
    /// No connection, or it was lost: nothing is known about the request.
    #[error("the gateway could not be reached")]
    Unreachable,
    /// No answer in time: nothing is known about the request.
    #[error("the gateway did not answer in time")]
    Timeout,
    /// The gateway refused and said why.
    #[error("the gateway refused: {}", .0.word())]
    Refused(Refusal),
    /// What came is no answer, or an answer to another question.
    #[error("the gateway's answer is no answer")]
    Garbage,
    /// The clocks of device and gateway are too far apart.
    #[error("the clocks of device and gateway are too far apart")]
    ClockSkew,
}

impl GatewayError {
    /// The failure a person meets.
    #[must_use]
    pub const fn failure_code(self) -> FailureCode {
        match self {
            Self::Unreachable => FailureCode::GatewayUnreachable,
            Self::Timeout | Self::Refused(Refusal::Busy) => FailureCode::GatewayTimeout,
            Self::ClockSkew | Self::Refused(Refusal::ClockSkew) => FailureCode::ClockSkew,
            Self::Refused(_) => FailureCode::GatewayRefused,
            Self::Garbage => FailureCode::GatewayGarbage,
        }
    }

    /// Whether it says nothing about the request, so that the same bytes may be sent again.
    pub(crate) const fn says_nothing(self) -> bool {
        matches!(self, Self::Unreachable | Self::Timeout | Self::Refused(Refusal::Busy))
    }

    /// Whether the request can only be made anew, under another challenge.
    pub(crate) const fn ends_challenge(self) -> bool {
        matches!(self, Self::Refused(Refusal::UnknownChallenge | Refusal::ChallengeUsed | Refusal::ChallengeExpired))
    }
}

macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)*) => {
        /// The gateway's word for a refusal. Source: docs, "Direct check", Refusals.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Refusal {
            $($(#[$doc])* $name,)*
        }

        impl Refusal {
            /// Every refusal.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The word as it travels.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// The refusal of this word, if it is one.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|refusal| refusal.word() == word)
            }
        }
    };
}

refusals! {
    /// Shape, base64, missing member, unknown version.
    Malformed = "malformed",
    /// No client certificate, or not one of this gateway.
    UnknownClient = "unknown_client",
    /// Certificate or secret of another institution.
    WrongInstitution = "wrong_institution",
    /// Never issued, or forgotten.
    UnknownChallenge = "unknown_challenge",
    /// Another body under a used challenge.
    ChallengeUsed = "challenge_used",
    /// Older than its life.
    ChallengeExpired = "challenge_expired",
    /// More than 64 KiB.
    TooLarge = "too_large",
    /// The signature does not verify.
    BadSignature = "bad_signature",
    /// Issuer, chain or usage of the certificate.
    UntrustedCertificate = "untrusted_certificate",
    /// Before its first day, or revoked.
    CertificateNotValid = "certificate_not_valid",
    /// `signed_at` outside the window.
    ClockSkew = "clock_skew",
    /// Try again later.
    Busy = "busy",
}

#[cfg(test)]
mod tests {
    use super::*;

    fn challenge(bytes: usize, life_mins: i64) -> Challenge {
        let issued_at: Timestamp = "2026-11-21T01:00:00Z".parse().unwrap();
        let expires_at = issued_at + SignedDuration::from_mins(life_mins);
        Challenge { challenge: vec![7; bytes].into(), issued_at, expires_at }
    }

    #[test]
    fn five_minutes_between_the_clocks_are_allowed_and_no_second_more() {
        let table =
            [(300, None), (-300, None), (301, Some(GatewayError::ClockSkew)), (-301, Some(GatewayError::ClockSkew))];
        for (seconds, expected) in table {
            let challenge = challenge(32, 10);
            let now = challenge.issued_at + SignedDuration::from_secs(seconds);
            assert_eq!(challenge.receive(now).err(), expected, "{seconds}");
        }
    }

    #[test]
    fn the_life_is_counted_from_receipt() {
        let challenge = challenge(32, 10);
        let now = challenge.issued_at - SignedDuration::from_mins(4);
        let live = challenge.receive(now).unwrap();
        assert_eq!(live.ends_at, now + SignedDuration::from_mins(10));
        assert!(live.can_be_signed(now + SignedDuration::from_secs(479)));
        assert!(!live.can_be_signed(now + SignedDuration::from_secs(480)));
    }

    #[test]
    fn refuses_what_is_no_challenge() {
        for bad in [challenge(31, 10), challenge(0, 10), challenge(32, 2), challenge(32, -10)] {
            let now = bad.issued_at;
            assert_eq!(bad.receive(now), Err(GatewayError::Garbage));
        }
    }

    #[test]
    fn no_challenge_lives_longer_than_ten_minutes_here() {
        let mut long = challenge(32, 60);
        let now = long.issued_at;
        assert_eq!(long.clone().receive(now).unwrap().ends_at, now + SignedDuration::from_mins(10));
        long.expires_at = Timestamp::MAX;
        assert_eq!(long.receive(now).unwrap().ends_at, now + SignedDuration::from_mins(10));
    }

    #[test]
    fn every_word_is_read_back_and_no_other() {
        for refusal in Refusal::ALL {
            assert_eq!(Refusal::from_word(refusal.word()), Some(*refusal));
        }
        assert_eq!(Refusal::from_word("teapot"), None);
    }
}
