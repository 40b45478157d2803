//! Looks in logs, files and folders for values that must not be there, in every form that a careless program gives them.

use std::{
    collections::{BTreeSet, HashMap},
    fs,
    path::Path,
};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use tazune_sim::population::{MARKED_VALUES, Person};

/// Shorter than this, random bytes and hash digits hold anything by chance.
const LEAST: usize = 6;

/// Patterns begin with so many bytes, by which they are found.
const HEAD: usize = 4;

/// The forms of some values.
#[derive(Default)]
pub struct Traces {
    patterns: HashMap<[u8; HEAD], Vec<Pattern>>,
}

struct Pattern {
    bytes: Vec<u8>,
    /// Found only where neither neighbour is a character of a longer number, word or code.
    is_word: bool,
    /// What was found, for the reader of a failed test.
    what: String,
}

impl Traces {
    /// Traces of texts: as UTF-8, UTF-16, JSON escapes, hexadecimal, a list of numbers, and base64 at each alignment.
    ///
    /// A text of fewer than six bytes, such as a PIN, is looked for as a whole word.
    ///
    /// # Panics
    /// When a text has fewer than four bytes.
    #[must_use]
    pub fn of_texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut traces = Self::default();
        for text in texts {
            traces.add(text, "UTF-8", text.as_bytes().to_vec());
            let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
            let escaped: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
            traces.add(text, "JSON escapes", escaped.into_bytes());
            for bytes in [text.as_bytes(), &little, &big] {
                traces.add_codes(text, bytes);
            }
            traces.add_if_long(text, "UTF-16LE", little);
            traces.add_if_long(text, "UTF-16BE", big);
        }
        traces
    }

    /// Traces of whatever names or describes these people.
    #[must_use]
    pub fn of_people(people: &[Person]) -> Self {
        let mut texts: BTreeSet<String> = MARKED_VALUES.iter().map(|mark| (*mark).to_owned()).collect();
        for Person { name, kana, birth_date, certificate, coverage, .. } in people {
            let dates = [birth_date.to_string(), birth_date.strftime("%Y%m%d").to_string()];
            let own = [*name, *kana, &certificate.common_name];
            let coverage = coverage.iter().flat_map(|coverage| {
                [Some(coverage.number), coverage.symbol, coverage.address.map(|(_, address)| address)]
            });
            texts.extend(own.into_iter().chain(coverage.flatten()).map(ToOwned::to_owned).chain(dates));
        }
        Self::of_texts(texts.iter().map(String::as_str))
    }

    /// Traces of a secret, also as hexadecimal, a list of numbers, and base64 at each alignment; `what` names it.
    ///
    /// # Panics
    /// When it has fewer than four bytes.
    #[must_use]
    pub fn of_secret(what: &str, secret: &[u8]) -> Self {
        let mut traces = Self::default();
        traces.add(what, "bytes", secret.to_vec());
        traces.add_codes(what, secret);
        traces
    }

    /// These traces and those.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        for (head, patterns) in others.patterns {
            self.patterns.entry(head).or_default().extend(patterns);
        }
        self
    }

    /// What is found in `bytes`: value and form.
    #[must_use]
    pub fn found_in(&self, bytes: &[u8]) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for (at, head) in bytes.windows(HEAD).enumerate() {
            for pattern in self.patterns.get(head).into_iter().flatten() {
                if pattern.is_at(bytes, at) {
                    found.insert(pattern.what.clone());
                }
            }
        }
        found
    }

    /// What is found in the files of a folder and of those in it: file, value and form.
    ///
    /// # Panics
    /// When something in it cannot be read.
    #[must_use]
    pub fn found_in_folder(&self, folder: &Path) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for entry in fs::read_dir(folder).expect("the folder can be listed") {
            let path = entry.expect("the folder can be listed").path();
            if path.is_dir() {
                found.extend(self.found_in_folder(&path));
                continue;
            }
            let here = self.found_in(&fs::read(&path).expect("the file can be read"));
            found.extend(here.into_iter().map(|what| format!("{}: {what}", path.display())));
        }
        found
    }

    /// Adds hexadecimal, numbers and base64.
    fn add_codes(&mut self, what: &str, bytes: &[u8]) {
        let hex = |digit: fn(&u8) -> String| bytes.iter().map(digit).collect::<String>().into_bytes();
        self.add_if_long(what, "hexadecimal", hex(|byte| format!("{byte:02x}")));
        self.add_if_long(what, "hexadecimal", hex(|byte| format!("{byte:02X}")));
        for separator in [",", ", "] {
            let numbers: Vec<_> = bytes.iter().map(ToString::to_string).collect();
            self.add(what, "numbers", numbers.join(separator).into_bytes());
        }
        for before in 0..3 {
            let padded = [&vec![0; before], bytes].concat();
            // Only characters whose six bits all come from the value: `before` bytes fill so many, the last may be open.
            let from = (before * 8).div_ceil(6);
            let to = padded.len() * 8 / 6;
            for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
                let coded = engine.encode(&padded);
                self.add_if_long(what, "base64", coded.as_bytes()[from..to].to_vec());
            }
        }
    }

    fn add_if_long(&mut self, value: &str, form: &str, bytes: Vec<u8>) {
        if bytes.len() >= LEAST {
            self.add(value, form, bytes);
        }
    }

    fn add(&mut self, value: &str, form: &str, bytes: Vec<u8>) {
        let head = *bytes.first_chunk().expect("a value has four bytes at least");
        let (is_word, what) = (bytes.len() < LEAST, format!("{value} as {form}"));
        self.patterns.entry(head).or_default().push(Pattern { bytes, is_word, what });
    }
}

