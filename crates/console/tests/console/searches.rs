use serde_json::json;

use crate::{roles::furnished, stage::list};

#[tokio::test]
async fn a_search_that_cannot_be_read_keeps_its_fields() {
    let stage = furnished().await;
    let admin = stage.visitor("admin").await;
    for (path, kept) in [
        ("/console/events?since=yesterday&topic=order.paid", r#"value="yesterday""#),
        ("/console/events?tenant=a+b", r#"value="a b""#),
        ("/console/audit?tenant=a+b", r#"value="a b""#),
        ("/console/tenants?find=a+b", "Go to the tenant"),
    ] {
        let page = admin.get(path).await;
        assert_eq!(page.status, 400, "{path}");
        page.says("That cannot be read");
        page.says(kept);
        page.says(r#"aria-invalid="true""#);
    }
}

#[tokio::test]
async fn an_event_that_was_sent_before_is_not_said_to_be_sent() {
    let stage = furnished().await;
    stage.set("GET /v1/topics", 200, list(&[]));
    let delivery = json!({
        "id": format!("dlv_{:032x}", 1), "tenant": "acme", "event": "e1", "topic": "order.paid",
        "endpoint": format!("ep_{:032x}", 1), "state": "delivered", "reason": null, "attempts": 1, "failures": 0,
        "due_at": null, "last_status": 200, "last_error": null, "created_at": "2026-11-21T09:00:00Z",
        "completed_at": "2026-11-21T09:00:00Z",
    });
    let operator = stage.visitor("operator").await;
    for (status, said) in [(201, "sent"), (200, "sent-before")] {
        stage.set("POST /v1/tenants/acme/events/e1/send", status, delivery.clone());
        let form = format!("endpoint=ep_{:032x}", 1);
        let sent = operator.post("/console/topics", "/console/tenants/acme/events/e1/send", &form).await;
        assert!(sent.location.ends_with(&format!("?said={said}")), "{}", sent.location);
    }
}

#[tokio::test]
async fn an_event_with_more_deliveries_than_are_shown_says_so() {
    let stage = furnished().await;
    let event = |count: u32, topic: &str| {
        json!({
            "id": "e1", "tenant": "acme", "topic": topic, "accepted_at": "2026-11-20T10:00:00Z",
            "delivery_count": count, "metadata": {}, "deliver_at": null, "retention": null, "test": false,
            "data": 1, "deliveries": [],
        })
    };
    let operator = stage.visitor("operator").await;
    let path = "/console/tenants/acme/events/e1";
    stage.set("GET /v1/tenants/acme/events/e1", 200, event(1_200, "order.paid"));
    let page = operator.get(path).await;
    page.says("The newest 0 of 1,200");
    page.says("Send it to one more endpoint");
    stage.set("GET /v1/tenants/acme/events/e1", 200, event(0, "posthaste.handshake"));
    let page = operator.get(path).await;
    page.keeps_quiet_about("The newest");
    page.keeps_quiet_about("Send it to one more endpoint");
}
