//! The visit: a small shell machine, the machine of its route, and what both show and say.
//!
//! A [`Visit`] takes an [`Event`] and the instant, and hands back the [`Effect`]s to perform; it touches nothing itself.
//! README.md beside this file has the diagrams and the rules for trying again.
//!
//! | file | holds |
//! |---|---|
//! | `visit` | the shell machine: planned, on route, outcome, confirming, sealed |
//! | `direct_check` | the route's machine; under it the gateway's words and the bytes that are signed |
//! | `event` | events, intents, effects |
//! | `consent_form`, `outcome`, `notice` | what the states are made of |
//! | `screen` | from a state to what is shown and which intents are legal |
//! | `render`, `l10n` | from a screen to texts; the texts lie in `l10n/<language>.ftl` |

mod consent_form;
mod direct_check;
mod event;
mod l10n;
mod notice;
mod outcome;
mod render;
mod screen;
mod visit;

pub use direct_check::{AnswerReceived, Challenge, GatewayError, Hold, Refusal};
pub use event::{CardTrouble, Effect, Event, Intent, IntentKind, ReaderTrouble, Refused};
pub use l10n::{TEXT_VERSION, Texts};
pub use notice::{Failure, Notice, PinAskedAgain};
pub use outcome::UnsealedVisit;
pub use render::RenderedScreen;
pub use screen::{Body, CardStep, Ending, Screen};
pub use visit::{Visit, VisitSetup};
