//! What an endpoint is sent that has to give a handshake.

use std::time::Duration;

use posthaste_egress::Method;
use posthaste_model::{
    self as model, Auth, BodyFormat, Credentials, Delivery, DeliveryState, Endpoint, EndpointState,
    ErrorClass, Event, EventOptions, Handshake, HandshakeKind, Health, Payload, Period, RateLimit, Wire,
};
use posthaste_store::conformance::sample_event;

use crate::{seen::Sent, subscribers::Does, world::World};

const DATA: &str = r#"{"type":"url_verification","challenge":"abc-123"}"#;

/// An endpoint that waits for its handshake, whose requests are made in a way of its own.
async fn waiting(kind: HandshakeKind) -> (World, Endpoint) {
    let mut world = World::new().await;
    let made = world.endpoint().await;
    let wire = Wire {
        method: model::Method::Put,
        format: BodyFormat::CloudEvents,
        auth: Some(Auth::Bearer),
        ..Wire::default()
    };
    let mut credentials = Credentials::default();
    credentials.auth = Some("t0ken".into());
    world.dress(&made, wire, credentials).await;
    world
        .change(&made, |endpoint| {
            endpoint.rate_limit = Some(RateLimit::new(2, Period::from_secs(1)).unwrap());
            endpoint.await_handshake(kind, EndpointState::Enabled);
        })
        .await;
    let endpoint = world.reread(&made).await;
    (world, endpoint)
}

/// Accepts an event of a topic, whose id is that of the topic with dashes.
async fn accept(world: &mut World, endpoint: &Endpoint, topic: &str, options: EventOptions) -> Delivery {
    let id = topic.replace('.', "-");
    let event = sample_event(&world.tenants[0], &id, world.clock.now());
    let payload = Payload::Data(DATA.into());
    let event = Event { topic: topic.parse().unwrap(), payload, options, ..event };
    world.accept_event(event, &[endpoint]).await;
    world.delivery(&id, endpoint).await.0
}

/// As those who ask for a handshake do: its own turn comes when nobody waits for it any more.
fn put_off(world: &World) -> EventOptions {
    let deliver_at = Some(world.clock.now() + Duration::from_secs(20));
    EventOptions { test: true, deliver_at, ..EventOptions::default() }
}

/// Has an event attempted by hand, whatever the endpoint's state is.
async fn attempt(world: &mut World, endpoint: &Endpoint, topic: &str, test: bool) {
    let options = if test { put_off(world) } else { EventOptions::default() };
    let delivery = accept(world, endpoint, topic, options).await;
    let settled = world.seen().settlements().count();
    world.retry(&delivery, true).await.unwrap();
    world.until(|seen| seen.settlements().count() > settled).await;
}

/// The one request of a handshake.
async fn asked(kind: HandshakeKind) -> Sent {
    let (mut world, endpoint) = waiting(kind).await;
    let _process = world.start_with("one", |settings| settings.wire.origin = "hooks.acme.example".into());
    attempt(&mut world, &endpoint, Handshake::TOPIC, true).await;
    let (delivery, _) = world.delivery("posthaste-handshake", &endpoint).await;
    assert_eq!(delivery.state, DeliveryState::Delivered);
    let seen = world.seen();
    let [sent] = &seen.requests[..] else { panic!("{:?}", seen.requests) };
    assert_eq!(sent.header("authorization"), Some("Bearer t0ken"));
    sent.clone()
}

#[tokio::test(start_paused = true)]
async fn a_challenge_goes_as_it_is_in_a_signed_request() {
    for kind in [HandshakeKind::Echo, HandshakeKind::Hmac] {
        let sent = asked(kind).await;
        assert_eq!((sent.method, &sent.body[..]), (Method::Put, DATA.as_bytes()));
        assert_eq!(sent.header("content-type"), Some("application/json"));
        assert_eq!(sent.header("posthaste-topic"), Some(Handshake::TOPIC));
        assert!(sent.header("webhook-signature").is_some());
        assert_eq!(sent.header("webhook-request-origin"), None);
    }
}

#[tokio::test(start_paused = true)]
async fn consent_is_asked_for_without_a_body() {
    let sent = asked(HandshakeKind::CloudEvents).await;
    assert_eq!((sent.method, &sent.body[..]), (Method::Options, &b""[..]));
    assert_eq!(sent.header("webhook-request-origin"), Some("hooks.acme.example"));
    assert_eq!(sent.header("webhook-request-rate"), Some("120"));
    assert_eq!(sent.headers.len(), 4, "{:?}", sent.headers);
}

