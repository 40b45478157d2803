//! House rules that no compiler knows: failure codes, versions, and what no file may name.

use std::{collections::BTreeMap, fs};

use tazune_model::FailureCode;

mod common;

use common::{files, root};

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// A source without its comments and its tests, which the lint `items_after_test_module` keeps at the end.
fn shipped_code(source: &str) -> String {
    let lines: Vec<_> = source.lines().collect();
    let opens_tests = |pair: &[&str]| pair[0] == "#[cfg(test)]" && pair[1].contains("mod ") && pair[1].ends_with('{');
    let end = lines.windows(2).position(opens_tests).unwrap_or(lines.len());
    let code = lines[..end].iter().filter(|line| !line.trim_start().starts_with("//"));
    code.copied().collect::<Vec<_>>().join("\n")
}

/// The variants written as `FailureCode::Name` in a source.
fn codes_written_in(source: &str) -> impl Iterator<Item = &str> {
    let name_after = |rest: &'_ str| rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    source.split("FailureCode::").skip(1).map(move |rest| &rest[..name_after(rest)])
}

/// Everything wrong with where the codes are raised, given `(file, source)` pairs.
fn misraised(sources: &[(String, String)]) -> Vec<String> {
    let mut places: BTreeMap<&str, Vec<&str>> = FailureCode::ALL.iter().map(|code| (code.name(), vec![])).collect();
    for (file, source) in sources {
        for name in codes_written_in(source) {
            if let Some(files) = places.get_mut(name) {
                files.push(file);
            }
        }
    }
    let wrong = places.into_iter().filter(|(_, files)| files.len() != 1);
    wrong.map(|(name, files)| format!("{name} is raised in {} places {files:?}", files.len())).collect()
}

/// Everything wrong with the entries of the book's page of failure codes.
fn misdocumented(page: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let entries: Vec<_> = page.split("\n## ").skip(1).collect();
    let headings: Vec<_> = entries.iter().filter_map(|entry| entry.lines().next()).collect();
    let wanted: Vec<_> = FailureCode::ALL.iter().map(|code| format!("{code} {}", code.name())).collect();
    wrong.extend(wanted.iter().filter(|h| !headings.contains(&h.as_str())).map(|h| format!("no entry for {h}")));
    let unknown = headings.iter().filter(|heading| !wanted.iter().any(|w| w == *heading));
    wrong.extend(unknown.map(|heading| format!("no code for the entry {heading}")));
    if wrong.is_empty() && headings != wanted {
        wrong.push("the entries are not in the order of the codes".into());
    }
    for entry in entries {
        for part in ["**Cause** ", "**Remedy** "] {
            let mut lines = entry.lines().skip_while(|line| !line.starts_with(part));
            let japanese = lines.next().is_some_and(|line| !line.is_ascii());
            let english = lines.next().is_some_and(|line| line.starts_with(|c: char| c.is_ascii_alphabetic()));
            if !japanese || !english {
                let heading = entry.lines().next().unwrap_or_default();
                wrong.push(format!("{heading}: {part}is one line in Japanese, then one in English"));
            }
        }
    }
    wrong
}

/// The codes of our shape (`TZ-` and three characters) that a text names but nobody has.
fn unknown_codes(text: &str) -> Vec<&str> {
    let named = text.match_indices("TZ-").filter_map(|(at, _)| text.get(at..at + 6));
    let is_shaped = |code: &&str| matches!(code.as_bytes(), [.., b'A'..=b'Z', b'0'..=b'9', b'0'..=b'9']);
    named.filter(is_shaped).filter(|named| !FailureCode::ALL.iter().any(|code| code.code() == *named)).collect()
}

/// Paths of somebody's machine, and hosts of package registries and mirrors; written apart, so that this file passes.
const UNNAMEABLE: &[&str] = &[
    concat!("/ro", "ot/"),
    concat!("/wo", "rk/"),
    concat!("/ho", "me/"),
    concat!("crates", ".io"),
    concat!("npmjs", ".org"),
    concat!("pypi", ".org"),
    concat!("pythonhosted", ".org"),
    concat!("maven.apache", ".org"),
    concat!("maven", ".org"),
    concat!("proxy.golang", ".org"),
    concat!("debian", ".org"),
];

/// The lines of a text that name what no file may name.
fn unnameable_lines(text: &str) -> Vec<&str> {
    text.lines().filter(|line| UNNAMEABLE.iter().any(|word| line.contains(word))).collect()
}

/// Everything wrong with a member's manifest: versions of its own, or package fields that differ from the workspace's.
fn manifest_faults(manifest: &str) -> Vec<String> {
    let mut wrong: Vec<_> = ["license", "edition", "rust-version", "publish"]
        .iter()
        .filter(|field| !manifest.lines().any(|line| line == format!("{field}.workspace = true")))
        .map(|field| format!("{field} is not the workspace's"))
        .collect();
    if !manifest.contains("[lints]\nworkspace = true") {
        wrong.push("lints are not the workspace's".into());
    }
    let mut section = "";
    for line in manifest.lines() {
        if line.starts_with('[') {
            section = line;
            if line.contains("dependencies.") {
                wrong.push(format!("{line}: write one line per dependency"));
            }
        } else if section.ends_with("dependencies]") && line.contains('=') && !line.contains("workspace = true") {
            wrong.push(format!("{line}: its version belongs into the table of the workspace"));
        }
    }
    wrong
}

