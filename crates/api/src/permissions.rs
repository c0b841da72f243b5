//! Who may do what.

use posthaste_model::Role::{self, Admin, Operator, Publisher, Tenant, Viewer};
use posthaste_store::{Missing, StoreError};

use self::Does::{Changes, Nothing, Reveals};
use crate::{
    caller::Caller,
    problem::{Kind, Problem},
};

type Roles = &'static [Role];

/// Everybody who has a key.
const EVERYBODY: Roles = &Role::ALL;
/// Who sees what a tenant has.
const READERS: Roles = &[Admin, Operator, Viewer, Tenant];
/// Who sees what goes across tenants, and what is not a tenant's own people's.
const OVERSEERS: Roles = &[Admin, Operator, Viewer];
/// Who looks after endpoints and deliveries. They see secrets.
const CARERS: Roles = &[Admin, Operator, Tenant];
/// Who may ask what would come of an event.
const ASKERS: Roles = &[Admin, Operator, Publisher, Tenant];
/// Who does for tenants what these do not do themselves, and sees who did what.
const OPERATORS: Roles = &[Admin, Operator];
const PUBLISHERS: Roles = &[Admin, Publisher];
const ADMINS: Roles = &[Admin];

/// What comes of a request that takes a route, as the audit sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Does {
    /// It changes something, or makes requests of its own.
    Changes,
    /// It changes nothing, and shows what is to be shown to few.
    Reveals,
    /// It changes nothing; or it publishes, which programs do all day.
    Nothing,
}

/// Which keys reach a route, of those that are for its roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// Those of all tenants, and those of the one tenant that its path names.
    Own,
    /// Also those of one tenant, whichever that is.
    Common,
    /// Those of all tenants alone.
    Across,
}

/// A route of the API.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Route {
    method: &'static str,
    /// As the specification has it.
    path: &'static str,
    /// The name of its operation in the specification.
    operation: &'static str,
    /// Who may use it.
    roles: Roles,
    does: Does,
    reach: Reach,
}

type Text = &'static str;

const fn own(method: Text, path: Text, operation: Text, roles: Roles, does: Does) -> Route {
    Route { method, path, operation, roles, does, reach: Reach::Own }
}

const fn common(method: Text, path: Text, operation: Text, roles: Roles, does: Does) -> Route {
    Route { method, path, operation, roles, does, reach: Reach::Common }
}

const fn across(method: Text, path: Text, operation: Text, roles: Roles, does: Does) -> Route {
    Route { method, path, operation, roles, does, reach: Reach::Across }
}

