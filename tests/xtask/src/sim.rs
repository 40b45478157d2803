use crate::run::{command, root};

/// How many schedules, and from which seed.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// How many schedules to run.
    #[arg(long, default_value_t = 1_000_000)]
    schedules: u64,
    /// The seed of the first; the others follow it.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// Runs simulated schedules until one fails; `true` when none does.
pub(crate) fn sim(options: &Options) -> bool {
    let mut command = command("cargo");
    command.args(["run", "--release", "-p", "tazune-simulation", "--", "--schedules", &options.schedules.to_string()]);
    command.args(["--seed", &options.seed.to_string()]).current_dir(root());
    command.status().is_ok_and(|status| status.success())
}
