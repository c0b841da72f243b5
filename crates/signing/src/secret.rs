//! What a sender signs with.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ed25519_dalek::{KEYPAIR_LENGTH, SECRET_KEY_LENGTH, SigningKey};
use rand::CryptoRng;
use subtle::ConstantTimeEq;
use zeroize::{ZeroizeOnDrop, Zeroizing};

use crate::PublicKey;
use crate::weakness::weakness;

/// What a secret that is shared usually begins with (Standard Webhooks 1.0.0, "Signature scheme").
pub(crate) const SHARED_PREFIX: &str = "whsec_";
/// What a private key always begins with.
const PRIVATE_PREFIX: &str = "whsk_";

/// The secret of one endpoint: a text that sender and subscriber share, or an ed25519 private key.
///
/// It keeps its text, because what the key is depends on the profile: one takes the text as it is, another what its
/// base64 stands for. [`Profile::accepts`](crate::Profile::accepts) tells whether a profile can use it.
///
/// | text | what it is |
/// |---|---|
/// | `whsec_` + base64 | shared, as Standard Webhooks writes it, and as it is generated |
/// | `whsk_` + base64 of 32 or 64 bytes | an ed25519 seed, or a seed and its public key |
/// | anything else | shared, as another system made it: visible ASCII, spaces inside it included |
///
/// Equality takes the same time wherever two secrets differ.
#[derive(Clone, ZeroizeOnDrop)]
pub struct Secret {
    text: String,
}

/// What kind of signatures a secret makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SecretKind {
    /// HMAC: who verifies could sign, too.
    Shared,
    /// ed25519: who verifies has the public key only.
    Ed25519,
}

/// Why a text is no [`Secret`]. Never repeats what it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// Nothing, or nothing after the prefix.
    #[error("the webhook secret is empty")]
    Empty,
    /// It begins or ends in a space or a line break: a trace of copying.
    #[error("the webhook secret begins or ends with white space")]
    Surrounded,
    /// It has other characters than the visible ones of ASCII.
    #[error("the webhook secret has characters other than visible ASCII")]
    NotVisible,
    /// Too short to be safe.
    #[error(
        "the webhook secret has {length} characters after its prefix, at least {} are needed",
        Secret::MIN_LENGTH
    )]
    TooShort {
        /// Its length, without `whsec_`.
        length: usize,
    },
    /// Longer than any secret needs to be.
    #[error(
        "the webhook secret has {length} characters after its prefix, at most {} are allowed",
        Secret::MAX_LENGTH
    )]
    TooLong {
        /// Its length, without `whsec_`.
        length: usize,
    },
    /// Long enough, but easy to guess.
    #[error("the webhook secret is weak: {0}")]
    Weak(&'static str),
    /// What follows `whsk_` is not the base64 of 32 or 64 bytes.
    #[error(
        "what follows whsk_ must be the base64 of an ed25519 private key: 32 bytes, or 64 with the public key"
    )]
    NotAPrivateKey,
    /// The public half of a key pair does not belong to the private one.
    #[error("the two halves of the ed25519 key pair do not belong together")]
    Mismatched,
    /// A public key, where a secret is expected.
    #[error("whpk_ is a public key, which signs nothing: the private key begins with whsk_")]
    Public,
}

impl Secret {
    /// Fewest characters of a shared secret, without its prefix.
    pub const MIN_LENGTH: usize = 24;
    /// Most characters of a shared secret, without its prefix.
    pub const MAX_LENGTH: usize = 256;
    /// Fewest bytes of a key that is written in base64 or hex (Standard Webhooks 1.0.0: 192 bits).
    pub const MIN_BYTES: usize = 24;
    /// Most bytes of such a key (Standard Webhooks 1.0.0: 512 bits).
    pub const MAX_BYTES: usize = 64;
    /// Bytes of a shared secret that is generated.
    const GENERATED_BYTES: usize = 32;

