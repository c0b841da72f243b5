//! What an engineer is told whose requests do not verify.

use posthaste_signing::{Credential, DEFAULT_TOLERANCE, Diagnosis, Part, diagnose};

use crate::formats;
use crate::published::standard;
use crate::request::Request;

const WHSEC: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const STANDARD: &str = r#"{"profile": "standard"}"#;
const STRIPE: &str = r#"{"profile": "stripe"}"#;
const GITHUB: &str = r#"{"profile": "github"}"#;

fn signed(profile: &str) -> Request {
    let mut request = standard(profile, &[WHSEC], &[]);
    request.headers = request.signed();
    request
}

fn diagnosed(request: &Request, later: i64) -> Result<(), Diagnosis> {
    let credentials: Vec<Credential> = request.secrets.iter().map(|text| text.parse().unwrap()).collect();
    let now = request.timestamp_ms / 1_000 + later;
    let header = |name: &str| request.header(name);
    diagnose(&request.profile, &credentials, header, &request.received(), now, DEFAULT_TOLERANCE)
}

/// The parts under suspicion for a request, and a piece of what is said. Never is the secret or a right signature told.
#[track_caller]
fn check(request: &Request, suspects: &[Part], says: &str) {
    check_later(request, 0, suspects, says);
}

#[track_caller]
fn check_later(request: &Request, later: i64, suspects: &[Part], says: &str) {
    let diagnosis = diagnosed(request, later).unwrap_err();
    assert_eq!(diagnosis.suspects, suspects, "{diagnosis}");
    assert!(diagnosis.to_string().contains(says), "{diagnosis}");
    for secret in &request.secrets {
        let body = secret.trim_start_matches("whsec_");
        assert!(!diagnosis.to_string().contains(&body[..8]), "{diagnosis}");
    }
}

fn set(request: &mut Request, header: &str, value: &str) {
    request.headers.insert(header.to_owned(), value.to_owned());
}

/// Signs with a changed copy of the request, so that the request itself is the one that is wrong.
fn signed_otherwise(profile: &str, change: impl Fn(&mut Request)) -> Request {
    let mut request = signed(profile);
    let mut other = request.clone();
    change(&mut other);
    let signature = request.profile.header_names().find(|name| name.to_lowercase().contains("signature"));
    let signature = signature.unwrap().to_owned();
    request.headers.insert(signature.clone(), other.signed()[&signature].clone());
    request
}

#[test]
fn a_request_that_verifies_is_well() {
    for format in formats::all() {
        assert_eq!(diagnosed(&format, 0), Ok(()), "{}", format.name);
    }
    for profile in [STANDARD, STRIPE, GITHUB] {
        assert_eq!(diagnosed(&signed(profile), 300), Ok(()));
    }
}

#[test]
fn missing_and_malformed_headers() {
    let missing = |header: &str, part| {
        let mut request = signed(STANDARD);
        request.headers.remove(header);
        check(&request, &[part], &format!("the header {header} is missing"));
    };
    missing("webhook-id", Part::Id);
    missing("webhook-timestamp", Part::Timestamp);
    missing("webhook-signature", Part::Format);

    let mut request = signed(STANDARD);
    set(&mut request, "webhook-id", "msg.1");
    check(&request, &[Part::Id], "the id contains a full stop");

    let mut request = signed(STANDARD);
    set(&mut request, "webhook-signature", "v2,abc");
    check(&request, &[Part::Format], "holds no signature of the form 'v1,<base64>'");

    let mut request = signed(STRIPE);
    set(&mut request, "Stripe-Signature", "1614265330");
    check(&request, &[Part::Format], "is not of the form t={ts},{signatures}");
}

