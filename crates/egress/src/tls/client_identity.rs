use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use posthaste_model::Timestamp;
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, RootCertStore};
use thiserror::Error;

use super::pem;
use crate::{InvalidCertificates, InvalidKey};

/// A certificate that is shown to receivers that ask who we are, and the key that proves it ours. Cheap to clone.
#[derive(Clone)]
pub struct ClientIdentity {
    certified: Arc<CertifiedKey>,
    not_after: Timestamp,
}

/// Why a certificate and a key are no [`ClientIdentity`]. The messages are for customers.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum InvalidIdentity {
    /// The certificates are to blame.
    #[error(transparent)]
    Certificates(#[from] InvalidCertificates),
    /// The key is to blame.
    #[error(transparent)]
    Key(#[from] InvalidKey),
    /// Each is good by itself. The chain may be in the wrong order: the certificate of the key comes first (RFC 8446
    /// section 4.4.2).
    #[error("the private key does not belong to the first certificate")]
    Mismatch,
}

impl ClientIdentity {
    /// Reads PEM texts: a certificate, followed by those that lead from it to an authority, and its private key.
    ///
    /// Whether the certificate has expired is not looked at: it is the receiver who minds, or does not.
    ///
    /// # Errors
    /// One of the texts does not hold what it should, or they do not belong together.
    pub fn from_pem(certificates: &str, key: &str) -> Result<Self, InvalidIdentity> {
        let chain = pem::bounded(certificates)?;
        let not_after = examine(&chain)?;
        let key = pem::private_key(key)?;
        let key = ring::default_provider().key_provider.load_private_key(key);
        let certified = CertifiedKey::new(chain, key.map_err(|_| InvalidKey::Unsupported)?);
        // All else that could be wrong with the two has been looked at.
        certified.keys_match().map_err(|_| InvalidIdentity::Mismatch)?;
        Ok(Self { certified: Arc::new(certified), not_after })
    }

    /// When the certificate expires.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    pub(super) fn certified(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.certified)
    }
}

/// The certificates stand for the key, too: only one belongs to them.
impl PartialEq for ClientIdentity {
    fn eq(&self, other: &Self) -> bool {
        self.certified.cert == other.certified.cert
    }
}

impl Eq for ClientIdentity {}

impl Hash for ClientIdentity {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.certified.cert.hash(state);
    }
}

impl fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientIdentity").field("not_after", &self.not_after).finish_non_exhaustive()
    }
}

/// Asserts that each certificate of a chain is one, and tells when the first expires.
fn examine(chain: &[CertificateDer<'static>]) -> Result<Timestamp, InvalidCertificates> {
    let unusable = |index: usize| move |source| InvalidCertificates::Unusable { number: index + 1, source };
    let parsed = chain
        .iter()
        .enumerate()
        .map(|(index, certificate)| ParsedCertificate::try_from(certificate).map_err(unusable(index)))
        .collect::<Result<Vec<_>, _>>()?;
    let first = parsed.first().ok_or(InvalidCertificates::Empty)?;
    not_after(first).map_err(unusable(0))
}

/// When a certificate expires. No parser within reach tells it, but a verifier that is asked about the year 10000,
/// which no certificate lasts until (RFC 5280 section 4.1.2.5), complains of just that, and first of all.
fn not_after(certificate: &ParsedCertificate<'_>) -> Result<Timestamp, rustls::Error> {
    let doomsday = UnixTime::since_unix_epoch(Duration::from_secs(253_402_300_800));
    let roots = RootCertStore::empty();
    match verify_server_cert_signed_by_trust_anchor(certificate, &roots, &[], doomsday, &[]) {
        Err(rustls::Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) => {
            // The last day of the year 9999 stands for "never", and a little less will do for that.
            let seconds = i64::try_from(not_after.as_secs()).unwrap_or(i64::MAX);
            Ok(Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX))
        }
        Err(other) => Err(other),
        Ok(()) => Ok(Timestamp::MAX),
    }
}
