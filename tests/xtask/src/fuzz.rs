use crate::{
    run::{command, root},
    tools::{CARGO_FUZZ, NIGHTLY, Tool},
};

/// Where libFuzzer keeps what it has learned, and puts what it finds.
const WORK: &str = "target/fuzz";

/// What to fuzz, and for how long.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The target, for example `envelope`; all of them, one after the other, without it.
    target: Option<String>,
    /// Seconds for each target.
    #[arg(long, value_name = "N", default_value_t = 60)]
    seconds: u32,
    /// Installs missing tools.
    #[arg(long)]
    install: bool,
}

/// Searches for inputs that break a rule; `true` when none was found.
///
/// A finding lies in `target/fuzz` and belongs, once mended, into `tests/fuzz/corpus/<target>`.
pub(crate) fn fuzz(options: &Options) -> bool {
    let tools: [&Tool; 2] = [&NIGHTLY, &CARGO_FUZZ];
    for tool in tools {
        if !((tool.is_there)() || options.install && tool.install()) {
            println!("{}", tool.missing_note());
            return false;
        }
    }
    let targets = targets();
    let chosen: Vec<_> =
        targets.iter().filter(|name| options.target.as_ref().is_none_or(|wanted| wanted == *name)).collect();
    if chosen.is_empty() {
        println!("there is no such target; these are: {}", targets.join(", "));
        return false;
    }
    chosen.iter().all(|name| run(name, options.seconds))
}

/// Writes the samples to start from and gives the names of the targets.
fn targets() -> Vec<String> {
    let listing = command("cargo")
        .args(["run", "--quiet", "-p", "tazune-fuzz", "--example", "seeds", "--", WORK])
        .current_dir(root())
        .output();
    let names = listing.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    names.lines().map(str::to_owned).collect()
}

fn run(target: &str, seconds: u32) -> bool {
    println!("\n== {target}, {seconds} s");
    let (work, findings) = (format!("{WORK}/{target}"), format!("tests/fuzz/corpus/{target}"));
    // libFuzzer writes into the first folder only; the second may be missing.
    let folders = [Some(work.as_str()), root().join(&findings).is_dir().then_some(findings.as_str())];
    let status = command("cargo")
        .args(["+nightly", "fuzz", "run", "--fuzz-dir", "tests/fuzz", "--features", "libfuzzer", "fuzz"])
        .args(folders.into_iter().flatten())
        .args([
            "--",
            &format!("-max_total_time={seconds}"),
            &format!("-artifact_prefix={WORK}/{target}-"),
            "-max_len=65536",
        ])
        .env("TAZUNE_FUZZ", target)
        // libFuzzer's entry point is exported under a fixed name, which the workspace's lints forbid.
        .env("RUSTFLAGS", "--cap-lints=warn")
        .current_dir(root())
        .status();
    status.is_ok_and(|status| status.success())
}
