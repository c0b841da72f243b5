//! The sending half of the symmetric Standard Webhooks profile: header names and the `v1` signature.
//!
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>, version 1.0.0.

use std::{fmt, iter};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::Secret;

/// Header of the message id: the same for every attempt, so that the subscriber can drop repeats.
pub const HEADER_ID: &str = "webhook-id";
/// Header of the time of the attempt, in whole seconds since the Unix epoch.
pub const HEADER_TIMESTAMP: &str = "webhook-timestamp";
/// Header of the signatures, separated by one space.
pub const HEADER_SIGNATURE: &str = "webhook-signature";

/// What marks an HMAC-SHA256 signature within [`HEADER_SIGNATURE`].
pub(crate) const VERSION: &str = "v1";

/// Length of the base64 of an HMAC-SHA256.
const ENCODED_LEN: usize = 44;

/// The secrets of one endpoint, made ready to sign and to verify.
///
/// One secret, or several while a rotation lasts: then every message carries one signature per secret, and a
/// message that any of them signed is accepted. Build it once per endpoint and keep it: the HMAC key schedule is
/// computed here and only copied per signature.
#[derive(Clone)]
pub struct SigningKeys(Vec<Hmac<Sha256>>);

impl SigningKeys {
    /// Keys that sign with `current` first, then with the secrets that are being rotated out.
    pub fn new<'s>(current: &'s Secret, retiring: impl IntoIterator<Item = &'s Secret>) -> Self {
        Self(iter::once(current).chain(retiring).map(keyed).collect())
    }

    /// The value of [`HEADER_SIGNATURE`]: one `v1,<base64>` per secret, separated by exactly one space.
    ///
    /// `timestamp` is the time of this attempt in seconds since the Unix epoch, as [`HEADER_TIMESTAMP`] carries it
    /// in decimal. `id` must not contain a full stop: the parts are joined by it, and a subscriber could no longer
    /// tell where the id ends.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let timestamp = timestamp.to_string();
        let one = VERSION.len() + 1 + ENCODED_LEN + 1;
        let mut header = String::with_capacity(self.0.len() * one);
        for mac in self.macs(id, &timestamp, body) {
            if !header.is_empty() {
                // A second space makes a widespread verifier throw.
                header.push(' ');
            }
            header.push_str(VERSION);
            header.push(',');
            BASE64_STANDARD.encode_string(mac, &mut header);
        }
        header
    }

    /// HMAC-SHA256 of `id.timestamp.body` under each key, in order.
    pub(crate) fn macs(&self, id: &str, timestamp: &str, body: &[u8]) -> impl Iterator<Item = [u8; 32]> {
        self.0.iter().map(move |key| {
            let mut mac = key.clone();
            for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
                mac.update(part);
            }
            mac.finalize().into_bytes().into()
        })
    }
}

/// A key no longer than the block of SHA-256 is padded to it with zeros (RFC 2104 §2), which cannot fail.
fn keyed(secret: &Secret) -> Hmac<Sha256> {
    const { assert!(Secret::MAX_BYTES == 64, "longer keys would have to be hashed first") };
    let mut block = Zeroizing::new([0; 64]);
    let key = secret.expose_key();
    block[..key.len()].copy_from_slice(key);
    Hmac::new((&*block).into())
}

impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKeys({} keys, ..)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(secrets: &[&str], id: &str, timestamp: i64, body: &str, expect: &str) {
        let secrets: Vec<Secret> = secrets.iter().map(|text| text.parse().unwrap()).collect();
        let keys = SigningKeys::new(&secrets[0], &secrets[1..]);
        assert_eq!(keys.sign(id, timestamp, body.as_bytes()), expect);
    }

    #[test]
    fn published_vectors() {
        check(
            &["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            r#"{"test": 2432232314}"#,
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        );
        check(
            &["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"],
            "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
            1_649_367_553,
            r#"{"email":"test@example.com","username":"test_user"}"#,
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
        );
    }

    #[test]
    fn rotation_joins_by_one_space_with_the_current_secret_first() {
        // The second signature is the first published vector.
        let secrets = ["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"];
        let current: Secret = secrets[0].parse().unwrap();
        let (id, timestamp, body) =
            ("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        let first = SigningKeys::new(&current, []).sign(id, timestamp, body.as_bytes());
        let both = format!("{first} v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        check(&secrets, id, timestamp, body, &both);
    }
}
