//! How requests are made for an endpoint, over HTTP and down to the receiver.

mod tokens;

use std::{sync::Arc, time::Duration};

use posthaste_client::{
    BodyFormat, Client, EndpointAuth, HeaderField, ListOptions, Method, NewEndpoint, NewEvent,
    PublishOptions, SecretText,
};
use posthaste_testkit::{ReceivedRequest, Receiver, Reply};
use serde_json::{Value, json};

use crate::{
    service::{Service, folder, posthaste, tenant, topic},
    subscriber::verify,
};

const SOON: Duration = Duration::from_secs(20);

/// Registers an endpoint, publishes one event with metadata, and gives the request that comes of it.
async fn request_of(client: &Client, change: impl FnOnce(&mut NewEndpoint)) -> Arc<ReceivedRequest> {
    let receiver = Receiver::start(|_| Reply::status(200)).await.unwrap();
    let topic = topic(client, "order.paid").await;
    let mut endpoint = NewEndpoint::new(receiver.url("/hooks"));
    change(&mut endpoint);
    let created = client.create_endpoint(&tenant(), &endpoint).await.unwrap();
    let metadata = [("team".to_owned(), "a b".to_owned()), ("note".to_owned(), "Zoë".to_owned())].into();
    let event = NewEvent::new(topic, &json!({ "order": 42 }))
        .unwrap()
        .with_id("ord-42".parse().unwrap())
        .with_options(PublishOptions { metadata, ..PublishOptions::default() });
    client.publish(&tenant(), &event).await.unwrap();
    let request = receiver.wait_for(1, SOON).await.remove(0);
    verify(&request, created.secret.expose()).unwrap();
    request
}

fn body(request: &ReceivedRequest) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}

#[tokio::test]
async fn a_put_with_headers_of_its_own() {
    let folder = folder();
    let service = Service::start(folder.path());
    let client = service.client();
    let request = request_of(&client, |endpoint| {
        endpoint.method = Method::Put;
        endpoint.headers = [
            ("X-Env".to_owned(), HeaderField::from("prod eu")),
            ("X-Key".to_owned(), HeaderField::from(SecretText::new("hush-hush"))),
        ]
        .into();
    })
    .await;
    assert_eq!((request.method.as_str(), request.path.as_str()), ("PUT", "/hooks"));
    assert_eq!((request.header("x-env"), request.header("x-key")), (Some("prod eu"), Some("hush-hush")));
    assert_eq!(request.header("posthaste-topic"), Some("order.paid"));
    assert_eq!(request.header("posthaste-attempt"), Some("1"));
    assert!(request.header("user-agent").unwrap().starts_with("Posthaste/"));
    assert_eq!(request.header("posthaste-metadata-team"), None, "nobody asked for metadata");

    let endpoints = client.endpoints(&tenant(), &ListOptions::default()).await.unwrap();
    let shown = serde_json::to_value(&endpoints.data).unwrap();
    assert_eq!(shown[0]["headers"], json!({ "X-Env": "prod eu", "X-Key": { "secret": true } }));
    // Nor does it lie in the data folder.
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(9).any(|bytes| bytes == b"hush-hush"));
    }
}

#[tokio::test]
async fn a_service_can_wear_another_name() {
    let folder = folder();
    let service = Service::start_with(
        posthaste(folder.path())
            .env("POSTHASTE_HTTP_USER_AGENT", "Acme Hooks/2")
            .env("POSTHASTE_HTTP_HEADER_PREFIX", "X-Acme")
            .env("POSTHASTE_CLOUDEVENTS_SOURCE", "https://acme.example")
            .args(["serve", "--listen", "127.0.0.1:0"]),
    );
    let request = request_of(&service.client(), |endpoint| {
        endpoint.metadata_headers = true;
        endpoint.format = BodyFormat::CloudEvents;
    })
    .await;
    assert_eq!(request.header("user-agent"), Some("Acme Hooks/2"));
    assert_eq!(request.header("x-acme-topic"), Some("order.paid"));
    assert_eq!(request.header("x-acme-metadata-team"), Some("a%20b"));
    assert_eq!(request.header("x-acme-metadata-note"), Some("Zo%C3%AB"));
    assert_eq!(body(&request)["source"], "https://acme.example/default");
    assert!(
        request.headers.iter().all(|(name, _)| !name.to_lowercase().contains("posthaste")),
        "{request:?}"
    );
}

