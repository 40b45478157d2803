use std::process::Command;

use crate::run::{Step, root};

const BUILD: Step = Step::new(
    "cargo",
    &["build", "--bins", "--package", "tazune-hub", "--package", "tazune-reader", "--package", "tazune-e2e"],
);

/// Options of the demo itself; `--help` after them tells.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Leave hub and simulator running at the end.
    #[arg(long)]
    keep: bool,
    /// Language of the visit's screens.
    #[arg(long, default_value = "en", value_parser = ["en", "ja"])]
    language: String,
}

/// Builds the programs and tells the story; it has the terminal to itself.
pub(crate) fn demo(options: &Options) -> bool {
    if !BUILD.run().succeeded {
        return false;
    }
    let mut demo = Command::new(root().join("target/debug/tazune-demo"));
    demo.args(["--language", &options.language]).args(options.keep.then_some("--keep"));
    demo.current_dir(root()).status().is_ok_and(|status| status.success())
}
