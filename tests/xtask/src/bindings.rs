use std::{fs, path::PathBuf, process::Command};

use crate::run::{Step, root};

/// The library and the programs that its tests need, as the suite `tests` builds them: nothing is compiled twice.
const LIBRARY: Step = Step::new("cargo", &["test", "--no-run", "--workspace", "--exclude", "xtask"]);

const GENERATOR: Step =
    Step::new("cargo", &["build", "--package", "xtask", "--features", "bindgen", "--bin", "tazune-bindgen"]);

/// What to generate, and where to.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only this language; both without it.
    #[arg(long, value_parser = ["kotlin", "swift"])]
    language: Option<String>,
    /// The folder, in which each language gets one of its own.
    #[arg(long, value_name = "DIR", default_value = "target/bindings")]
    out: PathBuf,
}

/// Builds the library for apps, unstripped, and generates its Kotlin and Swift; `true` when all of it is there.
pub(crate) fn bindings(options: &Options) -> bool {
    if !LIBRARY.run().succeeded || !GENERATOR.run().succeeded {
        return false;
    }
    let out = root().join(&options.out);
    let wanted = options.language.as_deref();
    let is_wanted = |language: &&str| wanted.is_none_or(|wanted| wanted == *language);
    ["kotlin", "swift"].into_iter().filter(is_wanted).all(|language| generate(language, out.join(language)))
}

fn generate(language: &str, folder: PathBuf) -> bool {
    println!("{language}: {}", folder.display());
    // A file of an older façade must not be compiled with a new one; at first there is none.
    let _ = fs::remove_dir_all(&folder);
    let programs = root().join("target/debug");
    let library =
        programs.join("deps").join(format!("{}tazune{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX));
    let mut generator = Command::new(programs.join("tazune-bindgen"));
    generator.arg(library).arg(language).arg(folder).current_dir(root());
    generator.status().is_ok_and(|status| status.success())
}