#[test]
fn times() {
    let mut request = signed(STANDARD);
    check_later(
        &request,
        301,
        &[Part::Timestamp],
        "signed 301 s ago, which is too old: more than 300 s from now",
    );
    check_later(&request, -301, &[Part::Timestamp], "signed 301 s in the future, which is too new");

    set(&mut request, "webhook-timestamp", "yesterday");
    check(
        &request,
        &[Part::Timestamp],
        "the header webhook-timestamp has no time where the profile has {ts}",
    );

    // Signed in milliseconds, and told in them.
    let mut request = signed(STANDARD);
    request.timestamp_ms *= 1_000;
    request.headers = request.signed();
    request.timestamp_ms /= 1_000;
    check(&request, &[Part::Timestamp], "its timestamp is in milliseconds where the format has seconds");

    // Signed in seconds, told in milliseconds.
    let mut request = signed(STANDARD);
    set(&mut request, "webhook-timestamp", "1614265330000");
    check(&request, &[Part::Timestamp], "the same time in seconds");

    // Told in seconds, signed in milliseconds.
    let request = signed_otherwise(STANDARD, |other| other.timestamp_ms *= 1_000);
    check(&request, &[Part::Timestamp], "the same time in milliseconds");

    // The time of the event, not that of the attempt.
    let with_time = |request: &mut Request| {
        r#"{"timestamp": "2021-02-25T15:00:00Z"}"#.clone_into(&mut request.body);
    };
    let mut request = signed_otherwise(STANDARD, |other| {
        with_time(other);
        other.timestamp_ms = 1_614_265_200_000;
    });
    with_time(&mut request);
    check(&request, &[Part::Timestamp], "the one at /timestamp in the body");
}

#[test]
fn ids() {
    let mut request = signed_otherwise(STANDARD, |other| "evt_7".clone_into(&mut other.id));
    set(&mut request, "X-GitHub-Delivery", "evt_7");
    check(&request, &[Part::Id], "the one in the header x-github-delivery");

    let body = r#"{"data": {"id": "evt_7"}}"#;
    let mut request = signed_otherwise(STANDARD, |other| {
        "evt_7".clone_into(&mut other.id);
        body.clone_into(&mut other.body);
    });
    body.clone_into(&mut request.body);
    check(&request, &[Part::Id], "the one at /data/id in the body");

    let request = signed_otherwise(STANDARD, |other| other.id.clear());
    check(&request, &[Part::Id], "but empty");
}

