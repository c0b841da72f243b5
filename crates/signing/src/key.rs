//! From secrets to keys, and from keys to the bytes of signatures.

use ed25519_dalek::ed25519::signature::MultipartSigner as _;
use ed25519_dalek::{Signature, SigningKey, VerifyingKey};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Sha256, Sha512};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::secret::decoded;
use crate::{Credential, Secret, SecretKind};

/// Why a profile cannot use a secret. Never repeats it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The profile's key is what the base64 of the secret stands for, and it is not base64.
    #[error("the profile takes a secret that is base64, with or without whsec_ before it")]
    NotBase64,
    /// The profile's key is what the hex digits of the secret stand for, and it is not hex.
    #[error("the profile takes a secret that is hex digits")]
    NotHex,
    /// Decoded, the key is shorter or longer than it may be.
    #[error(
        "decoded, the secret has {bytes} bytes; the profile takes {} to {}",
        Secret::MIN_BYTES,
        Secret::MAX_BYTES
    )]
    WrongLength {
        /// Length of the decoded key.
        bytes: usize,
    },
    /// The profile signs with ed25519, and the secret is a shared one.
    #[error(
        "the profile signs with ed25519: it takes a private key, whsk_, and its subscriber the public one, whpk_"
    )]
    Shared,
    /// The profile signs by HMAC. A private key that is shared is private no longer.
    #[error("the profile signs by HMAC: it takes a shared secret, not an ed25519 key")]
    Ed25519,
    /// There is no secret for one of the profile's signatures.
    #[error("the profile makes {} signatures, for which there is no secret", match .0 {
        SecretKind::Shared => "HMAC",
        SecretKind::Ed25519 => "ed25519",
    })]
    Missing(SecretKind),
}

/// How a signature is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Hmac(Hash, KeyForm),
    Ed25519,
}

/// The hash of an HMAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hash {
    Sha1,
    Sha256,
    Sha512,
}

/// How the key of an HMAC is read from the text of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyForm {
    /// The text as it is, prefix included.
    Raw,
    /// What the base64 after the prefix stands for.
    Base64,
    /// What the hex digits stand for.
    Hex,
}

/// What makes signatures.
#[derive(Clone)]
pub(crate) enum Key {
    Hmac(MacKey),
    Ed25519(SigningKey),
}

/// What signatures are checked with.
pub(crate) enum CheckKey {
    Hmac(MacKey),
    Ed25519(VerifyingKey),
}

/// An HMAC key (RFC 2104) with its schedule computed.
#[derive(Clone)]
pub(crate) enum MacKey {
    Sha1(Hmac<Sha1>),
    Sha256(Hmac<Sha256>),
    Sha512(Hmac<Sha512>),
}

impl Algorithm {
    /// The kind of secret that it takes.
    pub(crate) fn kind(self) -> SecretKind {
        match self {
            Self::Hmac(..) => SecretKind::Shared,
            Self::Ed25519 => SecretKind::Ed25519,
        }
    }

    /// The key of a secret.
    pub(crate) fn key(self, secret: &Secret) -> Result<Key, KeyError> {
        match self {
            Self::Hmac(..) if secret.kind() == SecretKind::Ed25519 => Err(KeyError::Ed25519),
            Self::Hmac(hash, form) => Ok(Key::Hmac(MacKey::new(hash, &form.read(secret.text())?)?)),
            Self::Ed25519 => secret.private_key().map(Key::Ed25519).ok_or(KeyError::Shared),
        }
    }

    /// What a subscriber checks with.
    pub(crate) fn check_key(self, credential: &Credential) -> Result<CheckKey, KeyError> {
        match (self, credential) {
            (Self::Hmac(..), Credential::Secret(secret)) if secret.kind() == SecretKind::Ed25519 => {
                Err(KeyError::Ed25519)
            }
            // Of any length: it is the sender who chose it.
            (Self::Hmac(hash, form), Credential::Secret(secret)) => {
                Ok(CheckKey::Hmac(MacKey::new(hash, &form.decode(secret.text())?)?))
            }
            (Self::Ed25519, Credential::Secret(secret)) => {
                let key = secret.private_key().ok_or(KeyError::Shared)?;
                Ok(CheckKey::Ed25519(key.verifying_key()))
            }
            (Self::Ed25519, Credential::PublicKey(key)) => Ok(CheckKey::Ed25519(key.verifying_key())),
            (Self::Hmac(..), Credential::PublicKey(_)) => Err(KeyError::Ed25519),
        }
    }
}

