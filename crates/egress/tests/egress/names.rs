//! Names that lead elsewhere than they say.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use posthaste_egress::{
    EgressPolicy, Guard, HttpTransport, Request, Resolver, TargetUrl, Transport, TransportSettings,
};
use posthaste_model::ErrorClass;
use posthaste_testkit::{Receiver, Reply};

use crate::setup::{AMPLE, Names, failed, guard, local, replied, request, send, transport, transport_asking};

const SECRET_NAME: &str = "hook.test";

fn url_by_name(receiver: &Receiver) -> String {
    format!("http://{SECRET_NAME}:{}/", receiver.address().port())
}

#[tokio::test]
async fn a_name_is_resolved_and_dialled() {
    let receiver = Receiver::start(|_| Reply::status(204)).await.unwrap();
    let names = Names::answering(&[&["127.0.0.1"]]);
    let exchange = send(&transport_asking(&names, local()), &url_by_name(&receiver)).await;
    assert_eq!(replied(exchange).status, 204);
    assert_eq!(names.asked(), [SECRET_NAME]);
    let host = format!("{SECRET_NAME}:{}", receiver.address().port());
    assert_eq!(receiver.requests()[0].header("host"), Some(host.as_str()));
}

#[tokio::test]
async fn localhost_works_with_the_systems_resolver() {
    let receiver = Receiver::start(|_| Reply::status(200)).await.unwrap();
    let url = format!("http://localhost:{}/", receiver.address().port());
    assert_eq!(replied(send(&transport(), &url).await).status, 200);
}

#[tokio::test]
async fn a_name_of_a_private_address_is_blocked() {
    for answer in
        [&["10.0.0.1"], &["169.254.169.254"], &["::ffff:10.0.0.1"], &["64:ff9b::a00:1"], &["fd00:ec2::254"]]
    {
        let names = Names::answering(&[answer]);
        let exchange = send(&transport_asking(&names, local()), "https://hook.test/").await;
        failed(&exchange, ErrorClass::Blocked);
    }
}

