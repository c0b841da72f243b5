use std::{sync::Arc, time::Duration};

use posthaste_egress::Guard;
use posthaste_model::{Clock, RetryPolicy};
use posthaste_signing::{Profile, Sealer};
use posthaste_store::{KeyDigest, Store};
use posthaste_telemetry::Telemetry;

use crate::{Entropy, KnownKeys, Places, filters::Filters, schemas::Schemas};

/// What the API works with.
pub struct Service {
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// What judges the URLs of endpoints.
    pub guard: Guard,
    /// What seals their secrets.
    pub sealer: Arc<Sealer>,
    /// The time.
    pub clock: Clock,
    /// What hears of what happens.
    pub telemetry: Arc<Telemetry>,
    /// Ids, secrets, nonces.
    pub entropy: Entropy,
    /// The rest.
    pub settings: ApiSettings,
    /// What is kept at hand.
    pub compiled: Compiled,
    /// How many do at once what takes long.
    pub places: Arc<Places>,
    /// API keys that were looked up just now.
    pub keys: KnownKeys,
}

/// What events are matched with, made once from what the catalogue says of it.
#[derive(Default)]
pub struct Compiled {
    pub(crate) filters: Filters,
    pub(crate) schemas: Schemas,
}

/// How the API behaves.
#[derive(Debug, Clone)]
pub struct ApiSettings {
    /// The key that may do everything.
    pub admin_key: KeyDigest,
    /// Bytes that the payload of an event may have.
    pub payload_limit: usize,
    /// Bytes that the body of any request may have.
    pub request_limit: usize,
    /// Whether events of topics that nobody registered are accepted.
    pub open_topics: bool,
    /// How long an exchange with an endpoint may take, where the endpoint does not say.
    pub timeout: Duration,
    /// When failed deliveries are tried again, where the endpoint does not say.
    pub retry: RetryPolicy,
    /// How long an event is kept that did not arrive, where its publisher does not say.
    pub retention_failed: Duration,
    /// How deliveries of new endpoints are signed, where neither they nor their tenants say.
    pub signature: Profile,
    /// What the names of the service's own headers begin with, which no endpoint may ask for.
    pub header_prefix: String,
    /// What the service is called where it asks endpoints for their consent: a DNS name, as the dispatcher gives it.
    pub origin: String,
    /// Threads that serve requests.
    pub workers: usize,
    /// Names this process among those that read the store's inbox.
    pub reader: String,
}
