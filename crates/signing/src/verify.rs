//! The receiving half of the symmetric Standard Webhooks profile.

use std::num::ParseIntError;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use subtle::{Choice, ConstantTimeEq};

use crate::standard::{HEADER_ID, HEADER_SIGNATURE, HEADER_TIMESTAMP, SigningKeys, VERSION};

/// How far a timestamp may lie from now, either way: five minutes, as in the reference libraries.
pub const DEFAULT_TOLERANCE: Duration = Duration::from_secs(5 * 60);

/// Why a message is not to be trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// One of the three headers is absent.
    #[error("the header {0} is missing")]
    MissingHeader(&'static str),
    /// The id contains a full stop, so the signed text could be split in more than one way
    /// (Standard Webhooks 1.0.0, "Signature scheme").
    #[error("the header {HEADER_ID} contains a full stop")]
    AmbiguousId,
    /// The timestamp is not an integer.
    #[error("the header {HEADER_TIMESTAMP} is not a whole number of seconds")]
    MalformedTimestamp(#[source] ParseIntError),
    /// The message was signed too long ago: a replay, or a clock that is off.
    #[error("the message was signed {seconds} s ago, which is too old")]
    TooOld {
        /// Its age in seconds.
        seconds: u64,
    },
    /// The message was signed too far in the future: a clock is off.
    #[error("the message was signed {seconds} s in the future, which is too new")]
    TooNew {
        /// Seconds from now to its timestamp.
        seconds: u64,
    },
    /// The signature header holds nothing of version `v1`.
    #[error("the header {HEADER_SIGNATURE} holds no {VERSION} signature")]
    NoV1Signature,
    /// No `v1` signature fits any key: the message was altered or another secret signed it.
    #[error("no signature matches")]
    NoMatch,
}

impl SigningKeys {
    /// Accepts a message that one of these keys signed and whose timestamp is within `tolerance` of `now`.
    ///
    /// `header` looks a header up by its lower-case name, for instance
    /// `|name| request.headers().get(name)?.to_str().ok()`. `body` is the body as received, byte for byte.
    /// `now` is in seconds since the Unix epoch; of `tolerance`, whole seconds count. Signatures of other versions
    /// than `v1` are skipped.
    ///
    /// # Errors
    ///
    /// [`VerifyError`] names the first part that is wrong.
    pub fn verify<'h>(
        &self,
        header: impl Fn(&'static str) -> Option<&'h str>,
        body: &[u8],
        now: i64,
        tolerance: Duration,
    ) -> Result<(), VerifyError> {
        let required = |name| header(name).ok_or(VerifyError::MissingHeader(name));
        let id = required(HEADER_ID)?;
        let timestamp = required(HEADER_TIMESTAMP)?;
        let signatures = required(HEADER_SIGNATURE)?;

        if id.contains('.') {
            return Err(VerifyError::AmbiguousId);
        }
        check_age(timestamp.parse().map_err(VerifyError::MalformedTimestamp)?, now, tolerance)?;

        let mut candidates = signatures.split(' ').filter_map(v1).peekable();
        if candidates.peek().is_none() {
            return Err(VerifyError::NoV1Signature);
        }
        // The timestamp is signed as it was written, so a second spelling of the same number does not pass.
        let expected: Vec<String> =
            self.macs(id, timestamp, body).map(|mac| BASE64_STANDARD.encode(mac)).collect();
        let matched = candidates.fold(Choice::from(0), |matched, candidate| {
            expected
                .iter()
                .fold(matched, |matched, expected| matched | expected.as_bytes().ct_eq(candidate.as_bytes()))
        });
        if matched.into() { Ok(()) } else { Err(VerifyError::NoMatch) }
    }
}

fn v1(signature: &str) -> Option<&str> {
    signature.split_once(',').filter(|(version, _)| *version == VERSION).map(|(_, encoded)| encoded)
}

fn check_age(timestamp: i64, now: i64, tolerance: Duration) -> Result<(), VerifyError> {
    let seconds = now.abs_diff(timestamp);
    if seconds <= tolerance.as_secs() {
        Ok(())
    } else if timestamp < now {
        Err(VerifyError::TooOld { seconds })
    } else {
        Err(VerifyError::TooNew { seconds })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Secret;

    const NOW: i64 = 1_614_265_330;
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    /// Well formed, but of no message.
    const OTHER: &str = "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

    fn secret(fill: u8) -> Secret {
        Secret::from_key(&[fill; 32]).unwrap()
    }

    fn published() -> SigningKeys {
        SigningKeys::new(&"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().unwrap(), [])
    }

    /// Verifies with the headers in the order id, timestamp, signature.
    fn verify(
        keys: &SigningKeys,
        headers: [Option<&str>; 3],
        body: &[u8],
        now: i64,
    ) -> Result<(), VerifyError> {
        let lookup = |name| match name {
            HEADER_ID => headers[0],
            HEADER_TIMESTAMP => headers[1],
            HEADER_SIGNATURE => headers[2],
            other => panic!("{other} is no header of this profile"),
        };
        keys.verify(lookup, body, now, DEFAULT_TOLERANCE)
    }

    #[track_caller]
    fn check_headers(headers: [Option<&str>; 3], expect: Result<(), VerifyError>) {
        assert_eq!(verify(&published(), headers, BODY, NOW), expect);
    }

    #[test]
    fn headers_are_required_and_well_formed() {
        let (id, timestamp, signature) = (Some(ID), Some("1614265330"), Some(SIGNATURE));
        check_headers([id, timestamp, signature], Ok(()));
        check_headers([None, timestamp, signature], Err(VerifyError::MissingHeader("webhook-id")));
        check_headers([id, None, signature], Err(VerifyError::MissingHeader("webhook-timestamp")));
        check_headers([id, timestamp, None], Err(VerifyError::MissingHeader("webhook-signature")));
        check_headers([Some("msg.1"), timestamp, signature], Err(VerifyError::AmbiguousId));
        for malformed in ["", "1614265330.0", " 1614265330", "2021-02-25T15:02:10Z", "99999999999999999999"] {
            let reason = malformed.parse::<i64>().unwrap_err();
            check_headers([id, Some(malformed), signature], Err(VerifyError::MalformedTimestamp(reason)));
        }
        // The same number, but not the text that was signed.
        check_headers([id, Some("+1614265330"), signature], Err(VerifyError::NoMatch));
        check_headers([id, Some("01614265330"), signature], Err(VerifyError::NoMatch));
    }

    #[track_caller]
    fn check_signature(signature: &str, expect: Result<(), VerifyError>) {
        check_headers([Some(ID), Some("1614265330"), Some(signature)], expect);
    }

    #[test]
    fn one_of_several_signatures_is_enough_and_unknown_versions_are_skipped() {
        let encoded = &SIGNATURE[3..];
        check_signature(&format!("{OTHER} {SIGNATURE}"), Ok(()));
        check_signature(&format!("{SIGNATURE} {OTHER}"), Ok(()));
        check_signature(&format!("v1a,{encoded} v2,abc nonsense {SIGNATURE}"), Ok(()));
        check_signature(&format!("{OTHER}  {SIGNATURE}"), Ok(()));

        for none in ["", " ", "v1", encoded, &format!("v1a,{encoded}"), &format!("V1,{encoded} v2,{encoded}")]
        {
            check_signature(none, Err(VerifyError::NoV1Signature));
        }
        for wrong in
            ["v1,", OTHER, &SIGNATURE[..20], SIGNATURE.trim_end_matches('='), &format!("{SIGNATURE}=")]
        {
            check_signature(wrong, Err(VerifyError::NoMatch));
        }
    }

    #[track_caller]
    fn check_now(now: i64, expect: Result<(), VerifyError>) {
        let headers = [Some(ID), Some("1614265330"), Some(SIGNATURE)];
        assert_eq!(verify(&published(), headers, BODY, now), expect);
    }

    #[test]
    fn the_timestamp_must_be_near_now() {
        check_now(NOW + 300, Ok(()));
        check_now(NOW - 300, Ok(()));
        check_now(NOW + 301, Err(VerifyError::TooOld { seconds: 301 }));
        check_now(NOW - 301, Err(VerifyError::TooNew { seconds: 301 }));
        check_now(i64::MAX, Err(VerifyError::TooOld { seconds: i64::MAX.abs_diff(NOW) }));
        check_now(i64::MIN, Err(VerifyError::TooNew { seconds: i64::MIN.abs_diff(NOW) }));
    }

    #[track_caller]
    fn check_keys(sign: &[Secret], verify_with: &[Secret], expect: Result<(), VerifyError>) {
        let keys = |secrets: &[Secret]| SigningKeys::new(&secrets[0], &secrets[1..]);
        for body in ["", "{}", "žluťoučký kůň 🐎"] {
            let signature = keys(sign).sign(ID, NOW, body.as_bytes());
            let headers = [Some(ID), Some("1614265330"), Some(signature.as_str())];
            assert_eq!(verify(&keys(verify_with), headers, body.as_bytes(), NOW), expect, "body {body:?}");
        }
    }

    #[test]
    fn either_secret_of_a_rotation_verifies() {
        let (old, new, other) = (secret(1), secret(2), secret(3));
        let both = [new.clone(), old.clone()];
        let [old, new, other] = [[old], [new], [other]];
        check_keys(&new, &new, Ok(()));
        check_keys(&both, &new, Ok(()));
        check_keys(&both, &old, Ok(()));
        check_keys(&old, &both, Ok(()));
        check_keys(&both, &both, Ok(()));
        check_keys(&new, &old, Err(VerifyError::NoMatch));
        check_keys(&both, &other, Err(VerifyError::NoMatch));
        check_keys(&other, &both, Err(VerifyError::NoMatch));
    }

    proptest! {
        #[test]
        fn what_was_signed_verifies_and_any_flipped_bit_is_refused(
            key in prop::collection::vec(any::<u8>(), 24..=64),
            id in "[A-Za-z0-9_]{1,40}",
            body in prop::collection::vec(any::<u8>(), 1..200),
            flipped in any::<prop::sample::Index>(),
            bit in 0..8u32,
        ) {
            let keys = SigningKeys::new(&Secret::from_key(&key).unwrap(), []);
            let signature = keys.sign(&id, NOW, &body);
            let headers = [Some(id.as_str()), Some("1614265330"), Some(signature.as_str())];
            prop_assert_eq!(verify(&keys, headers, &body, NOW), Ok(()));

            let mut altered = body.clone();
            altered[flipped.index(body.len())] ^= 1 << bit;
            prop_assert_eq!(verify(&keys, headers, &altered, NOW), Err(VerifyError::NoMatch));

            let mut altered = key.clone();
            altered[flipped.index(key.len())] ^= 1 << bit;
            let wrong = SigningKeys::new(&Secret::from_key(&altered).unwrap(), []);
            prop_assert_eq!(verify(&wrong, headers, &body, NOW), Err(VerifyError::NoMatch));
        }

        #[test]
        fn any_other_character_in_id_timestamp_or_signature_is_refused(
            part in 0..3usize,
            at in any::<prop::sample::Index>(),
            with in "[A-Za-z0-9+/=_,. ]",
        ) {
            let original = [ID, "1614265330", SIGNATURE];
            let at = at.index(original[part].len());
            prop_assume!(original[part][at..=at] != with);
            let mut altered = original.map(str::to_owned);
            altered[part].replace_range(at..=at, &with);
            let headers = [0, 1, 2].map(|part| Some(altered[part].as_str()));
            prop_assert!(verify(&published(), headers, BODY, NOW).is_err());
        }
    }
}
