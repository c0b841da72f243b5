//! Receivers that want to know who we are.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use posthaste_egress::{Exchange, HttpTransport, Request, TlsIdentity, Transport, TransportSettings};
use posthaste_model::ErrorClass;
use posthaste_testkit::{Receiver, Reply};
use rcgen::date_time_ymd;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, copy, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use crate::setup::{AMPLE, Names, failed, local, replied, request};
use crate::tls_setup::{Authority, VERSIONS, terminate, terminate_by, to_loopback, willing};

async fn send_as(transport: &HttpTransport, url: &str, identity: Option<&Arc<TlsIdentity>>) -> Exchange {
    transport.send(Request { identity: identity.cloned(), ..request(url) }).await
}

/// Asserts what a receiver that wants a certificate of `authority` answers to `identity`, whatever version it speaks,
/// and that it gets nothing to see if that is no.
async fn check(authority: &Authority, identity: Option<Arc<TlsIdentity>>, expect: Result<u16, &str>) {
    let transport = authority.trusted();
    for version in VERSIONS {
        let receiver = willing().await;
        let config = authority.certify("hook.test").asking(authority, &[version]);
        let exchange = send_as(&transport, &terminate(config, &receiver).await, identity.as_ref()).await;
        match expect {
            Ok(status) => assert_eq!(replied(exchange).status, status),
            Err(detail) => {
                assert_eq!(failed(&exchange, ErrorClass::Tls), detail, "{version:?}");
                assert_eq!(receiver.connections(), 0);
            }
        }
    }
}

#[tokio::test]
async fn the_right_certificate_is_accepted() {
    let authority = Authority::new("ours");
    check(&authority, Some(authority.certify("client").shown()), Ok(200)).await;
}

#[tokio::test]
async fn a_certificate_and_an_authority_go_together() {
    let authority = Authority::new("ours");
    let receiver = willing().await;
    let config = authority.certify("hook.test").asking(&authority, &VERSIONS);
    let url = terminate(config, &receiver).await;
    let client = authority.certify("client").client();
    let both = TlsIdentity::new(Some(client), authority.named().roots().cloned()).map(Arc::new);
    let transport = to_loopback(TransportSettings::default());
    assert_eq!(replied(send_as(&transport, &url, both.as_ref()).await).status, 200);
}

#[tokio::test]
async fn no_certificate_is_refused() {
    check(&Authority::new("ours"), None, Err("the receiver requires a client certificate")).await;
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_refused() {
    let theirs = Authority::new("theirs").certify("client").shown();
    let expect = Err("the receiver does not trust the authority of the client certificate");
    check(&Authority::new("ours"), Some(theirs), expect).await;
}

#[tokio::test]
async fn an_expired_certificate_is_shown_and_refused() {
    let authority = Authority::new("ours");
    let expired = authority.certify_with("client", |params| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    });
    let expect = Err("the receiver takes the client certificate for expired");
    check(&authority, Some(expired.shown()), expect).await;
}

/// It may know us and be out of order. Whether it refused us is not known, but that it asked is.
#[tokio::test]
async fn a_receiver_that_asks_and_hangs_up_is_told_of() {
    let authority = Authority::new("ours");
    let transport = authority.trusted();
    let asked = "the connection was lost after the receiver asked for a client certificate";
    let shown = "the connection was lost after the receiver was shown the client certificate";
    for version in VERSIONS {
        let receiver = Receiver::start(|_| Reply::Close).await.unwrap();
        let config = authority.certify("hook.test").curious(&authority, &[version]);
        let url = terminate(config, &receiver).await;
        for (identity, expect) in [
            (None, asked),
            (Some(authority.named()), asked),
            (Some(authority.certify("client").shown()), shown),
        ] {
            let exchange = send_as(&transport, &url, identity.as_ref()).await;
            assert_eq!(failed(&exchange, ErrorClass::Connect), expect, "{version:?}");
        }
    }
}

