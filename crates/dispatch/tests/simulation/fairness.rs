//! The worst neighbours, and what others feel of them.

use posthaste_model::{Endpoint, ErrorClass};

use crate::{reckoning::reckon, subscribers::Does, world::World};

/// Beside neighbours who do the worst, whoever behaves has every event within moments.
async fn check(neighbours: usize, worst: fn() -> Does, permits: usize) {
    let mut world = World::partitioned(2).await;
    let mut bad = Vec::new();
    for _ in 0..neighbours {
        bad.push(world.endpoint_in(0, |_| {}).await);
    }
    // In the partition of the others, and in another one.
    let beside = world.another_tenant(0).await;
    let good = [world.endpoint_in(beside, |_| {}).await, world.endpoint_in(1, |_| {}).await];
    let urls: Vec<String> = good.iter().map(|endpoint| endpoint.url.clone()).collect();
    world.subscribers.follow(move |sent| match urls.contains(&sent.url) {
        true => Does::answer(200).after(0.005),
        false => worst(),
    });
    let process = world.start_with("one", |settings| {
        settings.max_in_flight = permits;
        settings.per_host = 10_000;
    });
    world.pass(1).await;
    for round in 0..12 {
        for n in 0..3 {
            world.accept(&format!("bad_{round}_{n}"), &bad.iter().collect::<Vec<_>>()).await;
        }
        for endpoint in &good {
            let accepted = world.clock.now();
            let id = format!("good_{round}_{}", endpoint.id);
            world.accept(&id, &[endpoint]).await;
            world.until(|seen| seen.requests.iter().any(|sent| sent.event() == id)).await;
            let waited = accepted.duration_until(world.clock.now());
            assert!(waited.as_millis() <= 100, "round {round}: it waited {waited:?}");
        }
        world.pass(1).await;
    }
    drop(process);
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_hangs_is_not_felt() {
    check(1, Does::hang, 40).await;
}

#[tokio::test(start_paused = true)]
async fn many_endpoints_that_hang_are_not_felt() {
    check(24, Does::hang, 64).await;
}

#[tokio::test(start_paused = true)]
async fn many_endpoints_that_cannot_be_reached_are_not_felt() {
    check(24, || Does::fail(ErrorClass::Connect), 16).await;
}

#[tokio::test(start_paused = true)]
async fn many_endpoints_that_fail_slowly_are_not_felt() {
    check(24, || Does::answer(500).after(14.0), 64).await;
}

/// Endpoints of one tenant that have everything to do at once share what there is.
#[tokio::test(start_paused = true)]
async fn endpoints_take_turns() {
    let mut world = World::new().await;
    let endpoints: [Endpoint; 3] = [world.endpoint().await, world.endpoint().await, world.endpoint().await];
    for number in 0..90 {
        world.accept(&format!("evt_{number}"), &[&endpoints[0]]).await;
    }
    for number in 90..100 {
        world.accept(&format!("evt_{number}"), &[&endpoints[1], &endpoints[2]]).await;
    }
    world.subscribers.follow(|_| Does::answer(200).after(1.0));
    let process = world.start_with("one", |settings| {
        settings.max_in_flight = 12;
        settings.per_endpoint = 4;
    });
    world.until(|seen| seen.delivered() == 110).await;
    let last = |endpoint: &Endpoint| {
        world.seen().requests.iter().rposition(|sent| sent.url == endpoint.url).unwrap()
    };
    // Ten each, four at a time: done after three rounds of twelve.
    assert!(last(&endpoints[1]) < 36 && last(&endpoints[2]) < 36);
    process.drain().await;
    reckon(&world).await;
}