#[test]
fn every_failure_code_is_raised_in_exactly_one_place() {
    let is_ours = |file: &str| file.starts_with("core/") || file.starts_with("bindings/");
    let is_shipped = |file: &String| is_ours(file) && file.contains("/src/") && !file.ends_with("/tests.rs");
    let sources: Vec<_> = files(".rs")
        .into_iter()
        .filter(|file| is_shipped(file) && file != "core/model/src/failure.rs")
        .map(|file| (file.clone(), shipped_code(&read(&file))))
        .collect();
    let wrong = misraised(&sources);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_failure_code_has_its_entry_in_the_book_and_no_entry_lacks_a_code() {
    let wrong = misdocumented(&read("docs/src/failure-codes.md"));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_page_names_a_code_that_does_not_exist() {
    for page in files(".md") {
        let text = read(&page);
        assert_eq!(unknown_codes(&text), [""; 0], "{page}");
    }
}

#[test]
fn no_file_names_a_machine_or_a_registry() {
    // A lock file's source lines are cargo's own.
    for file in files("").into_iter().filter(|file| !file.ends_with("Cargo.lock")) {
        let bytes = fs::read(root().join(&file)).unwrap();
        assert_eq!(unnameable_lines(&String::from_utf8_lossy(&bytes)), [""; 0], "{file}");
    }
}

#[test]
fn every_member_takes_versions_and_licence_from_the_workspace() {
    let root_manifest = read("Cargo.toml");
    assert!(root_manifest.contains("license = \"Apache-2.0 OR MIT\""));
    // A peer is no member: it has a workspace of its own.
    for manifest in files("/Cargo.toml").into_iter().filter(|manifest| !manifest.contains("/peers/")) {
        let wrong = manifest_faults(&read(&manifest));
        assert!(wrong.is_empty(), "{manifest}: {}", wrong.join("\n"));
    }
}

#[test]
fn finds_a_code_raised_twice_or_never_and_overlooks_tests_and_comments() {
    let source = "// FailureCode::PinWrong\nfn a() { FailureCode::PinWrong }\n#[cfg(test)]\nmod tests {\n    FailureCode::PinWrong\n}";
    let code = shipped_code(source);
    let once = [("core/a/src/lib.rs".to_owned(), code.clone())];
    assert!(!misraised(&once).iter().any(|line| line.starts_with("PinWrong ")));
    assert_eq!(misraised(&once).len(), FailureCode::ALL.len() - 1);
    let twice = [("a".to_owned(), code.clone()), ("b".to_owned(), code)];
    assert!(misraised(&twice).iter().any(|line| line == "PinWrong is raised in 2 places [\"a\", \"b\"]"));
}

#[test]
fn finds_a_missing_an_unknown_and_an_unfinished_entry() {
    let whole: String = FailureCode::ALL
        .iter()
        .map(|code| format!("\n## {code} {}\n\n**Cause** 例\\\nText\n\n**Remedy** 例\\\nText\n", code.name()))
        .collect();
    assert_eq!(misdocumented(&whole), [""; 0]);
    assert_eq!(misdocumented(&whole.replacen("CardAbsent", "CardGone", 1)).len(), 2);
    assert_eq!(misdocumented(&whole.replacen("**Remedy** 例", "**Remedy** soon", 1)).len(), 1);
    assert_eq!(misdocumented(&whole.replacen("例\\\nText", "例", 1)).len(), 1);
    assert_eq!(unknown_codes("TZ-C01, TZ-C99 and TZ-Q01, in a TZ-zone"), ["TZ-C99", "TZ-Q01"]);
}

#[test]
fn finds_a_path_of_a_machine() {
    let line = format!("let path = \"{}main\";", UNNAMEABLE[1]);
    assert_eq!(unnameable_lines(&format!("fine\n{line}\n")), [line.as_str()]);
}

#[test]
fn finds_a_version_of_a_member() {
    let good = "license.workspace = true\nedition.workspace = true\nrust-version.workspace = true\npublish.workspace = true\n\
        [lints]\nworkspace = true\n[dependencies]\nserde.workspace = true\ntokio = { workspace = true, features = [\n    \"net\",\n] }\n";
    assert_eq!(manifest_faults(good), [""; 0]);
    assert_eq!(manifest_faults(&good.replace("serde.workspace = true", "serde = \"1\"")).len(), 1);
    assert_eq!(manifest_faults(&good.replace("license.workspace = true", "license = \"MIT\"")).len(), 1);
    assert_eq!(manifest_faults(&good.replace("[dependencies]", "[dependencies.serde]")).len(), 1);
}
