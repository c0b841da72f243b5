use posthaste_model::{ErrorClass, Next};
use serde_json::json;

use crate::fixture::{Api, DELIVERIES, EVENTS, replied, unanswered};

#[tokio::test]
async fn an_attempt_tells_what_was_sent_and_where_the_time_went() {
    for (outcome, next) in [(replied(500), Next::Exhausted), (unanswered(ErrorClass::Dns), Next::Exhausted)] {
        let api = Api::new().await;
        let endpoint = api.endpoint(json!({})).await;
        api.json(&format!("POST {EVENTS}"), r#"{"topic": "order.paid", "data": 1}"#, 202).await;
        api.attempt(outcome, next).await;
        let listed = api.json(&format!("GET {DELIVERIES}"), "", 200).await;
        let delivery = listed["data"][0]["id"].as_str().unwrap();
        let attempts = api.json(&format!("GET {DELIVERIES}/{delivery}/attempts"), "", 200).await;
        let attempt = &attempts["data"][0];
        let sent = json!({ "method": "POST", "url": endpoint["url"], "headers": [["authorization", "***"]] });
        assert_eq!(attempt["request"], sent);
        let timings = json!({ "queued_ms": 0.0, "dns_ms": 1.5, "connect_ms": null, "tls_ms": null,
            "first_byte_ms": null, "total_ms": 0.0 });
        assert_eq!(attempt["timings"], timings);
    }
}