impl Pattern {
    fn is_at(&self, bytes: &[u8], at: usize) -> bool {
        let Some(after) = bytes[at..].strip_prefix(self.bytes.as_slice()) else { return false };
        let is_joined = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/-_=".contains(byte);
        !self.is_word || !(after.first().is_some_and(is_joined) || bytes[..at].last().is_some_and(is_joined))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_value_in_every_form_and_alignment() {
        let traces = Traces::of_texts(["見本　花子"]);
        let utf16: Vec<u8> = "見本　花子".encode_utf16().flat_map(u16::to_be_bytes).collect();
        let mut forms: Vec<Vec<u8>> = vec![
            "<Name>見本　花子</Name>".into(),
            br#"{"name":"\u898b\u672c\u3000\u82b1\u5b50"}"#.to_vec(),
            [b"\x01".as_slice(), &utf16].concat(),
            b"e8a68be69cace38080e88ab1e5ad90".to_vec(),
            b"[232,166,139,230,156,172,227,128,128,232,138,177,229,173,144]".to_vec(),
        ];
        for before in ["", "a", "ab", "abc"] {
            for after in ["", "a", "ab"] {
                forms.push(STANDARD_NO_PAD.encode(format!("{before}見本　花子{after}")).into_bytes());
            }
        }
        for form in forms {
            assert!(!traces.found_in(&form).is_empty(), "{}", String::from_utf8_lossy(&form));
        }
        for other in ["見本　太郎", "見", "", "e8a68b"] {
            assert_eq!(traces.found_in(other.as_bytes()), BTreeSet::new(), "{other}");
        }
    }

    #[test]
    fn a_short_value_counts_as_a_whole_word_only() {
        let traces = Traces::of_texts(["1234"]);
        for text in [r#"{"pin":"1234"}"#, "pin=[49, 50, 51, 52]", "1234", "0020008004\x041234\n", "31323334"] {
            assert!(!traces.found_in(text.as_bytes()).is_empty(), "{text}");
        }
        for text in ["127.0.0.1:12345", "0123-1234-7abc", "91234", "123 4", "ab1234cd"] {
            assert!(traces.found_in(text.as_bytes()).is_empty(), "{text}");
        }
    }
}
