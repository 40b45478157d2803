use std::time::Duration;

use rand_core::CryptoRng;
use tazune_model::Timestamp;

use super::{FINISH_WITHIN, Hello, PairingCode, PairingError, PairingOffer, Reply, SealedHello, Transcript};
use crate::{
    Refused,
    front_api::{ApiError, PairingAnswer},
};

/// How far the clocks of device and desk may be apart before a fresh offer looks stale.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(10 * 60);

/// One pairing from the device's side; it lives in memory only, so a restart ends it.
#[derive(Debug)]
pub struct DevicePairing {
    offer_text: String,
    offer: PairingOffer,
    finish_by: Timestamp,
    state: DeviceState,
}

/// Where a pairing stands on the device.
#[derive(Debug)]
pub enum DeviceState {
    /// The offer was read; the hello is to be made.
    Scanned,
    /// The hello is out; the six digits are shown and the clinic's answer is awaited.
    HelloSent {
        /// What both sides hold.
        transcript: Transcript,
    },
    /// The clinic approved.
    Paired(Box<Reply>),
    /// The pairing ended without success; a new offer is needed.
    Failed(PairingError),
}

/// What happened to a pairing, seen from the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceEvent {
    /// The front gave the session's state.
    Answered(PairingAnswer),
    /// The front refused the hello or the question.
    FrontRefused(ApiError),
    /// Time went by.
    TimePassed,
}

impl DevicePairing {
    /// Begins with a scanned text; space around it is ignored.
    ///
    /// An offer is judged stale only when no difference of clocks explains it; the desk judges exactly.
    ///
    /// # Errors
    /// [`PairingError::QrInvalid`] when it is no offer, [`PairingError::Expired`] when it is over 10 minutes stale.
    pub fn scan(text: &str, now: Timestamp) -> Result<Self, PairingError> {
        let offer_text = text.trim().to_owned();
        let offer = PairingOffer::parse(&offer_text)?;
        if later(offer.expires_at, CLOCK_TOLERANCE) < now {
            return Err(PairingError::Expired);
        }
        Ok(Self { offer_text, offer, finish_by: later(now, FINISH_WITHIN), state: DeviceState::Scanned })
    }

    /// The offer: where the front is and how to know it.
    #[must_use]
    pub const fn offer(&self) -> &PairingOffer {
        &self.offer
    }

    /// Where the pairing stands.
    #[must_use]
    pub const fn state(&self) -> &DeviceState {
        &self.state
    }

    /// The six digits to show, while the clinic is awaited.
    #[must_use]
    pub const fn code(&self) -> Option<PairingCode> {
        match &self.state {
            DeviceState::HelloSent { transcript } => Some(transcript.code()),
            DeviceState::Scanned | DeviceState::Paired(_) | DeviceState::Failed(_) => None,
        }
    }

    /// Seals the hello, once; the same sealed hello may be posted again when an answer was lost.
    ///
    /// # Errors
    /// [`Refused`] unless the state is [`DeviceState::Scanned`], also when the time was up.
    pub fn make_hello(
        &mut self,
        hello: &Hello,
        now: Timestamp,
        rng: &mut impl CryptoRng,
    ) -> Result<SealedHello, Refused> {
        self.expire(now);
        let DeviceState::Scanned = self.state else { return Err(Refused) };
        let (sealed, transcript) = hello.seal(&self.offer_text, &self.offer, rng);
        self.state = DeviceState::HelloSent { transcript };
        Ok(sealed)
    }

    /// Takes what happened; afterwards see [`Self::state`].
    ///
    /// # Errors
    /// [`Refused`] when the event does not belong to the state; the state stays.
    pub fn on(&mut self, event: DeviceEvent, now: Timestamp) -> Result<(), Refused> {
        let was_over = self.is_over();
        self.expire(now);
        if !was_over && self.is_over() {
            return Ok(());
        }
        let next = match (&self.state, event) {
            (_, DeviceEvent::TimePassed)
            | (DeviceState::HelloSent { .. }, DeviceEvent::Answered(PairingAnswer::Waiting)) => return Ok(()),
            (DeviceState::HelloSent { transcript }, DeviceEvent::Answered(PairingAnswer::Approved { reply })) => {
                match transcript.open_reply(reply.as_slice()) {
                    Ok(reply) => DeviceState::Paired(Box::new(reply)),
                    Err(error) => DeviceState::Failed(error),
                }
            }
            (DeviceState::HelloSent { .. }, DeviceEvent::Answered(PairingAnswer::Rejected)) => {
                DeviceState::Failed(PairingError::Rejected)
            }
            (DeviceState::HelloSent { .. }, DeviceEvent::Answered(PairingAnswer::CodeWrong)) => {
                DeviceState::Failed(PairingError::CodeWrong)
            }
            (DeviceState::HelloSent { .. }, DeviceEvent::Answered(PairingAnswer::Expired)) => {
                DeviceState::Failed(PairingError::Expired)
            }
            (DeviceState::HelloSent { .. }, DeviceEvent::FrontRefused(error)) => DeviceState::Failed(error.into()),
            (
                DeviceState::Scanned | DeviceState::Paired(_) | DeviceState::Failed(_),
                DeviceEvent::Answered(_) | DeviceEvent::FrontRefused(_),
            ) => return Err(Refused),
        };
        self.state = next;
        Ok(())
    }

    const fn is_over(&self) -> bool {
        matches!(self.state, DeviceState::Paired(_) | DeviceState::Failed(_))
    }

    fn expire(&mut self, now: Timestamp) {
        if !self.is_over() && now > self.finish_by {
            self.state = DeviceState::Failed(PairingError::Expired);
        }
    }
}

pub(super) fn later(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}
