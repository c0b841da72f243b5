use std::path::PathBuf;

use anyhow::{Context as _, bail, ensure};
use figment::{
    Figment,
    providers::{Format as _, Serialized, Toml},
    util::nest,
    value::{Tag, Value},
};

use crate::{cli::SettingsArgs, settings::Settings};

/// The file that is read when none is named, if it exists.
const DEFAULT_FILE: &str = "posthaste.toml";
/// What the variables begin with.
const PREFIX: &str = "POSTHASTE_";
/// Variables that are no settings: what names the file, and what `posthaste verify` is given.
const NO_SETTINGS: [&str; 2] = ["POSTHASTE_CONFIG", "POSTHASTE_VERIFY_SECRET"];

/// How the text of a flag or variable is read.
#[derive(Clone, Copy)]
enum Shape {
    Text,
    Number,
    Switch,
    /// Separated by commas.
    List,
}

/// Every setting that a flag or variable can give.
const SETTINGS: [(&str, Shape); 42] = [
    ("roles", Shape::List),
    ("listen", Shape::Text),
    ("data_dir", Shape::Text),
    ("store", Shape::Text),
    ("tolerate", Shape::List),
    ("admin_key", Shape::Text),
    ("encryption_key", Shape::Text),
    ("timeout", Shape::Text),
    ("limits.payload", Shape::Number),
    ("limits.request", Shape::Number),
    ("limits.in_flight", Shape::Number),
    ("limits.per_endpoint", Shape::Number),
    ("limits.per_host", Shape::Number),
    ("auto_disable.after", Shape::Text),
    ("auto_disable.exhausted", Shape::Number),
    ("redis.prefix", Shape::Text),
    ("redis.partitions", Shape::Number),
    ("redis.replicas", Shape::Number),
    ("redis.history_memory", Shape::Number),
    ("egress.allow", Shape::List),
    ("egress.proxy", Shape::Text),
    ("egress.ca_file", Shape::Text),
    ("retention.delivered", Shape::Text),
    ("retention.failed", Shape::Text),
    ("topics.open", Shape::Switch),
    ("signature.profile", Shape::Text),
    ("http.user_agent", Shape::Text),
    ("http.header_prefix", Shape::Text),
    ("cloudevents.source", Shape::Text),
    ("cloudevents.origin", Shape::Text),
    ("metrics.key", Shape::Text),
    ("console.enabled", Shape::Switch),
    ("console.secure", Shape::Switch),
    ("log.level", Shape::Text),
    ("log.format", Shape::Text),
    ("retry.schedule", Shape::List),
    ("retry.initial_interval", Shape::Text),
    ("retry.multiplier", Shape::Number),
    ("retry.randomization_factor", Shape::Number),
    ("retry.max_interval", Shape::Text),
    ("retry.max_elapsed_time", Shape::Text),
    ("retry.max_attempts", Shape::Number),
];

/// The settings file that is read, if there is one.
pub(crate) fn file(args: &SettingsArgs) -> Option<PathBuf> {
    let usual = || Some(PathBuf::from(DEFAULT_FILE)).filter(|file| file.is_file());
    args.config.clone().or_else(usual)
}

/// Reads the settings: flags over variables over the file over the defaults.
pub(crate) fn load(args: &SettingsArgs) -> anyhow::Result<Settings> {
    let variables: Vec<_> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .filter(|(name, _)| name.starts_with(PREFIX) && !is_service_link(name))
        .filter(|(name, _)| !NO_SETTINGS.contains(&name.as_str()))
        .map(|(name, value)| {
            let value = value.into_string().map_err(|_| anyhow::anyhow!("{name} is not valid UTF-8"))?;
            Ok((name, value))
        })
        .collect::<anyhow::Result<_>>()?;
    merge(args, &variables)
}

fn merge(args: &SettingsArgs, variables: &[(String, String)]) -> anyhow::Result<Settings> {
    let mut figment = Figment::new();
    if let Some(file) = file(args) {
        ensure!(file.is_file(), "--config: there is no file {}", file.display());
        figment = figment.merge(Toml::file_exact(file));
    }
    for (name, text) in variables {
        figment = set(figment, setting_of(name)?, text).with_context(|| name.clone())?;
    }
    for assignment in &args.set {
        // The value is not repeated: it may be a secret.
        let (name, text) = assignment.split_once('=').context("--set: expected NAME=VALUE")?;
        figment = set(figment, known(name).context("--set")?, text)?;
    }
    let data_dir = args.data_dir.as_ref().map(|folder| folder.to_string_lossy().into_owned());
    let flags =
        [("roles", &args.roles), ("listen", &args.listen), ("data_dir", &data_dir), ("store", &args.store)];
    for (name, text) in flags {
        if let Some(text) = text {
            figment = set(figment, known(name)?, text)?;
        }
    }
    let settings: Settings = figment.extract().map_err(|error| describe(&error))?;
    settings.validate().context("settings")?;
    Ok(settings)
}

