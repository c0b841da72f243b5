//! What somebody may do, so that pages offer nothing else.
//!
//! The API alone decides: what is left out here is what it would refuse.

use posthaste_client::Role;

use crate::door::Door;

/// What the pages offer to somebody.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct May {
    /// To look after endpoints and deliveries, and to see secrets.
    pub(crate) care: bool,
    /// To do for tenants what these do not do themselves, and to see who did what.
    pub(crate) operate: bool,
    /// To change tenants, topics and keys.
    pub(crate) administer: bool,
}

impl May {
    /// What a role may do behind a door. The portal has the pages of a tenant's own people alone, whoever comes by it.
    pub(crate) fn of(role: &Role, door: Door) -> Self {
        let console = door == Door::Console;
        Self {
            care: matches!(role, Role::Admin | Role::Operator | Role::Tenant),
            operate: console && matches!(role, Role::Admin | Role::Operator),
            administer: console && *role == Role::Admin,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_offered_what_it_may_do() {
        let words = |role, door| {
            let May { care, operate, administer } = May::of(&role, door);
            [(care, "care"), (operate, "operate"), (administer, "administer")]
                .into_iter()
                .filter_map(|(may, word)| may.then_some(word))
                .collect::<Vec<_>>()
        };
        assert_eq!(words(Role::Admin, Door::Console), ["care", "operate", "administer"]);
        assert_eq!(words(Role::Operator, Door::Console), ["care", "operate"]);
        assert_eq!(words(Role::Operator, Door::Portal), ["care"]);
        assert_eq!(words(Role::Tenant, Door::Portal), ["care"]);
        for role in [Role::Viewer, Role::Publisher, Role::Other("auditor".into())] {
            assert!(words(role.clone(), Door::Console).is_empty(), "{role:?}");
        }
    }
}
