//! Who makes a request.

use std::fmt;

use posthaste_model::{Actor, Role, TenantId, Timestamp};

/// Who makes a request, by the key that it carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    /// Which key it is.
    pub(crate) by: Actor,
    /// What it is for.
    pub(crate) role: Role,
    /// The only tenant that it reaches; none: all.
    pub(crate) tenant: Option<TenantId>,
    /// When it is good no more; none: it is good until it is deleted, or the settings name another.
    pub(crate) expires_at: Option<Timestamp>,
}

impl Caller {
    /// Whoever has the admin key.
    pub(crate) fn admin() -> Self {
        Self { by: Actor::AdminKey, role: Role::Admin, tenant: None, expires_at: None }
    }

    /// The key, for people.
    pub(crate) fn named(&self) -> String {
        match &self.by {
            Actor::AdminKey => "the admin key".to_owned(),
            Actor::ApiKey { .. } => format!("a key with the role '{}'", self.role.as_str()),
            Actor::PortalLink { .. } => "a portal link".to_owned(),
        }
    }
}

/// As logs name it.
impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.by {
            Actor::AdminKey => f.write_str("admin_key"),
            Actor::ApiKey { id, .. } => id.fmt(f),
            Actor::PortalLink { .. } => f.write_str("portal_link"),
        }
    }
}
