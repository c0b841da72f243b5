use std::time::Duration;

use posthaste_model::{ErrorClass, Next, Tenant, Timestamp};
use posthaste_store::Catalogue as _;
use posthaste_testkit::simulated_clock;
use serde_json::{Value, json};
use tokio::time::advance;

use crate::fixture::{Api, DELIVERIES, NOW, replied, topic, unanswered};

/// Publishes an event of a tenant.
async fn publish(api: &Api, tenant: &str, topic: &str, id: &str) {
    let body = json!({ "topic": topic, "data": 1, "id": id }).to_string();
    api.json(&format!("POST /v1/tenants/{tenant}/events"), &body, 202).await;
}

/// The tenants `default` and `acme`, with an endpoint each, and an event an hour that fared differently.
async fn stand() -> Api {
    let api = Api::with(simulated_clock(NOW)).await;
    api.store.put_tenant(Tenant::new("acme".parse().unwrap(), NOW)).await.unwrap();
    api.store.put_topic(topic("order.sent", false)).await.unwrap();
    let later = Next::Retry { at: Timestamp::from_second(1_000_000).unwrap() };
    for tenant in ["default", "acme"] {
        let body = r#"{"url": "https://example.com/"}"#;
        api.json(&format!("POST /v1/tenants/{tenant}/endpoints"), body, 201).await;
    }
    for (tenant, of, id, outcome, next) in [
        ("default", "order.paid", "arrived", replied(204), Next::Delivered),
        ("default", "order.paid", "busy", replied(503), later),
        ("acme", "order.sent", "lost", replied(404), Next::Exhausted),
        ("default", "order.sent", "slow", unanswered(ErrorClass::Timeout), Next::Exhausted),
    ] {
        publish(&api, tenant, of, id).await;
        api.attempt(outcome, next).await;
        advance(Duration::from_secs(3_600)).await;
    }
    api
}

