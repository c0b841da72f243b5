use posthaste_model::{Period, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Client, ClientError, SecretText, call::Body};

/// A key for a tenant's own people: good for a while, and only for what a subscriber needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortalLink {
    /// Stands where the key stands.
    pub token: SecretText,
    /// When it is good no more: no later than the key that made it.
    pub expires_at: Timestamp,
}

impl Client {
    /// Makes a key for a tenant's own people: `POST /v1/tenants/{tenant}/portal-links`. It is good for 1 minute to 24 hours;
    /// none: for an hour.
    pub async fn create_portal_link(
        &self,
        tenant: &TenantId,
        ttl: Option<Period>,
    ) -> Result<PortalLink, ClientError> {
        #[derive(Serialize)]
        struct Fields {
            #[serde(skip_serializing_if = "Option::is_none")]
            ttl: Option<Period>,
        }
        let body = Body::json(&Fields { ttl })?;
        self.at(&["v1", "tenants", tenant.as_str(), "portal-links"]).post(Some(body)).await
    }
}
