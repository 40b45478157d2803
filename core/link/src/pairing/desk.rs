use tazune_model::{Sha256, Timestamp};

use super::{
    FINISH_WITHIN, Hello, PairingCode, PairingOffer, Reply, SCAN_WITHIN, SealedHello, SessionId, Transcript,
    device::later,
};
use crate::{Refused, V1, front_api::PairingAnswer, keys::OpeningKey};

/// One pairing session from the desk's side.
///
/// It lives in memory only, because it holds the session's private key: a restart of the desk ends it, and the admin
/// makes a new offer.
#[derive(Debug)]
pub struct DeskPairing {
    session_key: OpeningKey,
    offer: PairingOffer,
    offer_text: String,
    finish_by: Timestamp,
    state: DeskState,
}

/// Where a pairing stands at the desk.
#[derive(Debug)]
pub enum DeskState {
    /// The QR code is shown.
    Open,
    /// A device answered; the six digits on its screen are to be typed.
    AwaitingCode {
        /// The device that answered, as it describes itself; it need not be the one at hand.
        hello: Box<Hello>,
        /// What both sides hold.
        transcript: Transcript,
    },
    /// The digits were right: the device that answered is the one at hand.
    AwaitingApproval {
        /// The device.
        hello: Box<Hello>,
        /// What both sides hold.
        transcript: Transcript,
    },
    /// The admin approved.
    Approved,
    /// The admin turned the device down, or what came was no hello.
    Rejected,
    /// Other digits were typed: somebody else's device answered. There is no second attempt.
    CodeWrong,
    /// The time was up.
    Expired,
}

/// What happened to a pairing, seen from the desk.
#[derive(Debug)]
pub enum DeskEvent {
    /// The front handed over what answered the offer.
    HelloArrived(SealedHello),
    /// The admin typed six digits.
    CodeTyped(PairingCode),
    /// The admin approved, and the certificates were made.
    Approved(Box<Reply>),
    /// The admin turned the device down, or gave up.
    Rejected,
    /// Time went by.
    TimePassed,
}

impl DeskPairing {
    /// Opens a session: the offer may be answered for 60 seconds and finished for 5 minutes.
    ///
    /// `session_key` is made for this session alone. `fronts` as in [`PairingOffer`].
    #[must_use]
    pub fn open(
        fronts: Vec<String>,
        spki_sha256: Sha256,
        session: SessionId,
        session_key: OpeningKey,
        now: Timestamp,
    ) -> Self {
        let offer = PairingOffer {
            version: V1,
            fronts,
            spki_sha256,
            session,
            session_key: session_key.sealing_key(),
            expires_at: later(now, SCAN_WITHIN),
        };
        let offer_text = offer.to_text();
        Self { session_key, offer, offer_text, finish_by: later(now, FINISH_WITHIN), state: DeskState::Open }
    }

    /// The offer; its `session` and `expires_at` are registered at the front.
    #[must_use]
    pub const fn offer(&self) -> &PairingOffer {
        &self.offer
    }

    /// The text for the QR code.
    #[must_use]
    pub fn offer_text(&self) -> &str {
        &self.offer_text
    }

    /// Where the pairing stands.
    #[must_use]
    pub const fn state(&self) -> &DeskState {
        &self.state
    }

    /// Takes what happened; gives the answer the front is to pass on to the device, when there is a new one.
    ///
    /// When the time is up, every event only ends the session.
    ///
    /// # Errors
    /// [`Refused`] when the event does not belong to the state; the state stays.
    pub fn on(&mut self, event: DeskEvent, now: Timestamp) -> Result<Option<PairingAnswer>, Refused> {
        if self.is_late(now) {
            self.state = DeskState::Expired;
            return Ok(Some(PairingAnswer::Expired));
        }
        // Taken out, so that what both sides hold is moved on or wiped; every path puts a state back.
        let state = std::mem::replace(&mut self.state, DeskState::Rejected);
        let (next, outcome) = match (state, event) {
            (DeskState::Open, DeskEvent::HelloArrived(sealed)) => {
                match sealed.open(&self.offer_text, &self.session_key) {
                    Ok((hello, transcript)) => {
                        (DeskState::AwaitingCode { hello: Box::new(hello), transcript }, Ok(None))
                    }
                    Err(_) => (DeskState::Rejected, Ok(Some(PairingAnswer::Rejected))),
                }
            }
            (DeskState::AwaitingCode { hello, transcript }, DeskEvent::CodeTyped(typed)) => {
                if typed == transcript.code() {
                    (DeskState::AwaitingApproval { hello, transcript }, Ok(None))
                } else {
                    (DeskState::CodeWrong, Ok(Some(PairingAnswer::CodeWrong)))
                }
            }
            (DeskState::AwaitingApproval { transcript, .. }, DeskEvent::Approved(reply)) => {
                (DeskState::Approved, Ok(Some(PairingAnswer::Approved { reply: transcript.seal_reply(&reply) })))
            }
            (
                DeskState::Open | DeskState::AwaitingCode { .. } | DeskState::AwaitingApproval { .. },
                DeskEvent::Rejected,
            ) => (DeskState::Rejected, Ok(Some(PairingAnswer::Rejected))),
            (state, DeskEvent::TimePassed) => (state, Ok(None)),
            (
                state,
                DeskEvent::HelloArrived(_) | DeskEvent::CodeTyped(_) | DeskEvent::Approved(_) | DeskEvent::Rejected,
            ) => (state, Err(Refused)),
        };
        self.state = next;
        outcome
    }

    fn is_late(&self, now: Timestamp) -> bool {
        match self.state {
            DeskState::Open => now > self.offer.expires_at,
            DeskState::AwaitingCode { .. } | DeskState::AwaitingApproval { .. } => now > self.finish_by,
            DeskState::Approved | DeskState::Rejected | DeskState::CodeWrong | DeskState::Expired => false,
        }
    }
}
