use serde_json::{Value, json};

use crate::{
    roles::{ENDPOINT, endpoint, furnished},
    stage::list,
};

fn event(tenant: &str, id: &str) -> Value {
    json!({
        "id": id, "tenant": tenant, "topic": "order.paid", "accepted_at": "2026-11-20T10:00:00Z",
        "delivery_count": 0, "metadata": {}, "deliver_at": null, "retention": null, "test": false,
    })
}

#[tokio::test]
async fn what_nobody_wants_of_the_service_itself_is_no_warning() {
    let stage = furnished().await;
    let admin = stage.visitor("admin").await;
    stage.set("GET /v1/events", 200, list(&[]));
    admin.get("/console/events").await.says("There are no events yet.");
    admin.get("/console/events?topic=order.paid").await.says("There are no such events.");
    stage.set("GET /v1/events", 200, list(&[event("posthaste", "e1")]));
    let page = admin.get("/console/events").await;
    page.says(">–</td>");
    page.keeps_quiet_about("nobody");
    stage.set("GET /v1/events", 200, list(&[event("acme", "e2")]));
    admin.get("/console/events").await.says("nobody");
}

#[tokio::test]
async fn what_arrived_is_not_sent_again_by_one_press() {
    let stage = furnished().await;
    let path = format!("/tenants/acme/deliveries/dlv_{:032x}", 1);
    let delivery = |state: &str| {
        json!({
            "id": format!("dlv_{:032x}", 1), "tenant": "acme", "event": "e1", "topic": "order.paid",
            "endpoint": format!("ep_{:032x}", 1), "state": state, "reason": null, "attempts": 6, "failures": 3,
            "due_at": null, "last_status": 503, "last_error": null, "created_at": "2026-11-21T09:00:00Z",
            "completed_at": "2026-11-21T09:30:00Z",
        })
    };
    let mut whole = event("acme", "e1");
    whole["deliveries"] = json!([]);
    whole["data"] = json!(1);
    stage.set("GET /v1/tenants/acme/events/e1", 200, whole);
    stage.set(&format!("GET /v1{path}/attempts"), 200, list(&[]));
    let [operator, viewer] = [stage.visitor("operator").await, stage.visitor("viewer").await];

    stage.set(&format!("GET /v1{path}"), 200, delivery("delivered"));
    let page = operator.get(&format!("/console{path}")).await;
    let asked = page.text.find("The receiver has taken it already.").unwrap();
    for action in ["retry", "replay"] {
        let form = page.text.find(&format!("{path}/{action}")).unwrap();
        assert!(asked < form, "{action}");
    }

    stage.set(&format!("GET /v1{path}"), 200, delivery("exhausted"));
    let page = operator.get(&format!("/console{path}")).await;
    page.says("It was given up after 3 attempts, of 6 in all");
    page.says("Try again now: one attempt. Replay: the whole retry policy again.");
    page.says("then replay it.");
    page.keeps_quiet_about("Send again…");
    let page = viewer.get(&format!("/console{path}")).await;
    page.says("It was given up after 3 attempts, of 6 in all");
    page.keeps_quiet_about("replay it");
}

#[tokio::test]
async fn a_replay_that_is_done_does_not_say_that_all_has_arrived() {
    let stage = furnished().await;
    let replay = |state: &str| {
        json!({
            "id": format!("rpl_{:032x}", 1), "tenant": "acme",
            "filter": {
                "states": ["exhausted"], "endpoint": format!("ep_{:032x}", 1), "event": null, "topic": null,
                "status": null, "error": null, "failed": false, "since": null, "until": null,
            },
            "rate": 50, "state": state, "found": 30, "more": false, "reopened": 30, "passed_over": 0,
            "created_at": "2026-11-21T09:00:00Z", "updated_at": "2026-11-21T09:00:00Z",
        })
    };
    stage.set(&format!("GET /v1{ENDPOINT}"), 200, endpoint(json!({"url": "https://example.com/orders"})));
    let admin = stage.visitor("admin").await;
    let path = format!("/tenants/acme/replays/rpl_{:032x}", 1);
    stage.set(&format!("GET /v1{path}"), 200, replay("running"));
    admin.get(&format!("/console{path}")).await.keeps_quiet_about("not yet delivered");
    stage.set(&format!("GET /v1{path}"), 200, replay("done"));
    let page = admin.get(&format!("/console{path}")).await;
    page.says("Opened again is not yet delivered");
    page.says(&format!("/console/deliveries?tenant=acme&#38;endpoint=ep_{:032x}", 1));
    page.says("example.com/orders");
    page.keeps_quiet_about("badge good");
    stage.set("GET /v1/replays", 200, list(&[replay("done")]));
    admin.get("/console/replays").await.says("example.com/orders");

    stage.set("POST /v1/tenants/acme/replays", 200, json!({"found": 30, "more": false}));
    let page = admin.get(&format!("/console/replays/new?tenant=acme&endpoint=ep_{:032x}", 1)).await;
    page.says("30 deliveries of tenant acme would be sent again.");
    page.says("They are deliveries that are exhausted, skipped, cancelled, to example.com/orders.");
}
