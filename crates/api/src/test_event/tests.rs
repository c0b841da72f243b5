use std::time::Duration;

use posthaste_model::{Clock, ErrorClass, Outcome, Reply, Tenant, TenantId};
use posthaste_store::{Catalogue as _, Deliveries as _, Lease};
use posthaste_testkit::simulated_clock;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

use crate::fixture::{self, Api, ENDPOINTS, EVENTS, NOW, ShapedStore, topic};

/// Makes whatever attempts are due, each with this answer of the endpoint's; none: it cannot be reached.
async fn deliver(store: &ShapedStore, clock: Clock, status: Option<u16>) {
    let outcome = move |lease: &Lease| {
        assert!(lease.event.options.test);
        match status {
            Some(status) => {
                Outcome::Replied(Reply { status, headers: vec![], body: "ok".into(), truncated: false })
            }
            None => Outcome::Failed { class: ErrorClass::Connect, detail: "nobody is there".into() },
        }
    };
    fixture::deliver(store, clock, outcome).await;
}

struct Stand {
    api: Api,
    endpoint: String,
}

impl Stand {
    async fn new(fields: Value) -> Self {
        let api = Api::with(simulated_clock(NOW)).await;
        let mut order = topic("order.sent", false);
        order.example = Some(json!({ "order": 42 }));
        api.store.put_topic(order).await.unwrap();
        api.store.put_topic(topic("order.old", true)).await.unwrap();
        let mut strict = topic("order.strict", false);
        strict.schema = Some(json!({ "required": ["order"] }));
        api.store.put_topic(strict).await.unwrap();
        // A topic that is Posthaste's own is not what others made of it.
        let mut own = topic("posthaste.test", true);
        own.schema = Some(json!({ "type": "null" }));
        api.store.put_topic(own).await.unwrap();
        let endpoint = api.endpoint(fields).await["id"].as_str().unwrap().to_owned();
        Self { api, endpoint }
    }

    fn line(&self) -> String {
        format!("POST {ENDPOINTS}/{}/test", self.endpoint)
    }

