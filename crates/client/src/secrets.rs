use std::fmt;

use posthaste_model::{EndpointId, Period, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Client, ClientError, call::Body};

/// A signing secret as text (`whsec_` and base64). `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretText(String);

/// The secrets that sign an endpoint's deliveries now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secrets {
    /// The current one.
    pub secret: SecretText,
    /// Older ones whose overlap is not over.
    pub retiring: Vec<RetiringSecret>,
}

/// A secret that was rotated out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetiringSecret {
    /// The secret.
    pub secret: SecretText,
    /// When it stops signing.
    pub expires_at: Timestamp,
}

/// How a secret is rotated.
#[derive(Serialize)]
struct Rotation {
    overlap: Period,
}

impl SecretText {
    /// The secret.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(..)")
    }
}

impl Client {
    /// Reveals the secrets that sign an endpoint's deliveries, which the service logs:
    /// `GET /v1/tenants/{tenant}/endpoints/{endpoint}/secret`.
    pub async fn secret(&self, tenant: &TenantId, endpoint: EndpointId) -> Result<Secrets, ClientError> {
        self.at(&["v1", "tenants", tenant.as_str(), "endpoints", &endpoint.to_string(), "secret"]).get().await
    }

    /// Replaces an endpoint's secret by a new one, beside which the old one goes on signing for `overlap`, at most 7 days;
    /// none: 24 hours. `POST /v1/tenants/{tenant}/endpoints/{endpoint}/secret/rotate`.
    pub async fn rotate_secret(
        &self,
        tenant: &TenantId,
        endpoint: EndpointId,
        overlap: Option<Period>,
    ) -> Result<Secrets, ClientError> {
        let endpoint = endpoint.to_string();
        let path = ["v1", "tenants", tenant.as_str(), "endpoints", &endpoint, "secret", "rotate"];
        let body = overlap.map(|overlap| Body::json(&Rotation { overlap })).transpose()?;
        self.at(&path).post(body).await
    }
}
