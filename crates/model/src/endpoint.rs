use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{EndpointId, Period, RetryPolicy, Sealed, TenantId, TopicPattern};

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
    /// For people.
    pub description: String,
    /// The caller's own facts about it.
    pub metadata: BTreeMap<String, String>,
    /// How long one exchange may take, from connect to the last byte; none: the service's default.
    pub timeout: Option<Period>,
    /// When failed deliveries are tried again; none: the service's default.
    pub retry: Option<RetryPolicy>,
    /// Whether deliveries go out.
    pub state: EndpointState,
    /// Why it is disabled, for people.
    pub state_reason: Option<String>,
    /// Nothing is sent to it before this time, because it asked for a pause.
    pub parked_until: Option<Timestamp>,
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

/// One of the secrets of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointSecret {
    /// The secret, sealed and bound to the endpoint.
    pub sealed: Sealed,
    /// When it stops signing; none: it is the current one.
    pub expires_at: Option<Timestamp>,
}

impl Endpoint {
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
