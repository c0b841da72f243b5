use serde_json::json;

use crate::{roles::furnished, stage::Stage};

#[tokio::test]
async fn a_new_tenant_replaces_no_other() {
    let stage = furnished().await;
    let admin = stage.visitor("admin").await;
    let refused = admin.post("/console/tenants", "/console/tenants", "id=acme&name=Another").await;
    assert_eq!(refused.status, 400);
    refused.says("there is such a tenant already");
    refused.says(r#"value="Another""#);
    assert!(stage.asked("PUT /v1/tenants/acme").is_empty());

    let made = json!({
        "id": "globex", "name": "Globex", "signature": null,
        "created_at": "2026-11-20T10:00:00Z", "updated_at": "2026-11-20T10:00:00Z",
    });
    stage.set("PUT /v1/tenants/globex", 200, made);
    let created = admin.post("/console/tenants", "/console/tenants", "id=globex&name=Globex").await;
    assert_eq!(created.location, "/console/tenants/globex?said=tenant");
}

#[tokio::test]
async fn a_portal_link_is_for_https_where_the_pages_are() {
    for (secure, expect) in [(true, "https://localhost:8080/portal?token=php_a"), (false, "http://")] {
        let stage = Stage::with(|settings| settings.secure = secure).await;
        stage.set("GET /v1/topics", 200, crate::stage::list(&[]));
        let link = json!({"token": "php_a", "expires_at": "2026-11-21T11:00:00Z"});
        stage.set("POST /v1/tenants/acme/portal-links", 201, link);
        let operator = stage.visitor("operator").await;
        let path = "/console/tenants/acme/portal-link";
        operator.post("/console/topics", path, "ttl=1h").await.says(expect);
    }
}
