//! Authorities, and receivers that speak TLS.

use std::net::SocketAddr;
use std::sync::Arc;

use posthaste_egress::{ClientIdentity, HttpTransport, TlsIdentity, TransportSettings, TrustedRoots};
use posthaste_testkit::{Receiver, Reply};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{ConfigBuilder, RootCertStore, ServerConfig, SupportedProtocolVersion, WantsVerifier};
use tokio::io::{copy, copy_bidirectional, sink};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::setup::{Loopback, local};

/// What a receiver may be limited to.
pub(crate) const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

/// An authority of our own.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key.
pub(crate) struct Certified {
    pub(crate) certificate: rcgen::Certificate,
    pub(crate) key: KeyPair,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A transport that trusts it as it does the public ones.
    pub(crate) fn trusted(&self) -> HttpTransport {
        self.trusted_with(TransportSettings::default())
    }

    pub(crate) fn trusted_with(&self, settings: TransportSettings) -> HttpTransport {
        to_loopback(TransportSettings { extra_roots: self.pem().into_bytes(), ..settings })
    }

    /// An identity that trusts it alone.
    pub(crate) fn named(&self) -> Arc<TlsIdentity> {
        let roots = TrustedRoots::from_pem(&self.pem()).unwrap();
        Arc::new(TlsIdentity::new(None, Some(roots)).unwrap())
    }

    pub(crate) fn certify(&self, name: &str) -> Certified {
        self.certify_with(name, |_| {})
    }

    pub(crate) fn certify_with(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Certified {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut params);
        Certified { certificate: params.signed_by(&key, &self.0).unwrap(), key }
    }
}

impl Certified {
    pub(crate) fn by_itself(name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut params);
        Self { certificate: params.self_signed(&key).unwrap(), key }
    }

    pub(crate) fn client(&self) -> ClientIdentity {
        ClientIdentity::from_pem(&self.certificate.pem(), &self.key.serialize_pem()).unwrap()
    }

    /// An identity that shows it.
    pub(crate) fn shown(&self) -> Arc<TlsIdentity> {
        Arc::new(TlsIdentity::new(Some(self.client()), None).unwrap())
    }

    /// A receiver that has it, and asks for nothing.
    pub(crate) fn serving(&self) -> ServerConfig {
        self.served(speaking(&VERSIONS).with_no_client_auth())
    }

    /// A receiver that has it, and turns clients away that have none of `authority`.
    pub(crate) fn asking(
        &self,
        authority: &Authority,
        versions: &[&'static SupportedProtocolVersion],
    ) -> ServerConfig {
        let clients = clients_of(authority).build().unwrap();
        self.served(speaking(versions).with_client_cert_verifier(clients))
    }

    /// A receiver that has it, and takes clients without a certificate as well as those of `authority`.
    pub(crate) fn curious(
        &self,
        authority: &Authority,
        versions: &[&'static SupportedProtocolVersion],
    ) -> ServerConfig {
        let clients = clients_of(authority).allow_unauthenticated().build().unwrap();
        self.served(speaking(versions).with_client_cert_verifier(clients))
    }

    fn served(&self, config: ConfigBuilder<ServerConfig, rustls::server::WantsServerCert>) -> ServerConfig {
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).unwrap();
        config.with_single_cert(vec![self.certificate.der().clone()], key).unwrap()
    }
}

fn speaking(versions: &[&'static SupportedProtocolVersion]) -> ConfigBuilder<ServerConfig, WantsVerifier> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ServerConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap()
}

fn clients_of(authority: &Authority) -> rustls::server::ClientCertVerifierBuilder {
    let mut roots = RootCertStore::empty();
    roots.add(authority.0.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
}

/// A transport that takes every name for this machine.
pub(crate) fn to_loopback(settings: TransportSettings) -> HttpTransport {
    HttpTransport::with_resolver(local(), settings, Arc::new(Loopback)).unwrap()
}

/// Puts TLS before a receiver, and returns the URL of it.
pub(crate) async fn terminate(config: ServerConfig, receiver: &Receiver) -> String {
    let receiver = receiver.address();
    terminate_by(config, move |_| receiver).await
}

/// Puts TLS before several receivers: `route` chooses one by the client's certificate. Returns the URL of all.
pub(crate) async fn terminate_by(
    config: ServerConfig,
    route: impl Fn(Option<&CertificateDer<'static>>) -> SocketAddr + Send + Sync + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let route = Arc::new(route);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (acceptor, route) = (acceptor.clone(), route.clone());
            tokio::spawn(async move {
                let mut client = match acceptor.accept(client).into_fallible().await {
                    Ok(client) => client,
                    // Hung up with something unread, the network may drop the alert that says why.
                    Err((_, mut client)) => return copy(&mut client, &mut sink()).await.map(|_| ()),
                };
                let certificate = client.get_ref().1.peer_certificates().and_then(<[_]>::first);
                let mut server = TcpStream::connect(route(certificate)).await?;
                copy_bidirectional(&mut client, &mut server).await.map(|_| ())
            });
        }
    });
    format!("https://hook.test:{port}/")
}

/// A receiver that takes everything.
pub(crate) async fn willing() -> Receiver {
    Receiver::start(|_| Reply::status(200)).await.unwrap()
}
