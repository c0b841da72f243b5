use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls_platform_verifier::Verifier;
use tokio::time::Instant;

/// The authorities that are trusted where an endpoint names none: the platform's, and those the operator adds.
///
/// All clients share them. They are read from disk, so that what is installed there takes effect without a restart, but
/// not for every client, of which there are many.
pub(super) struct PublicRoots {
    extra: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
    lifetime: Duration,
    current: Mutex<Read>,
}

struct Read {
    verifier: Arc<Verifier>,
    at: Instant,
}

impl PublicRoots {
    pub(super) fn read(
        extra: Vec<CertificateDer<'static>>,
        provider: Arc<CryptoProvider>,
        lifetime: Duration,
    ) -> Result<Self, rustls::Error> {
        let verifier = verifier(&extra, &provider)?;
        Ok(Self { extra, provider, lifetime, current: Mutex::new(Read { verifier, at: Instant::now() }) })
    }

    /// What judges certificates by them. It is made anew by one caller when its lifetime is over; the others go on with
    /// the one they have rather than wait for the disk.
    pub(super) fn verifier(&self) -> Arc<Verifier> {
        let former = {
            let mut current = self.current();
            if current.at.elapsed() < self.lifetime {
                return Arc::clone(&current.verifier);
            }
            current.at = Instant::now();
            Arc::clone(&current.verifier)
        };
        match verifier(&self.extra, &self.provider) {
            Ok(verifier) => {
                self.current().verifier = Arc::clone(&verifier);
                verifier
            }
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "cannot read the root certificates anew, and go on with those from before"
                );
                former
            }
        }
    }

    fn current(&self) -> MutexGuard<'_, Read> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn verifier(
    extra: &[CertificateDer<'static>],
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<Verifier>, rustls::Error> {
    Verifier::new_with_extra_roots(extra.iter().cloned(), Arc::clone(provider)).map(Arc::new)
}
