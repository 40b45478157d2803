use std::time::{Duration, Instant};

use clap::builder::PossibleValuesParser;

use crate::{
    run::{Counts, Step},
    tools::{self, READER, Tool, WINDOWS},
};

/// Longest a step may take where nobody watches: one that hangs must not hide what the others would show.
const LIMIT_IN_CI: Duration = Duration::from_mins(25);

/// What to run, and what to do when a tool is missing.
#[derive(clap::Args, Default)]
pub(crate) struct Options {
    /// A suite that cannot run is a failure.
    #[arg(long)]
    all: bool,
    /// Installs missing tools (done without asking as root with CI set).
    #[arg(long)]
    install: bool,
    /// Runs only this suite; may be given more than once.
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(SUITES.iter().map(|suite| suite.name)))]
    only: Vec<String>,
}

impl Options {
    /// The named suites, nothing installed, missing tools skipped.
    pub(crate) fn only(names: &[&str]) -> Self {
        Self { only: names.iter().map(|&name| name.to_owned()).collect(), ..Self::default() }
    }
}

/// Commands that belong together, with what they need and what they show.
struct Suite {
    name: &'static str,
    covers: &'static str,
    tools: &'static [&'static Tool],
    steps: &'static [Step],
    /// Never a failure when it cannot run, not even with `--all`: what it needs is not to be had everywhere.
    is_extra: bool,
}

