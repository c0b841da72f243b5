//! The `posthaste` binary: settings, composition root, subcommands.
//!
//! Everything that reads the world is here: the environment, the clock, the entropy of the operating system, signals.
//! The other crates are handed what they need.

mod cli;
mod clock;
mod commands;
mod examination;
mod keys;
mod running;
mod settings;
mod signals;
mod store;
mod telemetry;

use std::process::ExitCode;

use clap::Parser as _;

/// The service makes and drops small buffers on every thread; this one takes a tenth less of its CPU than the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    match commands::run(cli) {
        Ok(code) => code,
        Err(error) => {
            cli::complain(format_args!("posthaste: {}", cli::on_one_line(&error)));
            ExitCode::FAILURE
        }
    }
}
