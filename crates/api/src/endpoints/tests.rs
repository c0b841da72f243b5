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

/// What a filter of an endpoint is, as it is answered.
async fn shown(api: &Api, endpoint: &str) -> String {
    let (_, text) = api.text(&format!("GET {endpoint}"), "").await;
    let rest = text.split(r#""filter":"#).nth(1).unwrap();
    rest.split(r#","description""#).next().unwrap().to_owned()
}

#[tokio::test]
async fn a_filter_is_kept_as_it_was_written() {
    let api = Api::new().await;
    let filter = r#"{ "data.b" : {"$gte": 1.50}, "data.a": 123456789012345678901234567890 , "data.c": {"$lt": 1e400} }"#;
    let body = format!(r#"{{"url": "https://example.com", "filter": {filter}}}"#);
    let (status, made) = api.text(&format!("POST {ENDPOINTS}"), &body).await;
    assert_eq!(status, 201);
    assert!(made.contains(filter), "{made}");
    let id = made.split("ep_").nth(1).unwrap().split('"').next().unwrap();
    let endpoint = format!("{ENDPOINTS}/ep_{id}");
    assert_eq!(shown(&api, &endpoint).await, filter);
    // What is not named stays, to the letter.
    let patch = format!("PATCH {endpoint}");
    assert_eq!(api.text(&patch, r#"{"description": "x"}"#).await.0, 200);
    assert_eq!(shown(&api, &endpoint).await, filter);
    // What is named is not merged.
    let other = r#"{ "data.c" : {"$gt": -1e400} }"#;
    assert_eq!(api.text(&patch, &format!(r#"{{"filter": {other}}}"#)).await.0, 200);
    assert_eq!(shown(&api, &endpoint).await, other);
    assert_eq!(api.text(&patch, r#"{"filter": null}"#).await.0, 200);
    assert_eq!(shown(&api, &endpoint).await, "null");
    assert_eq!(api.endpoint(json!({ "filter": null })).await["filter"], json!(null));
}

#[tokio::test]
async fn a_filter_that_makes_no_sense_is_refused_by_its_place() {
    let api = Api::new().await;
    let made = api.endpoint(json!({ "filter": { "data.a": 1 } })).await;
    let patch = format!("PATCH {ENDPOINTS}/{}", made["id"].as_str().unwrap());
    let nested = (0..20).fold(json!({ "data.a": 1 }), |inner, _| json!({ "$not": inner }));
    let nested_at = format!("/filter{}: must not have more than 16 objects", "/$not".repeat(16));
    for (filter, refused) in [
        (json!({ "data.amount": { "$gte": true } }), "/filter/data.amount/$gte: must be a number or a text"),
        (json!({ "data.amount": { "$ne": 1 } }), "/filter/data.amount/$ne: unknown operator `$ne`"),
        (json!({ "data.a/b": { "$not": { "$ne": 1 } } }), "/filter/data.a~1b/$not/$ne: unknown operator"),
        (json!({ "amount": 1 }), "/filter/amount: must be `topic`"),
        (json!({ "data.name": { "$regex": "(" } }), "/filter/data.name/$regex: is no regular expression"),
        (json!({ "data.name": { "$regex": "a{1000}{1000}" } }), "/filter/data.name/$regex: "),
        (json!({}), "/filter: must be an object"),
        (json!([]), "/filter: must be an object"),
        (json!("data.amount"), "/filter: must be an object"),
        (json!(5), "/filter: must be an object"),
        (nested, nested_at.as_str()),
    ] {
        let refused = format!("422 invalid-field pointer {refused}");
        let body = json!({ "url": "https://example.com", "filter": filter }).to_string();
        api.refuses(&format!("POST {ENDPOINTS}"), &body, &refused).await;
        api.refuses(&patch, &json!({ "filter": filter }).to_string(), &refused).await;
    }
    let twice = r#"{"url": "https://example.com", "filter": {"data.a": 1, "data.a": 2}}"#;
    let refused = "422 invalid-field pointer /filter/data.a: must not appear twice";
    api.refuses(&format!("POST {ENDPOINTS}"), twice, refused).await;
    let twice = r#"{"url": "https://example.com", "filter": null, "filter": null}"#;
    let refused = "422 invalid-field pointer /filter: duplicate field";
    api.refuses(&format!("POST {ENDPOINTS}"), twice, refused).await;
    let listed = api.json(&format!("GET {ENDPOINTS}"), "", 200).await;
    assert_eq!(listed["data"], json!([api.json(&patch.replace("PATCH", "GET"), "", 200).await]));
    assert_eq!(listed["data"][0]["filter"], json!({ "data.a": 1 }));
}

/// What cannot be read any more is not lost by a change of something else.
#[tokio::test]
async fn a_filter_that_cannot_be_read_stays() {
    use posthaste_model::{Endpoint, EndpointId, TenantId};
    use posthaste_store::Catalogue as _;
    let api = Api::new().await;
    let (id, tenant) = (EndpointId::mint(NOW, [1; 10]), TenantId::default_tenant());
    let endpoint = Endpoint::new(id, tenant.clone(), "https://example.com/".into(), NOW);
    let filter = Some(r#"{"data.a": {"$like": 1}}"#.to_owned());
    api.store.create_endpoint(Endpoint { filter: filter.clone(), ..endpoint }).await.unwrap();
    let patched = api.json(&format!("PATCH {ENDPOINTS}/{id}"), r#"{"description": "x"}"#, 200).await;
    assert_eq!(
        (&patched["description"], &patched["filter"]),
        (&json!("x"), &json!({ "data.a": { "$like": 1 } }))
    );
    assert_eq!(api.store.endpoint(&tenant, id).await.unwrap().filter, filter);
    let accepted = api.json(&format!("POST {EVENTS}"), r#"{"topic": "order.paid", "data": 1}"#, 202).await;
    assert_eq!(accepted["deliveries"], 1, "it gets everything");
}
