use posthaste_model::{ApiKeyId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Client, ClientError, Role};

/// Whose key it is that a client shows, and what it is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// Where it comes from.
    pub kind: KeyKind,
    /// What it is for.
    pub role: Role,
    /// The API key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<ApiKeyId>,
    /// What people call the API key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The only tenant that it reaches; none: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<KeyTenant>,
    /// When it is good no more; none: it is good until it is deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// Where a key comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum KeyKind {
    /// The settings: the key that may do everything.
    AdminKey,
    /// [`Client::create_key`].
    ApiKey,
    /// [`Client::create_portal_link`].
    PortalLink,
    /// One that is newer than this client.
    #[serde(untagged)]
    Other(String),
}

/// The tenant that a key is bound to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyTenant {
    /// The tenant.
    pub id: TenantId,
    /// What people call it.
    pub name: String,
}

impl Client {
    /// Whose key this client shows: `GET /v1/key`.
    pub async fn key(&self) -> Result<Key, ClientError> {
        self.at(&["v1", "key"]).get().await
    }
}
