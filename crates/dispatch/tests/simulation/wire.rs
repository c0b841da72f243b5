//! What an endpoint's requests look like.

use std::{collections::BTreeMap, time::Duration};

use posthaste_egress::Method;
use posthaste_model::{
    self as model, Auth, BodyFormat, Credentials, Endpoint, Event, EventOptions, Outcome, Wire,
};
use posthaste_signing::{Profile, Received, Secret, Verifier};
use posthaste_store::conformance::sample_event;
use serde_json::{Value, json};

use crate::{seen::Sent, subscribers::Does, world::World};

/// The request for an event with metadata, to an endpoint whose requests are made so.
async fn sent(wire: Wire, credentials: Credentials, secret: Option<&str>) -> (World, Endpoint, Sent) {
    let mut world = World::new().await;
    let endpoint = world.endpoint().await;
    world.dress(&endpoint, wire, credentials).await;
    if let Some(secret) = secret {
        let sealed = world.seal(endpoint.id, secret.as_bytes());
        world.change(&endpoint, |endpoint| endpoint.secrets[0].sealed = sealed).await;
    }
    let _process = world.start("one");
    world.pass(5).await;
    let metadata = [("order", "\u{fc} 1%"), ("a b", "left out")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    let options = EventOptions { metadata: BTreeMap::from(metadata), ..EventOptions::default() };
    let event = Event { options, ..sample_event(&world.tenants[0], "evt_1", world.clock.now()) };
    world.accept_event(event, &[&endpoint]).await;
    world.until(|seen| seen.delivered() == 1).await;
    let sent = world.seen().requests[0].clone();
    (world, endpoint, sent)
}

#[track_caller]
fn check(sent: &Sent, expect: &[(&str, Option<&str>)]) {
    for (name, value) in expect {
        assert_eq!(sent.header(name), *value, "{name}: {:?}", sent.headers);
    }
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_gets_the_headers_that_it_asked_for() {
    let wire = Wire {
        method: model::Method::Put,
        headers: BTreeMap::from([
            ("X-Env".into(), Some("prod".into())),
            ("X-Key".into(), None),
            // What the service says of the event comes first.
            ("posthaste-topic".into(), Some("forged".into())),
            ("Webhook-Id".into(), Some("forged".into())),
            ("Authorization".into(), Some("forged".into())),
        ]),
        auth: Some(Auth::Basic { username: "us".into() }),
        metadata_headers: true,
        ..Wire::default()
    };
    let mut credentials = Credentials::default();
    credentials.headers.insert("X-Key".into(), "s3cret".into());
    credentials.auth = Some("pass:w\u{f6}rd".into());
    let (_, _, sent) = sent(wire, credentials, None).await;
    assert_eq!(sent.method, Method::Put);
    check(
        &sent,
        &[
            ("x-env", Some("prod")),
            ("x-key", Some("s3cret")),
            ("authorization", Some("Basic dXM6cGFzczp3w7ZyZA==")),
            ("posthaste-topic", Some("order.paid")),
            ("posthaste-attempt", Some("1")),
            ("posthaste-metadata-order", Some("%C3%BC%201%25")),
            ("webhook-id", Some("evt_1")),
            ("user-agent", Some(concat!("Posthaste/", env!("CARGO_PKG_VERSION")))),
        ],
    );
    assert_eq!(sent.headers.len(), 11, "a name that no header can have is left out: {:?}", sent.headers);
    let shown = format!("{:?}", sent.headers);
    assert!(!shown.contains("s3cret") && !shown.contains("Basic"), "{shown}");
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_gets_the_body_that_it_asked_for() {
    let data = r#"{"total": 1.50}"#;
    for (format, content_type, body, about) in [
        (BodyFormat::Raw, "application/json", data.to_owned(), None),
        (BodyFormat::CloudEventsBinary, "application/json", data.to_owned(), Some("evt_1")),
        (
            BodyFormat::CloudEvents,
            "application/cloudevents+json; charset=utf-8",
            format!(
                r#"{{"specversion":"1.0","id":"evt_1","source":"/posthaste/tenant-0","type":"order.paid","time":"2023-11-14T22:13:25Z","datacontenttype":"application/json","data":{data}}}"#
            ),
            None,
        ),
    ] {
        let wire = Wire { format, ..Wire::default() };
        let (_, _, sent) = sent(wire, Credentials::default(), None).await;
        assert_eq!(sent.body, body, "{format:?}");
        let names =
            [("content-type", Some(content_type)), ("ce-id", about), ("posthaste-metadata-order", None)];
        check(&sent, &names);
    }
}

/// A secret that is a text for one profile and base64 for another.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

async fn check_signed(signature: Value, header: &str) {
    let profile = Profile::parse(&signature.to_string()).unwrap();
    let wire = Wire { signature: Some(signature), method: model::Method::Put, ..Wire::default() };
    let (_, _, sent) = sent(wire, Credentials::default(), Some(SECRET)).await;
    assert!(sent.header(header).is_some(), "{:?}", sent.headers);
    let credentials = [SECRET.parse::<Secret>().unwrap().into()];
    let verifier = Verifier::new(&profile, &credentials).unwrap();
    let received = Received { method: "PUT", url: &sent.url, body: &sent.body };
    let now = sent.at.as_second();
    verifier.verify(|name| sent.header(name), &received, now, Duration::ZERO).unwrap();
}

#[tokio::test(start_paused = true)]
async fn requests_are_signed_in_the_endpoints_format() {
    for (name, header) in [
        ("standard", "webhook-signature"),
        ("svix", "svix-signature"),
        ("stripe", "stripe-signature"),
        ("github", "x-hub-signature-256"),
        ("shopify", "x-shopify-hmac-sha256"),
        ("slack", "x-slack-signature"),
    ] {
        check_signed(json!({ "profile": name }), header).await;
    }
    let custom = json!({
        "profile": "custom",
        "signed": "{method} {url} {ts_ms} {sha256(body)}",
        "algorithm": "hmac-sha512",
        "encoding": "hex",
        "key": "raw",
        "headers": { "X-Acme-Time": "{ts_ms}", "X-Acme-Signature": "{signature}" },
    });
    check_signed(custom, "x-acme-signature").await;
}

/// What is damaged is ours: nothing is sent, nothing is charged, and it goes out once it is mended.
#[tokio::test(start_paused = true)]
async fn nothing_is_sent_that_was_asked_for_differently() {
    let key = |wire: &mut Wire| drop(wire.headers.insert("X-Key".into(), None));
    let damages: [fn(&mut Wire); 5] = [
        |wire| wire.signature = Some(json!({ "profile": "none" })),
        |wire| wire.signature = Some(json!({ "profile": "standard", "versions": ["v1a"] })),
        |wire| wire.auth = Some(Auth::Bearer),
        |wire| wire.certificate = Some("-----BEGIN".into()),
        key,
    ];
    for damage in damages {
        let mut world = World::new().await;
        let endpoint = world.endpoint().await;
        let mut wire = Wire::default();
        damage(&mut wire);
        world.dress(&endpoint, wire, Credentials::default()).await;
        world.accept("evt", &[&endpoint]).await;
        let _process = world.start("one");
        world.pass(10).await;
        let (delivery, attempts) = world.delivery("evt", &endpoint).await;
        assert_eq!((delivery.failures, attempts), (0, vec![]));
        assert!(world.seen().requests.is_empty());
        world.dress(&endpoint, Wire::default(), Credentials::default()).await;
        world.until(|seen| seen.delivered() == 1).await;
    }
}

/// A page that shows what it was sent is no way to read a secret.
#[tokio::test(start_paused = true)]
async fn an_answer_that_repeats_a_secret_is_kept_without_it() {
    let mut world = World::new().await;
    let endpoint = world.endpoint().await;
    let wire = Wire {
        headers: BTreeMap::from([("X-Key".into(), None)]),
        auth: Some(Auth::Basic { username: "us".into() }),
        ..Wire::default()
    };
    let mut credentials = Credentials::default();
    credentials.auth = Some("pa55word".into());
    credentials.headers.insert("X-Key".into(), "key-4711".into());
    world.dress(&endpoint, wire, credentials).await;
    world.subscribers.follow(|sent| {
        let [key, authorization] = ["x-key", "authorization"].map(|name| sent.header(name).unwrap());
        Does::answer(200).body(format!("key {key}, authorization {authorization}, password pa55word"))
    });
    world.accept("evt", &[&endpoint]).await;
    let _process = world.start("one");
    world.until(|seen| seen.delivered() == 1).await;
    let (_, attempts) = world.delivery("evt", &endpoint).await;
    let Outcome::Replied(reply) = &attempts[0].outcome else { panic!("{attempts:?}") };
    assert_eq!(reply.body, "key ***, authorization ***, password ***");
}
