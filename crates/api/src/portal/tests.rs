use std::{sync::Arc, time::Duration};

use posthaste_model::Tenant;
use posthaste_signing::{EncryptionKey, Sealer};
use posthaste_store::Catalogue as _;
use posthaste_testkit::simulated_clock;
use rand::{SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};
use tokio::time::advance;

use super::*;
use crate::fixture::{Api, NOW, service, told};

const LINKS: &str = "/v1/tenants/acme/portal-links";

/// The tenants `default` and `acme`, each with an endpoint.
async fn stand() -> Api {
    let api = Api::with(simulated_clock(NOW)).await;
    api.store.put_tenant(Tenant::new("acme".parse().unwrap(), NOW)).await.unwrap();
    api.endpoint(json!({})).await;
    api.json("POST /v1/tenants/acme/endpoints", r#"{"url": "https://example.com/"}"#, 201).await;
    api
}

async fn link(api: &Api, body: &str) -> Value {
    api.json(&format!("POST {LINKS}"), body, 201).await
}

/// What somebody with this key is told.
async fn ask(api: &Api, key: &str, line: &str, body: &str) -> String {
    let (status, answer) = api.call_as(key, line, body).await;
    told(status, &answer)
}

#[tokio::test(start_paused = true)]
async fn a_link_reaches_its_own_tenant_and_nothing_else() {
    let api = stand().await;
    let link = link(&api, "").await;
    let token = link["token"].as_str().unwrap();
    assert!(token.starts_with("php_") && token.len() < 120, "{token}");

    let (status, made) =
        api.call_as(token, "POST /v1/tenants/acme/endpoints", r#"{"url": "https://example.com/own"}"#).await;
    assert_eq!((status, &made["tenant"]), (201, &json!("acme")));
    let endpoint = format!("/v1/tenants/acme/endpoints/{}", made["id"].as_str().unwrap());
    for (line, body, expect) in [
        (format!("PATCH {endpoint}"), r#"{"topics": ["order.*"]}"#, 200),
        (format!("POST {endpoint}/pause"), "", 200),
        (format!("GET {endpoint}/secret"), "", 200),
        (format!("GET {endpoint}/stats"), "", 200),
        (format!("POST {endpoint}/resume"), "", 200),
        (format!("POST {endpoint}/recover"), r#"{"since": "1h"}"#, 202),
        (format!("HEAD {endpoint}"), "", 200),
        ("GET /v1/tenants/acme/deliveries?failed=true".to_owned(), "", 200),
        ("GET /v1/tenants/acme/events".to_owned(), "", 200),
        ("GET /v1/topics/order.paid".to_owned(), "", 200),
        (format!("DELETE {endpoint}"), "", 204),
    ] {
        let (status, answer) = api.call_as(token, &line, body).await;
        assert_eq!(status, expect, "{line}: {answer}");
    }

    let event = r#"{"topic": "order.paid", "data": 1}"#;
    for (line, body, refused) in [
        (
            "POST /v1/tenants/acme/events",
            event,
            "403 forbidden: a portal link is not for POST /v1/tenants/acme/events",
        ),
        ("PATCH /v1/tenants/acme", r#"{"name": "Mine"}"#, "403 forbidden: a portal link is not for PATCH"),
        ("POST /v1/tenants/acme/portal-links", "", "403 forbidden: a portal link is not for POST"),
        ("POST /v1/tenants/acme/replays", r#"{"filter": {}}"#, "403 forbidden: "),
        ("GET /v1/tenants", "", "403 forbidden: "),
        ("GET /v1/deliveries", "", "403 forbidden: "),
        ("GET /v1/nothing", "", "403 forbidden: "),
        ("GET /v1/tenants/default/endpoints", "", "404 not-found: no such tenant"),
        ("GET /v1/tenants/nobody/endpoints", "", "404 not-found: no such tenant"),
    ] {
        let told = ask(&api, token, line, body).await;
        assert!(told.starts_with(refused), "{line}: {told}");
    }
}

/// However a path is spelled, it is judged as the router reads it.
#[tokio::test(start_paused = true)]
async fn another_spelling_of_a_path_opens_nothing() {
    let api = stand().await;
    let link = link(&api, "").await;
    let token = link["token"].as_str().unwrap();
    for (line, refused) in [
        ("GET /v1/tenants/%64efault/endpoints", "404 not-found: no such tenant"),
        ("GET /v1/tenants/default/%65ndpoints", "404 not-found: no such tenant"),
        ("GET /v1/tenants/acme%2F..%2Fdefault/endpoints", "404 not-found: no such tenant"),
        ("GET /v1/tenants/acme/../default/endpoints", "403 forbidden: "),
        ("GET /v1/tenants/acme/endpoints/", "403 forbidden: "),
        ("GET /v1/%74enants", "403 forbidden: "),
        ("POST /v1/tenants/acme/%65vents", "403 forbidden: "),
    ] {
        let told = ask(&api, token, line, "").await;
        assert!(told.starts_with(refused), "{line}: {told}");
    }
    let (status, own) = api.call_as(token, "GET /v1/tenants/%61cme/%65ndpoints", "").await;
    assert_eq!((status, &own["data"][0]["tenant"]), (200, &json!("acme")));
}

#[tokio::test(start_paused = true)]
async fn a_link_is_good_until_its_time_is_over() {
    for (body, secs, until) in [
        ("", 3_600, "1970-01-01T01:00:00Z"),
        ("{}", 3_600, "1970-01-01T01:00:00Z"),
        (r#"{"ttl": "1m"}"#, 60, "1970-01-01T00:01:00Z"),
        (r#"{"ttl": "24h"}"#, 24 * 3_600, "1970-01-02T00:00:00Z"),
    ] {
        let api = stand().await;
        let link = link(&api, body).await;
        assert_eq!(link["expires_at"], until);
        let token = link["token"].as_str().unwrap();
        advance(Duration::from_secs(secs) - Duration::from_millis(1)).await;
        assert_eq!(api.call_as(token, "GET /v1/topics", "").await.0, 200);
        advance(Duration::from_millis(1)).await;
        let told = ask(&api, token, "GET /v1/topics", "").await;
        assert_eq!(told, "401 unauthorized header authorization: the portal link has expired");
    }
}

#[tokio::test(start_paused = true)]
async fn a_link_does_not_outlive_its_tenant() {
    let api = stand().await;
    let before = link(&api, "").await;
    let before = before["token"].as_str().unwrap();
    let deleted = "401 unauthorized header authorization: the tenant of the portal link was deleted";
    advance(Duration::from_secs(1)).await;
    api.json("PATCH /v1/tenants/acme", r#"{"name": "Acme"}"#, 200).await;
    assert_eq!(api.call_as(before, "GET /v1/topics", "").await.0, 200, "it was only changed");
    api.json("DELETE /v1/tenants/acme", "", 204).await;
    assert_eq!(ask(&api, before, "GET /v1/topics", "").await, deleted);
    // Another one with the same id.
    api.json("PUT /v1/tenants/acme", "{}", 201).await;
    for path in ["/v1/topics", "/v1/key", "/v1/tenants/acme/endpoints"] {
        assert_eq!(ask(&api, before, &format!("GET {path}"), "").await, deleted, "{path}");
    }
    let after = link(&api, "").await;
    let after = after["token"].as_str().unwrap();
    assert_eq!(api.call_as(after, "GET /v1/topics", "").await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn what_was_not_made_here_is_no_key() {
    let api = stand().await;
    let key = EncryptionKey::generate(&mut StdRng::seed_from_u64(2));
    let sealer = Arc::new(Sealer::new(key));
    let other = Service { sealer, ..service(&api.store).await };
    let link = link(&api, "").await;
    let token = link["token"].as_str().unwrap();
    let later = NOW + Duration::from_secs(3_600);
    let token_of_acme =
        Token { expires_at: later, made_at: 0, tenant: "acme".parse().unwrap(), made_by: None };
    let foreign = make(&other, &token_of_acme).unwrap();
    // Sealed by the same service, but for something else.
    let sealed =
        api.service.entropy.with(|rng| api.service.sealer.seal(b"3600000 0 acme", b"endpoint:ep_1", rng));
    let secret = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(sealed.unwrap()));
    let mut changed = token.to_owned();
    let last = if changed.pop() == Some('A') { 'E' } else { 'A' };
    changed.push(last);
    for key in
        ["php_", "php_AAAA", "php_!", &foreign, &secret, &changed, &token[4..], &token[..token.len() - 4]]
    {
        let told = ask(&api, key, "GET /v1/topics", "").await;
        assert_eq!(told, "401 unauthorized header authorization: the key is not valid", "{key}");
    }
    let caller = open(&api.service, token).await.unwrap();
    assert_eq!((caller.role, caller.tenant.unwrap().as_str()), (Role::Tenant, "acme"));
}

#[tokio::test(start_paused = true)]
async fn a_link_that_cannot_be_is_refused() {
    let api = stand().await;
    for (body, refused) in [
        (r#"{"ttl": "59s"}"#, "422 invalid-field pointer /ttl: must lie between 1m and 24h"),
        (r#"{"ttl": "24h 1s"}"#, "422 invalid-field pointer /ttl: must lie between 1m and 24h"),
        (r#"{"ttl": 60}"#, "422 invalid-field pointer /ttl: "),
        (r#"{"ttl": "soon"}"#, "422 invalid-field pointer /ttl: not a length of time"),
        (r#"{"tenant": "default"}"#, "422 invalid-field pointer /tenant: unknown field"),
        ("{", "400 malformed-json: "),
    ] {
        api.refuses(&format!("POST {LINKS}"), body, refused).await;
    }
    api.refuses("POST /v1/tenants/nobody/portal-links", "", "404 not-found: no such tenant").await;
}
