use std::collections::BTreeMap;

use posthaste_model::{DeliveryState, EndpointId, TenantId, TopicName, TopicPattern};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use crate::{Client, ClientError, EndpointFilter, ListOptions, Problem, call::Body};

/// An event that nobody has published, and what is asked about it.
#[derive(Debug, Clone, Serialize)]
pub struct MatchQuestion {
    /// Its type.
    pub topic: TopicName,
    /// Any JSON value.
    pub data: Box<RawValue>,
    /// The publisher's own facts about it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// The one endpoint that is asked about; none: all of the tenant's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<EndpointId>,
    /// A filter to try, instead of asking about endpoints. It does not go with `endpoint`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<EndpointFilter>,
}

/// What would come of an event.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Matching {
    /// What publishing it would be answered with; none: it would be accepted.
    pub refused: Option<Problem>,
    /// What is said of the filter that was given; none: none was.
    pub filter: Option<Explanation>,
    /// What is said of endpoints, newest first.
    pub data: Vec<EndpointMatch>,
    /// The cursor of the next page; none: this is the last.
    pub next: Option<String>,
}

/// Whether an endpoint would get an event, and why.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EndpointMatch {
    /// Which endpoint.
    pub endpoint: EndpointId,
    /// Whether it would get it: its topics and its filter match.
    pub matches: bool,
    /// What its delivery would be at first: scheduled, held or skipped; none: there would be none.
    pub delivery: Option<DeliveryState>,
    /// Those of its topics that stand for the event's.
    pub topics: Vec<TopicPattern>,
    /// What is said of its filter; none: it has none, or one that the service cannot read, which lets everything through.
    pub filter: Option<Explanation>,
}

/// Whether a filter matches an event, and why.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Explanation {
    /// Whether it does: whether all conditions held.
    pub matches: bool,
    /// What it asks, in its order.
    pub conditions: Vec<Explained>,
}

/// A condition of a filter, or several put together, and whether that held.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Explained {
    /// Where it stands: a JSON pointer into the filter.
    pub at: String,
    /// What it asks, such as `$eq`, or how several are put together: `$and`, `$or`, `$not`.
    pub operator: String,
    /// Whether it held.
    pub held: bool,
    /// Which values it is about; none: these are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// What it compares them with, as it was written.
    #[serde(skip_serializing_if = "Option::is_none", default, deserialize_with = "present")]
    pub operand: Option<Box<RawValue>>,
    /// The values that its path leads to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<Found>,
    /// What these do not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Those that are put together.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub conditions: Vec<Explained>,
}

/// The values that a path leads to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// How many there are.
    pub count: usize,
    /// The first of them, each as JSON, and its beginning alone where it is long.
    pub values: Vec<String>,
}

/// Reads a field that is there: null is a value as any other.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::deserialize(deserializer).map(Some)
}

impl MatchQuestion {
    /// Asks about all endpoints. To ask about JSON that is written already, set the fields.
    ///
    /// # Errors
    /// [`ClientError::Encode`].
    pub fn new(topic: TopicName, data: &impl Serialize) -> Result<Self, ClientError> {
        let data = to_raw_value(data).map_err(|source| ClientError::Encode { source })?;
        Ok(Self { topic, data, metadata: BTreeMap::new(), endpoint: None, filter: None })
    }
}

impl Client {
    /// Asks which endpoints would get an event, and why: `POST /v1/tenants/{tenant}/match`. Nothing is written.
    pub async fn match_event(
        &self,
        tenant: &TenantId,
        question: &MatchQuestion,
        options: &ListOptions,
    ) -> Result<Matching, ClientError> {
        let call = self.at(&["v1", "tenants", tenant.as_str(), "match"]).page(options);
        call.post(Some(Body::json(question)?)).await
    }
}
