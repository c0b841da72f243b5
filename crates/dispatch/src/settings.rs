use std::time::Duration;

use posthaste_model::RetryPolicy;
use posthaste_policy::AutoDisable;
use posthaste_store::Retain;

/// How the dispatcher works.
#[derive(Debug, Clone)]
pub struct DispatchSettings {
    /// Names this process among the owners of partitions, and no other that lives.
    pub owner: String,
    /// How many deliveries may be between lease and settlement at once.
    pub max_in_flight: usize,
    /// How many requests to one endpoint may be under way at once, where the endpoint does not say.
    pub per_endpoint: u32,
    /// How many requests to one host may be under way at once, whoever's endpoints they are for.
    pub per_host: u32,
    /// How long an exchange may take, where the endpoint does not say.
    pub timeout: Duration,
    /// When failed deliveries are tried again, where the endpoint does not say.
    pub retry: RetryPolicy,
    /// When an endpoint that only fails is given up.
    pub auto_disable: AutoDisable,
    /// How long a partition stays ours without being renewed.
    pub ownership: Duration,
    /// How long events are kept.
    pub retain: Retain,
    /// What requests say of this service.
    pub wire: WireSettings,
}

/// What requests say of this service.
#[derive(Debug, Clone)]
pub struct WireSettings {
    /// What the names of its own headers begin with: a token (RFC 9110 section 5.6.2).
    pub header_prefix: String,
    /// What it is called in CloudEvents: a URI reference. The tenant follows.
    pub source: String,
    /// What it is called where it asks endpoints for their consent: a DNS name.
    pub origin: String,
    /// The `User-Agent` of requests that bring none of their own.
    pub user_agent: String,
}

impl Default for WireSettings {
    fn default() -> Self {
        Self {
            header_prefix: "Posthaste".into(),
            source: "/posthaste".into(),
            origin: "posthaste".into(),
            user_agent: concat!("Posthaste/", env!("CARGO_PKG_VERSION")).into(),
        }
    }
}

impl DispatchSettings {
    /// The longest timeout that an endpoint may have.
    pub const MAX_TIMEOUT: Duration = Duration::from_secs(30);

    /// How long a lease lives: longer than any attempt, its settlement included.
    pub(crate) fn lease_for(&self) -> Duration {
        self.drain_for() + Duration::from_secs(60)
    }

    /// How often a partition is renewed, so that it outlives a renewal that fails.
    pub(crate) fn renewal(&self) -> Duration {
        self.ownership / 3
    }

    /// How often to say that we are there, to hear who else is, and to look for partitions that are free: an owner that
    /// was killed is missed, and its partitions are taken, so much after its time has run out.
    pub(crate) fn beat(&self) -> Duration {
        self.ownership / 6
    }

    /// How long requests in flight get to finish when the dispatcher is drained.
    pub(crate) fn drain_for(&self) -> Duration {
        self.timeout.max(Self::MAX_TIMEOUT) + Duration::from_secs(5)
    }
}
