//! Proving that a secret is held, without showing it.

use crate::key::{Algorithm, Hash, MacKey};
use crate::{KeyError, Profile, Secret, SecretKind};

impl Profile {
    /// What whoever holds a shared secret makes of a challenge: HMAC-SHA256 in lower-case hex. The key is the one that the
    /// profile signs with, whatever hash that is for.
    ///
    /// # Errors
    ///
    /// [`KeyError`] where the profile has no use for the secret, or it is no shared one.
    pub fn proof(&self, secret: &Secret, challenge: &str) -> Result<String, KeyError> {
        match self.format().algorithm_for(SecretKind::Shared)? {
            Algorithm::Hmac(_, form) if secret.kind() == SecretKind::Shared => {
                let key = MacKey::new(Hash::Sha256, &form.read(secret.text())?)?;
                Ok(key.mac(&[challenge.as_bytes()], base16ct::lower::encode_string))
            }
            Algorithm::Hmac(..) => Err(KeyError::Ed25519),
            Algorithm::Ed25519 => Err(KeyError::Shared),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARED: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    #[track_caller]
    fn check(profile: &str, secret: &str, expect: Result<&str, KeyError>) {
        let proof = Profile::parse(profile).unwrap().proof(&secret.parse().unwrap(), "challenge");
        assert_eq!(proof, expect.map(str::to_owned));
    }

    /// Computed by `openssl dgst -sha256 -mac HMAC`.
    #[test]
    fn the_key_is_that_of_the_profile() {
        let decoded = "77aa528a07ba8e635bd1ae509a642a040d94677187d117e712d85880676958e9";
        let as_it_is = "994ca9ea4cc2f48f62d264307837a0d87f30489cb4798b74e6dd0d0cd1316c66";
        check(r#"{"profile": "standard"}"#, SHARED, Ok(decoded));
        check(r#"{"profile": "standard", "versions": ["v1a", "v1"]}"#, SHARED, Ok(decoded));
        check(r#"{"profile": "stripe"}"#, SHARED, Ok(as_it_is));
        check(r#"{"profile": "github"}"#, SHARED, Ok(as_it_is));
    }

    #[test]
    fn a_key_pair_proves_nothing_so() {
        let pair = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbc=";
        check(r#"{"profile": "standard"}"#, pair, Err(KeyError::Ed25519));
        check(r#"{"profile": "standard", "versions": ["v1a"]}"#, pair, Err(KeyError::Shared));
        check(r#"{"profile": "standard", "versions": ["v1a"]}"#, SHARED, Err(KeyError::Shared));
    }
}
