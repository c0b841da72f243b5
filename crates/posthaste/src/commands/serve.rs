use std::process::ExitCode;

use super::{announce, asked_to_stop};
use crate::{
    cli::{SettingsArgs, say},
    running::Running,
    settings::{self},
    telemetry,
};

/// Serves until asked to stop; then finishes what is in flight.
pub(crate) async fn serve(args: &SettingsArgs) -> anyhow::Result<ExitCode> {
    let settings = settings::load(args)?;
    telemetry::start(&settings.log)?;
    let stop = asked_to_stop()?;
    let running = Running::start(&settings).await?;
    announce(&running, &settings);
    stop.await;
    say("stopping: finishing deliveries in flight");
    running.stop().await;
    Ok(ExitCode::SUCCESS)
}