/// Whether Kubernetes sets the variable in every container beside a Service that is called `posthaste`.
fn is_service_link(name: &str) -> bool {
    let name = name.strip_prefix(PREFIX).unwrap_or(name);
    name == "PORT" || name.starts_with("PORT_") || name.starts_with("SERVICE_")
}

/// Says what is wrong with which setting; where in our code it was read concerns nobody.
fn describe(error: &figment::Error) -> anyhow::Error {
    let path = error.path.join(".");
    let what = without_excerpt(&error.kind.to_string());
    match error.metadata.as_ref().and_then(|metadata| metadata.source.as_ref()?.file_path()) {
        Some(file) => anyhow::anyhow!("settings: {path}: {what} (in {})", file.display()),
        None => anyhow::anyhow!("settings: {path}: {what}"),
    }
}

/// What is wrong with a file, without the line that it shows: that may hold a secret.
fn without_excerpt(message: &str) -> String {
    let shows = |line: &&str| {
        let line = line.trim_start().trim_start_matches(|c: char| c.is_ascii_digit()).trim_start();
        line.starts_with('|')
    };
    message.lines().filter(|line| !shows(line)).collect::<Vec<_>>().join(" ")
}

/// The setting that a variable stands for: `POSTHASTE_EGRESS_ALLOW` for `egress.allow`.
fn setting_of(variable: &str) -> anyhow::Result<(&'static str, Shape)> {
    let name = variable.strip_prefix(PREFIX).unwrap_or(variable).to_ascii_lowercase();
    match SETTINGS.iter().find(|(setting, _)| setting.replace('.', "_") == name) {
        Some(setting) => Ok(*setting),
        None => bail!("{variable}: there is no such setting; 'posthaste settings' lists them"),
    }
}

fn known(name: &str) -> anyhow::Result<(&'static str, Shape)> {
    match SETTINGS.iter().find(|(setting, _)| *setting == name) {
        Some(setting) => Ok(*setting),
        None => bail!("there is no setting '{name}'; 'posthaste settings' lists them"),
    }
}

