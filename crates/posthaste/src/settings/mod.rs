//! What can be set, and where settings come from: flags over `POSTHASTE_*` variables over `posthaste.toml`.

mod concealed;
mod roles;
mod sources;
mod store_url;

use std::{net::SocketAddr, ops::RangeInclusive, path::PathBuf};

use anyhow::{anyhow, ensure};
use ipnet::IpNet;
use posthaste_dispatch::WireSettings;
use posthaste_egress::TransportSettings;
use posthaste_model::{Period, RetryPolicy};
use posthaste_signing::Profile;
use serde::{Deserialize, Serialize};

pub(crate) use concealed::Concealed;
pub(crate) use roles::{Role, Roles};
pub(crate) use sources::{file, load};
pub(crate) use store_url::StoreUrl;

/// Every setting.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    /// What this process does.
    pub(crate) roles: Roles,
    /// Address of the API.
    pub(crate) listen: SocketAddr,
    /// Folder for the embedded store and the keys.
    pub(crate) data_dir: PathBuf,
    /// The store; none: `sqlite:` and `posthaste.db` in the data folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) store: Option<StoreUrl>,
    /// Checks of the store whose dangers the service runs with.
    pub(crate) tolerate: Vec<String>,
    /// The key that may do everything; none: made, printed once and kept in the data folder.
    #[serde(skip_serializing)]
    pub(crate) admin_key: Option<Concealed>,
    /// The key that secrets are sealed with; none: made and kept in the data folder.
    #[serde(skip_serializing)]
    pub(crate) encryption_key: Option<Concealed>,
    /// How long an exchange with an endpoint may take, where the endpoint does not say.
    pub(crate) timeout: Period,
    pub(crate) limits: Limits,
    pub(crate) auto_disable: AutoDisable,
    pub(crate) redis: RedisSettings,
    pub(crate) egress: EgressSettings,
    pub(crate) retention: RetentionSettings,
    pub(crate) topics: TopicSettings,
    pub(crate) signature: SignatureSettings,
    pub(crate) http: HttpSettings,
    pub(crate) cloudevents: CloudEventsSettings,
    pub(crate) metrics: MetricsSettings,
    pub(crate) console: ConsoleSettings,
    pub(crate) log: LogSettings,
    /// When failed deliveries are tried again, where the endpoint does not say; none: ten attempts over three days.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) retry: Option<RetryPolicy>,
}

/// Bounds.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Limits {
    /// Bytes of an event's payload.
    pub(crate) payload: usize,
    /// Bytes of a request's body.
    pub(crate) request: usize,
    /// Deliveries under way at once.
    pub(crate) in_flight: usize,
    /// Requests under way at once to an endpoint that does not say.
    pub(crate) per_endpoint: u32,
    /// Requests under way at once to one host.
    pub(crate) per_host: u32,
}

/// When an endpoint that does nothing but fail is disabled: when both are reached.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AutoDisable {
    /// How long it has failed without one success.
    pub(crate) after: Period,
    /// How many of its deliveries were exhausted meanwhile. Ten times as many failed attempts do as well.
    pub(crate) exhausted: u32,
}

/// How a store in Redis is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RedisSettings {
    /// What its keys begin with: several stores can share one server.
    pub(crate) prefix: String,
    /// Into how many partitions it is divided when it is made.
    pub(crate) partitions: u16,
    /// How many replicas have to have an event before it is acknowledged.
    pub(crate) replicas: u8,
    /// Up to which share of `maxmemory`, in percent, delivered events are kept for their period.
    pub(crate) history_memory: u8,
}

/// The way to customers.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct EgressSettings {
    /// Networks that may be reached although they are not public, with plain http, too.
    pub(crate) allow: Vec<IpNet>,
    /// A forward proxy for everything that goes out. Its URL may hold a password.
    #[serde(skip_serializing)]
    pub(crate) proxy: Option<Concealed>,
    /// A PEM file with certificates to trust beside the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ca_file: Option<PathBuf>,
}