#[tokio::test]
async fn a_raw_body_is_the_data_alone() {
    let folder = folder();
    let service = Service::start(folder.path());
    let request = request_of(&service.client(), |endpoint| endpoint.format = BodyFormat::Raw).await;
    assert_eq!(
        (&*request.body, request.header("content-type")),
        (&br#"{"order":42}"#[..], Some("application/json"))
    );
}

#[tokio::test]
async fn cloud_events_in_structured_mode_are_in_an_envelope() {
    let folder = folder();
    let service = Service::start(folder.path());
    let request = request_of(&service.client(), |endpoint| endpoint.format = BodyFormat::CloudEvents).await;
    let content_type = "application/cloudevents+json; charset=utf-8";
    assert_eq!(request.header("content-type"), Some(content_type));
    let event = body(&request);
    assert_eq!(
        [&event["specversion"], &event["id"], &event["source"], &event["type"], &event["datacontenttype"]],
        ["1.0", "ord-42", "/posthaste/default", "order.paid", "application/json"]
    );
    assert_eq!(event["data"], json!({ "order": 42 }));
}

#[tokio::test]
async fn cloud_events_in_binary_mode_are_in_headers() {
    let folder = folder();
    let service = Service::start(folder.path());
    let format = BodyFormat::CloudEventsBinary;
    let request = request_of(&service.client(), |endpoint| endpoint.format = format).await;
    let header = |name: &str| request.header(name).unwrap_or_else(|| panic!("{name} is missing"));
    assert_eq!(
        ["ce-specversion", "ce-id", "ce-source", "ce-type", "content-type"].map(header),
        ["1.0", "ord-42", "/posthaste/default", "order.paid", "application/json"]
    );
    assert!(header("ce-time").ends_with('Z'));
    assert_eq!(&*request.body, br#"{"order":42}"#);
}

#[tokio::test]
async fn a_receiver_is_shown_a_token() {
    let folder = folder();
    let service = Service::start(folder.path());
    let bearer = EndpointAuth::Bearer { token: SecretText::new("a.b.c").into() };
    let request = request_of(&service.client(), |endpoint| endpoint.auth = Some(bearer)).await;
    assert_eq!(request.header("authorization"), Some("Bearer a.b.c"));
}

#[tokio::test]
async fn a_receiver_is_shown_a_user() {
    let folder = folder();
    let service = Service::start(folder.path());
    // The example of RFC 7617, section 2.
    let password = SecretText::new("open sesame").into();
    let basic = EndpointAuth::Basic { username: "Aladdin".into(), password };
    let request = request_of(&service.client(), |endpoint| endpoint.auth = Some(basic)).await;
    assert_eq!(request.header("authorization"), Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="));
}

#[tokio::test]
async fn a_receiver_is_shown_a_token_that_is_fetched() {
    let folder = folder();
    let service = Service::start(folder.path());
    let tokens = Receiver::start(|_| {
        let token = r#"{"access_token": "fetched", "token_type": "Bearer", "expires_in": 3600}"#;
        Reply::Answer { status: 200, headers: Vec::new(), body: token.into() }
    })
    .await
    .unwrap();
    let oauth2 = EndpointAuth::OAuth2 {
        token_url: tokens.url("/token"),
        client_id: "posthaste".into(),
        client_secret: SecretText::new("s3cret").into(),
        scope: Some("hooks".into()),
        audience: None,
    };
    let request = request_of(&service.client(), |endpoint| endpoint.auth = Some(oauth2)).await;
    assert_eq!(request.header("authorization"), Some("Bearer fetched"));
    let asked = tokens.requests().remove(0);
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("POST", "/token"));
    assert_eq!(asked.header("authorization"), Some("Basic cG9zdGhhc3RlOnMzY3JldA=="));
    assert_eq!(&*asked.body, b"grant_type=client_credentials&scope=hooks");
}
