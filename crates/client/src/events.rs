use std::collections::BTreeMap;

use bytes::Bytes;
use posthaste_model::{EndpointId, EventId, Period, TenantId, Timestamp, TopicName};
use reqwest::header::HeaderValue;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::value::{RawValue, to_raw_value};

use crate::{
    Client, ClientError, Delivery, ListOptions, Moment, Paged,
    call::{Body, Call},
};

/// An event to publish.
#[derive(Debug, Clone, Serialize)]
pub struct NewEvent {
    /// Its type.
    pub topic: TopicName,
    /// Any JSON value: the `data` that subscribers receive, byte for byte.
    pub data: Box<RawValue>,
    /// Unique within the tenant: publishing it again changes nothing, whatever else is asked for then. None: the service makes
    /// one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<EventId>,
    /// What is asked for beside.
    #[serde(flatten)]
    pub options: PublishOptions,
}

/// What a publisher can ask for. The default asks for nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PublishOptions {
    /// The publisher's own facts about the event; subscribers see them only where their endpoint has `metadata_headers`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Nothing of it is sent before this time, at most 30 days ahead; none: at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deliver_at: Option<Timestamp>,
    /// The same as a length of time from when it is accepted. It does not go with `deliver_at`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay: Option<Period>,
    /// How long it is kept once its last delivery is over, and its id is known: a minute to 365 days; none: as long as the
    /// service says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention: Option<Period>,
    /// The one endpoint that gets it, whatever topics that wants; none: all that want its topic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<EndpointId>,
}

/// What became of an event that was published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// The caller's, or the one that was made.
    pub id: EventId,
    /// To how many endpoints it goes.
    pub deliveries: u32,
    /// Whether it had been accepted before.
    pub duplicate: bool,
}

/// An event that was accepted. It has either `data`, or `content_type` and one of `body` and `body_base64`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Event {
    /// Unique within the tenant.
    pub id: EventId,
    /// Whose it is.
    pub tenant: TenantId,
    /// Its type.
    pub topic: TopicName,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// To how many endpoints it goes; 0: it matched nobody.
    pub delivery_count: u32,
    /// `unmatched`: no endpoint wanted it; none: some did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The publisher's own facts about it.
    pub metadata: BTreeMap<String, String>,
    /// Nothing of it is sent before this time.
    pub deliver_at: Option<Timestamp>,
    /// How long it is kept once its last delivery is over; none: as long as the service says.
    pub retention: Option<Period>,
    /// Whether it only tries an endpoint out: what fails is not tried again.
    pub test: bool,
    /// The JSON value that was published, byte for byte.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub data: Option<Box<RawValue>>,
    /// The content type of a raw body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// A raw body that is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// A raw body that is not text, in base64 (RFC 4648, section 4).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_base64: Option<String>,
}

/// Which events are wanted: those that meet every condition that is set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Of this topic.
    pub topic: Option<TopicName>,
    /// Only those that no endpoint wanted.
    pub unmatched: bool,
    /// Accepted at this time or later.
    pub since: Option<Moment>,
    /// Accepted before this time.
    pub until: Option<Moment>,
}

impl EventFilter {
    fn ask<'a>(&self, call: Call<'a>) -> Call<'a> {
        let Self { topic, unmatched, since, until } = self;
        call.query("topic", topic.as_ref())
            .query("unmatched", unmatched.then_some(true))
            .query("since", *since)
            .query("until", *until)
    }
}

/// An event with its deliveries.
#[derive(Debug, Clone, Serialize)]
pub struct EventDetail {
    /// The event.
    #[serde(flatten)]
    pub event: Event,
    /// The newest 100; [`Client::deliveries`] lists all of them.
    pub deliveries: Vec<Delivery>,
}

/// Reads a field that is there: a published null is a value as any other.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::deserialize(deserializer).map(Some)
}

impl<'de> Deserialize<'de> for EventDetail {
    // Not derived: what is flattened goes through a buffer, which no RawValue survives.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Rest {
            deliveries: Vec<Delivery>,
        }
        let whole = Box::<RawValue>::deserialize(deserializer)?;
        let event = serde_json::from_str(whole.get()).map_err(D::Error::custom)?;
        let Rest { deliveries } = serde_json::from_str(whole.get()).map_err(D::Error::custom)?;
        Ok(Self { event, deliveries })
    }
}

impl NewEvent {
    /// An event without an id. To publish JSON that is written already, set the fields.
    ///
    /// # Errors
    /// [`ClientError::Encode`].
    pub fn new(topic: TopicName, data: &impl Serialize) -> Result<Self, ClientError> {
        let data = to_raw_value(data).map_err(|source| ClientError::Encode { source })?;
        Ok(Self { topic, data, id: None, options: PublishOptions::default() })
    }

