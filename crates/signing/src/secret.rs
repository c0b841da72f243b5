//! The symmetric secret that a sender and one endpoint share.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rand::CryptoRng;
use subtle::ConstantTimeEq;
use zeroize::{ZeroizeOnDrop, Zeroizing};

const PREFIX: &str = "whsec_";

/// A symmetric webhook secret: 24 to 64 bytes, written `whsec_` + base64.
///
/// (Standard Webhooks 1.0.0, "Signature scheme".) Equality takes the same time wherever two secrets differ.
#[derive(Clone, ZeroizeOnDrop)]
pub struct Secret(Vec<u8>);

/// Why a text or a row of bytes is no [`Secret`]. Never repeats what it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// Nothing, or nothing after the prefix.
    #[error("the webhook secret is empty")]
    Empty,
    /// Not standard, padded base64 (RFC 4648 §4). The decoder's error is left out: it quotes the input.
    #[error("the webhook secret is not base64")]
    NotBase64,
    /// Too few bytes to be safe.
    #[error("the webhook secret has {bytes} bytes, at least {} are needed", Secret::MIN_BYTES)]
    TooShort {
        /// Length of the decoded secret.
        bytes: usize,
    },
    /// More bytes than the specification allows.
    #[error("the webhook secret has {bytes} bytes, at most {} are allowed", Secret::MAX_BYTES)]
    TooLong {
        /// Length of the decoded secret.
        bytes: usize,
    },
}

impl Secret {
    /// Fewest bytes of a secret (Standard Webhooks 1.0.0: 192 bits).
    pub const MIN_BYTES: usize = 24;
    /// Most bytes of a secret (Standard Webhooks 1.0.0: 512 bits).
    pub const MAX_BYTES: usize = 64;
    const GENERATED_BYTES: usize = 32;

    /// A new secret of 32 random bytes.
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut key = vec![0; Self::GENERATED_BYTES];
        rng.fill_bytes(&mut key);
        Self(key)
    }

    /// Reads the text form, with or without `whsec_`.
    ///
    /// # Errors
    ///
    /// [`SecretError`], one variant per reason.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        // Decoding into the secret itself wipes the bytes on the refusing paths too.
        let mut secret = Self(Vec::new());
        BASE64_STANDARD
            .decode_vec(text.strip_prefix(PREFIX).unwrap_or(text), &mut secret.0)
            .map_err(|_| SecretError::NotBase64)?;
        secret.checked()
    }

    /// Takes over the decoded bytes, as [`expose_key`](Self::expose_key) gave them.
    ///
    /// # Errors
    ///
    /// [`SecretError`] when there are not 24 to 64 bytes.
    pub fn from_key(key: &[u8]) -> Result<Self, SecretError> {
        Self(key.to_vec()).checked()
    }

    /// Reveals the text form, `whsec_` included: for the subscriber who must configure it.
    #[must_use]
    pub fn expose(&self) -> Zeroizing<String> {
        // Room for all of it at once: growing would leave unwiped copies behind.
        let capacity = PREFIX.len() + self.0.len().div_ceil(3) * 4;
        let mut text = Zeroizing::new(String::with_capacity(capacity));
        text.push_str(PREFIX);
        BASE64_STANDARD.encode_string(&self.0, &mut text);
        text
    }

    /// Reveals the decoded bytes, the HMAC key: for signing and for sealing.
    #[must_use]
    pub fn expose_key(&self) -> &[u8] {
        &self.0
    }

    fn checked(self) -> Result<Self, SecretError> {
        match self.0.len() {
            0 => Err(SecretError::Empty),
            bytes if bytes < Self::MIN_BYTES => Err(SecretError::TooShort { bytes }),
            bytes if bytes > Self::MAX_BYTES => Err(SecretError::TooLong { bytes }),
            _ => Ok(self),
        }
    }
}

impl FromStr for Secret {
    type Err = SecretError;

    fn from_str(text: &str) -> Result<Self, SecretError> {
        Self::parse(text)
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[track_caller]
    fn check(text: &str, expect: Result<usize, SecretError>) {
        assert_eq!(Secret::parse(text).map(|secret| secret.expose_key().len()), expect);
        assert_eq!(text.parse::<Secret>().map(|secret| secret.expose_key().len()), expect);
    }

    fn base64_of(bytes: usize) -> String {
        BASE64_STANDARD.encode(vec![7; bytes])
    }

    #[test]
    fn parses_or_says_why_not() {
        check("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", Ok(24));
        check("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", Ok(24));
        check(&base64_of(64), Ok(64));

        check("", Err(SecretError::Empty));
        check("whsec_", Err(SecretError::Empty));
        check(&base64_of(1), Err(SecretError::TooShort { bytes: 1 }));
        check(&base64_of(23), Err(SecretError::TooShort { bytes: 23 }));
        check(&base64_of(65), Err(SecretError::TooLong { bytes: 65 }));

        check("whsec_whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", Err(SecretError::NotBase64));
        check("whsk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", Err(SecretError::NotBase64));
        check("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n", Err(SecretError::NotBase64));
        check("whsec_not base64 at all, but long enough", Err(SecretError::NotBase64));
        check(base64_of(32).trim_end_matches('='), Err(SecretError::NotBase64));
    }

    #[track_caller]
    fn check_message(text: &str, expect: &str) {
        let error = Secret::parse(text).unwrap_err();
        assert_eq!(error.to_string(), expect);
        assert!(error.source().is_none(), "a decoder's error would quote the secret");
    }

    #[test]
    fn refusals_do_not_echo() {
        check_message("whsec_", "the webhook secret is empty");
        check_message("whsec_hunter2!", "the webhook secret is not base64");
        check_message("whsec_c2hvcnQ=", "the webhook secret has 5 bytes, at least 24 are needed");
        check_message(&base64_of(65), "the webhook secret has 65 bytes, at most 64 are allowed");
    }

    #[test]
    fn generates_32_bytes_that_differ() {
        let mut rng = StdRng::seed_from_u64(1);
        let (first, second) = (Secret::generate(&mut rng), Secret::generate(&mut rng));
        assert_eq!(first.expose_key().len(), 32);
        assert_ne!(first, second);
    }

    #[test]
    fn equality_is_of_the_bytes() {
        let secret = Secret::from_key(&[7; 24]).unwrap();
        assert_eq!(secret, secret.clone());
        assert_ne!(secret, Secret::from_key(&[7; 25]).unwrap());
    }

    #[test]
    fn is_wiped_on_drop() {
        fn wiped<T: ZeroizeOnDrop>(_: &T) {}
        let secret = Secret::generate(&mut StdRng::seed_from_u64(1));
        wiped(&secret);
        wiped(&secret.expose());
    }

    proptest! {
        #[test]
        fn both_forms_round_trip(key in prop::collection::vec(any::<u8>(), 24..=64)) {
            let secret = Secret::from_key(&key).unwrap();
            prop_assert_eq!(secret.expose_key(), &key);
            prop_assert!(secret.expose().starts_with("whsec_"));
            prop_assert_eq!(&Secret::parse(&secret.expose()).unwrap(), &secret);
        }
    }
}
