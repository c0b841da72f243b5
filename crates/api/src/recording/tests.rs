use posthaste_model::{AuditEntry, AuditOutcome, Tenant, TenantId};
use posthaste_store::{Audit as _, Catalogue as _, Page};
use serde_json::{Value, json};

use crate::fixture::{Api, DELIVERIES, ENDPOINTS, EVENTS, NOW, ticking_clock};

/// What is on record: `action subject [fields]`, oldest first.
async fn recorded(api: &Api) -> Vec<String> {
    let page = api.store.audit(None, Page::first(100)).await.unwrap();
    let line = |entry: &AuditEntry| {
        let fields = entry.fields.join(",");
        let fields = if fields.is_empty() { fields } else { format!(" {fields}") };
        format!("{} {}{fields}", entry.action, entry.subject)
    };
    page.rows.iter().rev().map(line).collect()
}

fn id(answer: &Value) -> &str {
    answer["id"].as_str().unwrap()
}

#[tokio::test]
async fn what_changes_something_is_recorded() {
    let api = Api::with(ticking_clock()).await;
    api.json("PUT /v1/tenants/acme", r#"{"name": "Acme"}"#, 201).await;
    api.json("PUT /v1/topics/order.sent", r#"{"archived": true, "description": "x"}"#, 201).await;
    let endpoint = api.endpoint(json!({"description": "a secret"})).await;
    let endpoint = format!("{ENDPOINTS}/{}", id(&endpoint));
    api.json(&format!("PATCH {endpoint}"), r#"{"timeout": "5s", "filter": {"data.a": 1}}"#, 200).await;
    api.json(&format!("POST {endpoint}/pause"), "", 200).await;
    api.json(&format!("POST {endpoint}/secret/rotate"), r#"{"overlap": "1h"}"#, 200).await;
    api.json(&format!("GET {endpoint}/secret"), "", 200).await;
    let link = api.json("POST /v1/tenants/acme/portal-links", r#"{"ttl": "5m"}"#, 201).await;
    let key = api.json("POST /v1/keys", r#"{"role": "viewer"}"#, 201).await;
    api.json(&format!("DELETE /v1/keys/{}", id(&key)), "", 204).await;
    // The path is written as the router reads it.
    api.json("DELETE /v1/tenants/%61cme", "", 204).await;
    assert!(link["token"].is_string());
    assert_eq!(
        recorded(&api).await,
        [
            "put_tenant /v1/tenants/acme name",
            "put_topic /v1/topics/order.sent archived,description",
            &format!("create_endpoint {endpoint} description,url"),
            &format!("patch_endpoint {endpoint} filter,timeout"),
            &format!("pause_endpoint {endpoint}/pause"),
            &format!("rotate_secret {endpoint}/secret/rotate overlap"),
            &format!("get_secret {endpoint}/secret"),
            "create_portal_link /v1/tenants/acme/portal-links ttl",
            &format!("create_key /v1/keys/{} role", id(&key)),
            &format!("delete_key /v1/keys/{}", id(&key)),
            "delete_tenant /v1/tenants/acme",
        ]
    );
}

#[tokio::test]
async fn what_is_done_with_deliveries_is_recorded() {
    let api = Api::with(ticking_clock()).await;
    let endpoint = api.endpoint(json!({})).await;
    let other = api.endpoint(json!({"topics": ["refund"]})).await;
    api.json(&format!("POST {EVENTS}"), r#"{"topic": "order.paid", "data": 1, "id": "e1"}"#, 202).await;
    let listed = api.json(&format!("GET {DELIVERIES}"), "", 200).await;
    let delivery = format!("{DELIVERIES}/{}", id(&listed["data"][0]));
    let before = recorded(&api).await.len();
    api.json(&format!("POST {delivery}/retry"), r#"{"force": true}"#, 202).await;
    api.json(&format!("POST {delivery}/cancel"), "", 200).await;
    api.json(&format!("POST {delivery}/replay"), "", 200).await;
    let to = json!({"endpoint": id(&other)}).to_string();
    let sent = api.json(&format!("POST {EVENTS}/e1/send"), &to, 201).await;
    let recovery = format!("POST {ENDPOINTS}/{}/recover", id(&endpoint));
    let recovered = api.json(&recovery, r#"{"since": "1h"}"#, 202).await;
    let replay = api.json("POST /v1/tenants/default/replays", r#"{"filter": {}}"#, 202).await;
    let replays = "/v1/tenants/default/replays";
    assert_eq!(
        recorded(&api).await[before..],
        [
            format!("retry_delivery {delivery}/retry force"),
            format!("cancel_delivery {delivery}/cancel"),
            format!("replay_delivery {delivery}/replay"),
            format!("send_event {DELIVERIES}/{} endpoint", id(&sent)),
            format!("recover_endpoint {replays}/{} since", id(&recovered)),
            format!("create_replay {replays}/{} filter", id(&replay)),
        ]
    );
}

#[tokio::test]
async fn what_changes_nothing_is_not_recorded() {
    let api = Api::with(ticking_clock()).await;
    let endpoint = format!("{ENDPOINTS}/{}", id(&api.endpoint(json!({})).await));
    let before = recorded(&api).await;
    let event = r#"{"topic": "order.paid", "data": 1, "id": "e1"}"#;
    let dry = r#"{"filter": {}, "dry_run": true}"#;
    for (line, body, status) in [
        (format!("POST {EVENTS}"), event, 202),
        ("POST /v1/tenants/default/match".into(), r#"{"topic": "order.paid", "data": 1}"#, 200),
        ("POST /v1/tenants/default/replays".into(), dry, 200),
        (format!("POST {endpoint}/recover"), r#"{"since": "1h", "dry_run": true}"#, 200),
        (format!("GET {endpoint}"), "", 200),
        ("GET /v1/keys".into(), "", 200),
        ("GET /v1/audit".into(), "", 200),
        // Refused.
        (format!("PATCH {endpoint}"), r#"{"colour": "blue"}"#, 422),
        (format!("POST {endpoint}/pause"), "{", 400),
        (format!("GET {ENDPOINTS}/ep_00000000000000000000000000000000/secret"), "", 404),
        ("PUT /v1/nothing".into(), "{}", 404),
        ("PUT /v1/tenants/default/endpoints".into(), "{}", 405),
    ] {
        api.json(&line, body, status).await;
    }
    let publisher = api.json("POST /v1/keys", r#"{"role": "publisher"}"#, 201).await;
    let (status, _) =
        api.call_as(publisher["secret"].as_str().unwrap(), &format!("GET {endpoint}/secret"), "").await;
    assert_eq!(status, 403);
    assert_eq!(recorded(&api).await.len(), before.len() + 1, "only the key");
}

#[tokio::test]
async fn it_is_recorded_by_whom() {
    let api = Api::with(ticking_clock()).await;
    api.store.put_tenant(Tenant::new("acme".parse().unwrap(), NOW)).await.unwrap();
    let link = api.json("POST /v1/tenants/acme/portal-links", "", 201).await;
    let key = api.json("POST /v1/keys", r#"{"role": "operator", "name": "On-call"}"#, 201).await;
    let made = api.json("POST /v1/tenants/acme/endpoints", r#"{"url": "https://example.com/"}"#, 201).await;
    let endpoint = format!("POST /v1/tenants/acme/endpoints/{}", id(&made));
    for (secret, what) in [(&key["secret"], "pause"), (&link["token"], "resume")] {
        assert_eq!(api.call_as(secret.as_str().unwrap(), &format!("{endpoint}/{what}"), "").await.0, 200);
    }
    let audit = api.json("GET /v1/audit?tenant=acme", "", 200).await;
    let by: Vec<_> =
        audit["data"].as_array().unwrap().iter().map(|entry| (&entry["action"], &entry["by"])).collect();
    let admin = json!({"kind": "admin_key"});
    assert_eq!(
        by,
        [
            (&json!("resume_endpoint"), &json!({"kind": "portal_link", "tenant": "acme", "made_by": null})),
            (
                &json!("pause_endpoint"),
                &json!({"kind": "api_key", "id": key["id"], "name": "On-call", "role": "operator"})
            ),
            (&json!("create_endpoint"), &admin),
            (&json!("create_portal_link"), &admin),
        ]
    );
    for entry in audit["data"].as_array().unwrap() {
        assert_eq!((&entry["address"], &entry["tenant"]), (&json!("192.0.2.7"), &json!("acme")));
    }
}

/// Whoever has a link could fill the audit with what is nothing.
#[tokio::test]
async fn what_is_so_already_is_not_recorded() {
    let api = Api::with(ticking_clock()).await;
    let made = api.endpoint(json!({"headers": {"X-Key": {"secret": "hush"}}})).await;
    let endpoint = format!("{ENDPOINTS}/{}", id(&made));
    let other = format!("{ENDPOINTS}/{}", id(&api.endpoint(json!({})).await));
    api.json(&format!("POST {EVENTS}"), r#"{"topic": "order.paid", "data": 1, "id": "e1"}"#, 202).await;
    let replay = api.json("POST /v1/tenants/default/replays", r#"{"filter": {}}"#, 202).await;
    let cancel = format!("POST /v1/tenants/default/replays/{}/cancel", id(&replay));
    let send = json!({"endpoint": id(&made)}).to_string();
    let patch = format!("PATCH {endpoint}");
    let same = r#"{"url": "https://example.com/hooks", "headers": {"X-Key": {"secret": "hush"}}}"#;
    api.json(&cancel, "", 200).await;
    api.json(&format!("POST {other}/pause"), "", 200).await;
    let before = recorded(&api).await;
    for (line, body) in [
        (format!("POST {endpoint}/enable"), ""),
        (format!("POST {endpoint}/resume"), ""),
        (format!("POST {other}/pause"), ""),
        (patch.clone(), "{}"),
        (patch, same),
        ("PATCH /v1/tenants/default".into(), "{}"),
        (format!("POST {EVENTS}/e1/send"), send.as_str()),
        (cancel, ""),
    ] {
        for _ in 0..2 {
            api.json(&line, body, 200).await;
        }
    }
    assert_eq!(recorded(&api).await, before);
    api.json(&format!("POST {other}/disable"), "", 200).await;
    let before = recorded(&api).await;
    api.json(&format!("POST {other}/disable"), "", 200).await;
    assert_eq!(recorded(&api).await, before);
    // A reason is something.
    api.json(&format!("POST {other}/disable"), r#"{"reason": "they left"}"#, 200).await;
    assert_eq!(recorded(&api).await.len(), before.len() + 1);
}

/// What is told of the last thing that was done.
async fn last(api: &Api) -> AuditEntry {
    api.store.audit(None, Page::first(1)).await.unwrap().rows.remove(0)
}

#[tokio::test]
async fn it_is_told_which_key_was_made_or_deleted() {
    let api = Api::with(ticking_clock()).await;
    let ends = "2100-01-01T00:00:00Z";
    for (body, tenant, detail) in [
        (json!({"role": "viewer"}), None, "viewer".to_owned()),
        (json!({"role": "admin", "name": "a \"b\""}), None, r#"admin "a \"b\"""#.to_owned()),
        (
            json!({"role": "operator", "name": "ann", "tenant": "default", "expires_at": ends}),
            Some("default"),
            format!(r#"operator "ann", of tenant default, until {ends}"#),
        ),
    ] {
        let made = api.json("POST /v1/keys", &body.to_string(), 201).await;
        let told = last(&api).await;
        let tenant = tenant.map(|id| id.parse::<TenantId>().unwrap());
        assert_eq!((told.detail.as_deref(), &told.tenant), (Some(detail.as_str()), &tenant));
        let key = format!("/v1/keys/{}", id(&made));
        api.json(&format!("DELETE {key}"), "", 204).await;
        let told = last(&api).await;
        assert_eq!((told.action.as_str(), &told.subject), ("delete_key", &key));
        assert_eq!((told.detail.as_deref(), &told.tenant), (Some(detail.as_str()), &tenant));
    }
}

/// Who makes a link is answerable for what is done with it.
#[tokio::test]
async fn a_link_tells_which_key_it_was_made_with() {
    let api = Api::new().await;
    let ends = "1970-01-01T00:10:00Z";
    let body = json!({"role": "operator", "expires_at": ends}).to_string();
    let key = api.json("POST /v1/keys", &body, 201).await;
    let make = "POST /v1/tenants/default/portal-links";
    let (status, link) = api.call_as(key["secret"].as_str().unwrap(), make, r#"{"ttl": "24h"}"#).await;
    assert_eq!((status, &link["expires_at"]), (201, &json!(ends)), "no later than its key");
    assert_eq!(last(&api).await.detail.unwrap(), format!("until {ends}"));
    let endpoint = r#"{"url": "https://example.com/"}"#;
    let (status, _) =
        api.call_as(link["token"].as_str().unwrap(), &format!("POST {ENDPOINTS}"), endpoint).await;
    assert_eq!(status, 201);
    let audit = api.json("GET /v1/audit", "", 200).await;
    let entries = audit["data"].as_array().unwrap();
    let by = &entries.iter().find(|entry| entry["action"] == "create_endpoint").unwrap()["by"];
    assert_eq!(*by, json!({"kind": "portal_link", "tenant": "default", "made_by": key["id"]}));
}

/// What was done is done: that it cannot be recorded is a matter for the log.
#[tokio::test]
async fn what_cannot_be_recorded_is_answered_all_the_same() {
    let api = Api::with(ticking_clock()).await;
    let endpoint = format!("{ENDPOINTS}/{}", id(&api.endpoint(json!({})).await));
    let before = recorded(&api).await;
    api.store.away(true);
    assert_eq!(api.json(&format!("POST {endpoint}/pause"), "", 200).await["state"], "paused");
    assert_eq!(api.store.refused(), 1);
    api.store.away(false);
    assert_eq!(recorded(&api).await, before);
}

/// Else secrets could be read in secret.
#[tokio::test]
async fn nothing_is_shown_that_cannot_be_recorded() {
    let api = Api::with(ticking_clock()).await;
    let endpoint = format!("{ENDPOINTS}/{}", id(&api.endpoint(json!({})).await));
    let lines = [format!("GET {endpoint}/secret"), "POST /v1/tenants/default/portal-links".to_owned()];
    for line in &lines {
        api.store.away(true);
        api.refuses(line, "", "503 unavailable: it could not be recorded who asks, so nothing is shown")
            .await;
        api.store.away(false);
        let before = recorded(&api).await.len();
        assert!([200, 201].contains(&api.call(line, "", "").await.0));
        assert_eq!(recorded(&api).await.len(), before + 1);
    }
    let before = recorded(&api).await;
    api.json(&lines[0].replace("GET", "HEAD"), "", 200).await;
    assert_eq!(recorded(&api).await[before.len()..], [format!("get_secret {endpoint}/secret")]);
}

#[tokio::test]
async fn what_may_have_been_done_is_recorded() {
    let api = Api::with(ticking_clock()).await;
    api.endpoint(json!({})).await;
    api.json(&format!("POST {EVENTS}"), r#"{"topic": "order.paid", "data": 1, "id": "e1"}"#, 202).await;
    let listed = api.json(&format!("GET {DELIVERIES}"), "", 200).await;
    let retry = format!("{DELIVERIES}/{}/retry", id(&listed["data"][0]));
    api.store.loses_answers(true);
    api.json(&format!("POST {retry}"), "", 503).await;
    let told = last(&api).await;
    assert_eq!((&told.subject, told.outcome), (&retry, AuditOutcome::Unknown));
    api.store.loses_answers(false);
    api.json(&format!("POST {retry}"), "", 202).await;
    assert_eq!(last(&api).await.outcome, AuditOutcome::Done);
}
