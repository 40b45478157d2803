use std::time::SystemTime;

use tazune_engine::{Notice, Timestamp};

use crate::{Failure, error::texts};

pub use tazune_engine::{CardStep, ConsentActor, ConsentItem, IntentKind as Intent, Language};

/// A language of screens and failures.
#[uniffi::remote(Enum)]
pub enum Language {
    Ja,
    En,
}

/// An item of the consent (同意).
#[uniffi::remote(Enum)]
pub enum ConsentItem {
    Drug,
    Treatment,
    Surgery,
    CheckUp,
    CostLimit,
    SpecificDisease,
}

/// Who consents.
#[uniffi::remote(Enum)]
pub enum ConsentActor {
    Patient,
    LegalRepresentative,
    CarerHelping,
    CannotExpress,
}

/// What a card is wanted for: to be read before the PIN, or to sign after it.
#[uniffi::remote(Enum)]
pub enum CardStep {
    Reading,
    Signing,
}

/// What a person may choose. `EnterPin` is sent with its entry, all others as they are.
#[uniffi::remote(Enum)]
pub enum Intent {
    ToggleConsent(ConsentItem),
    AgreeAll,
    DeclineAll,
    SetActor(ConsentActor),
    SetLanguage(Language),
    Continue,
    EnterPin,
    TryAgain,
    StartOver,
    ConfirmPerson,
    RejectPerson,
    ConfirmCardReturned,
    EndWithoutAnswer,
    Cancel,
}

/// What a shell has to show, in words; it adds nothing but form. It names people: it is not logged.
#[derive(Clone, PartialEq, uniffi::Record)]
pub struct Screen {
    /// The language of the words.
    pub language: Language,
    /// The stable word of the matter, for example `enter-pin`.
    pub word: String,
    /// The matter, with what a shell draws from it besides the words.
    pub body: Body,
    /// One line on what the screen is for.
    pub title: String,
    /// What to read, in order; the notice comes first.
    pub lines: Vec<String>,
    /// What can be chosen, the likeliest first; nothing else is taken.
    pub choices: Vec<Choice>,
    /// What went wrong; its words are the first of `lines`.
    pub failure: Option<Failure>,
}

/// Something that can be chosen.
#[derive(Clone, PartialEq, uniffi::Record)]
pub struct Choice {
    /// What is sent when it is chosen.
    pub intent: Intent,
    /// Its words.
    pub text: String,
}

/// The matter of a screen. Whatever it says of people is in the screen's lines.
#[derive(Clone, PartialEq, uniffi::Enum)]
pub enum Body {
    /// The consent is asked, item by item.
    Consent {
        /// Who consents.
        actor: ConsentActor,
        /// The items, in order.
        items: Vec<Tick>,
    },
    /// A card is wanted on the reader, or at work there.
    HoldCard {
        /// What the card is wanted for.
        step: CardStep,
        /// Where it is.
        hold: Hold,
    },
    /// The gateway is asked for a challenge.
    Connecting,
    /// The PIN is asked.
    EnterPin {
        /// Tries left, 2 or 3; with 2 it is the last entry here.
        tries_left: u8,
    },
    /// Another card than the one read is on the reader.
    OtherCard,
    /// The signed request is on its way.
    Sending {
        /// When it is sent again by itself; `None` while it is under way.
        retry_at: Option<SystemTime>,
    },
    /// The staff compare the answer's person with the one before them.
    ConfirmPerson,
    /// The answer, usable or not.
    Answer,
    /// No answer now; the question stays open.
    Deferred,
    /// Nothing usable could be read; the failure says what and what to do.
    Trouble,
    /// The answer is about somebody else, of whom nothing is shown.
    PersonMismatch,
    /// The last step before the visit is closed.
    Closing {
        /// Whether a card has to go back to the patient.
        has_card: bool,
    },
    /// The record is being sealed.
    Sealing,
    /// The record could not be sealed; it is all still there.
    SealFailed,
    /// The record is sealed and on its way to the clinic.
    Sealed {
        /// Its id.
        record_id: String,
    },
    /// The visit was thrown away.
    Cancelled,
}

/// An item of the consent and whether it is ticked.
#[derive(Clone, PartialEq, uniffi::Record)]
pub struct Tick {
    /// The item.
    pub item: ConsentItem,
    /// Whether it is ticked.
    pub is_set: bool,
}

/// Where a card is that is wanted.
#[derive(Clone, PartialEq, uniffi::Enum)]
pub enum Hold {
    /// Not on the reader yet.
    Awaited,
    /// At work: do not move it.
    Working {
        /// How much of it is read, 0 to 100, once known.
        percent: Option<u8>,
    },
    /// It left before it was done; what was read is kept.
    Lost,
}

impl From<tazune_engine::Screen> for Screen {
    fn from(screen: tazune_engine::Screen) -> Self {
        let language = screen.language;
        let rendered = screen.render(texts(language));
        let choices = rendered.choices.into_iter().map(|(intent, text)| Choice { intent, text });
        let failure = match &screen.notice {
            Some(Notice::Failure(failure)) => Some(Failure::new(failure.code, language)),
            Some(Notice::PinAskedAgain(_)) | None => None,
        };
        Self {
            language,
            word: screen.body.word().to_owned(),
            title: rendered.title,
            lines: rendered.lines,
            choices: choices.collect(),
            failure,
            body: screen.body.into(),
        }
    }
}

impl From<tazune_engine::Body> for Body {
    fn from(body: tazune_engine::Body) -> Self {
        use tazune_engine::Body as Engine;
        match body {
            Engine::Consent { actor, items, .. } => {
                let items = items.into_iter().map(|(item, is_set)| Tick { item, is_set }).collect();
                Self::Consent { actor, items }
            }
            Engine::HoldCard { step, hold } => Self::HoldCard { step, hold: hold.into() },
            Engine::Connecting { .. } => Self::Connecting,
            Engine::EnterPin { tries_left, .. } => Self::EnterPin { tries_left },
            Engine::OtherCard { .. } => Self::OtherCard,
            Engine::Sending { retry_at } => Self::Sending { retry_at: retry_at.map(system_time) },
            Engine::ConfirmPerson { .. } => Self::ConfirmPerson,
            Engine::Answer { .. } => Self::Answer,
            Engine::Deferred { .. } => Self::Deferred,
            Engine::Trouble => Self::Trouble,
            Engine::PersonMismatch => Self::PersonMismatch,
            Engine::Closing { has_card, .. } => Self::Closing { has_card },
            Engine::Sealing => Self::Sealing,
            Engine::SealFailed => Self::SealFailed,
            Engine::Sealed { record_id } => Self::Sealed { record_id: record_id.to_string() },
            Engine::Cancelled => Self::Cancelled,
        }
    }
}

impl From<tazune_engine::Hold> for Hold {
    fn from(hold: tazune_engine::Hold) -> Self {
        match hold {
            tazune_engine::Hold::Awaited => Self::Awaited,
            tazune_engine::Hold::Working { .. } => Self::Working { percent: hold.percent() },
            tazune_engine::Hold::Lost => Self::Lost,
        }
    }
}

pub(crate) fn system_time(at: Timestamp) -> SystemTime {
    at.into()
}
