use std::{sync::Arc, time::Duration};

use serde_json::json;
use tazune_engine::{
    Body, Delivery, Device, DraftId, EngineError, Intent, IntentError, IntentKind, Language, Pin, RecordId, Screen,
    Timestamp, VisitSession,
};
use tokio::signal::ctrl_c;

use crate::{
    arguments::VisitArguments,
    console::{Console, Form, explain, failure},
    ended::Ended,
    exit::Exit,
    input::{self, Input, Line, NoEntry},
    intent_line::{self, LineError},
    queue,
};

/// How long the clinic's receipt is waited for after sealing; the desk answers within a second when it is there.
const RECEIPT_WITHIN: Duration = Duration::from_secs(10);

/// Makes a visit, or goes on with one, until its record is sealed; then tries to deliver it.
pub(crate) async fn run(
    arguments: VisitArguments,
    language: Language,
    device: &Arc<Device>,
    console: &mut Console,
) -> Result<Exit, Ended> {
    let port = arguments.source()?.open(arguments.card_wait(), console).await?;
    let drafts = device.drafts().await?;
    let session = if arguments.resume || arguments.draft.is_some() {
        let draft = wanted(arguments.draft.as_deref(), &drafts).ok_or(Ended::Usage("tool-no-draft"))?;
        device.resume_visit(draft, port).await?
    } else {
        let (staff, patient) = (arguments.staff()?, arguments.patient()?);
        let session = device.begin_visit(staff, patient, language, port).await?;
        if !drafts.is_empty() {
            let count = drafts.len().to_string();
            console.say(&json!({ "drafts": queue::drafts_json(&drafts) }), |texts| {
                texts.text("tool-drafts", &[("count", &count)])
            })?;
        }
        session
    };

    let draft = session.draft().clone();
    let told = match (Conversation { session: &session, console, input: Input::start() }).run().await {
        // What was left while it was being sealed is sealed: the last screen tells.
        Err(ended) => told(&session.close().await).map_err(|_| ended),
        told => told,
    };
    match told {
        Ok(Told::Sealed(record_id)) => deliver(record_id, device, console).await,
        Ok(Told::Cancelled) => Err(Ended::Cancelled),
        // Nothing was chosen yet, so nothing was saved.
        Err(Ended::Unfinished) if !device.drafts().await?.iter().any(|(id, _)| *id == draft) => Err(Ended::Cancelled),
        Err(ended) => Err(ended),
    }
}

/// The named draft, or else the one that was touched last.
fn wanted(name: Option<&str>, drafts: &[(DraftId, Timestamp)]) -> Option<DraftId> {
    let found = match name {
        Some(name) => drafts.iter().find(|(id, _)| id.to_string() == name),
        None => drafts.last(),
    };
    found.map(|(id, _)| id.clone())
}

/// How a visit was over.
enum Told {
    Sealed(RecordId),
    Cancelled,
}

/// A visit between screens and choices.
struct Conversation<'a> {
    session: &'a VisitSession,
    console: &'a mut Console,
    input: Input,
}

