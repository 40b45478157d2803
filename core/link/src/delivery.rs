//! The delivery of one sealed record, from the device's side; diagram in `delivery/README.md`.

mod back_off;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tazune_model::{FailureCode, Timestamp};

pub use back_off::BackOff;

use crate::{
    Refused,
    envelope::Refusal,
    receipt::{QuarantineReason, Verdict},
};

/// Where a sealed record is (配送状態); the words are the same on device, front, desk and console.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Delivery {
    /// 保存済み(未送信): committed on the device, not yet at the front.
    Sealed,
    /// 送信中: on its way.
    Sending,
    /// 送信済み: the front has it durably.
    Received,
    /// 受付済み: the desk opened and committed it, and signed so.
    Accepted {
        /// When the device verified the receipt; the purge grace counts from here.
        at: Timestamp,
    },
    /// 消去済み: the sealed bytes are gone from the device.
    Purged,
    /// 要確認: set aside; never deleted, never in the way of other records.
    Quarantined {
        /// Why.
        reason: Reason,
    },
}

/// Who set a record aside, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The front refused it.
    Front(Refusal),
    /// The desk could not take it, and signed so.
    Desk(QuarantineReason),
}

impl Reason {
    /// The failure a person meets.
    #[must_use]
    pub const fn failure_code(self) -> FailureCode {
        match self {
            Self::Front(refusal) => refusal.failure_code(),
            Self::Desk(reason) => reason.failure_code(),
        }
    }
}

/// What happened to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It was taken into a batch. Legal again after [`Delivery::Received`]: a front restored from an older backup may
    /// have lost it, and a repetition costs nothing.
    SendStarted,
    /// The front could not be reached, or its answer was none.
    SendFailed,
    /// The front has it durably (answer `received` or `accepted`; with `accepted` the receipt is there to be fetched).
    FrontReceived,
    /// The front refused it.
    FrontRefused(Refusal),
    /// A receipt was verified against the envelope as stored.
    ReceiptVerified(Verdict),
    /// A purge may be due.
    PurgeDue {
        /// How long an accepted record is kept.
        grace: Duration,
    },
    /// The device is revoked, and the desk has answered for every record on it.
    RevocationClosing,
    /// The program was started anew.
    Restarted,
}

/// What is to be done, after the new state is committed; each may be done twice without harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Hand the envelope to the front.
    Send,
    /// Delete the sealed bytes.
    Purge,
    /// Tell the staff.
    Report(Reason),
}