/// How long events are kept once their last delivery is final.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RetentionSettings {
    /// Those that arrived everywhere.
    pub(crate) delivered: Period,
    /// Those that did not.
    pub(crate) failed: Period,
}

/// How topics are treated.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TopicSettings {
    /// Whether events of topics that nobody registered are accepted.
    pub(crate) open: bool,
}

/// How deliveries are signed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SignatureSettings {
    /// The preset of new endpoints, where neither they nor their tenants say.
    pub(crate) profile: String,
}

/// What requests to endpoints say of the service.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct HttpSettings {
    /// The `User-Agent`.
    pub(crate) user_agent: String,
    /// What the names of its own headers begin with.
    pub(crate) header_prefix: String,
}

/// What CloudEvents say of the service.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct CloudEventsSettings {
    /// Where events come from: a URI reference. The tenant follows.
    pub(crate) source: String,
    /// Who asks endpoints for their consent: a DNS name.
    pub(crate) origin: String,
}

/// What Prometheus reads.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct MetricsSettings {
    /// The key that whoever reads the metrics has to show; none: they are for everybody who reaches the listener.
    #[serde(skip_serializing)]
    pub(crate) key: Option<Concealed>,
}

/// The pages for operators and for subscribers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ConsoleSettings {
    /// Whether they are served, beside the API.
    pub(crate) enabled: bool,
    /// Whether their cookies are for https alone, although requests may not tell that they came by it.
    pub(crate) secure: bool,
}

/// The log.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LogSettings {
    /// `error`, `warn`, `info`, `debug`, `trace`, or a filter such as `info,posthaste_dispatch=debug`.
    pub(crate) level: String,
    pub(crate) format: LogFormat,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogFormat {
    Text,
    Json,
}

/// The bounds of `limits.in_flight`: beyond, a process is short of ports and files before it is short of anything else.
const IN_FLIGHT: RangeInclusive<usize> = 1..=50_000;
/// The bounds of `limits.per_endpoint`, as of the endpoints' own `max_in_flight`.
const PER_ENDPOINT: RangeInclusive<u32> = 1..=1_000;
/// The bounds of `limits.per_host`.
const PER_HOST: RangeInclusive<u32> = 1..=50_000;
/// The bounds of `auto_disable.after`.
const DISABLE_AFTER: RangeInclusive<Period> = Period::from_secs(3600)..=Period::from_secs(365 * 24 * 3600);
/// The bounds of `redis.partitions`.
const PARTITIONS: RangeInclusive<u16> = 1..=1_024;
/// The longest `redis.prefix`, in bytes: it is part of every key.
const MAX_PREFIX: usize = 32;
/// The longest `http.user_agent`, in bytes.
const MAX_USER_AGENT: usize = 256;
/// The longest `http.header_prefix`, in bytes.
const MAX_HEADER_PREFIX: usize = 32;
/// The longest `cloudevents.source`, in bytes.
const MAX_SOURCE: usize = 256;
/// The longest `cloudevents.origin`, and the longest of its labels, in bytes (RFC 1035, section 2.3.4).
const MAX_ORIGIN: (usize, usize) = (253, 63);
/// The shortest `metrics.key`, in bytes.
const MIN_METRICS_KEY: usize = 24;
/// The bounds of `timeout`.
const TIMEOUT: RangeInclusive<Period> = Period::from_secs(1)..=Period::from_secs(30);

