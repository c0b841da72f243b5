//! What the client does and does not do of its own accord.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use posthaste_egress::{HttpTransport, Method, Request, Transport, TransportSettings};
use posthaste_model::ErrorClass;
use posthaste_testkit::{Receiver, Reply};
use tokio::net::TcpListener;

use crate::setup::{AMPLE, failed, local, replied, request, send, transport};

#[tokio::test]
async fn a_request_arrives_as_it_was_made() {
    let receiver =
        Receiver::start(|_| Reply::status(201).with_header("x-a", "b").with_body("thanks")).await.unwrap();
    let mut headers = HeaderMap::new();
    headers.insert("webhook-id", HeaderValue::from_static("msg_1"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let body = Bytes::from_static(b"{\"a\":  1}");
    let exchange = transport()
        .send(Request { headers, body: body.clone(), ..request(&receiver.url("/in?a=%20b")) })
        .await;

    assert!(exchange.first_byte.is_some_and(|first| first <= exchange.total));
    let reply = replied(exchange);
    assert_eq!((reply.status, reply.truncated), (201, false));
    assert_eq!(reply.body, "thanks");
    assert!(reply.headers.contains(&("x-a".to_owned(), "b".to_owned())));

    let requests = receiver.wait_for(1, AMPLE).await;
    let [received] = &requests[..] else { panic!("{requests:?}") };
    assert_eq!((received.method.as_str(), received.path.as_str()), ("POST", "/in?a=%20b"));
    assert_eq!(received.body, body);
    let expect = [
        ("webhook-id", Some("msg_1")),
        ("content-type", Some("application/json")),
        ("content-length", Some("9")),
        ("user-agent", Some(concat!("Posthaste/", env!("CARGO_PKG_VERSION")))),
        ("accept-encoding", None),
        ("referer", None),
        ("cookie", None),
    ];
    for (name, value) in expect {
        assert_eq!(received.header(name), value, "{name}");
    }
}

#[tokio::test]
async fn methods_arrive_as_such_and_their_answers_are_kept() {
    let expect = [(Method::Post, "POST"), (Method::Put, "PUT"), (Method::Options, "OPTIONS")];
    let receiver = Receiver::start(|_| {
        Reply::status(204)
            .with_header("WebHook-Allowed-Origin", "*")
            .with_header("WebHook-Allowed-Rate", "120")
    });
    let receiver = receiver.await.unwrap();
    let transport = transport();
    for (number, (method, name)) in expect.into_iter().enumerate() {
        let mut sent = Request { method, ..request(&receiver.url("/in")) };
        sent.headers.insert("webhook-request-origin", HeaderValue::from_static("posthaste.example"));
        let reply = replied(transport.send(sent).await);
        assert_eq!(reply.status, 204);
        for header in [("webhook-allowed-origin", "*"), ("webhook-allowed-rate", "120")] {
            assert!(
                reply.headers.contains(&(header.0.into(), header.1.into())),
                "{name}: {:?}",
                reply.headers
            );
        }
        let received = &receiver.requests()[number];
        assert_eq!((received.method.as_str(), received.path.as_str()), (name, "/in"));
        assert_eq!(received.header("webhook-request-origin"), Some("posthaste.example"));
        assert_eq!(received.body, "{}");
    }
}

#[tokio::test]
async fn a_handshake_needs_no_body() {
    let receiver = Receiver::start(|_| Reply::status(200)).await.unwrap();
    let handshake = Request { method: Method::Options, body: Bytes::new(), ..request(&receiver.url("/")) };
    replied(transport().send(handshake).await);
    let received = &receiver.requests()[0];
    assert_eq!((received.method.as_str(), received.body.len()), ("OPTIONS", 0));
    assert_eq!(received.header("transfer-encoding"), None);
}

#[tokio::test]
async fn the_user_agent_can_be_chosen() {
    let receiver = Receiver::start(|_| Reply::status(200)).await.unwrap();
    let settings =
        TransportSettings { user_agent: "Acme-Hooks/2".to_owned(), ..TransportSettings::default() };
    let transport = HttpTransport::new(local(), settings).unwrap();
    replied(send(&transport, &receiver.url("/")).await);
    let mut own = request(&receiver.url("/"));
    own.headers.insert(header::USER_AGENT, HeaderValue::from_static("mine"));
    replied(transport.send(own).await);
    let seen: Vec<_> =
        receiver.requests().iter().map(|r| r.header("user-agent").map(str::to_owned)).collect();
    assert_eq!(seen, [Some("Acme-Hooks/2".to_owned()), Some("mine".to_owned())]);
}

#[tokio::test]
async fn custom_headers_cannot_reframe_or_redirect_a_request() {
    let receiver = Receiver::start(|_| Reply::status(200)).await.unwrap();
    let mut forged = request(&receiver.url("/"));
    for (name, value) in [
        ("host", "internal"),
        ("content-length", "0"),
        ("transfer-encoding", "chunked"),
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("expect", "100-continue"),
        ("te", "trailers"),
        ("trailer", "x"),
        ("proxy-authorization", "Basic eA=="),
    ] {
        forged.headers.insert(name, HeaderValue::from_static(value));
    }
    replied(transport().send(forged).await);
    let received = &receiver.requests()[0];
    assert_eq!(received.header("host"), Some(receiver.address().to_string().as_str()));
    assert_eq!(received.header("content-length"), Some("2"));
    assert_eq!(received.body, "{}");
    for name in
        ["transfer-encoding", "connection", "upgrade", "expect", "te", "trailer", "proxy-authorization"]
    {
        assert_eq!(received.header(name), None, "{name}");
    }
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let internal = Receiver::start(|_| Reply::status(200)).await.unwrap();
    let location = internal.url("/secret");
    for status in [301, 302, 303, 307, 308] {
        let location = location.clone();
        let receiver = Receiver::start(move |_| Reply::status(status).with_header("location", &location));
        let receiver = receiver.await.unwrap();
        for method in [Method::Post, Method::Put, Method::Options] {
            let request = Request { method, ..request(&receiver.url("/")) };
            assert_eq!(replied(transport().send(request).await).status, status);
        }
    }
    assert_eq!(internal.connections(), 0);
}

#[tokio::test]
async fn a_compressed_bomb_stays_compressed() {
    // What gzip makes of nothing.
    let bytes: &[u8] = &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let receiver =
        Receiver::start(move |_| Reply::status(200).with_header("content-encoding", "gzip").with_body(bytes));
    let receiver = receiver.await.unwrap();
    let reply = replied(send(&transport(), &receiver.url("/")).await);
    assert_eq!(reply.body, bytes);
    assert!(reply.headers.contains(&("content-encoding".to_owned(), "gzip".to_owned())));
}

#[tokio::test]
async fn error_statuses_are_replies_and_not_tried_again() {
    for status in [400, 404, 410, 421, 429, 500, 503] {
        let receiver = Receiver::start(move |_| Reply::status(status)).await.unwrap();
        assert_eq!(replied(send(&transport(), &receiver.url("/")).await).status, status);
        assert_eq!(receiver.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_refused_connection_is_told_as_such() {
    // Bound but not listening any more.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let exchange = send(&transport(), &url).await;
    assert_eq!(failed(&exchange, ErrorClass::Connect), "the connection was refused");
}

/// Asserts what becomes of bytes that are followed by the end of the connection.
async fn check_raw(bytes: &'static [u8], expect: ErrorClass) {
    let receiver = Receiver::start(move |_| Reply::Raw(Bytes::from_static(bytes))).await.unwrap();
    let exchange = send(&transport(), &receiver.url("/")).await;
    failed(&exchange, expect);
    assert_eq!(receiver.requests().len(), 1, "sent again: {:?}", String::from_utf8_lossy(bytes));
}

#[tokio::test]
async fn connections_that_close_early_are_lost_connections() {
    for bytes in [
        &b""[..],
        b"HTTP/1.1 20",
        b"HTTP/1.1 200 OK\r\ncontent-le",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabc",
    ] {
        check_raw(bytes, ErrorClass::Connect).await;
    }
}

#[tokio::test]
async fn a_connection_dropped_at_once_is_a_lost_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let dropping = tokio::spawn(async move { while listener.accept().await.is_ok() {} });
    // Many times, because it shows in another way whenever it comes at another moment.
    let transport = transport();
    for _ in 0..200 {
        failed(&send(&transport, &url).await, ErrorClass::Connect);
    }
    dropping.abort();
}

#[tokio::test]
async fn a_switch_of_protocols_is_not_made() {
    let bytes = Bytes::from_static(
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nabc",
    );
    let receiver = Receiver::start(move |_| Reply::Raw(bytes.clone())).await.unwrap();
    let reply = replied(send(&transport(), &receiver.url("/")).await);
    assert_eq!((reply.status, reply.body.len()), (101, 0));
}

#[tokio::test]
async fn garbage_is_a_protocol_failure() {
    for bytes in [
        &b"SSH-2.0-OpenSSH_9.6\r\n"[..],
        b"\x15\x03\x01\x00\x02\x02\x16\r\n\r\n",
        b"HTTP/9.9 200 OK\r\n\r\n",
        b"HTTP/1.1 9999 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: a\0b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
    ] {
        check_raw(bytes, ErrorClass::Protocol).await;
    }
}

#[tokio::test]
async fn header_bytes_that_are_no_text_are_replaced() {
    let bytes = Bytes::from_static(b"HTTP/1.1 200 OK\r\nx-a: \xff\xfe<script>\r\ncontent-length: 0\r\n\r\n");
    let receiver = Receiver::start(move |_| Reply::Raw(bytes.clone())).await.unwrap();
    let reply = replied(send(&transport(), &receiver.url("/")).await);
    assert_eq!(reply.headers[0], ("x-a".to_owned(), "\u{fffd}\u{fffd}<script>".to_owned()));
}

#[tokio::test]
async fn many_exchanges_at_once_all_arrive_once() {
    let answered = Arc::new(AtomicUsize::new(0));
    let count = answered.clone();
    let receiver = Receiver::start(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        Reply::status(200)
    });
    let receiver = receiver.await.unwrap();
    let transport = Arc::new(transport());
    let mut sending = tokio::task::JoinSet::new();
    for worker in 0..50 {
        let (transport, url) = (transport.clone(), receiver.url(&format!("/{worker}")));
        sending.spawn(async move {
            for _ in 0..100 {
                replied(send(&transport, &url).await);
            }
        });
    }
    while let Some(worker) = sending.join_next().await {
        worker.unwrap();
    }
    assert_eq!(receiver.wait_for(5000, AMPLE).await.len(), 5000);
    assert_eq!(answered.load(Ordering::Relaxed), 5000);
    assert!(receiver.connections() <= 64, "{}", receiver.connections());
}

/// The environment belongs to the process, so the test runs once more in a process with a hostile one.
#[tokio::test]
async fn proxies_from_the_environment_are_ignored() {
    const TARGET: &str = "POSTHASTE_TEST_TARGET";
    if let Ok(url) = std::env::var(TARGET) {
        assert_eq!(replied(send(&transport(), &url).await).status, 200);
        return;
    }
    let proxy = Receiver::start(|_| Reply::status(418)).await.unwrap();
    let receiver = Receiver::start(|_| Reply::status(200)).await.unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "client::proxies_from_the_environment_are_ignored"]);
    child.env(TARGET, receiver.url("/")).env_remove("NO_PROXY").env_remove("no_proxy");
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        child.env(name, proxy.url("/"));
    }
    let output = tokio::task::spawn_blocking(move || child.output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!((receiver.requests().len(), proxy.connections()), (1, 0));
}
