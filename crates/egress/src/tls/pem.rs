//! Certificates and keys as people have them: PEM (RFC 7468).

use rustls::RootCertStore;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;

/// The longest PEM text that a customer may give, in bytes.
pub const MAX_PEM_BYTES: usize = 32 * 1024;

/// The most certificates that a customer may give in one text.
pub const MAX_CERTIFICATES: usize = 16;

/// Why a text does not serve as certificates. The messages are for customers.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum InvalidCertificates {
    /// It is longer than [`MAX_PEM_BYTES`].
    #[error("the PEM text is longer than {MAX_PEM_BYTES} bytes")]
    TooLong,
    /// It holds more than [`MAX_CERTIFICATES`].
    #[error("the PEM text holds more than {MAX_CERTIFICATES} certificates")]
    TooMany,
    /// It holds none.
    #[error("the PEM text holds no certificate")]
    Empty,
    /// It holds a private key. Certificates are public, and are kept and shown as such.
    #[error("the PEM text holds a private key, which does not belong there")]
    PrivateKey,
    /// It is not PEM from there on.
    #[error("the PEM text is damaged at certificate {number}")]
    Damaged {
        /// Counted from 1.
        number: usize,
    },
    /// One of them is none, or of a version that TLS does not take (RFC 8446 section 4.4.2.3), but OpenSSL still makes.
    #[error("certificate {number} is not a valid X.509 certificate of version 3")]
    Unusable {
        /// Counted from 1.
        number: usize,
        /// What is wrong with it.
        source: rustls::Error,
    },
}

/// Why a text does not serve as a private key. The messages are for customers, and repeat nothing of the key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidKey {
    /// It is longer than [`MAX_PEM_BYTES`].
    #[error("the PEM text is longer than {MAX_PEM_BYTES} bytes")]
    TooLong,
    /// It holds none.
    #[error("the PEM text holds no private key")]
    Missing,
    /// It holds more than one.
    #[error("the PEM text holds several private keys")]
    Several,
    /// Only a passphrase would open it, and there is nobody to ask for it when it is used.
    #[error("the private key is encrypted")]
    Encrypted,
    /// It is not PEM.
    #[error("the PEM text of the private key is damaged")]
    Damaged,
    /// It is of another kind than those that sign here.
    #[error(
        "the private key is damaged or of a kind that is not supported; \
         supported are RSA of 2048 to 4096 bits, ECDSA with P-256 or P-384, and Ed25519"
    )]
    Unsupported,
}

/// The certificates in what the operator gives, or else a customer within bounds ([`bounded`]).
pub(super) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, InvalidCertificates> {
    let mut certificates = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let number = certificates.len() + 1;
        certificates.push(certificate.map_err(|_| InvalidCertificates::Damaged { number })?);
    }
    if certificates.is_empty() {
        return Err(InvalidCertificates::Empty);
    }
    Ok(certificates)
}

/// The certificates in what a customer gives.
pub(super) fn bounded(pem: &str) -> Result<Vec<CertificateDer<'static>>, InvalidCertificates> {
    if pem.len() > MAX_PEM_BYTES {
        return Err(InvalidCertificates::TooLong);
    }
    if key_labels(pem).next().is_some() {
        return Err(InvalidCertificates::PrivateKey);
    }
    let certificates = certificates(pem.as_bytes())?;
    if certificates.len() > MAX_CERTIFICATES {
        return Err(InvalidCertificates::TooMany);
    }
    Ok(certificates)
}

/// A store that trusts these and no others.
pub(super) fn anchors(
    certificates: &[CertificateDer<'static>],
) -> Result<RootCertStore, InvalidCertificates> {
    let mut store = RootCertStore::empty();
    for (index, certificate) in certificates.iter().enumerate() {
        store
            .add(certificate.clone())
            .map_err(|source| InvalidCertificates::Unusable { number: index + 1, source })?;
    }
    Ok(store)
}

/// The one private key in what a customer gives. What else there is, parameters of a curve for instance, is ignored.
pub(super) fn private_key(pem: &str) -> Result<PrivateKeyDer<'static>, InvalidKey> {
    if pem.len() > MAX_PEM_BYTES {
        return Err(InvalidKey::TooLong);
    }
    let mut labels = key_labels(pem);
    let label = labels.next().ok_or(InvalidKey::Missing)?;
    if labels.next().is_some() {
        return Err(InvalidKey::Several);
    }
    // PKCS #8 (RFC 7468 section 11), and what OpenSSL wrote before it (RFC 1421 section 4.6.1.1).
    if label.starts_with("ENCRYPTED") || lines(pem).any(|line| line.starts_with("Proc-Type: 4,ENCRYPTED")) {
        return Err(InvalidKey::Encrypted);
    }
    PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|error| match error {
        // There is one, and its label is a stranger: DSA, or OpenSSH's own format.
        pem::Error::NoItemsFound => InvalidKey::Unsupported,
        _ => InvalidKey::Damaged,
    })
}

/// How the private keys in a text are labelled, known kinds and unknown ones.
fn key_labels(pem: &str) -> impl Iterator<Item = &str> {
    lines(pem)
        .filter_map(|line| line.strip_prefix("-----BEGIN ")?.trim_end().strip_suffix("-----"))
        .filter(|label| label.ends_with("PRIVATE KEY"))
}

/// The lines as the parser has them, to which a lone CR ends one, too.
fn lines(pem: &str) -> impl Iterator<Item = &str> {
    pem.split(['\n', '\r'])
}
