use rand::SeedableRng;
use rand::rngs::StdRng;

use super::*;

#[track_caller]
fn check(json: &str) -> Profile {
    let profile = Profile::parse(json).unwrap();
    assert_eq!(serde_json::to_string(&profile).unwrap(), json);
    assert_eq!(serde_json::from_str::<Profile>(json).unwrap(), profile);
    profile.dry_run().unwrap();
    profile
}

#[test]
fn presets_are_read_and_written_as_they_were() {
    for name in Profile::names() {
        let profile = check(&format!(r#"{{"profile":"{name}"}}"#));
        assert_eq!(profile.name(), name);
        assert_eq!(profile, Profile::named(name).unwrap());
    }
    check(r#"{"versions":["v1a","v1"],"profile":"standard"}"#);
    check(r#"{"profile":"shopify","api_version":"2026-10","shop_domain":"acme.myshopify.com"}"#);
}

#[test]
fn a_preset_is_the_custom_profile_that_it_expands_to() {
    for name in Profile::names() {
        let preset = Profile::named(name).unwrap();
        let mut expanded = preset::expand(name, &Fields::of(&preset.given, "").unwrap()).unwrap();
        let Given::Object(fields) = &mut expanded else { panic!("{name} is no object") };
        fields.push(("profile".to_owned(), Given::Text(CUSTOM.to_owned())));
        let custom = Profile::parse(&serde_json::to_string(&expanded).unwrap()).unwrap();
        assert_eq!(custom.format, preset.format, "{name}");
    }
}

#[track_caller]
fn check_refused(json: &str, expect: &str) {
    let invalid = Profile::parse(json).unwrap_err();
    assert_eq!(invalid.to_string(), expect);
    assert!(serde_json::from_str::<Profile>(json).unwrap_err().to_string().starts_with(expect));
}

#[test]
fn a_preset_leaves_few_choices() {
    let known = "/profile: must be one of standard, svix, stripe, github, shopify, slack, custom";
    check_refused(r#"{"profile": "Standard"}"#, known);
    check_refused(r#"{}"#, "/profile: is missing");
    check_refused(r#"{"profile": 1}"#, "/profile: must be a text, not a number");
    check_refused(r#""standard""#, "must be an object, not a text");
    check_refused(r#"{"profile": "slack", "profile": "slack"}"#, "/profile: occurs twice");
    check_refused(
        r#"{"profile": "slack", "versions": ["v1"]}"#,
        "/versions: is no field of the profile 'slack'; it has no others",
    );
    check_refused(
        r#"{"profile": "shopify", "shop": "acme"}"#,
        "/shop: is no field of the profile 'shopify'; beside 'profile' it has shop_domain, api_version",
    );
    check_refused(
        r#"{"profile": "stripe", "separator": ";"}"#,
        "/separator: goes with the profile 'custom' alone: 'stripe' has its own",
    );
    check_refused(
        r#"{"profile": "standard", "versions": []}"#,
        "/versions: must name at least one of v1, v1a",
    );
    check_refused(r#"{"profile": "standard", "versions": "v1"}"#, "/versions: must be a list, not a text");
    check_refused(r#"{"profile": "svix", "versions": ["v1", "v2"]}"#, "/versions/1: must be one of v1, v1a");
    check_refused(r#"{"profile": "svix", "versions": ["v1", "v1"]}"#, "/versions/1: is 'v1' once more");
    let option = "must be 1 to 253 characters of visible ASCII, without spaces";
    for text in ["", "a b", "a\r\nb", "ž", &"x".repeat(254)] {
        let json = serde_json::json!({"profile": "shopify", "shop_domain": text}).to_string();
        check_refused(&json, &format!("/shop_domain: {option}"));
    }
}

#[test]
fn options_stand_for_themselves() {
    let profile = check(r#"{"profile":"shopify","shop_domain":"{id}{{x"}"#);
    let sample = profile.dry_run().unwrap();
    assert!(sample.headers.contains(&("X-Shopify-Shop-Domain".to_owned(), "{id}{{x".to_owned())));
}

/// A custom profile that is valid, but for the fields that are replaced; one that is null is left out.
fn custom(changes: &str) -> String {
    let mut fields: serde_json::Map<String, serde_json::Value> = serde_json::from_str(
        r#"{"profile": "custom", "signed": "{ts}.{body}", "algorithm": "hmac-sha256", "encoding": "hex",
            "key": "raw", "signature": "v1={value}", "separator": ",",
            "headers": {"X-Acme-Signature": "t={ts},{signatures}", "X-Acme-Id": "{id}"}}"#,
    )
    .unwrap();
    fields.extend(serde_json::from_str::<serde_json::Map<_, _>>(changes).unwrap());
    fields.retain(|_, value| !value.is_null());
    serde_json::to_string(&fields).unwrap()
}

#[track_caller]
fn check_custom(changes: &str) -> Profile {
    check(&custom(changes))
}

#[track_caller]
fn check_custom_refused(changes: &str, expect: &str) {
    check_refused(&custom(changes), expect);
}

#[test]
fn custom_profiles_are_read() {
    assert!(check_custom("{}").carries_several());
    let single = r#"{"separator": null, "signature": null, "headers": {"S": "{signature}", "T": "{ts}"}}"#;
    assert!(!check_custom(single).carries_several());
    check_custom(r#"{"algorithm": "hmac-sha1", "encoding": "base64", "key": "base64"}"#);
    check_custom(r#"{"algorithm": "hmac-sha512", "key": "hex"}"#);
    check_custom(r#"{"algorithm": "ed25519", "key": null}"#);
    check_custom(r#"{"signed": "{method}\n{url}\n{ts}\n{sha256(body)}"}"#);
    check_custom(r#"{"signed": "{{{ts}}}{form(body)}"}"#);
}

#[test]
fn what_is_signed_covers_the_body() {
    check_custom_refused(r#"{"signed": null}"#, "/signed: is missing");
    let cover = "/signed: must cover the body, by {body}, {sha256(body)} or {form(body)}: or anybody could replace it";
    check_custom_refused(r#"{"signed": ""}"#, cover);
    check_custom_refused(r#"{"signed": "{ts}.{id}"}"#, cover);
    check_custom_refused(
        r#"{"signed": "{now}.{body}"}"#,
        "/signed: has the unknown variable '{now}'; known here: {id} {topic} {ts} {ts_ms} {ts_rfc3339} {body} \
         {sha256(body)} {form(body)} {method} {url}",
    );
    check_custom_refused(
        r#"{"signed": "{body"}"#,
        "/signed: has a '{' that is never closed; two of them stand for one",
    );
    check_custom_refused(
        r#"{"signed": "{topic}.{body}"}"#,
        "/signed: has {topic}, which no header has: nobody could verify it",
    );
    check_custom_refused(
        r#"{"signed": "{ts_ms}.{body}"}"#,
        "/signed: has {ts_ms}, which no header has: nobody could verify it",
    );
    let long = format!(r#"{{"signed": "{{body}}{}"}}"#, "x".repeat(1_000));
    check_custom_refused(&long, "/signed: must have at most 1000 bytes, not 1006");
}

#[test]
fn how_it_is_signed_is_said_whole() {
    check_custom_refused(r#"{"algorithm": null}"#, "/algorithm: is missing");
    check_custom_refused(
        r#"{"algorithm": "md5"}"#,
        "/algorithm: must be one of hmac-sha1, hmac-sha256, hmac-sha512, ed25519",
    );
    check_custom_refused(r#"{"encoding": "Hex"}"#, "/encoding: must be one of hex, base64");
    check_custom_refused(r#"{"key": null}"#, "/key: is missing");
    check_custom_refused(r#"{"key": "utf-8"}"#, "/key: must be one of raw, base64, hex");
    check_custom_refused(
        r#"{"algorithm": "ed25519"}"#,
        "/key: does not go with ed25519, whose key is always whsk_ and base64",
    );
    check_custom_refused(r#"{"signature": "v1="}"#, "/signature: must have {value} once");
    check_custom_refused(r#"{"signature": "{value}.{value}"}"#, "/signature: must have {value} once");
    check_custom_refused(r#"{"signature": "{id}"}"#, "/signature: cannot have {id}; known here: {value}");
    check_custom_refused(
        r#"{"signature": "ž{value}"}"#,
        "/signature: has characters other than visible ASCII",
    );
    check_custom_refused(
        r#"{"keys": "raw"}"#,
        "/keys: is no field of the profile 'custom'; beside 'profile' it has signed, algorithm, encoding, key, \
         signature, signatures, separator, headers",
    );
}

/// The fields of one signature are replaced by a list.
fn list(signatures: &str) -> String {
    format!(
        r#"{{"algorithm": null, "encoding": null, "key": null, "signature": null, "signatures": {signatures}}}"#
    )
}

#[test]
fn several_signatures_are_a_list() {
    let v1 = r#"{"algorithm": "hmac-sha256", "encoding": "hex", "key": "raw", "signature": "v1={value}"}"#;
    let v2 = r#"{"algorithm": "ed25519", "encoding": "base64", "signature": "v2={value}"}"#;
    let both = check_custom(&list(&format!("[{v1}, {v2}]")));
    assert_eq!(both.kinds(), [SecretKind::Shared, SecretKind::Ed25519]);
    check_custom_refused(&list("[]"), "/signatures: must have 1 to 4 entries");
    check_custom_refused(&list("[1]"), "/signatures/0: must be an object, not a number");
    check_custom_refused(&list(&format!("[{v1}, {{}}]")), "/signatures/1/algorithm: is missing");
    check_custom_refused(
        &list(&format!("[{v1}, {}]", v2.replace("encoding", "coding"))),
        "/signatures/1/coding: is no field of a signature; those are algorithm, encoding, key, signature",
    );
    check_custom_refused(
        &list(&format!("[{v1}, {}]", v1.replace("raw", "hex"))),
        "/signatures: must all read the secret in the same way: one has another 'key'",
    );
    check_custom_refused(
        &format!(r#"{{"signatures": [{v1}]}}"#),
        "/algorithm: does not go with 'signatures': each of them says its own",
    );
    let unseparated = list(&format!(r#"[{v1}, {v2}], "separator": null"#));
    check_custom_refused(
        &unseparated,
        "/separator: is missing: something must stand between several signatures",
    );
}

#[test]
fn the_separator_separates() {
    let length = "/separator: must be 1 to 8 characters of visible ASCII or spaces";
    check_custom_refused(r#"{"separator": ""}"#, length);
    check_custom_refused(r#"{"separator": "123456789"}"#, length);
    check_custom_refused(r#"{"separator": "\n"}"#, length);
    check_custom_refused(
        r#"{"separator": "a"}"#,
        "/separator: has only characters that signatures are made of",
    );
    check_custom_refused(
        r#"{"separator": "="}"#,
        "/separator: stands in a signature too: nobody could tell them apart",
    );
}

#[track_caller]
fn check_headers_refused(headers: &str, expect: &str) {
    check_custom_refused(&format!(r#"{{"headers": {headers}}}"#), expect);
}

#[test]
fn headers_are_names_and_values_that_can_be_sent() {
    check_custom_refused(r#"{"headers": null}"#, "/headers: is missing");
    check_headers_refused("[]", "/headers: must be an object, not a list");
    check_headers_refused("{}", "/headers: must have {signatures} in one of them");
    check_headers_refused(r#"{"S": 1}"#, "/headers/S: must be a text, not a number");
    check_headers_refused(
        r#"{"X-A/B": "{signatures}"}"#,
        "/headers/X-A~1B: is no header name: 1 to 64 letters, digits or !#$%&'*+-.^_`|~",
    );
    check_headers_refused(
        r#"{"Content-Length": "{signatures}"}"#,
        "/headers/Content-Length: is a header of the transport, which no profile sets",
    );
    check_headers_refused(
        r#"{"S": "{signatures}", "s": "{id}"}"#,
        "/headers/s: is there twice: upper and lower case are the same",
    );
    check_headers_refused(
        r#"{"S": "{signatures}", "B": "{body}"}"#,
        "/headers/B: cannot have {body}; known here: {id} {topic} {ts} {ts_ms} {ts_rfc3339} {sha256(body)} {method} \
         {url} {signature} {signatures}",
    );
    check_headers_refused(
        r#"{"S": "{signatures}", "B": "x\r\nX-Evil: 1"}"#,
        "/headers/B: has characters other than visible ASCII",
    );
    check_headers_refused(
        r#"{"S": "{signature}", "T": "{ts}"}"#,
        "/headers/S: must have {signatures} in place of {signature}: there is a separator, so there may be several",
    );
    check_custom_refused(
        r#"{"separator": null}"#,
        "/headers/X-Acme-Signature: must have {signature} in place of {signatures}: there is no separator, so there \
         is one",
    );
    check_headers_refused(
        r#"{"S": "{signatures}", "T": "{ts},{signatures}"}"#,
        "/headers: must have {signatures} once, not in several places",
    );
}

#[test]
fn headers_are_bounded() {
    let many = |count: usize, text: &str| {
        let others: String = (0..count).map(|n| format!(r#", "H{n}": "{text}""#)).collect();
        format!(r#"{{"S": "t={{ts}},{{signatures}}"{others}}}"#)
    };
    check_custom(&format!(r#"{{"headers": {}}}"#, many(19, "x")));
    check_headers_refused(&many(20, "x"), "/headers: must be at most 20, not 21");
    check_headers_refused(
        &many(5, &"x".repeat(1_000)),
        "/headers: must have at most 4096 bytes together, not 5019",
    );
}

#[test]
fn what_cannot_be_taken_apart_again_fails_the_dry_run() {
    let profile = Profile::parse(&custom(r#"{"headers": {"S": "{topic}.{ts}.{signatures}"}}"#)).unwrap();
    let failed = profile.dry_run().unwrap_err();
    assert_eq!(failed.pointer, "");
    assert!(failed.reason.starts_with("what it sends cannot be verified: "), "{failed}");
}

#[track_caller]
fn check_accepts(profile: &str, secret: &str, expect: Result<(), KeyError>) {
    let profile = Profile::parse(profile).unwrap();
    assert_eq!(profile.accepts(&secret.parse().unwrap()), expect);
}

#[test]
fn a_secret_suits_a_profile_or_not() {
    let (standard, stripe) = (r#"{"profile":"standard"}"#, r#"{"profile":"stripe"}"#);
    let v1a = r#"{"profile":"standard","versions":["v1a"]}"#;
    let both = r#"{"profile":"standard","versions":["v1a","v1"]}"#;
    let (shared, raw) = ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "It's a Secret to Everybody");
    let private = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbc=";
    let hex = "5257a869e7ecebeda32affa62cdca3fa51cad7e77a0e56ff536d0ce8e108d8bd";
    check_accepts(standard, shared, Ok(()));
    check_accepts(standard, raw, Err(KeyError::NotBase64));
    check_accepts(standard, private, Err(KeyError::Ed25519));
    check_accepts(stripe, shared, Ok(()));
    check_accepts(stripe, raw, Ok(()));
    check_accepts(stripe, private, Err(KeyError::Ed25519));
    check_accepts(v1a, private, Ok(()));
    check_accepts(v1a, shared, Err(KeyError::Shared));
    check_accepts(both, private, Ok(()));
    check_accepts(both, shared, Ok(()));
    check_accepts(both, raw, Err(KeyError::NotBase64));
    check_accepts(&custom(r#"{"key": "hex"}"#), hex, Ok(()));
    check_accepts(&custom(r#"{"key": "hex"}"#), shared, Err(KeyError::NotHex));
}

#[test]
fn what_it_generates_it_accepts() {
    let mut rng = StdRng::seed_from_u64(1);
    for json in [
        r#"{"profile":"standard","versions":["v1","v1a"]}"#.to_owned(),
        r#"{"profile":"github"}"#.to_owned(),
        custom(r#"{"key": "hex"}"#),
    ] {
        let profile = Profile::parse(&json).unwrap();
        let secrets = profile.generate(&mut rng);
        assert_eq!(secrets.iter().map(Secret::kind).collect::<Vec<_>>(), profile.kinds());
        assert!(secrets.iter().all(|secret| profile.accepts(secret).is_ok()), "{json}");
    }
}
