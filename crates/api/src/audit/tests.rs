use posthaste_model::Tenant;
use posthaste_store::Catalogue as _;
use serde_json::json;

use crate::fixture::{Api, NOW, ticking_clock};

#[tokio::test]
async fn the_audit_is_listed_newest_first() {
    let api = Api::with(ticking_clock()).await;
    api.store.put_tenant(Tenant::new("acme".parse().unwrap(), NOW)).await.unwrap();
    api.json("PATCH /v1/tenants/acme", r#"{"name": "Acme"}"#, 200).await;
    api.json("PUT /v1/topics/order.sent", "{}", 201).await;
    api.json("DELETE /v1/tenants/acme", "", 204).await;

    let all = api.json("GET /v1/audit?limit=2", "", 200).await;
    let entry = &all["data"][1];
    assert!(entry["id"].as_str().unwrap().starts_with("aud_"), "{entry}");
    assert!(entry["at"].as_str().unwrap().starts_with("1970-01-01T00:00:00."), "{entry}");
    let mut rest = entry.clone();
    for name in ["id", "at"] {
        rest.as_object_mut().unwrap().remove(name);
    }
    assert_eq!(
        rest,
        json!({
            "by": {"kind": "admin_key"}, "address": "192.0.2.7", "action": "put_topic",
            "subject": "/v1/topics/order.sent", "tenant": null, "fields": [],
            "detail": null, "outcome": "done"
        })
    );
    let next = all["next"].as_str().unwrap();
    let rest = api.json(&format!("GET /v1/audit?limit=2&cursor={next}"), "", 200).await;
    assert_eq!((&rest["data"][0]["action"], &rest["next"]), (&json!("patch_tenant"), &json!(null)));

    // Also of a tenant that is no more.
    let of = api.json("GET /v1/audit?tenant=acme", "", 200).await;
    let actions: Vec<_> = of["data"].as_array().unwrap().iter().map(|entry| &entry["action"]).collect();
    assert_eq!(actions, ["delete_tenant", "patch_tenant"]);

    let elsewhere = format!("GET /v1/audit?tenant=acme&cursor={next}");
    api.refuses(&elsewhere, "", "400 invalid-parameter parameter cursor: not a cursor of this list").await;
    api.refuses("GET /v1/audit?limit=0", "", "400 invalid-parameter parameter limit: ").await;
    api.refuses("GET /v1/audit?tenant=a%20b", "", "400 invalid-parameter parameter tenant: ").await;
    api.refuses("GET /v1/audit?who=x", "", "400 invalid-parameter parameter who: unknown parameter").await;
}
