//! What holds for any profile and any message.

use std::time::Duration;

use posthaste_signing::{
    Credential, Message, Profile, Received, Secret, SignError, Signer, Verifier, VerifyError,
};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::json;

use crate::formats;

/// Every preset, every version and every format in the wild.
fn profiles() -> Vec<Profile> {
    let versions = [r#"["v1a"]"#, r#"["v1", "v1a"]"#].map(|versions| {
        Profile::parse(&format!(r#"{{"profile": "standard", "versions": {versions}}}"#)).unwrap()
    });
    let presets = Profile::names().map(|name| Profile::named(name).unwrap());
    presets.chain(versions).chain(formats::all().into_iter().map(|format| format.profile)).collect()
}

/// A custom profile of any algorithm, encoding and key, over any template of what headers tell.
fn custom() -> impl Strategy<Value = Profile> {
    let text = select(vec!["", ".", "|", "/", "{{", "\n", "ž"]);
    let signed =
        prop::collection::vec((select(vec!["{id}", "{ts}", "{topic}", "{method}", "{url}"]), text), 0..4);
    let body = select(vec!["{body}", "{sha256(body)}", "{body}{sha256(body)}"]);
    let hmac =
        (select(vec!["hmac-sha1", "hmac-sha256", "hmac-sha512"]), select(vec!["raw", "base64", "hex"]));
    let encoding = select(vec!["hex", "base64"]);
    let separator = select(vec![None, Some(" "), Some(", "), Some(";")]);
    (signed, body, prop::option::of(hmac), encoding, separator).prop_map(
        |(signed, body, hmac, encoding, separator)| {
            let before: String = signed.iter().flat_map(|(variable, text)| [*variable, *text]).collect();
            let several = if separator.is_some() { "signatures" } else { "signature" };
            let mut profile = json!({
                "profile": "custom",
                "signed": before + body,
                "algorithm": hmac.map_or("ed25519", |(algorithm, _)| algorithm),
                "encoding": encoding,
                "signature": "s:{value}",
                "headers": {
                    "X-Id": "<{id}>", "X-Topic": "{topic}", "X-Url": "{url}",
                    "X-Signature": format!("t={{ts}},{{{several}}}"),
                },
            });
            if let Some((_, key)) = hmac {
                profile["key"] = key.into();
            }
            if let Some(separator) = separator {
                profile["separator"] = separator.into();
            }
            Profile::parse(&profile.to_string()).unwrap()
        },
    )
}

fn any_profile() -> impl Strategy<Value = Profile> {
    prop_oneof![select(profiles()), custom()]
}

#[derive(Debug, Clone)]
struct Sent {
    id: String,
    topic: String,
    time_ms: i64,
    url: String,
    body: Vec<u8>,
}

impl Sent {
    fn message(&self) -> Message<'_> {
        let Self { id, topic, time_ms, url, body } = self;
        Message { id, topic, time_ms: *time_ms, method: "POST", url, body }
    }
}

fn any_sent() -> impl Strategy<Value = Sent> {
    let time = 0..4_000_000_000_000_i64;
    let body = prop::collection::vec(any::<u8>(), 0..200);
    (
        "[A-Za-z0-9_:-]{1,40}",
        "[a-z]{1,9}(\\.[a-z]{1,9}){0,2}",
        time,
        "https://[a-z]{1,9}\\.com/[a-z]{0,9}",
        body,
    )
        .prop_map(|(id, topic, time_ms, url, body)| Sent { id, topic, time_ms, url, body })
}

