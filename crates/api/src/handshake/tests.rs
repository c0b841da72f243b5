use posthaste_store::Lease;
use serde_json::{Value, json};

use crate::fixture::{
    DELIVERIES, ENDPOINTS, EVENTS, NOW,
    handshaking::{SECRET, Stand, is_deaf, of, proves, repeats, reply},
};

const THEN_ENABLED: &str = "waits for its handshake, then enabled";
const THEN_PAUSED: &str = "waits for its handshake, then paused";

#[tokio::test(start_paused = true)]
async fn nothing_else_is_to_be_had_of_it() {
    let stand = Stand::new().await;
    let made = stand.make(json!({ "handshake": { "type": "echo" } }), is_deaf).await;
    stand.api.json(&format!("POST {EVENTS}"), r#"{"topic": "order.paid", "data": 1, "id": "e1"}"#, 202).await;
    let listed = stand.api.json(&format!("GET {DELIVERIES}?event=e1"), "", 200).await;
    assert_eq!(listed["data"][0]["state"], "held");
    let delivery = listed["data"][0]["id"].as_str().unwrap();
    let endpoint = of(&made);
    let refused = "409 unverified: the endpoint has not given its handshake";
    for (line, body) in [
        (format!("POST {endpoint}/resume"), ""),
        (format!("POST {endpoint}/enable"), ""),
        (format!("PATCH {endpoint}"), r#"{"state": "enabled"}"#),
        (format!("POST {endpoint}/test"), ""),
        (format!("POST {endpoint}/test"), r#"{"force": true}"#),
        (format!("POST {DELIVERIES}/{delivery}/retry"), ""),
        (format!("POST {DELIVERIES}/{delivery}/retry"), r#"{"force": true}"#),
    ] {
        stand.api.refuses(&line, body, refused).await;
    }
    stand.api.json(&format!("PATCH {endpoint}"), r#"{"description": "Orders", "topics": ["a"]}"#, 200).await;
}

/// Whoever enables it means that it is to be used: that takes its handshake, as at first.
#[tokio::test(start_paused = true)]
async fn one_that_is_disabled_waits_again_when_it_is_enabled() {
    let stand = Stand::new().await;
    for enable in [("POST", "/enable", ""), ("PATCH", "", r#"{"state": "enabled"}"#)] {
        let made = stand.make(json!({ "handshake": { "type": "echo" }, "state": "paused" }), is_deaf).await;
        stand.api.json(&format!("POST {}/disable", of(&made)), r#"{"reason": "they left"}"#, 200).await;
        let (method, what, body) = enable;
        let answer = stand.api.json(&format!("{method} {}{what}", of(&made)), body, 200).await;
        assert_eq!((&answer["state"], &answer["state_reason"]), (&json!("paused"), &json!(THEN_ENABLED)));
        let answer = stand.ask(&format!("POST {}/verify", of(&made)), &Value::Null, 200, repeats).await;
        assert_eq!((&answer["state"], &answer["state_reason"]), (&json!("enabled"), &Value::Null));
    }
}

/// Whoever says what was shown changes nothing: neither what it is to be.
#[tokio::test(start_paused = true)]
async fn what_is_said_as_it_was_shown_changes_nothing() {
    let stand = Stand::new().await;
    for (state, reason) in [("enabled", THEN_ENABLED), ("paused", THEN_PAUSED)] {
        let made = stand.make(json!({ "handshake": { "type": "echo" }, "state": state }), is_deaf).await;
        assert_eq!((&made["state"], &made["state_reason"]), (&json!("paused"), &json!(reason)));
        let before = stand.stored(&made).await;
        let same = json!({ "state": made["state"], "url": made["url"], "handshake": { "type": "echo" } });
        stand.ask(&format!("PATCH {}", of(&made)), &same, 200, |lease| panic!("{lease:?}")).await;
        assert_eq!(stand.stored(&made).await, before);
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_is_paused_while_it_waits_stays_paused() {
    let stand = Stand::new().await;
    let made = stand.make(json!({ "handshake": { "type": "echo" } }), is_deaf).await;
    let paused = stand.api.json(&format!("POST {}/pause", of(&made)), "", 200).await;
    assert_eq!((&paused["state"], &paused["state_reason"]), (&json!("paused"), &json!(THEN_PAUSED)));
    let answer = stand.ask(&format!("POST {}/verify", of(&made)), &Value::Null, 200, repeats).await;
    assert_eq!((&answer["state"], &answer["state_reason"]), (&json!("paused"), &Value::Null));
    stand.api.json(&format!("POST {}/resume", of(&made)), "", 200).await;
}

#[tokio::test(start_paused = true)]
async fn another_url_or_kind_is_verified_anew() {
    let stand = Stand::new().await;
    let made = stand.make(json!({ "handshake": { "type": "echo" } }), repeats).await;
    let patch = format!("PATCH {}", of(&made));
    // What changes neither is no reason.
    let same =
        json!({ "url": "https://EXAMPLE.com/hooks", "handshake": { "type": "echo" }, "timeout": "2s" });
    let answer = stand.ask(&patch, &same, 200, |lease| panic!("{lease:?}")).await;
    assert_eq!((&answer["state"], &answer["handshake"]), (&json!("enabled"), &made["handshake"]));

    let elsewhere = json!({ "url": "https://example.com/elsewhere" });
    let answer = stand.ask(&patch, &elsewhere, 200, is_deaf).await;
    assert_eq!((&answer["state"], &answer["handshake"]["verified_at"]), (&json!("paused"), &Value::Null));
    assert!(answer["handshake"]["failure"].is_string());
    let back = json!({ "url": "https://example.com/hooks", "state": "enabled" });
    let answer = stand.ask(&patch, &back, 200, repeats).await;
    assert_eq!(answer["state"], "enabled", "{answer}");

    let kind = json!({ "handshake": { "type": "cloudevents" } });
    let answer = stand.ask(&patch, &kind, 200, is_deaf).await;
    assert_eq!(answer["handshake"]["type"], "cloudevents");
    assert_eq!(answer["state"], "paused");
    // It is to be again what it was to be.
    let consents = |_: &Lease| reply(200, &[("webhook-allowed-origin", "*")], String::new());
    let answer = stand.ask(&format!("POST {}/verify", of(&made)), &Value::Null, 200, consents).await;
    assert_eq!(answer["state"], "enabled");
}

#[tokio::test(start_paused = true)]
async fn a_handshake_can_be_asked_for_later_and_waived() {
    let stand = Stand::new().await;
    for (state, body) in
        [("enabled", json!({})), ("paused", json!({})), ("enabled", json!({ "state": "paused" }))]
    {
        let made = stand.api.endpoint(json!({ "state": state })).await;
        assert_eq!(made["handshake"], Value::Null);
        let patch = format!("PATCH {}", of(&made));
        let mut change = body.clone();
        change["handshake"] = json!({ "type": "echo" });
        let answer = stand.ask(&patch, &change, 200, is_deaf).await;
        let then = body["state"].as_str().unwrap_or(state);
        let reason = if then == "enabled" { THEN_ENABLED } else { THEN_PAUSED };
        assert_eq!((&answer["state"], &answer["state_reason"]), (&json!("paused"), &json!(reason)));
        let answer = stand.api.json(&patch, r#"{"handshake": null}"#, 200).await;
        assert_eq!((&answer["state"], &answer["state_reason"]), (&json!(then), &Value::Null));
        assert_eq!(answer["handshake"], Value::Null);
        let none = "409 conflict: the endpoint has no handshake to give";
        stand.api.refuses(&format!("POST {}/verify", of(&made)), "", none).await;
    }
    let made = stand.make(json!({ "handshake": { "type": "echo" } }), is_deaf).await;
    let patch = format!("PATCH {}", of(&made));
    let answer = stand.api.json(&patch, r#"{"handshake": null, "state": "paused"}"#, 200).await;
    assert_eq!((&answer["state"], &answer["state_reason"]), (&json!("paused"), &Value::Null));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_is_refused() {
    let stand = Stand::new().await;
    let with = |field: Value| json!({ "url": "https://example.com/", "handshake": field }).to_string();
    let pair = json!({ "url": "https://example.com/", "handshake": { "type": "hmac" },
        "signature": { "profile": "standard", "versions": ["v1a"] } });
    let no_shared =
        "422 invalid-field pointer /handshake/type: the endpoint's signature profile has no shared secret";
    for (body, refused) in [
        (with(json!({})), "422 invalid-field pointer /handshake/type: missing field `type`"),
        (
            with(json!({ "type": "ping" })),
            "422 invalid-field pointer /handshake/type: must be one of cloudevents, echo, hmac",
        ),
        (with(json!({ "type": 5 })), "422 invalid-field pointer /handshake/type: must be one of cloudevents"),
        (
            with(json!({ "type": "echo", "verified_at": NOW })),
            "422 invalid-field pointer /handshake/verified_at: ",
        ),
        (with(json!("echo")), "422 invalid-field pointer /handshake: "),
        (pair.to_string(), no_shared),
    ] {
        stand.api.refuses(&format!("POST {ENDPOINTS}"), &body, refused).await;
    }
    let made = stand.make(json!({ "handshake": { "type": "hmac" }, "secret": SECRET }), proves(SECRET)).await;
    let patch = format!("PATCH {}", of(&made));
    let to_pair = json!({ "signature": pair["signature"] }).to_string();
    stand.api.refuses(&patch, &to_pair, no_shared).await;
    let null = r#"{"handshake": {"kind": null}}"#;
    stand.api.refuses(&patch, null, "422 invalid-field pointer /handshake/kind: unknown field").await;
    let verify = format!("POST {}/verify", of(&made));
    let unknown = "422 invalid-field pointer /force: unknown field";
    stand.api.refuses(&verify, r#"{"force": true}"#, unknown).await;
    let missing = format!("POST {ENDPOINTS}/ep_00000000000000000000000000000000/verify");
    stand.api.refuses(&missing, "", "404 not-found: no such endpoint").await;
}