#[tokio::test]
async fn a_receiver_that_asks_and_hangs_up_later_is_told_of_as_any_other() {
    let authority = Authority::new("ours");
    let receiver = Receiver::start(|request| match request.path.as_str() {
        "/" => Reply::status(200),
        _ => Reply::Close,
    });
    let receiver = receiver.await.unwrap();
    let config = authority.certify("hook.test").asking(&authority, &VERSIONS);
    let url = terminate(config, &receiver).await;
    let (transport, identity) = (authority.trusted(), authority.certify("client").shown());
    replied(send_as(&transport, &url, Some(&identity)).await);
    let exchange = send_as(&transport, &format!("{url}close"), Some(&identity)).await;
    let expect = "the connection was lost before the answer was complete";
    assert_eq!(failed(&exchange, ErrorClass::Connect), expect);
    assert_eq!(receiver.connections(), 1);
}

/// In TLS 1.2 the client cannot send anything before the receiver is content.
#[tokio::test]
async fn a_receiver_that_asks_and_hangs_up_in_the_handshake_is_a_tls_failure() {
    let authority = Authority::new("ours");
    let receiver = willing().await;
    let config = authority.certify("hook.test").asking(&authority, &[VERSIONS[0]]);
    let behind = terminate(config, &receiver).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://hook.test:{}/", listener.local_addr().unwrap().port());
    let hanging_up = tokio::spawn(async move {
        let (client, _) = listener.accept().await.unwrap();
        let server = TcpStream::connect(("127.0.0.1", port_of(&behind))).await.unwrap();
        let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
            (client.into_split(), server.into_split());
        let mut words = vec![0; 16 * 1024];
        let hello = from_client.read(&mut words).await.unwrap();
        to_server.write_all(&words[..hello]).await.unwrap();
        // It has been asked when it speaks again.
        tokio::select! {
            _ = copy(&mut from_server, &mut to_client) => panic!("the receiver hung up first"),
            answer = from_client.read(&mut words) => assert_ne!(answer.unwrap(), 0),
        }
    });
    let exchange = send_as(&authority.trusted(), &url, Some(&authority.certify("client").shown())).await;
    hanging_up.await.unwrap();
    let expect = "the connection was lost after the receiver was shown the client certificate";
    assert_eq!(failed(&exchange, ErrorClass::Tls), expect);
}

fn port_of(url: &str) -> u16 {
    url::Url::parse(url).unwrap().port().unwrap()
}

/// A receiver at one URL that is another for each client: for Ann, for Bob, and for whoever shows no certificate.
struct Crowd {
    url: String,
    transport: HttpTransport,
    ann: (Arc<TlsIdentity>, Receiver),
    bob: (Arc<TlsIdentity>, Receiver),
    nobody: Receiver,
}

impl Crowd {
    async fn gather(
        version: &'static rustls::SupportedProtocolVersion,
        settings: TransportSettings,
        reply: Reply,
    ) -> Self {
        let authority = Authority::new("ours");
        let receiver = async || {
            let reply = reply.clone();
            Receiver::start(move |_| reply.clone()).await.unwrap()
        };
        let (ann, bob) = (authority.certify("ann"), authority.certify("bob"));
        let (for_ann, for_bob, nobody) = (receiver().await, receiver().await, receiver().await);
        let of_ann = (ann.certificate.der().clone(), for_ann.address());
        let of_bob = (bob.certificate.der().clone(), for_bob.address());
        let others = nobody.address();
        let route = move |certificate: Option<&CertificateDer<'static>>| match certificate {
            Some(certificate) if *certificate == of_ann.0 => of_ann.1,
            Some(certificate) if *certificate == of_bob.0 => of_bob.1,
            Some(_) => panic!("a stranger's certificate"),
            None => others,
        };
        let config = authority.certify("hook.test").curious(&authority, &[version]);
        Self {
            url: terminate_by(config, route).await,
            transport: authority.trusted_with(settings),
            ann: (ann.shown(), for_ann),
            bob: (bob.shown(), for_bob),
            nobody,
        }
    }

    /// Sends a request as everyone, `rounds` times by turns, with a path of one's own.
    async fn send(&self, rounds: usize) {
        for _ in 0..rounds {
            for (who, identity) in [("ann", Some(&self.ann.0)), ("bob", Some(&self.bob.0)), ("-", None)] {
                replied(send_as(&self.transport, &format!("{}{who}", self.url), identity).await);
            }
        }
    }

    /// Asserts that everyone's requests came over so many connections of their own, and no other's.
    #[track_caller]
    fn assert_apart(&self, rounds: usize, connections: usize) {
        for (who, receiver) in [("/ann", &self.ann.1), ("/bob", &self.bob.1), ("/-", &self.nobody)] {
            let requests = receiver.requests();
            let paths: Vec<&str> = requests.iter().map(|request| request.path.as_str()).collect();
            assert_eq!(paths, vec![who; rounds]);
            assert_eq!(receiver.connections(), connections, "{who}");
        }
    }
}

