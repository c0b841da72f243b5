//! What a subscriber refuses, and with which words.

use std::time::Duration;

use posthaste_signing::{
    Credential, DEFAULT_TOLERANCE, KeyError, Profile, SecretKind, Verifier, VerifyError,
};

use crate::formats;
use crate::published::standard;
use crate::request::Request;

const NOW: i64 = 1_614_265_330;
const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
/// Well formed, but of no message.
const OTHER: &str = "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const WHSEC: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn signed(profile: &str) -> Request {
    let mut request = standard(profile, &[WHSEC], &[]);
    request.headers = request.signed();
    request
}

fn verify_at(request: &Request, now: i64) -> Result<(), VerifyError> {
    let credential: Credential = request.secrets[0].parse().unwrap();
    let verifier = Verifier::new(&request.profile, [&credential]).unwrap();
    verifier.verify(|name| request.header(name), &request.received(), now, DEFAULT_TOLERANCE)
}

/// Verifies the published request after a header was replaced, or taken away.
#[track_caller]
fn check_header(name: &str, value: Option<&str>, expect: Result<(), VerifyError>) {
    let mut request = signed(r#"{"profile": "standard"}"#);
    request.headers.remove(name);
    request.headers.extend(value.map(|value| (name.to_owned(), value.to_owned())));
    assert_eq!(verify_at(&request, NOW), expect, "{value:?}");
}

#[test]
fn headers_are_required_and_well_formed() {
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        check_header(name, None, Err(VerifyError::MissingHeader(name.to_owned())));
    }
    check_header("webhook-id", Some("msg.1"), Err(VerifyError::AmbiguousId));
    for malformed in ["", "1614265330.0", " 1614265330", "2021-02-25T15:02:10Z", "99999999999999999999"] {
        let expect = VerifyError::MalformedTimestamp {
            header: "webhook-timestamp".to_owned(),
            expected: "{ts}".to_owned(),
        };
        check_header("webhook-timestamp", Some(malformed), Err(expect));
    }
    // The same number, but not the text that was signed.
    check_header("webhook-timestamp", Some("+1614265330"), Err(VerifyError::NoMatch));
    check_header("webhook-timestamp", Some("01614265330"), Err(VerifyError::NoMatch));
}

#[test]
fn one_of_several_signatures_is_enough_and_unknown_versions_are_skipped() {
    let check = |value: &str, expect| check_header("webhook-signature", Some(value), expect);
    let encoded = &SIGNATURE[3..];
    check(&format!("{OTHER} {SIGNATURE}"), Ok(()));
    check(&format!("{SIGNATURE} {OTHER}"), Ok(()));
    check(&format!("v1a,{encoded} v2,abc nonsense {SIGNATURE}"), Ok(()));
    check(&format!("{OTHER}  {SIGNATURE}"), Ok(()));

    for none in ["", " ", "v1", encoded, &format!("v1a,{encoded}"), &format!("V1,{encoded} v2,{encoded}")] {
        let header = "webhook-signature".to_owned();
        check(none, Err(VerifyError::NoSignature { header }));
    }
    for wrong in ["v1,", OTHER, &SIGNATURE[..20], SIGNATURE.trim_end_matches('='), &format!("{SIGNATURE}=")] {
        check(wrong, Err(VerifyError::NoMatch));
    }
}

#[test]
fn signatures_beyond_reason_are_not_looked_at() {
    let check = |before: usize, expect| {
        let value = format!("{}{SIGNATURE}", format!("{OTHER} ").repeat(before));
        check_header("webhook-signature", Some(&value), expect);
    };
    check(31, Ok(()));
    check(32, Err(VerifyError::NoMatch));
}

#[track_caller]
fn check_now(profile: &str, now: i64, expect: Result<(), VerifyError>) {
    assert_eq!(verify_at(&signed(profile), now), expect);
}

