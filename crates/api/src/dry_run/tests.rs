use std::pin::pin;

use futures_util::FutureExt as _;
use posthaste_store::Catalogue as _;
use serde_json::{Value, json};

use super::*;
use crate::fixture::{Api, ENDPOINTS, EVENTS, topic};

const MATCH: &str = "POST /v1/tenants/default/match";

/// Makes an endpoint and answers with its id.
async fn made(api: &Api, fields: Value) -> String {
    api.endpoint(fields).await["id"].as_str().unwrap().to_owned()
}

fn large(amount: u32) -> String {
    json!({ "topic": "order.paid", "data": { "amount": amount } }).to_string()
}

/// What is said of each endpoint is what becomes of a published event.
#[tokio::test]
async fn it_says_what_publishing_does() {
    let api = Api::new().await;
    let filter = json!({ "data.amount": { "$gte": 100 } });
    for (fields, topics, delivery) in [
        (json!({}), json!(["*"]), [Some("scheduled"), Some("scheduled")]),
        (json!({ "topics": ["refund"] }), json!([]), [None, None]),
        (
            json!({ "topics": ["order.*", "refund", "order.paid"], "state": "paused" }),
            json!(["order.*", "order.paid"]),
            [Some("held"), Some("held")],
        ),
        (json!({ "state": "disabled" }), json!(["*"]), [Some("skipped"), Some("skipped")]),
        (json!({ "filter": filter }), json!(["*"]), [None, Some("scheduled")]),
        (json!({ "filter": filter, "topics": ["refund"] }), json!([]), [None, None]),
        (json!({ "filter": filter, "state": "disabled" }), json!(["*"]), [None, Some("skipped")]),
        (json!({ "filter": { "metadata.source": "shop" } }), json!(["*"]), [None, None]),
    ] {
        let api = Api::new().await;
        let id = made(&api, fields.clone()).await;
        for (amount, delivery) in [(99, delivery[0]), (100, delivery[1])] {
            let answer = api.json(MATCH, &large(amount), 200).await;
            assert_eq!(
                (&answer["refused"], &answer["filter"], &answer["next"]),
                (&json!(null), &json!(null), &json!(null))
            );
            let found = &answer["data"][0];
            assert_eq!(found["endpoint"], id);
            assert_eq!(found["topics"], topics, "{fields}");
            assert_eq!(found["matches"], delivery.is_some(), "{fields} {amount}");
            assert_eq!(found["delivery"].as_str(), delivery, "{fields} {amount}");
            assert_eq!(found["filter"].is_null(), fields.get("filter").is_none());

            let accepted = api.json(&format!("POST {EVENTS}"), &large(amount), 202).await;
            assert_eq!(accepted["deliveries"], u32::from(delivery.is_some()), "{fields} {amount}");
            let id = accepted["id"].as_str().unwrap();
            let shown = api.json(&format!("GET {EVENTS}/{id}"), "", 200).await;
            assert_eq!(shown["deliveries"][0]["state"].as_str(), delivery, "{fields} {amount}");
        }
    }
    api.json(MATCH, &large(1), 200).await;
    assert_eq!(api.json(&format!("GET {EVENTS}"), "", 200).await["data"], json!([]), "nothing was written");
}

