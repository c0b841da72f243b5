use std::time::Duration;

use posthaste_model::Tenant;
use posthaste_store::Catalogue as _;
use posthaste_testkit::simulated_clock;
use serde_json::{Value, json};
use tokio::time::advance;

use crate::fixture::{Api, EVENTS, NOW, topic};

/// The tenants `default`, with an endpoint for `order.paid`, and `acme`; and an event an hour.
async fn stand() -> Api {
    let api = Api::with(simulated_clock(NOW)).await;
    api.store.put_tenant(Tenant::new("acme".parse().unwrap(), NOW)).await.unwrap();
    api.store.put_topic(topic("order.sent", false)).await.unwrap();
    api.endpoint(json!({ "topics": ["order.paid"] })).await;
    for (tenant, topic, id) in [
        ("default", "order.paid", "e1"),
        ("acme", "order.paid", "e2"),
        ("default", "order.sent", "e3"),
        ("default", "order.paid", "e4"),
    ] {
        let body = json!({ "topic": topic, "data": 1, "id": id }).to_string();
        api.json(&format!("POST /v1/tenants/{tenant}/events"), &body, 202).await;
        advance(Duration::from_secs(3_600)).await;
    }
    api
}

fn ids(page: &Value) -> Vec<&str> {
    page["data"].as_array().unwrap().iter().map(|event| event["id"].as_str().unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn each_condition_finds_what_meets_it() {
    let api = stand().await;
    for (query, own, all) in [
        ("", &["e4", "e3", "e1"][..], &["e4", "e3", "e2", "e1"][..]),
        ("topic=order.sent", &["e3"], &["e3"]),
        ("unmatched=true", &["e3"], &["e3", "e2"]),
        ("unmatched=false", &["e4", "e3", "e1"], &["e4", "e3", "e2", "e1"]),
        ("since=2h", &["e4", "e3"], &["e4", "e3"]),
        ("until=3h", &["e1"], &["e1"]),
        ("since=3h&until=1h", &["e3"], &["e3", "e2"]),
        ("unmatched=true&topic=order.paid&since=1d", &[], &["e2"]),
    ] {
        assert_eq!(ids(&api.json(&format!("GET {EVENTS}?{query}"), "", 200).await), own, "{query}");
        assert_eq!(ids(&api.json(&format!("GET /v1/events?{query}"), "", 200).await), all, "{query}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_makes_no_sense_is_refused_by_its_name() {
    let api = stand().await;
    for (query, refused) in [
        ("topic=order..paid", "topic: "),
        ("unmatched=1", "unmatched: "),
        ("matched=true", "matched: unknown parameter"),
        ("since=soon", "since: not a time"),
        ("since=1h&until=1h", "since: must lie before 'until'"),
        ("since=2030-01-01T00:00:00Z", "since: must not lie in the future"),
        ("limit=0", "limit: must lie between 1 and 500"),
        ("cursor=x", "cursor: not a cursor of this list"),
    ] {
        let refused = format!("400 invalid-parameter parameter {refused}");
        api.refuses(&format!("GET {EVENTS}?{query}"), "", &refused).await;
        api.refuses(&format!("GET /v1/events?{query}"), "", &refused).await;
    }
    api.refuses("GET /v1/tenants/nobody/events", "", "404 not-found: no such tenant").await;
}

#[tokio::test(start_paused = true)]
async fn a_cursor_belongs_to_its_search() {
    let api = stand().await;
    let first = api.json("GET /v1/events?limit=3", "", 200).await;
    let cursor = first["next"].as_str().unwrap();
    let second = api.json(&format!("GET /v1/events?limit=3&cursor={cursor}"), "", 200).await;
    assert_eq!((ids(&second), &second["next"]), (vec!["e1"], &Value::Null));
    for other in [
        format!("{EVENTS}?cursor={cursor}"),
        format!("/v1/events?unmatched=true&cursor={cursor}"),
        format!("/v1/deliveries?cursor={cursor}"),
    ] {
        let refused = "400 invalid-parameter parameter cursor: not a cursor of this list";
        api.refuses(&format!("GET {other}"), "", refused).await;
    }
}
