//! What is known of endpoints and deliveries outlives processes: the next one finds it in the store.

use std::time::Duration;

use posthaste_model::{
    Attempt, DeliveryReason, DeliveryState, Endpoint, EndpointState, ErrorClass, Health, Timestamp,
};
use posthaste_policy::AutoDisable;

use crate::{
    backend::Backend,
    reckoning::{all_final, reckon},
    seen::Seen,
    subscribers::Does,
    world::World,
};

on_every_store!(
    health_is_kept_and_the_time_goes_on,
    a_success_in_another_process_makes_it_well,
    paused_and_disabled_endpoints_stay_so,
    a_pause_that_was_asked_for_lasts,
    the_head_of_an_ordered_endpoint_keeps_its_place,
    an_ordered_head_in_flight_goes_first_after_a_crash,
    a_retry_keeps_its_time,
    manual_attempts_that_were_asked_for_are_made,
    an_interrupted_manual_attempt_is_not_repeated,
    what_is_to_be_delivered_later_is,
);

fn millis(from: Timestamp, to: Timestamp) -> i128 {
    from.duration_until(to).as_millis()
}

/// Whether each attempt was a manual one, and what it was answered.
fn told(attempts: &[Attempt]) -> Vec<(bool, Option<u16>)> {
    attempts.iter().map(|attempt| (attempt.manual, attempt.outcome.status())).collect()
}

async fn health_is_kept_and_the_time_goes_on(backend: Backend) {
    let mut world = World::new(backend).await;
    let endpoint = world.endpoint(&[1, 1]).await;
    world.subscribers.follow(|_| Does::answer(500));
    let gives_up = AutoDisable { after: Duration::from_millis(1_500), exhausted: 3 };
    let process = world.start_with("one", |settings| settings.auto_disable = gives_up).await;
    let mut events = 0;
    // So often as it takes to have a warning noted.
    while world.reread(&endpoint).await.health.warned == 0 {
        world.accept(&format!("evt_{events}"), &[&endpoint]).await;
        events += 1;
        let id = format!("evt_{}", events - 1);
        world.until_delivery(&id, &endpoint, |delivery| delivery.state.is_final()).await;
    }
    process.drain().await;
    let before = world.reread(&endpoint).await;
    assert_eq!(before.state, EndpointState::Enabled);
    assert!(before.health.exhausted >= 1 && before.health.failures >= before.health.exhausted);

    world.reopen().await;
    assert_eq!(world.reread(&endpoint).await, before);
    let process = world.start_with("two", |settings| settings.auto_disable = gives_up).await;
    while world.reread(&endpoint).await.state == EndpointState::Enabled {
        world.accept(&format!("evt_{events}"), &[&endpoint]).await;
        let id = format!("evt_{events}");
        events += 1;
        world.until_delivery(&id, &endpoint, |delivery| delivery.state.is_final()).await;
    }
    let after = world.reread(&endpoint).await;
    assert_eq!(after.state, EndpointState::Disabled);
    assert!(after.state_reason.as_ref().is_some_and(|why| why.contains("no attempt has succeeded since")));
    assert_eq!(after.health.failing_since, before.health.failing_since);
    let failed_for = millis(before.health.failing_since.unwrap(), world.clock.now());
    assert!(failed_for >= 1_500, "given up after {failed_for} ms");
    process.drain().await;

    world.reopen().await;
    assert_eq!(world.reread(&endpoint).await, after);
    all_final(&reckon(&world).await);
}

