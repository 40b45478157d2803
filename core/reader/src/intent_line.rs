//! Intents as lines of text: `agree-all`, `toggle-consent drug`, `enter-pin 1234`.

use tazune_engine::{Intent, IntentKind, Pin};

/// Why a line is no intent; never carries the line, which may hold a PIN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineError {
    /// The screen does not offer it.
    NotOffered,
    /// What comes with `enter-pin` is no PIN.
    NotAPin,
}

/// The line of a choice: its name, and what it is about where there are several of the kind.
pub(crate) fn id(kind: IntentKind) -> String {
    let about = match kind {
        IntentKind::ToggleConsent(item) => item.word(),
        IntentKind::SetActor(actor) => actor.word(),
        IntentKind::SetLanguage(language) => language.tag(),
        kind => return kind.name().to_owned(),
    };
    format!("{} {about}", kind.name())
}

/// Finds the intent of a line among the `offered` choices; spaces around it are ignored.
pub(crate) fn parse(line: &str, offered: &[IntentKind]) -> Result<Intent, LineError> {
    let line = line.trim();
    let (name, entry) = match line.split_once(' ') {
        Some((name, entry)) if name == IntentKind::EnterPin.name() => (name, entry.trim()),
        _ => (line, ""),
    };
    let kind = offered.iter().find(|kind| id(**kind) == name).ok_or(LineError::NotOffered)?;
    kind.intent().map_or_else(|| Pin::from_entry(entry).map(Intent::EnterPin).map_err(|_| LineError::NotAPin), Ok)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tazune_engine::{ConsentActor, ConsentItem, Language};

    const OFFERED: &[IntentKind] = &[
        IntentKind::ToggleConsent(ConsentItem::Drug),
        IntentKind::ToggleConsent(ConsentItem::CheckUp),
        IntentKind::AgreeAll,
        IntentKind::DeclineAll,
        IntentKind::SetActor(ConsentActor::Patient),
        IntentKind::SetActor(ConsentActor::CarerHelping),
        IntentKind::SetLanguage(Language::En),
        IntentKind::Continue,
        IntentKind::EnterPin,
        IntentKind::TryAgain,
        IntentKind::StartOver,
        IntentKind::ConfirmPerson,
        IntentKind::RejectPerson,
        IntentKind::ConfirmCardReturned,
        IntentKind::EndWithoutAnswer,
        IntentKind::Cancel,
    ];

    #[test]
    fn reads_the_line_of_every_choice_back() {
        for kind in OFFERED.iter().filter(|kind| **kind != IntentKind::EnterPin) {
            assert_eq!(parse(&format!(" {}\r\n", id(*kind)), OFFERED).unwrap().kind(), *kind);
        }
    }

    #[test]
    fn writes_lines_that_scripts_can_rely_on() {
        let lines: Vec<_> = OFFERED.iter().map(|kind| id(*kind)).collect();
        assert_eq!(
            lines.join("|"),
            "toggle-consent drug|toggle-consent check_up|agree-all|decline-all|set-actor patient|\
             set-actor carer_helping|set-language en|continue|enter-pin|try-again|start-over|confirm-person|\
             reject-person|confirm-card-returned|end-without-answer|cancel"
        );
    }

    #[test]
    fn reads_a_pin() {
        for line in ["enter-pin 4911", "enter-pin  4911 ", "enter-pin ４９１１"] {
            let Ok(Intent::EnterPin(pin)) = parse(line, OFFERED) else { panic!("{line}") };
            assert_eq!(pin.expose(), b"4911");
        }
        for line in ["enter-pin", "enter-pin ", "enter-pin 123", "enter-pin 12345", "enter-pin 12a4"] {
            assert_eq!(parse(line, OFFERED).unwrap_err(), LineError::NotAPin, "{line}");
        }
    }

    #[test]
    fn refuses_what_is_not_offered() {
        for line in ["", "agree", "continue now", "toggle-consent", "toggle-consent surgery", "set-language ja", "1"] {
            assert_eq!(parse(line, OFFERED).unwrap_err(), LineError::NotOffered, "{line}");
        }
        assert_eq!(parse("enter-pin 4911", &[IntentKind::Continue]).unwrap_err(), LineError::NotOffered);
    }
}
