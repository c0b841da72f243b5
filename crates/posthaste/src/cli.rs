use std::{io::Write as _, path::PathBuf};

use clap::{Args, Parser, Subcommand};

/// Outbound webhook delivery: events in over REST, signed deliveries out.
#[derive(Parser)]
#[command(version, about, propagate_version = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Serve the API and deliver events.
    Serve(SettingsArgs),
    /// Show signed deliveries at work, on a fresh store that is thrown away afterwards.
    Demo(DemoArgs),
    /// Print every setting with its value, as a posthaste.toml.
    Settings(SettingsArgs),
    /// Print the specification of the API (OpenAPI).
    Openapi,
    /// Measure this machine: a fresh store, a receiver, load, and the bare loop beside it.
    Bench(BenchArgs),
}

/// Where settings come from: flags over POSTHASTE_* variables over the file.
#[derive(Args, Clone, Default)]
pub(crate) struct SettingsArgs {
    /// The settings file.
    #[arg(long, value_name = "FILE", env = "POSTHASTE_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Address of the API.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: Option<String>,
    /// Folder for the embedded store and the keys.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data_dir: Option<PathBuf>,
    /// The store.
    #[arg(long, value_name = "URL")]
    pub(crate) store: Option<String>,
    /// Any setting by its name, such as `egress.allow=10.0.0.0/8`. Can be repeated.
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub(crate) set: Vec<String>,
}

#[derive(Args)]
pub(crate) struct DemoArgs {
    /// Deliver a handful of events and exit: 0 if every one arrived with a signature that verifies.
    #[arg(long)]
    pub(crate) once: bool,
}

#[derive(Args)]
pub(crate) struct BenchArgs {
    /// How long the load lasts, and each measurement of the bare loop.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(crate) seconds: u64,
    /// Connections that publish.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) connections: u16,
    /// Events a second of the paced load, which follows the full load.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) rate: u32,
    /// Endpoints, each of a topic of its own.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) endpoints: u16,
    /// Bytes of data in an event.
    #[arg(long, default_value_t = 250, value_parser = clap::value_parser!(u32).range(32..=200_000))]
    pub(crate) payload: u32,
    /// Print the figures as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Prints a line for people. That nobody may be there to read it stops nothing.
pub(crate) fn say(line: impl std::fmt::Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Prints a line about something that is wrong.
pub(crate) fn complain(line: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
