//! Events that are delivered later, and events that only try an endpoint out.

use posthaste_model::{DeliveryState, Event, EventOptions};
use posthaste_store::conformance::sample_event;

use crate::{reckoning::reckon, subscribers::Does, world::World};

fn event(world: &World, id: &str, options: EventOptions) -> Event {
    Event { options, ..sample_event(&world.tenants[0], id, world.clock.now()) }
}

#[tokio::test(start_paused = true)]
async fn what_is_for_later_is_sent_then() {
    let mut world = World::new().await;
    let endpoint = world.endpoint().await;
    let process = world.start("one");
    world.pass(1).await;
    let at = world.clock.now() + std::time::Duration::from_secs(5_000);
    let options = EventOptions { deliver_at: Some(at), ..EventOptions::default() };
    world.accept_event(event(&world, "later", options), &[&endpoint]).await;
    world.accept("now", &[&endpoint]).await;
    world.until(|seen| seen.delivered() == 2).await;
    let times: Vec<_> = world.seen().requests.iter().map(|sent| sent.at).collect();
    assert!(times[0] < at && times[1] >= at);
    assert!(at.duration_until(times[1]).as_millis() <= 2);
    process.drain().await;
    reckon(&world).await;
}

#[tokio::test(start_paused = true)]
async fn what_tries_an_endpoint_out_is_tried_once() {
    let mut world = World::new().await;
    let endpoint = world.endpoint().await;
    world.subscribers.follow(|_| Does::answer(500));
    let process = world.start("one");
    let options = EventOptions { test: true, ..EventOptions::default() };
    world.accept_event(event(&world, "test", options), &[&endpoint]).await;
    world.pass(2_000).await;
    let (delivery, attempts) = world.delivery("test", &endpoint).await;
    assert_eq!((delivery.state, attempts.len()), (DeliveryState::Exhausted, 1));
    process.drain().await;
}
