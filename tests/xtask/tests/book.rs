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
    for page in files(".md") {
        let text = fs::read_to_string(root().join(&page)).unwrap();
        for link in links(&text) {
            if let Some(target) = target(&page, link) {
                assert!(root().join(&target).exists(), "{page} links to {link}, and {} is not there", target.display());
            }
        }
    }
}

#[test]
fn finds_links_outside_of_code() {
    let page = "See [a](a.md) and `[b](b.md)`.\n```text\n[c](c.md)\n```\n[d](../d.md#part) [e](https://example.org/)";
    assert_eq!(links(page), ["a.md", "../d.md#part", "https://example.org/"]);
    assert_eq!(target("docs/src/x.md", "../d.md#part"), Some("docs/d.md".into()));
    assert_eq!(target("docs/src/x.md", "https://example.org/"), None);
    assert_eq!(target("docs/src/x.md", "#here"), None);
}
