use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    EndpointId, Handshake, Health, Period, RateLimit, RetryPolicy, Sealed, TenantId, TopicPattern, Wire,
};

/// A URL of a tenant that wants events.
#[derive(Debug, Clone, PartialEq)]
pub struct Endpoint {
    /// Made by Posthaste.
    pub id: EndpointId,
    /// Whose it is.
    pub tenant: TenantId,
    /// Where deliveries go. Judged by the egress guard when it is set, and again whenever it is used.
    pub url: String,
    /// Which topics it wants.
    pub topics: Vec<TopicPattern>,
    /// Which events of these topics it wants: the JSON text of a filter, as `posthaste-policy` reads it. None: all of them.
    pub filter: Option<String>,
    /// For people.
    pub description: String,
    /// The caller's own facts about it.
    pub metadata: BTreeMap<String, String>,
    /// How long one exchange may take, from connect to the last byte; none: the service's default.
    pub timeout: Option<Period>,
    /// When failed deliveries are tried again; none: the service's default.
    pub retry: Option<RetryPolicy>,
    /// How many requests may be under way at once, at least 1; none: the service's default.
    pub max_in_flight: Option<u32>,
    /// How many attempts may begin within a time; none: as many as there are.
    pub rate_limit: Option<RateLimit>,
    /// Whether its deliveries go one at a time, in the order in which their events were accepted: each waits until the
    /// one before it is delivered or exhausted.
    pub ordered: bool,
    /// How its requests are made.
    pub wire: Wire,
    /// The [`Credentials`](crate::Credentials) of its requests, sealed and bound to the endpoint; none: there are none.
    pub credentials: Option<Sealed>,
    /// What it has to answer before it is sent anything else; none: nothing.
    pub handshake: Option<Handshake>,
    /// Whether deliveries go out.
    pub state: EndpointState,
    /// Why it is disabled; or that it waits for its handshake, and what its state is to be then. For people.
    pub state_reason: Option<String>,
    /// Nothing is sent to it before this time, because it asked for a pause.
    pub parked_until: Option<Timestamp>,
    /// How it has fared of late. Kept by the store.
    pub health: Health,
    /// The secrets that sign its deliveries, newest first.
    pub secrets: Vec<EndpointSecret>,
    /// Grows with every change that is made to the endpoint.
    pub version: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// Whether an endpoint's deliveries go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndpointState {
    /// They do.
    Enabled,
    /// They are held, and released in order when the endpoint is resumed.
    Paused,
    /// They are skipped, and kept for recovery.
    Disabled,
}

impl EndpointState {
    /// The state's name, as the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Paused => "paused",
            Self::Disabled => "disabled",
        }
    }
}

/// One of the secrets of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointSecret {
    /// The secret, sealed and bound to the endpoint.
    pub sealed: Sealed,
    /// When it stops signing; none: it is the current one.
    pub expires_at: Option<Timestamp>,
}

impl Endpoint {
    /// An endpoint at a URL that wants everything, and of which nothing else is known.
    pub fn new(id: EndpointId, tenant: TenantId, url: String, now: Timestamp) -> Self {
        Self {
            id,
            tenant,
            url,
            topics: vec![TopicPattern::All],
            filter: None,
            description: String::new(),
            metadata: BTreeMap::new(),
            timeout: None,
            retry: None,
            max_in_flight: None,
            rate_limit: None,
            ordered: false,
            wire: Wire::default(),
            credentials: None,
            handshake: None,
            state: EndpointState::Enabled,
            state_reason: None,
            parked_until: None,
            health: Health::default(),
            secrets: Vec::new(),
            version: 1,
            created_at: now,
            updated_at: now,
        }
    }

    /// How many of its deliveries may begin at the same moment, as far as its own limits tell; none: they do not.
    pub fn burst(&self) -> Option<u32> {
        let of_rate = self.rate_limit.map(RateLimit::limit);
        let in_order = self.ordered.then_some(1);
        self.max_in_flight.into_iter().chain(of_rate).chain(in_order).min()
    }

    /// The secrets that sign at `now`: the current one and those still in their overlap.
    pub fn live_secrets(&self, now: Timestamp) -> impl Iterator<Item = &EndpointSecret> {
        self.secrets.iter().filter(move |secret| secret.expires_at.is_none_or(|expiry| now < expiry))
    }
}

impl EndpointSecret {
    /// Names the record that an endpoint's sealed secrets are bound to: moved to another endpoint, they do not open.
    pub fn record(endpoint: EndpointId) -> String {
        format!("endpoint:{endpoint}")
    }
}
