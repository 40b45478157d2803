use std::sync::LazyLock;

use tazune_engine::{EngineError, FailureCode, IntentError, Language, TextError, Texts};

/// A failure a person can meet, in words.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct Failure {
    /// The stable code, for example `TZ-C01`; the book explains it.
    pub code: String,
    /// What happened, in one sentence.
    pub title: String,
    /// What to do next.
    pub remedy: String,
}

/// Why a call did not do what was asked.
// No field of an error may be named `message`: that does not compile in Kotlin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, uniffi::Error)]
pub enum TazuneError {
    /// A failure that is shown to the person.
    #[error("{}", failure.code)]
    Failed {
        /// Code and words.
        failure: Failure,
    },
    /// The screen of this moment does not offer the intent; the visit is as it was.
    #[error("not offered now")]
    NotOffered,
    /// The visit or the pairing has ended.
    #[error("it is over")]
    Over,
    /// It was cancelled while it waited.
    #[error("cancelled")]
    Cancelled,
    /// What the shell gave is not of the shape that is documented for it.
    #[error("malformed: {what}")]
    Malformed {
        /// The kind of value wanted, for example `staff id`; never the value.
        what: String,
    },
}

impl Failure {
    pub(crate) fn new(code: FailureCode, language: Language) -> Self {
        let texts = texts(language);
        Self { code: code.code().to_owned(), title: texts.failure_title(code), remedy: texts.failure_remedy(code) }
    }
}

impl TazuneError {
    pub(crate) fn of_engine(error: EngineError, language: Language) -> Self {
        Failure::new(error.failure_code(), language).into()
    }

    pub(crate) fn of_intent(error: IntentError, language: Language) -> Self {
        match error {
            IntentError::Refused(_) => Self::NotOffered,
            IntentError::NotSaved(code) => Failure::new(code, language).into(),
            IntentError::Over => Self::Over,
        }
    }
}

impl From<Failure> for TazuneError {
    fn from(failure: Failure) -> Self {
        Self::Failed { failure }
    }
}

impl From<TextError> for TazuneError {
    fn from(error: TextError) -> Self {
        let (TextError::Length { what } | TextError::Alphabet { what }) = error;
        Self::Malformed { what: what.to_owned() }
    }
}

/// The texts of a language, read once: a card at work changes the screen many times a second.
pub(crate) fn texts(language: Language) -> &'static Texts {
    static JA: LazyLock<Texts> = LazyLock::new(|| Texts::new(Language::Ja));
    static EN: LazyLock<Texts> = LazyLock::new(|| Texts::new(Language::En));
    match language {
        Language::Ja => &JA,
        Language::En => &EN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_has_its_words_in_every_language() {
        for &code in FailureCode::ALL {
            for language in Language::ALL {
                let Failure { code: text, title, remedy } = Failure::new(code, language);
                assert_eq!(text, code.code());
                assert!(![&title, &remedy].iter().any(|words| words.is_empty() || words.contains('⟦')), "{text}");
            }
        }
    }

    #[test]
    fn an_error_as_text_says_the_code_and_no_value() {
        let error = TazuneError::of_engine(EngineError::NotPaired, Language::Ja);
        assert_eq!(error.to_string(), "TZ-P06");
        let error: TazuneError = TextError::Alphabet { what: "staff id" }.into();
        assert_eq!(error.to_string(), "malformed: staff id");
    }
}