    /// A new shared secret: `whsec_` and the base64 of 32 random bytes.
    ///
    /// What suits a profile is made by [`Profile::generate`](crate::Profile::generate).
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        Self::keep(prefixed(SHARED_PREFIX, random(rng).as_slice()))
    }

    /// A new shared secret that is 64 hex digits.
    pub(crate) fn generate_hex(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        Self::keep(base16ct::lower::encode_string(random(rng).as_slice()))
    }

    /// A new ed25519 private key: `whsk_` and the base64 of its seed and its public key, as most libraries have it.
    pub fn generate_ed25519(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let key = SigningKey::from_bytes(&random(rng));
        Self::keep(prefixed(PRIVATE_PREFIX, Zeroizing::new(key.to_keypair_bytes()).as_slice()))
    }

    /// Reads a secret, and refuses one that is weak.
    ///
    /// # Errors
    ///
    /// [`SecretError`], one variant per reason.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let secret = Self::keep(text.to_owned());
        secret.judge()?;
        Ok(secret)
    }

    /// Reads a secret however weak it is, and tells what makes it so.
    pub(crate) fn of_sender(text: &str) -> Result<(Self, Option<SecretError>), SecretError> {
        let secret = Self::keep(text.to_owned());
        secret.judge_form()?;
        let weakness = secret.judge_strength().err();
        Ok((secret, weakness.filter(|error| !matches!(error, SecretError::TooLong { .. }))))
    }

    /// What was sealed: it was judged when it came in, and goes on working should the rules get stricter.
    pub(crate) fn from_sealed(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok().filter(|text| text.bytes().all(is_visible))?;
        Some(Self::keep(text.to_owned()))
    }

    /// Reveals the text, prefix included: for the subscriber who must configure it, and for sealing.
    #[must_use]
    pub fn expose(&self) -> Zeroizing<String> {
        Zeroizing::new(self.text.clone())
    }

    /// What kind of signatures it makes.
    #[must_use]
    pub fn kind(&self) -> SecretKind {
        if self.text.starts_with(PRIVATE_PREFIX) { SecretKind::Ed25519 } else { SecretKind::Shared }
    }

    /// What a subscriber gets to verify with, if this is a private key.
    #[must_use]
    pub fn public_key(&self) -> Option<PublicKey> {
        self.private_key().map(|key| PublicKey::of(&key))
    }

    /// The private key; none: it is a shared secret.
    pub(crate) fn private_key(&self) -> Option<SigningKey> {
        let encoded = self.text.strip_prefix(PRIVATE_PREFIX)?;
        key_pair(encoded).ok()
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    fn keep(text: String) -> Self {
        Self { text }
    }

    fn judge(&self) -> Result<(), SecretError> {
        self.judge_form()?;
        self.judge_strength()
    }

    /// Whether it is a secret at all.
    fn judge_form(&self) -> Result<(), SecretError> {
        let text = self.text.as_str();
        if text.trim() != text {
            return Err(SecretError::Surrounded);
        }
        if !text.bytes().all(is_visible) {
            return Err(SecretError::NotVisible);
        }
        if text.starts_with(PublicKey::PREFIX) {
            return Err(SecretError::Public);
        }
        if let Some(encoded) = text.strip_prefix(PRIVATE_PREFIX) {
            return key_pair(encoded).map(drop);
        }
        if self.body().is_empty() { Err(SecretError::Empty) } else { Ok(()) }
    }

    /// Whether it is hard to guess.
    fn judge_strength(&self) -> Result<(), SecretError> {
        if let Some(key) = self.private_key() {
            return weakness(key.as_bytes()).map_or(Ok(()), |why| Err(SecretError::Weak(why)));
        }
        let body = self.body();
        match body.len() {
            length if length < Self::MIN_LENGTH => return Err(SecretError::TooShort { length }),
            length if length > Self::MAX_LENGTH => return Err(SecretError::TooLong { length }),
            _ => {}
        }
        // Base64 makes what is weak look strong.
        let decoded = decoded(&self.text).and_then(|bytes| weakness(&bytes));
        weakness(body.as_bytes()).or(decoded).map_or(Ok(()), |why| Err(SecretError::Weak(why)))
    }

    /// The text without the prefix of shared secrets.
    fn body(&self) -> &str {
        self.text.strip_prefix(SHARED_PREFIX).unwrap_or(&self.text)
    }
}

