use std::process::ExitCode;

use super::{announce, stop};
use crate::{
    cli::{SettingsArgs, say},
    running::Running,
    settings::{self},
    signals::Signals,
    telemetry,
};

/// Serves until asked to stop; then finishes what is in flight.
pub(crate) async fn serve(args: &SettingsArgs) -> anyhow::Result<ExitCode> {
    let settings = settings::load(args)?;
    telemetry::start(&settings.log)?;
    let mut signals = Signals::hear()?;
    let mut running = tokio::select! {
        running = Running::start(&settings) => running?,
        // A store that is away can be waited for long.
        () = signals.stop() => return Ok(ExitCode::SUCCESS),
    };
    announce(&running, &settings);
    let code = tokio::select! {
        () = signals.stop() => ExitCode::SUCCESS,
        () = running.failed() => {
            tracing::error!("a part of the service has died; stopping, to be started anew");
            ExitCode::FAILURE
        }
    };
    say("stopping: finishing deliveries in flight; asked once more, it ends at once");
    stop(running, &mut signals).await;
    Ok(code)
}
