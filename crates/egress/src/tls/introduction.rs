use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::sign::CertifiedKey;

use crate::{ClientIdentity, dial};

/// Answers a receiver that asks who we are, and notes that it did: one that is not content may hang up in a way that
/// does not tell.
#[derive(Debug)]
pub(super) struct Introduction(pub(super) Option<ClientIdentity>);

impl ResolvesClientCert for Introduction {
    /// The certificate is shown whichever authorities the receiver says that it trusts: it says what is wrong with it
    /// better than we could.
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        dial::note_asked();
        self.0.as_ref().map(ClientIdentity::certified)
    }

    /// rustls asks this once in a handshake, before it says its first word: nothing else is told of its beginning.
    fn has_certs(&self) -> bool {
        dial::note_handshake();
        self.0.is_some()
    }
}