/// Nor does what it answers to the handshake say how it fares.
#[tokio::test(start_paused = true)]
async fn nothing_but_the_handshake_is_sent_and_nothing_is_charged() {
    let (mut world, endpoint) = waiting(HandshakeKind::Echo).await;
    let _process = world.start("one");
    // A test event of another topic is no handshake, and neither is an event of that topic that somebody else published.
    for (topic, test) in [("order.paid", false), ("posthaste.test", true), (Handshake::TOPIC, false)] {
        attempt(&mut world, &endpoint, topic, test).await;
        let (delivery, attempts) = world.delivery(&topic.replace('.', "-"), &endpoint).await;
        assert_eq!(delivery.state, DeliveryState::Held);
        let model::Outcome::Failed { class: ErrorClass::Blocked, detail } = &attempts[0].outcome else {
            panic!("{attempts:?}")
        };
        assert!(detail.contains("nothing but its handshake"), "{detail}");
    }
    assert!(world.seen().requests.is_empty());
    // What was held goes out once it is verified.
    world.change(&endpoint, |endpoint| endpoint.verify(world.clock.now())).await;
    world.until(|seen| seen.delivered() == 3).await;

    for status in [410, 429, 500] {
        let (mut world, endpoint) = waiting(HandshakeKind::Echo).await;
        world.subscribers.follow(move |_| Does::answer(status));
        let _process = world.start("one");
        attempt(&mut world, &endpoint, Handshake::TOPIC, true).await;
        let after = world.reread(&endpoint).await;
        assert_eq!((after.state, after.parked_until), (EndpointState::Paused, None), "{status}");
        assert_eq!((after.health, after.version), (Health::default(), endpoint.version), "{status}");
    }
}

/// Neither what is kept of it nor what the process remembers: the next event goes out at once, and once.
#[tokio::test(start_paused = true)]
async fn a_verified_endpoint_is_asked_without_effects() {
    for status in [200, 410, 429, 503] {
        let (mut world, endpoint) = waiting(HandshakeKind::Echo).await;
        let process = world.start("one");
        world.change(&endpoint, |endpoint| endpoint.verify(world.clock.now())).await;
        // It is failing, by its own events.
        world.subscribers.follow(|_| Does::answer(500));
        world.accept("before", &[&endpoint]).await;
        world.until(|seen| seen.settlements().count() == 1).await;
        let before = world.reread(&endpoint).await;
        assert_eq!((before.state, before.health.failures), (EndpointState::Enabled, 1));
        world.subscribers.follow(move |_| Does::answer(status));
        attempt(&mut world, &endpoint, Handshake::TOPIC, true).await;
        assert_eq!(world.reread(&endpoint).await, before, "{status}");
        let (asked, _) = world.delivery("posthaste-handshake", &endpoint).await;
        if status != 200 {
            world.cancel(&asked).await;
        }
        world.subscribers.follow(|_| Does::answer(204));
        let now = world.clock.now();
        world.accept("after", &[&endpoint]).await;
        world.until(|seen| seen.settlements().count() == 3).await;
        assert_eq!(world.delivery("after", &endpoint).await.0.state, DeliveryState::Delivered);
        assert_eq!(world.clock.now(), now, "{status}");
        process.drain().await;
    }
}

/// Whoever asked for it is gone before an attempt was asked for, or long after: it does not go out for nobody.
#[tokio::test(start_paused = true)]
async fn a_handshake_that_is_left_behind_never_goes_out() {
    for verified in [false, true] {
        let (mut world, endpoint) = waiting(HandshakeKind::Echo).await;
        if verified {
            world.change(&endpoint, |endpoint| endpoint.verify(world.clock.now())).await;
        }
        let options = put_off(&world);
        let delivery = accept(&mut world, &endpoint, Handshake::TOPIC, options).await;
        let _process = world.start("one");
        world.pass(30).await;
        if !verified {
            assert_eq!(world.delivery("posthaste-handshake", &endpoint).await.0.state, DeliveryState::Held);
            world.change(&endpoint, |endpoint| endpoint.verify(world.clock.now())).await;
        }
        world.until(|seen| seen.settlements().count() == 1).await;
        let (ended, attempts) = world.delivery("posthaste-handshake", &endpoint).await;
        assert_eq!((ended.state, attempts.len()), (DeliveryState::Exhausted, 0));
        world.pass(3_600).await;
        world.retry(&delivery, true).await.unwrap();
        world.until(|seen| seen.settlements().count() == 2).await;
        let (_, attempts) = world.delivery("posthaste-handshake", &endpoint).await;
        assert_eq!(attempts[0].outcome.error(), Some(ErrorClass::Blocked));
        assert!(world.seen().requests.is_empty());
        assert_eq!(world.reread(&endpoint).await.health, Health::default());
    }
}
