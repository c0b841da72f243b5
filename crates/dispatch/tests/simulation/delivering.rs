use std::time::Duration;

use bytes::Bytes;
use posthaste_egress::TargetUrl;
use posthaste_model::{DeliveryState, Endpoint, EndpointSecret, ErrorClass, Event, Payload, Period, Sealed};
use posthaste_store::conformance::sample_event;

use crate::{reckoning::reckon, subscribers::Does, world::World};

/// What a subscriber is sent for a payload.
async fn check_sent(payload: Payload, content_type: &str, body: &str) {
    let mut world = World::new().await;
    let endpoint = world.endpoint().await;
    let _process = world.start("one");
    world.pass(5).await;
    let event = Event { payload, ..sample_event(&world.tenants[0], "evt_1", world.clock.now()) };
    world.accept_event(event, &[&endpoint]).await;
    world.subscribers.follow(|_| Does::answer(204).after(0.25));
    world.until(|seen| seen.delivered() == 1).await;
    let sent = world.seen().requests[0].clone();
    assert_eq!(sent.url, endpoint.url);
    let names = ["content-type", "webhook-id", "webhook-timestamp", "posthaste-topic", "posthaste-attempt"];
    let headers = names.map(|name| sent.header(name).unwrap());
    assert_eq!(headers, [content_type, "evt_1", &sent.at.as_second().to_string(), "order.paid", "1"]);
    assert_eq!(sent.headers.len(), 7, "and the signature, and who sends: {:?}", sent.headers);
    assert_eq!(sent.body, body);
    let (delivery, attempts) = world.delivery("evt_1", &endpoint).await;
    assert_eq!((delivery.state, delivery.last_status), (DeliveryState::Delivered, Some(204)));
    assert_eq!(delivery.completed_at, Some(world.clock.now()));
    let [attempt] = &attempts[..] else { panic!("{attempts:?}") };
    assert_eq!((attempt.number, attempt.started_at), (1, sent.at));
    let took = Duration::from_millis(250);
    assert_eq!((attempt.timings.first_byte, attempt.timings.total), (Some(took), took));
    reckon(&world).await;
}

