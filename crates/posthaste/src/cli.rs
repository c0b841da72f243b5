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
    /// Look at everything that the service stands on: settings, keys, the store. Exits with 1 if something is dangerous.
    Doctor(DoctorArgs),
    /// Ask the service of these settings whether it is ready. Exits with 1 if it is not.
    Health(SettingsArgs),
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
    /// What the process does: api, dispatch, or both, separated by a comma.
    #[arg(long, value_name = "ROLES")]
    pub(crate) roles: Option<String>,
    /// Address of the API.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: Option<String>,
    /// Folder for the embedded store and the keys.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data_dir: Option<PathBuf>,
    /// The store. One whose URL holds a password is better told by POSTHASTE_STORE: others can see flags.
    #[arg(long, value_name = "URL")]
    pub(crate) store: Option<String>,
    /// Any setting by its name, such as `egress.allow=10.0.0.0/8`. Can be repeated.
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub(crate) set: Vec<String>,
}

#[derive(Args)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    pub(crate) settings: SettingsArgs,
    /// Print the findings as JSON.
    #[arg(long)]
    pub(crate) json: bool,
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
    /// A store to measure on instead of a fresh SQLite file, such as `redis://127.0.0.1`. What is measured stays in it,
    /// under keys of its own: throw it away afterwards.
    #[arg(long, value_name = "URL")]
    pub(crate) store: Option<String>,
    /// Bytes of data in an event.
    #[arg(long, default_value_t = 250, value_parser = clap::value_parser!(u32).range(32..=200_000))]
    pub(crate) payload: u32,
    /// Print the figures as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// An error on one line, with every cause: what an operator sees first.
pub(crate) fn on_one_line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        // Some say their cause themselves.
        if line.ends_with(&cause) {
            continue;
        }
        if !line.is_empty() {
            line += ": ";
        }
        line += &cause;
    }
    line.replace('\n', " ")
}

/// Prints a line for people. That nobody may be there to read it stops nothing.
pub(crate) fn say(line: impl std::fmt::Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Prints a line about something that is wrong.
pub(crate) fn complain(line: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[track_caller]
    fn check(error: anyhow::Error, expect: &str) {
        assert_eq!(on_one_line(&error), expect);
    }

    #[test]
    fn every_cause_is_told_once() {
        check(anyhow!("a"), "a");
        check(anyhow!("b\nc").context("a"), "a: b c");
        check(anyhow!("no such file").context("cannot open x: no such file").context("store"), {
            "store: cannot open x: no such file"
        });
    }
}
