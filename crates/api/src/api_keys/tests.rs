use std::time::Duration;

use posthaste_model::Tenant;
use posthaste_store::{Catalogue as _, Keys as _, Page};
use posthaste_testkit::simulated_clock;
use serde_json::{Value, json};
use tokio::time::advance;

use super::*;
use crate::fixture::{Api, NOW, told};

const REFUSED: &str = "401 unauthorized header authorization: ";

/// A service whose time goes on, with the tenants `default` and `acme`.
async fn stand() -> Api {
    let api = Api::with(simulated_clock(NOW)).await;
    api.store.put_tenant(Tenant::new("acme".parse().unwrap(), NOW)).await.unwrap();
    api
}

async fn make(api: &Api, body: Value) -> Value {
    api.json("POST /v1/keys", &body.to_string(), 201).await
}

fn secret_of(made: &Value) -> &str {
    made["secret"].as_str().unwrap()
}

/// What somebody with this key is told when they ask for topics.
async fn ask(api: &Api, key: &str) -> String {
    let (status, answer) = api.call_as(key, "GET /v1/topics", "").await;
    if status == 200 { "200".to_owned() } else { told(status, &answer) }
}

#[tokio::test(start_paused = true)]
async fn a_key_is_made_and_its_secret_is_shown_once() {
    let api = stand().await;
    let expires_at = "1970-01-01T01:00:00Z";
    let body = json!({"name": "On-call", "role": "operator", "tenant": "acme", "expires_at": expires_at});
    let made = make(&api, body).await;
    let (id, secret) = (made["id"].as_str().unwrap(), secret_of(&made));
    assert!(id.starts_with("key_"), "{made}");
    let random = URL_SAFE_NO_PAD.decode(secret.strip_prefix("phk_").unwrap()).unwrap();
    assert_eq!(random.len(), 32);
    let shown = json!({
        "id": id, "name": "On-call", "role": "operator", "tenant": "acme", "created_at": "1970-01-01T00:00:00Z",
        "expires_at": expires_at
    });
    let bare = make(&api, json!({"role": "publisher"})).await;
    assert_eq!(
        (&bare["name"], &bare["tenant"], &bare["expires_at"]),
        (&json!(""), &Value::Null, &Value::Null)
    );
    assert_ne!(secret_of(&bare), secret);

    let listed = api.json("GET /v1/keys", "", 200).await;
    assert_eq!(listed["data"][1], shown);
    assert_eq!(listed["data"][0]["id"], bare["id"]);
    assert!(!listed.to_string().contains("phk_"), "{listed}");
    let page = api.json("GET /v1/keys?limit=1", "", 200).await;
    let next = format!("GET /v1/keys?limit=1&cursor={}", page["next"].as_str().unwrap());
    assert_eq!(api.json(&next, "", 200).await["data"][0], shown);
    let known = api.store.key(&key_digest(secret)).await.unwrap().unwrap();
    assert_eq!(known.id.to_string(), id, "what is kept is the digest");
}

const NO_TIME: &str = "422 invalid-field pointer /expires_at: not a time: expected one such as";
const UNPLAIN: &str = "422 invalid-field pointer /name: must have no control characters, nor such as turn";

