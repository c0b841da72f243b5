mod bench;
mod demo;
mod doctor;
mod health;
mod receiver;
mod serve;
mod settings;
mod verify;

use std::process::ExitCode;

use anyhow::Context as _;

use crate::{
    cli::{Cli, Command, complain, say},
    keys::AdminKey,
    running::Running,
    settings::Settings,
    signals::Signals,
};

/// Runs the command that was asked for.
pub(crate) fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Serve(args) => block_on(serve::serve(&args)),
        Command::Demo(args) => block_on(demo::demo(&args)),
        Command::Settings(args) => settings::print(&args),
        Command::Doctor(args) => block_on(doctor::doctor(&args)),
        Command::Health(args) => block_on(health::health(&args)),
        Command::Openapi => {
            say(posthaste_api::openapi().to_pretty_json().context("cannot write the specification")?);
            Ok(ExitCode::SUCCESS)
        }
        Command::Verify(args) => verify::verify(&args),
        Command::Bench(args) => block_on(bench::bench(&args)),
    }
}

fn block_on(command: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(command)
}

/// Stops in order; at once, when the process is asked again.
async fn stop(running: Running, signals: &mut Signals) {
    tokio::select! {
        () = running.stop() => {}
        code = signals.stop_at_once() => {
            complain("posthaste: stopped at once; what was in flight is tried again by whoever drives it next");
            std::process::exit(code);
        }
    }
}

/// Says where the service is and what it promises.
fn announce(running: &Running, settings: &Settings) {
    say(format_args!("posthaste {} listens on {}", env!("CARGO_PKG_VERSION"), running.url()));
    say(format_args!(
        "store {}; an accepted event is as durable as: {}",
        settings.store_url(),
        running.durability
    ));
    if !settings.roles.are_all() {
        say(format_args!("roles: {}", settings.roles));
    }
    if settings.console.enabled && running.admin_key.is_some() {
        say(format_args!("console {}/console", running.url()));
    }
    if let Some(AdminKey { key, made_in: Some(file) }) = &running.admin_key {
        say(format_args!("admin key, made now and kept in {}: {key}", file.display()));
    }
}
