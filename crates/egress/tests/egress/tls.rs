//! Certificates of strangers.

use std::process::Command;
use std::time::Duration;
use std::{env, fs};

use posthaste_egress::{
    EgressError, HttpTransport, Request, TlsIdentity, Transport, TransportSettings, TrustedRoots,
};
use posthaste_model::ErrorClass;
use rcgen::{BasicConstraints, IsCa, date_time_ymd};
use rustls::ServerConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::setup::{failed, local, request, send};
use crate::tls_setup::{Authority, Certified, terminate, to_loopback, willing};

/// Asserts what a client gets from `https://hook.test`, and that nothing was sent if it is a failure.
async fn check(transport: &HttpTransport, config: ServerConfig, expect: Result<u16, &str>) {
    check_request(transport, config, |request| request, expect).await;
}

/// The same for a request that is made otherwise.
async fn check_request(
    transport: &HttpTransport,
    config: ServerConfig,
    change: impl FnOnce(Request) -> Request,
    expect: Result<u16, &str>,
) {
    let receiver = willing().await;
    let url = terminate(config, &receiver).await;
    let exchange = transport.send(change(request(&url))).await;
    match expect {
        Ok(status) => assert_eq!(exchange.outcome.status(), Some(status), "{:?}", exchange.outcome),
        Err(detail) => {
            assert_eq!(failed(&exchange, ErrorClass::Tls), detail);
            assert_eq!(receiver.requests().len(), 0);
        }
    }
}

const UNTRUSTED: Result<u16, &str> = Err("the receiver's certificate is not signed by a trusted authority");
const UNNAMED: Result<u16, &str> =
    Err("the receiver's certificate is not signed by an authority that the endpoint names");
const WRONG_NAME: Result<u16, &str> = Err("the receiver's certificate is not valid for the host name");
const EXPIRED: Result<u16, &str> = Err("the receiver's certificate has expired");

fn public() -> HttpTransport {
    to_loopback(TransportSettings::default())
}

#[tokio::test]
async fn a_certificate_of_an_extra_root_is_trusted() {
    let authority = Authority::new("extra");
    check(&authority.trusted(), authority.certify("hook.test").serving(), Ok(200)).await;
}

#[tokio::test]
async fn a_self_signed_certificate_is_refused() {
    let config = Certified::by_itself("hook.test", |_| {}).serving();
    check(&Authority::new("extra").trusted(), config, UNTRUSTED).await;
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_is_refused() {
    let config = Authority::new("unknown").certify("hook.test").serving();
    check(&public(), config, UNTRUSTED).await;
}

#[tokio::test]
async fn a_certificate_of_an_authority_by_a_trusted_ones_name_is_refused() {
    let config = Authority::new("extra").certify("hook.test").serving();
    check(&Authority::new("extra").trusted(), config, UNTRUSTED).await;
}

#[tokio::test]
async fn a_certificate_of_another_name_is_refused() {
    let authority = Authority::new("extra");
    check(&authority.trusted(), authority.certify("other.test").serving(), WRONG_NAME).await;
}

#[tokio::test]
async fn an_expired_certificate_is_refused() {
    let authority = Authority::new("extra");
    let expired = authority.certify_with("hook.test", |params| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    });
    check(&authority.trusted(), expired.serving(), EXPIRED).await;
}

/// Asserts what a client gets if the endpoint names `authority`.
async fn check_named(
    transport: &HttpTransport,
    authority: &Authority,
    served: &Certified,
    expect: Result<u16, &str>,
) {
    let named = |request| Request { identity: Some(authority.named()), ..request };
    check_request(transport, served.serving(), named, expect).await;
}

#[tokio::test]
async fn a_private_authority_is_trusted_where_it_is_named_and_nowhere_else() {
    let private = Authority::new("private");
    let served = private.certify("hook.test");
    let transport = public();
    check_named(&transport, &private, &served, Ok(200)).await;
    check(&transport, served.serving(), UNTRUSTED).await;
    check_named(&transport, &Authority::new("other"), &served, UNNAMED).await;
}

#[tokio::test]
async fn the_public_authorities_are_not_trusted_where_one_is_named() {
    let public = Authority::new("public");
    let served = public.certify("hook.test");
    let transport = public.trusted();
    check(&transport, served.serving(), Ok(200)).await;
    check_named(&transport, &Authority::new("private"), &served, UNNAMED).await;
}

