//! Sealing at rest: what the store holds of a secret.
//!
//! | bytes | content |
//! |---|---|
//! | 1 | version of this layout, 1 |
//! | 4 | [`KeyId`] of the key that sealed |
//! | 24 | nonce |
//! | n + 16 | XChaCha20-Poly1305 ciphertext and tag (draft-irtf-cfrg-xchacha-03) |
//!
//! The associated data is the first five bytes followed by the record.

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use rand::CryptoRng;
use zeroize::Zeroizing;

use crate::{EncryptionKey, KeyId, Secret};

const VERSION: u8 = 1;
const TAG_LEN: usize = 16;

/// Encrypts secrets for the store and decrypts them again, each bound to the record that it belongs to.
///
/// The binding keeps one who can write to the store from moving a sealed secret to a record of his own.
#[derive(Debug)]
pub struct Sealer {
    key: EncryptionKey,
    key_id: KeyId,
}

/// Why something was not sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The plaintext exceeds what XChaCha20-Poly1305 can encrypt (256 GiB).
    #[error("too long to be sealed")]
    TooLong,
    /// Cut off: the fixed parts are not all there.
    #[error("the sealed bytes are too short")]
    TooShort,
    /// Written by a newer release, or no sealed bytes at all.
    #[error("sealed in layout version {0}, only version {VERSION} is known")]
    UnknownVersion(u8),
    /// Sealed with another key than the one configured.
    #[error("sealed with the encryption key {sealed_with}, but the configured key is {configured}")]
    WrongKey {
        /// Key that sealed.
        sealed_with: KeyId,
        /// Key of this [`Sealer`].
        configured: KeyId,
    },
    /// The bytes were altered, or belong to another record. (The cipher does not say which, so its error, which
    /// is empty by design, is left out.)
    #[error("the sealed bytes were altered or belong to another record")]
    Refused,
    /// They opened, but to something that is no [`Secret`].
    #[error("what was sealed is no webhook secret")]
    NoSecret,
}

impl Sealer {
    /// A sealer that uses `key` for everything.
    #[must_use]
    pub fn new(key: EncryptionKey) -> Self {
        Self { key_id: key.id(), key }
    }

