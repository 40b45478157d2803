use serde::{Deserialize, Serialize};
use tazune_card::{CardError, CardReading, Signature};
use tazune_model::{
    Bytes, ConsentActor, ConsentItem, Date, FailureCode, InstitutionCode, Language, Pin, RecordId, Timestamp,
};

use crate::{AnswerReceived, Challenge, GatewayError, UnsealedVisit};

/// What happened: the person chose, the card or the gateway answered, time passed.
///
/// The outcome of work that the machine has ended ([`Effect::CancelCard`]) or forgotten may still arrive: it is refused,
/// and the caller drops it.
#[derive(Debug)]
pub enum Event {
    /// The person at the device chose something.
    Intent(Intent),
    /// A card is wanted and none is on the reader: it was not held yet, or it left and the conversation waits for it.
    CardAwaited,
    /// The card is on the reader and the conversation moves on.
    CardProgress {
        /// Bytes of the certificate read so far.
        read: usize,
        /// Bytes to read in all, once known.
        total: Option<usize>,
    },
    /// The reader has no card to work with.
    CardTrouble(CardTrouble),
    /// [`Effect::ReadCertificate`] ended.
    CardRead(Result<CardReading, CardError>),
    /// [`Effect::Authenticate`] ended; the PIN is wiped whatever came.
    CardAuthenticated(Result<Signature, CardError>),
    /// [`Effect::RequestChallenge`] ended.
    Challenged(Result<Challenge, GatewayError>),
    /// [`Effect::SendCheck`] ended.
    Answered(Result<AnswerReceived, GatewayError>),
    /// The instant of [`Effect::WakeAt`] has come; early or twice does no harm.
    Woken,
    /// [`Effect::Seal`] is done: the record is on the disk under this id, and the draft is gone.
    Sealed(RecordId),
    /// [`Effect::Seal`] failed; the draft is as it was.
    SealFailed(FailureCode),
}

impl Event {
    /// Whether a card must have been handed over for this to happen.
    pub(crate) const fn shows_a_card(&self) -> bool {
        matches!(
            self,
            Self::CardProgress { .. }
                | Self::CardTrouble(CardTrouble::Lost)
                | Self::CardRead(_)
                | Self::CardAuthenticated(_)
        )
    }

    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Intent(intent) => intent.kind().name(),
            Self::CardAwaited => "card awaited",
            Self::CardProgress { .. } => "card progress",
            Self::CardTrouble(_) => "card trouble",
            Self::CardRead(_) => "card read",
            Self::CardAuthenticated(_) => "card authenticated",
            Self::Challenged(_) => "challenged",
            Self::Answered(_) => "answered",
            Self::Woken => "woken",
            Self::Sealed(_) => "sealed",
            Self::SealFailed(_) => "seal failed",
        }
    }
}

/// What a person at the device may choose; a shell sends it and decides nothing.
///
/// Neither `Clone` nor `Serialize`, because of the PIN.
#[derive(Debug)]
pub enum Intent {
    /// Ticks or unticks one item of the consent.
    ToggleConsent(ConsentItem),
    /// Ticks every item shown.
    AgreeAll,
    /// Unticks every item.
    DeclineAll,
    /// Says who consents.
    SetActor(ConsentActor),
    /// Shows everything in another language.
    SetLanguage(Language),
    /// Goes on.
    Continue,
    /// Enters the PIN; legal once per question.
    EnterPin(Pin),
    /// Repeats the step that failed, from where it is safe.
    TryAgain,
    /// Takes the card that is there now, from the start.
    StartOver,
    /// The person of the answer is the patient.
    ConfirmPerson,
    /// The person of the answer is somebody else.
    RejectPerson,
    /// The card went back to the patient.
    ConfirmCardReturned,
    /// Ends the visit without an answer.
    EndWithoutAnswer,
    /// Throws the visit away.
    Cancel,
}

impl Intent {
    /// The choice without the entry that comes with it.
    #[must_use]
    pub const fn kind(&self) -> IntentKind {
        match self {
            Self::ToggleConsent(item) => IntentKind::ToggleConsent(*item),
            Self::AgreeAll => IntentKind::AgreeAll,
            Self::DeclineAll => IntentKind::DeclineAll,
            Self::SetActor(actor) => IntentKind::SetActor(*actor),
            Self::SetLanguage(language) => IntentKind::SetLanguage(*language),
            Self::Continue => IntentKind::Continue,
            Self::EnterPin(_) => IntentKind::EnterPin,
            Self::TryAgain => IntentKind::TryAgain,
            Self::StartOver => IntentKind::StartOver,
            Self::ConfirmPerson => IntentKind::ConfirmPerson,
            Self::RejectPerson => IntentKind::RejectPerson,
            Self::ConfirmCardReturned => IntentKind::ConfirmCardReturned,
            Self::EndWithoutAnswer => IntentKind::EndWithoutAnswer,
            Self::Cancel => IntentKind::Cancel,
        }
    }
}

/// A choice as a screen offers it: an [`Intent`] without the PIN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IntentKind {
    /// See [`Intent::ToggleConsent`].
    ToggleConsent(ConsentItem),
    /// See [`Intent::AgreeAll`].
    AgreeAll,
    /// See [`Intent::DeclineAll`].
    DeclineAll,
    /// See [`Intent::SetActor`].
    SetActor(ConsentActor),
    /// See [`Intent::SetLanguage`].
    SetLanguage(Language),
    /// See [`Intent::Continue`].
    Continue,
    /// See [`Intent::EnterPin`].
    EnterPin,
    /// See [`Intent::TryAgain`].
    TryAgain,
    /// See [`Intent::StartOver`].
    StartOver,
    /// See [`Intent::ConfirmPerson`].
    ConfirmPerson,
    /// See [`Intent::RejectPerson`].
    RejectPerson,
    /// See [`Intent::ConfirmCardReturned`].
    ConfirmCardReturned,
    /// See [`Intent::EndWithoutAnswer`].
    EndWithoutAnswer,
    /// See [`Intent::Cancel`].
    Cancel,
}