#[tokio::test]
async fn a_mixed_answer_is_blocked_as_a_whole() {
    let receiver = Receiver::start(|_| Reply::status(200)).await.unwrap();
    for answer in [["127.0.0.1", "10.0.0.1"], ["10.0.0.1", "127.0.0.1"]] {
        let names = Names::answering(&[&answer]);
        let exchange = send(&transport_asking(&names, local()), &url_by_name(&receiver)).await;
        failed(&exchange, ErrorClass::Blocked);
    }
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn a_mixed_answer_of_public_and_private_is_blocked_for_https_too() {
    for answer in [["8.8.8.8", "10.0.0.1"], ["10.0.0.1", "8.8.8.8"], ["2606:4700::1", "::1"]] {
        let names = Names::answering(&[&answer]);
        failed(&send(&transport_asking(&names, guard(&[])), "https://hook.test/").await, ErrorClass::Blocked);
    }
}

#[tokio::test]
async fn a_name_that_rebinds_after_the_check_is_blocked_and_not_dialled() {
    let public = Receiver::start(|_| Reply::status(200).with_header("connection", "close")).await.unwrap();
    let port = public.address().port();
    let internal = Receiver::bind(([127, 0, 0, 2], port).into(), |_| Reply::status(200)).await.unwrap();
    let names = Names::answering(&[&["127.0.0.1"], &["127.0.0.2"]]);
    let transport = transport_asking(&names, guard(&["127.0.0.1/32"]));

    assert_eq!(replied(send(&transport, &url_by_name(&public)).await).status, 200);
    failed(&send(&transport, &url_by_name(&public)).await, ErrorClass::Blocked);
    assert_eq!(names.asked().len(), 2);
    assert_eq!((public.connections(), internal.connections()), (1, 0));
}

#[tokio::test]
async fn a_connection_kept_busy_does_not_outlive_a_rebind() {
    let receiver = Receiver::start(|_| Reply::status(200)).await.unwrap();
    let names = Names::answering(&[&["127.0.0.1"], &["10.0.0.1"]]);
    let settings = TransportSettings { connection_lifetime: Duration::ZERO, ..TransportSettings::default() };
    let transport = HttpTransport::with_resolver(local(), settings, names).unwrap();
    replied(send(&transport, &url_by_name(&receiver)).await);
    failed(&send(&transport, &url_by_name(&receiver)).await, ErrorClass::Blocked);
}

#[tokio::test]
async fn connections_are_reused_within_their_lifetime() {
    let receiver = Receiver::start(|_| Reply::status(200)).await.unwrap();
    let names = Names::answering(&[&["127.0.0.1"]]);
    let transport = transport_asking(&names, local());
    for _ in 0..3 {
        replied(send(&transport, &url_by_name(&receiver)).await);
    }
    assert_eq!((receiver.connections(), names.asked().len()), (1, 1));
}

#[tokio::test]
async fn a_name_of_our_own_listener_is_blocked() {
    let own = Receiver::start(|_| Reply::status(200)).await.unwrap();
    let other = Receiver::start(|_| Reply::status(200)).await.unwrap();
    let guard = Guard::new(EgressPolicy {
        allow: vec!["127.0.0.0/8".parse().unwrap()],
        own: vec![own.address()],
        ..EgressPolicy::default()
    });
    let names = Names::answering(&[&["127.0.0.1"], &["127.0.0.1"]]);
    let transport = transport_asking(&names, guard);
    failed(&send(&transport, &url_by_name(&own)).await, ErrorClass::Blocked);
    assert_eq!(own.connections(), 0);
    assert_eq!(replied(send(&transport, &url_by_name(&other)).await).status, 200);
}

#[tokio::test]
async fn plain_http_to_a_public_address_behind_a_name_is_blocked() {
    let names = Names::answering(&[&["8.8.8.8"], &["127.0.0.1", "8.8.8.8"]]);
    let transport = transport_asking(&names, local());
    for _ in 0..2 {
        failed(&send(&transport, "http://hook.test/").await, ErrorClass::Blocked);
    }
    assert_eq!(names.asked().len(), 2);
}

#[tokio::test]
async fn a_literal_is_judged_again_when_it_is_sent_to() {
    let receiver = Receiver::start(|_| Reply::status(200)).await.unwrap();
    let names = Names::answering(&[]);
    let transport = transport_asking(&names, guard(&[]));
    failed(&send(&transport, &receiver.url("/")).await, ErrorClass::Blocked);
    failed(&send(&transport, &receiver.url("/").replace("http:", "https:")).await, ErrorClass::Blocked);
    assert_eq!(receiver.connections(), 0);
    assert!(names.asked().is_empty());
}

#[tokio::test]
async fn dns_that_hangs_fails_within_its_budget() {
    let names = Names::answering(&[]);
    let exchange = send(&transport_asking(&names, local()), "https://hook.test/").await;
    assert_eq!(failed(&exchange, ErrorClass::Dns), "the host name was not resolved in time");
    assert!(exchange.total < AMPLE / 4, "{:?}", exchange.total);
    assert_eq!(exchange.first_byte, None);
}

#[tokio::test]
async fn dns_that_hangs_beyond_the_deadline_is_a_timeout() {
    let settings = TransportSettings { resolve_timeout: AMPLE, ..TransportSettings::default() };
    let transport = HttpTransport::with_resolver(local(), settings, Names::answering(&[])).unwrap();
    let request = Request { deadline: Duration::from_millis(100), ..request("https://hook.test/") };
    failed(&transport.send(request).await, ErrorClass::Timeout);
}

#[tokio::test]
async fn names_without_an_address_fail() {
    struct Unknown;
    #[async_trait]
    impl Resolver for Unknown {
        async fn resolve(&self, _: &str) -> io::Result<Vec<IpAddr>> {
            Err(io::Error::other("no such name, says 10.0.0.53"))
        }
    }
    let transport =
        HttpTransport::with_resolver(local(), TransportSettings::default(), Arc::new(Unknown)).unwrap();
    let unknown = send(&transport, "https://hook.test/").await;
    assert_eq!(failed(&unknown, ErrorClass::Dns), "the host name could not be resolved");

    let empty = send(&transport_asking(&Names::answering(&[&[]]), local()), "https://hook.test/").await;
    assert_eq!(failed(&empty, ErrorClass::Dns), "the host name could not be resolved");
}

#[tokio::test]
async fn through_a_proxy_plain_names_are_refused_and_literals_judged() {
    let proxy = Receiver::start(|_| Reply::status(200)).await.unwrap();
    let settings =
        TransportSettings { proxy: Some(proxy.url("/").parse().unwrap()), ..TransportSettings::default() };
    let transport = HttpTransport::new(guard(&["127.0.0.0/8"]), settings).unwrap();
    failed(&send(&transport, "http://hook.test/").await, ErrorClass::Blocked);
    failed(&send(&transport, "http://[::1]/").await, ErrorClass::Blocked);
    assert_eq!(proxy.connections(), 0);

    // A port that nothing listens on: only the proxy can have answered.
    assert_eq!(replied(send(&transport, "http://127.0.0.1:4/in").await).status, 200);
    assert_eq!(proxy.requests()[0].path, "http://127.0.0.1:4/in");
}

#[tokio::test]
async fn parsing_asks_no_resolver() {
    // What a name leads to now says nothing about the moment of sending.
    assert!(TargetUrl::parse("https://metadata.google.internal/", &guard(&[])).is_ok());
}