/// The process that sees the success has seen no failure.
async fn a_success_in_another_process_makes_it_well(backend: Backend) {
    let mut world = World::new(backend).await;
    let endpoint = world.endpoint(&[1]).await;
    world.subscribers.follow(|_| Does::answer(500));
    let process = world.start("one").await;
    world.accept("evt_0", &[&endpoint]).await;
    world.until_delivery("evt_0", &endpoint, |delivery| delivery.state.is_final()).await;
    process.drain().await;
    let Health { failures, exhausted, failing_since, .. } = world.reread(&endpoint).await.health;
    assert_eq!((failures, exhausted, failing_since.is_some()), (2, 1, true));

    world.reopen().await;
    world.subscribers.follow(|_| Does::answer(200));
    let process = world.start("two").await;
    world.accept("evt_1", &[&endpoint]).await;
    world.until(|seen| seen.delivered() == 1).await;
    process.drain().await;
    world.reopen().await;
    assert_eq!(world.reread(&endpoint).await.health, Health::default());
    all_final(&reckon(&world).await);
}

async fn paused_and_disabled_endpoints_stay_so(backend: Backend) {
    let mut world = World::new(backend).await;
    let (paused, disabled, gone) =
        (world.endpoint(&[1]).await, world.endpoint(&[1]).await, world.endpoint(&[1]).await);
    let other = world.endpoint(&[1]).await;
    let url = gone.url.clone();
    world.subscribers.follow(move |sent| Does::answer(if sent.url == url { 410 } else { 200 }));
    world.turn(&paused, EndpointState::Paused).await;
    world.turn(&disabled, EndpointState::Disabled).await;
    let process = world.start("one").await;
    world.accept("evt_0", &[&paused, &disabled, &gone, &other]).await;
    world.until_endpoint(&gone, |endpoint| endpoint.state == EndpointState::Disabled).await;
    world.until(|seen| seen.delivered() == 1).await;
    process.kill();

    world.reopen().await;
    let process = world.start("two").await;
    world.accept("evt_1", &[&paused, &disabled, &gone, &other]).await;
    world.until(|seen| seen.delivered() == 2).await;
    let state = async |endpoint: &Endpoint, event| {
        let (delivery, _) = world.delivery(event, endpoint).await;
        (delivery.state, delivery.reason)
    };
    for event in ["evt_0", "evt_1"] {
        let held = (DeliveryState::Held, Some(DeliveryReason::EndpointPaused));
        let skipped = (DeliveryState::Skipped, Some(DeliveryReason::EndpointDisabled));
        assert_eq!(state(&paused, event).await, held);
        assert_eq!(state(&disabled, event).await, skipped);
        assert_eq!(state(&gone, event).await, skipped);
    }
    assert_eq!(world.reread(&disabled).await.state_reason.as_deref(), Some("by an operator"));
    assert!(world.reread(&gone).await.state_reason.unwrap().contains("410"));
    assert_eq!(world.seen().requests.len(), 3);
    process.drain().await;

    // What was held is released in order, by whoever is there then.
    world.reopen().await;
    world.turn(&paused, EndpointState::Enabled).await;
    let process = world.start_with("three", |settings| settings.per_endpoint = 1).await;
    world.until(|seen| seen.delivered() == 4).await;
    assert_eq!(world.seen().events_to(&paused.url), ["evt_0", "evt_1"]);
    process.drain().await;
    all_final(&reckon(&world).await);
}

async fn a_pause_that_was_asked_for_lasts(backend: Backend) {
    let mut world = World::new(backend).await;
    let (busy, other) = (world.endpoint(&[1, 1]).await, world.endpoint(&[1]).await);
    world.subscribers.follow(|_| Does::answer(429).retry_after(2));
    let process = world.start("one").await;
    world.accept("evt_0", &[&busy]).await;
    let parked = world.until_endpoint(&busy, |endpoint| endpoint.parked_until.is_some()).await;
    let until = parked.parked_until.unwrap();
    process.kill();

    world.reopen().await;
    assert_eq!(world.reread(&busy).await.parked_until, Some(until));
    world.subscribers.follow(|_| Does::answer(200));
    world.accept("evt_1", &[&busy, &other]).await;
    let process = world.start("two").await;
    world.until(|seen| seen.delivered() == 3).await;
    {
        let seen = world.seen();
        let after: Vec<Timestamp> = seen.to(&busy.url).skip(1).map(|sent| sent.at).collect();
        assert!(after.len() == 2 && after.iter().all(|at| *at >= until), "parked until {until}: {after:?}");
    }
    process.drain().await;
    all_final(&reckon(&world).await);
}