/// Every suite, the quick ones first.
static SUITES: &[Suite] = &[
    Suite {
        name: "format",
        covers: "rustfmt has nothing to change",
        tools: &[&tools::RUSTFMT],
        steps: &[Step::new("cargo", &["fmt", "--all", "--check"])],
        is_extra: false,
    },
    Suite {
        name: "arrows",
        covers: "which crate may use which; no input or output in the pure crates",
        tools: &[],
        steps: &[Step::new("cargo", &["test", "-p", "xtask", "--test", "arrows"])],
        is_extra: false,
    },
    Suite {
        name: "house",
        covers: "failure codes, versions and paths in files; this tool's own tests",
        tools: &[],
        steps: &[Step::new("cargo", &["test", "-p", "xtask", "--bins", "--test", "house"])],
        is_extra: false,
    },
    Suite {
        name: "book",
        covers: "every page is listed, every link between pages leads somewhere",
        tools: &[],
        steps: &[Step::new("cargo", &["test", "-p", "xtask", "--test", "book"])],
        is_extra: false,
    },
    Suite {
        name: "clippy",
        covers: "no warning in any target of the workspace",
        tools: &[&tools::CLIPPY],
        steps: &[Step::new("cargo", &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])],
        is_extra: false,
    },
    Suite {
        name: "deny",
        covers: "licences, banned crates and sources of everything that is linked",
        tools: &[&tools::CARGO_DENY],
        steps: &[Step::new("cargo", &["deny", "check", "--hide-inclusion-graph", "bans", "licenses", "sources"])],
        is_extra: false,
    },
    Suite {
        name: "advisories",
        covers: "known faults of what is linked, from the database as it was fetched",
        tools: &[&tools::CARGO_DENY, &tools::ADVISORY_DATABASE],
        steps: &[Step::new("cargo", &["deny", "--offline", "check", "advisories"])],
        is_extra: true,
    },
    Suite {
        name: "tests",
        covers: "every crate by itself; device, front, desk and simulators as the programs they are; the demo",
        tools: &[],
        // One command and one set of features: the end-to-end tests start the programs that it builds on the way.
        steps: &[Step::new("cargo", &["test", "--workspace", "--exclude", "xtask", "--no-fail-fast"])],
        is_extra: false,
    },
    Suite {
        name: "service",
        covers: "systemd reads the hub's unit without a complaint and finds it well hardened",
        tools: &[&tools::SYSTEMD],
        // The features of the suite before, so that nothing is built anew.
        steps: &[Step::new("cargo", &["test", "--workspace", "--exclude", "xtask", "--lib", "service::"])
            .with(&[("TAZUNE_SYSTEMD", "1")])],
        is_extra: false,
    },
    Suite {
        name: "order",
        covers: "a sync precedes \"saved\", the front's answer, each receipt and each rename, as strace sees it",
        tools: &[&tools::STRACE],
        // The suite before has built the programs.
        steps: &[Step::new(
            "cargo",
            &["test", "--workspace", "--exclude", "xtask", "--test", "crash", "--", "order::"],
        )
        .with(&[("TAZUNE_MUST_TRACE", "1")])],
        is_extra: false,
    },
    Suite {
        name: "key-store",
        covers: "the device's keys in the real key store of a Linux desktop: open, locked, hanging",
        tools: &[&tools::SECRET_SERVICE],
        steps: &[Step::new(
            "cargo",
            &["test", "--workspace", "--exclude", "xtask", "--test", "key_store", "--", "--ignored"],
        )],
        is_extra: false,
    },
    Suite {
        name: "reader",
        covers: "visits at a PC/SC reader, and OpenSC on the same card; tazune built with readers",
        tools: &[&tools::CLIPPY, &tools::PCSC_LIBRARY, &tools::READERS, &tools::NAMESPACES],
        // The same dependencies as the suite before: only the laptop tool is built anew.
        steps: &[
            Step::new(
                "cargo",
                &[
                    "clippy",
                    "--workspace",
                    "--features",
                    READER,
                    "--bin",
                    "tazune",
                    "--test",
                    "reader",
                    "--",
                    "-D",
                    "warnings",
                ],
            ),
            Step::new("cargo", &["test", "--workspace", "--exclude", "xtask", "--features", READER, "--no-run"]),
            Step::new(
                "cargo",
                &[
                    "test",
                    "--workspace",
                    "--exclude",
                    "xtask",
                    "--features",
                    READER,
                    "--bin",
                    "tazune",
                    "--test",
                    "tool",
                    "--test",
                    "reader",
                ],
            ),
            Step::new("cargo", &["doc", "--workspace", "--no-deps", "--features", READER])
                .with(&[("RUSTDOCFLAGS", "-D warnings")]),
        ],
        is_extra: false,
    },
    Suite {
        name: "doc",
        covers: "the reference of every crate builds, and its links lead somewhere",
        tools: &[],
        steps: &[Step::new("cargo", &["doc", "--workspace", "--no-deps"]).with(&[("RUSTDOCFLAGS", "-D warnings")])],
        is_extra: false,
    },
    Suite {
        name: "mdbook",
        covers: "the book can be built",
        tools: &[&tools::MDBOOK],
        steps: &[Step::new("mdbook", &["build", "docs"])],
        is_extra: false,
    },
    Suite {
        name: "kotlin",
        covers: "a device and its visits from Kotlin on the JVM: generated code, killed and resumed, against the real hub",
        tools: &[&tools::MAVEN],
        steps: &[
            Step::new("cargo", &["xtask", "bindings", "--language", "kotlin"]),
            Step::new("mvn", &["--batch-mode", "--no-transfer-progress", "--file", "android/pom.xml", "verify"]),
        ],
        is_extra: false,
    },
    Suite {
        name: "swift",
        covers: "the same from Swift on Linux",
        tools: &[&tools::DEBOOTSTRAP, &tools::SWIFT],
        steps: &[
            Step::new("cargo", &["xtask", "bindings", "--language", "swift", "--out", "ios/.generated"]),
            Step::new("ios/on-linux.sh", &["run", "swift-test", "--disable-sandbox", "--disable-xctest"]),
        ],
        is_extra: false,
    },
    Suite {
        name: "windows",
        covers: "hub, engine and laptop tool compile for the clinic's PC",
        tools: &[&tools::WINDOWS_TARGET, &tools::MINGW],
        steps: &[Step::new(
            "cargo",
            &[
                "check",
                "--target",
                WINDOWS,
                "-p",
                "tazune-hub",
                "-p",
                "tazune-engine",
                "-p",
                "tazune-reader",
                "--features",
                READER,
            ],
        )],
        is_extra: false,
    },
];

/// How one suite ended.
struct Report {
    name: &'static str,
    verdict: &'static str,
    counts: Counts,
    took: Duration,
    note: String,
}