/// What the base64 of a shared secret stands for; none: it is not base64.
pub(crate) fn decoded(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    from_base64(text.strip_prefix(SHARED_PREFIX).unwrap_or(text))
}

/// Decodes standard, padded base64 (RFC 4648 §4). The decoder's error is left out: it quotes the input.
pub(crate) fn from_base64(encoded: &str) -> Option<Zeroizing<Vec<u8>>> {
    // Room for all of it at once: growing would leave unwiped copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(encoded.len()));
    BASE64_STANDARD.decode_vec(encoded, &mut bytes).ok()?;
    Some(bytes)
}

/// A seed, or a seed and its public key as libsodium has them.
fn key_pair(encoded: &str) -> Result<SigningKey, SecretError> {
    let bytes = from_base64(encoded).ok_or(SecretError::NotAPrivateKey)?;
    if let Ok(seed) = <&[u8; SECRET_KEY_LENGTH]>::try_from(bytes.as_slice()) {
        return Ok(SigningKey::from_bytes(seed));
    }
    let pair: &[u8; KEYPAIR_LENGTH] = bytes.as_slice().try_into().map_err(|_| SecretError::NotAPrivateKey)?;
    SigningKey::from_keypair_bytes(pair).map_err(|_| SecretError::Mismatched)
}

fn random(rng: &mut (impl CryptoRng + ?Sized)) -> Zeroizing<[u8; Secret::GENERATED_BYTES]> {
    let mut bytes = Zeroizing::new([0; Secret::GENERATED_BYTES]);
    rng.fill_bytes(bytes.as_mut_slice());
    bytes
}

fn prefixed(prefix: &str, bytes: &[u8]) -> String {
    let mut text = String::with_capacity(prefix.len() + bytes.len().div_ceil(3) * 4);
    text.push_str(prefix);
    BASE64_STANDARD.encode_string(bytes, &mut text);
    text
}

fn is_visible(byte: u8) -> bool {
    matches!(byte, b' '..=b'~')
}

impl FromStr for Secret {
    type Err = SecretError;

