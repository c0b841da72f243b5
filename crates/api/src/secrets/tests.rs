use serde_json::{Value, json};

use crate::fixture::{Api, ENDPOINTS};

const WHSEC: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const RAW: &str = "It's a Secret to Everybody";
const PRIVATE: &str = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbc=";
const PUBLIC: &str = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=";

fn secret_of(made: &Value) -> String {
    format!("{ENDPOINTS}/{}/secret", made["id"].as_str().unwrap())
}

fn signed_by(profile: Value) -> Value {
    json!({ "signature": profile })
}

#[tokio::test]
async fn a_secret_suits_its_profile() {
    let api = Api::new().await;
    let standard = api.endpoint(json!({})).await;
    assert!(standard["secret"].as_str().unwrap().starts_with("whsec_"));
    assert_eq!((standard.get("public_key"), standard.get("secrets")), (None, None));
    let revealed = api.json(&format!("GET {}", secret_of(&standard)), "", 200).await;
    assert_eq!(revealed, json!({ "secret": standard["secret"], "retiring": [] }));

    let pair = api.endpoint(signed_by(json!({ "profile": "standard", "versions": ["v1a"] }))).await;
    assert!(pair["secret"].as_str().unwrap().starts_with("whsk_"));
    assert!(pair["public_key"].as_str().unwrap().starts_with("whpk_"));
    assert_eq!(pair.get("secrets"), None);

    let both = api.endpoint(signed_by(json!({ "profile": "standard", "versions": ["v1a", "v1"] }))).await;
    assert!(both["secret"].as_str().unwrap().starts_with("whsec_"));
    assert!(both["public_key"].as_str().unwrap().starts_with("whpk_"));
    assert_eq!(both["secrets"][0], both["secret"]);
    assert!(both["secrets"][1].as_str().unwrap().starts_with("whsk_"));
}

#[tokio::test]
async fn a_secret_can_be_brought() {
    let api = Api::new().await;
    for (profile, secret) in [
        (json!({ "profile": "standard" }), WHSEC),
        (json!({ "profile": "github" }), RAW),
        (json!({ "profile": "stripe" }), WHSEC),
    ] {
        let made = api.endpoint(json!({ "signature": profile, "secret": secret })).await;
        assert_eq!(made["secret"], secret);
        assert_eq!(api.json(&format!("GET {}", secret_of(&made)), "", 200).await["secret"], secret);
    }
    let versions = json!({ "profile": "standard", "versions": ["v1", "v1a"] });
    let made = api.endpoint(json!({ "signature": versions, "secret": PRIVATE })).await;
    assert!(made["secret"].as_str().unwrap().starts_with("whsec_"), "what is missing is made");
    assert_eq!((&made["secrets"][1], &made["public_key"]), (&json!(PRIVATE), &json!(PUBLIC)));
}

#[tokio::test]
async fn secrets_that_do_not_suit_are_refused() {
    let api = Api::new().await;
    let made = api.endpoint(json!({ "secret": WHSEC })).await;
    for (secret, refused) in [
        (json!(""), "the webhook secret is empty"),
        (json!("hunter2!"), "the webhook secret has 8 characters"),
        (json!("hunter2!hunter2!hunter2!hunter2!"), "the webhook secret is weak: it repeats itself"),
        (json!("whsec_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"), "the webhook secret is weak"),
        (json!(format!("{WHSEC}\n")), "the webhook secret begins or ends with white space"),
        (json!(RAW), "the profile takes a secret that is base64"),
        (json!(PRIVATE), "the profile signs by HMAC"),
        (json!(PUBLIC), "whpk_ is a public key"),
        (json!(true), "expected a text"),
        (json!(5), "expected a text"),
    ] {
        let refused = format!("422 invalid-field pointer /secret: {refused}");
        let post = json!({ "url": "https://example.com", "secret": secret }).to_string();
        api.refuses(&format!("POST {ENDPOINTS}"), &post, &refused).await;
        let rotate = format!("POST {}/rotate", secret_of(&made));
        api.refuses(&rotate, &json!({ "secret": secret }).to_string(), &refused).await;
    }
    let again = "422 invalid-field pointer /secret: is a secret of the endpoint already";
    let rotate = format!("POST {}/rotate", secret_of(&made));
    api.refuses(&rotate, &json!({ "secret": WHSEC }).to_string(), again).await;
    let patch = format!("PATCH {ENDPOINTS}/{}", made["id"].as_str().unwrap());
    let unknown = "422 invalid-field pointer /secret: unknown field";
    api.refuses(&patch, &json!({ "secret": OTHER }).to_string(), unknown).await;
    let revealed = api.json(&format!("GET {}", secret_of(&made)), "", 200).await;
    assert_eq!(revealed, json!({ "secret": WHSEC, "retiring": [] }));
}

