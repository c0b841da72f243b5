//! What this crate signs, the `standardwebhooks` crate accepts, and the other way round.

#![allow(clippy::unwrap_used, reason = "a test may")]

use std::collections::HashMap;
use std::time::SystemTime;

use posthaste_signing::{
    DEFAULT_TOLERANCE, HEADER_ID, HEADER_SIGNATURE, HEADER_TIMESTAMP, Secret, SigningKeys, VerifyError,
};
use proptest::prelude::*;
use standardwebhooks::{Webhook, WebhookError};

type Headers = HashMap<String, String>;

#[expect(clippy::disallowed_methods, reason = "the other library compares with the real clock")]
fn now() -> i64 {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    since_epoch.as_secs().try_into().unwrap()
}

fn headers(id: &str, timestamp: i64, signature: String) -> Headers {
    [(HEADER_ID, id.to_owned()), (HEADER_TIMESTAMP, timestamp.to_string()), (HEADER_SIGNATURE, signature)]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
}

fn theirs_verifies(secret: &Secret, headers: &Headers, body: &str) -> Result<(), WebhookError> {
    let webhook = Webhook::new(&secret.expose()).unwrap();
    webhook.verify(body.as_bytes(), &headers.try_into().unwrap())
}

fn ours_verifies(secret: &Secret, headers: &Headers, body: &str, now: i64) -> Result<(), VerifyError> {
    let lookup = |name: &str| headers.get(name).map(String::as_str);
    SigningKeys::new(secret, []).verify(lookup, body.as_bytes(), now, DEFAULT_TOLERANCE)
}

fn any_secret() -> impl Strategy<Value = Secret> {
    prop::collection::vec(any::<u8>(), 24..=64).prop_map(|key| Secret::from_key(&key).unwrap())
}

proptest! {
    #[test]
    fn both_sign_alike_and_accept_each_other(
        secret in any_secret(),
        id in "[A-Za-z0-9_]{1,40}",
        body in any::<String>(),
    ) {
        let now = now();
        let ours = SigningKeys::new(&secret, []).sign(&id, now, body.as_bytes());
        let theirs = Webhook::new(&secret.expose()).unwrap().sign(&id, now, body.as_bytes()).unwrap();
        prop_assert_eq!(&ours, &theirs);
        prop_assert!(theirs_verifies(&secret, &headers(&id, now, ours), &body).is_ok());
        prop_assert_eq!(ours_verifies(&secret, &headers(&id, now, theirs), &body, now), Ok(()));
    }

    #[test]
    fn both_secrets_of_a_rotation_are_accepted_and_no_third(
        new in any_secret(),
        old in any_secret(),
        other in any_secret(),
        body in any::<String>(),
    ) {
        let now = now();
        let headers = headers("msg_1", now, SigningKeys::new(&new, [&old]).sign("msg_1", now, body.as_bytes()));
        prop_assert!(theirs_verifies(&new, &headers, &body).is_ok());
        prop_assert!(theirs_verifies(&old, &headers, &body).is_ok());
        prop_assert!(matches!(theirs_verifies(&other, &headers, &body), Err(WebhookError::InvalidSignature)));
    }
}