    /// What is answered while attempts are made.
    async fn test(&self, body: &str, status: Option<u16>) -> Value {
        let line = self.line();
        tokio::select! {
            answer = self.api.json(&line, body, 200) => answer,
            () = deliver(&self.api.store, self.api.service.clock.clone(), status) => Value::Null,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_answer_tells_what_came_of_it() {
    for (status, state) in [(Some(200), "delivered"), (Some(500), "exhausted"), (None, "exhausted")] {
        // It wants nothing of the topic, and others want all.
        let stand = Stand::new(json!({ "topics": ["refund"], "filter": { "topic": "refund" } })).await;
        stand.api.endpoint(json!({})).await;
        let answer = stand.test("", status).await;
        assert_eq!(answer["event"]["test"], true);
        assert_eq!(answer["event"]["topic"], "posthaste.test");
        assert_eq!(answer["event"]["data"], json!({ "test": true }));
        assert_eq!(answer["event"]["delivery_count"], 1, "it goes to nobody else");
        assert_eq!(answer["delivery"]["endpoint"], stand.endpoint);
        assert_eq!(answer["delivery"]["state"], state);
        assert_eq!(answer["attempt"]["number"], 1);
        assert_eq!(answer["attempt"]["manual"], false);
        assert_eq!(answer["attempt"]["response"]["status"].as_u64(), status.map(u64::from));
        assert_eq!(answer["attempt"]["error"].is_null(), status.is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn topic_and_data_can_be_chosen() {
    for (body, topic, data) in [
        ("{}", "posthaste.test", json!({ "test": true })),
        (r#"{"data": {"a": [1]}}"#, "posthaste.test", json!({ "a": [1] })),
        (r#"{"data": null}"#, "posthaste.test", json!(null)),
        (r#"{"topic": "order.paid"}"#, "order.paid", json!({ "test": true })),
        (r#"{"topic": "order.sent"}"#, "order.sent", json!({ "order": 42 })),
        (r#"{"topic": "order.sent", "data": 7}"#, "order.sent", json!(7)),
        (r#"{"topic": "order.strict", "data": {"order": 1}}"#, "order.strict", json!({ "order": 1 })),
        (r#"{"topic": "posthaste.test", "force": true}"#, "posthaste.test", json!({ "test": true })),
    ] {
        let answer = Stand::new(json!({})).await.test(body, Some(200)).await;
        assert_eq!((&answer["event"]["topic"], &answer["event"]["data"]), (&json!(topic), &data), "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_is_closed_is_tried_when_it_is_forced() {
    for (state, stays) in [("paused", "cancelled"), ("disabled", "skipped")] {
        for (status, after) in [(200, "delivered"), (500, stays)] {
            let stand = Stand::new(json!({ "state": state })).await;
            let answer = stand.test(r#"{"force": true}"#, Some(status)).await;
            assert_eq!(answer["attempt"]["manual"], true);
            assert_eq!(answer["attempt"]["response"]["status"], status);
            assert_eq!(answer["delivery"]["state"], after, "{state}");
        }
    }
}

/// It does not wait for what its deliveries wait for, and what has failed by hand is not sent when that is over.
#[tokio::test(start_paused = true)]
async fn an_endpoint_that_is_held_up_is_tried_by_hand() {
    for (status, after) in [(200, "delivered"), (500, "cancelled")] {
        let stand = Stand::new(json!({})).await;
        let (endpoint, until) = (stand.endpoint.parse().unwrap(), NOW + Duration::from_secs(3_600));
        stand.api.store.park(&TenantId::default_tenant(), endpoint, until).await.unwrap();
        let begun = Instant::now();
        let answer = stand.test("", Some(status)).await;
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        assert_eq!(answer["attempt"]["manual"], true);
        assert_eq!(answer["attempt"]["response"]["status"], status);
        assert_eq!(answer["delivery"]["state"], after);
    }
}

/// Nobody delivers: the answer comes when the endpoint would have been given up, and not before. Nothing goes out later.
#[tokio::test(start_paused = true)]
async fn what_takes_too_long_is_not_waited_for() {
    for (fields, seconds) in [(json!({}), 20), (json!({ "timeout": "2s" }), 7)] {
        let stand = Stand::new(fields).await;
        let begun = Instant::now();
        let answer = stand.api.json(&stand.line(), "", 202).await;
        assert_eq!(begun.elapsed().as_secs(), seconds);
        assert_eq!(answer["attempt"], json!(null));
        assert_eq!(answer["delivery"]["state"], "cancelled");
        assert_eq!(answer["delivery"]["reason"], "operator");
        let event = answer["event"]["id"].as_str().unwrap();
        assert_eq!(stand.api.json(&format!("GET {EVENTS}/{event}"), "", 200).await["test"], true);
        // Somebody comes to deliver at last.
        let delivering = deliver(&stand.api.store, stand.api.service.clock.clone(), Some(200));
        let _ = timeout(Duration::from_secs(9), delivering).await;
        let path = format!("/v1/tenants/default/deliveries/{}", answer["delivery"]["id"].as_str().unwrap());
        let late = stand.api.json(&format!("GET {path}"), "", 200).await;
        assert_eq!((&late["state"], &late["attempts"]), (&json!("cancelled"), &json!(0)));
    }
}

/// It is tried by hand, and nobody does: it does not go out when the endpoint is resumed.
#[tokio::test(start_paused = true)]
async fn what_is_held_is_cancelled_and_what_is_skipped_stays() {
    for (state, after) in [("paused", "cancelled"), ("disabled", "skipped")] {
        let stand = Stand::new(json!({ "state": state })).await;
        let answer = stand.api.json(&stand.line(), r#"{"force": true}"#, 202).await;
        assert_eq!((&answer["delivery"]["state"], &answer["attempt"]), (&json!(after), &json!(null)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_stops_is_not_held_up() {
    let stand = Stand::new(json!({})).await;
    let begun = Instant::now();
    let stopping = async {
        sleep(Duration::from_secs(1)).await;
        stand.api.stopper.stop();
    };
    let line = stand.line();
    let (answer, ()) = tokio::join!(stand.api.json(&line, "", 202), stopping);
    assert_eq!(begun.elapsed().as_secs(), 1);
    assert_eq!((&answer["delivery"]["state"], &answer["attempt"]), (&json!("cancelled"), &json!(null)));
    // The last requests are answered at once.
    stand.api.json(&line, "", 202).await;
    assert_eq!(begun.elapsed().as_secs(), 1);
}

/// Nothing that operators are told can be made up, and what they are told of needs no registration.
#[tokio::test(start_paused = true)]
async fn the_tenant_of_posthaste_has_topics_of_its_own() {
    let api = Api::with(simulated_clock(NOW)).await;
    let own = Tenant::new(TenantId::posthaste(), NOW);
    api.store.put_tenant(own).await.unwrap();
    // What is registered does not count there.
    let mut failing = topic("endpoint.failing", true);
    failing.example = Some(json!({ "percent": 90 }));
    api.store.put_topic(failing).await.unwrap();
    let endpoints = "/v1/tenants/posthaste/endpoints";
    let made = api.json(&format!("POST {endpoints}"), r#"{"url": "https://example.com/"}"#, 201).await;
    let line = format!("POST {endpoints}/{}/test", made["id"].as_str().unwrap());
    for (body, topic) in [
        ("", "posthaste.test"),
        (r#"{"topic": "posthaste.test"}"#, "posthaste.test"),
        (r#"{"topic": "endpoint.failing"}"#, "endpoint.failing"),
        (r#"{"topic": "endpoint.disabled"}"#, "endpoint.disabled"),
        (r#"{"topic": "endpoint.recovered"}"#, "endpoint.recovered"),
        (r#"{"topic": "delivery.exhausted"}"#, "delivery.exhausted"),
    ] {
        let answer = tokio::select! {
            answer = api.json(&line, body, 200) => answer,
            () = deliver(&api.store, api.service.clock.clone(), Some(200)) => Value::Null,
        };
        assert_eq!(answer["event"]["topic"], topic, "{body}");
        assert_eq!(answer["event"]["data"], json!({ "test": true }), "{body}");
    }
    let elsewhere = "422 invalid-field pointer /topic: for the tenant 'posthaste' it must be one of 'posthaste.test', \
                     'endpoint.failing', 'endpoint.disabled', 'endpoint.recovered', 'delivery.exhausted'";
    let data = "422 invalid-field pointer /data: cannot be given for the tenant 'posthaste'";
    for (body, refused) in [
        (r#"{"topic": "order.paid"}"#, elsewhere),
        (r#"{"topic": "endpoint.other"}"#, elsewhere),
        (r#"{"data": {"percent": 90}}"#, data),
        (r#"{"data": null}"#, data),
        (r#"{"topic": "endpoint.failing", "data": 1}"#, data),
    ] {
        api.refuses(&line, body, refused).await;
    }
    // They are nobody else's.
    let stand = Stand::new(json!({})).await;
    let refused = "422 invalid-field pointer /topic: topic 'endpoint.failing' is not registered";
    stand.api.refuses(&stand.line(), r#"{"topic": "endpoint.failing"}"#, refused).await;
}

/// Whoever waits for it hears of it.
#[tokio::test(start_paused = true)]
async fn a_delivery_that_ends_without_an_attempt_is_over() {
    let stand = Stand::new(json!({})).await;
    let disabling = async {
        sleep(Duration::from_secs(1)).await;
        stand.api.json(&format!("POST {ENDPOINTS}/{}/disable", stand.endpoint), "", 200).await
    };
    let line = stand.line();
    let (answer, _) = tokio::join!(stand.api.json(&line, "", 200), disabling);
    assert_eq!((&answer["delivery"]["state"], &answer["attempt"]), (&json!("skipped"), &json!(null)));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_tried_is_refused() {
    let stand = Stand::new(json!({})).await;
    let long = json!({ "data": "x".repeat(100) }).to_string();
    for (body, refused) in [
        (
            r#"{"topic": "unheard.of"}"#,
            "422 invalid-field pointer /topic: topic 'unheard.of' is not registered",
        ),
        (r#"{"topic": "order.old"}"#, "422 invalid-field pointer /topic: topic 'order.old' is archived"),
        (
            r#"{"topic": "order.strict", "data": {}}"#,
            "422 invalid-field pointer /data: does not fit the schema of its topic: \"order\" is a required property",
        ),
        (r#"{"topic": "order.strict"}"#, "422 invalid-field pointer /data: does not fit the schema"),
        (
            r#"{"topic": "posthaste.handshake"}"#,
            "403 reserved pointer /topic: topic 'posthaste.handshake' is Posthaste's own",
        ),
        (r#"{"topic": "a..b"}"#, "422 invalid-field pointer /topic: not a topic"),
        (r#"{"force": "yes"}"#, "422 invalid-field pointer /force: "),
        (r#"{"payload": 1}"#, "422 invalid-field pointer /payload: unknown field"),
        (long.as_str(), "413 too-large pointer /data: "),
        ("{", "400 malformed-json: "),
    ] {
        stand.api.refuses(&stand.line(), body, refused).await;
    }
    stand.api.store.away(true);
    let refused = "503 unavailable: the store is unavailable; whether it was done is not known";
    stand.api.refuses(&stand.line(), "", refused).await;
    stand.api.store.away(false);
    let missing = format!("POST {ENDPOINTS}/ep_00000000000000000000000000000000/test");
    stand.api.refuses(&missing, "", "404 not-found: no such endpoint").await;

    let state = |what: &str| format!("POST {ENDPOINTS}/{}/{what}", stand.endpoint);
    stand.api.json(&state("pause"), "", 200).await;
    let refused = "409 endpoint-closed: the endpoint is paused; with \"force\": true";
    stand.api.refuses(&stand.line(), "", refused).await;
    stand.api.json(&state("disable"), r#"{"reason": "they left"}"#, 200).await;
    let refused = "409 endpoint-closed: the endpoint is disabled (they left); with \"force\": true";
    stand.api.refuses(&stand.line(), r#"{"force": false}"#, refused).await;
    assert_eq!(
        stand.api.json(&format!("GET {EVENTS}"), "", 200).await["data"],
        json!([]),
        "nothing was written"
    );
}
