use serde_json::json;

use crate::{
    roles::{ENDPOINT, endpoint, furnished},
    stage::{list, problem},
};

const WAITS: &str = "waits for its handshake, then enabled";

#[tokio::test]
async fn a_tenant_that_is_not_there_can_be_changed_for_another() {
    let stage = furnished().await;
    let admin = stage.visitor("admin").await;
    // The tenant that is there from the beginning was deleted.
    for (path, status) in [
        ("/console/endpoints", 404),
        ("/console/endpoints?tenant=gone", 404),
        ("/console/endpoints?tenant=a+b", 400),
    ] {
        let page = admin.get(path).await;
        assert_eq!(page.status, status, "{path}");
        page.says(r#"<option value="acme">"#);
    }
    let tenants = stage.come(stage.sign_in("/portal/sign-in", "tenant@gone").await);
    assert_eq!(tenants.get("/portal/endpoints").await.status, 404);
}

#[tokio::test]
async fn an_endpoint_that_waits_for_its_handshake_is_told_as_one() {
    let stage = furnished().await;
    let handshake = json!({"type": "echo", "verified_at": null});
    let waits = json!({"state": "paused", "state_reason": WAITS, "handshake": handshake});
    stage.set(&format!("GET /v1{ENDPOINT}"), 200, endpoint(waits.clone()));
    stage.set("GET /v1/tenants/acme/endpoints", 200, list(&[endpoint(waits)]));
    let admin = stage.visitor("admin").await;
    admin.get("/console/endpoints?tenant=acme").await.says("waits for its handshake");
    let here = format!("/console{ENDPOINT}");
    let page = admin.get(&here).await;
    page.says("It waits for its handshake: until it answers that as it should, nothing else is sent to it.");
    page.says("echo, not given yet");
    page.says("the same challenge");
    page.says("topic=posthaste.handshake");
    page.keeps_quiet_about(WAITS);
    page.says("Run the handshake");
    for button in ["Resume", "Send a test event", "Recover what it missed"] {
        page.keeps_quiet_about(button);
    }

    let verify = format!("POST /v1{ENDPOINT}/verify");
    stage.refuse(&verify, problem(409, "handshake-failed", "its answer has no 'challenge'"));
    let failed = admin.post(&here, &format!("{here}/verify"), "").await;
    failed.says("The handshake was not given");
    failed.says("its answer has no &#39;challenge&#39;");
    stage.set(&verify, 200, endpoint(json!({})));
    let verified = admin.post(&here, &format!("{here}/verify"), "").await;
    assert_eq!(verified.location, format!("{here}?said=verified"));
}

#[tokio::test]
async fn a_change_says_what_its_handshake_lacks() {
    let stage = furnished().await;
    let admin = stage.visitor("admin").await;
    let failure = "there was no answer in time";
    let handshake = json!({"type": "echo", "verified_at": null, "failure": failure});
    let waits = endpoint(json!({"state": "paused", "state_reason": WAITS, "handshake": handshake}));
    stage.set(&format!("PATCH /v1{ENDPOINT}"), 200, waits);
    let edit = format!("/console{ENDPOINT}/edit");
    let saved = admin.post(&edit, &edit, "url=https://example.com/new&topics=*").await;
    assert_eq!(saved.status, 200);
    saved.says("The change was saved.");
    saved.says(failure);
    let sent = stage.asked(&format!("PATCH /v1{ENDPOINT}"));
    assert_eq!(sent[0].body, r#"{"url":"https://example.com/new"}"#, "only what has changed");
}

#[tokio::test]
async fn a_url_that_its_secrets_are_not_for_is_refused() {
    const HINT: &str = "are for this host alone";
    let stage = furnished().await;
    let admin = stage.visitor("admin").await;
    let edit = format!("/console{ENDPOINT}/edit");
    admin.get(&edit).await.keeps_quiet_about(HINT);
    let detail = "the secrets of 'auth' and 'headers' were given for another host: give them again, or null";
    let (_, mut refused) = problem(422, "invalid-field", detail);
    refused["errors"] = json!([{"pointer": "/url"}]);
    stage.set(&format!("PATCH /v1{ENDPOINT}"), 422, refused);
    for secret in [
        json!({"auth": {"type": "bearer", "token": true}}),
        json!({"headers": {"X-Env": "prod", "X-Key": {"secret": true}}}),
    ] {
        stage.set(&format!("GET /v1{ENDPOINT}"), 200, endpoint(secret));
        admin.get(&edit).await.says(HINT);
        let page = admin.post(&edit, &edit, "url=https://example.org/new&topics=*").await;
        assert_eq!(page.status, 422);
        page.says("That was not accepted");
        page.says("were given for another host: give them again, or null (field /url)");
        page.says(HINT);
        page.says(r#"value="https://example.org/new" aria-invalid="true""#);
    }
    stage.set(&format!("GET /v1{ENDPOINT}"), 200, endpoint(json!({"headers": {"X-Env": "prod"}})));
    admin.get(&edit).await.keeps_quiet_about(HINT);
}

#[tokio::test]
async fn who_finds_no_endpoints_is_told_of_other_tenants() {
    let stage = furnished().await;
    stage.set("GET /v1/tenants/default/endpoints", 200, list(&[]));
    let viewer = stage.visitor("viewer").await;
    viewer.get("/console/endpoints").await.says(r#"<a href="/console/endpoints?tenant=acme">acme</a>"#);
    stage.set("GET /v1/tenants/acme/endpoints", 200, list(&[]));
    let page = viewer.get("/console/endpoints?tenant=acme").await;
    page.says("There are no endpoints");
    page.keeps_quiet_about("another tenant");
}

#[tokio::test]
async fn what_it_sends_is_on_its_page() {
    let stage = furnished().await;
    let sends = json!({
        "format": "cloudevents", "method": "PUT", "headers": {"X-Token": {"secret": true}},
        "auth": {"type": "bearer", "token": true}, "rate_limit": {"limit": 100, "per": "1s"},
    });
    stage.set(&format!("GET /v1{ENDPOINT}"), 200, endpoint(sends));
    let page = stage.visitor("viewer").await.get(&format!("/console{ENDPOINT}")).await;
    for text in
        ["CloudEvent, structured, by PUT", "X-Token: ***", "a token that was given", "100 attempts in 1s"]
    {
        page.says(text);
    }
}

#[tokio::test]
async fn a_test_has_the_topic_and_the_data_that_were_asked_for() {
    let stage = furnished().await;
    let admin = stage.visitor("admin").await;
    let here = format!("/console{ENDPOINT}");
    stage.refuse(&format!("POST /v1{ENDPOINT}/test"), problem(400, "invalid-field", "data: does not fit"));
    let tested = admin.post(&here, &format!("{here}/test"), "topic=order.paid&data=%7B%22a%22:1e2%7D").await;
    assert_eq!(tested.status, 400);
    let sent = stage.asked(&format!("POST /v1{ENDPOINT}/test"));
    assert_eq!(sent[0].body, r#"{"topic":"order.paid","data":{"a":1e2},"force":false}"#);
}