    /// Encrypts `plaintext` so that it opens only for the same `record`, such as `b"endpoint:ep_…"`.
    ///
    /// The nonce is drawn from `rng`; 24 random bytes do not repeat.
    ///
    /// # Errors
    ///
    /// [`SealError::TooLong`].
    pub fn seal(
        &self,
        plaintext: &[u8],
        record: &[u8],
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0; 24];
        rng.fill_bytes(&mut nonce);
        let aad = self.associated_data(record);
        let ciphertext = self
            .cipher()
            .encrypt((&nonce).into(), Payload { msg: plaintext, aad: &aad })
            .map_err(|_| SealError::TooLong)?;
        Ok([[VERSION].as_slice(), &self.key_id.0, &nonce, &ciphertext].concat())
    }

    /// Decrypts what [`seal`](Self::seal) made for the same `record`.
    ///
    /// # Errors
    ///
    /// Every [`SealError`] but [`TooLong`](SealError::TooLong) and [`NoSecret`](SealError::NoSecret).
    pub fn open(&self, sealed: &[u8], record: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let (&version, rest) = sealed.split_first().ok_or(SealError::TooShort)?;
        if version != VERSION {
            return Err(SealError::UnknownVersion(version));
        }
        let (&key_id, rest) = rest.split_first_chunk().ok_or(SealError::TooShort)?;
        let (nonce, ciphertext) = rest.split_first_chunk::<24>().ok_or(SealError::TooShort)?;
        if ciphertext.len() < TAG_LEN {
            return Err(SealError::TooShort);
        }
        if key_id != self.key_id.0 {
            return Err(SealError::WrongKey { sealed_with: KeyId(key_id), configured: self.key_id });
        }
        let aad = self.associated_data(record);
        self.cipher()
            .decrypt(nonce.into(), Payload { msg: ciphertext, aad: &aad })
            .map(Zeroizing::new)
            .map_err(|_| SealError::Refused)
    }

    /// Encrypts the text of a secret, as [`seal`](Self::seal) does.
    ///
    /// # Errors
    ///
    /// [`SealError::TooLong`].
    pub fn seal_secret(
        &self,
        secret: &Secret,
        record: &[u8],
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Vec<u8>, SealError> {
        self.seal(secret.expose().as_bytes(), record, rng)
    }

    /// Decrypts what [`seal_secret`](Self::seal_secret) made for the same `record`.
    ///
    /// # Errors
    ///
    /// Every [`SealError`] but [`TooLong`](SealError::TooLong).
    pub fn open_secret(&self, sealed: &[u8], record: &[u8]) -> Result<Secret, SealError> {
        Secret::from_sealed(&self.open(sealed, record)?).ok_or(SealError::NoSecret)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(self.key.bytes().into())
    }

    /// The version is authenticated too, so that a later layout cannot be passed off as this one.
    fn associated_data(&self, record: &[u8]) -> Vec<u8> {
        [[VERSION].as_slice(), &self.key_id.0, record].concat()
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::prelude::BASE64_STANDARD;
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    const RECORD: &[u8] = b"endpoint:ep_1";

    fn sealer(fill: u8) -> Sealer {
        Sealer::new(EncryptionKey::generate(&mut StdRng::seed_from_u64(fill.into())))
    }

    fn seal(plaintext: &[u8]) -> Vec<u8> {
        sealer(1).seal(plaintext, RECORD, &mut StdRng::seed_from_u64(9)).unwrap()
    }

    #[track_caller]
    fn check(sealer: &Sealer, sealed: &[u8], record: &[u8], expect: Result<&[u8], SealError>) {
        let opened = sealer.open(sealed, record);
        assert_eq!(opened.as_deref().map(Vec::as_slice), expect.as_ref().copied());
    }

    #[test]
    fn layout_1_stays_as_it_is() {
        // Made by libsodium: a key of 32 zero bytes, the nonce 0, 1, 2 ... 23.
        let sealed = "AWZoeq0AAQIDBAUGBwgJCgsMDQ4PEBESExQVFhfQtpY3glgAzaGluvO+pueJFM9FGiyh63Y=";
        let key = BASE64_STANDARD.encode([0; 32]).parse().unwrap();
        check(&Sealer::new(key), &BASE64_STANDARD.decode(sealed).unwrap(), RECORD, Ok(b"material"));
    }

    #[test]
    fn opens_only_with_its_key_for_its_record() {
        let (ours, other) = (sealer(1), sealer(2));
        let sealed = seal(b"material");
        check(&ours, &sealed, RECORD, Ok(b"material"));
        check(&ours, &sealed, b"endpoint:ep_2", Err(SealError::Refused));
        check(&ours, &sealed, b"endpoint:ep_", Err(SealError::Refused));
        check(&ours, &sealed, b"", Err(SealError::Refused));
        let wrong_key = SealError::WrongKey { sealed_with: ours.key_id, configured: other.key_id };
        check(&other, &sealed, RECORD, Err(wrong_key));
        assert!(wrong_key.to_string().contains(&ours.key_id.to_string()));
    }

    #[test]
    fn a_key_with_the_same_id_is_still_another_key() {
        let impostor = Sealer { key_id: sealer(1).key_id, ..sealer(2) };
        check(&impostor, &seal(b"material"), RECORD, Err(SealError::Refused));
    }

    #[test]
    fn every_shortened_or_foreign_layout_is_refused() {
        let ours = sealer(1);
        let sealed = seal(b"");
        check(&ours, &sealed, RECORD, Ok(b""));
        for length in 0..sealed.len() {
            check(&ours, &sealed[..length], RECORD, Err(SealError::TooShort));
        }
        let sealed = seal(b"material");
        check(&ours, &sealed[..sealed.len() - 1], RECORD, Err(SealError::Refused));
        check(&ours, &[2], RECORD, Err(SealError::UnknownVersion(2)));
        check(&ours, b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", RECORD, Err(SealError::UnknownVersion(b'w')));
    }

    #[test]
    fn sealing_twice_uses_two_nonces() {
        let (ours, mut rng) = (sealer(1), StdRng::seed_from_u64(9));
        let mut seal = || ours.seal(b"material", RECORD, &mut rng).unwrap();
        let (first, second) = (seal(), seal());
        assert_ne!(first[5..29], second[5..29]);
        assert_ne!(first[29..], second[29..]);
    }

    #[test]
    fn a_secret_survives_the_store() {
        let (ours, mut rng) = (sealer(1), StdRng::seed_from_u64(3));
        for secret in [Secret::generate(&mut rng), Secret::generate_ed25519(&mut rng)] {
            let sealed = ours.seal_secret(&secret, RECORD, &mut rng).unwrap();
            assert_eq!(ours.open_secret(&sealed, RECORD), Ok(secret));
            assert_eq!(ours.open_secret(&sealed, b"endpoint:ep_2"), Err(SealError::Refused));
        }
        assert_eq!(ours.open_secret(&seal(&[0; 32]), RECORD), Err(SealError::NoSecret));
    }

    proptest! {
        #[test]
        fn what_was_sealed_opens_and_is_not_in_the_clear(
            plaintext in prop::collection::vec(any::<u8>(), 8..200),
            record in prop::collection::vec(any::<u8>(), 0..60),
            seed: u64,
        ) {
            let sealed = sealer(1).seal(&plaintext, &record, &mut StdRng::seed_from_u64(seed)).unwrap();
            prop_assert!(!sealed.windows(plaintext.len()).any(|window| window == plaintext));
            prop_assert_eq!(&*sealer(1).open(&sealed, &record).unwrap(), &plaintext);
        }

        #[test]
        fn every_flipped_byte_is_refused(
            plaintext in prop::collection::vec(any::<u8>(), 0..80),
            flip in 1..=u8::MAX,
        ) {
            let (ours, sealed) = (sealer(1), seal(&plaintext));
            for at in 0..sealed.len() {
                let mut altered = sealed.clone();
                altered[at] ^= flip;
                let error = ours.open(&altered, RECORD).unwrap_err();
                match at {
                    0 => prop_assert_eq!(error, SealError::UnknownVersion(VERSION ^ flip)),
                    1..5 => {
                        let is_wrong_key = matches!(error, SealError::WrongKey { .. });
                        prop_assert!(is_wrong_key, "{:?}", error);
                    }
                    _ => prop_assert_eq!(error, SealError::Refused),
                }
            }
        }
    }
}
