use std::time::Duration;

use posthaste_model::{DeliveryState, Endpoint, ErrorClass, ExponentialRetry, Period, RetryPolicy};

use crate::{reckoning::reckon, subscribers::Does, world::World};

/// An endpoint that takes nothing: it is tried after these delays, give or take a share of each, and never again.
async fn check_tried(policy: Option<RetryPolicy>, outcome: Does, delays: &[u64], ratio: f64) {
    let mut world = World::new().await;
    let endpoint = world.endpoint_with(|endpoint| endpoint.retry = policy).await;
    world.subscribers.follow(move |_| outcome.clone().after(0.5));
    let _process = world.start_for_days("one");
    world.accept("evt", &[&endpoint]).await;
    for (failures, secs) in delays.iter().enumerate() {
        world.until(|seen| seen.settlements().count() == failures + 1).await;
        let ended = world.clock.now();
        let due_at = world.delivery("evt", &endpoint).await.0.due_at.unwrap();
        let (delay, expected) = (ended.duration_until(due_at).as_secs_f64(), *secs as f64);
        assert!((delay - expected).abs() <= expected * ratio + 0.001, "{delay} s, not {expected}");
        world.until(|seen| seen.requests.len() == failures + 2).await;
        let late = due_at.duration_until(world.seen().requests[failures + 1].at);
        assert!((0..=2).contains(&late.as_millis()), "retry {failures} was {late:?} late");
    }
    world.until(|seen| seen.settlements().count() == delays.len() + 1).await;
    world.pass(2 * 24 * 3_600).await;
    let (delivery, attempts) = world.delivery("evt", &endpoint).await;
    assert_eq!(delivery.state, DeliveryState::Exhausted);
    assert_eq!(attempts.len(), delays.len() + 1);
    reckon(&world).await;
}

#[tokio::test(start_paused = true)]
async fn the_default_schedule_is_kept_to_the_millisecond() {
    let delays = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];
    check_tried(None, Does::answer(500), &delays, 0.1).await;
}

#[tokio::test(start_paused = true)]
async fn an_endpoints_own_schedule_is_kept() {
    let policy = RetryPolicy::schedule(vec![Period::from_secs(1), Period::from_secs(90)]).unwrap();
    check_tried(Some(policy), Does::fail(ErrorClass::Connect), &[1, 90], 0.1).await;
}

#[tokio::test(start_paused = true)]
async fn exponential_growth_is_kept() {
    let policy = RetryPolicy::Exponential(ExponentialRetry {
        initial_interval: Period::from_secs(10),
        multiplier: 3.0,
        randomization_factor: 0.0,
        max_interval: Period::from_secs(60),
        max_elapsed_time: None,
        max_attempts: 5,
    });
    check_tried(Some(policy), Does::answer(302), &[10, 30, 60, 60], 0.0).await;
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_succeeds_is_the_last() {
    let mut world = World::new().await;
    let endpoint = world.endpoint().await;
    let mut answers = [500, 404, 200].into_iter();
    world.subscribers.follow(move |_| Does::answer(answers.next().unwrap()));
    let _process = world.start_for_days("one");
    world.accept("evt", &[&endpoint]).await;
    world.until(|seen| seen.delivered() == 1).await;
    world.pass(24 * 3_600).await;
    let (delivery, attempts) = world.delivery("evt", &endpoint).await;
    assert_eq!((delivery.state, delivery.failures), (DeliveryState::Delivered, 2));
    let statuses: Vec<_> = attempts.iter().map(|attempt| attempt.outcome.status()).collect();
    assert_eq!(statuses, [Some(500), Some(404), Some(200)]);
    let queued: Vec<_> = attempts.iter().map(|attempt| attempt.timings.queued).collect();
    assert!(queued.iter().all(|queued| *queued <= Duration::from_millis(2)), "{queued:?}");
    reckon(&world).await;
}

/// Deliveries that come due together, each in its own time.
#[tokio::test(start_paused = true)]
async fn many_retries_keep_their_times() {
    let mut world = World::new().await;
    let delays = [1, 2, 4, 8, 16].map(Period::from_secs);
    let policy = RetryPolicy::schedule(delays.to_vec()).unwrap();
    let mut endpoints = Vec::new();
    for _ in 0..3 {
        endpoints.push(world.endpoint_with(|endpoint| endpoint.retry = Some(policy.clone())).await);
    }
    let endpoints: Vec<&Endpoint> = endpoints.iter().collect();
    world.subscribers.follow(|sent| Does::answer(if sent.at.as_second() % 3 == 0 { 200 } else { 500 }));
    let _process = world.start_with("one", |settings| settings.max_in_flight = 200);
    for number in 0..40 {
        tokio::time::sleep(Duration::from_millis(37)).await;
        world.accept(&format!("evt_{number}"), &endpoints).await;
    }
    world.pass(60).await;
    let late = |queued: Duration| queued > Duration::from_millis(2);
    let shown = world.shown().await;
    let attempts: Vec<_> = shown.deliveries.iter().flat_map(|(_, attempts)| attempts).collect();
    assert!(attempts.len() > 200, "{} attempts", attempts.len());
    let late: Vec<_> = attempts.iter().filter(|attempt| late(attempt.timings.queued)).collect();
    assert!(late.is_empty(), "{late:?}");
    assert!(shown.deliveries.iter().all(|(delivery, _)| delivery.state.is_final()));
    reckon(&world).await;
}
