use crate::{IntentKind, Screen, Texts};

/// A screen in words.
pub struct RenderedScreen {
    /// One line on what the screen is for.
    pub title: String,
    /// What to read, in order.
    pub lines: Vec<String>,
    /// What can be chosen.
    pub choices: Vec<(IntentKind, String)>,
}

impl Screen {
    /// The screen in the words of `texts`.
    #[must_use]
    pub fn render(&self, texts: &Texts) -> RenderedScreen {
        RenderedScreen { title: texts.text("a", &[]), lines: vec![], choices: vec![] }
    }
}
