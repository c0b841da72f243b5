use posthaste_model::{Decision, EndpointEffects, HealthEffect, Next};
use posthaste_store::{Deliveries as _, LeaseRequest, Partition, Settlement};
use serde_json::json;

use crate::fixture::{Api, ENDPOINTS, EVENTS, NOW};

#[tokio::test]
async fn limits_are_kept() {
    let api = Api::new().await;
    let limits = [
        ("max_in_flight", json!(1)),
        ("max_in_flight", json!(1_000)),
        ("max_in_flight", json!(null)),
        ("rate_limit", json!({ "limit": 100, "per": "1s" })),
        ("rate_limit", json!(null)),
        ("ordered", json!(true)),
        ("ordered", json!(false)),
    ];
    for (field, value) in limits {
        let made = api.endpoint(json!({ field: value })).await;
        assert_eq!(made[field], value);
        let endpoint = format!("{ENDPOINTS}/{}", made["id"].as_str().unwrap());
        assert_eq!(api.json(&format!("GET {endpoint}"), "", 200).await[field], value);
    }
    let made = api.endpoint(json!({})).await;
    assert_eq!(made["max_in_flight"], json!(null));
    assert_eq!(made["rate_limit"], json!(null));
    assert_eq!(made["ordered"], false);
    assert_eq!(made["parked_until"], json!(null));
    let well = json!({ "failing_since": null, "failures": 0, "exhausted": 0, "warned": 0 });
    assert_eq!(made["health"], well);
    let patch = format!("PATCH {ENDPOINTS}/{}", made["id"].as_str().unwrap());
    let patched =
        api.json(&patch, r#"{"ordered": true, "rate_limit": {"limit": 1, "per": "1m"}}"#, 200).await;
    assert_eq!(patched["rate_limit"], json!({ "limit": 1, "per": "1m" }));
    let patched = api.json(&patch, r#"{"ordered": null, "rate_limit": null}"#, 200).await;
    assert_eq!((&patched["ordered"], &patched["rate_limit"]), (&json!(false), &json!(null)));
}

#[tokio::test]
async fn limits_that_make_no_sense_are_refused() {
    let api = Api::new().await;
    let in_flight = "422 invalid-field pointer /max_in_flight: must lie between 1 and 1000";
    let limit = "422 invalid-field pointer /rate_limit/limit: must lie between 1 and 10000";
    let per = "422 invalid-field pointer /rate_limit/per: must lie between 100ms and 24h";
    let order = "422 invalid-field pointer /max_in_flight: an ordered endpoint takes one request at a time";
    let schedule = "422 invalid-field pointer /retry/schedule: must";
    let rows = [
        (r#""max_in_flight": 0"#, in_flight),
        (r#""max_in_flight": 1001"#, in_flight),
        (r#""max_in_flight": -1"#, "422 invalid-field pointer /max_in_flight: invalid value"),
        (r#""max_in_flight": "many""#, "422 invalid-field pointer /max_in_flight: invalid type"),
        (r#""rate_limit": {"limit": 0, "per": "1s"}"#, limit),
        (r#""rate_limit": {"limit": 10001, "per": "1s"}"#, limit),
        (r#""rate_limit": {"limit": -1, "per": "1s"}"#, "422 invalid-field pointer /rate_limit/limit: "),
        (r#""rate_limit": {"limit": 1, "per": "0s"}"#, per),
        (r#""rate_limit": {"limit": 1, "per": "25h"}"#, per),
        (
            r#""rate_limit": {"limit": 1, "per": "-1s"}"#,
            "422 invalid-field pointer /rate_limit/per: not a length",
        ),
        (r#""rate_limit": {"limit": 1}"#, "422 invalid-field pointer /rate_limit/per: missing field"),
        (
            r#""rate_limit": {"limit": 1, "per": "1s", "burst": 2}"#,
            "422 invalid-field pointer /rate_limit/burst: unknown field",
        ),
        (r#""rate_limit": 5"#, "422 invalid-field pointer /rate_limit: invalid type"),
        (r#""ordered": "yes""#, "422 invalid-field pointer /ordered: invalid type"),
        (r#""ordered": true, "max_in_flight": 2"#, order),
        (r#""retry": {"schedule": []}"#, schedule),
        (r#""retry": {"schedule": ["31d"]}"#, schedule),
        (r#""retry": {"schedule": ["16d", "15d"]}"#, schedule),
        (
            r#""retry": {"initial_interval": "1d", "max_interval": "1d", "multiplier": 1, "max_attempts": 32}"#,
            "422 invalid-field pointer /retry/max_attempts: must not make delays of more than 720h",
        ),
        (r#""retry": {"schedule": ["-5s"]}"#, "422 invalid-field pointer /retry/schedule/0: not a length"),
        (r#""health": {}"#, "422 invalid-field pointer /health: unknown field"),
        (r#""parked_until": null"#, "422 invalid-field pointer /parked_until: unknown field"),
    ];
    let made = api.endpoint(json!({})).await;
    let patch = format!("PATCH {ENDPOINTS}/{}", made["id"].as_str().unwrap());
    for (fields, refused) in rows {
        let post = format!(r#"{{"url": "https://example.com", {fields}}}"#);
        api.refuses(&format!("POST {ENDPOINTS}"), &post, refused).await;
        // Where nothing stands yet, a patch is refused as a whole endpoint is.
        api.refuses(&patch, &format!("{{{fields}}}"), refused).await;
    }
}

/// A patch is judged together with what stays.
#[tokio::test]
async fn an_endpoint_that_becomes_ordered_takes_one_request_at_a_time() {
    let api = Api::new().await;
    let many = api.endpoint(json!({ "max_in_flight": 2 })).await;
    let patch = format!("PATCH {ENDPOINTS}/{}", many["id"].as_str().unwrap());
    let refused = "422 invalid-field pointer /max_in_flight: an ordered endpoint takes one request at a time";
    api.refuses(&patch, r#"{"ordered": true}"#, refused).await;
    api.json(&patch, r#"{"ordered": true, "max_in_flight": 1}"#, 200).await;
    api.refuses(&patch, r#"{"max_in_flight": 2}"#, refused).await;
    let patched = api.json(&patch, r#"{"max_in_flight": null}"#, 200).await;
    assert_eq!((&patched["ordered"], &patched["max_in_flight"]), (&json!(true), &json!(null)));
}

#[tokio::test]
async fn how_an_endpoint_fares_is_shown() {
    let api = Api::new().await;
    let made = api.endpoint(json!({})).await;
    api.json(&format!("POST {EVENTS}"), r#"{"topic": "order.paid", "data": 1}"#, 202).await;
    let store = &api.store;
    let (partition, second) = (Partition(0), std::time::Duration::from_secs(1));
    let epoch = store.claim(partition, "owner", NOW, second).await.unwrap().unwrap();
    let request = LeaseRequest {
        partition,
        epoch,
        now: NOW,
        limit: 1,
        manual: 0,
        per_endpoint: 1,
        per_tenant: 1,
        rooms: vec![],
        throttles: vec![],
        lease_for: second,
    };
    let lease = store.lease(request).await.unwrap().leases.remove(0);
    let at = NOW + std::time::Duration::from_secs(60);
    let settlement = Settlement {
        lease: lease.id,
        delivery: lease.delivery,
        manual: false,
        endpoint_version: lease.endpoint.version,
        attempt: None,
        decision: Decision {
            next: Next::Exhausted,
            endpoint: EndpointEffects {
                park_until: Some(at),
                health: Some(HealthEffect::Failed { exhausted: true, warning: Some(50) }),
                disable: None,
            },
        },
        now: NOW,
    };
    store.settle([settlement].into()).await.unwrap();
    let shown = api.json(&format!("GET {ENDPOINTS}/{}", made["id"].as_str().unwrap()), "", 200).await;
    let health =
        json!({ "failing_since": "1970-01-01T00:00:00Z", "failures": 1, "exhausted": 1, "warned": 50 });
    assert_eq!(shown["health"], health);
    assert_eq!(shown["parked_until"], "1970-01-01T00:01:00Z");
}
