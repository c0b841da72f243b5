//! What a receiver checks signatures with.

use std::str::FromStr;

use crate::{InvalidPublicKey, PublicKey, Secret, SecretError};

/// What a subscriber was given to verify with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// The secret that it shares with the sender.
    Secret(Secret),
    /// The public half of the sender's key.
    PublicKey(PublicKey),
}

/// A text that is neither a [`Secret`] nor a [`PublicKey`]. Never repeats what it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCredential {
    /// It is no secret.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// It begins with `whpk_` and is no public key.
    #[error(transparent)]
    PublicKey(#[from] InvalidPublicKey),
}

impl Credential {
    /// Reads what a sender gave out, and tells what is weak about it: who verifies has no choice.
    ///
    /// # Errors
    ///
    /// [`InvalidCredential`] where it is no secret or public key at all.
    pub fn of_sender(text: &str) -> Result<(Self, Option<SecretError>), InvalidCredential> {
        if text.starts_with(PublicKey::PREFIX) {
            return Ok((text.parse()?, None));
        }
        let (secret, weakness) = Secret::of_sender(text)?;
        Ok((Self::Secret(secret), weakness))
    }
}

impl FromStr for Credential {
    type Err = InvalidCredential;

    fn from_str(text: &str) -> Result<Self, InvalidCredential> {
        if text.starts_with(PublicKey::PREFIX) {
            return Ok(Self::PublicKey(text.parse()?));
        }
        Ok(Self::Secret(text.parse()?))
    }
}

impl From<Secret> for Credential {
    fn from(secret: Secret) -> Self {
        Self::Secret(secret)
    }
}

impl From<PublicKey> for Credential {
    fn from(key: PublicKey) -> Self {
        Self::PublicKey(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_tells_a_public_key() {
        let public = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=";
        assert_eq!(public.parse::<Credential>(), Ok(public.parse::<PublicKey>().unwrap().into()));
        let shared = "It's a Secret to Everybody";
        assert_eq!(shared.parse::<Credential>(), Ok(shared.parse::<Secret>().unwrap().into()));
        assert_eq!("whpk_".parse::<Credential>(), Err(InvalidPublicKey.into()));
        assert_eq!("".parse::<Credential>(), Err(SecretError::Empty.into()));
    }

    #[track_caller]
    fn check(text: &str, expect: Result<Option<SecretError>, SecretError>) {
        let read = Credential::of_sender(text).map(|(_, weakness)| weakness);
        assert_eq!(read, expect.map_err(InvalidCredential::from));
    }

    #[test]
    fn a_sender_may_have_given_out_a_weak_one() {
        check("It's a Secret to Everybody", Ok(None));
        check("whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=", Ok(None));
        check("hunter2!", Ok(Some(SecretError::TooShort { length: 8 })));
        check("whsec_aHVudGVyMiE=", Ok(Some(SecretError::TooShort { length: 12 })));
        check(&"It's a Secret to Everybody".repeat(10), Ok(None));
        let twice = Ok(Some(SecretError::Weak("it repeats itself")));
        check("hunter2!hunter2!hunter2!", twice);
        check("", Err(SecretError::Empty));
        check("whsec_", Err(SecretError::Empty));
        check(" hunter2!", Err(SecretError::Surrounded));
        check("hünter2!", Err(SecretError::NotVisible));
        check("whsk_hunter2!", Err(SecretError::NotAPrivateKey));
    }
}
