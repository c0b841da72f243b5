//! Certificates of strangers.

use std::net::SocketAddr;
use std::sync::Arc;

use posthaste_egress::{EgressError, HttpTransport, TransportSettings};
use posthaste_model::ErrorClass;
use posthaste_testkit::{Receiver, Reply};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::setup::{Names, failed, local, send};

/// An authority of our own.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A transport that trusts it, and takes every name for this machine.
    fn trusted(&self) -> HttpTransport {
        transport_trusting(self.0.pem().into_bytes())
    }

    fn certify(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> ServerConfig {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut params);
        let certificate = params.signed_by(&key, &self.0).unwrap();
        server(certificate.der().clone(), &key)
    }
}

fn transport_trusting(extra_roots: Vec<u8>) -> HttpTransport {
    let settings = TransportSettings { extra_roots, ..TransportSettings::default() };
    HttpTransport::with_resolver(local(), settings, Names::answering(&[&["127.0.0.1"]])).unwrap()
}

fn server(certificate: CertificateDer<'static>, key: &KeyPair) -> ServerConfig {
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap()
}

/// Puts TLS before a receiver.
async fn terminate(config: ServerConfig, receiver: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut client = acceptor.accept(client).await?;
                let mut server = TcpStream::connect(receiver).await?;
                copy_bidirectional(&mut client, &mut server).await
            });
        }
    });
    address
}

/// Asserts what a client gets from `https://hook.test`, and that nothing was sent if it is a failure.
async fn check(transport: &HttpTransport, config: ServerConfig, expect: Result<u16, &str>) {
    let receiver = Receiver::start(|_| Reply::status(200)).await.unwrap();
    let port = terminate(config, receiver.address()).await.port();
    let exchange = send(transport, &format!("https://hook.test:{port}/")).await;
    match expect {
        Ok(status) => assert_eq!(exchange.outcome.status(), Some(status), "{:?}", exchange.outcome),
        Err(detail) => {
            assert_eq!(failed(&exchange, ErrorClass::Tls), detail);
            assert_eq!(receiver.requests().len(), 0);
        }
    }
}

#[tokio::test]
async fn a_certificate_of_an_extra_root_is_trusted() {
    let authority = Authority::new();
    check(&authority.trusted(), authority.certify("hook.test", |_| {}), Ok(200)).await;
}

#[tokio::test]
async fn a_self_signed_certificate_is_refused() {
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec!["hook.test".to_owned()]).unwrap().self_signed(&key).unwrap();
    let config = server(certificate.der().clone(), &key);
    check(&Authority::new().trusted(), config, Err("the certificate is not signed by a trusted authority"))
        .await;
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_is_refused() {
    let config = Authority::new().certify("hook.test", |_| {});
    let expect = Err("the certificate is not signed by a trusted authority");
    check(&transport_trusting(Vec::new()), config, expect).await;
}

#[tokio::test]
async fn a_certificate_of_another_name_is_refused() {
    let authority = Authority::new();
    let expect = Err("the certificate is not valid for the host name");
    check(&authority.trusted(), authority.certify("other.test", |_| {}), expect).await;
}

#[tokio::test]
async fn an_expired_certificate_is_refused() {
    let authority = Authority::new();
    let config = authority.certify("hook.test", |params| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    });
    check(&authority.trusted(), config, Err("the certificate has expired")).await;
}

#[tokio::test]
async fn a_receiver_that_speaks_no_tls_is_a_tls_failure() {
    let transport = transport_trusting(Vec::new());
    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", plain.local_addr().unwrap());
    tokio::spawn(async move {
        use tokio::io::AsyncWriteExt;
        while let Ok((mut client, _)) = plain.accept().await {
            client.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await?;
        }
        std::io::Result::Ok(())
    });
    assert_eq!(failed(&send(&transport, &url).await, ErrorClass::Tls), "the TLS handshake failed");
}

#[tokio::test]
async fn roots_that_are_no_certificates_are_refused_at_once() {
    let pem = b"-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n".to_vec();
    let settings = TransportSettings { extra_roots: pem, ..TransportSettings::default() };
    assert!(matches!(HttpTransport::new(local(), settings), Err(EgressError::ExtraRoots(_))));
}