impl KeyForm {
    /// The bytes of the key that is meant by a text, of a length that is safe to sign with.
    pub(crate) fn read(self, text: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let bytes = self.decode(text)?;
        // The length of the text was judged when it came in.
        if self == Self::Raw {
            return Ok(bytes);
        }
        match bytes.len() {
            Secret::MIN_BYTES..=Secret::MAX_BYTES => Ok(bytes),
            bytes => Err(KeyError::WrongLength { bytes }),
        }
    }

    /// The same, of any length.
    pub(crate) fn decode(self, text: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        match self {
            Self::Raw => Ok(Zeroizing::new(text.as_bytes().to_vec())),
            Self::Base64 => decoded(text).ok_or(KeyError::NotBase64),
            Self::Hex => from_hex(text).ok_or(KeyError::NotHex),
        }
    }
}

/// Decodes hex digits of either case.
pub(crate) fn from_hex(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(vec![0; text.len() / 2]);
    base16ct::mixed::decode(text, &mut bytes).ok()?;
    Some(bytes)
}

impl MacKey {
    /// Computes the schedule. HMAC takes keys of any length; one that did not would be told apart here.
    pub(crate) fn new(hash: Hash, key: &[u8]) -> Result<Self, KeyError> {
        let schedule = match hash {
            Hash::Sha1 => Hmac::new_from_slice(key).map(Self::Sha1),
            Hash::Sha256 => Hmac::new_from_slice(key).map(Self::Sha256),
            Hash::Sha512 => Hmac::new_from_slice(key).map(Self::Sha512),
        };
        schedule.map_err(|_| KeyError::WrongLength { bytes: key.len() })
    }

    /// Computes the MAC over the parts, one after the other, and hands its bytes on.
    pub(crate) fn mac<T>(&self, parts: &[&[u8]], with: impl FnOnce(&[u8]) -> T) -> T {
        match self {
            Self::Sha1(key) => with(&mac(key, parts)),
            Self::Sha256(key) => with(&mac(key, parts)),
            Self::Sha512(key) => with(&mac(key, parts)),
        }
    }
}

fn mac<M: Mac + Clone>(schedule: &M, parts: &[&[u8]]) -> hmac::digest::Output<M> {
    let mut mac = schedule.clone();
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes()
}

impl Key {
    /// Signs the parts, one after the other, and hands the signature's bytes on.
    pub(crate) fn sign<T>(&self, parts: &[&[u8]], with: impl FnOnce(&[u8]) -> T) -> T {
        match self {
            Self::Hmac(key) => key.mac(parts, with),
            Self::Ed25519(key) => with(&key.multipart_sign(parts).to_bytes()),
        }
    }
}

