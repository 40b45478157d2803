use fluent_bundle::{FluentArgs, FluentResource, concurrent::FluentBundle};
use tazune_model::{Date, FailureCode, Language, Timestamp};

/// Version of the consent's words; a test holds it against them, so that a changed word changes it.
pub const TEXT_VERSION: &str = "2026-11-21";

/// Every text in one language (文言), from `l10n/<language>.ftl`; cheap to share between threads.
pub struct Texts {
    language: Language,
    bundle: FluentBundle<FluentResource>,
}

impl Texts {
    /// The texts of a language.
    ///
    /// # Panics
    /// Never: the texts are part of the program, and a test reads them all.
    #[must_use]
    pub fn new(language: Language) -> Self {
        let resource = FluentResource::try_new(source(language).into()).expect("a test parses the texts");
        let tag = language.tag().parse().expect("the tags of our languages are well formed");
        let mut bundle = FluentBundle::new_concurrent(vec![tag]);
        // Isolation marks are for mixed directions of writing; none of our languages has them, and terminals show them.
        bundle.set_use_isolating(false);
        bundle.add_resource(resource).expect("a test finds every key once");
        Self { language, bundle }
    }

    /// The language.
    #[must_use]
    pub const fn language(&self) -> Language {
        self.language
    }

    /// The text of a key, with its arguments filled in.
    ///
    /// A key that does not exist comes back in `⟦ ⟧`, a missing argument in `{ }`: tests look for both.
    #[must_use]
    pub fn text(&self, key: &str, args: &[(&str, &str)]) -> String {
        let Some(pattern) = self.bundle.get_message(key).and_then(|message| message.value()) else {
            return format!("⟦{key}⟧");
        };
        let args: FluentArgs<'_> = args.iter().copied().collect();
        // The errors are the missing arguments, which the text itself shows.
        self.bundle.format_pattern(pattern, Some(&args), &mut vec![]).into_owned()
    }

    /// What happened, in one sentence.
    #[must_use]
    pub fn failure_title(&self, code: FailureCode) -> String {
        self.text(&format!("failure-{code}-title"), &[])
    }

    /// What to do next.
    #[must_use]
    pub fn failure_remedy(&self, code: FailureCode) -> String {
        self.text(&format!("failure-{code}-do"), &[])
    }

    /// A day with its weekday, for example `2026年11月21日(土)`.
    #[must_use]
    pub fn date(&self, day: Date) -> String {
        self.day("date", day)
    }

    /// A birth date, without the weekday that nobody knows: `1941年5月5日`.
    #[must_use]
    pub fn birth_date(&self, day: Date) -> String {
        self.day("birth-date", day)
    }

    fn day(&self, key: &str, day: Date) -> String {
        let part = |format| day.strftime(format).to_string();
        let (year, month, day_of_month) = (part("%-Y"), part("%-m"), part("%-d"));
        let (month_name, weekday) = (part("%B"), part("%a"));
        let args = [
            ("year", &year),
            ("month", &month),
            ("day", &day_of_month),
            ("month-name", &month_name),
            ("weekday", &weekday),
        ];
        self.text(key, &args.map(|(name, value)| (name, value.as_str())))
    }

    /// The time of day in Japan, for example `09:05`.
    #[must_use]
    pub fn time(&self, at: Timestamp) -> String {
        let digits = tazune_model::japan_timestamp_digits(at);
        format!("{}:{}", digits.get(8..10).unwrap_or_default(), digits.get(10..12).unwrap_or_default())
    }
}

const fn source(language: Language) -> &'static str {
    match language {
        Language::Ja => include_str!("../l10n/ja.ftl"),
        Language::En => include_str!("../l10n/en.ftl"),
    }
}