    fn from_str(text: &str) -> Result<Self, SecretError> {
        Self::parse(text)
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.text.as_bytes().ct_eq(other.text.as_bytes()).into()
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

    /// Published by Svix.
    const PAIR: &str =
        "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";

    #[track_caller]
    fn check(text: &str, expect: Result<SecretKind, SecretError>) {
        let parsed = Secret::parse(text);
        assert_eq!(parsed.as_ref().map(Secret::kind).map_err(|error| *error), expect);
        if let Ok(secret) = parsed {
            assert_eq!(*secret.expose(), text);
        }
    }

    #[test]
    fn reads_what_others_use() {
        check("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", Ok(SecretKind::Shared));
        check("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", Ok(SecretKind::Shared));
        check("It's a Secret to Everybody", Ok(SecretKind::Shared));
        check("8f742231b10e8888abcd99yyyzzz85a5", Ok(SecretKind::Shared));
        check("whsec_not base64 at all, but long enough", Ok(SecretKind::Shared));
        check(
            "pdl_ntfset_01gkpjp8bkm3tm53kdgkx6sms7_6h3qd3uFSi9YCD3OLYAShQI90XTI5vEI",
            Ok(SecretKind::Shared),
        );
        check(PAIR, Ok(SecretKind::Ed25519));
        check("whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbc=", Ok(SecretKind::Ed25519));
    }

    #[test]
    fn refuses_and_says_why() {
        check("", Err(SecretError::Empty));
        check("whsec_", Err(SecretError::Empty));
        check("It's a Secret to Nobody", Err(SecretError::TooShort { length: 23 }));
        check("whsec_It's a Secret to Nobody", Err(SecretError::TooShort { length: 23 }));
        check(&"It's a Secret to Everybody".repeat(10), Err(SecretError::TooLong { length: 260 }));
        check("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n", Err(SecretError::Surrounded));
        check(" It's a Secret to Everybody", Err(SecretError::Surrounded));
        check("It's a Secret\tto Everybody", Err(SecretError::NotVisible));
        check("It's a Secret to Everybodý", Err(SecretError::NotVisible));
        check("whsec_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", weak("it is made of very few different characters"));
        check(&format!("whsec_{}", BASE64_STANDARD.encode("hunter2!".repeat(4))), weak("it repeats itself"));
        check(&BASE64_STANDARD.encode((0..32).collect::<Vec<u8>>()), weak("it is a sequence"));
        check("whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=", Err(SecretError::Public));
    }

    #[test]
    fn refuses_what_is_no_private_key() {
        let private = |bytes: &[u8]| format!("whsk_{}", BASE64_STANDARD.encode(bytes));
        check("whsk_", Err(SecretError::NotAPrivateKey));
        check("whsk_not base64 at all, but long enough", Err(SecretError::NotAPrivateKey));
        check(&private(&[7; 31]), Err(SecretError::NotAPrivateKey));
        check(&private(&[7; 65]), Err(SecretError::NotAPrivateKey));
        check(&private(&[7; 64]), Err(SecretError::Mismatched));
        check(&private(&[0; 32]), weak("it is made of very few different characters"));
    }

    fn weak(why: &'static str) -> Result<SecretKind, SecretError> {
        Err(SecretError::Weak(why))
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
        check_message(
            "hunter2!",
            "the webhook secret has 8 characters after its prefix, at least 24 are needed",
        );
        check_message("hunter2!".repeat(3).as_str(), "the webhook secret is weak: it repeats itself");
        check_message("whsk_hunter2!", &SecretError::NotAPrivateKey.to_string());
    }

    #[test]
    fn generates_what_it_accepts() {
        let mut rng = StdRng::seed_from_u64(1);
        let makers: [fn(&mut StdRng) -> Secret; 3] =
            [|rng| Secret::generate(rng), Secret::generate_hex, Secret::generate_ed25519];
        for (make, length) in makers.into_iter().zip([50, 64, 93]) {
            let (first, second) = (make(&mut rng), make(&mut rng));
            assert_ne!(first, second);
            assert_eq!(first.expose().len(), length);
            assert_eq!(Secret::parse(&first.expose()).unwrap(), first);
        }
    }

    #[test]
    fn a_seed_and_a_key_pair_are_the_same_key() {
        let public = |text: &str| Secret::parse(text).unwrap().public_key().map(|key| key.to_string());
        let expect = Some("whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=".to_owned());
        assert_eq!(public(PAIR), expect);
        assert_eq!(public("whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbc="), expect);
        assert_eq!(public("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), None);
    }

    #[test]
    fn what_was_sealed_is_not_judged_again() {
        assert!(Secret::from_sealed(b"once good enough").is_some());
        assert!(Secret::from_sealed(&[0; 32]).is_none());
        assert!(Secret::from_sealed("Everybodý".as_bytes()).is_none());
    }

    #[test]
    fn equality_is_of_the_text() {
        let [secret, other] =
            ["once good enough", "once good enougH"].map(|text| Secret::from_sealed(text.as_bytes()));
        assert_eq!(secret, secret.clone());
        assert_ne!(secret, other);
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
        fn what_is_sealed_is_opened(seed: u64) {
            let secret = Secret::generate(&mut StdRng::seed_from_u64(seed));
            prop_assert!(secret.expose().starts_with("whsec_"));
            prop_assert_eq!(decoded(&secret.expose()).unwrap().len(), 32);
            prop_assert_eq!(Secret::from_sealed(secret.expose().as_bytes()).unwrap(), secret);
        }

        #[test]
        fn no_text_makes_it_panic(prefix in "(whsec_|whsk_|whpk_)?", text in any::<String>()) {
            let _ = Secret::parse(&(prefix + &text));
        }
    }
}
