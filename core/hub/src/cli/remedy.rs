use tazune_model::FailureCode;

/// The book's page of failures: the one place where their remedies are written.
const BOOK: &str = include_str!("../../../../docs/src/failure-codes.md");

/// What to do about a failure, in Japanese and English, one line each; empty if the book has no entry.
pub(super) fn of(code: FailureCode) -> Vec<&'static str> {
    let heading = format!("## {code} ");
    let entry = BOOK.lines().skip_while(|line| !line.starts_with(&heading)).skip(1);
    let entry = entry.take_while(|line| !line.starts_with("## "));
    let remedy = entry.skip_while(|line| !line.starts_with("**Remedy** ")).take_while(|line| !line.is_empty());
    remedy.map(|line| line.trim_start_matches("**Remedy** ").trim_end_matches('\\')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_has_a_remedy_in_two_languages() {
        for code in FailureCode::ALL {
            let [japanese, english] = of(*code)[..] else { panic!("{code}: {:?}", of(*code)) };
            assert!(!japanese.is_ascii() && english.starts_with(|c: char| c.is_ascii_alphabetic()), "{code}");
            assert!(!japanese.contains("**") && !japanese.ends_with('\\'), "{code}");
        }
    }
}
