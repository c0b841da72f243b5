//! What operators do by hand.

use posthaste_model::{Attempt, DeliveryState, Endpoint, EndpointState, ErrorClass, Outcome};
use posthaste_store::StoreError;

use crate::{reckoning::reckon, subscribers::Does, world::World};

/// Whether each attempt was a manual one, and what it was answered.
fn told(attempts: &[Attempt]) -> Vec<(bool, Option<u16>)> {
    attempts.iter().map(|attempt| (attempt.manual, attempt.outcome.status())).collect()
}

/// A world with a delivery that has failed once, and waits for its second attempt for minutes.
async fn failed_once() -> (World, Endpoint) {
    let mut world = World::new().await;
    let endpoint = world.endpoint().await;
    world.subscribers.follow(|_| Does::answer(500));
    world.accept("evt", &[&endpoint]).await;
    (world, endpoint)
}

#[tokio::test(start_paused = true)]
async fn a_manual_attempt_neither_ends_nor_restarts_the_chain() {
    let (world, endpoint) = failed_once().await;
    let process = world.start("one");
    world.until(|seen| seen.settlements().count() == 2).await;
    let (before, _) = world.delivery("evt", &endpoint).await;
    world.retry(&before, false).await.unwrap();
    world.until(|seen| seen.settlements().count() == 3).await;
    let (after, attempts) = world.delivery("evt", &endpoint).await;
    assert_eq!(told(&attempts), [(false, Some(500)), (false, Some(500)), (true, Some(500))]);
    assert_eq!((after.state, after.failures), (DeliveryState::Scheduled, before.failures));
    assert_eq!(after.due_at, before.due_at);
    world.until(|seen| seen.settlements().count() == 4).await;
    let (_, attempts) = world.delivery("evt", &endpoint).await;
    assert!(attempts[3].started_at >= before.due_at.unwrap());
    process.drain().await;
    reckon(&world).await;
}

#[tokio::test(start_paused = true)]
async fn a_manual_attempt_that_succeeds_delivers() {
    let (world, endpoint) = failed_once().await;
    let process = world.start("one");
    world.until(|seen| seen.settlements().count() == 2).await;
    world.subscribers.follow(|_| Does::answer(204));
    let (delivery, _) = world.delivery("evt", &endpoint).await;
    let now = world.clock.now();
    world.retry(&delivery, false).await.unwrap();
    world.until(|seen| seen.settlements().count() == 3).await;
    assert_eq!(world.clock.now(), now);
    assert_eq!(world.delivery("evt", &endpoint).await.0.state, DeliveryState::Delivered);
    world.pass(24 * 3_600).await;
    assert_eq!(world.seen().requests.len(), 3);
    process.drain().await;
    reckon(&world).await;
}

#[tokio::test(start_paused = true)]
async fn two_at_once_both_run() {
    let (world, endpoint) = failed_once().await;
    let process = world.start("one");
    world.until(|seen| seen.settlements().count() == 2).await;
    world.subscribers.follow(|_| Does::answer(200).after(3.0));
    let (delivery, _) = world.delivery("evt", &endpoint).await;
    world.retry(&delivery, false).await.unwrap();
    world.retry(&delivery, false).await.unwrap();
    world.until(|seen| seen.settlements().count() == 4).await;
    let (after, attempts) = world.delivery("evt", &endpoint).await;
    assert_eq!(told(&attempts)[2..], [(true, Some(200)), (true, Some(200))]);
    assert_eq!(attempts[2].started_at, attempts[3].started_at);
    assert_eq!(after.state, DeliveryState::Delivered);
    process.drain().await;
    reckon(&world).await;
}

#[tokio::test(start_paused = true)]
async fn a_pause_does_not_hold_a_manual_attempt_up() {
    let mut world = World::new().await;
    let endpoint = world.endpoint().await;
    world.subscribers.follow(|_| Does::answer(503).retry_after(3_600));
    let process = world.start("one");
    world.accept("evt", &[&endpoint]).await;
    world.until(|seen| seen.settlements().count() == 1).await;
    world.subscribers.follow(|_| Does::answer(200));
    let (delivery, _) = world.delivery("evt", &endpoint).await;
    let now = world.clock.now();
    world.retry(&delivery, false).await.unwrap();
    world.until(|seen| seen.delivered() == 1).await;
    assert_eq!(world.clock.now(), now);
    process.drain().await;
    reckon(&world).await;
}

#[tokio::test(start_paused = true)]
async fn a_closed_endpoint_takes_one_only_by_force() {
    for state in [EndpointState::Paused, EndpointState::Disabled] {
        let (world, endpoint) = failed_once().await;
        let process = world.start("one");
        world.until(|seen| seen.settlements().count() == 2).await;
        world.turn(&endpoint, state).await;
        let (delivery, _) = world.delivery("evt", &endpoint).await;
        let refused = world.retry(&delivery, false).await;
        assert!(matches!(refused, Err(StoreError::EndpointClosed(closed)) if closed == state), "{refused:?}");
        world.retry(&delivery, true).await.unwrap();
        world.until(|seen| seen.settlements().count() == 3).await;
        let (after, attempts) = world.delivery("evt", &endpoint).await;
        assert_eq!(after.state, delivery.state);
        assert!(attempts[2].manual);
        process.drain().await;
        reckon(&world).await;
    }
}

/// Whoever asked is told that it was us.
#[tokio::test(start_paused = true)]
async fn a_fault_of_ours_is_told_to_who_asked() {
    let (world, endpoint) = failed_once().await;
    let process = world.start("one");
    world.until(|seen| seen.settlements().count() == 2).await;
    world.subscribers.follow(|_| Does::fail(ErrorClass::Internal));
    let (delivery, _) = world.delivery("evt", &endpoint).await;
    world.retry(&delivery, false).await.unwrap();
    world.until(|seen| seen.settlements().count() == 3).await;
    let (_, attempts) = world.delivery("evt", &endpoint).await;
    let last = &attempts[2];
    assert!(last.manual && matches!(last.outcome, Outcome::Failed { class: ErrorClass::Internal, .. }));
    drop(process);
}

/// A crash interrupts it: it is on record, and is not made again.
#[tokio::test(start_paused = true)]
async fn an_interrupted_one_is_not_repeated() {
    let (world, endpoint) = failed_once().await;
    let first = world.start("one");
    world.until(|seen| seen.settlements().count() == 2).await;
    world.subscribers.follow(|_| Does::hang_for_ever());
    let (delivery, _) = world.delivery("evt", &endpoint).await;
    world.retry(&delivery, false).await.unwrap();
    world.until(|seen| seen.requests.len() == 3).await;
    drop(first);
    let second = world.start("two");
    world.until(|seen| seen.interrupted() == 1).await;
    world.pass(30).await;
    let (after, attempts) = world.delivery("evt", &endpoint).await;
    assert_eq!((after.state, after.due_at), (DeliveryState::Scheduled, delivery.due_at));
    assert_eq!(told(&attempts)[2..], [(true, None)]);
    assert_eq!(attempts[2].outcome.error(), Some(ErrorClass::Unknown));
    assert_eq!(world.seen().requests.len(), 3);
    second.drain().await;
    reckon(&world).await;
}
