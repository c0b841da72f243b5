use jiff::Timestamp;

use crate::TenantId;

/// One customer of the SaaS. It owns endpoints and events, and never sees another tenant's.
#[derive(Debug, Clone, PartialEq)]
pub struct Tenant {
    /// Chosen by the caller.
    pub id: TenantId,
    /// What people call it.
    pub name: String,
    /// When it was first put.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}
