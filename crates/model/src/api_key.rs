use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{ApiKeyId, TenantId};

/// A key of the API: whoever has its secret may do what its role allows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// Made by Posthaste.
    pub id: ApiKeyId,
    /// What people call it.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// The only tenant that it reaches; none: all.
    pub tenant: Option<KeyTenant>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it is good no more; none: it is good until it is deleted.
    pub expires_at: Option<Timestamp>,
}

/// The tenant that a key reaches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyTenant {
    /// The tenant.
    pub id: TenantId,
    /// When the tenant was made, which tells it from another one that is put under the same id later: that one the key does
    /// not open.
    pub created_at: Timestamp,
}

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything, keys included.
    Admin,
    /// Sees everything, and puts endpoints and deliveries right.
    Operator,
    /// Publishes events.
    Publisher,
    /// Sees everything but secrets, and changes nothing.
    Viewer,
    /// A tenant's own people: they look after its endpoints and see its deliveries.
    Tenant,
}

impl Role {
    /// All of them, the one that may do most first.
    pub const ALL: [Self; 5] = [Self::Admin, Self::Operator, Self::Publisher, Self::Viewer, Self::Tenant];

    /// The role's name, as the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Operator => "operator",
            Self::Publisher => "publisher",
            Self::Viewer => "viewer",
            Self::Tenant => "tenant",
        }
    }
}