#[tokio::test]
async fn the_old_secret_goes_on_where_two_can() {
    let api = Api::new().await;
    let made = api.endpoint(json!({ "secret": WHSEC })).await;
    let rotate = format!("POST {}/rotate", secret_of(&made));
    let rotated = api.json(&rotate, &json!({ "secret": OTHER }).to_string(), 200).await;
    let retiring = json!([{ "secret": WHSEC, "expires_at": "1970-01-02T00:00:00Z" }]);
    assert_eq!(rotated, json!({ "secret": OTHER, "retiring": retiring, "cut_over": "after_overlap" }));
    let rotated = api.json(&rotate, r#"{"overlap": "0s"}"#, 200).await;
    assert_eq!((&rotated["retiring"], &rotated["cut_over"]), (&json!([]), &json!("at_once")));
}

#[tokio::test]
async fn the_cut_over_is_at_once_where_they_cannot() {
    let api = Api::new().await;
    let made = api.endpoint(json!({ "signature": { "profile": "github" }, "secret": RAW })).await;
    let rotate = format!("POST {}/rotate", secret_of(&made));
    let refused =
        "422 invalid-field pointer /overlap: a request of the profile 'github' carries one signature";
    api.refuses(&rotate, r#"{"overlap": "1h"}"#, refused).await;
    let rotated = api.json(&rotate, "", 200).await;
    assert_ne!(rotated["secret"], RAW);
    assert_eq!((&rotated["retiring"], &rotated["cut_over"]), (&json!([]), &json!("at_once")));
    assert_eq!(api.json(&rotate, r#"{"overlap": "0s"}"#, 200).await["cut_over"], "at_once");
}

#[tokio::test]
async fn each_kind_is_rotated_by_itself() {
    let api = Api::new().await;
    let made = api.endpoint(signed_by(json!({ "profile": "standard", "versions": ["v1", "v1a"] }))).await;
    let rotate = format!("POST {}/rotate", secret_of(&made));
    let rotated = api.json(&rotate, &json!({ "secret": PRIVATE }).to_string(), 200).await;
    assert_eq!(rotated["secrets"], json!([made["secret"], PRIVATE]));
    assert_eq!(rotated["retiring"][0]["secret"], made["secrets"][1]);
    let rotated = api.json(&rotate, r#"{"overlap": "0s"}"#, 200).await;
    assert_eq!(rotated["retiring"], json!([]));
    assert!(rotated["secret"] != made["secret"] && rotated["secrets"][1] != PRIVATE, "{rotated}");
}

#[tokio::test]
async fn so_many_secrets_sign_at_once() {
    let api = Api::new().await;
    let made = api.endpoint(json!({})).await;
    let rotate = format!("POST {}/rotate", secret_of(&made));
    for _ in 0..4 {
        api.json(&rotate, "", 200).await;
    }
    let refused = "409 conflict: 5 secrets are signing already";
    api.refuses(&rotate, "{}", refused).await;
    let long = "422 invalid-field pointer /overlap: must not be longer than ";
    api.refuses(&rotate, r#"{"overlap": "8d"}"#, long).await;
    api.json(&rotate, r#"{"overlap": "0s"}"#, 200).await;
    api.json(&rotate, "", 200).await;
}

#[tokio::test]
async fn a_profile_that_cannot_use_the_secret_is_refused() {
    let api = Api::new().await;
    let made = api.endpoint(json!({ "signature": { "profile": "github" }, "secret": RAW })).await;
    let patch = format!("PATCH {ENDPOINTS}/{}", made["id"].as_str().unwrap());
    let refused = "422 invalid-field pointer /signature: the endpoint's secret does not suit it \
        (the profile takes a secret that is base64, with or without whsec_ before it): rotate";
    api.refuses(&patch, r#"{"signature": {"profile": "standard"}}"#, refused).await;
    api.json(&format!("POST {}/rotate", secret_of(&made)), "", 200).await;
    api.json(&patch, r#"{"signature": {"profile": "standard"}}"#, 200).await;
}

#[tokio::test]
async fn a_profile_that_needs_another_kind_gets_it() {
    let api = Api::new().await;
    let made = api.endpoint(json!({ "secret": WHSEC })).await;
    let patch = format!("PATCH {ENDPOINTS}/{}", made["id"].as_str().unwrap());
    let reveal = format!("GET {}", secret_of(&made));
    let v1a = r#"{"signature": {"profile": "standard", "versions": ["v1a"]}}"#;
    let patched = api.json(&patch, v1a, 200).await;
    assert!(!patched.to_string().contains("whsk_"), "{patched}");
    let pair = api.json(&reveal, "", 200).await;
    assert!(pair["secret"].as_str().unwrap().starts_with("whsk_"), "{pair}");
    // The one that is not needed comes back with its profile.
    api.json(&patch, r#"{"signature": {"profile": "standard"}}"#, 200).await;
    assert_eq!(api.json(&reveal, "", 200).await, json!({ "secret": WHSEC, "retiring": [] }));
    api.json(&patch, v1a, 200).await;
    assert_eq!(api.json(&reveal, "", 200).await, pair);
}

#[tokio::test]
async fn a_profile_that_carries_one_signature_ends_the_overlap() {
    let api = Api::new().await;
    let made = api.endpoint(json!({})).await;
    let patch = async |profile: &str| {
        let line = format!("PATCH {ENDPOINTS}/{}", made["id"].as_str().unwrap());
        let changed = json!({ "signature": { "profile": profile } }).to_string();
        api.json(&line, &changed, 200).await.get("cut_over").cloned()
    };
    let retiring = async || {
        let shown = api.json(&format!("GET {}", secret_of(&made)), "", 200).await;
        shown["retiring"].as_array().unwrap().len()
    };
    assert_eq!(patch("stripe").await, None, "none was retiring");
    api.json(&format!("POST {}/rotate", secret_of(&made)), "", 200).await;
    assert_eq!((patch("standard").await, retiring().await), (Some(json!("after_overlap")), 1));
    assert_eq!((patch("github").await, retiring().await), (Some(json!("at_once")), 0));
    assert_eq!((patch("slack").await, retiring().await), (None, 0), "it ended before");
}

#[tokio::test]
async fn a_retiring_secret_that_the_profile_cannot_use_is_not_shown() {
    let api = Api::new().await;
    let made = api.endpoint(json!({ "signature": { "profile": "stripe" }, "secret": RAW })).await;
    let rotate = format!("POST {}/rotate", secret_of(&made));
    let rotated = api.json(&rotate, &json!({ "secret": WHSEC }).to_string(), 200).await;
    assert_eq!(rotated["retiring"][0]["secret"], RAW);
    let patch = format!("PATCH {ENDPOINTS}/{}", made["id"].as_str().unwrap());
    let patched = api.json(&patch, r#"{"signature": {"profile": "standard"}}"#, 200).await;
    assert_eq!(patched["cut_over"], "at_once");
    let shown = api.json(&format!("GET {}", secret_of(&made)), "", 200).await;
    assert_eq!(shown, json!({ "secret": WHSEC, "retiring": [] }));
}