#[tokio::test]
async fn why_is_told() {
    let api = Api::new().await;
    let id =
        made(&api, json!({ "filter": { "data.amount": { "$gte": 100 }, "metadata.source": "shop" } })).await;
    let body = json!({ "topic": "order.paid", "data": { "amount": 5 }, "metadata": { "source": "shop" }, "endpoint": id });
    let answer = api.json(MATCH, &body.to_string(), 200).await;
    let why = json!({ "matches": false, "conditions": [
        { "at": "/data.amount/$gte", "path": "data.amount", "operator": "$gte", "operand": 100,
          "found": { "count": 1, "values": ["5"] }, "held": false },
        { "at": "/metadata.source", "path": "metadata.source", "operator": "$eq", "operand": "shop",
          "found": { "count": 1, "values": ["\"shop\""] }, "held": true }] });
    assert_eq!(answer["data"][0]["filter"], why);
    assert_eq!(answer["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_filter_can_be_tried_before_an_endpoint_has_it() {
    let api = Api::new().await;
    made(&api, json!({})).await;
    for (amount, matches) in [(99, false), (100, true)] {
        let body = json!({ "topic": "order.paid", "data": { "amount": amount }, "filter": { "data.amount": { "$gte": 100 } } });
        let answer = api.json(MATCH, &body.to_string(), 200).await;
        assert_eq!((&answer["filter"]["matches"], &answer["data"]), (&json!(matches), &json!([])));
    }
}

#[tokio::test]
async fn endpoints_come_in_pages() {
    let api = Api::new().await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.insert(0, made(&api, json!({})).await);
    }
    let (mut found, mut query) = (Vec::new(), "?limit=2".to_owned());
    loop {
        let answer = api.json(&format!("{MATCH}{query}"), &large(1), 200).await;
        let rows = answer["data"].as_array().unwrap();
        assert!(rows.len() <= 2);
        found.extend(rows.iter().map(|row| row["endpoint"].as_str().unwrap().to_owned()));
        let Some(next) = answer["next"].as_str() else { break };
        query = format!("?limit=2&cursor={next}");
    }
    assert_eq!(found, ids);
}

#[tokio::test]
async fn it_says_what_would_be_refused() {
    let api = Api::new().await;
    made(&api, json!({})).await;
    api.store.put_topic(topic("order.old", true)).await.unwrap();
    let schema = r#"{"schema": {"required": ["order"]}}"#;
    api.json("PUT /v1/topics/order.sent", schema, 201).await;
    for (topic, data, kind, pointer) in [
        ("unheard.of", json!({}), "invalid-field", "/topic"),
        ("order.old", json!({}), "invalid-field", "/topic"),
        ("order.sent", json!({}), "invalid-field", "/data"),
    ] {
        let body = json!({ "topic": topic, "data": data }).to_string();
        let answer = api.json(MATCH, &body, 200).await;
        let (status, refused) = api.call(&format!("POST {EVENTS}"), "application/json", &body).await;
        assert_eq!(answer["refused"], refused);
        assert_eq!(answer["refused"]["status"], status);
        assert_eq!(answer["refused"]["type"], format!("urn:posthaste:problem:{kind}"));
        assert_eq!(answer["refused"]["errors"][0]["pointer"], pointer);
        assert_eq!(answer["data"][0]["matches"], true, "whatever becomes of the event");
    }
    let body = json!({ "topic": "order.sent", "data": { "order": 1 } }).to_string();
    assert_eq!(api.json(MATCH, &body, 200).await["refused"], json!(null));
}

/// Data that no event may have are not judged at all.
#[tokio::test]
async fn data_that_are_too_large_are_refused() {
    let api = Api::new().await;
    let id = made(&api, json!({})).await;
    let body = json!({ "topic": "order.paid", "data": "x".repeat(100) });
    for asked in [json!({}), json!({ "endpoint": id }), json!({ "filter": { "topic": "order.paid" } })] {
        let mut body = body.clone();
        body.as_object_mut().unwrap().extend(asked.as_object().unwrap().clone());
        api.refuses(MATCH, &body.to_string(), "413 too-large pointer /data: the payload has 102 bytes").await;
    }
    api.refuses(&format!("POST {EVENTS}"), &body.to_string(), "413 too-large pointer /data").await;
}

#[tokio::test]
async fn others_have_their_turn_between_endpoints() {
    let api = Api::new().await;
    let tenant = posthaste_model::TenantId::default_tenant();
    let id = made(&api, json!({})).await.parse().unwrap();
    let endpoints = vec![api.store.endpoint(&tenant, id).await.unwrap(); 3];
    let topic = "order.paid".parse().unwrap();
    let (metadata, payload) = (Default::default(), Payload::Data("1".into()));
    let subject = Subject::new(&topic, &metadata, &payload);
    let mut judging = pin!(judge_all(&api.service, &endpoints, &topic, &subject));
    for _ in 0..3 {
        assert!(judging.as_mut().now_or_never().is_none());
    }
    assert_eq!(judging.await.len(), 3);
}

/// What operators are told is never published, and can be asked about.
#[tokio::test]
async fn what_operators_are_told_needs_no_registration() {
    let api = Api::new().await;
    let own = posthaste_model::TenantId::posthaste();
    api.store.put_tenant(posthaste_model::Tenant::new(own, crate::fixture::NOW)).await.unwrap();
    for (topic, refused) in [("endpoint.failing", false), ("order.unheard", true)] {
        let body = json!({ "topic": topic, "data": 1 }).to_string();
        let answer = api.json("POST /v1/tenants/posthaste/match", &body, 200).await;
        assert_eq!(answer["refused"].is_object(), refused, "{topic}");
    }
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let api = Api::new().await;
    let with = |fields: &str| format!(r#"{{"topic": "order.paid", "data": 1{fields}}}"#);
    let missing = r#", "endpoint": "ep_00000000000000000000000000000000""#;
    let long = format!(r#", "metadata": {{"a": "{}"}}"#, "x".repeat(501));
    for (body, refused) in [
        (r#"{"data": 1}"#.to_owned(), "/topic: missing field"),
        (r#"{"topic": "order.paid"}"#.to_owned(), "/data: missing field"),
        (r#"{"topic": "a..b", "data": 1}"#.to_owned(), "/topic: not a topic"),
        (with(r#", "id": "e1""#), "/id: unknown field"),
        (with(r#", "metadata": {"a": 1}"#), "/metadata/a: invalid type"),
        (with(&long), "/metadata: must not have names longer"),
        (with(r#", "endpoint": "ep_1""#), "/endpoint: "),
        (with(missing), "/endpoint: no such endpoint"),
        (with(r#", "filter": {"data.a": {"$ne": 1}}"#), "/filter/data.a/$ne: unknown operator `$ne`"),
        (with(r#", "filter": []"#), "/filter: must be an object"),
        (with(&format!(r#"{missing}, "filter": {{"data": 1}}"#)), "/filter: cannot stand beside 'endpoint'"),
        ("[]".to_owned(), ": expected an object"),
    ] {
        api.refuses(MATCH, &body, &format!("422 invalid-field pointer {refused}")).await;
    }
    api.refuses(&format!("{MATCH}?limit=0"), &with(""), "400 invalid-parameter parameter limit").await;
    api.refuses(&format!("{MATCH}?cursor=x"), &with(""), "400 invalid-parameter parameter cursor").await;
    api.refuses(&format!("{MATCH}?topic=a"), &with(""), "400 invalid-parameter parameter topic").await;
    for body in [with(""), with(r#", "filter": {"data": 1}"#)] {
        api.refuses("POST /v1/tenants/nobody/match", &body, "404 not-found: no such tenant").await;
    }
    // Another tenant's endpoint is none.
    let own = made(&api, json!({})).await;
    api.json("PUT /v1/tenants/acme", "{}", 201).await;
    let body = with(&format!(r#", "endpoint": "{own}""#));
    api.refuses(
        "POST /v1/tenants/acme/match",
        &body,
        "422 invalid-field pointer /endpoint: no such endpoint",
    )
    .await;
    assert_eq!(api.json(&format!("GET {ENDPOINTS}"), "", 200).await["data"].as_array().unwrap().len(), 1);
}
