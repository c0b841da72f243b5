use std::time::Duration;

use posthaste_model::{DeliveryState, ErrorClass};
use posthaste_store::{Deliveries as _, Partition};

use crate::{
    access::{Course, Fault},
    reckoning::reckon,
    seen::Op,
    subscribers::Does,
    world::World,
};

#[tokio::test(start_paused = true)]
async fn what_is_in_flight_is_waited_for_and_nothing_is_begun() {
    let mut world = World::new().await;
    let endpoint = world.endpoint().await;
    world.subscribers.follow(|sent| Does::answer(200).after(if sent.event() == "slow" { 12.0 } else { 4.0 }));
    let process = world.start("one");
    world.accept("slow", &[&endpoint]).await;
    world.accept("quick", &[&endpoint]).await;
    world.until(|seen| seen.requests.len() == 2).await;
    world.pass(1).await;
    let draining = tokio::spawn(process.drain());
    world.pass(1).await;
    world.accept("late", &[&endpoint]).await;
    draining.await.unwrap();
    let seen = world.seen();
    let last = seen.requests.iter().filter_map(|sent| Some(sent.ended.as_ref()?.0)).max();
    assert_eq!(last, Some(world.clock.now()), "no longer than the last request");
    assert_eq!((seen.delivered(), seen.requests.len()), (2, 2));
    let releases = seen.calls("one", Op::Release);
    assert!((11..=13).contains(&releases), "{releases} times it said what to spare");
    assert!(seen.calls("one", Op::Renew) <= 1, "what is given up is not kept");
    drop(seen);
    // Nobody need wait for the owner's time to run out, and nothing is unknown.
    let now = world.clock.now();
    let _next = world.start("next");
    world.until(|seen| seen.requests.len() == 3).await;
    assert_eq!(world.clock.now(), now);
    world.until(|seen| seen.delivered() == 3).await;
    assert_eq!(world.seen().interrupted(), 0);
    reckon(&world).await;
}

#[tokio::test(start_paused = true)]
async fn nothing_in_flight_is_nothing_to_wait_for() {
    let mut world = World::new().await;
    let endpoint = world.endpoint().await;
    let (idle, standby) = (world.start("idle"), world.start("standby"));
    world.accept("evt", &[&endpoint]).await;
    world.pass(5).await;
    let fresh = world.start("fresh");
    let now = world.clock.now();
    for process in [standby, idle, fresh] {
        process.drain().await;
    }
    assert_eq!(world.clock.now(), now);
    reckon(&world).await;
}

/// A request that ignores its deadline is left behind, at most 5 s after the longest timeout there is.
#[tokio::test(start_paused = true)]
async fn draining_has_an_end() {
    let mut world = World::new().await;
    let endpoint = world.endpoint().await;
    world.subscribers.follow(|sent| match sent.event() {
        "stuck" => Does::hang_for_ever(),
        _ => Does::answer(200).after(9.0),
    });
    let process = world.start("one");
    world.accept("stuck", &[&endpoint]).await;
    world.accept("slow", &[&endpoint]).await;
    world.until(|seen| seen.requests.len() == 2).await;
    let begun = world.clock.now();
    process.drain().await;
    assert_eq!(begun.duration_until(world.clock.now()).as_secs(), 35);
    assert_eq!(world.seen().delivered(), 1);
    world.subscribers.follow(|_| Does::answer(200));
    let now = world.clock.now();
    let _next = world.start("next");
    world.until(|seen| seen.delivered() == 2).await;
    assert_eq!(world.clock.now(), now, "what was left behind is spared no longer");
    let (_, attempts) = world.delivery("stuck", &endpoint).await;
    let classes: Vec<_> = attempts.iter().map(|attempt| attempt.outcome.error()).collect();
    assert_eq!(classes, [Some(ErrorClass::Unknown), None]);
    reckon(&world).await;
}

/// What was in flight when the partition was lost is waited for, too.
#[tokio::test(start_paused = true)]
async fn a_lost_partition_does_not_cut_requests_off() {
    for lost_before in [true, false] {
        let mut world = World::new().await;
        let endpoint = world.endpoint().await;
        world.subscribers.follow(|_| Does::answer(200).after(10.0));
        let process = world.start("one");
        world.accept("evt", &[&endpoint]).await;
        world.until(|seen| seen.requests.len() == 1).await;
        let lose = async || {
            world.road.store.crash();
            let ttl = Duration::from_secs(60);
            world.road.store.claim(Partition(0), "other", world.clock.now(), ttl).await.unwrap();
        };
        if lost_before {
            lose().await;
            world.pass(3).await;
            process.drain().await;
        } else {
            let draining = tokio::spawn(process.drain());
            world.pass(1).await;
            lose().await;
            draining.await.unwrap();
        }
        assert_eq!(world.seen().requests[0].ended.as_ref().unwrap().0, world.clock.now());
        assert_eq!(world.delivery("evt", &endpoint).await.0.state, DeliveryState::Delivered);
        reckon(&world).await;
    }
}

/// The store comes back in time to be told what came of the requests, or it does not.
#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_is_waited_for_within_bounds() {
    for (comes_back, state) in [(20, DeliveryState::Delivered), (3_600, DeliveryState::InFlight)] {
        let mut world = World::new().await;
        let endpoint = world.endpoint().await;
        world.subscribers.follow(|_| Does::answer(200).after(5.0));
        let process = world.start("one");
        world.accept("evt", &[&endpoint]).await;
        world.until(|seen| seen.requests.len() == 1).await;
        let back = world.clock.now() + Duration::from_secs(comes_back);
        let clock = world.clock.clone();
        world.road.follow(move |_| if clock.now() < back { Fault::Away.into() } else { Course::default() });
        let begun = world.clock.now();
        process.drain().await;
        let took = begun.duration_until(world.clock.now()).as_secs();
        assert!(took <= 35, "{took} s");
        assert_eq!(world.delivery("evt", &endpoint).await.0.state, state);
        world.road.follow(|_| Course::default());
        let _next = world.start("next");
        world.until(|seen| seen.delivered() == 1).await;
        reckon(&world).await;
    }
}

/// A lease call that is under way when the dispatcher is told to stop: what it gives is sent and settled.
#[tokio::test(start_paused = true)]
async fn what_is_being_leased_is_still_sent() {
    let mut world = World::new().await;
    let endpoint = world.endpoint().await;
    let process = world.start("one");
    world.pass(1).await;
    world.road.follow(|op| match op {
        Op::Lease => Course { back: Duration::from_secs(3), ..Course::default() },
        _ => Course::default(),
    });
    world.accept("evt", &[&endpoint]).await;
    world.until(|seen| seen.leases().count() == 1).await;
    process.drain().await;
    assert_eq!(world.delivery("evt", &endpoint).await.0.state, DeliveryState::Delivered);
    reckon(&world).await;
}