fn set(figment: Figment, (name, shape): (&'static str, Shape), text: &str) -> anyhow::Result<Figment> {
    let value = match shape {
        Shape::Text => Value::from(text),
        Shape::Number => {
            let whole = text.parse::<i64>().map(Value::from);
            whole
                .or_else(|_| text.parse::<f64>().map(Value::from))
                .with_context(|| format!("{name}: '{text}' is not a number"))?
        }
        Shape::Switch => text
            .parse::<bool>()
            .map(Value::from)
            .with_context(|| format!("{name}: '{text}' is neither true nor false"))?,
        Shape::List => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Value::Array(Tag::Default, items.map(Value::from).collect())
        }
    };
    Ok(figment.merge(Serialized::defaults(nest(name, value))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)], flags: &[&str]) -> anyhow::Result<Settings> {
        let variables: Vec<_> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let args = SettingsArgs {
            set: flags.iter().map(|flag| (*flag).to_owned()).collect(),
            ..SettingsArgs::default()
        };
        merge(&args, &variables)
    }

    #[track_caller]
    fn refused(variables: &[(&str, &str)], flags: &[&str], named: &str) {
        let error = format!("{:#}", read(variables, flags).unwrap_err());
        assert!(error.contains(named), "{error}");
    }

    #[test]
    fn flags_win_over_variables() {
        let settings = read(
            &[("POSTHASTE_TIMEOUT", "3s"), ("POSTHASTE_LIMITS_PAYLOAD", "1000")],
            &["timeout=4s", "egress.allow=127.0.0.0/8, ::1/128"],
        )
        .unwrap();
        assert_eq!(settings.timeout.to_string(), "4s");
        assert_eq!(settings.limits.payload, 1_000);
        assert_eq!(settings.egress.allow.len(), 2);
    }

    #[test]
    fn what_endpoints_may_do_can_be_set() {
        let usual = read(&[], &[]).unwrap();
        assert_eq!((usual.limits.per_endpoint, usual.limits.per_host), (32, 128));
        assert_eq!(usual.auto_disable.after, "5d".parse().unwrap());
        assert_eq!(usual.auto_disable.exhausted, 10);
        let variables = [("POSTHASTE_AUTO_DISABLE_AFTER", "1h"), ("POSTHASTE_AUTO_DISABLE_EXHAUSTED", "1")];
        let other = read(&variables, &["limits.per_endpoint=1000", "limits.per_host=50000"]).unwrap();
        assert_eq!((other.limits.per_endpoint, other.limits.per_host), (1_000, 50_000));
        assert_eq!(other.auto_disable.after, "60m".parse().unwrap());
        assert_eq!(other.auto_disable.exhausted, 1);
    }

    #[test]
    fn what_requests_say_of_the_service_can_be_set() {
        let usual = read(&[], &[]).unwrap();
        assert_eq!(usual.signature_profile().unwrap().name(), "standard");
        assert_eq!(usual.http.user_agent, concat!("Posthaste/", env!("CARGO_PKG_VERSION")));
        assert_eq!(
            (usual.http.header_prefix.as_str(), usual.cloudevents.source.as_str()),
            ("Posthaste", "/posthaste")
        );
        let flags = [
            "signature.profile=stripe",
            "http.header_prefix=X-Acme",
            "cloudevents.source=https://acme.example/hooks",
            "cloudevents.origin=acme.example",
        ];
        let other = read(&[("POSTHASTE_HTTP_USER_AGENT", "Acme Hooks/2")], &flags).unwrap();
        assert_eq!(other.signature_profile().unwrap().name(), "stripe");
        assert_eq!(
            (other.http.user_agent.as_str(), other.http.header_prefix.as_str()),
            ("Acme Hooks/2", "X-Acme")
        );
        assert_eq!(other.cloudevents.source, "https://acme.example/hooks");
        assert_eq!(
            (usual.cloudevents.origin.as_str(), other.cloudevents.origin.as_str()),
            ("posthaste", "acme.example")
        );
    }

    #[test]
    fn either_form_of_a_retry_policy_can_be_set() {
        let list = read(&[("POSTHASTE_RETRY_SCHEDULE", "1s,2s")], &[]).unwrap();
        assert!(
            matches!(list.retry, Some(posthaste_model::RetryPolicy::Schedule(delays)) if delays.len() == 2)
        );
        let growing =
            read(&[], &["retry.initial_interval=1s", "retry.max_interval=1m", "retry.max_attempts=4"])
                .unwrap();
        assert!(matches!(growing.retry, Some(posthaste_model::RetryPolicy::Exponential(_))));
        let too_long = ["retry.initial_interval=1d", "retry.max_interval=1d", "retry.max_attempts=32"];
        refused(&[], &too_long, "max_attempts: must not make delays of more than 720h");
        refused(&[("POSTHASTE_RETRY_MAX_ELAPSED_TIME", "31d")], &too_long, "max_elapsed_time: must not be");
    }

    #[test]
    fn the_links_of_a_service_are_no_settings() {
        for name in ["POSTHASTE_SERVICE_HOST", "POSTHASTE_PORT", "POSTHASTE_PORT_7678_TCP_ADDR"] {
            assert!(is_service_link(name), "{name}");
        }
        assert!(SETTINGS.iter().all(|(name, _)| !is_service_link(&name.replace('.', "_").to_uppercase())));
    }

    #[test]
    fn a_key_of_digits_stays_text() {
        let settings = read(&[("POSTHASTE_ADMIN_KEY", "123456789012345678901234")], &[]).unwrap();
        assert_eq!(settings.admin_key.unwrap().expose(), "123456789012345678901234");
    }

    #[test]
    fn what_is_wrong_is_named() {
        refused(&[("POSTHASTE_LISTN", "x")], &[], "POSTHASTE_LISTN");
        refused(&[("POSTHASTE_LISTEN", "nowhere")], &[], "listen");
        refused(&[("POSTHASTE_LIMITS_PAYLOAD", "many")], &[], "POSTHASTE_LIMITS_PAYLOAD");
        refused(&[], &["egress.allow=10.0.0.0/99"], "egress.allow");
        refused(&[], &["topics.open=perhaps"], "topics.open");
        refused(&[], &["retry.schedule="], "schedule");
        refused(&[], &["colour=blue"], "colour");
        refused(&[], &["timeout=31s"], "timeout");
        refused(&[], &["limits.in_flight=0"], "limits.in_flight");
        refused(&[], &["limits.request=1000"], "limits.request");
        refused(&[], &["limits.per_endpoint=0"], "limits.per_endpoint: must lie between 1 and 1000");
        refused(&[], &["limits.per_endpoint=1001"], "limits.per_endpoint: must lie between 1 and 1000");
        refused(&[], &["limits.per_host=0"], "limits.per_host: must lie between 1 and 50000");
        refused(&[], &["limits.per_host=50001"], "limits.per_host: must lie between 1 and 50000");
        refused(&[], &["auto_disable.after=59m"], "auto_disable.after: must lie between 1h and 365d");
        refused(&[], &["auto_disable.after=366d"], "auto_disable.after: must lie between 1h and 365d");
        refused(&[], &["auto_disable.exhausted=0"], "auto_disable.exhausted: must be above 0");
        refused(&[], &["auto_disable.exhausted=-1"], "auto_disable.exhausted");
        refused(&[], &["timeout"], "NAME=VALUE");
        refused(&[], &["redis.partitions=0"], "redis.partitions");
        refused(&[], &["redis.partitions=1025"], "redis.partitions");
        refused(&[], &["redis.prefix=a{b}"], "redis.prefix");
        refused(&[], &["redis.prefix="], "redis.prefix");
        refused(&[], &["redis.replicas=256"], "redis.replicas");
        refused(&[], &["redis.history_memory=0"], "redis.history_memory");
        let presets = "signature.profile: there is no preset 'strip'; the presets are standard, svix, ";
        refused(&[], &["signature.profile=strip"], presets);
        refused(&[], &["signature.profile=custom"], "signature.profile: there is no preset 'custom'");
        for agent in ["", " Acme/1", "Acmé/1", "Acme\r\nX: 1"] {
            refused(&[("POSTHASTE_HTTP_USER_AGENT", agent)], &[], "http.user_agent: must be 1 to 256");
        }
        for prefix in ["", "X Acme", "X-Acme:", "Acmé", &"x".repeat(33)] {
            refused(&[("POSTHASTE_HTTP_HEADER_PREFIX", prefix)], &[], "http.header_prefix: must be 1 to 32");
        }
        for source in ["", "a b", "https://acme.example/?x", "/a#b", "/a/", "/ä"] {
            refused(&[("POSTHASTE_CLOUDEVENTS_SOURCE", source)], &[], "cloudevents.source: must be a URI");
        }
        let origin = "cloudevents.origin: must be a DNS name, such as hooks.example.com";
        refused(&[("POSTHASTE_CLOUDEVENTS_ORIGIN", "https://acme.example")], &[], origin);
        refused(&[], &["roles=api,consle"], "there is no role 'consle'; the roles are api, dispatch");
        refused(&[("POSTHASTE_ROLES", "")], &[], "the roles are api, dispatch");
    }

    #[test]
    fn what_is_wrong_is_named_without_secrets() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("posthaste.toml");
        std::fs::write(&file, "listen = \"127.0.0.1:1\"\nstore = \"redis://u:hush@h").unwrap();
        let from_file = SettingsArgs { config: Some(file.clone()), ..SettingsArgs::default() };
        let from_flag = |text: &str| SettingsArgs { set: vec![text.to_owned()], ..SettingsArgs::default() };
        for (args, named) in [
            (from_file, "line 2"),
            (from_flag("stoer=redis://u:hush@h"), "stoer"),
            (from_flag("redis://u:hush@h"), "NAME=VALUE"),
        ] {
            let error = format!("{:#}", merge(&args, &[]).unwrap_err());
            assert!(error.contains(named) && !error.contains("hush"), "{error}");
        }
    }

    #[test]
    fn roles_are_what_is_said() {
        use crate::settings::Role;
        let both = read(&[], &[]).unwrap().roles;
        assert!(both.are_all() && both.to_string() == "api, dispatch");
        let one = read(&[("POSTHASTE_ROLES", "dispatch, dispatch")], &[]).unwrap().roles;
        assert!(one.has(Role::Dispatch) && !one.has(Role::Api) && one.to_string() == "dispatch");
    }

    #[test]
    fn every_setting_that_is_printed_can_be_set() {
        let printed = toml::Value::try_from(Settings::default()).unwrap();
        fn names(value: &toml::Value, prefix: &str, found: &mut Vec<String>) {
            match value.as_table() {
                Some(table) => {
                    for (name, value) in table {
                        let dot = if prefix.is_empty() { "" } else { "." };
                        names(value, &format!("{prefix}{dot}{name}"), found);
                    }
                }
                None => found.push(prefix.to_owned()),
            }
        }
        let mut found = Vec::new();
        names(&printed, "", &mut found);
        assert!(!found.is_empty());
        for name in found {
            assert!(known(&name).is_ok(), "{name} is printed and cannot be set");
        }
    }

    #[test]
    fn every_setting_is_documented() {
        let page = include_str!("../../../../docs/settings.md");
        for (name, _) in SETTINGS {
            assert!(page.contains(&format!("\n| `{name}` |")), "docs/settings.md does not tell of {name}");
        }
    }
}
