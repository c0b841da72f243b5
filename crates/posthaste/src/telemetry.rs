use std::io::IsTerminal as _;

use anyhow::Context as _;
use tracing_subscriber::{EnvFilter, filter::LevelFilter, fmt};

use crate::settings::{LogFormat, LogSettings};

/// Writes the log to the standard error.
pub(crate) fn start(settings: &LogSettings) -> anyhow::Result<()> {
    if !settings.level.contains(['=', ',']) {
        // A filter takes any word for the name of a module, and would silence the rest.
        settings
            .level
            .parse::<LevelFilter>()
            .with_context(|| format!("log.level is not a level: {}", settings.level))?;
    }
    // The HTTP server's own start and stop is no news beside ours. What the operator asks for comes later and wins.
    let filter = EnvFilter::try_new(format!("actix_server=warn,{}", settings.level))
        .with_context(|| format!("log.level is not a level or filter: {}", settings.level))?;
    let log = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match settings.format {
        LogFormat::Text => log.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => log.json().try_init(),
    };
    started.map_err(|e| anyhow::anyhow!("the log cannot be started: {e}"))
}
