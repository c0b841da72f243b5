//! Authorities of our own, and what they certify, for receivers that speak TLS.

use std::sync::Arc;

use bytes::Bytes;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair,
};
use rustls::{
    RootCertStore, ServerConfig, crypto::ring::default_provider, pki_types::PrivateKeyDer,
    server::WebPkiClientVerifier,
};

/// An authority that signs certificates.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    /// The certificates that lead from what it signs to its root, which is not among them.
    above: Vec<Certificate>,
}

/// A certificate, its key, and the certificates that lead from it to its root.
pub struct Certified {
    certificate: Certificate,
    key: KeyPair,
    above: Vec<Certificate>,
}

impl Authority {
    /// A root.
    ///
    /// # Errors
    /// No key can be made.
    pub fn root(name: &str) -> anyhow::Result<Self> {
        let issuer = CertifiedIssuer::self_signed(authority(name)?, KeyPair::generate()?)?;
        Ok(Self { issuer, above: Vec::new() })
    }

    /// An authority that this one signs.
    ///
    /// # Errors
    /// No key can be made.
    pub fn intermediate(&self, name: &str) -> anyhow::Result<Self> {
        let issuer = CertifiedIssuer::signed_by(authority(name)?, KeyPair::generate()?, &self.issuer)?;
        let own: &Certificate = issuer.as_ref();
        let above = [std::slice::from_ref(own), &self.above].concat();
        Ok(Self { issuer, above })
    }

    /// Its own certificate, as PEM: what is trusted by whoever trusts it.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Certifies a host, by its name or its address, or a client by any name.
    ///
    /// # Errors
    /// The name cannot stand in a certificate.
    pub fn certify(&self, name: &str) -> anyhow::Result<Certified> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(vec![name.to_owned()])?;
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Certified { certificate, key, above: self.above.clone() })
    }
}

fn authority(name: &str) -> anyhow::Result<CertificateParams> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    Ok(params)
}

impl Certified {
    /// The certificate alone, as PEM.
    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// The certificate and those that lead from it to its root, which is not among them, as PEM.
    pub fn chain(&self) -> String {
        self.links().map(Certificate::pem).collect()
    }

    /// The bytes of all these (DER), as a receiver sees them.
    pub fn chain_der(&self) -> Vec<Bytes> {
        self.links().map(|link| Bytes::copy_from_slice(link.der())).collect()
    }

    fn links(&self) -> impl Iterator<Item = &Certificate> {
        std::iter::once(&self.certificate).chain(&self.above)
    }

    /// The private key, as PEM.
    pub fn key(&self) -> String {
        self.key.serialize_pem()
    }

    /// A receiver that has this certificate and turns clients away that have none of `authority`.
    ///
    /// # Errors
    /// The certificate cannot be used for that.
    pub fn demanding(&self, authority: &Authority) -> anyhow::Result<ServerConfig> {
        let provider = Arc::new(default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(authority.issuer.der().clone())?;
        let clients =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build()?;
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let chain = self.links().map(|link| link.der().clone()).collect();
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).map_err(anyhow::Error::msg)?;
        Ok(config.with_client_cert_verifier(clients).with_single_cert(chain, key)?)
    }
}
