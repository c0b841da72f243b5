//! Receivers that never stop.

use std::time::Duration;

use bytes::Bytes;
use posthaste_egress::{Request, Transport, TransportSettings};
use posthaste_model::ErrorClass;
use posthaste_testkit::{Receiver, Reply};

use crate::setup::{AMPLE, failed, replied, request, send, transport};

const SHORT: Duration = Duration::from_millis(300);

/// Asserts that a receiver which does this is left when the deadline is over, and whether its head had arrived.
async fn check_left_at_the_deadline(reply: Reply, head_arrives: bool) {
    let receiver = Receiver::start(move |_| reply.clone()).await.unwrap();
    let transport = transport();
    let exchange = transport.send(Request { deadline: SHORT, ..request(&receiver.url("/")) }).await;
    failed(&exchange, ErrorClass::Timeout);
    assert!(exchange.total >= SHORT && exchange.total < AMPLE / 4, "{:?}", exchange.total);
    assert_eq!(exchange.first_byte.is_some(), head_arrives);
    assert!(receiver.wait_for_disconnects(AMPLE).await, "the connection is still open");
}

#[tokio::test]
async fn a_receiver_that_hangs_is_left() {
    check_left_at_the_deadline(Reply::Hang, false).await;
}

#[tokio::test]
async fn an_answer_that_comes_too_late_is_not_waited_for() {
    check_left_at_the_deadline(Reply::After(SHORT * 4, Box::new(Reply::status(200))), false).await;
}

fn drip(head: &'static str) -> Reply {
    let bytes = Bytes::from_static(&[b'y'; 10_000]);
    Reply::Drip { head: Bytes::from_static(head.as_bytes()), every: Duration::from_millis(5), bytes }
}

#[tokio::test]
async fn slowly_dripping_headers_are_left() {
    check_left_at_the_deadline(drip("HTTP/1.1 200 OK\r\nx: "), false).await;
}

#[tokio::test]
async fn a_slowly_dripping_body_is_left() {
    check_left_at_the_deadline(drip("HTTP/1.1 200 OK\r\ncontent-length: 10000\r\n\r\n"), true).await;
}

/// Only a success has to be complete: a 410 disables its endpoint however slowly the rest of it comes.
#[tokio::test]
async fn a_refusal_counts_though_its_body_drips() {
    let receiver =
        Receiver::start(|_| drip("HTTP/1.1 410 Gone\r\ncontent-length: 10000\r\n\r\n")).await.unwrap();
    let transport = transport();
    let exchange = transport.send(Request { deadline: SHORT, ..request(&receiver.url("/")) }).await;
    assert!(exchange.total >= SHORT && exchange.total < AMPLE / 4, "{:?}", exchange.total);
    let reply = replied(exchange);
    assert_eq!((reply.status, reply.truncated), (410, true));
    assert!(!reply.body.is_empty() && reply.body.len() < 10_000);
    assert!(receiver.wait_for_disconnects(AMPLE).await, "the connection is still open");
}

#[tokio::test]
async fn informational_answers_for_ever_are_left() {
    let again = Bytes::from_static(b"HTTP/1.1 100 Continue\r\n\r\n");
    check_left_at_the_deadline(Reply::Endless { head: Bytes::new(), again }, false).await;
}

#[tokio::test]
async fn an_endless_body_is_cut_and_its_connection_closed() {
    let receiver = Receiver::start(|_| Reply::endless_body()).await.unwrap();
    let transport = transport();
    let reply = replied(send(&transport, &receiver.url("/")).await);
    assert_eq!((reply.status, reply.truncated), (200, true));
    assert_eq!(reply.body, vec![b'x'; TransportSettings::default().body_limit]);
    assert!(receiver.wait_for_disconnects(AMPLE).await, "the connection is still open");
}

#[tokio::test]
async fn a_body_of_just_the_limit_is_whole() {
    let limit = TransportSettings::default().body_limit;
    for (length, truncated) in [(0, false), (limit, false), (limit + 1, true)] {
        let receiver =
            Receiver::start(move |_| Reply::status(200).with_body(vec![b'x'; length])).await.unwrap();
        let reply = replied(send(&transport(), &receiver.url("/")).await);
        assert_eq!((reply.body.len(), reply.truncated), (length.min(limit), truncated));
    }
}

#[tokio::test]
async fn megabytes_of_headers_are_refused() {
    let line = format!("x: {}\r\n", "y".repeat(1000));
    for (head, again) in
        [("HTTP/1.1 200 OK\r\n", line.as_str()), ("HTTP/1.1 200 OK\r\nx: ", "yyyyyyyyyyyyyyyy")]
    {
        let reply = Reply::Endless { head: head.to_owned().into(), again: again.to_owned().into() };
        let receiver = Receiver::start(move |_| reply.clone()).await.unwrap();
        let transport = transport();
        failed(&send(&transport, &receiver.url("/")).await, ErrorClass::Protocol);
        assert!(receiver.wait_for_disconnects(AMPLE).await, "the connection is still open");
    }
}

#[tokio::test]
async fn headers_beyond_the_limit_are_left_out() {
    let receiver = Receiver::start(|_| {
        (0..40).fold(Reply::status(200), |reply, i| reply.with_header(&format!("x-{i}"), &"y".repeat(1000)))
    });
    let receiver = receiver.await.unwrap();
    let reply = replied(send(&transport(), &receiver.url("/")).await);
    let kept: usize = reply.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    let limit = TransportSettings::default().header_limit;
    assert!(kept <= limit && kept > limit - 1100, "{kept}");
    assert_eq!(reply.status, 200);
}

/// Neither what is too long nor what comes first takes room from them.
#[tokio::test]
async fn headers_beyond_the_limit_crowd_out_none_that_matter() {
    const FIRST: [(&str, &str); 4] = [
        ("content-type", "text/plain"),
        ("retry-after", "120"),
        ("webhook-allowed-origin", "*"),
        ("webhook-allowed-rate", "60"),
    ];
    let limit = TransportSettings::default().header_limit;
    let receiver = Receiver::start(move |_| {
        let long = Reply::status(200).with_header("x-long", &"y".repeat(limit));
        let many = (0..40).fold(long, |reply, i| reply.with_header(&format!("x-{i}"), &"y".repeat(1000)));
        FIRST.into_iter().fold(many, |reply, (name, value)| reply.with_header(name, value))
    });
    let receiver = receiver.await.unwrap();
    let reply = replied(send(&transport(), &receiver.url("/")).await);
    let has = |name: &str| reply.headers.iter().any(|(kept, _)| kept == name);
    for (name, value) in FIRST {
        assert!(reply.headers.contains(&(name.to_owned(), value.to_owned())), "{name}: {:?}", reply.headers);
    }
    assert!(has("x-0") && !has("x-long") && !has("x-39"), "{:?}", reply.headers);
}
