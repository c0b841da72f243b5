use posthaste_model::{ApiKeyId, AuditId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Client, ClientError, ListOptions, Paged, Role};

/// Something that somebody did: they changed something, or had a secret shown to them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Made by the service.
    pub id: AuditId,
    /// When it was done.
    pub at: Timestamp,
    /// By whom.
    pub by: Actor,
    /// From which IP address, as the service saw it: that of a proxy in between, or of the console.
    pub address: Option<String>,
    /// What was done: the name of an operation in the specification of the API, such as `pause_endpoint`.
    pub action: String,
    /// What it was done to, or what was created by it: a path of the API.
    pub subject: String,
    /// The tenant of the request's path, or of the key that was made or deleted; none: there is none.
    pub tenant: Option<TenantId>,
    /// The names of the fields that the request's body had.
    pub fields: Vec<String>,
    /// What else has to be known of it, in words.
    pub detail: Option<String>,
    /// What came of it.
    pub outcome: AuditOutcome,
}

/// What came of something that somebody did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AuditOutcome {
    /// It was done.
    Done,
    /// It failed on the way, or its answer was lost: it may have been done.
    Unknown,
    /// Something that is newer than this client.
    #[serde(untagged)]
    Other(String),
}

/// Who did something, by the key that they showed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Actor {
    /// Whoever has the admin key of the settings.
    AdminKey,
    /// Whoever has this API key.
    ApiKey {
        /// The key.
        id: ApiKeyId,
        /// What it was called then.
        name: String,
        /// What it is for.
        role: Role,
    },
    /// Whoever has a portal link: mostly a tenant's own people.
    PortalLink {
        /// The tenant.
        tenant: TenantId,
        /// The API key that the link was made with; none: the admin key.
        made_by: Option<ApiKeyId>,
    },
    /// Somebody of a kind that is newer than this client.
    #[serde(other)]
    Other,
}

impl Client {
    /// Lists who changed what, newest first: all, or what was done to a tenant: `GET /v1/audit`.
    pub async fn audit(
        &self,
        tenant: Option<&TenantId>,
        options: &ListOptions,
    ) -> Result<Paged<AuditEntry>, ClientError> {
        self.at(&["v1", "audit"]).query("tenant", tenant).page(options).get().await
    }
}
