use serde_json::{Value, json};
use tazune_engine::{Notice, RenderedScreen, Screen};

use crate::intent_line;

/// A screen as one line of the protocol in README.md.
pub(crate) fn line(screen: &Screen, rendered: &RenderedScreen) -> Value {
    let choices: Vec<_> =
        rendered.choices.iter().map(|(kind, text)| json!({ "id": intent_line::id(*kind), "text": text })).collect();
    let failure = match &screen.notice {
        Some(Notice::Failure(failure)) => Some(failure.code.code()),
        Some(Notice::PinAskedAgain(_)) | None => None,
    };
    json!({ "screen": {
        "body": screen.body.word(),
        "title": rendered.title,
        "lines": rendered.lines,
        "choices": choices,
        "failure": failure,
    } })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tazune_engine::{Body, ConsentActor, ConsentItem, FailureCode, IntentKind, Language, Texts};

    #[test]
    fn a_screen_is_one_line_with_stable_words() {
        let screen = Screen {
            language: Language::En,
            notice: None,
            body: Body::Consent { patient: None, actor: ConsentActor::Patient, items: vec![(ConsentItem::Drug, true)] },
            intents: vec![IntentKind::ToggleConsent(ConsentItem::Drug), IntentKind::Continue],
        };
        let line = line(&screen, &screen.render(&Texts::new(Language::En)));
        let shown = &line["screen"];
        assert_eq!(shown["body"], "consent");
        assert_eq!(shown["failure"], Value::Null);
        assert_eq!(shown["choices"][0]["id"], "toggle-consent drug");
        assert_eq!(shown["choices"][1], json!({ "id": "continue", "text": "Next" }));
        assert!(!line.to_string().contains('\n'));
    }

    #[test]
    fn a_failure_shows_by_its_code() {
        let code = FailureCode::from_code("TZ-C12").unwrap();
        let screen = Screen {
            language: Language::Ja,
            notice: Some(Notice::Failure(code.into())),
            body: Body::Trouble,
            intents: vec![IntentKind::EndWithoutAnswer],
        };
        let line = line(&screen, &screen.render(&Texts::new(Language::Ja)));
        assert_eq!(line["screen"]["failure"], "TZ-C12");
    }
}
