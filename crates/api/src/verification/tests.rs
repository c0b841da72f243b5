use std::{cell::Cell, collections::HashMap, time::Duration};

use futures_util::future::join_all;
use posthaste_model::{AuditOutcome, EndpointState, ErrorClass, Outcome, Tenant, TenantId};
use posthaste_store::{Audit as _, Catalogue as _, Lease, Page};
use serde_json::{Value, json};
use tokio::{
    sync::Notify,
    time::{Instant, sleep, timeout},
};

use super::{IN_VAIN, IS_DISABLED, NOT_HEARD, NOT_OVER, SECRET_IS_NEW, STORE_FAILED};
use crate::fixture::{
    DELIVERIES, ENDPOINTS, NOW, deliver, deliver_slowly,
    handshaking::{SECRET, Stand, is_deaf, of, proves, repeats, reply},
};

#[tokio::test(start_paused = true)]
async fn an_endpoint_is_made_and_verified() {
    let stand = Stand::new().await;
    let consents = |_: &Lease| reply(204, &[("WebHook-Allowed-Origin", "HOOKS.acme.example")], String::new());
    let before = Instant::now();
    for state in ["enabled", "paused"] {
        let fields = |kind| json!({ "handshake": { "type": kind }, "secret": SECRET, "state": state });
        for made in [
            stand.make(fields("echo"), repeats).await,
            stand.make(fields("hmac"), proves(SECRET)).await,
            stand.make(fields("cloudevents"), consents).await,
        ] {
            assert_eq!(made["state"], state, "{made}");
            assert_eq!(made["state_reason"], Value::Null);
            assert!(made["handshake"]["verified_at"].is_string(), "{made}");
            assert!(made["handshake"].get("failure").is_none() && made["secret"].is_string());
            let shown = stand.api.json(&format!("GET {}", of(&made)), "", 200).await;
            assert_eq!(shown["handshake"], made["handshake"]);
        }
    }
    assert!(before.elapsed().as_secs() < 5, "nobody waits for the turn of a handshake");
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_is_made_and_not_verified() {
    let stand = Stand::new().await;
    let unreachable =
        |_: &Lease| Outcome::Failed { class: ErrorClass::Connect, detail: "nobody is there".into() };
    for (kind, outcome, failure) in [
        ("echo", is_deaf as fn(&Lease) -> Outcome, "the answer is not the challenge"),
        ("echo", unreachable, "there was no answer (connect): nobody is there"),
        ("hmac", repeats, "the answer is no object with 'challenge' and 'proof'"),
        ("cloudevents", is_deaf, "the answer has no header WebHook-Allowed-Origin"),
    ] {
        for state in ["enabled", "paused"] {
            let fields = json!({ "handshake": { "type": kind }, "secret": SECRET, "state": state });
            let made = stand.make(fields, outcome).await;
            let told = made["handshake"]["failure"].as_str().unwrap();
            assert!(told.starts_with(failure), "{told}");
            let reason = format!("waits for its handshake, then {state}");
            assert_eq!((&made["state"], &made["state_reason"]), (&json!("paused"), &json!(reason)));
            assert_eq!(made["handshake"]["verified_at"], Value::Null);
            let shown = stand.api.json(&format!("GET {}", of(&made)), "", 200).await;
            assert_eq!(shown["handshake"], json!({ "type": kind, "verified_at": null }));
        }
    }
}

/// Nobody delivers: the endpoint is there all the same, with its secret.
#[tokio::test(start_paused = true)]
async fn a_handshake_that_nobody_sends_is_not_waited_for() {
    let stand = Stand::new().await;
    let made = stand.api.endpoint(json!({ "handshake": { "type": "echo" } })).await;
    let told = made["handshake"]["failure"].as_str().unwrap();
    assert_eq!(told, NOT_OVER);
    assert!(made["secret"].is_string());
    // What was not sent is not sent later.
    let listed = stand.api.json(&format!("GET {DELIVERIES}"), "", 200).await;
    assert_eq!(listed["data"][0]["state"], "cancelled");
    let refused = format!("503 unavailable: {NOT_OVER}");
    stand.api.refuses(&format!("POST {}/verify", of(&made)), "", &refused).await;
    // Nor when its own turn would have come.
    let nothing = |lease: &Lease| panic!("{lease:?}");
    let delivering = deliver(&stand.api.store, stand.api.service.clock.clone(), nothing);
    timeout(Duration::from_secs(100), delivering).await.unwrap_err();
}

/// What the endpoint has no part in is no answer of its.
#[tokio::test(start_paused = true)]
async fn a_fault_of_ours_is_no_refusal() {
    let stand = Stand::new().await;
    let made = stand.make(json!({ "handshake": { "type": "echo" } }), is_deaf).await;
    for class in [ErrorClass::Internal, ErrorClass::Unknown] {
        let fault = |_: &Lease| Outcome::Failed { class, detail: "a fault".into() };
        let answer = stand.ask(&format!("POST {}/verify", of(&made)), &Value::Null, 503, fault).await;
        assert_eq!(answer["detail"], NOT_HEARD);
    }
    assert!(!stand.stored(&made).await.is_verified());
}

/// A store that fails on the way is not quoted: what it says of itself is for those who publish. Nothing is left behind that
/// could go out when it is back.
#[tokio::test(start_paused = true)]
async fn a_store_that_fails_is_told_in_words_of_its_own() {
    let stand = Stand::new().await;
    stand.api.store.loses_answers(true);
    let made = stand.make(json!({ "handshake": { "type": "echo" } }), |lease| panic!("{lease:?}")).await;
    assert_eq!(made["handshake"]["failure"], STORE_FAILED);
    assert_eq!((&made["state"], &made["handshake"]["verified_at"]), (&json!("paused"), &Value::Null));
    let listed = stand.api.json(&format!("GET {DELIVERIES}"), "", 200).await;
    assert_eq!(listed["data"][0]["state"], "cancelled");
    stand.api.store.loses_answers(false);
    stand.ask(&format!("POST {}/verify", of(&made)), &Value::Null, 200, repeats).await;
}

/// It goes on without the caller: its place is taken for as long, and in the end nothing is left that could go out.
#[tokio::test(start_paused = true)]
async fn whoever_hangs_up_leaves_nothing_behind() {
    let stand = Stand::new().await;
    let made = stand.make(json!({ "handshake": { "type": "echo" } }), is_deaf).await;
    let line = format!("POST {}/verify", of(&made));
    timeout(Duration::from_secs(1), stand.api.call(&line, "", "")).await.unwrap_err();
    let newest = async || stand.api.json(&format!("GET {DELIVERIES}"), "", 200).await["data"][0].clone();
    assert_eq!(newest().await["state"], "held");
    sleep(Duration::from_secs(20)).await;
    assert_eq!(newest().await["state"], "cancelled");
}

/// Receivers that answer nothing hold up those of the same tenant alone.
#[tokio::test(start_paused = true)]
async fn slow_endpoints_of_a_tenant_do_not_keep_another_waiting() {
    let stand = Stand::new().await;
    let other: TenantId = "other".parse().unwrap();
    stand.api.store.put_tenant(Tenant::new(other.clone(), NOW)).await.unwrap();
    let (under_way, most) = (Cell::new(HashMap::<TenantId, usize>::new()), Cell::new(0));
    let exchange = |lease: &Lease| {
        if lease.endpoint.tenant == other {
            return (Duration::from_millis(100), repeats(lease));
        }
        let mut counts = under_way.take();
        *counts.entry(lease.endpoint.tenant.clone()).or_default() += 1;
        most.set(most.get().max(counts.values().sum()));
        under_way.set(counts);
        (
            Duration::from_secs(15),
            Outcome::Failed { class: ErrorClass::Timeout, detail: "it said nothing".into() },
        )
    };
    let body = json!({ "url": "https://example.com/", "handshake": { "type": "echo" } }).to_string();
    let begun = Instant::now();
    let slow = join_all((0..40).map(async |_| {
        let made = stand.api.json(&format!("POST {ENDPOINTS}"), &body, 201).await;
        made["handshake"]["failure"].as_str().unwrap().to_owned()
    }));
    let quick = async {
        // They have all places that they can have.
        while most.get() < 4 {
            sleep(Duration::from_millis(10)).await;
        }
        let made = stand.api.json("POST /v1/tenants/other/endpoints", &body, 201).await;
        assert_eq!(made["state"], "enabled", "{made}");
        begun.elapsed()
    };
    let (failures, took) = tokio::select! {
        done = async { tokio::join!(slow, quick) } => done,
        () = deliver_slowly(&stand.api.store, stand.api.service.clock.clone(), exchange) => unreachable!(),
    };
    assert!(took < Duration::from_secs(2), "{took:?}");
    let answered =
        failures.iter().filter(|failure| failure.starts_with("there was no answer (timeout)")).count();
    let waited = failures.iter().filter(|failure| *failure == NOT_OVER).count();
    assert_eq!((most.get(), answered, waited), (4, 4, 36));
}

/// It is sent nothing, and so is asked nothing.
#[tokio::test(start_paused = true)]
async fn a_disabled_endpoint_is_not_asked() {
    let stand = Stand::new().await;
    let nothing = |lease: &Lease| panic!("{lease:?}");
    let made = stand.make(json!({ "handshake": { "type": "echo" }, "state": "disabled" }), nothing).await;
    assert_eq!((&made["state"], &made["handshake"]["failure"]), (&json!("disabled"), &json!(IS_DISABLED)));
    let patch = format!("PATCH {}", of(&made));
    let moved = stand.ask(&patch, &json!({ "url": "https://example.com/moved" }), 200, nothing).await;
    assert_eq!((&moved["state"], &moved["handshake"]["failure"]), (&json!("disabled"), &json!(IS_DISABLED)));
    let verify = format!("POST {}/verify", of(&made));
    stand.api.refuses(&verify, "", "409 endpoint-closed: the endpoint is disabled; enable it first").await;
    stand.api.json(&format!("POST {}/enable", of(&made)), "", 200).await;
    let answer = stand.ask(&verify, &Value::Null, 200, repeats).await;
    assert_eq!((&answer["state"], &answer["state_reason"]), (&json!("enabled"), &Value::Null));
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_was_made_has_to_be_handed_over_first() {
    let stand = Stand::new().await;
    let nothing = |lease: &Lease| panic!("{lease:?}");
    let made = stand.make(json!({ "handshake": { "type": "hmac" } }), nothing).await;
    let told = made["handshake"]["failure"].as_str().unwrap();
    assert!(told.contains("has to know the secret first"), "{told}");
    assert_eq!(made["state"], "paused");
    let verify = format!("POST {}/verify", of(&made));
    let answer = stand.ask(&verify, &Value::Null, 422, proves(SECRET)).await;
    assert_eq!(answer["detail"], "the answer's proof is another one");
    let answer = stand.ask(&verify, &Value::Null, 200, proves(made["secret"].as_str().unwrap())).await;
    assert_eq!((&answer["state"], &answer["state_reason"]), (&json!("enabled"), &Value::Null));
}

/// Whichever way it was made: beside a key pair that was brought, or for another profile.
#[tokio::test(start_paused = true)]
async fn it_is_the_shared_secret_that_has_to_be_known() {
    let stand = Stand::new().await;
    let nothing = |lease: &Lease| panic!("{lease:?}");
    let signed = |versions: &[&str]| json!({ "profile": "standard", "versions": versions });
    let pair = "whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";
    let both =
        json!({ "handshake": { "type": "hmac" }, "signature": signed(&["v1", "v1a"]), "secret": pair });
    let made = stand.make(both, nothing).await;
    assert_eq!(made["handshake"]["failure"], SECRET_IS_NEW, "{made}");
    let made = stand.make(json!({ "signature": signed(&["v1a"]) }), nothing).await;
    let patch = format!("PATCH {}", of(&made));
    let change = json!({ "handshake": { "type": "hmac" }, "signature": signed(&["v1"]) });
    let changed = stand.ask(&patch, &change, 200, nothing).await;
    assert_eq!(changed["handshake"]["failure"], SECRET_IS_NEW, "{changed}");
    // One that was handed over before is known.
    let made = stand.make(json!({ "secret": SECRET }), nothing).await;
    let patch = format!("PATCH {}", of(&made));
    let change = json!({ "handshake": { "type": "hmac" }, "signature": signed(&["v1", "v1a"]) });
    let changed = stand.ask(&patch, &change, 200, proves(SECRET)).await;
    assert_eq!(changed["state"], "enabled", "{changed}");
}

/// The current one: whoever holds only what was rotated out is no subscriber any more.
#[tokio::test(start_paused = true)]
async fn a_rotated_secret_proves_nothing() {
    let stand = Stand::new().await;
    let fields = json!({ "handshake": { "type": "hmac" }, "secret": SECRET });
    let made = stand.make(fields, proves(SECRET)).await;
    let rotated = stand.api.json(&format!("POST {}/secret/rotate", of(&made)), "", 200).await;
    let verify = format!("POST {}/verify", of(&made));
    stand.ask(&verify, &Value::Null, 422, proves(SECRET)).await;
    stand.ask(&verify, &Value::Null, 200, proves(rotated["secret"].as_str().unwrap())).await;
}

#[tokio::test(start_paused = true)]
async fn the_rate_that_is_allowed_becomes_the_limit_where_it_is_stricter() {
    let stand = Stand::new().await;
    for (own, allowed, limit) in [
        (Value::Null, "120", json!({ "limit": 120, "per": "1m" })),
        (json!({ "limit": 100, "per": "1s" }), "120", json!({ "limit": 120, "per": "1m" })),
        (json!({ "limit": 1, "per": "1s" }), "120", json!({ "limit": 1, "per": "1s" })),
        (json!({ "limit": 1, "per": "1s" }), "*", json!({ "limit": 1, "per": "1s" })),
        (Value::Null, "*", Value::Null),
    ] {
        let consents = |_: &Lease| {
            let headers = [("WebHook-Allowed-Origin", "*"), ("WebHook-Allowed-Rate", allowed)];
            reply(200, &headers, String::new())
        };
        let fields = json!({ "handshake": { "type": "cloudevents" }, "rate_limit": own });
        let made = stand.make(fields, consents).await;
        assert_eq!(made["rate_limit"], limit, "{own} {allowed}");
        assert_eq!(serde_json::to_value(stand.stored(&made).await.rate_limit).unwrap(), limit);
    }
}

/// Whoever consented was asked at a URL that is no longer the endpoint's.
#[tokio::test(start_paused = true)]
async fn what_was_changed_meanwhile_is_not_verified() {
    let stand = Stand::new().await;
    let made = stand.make(json!({ "handshake": { "type": "echo" } }), is_deaf).await;
    let asked = Notify::new();
    let verify = format!("POST {}/verify", of(&made));
    let change = async {
        asked.notified().await;
        let mut endpoint = stand.stored(&made).await;
        endpoint.url = "https://example.com/elsewhere".into();
        stand.api.store.update_endpoint(endpoint).await.unwrap();
        std::future::pending::<Value>().await
    };
    let outcome = |lease: &Lease| {
        asked.notify_one();
        repeats(lease)
    };
    let answer = tokio::select! {
        answer = stand.ask(&verify, &Value::Null, 409, outcome) => answer,
        never = change => never,
    };
    assert!(answer["detail"].as_str().unwrap().contains("was changed while its handshake"), "{answer}");
    let stands = stand.stored(&made).await;
    assert!(!stands.is_verified() && stands.state == EndpointState::Paused);
}

/// A refusal takes back nothing that was given.
#[tokio::test(start_paused = true)]
async fn a_verified_endpoint_can_be_asked_again() {
    let stand = Stand::new().await;
    let made = stand.make(json!({ "handshake": { "type": "echo" } }), repeats).await;
    let verify = format!("POST {}/verify", of(&made));
    let answer = stand.ask(&verify, &Value::Null, 200, repeats).await;
    assert!(answer["handshake"]["verified_at"].as_str() > made["handshake"]["verified_at"].as_str());
    stand.ask(&verify, &Value::Null, 422, is_deaf).await;
    let stands = stand.stored(&made).await;
    assert!(stands.is_verified() && stands.state == EndpointState::Enabled);
}

/// Whoever runs one makes a request, whatever comes of it.
#[tokio::test(start_paused = true)]
async fn a_handshake_that_was_run_is_recorded() {
    let stand = Stand::new().await;
    let made = stand.make(json!({ "handshake": { "type": "echo" } }), is_deaf).await;
    let verify = format!("{}/verify", of(&made));
    let last = async || stand.api.store.audit(None, Page::first(1)).await.unwrap().rows.remove(0);
    stand.ask(&format!("POST {verify}"), &Value::Null, 422, is_deaf).await;
    let told = last().await;
    assert_eq!((&told.subject, told.outcome), (&verify, AuditOutcome::Done));
    assert_eq!(told.detail.as_deref(), Some(IN_VAIN));
    tokio::time::advance(Duration::from_secs(1)).await;
    stand.ask(&format!("POST {verify}"), &Value::Null, 200, repeats).await;
    assert_eq!((last().await.subject, last().await.detail), (verify, None));
    // It was refused before there was a request.
    let plain = stand.make(json!({}), |lease: &Lease| panic!("{lease:?}")).await;
    let before = last().await;
    let none = "409 conflict: the endpoint has no handshake to give";
    stand.api.refuses(&format!("POST {}/verify", of(&plain)), "", none).await;
    assert_eq!(last().await, before);
}

/// What operators are told goes to nobody either who has not consented.
#[tokio::test(start_paused = true)]
async fn endpoints_of_operators_are_asked_as_well() {
    let stand = Stand::new().await;
    stand.api.store.put_tenant(Tenant::new(TenantId::posthaste(), NOW)).await.unwrap();
    let endpoints = "/v1/tenants/posthaste/endpoints";
    let fields = json!({ "url": "https://example.com/", "handshake": { "type": "echo" } });
    let made = stand.ask(&format!("POST {endpoints}"), &fields, 201, is_deaf).await;
    let endpoint = format!("POST {endpoints}/{}", made["id"].as_str().unwrap());
    let topic = r#"{"topic": "endpoint.failing", "force": true}"#;
    stand.api.refuses(&format!("{endpoint}/test"), topic, "409 unverified: ").await;
    let answer = stand.ask(&format!("{endpoint}/verify"), &Value::Null, 200, repeats).await;
    assert_eq!(answer["state"], "enabled");
}
