use serde::{Deserialize, Serialize};

/// What a key is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
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
    /// One that is newer than this client.
    #[serde(untagged)]
    Other(String),
}

impl Role {
    /// All that are known here, the one that may do most first.
    pub const ALL: [Self; 5] = [Self::Admin, Self::Operator, Self::Publisher, Self::Viewer, Self::Tenant];

    /// The role's name, as the API writes it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Admin => "admin",
            Self::Operator => "operator",
            Self::Publisher => "publisher",
            Self::Viewer => "viewer",
            Self::Tenant => "tenant",
            Self::Other(name) => name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_written_as_it_is_called() {
        for role in Role::ALL {
            assert_eq!(serde_json::to_value(&role).unwrap(), role.as_str());
            assert_eq!(serde_json::from_value::<Role>(role.as_str().into()).unwrap(), role);
        }
        let newer: Role = serde_json::from_str(r#""auditor""#).unwrap();
        assert_eq!((newer.as_str(), &newer), ("auditor", &Role::Other("auditor".into())));
    }
}
