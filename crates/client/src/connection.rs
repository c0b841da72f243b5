//! The HTTP client beneath: whom it trusts, and how long it keeps a connection.

use std::time::Duration;

use reqwest::{Certificate, redirect, retry};
use url::Url;

use crate::ClientError;

/// How long a connection may take. Less than what a call may, so that an address where nobody is gets told from a slow
/// service.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an idle connection is kept: less than the 5 seconds after which the service closes it, so that no request is
/// written to a connection that is being closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);

/// A client for the service at `base` that trusts these roots besides the platform's.
pub(crate) fn open(
    base: &Url,
    extra_roots: impl IntoIterator<Item = Certificate>,
) -> Result<reqwest::Client, ClientError> {
    // reqwest takes its TLS provider from the process. An error means that there is one already: as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder()
        .user_agent(concat!("posthaste-client/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .no_proxy();
    let builder = match base.scheme() {
        "https" => builder.tls_certs_merge(extra_roots),
        // Without TLS the platform's roots are not loaded, and need not exist.
        _ => builder.tls_certs_only([]),
    };
    builder.build().map_err(|source| ClientError::Setup { source })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use posthaste_testkit::{Receiver, Reply};
    use rcgen::CertifiedKey;
    use rustls::{ServerConfig, pki_types::PrivateKeyDer};
    use tokio::{
        io::copy_bidirectional,
        net::{TcpListener, TcpStream},
    };
    use tokio_rustls::TlsAcceptor;

    use super::*;

    /// Takes TLS off one connection, and passes it on to the receiver.
    async fn take_tls_off(listener: TcpListener, server: &CertifiedKey<rcgen::KeyPair>, receiver: &Receiver) {
        let key = PrivateKeyDer::try_from(server.signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![server.cert.der().clone()], key)
            .unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let Ok(mut outside) = TlsAcceptor::from(Arc::new(config)).accept(stream).await else { return };
        let mut inside = TcpStream::connect(receiver.address()).await.unwrap();
        // How a connection ends is the client's affair.
        let _ = copy_bidirectional(&mut outside, &mut inside).await;
    }

    fn certify() -> CertifiedKey<rcgen::KeyPair> {
        rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap()
    }

    #[track_caller]
    fn check(server: &CertifiedKey<rcgen::KeyPair>, trusted: &CertifiedKey<rcgen::KeyPair>, expect: bool) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (answer, requests) = runtime.block_on(async {
            let receiver = Receiver::start(|_| Reply::status(200)).await.unwrap();
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let base = Url::parse(&format!("https://{}/", listener.local_addr().unwrap())).unwrap();
            let root = Certificate::from_der(trusted.cert.der()).unwrap();
            let http = open(&base, [root]).unwrap();
            let answer = tokio::select! {
                answer = http.get(base).send() => answer,
                () = async {
                    take_tls_off(listener, server, &receiver).await;
                    std::future::pending().await
                } => unreachable!(),
            };
            (answer, receiver.requests())
        });
        match answer {
            Ok(answer) => assert!(expect && answer.status() == 200),
            Err(error) => assert!(!expect && error.is_connect(), "{error:?}"),
        }
        assert_eq!(requests.len(), usize::from(expect));
    }

    #[test]
    fn https_is_spoken_to_those_who_are_trusted() {
        let (server, stranger) = (certify(), certify());
        check(&server, &server, true);
        check(&stranger, &server, false);
    }
}
