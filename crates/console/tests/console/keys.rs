use serde_json::{Value, json};

use crate::{
    roles::furnished,
    stage::{list, problem},
};

fn key(different: Value) -> Value {
    let mut key = json!({
        "id": format!("key_{:032x}", 1), "name": "Ada", "role": "viewer", "tenant": null,
        "created_at": "2026-11-20T10:00:00Z", "expires_at": null,
    });
    let Value::Object(different) = different else { panic!("an object is different") };
    key.as_object_mut().unwrap().extend(different);
    key
}

#[tokio::test]
async fn a_key_is_made_and_its_secret_is_shown_once() {
    let stage = furnished().await;
    let admin = stage.visitor("admin").await;
    let made = json!({"role": "tenant", "tenant": "acme", "expires_at": "2027-02-19T10:00:00Z", "secret": "phk_abc"});
    stage.set("POST /v1/keys", 201, key(made));
    let form = "name=Ada&role=tenant&tenant=acme&expires=90d";
    let page = admin.post("/console/keys", "/console/keys", form).await;
    page.says("phk_abc");
    page.says("never again");
    page.says("/portal/sign-in");
    let sent = stage.asked("POST /v1/keys");
    assert_eq!(
        sent[0].body,
        r#"{"name":"Ada","role":"tenant","tenant":"acme","expires_at":"2027-02-19T10:00:00Z"}"#
    );
    stage.set("GET /v1/keys", 200, list(&[key(json!({}))]));
    admin.get("/console/keys").await.keeps_quiet_about("phk_");
}

#[tokio::test]
async fn a_key_that_is_refused_keeps_its_form() {
    let stage = furnished().await;
    let admin = stage.visitor("admin").await;
    stage.refuse(
        "POST /v1/keys",
        problem(400, "invalid-field", "tenant: must be given for the role 'tenant'"),
    );
    for (form, says) in [
        ("name=Ada&role=tenant", "must be given for the role"),
        ("name=Ada&role=viewer&expires=soon", "expires: &#39;soon&#39; is not a length of time"),
    ] {
        let page = admin.post("/console/keys", "/console/keys", form).await;
        assert_eq!(page.status, 400, "{form}");
        page.says(says);
        page.says(r#"value="Ada""#);
    }
}

#[tokio::test]
async fn keys_are_listed_and_deleted() {
    let stage = furnished().await;
    let admin = stage.visitor("admin").await;
    let over = json!({"id": format!("key_{:032x}", 2), "name": "", "tenant": "acme", "expires_at": "2026-11-21T09:00:00Z"});
    stage.set("GET /v1/keys", 200, list(&[key(json!({})), key(over)]));
    let page = admin.get("/console/keys").await;
    page.says("Ada");
    page.says(&format!("key_{:032x}", 2));
    page.says("its time is over");
    page.says("Delete this key");
    stage.set(&format!("DELETE /v1/keys/key_{:032x}", 1), 204, Value::Null);
    let path = format!("/console/keys/key_{:032x}/delete", 1);
    let deleted = admin.post("/console/keys", &path, "").await;
    assert_eq!(deleted.location, "/console/keys?said=key-deleted");
    assert_eq!(stage.asked(&format!("DELETE /v1/keys/key_{:032x}", 1)).len(), 1);
}

#[tokio::test]
async fn the_audit_says_who_did_what_to_what() {
    const UNKNOWN: &str = "not known whether done";
    let stage = furnished().await;
    let operator = stage.visitor("operator").await;
    operator.get("/console/audit").await.says("Nobody has changed anything yet.");
    let subject = format!("/tenants/acme/endpoints/ep_{:032x}", 1);
    let key = format!("key_{:032x}", 1);
    let entry = |by: Value, detail: Value, outcome: &str| {
        json!({
            "id": format!("aud_{:032x}", 1), "at": "2026-11-21T09:57:00Z", "by": by, "address": "10.0.0.7",
            "action": "patch_endpoint", "subject": format!("/v1{subject}"), "tenant": "acme",
            "fields": ["url", "topics"], "detail": detail, "outcome": outcome,
        })
    };
    let by = json!({"kind": "api_key", "id": key, "name": "<b>Ada</b>", "role": "operator"});
    let entries = [entry(by, Value::Null, "done")];
    stage.set("GET /v1/audit", 200, json!({"data": entries, "next": "c1"}));
    let page = operator.get("/console/audit?tenant=acme").await;
    page.keeps_quiet_about(UNKNOWN);
    for text in [
        "3 min ago",
        "key “&#60;b&#62;Ada&#60;/b&#62;”",
        "patch endpoint",
        "url, topics",
        "10.0.0.7",
        &format!(r#"<a href="/console{subject}">"#),
        "/console/audit?tenant=acme&#38;cursor=c1",
    ] {
        page.says(text);
    }
    let link = json!({"kind": "portal_link", "tenant": "acme", "made_by": key});
    stage.set("GET /v1/audit", 200, list(&[entry(link, json!("until \"then\""), "unknown")]));
    let page = operator.get("/console/audit?tenant=acme").await;
    for text in [&format!("a portal link of acme, made with key {key}"), "until &#34;then&#34;", UNKNOWN] {
        page.says(text);
    }
    let asked = stage.asked("GET /v1/audit");
    assert!(asked.last().unwrap().path.ends_with("?tenant=acme&limit=50"), "{}", asked.last().unwrap().path);
}
