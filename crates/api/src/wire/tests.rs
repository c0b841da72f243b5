use actix_web::web::Data;
use posthaste_egress::{EgressPolicy, Guard};
use posthaste_model::{Credentials, Endpoint, EndpointId, TenantId};
use posthaste_store::Catalogue as _;
use serde_json::{Value, json};

use crate::fixture::{Api, ENDPOINTS, service};

/// The endpoint as it is kept, and what is sealed in it.
async fn kept(api: &Api, made: &Value) -> (Endpoint, Credentials) {
    let id: EndpointId = made["id"].as_str().unwrap().parse().unwrap();
    let endpoint = api.store.endpoint(&TenantId::default_tenant(), id).await.unwrap();
    let credentials = super::open(&api.service, &endpoint).unwrap();
    (endpoint, credentials)
}

fn patch_of(made: &Value) -> String {
    format!("PATCH {ENDPOINTS}/{}", made["id"].as_str().unwrap())
}

#[tokio::test]
async fn how_requests_are_made_is_kept_and_shown() {
    let api = Api::new().await;
    let usual = api.endpoint(json!({})).await;
    for (field, value) in [
        ("signature", json!({ "profile": "standard" })),
        ("format", json!("standard")),
        ("method", json!("POST")),
        ("headers", json!({})),
        ("metadata_headers", json!(false)),
        ("auth", json!(null)),
        ("tls", json!(null)),
    ] {
        assert_eq!(usual[field], value, "{field}");
    }
    assert_eq!(kept(&api, &usual).await.0.credentials, None);
    for (field, value) in [
        ("format", json!("raw")),
        ("format", json!("cloudevents")),
        ("format", json!("cloudevents-binary")),
        ("method", json!("PUT")),
        ("metadata_headers", json!(true)),
        ("headers", json!({ "X-Env": "prod", "x-other": "a b" })),
    ] {
        let made = api.endpoint(json!({ field: value })).await;
        assert_eq!(made[field], value);
        assert_eq!(api.json(&patch_of(&made).replace("PATCH", "GET"), "", 200).await[field], value);
        let patched = api.json(&patch_of(&made), &json!({ field: null }).to_string(), 200).await;
        assert_eq!(patched[field], usual[field], "null takes the default");
    }
}

