//! Receivers that want to be shown a token, and the servers that such tokens are fetched from.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use posthaste_client::{Client, EndpointAuth, NewEvent, SecretText};
use posthaste_model::{DeliveryState, EndpointId, ErrorClass};
use posthaste_testkit::{Receiver, Reply};
use serde_json::json;

use super::SOON;
use crate::{
    delivery::{delivered, failed, in_state, publish},
    service::{Service, folder, tenant, topic},
    subscriber::endpoint_with,
};

/// Gives `token-1`, `token-2` and so on, which live for so many seconds.
async fn token_endpoint(life: u32) -> Receiver {
    let given = AtomicUsize::new(0);
    Receiver::start(move |_| token(given.fetch_add(1, Ordering::Relaxed) + 1, life)).await.unwrap()
}

fn token(number: usize, life: u32) -> Reply {
    let token =
        json!({ "access_token": format!("token-{number}"), "token_type": "Bearer", "expires_in": life });
    Reply::status(200).with_body(token.to_string())
}

/// Registers an endpoint for every topic whose tokens come from there, with delays between attempts in milliseconds.
async fn endpoint(client: &Client, url: String, token_url: String, delays: &[u64]) -> EndpointId {
    let auth = EndpointAuth::OAuth2 {
        token_url,
        client_id: "posthaste".into(),
        client_secret: SecretText::new("s3cret").into(),
        scope: None,
        audience: None,
    };
    endpoint_with(client, &tenant(), url, delays, |endpoint| endpoint.auth = Some(auth)).await.endpoint.id
}

/// What a receiver was shown, in the order of arrival.
fn shown(receiver: &Receiver) -> Vec<String> {
    let requests = receiver.requests();
    requests.iter().map(|request| request.header("authorization").unwrap().to_owned()).collect()
}

#[tokio::test]
async fn many_deliveries_share_one_token() {
    let folder = folder();
    let service = Service::start(folder.path());
    let client = service.client();
    let tokens = token_endpoint(3_600).await;
    let receiver = Receiver::start(|_| Reply::status(200)).await.unwrap();
    let topic = topic(&client, "order.paid").await;
    endpoint(&client, receiver.url("/"), tokens.url("/token"), &[100]).await;
    let event = |number: u32| NewEvent::new(topic.clone(), &json!({ "number": number })).unwrap();
    let batch: Vec<_> = (0..50).map(event).collect();
    client.publish_batch(&tenant(), &batch).await.unwrap();
    receiver.wait_for(50, SOON).await;
    publish(&client, &topic, "later").await;
    receiver.wait_for(51, SOON).await;
    assert_eq!(shown(&receiver), vec!["Bearer token-1"; 51]);
    assert_eq!(tokens.requests().len(), 1);
}

#[tokio::test]
async fn a_token_is_fetched_anew_before_it_expires() {
    const LIFE: u32 = 4;
    let folder = folder();
    let service = Service::start(folder.path());
    let client = service.client();
    let tokens = token_endpoint(LIFE).await;
    let receiver = Receiver::start(|_| Reply::status(200)).await.unwrap();
    let topic = topic(&client, "order.paid").await;
    endpoint(&client, receiver.url("/"), tokens.url("/token"), &[100]).await;
    // One after the other, until there is another token.
    for number in 1.. {
        publish(&client, &topic, &format!("e{number}")).await;
        assert_eq!(receiver.wait_for(number, SOON).await.len(), number);
        if tokens.requests().len() == 2 {
            break;
        }
    }
    let fetched: Vec<_> = tokens.requests().iter().map(|request| request.arrived).collect();
    assert!(fetched[1] - fetched[0] > Duration::from_secs(1), "it was kept for a good part of its life");
    for (request, shown) in receiver.requests().iter().zip(shown(&receiver)) {
        let good = request.arrived - fetched[0] < Duration::from_secs(LIFE.into());
        assert!(shown == "Bearer token-2" || shown == "Bearer token-1" && good, "{shown} has expired");
    }
    assert_eq!(shown(&receiver).last().unwrap(), "Bearer token-2");
}

#[tokio::test]
async fn a_receiver_that_refuses_a_token_is_shown_another_one() {
    let folder = folder();
    let service = Service::start(folder.path());
    let client = service.client();
    let tokens = token_endpoint(3_600).await;
    let receiver = Receiver::start(|request| match request.header("authorization") {
        Some("Bearer token-1") => Reply::status(401),
        _ => Reply::status(200),
    });
    let receiver = receiver.await.unwrap();
    let topic = topic(&client, "order.paid").await;
    endpoint(&client, receiver.url("/"), tokens.url("/token"), &[1_000]).await;
    publish(&client, &topic, "e1").await;
    let delivery = delivered(&client, "e1").await;
    assert_eq!((delivery.attempts, delivery.failures), (2, 1));
    assert_eq!(shown(&receiver), ["Bearer token-1", "Bearer token-2"]);
    publish(&client, &topic, "e2").await;
    delivered(&client, "e2").await;
    assert_eq!((shown(&receiver).len(), tokens.requests().len()), (3, 2), "the one that is taken is kept");
}

