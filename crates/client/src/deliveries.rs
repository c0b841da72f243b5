use posthaste_model::{
    AttemptId, DeliveryId, DeliveryReason, DeliveryState, EndpointId, ErrorClass, EventId, TenantId,
    Timestamp, TopicName,
};
use serde::{Deserialize, Serialize};

use crate::{Client, ClientError, ListOptions, Paged};

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
}

/// Which deliveries are wanted: those that meet every condition that is set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// In this state.
    pub state: Option<DeliveryState>,
    /// To this endpoint.
    pub endpoint: Option<EndpointId>,
    /// Of this event.
    pub event: Option<EventId>,
    /// Of this topic.
    pub topic: Option<TopicName>,
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
    /// From its beginning until the head of the answer had arrived; none: it never did.
    pub first_byte_ms: Option<f64>,
    /// From its beginning until its end.
    pub total_ms: f64,
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

impl Client {
    /// Lists a tenant's deliveries, newest first: `GET /v1/tenants/{tenant}/deliveries`.
    pub async fn deliveries(
        &self,
        tenant: &TenantId,
        filter: &DeliveryFilter,
        options: &ListOptions,
    ) -> Result<Paged<Delivery>, ClientError> {
        let DeliveryFilter { state, endpoint, event, topic } = filter;
        self.at(&["v1", "tenants", tenant.as_str(), "deliveries"])
            .query("state", state.map(DeliveryState::as_str))
            .query("endpoint", *endpoint)
            .query("event", event.as_ref())
            .query("topic", topic.as_ref())
            .page(options)
            .get()
            .await
    }

    /// Reads a delivery: `GET /v1/tenants/{tenant}/deliveries/{delivery}`.
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
