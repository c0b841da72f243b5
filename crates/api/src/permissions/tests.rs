use std::collections::BTreeSet;

use posthaste_model::{Actor, Tenant as Customer, TenantId};
use posthaste_store::Catalogue as _;
use serde_json::{Value, json};

use super::*;
use crate::fixture::{Api, NOW, told};

/// What a tenant's own people may do, by a portal link or a key.
const OF_TENANTS: [&str; 25] = [
    "list_topics",
    "get_topic",
    "create_endpoint",
    "list_endpoints",
    "get_endpoint",
    "patch_endpoint",
    "delete_endpoint",
    "pause_endpoint",
    "resume_endpoint",
    "enable_endpoint",
    "disable_endpoint",
    "test_endpoint",
    "get_secret",
    "rotate_secret",
    "verify_endpoint",
    "recover_endpoint",
    "get_endpoint_stats",
    "list_events",
    "match_event",
    "list_deliveries",
    "list_attempts",
    "retry_delivery",
    "replay_delivery",
    "get_replay",
    "get_tenant_stats",
];
const OF_ADMINS: [&str; 7] =
    ["put_tenant", "patch_tenant", "delete_tenant", "put_topic", "delete_topic", "create_key", "delete_key"];
/// What is no GET, and is recorded as no change.
const HARMLESS: [&str; 3] = ["publish_events", "match_event", "create_portal_link"];
const REVEALING: [&str; 2] = ["create_portal_link", "get_secret"];
const OF_PUBLISHERS: [&str; 4] = ["publish_events", "match_event", "list_topics", "get_topic"];

/// Whether a role is for an operation, by the rules that the roles were made by.
fn may(role: Role, method: &str, operation: &str) -> bool {
    let everybodys = ["get_key", "get_event"].contains(&operation);
    let reads = method == "GET";
    everybodys
        || match role {
            Admin => true,
            Operator => !OF_ADMINS.contains(&operation) && operation != "publish_events",
            Publisher => OF_PUBLISHERS.contains(&operation),
            Viewer => reads && !["get_secret", "list_keys", "list_audit"].contains(&operation),
            Tenant => OF_TENANTS.contains(&operation) || operation == "get_delivery",
        }
}

/// Every operation of the specification that needs a key: its method, its path and its name.
fn operations() -> Vec<(String, String, String)> {
    let api = serde_json::to_value(crate::openapi()).unwrap();
    let mut found = Vec::new();
    for (path, methods) in
        api["paths"].as_object().unwrap().iter().filter(|(path, _)| path.starts_with("/v1/"))
    {
        for (method, operation) in methods.as_object().unwrap() {
            let name = operation["operationId"].as_str().unwrap();
            found.push((method.to_uppercase(), path.clone(), name.to_owned()));
        }
    }
    found
}

/// Every route says who may use it, so that a new one is not forgotten.
#[test]
fn every_route_has_a_row() {
    let there = operations();
    let row = |Route { method, path, operation, .. }: &Route| {
        ((*method).to_owned(), (*path).to_owned(), (*operation).to_owned())
    };
    let rows: Vec<_> = ROUTES.iter().map(row).collect();
    assert_eq!(rows.len(), there.len(), "one row for each");
    assert_eq!(rows.into_iter().collect::<BTreeSet<_>>(), there.into_iter().collect());
}

#[test]
fn nobody_may_do_more_than_those_who_hand_out_their_keys() {
    for Route { method, path, roles, .. } in ROUTES {
        assert!(roles.contains(&Admin), "{method} {path}");
        // Operators make portal links.
        assert!(!roles.contains(&Tenant) || roles.contains(&Operator), "{method} {path}");
    }
}

#[test]
fn a_row_fits_its_route() {
    for route in ROUTES {
        assert_eq!(route.reach == Reach::Own, route.path.contains("{tenant}"), "{route:?}");
        // What everybody reaches shows nothing of a tenant's.
        assert!(route.reach != Reach::Common || route.roles == EVERYBODY, "{route:?}");
        assert_eq!(route.does == Changes, route.method != "GET" && !HARMLESS.contains(&route.operation));
    }
    let revealing: Vec<_> = ROUTES.iter().filter(|route| route.reveals()).collect();
    assert_eq!(revealing.iter().map(|route| route.operation).collect::<Vec<_>>(), REVEALING);
}