#[test]
fn the_timestamp_must_be_near_now() {
    for profile in [r#"{"profile": "standard"}"#, r#"{"profile": "stripe"}"#, r#"{"profile": "slack"}"#] {
        check_now(profile, NOW + 300, Ok(()));
        check_now(profile, NOW - 300, Ok(()));
        check_now(profile, NOW + 301, Err(VerifyError::TooOld { seconds: 301 }));
        check_now(profile, NOW - 301, Err(VerifyError::TooNew { seconds: 301 }));
        check_now(profile, i64::MAX, Err(VerifyError::TooOld { seconds: i64::MAX.abs_diff(NOW) }));
        check_now(profile, i64::MIN, Err(VerifyError::TooNew { seconds: i64::MIN.abs_diff(NOW) }));
    }
    for profile in [r#"{"profile": "github"}"#, r#"{"profile": "shopify"}"#] {
        check_now(profile, i64::MAX, Ok(()));
        check_now(profile, i64::MIN, Ok(()));
    }
}

#[test]
fn milliseconds_and_dates_are_times_too() {
    for format in formats::all().into_iter().filter(|f| ["hubspot-v3", "zendesk"].contains(&f.name.as_str()))
    {
        let now = format.timestamp_ms / 1_000;
        assert_eq!(verify_at(&format, now + 300), Ok(()), "{}", format.name);
        assert_eq!(
            verify_at(&format, now + 301),
            Err(VerifyError::TooOld { seconds: 301 }),
            "{}",
            format.name
        );
    }
}

/// A profile that tells the id in two headers.
const TWICE: &str = r#"{"profile": "custom", "signed": "{id}/{body}", "algorithm": "hmac-sha256", "encoding": "hex",
    "key": "raw", "headers": {"A": "{id};{signature}", "B": "{id}", "C": "{topic}"}}"#;

#[test]
fn headers_must_be_of_the_profiles_form_and_agree() {
    let check = |name: &str, value: &str, expect| {
        let mut request = signed(TWICE);
        request.headers.insert(name.to_owned(), value.to_owned());
        assert_eq!(verify_at(&request, NOW), expect, "{name}: {value}");
    };
    check("B", "msg_p5jXN8AQM9LWM0D4loKWxJek", Ok(()));
    let form = "{id};{signature}".to_owned();
    check("A", "msg_1", Err(VerifyError::MalformedHeader { header: "A".to_owned(), form }));
    check("B", "msg_1", Err(VerifyError::Contradictory { header: "B".to_owned() }));
    // What is not signed is nobody's to trust, and not looked at.
    check("C", "anything", Ok(()));
}

#[test]
fn names_of_headers_are_looked_up_in_lower_case() {
    let request = signed(r#"{"profile": "github"}"#);
    let credential: Credential = WHSEC.parse().unwrap();
    let verifier = Verifier::new(&request.profile, [&credential]).unwrap();
    let header = |name: &str| {
        assert_eq!(name, "x-hub-signature-256");
        request.header(name)
    };
    assert_eq!(verifier.verify(header, &request.received(), NOW, Duration::ZERO), Ok(()));
}

#[track_caller]
fn check_new(profile: &str, credentials: &[&str], expect: Option<KeyError>) {
    let profile = Profile::parse(profile).unwrap();
    let credentials: Vec<Credential> = credentials.iter().map(|text| text.parse().unwrap()).collect();
    assert_eq!(Verifier::new(&profile, &credentials).err(), expect);
}

#[test]
fn every_credential_must_be_good_for_something() {
    let (standard, v1a) = (r#"{"profile": "standard"}"#, r#"{"profile": "standard", "versions": ["v1a"]}"#);
    let both = r#"{"profile": "standard", "versions": ["v1", "v1a"]}"#;
    let public = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=";
    check_new(standard, &[WHSEC], None);
    check_new(standard, &[], Some(KeyError::Missing(SecretKind::Shared)));
    check_new(standard, &[public], Some(KeyError::Ed25519));
    check_new(standard, &[WHSEC, "It's a Secret to Everybody"], Some(KeyError::NotBase64));
    check_new(v1a, &[public], None);
    check_new(v1a, &[], Some(KeyError::Missing(SecretKind::Ed25519)));
    check_new(v1a, &[public, WHSEC], Some(KeyError::Shared));
    check_new(both, &[public], None);
    check_new(both, &[WHSEC], None);
    check_new(both, &[WHSEC, public], None);
}
