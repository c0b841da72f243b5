use posthaste_model::{ApiKeyId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Client, ClientError, ListOptions, Paged, Role, SecretText, call::Body};

/// What a key is to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewApiKey {
    /// What people call it.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// The only tenant that it reaches; none: all. [`Role::Tenant`] needs one, and [`Role::Admin`] has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantId>,
    /// When it is good no more; none: it is good until it is deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// A key of the API. It shows nothing of its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// Made by the service.
    pub id: ApiKeyId,
    /// What people call it.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// The only tenant that it reaches; none: all.
    pub tenant: Option<TenantId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it is good no more; none: it is good until it is deleted.
    pub expires_at: Option<Timestamp>,
}

/// A key as it was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreatedApiKey {
    /// The key.
    #[serde(flatten)]
    pub key: ApiKey,
    /// What a [`Client`] shows. It is told this once.
    pub secret: SecretText,
}

impl NewApiKey {
    /// A key for this, of all tenants, that is good until it is deleted.
    pub fn new(name: impl Into<String>, role: Role) -> Self {
        Self { name: name.into(), role, tenant: None, expires_at: None }
    }

    /// The same, which reaches this tenant only.
    #[must_use]
    pub fn of(self, tenant: TenantId) -> Self {
        Self { tenant: Some(tenant), ..self }
    }
}

impl Client {
    /// Makes a key: `POST /v1/keys`.
    pub async fn create_key(&self, key: &NewApiKey) -> Result<CreatedApiKey, ClientError> {
        self.at(&["v1", "keys"]).post(Some(Body::json(key)?)).await
    }

    /// Lists keys, newest first, also those whose time is over: `GET /v1/keys`.
    pub async fn keys(&self, options: &ListOptions) -> Result<Paged<ApiKey>, ClientError> {
        self.at(&["v1", "keys"]).page(options).get().await
    }

    /// Deletes a key: `DELETE /v1/keys/{key}`.
    pub async fn delete_key(&self, id: ApiKeyId) -> Result<(), ClientError> {
        self.at(&["v1", "keys", &id.to_string()]).delete().await
    }
}