impl Conversation<'_> {
    async fn run(mut self) -> Result<Told, Ended> {
        let mut shown = self.session.screen();
        self.console.screen(&shown)?;
        let mut has_input = true;
        loop {
            tokio::select! {
                // A new screen first: what is typed next is meant for it.
                biased;
                screen = self.session.next_screen() => match screen {
                    Some(screen) if screen == shown => {}
                    Some(screen) => {
                        self.console.screen(&screen)?;
                        shown = screen;
                    }
                    None => return told(&shown),
                },
                line = self.input.line(), if has_input => match line {
                    Some(line) => {
                        if self.answer(line, &shown).await? {
                            shown = self.session.screen();
                            self.console.screen_anew(&shown)?;
                        }
                    }
                    None => has_input = false,
                },
                _ = ctrl_c() => return Err(Ended::Unfinished),
            }
            // Nobody will answer this screen; sealing ends by itself.
            if !has_input && !matches!(shown.body, Body::Sealing | Body::Sealed { .. } | Body::Cancelled) {
                return Err(Ended::Unfinished);
            }
        }
    }

    /// Sends what a line says to the visit; whether the screen is to be shown again.
    async fn answer(&mut self, line: Line, shown: &Screen) -> Result<bool, Ended> {
        let read = match self.console.form() {
            Form::Json => intent_line::parse(&line, &shown.intents),
            Form::Words => match numbered(&line, &shown.intents) {
                Some(IntentKind::EnterPin) => match self.pin().await? {
                    Some(pin) => pin.map(Intent::EnterPin),
                    None => return Ok(true),
                },
                Some(kind) => kind.intent().ok_or(LineError::NotOffered),
                None => Err(LineError::NotOffered),
            },
        };
        // Wiped before anything waits: it may hold a PIN.
        drop(line);
        let refused = match read {
            Err(LineError::NotOffered) => "not-offered",
            Err(LineError::NotAPin) => "not-a-pin",
            Ok(intent) => match self.session.send(intent).await {
                Ok(()) => return Ok(true),
                // Over: the last screen is on its way.
                Err(IntentError::Refused(_) | IntentError::Over) => "not-offered",
                Err(IntentError::NotSaved(code)) => {
                    let texts = self.console.texts();
                    let line = json!({ "refused": "not-saved", "failure": failure(code, texts) });
                    self.console.say(&line, |texts| explain(code, texts))?;
                    return Ok(false);
                }
            },
        };
        let key = if refused == "not-a-pin" { "tool-pin-malformed" } else { "tool-not-offered" };
        self.console.say(&json!({ "refused": refused }), |texts| texts.text(key, &[]))?;
        Ok(false)
    }

    /// Asks a person for the PIN; `None` when they went back.
    async fn pin(&mut self) -> Result<Option<Result<Pin, LineError>>, Ended> {
        self.console.hint("tool-pin-entry")?;
        if !input::is_terminal() {
            let line: Line = tokio::select! {
                line = self.input.line() => line.ok_or(Ended::Unfinished)?,
                _ = ctrl_c() => return Err(Ended::Unfinished),
            };
            return Ok(Some(Pin::from_entry(line.trim()).map_err(|_| LineError::NotAPin)));
        }
        let entry = input::masked_pin().await;
        self.console.end_line()?;
        match entry {
            Ok(pin) => Ok(Some(Ok(pin))),
            Err(NoEntry::GivenUp) => Ok(None),
            Err(NoEntry::Interrupted) => Err(Ended::Unfinished),
        }
    }
}

/// The choice of a number, counted from 1 as the screen shows it.
fn numbered(line: &str, offered: &[IntentKind]) -> Option<IntentKind> {
    let number: usize = line.trim().parse().ok()?;
    offered.get(number.checked_sub(1)?).copied()
}

fn told(last: &Screen) -> Result<Told, Ended> {
    match last.body {
        Body::Sealed { record_id } => Ok(Told::Sealed(record_id)),
        Body::Cancelled => Ok(Told::Cancelled),
        _ => Err(Ended::Unfinished),
    }
}

async fn deliver(record_id: RecordId, device: &Device, console: &Console) -> Result<Exit, Ended> {
    let id = record_id.to_string();
    console.say(&json!({ "sealed": id }), |texts| record_words(&id, Delivery::Sealed, texts))?;
    let failed = tokio::select! {
        sent = device.deliver_now(RECEIPT_WITHIN) => sent.err(),
        _ = ctrl_c() => None,
    };
    // A record that is not listed was purged already, which only an accepted one is.
    let queue = device.queue().await?;
    let found = queue.records.iter().find(|record| record.record_id == record_id);
    let delivery = found.map_or(Delivery::Purged, |record| record.delivery);
    let code = failed.map(EngineError::failure_code);
    let reason = code.map(|code| failure(code, console.texts()));
    let line = json!({ "delivered": { "record_id": id, "state": queue::word(delivery), "failure": reason } });
    console.say(&line, |texts| {
        let why = code.map(|code| format!("\n{}\n{}", explain(code, texts), texts.text("tool-send-later", &[])));
        record_words(&id, delivery, texts) + &why.unwrap_or_default()
    })?;
    Ok(if queue::is_accepted(delivery) { Exit::Done } else { Exit::Undelivered })
}

fn record_words(id: &str, delivery: Delivery, texts: &tazune_engine::Texts) -> String {
    let state = texts.text(&format!("state-{}", queue::word(delivery)), &[]);
    texts.text("tool-record", &[("id", id), ("state", &state)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_chooses_what_the_screen_numbers() {
        let offered = [IntentKind::Continue, IntentKind::Cancel];
        assert_eq!(numbered("1", &offered), Some(IntentKind::Continue));
        assert_eq!(numbered(" 2\r", &offered), Some(IntentKind::Cancel));
        for wrong in ["0", "3", "", "-1", "one", "1 2", "4911"] {
            assert_eq!(numbered(wrong, &offered), None, "{wrong}");
        }
    }
}