/// Every route. What is not here is closed to everybody but those who may do everything: they are told that it is not there.
static ROUTES: &[Route] = &[
    // Publishing is the SaaS's. The route that is used most comes first.
    own("POST", "/v1/tenants/{tenant}/events", "publish_events", PUBLISHERS, Nothing),
    across("GET", "/v1/tenants", "list_tenants", OVERSEERS, Nothing),
    own("GET", "/v1/tenants/{tenant}", "get_tenant", OVERSEERS, Nothing),
    own("PUT", "/v1/tenants/{tenant}", "put_tenant", ADMINS, Changes),
    own("PATCH", "/v1/tenants/{tenant}", "patch_tenant", ADMINS, Changes),
    own("DELETE", "/v1/tenants/{tenant}", "delete_tenant", ADMINS, Changes),
    own("POST", "/v1/tenants/{tenant}/portal-links", "create_portal_link", OPERATORS, Reveals),
    // What there is to publish, and what a subscriber can choose from.
    common("GET", "/v1/topics", "list_topics", EVERYBODY, Nothing),
    common("GET", "/v1/topics/{topic}", "get_topic", EVERYBODY, Nothing),
    across("PUT", "/v1/topics/{topic}", "put_topic", ADMINS, Changes),
    across("DELETE", "/v1/topics/{topic}", "delete_topic", ADMINS, Changes),
    // A tenant's endpoints are its own.
    own("POST", "/v1/tenants/{tenant}/endpoints", "create_endpoint", CARERS, Changes),
    own("GET", "/v1/tenants/{tenant}/endpoints", "list_endpoints", READERS, Nothing),
    own("GET", "/v1/tenants/{tenant}/endpoints/{endpoint}", "get_endpoint", READERS, Nothing),
    own("PATCH", "/v1/tenants/{tenant}/endpoints/{endpoint}", "patch_endpoint", CARERS, Changes),
    own("DELETE", "/v1/tenants/{tenant}/endpoints/{endpoint}", "delete_endpoint", CARERS, Changes),
    own("POST", "/v1/tenants/{tenant}/endpoints/{endpoint}/pause", "pause_endpoint", CARERS, Changes),
    own("POST", "/v1/tenants/{tenant}/endpoints/{endpoint}/resume", "resume_endpoint", CARERS, Changes),
    own("POST", "/v1/tenants/{tenant}/endpoints/{endpoint}/enable", "enable_endpoint", CARERS, Changes),
    own("POST", "/v1/tenants/{tenant}/endpoints/{endpoint}/disable", "disable_endpoint", CARERS, Changes),
    own("POST", "/v1/tenants/{tenant}/endpoints/{endpoint}/test", "test_endpoint", CARERS, Changes),
    own("GET", "/v1/tenants/{tenant}/endpoints/{endpoint}/secret", "get_secret", CARERS, Reveals),
    own("POST", "/v1/tenants/{tenant}/endpoints/{endpoint}/secret/rotate", "rotate_secret", CARERS, Changes),
    own("POST", "/v1/tenants/{tenant}/endpoints/{endpoint}/verify", "verify_endpoint", CARERS, Changes),
    own("POST", "/v1/tenants/{tenant}/endpoints/{endpoint}/recover", "recover_endpoint", CARERS, Changes),
    own("GET", "/v1/tenants/{tenant}/endpoints/{endpoint}/stats", "get_endpoint_stats", READERS, Nothing),
    own("POST", "/v1/tenants/{tenant}/events/{event}/send", "send_event", OPERATORS, Changes),
    own("GET", "/v1/tenants/{tenant}/events", "list_events", READERS, Nothing),
    // A publisher may see what became of what it published.
    own("GET", "/v1/tenants/{tenant}/events/{event}", "get_event", EVERYBODY, Nothing),
    own("POST", "/v1/tenants/{tenant}/match", "match_event", ASKERS, Nothing),
    own("GET", "/v1/tenants/{tenant}/deliveries", "list_deliveries", READERS, Nothing),
    own("GET", "/v1/tenants/{tenant}/deliveries/{delivery}", "get_delivery", READERS, Nothing),
    own("GET", "/v1/tenants/{tenant}/deliveries/{delivery}/attempts", "list_attempts", READERS, Nothing),
    own("POST", "/v1/tenants/{tenant}/deliveries/{delivery}/retry", "retry_delivery", CARERS, Changes),
    own("POST", "/v1/tenants/{tenant}/deliveries/{delivery}/replay", "replay_delivery", CARERS, Changes),
    own("POST", "/v1/tenants/{tenant}/deliveries/{delivery}/cancel", "cancel_delivery", OPERATORS, Changes),
    // A subscriber recovers an endpoint, and sees how far that has come.
    own("GET", "/v1/tenants/{tenant}/replays/{replay}", "get_replay", READERS, Nothing),
    own("POST", "/v1/tenants/{tenant}/replays", "create_replay", OPERATORS, Changes),
    own("GET", "/v1/tenants/{tenant}/replays", "list_replays", OVERSEERS, Nothing),
    own("POST", "/v1/tenants/{tenant}/replays/{replay}/cancel", "cancel_replay", OPERATORS, Changes),
    own("GET", "/v1/tenants/{tenant}/stats", "get_tenant_stats", READERS, Nothing),
    // Everybody may ask whose key it is.
    common("GET", "/v1/key", "get_key", EVERYBODY, Nothing),
    // What goes across tenants.
    across("GET", "/v1/events", "list_all_events", OVERSEERS, Nothing),
    across("GET", "/v1/deliveries", "list_all_deliveries", OVERSEERS, Nothing),
    across("GET", "/v1/replays", "list_all_replays", OVERSEERS, Nothing),
    across("GET", "/v1/stats", "get_stats", OVERSEERS, Nothing),
    // Who may do what, and who did what.
    across("POST", "/v1/keys", "create_key", ADMINS, Changes),
    across("GET", "/v1/keys", "list_keys", OPERATORS, Nothing),
    across("DELETE", "/v1/keys/{key}", "delete_key", ADMINS, Changes),
    across("GET", "/v1/audit", "list_audit", OPERATORS, Nothing),
];