    /// The same event with an id.
    #[must_use]
    pub fn with_id(self, id: EventId) -> Self {
        Self { id: Some(id), ..self }
    }

    /// The same event, with what is asked for beside.
    #[must_use]
    pub fn with_options(self, options: PublishOptions) -> Self {
        Self { options, ..self }
    }
}

impl Client {
    /// Publishes an event: `POST /v1/tenants/{tenant}/events`. Only with an id can it be tried again without harm.
    pub async fn publish(&self, tenant: &TenantId, event: &NewEvent) -> Result<Accepted, ClientError> {
        self.at(&["v1", "tenants", tenant.as_str(), "events"]).post(Some(Body::json(event)?)).await
    }

    /// Publishes 1 to 1,000 events, all or none: `POST /v1/tenants/{tenant}/events`. Answers in their order.
    pub async fn publish_batch(
        &self,
        tenant: &TenantId,
        events: &[NewEvent],
    ) -> Result<Vec<Accepted>, ClientError> {
        #[derive(Serialize)]
        struct Batch<'a> {
            events: &'a [NewEvent],
        }
        #[derive(Deserialize)]
        struct AcceptedBatch {
            events: Vec<Accepted>,
        }
        let body = Body::json(&Batch { events })?;
        let answer = self.at(&["v1", "tenants", tenant.as_str(), "events"]).post(Some(body)).await;
        answer.map(|AcceptedBatch { events }| events)
    }

    /// Publishes a body of any content type, which subscribers receive as it is:
    /// `POST /v1/tenants/{tenant}/events?topic=`.
    pub async fn publish_raw(
        &self,
        tenant: &TenantId,
        topic: &TopicName,
        id: Option<&EventId>,
        content_type: &str,
        bytes: Bytes,
    ) -> Result<Accepted, ClientError> {
        self.publish_raw_with(tenant, topic, id, content_type, bytes, &PublishOptions::default()).await
    }

    /// Publishes a body of any content type, with what is asked for beside:
    /// `POST /v1/tenants/{tenant}/events?topic=`.
    pub async fn publish_raw_with(
        &self,
        tenant: &TenantId,
        topic: &TopicName,
        id: Option<&EventId>,
        content_type: &str,
        bytes: Bytes,
        options: &PublishOptions,
    ) -> Result<Accepted, ClientError> {
        let content_type = HeaderValue::from_str(content_type)
            .map_err(|source| ClientError::InvalidHeader { name: "content-type", source })?;
        let PublishOptions { metadata, deliver_at, delay, retention, endpoint } = options;
        let metadata = (!metadata.is_empty()).then(|| serde_json::to_string(metadata)).transpose();
        let metadata = metadata.map_err(|source| ClientError::Encode { source })?;
        self.at(&["v1", "tenants", tenant.as_str(), "events"])
            .query("topic", Some(topic))
            .query("id", id)
            .query("metadata", metadata)
            .query("deliver_at", *deliver_at)
            .query("delay", *delay)
            .query("retention", *retention)
            .query("endpoint", *endpoint)
            .post(Some(Body { content_type, bytes }))
            .await
    }

    /// Lists a tenant's events, newest first: `GET /v1/tenants/{tenant}/events`.
    pub async fn events(
        &self,
        tenant: &TenantId,
        options: &ListOptions,
    ) -> Result<Paged<Event>, ClientError> {
        self.search_events(tenant, &EventFilter::default(), options).await
    }

    /// Searches a tenant's events, newest first: `GET /v1/tenants/{tenant}/events`. A page may hold fewer than were asked for,
    /// even none, and still have a next one.
    pub async fn search_events(
        &self,
        tenant: &TenantId,
        filter: &EventFilter,
        options: &ListOptions,
    ) -> Result<Paged<Event>, ClientError> {
        filter.ask(self.at(&["v1", "tenants", tenant.as_str(), "events"])).page(options).get().await
    }

    /// Searches the events of all tenants, newest first: `GET /v1/events`. A page may hold fewer than were asked for, even none,
    /// and still have a next one.
    pub async fn all_events(
        &self,
        filter: &EventFilter,
        options: &ListOptions,
    ) -> Result<Paged<Event>, ClientError> {
        filter.ask(self.at(&["v1", "events"])).page(options).get().await
    }

    /// Reads an event with its deliveries: `GET /v1/tenants/{tenant}/events/{event}`.
    pub async fn event(&self, tenant: &TenantId, id: &EventId) -> Result<EventDetail, ClientError> {
        self.at(&["v1", "tenants", tenant.as_str(), "events", id.as_str()]).get().await
    }
}
