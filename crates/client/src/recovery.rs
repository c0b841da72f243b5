use posthaste_model::{DeliveryId, EndpointId, TenantId};
use serde::Serialize;

use crate::{Client, ClientError, Delivery, DryReplay, Moment, Replay, replays::Asked};

/// What of an endpoint is to be sent again: what is exhausted and skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Recovery {
    /// From when on its events were accepted.
    pub since: Moment,
    /// Before when; none: now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Moment>,
    /// How many may be opened in a second, up to 10,000; none: as many as there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<u32>,
}

impl Recovery {
    /// All that an endpoint missed since then.
    pub fn since(since: impl Into<Moment>) -> Self {
        Self { since: since.into(), until: None, rate: None }
    }
}

impl Client {
    /// Sends again what an endpoint missed, oldest first, as a job:
    /// `POST /v1/tenants/{tenant}/endpoints/{endpoint}/recover`.
    pub async fn recover_endpoint(
        &self,
        tenant: &TenantId,
        id: EndpointId,
        recovery: &Recovery,
    ) -> Result<Replay, ClientError> {
        let body = Asked::body(recovery, false)?;
        let path = ["v1", "tenants", tenant.as_str(), "endpoints", &id.to_string(), "recover"];
        self.at(&path).post(Some(body)).await
    }

    /// Counts what an endpoint missed: `POST /v1/tenants/{tenant}/endpoints/{endpoint}/recover` as a dry run.
    pub async fn count_recovery(
        &self,
        tenant: &TenantId,
        id: EndpointId,
        recovery: &Recovery,
    ) -> Result<DryReplay, ClientError> {
        let body = Asked::body(recovery, true)?;
        let path = ["v1", "tenants", tenant.as_str(), "endpoints", &id.to_string(), "recover"];
        self.at(&path).post(Some(body)).await
    }

    /// Opens a delivery again that is over, whatever came of it: `POST /v1/tenants/{tenant}/deliveries/{delivery}/replay`.
    pub async fn replay_delivery(&self, tenant: &TenantId, id: DeliveryId) -> Result<Delivery, ClientError> {
        self.at(&["v1", "tenants", tenant.as_str(), "deliveries", &id.to_string(), "replay"]).post(None).await
    }
}
