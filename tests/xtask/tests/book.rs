//! The book holds together: every page is listed, and every link between pages leads somewhere.

use std::{
    fs,
    path::{Component, Path, PathBuf},
};

mod common;

use common::{files, root};

/// The targets of the links in a page, outside of code: `](target)`.
fn links(page: &str) -> Vec<&str> {
    // Every second part lies between back-ticks; fences are three of them, so they fall out the same way.
    page.split('`')
        .step_by(2)
        .flat_map(|text| text.split("](").skip(1))
        .filter_map(|rest| rest.split(')').next())
        .collect()
}

/// The file a link of `page` means, relative to the root; `None` for a link to elsewhere or within the page.
fn target(page: &str, link: &str) -> Option<PathBuf> {
    let path = link.split('#').next().filter(|path| !path.is_empty() && !path.contains(':'))?;
    let mut whole = PathBuf::new();
    for part in Path::new(page).parent()?.join(path).components() {
        match part {
            Component::ParentDir => {
                whole.pop();
            }
            part => whole.push(part),
        }
    }
    Some(whole)
}

/// The files of the sources that a page names in code, such as `core/card/src/lib.rs`; patterns with `<name>` are none.
fn named_files(page: &str) -> impl Iterator<Item = &str> {
    let is_path = |text: &&str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-".contains(&b));
    let is_ours = |text: &&str| ["core/", "tests/", "docs/"].iter().any(|folder| text.starts_with(folder));
    page.split('`').skip(1).step_by(2).filter(is_path).filter(is_ours)
}

#[test]
fn every_page_is_listed_once() {
    let summary = fs::read_to_string(root().join("docs/src/SUMMARY.md")).unwrap();
    let listed = links(&summary);
    for page in files(".md").iter().filter_map(|file| file.strip_prefix("docs/src/")).filter(|p| *p != "SUMMARY.md") {
        assert_eq!(listed.iter().filter(|link| **link == page).count(), 1, "docs/src/SUMMARY.md lists {page} once");
    }
}

#[test]
fn every_link_between_pages_leads_somewhere() {
    let dead = in_every_page(|page, text| {
        let is_dead = |link: &&str| target(page, link).is_some_and(|target| !root().join(target).exists());
        links(text).into_iter().filter(is_dead).map(Into::into).collect()
    });
    assert_eq!(dead, [""; 0]);
}

#[test]
fn every_file_that_a_page_names_is_there() {
    let missing =
        in_every_page(|_, text| named_files(text).filter(|file| !root().join(file).exists()).map(Into::into).collect());
    assert_eq!(missing, [""; 0]);
}

#[test]
fn every_sentence_about_a_stolen_tablet_names_a_test_that_is_there() {
    let page = fs::read_to_string(root().join("docs/src/thief.md")).unwrap();
    let sentences: Vec<_> = page.lines().filter(|line| line.starts_with('|') && !line.contains("---")).collect();
    let is_heading = |line: &&&str| line.ends_with("| test |");
    assert!(sentences.iter().filter(|line| !is_heading(line)).count() > 10);
    for line in sentences.iter().filter(|line| !is_heading(line)) {
        let mut code = line.split('`').skip(1).step_by(2);
        let (Some(file), Some(test)) = (code.next(), code.next()) else { panic!("no test in: {line}") };
        let source = fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(source.contains(&format!("fn {test}() {{")), "{file} has no test {test}");
    }
}

/// What `find` finds in the pages, given path and text, each with its page before it.
fn in_every_page(find: impl Fn(&str, &str) -> Vec<String>) -> Vec<String> {
    let found_in = |page: String| {
        let found = find(&page, &fs::read_to_string(root().join(&page)).unwrap());
        found.into_iter().map(move |what| format!("{page}: {what}"))
    };
    files(".md").into_iter().flat_map(found_in).collect()
}

#[test]
fn finds_links_outside_of_code() {
    let page = "See [a](a.md) and `[b](b.md)`.\n```text\n[c](c.md)\n```\n[d](../d.md#part) [e](https://example.org/)";
    assert_eq!(links(page), ["a.md", "../d.md#part", "https://example.org/"]);
    assert_eq!(target("docs/src/x.md", "../d.md#part"), Some("docs/d.md".into()));
    assert_eq!(target("docs/src/x.md", "https://example.org/"), None);
    assert_eq!(target("docs/src/x.md", "#here"), None);
}

#[test]
fn finds_named_files() {
    let page = "`core/card/src/lib.rs`, `core/card/src/<kind>.rs`, `tests/sim/`, core/plain and `target/x`";
    assert_eq!(named_files(page).collect::<Vec<_>>(), ["core/card/src/lib.rs", "tests/sim/"]);
}
