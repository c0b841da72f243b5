use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::crypto::{CryptoProvider, ring};

use super::introduction::Introduction;
use super::public_roots::PublicRoots;
use super::{TlsIdentity, pem};
use crate::EgressError;

/// How TLS is spoken, under each identity and under none.
pub(crate) struct Handshakes {
    provider: Arc<CryptoProvider>,
    public: PublicRoots,
}

impl Handshakes {
    /// Trusts the platform's authorities and those in `extra_roots`, and reads the former anew when `lifetime` is over.
    pub(crate) fn new(extra_roots: &[u8], lifetime: Duration) -> Result<Self, EgressError> {
        let extra = if extra_roots.is_empty() {
            Vec::new()
        } else {
            let extra = pem::certificates(extra_roots).map_err(EgressError::ExtraRoots)?;
            pem::anchors(&extra).map_err(EgressError::ExtraRoots)?;
            extra
        };
        let provider = Arc::new(ring::default_provider());
        let public = PublicRoots::read(extra, Arc::clone(&provider), lifetime).map_err(EgressError::Tls)?;
        Ok(Self { provider, public })
    }

    /// The configuration for one client. It has a memory of sessions of its own: a session that was begun under one
    /// identity is not resumed under another.
    pub(crate) fn config(&self, identity: Option<&TlsIdentity>) -> Result<ClientConfig, EgressError> {
        let config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(EgressError::Tls)?;
        let config = match identity.and_then(TlsIdentity::roots) {
            Some(roots) => config.with_root_certificates(roots.store()),
            None => config.dangerous().with_custom_certificate_verifier(self.public.verifier()),
        };
        let client = identity.and_then(TlsIdentity::client).cloned();
        let mut config = config.with_client_cert_resolver(Arc::new(Introduction(client)));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}