async fn the_head_of_an_ordered_endpoint_keeps_its_place(backend: Backend) {
    let mut world = World::new(backend).await;
    let endpoint = world.endpoint_with(&[1_500, 10], |endpoint| endpoint.ordered = true).await;
    world.subscribers.follow(|_| Does::answer(500));
    let process = world.start("one").await;
    for event in ["evt_0", "evt_1", "evt_2"] {
        world.accept(event, &[&endpoint]).await;
    }
    let (head, _) = world.until_delivery("evt_0", &endpoint, |delivery| delivery.failures == 1).await;
    process.drain().await;

    world.reopen().await;
    let mut refused = false;
    world.subscribers.follow(move |_| {
        // The head fails once more, and they wait again.
        Does::answer(if std::mem::replace(&mut refused, true) { 200 } else { 500 })
    });
    let process = world.start("two").await;
    world.until(|seen| seen.delivered() == 3).await;
    process.drain().await;
    {
        let seen = world.seen();
        assert_eq!(seen.events_to(&endpoint.url), ["evt_0", "evt_0", "evt_0", "evt_1", "evt_2"]);
        assert!(seen.requests[1].at >= head.due_at.unwrap(), "the head came before its time");
    }
    all_final(&reckon(&world).await);
}

async fn an_ordered_head_in_flight_goes_first_after_a_crash(backend: Backend) {
    let mut world = World::new(backend).await;
    let endpoint = world.endpoint_with(&[1], |endpoint| endpoint.ordered = true).await;
    world.subscribers.follow(|_| Does::hang());
    let process = world.start("one").await;
    for event in ["evt_0", "evt_1", "evt_2"] {
        world.accept(event, &[&endpoint]).await;
    }
    world.until(|seen| seen.requests.len() == 1).await;
    process.kill();

    world.reopen().await;
    world.subscribers.follow(|_| Does::answer(200));
    let process = world.start("two").await;
    world.until(|seen| seen.delivered() == 3).await;
    process.drain().await;
    assert_eq!(world.seen().events_to(&endpoint.url), ["evt_0", "evt_0", "evt_1", "evt_2"]);
    let (head, attempts) = world.delivery("evt_0", &endpoint).await;
    assert_eq!((head.attempts, head.failures), (2, 0), "a crash is not charged");
    assert_eq!(attempts[0].outcome.error(), Some(ErrorClass::Unknown));
    all_final(&reckon(&world).await);
}

async fn a_retry_keeps_its_time(backend: Backend) {
    let mut world = World::new(backend).await;
    let endpoint = world.endpoint(&[1_500]).await;
    world.subscribers.follow(|_| Does::answer(500));
    let process = world.start("one").await;
    world.accept("evt_0", &[&endpoint]).await;
    let (delivery, _) = world.until_delivery("evt_0", &endpoint, |delivery| delivery.failures == 1).await;
    process.kill();

    world.reopen().await;
    world.subscribers.follow(|_| Does::answer(200));
    let process = world.start("two").await;
    world.until(|seen| seen.delivered() == 1).await;
    process.drain().await;
    let at = world.seen().requests[1].at;
    assert!(at >= delivery.due_at.unwrap(), "due at {:?}, made at {at}", delivery.due_at);
    all_final(&reckon(&world).await);
}

