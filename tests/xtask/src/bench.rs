use std::fs;

use crate::run::{Step, root};

/// How much is measured.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// P4 also with a million records stored, which takes several gigabytes and minutes.
    #[arg(long)]
    full: bool,
}

/// The hub is built too: one measurement starts it.
const BUILD: Step = Step::new("cargo", &["build", "--release", "-p", "tazune-hub", "-p", "tazune-bench"]);
const USUAL: Step = Step::new("cargo", &["run", "--release", "-p", "tazune-bench"]);
const FULL: Step = Step::new("cargo", &["run", "--release", "-p", "tazune-bench", "--", "--full"]);

/// Runs the measurements and shows their report; `true` when there is one.
///
/// The bench writes the report itself; a bench that ends well without one has failed.
pub(crate) fn bench(options: &Options) -> bool {
    let report = root().join("target/bench/report.md");
    // An old report must not pass for a new one; that there is none yet is no error.
    let _ = fs::remove_file(&report);
    let measure = if options.full { FULL } else { USUAL };
    if !BUILD.run().succeeded || !measure.run().succeeded {
        return false;
    }
    match fs::read_to_string(&report) {
        Ok(text) => {
            println!("\n{text}\nreport: {}", report.display());
            true
        }
        Err(error) => {
            println!("the bench ended without a report at {}: {error}", report.display());
            false
        }
    }
}