impl Settings {
    /// Checks what the types cannot say.
    fn validate(&self) -> anyhow::Result<()> {
        let Limits { payload, request, in_flight, per_endpoint, per_host } = self.limits;
        ensure!(TIMEOUT.contains(&self.timeout), "timeout: must lie between 1s and 30s");
        ensure!(payload > 0, "limits.payload: must be above 0");
        ensure!(request >= payload, "limits.request: must not be below limits.payload");
        ensure!(
            IN_FLIGHT.contains(&in_flight),
            "limits.in_flight: must lie between 1 and {}",
            IN_FLIGHT.end()
        );
        ensure!(
            PER_ENDPOINT.contains(&per_endpoint),
            "limits.per_endpoint: must lie between 1 and {}",
            PER_ENDPOINT.end()
        );
        ensure!(PER_HOST.contains(&per_host), "limits.per_host: must lie between 1 and {}", PER_HOST.end());
        let AutoDisable { after, exhausted } = &self.auto_disable;
        ensure!(DISABLE_AFTER.contains(after), "auto_disable.after: must lie between 1h and 365d");
        ensure!(*exhausted > 0, "auto_disable.exhausted: must be above 0");
        let RedisSettings { prefix, partitions, history_memory, replicas: _ } = &self.redis;
        self.store_url().check()?;
        // Braces would move keys to other slots of a cluster.
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_.:".contains(&b);
        ensure!(
            (1..=MAX_PREFIX).contains(&prefix.len()) && prefix.bytes().all(allowed),
            "redis.prefix: must be 1 to {MAX_PREFIX} letters, digits, '-', '_', '.' or ':'"
        );
        ensure!(
            PARTITIONS.contains(partitions),
            "redis.partitions: must lie between 1 and {}",
            PARTITIONS.end()
        );
        ensure!(
            (1..=100).contains(history_memory),
            "redis.history_memory: must lie between 1 and 100 (percent)"
        );
        if let Some(key) = &self.metrics.key {
            let key = key.expose();
            ensure!(
                key.len() >= MIN_METRICS_KEY && key.bytes().all(|b| b.is_ascii_graphic()),
                "metrics.key: must be {MIN_METRICS_KEY} printable ASCII characters or more"
            );
        }
        self.signature_profile()?;
        self.check_introduction()
    }

    /// Checks what requests say of the service.
    fn check_introduction(&self) -> anyhow::Result<()> {
        let HttpSettings { user_agent, header_prefix } = &self.http;
        let visible = user_agent.bytes().all(|b| matches!(b, b' '..=b'~')) && user_agent.trim() == user_agent;
        ensure!(
            (1..=MAX_USER_AGENT).contains(&user_agent.len()) && visible,
            "http.user_agent: must be 1 to {MAX_USER_AGENT} visible ASCII characters, with spaces inside"
        );
        // RFC 9110, section 5.6.2.
        let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        ensure!(
            (1..=MAX_HEADER_PREFIX).contains(&header_prefix.len()) && header_prefix.bytes().all(is_token),
            "http.header_prefix: must be 1 to {MAX_HEADER_PREFIX} letters, digits or !#$%&'*+-.^_`|~"
        );
        let source = &self.cloudevents.source;
        // In headers a percent sign would have to be encoded, and subscribers would read another source there than in bodies.
        ensure!(!source.contains('%'), "cloudevents.source: must not have a '%'");
        // What RFC 3986 has, but for a query and a fragment: the tenant's name follows.
        let is_uri = |b: u8| b.is_ascii_alphanumeric() || b"-._~:/[]@!$&'()*+,;=".contains(&b);
        ensure!(
            (1..=MAX_SOURCE).contains(&source.len()) && source.bytes().all(is_uri) && !source.ends_with('/'),
            "cloudevents.source: must be a URI reference of 1 to {MAX_SOURCE} characters, without a query, a fragment or a \
             slash at its end"
        );
        ensure!(
            is_dns_name(&self.cloudevents.origin),
            "cloudevents.origin: must be a DNS name, such as hooks.example.com"
        );
        Ok(())
    }

    /// How deliveries of new endpoints are signed, where neither they nor their tenants say.
    pub(crate) fn signature_profile(&self) -> anyhow::Result<Profile> {
        let name = &self.signature.profile;
        Profile::named(name).map_err(|_| {
            let presets = Profile::names().collect::<Vec<_>>().join(", ");
            anyhow!("signature.profile: there is no preset '{name}'; the presets are {presets}")
        })
    }

    /// The URL of the store.
    pub(crate) fn store_url(&self) -> StoreUrl {
        self.store.clone().unwrap_or_else(|| {
            StoreUrl::new(format!("sqlite:{}", self.data_dir.join("posthaste.db").display()))
        })
    }
}

