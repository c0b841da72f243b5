use posthaste_model::{
    AttemptId, DeliveryId, DeliveryReason, DeliveryState, EndpointId, ErrorClass, EventId, TenantId,
    Timestamp, TopicName,
};
use serde::{Deserialize, Serialize};

use crate::{Client, ClientError, ListOptions, Moment, Paged, call::Call};

/// One event on its way to one endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Made by the service.
    pub id: DeliveryId,
    /// Whose it is.
    pub tenant: TenantId,
    /// What is delivered.
    pub event: EventId,
    /// The event's topic.
    pub topic: TopicName,
    /// To whom.
    pub endpoint: EndpointId,
    /// Where it stands.
    pub state: DeliveryState,
    /// Why it is held, skipped or cancelled.
    pub reason: Option<DeliveryReason>,
    /// How many attempts have been recorded.
    pub attempts: u32,
    /// How many of them count against the retry policy.
    pub failures: u32,
    /// When the next attempt is due.
    pub due_at: Option<Timestamp>,
    /// The status of the last attempt, if it was answered.
    pub last_status: Option<u16>,
    /// Why the last attempt was not answered.
    pub last_error: Option<ErrorClass>,
    /// When the event was accepted.
    pub created_at: Timestamp,
    /// When it reached its final state.
    pub completed_at: Option<Timestamp>,
    /// What it waits for. Told only by [`Client::delivery`]; none: it is over, or an attempt is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt: Option<NextAttempt>,
}

/// The next attempt that a delivery's retry policy makes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextAttempt {
    /// It is not made before this time.
    pub due_at: Timestamp,
    /// Which one it is of those that the retry policy allows, from 1.
    pub number: u32,
    /// How many the retry policy allows.
    pub of: u32,
    /// What it waits for.
    pub why: Why,
}

/// What a delivery waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Why {
    /// Its turn: no attempt has failed yet, or it was opened again.
    FirstAttempt,
    /// The time before which its publisher wants nothing sent.
    DeliverAt,
    /// The time at which it is tried again.
    Retry,
    /// The endpoint is paused.
    EndpointPaused,
    /// The endpoint asked for a pause.
    EndpointParked,
    /// Something that is newer than this client.
    #[serde(untagged)]
    Other(String),
}

/// Which deliveries are wanted, or meant by a replay: those that meet every condition that is set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct DeliveryFilter {
    /// In one of these states; none are named: in any, and for a replay in any that is over without having arrived.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub states: Vec<DeliveryState>,
    /// To this endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<EndpointId>,
    /// Of this event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<EventId>,
    /// Of this topic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<TopicName>,
    /// Whose last attempt was answered with such a status: `503`, `5xx` or `400-499`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Whose last attempt got no answer, because of this. It does not go with `status`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorClass>,
    /// Only those of which an attempt has failed that counts.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub failed: bool,
    /// Whose event was accepted at this time or later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Moment>,
    /// Whose event was accepted before this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Moment>,
    /// In which order a search finds them. A replay goes from the oldest to the newest, whatever is said here.
    #[serde(skip)]
    pub order: Order,
}

/// In which order deliveries are found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// Those of the newest event first.
    #[default]
    NewestFirst,
    /// Those of the oldest event first.
    OldestFirst,
}

/// One HTTP request of a delivery, and what came of it: either a response or an error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// Made by the service.
    pub id: AttemptId,
    /// Counts from 1.
    pub number: u32,
    /// Whether somebody asked for it, beside those that the retry policy makes.
    pub manual: bool,
    /// When the request began.
    pub started_at: Timestamp,
    /// Where the time went.
    pub timings: AttemptTimings,
    /// What was sent, but for the body. It is kept of attempts that did not succeed and of those that somebody asked for.
    pub request: Option<AttemptRequest>,
    /// The answer.
    pub response: Option<AttemptResponse>,
    /// Why there was no answer.
    pub error: Option<AttemptError>,
}

