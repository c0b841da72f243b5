use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{ApiKeyId, AuditId, Role, TenantId};

/// Something that somebody did: they changed something, or had a secret shown to them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Made by Posthaste. Time-ordered.
    pub id: AuditId,
    /// When it was done.
    pub at: Timestamp,
    /// By whom.
    pub by: Actor,
    /// From which address, as the API saw it.
    pub address: Option<String>,
    /// What was done: the name of the operation in the API's specification, such as `pause_endpoint`.
    pub action: String,
    /// What it was done to: a path of the API, such as `/v1/tenants/acme/endpoints/ep_…`.
    pub subject: String,
    /// Whose that is; none: nobody's in particular.
    pub tenant: Option<TenantId>,
    /// The names of the fields that were changed, where a change names them.
    pub fields: Vec<String>,
    /// What else has to be known of it, in words.
    pub detail: Option<String>,
    /// What came of it.
    pub outcome: AuditOutcome,
}

impl AuditEntry {
    /// Whether a tenant's own people did it.
    pub fn is_by_tenant(&self) -> bool {
        matches!(self.by, Actor::PortalLink { .. } | Actor::ApiKey { role: Role::Tenant, .. })
    }
}

/// What came of something that somebody did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditOutcome {
    /// It was done.
    Done,
    /// It failed on the way, or its answer was lost: it may have been done.
    Unknown,
}

/// Who did something, by the key that they showed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
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
    /// A tenant's own people, by a portal link.
    PortalLink {
        /// The tenant.
        tenant: TenantId,
        /// The API key that the link was made with; none: the admin key.
        made_by: Option<ApiKeyId>,
    },
}
