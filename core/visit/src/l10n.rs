use fluent_bundle::{FluentArgs, FluentResource, concurrent::FluentBundle};
use tazune_link::revocation::Revocation;
use tazune_model::{Date, FailureCode, Language, Timestamp, japan_date};

/// Version of the consent's words; a test holds it against them, so that a changed word changes it.
pub const TEXT_VERSION: &str = "2026-11-21.2";

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

    /// Day and time of day in Japan.
    #[must_use]
    pub fn moment(&self, at: Timestamp) -> String {
        format!("{} {}", self.date(japan_date(at)), self.time(at))
    }

    /// How far a device is that was revoked at this instant.
    #[must_use]
    pub fn revocation(&self, state: Revocation, at: Timestamp) -> String {
        let key = match state {
            Revocation::Destroying => "queue-revoked-destroying",
            Revocation::HandingIn => "queue-revoked-handing-in",
            Revocation::Closing => "queue-revoked-closing",
            Revocation::Finished => "queue-revoked-finished",
        };
        self.text(key, &[("at", &self.moment(at))])
    }
}

const fn source(language: Language) -> &'static str {
    match language {
        Language::Ja => include_str!("../l10n/ja.ftl"),
        Language::En => include_str!("../l10n/en.ftl"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn keys(language: Language) -> Vec<&'static str> {
        let is_key = |key: &&str| key.starts_with(|c: char| c.is_ascii_alphabetic());
        source(language).lines().filter_map(|line| line.split_once(" =")).map(|(key, _)| key).filter(is_key).collect()
    }

    #[test]
    fn every_language_has_the_same_keys_in_the_same_order() {
        let japanese = keys(Language::Ja);
        assert!(japanese.len() > 150);
        for language in Language::ALL {
            assert_eq!(keys(language), japanese, "{language:?}");
        }
    }

    #[test]
    fn dates_read_as_people_write_them() {
        let (day, texts) = (date(2026, 11, 21), Texts::new(Language::Ja));
        assert_eq!(texts.date(day), "2026年11月21日(土)");
        assert_eq!(texts.date(date(2027, 1, 4)), "2027年1月4日(月)");
        assert_eq!(texts.birth_date(date(1941, 5, 5)), "1941年5月5日");
        let week: String = (22..=28).map(|day| texts.date(date(2026, 11, day))).collect();
        for weekday in ["(日)", "(月)", "(火)", "(水)", "(木)", "(金)", "(土)"] {
            assert!(week.contains(weekday), "{weekday}");
        }
        assert_eq!(Texts::new(Language::En).date(day), "21 November 2026 (Sat)");
        assert_eq!(texts.time("2026-11-21T00:05:00Z".parse().unwrap()), "09:05");
        assert_eq!(texts.moment("2026-11-20T15:04:05Z".parse().unwrap()), "2026年11月21日(土) 00:04");
    }

    #[test]
    fn what_is_missing_shows() {
        let texts = Texts::new(Language::Ja);
        assert_eq!(texts.text("no-such-key", &[]), "⟦no-such-key⟧");
        assert!(texts.text("answer-name", &[]).contains("{$name}"));
    }

    #[test]
    fn changed_words_of_the_consent_change_its_version() {
        // FNV-1a: it only has to notice.
        let mut sum = 0xcbf2_9ce4_8422_2325_u64;
        for language in Language::ALL {
            let asks = |line: &&str| ["title-consent", "consent-", "actor-"].iter().any(|key| line.starts_with(key));
            for byte in source(language).lines().filter(asks).flat_map(str::bytes) {
                sum = (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
        assert_eq!(
            (TEXT_VERSION, sum),
            ("2026-11-21.2", 0x9058_84a8_7718_b5a7),
            "new words: raise TEXT_VERSION and put both here"
        );
    }

    #[test]
    fn texts_are_shared_between_threads() {
        const fn assert_shared<T: Send + Sync>() {}
        assert_shared::<Texts>();
    }
}
