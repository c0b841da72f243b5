use serde_json::{Value, json};

use crate::{
    roles::{endpoint, furnished, quiet},
    stage::{Stage, list, problem},
};

fn event() -> Value {
    json!({
        "id": "e1", "tenant": "acme", "topic": "order.paid", "accepted_at": "2026-11-20T10:00:00Z",
        "delivery_count": 1, "metadata": {}, "deliver_at": null, "retention": null, "test": false, "data": 1,
    })
}

fn failed(endpoint: u8) -> Value {
    json!({
        "id": format!("dlv_{endpoint:032x}"), "tenant": "acme", "event": "e1", "topic": "order.paid",
        "endpoint": format!("ep_{endpoint:032x}"), "state": "exhausted", "reason": null, "attempts": 3,
        "failures": 3, "due_at": null, "last_status": 503, "last_error": null,
        "created_at": "2026-11-21T09:00:00Z", "completed_at": null,
    })
}

/// A service in which nothing has happened for an hour, with these events and these failures.
async fn service(events: &[Value], failures: Value) -> Stage {
    let stage = furnished().await;
    stage.set("GET /v1/stats", 200, quiet());
    stage.set("GET /v1/events", 200, list(events));
    stage.set("GET /v1/deliveries", 200, failures);
    stage.set("GET /v1/replays", 200, list(&[]));
    stage.set("GET /v1/tenants/default/endpoints", 200, list(&[]));
    stage
}

#[tokio::test]
async fn what_to_do_first_is_said_until_something_has_happened() {
    let stage = service(&[], list(&[])).await;
    let first = stage.visitor("admin").await.get("/console").await;
    first.says("Nothing has happened yet. What to do first:");
    first.keeps_quiet_about("Accepted events");
}

#[tokio::test]
async fn a_quiet_hour_is_not_the_first_one() {
    let stage = service(&[event()], list(&[])).await;
    let page = stage.visitor("admin").await.get("/console").await;
    page.keeps_quiet_about("Nothing has happened yet");
    page.says("Accepted events");
    page.says(r#"href="/console/deliveries?state=exhausted""#);
    page.says("Of what was accepted in the last 24 hours, no attempt has failed.");
}

#[tokio::test]
async fn an_endpoint_that_was_deleted_makes_room_for_another() {
    let failed: Vec<_> = [1, 1, 1, 1, 2].map(failed).into();
    let failures = json!({"data": failed, "next": "c1"});
    let stage = service(&[event()], failures).await;
    let another = json!({"id": format!("ep_{:032x}", 2), "url": "https://another.example/hook"});
    stage.set(&format!("GET /v1/tenants/acme/endpoints/ep_{:032x}", 2), 200, endpoint(another));
    let admin = stage.visitor("admin").await;
    stage.refuse(
        &format!("GET /v1/tenants/acme/endpoints/ep_{:032x}", 1),
        problem(404, "not-found", "there is no such endpoint"),
    );
    let page = admin.get("/console").await;
    page.says("another.example/hook");
    page.says("among the newest 5 such deliveries");

    stage.refuse(
        &format!("GET /v1/tenants/acme/endpoints/ep_{:032x}", 1),
        problem(503, "unavailable", "the store is away"),
    );
    let page = admin.get("/console").await;
    assert_eq!(page.status, 503);
    page.says("The store is away");
}

#[tokio::test]
async fn an_endpoint_is_not_asked_for_again_on_each_refresh() {
    let stage = service(&[event()], list(&[failed(1), failed(1)])).await;
    let admin = stage.visitor("admin").await;
    for _ in 0..3 {
        admin.get("/console/live").await.says("example.com/hook");
    }
    let asked = stage.asked(&format!("GET /v1/tenants/acme/endpoints/ep_{:032x}", 1));
    assert_eq!(asked.len(), 1);
}
