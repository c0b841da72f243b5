use std::time::Duration;

use posthaste_model::{DeliveryState, EndpointState};

use crate::{reckoning::reckon, subscribers::Does, world::World};

#[tokio::test(start_paused = true)]
async fn gone_disables_the_endpoint_and_nobody_else() {
    let mut world = World::new().await;
    let (gone, other) = (world.endpoint().await, world.endpoint().await);
    let url = gone.url.clone();
    world.subscribers.follow(move |sent| match sent.event() {
        "slow" => Does::answer(200).after(9.0),
        "late" => Does::answer(500),
        _ if sent.url == url => Does::answer(410),
        _ => Does::answer(200),
    });
    let process = world.start("one");
    for id in ["slow", "late", "last"] {
        world.accept(id, &[&gone, &other]).await;
        world.pass(1).await;
    }
    let endpoint = world.reread(&gone).await;
    assert_eq!(endpoint.state, EndpointState::Disabled);
    assert_eq!(endpoint.state_reason.as_deref(), Some("the endpoint answered 410 Gone"));
    world.accept("after", &[&gone, &other]).await;
    world.pass(20).await;
    process.drain().await;
    for (id, state, attempts) in [
        ("slow", DeliveryState::Delivered, 1),
        ("late", DeliveryState::Skipped, 1),
        ("last", DeliveryState::Skipped, 1),
        ("after", DeliveryState::Skipped, 0),
    ] {
        let (delivery, _) = world.delivery(id, &gone).await;
        assert_eq!((delivery.state, delivery.attempts), (state, attempts), "{id}");
    }
    assert_eq!(world.reread(&other).await.state, EndpointState::Enabled);
    assert_eq!(world.delivery("after", &other).await.0.state, DeliveryState::Delivered);
    reckon(&world).await;
}

/// An endpoint that is busy is left alone, all of it, while the others are not.
async fn check_parked(busy: Does, secs: f64, ratio: f64) {
    let mut world = World::new().await;
    let (parked, other) = (world.endpoint().await, world.endpoint().await);
    let (url, mut busy) = (parked.url.clone(), Some(busy));
    world.subscribers.follow(move |sent| match sent.url == url {
        true => busy.take().unwrap_or(Does::answer(200)),
        false => Does::answer(200),
    });
    let _process = world.start_for_days("one");
    world.accept("evt_0", &[&parked]).await;
    world.until(|seen| seen.settlements().count() == 1).await;
    let begun = world.clock.now();
    let until = world.reread(&parked).await.parked_until.unwrap();
    let asked = begun.duration_until(until).as_secs_f64();
    assert!((asked - secs).abs() <= secs * ratio, "parked for {asked} s, not {secs}");
    for number in 1..=9 {
        let now = world.clock.now();
        world.accept(&format!("evt_{number}"), &[&parked, &other]).await;
        world.until(|seen| seen.delivered() == number).await;
        assert_eq!(world.clock.now(), now, "the other endpoint had to wait");
    }
    world.until(|seen| seen.delivered() == 9 + 10).await;
    let seen = world.seen();
    let requests: Vec<_> = seen.requests.iter().filter(|sent| sent.url == parked.url).skip(1).collect();
    assert!(requests.iter().all(|sent| sent.at >= until), "sent while parked: {requests:?}");
    let late = until.duration_until(requests[0].at);
    assert!(late.as_millis() <= 2, "it waited {late:?} too long");
    drop(seen);
    reckon(&world).await;
}

#[tokio::test(start_paused = true)]
async fn a_busy_endpoint_waits_as_long_as_it_asks() {
    for status in [429, 502, 503, 504] {
        check_parked(Does::answer(status).retry_after(60), 60.0, 0.0).await;
    }
    check_parked(Does::answer(429).retry_after("Tue, 14 Nov 2023 22:23:20 GMT"), 600.0, 0.0).await;
    check_parked(Does::answer(503).retry_after(999_999), 86_400.0, 0.0).await;
}

#[tokio::test(start_paused = true)]
async fn a_busy_endpoint_that_does_not_ask_waits_a_little() {
    check_parked(Does::answer(503), 5.0, 0.1).await;
    check_parked(Does::answer(429).retry_after("soon"), 5.0, 0.1).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_paused_is_held_and_then_released_at_once() {
    let mut world = World::new().await;
    let endpoint = world.endpoint().await;
    let process = world.start("one");
    world.pass(1).await;
    world.turn(&endpoint, EndpointState::Paused).await;
    for number in 0..5 {
        world.accept(&format!("evt_{number}"), &[&endpoint]).await;
        world.pass(60).await;
    }
    assert!(world.seen().requests.is_empty());
    tokio::time::sleep(Duration::from_millis(321)).await;
    let now = world.clock.now();
    world.turn(&endpoint, EndpointState::Enabled).await;
    world.until(|seen| seen.delivered() == 5).await;
    assert_eq!(world.clock.now(), now);
    let sent: Vec<_> = world.seen().requests.iter().map(|sent| sent.event().to_owned()).collect();
    assert_eq!(sent, ["evt_0", "evt_1", "evt_2", "evt_3", "evt_4"]);
    process.drain().await;
    reckon(&world).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_deleted_meanwhile_is_not_tried_again() {
    let mut world = World::new().await;
    let endpoint = world.endpoint().await;
    world.subscribers.follow(|_| Does::answer(500).after(2.0));
    let process = world.start_for_days("one");
    world.accept("evt", &[&endpoint]).await;
    world.until(|seen| seen.requests.len() == 1).await;
    world.delete(&endpoint).await;
    world.pass(24 * 3_600).await;
    let (delivery, _) = world.delivery("evt", &endpoint).await;
    assert_eq!((delivery.state, delivery.attempts), (DeliveryState::Cancelled, 1));
    process.drain().await;
    reckon(&world).await;
}
