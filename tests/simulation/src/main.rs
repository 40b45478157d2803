//! Runs simulated schedules on demand: `cargo xtask sim`.
#![expect(clippy::print_stdout, reason = "this program speaks to the person at the terminal")]

use std::{process::ExitCode, thread, time::Instant};

use clap::Parser;
use tazune_simulation::campaign;

#[derive(Parser)]
#[command(about = "Runs simulated schedules of device, front and desk")]
struct Arguments {
    /// How many schedules.
    #[arg(long, default_value_t = 10_000)]
    schedules: u64,
    /// The first seed; the others follow it.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

#[expect(clippy::disallowed_methods, reason = "only the speed of the simulation is measured")]
fn main() -> ExitCode {
    let Arguments { schedules, seed } = Arguments::parse();
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let began = Instant::now();
    let per_second = |done: u64| done as f64 / began.elapsed().as_secs_f64();
    let progress = |done| println!("{done} of {schedules}, {:.0} schedules/s", per_second(done));
    match campaign(seed, schedules, threads, None, progress) {
        Ok(counts) => {
            println!("{counts}\n{:.0} schedules/s on {threads} threads, none failed", per_second(schedules));
            ExitCode::SUCCESS
        }
        Err(failure) => {
            println!("{failure}");
            ExitCode::FAILURE
        }
    }
}
