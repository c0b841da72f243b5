use crate::{access::Course, reckoning::reckon, seen::Op, subscribers::Does, world::World};
use std::time::Duration;

/// Far more than may be under way: as many are, and not one more.
async fn check_bound(most: usize, settling: Duration) {
    let mut world = World::new().await;
    let endpoints = [world.endpoint().await, world.endpoint().await, world.endpoint().await];
    let mut number = 0_u32;
    world.subscribers.follow(move |_| {
        number += 1;
        Does::answer(200).after(f64::from(number % 7) * 0.3)
    });
    world.road.follow(move |op| match op {
        Op::Settle => Course { there: settling, ..Course::default() },
        _ => Course::default(),
    });
    for number in 0..100 {
        world.accept(&format!("evt_{number}"), &endpoints.each_ref()).await;
    }
    let process = world.start_with("one", |settings| {
        settings.max_in_flight = most;
        settings.per_endpoint = 500;
    });
    world.until(|seen| seen.delivered() == 300).await;
    process.drain().await;
    // One tenant does not get the last of it, where there is some to spare.
    let most_leased = world.seen().most_leased();
    assert!((most.div_ceil(2)..=most).contains(&most_leased), "{most_leased} leased of {most}");
    let most_at_once = world.seen().most_at_once("one");
    assert!((1..=most).contains(&most_at_once), "{most_at_once} requests at once");
    reckon(&world).await;
}

#[tokio::test(start_paused = true)]
async fn no_more_are_in_flight_than_may_be() {
    for most in [1, 3, 16, 299] {
        check_bound(most, Duration::ZERO).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_settled_counts_as_in_flight() {
    for most in [1, 3, 299] {
        check_bound(most, Duration::from_millis(800)).await;
    }
}

/// While one batch is written the next gathers.
#[tokio::test(start_paused = true)]
async fn settlements_are_written_many_at_a_time() {
    let mut world = World::new().await;
    let endpoint = world.endpoint().await;
    world.road.follow(|op| match op {
        Op::Settle => Course { there: Duration::from_millis(100), ..Course::default() },
        _ => Course::default(),
    });
    let mut number = 0_u32;
    world.subscribers.follow(move |_| {
        number += 1;
        Does::answer(200).after(f64::from(number) * 0.001)
    });
    let _process = world.start_with("one", |settings| {
        (settings.max_in_flight, settings.per_endpoint) = (256, 256);
    });
    for number in 0..200 {
        world.accept(&format!("evt_{number}"), &[&endpoint]).await;
    }
    world.until(|seen| seen.delivered() == 200).await;
    let calls = world.seen().calls("one", Op::Settle);
    assert!((2..=5).contains(&calls), "{calls} calls");
    reckon(&world).await;
}

/// A dispatcher with nothing to do asks now and then, no more.
#[tokio::test(start_paused = true)]
async fn nothing_to_do_costs_nothing() {
    let mut world = World::new().await;
    let (endpoint, paused) = (world.endpoint().await, world.endpoint().await);
    world.turn(&paused, posthaste_model::EndpointState::Paused).await;
    world.subscribers.follow(|_| Does::answer(503).retry_after(7_200));
    let _process = world.start("one");
    world.accept("evt", &[&endpoint, &paused]).await;
    world.pass(3_600).await;
    for (op, most) in [
        (Op::Attend, 7_201),
        (Op::Claim, 1),
        (Op::Lease, 4_050),
        (Op::Renew, 3_600),
        // Some forty more until no former owner can be at it.
        (Op::Recover, 402),
        (Op::Settle, 1),
        (Op::RunningReplays, 3_601),
        (Op::ForgetStats, 7),
    ] {
        let calls = world.seen().calls("one", op);
        assert!((1..=most).contains(&calls), "{calls} times {op:?}");
    }
}