impl IntentKind {
    /// The intent itself; `None` for [`Self::EnterPin`], which needs an entry.
    #[must_use]
    pub const fn intent(self) -> Option<Intent> {
        Some(match self {
            Self::ToggleConsent(item) => Intent::ToggleConsent(item),
            Self::AgreeAll => Intent::AgreeAll,
            Self::DeclineAll => Intent::DeclineAll,
            Self::SetActor(actor) => Intent::SetActor(actor),
            Self::SetLanguage(language) => Intent::SetLanguage(language),
            Self::Continue => Intent::Continue,
            Self::EnterPin => return None,
            Self::TryAgain => Intent::TryAgain,
            Self::StartOver => Intent::StartOver,
            Self::ConfirmPerson => Intent::ConfirmPerson,
            Self::RejectPerson => Intent::RejectPerson,
            Self::ConfirmCardReturned => Intent::ConfirmCardReturned,
            Self::EndWithoutAnswer => Intent::EndWithoutAnswer,
            Self::Cancel => Intent::Cancel,
        })
    }

    /// The stable word of the choice, in refusals and in the keys of the texts.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ToggleConsent(_) => "toggle-consent",
            Self::AgreeAll => "agree-all",
            Self::DeclineAll => "decline-all",
            Self::SetActor(_) => "set-actor",
            Self::SetLanguage(_) => "set-language",
            Self::Continue => "continue",
            Self::EnterPin => "enter-pin",
            Self::TryAgain => "try-again",
            Self::StartOver => "start-over",
            Self::ConfirmPerson => "confirm-person",
            Self::RejectPerson => "reject-person",
            Self::ConfirmCardReturned => "confirm-card-returned",
            Self::EndWithoutAnswer => "end-without-answer",
            Self::Cancel => "cancel",
        }
    }
}

/// What the caller has to do, in this order.
#[derive(Debug)]
pub enum Effect {
    /// Read token, certificate and PIN counter of the card that comes next; ends with [`Event::CardRead`].
    ReadCertificate {
        /// The day in Japan on which the certificate is judged.
        visit_on: Date,
    },
    /// Verify the PIN and sign with the card of `reading`, whether it still lies there or is held again; ends with
    /// [`Event::CardAuthenticated`]. Ordered once for each entry.
    Authenticate {
        /// The card that was read.
        reading: CardReading,
        /// The entry.
        pin: Pin,
        /// What the card signs.
        message: Vec<u8>,
    },
    /// End the conversation under way, if any, de-select and let the card go; no further card event may follow.
    CancelCard,
    /// Take the power from the card; no conversation is under way.
    ReleaseCard,
    /// Fetch a challenge; ends with [`Event::Challenged`].
    RequestChallenge {
        /// For whom.
        institution: InstitutionCode,
    },
    /// Send this body to `checks`; ends with [`Event::Answered`].
    SendCheck {
        /// The JSON body, made once and sent again byte for byte.
        body: Bytes,
    },
    /// Send [`Event::Woken`] at this instant; it replaces an earlier order.
    WakeAt(Timestamp),
    /// Give the visit its id, seal it, put it in the queue and drop the draft, in one transaction; ends with
    /// [`Event::Sealed`] or [`Event::SealFailed`].
    Seal(Box<UnsealedVisit>),
    /// Drop the draft: the visit was thrown away.
    Discard,
}

/// Why the reader has no card to work with; from the card port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CardTrouble {
    /// No card came within the time the reader waits; the conversation, and the PIN with it, is over.
    Absent,
    /// The card left the reader; the conversation goes on when it comes back.
    Lost,
    /// The reader cannot be used; the conversation, and the PIN with it, is over.
    Reader(ReaderTrouble),
}

impl CardTrouble {
    /// The failure a person meets.
    #[must_use]
    pub const fn failure_code(self) -> FailureCode {
        match self {
            Self::Absent => FailureCode::CardAbsent,
            Self::Lost => FailureCode::CardLost,
            Self::Reader(trouble) => trouble.failure_code(),
        }
    }
}

/// Why there is no reader to work with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum ReaderTrouble {
    /// It is there and cannot be used.
    #[error("the reader cannot be used")]
    Unusable,
    /// None is plugged in, or the wanted one is not, or no longer.
    #[error("no such reader is plugged in")]
    Missing,
    /// Several are plugged in and none was chosen.
    #[error("several readers are plugged in and none was chosen")]
    Several,
    /// Another program holds the reader or the card on it.
    #[error("another program holds the reader or the card")]
    Busy,
    /// This program was built without PC/SC.
    #[error("this program was built without PC/SC")]
    Unsupported,
    /// The system's PC/SC service does not run.
    #[error("the PC/SC service does not run")]
    NoService,
}

impl ReaderTrouble {
    /// The failure a person meets.
    #[must_use]
    pub const fn failure_code(self) -> FailureCode {
        match self {
            Self::Unusable => FailureCode::ReaderUnavailable,
            Self::Missing => FailureCode::ReaderMissing,
            Self::Several => FailureCode::ReaderNotChosen,
            Self::Busy => FailureCode::ReaderBusy,
            Self::Unsupported => FailureCode::ReaderUnsupported,
            Self::NoService => FailureCode::ReaderServiceDown,
        }
    }
}

/// The event is not legal in this state, which stays as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{event}: not legal while {state}")]
pub struct Refused {
    /// What the visit waits for.
    pub state: &'static str,
    /// What was refused.
    pub event: &'static str,
}