#[tokio::test]
async fn a_receiver_that_refuses_every_token_is_told_of() {
    let folder = folder();
    let service = Service::start(folder.path());
    let client = service.client();
    let tokens = token_endpoint(3_600).await;
    let receiver = Receiver::start(|_| Reply::status(401)).await.unwrap();
    let topic = topic(&client, "order.paid").await;
    let id = endpoint(&client, receiver.url("/"), tokens.url("/token"), &[1_000]).await;
    publish(&client, &topic, "e1").await;
    let statuses: Vec<_> =
        failed(&client, id).await.iter().map(|attempt| attempt.response.as_ref().unwrap().status).collect();
    assert_eq!(statuses, [401, 401]);
    assert_eq!(shown(&receiver), ["Bearer token-1", "Bearer token-2"]);
}

/// The right one is used at once, and what has failed can be sent.
#[tokio::test]
async fn a_wrong_client_secret_is_told_of_and_can_be_mended() {
    let folder = folder();
    let service = Service::start(folder.path());
    let client = service.client();
    let tokens = Receiver::start(|request| match request.header("authorization") {
        // posthaste:mended
        Some("Basic cG9zdGhhc3RlOm1lbmRlZA==") => token(1, 3_600),
        // RFC 6749, section 5.2.
        _ => Reply::status(401).with_body(r#"{"error": "invalid_client"}"#),
    });
    let tokens = tokens.await.unwrap();
    let receiver = Receiver::start(|_| Reply::status(200)).await.unwrap();
    let topic = topic(&client, "order.paid").await;
    let id = endpoint(&client, receiver.url("/"), tokens.url("/token"), &[20]).await;
    publish(&client, &topic, "e1").await;
    let delivery = in_state(&client, "e1", DeliveryState::Exhausted).await;
    assert_eq!(delivery.last_error, Some(ErrorClass::Auth));
    let error = client.attempts(&tenant(), delivery.id).await.unwrap().remove(0).error.unwrap();
    assert_eq!((error.class, error.detail.as_str()), (ErrorClass::Auth, "the token endpoint answered 401"));
    assert!(receiver.requests().is_empty());

    let change = json!({ "auth": { "client_secret": "mended" } });
    client.patch_endpoint(&tenant(), id, &change).await.unwrap();
    client.retry_delivery(&tenant(), delivery.id, false).await.unwrap();
    delivered(&client, "e1").await;
    assert_eq!(shown(&receiver), ["Bearer token-1"]);
}

#[tokio::test]
async fn without_a_token_nothing_is_sent() {
    let folder = folder();
    let service = Service::start(folder.path());
    let client = service.client();
    let receiver = Receiver::start(|_| Reply::status(200)).await.unwrap();
    let ok = |body: &'static str| Reply::status(200).with_body(body);
    let no_token = "the token endpoint answered something that is no token";
    let mut expected = Vec::new();
    for (reply, detail) in [
        (ok(""), no_token),
        (ok("<html>Sign in</html>"), no_token),
        (ok(r#"{"token": "a.b.c"}"#), no_token),
        (ok(r#"{"access_token": ["a.b.c"], "token_type": "Bearer"}"#), no_token),
        (
            ok(r#"{"access_token": "a.b.c", "token_type": "mac"}"#),
            "the token endpoint gave a token that is no bearer token",
        ),
        (
            ok(r#"{"access_token": "a\nb", "token_type": "Bearer"}"#),
            "the token endpoint gave a token that no header can hold",
        ),
        (Reply::endless_body(), "the token endpoint answered more than a token can be"),
        (Reply::status(302).with_header("location", "/login"), "the token endpoint answered 302"),
        (Reply::status(503), "the token endpoint answered 503"),
        (
            Reply::Raw("junk\r\n\r\n".into()),
            "the token endpoint cannot be used (protocol): the answer is not valid HTTP, or its head is too large",
        ),
        (
            Reply::Close,
            "the token endpoint cannot be used (connect): the connection was lost before the answer was complete",
        ),
    ] {
        let tokens = Receiver::start(move |_| reply.clone()).await.unwrap();
        let id = endpoint(&client, receiver.url("/"), tokens.url("/token"), &[20]).await;
        expected.push((id, detail, Some(tokens)));
    }
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let nobody = format!("http://127.0.0.1:{port}/token");
    let id = endpoint(&client, receiver.url("/"), nobody, &[20]).await;
    let refused = "the token endpoint cannot be used (connect): the connection was refused";
    expected.push((id, refused, None));

    let topic = topic(&client, "order.paid").await;
    publish(&client, &topic, "e1").await;
    for (id, detail, tokens) in expected {
        let error = failed(&client, id).await.remove(0).error.unwrap();
        assert_eq!((error.class, error.detail.as_str()), (ErrorClass::Auth, detail));
        assert!(tokens.is_none_or(|tokens| !tokens.requests().is_empty()), "{detail}");
    }
    assert!(receiver.requests().is_empty());
}