#[test]
fn bodies() {
    let check_body = |profile: &str, received: &str, says: &str| {
        let mut request = signed(profile);
        received.clone_into(&mut request.body);
        check(&request, &[Part::Body], says);
    };
    for profile in [STANDARD, STRIPE, GITHUB] {
        check_body(profile, "{\"test\": 2432232314}\n", "without the line break at its end");
        check_body(profile, r#"{"test":2432232314}"#, "with a space after commas and colons");
        check_body(profile, "{\n  \"test\": 2432232314\n}", "with a space after commas and colons");
        check_body(profile, r#"{"test": 243223"#, "begins as JSON but is none");
    }
    let request = signed_otherwise(GITHUB, |other| r#"{"test":2432232314}"#.clone_into(&mut other.body));
    check(&request, &[Part::Body], "with its JSON minified");

    let mut request = signed(STANDARD);
    r#"{"test": 1}"#.clone_into(&mut request.body);
    set(&mut request, "content-length", "20");
    check(&request, &[Part::Body], "it has 11 bytes, Content-Length says 20");
}

#[test]
fn keys() {
    // The text of the secret, where the format decodes it.
    let raw = STANDARD_AS_CUSTOM.replace(r#""key": "base64""#, r#""key": "raw""#);
    let mut request = signed(STANDARD);
    request.headers = signed(&raw).headers;
    check(
        &request,
        &[Part::Key],
        "with its text as it is, prefix included, where the format takes what its base64",
    );

    // The other way round.
    let decoded = r#"{"profile": "custom", "signed": "{body}", "algorithm": "hmac-sha256", "encoding": "hex",
        "key": "base64", "headers": {"X-Hub-Signature-256": "sha256={signature}"}}"#;
    let mut request = signed(GITHUB);
    request.headers = signed(decoded).headers;
    check(
        &request,
        &[Part::Key],
        "with what its base64 stands for, where the format takes its text as it is",
    );

    // Without the prefix.
    let mut request = signed(GITHUB);
    let mut stripped = request.clone();
    stripped.secrets = vec![WHSEC["whsec_".len()..].to_owned()];
    request.headers = stripped.signed();
    check(&request, &[Part::Key], "with its text without the prefix");

    let mut request = signed(STANDARD);
    request.secrets = vec!["whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbc=".to_owned()];
    check(&request, &[Part::Key], "the secret is of the wrong kind");
    request.secrets = vec!["It's a Secret to Everybody".to_owned()];
    check(&request, &[Part::Key], "the secret is of the wrong kind");

    request.secrets = vec![OTHER.to_owned()];
    check(
        &request,
        &[Part::Key, Part::Body, Part::Id, Part::Timestamp],
        "either another secret signed the request",
    );
    let mut request = signed(GITHUB);
    request.secrets = vec![OTHER.to_owned()];
    check(&request, &[Part::Key, Part::Body], "or its body is not what was signed");
}

const STANDARD_AS_CUSTOM: &str = r#"{"profile": "custom", "signed": "{id}.{ts}.{body}", "algorithm": "hmac-sha256",
    "encoding": "base64", "key": "base64", "signature": "v1,{value}", "separator": " ",
    "headers": {"webhook-id": "{id}", "webhook-timestamp": "{ts}", "webhook-signature": "{signatures}"}}"#;

#[test]
fn formats_mixed_up() {
    // Another preset's headers.
    let mut request = signed(STANDARD);
    request.headers = signed(r#"{"profile": "svix"}"#).headers;
    check(&request, &[Part::Format], "it verifies as the profile 'svix'");
    request.headers = signed(GITHUB).headers;
    check(&request, &[Part::Format], "it verifies as the profile 'github'");

    // The right bytes, written in another way.
    let value = signed(STANDARD).headers["webhook-signature"]["v1,".len()..].to_owned();
    let hex = "83484cf52b04f8e4cf2531adfed9882ad4b2665137b852442d594d20e2c9d4e1";
    let url_safe = value.replace('+', "-").replace('/', "_").replace('=', "");
    for written in
        [value.clone(), format!("v1={value}"), hex.to_owned(), format!("v1,{hex}"), format!("v1,{url_safe}")]
    {
        let mut request = signed(STANDARD);
        set(&mut request, "webhook-signature", &written);
        check(
            &request,
            &[Part::Format],
            "is right but not written as the format has it: 'v1,<base64>', separated by ' '",
        );
    }
    let mut request = signed(GITHUB);
    let upper = request.headers["X-Hub-Signature-256"].to_uppercase().replace("SHA256", "sha256");
    set(&mut request, "X-Hub-Signature-256", &upper);
    check(&request, &[Part::Format], "is right but not written as the format has it: '<hex>'");

    // Another hash.
    let sha1 = STANDARD_AS_CUSTOM.replace("hmac-sha256", "hmac-sha1");
    let mut request = signed(STANDARD);
    request.headers = signed(&sha1).headers;
    check(&request, &[Part::Format], "another algorithm: HMAC-SHA1");
}

#[test]
fn urls() {
    let square = formats::all().into_iter().find(|format| format.name == "square").unwrap();
    let check_url = |sent: &str, received: &str, says: &str| {
        let mut request = square.clone();
        sent.clone_into(&mut request.url);
        request.headers = request.signed();
        received.clone_into(&mut request.url);
        check(&request, &[Part::Url], says);
    };
    check_url("https://example.com/hooks", "http://example.com/hooks", "with https");
    check_url("http://example.com/hooks", "https://example.com/hooks", "with http");
    check_url("https://example.com/hooks", "https://example.com/hooks/", "without the slash at its end");
    check_url("https://example.com/hooks/", "https://example.com/hooks", "with a slash at its end");
    check_url("https://example.com/hooks", "https://example.com/hooks?a=1", "without its query");
    check_url("/hooks", "https://example.com/hooks", "without scheme and host");
}

#[test]
fn ed25519() {
    let mut request = standard(
        r#"{"profile": "standard", "versions": ["v1a"]}"#,
        &["whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbc="],
        &[],
    );
    request.headers = request.signed();
    request.secrets.clear();
    let public: Credential = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=".parse().unwrap();
    let diagnosed = |request: &Request| {
        let header = |name: &str| request.header(name);
        let now = request.timestamp_ms / 1_000;
        diagnose(
            &request.profile,
            std::slice::from_ref(&public),
            header,
            &request.received(),
            now,
            DEFAULT_TOLERANCE,
        )
    };
    assert_eq!(diagnosed(&request), Ok(()));
    request.body.push('\n');
    assert_eq!(diagnosed(&request).unwrap_err().suspects, [Part::Body]);
}
