use posthaste_model::{DeliveryId, EndpointId, EventId, TenantId};
use reqwest::{Method, StatusCode};
use serde::Serialize;

use crate::{Client, ClientError, Delivery, call::Body};

/// The delivery of an event that was sent to one more endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The delivery.
    pub delivery: Delivery,
    /// Whether it was made now: there was none before.
    pub created: bool,
}

impl Client {
    /// Makes one more attempt of a delivery at once, beside those that its retry policy makes; `force`: although its
    /// endpoint is paused or disabled. `POST /v1/tenants/{tenant}/deliveries/{delivery}/retry`.
    ///
    /// The answer does not wait for the attempt: its outcome is among the delivery's attempts later. Asking twice is two
    /// attempts, also where the first answer was lost.
    pub async fn retry_delivery(
        &self,
        tenant: &TenantId,
        id: DeliveryId,
        force: bool,
    ) -> Result<Delivery, ClientError> {
        #[derive(Serialize)]
        struct Retry {
            force: bool,
        }
        let body = Body::json(&Retry { force })?;
        let path = ["v1", "tenants", tenant.as_str(), "deliveries", &id.to_string(), "retry"];
        self.at(&path).post(Some(body)).await
    }

    /// Gives a delivery up: `POST /v1/tenants/{tenant}/deliveries/{delivery}/cancel`.
    pub async fn cancel_delivery(&self, tenant: &TenantId, id: DeliveryId) -> Result<Delivery, ClientError> {
        self.at(&["v1", "tenants", tenant.as_str(), "deliveries", &id.to_string(), "cancel"]).post(None).await
    }

    /// Sends an event to one more endpoint, whatever that wants, and at once, whatever the event's `deliver_at` is:
    /// `POST /v1/tenants/{tenant}/events/{event}/send`.
    pub async fn send_event(
        &self,
        tenant: &TenantId,
        event: &EventId,
        endpoint: EndpointId,
    ) -> Result<Sent, ClientError> {
        #[derive(Serialize)]
        struct Sending {
            endpoint: EndpointId,
        }
        let body = Body::json(&Sending { endpoint })?;
        let path = ["v1", "tenants", tenant.as_str(), "events", event.as_str(), "send"];
        let answer = self.at(&path).send(Method::POST, Some(body)).await?;
        let created = answer.status == StatusCode::CREATED;
        Ok(Sent { delivery: answer.read()?, created })
    }
}
