use std::fs;

use crate::run::{Step, root};

/// Runs the measurements and shows their report; `true` when there is one.
///
/// The bench writes the report itself; a bench that ends well without one has failed.
pub(crate) fn bench() -> bool {
    let report = root().join("target/bench/report.md");
    // An old report must not pass for a new one; that there is none yet is no error.
    let _ = fs::remove_file(&report);
    if !Step::new("cargo", &["run", "--release", "-p", "tazune-bench"]).run().succeeded {
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
