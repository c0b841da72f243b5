//! The `posthaste` binary: settings, composition root, subcommands.
//!
//! Everything that reads the world is here: the environment, the clock, the entropy of the operating system, signals.
//! The other crates are handed what they need.

mod cli;
mod clock;
mod commands;
mod keys;
mod running;
mod settings;
mod store;
mod telemetry;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    match commands::run(cli) {
        Ok(code) => code,
        Err(error) => {
            // One line, with every cause: what an operator sees first.
            let line = format!("posthaste: {error:#}").replace('\n', " ");
            cli::complain(&line);
            ExitCode::FAILURE
        }
    }
}
