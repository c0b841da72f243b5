//! What sets the TLS handshakes of an endpoint apart from those of all others.

mod client_identity;
mod failure;
mod handshakes;
mod introduction;
mod pem;
mod public_roots;
mod trusted_roots;

use std::hash::{DefaultHasher, Hash, Hasher};

pub use client_identity::{ClientIdentity, InvalidIdentity};
pub(crate) use failure::{describe, describe_loss};
pub(crate) use handshakes::Handshakes;
pub use pem::{InvalidCertificates, InvalidKey, MAX_CERTIFICATES, MAX_PEM_BYTES};
pub use trusted_roots::TrustedRoots;

/// Who we are to a receiver, whom we believe to be it, or both. Whatever is not said here is as for everybody: no
/// certificate is shown, the public authorities are trusted.
///
/// Two of them are equal if their content is, wherever it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsIdentity {
    /// Stands for the content where it is hashed, which is for every request.
    fingerprint: u64,
    client: Option<ClientIdentity>,
    roots: Option<TrustedRoots>,
}

impl TlsIdentity {
    /// None if there is nothing to set a handshake apart.
    pub fn new(client: Option<ClientIdentity>, roots: Option<TrustedRoots>) -> Option<Self> {
        if client.is_none() && roots.is_none() {
            return None;
        }
        let mut hasher = DefaultHasher::new();
        (&client, &roots).hash(&mut hasher);
        Some(Self { fingerprint: hasher.finish(), client, roots })
    }

    /// What is shown to a receiver that asks who we are.
    pub fn client(&self) -> Option<&ClientIdentity> {
        self.client.as_ref()
    }

    /// The only authorities that are trusted.
    pub fn roots(&self) -> Option<&TrustedRoots> {
        self.roots.as_ref()
    }
}

impl Hash for TlsIdentity {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.fingerprint.hash(state);
    }
}
