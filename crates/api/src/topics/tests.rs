use posthaste_store::Catalogue as _;
use serde_json::{Value, json};

use crate::fixture::{self, Api};

const TOPIC: &str = "/v1/topics/order.sent";

fn order() -> Value {
    json!({ "type": "object", "required": ["order"], "properties": { "order": { "type": "integer" } } })
}

#[tokio::test]
async fn a_schema_is_kept_as_it_is() {
    let api = Api::new().await;
    let put = format!("PUT {TOPIC}");
    let body = json!({ "schema": order(), "example": { "order": 1 } }).to_string();
    let made = api.json(&put, &body, 201).await;
    assert_eq!((&made["schema"], &made["example"]), (&order(), &json!({ "order": 1 })));
    assert_eq!(api.json(&format!("GET {TOPIC}"), "", 200).await, made);
    assert_eq!(api.json("GET /v1/topics", "", 200).await["data"][1], made);
    // PUT replaces the whole topic.
    for body in [r#"{"example": "x"}"#, r#"{"schema": null}"#] {
        assert_eq!(api.json(&put, body, 200).await["schema"], json!(null), "{body}");
    }
}

#[tokio::test]
async fn the_topics_of_posthaste_are_its_own() {
    let api = Api::new().await;
    for topic in ["posthaste.handshake", "posthaste.test", "posthaste.other"] {
        let refused = format!("403 reserved parameter topic: topic '{topic}' is Posthaste's own");
        api.refuses(&format!("PUT /v1/topics/{topic}"), "{}", &refused).await;
    }
    // One that was registered before they were can still be deleted.
    api.store.put_topic(fixture::topic("posthaste.other", false)).await.unwrap();
    api.json("DELETE /v1/topics/posthaste.other", "", 204).await;
    api.refuses("GET /v1/topics/posthaste.other", "", "404 not-found: ").await;
}

#[tokio::test]
async fn a_schema_that_makes_no_sense_is_refused() {
    let api = Api::new().await;
    let rows = [
        (json!(5), "/schema: must be an object"),
        (json!(true), "/schema: must be an object"),
        (json!({ "type": "text" }), "/schema/type: the value is not valid"),
        (
            json!({ "properties": { "a": { "minimum": "1" } } }),
            "/schema/properties/a/minimum: the value is not of type",
        ),
        (
            json!({ "$ref": "https://example.com/order.json" }),
            "/schema/$ref: must lead to a place in this schema",
        ),
        (
            json!({ "items": { "$ref": "file:///etc/passwd" } }),
            "/schema/items/$ref: must lead to a place in this schema",
        ),
        (json!({ "$ref": "#/$defs/a" }), "/schema/$ref: leads to no schema"),
        (json!({ "$ref": "#" }), "/schema: leads back to itself"),
        (json!({ "$schema": "https://example.com/own" }), "/schema/$schema: must be one of"),
        (json!({ "pattern": "(?=a)" }), "/schema/pattern: "),
        (json!({ "pattern": "a".repeat(257) }), "/schema/pattern: must not be longer than 256 bytes"),
    ];
    for (schema, refused) in rows {
        let refused = format!("422 invalid-field pointer {refused}");
        api.refuses(&format!("PUT {TOPIC}"), &json!({ "schema": schema }).to_string(), &refused).await;
    }
    api.refuses(&format!("GET {TOPIC}"), "", "404 not-found").await;
}

#[tokio::test]
async fn an_example_fulfils_the_schema() {
    let api = Api::new().await;
    let refused =
        "422 invalid-field pointer /example/order: does not fit the schema: the value is not of type";
    let body = json!({ "schema": order(), "example": { "order": "1" } }).to_string();
    api.refuses(&format!("PUT {TOPIC}"), &body, refused).await;
    let refused =
        "422 invalid-field pointer /example: does not fit the schema: \"order\" is a required property";
    let body = json!({ "schema": order(), "example": {} }).to_string();
    api.refuses(&format!("PUT {TOPIC}"), &body, refused).await;
}
