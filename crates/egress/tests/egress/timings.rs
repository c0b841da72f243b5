//! Where the time of an exchange went.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use posthaste_egress::{Exchange, HttpTransport, Request, Resolver, Transport, TransportSettings};
use posthaste_model::ErrorClass;
use posthaste_testkit::{Receiver, Reply};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use crate::setup::{failed, ip, local, replied, request, send, transport};
use crate::tls_setup::{Authority, terminate, willing};

/// How long each step is made to last: no other step of a machine lasts as long.
const SLOW: Duration = Duration::from_millis(400);

/// A resolver that takes its time to say that a name is this machine.
struct Slow;

#[async_trait]
impl Resolver for Slow {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        sleep(SLOW).await;
        if host == "unknown.test" { Err(io::ErrorKind::NotFound.into()) } else { Ok(vec![ip("127.0.0.1")]) }
    }
}

/// Takes connections at once, and passes on what is said after a while. Returns the port.
async fn hesitate(port: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                sleep(SLOW).await;
                let mut server = TcpStream::connect(("127.0.0.1", port)).await?;
                copy_bidirectional(&mut client, &mut server).await
            });
        }
    });
    own
}

fn port_of(url: &str) -> u16 {
    url.trim_end_matches('/').rsplit(':').next().unwrap().parse().unwrap()
}

fn steps(Exchange { dns, connect, tls, .. }: &Exchange) -> [Option<Duration>; 3] {
    [*dns, *connect, *tls]
}

#[tokio::test]
async fn each_step_of_a_dial_is_told_apart() {
    let (authority, receiver) = (Authority::new("extra"), willing().await);
    let secured = terminate(authority.certify("hook.test").serving(), &receiver).await;
    let url = format!("https://hook.test:{}/", hesitate(port_of(&secured)).await);
    let settings = TransportSettings { extra_roots: authority.pem().into(), ..TransportSettings::default() };
    let transport = HttpTransport::with_resolver(local(), settings, Arc::new(Slow)).unwrap();

    let exchange = send(&transport, &url).await;
    let [Some(dns), Some(connect), Some(tls)] = steps(&exchange) else { panic!("{exchange:?}") };
    assert!(dns >= SLOW && connect < SLOW && tls >= SLOW, "{exchange:?}");
    assert!(exchange.first_byte.is_some_and(|first| first >= dns + connect + tls), "{exchange:?}");

    // The connection is used again.
    let again = send(&transport, &url).await;
    assert_eq!(steps(&again), [None; 3]);
    assert_eq!(replied(again).status, 200);
}

#[tokio::test]
async fn an_address_needs_no_resolving_and_plain_http_no_handshake() {
    let receiver = Receiver::start(|_| Reply::status(200)).await.unwrap();
    let exchange = send(&transport(), &receiver.url("/")).await;
    let [dns, connect, tls] = steps(&exchange);
    assert!(dns.is_none() && connect.is_some() && tls.is_none(), "{exchange:?}");
}

#[tokio::test]
async fn a_failure_has_the_steps_that_were_made() {
    let transport =
        HttpTransport::with_resolver(local(), TransportSettings::default(), Arc::new(Slow)).unwrap();
    let exchange = send(&transport, "https://unknown.test/").await;
    failed(&exchange, ErrorClass::Dns);
    let [dns, connect, tls] = steps(&exchange);
    assert!(dns.is_some_and(|dns| dns >= SLOW) && connect.is_none() && tls.is_none(), "{exchange:?}");

    // Nobody listens there any more.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let exchange = send(&transport, &format!("https://hook.test:{port}/")).await;
    failed(&exchange, ErrorClass::Connect);
    let [dns, connect, tls] = steps(&exchange);
    assert!(dns.is_some() && connect.is_none() && tls.is_none(), "{exchange:?}");

    // The authority is none that is trusted here.
    let receiver = willing().await;
    let url = terminate(Authority::new("unknown").certify("hook.test").serving(), &receiver).await;
    let exchange = send(&transport, &url).await;
    failed(&exchange, ErrorClass::Tls);
    let [dns, connect, tls] = steps(&exchange);
    assert!(dns.is_some() && connect.is_some() && tls.is_none(), "{exchange:?}");
}

#[tokio::test]
async fn a_deadline_leaves_what_was_done_until_then() {
    let receiver = Receiver::start(|_| Reply::Hang).await.unwrap();
    let url = format!("http://hook.test:{}/", receiver.address().port());
    let names = crate::setup::Names::answering(&[&["127.0.0.1"]]);
    let transport = crate::setup::transport_asking(&names, local());
    let exchange = transport.send(Request { deadline: SLOW, ..request(&url) }).await;
    failed(&exchange, ErrorClass::Timeout);
    let [dns, connect, tls] = steps(&exchange);
    assert!(dns.is_some() && connect.is_some() && tls.is_none(), "{exchange:?}");
}
