//! Endpoints that want their events one at a time, in their order.

use std::time::Duration;

use posthaste_model::{DeliveryState, Endpoint, ErrorClass, Period, RetryPolicy};

use crate::{reckoning::reckon, subscribers::Does, world::World};

async fn ordered(world: &mut World, retry: &[u64]) -> Endpoint {
    let policy = RetryPolicy::schedule(retry.iter().copied().map(Period::from_secs).collect()).unwrap();
    let change = |endpoint: &mut Endpoint| (endpoint.ordered, endpoint.retry) = (true, Some(policy));
    world.endpoint_with(change).await
}

/// The events that an endpoint was sent, in order, each as often as it came.
fn sent(world: &World, endpoint: &Endpoint) -> Vec<String> {
    let seen = world.seen();
    let own = seen.requests.iter().filter(|sent| sent.url == endpoint.url);
    own.map(|sent| sent.event().to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn each_waits_for_the_one_before_it() {
    let mut world = World::new().await;
    let endpoint = ordered(&mut world, &[5, 50]).await;
    let other = world.endpoint().await;
    let url = endpoint.url.clone();
    let mut tries = 0;
    world.subscribers.follow(move |sent| match sent.event() {
        "b" if sent.url == url => {
            tries += 1;
            Does::answer(if tries < 3 { 500 } else { 200 }).after(0.5)
        }
        "d" if sent.url == url => Does::fail(ErrorClass::Timeout),
        _ => Does::answer(200).after(1.0),
    });
    for id in ["a", "b", "c", "d", "e"] {
        world.accept(id, &[&endpoint, &other]).await;
    }
    let process = world.start("one");
    world.until(|seen| seen.delivered() >= 5).await;
    assert_eq!(world.seen().requests.iter().filter(|sent| sent.url == other.url).count(), 5);
    world.until(|seen| seen.delivered() == 5 + 4).await;
    assert_eq!(sent(&world, &endpoint), ["a", "b", "b", "b", "c", "d", "d", "d", "e"]);
    assert_eq!(world.delivery("d", &endpoint).await.0.state, DeliveryState::Exhausted);
    process.drain().await;
    reckon(&world).await;
}

/// Processes come and go, in order or killed, while requests are under way: nothing overtakes.
#[tokio::test(start_paused = true)]
async fn order_survives_those_who_keep_it() {
    let mut world = World::new().await;
    let endpoint = ordered(&mut world, &[1, 1, 1, 1]).await;
    let mut number = 0_u32;
    world.subscribers.follow(move |_| {
        number += 1;
        Does::answer(if number.is_multiple_of(4) { 500 } else { 200 }).after(f64::from(number % 5) * 0.4)
    });
    for number in 0..60 {
        world.accept(&format!("{number:02}"), &[&endpoint]).await;
    }
    let mut process = world.start("0");
    for n in 1..=10 {
        world.pass(4).await;
        let next = world.start(&n.to_string());
        if n % 2 == 0 {
            drop(process);
        } else {
            tokio::spawn(process.drain());
        }
        process = next;
    }
    world.until(|seen| seen.delivered() == 60).await;
    let sent = sent(&world, &endpoint);
    assert!(sent.is_sorted(), "{sent:?}");
    process.drain().await;
    tokio::time::sleep(Duration::from_secs(40)).await;
    reckon(&world).await;
}

#[tokio::test(start_paused = true)]
async fn a_head_that_is_given_up_lets_the_next_one_go() {
    let mut world = World::new().await;
    let endpoint = ordered(&mut world, &[10_000]).await;
    world.subscribers.follow(|sent| Does::answer(if sent.event() == "a" { 500 } else { 200 }));
    for id in ["a", "b"] {
        world.accept(id, &[&endpoint]).await;
    }
    let process = world.start("one");
    world.until(|seen| seen.settlements().count() == 1).await;
    world.pass(100).await;
    assert_eq!(sent(&world, &endpoint), ["a"]);
    let (head, _) = world.delivery("a", &endpoint).await;
    world.cancel(&head).await;
    world.pass(2).await;
    assert_eq!(sent(&world, &endpoint), ["a", "b"]);
    process.drain().await;
    reckon(&world).await;
}
