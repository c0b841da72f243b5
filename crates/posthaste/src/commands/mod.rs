mod bench;
mod demo;
mod receiver;
mod serve;
mod settings;

use std::process::ExitCode;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    cli::{Cli, Command, say},
    running::Running,
    settings::Settings,
};

/// Runs the command that was asked for.
pub(crate) fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Serve(args) => block_on(serve::serve(&args)),
        Command::Demo(args) => block_on(demo::demo(&args)),
        Command::Settings(args) => settings::print(&args),
        Command::Openapi => {
            say(posthaste_api::openapi().to_pretty_json().context("cannot write the specification")?);
            Ok(ExitCode::SUCCESS)
        }
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

/// Hears from now on whether the process is asked to stop; the answer completes when it is.
fn asked_to_stop() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot hear signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot hear signals")?;
    let mut hangup = signal(SignalKind::hangup()).context("cannot hear signals")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = hangup.recv() => {}
        }
    })
}

/// Says where the service is and what it promises.
fn announce(running: &Running, settings: &Settings) {
    say(format_args!("posthaste {} listens on {}", env!("CARGO_PKG_VERSION"), running.url()));
    say(format_args!(
        "store {}; an accepted event is as durable as: {}",
        settings.store_url(),
        running.durability
    ));
    if let Some(file) = &running.admin_key_made_in {
        say(format_args!("admin key, made now and kept in {}: {}", file.display(), running.admin_key));
    }
}