/// A service with the tenants `acme` and `default`.
async fn stand() -> Api {
    let api = Api::new().await;
    api.store.put_tenant(Customer::new("acme".parse().unwrap(), NOW)).await.unwrap();
    api
}

/// The secret of a new key.
async fn key(api: &Api, role: Role, tenant: Option<&str>) -> String {
    let body = json!({ "role": role, "tenant": tenant }).to_string();
    let made: Value = api.json("POST /v1/keys", &body, 201).await;
    made["secret"].as_str().unwrap().to_owned()
}

/// A request that takes this route.
fn line(method: &str, path: &str, tenant: &str) -> String {
    let nothing = "00000000000000000000000000000000";
    let path = path
        .replace("{tenant}", tenant)
        .replace("{topic}", "order.paid")
        .replace("{endpoint}", &format!("ep_{nothing}"))
        .replace("{event}", "e1")
        .replace("{delivery}", &format!("dlv_{nothing}"))
        .replace("{replay}", &format!("rpl_{nothing}"))
        .replace("{key}", &format!("key_{nothing}"));
    assert!(!path.contains('{'), "{path}");
    format!("{method} {path}")
}

/// Each role is let through where it may, and nowhere else.
#[tokio::test]
async fn every_route_is_for_its_roles() {
    for role in Role::ALL.into_iter().filter(|role| *role != Tenant) {
        let api = stand().await;
        let key = key(&api, role, None).await;
        for (method, path, operation) in operations() {
            let line = line(&method, &path, "acme");
            let (status, answer) = api.call_as(&key, &line, "").await;
            assert_ne!(status, 401, "{role:?} {line}: {answer}");
            let shut = status == 403;
            assert_eq!(shut, !may(role, &method, &operation), "{role:?} {line}: {answer}");
            if shut {
                let begins = format!(
                    "a key with the role '{}' is not for {line}: that takes the role admin",
                    role.as_str()
                );
                assert!(answer["detail"].as_str().unwrap().starts_with(&begins), "{answer}");
            }
        }
    }
}

/// A key that is bound to a tenant reaches that, what is common to all, and nothing else.
#[tokio::test]
async fn a_bound_key_reaches_its_tenant_alone() {
    for role in Role::ALL.into_iter().filter(|role| *role != Admin) {
        let api = stand().await;
        let key = key(&api, role, Some("acme")).await;
        for (method, path, operation) in operations() {
            let may = may(role, &method, &operation);
            let common = ["get_key", "list_topics", "get_topic"].contains(&operation.as_str());
            let own = path.contains("{tenant}");
            let expect = |of: &str| match (may, own) {
                (true, true) if of != "acme" => Some(404),
                (true, false) if !common => Some(403),
                (true, _) => None,
                (false, _) => Some(403),
            };
            for tenant in ["acme", "default", "nobody"] {
                let line = line(&method, &path, tenant);
                let (status, answer) = api.call_as(&key, &line, "").await;
                match expect(tenant) {
                    Some(404) => {
                        assert_eq!(told(status, &answer), "404 not-found: no such tenant", "{role:?} {line}")
                    }
                    Some(expect) => assert_eq!(status, expect, "{role:?} {line}: {answer}"),
                    None => assert!(![401, 403].contains(&status), "{role:?} {line}: {answer}"),
                }
            }
        }
    }
}

#[tokio::test]
async fn a_portal_link_may_do_what_a_key_of_its_tenant_may() {
    let api = stand().await;
    let link = api.json("POST /v1/tenants/acme/portal-links", "", 201).await;
    let link = link["token"].as_str().unwrap();
    for (method, path, operation) in operations() {
        let line = line(&method, &path, "acme");
        let (status, answer) = api.call_as(link, &line, "").await;
        assert_eq!(status == 403, !may(Tenant, &method, &operation), "{line}: {answer}");
    }
}