#[tokio::test]
async fn a_private_authority_vouches_for_names_and_dates_like_any_other() {
    let private = Authority::new("private");
    check_named(&public(), &private, &private.certify("other.test"), WRONG_NAME).await;
    let expired = private.certify_with("hook.test", |params| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    });
    check_named(&public(), &private, &expired, EXPIRED).await;
}

/// Asserts what a client gets if the endpoint names the receiver's own certificate as its authority.
async fn check_pinned(served: &Certified, expect: Result<u16, &str>) {
    let roots = TrustedRoots::from_pem(&served.certificate.pem()).unwrap();
    let identity = TlsIdentity::new(None, Some(roots)).map(Into::into);
    check_request(&public(), served.serving(), |request| Request { identity, ..request }, expect).await;
}

#[tokio::test]
async fn a_self_signed_certificate_can_be_its_own_authority_unless_it_says_that_it_is_one() {
    check_pinned(&Certified::by_itself("hook.test", |_| {}), Ok(200)).await;
    let authority = Certified::by_itself("hook.test", |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    });
    check_pinned(&authority, Err("the receiver's certificate is one for an authority, not for a server"))
        .await;
}

#[tokio::test]
async fn a_receiver_that_speaks_no_tls_is_a_tls_failure() {
    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", plain.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut client, _)) = plain.accept().await {
            client.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await?;
        }
        std::io::Result::Ok(())
    });
    assert_eq!(failed(&send(&public(), &url).await, ErrorClass::Tls), "the TLS handshake failed");
}

#[tokio::test]
async fn a_receiver_that_hangs_up_in_the_handshake_is_a_tls_failure() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        // All there is, so that hanging up is no reset.
        assert_ne!(client.read(&mut vec![0; 16 * 1024]).await.unwrap(), 0);
    });
    let expect = "the connection was closed during the TLS handshake";
    assert_eq!(failed(&send(&public(), &url).await, ErrorClass::Tls), expect);
}

/// Where the roots are belongs to the environment, so the test runs once more in a process that has them elsewhere.
#[tokio::test]
async fn the_platforms_roots_are_read_anew_and_kept_when_they_are_gone() {
    const PLACE: &str = "SSL_CERT_FILE";
    const INSIDE: &str = "POSTHASTE_TEST_INSIDE";
    if env::var_os(INSIDE).is_some() {
        let place = env::var_os(PLACE).unwrap();
        let (former, latter) = (Authority::new("former"), Authority::new("latter"));
        fs::write(&place, former.pem()).unwrap();
        let settings =
            TransportSettings { connection_lifetime: Duration::ZERO, ..TransportSettings::default() };
        let transport = to_loopback(settings);
        check(&transport, former.certify("hook.test").serving(), Ok(200)).await;
        fs::write(&place, latter.pem()).unwrap();
        check(&transport, former.certify("hook.test").serving(), UNTRUSTED).await;
        check(&transport, latter.certify("hook.test").serving(), Ok(200)).await;
        fs::remove_file(&place).unwrap();
        check(&transport, latter.certify("hook.test").serving(), Ok(200)).await;
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(env::current_exe().unwrap());
    child.args(["--exact", "tls::the_platforms_roots_are_read_anew_and_kept_when_they_are_gone"]);
    child.env(INSIDE, "").env(PLACE, folder.path().join("roots.pem")).env_remove("SSL_CERT_DIR");
    let output = tokio::task::spawn_blocking(move || child.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[track_caller]
fn check_extra_roots(pem: &str, expect: &str) {
    let settings = TransportSettings { extra_roots: pem.into(), ..TransportSettings::default() };
    match HttpTransport::new(local(), settings) {
        Err(EgressError::ExtraRoots(error)) => assert_eq!(error.to_string(), expect),
        Err(error) => panic!("{error:?}"),
        Ok(_) => panic!("trusted"),
    }
}

#[test]
fn roots_that_are_no_certificates_are_refused_at_once() {
    let extra = Authority::new("extra").pem();
    check_extra_roots("nothing", "the PEM text holds no certificate");
    check_extra_roots(
        "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n",
        "the PEM text is damaged at certificate 1",
    );
    check_extra_roots(
        &format!("{extra}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        "certificate 2 is not a valid X.509 certificate of version 3",
    );
}

#[test]
fn as_many_extra_roots_as_the_operator_wants_are_read() {
    let extra_roots = Authority::new("extra").pem().repeat(500).into_bytes();
    let settings = TransportSettings { extra_roots, ..TransportSettings::default() };
    assert!(HttpTransport::new(local(), settings).is_ok());
}
