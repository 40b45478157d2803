//! `cargo xtask`: the one command for every check and measurement, at the desk and in CI.
#![expect(clippy::print_stdout, reason = "this tool speaks to the person at the terminal")]

mod bench;
mod bindings;
mod demo;
mod fuzz;
mod lint;
mod run;
mod sim;
mod suites;
mod tools;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(bin_name = "cargo xtask", about = "Checks and measurements of this workspace")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Builds everything and tells a story of three home visits.
    Demo(demo::Options),
    /// Runs everything the project tests, suite by suite.
    Test(suites::Options),
    /// Runs the suites that need no test run: format, clippy, deny, house.
    Lint,
    /// Searches for inputs that break a message's rules, with libFuzzer.
    Fuzz(fuzz::Options),
    /// Generates the Kotlin and Swift of the library for apps.
    Bindings(bindings::Options),
    /// Runs simulated schedules of device, front and desk, as many as are asked for.
    Sim(sim::Options),
    /// Measures the numbers to hold and shows `target/bench/report.md`.
    Bench(bench::Options),
}

fn main() -> ExitCode {
    let succeeded = match Arguments::parse().task {
        Task::Demo(options) => demo::demo(&options),
        Task::Test(options) => suites::test(&options),
        Task::Lint => lint::lint(),
        Task::Fuzz(options) => fuzz::fuzz(&options),
        Task::Bindings(options) => bindings::bindings(&options),
        Task::Sim(options) => sim::sim(&options),
        Task::Bench(options) => bench::bench(&options),
    };
    if succeeded { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
