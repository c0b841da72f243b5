use std::{io::Write as _, path::PathBuf};

use clap::{Args, Parser, Subcommand};
use jiff::Timestamp;
use posthaste_model::Period;

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
    /// Check a captured request against a secret, and say which part of it is wrong. Exits with 1 if one is, with 2 if
    /// the request or the secret cannot be read.
    Verify(VerifyArgs),
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
pub(crate) struct VerifyArgs {
    /// The request: as it came over the wire (request line, headers, an empty line, body), or as a curl command line.
    /// `-`: standard input.
    #[arg(value_name = "FILE", default_value = "-")]
    pub(crate) file: PathBuf,
    /// A secret, or a public key (whpk_), to verify with. Others on this machine can see flags: better give it by
    /// --secret-file or the variable. Can be repeated.
    #[arg(long, value_name = "SECRET", env = "POSTHASTE_VERIFY_SECRET", hide_env_values = true)]
    pub(crate) secret: Vec<String>,
    /// A file that holds a secret or a public key and nothing else. Can be repeated.
    #[arg(long, value_name = "FILE")]
    pub(crate) secret_file: Vec<PathBuf>,
    /// The signature profile: the name of a preset, JSON as endpoints have it, or @FILE with such JSON. Otherwise the
    /// preset whose headers the request has.
    #[arg(long, value_name = "PROFILE")]
    pub(crate) profile: Option<String>,
    /// The URL that the sender used, for profiles that sign it: a captured request does not tell its scheme.
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// The method that the sender used, for profiles that sign it, where the capture has another.
    #[arg(long, value_name = "METHOD")]
    pub(crate) method: Option<String>,
    /// The time to judge the age by, as RFC 3339 or in seconds since 1970, instead of the present.
    #[arg(long, value_name = "TIME", value_parser = moment, allow_negative_numbers = true)]
    pub(crate) now: Option<Timestamp>,
    /// How far from now the timestamp may lie for a receiver to take the request.
    #[arg(long, value_name = "TIME", default_value = "5m")]
    pub(crate) tolerance: Period,
    /// Fail on a request that is too old, as a receiver does. Otherwise its age is told.
    #[arg(long)]
    pub(crate) strict: bool,
    /// Print what is found as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// A time from its text: RFC 3339, or seconds since the Unix epoch.
fn moment(text: &str) -> Result<Timestamp, String> {
    let time = match text.parse() {
        Ok(seconds) => Timestamp::from_second(seconds).ok(),
        Err(_) => text.parse().ok(),
    };
    time.ok_or_else(|| "expected a time such as 2026-10-01T12:00:00Z, or seconds since 1970".to_owned())
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
