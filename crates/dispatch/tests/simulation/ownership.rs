use std::time::Duration;

use posthaste_model::{DeliveryState, ErrorClass};
use posthaste_store::{Deliveries as _, Partition, Settled};

use crate::{reckoning::reckon, seen::Op, subscribers::Does, world::World};

#[tokio::test(start_paused = true)]
async fn a_second_process_gets_nothing_while_the_first_lives() {
    let mut world = World::new().await;
    let endpoint = world.endpoint().await;
    let _first = world.start("first");
    world.pass(1).await;
    let _second = world.start("second");
    for number in 0..60 {
        world.accept(&format!("evt_{number}"), &[&endpoint]).await;
        world.pass(10).await;
    }
    let seen = world.seen();
    assert_eq!(seen.delivered(), 60);
    assert!(seen.requests.iter().all(|sent| sent.process == "first"));
    assert_eq!(seen.calls("second", Op::Lease), 0);
    assert_eq!(seen.calls("second", Op::Claim), 0, "none is for it to have");
    drop(seen);
    reckon(&world).await;
}

/// How the second process comes to the partition, and when.
#[tokio::test(start_paused = true)]
async fn a_killed_process_is_followed_by_the_other_in_time() {
    let mut world = World::new().await;
    let endpoint = world.endpoint().await;
    let first = world.start("first");
    world.pass(1).await;
    let _second = world.start("second");
    world.pass(10).await;
    world.subscribers.follow(|_| Does::answer(200).after(8.0));
    for number in 0..5 {
        world.accept(&format!("evt_{number}"), &[&endpoint]).await;
    }
    world.until(|seen| seen.requests.len() == 5).await;
    drop(first);
    let killed = world.clock.now();
    world.subscribers.follow(|_| Does::answer(200));
    world.until(|seen| seen.delivered() == 5).await;
    let waited = killed.duration_until(world.clock.now());
    assert!(waited.as_millis() <= 3_000 + 500 + 2, "it took {waited:?}");
    for (delivery, attempts) in world.shown().await.deliveries {
        assert_eq!((delivery.state, delivery.failures), (DeliveryState::Delivered, 0));
        let classes: Vec<_> = attempts.iter().map(|attempt| attempt.outcome.error()).collect();
        assert_eq!(classes, [Some(ErrorClass::Unknown), None]);
    }
    {
        let seen = world.seen();
        let (before, after) = seen.requests.split_at(5);
        let ids = |requests: &[crate::seen::Sent]| {
            let mut ids: Vec<_> =
                requests.iter().map(|sent| (sent.event().to_owned(), sent.body.clone())).collect();
            ids.sort();
            ids
        };
        assert_eq!(ids(before), ids(after), "the same webhook-id and bytes");
        assert!(after.iter().all(|sent| sent.process == "second"));
    }
    reckon(&world).await;
}

#[tokio::test(start_paused = true)]
async fn a_process_that_is_started_again_need_not_wait_for_itself() {
    let mut world = World::new().await;
    let endpoint = world.endpoint().await;
    let first = world.start("same");
    world.subscribers.follow(|_| Does::hang());
    world.accept("evt", &[&endpoint]).await;
    world.until(|seen| seen.requests.len() == 1).await;
    drop(first);
    world.subscribers.follow(|_| Does::answer(200));
    let now = world.clock.now();
    let _again = world.start("same");
    world.until(|seen| seen.delivered() == 1).await;
    assert_eq!(world.clock.now(), now);
    reckon(&world).await;
}

#[tokio::test(start_paused = true)]
async fn who_lost_a_partition_takes_it_again_when_it_is_free() {
    let mut world = World::new().await;
    let endpoint = world.endpoint().await;
    let process = world.start("one");
    world.subscribers.follow(|_| Does::answer(200).after(5.0));
    world.accept("evt", &[&endpoint]).await;
    world.until(|seen| seen.requests.len() == 1).await;

    // The store forgets who the owner is, and another is quicker.
    let (partition, ttl) = (Partition(0), Duration::from_secs(60));
    world.road.store.crash();
    let claimed = world.road.store.claim(partition, "other", world.clock.now(), ttl).await.unwrap();
    world.pass(30).await;
    let claims = world.seen().calls("one", Op::Claim);
    assert!((50..=64).contains(&claims), "{claims} claims");
    // What was in flight is settled nevertheless: nobody had given it back.
    assert!(world.seen().settlements().all(|(_, settled)| settled == Settled::Applied));
    assert_eq!(world.delivery("evt", &endpoint).await.0.state, DeliveryState::Delivered);
    world.accept("later", &[&endpoint]).await;
    world.pass(5).await;
    assert_eq!(world.seen().requests.len(), 1, "it is not ours to send");

    world.road.store.release(partition, claimed.unwrap(), world.clock.now()).await.unwrap();
    let freed = world.clock.now();
    world.until(|seen| seen.requests.len() == 2).await;
    assert!(freed.duration_until(world.clock.now()).as_millis() <= 500);
    process.drain().await;
    reckon(&world).await;
}

/// A loss is noticed by who cannot lease anything at the time, and the partition taken again when it is free.
#[tokio::test(start_paused = true)]
async fn a_loss_is_noticed_by_who_is_busy() {
    let mut world = World::new().await;
    let endpoint = world.endpoint().await;
    let process = world.start_with("one", |settings| settings.max_in_flight = 1);
    world.subscribers.follow(|_| Does::answer(200).after(10.0));
    world.accept("evt", &[&endpoint]).await;
    world.until(|seen| seen.requests.len() == 1).await;
    world.road.store.crash();
    let (partition, ttl) = (Partition(0), Duration::from_secs(3));
    world.road.store.claim(partition, "other", world.clock.now(), ttl).await.unwrap();
    world.pass(5).await;
    let owners = world.road.store.owners(world.clock.now());
    assert_eq!(owners.get(&partition).map(String::as_str), Some("one"));
    assert!(world.seen().requests[0].ended.is_none());
    process.drain().await;
    reckon(&world).await;
}

/// A stale settlement writes its attempt, beside the unknown one that the new owner took it for.
#[tokio::test(start_paused = true)]
async fn who_was_overtaken_reports_its_attempts_and_decides_nothing() {
    let mut world = World::new().await;
    let endpoint = world.endpoint().await;
    let first = world.start("first");
    world.subscribers.follow(|_| Does::answer(500).after(10.0));
    world.accept("evt", &[&endpoint]).await;
    world.until(|seen| seen.requests.len() == 1).await;
    world.road.store.crash();
    world.subscribers.follow(|_| Does::answer(200).after(1.0));
    let second = world.start("second");
    world.until(|seen| seen.delivered() == 1).await;
    world.until(|seen| seen.settlements().count() == 2).await;
    let (delivery, attempts) = world.delivery("evt", &endpoint).await;
    assert_eq!((delivery.state, delivery.failures), (DeliveryState::Delivered, 0));
    let outcomes: Vec<_> = attempts.iter().map(|a| (a.outcome.error(), a.outcome.status())).collect();
    assert_eq!(outcomes, [(Some(ErrorClass::Unknown), None), (None, Some(200)), (None, Some(500))]);
    first.drain().await;
    second.drain().await;
    reckon(&world).await;
}
