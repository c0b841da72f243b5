//! Reaching the service, and not reaching it.

use std::{error::Error as _, time::Duration};

use posthaste_client::{Client, ClientError};
use posthaste_testkit::{Receiver, Reply};
use tokio::net::TcpSocket;

use crate::setup::{KEY, json};

fn alive() -> Reply {
    json(r#"{"status": "alive"}"#)
}

#[tokio::test]
async fn clones_share_their_connections() {
    let service = Receiver::start(|_| alive()).await.unwrap();
    let client = Client::new(&service.url("/prefix/"), KEY).unwrap();
    for _ in 0..10 {
        let client = client.clone();
        tokio::spawn(async move { client.health().await }).await.unwrap().unwrap();
    }
    let requests = service.requests();
    assert_eq!(requests.len(), 10);
    // Whether a connection is back in time for the very next call is the scheduler's affair.
    assert!(service.connections() < requests.len());
    assert_eq!(requests[0].path, "/prefix/healthz");
    assert!(requests[0].header("user-agent").unwrap().starts_with("posthaste-client/"));
}

#[tokio::test]
async fn a_refused_connection() {
    // Bound, so that nobody else listens there, and not listening.
    let nobody = TcpSocket::new_v4().unwrap();
    nobody.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let client = Client::new(&format!("http://{}", nobody.local_addr().unwrap()), KEY).unwrap();
    let error = client.health().await.unwrap_err();
    assert!(matches!(error, ClientError::Connect { .. }), "{error:?}");
    assert!(error.source().is_some());
    assert!(!format!("{error:?}").contains(KEY));
}

#[tokio::test]
async fn a_service_that_does_not_answer_in_time() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n";
    for reply in [
        Reply::Hang,
        Reply::Drip { head: head[..].into(), every: Duration::from_secs(60), bytes: b"{"[..].into() },
    ] {
        let service = Receiver::start(move |_| reply.clone()).await.unwrap();
        let client = Client::new(&service.url(""), KEY).unwrap().with_timeout(Duration::from_millis(300));
        let error = client.health().await.unwrap_err();
        assert!(matches!(error, ClientError::Timeout { .. }), "{error:?}");
    }
}

#[test]
fn what_cannot_be_a_client() {
    let base = Client::new("http://user:hidden@localhost", KEY).unwrap_err();
    assert!(matches!(base, ClientError::InvalidBase { source: None }));
    assert!(!format!("{base:?} {base}").contains("hidden"));
    let base = Client::new("nowhere", KEY).unwrap_err();
    assert!(matches!(base, ClientError::InvalidBase { source: Some(_) }));
    let key = Client::new("http://localhost", "hidden\n").unwrap_err();
    assert!(matches!(key, ClientError::InvalidHeader { name: "authorization", .. }));
    assert!(!format!("{key:?} {key}").contains("hidden"));
}

#[test]
fn secrets_do_not_show() {
    let client = Client::new("http://localhost", KEY).unwrap();
    assert_eq!(format!("{client:?}"), r#"Client { base: "http://localhost/", .. }"#);
    let secrets: posthaste_client::Secrets =
        serde_json::from_str(r#"{"secret": "whsec_hidden", "retiring": []}"#).unwrap();
    assert_eq!(secrets.secret.expose(), "whsec_hidden");
    assert_eq!(
        format!("{secrets:?}"),
        "Secrets { secret: SecretText(..), public_key: None, secrets: [], retiring: [] }"
    );
}