fn caller(role: Role, tenant: Option<&str>) -> Caller {
    let tenant: Option<TenantId> = tenant.map(|tenant| tenant.parse().unwrap());
    let by = match &tenant {
        Some(tenant) if role == Tenant => Actor::PortalLink { tenant: tenant.clone(), made_by: None },
        _ => Actor::AdminKey,
    };
    Caller { by, role, tenant, expires_at: None }
}

/// What comes of a request with a portal link of the tenant `acme`: its status.
#[track_caller]
fn check_portal(line: &str, expect: u16) {
    use actix_web::ResponseError as _;
    let (method, path) = line.split_once(' ').unwrap();
    let judged = check(&caller(Tenant, Some("acme")), Route::find(method, path), method, path);
    let status = judged.map_or_else(|refused| refused.status_code().as_u16(), |()| 200);
    assert_eq!(status, expect, "{line}");
}

#[test]
fn a_portal_link_reaches_what_is_its_tenants() {
    check_portal("GET /v1/tenants/acme/endpoints", 200);
    check_portal("PATCH /v1/tenants/acme/endpoints/ep_1", 200);
    check_portal("POST /v1/tenants/acme/endpoints/ep_1/secret/rotate", 200);
    check_portal("GET /v1/topics", 200);
    check_portal("GET /v1/topics/acme", 200);

    check_portal("GET /v1/tenants/other/endpoints", 404);
    check_portal("GET /v1/tenants/ACME/endpoints", 404);
    check_portal("GET /v1/tenants/other/deliveries/acme", 404);

    check_portal("GET /v1/tenants/acme", 403);
    check_portal("PATCH /v1/tenants/acme", 403);
    check_portal("GET /v1/tenants/other", 403);
    check_portal("POST /v1/tenants/acme/events", 403);
    check_portal("POST /v1/tenants/acme/portal-links", 403);
    check_portal("PUT /v1/topics/order.paid", 403);
    check_portal("GET /v1/deliveries", 403);
    check_portal("GET /v1/stats", 403);
}

#[test]
fn what_is_no_route_is_closed() {
    for line in [
        "GET /",
        "GET ",
        "GET /v1",
        "GET /v1/tenants//endpoints",
        "GET /v1/tenants/acme/endpoints/",
        "GET /v1/tenants/acme//endpoints",
        "GET //v1/tenants/acme/endpoints",
        "GET /v1/tenants/acme/endpoints/ep_1/other",
        "GET /v2/tenants/acme/endpoints",
        "get /v1/tenants/acme/endpoints",
        "PUT /v1/tenants/acme/endpoints",
        "GET /v1/tenants/{tenant}",
    ] {
        check_portal(line, 403);
    }
    // Whoever may do everything is told by the router that it is not there.
    assert!(check(&caller(Admin, None), None, "GET", "/v1/nothing").is_ok());
    assert!(check(&caller(Operator, None), None, "GET", "/v1/nothing").is_err());
}

#[tokio::test]
async fn a_refusal_says_which_key_would_do() {
    let api = stand().await;
    for (role, tenant, line, refused) in [
        (
            Viewer,
            None,
            "POST /v1/tenants/acme/events",
            "403 forbidden: a key with the role 'viewer' is not for POST /v1/tenants/acme/events: that takes the role admin \
             or publisher",
        ),
        (
            Operator,
            None,
            "POST /v1/keys",
            "403 forbidden: a key with the role 'operator' is not for POST /v1/keys: that takes the role admin",
        ),
        (
            Viewer,
            Some("acme"),
            "GET /v1/deliveries",
            "403 forbidden: a key with the role 'viewer' is not for GET /v1/deliveries: it is bound to the tenant 'acme', and \
             that takes one of all tenants with the role admin, operator or viewer",
        ),
        (
            Publisher,
            None,
            "GET /v1/nothing",
            "403 forbidden: a key with the role 'publisher' is not for GET /v1/nothing: there is no such route",
        ),
    ] {
        let key = key(&api, role, tenant).await;
        let (status, answer) = api.call_as(&key, line, "").await;
        assert_eq!(told(status, &answer), refused);
    }
}
