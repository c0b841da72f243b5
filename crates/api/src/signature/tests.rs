use posthaste_model::{Endpoint, EndpointId, TenantId};
use posthaste_store::Catalogue as _;
use serde_json::{Value, json};

use crate::fixture::{Api, ENDPOINTS, NOW};

const TENANT: &str = "/v1/tenants/default";

fn custom(change: Value) -> Value {
    let mut profile = json!({ "profile": "custom", "signed": "{ts}.{body}", "algorithm": "hmac-sha256", "encoding": "hex",
        "key": "raw", "headers": { "X-Acme": "t={ts},v={signature}" } });
    for (name, value) in change.as_object().unwrap() {
        if value.is_null() {
            profile.as_object_mut().unwrap().remove(name);
        } else {
            profile[name] = value.clone();
        }
    }
    profile
}

#[tokio::test]
async fn whoever_does_not_say_gets_the_default_of_now() {
    let api = Api::new().await;
    let profile = async |line: &str| api.json(line, "", 200).await["signature"].clone();
    let endpoint = |made: &Value| format!("{ENDPOINTS}/{}", made["id"].as_str().unwrap());
    let (standard, stripe) = (json!({ "profile": "standard" }), json!({ "profile": "stripe" }));
    let before = api.endpoint(json!({})).await;
    assert_eq!(before["signature"], standard);

    assert_eq!(api.json(&format!("GET {TENANT}"), "", 200).await["signature"], json!(null));
    let put = json!({ "name": "Default", "signature": stripe }).to_string();
    assert_eq!(api.json(&format!("PUT {TENANT}"), &put, 200).await["signature"], stripe);
    assert_eq!(api.json(&format!("PATCH {TENANT}"), r#"{"name": "D"}"#, 200).await["signature"], stripe);
    let after = api.endpoint(json!({})).await;
    assert_eq!(after["signature"], stripe);
    assert_eq!(
        api.endpoint(json!({ "signature": { "profile": "github" } })).await["signature"]["profile"],
        "github"
    );
    assert_eq!(profile(&format!("GET {}", endpoint(&before))).await, standard, "it is what it was");

    let reset = format!("PATCH {}", endpoint(&before));
    assert_eq!(api.json(&reset, r#"{"description": "x"}"#, 200).await["signature"], standard);
    assert_eq!(api.json(&reset, r#"{"signature": null}"#, 200).await["signature"], stripe);
    assert_eq!(
        api.json(&format!("PATCH {TENANT}"), r#"{"signature": null}"#, 200).await["signature"],
        json!(null)
    );
    assert_eq!(profile(&format!("GET {}", endpoint(&after))).await, stripe);
    assert_eq!(api.json(&reset, r#"{"signature": null}"#, 200).await["signature"], standard);
    assert_eq!(api.json(&format!("PUT {TENANT}"), "{}", 200).await["signature"], json!(null));
}

/// Endpoints that were made before there were profiles.
#[tokio::test]
async fn none_is_the_standard_one() {
    let api = Api::new().await;
    let id = EndpointId::mint(NOW, [1; 10]);
    let old = Endpoint::new(id, TenantId::default_tenant(), "https://example.com/".into(), NOW);
    api.store.create_endpoint(old).await.unwrap();
    let shown = api.json(&format!("GET {ENDPOINTS}/{id}"), "", 200).await;
    assert_eq!(shown["signature"], json!({ "profile": "standard" }));
}

#[tokio::test]
async fn what_it_sends_is_shown_where_it_is_set() {
    let api = Api::new().await;
    let made = api.endpoint(json!({ "signature": custom(json!({})) })).await;
    let sample = &made["signature_sample"];
    assert!(sample["headers"]["X-Acme"].as_str().unwrap().starts_with("t=1764000000,v="), "{sample}");
    assert!(sample["signed"].as_str().unwrap().starts_with("1764000000.{"), "{sample}");
    let patch = format!("PATCH {ENDPOINTS}/{}", made["id"].as_str().unwrap());
    // A profile is replaced, not merged.
    let patched = api.json(&patch, r#"{"signature": {"profile": "stripe"}}"#, 200).await;
    assert_eq!(patched["signature"], json!({ "profile": "stripe" }));
    assert!(patched["signature_sample"]["headers"]["Stripe-Signature"].is_string(), "{patched}");
    let patched = api.json(&patch, r#"{"format": "raw"}"#, 200).await;
    assert_eq!(patched.get("signature_sample"), None);
    assert_eq!(api.json(&patch.replace("PATCH", "GET"), "", 200).await.get("signature_sample"), None);
}

#[tokio::test]
async fn a_profile_that_makes_no_sense_is_refused_by_its_place() {
    let api = Api::new().await;
    let made = api.endpoint(json!({})).await;
    let patch = format!("PATCH {ENDPOINTS}/{}", made["id"].as_str().unwrap());
    for (profile, refused) in [
        (json!("standard"), "/signature: must be an object"),
        (json!([]), "/signature: must be an object"),
        (json!({}), "/signature/profile: is missing"),
        (json!({ "profile": 5 }), "/signature/profile: must be a text"),
        (json!({ "profile": "strip" }), "/signature/profile: "),
        (json!({ "profile": "stripe", "signed": "{body}" }), "/signature/signed: "),
        (json!({ "profile": "github", "shop_domain": "x" }), "/signature/shop_domain: "),
        (json!({ "profile": "standard", "versions": ["v2"] }), "/signature/versions"),
        (custom(json!({ "sined": "{body}" })), "/signature/sined: is no field of the profile 'custom'"),
        (custom(json!({ "signed": null })), "/signature/signed: is missing"),
        (custom(json!({ "signed": "{ts}" })), "/signature/signed: "),
        (custom(json!({ "signed": "{tz}.{body}" })), "/signature/signed: "),
        (custom(json!({ "signed": "{ts.{body}" })), "/signature/signed: "),
        (custom(json!({ "algorithm": "md5" })), "/signature/algorithm: "),
        (custom(json!({ "algorithm": "ed25519" })), "/signature/key: "),
        (custom(json!({ "signatures": [] })), "/signature/"),
        (custom(json!({ "headers": { "X-Acme": "{ts}" } })), "/signature/headers"),
        (custom(json!({ "headers": { "X-Acme": "{signature}", "x-acme": "{ts}" } })), "/signature/headers"),
        (
            custom(json!({ "headers": { "Host": "{signature}" } })),
            "/signature/headers/Host: is a header of the transport",
        ),
        (custom(json!({ "headers": { "X-Acme": "{signature}\r\nX: 1" } })), "/signature/headers/X-Acme: "),
    ] {
        let refused = format!("422 invalid-field pointer {refused}");
        let fields = json!({ "signature": profile }).to_string();
        let post = json!({ "url": "https://example.com", "signature": profile }).to_string();
        api.refuses(&format!("POST {ENDPOINTS}"), &post, &refused).await;
        api.refuses(&patch, &fields, &refused).await;
        api.refuses(&format!("PUT {TENANT}"), &fields, &refused).await;
        api.refuses(&format!("PATCH {TENANT}"), &fields, &refused).await;
    }
    let twice = r#"{"signature": {"profile": "stripe", "profile": "github"}}"#;
    api.refuses(&patch, twice, "422 invalid-field pointer /signature/profile: occurs twice").await;
    assert_eq!(
        api.json(&patch.replace("PATCH", "GET"), "", 200).await["signature"],
        json!({ "profile": "standard" })
    );
}
