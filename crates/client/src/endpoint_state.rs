use posthaste_model::{EndpointId, TenantId};
use serde::Serialize;

use crate::{
    Client, ClientError, Endpoint,
    call::{Body, Call},
};

impl Client {
    /// Pauses an endpoint, so that its deliveries are held: `POST /v1/tenants/{tenant}/endpoints/{endpoint}/pause`. One
    /// that is disabled is refused.
    pub async fn pause_endpoint(&self, tenant: &TenantId, id: EndpointId) -> Result<Endpoint, ClientError> {
        self.to_endpoint(tenant, id, "pause").post(None).await
    }

    /// Resumes an endpoint that is paused: `POST /v1/tenants/{tenant}/endpoints/{endpoint}/resume`. One that is disabled
    /// is refused.
    pub async fn resume_endpoint(&self, tenant: &TenantId, id: EndpointId) -> Result<Endpoint, ClientError> {
        self.to_endpoint(tenant, id, "resume").post(None).await
    }

    /// Enables an endpoint, whatever its state is: `POST /v1/tenants/{tenant}/endpoints/{endpoint}/enable`.
    pub async fn enable_endpoint(&self, tenant: &TenantId, id: EndpointId) -> Result<Endpoint, ClientError> {
        self.to_endpoint(tenant, id, "enable").post(None).await
    }

    /// Disables an endpoint, so that its deliveries are skipped, for a reason that is for people:
    /// `POST /v1/tenants/{tenant}/endpoints/{endpoint}/disable`.
    pub async fn disable_endpoint(
        &self,
        tenant: &TenantId,
        id: EndpointId,
        reason: Option<&str>,
    ) -> Result<Endpoint, ClientError> {
        #[derive(Serialize)]
        struct Disabling<'a> {
            reason: &'a str,
        }
        let body = reason.map(|reason| Body::json(&Disabling { reason })).transpose()?;
        self.to_endpoint(tenant, id, "disable").post(body).await
    }

    /// A call for something that is done to an endpoint.
    pub(crate) fn to_endpoint(&self, tenant: &TenantId, id: EndpointId, what: &str) -> Call<'_> {
        self.at(&["v1", "tenants", tenant.as_str(), "endpoints", &id.to_string(), what])
    }
}