fn verify(
    profile: &Profile,
    secret: &Secret,
    headers: &[(&str, String)],
    sent: &Sent,
    body: &[u8],
) -> Result<(), VerifyError> {
    let credential = secret.public_key().map_or_else(|| secret.clone().into(), Credential::from);
    let verifier = Verifier::new(profile, [&credential]).unwrap();
    let header = |name: &str| {
        headers.iter().find(|(sent, _)| sent.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    };
    let received = Received { method: "POST", url: &sent.url, body };
    verifier.verify(header, &received, sent.time_ms / 1_000, Duration::ZERO)
}

proptest! {
    #[test]
    fn what_is_signed_verifies_and_any_flipped_bit_is_refused(
        profile in any_profile(),
        sent in any_sent(),
        seed: u64,
        at in any::<Index>(),
        bit in 0..8u32,
    ) {
        let mut rng = StdRng::seed_from_u64(seed);
        let (current, retiring) = (profile.generate(&mut rng), profile.generate(&mut rng));
        let signer = Signer::new(&profile, current.iter().chain(&retiring)).unwrap();
        let headers = signer.headers(&sent.message()).unwrap();
        for secret in &current {
            prop_assert_eq!(verify(&profile, secret, &headers, &sent, &sent.body), Ok(()));
        }
        for secret in &retiring {
            let retired = verify(&profile, secret, &headers, &sent, &sent.body);
            let expect = if profile.carries_several() { Ok(()) } else { Err(VerifyError::NoMatch) };
            prop_assert_eq!(retired, expect);
        }
        for stranger in profile.generate(&mut rng) {
            let refused = verify(&profile, &stranger, &headers, &sent, &sent.body);
            prop_assert_eq!(refused, Err(VerifyError::NoMatch));
        }
        if !sent.body.is_empty() && !signs_a_form(&profile) {
            let mut body = sent.body.clone();
            body[at.index(sent.body.len())] ^= 1 << bit;
            let refused = verify(&profile, &current[0], &headers, &sent, &body);
            prop_assert_eq!(refused, Err(VerifyError::NoMatch));
        }
    }

    #[test]
    fn every_value_can_be_sent(profile in any_profile(), sent in any_sent(), seed: u64) {
        let secrets = profile.generate(&mut StdRng::seed_from_u64(seed));
        let signer = Signer::new(&profile, &secrets).unwrap();
        let headers = signer.headers(&sent.message()).unwrap();
        let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
        prop_assert_eq!(&names, &signer.header_names().collect::<Vec<_>>());
        prop_assert_eq!(&names, &profile.header_names().collect::<Vec<_>>());
        for (name, value) in &headers {
            prop_assert!(value.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{name}: {value}");
            prop_assert!(!value.contains("  ") && value.trim() == value, "{name}: {value}");
        }
    }

    #[test]
    fn any_other_character_in_what_is_signed_or_in_a_signature_is_refused(
        which in 0..3usize,
        at in any::<Index>(),
        with in "[A-Za-z0-9+/=_,. ]",
    ) {
        let profile = Profile::named("standard").unwrap();
        let sent = Sent {
            id: "evt_1".to_owned(),
            topic: "test".to_owned(),
            time_ms: 1_614_265_330_000,
            url: String::new(),
            body: b"{}".to_vec(),
        };
        let secret = Secret::generate(&mut StdRng::seed_from_u64(1));
        let signer = Signer::new(&profile, [&secret]).unwrap();
        let mut headers = signer.headers(&sent.message()).unwrap();
        let value = &mut headers[which].1;
        let at = at.index(value.len());
        prop_assume!(value[at..=at] != with);
        value.replace_range(at..=at, &with);
        prop_assert!(verify(&profile, &secret, &headers, &sent, &sent.body).is_err());
    }

    #[test]
    fn whatever_is_received_nothing_panics(
        profile in any_profile(),
        value in "[ -~]{0,60}|t=[0-9]{1,12},v1=[0-9a-f]{0,64}|v0=.{0,9}",
        body in prop::collection::vec(any::<u8>(), 0..40),
        url in ".{0,20}",
    ) {
        let secrets = profile.generate(&mut StdRng::seed_from_u64(1));
        let credentials: Vec<Credential> = secrets.into_iter().map(Credential::from).collect();
        let verifier = Verifier::new(&profile, &credentials).unwrap();
        let received = Received { method: "POST", url: &url, body: &body };
        let header = |_: &str| Some(value.as_str());
        prop_assert!(verifier.verify(header, &received, 0, Duration::from_secs(u64::MAX)).is_err());
        let diagnosis = posthaste_signing::diagnose(&profile, &credentials, header, &received, 0, Duration::MAX);
        prop_assert!(diagnosis.is_err());
    }

    #[test]
    fn whatever_is_signed_nothing_panics_and_no_header_is_broken(
        profile in any_profile(),
        id in any::<String>(),
        topic in any::<String>(),
        time_ms: i64,
        url in any::<String>(),
        body in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let secrets = profile.generate(&mut StdRng::seed_from_u64(1));
        let signer = Signer::new(&profile, &secrets).unwrap();
        let sent = Sent { id, topic, time_ms, url, body };
        match signer.headers(&sent.message()) {
            Ok(headers) => {
                prop_assert!(headers.iter().all(|(_, value)| value.bytes().all(|b| matches!(b, b' '..=b'~'))));
            }
            Err(SignError::AmbiguousId) => prop_assert!(sent.id.contains('.')),
            Err(SignError::NotVisible(_)) => {
                let texts = [&sent.id, &sent.topic, &sent.url];
                prop_assert!(texts.iter().any(|text| !text.bytes().all(|byte| byte.is_ascii_graphic())));
            }
            Err(SignError::TimeOutOfRange { time_ms }) => prop_assert_eq!(time_ms, sent.time_ms),
        }
    }

    #[test]
    fn whatever_is_read_nothing_panics(json in any::<String>(), template in "([ -~]|\\{[a-z_()0-9]{0,12}\\}){0,20}") {
        let _ = Profile::parse(&json);
        let profile = json!({
            "profile": "custom", "signed": template, "algorithm": "hmac-sha256", "encoding": "hex", "key": "raw",
            "headers": {"S": template},
        });
        if let Ok(profile) = Profile::parse(&profile.to_string()) {
            let _ = profile.dry_run();
        }
    }
}

/// Different bodies may be the same form.
fn signs_a_form(profile: &Profile) -> bool {
    serde_json::to_string(profile).unwrap().contains("form(body)")
}