#[tokio::test]
async fn an_idle_connection_of_one_identity_is_used_for_no_other() {
    for version in VERSIONS {
        let crowd = Crowd::gather(version, TransportSettings::default(), Reply::status(200)).await;
        crowd.send(3).await;
        crowd.assert_apart(3, 1);
    }
}

#[tokio::test]
async fn a_session_of_one_identity_is_resumed_under_no_other() {
    for version in VERSIONS {
        let closing = Reply::status(200).with_header("connection", "close");
        let crowd = Crowd::gather(version, TransportSettings::default(), closing).await;
        crowd.send(3).await;
        crowd.assert_apart(3, 3);
    }
}

#[tokio::test]
async fn equal_identities_share_their_connections() {
    let authority = Authority::new("ours");
    let receiver = willing().await;
    let config = authority.certify("hook.test").asking(&authority, &VERSIONS);
    let url = terminate(config, &receiver).await;
    let (transport, client) = (authority.trusted(), authority.certify("client"));
    for _ in 0..3 {
        // Read from the same texts, time and again.
        replied(send_as(&transport, &url, Some(&client.shown())).await);
    }
    assert_eq!((receiver.requests().len(), receiver.connections()), (3, 1));
}

#[tokio::test]
async fn the_identity_that_was_used_least_recently_makes_room() {
    let settings = TransportSettings { identities: 1, ..TransportSettings::default() };
    let crowd = Crowd::gather(VERSIONS[1], settings, Reply::status(200)).await;
    let as_ann = || async { replied(send_as(&crowd.transport, &crowd.url, Some(&crowd.ann.0)).await) };
    let as_bob = || async { replied(send_as(&crowd.transport, &crowd.url, Some(&crowd.bob.0)).await) };
    let as_nobody = || async { replied(send_as(&crowd.transport, &crowd.url, None).await) };

    as_nobody().await;
    as_ann().await;
    as_bob().await;
    assert!(crowd.ann.1.wait_for_disconnects(AMPLE).await, "the connection is still open");
    as_bob().await;
    as_ann().await;
    assert!(crowd.bob.1.wait_for_disconnects(AMPLE).await, "the connection is still open");
    // Who has no identity makes room for none.
    as_nobody().await;
    let connections = [&crowd.ann.1, &crowd.bob.1, &crowd.nobody]
        .map(|receiver| (receiver.requests().len(), receiver.connections()));
    assert_eq!(connections, [(2, 2), (2, 1), (2, 1)]);
}

