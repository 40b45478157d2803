//! A revoked device's way out, from the verified tombstone to nothing left; diagram in `revocation/README.md`.

use serde::{Deserialize, Serialize};
use tazune_model::FailureCode;

use crate::Refused;

/// How far a revoked device is (失効); each state is committed before its effect begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Revocation {
    /// The tombstone is committed; whatever the staff key opens is being destroyed.
    Destroying,
    /// Sealed records and the transport key are all that is left; the records go to the clinic.
    HandingIn,
    /// The clinic has every record and signed so; their sealed bytes are gone, the transport key is next.
    Closing,
    /// Nothing is left. The device may be paired anew.
    Finished,
}

/// What happened on a revoked device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The program was started anew.
    Restarted,
    /// Staff key, drafts, wrapped keys and the gateway's secrets are gone.
    SecretsDestroyed,
    /// For every record on the device there is a verified receipt of the desk, accepted or set aside.
    EveryRecordAnswered,
    /// The transport key is gone.
    TransportKeyDestroyed,
}

/// What is to be done, after the state is committed; each may be done twice without harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Destroy the staff key, then delete what it wrapped and the gateway's secrets.
    DestroySecrets,
    /// Hand in the sealed records and collect their receipts.
    HandIn,
    /// Destroy the transport key.
    DestroyTransportKey,
}

impl Revocation {
    /// The first state, entered with a verified tombstone only.
    #[must_use]
    pub const fn begin() -> Self {
        Self::Destroying
    }

    /// What belongs to this state.
    #[must_use]
    pub const fn effect(self) -> Option<Effect> {
        match self {
            Self::Destroying => Some(Effect::DestroySecrets),
            Self::HandingIn => Some(Effect::HandIn),
            Self::Closing => Some(Effect::DestroyTransportKey),
            Self::Finished => None,
        }
    }

    /// The state after `event`; what it asks for is its [`effect`](Self::effect).
    ///
    /// What was said before counts again without effect, because two processes may do the same step. Nothing leads
    /// back, and no step is left out.
    ///
    /// # Errors
    /// [`Refused`] when the event comes before its time; the state stays.
    pub const fn on(self, event: Event) -> Result<Self, Refused> {
        match (self, event) {
            (state, Event::Restarted) => Ok(state),

            (Self::Destroying, Event::SecretsDestroyed) => Ok(Self::HandingIn),
            (Self::HandingIn, Event::EveryRecordAnswered) => Ok(Self::Closing),
            (Self::Closing, Event::TransportKeyDestroyed) => Ok(Self::Finished),

            (state @ (Self::HandingIn | Self::Closing | Self::Finished), Event::SecretsDestroyed)
            | (state @ (Self::Closing | Self::Finished), Event::EveryRecordAnswered)
            | (state @ Self::Finished, Event::TransportKeyDestroyed) => Ok(state),

            (Self::Destroying, Event::EveryRecordAnswered | Event::TransportKeyDestroyed)
            | (Self::HandingIn, Event::TransportKeyDestroyed) => Err(Refused),
        }
    }
}

/// The device is revoked: it takes no new visit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the clinic has revoked this device")]
pub struct Revoked;

impl Revoked {
    /// The failure a person meets.
    #[must_use]
    pub const fn failure_code(self) -> FailureCode {
        FailureCode::DeviceRevoked
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Revocation::*;

    const STATES: [Revocation; 4] = [Destroying, HandingIn, Closing, Finished];
    const EVENTS: [Event; 4] =
        [Event::Restarted, Event::SecretsDestroyed, Event::EveryRecordAnswered, Event::TransportKeyDestroyed];

    #[test]
    fn every_pair_of_state_and_event_does_what_is_written_down() {
        let no = Err(Refused);
        let wanted = [
            [Ok(Destroying), Ok(HandingIn), no, no],
            [Ok(HandingIn), Ok(HandingIn), Ok(Closing), no],
            [Ok(Closing), Ok(Closing), Ok(Closing), Ok(Finished)],
            [Ok(Finished); 4],
        ];
        for (state, row) in STATES.into_iter().zip(wanted) {
            for (event, wanted) in EVENTS.into_iter().zip(row) {
                assert_eq!(state.on(event), wanted, "{state:?} {event:?}");
            }
        }
    }

    #[test]
    fn the_staff_key_goes_first_and_the_transport_key_last() {
        let effects = STATES.map(Revocation::effect);
        assert_eq!(Revocation::begin(), STATES[0]);
        assert_eq!(
            effects,
            [Some(Effect::DestroySecrets), Some(Effect::HandIn), Some(Effect::DestroyTransportKey), None]
        );
    }

    #[test]
    fn each_state_survives_its_store() {
        for (state, word) in STATES.into_iter().zip(["destroying", "handing_in", "closing", "finished"]) {
            let json = serde_json::to_string(&state).unwrap();
            assert_eq!(json, format!("\"{word}\""));
            assert_eq!(serde_json::from_str::<Revocation>(&json).unwrap(), state);
        }
    }
}