/// Whether it is a DNS name (RFC 1123, section 2.1), without a dot at its end.
fn is_dns_name(text: &str) -> bool {
    let (longest, label) = MAX_ORIGIN;
    let is_label = |part: &str| {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        (1..=label).contains(&part.len())
            && part.bytes().all(allowed)
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    text.len() <= longest && text.split('.').all(is_label)
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            roles: Roles::default(),
            listen: SocketAddr::from(([127, 0, 0, 1], 7678)),
            data_dir: PathBuf::from("posthaste-data"),
            store: None,
            tolerate: Vec::new(),
            admin_key: None,
            encryption_key: None,
            timeout: Period::from_secs(15),
            limits: Limits::default(),
            auto_disable: AutoDisable::default(),
            redis: RedisSettings::default(),
            egress: EgressSettings::default(),
            retention: RetentionSettings::default(),
            topics: TopicSettings::default(),
            signature: SignatureSettings::default(),
            http: HttpSettings::default(),
            cloudevents: CloudEventsSettings::default(),
            metrics: MetricsSettings::default(),
            console: ConsoleSettings::default(),
            log: LogSettings::default(),
            retry: None,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            payload: 256 * 1024,
            request: 8 * 1024 * 1024,
            in_flight: 2_048,
            per_endpoint: 32,
            per_host: 128,
        }
    }
}

impl Default for AutoDisable {
    fn default() -> Self {
        Self { after: Period::from_secs(5 * 24 * 3600), exhausted: 10 }
    }
}

impl Default for RedisSettings {
    fn default() -> Self {
        Self { prefix: "posthaste".into(), partitions: 16, replicas: 0, history_memory: 75 }
    }
}

impl Default for RetentionSettings {
    fn default() -> Self {
        Self { delivered: Period::from_secs(7 * 24 * 3600), failed: Period::from_secs(30 * 24 * 3600) }
    }
}

impl Default for SignatureSettings {
    fn default() -> Self {
        Self { profile: "standard".into() }
    }
}

impl Default for HttpSettings {
    fn default() -> Self {
        let WireSettings { header_prefix, .. } = WireSettings::default();
        Self { user_agent: TransportSettings::default().user_agent, header_prefix }
    }
}

impl Default for CloudEventsSettings {
    fn default() -> Self {
        let WireSettings { source, origin, .. } = WireSettings::default();
        Self { source, origin }
    }
}

impl Default for ConsoleSettings {
    fn default() -> Self {
        Self { enabled: true, secure: false }
    }
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { level: "info".into(), format: LogFormat::Text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metrics_key_is_no_short_word() {
        let check = |key: &str| {
            let metrics = toml::from_str(&format!("key = '{key}'")).unwrap();
            Settings { metrics, ..Settings::default() }.validate()
        };
        check("123456789012345678901234").unwrap();
        for key in ["", "short", "twenty-four with a space"] {
            let refused = check(key).unwrap_err().to_string();
            assert_eq!(refused, "metrics.key: must be 24 printable ASCII characters or more");
        }
    }

    #[test]
    fn an_origin_is_a_dns_name() {
        for name in ["posthaste", "hooks.acme.example", "a-1.B2", &"x".repeat(63)] {
            assert!(is_dns_name(name), "{name}");
        }
        let long = ["x".repeat(60).as_str(); 5].join(".");
        for wrong in
            ["", ".", "a.", ".a", "a..b", "-a", "a-", "a_b", "a b", "https://a", "ü", "a:1", "*", &long]
        {
            assert!(!is_dns_name(wrong), "{wrong}");
        }
    }

    #[test]
    fn a_source_has_no_percent_sign() {
        let check = |source: &str| {
            let cloudevents =
                CloudEventsSettings { source: source.to_owned(), ..CloudEventsSettings::default() };
            Settings { cloudevents, ..Settings::default() }.check_introduction()
        };
        check("https://acme.example/hooks").unwrap();
        let refused = check("/a%20b").unwrap_err().to_string();
        assert_eq!(refused, "cloudevents.source: must not have a '%'");
    }
}
