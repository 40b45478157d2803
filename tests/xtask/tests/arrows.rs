//! The arrows between the crates, as docs/src/architecture.md draws them, and what the pure crates may not reach.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use serde_json::Value;

/// Each crate with the crates of ours it may use.
const ARROWS: &[(&str, &[&str])] = &[
    ("tazune-model", &[]),
    ("tazune-card", &["tazune-model"]),
    ("tazune-oqs", &["tazune-model"]),
    ("tazune-link", &["tazune-model"]),
    ("tazune-visit", &["tazune-model", "tazune-card", "tazune-link"]),
    ("tazune-engine", &["tazune-model", "tazune-card", "tazune-oqs", "tazune-link", "tazune-visit"]),
    ("tazune-reader", &["tazune-engine"]),
    // Ships in apps: never a simulator, never the hub.
    ("tazune-bindings", &["tazune-engine"]),
    ("tazune-hub", &["tazune-model", "tazune-oqs", "tazune-link"]),
    // The virtual card judges the real one, so it shares no card code with it.
    ("tazune-sim", &["tazune-model", "tazune-oqs", "tazune-link"]),
    ("tazune-e2e", EVERYTHING),
    ("tazune-bench", EVERYTHING),
    ("tazune-fuzz", EVERYTHING),
    ("tazune-simulation", EVERYTHING),
    ("xtask", &[]),
];

/// For the suites that look at the whole.
const EVERYTHING: &[&str] = &[
    "tazune-model",
    "tazune-card",
    "tazune-oqs",
    "tazune-link",
    "tazune-visit",
    "tazune-engine",
    "tazune-bindings",
    "tazune-hub",
    "tazune-sim",
    // The rig with readers, and how programs are started.
    "tazune-e2e",
];

/// Crates of ours that the tests of any crate may use besides.
const IN_TESTS: &[&str] = &["tazune-model", "tazune-sim"];

/// Crates that know no file, socket, thread, clock or random source of their own.
const PURE: &[&str] = &["tazune-model", "tazune-card", "tazune-oqs", "tazune-link", "tazune-visit"];

/// What a pure crate's normal dependencies never contain: input and output, runtimes, the system's randomness.
const IMPURE: &[&str] = &[
    "async-std",
    "axum",
    "getrandom",
    "hyper",
    "mio",
    "pcsc",
    "reqwest",
    "rusqlite",
    "rustls",
    "sqlx",
    "tokio",
    "uniffi",
];

/// The uses of one crate: those that ship, and those of its tests and build.
#[derive(Default)]
struct Uses {
    shipped: BTreeSet<String>,
    in_tests: BTreeSet<String>,
}

type Graph = BTreeMap<String, Uses>;

/// Every use of a crate of ours that no arrow allows, as a sentence.
fn broken_arrows(graph: &Graph) -> Vec<String> {
    let mut broken = Vec::new();
    for (name, uses) in graph {
        let Some((_, allowed)) = ARROWS.iter().find(|(known, _)| known == name) else {
            broken.push(format!("{name} has no arrows: add it to ARROWS and to docs/src/architecture.md"));
            continue;
        };
        let is_allowed = |used: &&String| allowed.contains(&used.as_str());
        for used in uses.shipped.iter().filter(|used| !is_allowed(used)) {
            broken.push(format!("{name} may not use {used}"));
        }
        let in_tests = uses.in_tests.iter().filter(|used| !is_allowed(used) && !IN_TESTS.contains(&used.as_str()));
        broken.extend(in_tests.map(|used| format!("{name} may not use {used}, in its tests either")));
    }
    broken
}

/// The crates of `tree` (lines of `cargo tree --prefix depth --no-dedupe`) that a pure crate may not contain.
///
/// What lies below ring is left out: it links the system's random source whether it is called or not, and `clippy.toml`
/// bans the call.
fn impurities(tree: &str) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    let mut below_ring = usize::MAX;
    for line in tree.lines() {
        let name_at = line.find(|c: char| !c.is_ascii_digit()).unwrap_or(line.len());
        let (depth, rest) = line.split_at(name_at);
        let depth = depth.parse().expect("cargo tree begins each line with the depth");
        let name = rest.split(' ').next().unwrap_or(rest);
        if depth > below_ring {
            continue;
        }
        below_ring = if name == "ring" { depth } else { usize::MAX };
        if IMPURE.contains(&name) {
            found.insert(name);
        }
    }
    found
}

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO")).args(arguments).output().expect("cargo runs this test, so it can be run");
    assert!(output.status.success(), "cargo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("cargo writes UTF-8")
}

fn workspace() -> Graph {
    let metadata: Value = serde_json::from_str(&cargo(&["metadata", "--no-deps", "--format-version", "1"])).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let mut graph = Graph::new();
    for package in packages {
        let uses = graph.entry(package["name"].as_str().unwrap().to_owned()).or_default();
        // Only crates of ours have a path.
        for used in package["dependencies"].as_array().unwrap().iter().filter(|used| used["path"].is_string()) {
            let set = if used["kind"].is_null() { &mut uses.shipped } else { &mut uses.in_tests };
            set.insert(used["name"].as_str().unwrap().to_owned());
        }
    }
    graph
}

#[test]
fn arrows_point_the_way_they_were_drawn() {
    let graph = workspace();
    assert!(graph.contains_key("tazune-model"), "cargo metadata lists the workspace");
    assert_eq!(broken_arrows(&graph), [""; 0]);
    for (name, _) in ARROWS {
        assert!(graph.contains_key(*name), "{name} has arrows but does not exist");
    }
}

#[test]
fn pure_crates_reach_no_input_no_output_and_no_randomness() {
    for name in PURE {
        let tree = cargo(&["tree", "-p", name, "--edges", "normal", "--prefix", "depth", "--no-dedupe"]);
        assert_eq!(impurities(&tree), BTreeSet::new(), "in the normal dependencies of {name}");
    }
}

#[test]
fn finds_a_broken_arrow() {
    let graph = |name: &str, shipped: &[&str], in_tests: &[&str]| {
        let set = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Graph::from([(name.to_owned(), Uses { shipped: set(shipped), in_tests: set(in_tests) })])
    };
    assert_eq!(broken_arrows(&graph("tazune-card", &["tazune-model"], &["tazune-sim"])), [""; 0]);
    let broken = [
        graph("tazune-model", &["tazune-card"], &[]),
        graph("tazune-card", &["tazune-sim"], &[]),
        graph("tazune-card", &[], &["tazune-engine"]),
        graph("tazune-bindings", &["tazune-sim"], &[]),
        graph("tazune-hub", &["tazune-card"], &[]),
        graph("tazune-sim", &["tazune-card"], &[]),
        graph("tazune-unheard-of", &[], &[]),
    ];
    for graph in broken {
        assert_eq!(broken_arrows(&graph).len(), 1);
    }
}

#[test]
fn finds_an_impure_crate_unless_ring_brought_it() {
    let tree = "0tazune-card v0.1.0 (core/card)\n1ring v0.17.14\n2getrandom v0.2.17\n3libc v0.2.0\n1serde v1.0.229\n";
    assert_eq!(impurities(tree), BTreeSet::new());
    let tree = format!("{tree}2tokio v1.54.0\n3tokio-util v0.7.0\n1getrandom v0.4.3\n");
    assert_eq!(impurities(&tree), BTreeSet::from(["getrandom", "tokio"]));
}
