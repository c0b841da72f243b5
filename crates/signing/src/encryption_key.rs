//! The key that everything sealed at rest hangs on.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rand::CryptoRng;
use sha2::{Digest, Sha256};
use zeroize::{ZeroizeOnDrop, Zeroizing};

/// 256 random bits that a [`Sealer`](crate::Sealer) encrypts with, written as base64.
#[derive(ZeroizeOnDrop)]
pub struct EncryptionKey([u8; 32]);

/// Names an [`EncryptionKey`] without revealing it: the first four bytes of its SHA-256, shown as eight hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyId(pub(crate) [u8; 4]);

/// Why a text is no [`EncryptionKey`]. Never repeats what it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncryptionKeyError {
    /// Not standard, padded base64 (RFC 4648 §4). The decoder's error is left out: it quotes the input.
    #[error("the encryption key is not base64")]
    NotBase64,
    /// Base64, but not of 32 bytes.
    #[error("the encryption key has {bytes} bytes, it must have 32")]
    WrongLength {
        /// Length of the decoded key.
        bytes: usize,
    },
}

impl EncryptionKey {
    /// A new random key.
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut key = Self([0; 32]);
        rng.fill_bytes(&mut key.0);
        key
    }

    /// Reads the base64 of 32 bytes. White space around it is ignored, because key files end in a newline.
    ///
    /// # Errors
    ///
    /// [`EncryptionKeyError`], one variant per reason.
    pub fn parse(text: &str) -> Result<Self, EncryptionKeyError> {
        let mut bytes = Zeroizing::new(Vec::new());
        BASE64_STANDARD.decode_vec(text.trim(), &mut bytes).map_err(|_| EncryptionKeyError::NotBase64)?;
        let key = bytes
            .as_slice()
            .try_into()
            .map_err(|_| EncryptionKeyError::WrongLength { bytes: bytes.len() })?;
        Ok(Self(key))
    }

    /// Reveals the key as base64: for writing the key file.
    #[must_use]
    pub fn expose(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE64_STANDARD.encode(self.0))
    }

    /// The public name of this key.
    #[must_use]
    pub fn id(&self) -> KeyId {
        let [a, b, c, d, ..]: [u8; 32] = Sha256::digest(self.0).into();
        KeyId([a, b, c, d])
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl FromStr for EncryptionKey {
    type Err = EncryptionKeyError;

    fn from_str(text: &str) -> Result<Self, EncryptionKeyError> {
        Self::parse(text)
    }
}

impl fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EncryptionKey(..)")
    }
}

impl KeyId {
    /// The name as bytes.
    pub fn to_bytes(self) -> [u8; 4] {
        self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", u32::from_be_bytes(self.0))
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    /// 32 zero bytes.
    const ZEROS: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

    #[track_caller]
    fn check(text: &str, expect: Result<[u8; 32], EncryptionKeyError>) {
        assert_eq!(EncryptionKey::parse(text).map(|key| *key.bytes()), expect);
        assert_eq!(text.parse::<EncryptionKey>().map(|key| *key.bytes()), expect);
    }

    #[test]
    fn parses_or_says_why_not() {
        check(ZEROS, Ok([0; 32]));
        check(&format!(" {ZEROS}\r\n"), Ok([0; 32]));
        check("", Err(EncryptionKeyError::WrongLength { bytes: 0 }));
        check(&BASE64_STANDARD.encode([0; 31]), Err(EncryptionKeyError::WrongLength { bytes: 31 }));
        check(&BASE64_STANDARD.encode([0; 33]), Err(EncryptionKeyError::WrongLength { bytes: 33 }));
        check(ZEROS.trim_end_matches('='), Err(EncryptionKeyError::NotBase64));
        check("correct horse battery staple", Err(EncryptionKeyError::NotBase64));
    }

    #[test]
    fn generated_keys_differ_and_round_trip() {
        let mut rng = StdRng::seed_from_u64(1);
        let (first, second) = (EncryptionKey::generate(&mut rng), EncryptionKey::generate(&mut rng));
        assert_ne!(first.bytes(), second.bytes());
        assert_ne!(first.id(), second.id());
        check(&first.expose(), Ok(*first.bytes()));
    }

    #[test]
    fn the_id_begins_the_sha256() {
        // SHA-256 of 32 zero bytes begins 66687aad.
        assert_eq!(EncryptionKey::parse(ZEROS).unwrap().id().to_string(), "66687aad");
    }

    #[test]
    fn is_wiped_on_drop() {
        fn wiped<T: ZeroizeOnDrop>(_: &T) {}
        let key = EncryptionKey::generate(&mut StdRng::seed_from_u64(1));
        wiped(&key);
        wiped(&key.expose());
    }
}
