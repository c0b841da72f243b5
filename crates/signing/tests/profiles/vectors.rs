//! The vectors that are published with the guide for subscribers.
//!
//! `UPDATE_VECTORS=1 cargo test -p posthaste-signing vectors` writes the file anew.

use std::path::{Path, PathBuf};
use std::{env, fs};

use posthaste_signing::Profile;
use serde::{Deserialize, Serialize};

use crate::formats;
use crate::request::Request;

#[derive(Serialize, Deserialize)]
struct Vectors {
    description: String,
    vectors: Vec<Request>,
}

const DESCRIPTION: &str = "What Posthaste sends for given secrets and messages. `secrets`: the current ones first, then \
    those that are being rotated out. `public_keys`: what a subscriber gets of secrets that are private keys. `body`: \
    as UTF-8. `headers`: what is sent beside Content-Type and the like.";

const SHARED: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const PRIVATE: &str =
    "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
const OTHER_PRIVATE: &str = "whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";

const BODY: &str = r#"{"test": 2432232314}"#;
const UTF8: &str = r#"{"name":"Žofie","horse":"kůň 🐎","escaped":"\u017e"}"#;

const CUSTOM: &str = r#"{"profile": "custom", "signed": "{method}\n{url}\n{id}\n{ts}\n{sha256(body)}",
    "algorithm": "hmac-sha512", "encoding": "base64", "key": "base64", "signature": "v1={value}", "separator": ", ",
    "headers": {"X-Acme-Id": "{id}", "X-Acme-Topic": "{topic}", "X-Acme-Signature": "t={ts}, {signatures}"}}"#;

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/verify/vectors.json")
}

/// The message that Standard Webhooks publishes, but for its body.
fn request(name: &str, profile: &str, secrets: &[&str], body: &str) -> Request {
    let mut request = Request {
        name: name.to_owned(),
        source: None,
        profile: Profile::parse(profile).unwrap(),
        secrets: secrets.iter().map(|secret| (*secret).to_owned()).collect(),
        public_keys: Vec::new(),
        id: "msg_p5jXN8AQM9LWM0D4loKWxJek".to_owned(),
        topic: "order.paid".to_owned(),
        timestamp_ms: 1_614_265_330_000,
        method: "POST".to_owned(),
        url: "https://example.com/hooks".to_owned(),
        body: body.to_owned(),
        headers: Default::default(),
    };
    request.public_keys =
        request.secrets().iter().filter_map(|secret| Some(secret.public_key()?.to_string())).collect();
    request
}

fn all() -> Vec<Request> {
    let published = "https://github.com/standard-webhooks/standard-webhooks";
    let mut second = request(
        "standard v1, published (2)",
        r#"{"profile": "standard"}"#,
        &[OTHER],
        r#"{"email":"test@example.com","username":"test_user"}"#,
    );
    second.source = Some(published.to_owned());
    "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk".clone_into(&mut second.id);
    second.timestamp_ms = 1_649_367_553_000;
    let mut vectors = vec![
        Request {
            source: Some(published.to_owned()),
            ..request("standard v1, published (1)", r#"{"profile": "standard"}"#, &[SHARED], BODY)
        },
        second,
    ];
    let v1a = r#"["v1a"]"#;
    let both = r#"["v1", "v1a"]"#;
    for name in ["standard", "svix"] {
        let versions = |versions: &str| format!(r#"{{"profile": "{name}", "versions": {versions}}}"#);
        vectors.extend([
            request(&format!("{name} v1a"), &versions(v1a), &[PRIVATE], BODY),
            request(&format!("{name} v1a, rotation"), &versions(v1a), &[OTHER_PRIVATE, PRIVATE], BODY),
            request(&format!("{name} v1 and v1a"), &versions(both), &[SHARED, PRIVATE], BODY),
            request(
                &format!("{name} v1 and v1a, rotation"),
                &versions(both),
                &[OTHER, OTHER_PRIVATE, SHARED, PRIVATE],
                BODY,
            ),
        ]);
    }
    let presets = Profile::names().map(|name| (name, format!(r#"{{"profile": "{name}"}}"#)));
    for (name, profile) in presets.chain([("custom", CUSTOM.to_owned())]) {
        vectors.extend([
            request(name, &profile, &[SHARED], BODY),
            request(&format!("{name}, rotation"), &profile, &[OTHER, SHARED], BODY),
            request(&format!("{name}, UTF-8"), &profile, &[SHARED], UTF8),
            request(&format!("{name}, empty body"), &profile, &[SHARED], ""),
        ]);
    }
    vectors.extend(formats::all());
    for vector in &mut vectors {
        vector.headers = vector.signed();
    }
    vectors
}

#[test]
fn vectors_are_up_to_date() {
    let vectors = Vectors { description: DESCRIPTION.to_owned(), vectors: all() };
    let expect = serde_json::to_string_pretty(&vectors).unwrap() + "\n";
    if env::var_os("UPDATE_VECTORS").is_some() {
        fs::create_dir_all(file().parent().unwrap()).unwrap();
        fs::write(file(), &expect).unwrap();
    }
    assert_eq!(fs::read_to_string(file()).unwrap(), expect, "run again with UPDATE_VECTORS=1");
}

#[test]
fn vectors_verify() {
    let written: Vectors = serde_json::from_str(&fs::read_to_string(file()).unwrap()).unwrap();
    for vector in &written.vectors {
        vector.check_verifies();
    }
    let names: Vec<&str> = written.vectors.iter().map(|vector| vector.profile.name()).collect();
    assert!(Profile::names().chain(["custom"]).all(|name| names.contains(&name)), "{names:?}");
}

#[test]
fn vectors_have_the_published_signatures() {
    let written: Vectors = serde_json::from_str(&fs::read_to_string(file()).unwrap()).unwrap();
    let signature = |name: &str| {
        let vector = written.vectors.iter().find(|vector| vector.name == name).unwrap();
        vector.headers["webhook-signature"].clone()
    };
    let v1 = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    let v1a = "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==";
    assert_eq!(signature("standard v1, published (1)"), v1);
    assert_eq!(signature("standard v1, published (2)"), "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=");
    assert_eq!(signature("standard v1a"), v1a);
    assert_eq!(signature("standard v1 and v1a"), format!("{v1} {v1a}"));
}
