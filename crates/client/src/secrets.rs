use std::fmt;

use posthaste_model::{EndpointId, Period, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Client, ClientError, call::Body};

/// A secret as text, such as `whsec_` and base64. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretText(String);

/// The secrets that sign an endpoint's deliveries now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secrets {
    /// The current one; `whsk_`: the private half of a key pair.
    pub secret: SecretText,
    /// What the subscriber verifies ed25519 signatures with, where there are such.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
    /// Both current ones, where the signature profile takes a shared one and a key pair; or else none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<SecretText>,
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
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotation {
    /// How long the old secret goes on signing beside the new one, at most 7 days; none: 24 hours, or not at all where the
    /// signature profile carries one signature only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overlap: Option<Period>,
    /// The new secret, brought from elsewhere; none: one is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretText>,
}

/// The secrets after a rotation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotatedSecrets {
    /// They.
    #[serde(flatten)]
    pub secrets: Secrets,
    /// When requests are no longer signed with the old secret, too.
    pub cut_over: CutOver,
}

/// When requests are no longer signed with the old secret, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CutOver {
    /// From now on: subscribers have to have the new one already.
    AtOnce,
    /// When the overlap ends.
    AfterOverlap,
}

impl SecretText {
    /// A secret to give.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

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

    /// Replaces an endpoint's secret by a new one: `POST /v1/tenants/{tenant}/endpoints/{endpoint}/secret/rotate`.
    pub async fn rotate_secret(
        &self,
        tenant: &TenantId,
        endpoint: EndpointId,
        rotation: &Rotation,
    ) -> Result<RotatedSecrets, ClientError> {
        let endpoint = endpoint.to_string();
        let path = ["v1", "tenants", tenant.as_str(), "endpoints", &endpoint, "secret", "rotate"];
        self.at(&path).post(Some(Body::json(rotation)?)).await
    }
}
