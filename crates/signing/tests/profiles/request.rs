//! A signed request with all that is needed to check it.

use std::collections::BTreeMap;
use std::time::Duration;

use posthaste_signing::{Credential, Message, Profile, Received, Secret, Signer, Verifier, VerifyError};
use serde::{Deserialize, Serialize};

/// As the files of formats and vectors have it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    pub(crate) name: String,
    /// Where it comes from, if others have published it or its format.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) source: Option<String>,
    pub(crate) profile: Profile,
    /// The current ones first.
    pub(crate) secrets: Vec<String>,
    /// What a subscriber gets of those secrets that are private keys.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) public_keys: Vec<String>,
    pub(crate) id: String,
    pub(crate) topic: String,
    pub(crate) timestamp_ms: i64,
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) body: String,
    pub(crate) headers: BTreeMap<String, String>,
}

impl Request {
    pub(crate) fn secrets(&self) -> Vec<Secret> {
        self.secrets.iter().map(|text| text.parse().unwrap()).collect()
    }

    pub(crate) fn message(&self) -> Message<'_> {
        Message {
            id: &self.id,
            topic: &self.topic,
            time_ms: self.timestamp_ms,
            method: &self.method,
            url: &self.url,
            body: self.body.as_bytes(),
        }
    }

    /// The headers that our own signer makes.
    pub(crate) fn signed(&self) -> BTreeMap<String, String> {
        let signer = Signer::new(&self.profile, &self.secrets()).unwrap();
        let headers = signer.headers(&self.message()).unwrap();
        headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn received(&self) -> Received<'_> {
        Received { method: &self.method, url: &self.url, body: self.body.as_bytes() }
    }

    /// Verifies it at the moment when it was signed.
    pub(crate) fn verify(&self, credential: &Credential) -> Result<(), VerifyError> {
        let verifier = Verifier::new(&self.profile, [credential]).unwrap();
        let now = self.timestamp_ms.div_euclid(1_000);
        verifier.verify(|name| self.header(name), &self.received(), now, Duration::ZERO)
    }

    /// Each secret and each public key alone verifies it, but for those that a single signature leaves out.
    #[track_caller]
    pub(crate) fn check_verifies(&self) {
        let several = self.profile.carries_several();
        let secrets = self.secrets();
        for secret in secrets.iter().take(if several { secrets.len() } else { 1 }) {
            assert_eq!(self.verify(&secret.clone().into()), Ok(()), "{}", self.name);
        }
        for key in &self.public_keys {
            assert_eq!(self.verify(&key.parse().unwrap()), Ok(()), "{}", self.name);
        }
    }
}
