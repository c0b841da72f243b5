use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// It serves the API, and reads the store's inbox.
    Api,
    /// It drives deliveries.
    Dispatch,
}

impl Role {
    const ALL: [Self; 2] = [Self::Api, Self::Dispatch];

    fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Dispatch => "dispatch",
        }
    }
}

/// Everything that a process does: one role at least.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<&'static str>")]
pub(crate) struct Roles(BTreeSet<Role>);

/// Words that say not what a process does.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InvalidRoles {
    #[error("there is no role '{0}'; the roles are {all}", all = names(&Role::ALL))]
    Unknown(String),
    #[error("a process without a role does nothing; the roles are {all}", all = names(&Role::ALL))]
    None,
}

fn names(roles: &[Role]) -> String {
    roles.iter().map(|role| role.name()).collect::<Vec<_>>().join(", ")
}

impl Roles {
    pub(crate) fn has(&self, role: Role) -> bool {
        self.0.contains(&role)
    }

    /// Whether one process does everything.
    pub(crate) fn are_all(&self) -> bool {
        self.0.len() == Role::ALL.len()
    }
}

impl Default for Roles {
    fn default() -> Self {
        Self(Role::ALL.into())
    }
}

impl std::fmt::Display for Roles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&names(&self.0.iter().copied().collect::<Vec<_>>()))
    }
}

impl TryFrom<Vec<String>> for Roles {
    type Error = InvalidRoles;

    fn try_from(words: Vec<String>) -> Result<Self, InvalidRoles> {
        let role = |word: String| {
            let known = Role::ALL.into_iter().find(|role| role.name() == word);
            known.ok_or(InvalidRoles::Unknown(word))
        };
        let roles = words.into_iter().map(role).collect::<Result<BTreeSet<_>, _>>()?;
        if roles.is_empty() { Err(InvalidRoles::None) } else { Ok(Self(roles)) }
    }
}

impl From<Roles> for Vec<&'static str> {
    fn from(roles: Roles) -> Self {
        roles.0.into_iter().map(Role::name).collect()
    }
}
