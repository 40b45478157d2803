use std::process::Command;

use crate::{
    run::{Step, root},
    tools::{NAMESPACES, PCSC_LIBRARY, READER, READERS},
};

const BUILD: Step = Step::new(
    "cargo",
    &["build", "--bins", "--package", "tazune-hub", "--package", "tazune-reader", "--package", "tazune-e2e"],
);

const BUILD_WITH_READERS: Step = Step::new(
    "cargo",
    &[
        "build",
        "--bins",
        "--package",
        "tazune-hub",
        "--package",
        "tazune-reader",
        "--package",
        "tazune-e2e",
        "--features",
        READER,
    ],
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
    /// Make the visits at a PC/SC reader; before them, look at what lies on a real one, unless it is to be virtual.
    #[arg(long, value_name = "WHICH", num_args = 0..=1, default_missing_value = "real", value_parser = ["real", "virtual"])]
    reader: Option<String>,
}

/// Builds the programs and tells the story; it has the terminal to itself.
pub(crate) fn demo(options: &Options) -> bool {
    if options.reader.is_some() {
        for tool in [&PCSC_LIBRARY, &READERS, &NAMESPACES] {
            if !(tool.is_there)() {
                println!("{}", tool.missing_note());
                return false;
            }
        }
    }
    let build = if options.reader.is_some() { BUILD_WITH_READERS } else { BUILD };
    if !build.run().succeeded {
        return false;
    }
    let mut demo = Command::new(root().join("target/debug/tazune-demo"));
    demo.args(["--language", &options.language]).args(options.keep.then_some("--keep"));
    demo.args(options.reader.iter().flat_map(|which| ["--reader", which]));
    demo.current_dir(root()).status().is_ok_and(|status| status.success())
}
