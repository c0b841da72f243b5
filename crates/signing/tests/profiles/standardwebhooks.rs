//! What this crate signs, the `standardwebhooks` crate accepts, and the other way round.

use std::collections::HashMap;
use std::time::SystemTime;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use posthaste_signing::{
    Credential, DEFAULT_TOLERANCE, Message, Profile, Received, Secret, Signer, Verifier, VerifyError,
};
use proptest::prelude::*;
use standardwebhooks::{Webhook, WebhookError};

type Headers = HashMap<String, String>;

#[expect(clippy::disallowed_methods, reason = "the other library compares with the real clock")]
fn now() -> i64 {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    since_epoch.as_secs().try_into().unwrap()
}

fn profile() -> Profile {
    Profile::named("standard").unwrap()
}

fn ours(secrets: &[&Secret], id: &str, now: i64, body: &str) -> Headers {
    let message =
        Message { id, topic: "test", time_ms: now * 1_000, method: "POST", url: "", body: body.as_bytes() };
    let signer = Signer::new(&profile(), secrets.iter().copied()).unwrap();
    let headers = signer.headers(&message).unwrap();
    headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn theirs_verifies(secret: &Secret, headers: &Headers, body: &str) -> Result<(), WebhookError> {
    let webhook = Webhook::new(&secret.expose()).unwrap();
    webhook.verify(body.as_bytes(), &headers.try_into().unwrap())
}

fn ours_verifies(secret: &Secret, headers: &Headers, body: &str, now: i64) -> Result<(), VerifyError> {
    let verifier = Verifier::new(&profile(), [&Credential::from(secret.clone())]).unwrap();
    let lookup = |name: &str| headers.get(name).map(String::as_str);
    let received = Received { method: "POST", url: "", body: body.as_bytes() };
    verifier.verify(lookup, &received, now, DEFAULT_TOLERANCE)
}

fn any_secret() -> impl Strategy<Value = Secret> {
    prop::collection::vec(any::<u8>(), 24..=64)
        .prop_map(|key| format!("whsec_{}", BASE64_STANDARD.encode(key)))
        .prop_filter_map("a secret that is not weak", |text| Secret::parse(&text).ok())
}

proptest! {
    #[test]
    fn both_sign_alike_and_accept_each_other(
        secret in any_secret(),
        id in "[A-Za-z0-9_]{1,40}",
        body in any::<String>(),
    ) {
        let now = now();
        let mut headers = ours(&[&secret], &id, now, &body);
        let theirs = Webhook::new(&secret.expose()).unwrap().sign(&id, now, body.as_bytes()).unwrap();
        prop_assert_eq!(&headers["webhook-signature"], &theirs);
        prop_assert!(theirs_verifies(&secret, &headers, &body).is_ok());
        headers.insert("webhook-signature".to_owned(), theirs);
        prop_assert_eq!(ours_verifies(&secret, &headers, &body, now), Ok(()));
    }

    #[test]
    fn both_secrets_of_a_rotation_are_accepted_and_no_third(
        new in any_secret(),
        old in any_secret(),
        other in any_secret(),
        body in any::<String>(),
    ) {
        let headers = ours(&[&new, &old], "msg_1", now(), &body);
        prop_assert!(theirs_verifies(&new, &headers, &body).is_ok());
        prop_assert!(theirs_verifies(&old, &headers, &body).is_ok());
        prop_assert!(matches!(theirs_verifies(&other, &headers, &body), Err(WebhookError::InvalidSignature)));
    }
}