impl Route {
    /// The route that a request takes. `path` is decoded as the router reads it.
    pub(crate) fn find(method: &str, path: &str) -> Option<&'static Self> {
        ROUTES.iter().find(|route| route.method == method && matches(route.path, path))
    }

    /// The name of its operation in the specification.
    pub(crate) fn operation(&self) -> &'static str {
        self.operation
    }

    /// Whether it is recorded who uses it.
    pub(crate) fn is_recorded(&self) -> bool {
        self.does != Does::Nothing
    }

    /// Whether it shows what is to be shown to few, and does nothing else.
    pub(crate) fn reveals(&self) -> bool {
        self.does == Does::Reveals
    }

    /// The tenant that a path of its names.
    pub(crate) fn tenant<'a>(&self, path: &'a str) -> Option<&'a str> {
        self.path
            .split('/')
            .zip(path.split('/'))
            .find_map(|(wanted, there)| (wanted == "{tenant}").then_some(there))
    }
}

/// Lets somebody pass who takes a route, or says why not.
///
/// # Errors
/// 403 for a route that is not for them, or is none; 404 for another tenant, as if that did not exist.
pub(crate) fn check(caller: &Caller, route: Option<&Route>, method: &str, path: &str) -> Result<(), Problem> {
    let forbidden = |lack: &str| {
        let detail = format!("{} is not for {method} {path}: {lack}", caller.named());
        Err(Problem::new(Kind::Forbidden, detail))
    };
    let Some(route) = route else {
        return match caller.role {
            Admin => Ok(()),
            _ => forbidden("there is no such route"),
        };
    };
    if !route.roles.contains(&caller.role) {
        return forbidden(&format!("that takes the role {}", listed(route.roles)));
    }
    let Some(own) = &caller.tenant else { return Ok(()) };
    match route.reach {
        Reach::Common => Ok(()),
        Reach::Own if route.tenant(path) == Some(own.as_str()) => Ok(()),
        Reach::Own => Err(StoreError::NotFound(Missing::Tenant).into()),
        Reach::Across => {
            let roles = listed(route.roles);
            forbidden(&format!(
                "it is bound to the tenant '{own}', and that takes one of all tenants with the role {roles}"
            ))
        }
    }
}

/// `a, b or c`.
fn listed(roles: &[Role]) -> String {
    let mut names: Vec<_> = roles.iter().map(|role| role.as_str()).collect();
    let last = names.pop().unwrap_or_default();
    if names.is_empty() { last.to_owned() } else { format!("{} or {last}", names.join(", ")) }
}

/// Whether a path is one of those that a pattern stands for.
fn matches(pattern: &str, path: &str) -> bool {
    let (mut wanted, mut there) = (pattern.split('/'), path.split('/'));
    loop {
        match (wanted.next(), there.next()) {
            (None, None) => return true,
            (Some(wanted), Some(there)) if wanted.starts_with('{') && !there.is_empty() => {}
            (Some(wanted), Some(there)) if wanted == there => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests;
