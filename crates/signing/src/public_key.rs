//! What a subscriber verifies ed25519 signatures with.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ed25519_dalek::{PUBLIC_KEY_LENGTH, SigningKey, VerifyingKey};

use crate::secret::from_base64;

/// An ed25519 public key, written `whpk_` + base64 (Standard Webhooks 1.0.0, "Signature scheme").
///
/// It is no secret: it may be shown and logged.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

/// A text that is no [`PublicKey`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a public key: expected whpk_ and the base64 of the 32 bytes of an ed25519 public key")]
pub struct InvalidPublicKey;

impl PublicKey {
    pub(crate) const PREFIX: &str = "whpk_";

    /// The public half of a private key.
    pub(crate) fn of(key: &SigningKey) -> Self {
        Self(key.verifying_key())
    }

    /// The 32 bytes of the key (RFC 8032 §5.1.5), for systems that write it in another way.
    #[must_use]
    pub fn to_bytes(self) -> [u8; PUBLIC_KEY_LENGTH] {
        self.0.to_bytes()
    }

    pub(crate) fn verifying_key(self) -> VerifyingKey {
        self.0
    }
}

impl FromStr for PublicKey {
    type Err = InvalidPublicKey;

    fn from_str(text: &str) -> Result<Self, InvalidPublicKey> {
        let bytes = text.strip_prefix(Self::PREFIX).and_then(from_base64).ok_or(InvalidPublicKey)?;
        let key: &[u8; PUBLIC_KEY_LENGTH] = bytes.as_slice().try_into().map_err(|_| InvalidPublicKey)?;
        VerifyingKey::from_bytes(key)
            .ok()
            // Under a key of small order a signature can fit every message.
            .filter(|key| !key.is_weak())
            .map(Self)
            .ok_or(InvalidPublicKey)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", Self::PREFIX, BASE64_STANDARD.encode(self.0.as_bytes()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips() {
        let text = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=";
        let key: PublicKey = text.parse().unwrap();
        assert_eq!(key.to_string(), text);
        assert_eq!(format!("{key:?}"), text);
        assert_eq!(BASE64_STANDARD.encode(key.to_bytes()), text["whpk_".len()..]);
    }

    #[test]
    fn anything_else_is_refused() {
        // The neutral element of the curve, which is of small order.
        let small = format!("whpk_{}", BASE64_STANDARD.encode([&[1][..], &[0; 31]].concat()));
        for text in [
            "",
            "whpk_",
            "1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=",
            "whsk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=",
            "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbO",
            &small,
        ] {
            assert_eq!(text.parse::<PublicKey>(), Err(InvalidPublicKey), "{text}");
        }
    }
}