/// Nobody was there to make them.
async fn manual_attempts_that_were_asked_for_are_made(backend: Backend) {
    let mut world = World::new(backend).await;
    let (failing, closed) = (world.endpoint(&[60_000]).await, world.endpoint(&[60_000]).await);
    world.subscribers.follow(|_| Does::answer(500));
    let process = world.start("one").await;
    world.accept("evt_0", &[&failing, &closed]).await;
    let (scheduled, _) = world.until_delivery("evt_0", &failing, |delivery| delivery.failures == 1).await;
    let (open, _) = world.until_delivery("evt_0", &closed, |delivery| delivery.failures == 1).await;
    process.drain().await;
    world.turn(&closed, EndpointState::Disabled).await;
    world.retry(&scheduled, false).await.unwrap();
    world.retry(&scheduled, false).await.unwrap();
    world.retry(&open, true).await.unwrap();

    world.reopen().await;
    let process = world.start("two").await;
    world.until(|seen| seen.settled() == 5).await;
    let (after, attempts) = world.delivery("evt_0", &failing).await;
    let failed = (true, Some(500));
    assert_eq!(told(&attempts), [(false, Some(500)), failed, failed], "two were asked for");
    // The chain goes on as it would have.
    assert_eq!((after.state, after.failures), (DeliveryState::Scheduled, 1));
    assert_eq!(after.due_at, scheduled.due_at);
    let (after, attempts) = world.delivery("evt_0", &closed).await;
    assert_eq!(told(&attempts), [(false, Some(500)), failed]);
    assert_eq!(after.state, DeliveryState::Skipped);

    // One that succeeds delivers, and is remembered.
    world.subscribers.follow(|_| Does::answer(200));
    world.retry(&scheduled, false).await.unwrap();
    world.retry(&open, true).await.unwrap();
    world.until(|seen| seen.delivered() == 2).await;
    process.drain().await;
    world.reopen().await;
    all_final(&reckon(&world).await);
    assert_eq!(world.seen().requests.len(), 7);
}

async fn an_interrupted_manual_attempt_is_not_repeated(backend: Backend) {
    let mut world = World::new(backend).await;
    let (endpoint, other) = (world.endpoint(&[60_000]).await, world.endpoint(&[1]).await);
    world.subscribers.follow(|_| Does::answer(500));
    let process = world.start("one").await;
    world.accept("evt_0", &[&endpoint]).await;
    let (scheduled, _) = world.until_delivery("evt_0", &endpoint, |delivery| delivery.failures == 1).await;
    world.subscribers.follow(|_| Does::hang());
    world.retry(&scheduled, false).await.unwrap();
    world.until(|seen| seen.requests.len() == 2).await;
    process.kill();

    world.reopen().await;
    world.subscribers.follow(|_| Does::answer(200));
    let process = world.start("two").await;
    // What comes after it is made: it has been passed by.
    world.accept("evt_1", &[&other]).await;
    world.until(|seen: &Seen| seen.delivered() == 1).await;
    world.until_delivery("evt_0", &endpoint, |delivery| delivery.attempts == 2).await;
    process.drain().await;
    let (after, attempts) = world.delivery("evt_0", &endpoint).await;
    assert_eq!(told(&attempts), [(false, Some(500)), (true, None)]);
    assert_eq!(attempts[1].outcome.error(), Some(ErrorClass::Unknown));
    assert_eq!((after.state, after.failures, after.due_at), (DeliveryState::Scheduled, 1, scheduled.due_at));
    assert_eq!(world.seen().to(&endpoint.url).count(), 2);
    reckon(&world).await;
}

async fn what_is_to_be_delivered_later_is(backend: Backend) {
    let mut world = World::new(backend).await;
    let endpoint = world.endpoint(&[1]).await;
    let process = world.start("one").await;
    let at = world.clock.now() + Duration::from_millis(1_500);
    world.accept_with("evt_0", &[&endpoint], |event| event.options.deliver_at = Some(at)).await;
    world.accept("evt_1", &[&endpoint]).await;
    world.until(|seen| seen.delivered() == 1).await;
    process.kill();

    world.reopen().await;
    let process = world.start("two").await;
    world.until(|seen| seen.delivered() == 2).await;
    process.drain().await;
    assert_eq!(world.seen().events_to(&endpoint.url), ["evt_1", "evt_0"]);
    assert!(world.seen().requests[1].at >= at);
    all_final(&reckon(&world).await);
}
