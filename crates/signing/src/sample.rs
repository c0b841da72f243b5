//! The dry run of a profile.

use std::time::Duration;

use crate::key::KeyForm;
use crate::message::Values;
use crate::{
    InvalidProfile, KeyError, Message, Profile, Received, Secret, SecretError, SecretKind, SignError, Signer,
    Verifier, VerifyError,
};

/// What a profile sends, by way of example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// The headers, as they are sent.
    pub headers: Vec<(String, String)>,
    /// The text that was signed.
    pub signed: String,
}

/// Secrets that everybody knows, in the forms that profiles take: two of each, as in a rotation.
const SHARED: [&str; 2] =
    ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"];
const HEX: [&str; 2] =
    ["31f290f6bf06298aab4f08d43c3f082cf648a362da2da4b0", "0b6155b0140886bb1c0a195020c57e6f9b1262ca686e8a03"];
const PRIVATE: [&str; 2] = [
    "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbc=",
    "whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=",
];

const MESSAGE: Message<'_> = Message {
    id: "evt_01979d1c3f5e7a2b8c4d6e8f0a1b2c3d",
    topic: "order.paid",
    time_ms: 1_764_000_000_000,
    method: "POST",
    url: "https://example.com/hooks",
    body: br#"{"type":"order.paid","timestamp":"2025-11-24T16:00:00Z","data":{"order":42}}"#,
};

/// What can go wrong in a dry run.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Sign(#[from] SignError),
    #[error(transparent)]
    Verify(#[from] VerifyError),
}

impl Profile {
    /// Signs a sample with a secret that everybody knows, and verifies what comes of it, also while that secret is being
    /// rotated out.
    ///
    /// # Errors
    ///
    /// [`InvalidProfile`] where what is sent could not be verified.
    pub fn dry_run(&self) -> Result<Sample, InvalidProfile> {
        self.rehearse().map_err(|failure| {
            InvalidProfile::new("", format!("what it sends cannot be verified: {failure}"))
        })
    }

    fn rehearse(&self) -> Result<Sample, Failure> {
        let (current, retiring) = (self.sample_secrets(0)?, self.sample_secrets(1)?);
        let headers = sign(self, &current)?;
        verify(self, &current, &headers)?;
        if self.carries_several() {
            let both = sign(self, current.iter().chain(&retiring))?;
            verify(self, &current, &both)?;
            verify(self, &retiring, &both)?;
        }
        let values = Values::of_message(self.format(), &MESSAGE)?;
        let signed = values.parts(&self.format().signed).concat();
        Ok(Sample { headers, signed: String::from_utf8_lossy(&signed).into_owned() })
    }

    /// One of the sample secrets of each kind.
    fn sample_secrets(&self, which: usize) -> Result<Vec<Secret>, SecretError> {
        let hex = self.format().schemes.iter().any(|scheme| scheme.key_form() == Some(KeyForm::Hex));
        let text = |kind| match kind {
            SecretKind::Shared if hex => HEX[which],
            SecretKind::Shared => SHARED[which],
            SecretKind::Ed25519 => PRIVATE[which],
        };
        self.kinds().into_iter().map(|kind| Secret::parse(text(kind))).collect()
    }
}

fn sign<'s>(
    profile: &Profile,
    secrets: impl IntoIterator<Item = &'s Secret>,
) -> Result<Vec<(String, String)>, Failure> {
    let signer = Signer::new(profile, secrets)?;
    let headers = signer.headers(&MESSAGE)?;
    Ok(headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// Each secret must do on its own: a subscriber may have one of two kinds.
fn verify(profile: &Profile, secrets: &[Secret], headers: &[(String, String)]) -> Result<(), Failure> {
    let Message { method, url, body, time_ms, .. } = MESSAGE;
    let header = |name: &str| {
        headers.iter().find(|(sent, _)| sent.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    };
    for secret in secrets {
        let verifier = Verifier::new(profile, [&secret.clone().into()])?;
        verifier.verify(header, &Received { method, url, body }, time_ms / 1_000, Duration::ZERO)?;
    }
    Ok(())
}
