//! `posthaste doctor`: looks at everything that the service stands on, and makes nothing.

mod finding;
mod keys;
mod place;
mod store;

use std::process::ExitCode;

use serde_json::json;

use self::{finding::Finding, place::Listener};
use crate::{
    cli::{DoctorArgs, on_one_line, say},
    settings::{self, Settings},
};

/// Looks and tells. Fails if something is dangerous and not tolerated.
pub(crate) async fn doctor(args: &DoctorArgs) -> anyhow::Result<ExitCode> {
    let findings = match settings::load(&args.settings) {
        Ok(settings) => examine(args, &settings).await,
        Err(error) => vec![Finding::danger("settings", on_one_line(&error), "correct them")],
    };
    let dangerous = findings.iter().any(Finding::is_refused);
    if args.json {
        let report = json!({ "status": if dangerous { "dangerous" } else { "ok" }, "findings": findings });
        say(serde_json::to_string_pretty(&report)?);
    } else {
        findings.iter().for_each(say);
    }
    Ok(if dangerous { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn examine(args: &DoctorArgs, settings: &Settings) -> Vec<Finding> {
    let listener = Listener::of(settings.listen).await;
    let mut findings = vec![
        place::settings_file(settings::file(&args.settings)),
        place::data_folder(&settings.data_dir),
        place::listen(settings.listen, &listener),
        keys::admin_key(settings),
    ];
    findings.extend(store::examine(settings, &listener).await);
    findings
}
