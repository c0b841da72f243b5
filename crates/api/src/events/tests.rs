use std::time::Duration;

use posthaste_testkit::simulated_clock;
use serde_json::{Value, json};

use crate::fixture::{Api, DELIVERIES, EVENTS, NOW};

fn with(fields: &str) -> String {
    format!(r#"{{"topic": "order.paid", "data": 1, "id": "e1", {fields}}}"#)
}

/// What is asked for beside is shown, and counts.
#[tokio::test]
async fn what_a_publisher_asks_for_is_kept() {
    let rows = [
        (r#""metadata": {"source": "billing"}"#, "metadata", json!({ "source": "billing" })),
        (r#""deliver_at": "1970-01-02T00:00:00Z""#, "deliver_at", json!("1970-01-02T00:00:00Z")),
        (r#""deliver_at": "1970-01-02T01:00:00+01:00""#, "deliver_at", json!("1970-01-02T00:00:00Z")),
        (r#""delay": "10m""#, "deliver_at", json!("1970-01-01T00:10:00Z")),
        (r#""delay": "0s""#, "deliver_at", json!(null)),
        (r#""retention": "90d""#, "retention", json!("2160h")),
        (r#""retention": "30d", "delay": "30d""#, "deliver_at", json!("1970-01-31T00:00:00Z")),
        (r#""delay": null"#, "test", json!(false)),
    ];
    for (fields, name, value) in rows {
        let api = Api::new().await;
        api.endpoint(json!({})).await;
        api.json(&format!("POST {EVENTS}"), &with(fields), 202).await;
        let shown = api.json(&format!("GET {EVENTS}/e1"), "", 200).await;
        assert_eq!(shown[name], value, "{fields}");
        let due_at = &shown["deliveries"][0]["due_at"];
        let expect = shown["deliver_at"].as_str().unwrap_or("1970-01-01T00:00:00Z");
        assert_eq!(due_at.as_str(), Some(expect), "{fields}");
        assert_eq!(api.json(&format!("GET {EVENTS}"), "", 200).await["data"][0][name], value);
    }
}

#[tokio::test]
async fn one_endpoint_alone_gets_what_is_sent_to_it() {
    let api = Api::new().await;
    let other = api.endpoint(json!({ "topics": ["refund"] })).await["id"].as_str().unwrap().to_owned();
    api.endpoint(json!({})).await;
    let accepted =
        api.json(&format!("POST {EVENTS}"), &with(&format!(r#""endpoint": "{other}""#)), 202).await;
    assert_eq!(accepted["deliveries"], 1);
    let listed = api.json(&format!("GET {DELIVERIES}?event=e1"), "", 200).await;
    assert_eq!(listed["data"][0]["endpoint"], other);
}

/// Nobody else can make up what the service says of itself.
#[tokio::test]
async fn the_topics_of_posthaste_are_its_own() {
    let api = Api::new().await;
    for topic in ["posthaste.handshake", "posthaste.test", "posthaste.other"] {
        let event = json!({ "topic": topic, "data": 1 });
        let own = format!("topic '{topic}' is Posthaste's own");
        let refused = format!("403 reserved pointer /topic: {own}");
        api.refuses(&format!("POST {EVENTS}"), &event.to_string(), &refused).await;
        let batch = json!({ "events": [event] }).to_string();
        let refused = format!("403 reserved pointer /events/0/topic: {own}");
        api.refuses(&format!("POST {EVENTS}"), &batch, &refused).await;
        let refused = format!("403 reserved parameter topic: {own}");
        api.refuses_typed(&format!("POST {EVENTS}?topic={topic}"), "text/plain", "x", &refused).await;
    }
}

#[tokio::test]
async fn an_event_that_nobody_wanted_says_so() {
    let api = Api::new().await;
    api.json(&format!("POST {EVENTS}"), &with(r#""metadata": {}"#), 202).await;
    let shown = api.json(&format!("GET {EVENTS}/e1"), "", 200).await;
    assert_eq!((&shown["delivery_count"], &shown["reason"]), (&json!(0), &json!("unmatched")));
    api.endpoint(json!({})).await;
    api.json(&format!("POST {EVENTS}"), r#"{"topic": "order.paid", "data": 1, "id": "e2"}"#, 202).await;
    assert_eq!(api.json(&format!("GET {EVENTS}/e2"), "", 200).await.get("reason"), None);
}

/// A wish that cannot be granted: the field, its value, and the beginning of what is said of it.
fn wrong_wishes() -> Vec<(&'static str, Value, &'static str)> {
    let many: serde_json::Map<_, _> = (0..51).map(|n| (n.to_string(), json!(""))).collect();
    let kept = "must not be more than 480h ahead: the event is not kept for longer";
    let length = "not a length of time";
    vec![
        ("metadata", Value::Object(many), "must not have more than 50 entries"),
        ("metadata", json!({ "x".repeat(101): "" }), "must not have names longer than 100 bytes"),
        (
            "metadata",
            json!({ "x": "x".repeat(501) }),
            "must not have names longer than 100 bytes, or values longer",
        ),
        ("metadata", json!([]), ""),
        ("deliver_at", json!("1969-12-31T23:59:59Z"), "lies in the past"),
        ("deliver_at", json!("1970-02-01T00:00:00Z"), "must not be more than 30d ahead"),
        ("deliver_at", json!("1970-01-21T00:00:01Z"), kept),
        ("deliver_at", json!("tomorrow"), ""),
        ("deliver_at", json!("1970-01-02T00:00:00"), ""),
        ("delay", json!("31d"), "must not be more than 30d ahead"),
        ("delay", json!("20d 1s"), kept),
        ("delay", json!("-1s"), length),
        ("delay", json!("5"), length),
        ("retention", json!("59s"), "must lie between 1m and 365d"),
        ("retention", json!("366d"), "must lie between 1m and 365d"),
        ("retention", json!("-1d"), length),
        ("endpoint", json!("ep_00000000000000000000000000000000"), "no such endpoint"),
        ("endpoint", json!("everyone"), ""),
    ]
}

#[tokio::test]
async fn wishes_that_cannot_be_granted_are_refused_by_name() {
    let api = Api::new().await;
    for (field, value, detail) in wrong_wishes() {
        let refused = |pointer: &str| format!("422 invalid-field pointer {pointer}/{field}: {detail}");
        let event = json!({ "topic": "order.paid", "data": 1, field: value });
        api.refuses(&format!("POST {EVENTS}"), &event.to_string(), &refused("")).await;
        let batch = json!({ "events": [{ "topic": "order.paid", "data": 1 }, event] });
        api.refuses(&format!("POST {EVENTS}"), &batch.to_string(), &refused("/events/1")).await;

        // As text: a raw body has parameters.
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let text: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let line = format!("POST {EVENTS}?topic=order.paid&{field}={text}");
        let refused = format!("400 invalid-parameter parameter {field}: {detail}");
        api.refuses_typed(&line, "text/plain", "a", &refused).await;
    }
    let both = with(r#""delay": "1s", "deliver_at": "1970-01-02T00:00:00Z""#);
    let refused = "422 invalid-field pointer /delay: cannot stand beside 'deliver_at'";
    api.refuses(&format!("POST {EVENTS}"), &both, refused).await;
    let own = with(r#""retention": "1m", "delay": "61s""#);
    let refused = "422 invalid-field pointer /delay: must not be more than 1m ahead: the event is not kept";
    api.refuses(&format!("POST {EVENTS}"), &own, refused).await;
    let refused = "422 invalid-field pointer /metadata/a: invalid type";
    api.refuses(&format!("POST {EVENTS}"), &with(r#""metadata": {"a": 1}"#), refused).await;
    assert_eq!(api.json(&format!("GET {EVENTS}"), "", 200).await["data"], json!([]), "nothing was written");
}

#[tokio::test]
async fn the_wishes_of_a_raw_body_are_parameters() {
    let api = Api::new().await;
    let endpoint = api.endpoint(json!({ "topics": ["refund"] })).await["id"].as_str().unwrap().to_owned();
    let line = format!(
        "POST {EVENTS}?topic=order.paid&id=e1&metadata=%7B%22a%22:%22b%22%7D&deliver_at=1970-01-02T00:00:00Z\
         &retention=2d&endpoint={endpoint}"
    );
    let (status, answer) = api.call(&line, "text/csv", "a,b").await;
    assert_eq!((status, &answer["deliveries"]), (202, &json!(1)));
    let shown = api.json(&format!("GET {EVENTS}/e1"), "", 200).await;
    assert_eq!(shown["metadata"], json!({ "a": "b" }));
    assert_eq!(shown["deliver_at"], "1970-01-02T00:00:00Z");
    assert_eq!(shown["retention"], "48h");
    for parameter in
        ["id=e1", "metadata=%7B%7D", "delay=1s", "deliver_at=1970-01-02T00:00:00Z", "retention=1d"]
    {
        let name = parameter.split('=').next().unwrap();
        let refused = format!("400 invalid-parameter parameter {name}: goes with 'topic'");
        let line = format!("POST {EVENTS}?{parameter}");
        api.refuses(&line, r#"{"topic": "order.paid", "data": 1}"#, &refused).await;
    }
}

/// What is known to be a repeat is not given to the store again: it might have forgotten it by then.
#[tokio::test(start_paused = true)]
async fn a_repeat_in_a_batch_is_answered_in_its_place() {
    let api = Api::with(simulated_clock(NOW)).await;
    api.endpoint(json!({})).await;
    api.endpoint(json!({})).await;
    let line = format!("POST {EVENTS}");
    let late = |id: &str| json!({ "topic": "order.paid", "data": 1, "id": id, "deliver_at": "1970-01-01T01:00:00Z" });
    let fresh = |id: &str| json!({ "topic": "order.paid", "data": 2, "id": id });
    let batch = |events: Value| json!({ "events": events }).to_string();
    api.json(&line, &batch(json!([late("e1"), late("e2")])), 202).await;
    tokio::time::advance(Duration::from_secs(7_200)).await;
    for (events, offered, expect) in [
        (json!([late("e1")]), 0, vec![("e1", true)]),
        (json!([late("e2"), late("e1"), late("e2")]), 0, vec![("e2", true), ("e1", true), ("e2", true)]),
        (
            json!([fresh("e3"), late("e1"), fresh("e4"), late("e2")]),
            2,
            vec![("e3", false), ("e1", true), ("e4", false), ("e2", true)],
        ),
        // A repeat that nothing is wrong with is the store's to tell.
        (json!([late("e1"), fresh("e3"), fresh("e5")]), 2, vec![("e1", true), ("e3", true), ("e5", false)]),
    ] {
        let before = api.store.offered();
        let answer = api.json(&line, &batch(events), 202).await;
        let told: Vec<_> = answer["events"].as_array().unwrap().iter().collect();
        assert_eq!(told.len(), expect.len(), "{answer}");
        for (told, (id, duplicate)) in told.iter().zip(&expect) {
            assert_eq!((&told["id"], &told["duplicate"]), (&json!(id), &json!(duplicate)), "{answer}");
            assert_eq!(told["deliveries"], 2, "{answer}");
        }
        assert_eq!(api.store.offered() - before, offered, "{answer}");
    }
    let mut other = fresh("e3");
    other["data"] = json!(3);
    let events = batch(json!([late("e1"), other, fresh("e6"), late("e2")]));
    api.refuses(&line, &events, "409 event-conflict pointer /events/1/id: event 'e3' was accepted").await;
}

/// The answer to the first one may have been lost, and its time has passed since, or its endpoint is gone.
#[tokio::test(start_paused = true)]
async fn a_repeat_is_a_duplicate_whatever_has_passed_since() {
    let api = Api::with(simulated_clock(NOW)).await;
    let endpoint = api.endpoint(json!({})).await["id"].as_str().unwrap().to_owned();
    let late = json!({ "topic": "order.paid", "data": 1, "deliver_at": "1970-01-01T01:00:00Z" });
    let gone = json!({ "topic": "order.paid", "data": 1, "endpoint": endpoint });
    let publish = |mut event: Value, id: &str| {
        event["id"] = json!(id);
        event.to_string()
    };
    let line = format!("POST {EVENTS}");
    for (id, event) in [("e1", &late), ("e2", &gone)] {
        let first = api.json(&line, &publish(event.clone(), id), 202).await;
        assert_eq!((&first["duplicate"], &first["deliveries"]), (&json!(false), &json!(1)));
    }
    tokio::time::advance(Duration::from_secs(7_200)).await;
    api.json(&format!("DELETE /v1/tenants/default/endpoints/{endpoint}"), "", 204).await;
    for (id, event, refused) in [
        ("e1", &late, "422 invalid-field pointer /deliver_at: lies in the past"),
        ("e2", &gone, "422 invalid-field pointer /endpoint: no such endpoint"),
    ] {
        let again = api.json(&line, &publish(event.clone(), id), 202).await;
        assert_eq!((&again["duplicate"], &again["deliveries"]), (&json!(true), &json!(1)));
        api.refuses(&line, &publish(event.clone(), "fresh"), refused).await;
        let mut other = event.clone();
        other["data"] = json!(2);
        api.refuses(&line, &publish(other, id), refused).await;
    }
}

#[tokio::test]
async fn a_filter_decides_who_gets_an_event() {
    let api = Api::new().await;
    let large = api.endpoint(json!({ "filter": { "data.amount": { "$gte": 100 } } })).await;
    api.endpoint(json!({ "filter": { "metadata.source": "shop" } })).await;
    api.endpoint(json!({ "filter": { "topic": "order.paid" }, "topics": ["refund"] })).await;
    for (amount, source, deliveries) in [(99, "web", 0), (100, "web", 1), (99, "shop", 1), (100, "shop", 2)] {
        let event =
            json!({ "topic": "order.paid", "data": { "amount": amount }, "metadata": { "source": source } });
        let accepted = api.json(&format!("POST {EVENTS}"), &event.to_string(), 202).await;
        assert_eq!(accepted["deliveries"], deliveries, "{event}");
    }
    // What is sent to one endpoint alone it gets, whatever it wants.
    let event = json!({ "topic": "order.paid", "data": { "amount": 1 }, "endpoint": large["id"] });
    assert_eq!(api.json(&format!("POST {EVENTS}"), &event.to_string(), 202).await["deliveries"], 1);
    // A raw body has no data, and has metadata.
    let raw = format!("POST {EVENTS}?topic=order.paid&metadata=%7B%22source%22:%22shop%22%7D");
    let (_, accepted) = api.call(&raw, "application/json", r#"{"amount": 100}"#).await;
    assert_eq!(accepted["deliveries"], 1);
}

/// An api with a topic whose data are objects with an order.
async fn with_schema() -> Api {
    let api = Api::new().await;
    let schema =
        json!({ "type": "object", "required": ["order"], "properties": { "order": { "type": "integer" } } });
    api.json("PUT /v1/topics/order.sent", &json!({ "schema": schema }).to_string(), 201).await;
    api
}

#[tokio::test]
async fn data_that_do_not_fit_their_schema_are_refused() {
    let api = with_schema().await;
    let post = format!("POST {EVENTS}");
    let unfit = "does not fit the schema of its topic: ";
    for (data, pointer, told) in [
        ("{}", "/data", "\"order\" is a required property"),
        ("[]", "/data", "the value is not of type \"object\""),
        (r#"{"order": "42"}"#, "/data/order", "the value is not of type \"integer\""),
    ] {
        let event = format!(r#"{{"topic": "order.sent", "data": {data}}}"#);
        let refused = |at: &str| format!("422 invalid-field pointer {at}{pointer}: {unfit}{told}");
        api.refuses(&post, &event, &refused("")).await;
        let batch = format!(r#"{{"events": [{{"topic": "order.paid", "data": 1}}, {event}, {event}]}}"#);
        api.refuses(&post, &batch, &refused("/events/1")).await;
        // The pointer leads into the body: that is the data.
        let pointer = pointer.strip_prefix("/data").unwrap();
        let refused = format!("422 invalid-field pointer {pointer}: {unfit}{told}");
        for json in ["application/json", "application/vnd.acme+json; charset=utf-8"] {
            api.refuses_typed(&format!("{post}?topic=order.sent"), json, data, &refused).await;
        }
    }
    let refused = "415 unsupported-media-type header content-type: the topic has a schema: its events are JSON, \
                   not 'text/csv'";
    api.refuses_typed(&format!("{post}?topic=order.sent"), "text/csv", r#"{"order": 1}"#, refused).await;
    let broken =
        "422 invalid-field pointer : does not fit the schema of its topic: cannot be judged by its schema";
    api.refuses_typed(&format!("{post}?topic=order.sent"), "application/json", "{", broken).await;
    assert_eq!(api.json(&format!("GET {EVENTS}"), "", 200).await["data"], json!([]), "nothing was written");

    let fit = r#"{"order": 42, "more": "x"}"#;
    api.json(&post, &format!(r#"{{"topic": "order.sent", "data": {fit}}}"#), 202).await;
    let (status, _) = api.call(&format!("{post}?topic=order.sent"), "application/json", fit).await;
    assert_eq!(status, 202);
}

/// Its publisher must be told the truth even if the schema changed meanwhile.
#[tokio::test]
async fn a_repeat_is_a_repeat_whatever_the_schema_is_by_now() {
    let api = with_schema().await;
    let post = format!("POST {EVENTS}");
    let event = |data: &str| format!(r#"{{"topic": "order.sent", "id": "e1", "data": {data}}}"#);
    api.json(&post, &event(r#"{"order": 1}"#), 202).await;
    api.json("PUT /v1/topics/order.sent", r#"{"schema": {"type": "string"}}"#, 200).await;
    assert_eq!(api.json(&post, &event(r#"{"order": 1}"#), 202).await["duplicate"], true);
    let refused = "422 invalid-field pointer /data: does not fit";
    api.refuses(&post, &event(r#"{"order": 2}"#), refused).await;
    // The schema that counts is the one of now.
    api.json(&post, r#"{"topic": "order.sent", "data": "x"}"#, 202).await;
    api.json("PUT /v1/topics/order.sent", "{}", 200).await;
    api.json(&post, r#"{"topic": "order.sent", "data": 1}"#, 202).await;
}