#[tokio::test(start_paused = true)]
async fn a_key_that_cannot_be_is_refused() {
    let api = stand().await;
    let long = json!({"name": "x".repeat(201), "role": "viewer"}).to_string();
    for (body, refused) in [
        ("{}", "422 invalid-field pointer /role: missing field"),
        (
            r#"{"role": "owner"}"#,
            "422 invalid-field pointer /role: must be one of admin, operator, publisher, viewer, tenant",
        ),
        (
            r#"{"role": "tenant"}"#,
            "422 invalid-field pointer /tenant: a key with the role 'tenant' needs its",
        ),
        (
            r#"{"role": "admin", "tenant": "acme"}"#,
            "422 invalid-field pointer /tenant: a key with the role 'admin'",
        ),
        (r#"{"role": "viewer", "tenant": "nobody"}"#, "422 invalid-field pointer /tenant: no such tenant"),
        (r#"{"role": "viewer", "tenant": "a b"}"#, "422 invalid-field pointer /tenant: "),
        (
            r#"{"role": "viewer", "expires_at": "1970-01-01T00:00:00Z"}"#,
            "422 invalid-field pointer /expires_at: must lie in the future",
        ),
        (r#"{"role": "viewer", "expires_at": "1h"}"#, NO_TIME),
        (r#"{"role": "viewer", "expires_at": "9999-12-31T23:59:59Z"}"#, NO_TIME),
        (r#"{"role": "viewer", "expires_at": 5}"#, "422 invalid-field pointer /expires_at: invalid type"),
        (r#"{"role": "viewer", "name": "a\nb"}"#, UNPLAIN),
        (r#"{"role": "viewer", "name": "\u007f"}"#, UNPLAIN),
        (r#"{"role": "viewer", "name": "\u202eadmin"}"#, UNPLAIN),
        (r#"{"role": "viewer", "name": "a\u2066"}"#, UNPLAIN),
        (r#"{"role": "viewer", "name": "a\u200f"}"#, UNPLAIN),
        (&long, "422 invalid-field pointer /name: "),
        (r#"{"role": "viewer", "secret": "x"}"#, "422 invalid-field pointer /secret: unknown field"),
        ("{", "400 malformed-json: "),
    ] {
        api.refuses("POST /v1/keys", body, refused).await;
    }
    assert!(api.store.keys(Page::first(1)).await.unwrap().rows.is_empty(), "nothing was written");
    api.refuses("DELETE /v1/keys/key_1", "", "400 invalid-parameter parameter key: ").await;
    let nothing = "DELETE /v1/keys/key_00000000000000000000000000000000";
    api.refuses(nothing, "", "404 not-found: no such key").await;
}

#[tokio::test(start_paused = true)]
async fn a_key_is_good_until_its_time_is_over() {
    let api = stand().await;
    let made = make(&api, json!({"role": "viewer", "expires_at": "1970-01-01T00:01:00Z"})).await;
    advance(Duration::from_millis(59_999)).await;
    assert_eq!(ask(&api, secret_of(&made)).await, "200");
    // It is remembered, and its time is looked at all the same.
    advance(Duration::from_millis(1)).await;
    assert_eq!(ask(&api, secret_of(&made)).await, format!("{REFUSED}the key has expired"));
}

#[tokio::test(start_paused = true)]
async fn a_deleted_key_opens_nothing() {
    let api = stand().await;
    let [here, elsewhere] =
        [make(&api, json!({"role": "viewer"})).await, make(&api, json!({"role": "viewer"})).await];
    for made in [&here, &elsewhere] {
        assert_eq!(ask(&api, secret_of(made)).await, "200");
    }
    api.json(&format!("DELETE /v1/keys/{}", here["id"].as_str().unwrap()), "", 204).await;
    assert_eq!(ask(&api, secret_of(&here)).await, format!("{REFUSED}the key is not valid"));
    // What another process deletes is noticed within a second.
    assert_eq!(ask(&api, secret_of(&elsewhere)).await, "200");
    api.store.delete_key(elsewhere["id"].as_str().unwrap().parse().unwrap()).await.unwrap();
    advance(Duration::from_secs(1)).await;
    assert_eq!(ask(&api, secret_of(&elsewhere)).await, format!("{REFUSED}the key is not valid"));
}

#[tokio::test(start_paused = true)]
async fn a_key_does_not_outlive_its_tenant() {
    let api = stand().await;
    let made = make(&api, json!({"role": "operator", "tenant": "acme"})).await;
    let deleted = format!("{REFUSED}the tenant of the key was deleted");
    advance(Duration::from_millis(1)).await;
    api.json("PATCH /v1/tenants/acme", r#"{"name": "Acme"}"#, 200).await;
    assert_eq!(ask(&api, secret_of(&made)).await, "200", "it was only changed");
    api.json("DELETE /v1/tenants/acme", "", 204).await;
    assert_eq!(ask(&api, secret_of(&made)).await, deleted);
    // Another one with the same id.
    api.json("PUT /v1/tenants/acme", "{}", 201).await;
    for path in ["/v1/topics", "/v1/key", "/v1/tenants/acme/endpoints"] {
        let (status, answer) = api.call_as(secret_of(&made), &format!("GET {path}"), "").await;
        assert_eq!(told(status, &answer), deleted, "{path}");
    }
    let after = make(&api, json!({"role": "operator", "tenant": "acme"})).await;
    assert_eq!(ask(&api, secret_of(&after)).await, "200");
}

/// A process whose clock is behind makes a key for a tenant that another one has made just now.
#[tokio::test(start_paused = true)]
async fn a_key_may_seem_older_than_its_tenant() {
    let api = stand().await;
    let ahead = NOW + Duration::from_secs(5);
    api.store.put_tenant(Tenant::new("globex".parse().unwrap(), ahead)).await.unwrap();
    let made = make(&api, json!({"role": "operator", "tenant": "globex"})).await;
    assert_eq!(made["created_at"], "1970-01-01T00:00:00Z");
    assert_eq!(ask(&api, secret_of(&made)).await, "200");
}

/// Whatever the clock of the process says that puts it.
#[tokio::test(start_paused = true)]
async fn another_tenant_under_the_same_id_is_not_opened() {
    for put in [NOW - Duration::from_secs(3_600), NOW + Duration::from_secs(3_600)] {
        let api = stand().await;
        let made = make(&api, json!({"role": "operator", "tenant": "acme"})).await;
        let acme = "acme".parse().unwrap();
        api.store.delete_tenant(&acme, NOW).await.unwrap();
        api.store.put_tenant(Tenant::new(acme, put)).await.unwrap();
        let refused = format!("{REFUSED}the tenant of the key was deleted");
        assert_eq!(ask(&api, secret_of(&made)).await, refused, "{put}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_can_be_no_key_is_not_looked_for() {
    let api = stand().await;
    let made = make(&api, json!({"role": "viewer"})).await;
    let secret = secret_of(&made);
    let before = api.store.looked_up();
    for wrong in [&secret[..46], &format!("{secret}A"), "phk_", &format!("phk_{}", "!".repeat(43))] {
        assert_eq!(ask(&api, wrong).await, format!("{REFUSED}the key is not valid"), "{wrong}");
    }
    assert_eq!(api.store.looked_up(), before);
    let unknown = format!("phk_{}", "A".repeat(43));
    assert_eq!(ask(&api, &unknown).await, format!("{REFUSED}the key is not valid"));
    assert_eq!(api.store.looked_up(), before + 1);
}

#[tokio::test(start_paused = true)]
async fn the_store_is_asked_once_a_second() {
    let api = stand().await;
    let made = make(&api, json!({"role": "publisher", "tenant": "acme"})).await;
    let publish = async |number: u32| {
        let event = format!(r#"{{"topic": "order.paid", "data": {number}}}"#);
        let (status, answer) = api.call_as(secret_of(&made), "POST /v1/tenants/acme/events", &event).await;
        assert_eq!(status, 202, "{answer}");
    };
    let before = api.store.looked_up();
    for number in 0..10 {
        publish(number).await;
    }
    assert_eq!(api.store.looked_up() - before, 2, "the key and its tenant");
    advance(Duration::from_millis(999)).await;
    publish(10).await;
    assert_eq!(api.store.looked_up() - before, 2);
    advance(Duration::from_millis(1)).await;
    publish(11).await;
    assert_eq!(api.store.looked_up() - before, 4);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_cannot_be_looked_up_is_not_called_wrong() {
    let api = stand().await;
    let made = make(&api, json!({"role": "viewer"})).await;
    api.store.away(true);
    let told = ask(&api, secret_of(&made)).await;
    let untold =
        "503 unavailable: the store is unavailable: whether the key is good cannot be told; try again";
    assert_eq!(told, untold);
    assert_eq!(ask(&api, "wrong").await, format!("{REFUSED}the key is not valid"));
    api.store.away(false);
    assert_eq!(ask(&api, secret_of(&made)).await, "200");
}