impl Delivery {
    /// The state after `event`, and what to do.
    ///
    /// Only a record that the desk signed for leaves the device: an accepted one by [`Event::PurgeDue`] after the grace,
    /// and from a revoked device also one that the desk set aside, because the desk keeps its bytes. A signed receipt
    /// counts in every state, because it may overtake the front's own answer.
    ///
    /// # Errors
    /// [`Refused`] when the event does not belong to the state; the state stays.
    pub fn on(self, event: Event, now: Timestamp) -> Result<(Self, Vec<Effect>), Refused> {
        match (self, event) {
            (Self::Sealed | Self::Received, Event::SendStarted) => Ok((Self::Sending, vec![Effect::Send])),

            (Self::Sending, Event::SendFailed | Event::Restarted) => Ok((Self::Sealed, vec![])),
            (Self::Sending, Event::FrontReceived) => Ok((Self::Received, vec![])),
            // Not the record's fault: it waits until the clinic knows the device again.
            (Self::Sending, Event::FrontRefused(refusal @ Refusal::UnknownDevice)) => {
                Ok((Self::Sealed, vec![Effect::Report(Reason::Front(refusal))]))
            }
            (Self::Sending, Event::FrontRefused(refusal)) => Ok(Self::quarantine(Reason::Front(refusal))),

            (
                Self::Sealed | Self::Sending | Self::Received | Self::Quarantined { .. },
                Event::ReceiptVerified(Verdict::Accepted),
            ) => Ok((Self::Accepted { at: now }, vec![])),
            (Self::Sealed | Self::Sending | Self::Received, Event::ReceiptVerified(Verdict::Quarantined { reason })) => {
                Ok(Self::quarantine(Reason::Desk(reason)))
            }

            (Self::Accepted { at }, Event::PurgeDue { grace }) => {
                if at.checked_add(grace).is_ok_and(|due| now >= due) {
                    Ok((Self::Purged, vec![Effect::Purge]))
                } else {
                    Ok((self, vec![]))
                }
            }
            (Self::Accepted { .. } | Self::Quarantined { reason: Reason::Desk(_) }, Event::RevocationClosing) => {
                Ok((Self::Purged, vec![Effect::Purge]))
            }
            // The deletion may not have been reached before the program ended.
            (Self::Purged, Event::Restarted) => Ok((self, vec![Effect::Purge])),

            // The answer to a batch that a receipt overtook.
            (
                Self::Accepted { .. } | Self::Purged | Self::Quarantined { .. },
                Event::SendFailed | Event::FrontReceived | Event::FrontRefused(_),
            )
            // A receipt fetched a second time.
            | (Self::Accepted { .. } | Self::Purged, Event::ReceiptVerified(Verdict::Accepted))
            | (Self::Quarantined { .. }, Event::ReceiptVerified(Verdict::Quarantined { .. }))
            | (
                Self::Sealed | Self::Received | Self::Accepted { .. } | Self::Quarantined { .. },
                Event::Restarted,
            )
            | (Self::Purged, Event::RevocationClosing) => Ok((self, vec![])),

            (Self::Sealed | Self::Received, Event::SendFailed | Event::FrontReceived | Event::FrontRefused(_))
            | (Self::Sending | Self::Accepted { .. } | Self::Purged | Self::Quarantined { .. }, Event::SendStarted)
            | (Self::Accepted { .. } | Self::Purged, Event::ReceiptVerified(Verdict::Quarantined { .. }))
            | (
                Self::Sealed | Self::Sending | Self::Received | Self::Purged | Self::Quarantined { .. },
                Event::PurgeDue { .. },
            )
            | (
                Self::Sealed
                | Self::Sending
                | Self::Received
                | Self::Quarantined { reason: Reason::Front(_) },
                Event::RevocationClosing,
            ) => Err(Refused),
        }
    }