#[tokio::test]
async fn what_is_secret_is_sealed_and_never_shown() {
    let api = Api::new().await;
    let auths = [
        json!({ "type": "bearer", "token": "hush-1" }),
        json!({ "type": "basic", "username": "u", "password": "hush-1" }),
        json!({ "type": "oauth2", "token_url": "https://example.com/token", "client_id": "c",
            "client_secret": "hush-1", "scope": "a b", "audience": "https://example.com" }),
    ];
    for auth in auths {
        let fields = json!({ "headers": { "X-Env": "prod", "X-Key": { "secret": "hush-2" } }, "auth": auth });
        let made = api.endpoint(fields).await;
        let shown = json!({ "X-Env": "prod", "X-Key": { "secret": true } });
        let mut masked = auth.clone();
        for name in ["token", "password", "client_secret"] {
            if let Some(secret) = masked.get_mut(name) {
                *secret = json!(true);
            }
        }
        let read = api.text(&patch_of(&made).replace("PATCH", "GET"), "").await.1;
        let listed = api.text(&format!("GET {ENDPOINTS}"), "").await.1;
        let patched = api.text(&patch_of(&made), r#"{"description": "x"}"#).await.1;
        for answer in [made.to_string(), read, patched] {
            let answer: Value = serde_json::from_str(&answer).unwrap();
            assert_eq!((&answer["headers"], &answer["auth"]), (&shown, &masked));
            assert!(!answer.to_string().contains("hush"), "{answer}");
        }
        assert!(!listed.contains("hush"), "{listed}");
        let (endpoint, credentials) = kept(&api, &made).await;
        assert!(!format!("{endpoint:?}").contains("hush"));
        assert_eq!(credentials.auth.as_deref(), Some("hush-1"));
        assert_eq!(credentials.headers, [("X-Key".to_owned(), "hush-2".to_owned())].into());
    }
}

#[tokio::test]
async fn a_patch_keeps_secrets_until_it_says_otherwise() {
    let api = Api::new().await;
    let made = api
        .endpoint(json!({
            "headers": { "X-A": { "secret": "hush-a" }, "X-B": { "secret": "hush-b" } },
            "auth": { "type": "basic", "username": "u", "password": "hush-p" }
        }))
        .await;
    let before = kept(&api, &made).await.0;
    let patch = async |changes: Value| {
        let patched = api.json(&patch_of(&made), &changes.to_string(), 200).await;
        let credentials = kept(&api, &made).await.1;
        let headers: Vec<_> = credentials.headers.iter().map(|(n, v)| format!("{n}={v}")).collect();
        (patched, format!("{} {}", headers.join(","), credentials.auth.as_deref().unwrap_or("-")))
    };
    let (_, secrets) =
        patch(json!({ "auth": { "password": true }, "headers": { "X-A": { "secret": true } } })).await;
    assert_eq!(secrets, "X-A=hush-a,X-B=hush-b hush-p");
    assert_eq!(kept(&api, &made).await.0, before, "nothing changed, and nothing was sealed anew");
    let (patched, secrets) =
        patch(json!({ "auth": { "username": "v" }, "headers": { "X-A": "plain", "X-C": "c" } })).await;
    assert_eq!(secrets, "X-B=hush-b hush-p");
    assert_eq!(patched["auth"]["username"], "v");
    assert_eq!(patched["headers"], json!({ "X-A": "plain", "X-B": { "secret": true }, "X-C": "c" }));
    let (_, secrets) =
        patch(json!({ "auth": { "password": "hush-q" }, "headers": { "X-B": { "secret": "hush-d" } } }))
            .await;
    assert_eq!(secrets, "X-B=hush-d hush-q");
    // Another type is another auth.
    let other = "422 invalid-field pointer /auth/token: there is none to keep";
    api.refuses(&patch_of(&made), r#"{"auth": {"type": "bearer", "token": true}}"#, other).await;
    let (patched, secrets) =
        patch(json!({ "auth": { "type": "bearer", "token": "hush-t" }, "headers": { "X-B": null } })).await;
    assert_eq!(
        (&patched["auth"], secrets.as_str()),
        (&json!({ "type": "bearer", "token": true }), " hush-t")
    );
    let (patched, secrets) = patch(json!({ "auth": null, "headers": null })).await;
    assert_eq!((&patched["auth"], &patched["headers"], secrets.as_str()), (&json!(null), &json!({}), " -"));
    assert_eq!(kept(&api, &made).await.0.credentials, None);
}

#[tokio::test]
async fn names_of_headers_have_no_case_in_a_patch() {
    let api = Api::new().await;
    let made = api.endpoint(json!({ "headers": { "X-Key": { "secret": "hush-a" }, "X-Env": "prod" } })).await;
    let (key, secret) =
        (json!({ "secret": true }), |name: &str| [(name.to_owned(), "hush-a".to_owned())].into());
    for (change, headers, sealed) in [
        (json!({ "x-key": key, "x-env": "test" }), json!({ "X-Key": key, "X-Env": "test" }), secret("X-Key")),
        (
            json!({ "X-Env": null, "x-env": "test" }),
            json!({ "X-Key": key, "x-env": "test" }),
            secret("X-Key"),
        ),
        (json!({ "X-ENV": null }), json!({ "X-Key": key }), secret("X-Key")),
        (json!({ "x-key": null }), json!({}), Default::default()),
    ] {
        let patched = api.json(&patch_of(&made), &json!({ "headers": change }).to_string(), 200).await;
        assert_eq!(patched["headers"], headers, "{change}");
        assert_eq!(kept(&api, &made).await.1.headers, sealed, "{change}");
    }
    api.json(&patch_of(&made), r#"{"headers": {"x-a": "1"}}"#, 200).await;
    let twice = "422 invalid-field pointer /headers/x-a: occurs twice";
    api.refuses(&patch_of(&made), r#"{"headers": {"X-A": "1", "x-a": "2"}}"#, twice).await;
}

#[tokio::test]
async fn null_removes_no_field_that_there_is_not() {
    let api = Api::new().await;
    let Pems { certificate, .. } = pems();
    let auth = json!({ "type": "bearer", "token": "hush" });
    let made = api.endpoint(json!({ "auth": auth, "tls": { "ca": certificate } })).await;
    for pointer in ["/auth/tokn", "/tls/key", "/tls/a~1b"] {
        let (_, path) = pointer.split_once('/').unwrap();
        let (field, name) = path.split_once('/').unwrap();
        let change = json!({ field: { name.replace("~1", "/"): null } }).to_string();
        let refused = format!("422 invalid-field pointer {pointer}: unknown field");
        api.refuses(&patch_of(&made), &change, &refused).await;
    }
    for name in super::auth::NAMES.into_iter().filter(|name| !["type", "token"].contains(name)) {
        api.json(&patch_of(&made), &json!({ "auth": { name: null } }).to_string(), 200).await;
    }
    let own = json!({ "tls": { "certificate": null, "private_key": null, "ca": null } });
    api.json(&patch_of(&made), &own.to_string(), 200).await;
}

/// It is judged when it is used.
/// What comes of another URL, where the endpoint has these secrets and the change names those.
async fn check_move(fields: Value, change: Value, is_kept: bool) {
    let api = Api::new().await;
    let made = api.endpoint(fields).await;
    let before = kept(&api, &made).await;
    let change = change.to_string();
    if is_kept {
        let refused = "422 invalid-field pointer /url: the secrets of 'auth' and 'headers' were given for \
            another host: give them again, or null";
        api.refuses(&patch_of(&made), &change, refused).await;
        assert!(kept(&api, &made).await == before, "{change}");
    } else {
        api.json(&patch_of(&made), &change, 200).await;
    }
}

/// Whoever may change the URL could have them sent to himself.
#[tokio::test]
async fn secrets_do_not_go_to_another_host() {
    let bearer = || json!({ "auth": { "type": "bearer", "token": "hush" } });
    let header = || json!({ "headers": { "X-Key": { "secret": "hush" }, "X-Env": "prod" } });
    let oauth = || {
        json!({ "auth": { "type": "oauth2", "token_url": "https://example.com/token", "client_id": "c",
            "client_secret": "hush" } })
    };
    let mut basic = header();
    basic["auth"] = json!({ "type": "basic", "username": "u", "password": "hush" });
    for elsewhere in
        ["https://example.org/hooks", "https://www.example.com/", "https://example.com:8443/hooks"]
    {
        for fields in [bearer(), header(), oauth(), basic.clone()] {
            check_move(fields, json!({ "url": elsewhere }), true).await;
        }
    }
    let elsewhere = "https://example.org/";
    for (fields, change) in [
        (bearer(), json!({ "auth": { "token": true } })),
        (header(), json!({ "headers": { "x-key": { "secret": true } } })),
        (basic.clone(), json!({ "auth": null })),
        (basic.clone(), json!({ "headers": null })),
        (basic.clone(), json!({ "auth": { "password": "other" } })),
    ] {
        let mut change = change;
        change["url"] = json!(elsewhere);
        check_move(fields, change, true).await;
    }
    for (fields, change) in [
        (bearer(), json!({ "auth": { "token": "hush" } })),
        (bearer(), json!({ "auth": null })),
        (header(), json!({ "headers": { "x-key": { "secret": "other" } } })),
        (header(), json!({ "headers": { "X-Key": null } })),
        (header(), json!({ "headers": { "X-Key": "shown" } })),
        (basic, json!({ "auth": { "password": "other" }, "headers": null })),
        (json!({ "headers": { "X-Env": "prod" } }), json!({})),
    ] {
        let mut change = change;
        change["url"] = json!(elsewhere);
        check_move(fields, change, false).await;
    }
    for same in ["https://example.com/other?a=//b", "HTTPS://EXAMPLE.com:443/hooks"] {
        check_move(bearer(), json!({ "url": same }), false).await;
    }
}

#[tokio::test]
async fn a_client_secret_does_not_go_to_another_token_url() {
    let api = Api::new().await;
    let auth = json!({ "type": "oauth2", "token_url": "https://example.com/token", "client_id": "c",
        "client_secret": "hush" });
    let made = api.endpoint(json!({ "auth": auth, "headers": { "X-Key": { "secret": "hush" } } })).await;
    let patch = |auth: Value| json!({ "auth": auth }).to_string();
    let elsewhere = "https://example.org/token";
    let refused =
        "422 invalid-field pointer /auth/token_url: the secret of 'auth' was given for another host";
    for auth in [json!({ "token_url": elsewhere }), json!({ "token_url": elsewhere, "client_secret": true })]
    {
        api.refuses(&patch_of(&made), &patch(auth), refused).await;
    }
    let path = json!({ "token_url": "https://example.com/other" });
    assert_eq!(api.json(&patch_of(&made), &patch(path), 200).await["auth"]["client_secret"], true);
    let given = json!({ "token_url": elsewhere, "client_secret": "other" });
    assert_eq!(api.json(&patch_of(&made), &patch(given), 200).await["auth"]["token_url"], elsewhere);
}

#[tokio::test]
async fn a_token_url_that_is_not_changed_is_not_judged() {
    let api = Api::new().await;
    let auth = json!({ "type": "oauth2", "token_url": "https://example.com/token", "client_id": "c", "client_secret": "hush" });
    let made = api.endpoint(json!({ "auth": auth })).await;
    let mut endpoint = kept(&api, &made).await.0;
    let Some(posthaste_model::Auth::OAuth2 { token_url, .. }) = &mut endpoint.wire.auth else { panic!() };
    let barred = "https://169.254.169.254/token";
    *token_url = barred.to_owned();
    api.store.update_endpoint(endpoint).await.unwrap();
    let patched =
        api.json(&patch_of(&made), r#"{"headers": {"X-A": "1"}, "auth": {"scope": "a"}}"#, 200).await;
    assert_eq!((&patched["auth"]["token_url"], &patched["auth"]["scope"]), (&json!(barred), &json!("a")));
    let refused = "422 invalid-field pointer /auth/token_url: ";
    api.refuses(&patch_of(&made), r#"{"auth": {"token_url": "https://169.254.169.254/"}}"#, refused).await;
}

/// Asserts that a field is refused at both doors, and that nothing of it is repeated which may be secret.
async fn check_refused(rows: &[(Value, &str)]) {
    let api = Api::new().await;
    let made = api.endpoint(json!({})).await;
    for (fields, refused) in rows {
        let refused = format!("422 invalid-field pointer {refused}");
        let mut post = json!({ "url": "https://example.com" });
        post.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        api.refuses(&format!("POST {ENDPOINTS}"), &post.to_string(), &refused).await;
        api.refuses(&patch_of(&made), &fields.to_string(), &refused).await;
        let (_, told) = api.text(&patch_of(&made), &fields.to_string()).await;
        assert!(!told.contains("hush") && !told.contains("12345"), "{told}");
    }
    assert_eq!(api.json(&format!("GET {ENDPOINTS}"), "", 200).await["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn headers_that_make_no_sense_are_refused() {
    let one = |name: &str, value: Value| json!({ "headers": { name: value } });
    let many: Value =
        (0..21).map(|n| (format!("X-{n}"), json!("v"))).collect::<serde_json::Map<_, _>>().into();
    let mut rows = vec![
        (json!({ "headers": many }), "/headers: must not be more than 20"),
        (json!({ "headers": [] }), "/headers: invalid type: sequence"),
        (json!({ "headers": "X-Key: hush" }), "/headers: expected an object"),
        (json!({ "headers": 12345 }), "/headers: expected an object"),
        (one("X-A", json!(-12345)), "/headers/X-A: expected a text, or {\"secret\": \"…\"}"),
        (one("X-A", json!(12345.5)), "/headers/X-A: expected a text, or {\"secret\": \"…\"}"),
        (json!({ "headers": { "X-A": "1", "x-a": "2" } }), "/headers/x-a: occurs twice"),
        (one("X A", json!("v")), "/headers/X A: is no header name"),
        (one("X-A\r\nX-B", json!("v")), "/headers/X-A\r\nX-B: is no header name"),
        (one("a/b", json!("v")), "/headers/a~1b: is no header name"),
        (one("", json!("v")), "/headers/: is no header name"),
        (
            one(&"x".repeat(65), json!("v")),
            &*format!("/headers/{}: is no header name", "x".repeat(65)).leak(),
        ),
        (one("X-A", json!("")), "/headers/X-A: must have 1 to 4096 characters"),
        (one("X-A", json!("a\r\nX-Evil: 1")), "/headers/X-A: must be visible ASCII"),
        (one("X-A", json!("ž")), "/headers/X-A: must be visible ASCII"),
        (one("X-A", json!(" a")), "/headers/X-A: must not begin or end with a space"),
        (one("X-A", json!(7)), "/headers/X-A: expected a text, or {\"secret\": \"…\"}"),
        (one("X-A", json!({})), "/headers/X-A/secret: missing field"),
        (one("X-A", json!({ "secret": true })), "/headers/X-A/secret: there is none to keep"),
        (one("X-A", json!({ "secret": false })), "/headers/X-A/secret: expected a text, or true"),
        (one("X-A", json!({ "secret": ["hush"] })), "/headers/X-A/secret: invalid type: sequence"),
        (one("X-A", json!({ "secret": "hush\n" })), "/headers/X-A/secret: must be visible ASCII"),
        (one("X-A", json!({ "secret": "hush", "x": 1 })), "/headers/X-A/x: unknown field"),
    ];
    let connection = "belongs to the connection";
    for (name, why) in [
        ("Host", connection),
        ("content-length", connection),
        ("Transfer-Encoding", connection),
        ("Connection", connection),
        ("Keep-Alive", connection),
        ("TE", connection),
        ("Trailer", connection),
        ("Upgrade", connection),
        ("Expect", connection),
        ("Content-Encoding", connection),
        ("Accept-Encoding", connection),
        ("Content-Type", "says what the body is"),
        ("User-Agent", "names the service"),
        ("Authorization", "is set by 'auth'"),
        ("Cookie", "is for browsers"),
        ("Proxy-Authorization", "is for proxies"),
        ("Proxy-Connection", "is for proxies"),
        ("X-Forwarded-For", "is for proxies"),
        ("Forwarded", "is for proxies"),
        ("X-HTTP-Method-Override", "would make another request"),
        ("Webhook-Id", "is set by the signature profile 'standard'"),
        ("webhook-signature", "is set by the signature profile 'standard'"),
        ("Posthaste-Topic", "is a header of the service's own"),
        ("posthaste-attempt", "is a header of the service's own"),
        ("Posthaste-Metadata-Team", "is a header of the service's own"),
    ] {
        rows.push((one(name, json!("v")), format!("/headers/{name}: {why}").leak()));
        rows.push((one(name, json!({ "secret": "hush" })), format!("/headers/{name}: {why}").leak()));
    }
    check_refused(&rows).await;
}

/// Which headers are free depends on the rest of the endpoint, also when that changes.
#[tokio::test]
async fn headers_collide_with_what_else_is_sent() {
    let api = Api::new().await;
    let made = api
        .endpoint(json!({ "headers": { "ce-id": "1", "X-Hub-Signature-256": "2", "Posthaste-Env": "3" } }))
        .await;
    let patch = patch_of(&made);
    let ce = "422 invalid-field pointer /headers/ce-id: is an attribute of a CloudEvent";
    api.refuses(&patch, r#"{"format": "cloudevents-binary"}"#, ce).await;
    api.json(&patch, r#"{"format": "cloudevents"}"#, 200).await;
    let hub =
        "422 invalid-field pointer /headers/X-Hub-Signature-256: is set by the signature profile 'github'";
    api.refuses(&patch, r#"{"signature": {"profile": "github"}}"#, hub).await;
    let custom = |header: &str| {
        json!({ "signature": { "profile": "custom", "signed": "{ts}.{body}", "algorithm": "hmac-sha256", "encoding": "hex",
            "key": "raw", "headers": { "X-Time": "{ts}", header: "{signature}" } } })
        .to_string()
    };
    let own =
        "422 invalid-field pointer /signature/headers/Posthaste-Topic: is a header of the service's own";
    api.refuses(&patch, &custom("Posthaste-Topic"), own).await;
    let proxies = "422 invalid-field pointer /signature/headers/X-Forwarded-For: is for proxies to set";
    api.refuses(&patch, &custom("X-Forwarded-For"), proxies).await;
    api.json(&patch, &custom("Authorization"), 200).await;
    let auth = "422 invalid-field pointer /auth: the signature profile sets 'Authorization' itself";
    api.refuses(&patch, r#"{"auth": {"type": "bearer", "token": "t"}}"#, auth).await;
}

/// However many patches it takes.
#[tokio::test]
async fn headers_are_bounded_together() {
    let api = Api::new().await;
    let made = api.endpoint(json!({})).await;
    let value = "v".repeat(700);
    for name in 1..=8 {
        let change = json!({ "headers": { format!("X-{name}"): { "secret": value } } });
        api.json(&patch_of(&made), &change.to_string(), 200).await;
    }
    let change = json!({ "headers": { "X-9": value } }).to_string();
    let refused = "422 invalid-field pointer /headers: must not have more than 6144 characters together";
    api.refuses(&patch_of(&made), &change, refused).await;
}

#[tokio::test]
async fn auth_that_makes_no_sense_is_refused() {
    let auth = |fields: Value| json!({ "auth": fields });
    let oauth2 = |name: &str, value: Value| {
        let mut fields = json!({ "type": "oauth2", "token_url": "https://example.com/token", "client_id": "c",
            "client_secret": "hush" });
        fields[name] = value;
        json!({ "auth": fields })
    };
    check_refused(&[
        (auth(json!("Bearer hush")), "/auth: expected an object or null"),
        (auth(json!(12345)), "/auth: expected an object or null"),
        (auth(json!(-12345)), "/auth: expected an object or null"),
        (auth(json!(12345.5)), "/auth: expected an object or null"),
        (auth(json!({})), "/auth/type: missing field"),
        (auth(json!({ "type": "hush" })), "/auth/type: must be one of bearer, basic, oauth2"),
        (auth(json!({ "type": 12345 })), "/auth/type: must be one of bearer, basic, oauth2"),
        (auth(json!({ "type": "Bearer", "token": "hush" })), "/auth/type: must be one of"),
        (auth(json!({ "type": null, "token": "hush" })), "/auth/type: "),
        (auth(json!({ "type": "bearer" })), "/auth/token: missing field"),
        (auth(json!({ "type": "bearer", "token": true })), "/auth/token: there is none to keep"),
        (auth(json!({ "type": "bearer", "token": 5 })), "/auth/token: expected a text, or true"),
        (auth(json!({ "type": "bearer", "token": "hush hush" })), "/auth/token: must not have spaces"),
        (auth(json!({ "type": "bearer", "token": "hush\r\nX: 1" })), "/auth/token: must be visible ASCII"),
        (auth(json!({ "type": "bearer", "token": "" })), "/auth/token: must have 1 to 4096 characters"),
        (
            auth(json!({ "type": "bearer", "token": "hush", "username": "u" })),
            "/auth/username: is no field of the type 'bearer'",
        ),
        (auth(json!({ "type": "bearer", "tokn": "hush" })), "/auth/tokn: unknown field"),
        (auth(json!({ "type": "basic", "password": "hush" })), "/auth/username: missing field"),
        (auth(json!({ "type": "basic", "username": "u" })), "/auth/password: missing field"),
        (
            auth(json!({ "type": "basic", "username": "a:b", "password": "hush" })),
            "/auth/username: must not have a colon",
        ),
        (
            auth(json!({ "type": "basic", "username": "u", "password": "hush\n" })),
            "/auth/password: must be visible ASCII",
        ),
        (
            oauth2("token_url", json!("http://example.com")),
            "/auth/token_url: the URL must begin with https://",
        ),
        (oauth2("token_url", json!("https://169.254.169.254/")), "/auth/token_url: "),
        (
            oauth2("token_url", json!("https://u:p@example.com/")),
            "/auth/token_url: the URL must not contain a user name",
        ),
        (oauth2("token_url", Value::Null), "/auth/token_url: missing field"),
        (oauth2("client_id", json!("")), "/auth/client_id: must have 1 to 1000 characters"),
        (oauth2("scope", json!("a\nb")), "/auth/scope: must be visible ASCII"),
        (oauth2("audience", json!(5)), "/auth/audience: invalid type"),
        (oauth2("client_secret", Value::Null), "/auth/client_secret: missing field"),
        (
            json!({ "format": "xml" }),
            "/format: must be one of standard, raw, cloudevents, cloudevents-binary",
        ),
        (json!({ "format": 5 }), "/format: must be one of standard, raw"),
        (json!({ "format": { "raw": null } }), "/format: must be one of standard, raw"),
        (json!({ "method": "GET" }), "/method: must be one of POST, PUT"),
        (json!({ "method": true }), "/method: must be one of POST, PUT"),
        (json!({ "state": [] }), "/state: must be one of enabled, paused, disabled"),
        (json!({ "metadata_headers": "yes" }), "/metadata_headers: invalid type"),
    ])
    .await;
}

struct Pems {
    certificate: String,
    key: String,
    other_key: String,
}

fn pems() -> Pems {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(["posthaste.example".to_owned()]).unwrap();
    let certificate = certificate.self_signed(&key).unwrap().pem();
    let other_key = rcgen::KeyPair::generate().unwrap().serialize_pem();
    Pems { certificate, key: key.serialize_pem(), other_key }
}

#[tokio::test]
async fn certificates_are_kept_with_their_key() {
    let api = Api::new().await;
    let Pems { certificate, key, .. } = pems();
    let made = api.endpoint(json!({ "tls": { "certificate": certificate, "private_key": key } })).await;
    assert_eq!(made["tls"], json!({ "certificate": certificate, "private_key": true }));
    assert_eq!(kept(&api, &made).await.1.private_key, Some(key));
    let patch = patch_of(&made);
    let both = api.json(&patch, &json!({ "tls": { "ca": certificate } }).to_string(), 200).await;
    assert_eq!(both["tls"], json!({ "certificate": certificate, "private_key": true, "ca": certificate }));
    let alone = api.json(&patch, r#"{"tls": {"certificate": null, "private_key": null}}"#, 200).await;
    assert_eq!(alone["tls"], json!({ "ca": certificate }));
    assert_eq!(kept(&api, &made).await.0.credentials, None);
    assert_eq!(api.json(&patch, r#"{"tls": null}"#, 200).await["tls"], json!(null));
}

#[tokio::test]
async fn certificates_that_make_no_sense_are_refused() {
    let Pems { certificate, key, other_key } = pems();
    let tls = |fields: Value| json!({ "tls": fields });
    check_refused(&[
        (tls(json!("-----BEGIN PRIVATE KEY-----hush")), "/tls: expected an object or null"),
        (tls(json!({ "certificate": certificate })), "/tls/private_key: is missing"),
        (tls(json!({ "private_key": key })), "/tls/certificate: is missing"),
        (
            tls(json!({ "certificate": certificate, "private_key": true })),
            "/tls/private_key: there is none to keep",
        ),
        (
            tls(json!({ "certificate": certificate, "private_key": other_key })),
            "/tls/private_key: the private key does not belong",
        ),
        (
            tls(json!({ "certificate": certificate, "private_key": "hush" })),
            "/tls/private_key: the PEM text holds no private key",
        ),
        (
            tls(json!({ "certificate": "x", "private_key": key })),
            "/tls/certificate: the PEM text holds no certificate",
        ),
        (
            tls(json!({ "certificate": key, "private_key": key })),
            "/tls/certificate: the PEM text holds a private key",
        ),
        (tls(json!({ "ca": "x" })), "/tls/ca: the PEM text holds no certificate"),
        (tls(json!({ "ca": key })), "/tls/ca: the PEM text holds a private key"),
        (tls(json!({ "ca": true })), "/tls/ca: invalid type"),
        (tls(json!({ "key": "hush" })), "/tls/key: unknown field"),
    ])
    .await;
}

/// Whichever of the two is said first.
#[tokio::test]
async fn certificates_are_for_https() {
    let mut api = Api::new().await;
    let mut service = service(&api.store).await;
    let allow = vec!["127.0.0.0/8".parse().unwrap()];
    service.guard = Guard::new(EgressPolicy { allow, ..EgressPolicy::default() });
    api.service = Data::new(service);
    let Pems { certificate, key, .. } = pems();
    let why = "is for https, and the endpoint's URL begins with http://";
    for (tls, name) in [
        (json!({ "certificate": certificate, "private_key": key }), "certificate"),
        (json!({ "private_key": key }), "private_key"),
        (json!({ "ca": certificate }), "ca"),
    ] {
        let refused = format!("422 invalid-field pointer /tls/{name}: {why}");
        let plain = json!({ "url": "HTTP://127.0.0.1/", "tls": tls }).to_string();
        api.refuses(&format!("POST {ENDPOINTS}"), &plain, &refused).await;
        let made = api.endpoint(json!({ "url": "http://127.0.0.1/" })).await;
        api.refuses(&patch_of(&made), &json!({ "tls": tls }).to_string(), &refused).await;
    }
    let made = api.endpoint(json!({ "tls": { "certificate": certificate, "private_key": key } })).await;
    let refused = format!("422 invalid-field pointer /tls/certificate: {why}");
    api.refuses(&patch_of(&made), r#"{"url": "http://127.0.0.1/"}"#, &refused).await;
    api.json(&patch_of(&made), r#"{"url": "http://127.0.0.1/", "tls": null}"#, 200).await;
    api.json(&patch_of(&made), r#"{"tls": {}}"#, 200).await;
    // What stands together from before is judged once one of the two is said anew.
    let made = api.endpoint(json!({ "tls": { "certificate": certificate, "private_key": key } })).await;
    let id = made["id"].as_str().unwrap().parse().unwrap();
    let mut stands = api.store.endpoint(&TenantId::default_tenant(), id).await.unwrap();
    stands.url = "http://127.0.0.1/".into();
    api.store.update_endpoint(stands).await.unwrap();
    api.json(&patch_of(&made), r#"{"description": "Orders"}"#, 200).await;
    for said in [r#"{"url": "http://127.0.0.1/"}"#, r#"{"tls": {"private_key": true}}"#] {
        api.refuses(&patch_of(&made), said, &refused).await;
    }
}