/// Runs the suites in order, prints a table and a closing line; `true` when nothing failed.
pub(crate) fn test(options: &Options) -> bool {
    let chosen: Vec<_> =
        SUITES.iter().filter(|suite| options.only.is_empty() || options.only.iter().any(|n| n == suite.name)).collect();
    let may_install = options.install || tools::runs_as_root_in_ci();
    let mut reports = Vec::new();
    for (index, suite) in chosen.iter().enumerate() {
        println!("\n== {} ({} of {}): {}", suite.name, index + 1, chosen.len(), suite.covers);
        let report = suite.run(options.all, may_install);
        println!("== {}: {}, {} in {:.0} s", report.name, report.verdict, report.counts, report.took.as_secs_f64());
        if !report.note.is_empty() {
            println!("   {}", report.note);
        }
        reports.push(report);
    }

    let total = reports.iter().fold(Counts::default(), |mut sum, report| {
        sum += report.counts;
        sum
    });
    println!("\n{:<11} {:<8} {:>7} {:>7} {:>8} {:>7}", "suite", "result", "passed", "failed", "skipped", "seconds");
    for Report { name, verdict, counts, took, .. } in &reports {
        let Counts { passed, failed, skipped } = counts;
        println!("{name:<11} {verdict:<8} {passed:>7} {failed:>7} {skipped:>8} {:>7.0}", took.as_secs_f64());
    }
    for report in reports.iter().filter(|report| !report.note.is_empty()) {
        println!("{} {}: {}", report.name, report.verdict, report.note);
    }
    println!("\n{total}");
    total.failed == 0
}

impl Suite {
    #[expect(clippy::disallowed_methods, reason = "only the time a suite took is measured")]
    fn run(&self, all: bool, may_install: bool) -> Report {
        let began = Instant::now();
        let missing = self.missing(may_install);
        let (verdict, counts) = if missing.is_empty() {
            self.run_steps()
        } else if all && !self.is_extra {
            ("failed", Counts { failed: 1, ..Counts::default() })
        } else {
            ("skipped", Counts { skipped: 1, ..Counts::default() })
        };
        Report { name: self.name, verdict, counts, took: began.elapsed(), note: missing.join("; ") }
    }

    /// What the suite lacks after installing what may be installed, each with the line that would install it.
    fn missing(&self, may_install: bool) -> Vec<String> {
        let is_missing = |tool: &&&Tool| !((tool.is_there)() || may_install && tool.install());
        self.tools.iter().filter(is_missing).map(|tool| tool.missing_note()).collect()
    }

    /// Runs the steps up to the first that fails; a suite that prints no counts counts as one test.
    fn run_steps(&self) -> (&'static str, Counts) {
        let limit = tools::is_ci().then_some(LIMIT_IN_CI);
        let mut counts = Counts::default();
        let mut succeeded = true;
        for step in self.steps {
            let ran = step.run_within(limit);
            counts += ran.counts;
            succeeded = ran.succeeded;
            if !succeeded {
                break;
            }
        }
        judge(succeeded, counts)
    }
}

/// The verdict over a suite: a failure that no test program counted still counts as one.
fn judge(succeeded: bool, mut counts: Counts) -> (&'static str, Counts) {
    if !succeeded {
        counts.failed = counts.failed.max(1);
        return ("failed", counts);
    }
    if counts == Counts::default() {
        counts.passed = 1;
    }
    ("passed", counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    static MISSING: Tool = Tool { name: "a tool", is_there: || false, install: &[] };

    static TOOLS: &[&Tool] = &[&MISSING];
    static STEPS: &[Step] = &[Step::new("true", &[])];

    fn suite(is_extra: bool) -> Suite {
        Suite { name: "sample", covers: "", tools: TOOLS, steps: STEPS, is_extra }
    }

    #[test]
    fn a_missing_tool_skips_and_fails_only_where_all_was_asked_and_it_can_be_had() {
        assert_eq!(suite(false).run(false, false).verdict, "skipped");
        assert_eq!(suite(false).run(true, false).verdict, "failed");
        assert_eq!(suite(true).run(true, true).verdict, "skipped");
        assert_eq!(suite(false).run(true, false).note, "a tool is missing");
    }

    #[test]
    fn a_failure_is_never_lost_in_the_counts() {
        let none = Counts::default();
        assert_eq!(judge(true, none), ("passed", Counts { passed: 1, ..none }));
        assert_eq!(judge(false, none), ("failed", Counts { failed: 1, ..none }));
        let counted = Counts { passed: 4, failed: 2, skipped: 1 };
        assert_eq!(judge(false, counted), ("failed", counted));
    }

    #[test]
    fn suites_have_names_of_their_own() {
        let mut names: Vec<_> = SUITES.iter().map(|suite| suite.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), SUITES.len());
    }
}
