use posthaste_model::Tenant;
use posthaste_store::Catalogue as _;
use serde_json::{Value, json};

use crate::fixture::{Api, NOW, told};

#[actix_web::test]
async fn a_key_says_whose_it_is() {
    let api = Api::new().await;
    let acme = Tenant { name: "Acme".into(), ..Tenant::new("acme".parse().unwrap(), NOW) };
    api.store.put_tenant(acme).await.unwrap();
    let tenant = json!({"id": "acme", "name": "Acme"});
    let whose = async |key: &str| {
        let (status, answer): (u16, Value) = api.call_as(key, "GET /v1/key", "").await;
        assert_eq!(status, 200, "{answer}");
        answer
    };

    assert_eq!(api.json("GET /v1/key", "", 200).await, json!({"kind": "admin_key", "role": "admin"}));

    let link = api.json("POST /v1/tenants/acme/portal-links", "", 201).await;
    assert_eq!(
        whose(link["token"].as_str().unwrap()).await,
        json!({"kind": "portal_link", "role": "tenant", "tenant": tenant, "expires_at": "1970-01-01T01:00:00Z"})
    );

    let made = api.json("POST /v1/keys", r#"{"role": "publisher", "name": "Shop"}"#, 201).await;
    assert_eq!(
        whose(made["secret"].as_str().unwrap()).await,
        json!({"kind": "api_key", "role": "publisher", "id": made["id"], "name": "Shop"})
    );
    let body = r#"{"role": "viewer", "tenant": "acme", "expires_at": "1971-01-01T00:00:00Z"}"#;
    let made = api.json("POST /v1/keys", body, 201).await;
    assert_eq!(
        whose(made["secret"].as_str().unwrap()).await,
        json!({
            "kind": "api_key", "role": "viewer", "id": made["id"], "name": "", "tenant": tenant,
            "expires_at": "1971-01-01T00:00:00Z"
        })
    );

    let (status, answer) = api.call_as("nobody's", "GET /v1/key", "").await;
    assert_eq!(told(status, &answer), "401 unauthorized header authorization: the key is not valid");
}
