use std::time::Duration;

use posthaste_model::{Next, Timestamp};
use posthaste_testkit::simulated_clock;
use serde_json::{Value, json};
use tokio::time::advance;

use crate::fixture::{Api, DELIVERIES, ENDPOINTS, EVENTS, NOW, replied};

/// An endpoint with a delivery that was attempted once, unless it could not be: their ids.
async fn stand(fields: Value, next: Next) -> (Api, String, String) {
    let api = Api::with(simulated_clock(NOW)).await;
    let endpoint = api.endpoint(fields).await["id"].as_str().unwrap().to_owned();
    api.json(&format!("POST {EVENTS}"), r#"{"topic": "order.paid", "data": 1, "id": "e1"}"#, 202).await;
    api.attempt(replied(if next == Next::Delivered { 200 } else { 500 }), next).await;
    let listed = api.json(&format!("GET {DELIVERIES}"), "", 200).await;
    let delivery = listed["data"][0]["id"].as_str().unwrap().to_owned();
    (api, endpoint, delivery)
}

#[tokio::test(start_paused = true)]
async fn a_delivery_that_is_over_is_opened_again() {
    for next in [Next::Delivered, Next::Exhausted, Next::Skipped] {
        let (api, _, delivery) = stand(json!({}), next).await;
        let replay = format!("POST {DELIVERIES}/{delivery}/replay");
        api.refuses(&replay, r#"{"force": true}"#, "422 invalid-field pointer /force: unknown field").await;
        let answer = api.json(&replay, "", 200).await;
        assert_eq!((&answer["id"], &answer["state"]), (&json!(delivery), &json!("scheduled")));
        assert_eq!((&answer["attempts"], &answer["failures"]), (&json!(1), &json!(0)));
        let refused = "409 conflict: the delivery is open as it is";
        api.refuses(&replay, "{}", refused).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_delivery_that_cannot_be_opened_is_refused() {
    let (api, endpoint, delivery) = stand(json!({}), Next::Exhausted).await;
    let replay = format!("POST {DELIVERIES}/{delivery}/replay");
    api.json(&format!("POST {ENDPOINTS}/{endpoint}/disable"), "", 200).await;
    api.refuses(&replay, "", "409 endpoint-closed: the endpoint is disabled; enable it first").await;
    api.json(&format!("POST {ENDPOINTS}/{endpoint}/enable"), "", 200).await;
    api.json(&format!("POST {ENDPOINTS}/{endpoint}/pause"), "", 200).await;
    assert_eq!(api.json(&replay, "", 200).await["state"], "held");
    api.json(&format!("DELETE {ENDPOINTS}/{endpoint}"), "", 204).await;
    api.refuses(&replay, "", "404 not-found: no such endpoint").await;

    let nothing = "dlv_00000000000000000000000000000000";
    let missing = "404 not-found: no such delivery";
    api.refuses(&format!("POST {DELIVERIES}/{nothing}/replay"), "", missing).await;
    let refused = "400 invalid-parameter parameter delivery: ";
    api.refuses(&format!("POST {DELIVERIES}/dlv_1/replay"), "", refused).await;
    let other = format!("POST /v1/tenants/nobody/deliveries/{delivery}/replay");
    api.refuses(&other, "", "404 not-found: no such tenant").await;
}

#[tokio::test(start_paused = true)]
async fn what_an_endpoint_missed_becomes_a_replay() {
    for (next, found) in [
        (Next::Exhausted, 1),
        (Next::Skipped, 1),
        (Next::Delivered, 0),
        (Next::Retry { at: Timestamp::from_second(5).unwrap() }, 0),
    ] {
        let (api, endpoint, _) = stand(json!({}), next).await;
        let recover = format!("POST {ENDPOINTS}/{endpoint}/recover");
        let none = api.json(&recover, r#"{"since": "1h", "dry_run": true}"#, 200).await;
        assert_eq!(none, json!({ "found": 0, "more": false }), "what is accepted from now on is not meant");
        advance(Duration::from_secs(60)).await;
        let dry = api.json(&recover, r#"{"since": "1h", "dry_run": true}"#, 200).await;
        assert_eq!(dry, json!({ "found": found, "more": false }));
        let before = api.json(&recover, r#"{"since": "1h", "until": "1m", "rate": 5}"#, 202).await;
        assert_eq!(before["found"], 0, "it was accepted at that time");
        let replay = api.json(&recover, r#"{"since": "1h", "rate": 5}"#, 202).await;
        assert_eq!((&replay["found"], &replay["rate"]), (&json!(found), &json!(5)));
        assert_eq!(replay["filter"]["states"], json!(["exhausted", "skipped"]));
        assert_eq!(replay["filter"]["endpoint"], endpoint);
        assert_eq!(replay["filter"]["since"], "1969-12-31T23:01:00Z");
    }
}

#[tokio::test(start_paused = true)]
async fn what_makes_no_sense_is_refused() {
    let (api, endpoint, _) = stand(json!({}), Next::Exhausted).await;
    let recover = format!("POST {ENDPOINTS}/{endpoint}/recover");
    for (body, refused) in [
        ("", "415 unsupported-media-type header content-type: "),
        ("{}", "422 invalid-field pointer /since: missing field"),
        (r#"{"since": "soon"}"#, "422 invalid-field pointer /since: not a time"),
        (r#"{"since": 5}"#, "422 invalid-field pointer /since: "),
        (r#"{"since": null}"#, "422 invalid-field pointer /since: "),
        (r#"{"since": "1h", "until": "2h"}"#, "422 invalid-field pointer /since: must lie before 'until'"),
        (
            r#"{"since": "2030-01-01T00:00:00Z"}"#,
            "422 invalid-field pointer /since: must not lie in the future",
        ),
        (r#"{"since": "1h", "rate": 0}"#, "422 invalid-field pointer /rate: must lie between 1 and 10000"),
        (
            r#"{"since": "1h", "rate": 10001}"#,
            "422 invalid-field pointer /rate: must lie between 1 and 10000",
        ),
        (r#"{"since": "1h", "rate": 0.5}"#, "422 invalid-field pointer /rate: "),
        (r#"{"since": "1h", "dry_run": 1}"#, "422 invalid-field pointer /dry_run: "),
        (r#"{"since": "1h", "state": "skipped"}"#, "422 invalid-field pointer /state: unknown field"),
    ] {
        api.refuses(&recover, body, refused).await;
    }
    let body = r#"{"since": "1h"}"#;
    let missing = format!("POST {ENDPOINTS}/ep_00000000000000000000000000000000/recover");
    api.refuses(&missing, body, "404 not-found: no such endpoint").await;
    api.json(&format!("POST {ENDPOINTS}/{endpoint}/disable"), "", 200).await;
    api.refuses(&recover, body, "409 endpoint-closed: the endpoint is disabled; enable it first").await;
    api.json(&recover, r#"{"since": "1h", "dry_run": true}"#, 200).await;
    let listed = api.json("GET /v1/replays", "", 200).await;
    assert_eq!(listed["data"], json!([]), "nothing was written");
}
