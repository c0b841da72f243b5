use jiff::Timestamp;
use serde_json::Value;

use crate::TenantId;

/// One customer of the SaaS. It owns endpoints and events, and never sees another tenant's.
#[derive(Debug, Clone, PartialEq)]
pub struct Tenant {
    /// Chosen by the caller.
    pub id: TenantId,
    /// What people call it.
    pub name: String,
    /// How deliveries of its new endpoints are signed, where these do not say: a profile, as `posthaste-signing` reads it.
    /// None: the service's default.
    pub signature: Option<Value>,
    /// When it was first put.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Tenant {
    /// A tenant of which nothing is known but its id.
    pub fn new(id: TenantId, now: Timestamp) -> Self {
        Self { id, name: String::new(), signature: None, created_at: now, updated_at: now }
    }
}
