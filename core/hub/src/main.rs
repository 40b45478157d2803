//! `tazune-hub`: sets a hub up, runs it, and talks to the one that runs.

mod cli;

use std::process::ExitCode;

use clap::Parser;

#[tokio::main]
async fn main() -> ExitCode {
    let command = cli::Cli::parse();
    match command.run().await {
        Ok(()) => cli::Exit::Done.into(),
        Err(failure) => failure.report(),
    }
}
