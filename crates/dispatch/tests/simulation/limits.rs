//! What endpoints, hosts and tenants may have under way.

use std::time::Duration;

use posthaste_model::{Endpoint, EndpointState, ErrorClass, Period, RateLimit, Timestamp};

use crate::{reckoning::reckon, seen::Seen, subscribers::Does, world::World};

/// When each request to an endpoint began, in order.
fn begins(seen: &Seen, endpoint: &Endpoint) -> Vec<Timestamp> {
    seen.requests.iter().filter(|sent| sent.url == endpoint.url).map(|sent| sent.at).collect()
}

fn secs(from: Timestamp, to: Timestamp) -> f64 {
    from.duration_until(to).as_secs_f64()
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_has_no_more_under_way_than_it_may() {
    for (own, most) in [(None, 5), (Some(1), 1), (Some(3), 3), (Some(40), 40)] {
        let mut world = World::new().await;
        let endpoint = world.endpoint_with(|endpoint| endpoint.max_in_flight = own).await;
        let mut number = 0_u32;
        world.subscribers.follow(move |_| {
            number += 1;
            Does::answer(200).after(f64::from(number % 7) * 0.3)
        });
        for number in 0..120 {
            world.accept(&format!("evt_{number}"), &[&endpoint]).await;
        }
        let process = world.start_with("one", |settings| {
            settings.max_in_flight = 200;
            settings.per_endpoint = 5;
            settings.per_host = 100;
        });
        world.until(|seen| seen.delivered() == 120).await;
        process.drain().await;
        let at_once = world.seen().most_at_once("one");
        assert!((most - most / 10..=most).contains(&at_once), "{at_once} at once of {most}");
        reckon(&world).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_has_no_more_under_way_than_it_may() {
    let mut world = World::new().await;
    let mut endpoints = Vec::new();
    for _ in 0..20 {
        endpoints.push(world.endpoint().await);
    }
    world.subscribers.follow(|_| Does::answer(200).after(1.0));
    for number in 0..10 {
        world.accept(&format!("evt_{number}"), &endpoints.iter().collect::<Vec<_>>()).await;
    }
    let process = world.start_with("one", |settings| {
        settings.max_in_flight = 100;
        settings.per_host = 8;
    });
    let begun = world.clock.now();
    world.until(|seen| seen.delivered() == 200).await;
    assert_eq!(world.seen().most_at_once("one"), 8);
    // And no less, as long as there is something to do: 200 requests of a second, 8 at once.
    let took = secs(begun, world.clock.now());
    assert!(took < 30.0, "it took {took} s");
    process.drain().await;
    reckon(&world).await;
}

/// However many come at once, no window of the length has more, and nothing waits for longer than it must.
#[tokio::test(start_paused = true)]
async fn a_rate_limit_is_exact() {
    for (limit, per, events) in [(1, 1, 20), (5, 1, 60), (50, 2, 200), (7, 60, 30)] {
        let mut world = World::new().await;
        let rate = RateLimit::new(limit, Period::from_secs(per)).unwrap();
        let endpoint = world.endpoint_with(|endpoint| endpoint.rate_limit = Some(rate)).await;
        for number in 0..events {
            world.accept(&format!("evt_{number}"), &[&endpoint]).await;
        }
        let process = world.start_with("one", |settings| settings.max_in_flight = 500);
        world.until(|seen| seen.delivered() == events).await;
        let begins = begins(&world.seen(), &endpoint);
        for window in begins.windows(limit as usize + 1) {
            let took = secs(window[0], window[limit as usize]);
            assert!(took >= per as f64, "{} requests within {took} s", limit + 1);
        }
        let windows = (events as u32).div_ceil(limit) - 1;
        let (took, least) = (secs(begins[0], *begins.last().unwrap()), f64::from(windows) * per as f64);
        assert!(took <= least * 1.02 + 0.1, "{events} requests took {took} s, where {least} s do");
        process.drain().await;
        reckon(&world).await;
    }
}

/// An endpoint that cannot be reached is asked less and less often, and at once again when it can.
#[tokio::test(start_paused = true)]
async fn a_breaker_spares_an_endpoint_that_does_not_answer() {
    let mut world = World::new().await;
    let (dead, other) = (world.endpoint().await, world.endpoint().await);
    let url = dead.url.clone();
    world.subscribers.follow(move |sent| match sent.url == url {
        true => Does::fail(ErrorClass::Connect),
        false => Does::answer(200),
    });
    let process = world.start_with("one", |settings| settings.max_in_flight = 100);
    for number in 0..600 {
        world.accept(&format!("evt_{number}"), &[&dead, &other]).await;
        world.pass(1).await;
    }
    let requests = begins(&world.seen(), &dead).len();
    // 1 + 2 + 4 + ... + 60 s, and then one a minute.
    assert!((5..=40).contains(&requests), "{requests} requests to a dead endpoint in ten minutes");
    assert_eq!(begins(&world.seen(), &other).len(), 600);

    world.subscribers.follow(|_| Does::answer(200));
    world.pass(70).await;
    world.until(|seen| seen.delivered() == 1_200).await;
    process.drain().await;
    reckon(&world).await;
}

/// The waits grow although every answer is for another delivery.
#[tokio::test(start_paused = true)]
async fn an_endpoint_that_stays_busy_is_asked_less_and_less() {
    let mut world = World::new().await;
    let endpoint = world.endpoint().await;
    world.subscribers.follow(|_| Does::answer(503));
    let process = world.start_with("one", |settings| settings.per_endpoint = 1);
    for number in 0..100 {
        world.accept(&format!("evt_{number}"), &[&endpoint]).await;
    }
    world.until(|seen| seen.requests.len() == 8).await;
    let begins = begins(&world.seen(), &endpoint);
    let waits: Vec<f64> = begins.windows(2).map(|two| secs(two[0], two[1])).collect();
    for (wait, expect) in waits.iter().zip([5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0]) {
        assert!((wait - expect).abs() <= expect * 0.1 + 0.01, "{waits:?}");
    }
    process.drain().await;
    reckon(&world).await;
}

/// What an endpoint may have is known to the next process, too; and it does not find a breaker that only the former knew.
#[tokio::test(start_paused = true)]
async fn another_process_finds_no_throttle_of_the_former() {
    let mut world = World::new().await;
    let endpoint = world.endpoint_with(|endpoint| endpoint.max_in_flight = Some(2)).await;
    world.subscribers.follow(|_| Does::hang());
    for number in 0..10 {
        world.accept(&format!("evt_{number}"), &[&endpoint]).await;
    }
    let first = world.start("one");
    world.until(|seen| seen.requests.len() == 2).await;
    drop(first);
    world.subscribers.follow(|_| Does::answer(200).after(0.1));
    let second = world.start("two");
    world.until(|seen| seen.delivered() == 10).await;
    assert_eq!(world.seen().most_at_once("two"), 2);
    let took = secs(begins(&world.seen(), &endpoint)[0], world.clock.now());
    assert!(took < 6.0, "it took {took} s");
    second.drain().await;
    reckon(&world).await;
}

/// A limit that an operator changes counts from then on.
#[tokio::test(start_paused = true)]
async fn a_changed_limit_counts_from_then_on() {
    let mut world = World::new().await;
    let endpoint = world.endpoint_with(|endpoint| endpoint.max_in_flight = Some(10)).await;
    world.subscribers.follow(|_| Does::answer(200).after(1.0));
    for number in 0..100 {
        world.accept(&format!("evt_{number}"), &[&endpoint]).await;
    }
    let process = world.start_with("one", |settings| settings.max_in_flight = 50);
    world.until(|seen| seen.delivered() >= 20).await;
    world.change(&endpoint, |endpoint| endpoint.max_in_flight = Some(2)).await;
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    let before = world.seen().requests.len();
    world.pass(10).await;
    let within = world.seen().requests.len() - before;
    assert!((18..=22).contains(&within), "{within} requests in 10 s, 2 at a time");
    world.until(|seen| seen.delivered() == 100).await;
    process.drain().await;
    reckon(&world).await;
}

/// Endpoints with much to do at a host do not keep those away that have little.
#[tokio::test(start_paused = true)]
async fn endpoints_take_turns_at_a_host() {
    for per_host in [1, 4, 16] {
        let mut world = World::new().await;
        let mut flooding = Vec::new();
        for _ in 0..5 {
            flooding.push(world.endpoint().await);
        }
        let quiet = world.endpoint().await;
        world.subscribers.follow(|_| Does::answer(200).after(0.1));
        for number in 0..20 {
            world.accept(&format!("flood_{number}"), &flooding.iter().collect::<Vec<_>>()).await;
        }
        let process = world.start_with("one", |settings| {
            settings.max_in_flight = 200;
            settings.per_host = per_host;
        });
        world.pass(1).await;
        for number in 0..5 {
            let (id, accepted) = (format!("quiet_{number}"), world.clock.now());
            world.accept(&id, &[&quiet]).await;
            world.until(|seen| seen.requests.iter().any(|sent| sent.event() == id)).await;
            let waited = secs(accepted, world.clock.now());
            assert!(waited < 4.0, "{waited} s for a turn at a host that takes {per_host}");
        }
        world.until(|seen| seen.delivered() == 105).await;
        assert!(world.seen().most_at_once("one") <= per_host as usize);
        process.drain().await;
        reckon(&world).await;
    }
}

/// What an operator changes counts at once, also where its owner had said that nothing is to be leased for long.
#[tokio::test(start_paused = true)]
async fn an_operator_lifts_what_holds_an_endpoint_up() {
    let day = Period::from_secs(24 * 3_600);
    let limits: [fn(&mut Endpoint); 2] = [
        |endpoint| endpoint.max_in_flight = Some(1),
        |endpoint| endpoint.rate_limit = Some(RateLimit::new(1, Period::from_secs(24 * 3_600)).unwrap()),
    ];
    let mends: [fn(&mut Endpoint); 2] =
        [|endpoint| endpoint.url.push_str("/mended"), |endpoint| endpoint.rate_limit = None];
    for (limit, mend) in limits.into_iter().zip(mends) {
        let mut world = World::new().await;
        let endpoint = world.endpoint_with(limit).await;
        world.subscribers.follow(|sent| match sent.url.ends_with("/mended") || sent.event() != "0" {
            true => Does::answer(200),
            false => Does::answer(503).retry_after(24 * 3_600),
        });
        let process = world.start("one");
        for number in 0..3 {
            world.accept(&number.to_string(), &[&endpoint]).await;
        }
        world.pass(30).await;
        let before = world.seen().requests.len();
        assert!(before < 3, "{before} requests within {day}");
        world.change(&endpoint, mend).await;
        world.change(&endpoint, |endpoint| endpoint.state = EndpointState::Paused).await;
        world.change(&endpoint, |endpoint| endpoint.state = EndpointState::Enabled).await;
        world.pass(2).await;
        let after = world.seen().requests.len();
        assert!(after >= 3, "{after} requests after it was mended");
        drop(process);
    }
}

/// A fault of ours is no attempt of the endpoint's.
#[tokio::test(start_paused = true)]
async fn a_fault_of_ours_uses_no_rate_up() {
    let mut world = World::new().await;
    let rate = RateLimit::new(1, Period::from_secs(24 * 3_600)).unwrap();
    let endpoint = world.endpoint_with(|endpoint| endpoint.rate_limit = Some(rate)).await;
    let mut faults = 3;
    world.subscribers.follow(move |_| {
        faults -= 1;
        if faults >= 0 { Does::fail(ErrorClass::Internal) } else { Does::answer(200) }
    });
    let process = world.start("one");
    world.accept("evt", &[&endpoint]).await;
    world.pass(10).await;
    assert_eq!(world.seen().delivered(), 1);
    process.drain().await;
    reckon(&world).await;
}
