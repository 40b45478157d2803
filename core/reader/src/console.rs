use serde_json::{Value, json};
use tazune_engine::{FailureCode, Language, Screen, Texts};

use crate::{
    output::{Output, OutputClosed, complain},
    screen_json,
    screen_text::ScreenText,
};

/// What a command says: lines of JSON for a script, or words for a person; each thing is said in both forms in one place.
pub(crate) struct Console {
    output: Output,
    form: Form,
    texts: Texts,
    screen: Option<ScreenText>,
}

/// For whom a command speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// For a person at a terminal.
    Words,
    /// For a script: one JSON value a line.
    Json,
}

impl Console {
    /// A console that begins in `language`.
    pub(crate) fn new(form: Form, language: Language) -> Self {
        Self { output: Output, form, texts: Texts::new(language), screen: None }
    }

    /// For whom it speaks.
    pub(crate) const fn form(&self) -> Form {
        self.form
    }

    /// The texts of the present language.
    pub(crate) const fn texts(&self) -> &Texts {
        &self.texts
    }

    /// Says one thing: the JSON line, or the words.
    pub(crate) fn say(&self, json: &Value, words: impl FnOnce(&Texts) -> String) -> Result<(), OutputClosed> {
        match self.form {
            Form::Json => self.output.write(&format!("{json}\n")),
            Form::Words => self.output.write(&format!("{}\n", words(&self.texts))),
        }
    }

    /// Says something that only a person needs.
    pub(crate) fn hint(&self, key: &str) -> Result<(), OutputClosed> {
        match self.form {
            Form::Json => Ok(()),
            Form::Words => self.output.write(&format!("{}\n", self.texts.text(key, &[]))),
        }
    }

    /// Shows a screen after the person did something: whole, also when nothing on it changed.
    pub(crate) fn screen_anew(&mut self, screen: &Screen) -> Result<(), OutputClosed> {
        self.screen = None;
        self.screen(screen)
    }

    /// Shows a screen in its own language; a person sees only what is new on it.
    pub(crate) fn screen(&mut self, screen: &Screen) -> Result<(), OutputClosed> {
        if self.texts.language() != screen.language {
            self.texts = Texts::new(screen.language);
        }
        let rendered = screen.render(&self.texts);
        match self.form {
            Form::Json => self.output.write(&format!("{}\n", screen_json::line(screen, &rendered))),
            Form::Words => {
                let text = ScreenText::new(&rendered, &self.texts);
                self.output.write(&text.after(self.screen.as_ref()))?;
                self.screen = Some(text);
                Ok(())
            }
        }
    }

    /// Ends a line that keys were typed into unseen.
    pub(crate) fn end_line(&self) -> Result<(), OutputClosed> {
        self.output.write("\n")
    }

    /// Explains the failure that a command ends with.
    pub(crate) fn failure(&self, code: FailureCode) {
        match self.form {
            // The exit code tells also when nobody reads this.
            Form::Json => drop(self.output.write(&format!("{}\n", json!({ "failure": failure(code, &self.texts) })))),
            Form::Words => complain(&explain(code, &self.texts)),
        }
    }

    /// Says why a command ended that met no failure, by the key of a text.
    pub(crate) fn farewell(&self, key: &str) {
        complain(&in_both_languages(&self.texts, |texts| texts.text(key, &[])));
    }
}

/// A failure for a script: code, what happened, what to do.
pub(crate) fn failure(code: FailureCode, texts: &Texts) -> Value {
    json!({ "code": code.code(), "title": texts.failure_title(code), "do": texts.failure_remedy(code) })
}

/// A failure for a person: code, what happened, what to do.
pub(crate) fn explain(code: FailureCode, texts: &Texts) -> String {
    in_both_languages(texts, |texts| {
        format!("[{code}] {}\n  {}", texts.failure_title(code), texts.failure_remedy(code))
    })
}

/// English stands below the Japanese, because whoever is asked for help may read only that.
fn in_both_languages(texts: &Texts, words: impl Fn(&Texts) -> String) -> String {
    match texts.language() {
        Language::En => words(texts),
        Language::Ja => format!("{}\n{}", words(texts), words(&Texts::new(Language::En))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_explained_in_japanese_with_english_below() {
        let code = FailureCode::ALL[0];
        let both = explain(code, &Texts::new(Language::Ja));
        let english = explain(code, &Texts::new(Language::En));
        assert!(both.starts_with("[TZ-C01] カードが見つかりませんでした\n  カードケースから"), "{both}");
        assert!(both.ends_with(&english) && english.starts_with("[TZ-C01] ") && english.is_ascii(), "{english}");
    }

    #[test]
    fn every_text_of_the_tool_exists_in_every_language() {
        let sources = [
            include_str!("arguments.rs"),
            include_str!("card.rs"),
            include_str!("card_source.rs"),
            include_str!("main.rs"),
            include_str!("pair.rs"),
            include_str!("queue.rs"),
            include_str!("screen_text.rs"),
            include_str!("visit.rs"),
        ];
        let is_key = |text: &&str| ["tool-", "queue-"].iter().any(|start| text.starts_with(start));
        let keys: Vec<_> = sources.iter().flat_map(|source| source.split('"')).filter(is_key).collect();
        assert!(keys.len() > 20, "{keys:?}");
        for key in keys {
            for language in Language::ALL {
                assert!(!Texts::new(language).text(key, &[]).contains('⟦'), "{key} in {language:?}");
            }
        }
    }
}