#[tokio::test]
async fn an_identity_in_use_stays() {
    let settings = TransportSettings { identities: 2, ..TransportSettings::default() };
    let crowd = Crowd::gather(VERSIONS[1], settings, Reply::status(200)).await;
    let third = Authority::new("theirs").named();
    for identity in [&crowd.ann.0, &crowd.bob.0, &crowd.ann.0] {
        replied(send_as(&crowd.transport, &crowd.url, Some(identity)).await);
    }
    failed(&send_as(&crowd.transport, &crowd.url, Some(&third)).await, ErrorClass::Tls);
    assert!(crowd.bob.1.wait_for_disconnects(AMPLE).await, "the connection is still open");
    replied(send_as(&crowd.transport, &crowd.url, Some(&crowd.ann.0)).await);
    assert_eq!((crowd.ann.1.requests().len(), crowd.ann.1.connections()), (3, 1));
}

#[tokio::test]
async fn a_connection_of_an_identity_does_not_outlive_a_rebind() {
    let authority = Authority::new("ours");
    let receiver = willing().await;
    let config = authority.certify("hook.test").asking(&authority, &VERSIONS);
    let url = terminate(config, &receiver).await;
    let settings = TransportSettings {
        extra_roots: authority.pem().into_bytes(),
        connection_lifetime: Duration::ZERO,
        ..TransportSettings::default()
    };
    let names = Names::answering(&[&["127.0.0.1"], &["10.0.0.1"]]);
    let transport = HttpTransport::with_resolver(local(), settings, names).unwrap();
    let identity = authority.certify("client").shown();
    replied(send_as(&transport, &url, Some(&identity)).await);
    failed(&send_as(&transport, &url, Some(&identity)).await, ErrorClass::Blocked);
}

/// A forward proxy on this machine, to which every name is this machine. Returns its address, and what it is asked for.
async fn proxy() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let heard = asked.clone();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let heard = heard.clone();
            tokio::spawn(async move {
                let mut client = BufReader::new(client);
                let mut line = String::new();
                client.read_line(&mut line).await?;
                let target = line.split(' ').nth(1).unwrap().to_owned();
                let port = port_of(&format!("https://{target}/"));
                heard.lock().unwrap().push(target);
                while line != "\r\n" {
                    line.clear();
                    client.read_line(&mut line).await?;
                }
                client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
                copy_bidirectional(&mut client, &mut TcpStream::connect(("127.0.0.1", port)).await?).await
            });
        }
    });
    (address, asked)
}

fn through(authority: &Authority, proxy: &str) -> HttpTransport {
    authority.trusted_with(TransportSettings {
        proxy: Some(proxy.parse().unwrap()),
        ..TransportSettings::default()
    })
}

#[tokio::test]
async fn an_identity_is_shown_through_a_proxy_to_the_receiver() {
    let authority = Authority::new("ours");
    let receiver = willing().await;
    let config = authority.certify("hook.test").asking(&authority, &VERSIONS);
    let url = terminate(config, &receiver).await;
    let (address, asked) = proxy().await;
    let transport = through(&authority, &format!("http://{address}"));
    let identity = authority.certify("client").shown();
    assert_eq!(replied(send_as(&transport, &url, Some(&identity)).await).status, 200);
    assert_eq!(*asked.lock().unwrap(), [url.strip_prefix("https://").unwrap().trim_end_matches('/')]);
}

/// The client would treat the proxy as it treats the receiver: show it our certificate, and judge it by the endpoint's
/// authorities.
#[tokio::test]
async fn an_identity_is_not_shown_to_an_https_proxy() {
    let authority = Authority::new("ours");
    let receiver = willing().await;
    let proxy = terminate(authority.certify("127.0.0.1").serving(), &receiver).await;
    let proxy = proxy.replace("hook.test", "127.0.0.1");
    let transport = through(&authority, &proxy);
    for identity in [authority.certify("client").shown(), authority.named()] {
        let exchange = send_as(&transport, "https://hook.test/", Some(&identity)).await;
        assert_eq!(failed(&exchange, ErrorClass::Internal), "the request could not be sent");
    }
    assert_eq!(receiver.connections(), 0);
    // It is there for others, though there is nothing behind it.
    failed(&send_as(&transport, "https://hook.test/", None).await, ErrorClass::Tls);
    assert_eq!(receiver.requests()[0].method, "CONNECT");
}
