use std::time::Duration;

use posthaste_model::{ErrorClass, Next, TenantId, Timestamp};
use posthaste_store::{Deliveries as _, Partition};
use posthaste_testkit::simulated_clock;
use serde_json::{Value, json};
use tokio::time::advance;

use crate::fixture::{Api, DELIVERIES, ENDPOINTS, EVENTS, LEASE, NOW, replied, unanswered};

struct Stand {
    api: Api,
    endpoint: String,
    delivery: String,
}

impl Stand {
    /// An endpoint with these fields, and an event on its way to it.
    async fn new(endpoint: Value, event: Value) -> Self {
        let api = Api::with(simulated_clock(NOW)).await;
        let endpoint = api.endpoint(endpoint).await["id"].as_str().unwrap().to_owned();
        let mut body = json!({ "topic": "order.paid", "data": 1 });
        body.as_object_mut().unwrap().extend(event.as_object().unwrap().clone());
        api.json(&format!("POST {EVENTS}"), &body.to_string(), 202).await;
        let listed = api.json(&format!("GET {DELIVERIES}"), "", 200).await;
        assert!(listed["data"][0].get("next_attempt").is_none(), "lists do not tell it");
        let delivery = listed["data"][0]["id"].as_str().unwrap().to_owned();
        Self { api, endpoint, delivery }
    }

    async fn next(&self) -> Value {
        let delivery = self.api.json(&format!("GET {DELIVERIES}/{}", self.delivery), "", 200).await;
        delivery["next_attempt"].clone()
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn attempt(due: i64, number: u32, of: u32, why: &str) -> Value {
    json!({ "due_at": at(due), "number": number, "of": of, "why": why })
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_its_time_says_so() {
    let twice = json!({ "retry": { "schedule": ["5s"] } });
    for (endpoint, event, expect) in [
        (json!({}), json!({}), attempt(0, 1, 10, "first_attempt")),
        (twice.clone(), json!({}), attempt(0, 1, 2, "first_attempt")),
        (twice, json!({ "delay": "1h" }), attempt(3_600, 1, 2, "deliver_at")),
        (json!({ "state": "paused" }), json!({}), attempt(0, 1, 10, "endpoint_paused")),
    ] {
        assert_eq!(Stand::new(endpoint, event).await.next().await, expect);
    }
}

#[tokio::test(start_paused = true)]
async fn what_failed_says_when_it_is_tried_again() {
    let stand = Stand::new(json!({}), json!({})).await;
    stand.api.attempt(unanswered(ErrorClass::Connect), Next::Retry { at: at(5) }).await;
    assert_eq!(stand.next().await, attempt(5, 2, 10, "retry"));
    advance(Duration::from_secs(5)).await;
    stand.api.attempt(replied(500), Next::Retry { at: at(300) }).await;
    assert_eq!(stand.next().await, attempt(300, 3, 10, "retry"));

    let tenant = TenantId::default_tenant();
    let endpoint = stand.endpoint.parse().unwrap();
    stand.api.store.park(&tenant, endpoint, at(200)).await.unwrap();
    assert_eq!(stand.next().await, attempt(300, 3, 10, "retry"), "the pause is over before that");
    stand.api.store.park(&tenant, endpoint, at(900)).await.unwrap();
    assert_eq!(stand.next().await, attempt(900, 3, 10, "endpoint_parked"));
    stand.api.json(&format!("POST {ENDPOINTS}/{}/pause", stand.endpoint), "", 200).await;
    assert_eq!(stand.next().await, attempt(300, 3, 10, "endpoint_paused"));
}

#[tokio::test(start_paused = true)]
async fn what_is_over_or_under_way_has_none() {
    for next in [Next::Delivered, Next::Exhausted] {
        let stand = Stand::new(json!({}), json!({})).await;
        stand.api.attempt(replied(200), next).await;
        assert_eq!(stand.next().await, Value::Null);
    }
    assert_eq!(Stand::new(json!({ "state": "disabled" }), json!({})).await.next().await, Value::Null);

    let stand = Stand::new(json!({}), json!({})).await;
    let epoch = stand.api.store.claim(Partition(0), "owner", NOW, LEASE).await.unwrap().unwrap();
    assert_eq!(stand.api.lease(Partition(0), epoch).await.len(), 1);
    assert_eq!(stand.next().await, Value::Null);
}