/// The events of the deliveries of a page.
fn events(page: &Value) -> Vec<&str> {
    page["data"].as_array().unwrap().iter().map(|delivery| delivery["event"].as_str().unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn each_condition_finds_what_meets_it() {
    let api = stand().await;
    let endpoint = api.json(&format!("GET {DELIVERIES}"), "", 200).await["data"][0]["endpoint"].clone();
    let to_endpoint = format!("endpoint={}", endpoint.as_str().unwrap());
    for (query, found) in [
        ("", &["slow", "busy", "arrived"][..]),
        ("order=newest", &["slow", "busy", "arrived"]),
        ("order=oldest", &["arrived", "busy", "slow"]),
        ("state=delivered", &["arrived"]),
        ("state=delivered,exhausted", &["slow", "arrived"]),
        ("state=held", &[]),
        (&to_endpoint, &["slow", "busy", "arrived"]),
        ("event=busy", &["busy"]),
        ("topic=order.paid", &["busy", "arrived"]),
        ("status=503", &["busy"]),
        ("status=5xx", &["busy"]),
        ("status=200-503", &["busy", "arrived"]),
        ("status=4xx", &[]),
        ("error=timeout", &["slow"]),
        ("error=auth", &[]),
        ("failed=true", &["slow", "busy"]),
        ("failed=false", &["slow", "busy", "arrived"]),
        ("since=3h", &["slow", "busy"]),
        ("since=1970-01-01T01:00:00Z", &["slow", "busy"]),
        ("until=3h", &["arrived"]),
        ("since=3h&until=2h&order=oldest", &["busy"]),
        ("failed=true&topic=order.paid&state=scheduled&status=5xx&since=1d", &["busy"]),
    ] {
        let page = api.json(&format!("GET {DELIVERIES}?{query}"), "", 200).await;
        assert_eq!(events(&page), found, "{query}");
    }
}

#[tokio::test(start_paused = true)]
async fn operators_search_all_tenants() {
    let api = stand().await;
    for (query, found) in [
        ("", &["slow", "lost", "busy", "arrived"][..]),
        ("order=oldest&failed=true", &["busy", "lost", "slow"]),
        ("state=exhausted&limit=1", &["slow"]),
    ] {
        let page = api.json(&format!("GET /v1/deliveries?{query}"), "", 200).await;
        assert_eq!(events(&page), found, "{query}");
    }
    let found = api.json("GET /v1/deliveries?status=404", "", 200).await;
    assert_eq!(found["data"][0]["tenant"], "acme");
}

#[tokio::test(start_paused = true)]
async fn what_makes_no_sense_is_refused_by_its_name() {
    let api = stand().await;
    for (query, refused) in [
        ("state=lost", "state: unknown state 'lost': expected 'scheduled', 'in_flight'"),
        ("state=", "state: unknown state ''"),
        ("state=held,", "state: unknown state ''"),
        ("state=held;skipped", "state: unknown state 'held;skipped'"),
        ("states=held", "states: unknown parameter"),
        ("endpoint=ep_1", "endpoint: "),
        ("event=%20", "event: "),
        ("topic=order..paid", "topic: "),
        ("status=99", "status: invalid value: string \"99\", expected a status such as '503'"),
        ("status=", "status: invalid value"),
        ("status=499-400", "status: invalid value"),
        ("status=503,504", "status: invalid value"),
        ("error=lost", "error: unknown variant `lost`, expected one of `blocked`"),
        ("error=timeout&status=503", "error: cannot stand beside 'status'"),
        ("failed=yes", "failed: "),
        ("since=yesterday", "since: not a time: expected one such as '2026-11-21T10:00:00Z'"),
        ("until=-1h", "until: not a time"),
        ("since=1h&until=2h", "since: must lie before 'until'"),
        ("since=1h&until=1h", "since: must lie before 'until'"),
        ("since=1970-01-02T00:00:00Z&until=1970-01-01T00:00:00Z", "since: must lie before 'until'"),
        ("since=2030-01-01T00:00:00Z", "since: must not lie in the future"),
        ("order=up", "order: unknown variant `up`, expected `newest` or `oldest`"),
        ("limit=0", "limit: must lie between 1 and 500"),
        ("limit=501", "limit: must lie between 1 and 500"),
        ("since=1h&since=2h", "since: duplicate"),
        ("cursor=x", "cursor: not a cursor of this list"),
    ] {
        let refused = format!("400 invalid-parameter parameter {refused}");
        api.refuses(&format!("GET {DELIVERIES}?{query}"), "", &refused).await;
        api.refuses(&format!("GET /v1/deliveries?{query}"), "", &refused).await;
    }
    api.refuses("GET /v1/tenants/nobody/deliveries", "", "404 not-found: no such tenant").await;
}

#[tokio::test(start_paused = true)]
async fn a_cursor_belongs_to_its_search() {
    let api = stand().await;
    let first = api.json(&format!("GET {DELIVERIES}?limit=1&since=1d"), "", 200).await;
    let cursor = first["next"].as_str().unwrap();
    // A span back from now is the same, though it begins later by now.
    advance(Duration::from_secs(60)).await;
    let second = api.json(&format!("GET {DELIVERIES}?since=1d&cursor={cursor}"), "", 200).await;
    assert_eq!((events(&first), events(&second)), (vec!["slow"], vec!["busy", "arrived"]));
    assert_eq!(second["next"], Value::Null);
    let refused = "400 invalid-parameter parameter cursor: not a cursor of this list";
    for other in [
        format!("{DELIVERIES}?cursor={cursor}"),
        format!("{DELIVERIES}?since=2d&cursor={cursor}"),
        format!("{DELIVERIES}?since=1d&order=oldest&cursor={cursor}"),
        format!("{DELIVERIES}?since=1d&failed=true&cursor={cursor}"),
        format!("/v1/deliveries?since=1d&cursor={cursor}"),
        format!("/v1/tenants/acme/deliveries?since=1d&cursor={cursor}"),
    ] {
        api.refuses(&format!("GET {other}"), "", refused).await;
    }
}
