use std::process::ExitCode;

use anyhow::Context as _;

use crate::{
    cli::{SettingsArgs, say},
    settings,
};

/// Prints every setting with its value. Keys are not shown.
pub(crate) fn print(args: &SettingsArgs) -> anyhow::Result<ExitCode> {
    let mut settings = settings::load(args)?;
    settings.store.get_or_insert(settings.store_url());
    settings.retry.get_or_insert_default();
    let concealed = [
        ("admin_key", &settings.admin_key),
        ("encryption_key", &settings.encryption_key),
        ("egress.proxy", &settings.egress.proxy),
        ("metrics.key", &settings.metrics.key),
    ];
    for (name, key) in concealed {
        if key.is_some() {
            say(format_args!("# {name} is set, and not shown"));
        }
    }
    if settings.store_url().conceals() {
        say("# store is shown without its password");
    }
    say(toml::to_string(&settings).context("cannot write the settings")?.trim_end());
    Ok(ExitCode::SUCCESS)
}