impl CheckKey {
    /// Whether these are the bytes of a signature over the parts.
    pub(crate) fn fits(&self, parts: &[&[u8]], signature: &[u8]) -> bool {
        match self {
            Self::Hmac(key) => key.mac(parts, |mac| mac.ct_eq(signature).into()),
            Self::Ed25519(key) => Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_strict(&parts.concat(), &signature).is_ok()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key of a secret, as its bytes.
    #[track_caller]
    fn check(form: KeyForm, secret: &str, expect: Result<&[u8], KeyError>) {
        assert_eq!(form.read(secret).as_deref().map(Vec::as_slice), expect.as_ref().copied());
    }

    #[test]
    fn the_form_says_what_the_key_is() {
        let published = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let bytes = [
            0x31, 0xf2, 0x90, 0xf6, 0xbf, 0x06, 0x29, 0x8a, 0xab, 0x4f, 0x08, 0xd4, 0x3c, 0x3f, 0x08, 0x2c,
            0xf6, 0x48, 0xa3, 0x62, 0xda, 0x2d, 0xa4, 0xb0,
        ];
        check(KeyForm::Raw, published, Ok(published.as_bytes()));
        check(KeyForm::Base64, published, Ok(&bytes));
        check(KeyForm::Base64, &published[6..], Ok(&bytes));
        check(KeyForm::Hex, "31f290f6bf06298aab4f08d43c3f082cf648a362da2da4b0", Ok(&bytes));
        check(KeyForm::Hex, "31F290F6BF06298AAB4F08D43C3F082CF648A362DA2DA4B0", Ok(&bytes));

        check(KeyForm::Base64, "It's a Secret to Everybody", Err(KeyError::NotBase64));
        check(KeyForm::Base64, "whsec_whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", Err(KeyError::NotBase64));
        check(KeyForm::Base64, "8f742231b10e8888abcd99ya", Err(KeyError::WrongLength { bytes: 18 }));
        check(KeyForm::Hex, published, Err(KeyError::NotHex));
        check(KeyForm::Hex, &"0".repeat(47), Err(KeyError::NotHex));
        check(KeyForm::Hex, "8f742231b10e8888abcd99ca", Err(KeyError::WrongLength { bytes: 12 }));
        check(KeyForm::Hex, &"5a".repeat(65), Err(KeyError::WrongLength { bytes: 65 }));
    }

    #[track_caller]
    fn check_kind(algorithm: Algorithm, credential: &str, expect: Option<KeyError>) {
        let credential: Credential = credential.parse().unwrap();
        assert_eq!(algorithm.check_key(&credential).err(), expect);
        if let Credential::Secret(secret) = &credential {
            assert_eq!(algorithm.key(secret).err(), expect);
        }
    }

    #[test]
    fn the_algorithm_says_what_kind_of_secret_it_takes() {
        let hmac = Algorithm::Hmac(Hash::Sha256, KeyForm::Raw);
        let (shared, private, public) = (
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbc=",
            "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=",
        );
        check_kind(hmac, shared, None);
        check_kind(hmac, private, Some(KeyError::Ed25519));
        check_kind(hmac, public, Some(KeyError::Ed25519));
        check_kind(Algorithm::Ed25519, shared, Some(KeyError::Shared));
        check_kind(Algorithm::Ed25519, private, None);
        check_kind(Algorithm::Ed25519, public, None);
    }

    #[track_caller]
    fn check_mac(hash: Hash, key: &[u8], expect: &str) {
        let parts: [&[u8]; 2] = [b"what do ya want ", b"for nothing?"];
        let key = MacKey::new(hash, key).unwrap();
        assert_eq!(key.mac(&parts, base16ct::lower::encode_string), expect);
    }

    #[test]
    fn the_macs_are_those_of_the_rfcs() {
        // RFC 2202 §3 and RFC 4231 §4.3, test case 2.
        check_mac(Hash::Sha1, b"Jefe", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
        check_mac(Hash::Sha256, b"Jefe", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        check_mac(
            Hash::Sha512,
            b"Jefe",
            "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fd\
             caeab1a34d4a6b4b636e070a38bce737",
        );
    }

    #[test]
    fn ed25519_is_that_of_the_rfc() {
        // RFC 8032 §7.1, test 2.
        let seed = from_hex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb").unwrap();
        let signing = SigningKey::from_bytes(seed.as_slice().try_into().unwrap());
        let check = CheckKey::Ed25519(signing.verifying_key());
        let expect = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c\
                      387b2eaeb4302aeeb00d291612bb0c00";
        let signature = Key::Ed25519(signing).sign(&[&[0x72]], <[u8]>::to_vec);
        assert_eq!(base16ct::lower::encode_string(&signature), expect);
        assert!(check.fits(&[&[0x72]], &signature));
        assert!(!check.fits(&[&[0x73]], &signature));
        assert!(!check.fits(&[&[0x72]], &signature[1..]));
    }
}
