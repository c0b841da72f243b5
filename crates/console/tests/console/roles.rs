use serde_json::{Value, json};

use crate::stage::{Stage, list};

pub(crate) const ENDPOINT: &str = "/tenants/acme/endpoints/ep_00000000000000000000000000000001";

/// An endpoint as the API shows it, but for what is different.
pub(crate) fn endpoint(different: Value) -> Value {
    let mut endpoint = json!({
        "id": "ep_00000000000000000000000000000001", "tenant": "acme", "url": "https://example.com/hook",
        "topics": ["*"], "filter": null, "description": "", "metadata": {}, "timeout": null, "retry": null,
        "max_in_flight": null, "rate_limit": null, "ordered": false, "signature": {"profile": "standard"},
        "format": "standard", "method": "POST", "headers": {}, "metadata_headers": false, "auth": null,
        "tls": null, "handshake": null, "state": "enabled", "state_reason": null, "parked_until": null,
        "health": {"failing_since": null, "failures": 0, "exhausted": 0, "warned": 0},
        "created_at": "2026-11-20T10:00:00Z", "updated_at": "2026-11-20T10:00:00Z",
    });
    let Value::Object(different) = different else { panic!("an object is different") };
    endpoint.as_object_mut().unwrap().extend(different);
    endpoint
}

/// Figures of a time in which nothing happened.
pub(crate) fn quiet() -> Value {
    let counts = json!({
        "events": 0, "unmatched": 0, "deliveries": 0, "attempts": 0, "failed": 0, "retried": 0, "delivered": 0,
        "exhausted": 0, "queue_ms": null, "receiver_ms": null,
    });
    json!({
        "since": "2026-11-21T09:00:00Z", "until": "2026-11-21T10:00:00Z", "bucket": "1m", "data": [],
        "total": counts, "backlog": {"open": 0, "more": false, "in_flight": 0, "oldest_due": null},
    })
}

/// Something of everything that buttons stand on.
pub(crate) async fn furnished() -> Stage {
    let stage = Stage::new().await;
    let tenant = json!({
        "id": "acme", "name": "Acme", "signature": null,
        "created_at": "2026-11-20T10:00:00Z", "updated_at": "2026-11-20T10:00:00Z",
    });
    let topic = json!({
        "name": "order.paid", "description": "", "example": null, "schema": null, "archived": false,
        "created_at": "2026-11-20T10:00:00Z", "updated_at": "2026-11-20T10:00:00Z",
    });
    stage.set("GET /v1/tenants", 200, list(std::slice::from_ref(&tenant)));
    stage.set("GET /v1/tenants/acme", 200, tenant);
    stage.set("GET /v1/tenants/acme/stats", 200, quiet());
    stage.set("GET /v1/tenants/acme/endpoints", 200, list(&[endpoint(json!({}))]));
    stage.set(&format!("GET /v1{ENDPOINT}"), 200, endpoint(json!({})));
    stage.set(&format!("GET /v1{ENDPOINT}/stats"), 200, quiet());
    stage.set("GET /v1/tenants/acme/deliveries", 200, list(&[]));
    stage.set("GET /v1/topics", 200, list(&[topic]));
    stage.set("GET /v1/keys", 200, list(&[]));
    stage.set("GET /v1/audit", 200, list(&[]));
    stage
}

/// The names of what can be pressed on a page that changes something.
fn buttons(page: &str) -> Vec<&str> {
    let buttons = page.split("<button").skip(1).filter_map(|button| button.split_once('>'));
    let named = buttons.filter_map(|(_, after)| after.split('<').next());
    named.filter(|name| !["Theme", "Sign out", "Search", "Show", "Go"].contains(name)).collect()
}

#[tokio::test]
async fn a_viewer_sees_nothing_that_changes_something() {
    let stage = furnished().await;
    let viewer = stage.visitor("viewer").await;
    for path in ["/endpoints?tenant=acme", ENDPOINT, "/tenants", "/tenants/acme", "/topics"] {
        let page = viewer.get(&format!("/console{path}")).await;
        assert_eq!(page.status, 200, "{path}");
        assert_eq!(buttons(&page.text), Vec::<&str>::new(), "{path}");
        page.keeps_quiet_about("/endpoints/new");
        page.keeps_quiet_about("/edit");
        page.keeps_quiet_about("/console/keys");
        page.keeps_quiet_about("/console/audit");
        page.says(">viewer</span>");
    }
    for path in ["/keys", "/tenants/acme/endpoints/new", &format!("{ENDPOINT}/edit")] {
        assert_eq!(viewer.get(&format!("/console{path}")).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn an_operator_repairs_and_administers_nothing() {
    let stage = furnished().await;
    let operator = stage.visitor("operator").await;
    let page = operator.get(&format!("/console{ENDPOINT}")).await;
    for button in ["Send a test event", "Pause", "Reveal the secret", "Delete this endpoint"] {
        assert!(buttons(&page.text).contains(&button), "{button}");
    }
    page.keeps_quiet_about("/console/keys");
    page.says("/console/audit");
    assert_eq!(buttons(&operator.get("/console/tenants").await.text), Vec::<&str>::new());
    assert_eq!(buttons(&operator.get("/console/tenants/acme").await.text), ["Make a link"]);
    assert_eq!(buttons(&operator.get("/console/topics").await.text), Vec::<&str>::new());
    assert_eq!(operator.get("/console/audit").await.status, 200);
    assert_eq!(operator.get("/console/keys").await.status, 404);
}

#[tokio::test]
async fn an_admin_administers() {
    let stage = furnished().await;
    let admin = stage.visitor("admin").await;
    assert_eq!(buttons(&admin.get("/console/tenants").await.text), ["Create the tenant"]);
    assert_eq!(buttons(&admin.get("/console/tenants/acme").await.text), ["Make a link", "Save"]);
    assert_eq!(buttons(&admin.get("/console/topics").await.text), ["Archive this topic", "Register"]);
    let keys = admin.get("/console/keys").await;
    assert_eq!(buttons(&keys.text), ["Make the key"]);
    keys.says("There are no keys yet");
}

#[tokio::test]
async fn the_portal_is_the_same_for_a_key_as_for_a_link() {
    let stage = furnished().await;
    let link = stage.come(stage.sign_in("/portal/sign-in", "tenant@acme").await);
    let page = link.get(&format!("/portal{ENDPOINT}")).await;
    assert!(buttons(&page.text).contains(&"Reveal the secret"));
    let viewer = stage.come(stage.sign_in("/portal/sign-in", "viewer@acme").await);
    let page = viewer.get(&format!("/portal{ENDPOINT}")).await;
    assert_eq!(buttons(&page.text), Vec::<&str>::new());
}
