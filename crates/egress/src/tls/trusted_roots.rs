use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use rustls::RootCertStore;

use super::pem;
use crate::InvalidCertificates;

/// The authorities that vouch for an endpoint, instead of the public ones and those the operator adds to them. Cheap to
/// clone.
///
/// Not beside them: who names an authority of their own says who may certify the receiver. If the public ones stayed
/// good as well, anyone who gets hold of the name for a moment, and with it of a public certificate, could read the
/// events all the same.
#[derive(Clone)]
pub struct TrustedRoots(Arc<RootCertStore>);

impl TrustedRoots {
    /// Reads a PEM text with one certificate or more.
    ///
    /// # Errors
    /// The text is too large, or does not hold certificates alone.
    pub fn from_pem(bundle: &str) -> Result<Self, InvalidCertificates> {
        Ok(Self(Arc::new(pem::anchors(&pem::bounded(bundle)?)?)))
    }

    pub(super) fn store(&self) -> Arc<RootCertStore> {
        Arc::clone(&self.0)
    }
}

impl PartialEq for TrustedRoots {
    fn eq(&self, other: &Self) -> bool {
        self.0.roots == other.0.roots
    }
}

impl Eq for TrustedRoots {}

impl Hash for TrustedRoots {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.roots.hash(state);
    }
}

impl fmt::Debug for TrustedRoots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TrustedRoots({})", self.0.len())
    }
}