/// Where the time of an attempt went, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct AttemptTimings {
    /// From when the attempt was due until it began.
    pub queued_ms: f64,
    /// How long resolving the host's name took; none: a connection was there.
    pub dns_ms: Option<f64>,
    /// How long connecting took; none: a connection was there, or none could be made.
    pub connect_ms: Option<f64>,
    /// How long the TLS handshake took; none: there was none.
    pub tls_ms: Option<f64>,
    /// From its beginning until the head of the answer had arrived; none: it never did.
    pub first_byte_ms: Option<f64>,
    /// From its beginning until its end.
    pub total_ms: f64,
}

/// What was sent to an endpoint, but for the body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptRequest {
    /// The method.
    pub method: String,
    /// The URL.
    pub url: String,
    /// Names and values. `***` stands for what was sent in confidence.
    pub headers: Vec<(String, String)>,
}

/// An endpoint's answer, as much of it as is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptResponse {
    /// The HTTP status.
    pub status: u16,
    /// Names and values in the order of their arrival.
    pub headers: Vec<(String, String)>,
    /// A body that is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// A body that is not text, in base64 (RFC 4648, section 4).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_base64: Option<String>,
    /// Whether the body was longer than what is kept.
    pub truncated: bool,
}

/// Why an attempt was not answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptError {
    /// The kind of failure.
    pub class: ErrorClass,
    /// What happened.
    pub detail: String,
}

impl DeliveryFilter {
    fn ask<'a>(&self, call: Call<'a>) -> Call<'a> {
        let Self { states, endpoint, event, topic, status, error, failed, since, until, order } = self;
        let states: Vec<_> = states.iter().map(|state| state.as_str()).collect();
        call.query("state", (!states.is_empty()).then(|| states.join(",")))
            .query("endpoint", *endpoint)
            .query("event", event.as_ref())
            .query("topic", topic.as_ref())
            .query("status", status.as_ref())
            .query("error", error.map(ErrorClass::as_str))
            .query("failed", failed.then_some(true))
            .query("since", *since)
            .query("until", *until)
            .query("order", (*order == Order::OldestFirst).then_some("oldest"))
    }
}

impl Client {
    /// Searches a tenant's deliveries: `GET /v1/tenants/{tenant}/deliveries`. A page may hold fewer than were asked for, even
    /// none, and still have a next one.
    pub async fn deliveries(
        &self,
        tenant: &TenantId,
        filter: &DeliveryFilter,
        options: &ListOptions,
    ) -> Result<Paged<Delivery>, ClientError> {
        filter.ask(self.at(&["v1", "tenants", tenant.as_str(), "deliveries"])).page(options).get().await
    }

    /// Searches the deliveries of all tenants: `GET /v1/deliveries`. A page may hold fewer than were asked for, even none, and
    /// still have a next one.
    pub async fn all_deliveries(
        &self,
        filter: &DeliveryFilter,
        options: &ListOptions,
    ) -> Result<Paged<Delivery>, ClientError> {
        filter.ask(self.at(&["v1", "deliveries"])).page(options).get().await
    }

    /// Reads a delivery, and what it waits for: `GET /v1/tenants/{tenant}/deliveries/{delivery}`.
    pub async fn delivery(&self, tenant: &TenantId, id: DeliveryId) -> Result<Delivery, ClientError> {
        self.at(&["v1", "tenants", tenant.as_str(), "deliveries", &id.to_string()]).get().await
    }

    /// Lists the attempts of a delivery, oldest first: `GET /v1/tenants/{tenant}/deliveries/{delivery}/attempts`.
    pub async fn attempts(&self, tenant: &TenantId, id: DeliveryId) -> Result<Vec<Attempt>, ClientError> {
        #[derive(Deserialize)]
        struct Attempts {
            data: Vec<Attempt>,
        }
        let path = ["v1", "tenants", tenant.as_str(), "deliveries", &id.to_string(), "attempts"];
        self.at(&path).get().await.map(|Attempts { data }| data)
    }
}