    fn quarantine(reason: Reason) -> (Self, Vec<Effect>) {
        (Self::Quarantined { reason }, vec![Effect::Report(reason)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    /// One or more values of every state; the match fails to compile when a state is added and not listed.
    fn states() -> Vec<Delivery> {
        let listed = |state: Delivery| match state {
            Delivery::Sealed
            | Delivery::Sending
            | Delivery::Received
            | Delivery::Accepted { .. }
            | Delivery::Purged
            | Delivery::Quarantined { .. } => state,
        };
        [
            Delivery::Sealed,
            Delivery::Sending,
            Delivery::Received,
            Delivery::Accepted { at: at(0) },
            Delivery::Purged,
            Delivery::Quarantined { reason: Reason::Front(Refusal::Replayed) },
            Delivery::Quarantined { reason: Reason::Desk(QuarantineReason::WrongKey) },
        ]
        .map(listed)
        .into()
    }

    fn events() -> Vec<Event> {
        let mut events = vec![
            Event::SendStarted,
            Event::SendFailed,
            Event::FrontReceived,
            Event::ReceiptVerified(Verdict::Accepted),
            Event::PurgeDue { grace: HOUR },
            Event::RevocationClosing,
            Event::Restarted,
        ];
        events.extend(Refusal::ALL.map(Event::FrontRefused));
        events.extend(QuarantineReason::ALL.map(|reason| Event::ReceiptVerified(Verdict::Quarantined { reason })));
        events
    }

    /// What every pair must do at second 3600, written down state by state.
    fn wanted(state: Delivery, event: Event) -> Result<(Delivery, Vec<Effect>), Refused> {
        use Delivery::*;
        use Event::*;
        let stays = Ok((state, vec![]));
        let accepted = Ok((Accepted { at: at(3600) }, vec![]));
        let quarantined = |reason| Ok((Quarantined { reason }, vec![Effect::Report(reason)]));
        match state {
            Sealed => match event {
                SendStarted => Ok((Sending, vec![Effect::Send])),
                ReceiptVerified(Verdict::Accepted) => accepted,
                ReceiptVerified(Verdict::Quarantined { reason }) => quarantined(Reason::Desk(reason)),
                Restarted => stays,
                SendFailed | FrontReceived | FrontRefused(_) | PurgeDue { .. } | RevocationClosing => Err(Refused),
            },
            Sending => match event {
                SendFailed | Restarted => Ok((Sealed, vec![])),
                FrontReceived => Ok((Received, vec![])),
                FrontRefused(Refusal::UnknownDevice) => {
                    Ok((Sealed, vec![Effect::Report(Reason::Front(Refusal::UnknownDevice))]))
                }
                FrontRefused(refusal) => quarantined(Reason::Front(refusal)),
                ReceiptVerified(Verdict::Accepted) => accepted,
                ReceiptVerified(Verdict::Quarantined { reason }) => quarantined(Reason::Desk(reason)),
                SendStarted | PurgeDue { .. } | RevocationClosing => Err(Refused),
            },
            Received => match event {
                SendStarted => Ok((Sending, vec![Effect::Send])),
                ReceiptVerified(Verdict::Accepted) => accepted,
                ReceiptVerified(Verdict::Quarantined { reason }) => quarantined(Reason::Desk(reason)),
                Restarted => stays,
                SendFailed | FrontReceived | FrontRefused(_) | PurgeDue { .. } | RevocationClosing => Err(Refused),
            },
            Accepted { .. } => match event {
                PurgeDue { .. } | RevocationClosing => Ok((Purged, vec![Effect::Purge])),
                SendFailed | FrontReceived | FrontRefused(_) | Restarted => stays,
                ReceiptVerified(Verdict::Accepted) => stays,
                SendStarted | ReceiptVerified(Verdict::Quarantined { .. }) => Err(Refused),
            },
            Purged => match event {
                Restarted => Ok((Purged, vec![Effect::Purge])),
                SendFailed | FrontReceived | FrontRefused(_) | ReceiptVerified(Verdict::Accepted) => stays,
                RevocationClosing => stays,
                SendStarted | ReceiptVerified(Verdict::Quarantined { .. }) | PurgeDue { .. } => Err(Refused),
            },
            Quarantined { reason } => match event {
                RevocationClosing if matches!(reason, Reason::Desk(_)) => Ok((Purged, vec![Effect::Purge])),
                ReceiptVerified(Verdict::Accepted) => accepted,
                SendFailed | FrontReceived | FrontRefused(_) | Restarted => stays,
                ReceiptVerified(Verdict::Quarantined { .. }) => stays,
                SendStarted | PurgeDue { .. } | RevocationClosing => Err(Refused),
            },
        }
    }

    #[test]
    fn every_pair_of_state_and_event_does_what_is_written_down() {
        for state in states() {
            for event in events() {
                assert_eq!(state.on(event, at(3600)), wanted(state, event), "{state:?} {event:?}");
            }
        }
    }

    #[test]
    fn only_a_record_that_the_desk_signed_for_is_purged_and_an_accepted_one_not_before_its_grace() {
        let accepted = Delivery::Accepted { at: at(100) };
        let due = |seconds, grace| accepted.on(Event::PurgeDue { grace }, at(seconds));
        assert_eq!(due(3699, HOUR), Ok((accepted, vec![])));
        assert_eq!(due(3700, HOUR), Ok((Delivery::Purged, vec![Effect::Purge])));
        assert_eq!(due(0, Duration::ZERO), Ok((accepted, vec![])), "the clock was set back");
        assert_eq!(due(i64::from(u32::MAX), Duration::MAX), Ok((accepted, vec![])));
        for state in states() {
            for event in events() {
                let purges = state.on(event, at(1_000_000)).is_ok_and(|(_, effects)| effects.contains(&Effect::Purge));
                let is_signed_for = match state {
                    Delivery::Accepted { .. } | Delivery::Purged => true,
                    Delivery::Quarantined { reason: Reason::Desk(_) } => event == Event::RevocationClosing,
                    _ => false,
                };
                assert!(!purges || is_signed_for, "{state:?} {event:?}");
            }
        }
    }

    #[test]
    fn each_state_survives_its_store() {
        for state in states() {
            let json = serde_json::to_string(&state).unwrap();
            assert_eq!(serde_json::from_str::<Delivery>(&json).unwrap(), state, "{json}");
        }
    }
}