#[tokio::test(start_paused = true)]
async fn a_json_value_arrives_in_its_envelope_signed() {
    let payload = Payload::Data(Bytes::from_static(br#"{"b": 1.0, "a":1e3}"#));
    let body = r#"{"type":"order.paid","timestamp":"2023-11-14T22:13:25Z","data":{"b": 1.0, "a":1e3}}"#;
    check_sent(payload, "application/json", body).await;
}

#[tokio::test(start_paused = true)]
async fn a_raw_body_arrives_as_it_is_signed() {
    let payload = Payload::Raw { content_type: "text/xml".into(), body: Bytes::from_static(b"<a/>") };
    check_sent(payload, "text/xml", "<a/>").await;
}

#[tokio::test(start_paused = true)]
async fn what_is_accepted_is_sent_without_delay() {
    let mut world = World::new().await;
    let endpoint = world.endpoint().await;
    let _process = world.start("one");
    for number in 1..=20 {
        // At various places between two looks at the store.
        tokio::time::sleep(Duration::from_millis(3_130)).await;
        let now = world.clock.now();
        world.accept(&format!("evt_{number}"), &[&endpoint]).await;
        world.until(|seen| seen.delivered() == number).await;
        assert_eq!(world.clock.now(), now, "event {number} had to wait");
    }
    reckon(&world).await;
}

#[tokio::test(start_paused = true)]
async fn the_deadline_is_the_endpoints_or_else_the_services() {
    let mut world = World::new().await;
    let usual = world.endpoint().await;
    let own = world.endpoint_with(|endpoint| endpoint.timeout = Some(Period::from_secs(3))).await;
    let _process = world.start("one");
    world.subscribers.follow(|_| Does::hang());
    for (endpoint, id, secs) in [(&usual, "usual", 15), (&own, "own", 3)] {
        world.accept(id, &[endpoint]).await;
        world.until(|seen| seen.requests.iter().any(|sent| sent.event() == id && sent.ended.is_some())).await;
        let sent = world.seen().requests.iter().find(|sent| sent.event() == id).unwrap().clone();
        assert_eq!(sent.deadline, Duration::from_secs(secs));
        world.until(|seen| seen.settlements().any(|(settled, _)| settled.attempt.is_some())).await;
        let (_, attempts) = world.delivery(id, endpoint).await;
        assert_eq!(attempts[0].timings.total, Duration::from_secs(secs));
        assert_eq!(attempts[0].timings.first_byte, None);
        assert_eq!(attempts[0].outcome.error(), Some(ErrorClass::Timeout));
    }
}

#[tokio::test(start_paused = true)]
async fn a_forbidden_url_is_a_blocked_attempt_and_no_request() {
    let mut world = World::new().await;
    for (number, url) in ["https://10.0.0.1/", "http://subscriber.example/", "nonsense"].iter().enumerate() {
        let endpoint = world.endpoint_with(|endpoint| endpoint.url = (*url).into()).await;
        world.accept(&format!("evt_{number}"), &[&endpoint]).await;
    }
    let guard = posthaste_egress::Guard::new(posthaste_egress::EgressPolicy::default());
    let _process = world.start("one");
    world.until(|seen| seen.settlements().count() == 3).await;
    for (delivery, attempts) in world.shown().await.deliveries {
        assert_eq!(delivery.state, DeliveryState::Scheduled);
        assert_eq!((delivery.attempts, delivery.failures), (1, 1));
        let (endpoint, _) = &world.endpoints[&delivery.endpoint];
        let detail = TargetUrl::parse(&endpoint.url, &guard).unwrap_err().to_string();
        let expected = posthaste_model::Outcome::Failed { class: ErrorClass::Blocked, detail };
        assert_eq!(attempts[0].outcome, expected);
    }
    assert!(world.seen().requests.is_empty());
    // A URL that is mended is used by the next attempt.
    for (endpoint, _) in world.endpoints.values() {
        world.change(endpoint, |endpoint| endpoint.url = "https://subscriber.example/".into()).await;
    }
    world.until(|seen| seen.delivered() == 3).await;
}

/// An endpoint whose secrets are of no use: its delivery is released over and over, and nothing is charged.
async fn check_released(spoil: impl FnOnce(&World, &Endpoint) -> Vec<Sealed>) {
    let mut world = World::new().await;
    let endpoint = world.endpoint().await;
    let other = world.endpoint().await;
    let right = world.reread(&endpoint).await.secrets;
    let wrong = spoil(&world, &endpoint);
    let wrong = wrong.into_iter().map(|sealed| EndpointSecret { sealed, expires_at: None }).collect();
    world.change(&endpoint, |endpoint| endpoint.secrets = wrong).await;
    world.accept("evt", &[&endpoint, &other]).await;
    let _process = world.start("one");
    world.pass(60).await;
    let releases = world.seen().settlements().count() - 1;
    assert!((50..=70).contains(&releases), "{releases} releases in a minute");
    let (delivery, attempts) = world.delivery("evt", &endpoint).await;
    assert_eq!((delivery.attempts, delivery.failures, attempts), (0, 0, vec![]));
    assert_eq!(world.seen().requests.len(), 1, "to the other endpoint");
    world.change(&endpoint, |endpoint| endpoint.secrets = right).await;
    world.until(|seen| seen.delivered() == 2).await;
    reckon(&world).await;
}

#[tokio::test(start_paused = true)]
async fn a_secret_of_another_endpoint_is_not_used() {
    check_released(|world, endpoint| {
        let other = world.endpoints.keys().find(|id| **id != endpoint.id).unwrap();
        vec![world.secret(*other).1]
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_damaged_secret_is_not_used() {
    check_released(|world, endpoint| vec![world.seal(endpoint.id, b"too short")]).await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_unsigned() {
    check_released(|_, _| vec![]).await;
}
