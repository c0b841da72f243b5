//! What endpoints and tenants may have under way. The simulation of `dispatch` has the details; here it is seen on real
//! stores, in real time.

use std::time::Duration;

use posthaste_model::{Endpoint, ErrorClass, Period, RateLimit, Timestamp};
use tokio::sync::watch;

use crate::{
    backend::Backend,
    reckoning::{all_final, at_once, reckon},
    seen::Seen,
    subscribers::Does,
    world::World,
};

on_every_store!(
    an_endpoint_has_no_more_under_way_than_it_may,
    a_rate_limit_is_exact,
    a_tenant_leaves_room_for_others,
    a_crowd_without_room_hides_nobody,
    a_host_has_no_more_under_way_than_it_may,
    a_breaker_spares_an_endpoint_that_does_not_answer,
    a_busy_endpoint_gets_the_pause_that_it_asks_for,
);

/// When each request to an endpoint began, in order.
fn begins(seen: &Seen, endpoint: &Endpoint) -> Vec<Timestamp> {
    seen.to(&endpoint.url).map(|sent| sent.at).collect()
}

fn millis(from: Timestamp, to: Timestamp) -> i128 {
    from.duration_until(to).as_millis()
}

async fn an_endpoint_has_no_more_under_way_than_it_may(backend: Backend) {
    let mut world = World::new(backend).await;
    let usual = world.endpoint(&[1]).await;
    let few = world.endpoint_with(&[1], |endpoint| endpoint.max_in_flight = Some(3)).await;
    let many = world.endpoint_with(&[1], |endpoint| endpoint.max_in_flight = Some(12)).await;
    let one = world.endpoint_with(&[1], |endpoint| endpoint.ordered = true).await;
    world.subscribers.follow(|_| Does::answer(200).after(Duration::from_millis(20)));
    let all = [(&usual, 5), (&few, 3), (&many, 12), (&one, 1)];
    for number in 0..30 {
        world.accept(&format!("evt_{number}"), &all.map(|(endpoint, _)| endpoint)).await;
    }
    let process = world.start_with("one", |settings| settings.per_endpoint = 5).await;
    world.until(|seen| seen.delivered() == 120).await;
    process.drain().await;
    for (endpoint, most) in all {
        assert_eq!(at_once(world.seen().to(&endpoint.url)), most, "{}", endpoint.url);
    }
    all_final(&reckon(&world).await);
}

async fn a_rate_limit_is_exact(backend: Backend) {
    let mut world = World::new(backend).await;
    let (limit, per) = (10, 400);
    let rate = RateLimit::new(limit, Period::from_millis(per)).unwrap();
    let limited = world.endpoint_with(&[1], |endpoint| endpoint.rate_limit = Some(rate)).await;
    let other = world.endpoint(&[1]).await;
    for number in 0..45 {
        world.accept(&format!("evt_{number}"), &[&limited, &other]).await;
    }
    let process = world.start("one").await;
    world.until(|seen| seen.delivered() == 90).await;
    process.drain().await;
    let (slow, quick) = (begins(&world.seen(), &limited), begins(&world.seen(), &other));
    let took = |begins: &[Timestamp]| millis(begins[0], *begins.last().unwrap());
    let least = i128::from(per) * 4;
    assert!((least - 50..least * 3).contains(&took(&slow)), "it took {} ms", took(&slow));
    assert!(took(&quick) < took(&slow), "nobody else waits");
    // No window has more: that is reckoned.
    all_final(&reckon(&world).await);
}

/// One tenant has far more to do than there are permits, and its subscribers do not answer.
async fn a_tenant_leaves_room_for_others(backend: Backend) {
    beside_a_hungry_tenant(backend, 10, 10).await;
}

/// More endpoints wait for room than a lease call looks at.
async fn a_crowd_without_room_hides_nobody(backend: Backend) {
    beside_a_hungry_tenant(backend, 1_200, 1).await;
}

/// `crowd`: endpoints of the hungry tenant, each with so many `events`.
async fn beside_a_hungry_tenant(backend: Backend, crowd: usize, events: usize) {
    let mut world = World::new(backend).await;
    let mut hungry = Vec::new();
    for _ in 0..crowd {
        hungry.push(world.endpoint(&[1]).await);
    }
    let answer = watch::Sender::new(false);
    let second = world.another_tenant().await;
    let modest = world.endpoint_of(&second, |_| {}).await;
    let (url, told) = (modest.url.clone(), answer.clone());
    world.subscribers.follow(move |sent| match sent.url == url {
        true => Does::answer(200),
        false => Does::answer(200).when(&told),
    });
    for number in 0..events {
        world.accept(&format!("evt_{number}"), &hungry.iter().collect::<Vec<_>>()).await;
    }
    let process = world.start_with("one", |settings| settings.max_in_flight = 16).await;
    // Half of what there is; nothing more while it lasts.
    world.until(|seen| seen.requests.len() >= 8).await;
    for number in 0..20 {
        world.accept(&format!("other_{number}"), &[&modest]).await;
    }
    world.until(|seen| seen.to(&modest.url).filter(|sent| sent.ended.is_some()).count() == 20).await;
    assert_eq!(at_once(world.seen().requests.iter().filter(|sent| sent.url != modest.url)), 8);
    answer.send_replace(true);
    world.until(|seen| seen.delivered() == crowd * events + 20).await;
    process.drain().await;
    all_final(&reckon(&world).await);
}

async fn a_host_has_no_more_under_way_than_it_may(backend: Backend) {
    let mut world = World::new(backend).await;
    let mut endpoints = Vec::new();
    for _ in 0..8 {
        endpoints.push(world.endpoint(&[1]).await);
    }
    world.subscribers.follow(|_| Does::answer(200).after(Duration::from_millis(20)));
    for number in 0..8 {
        world.accept(&format!("evt_{number}"), &endpoints.iter().collect::<Vec<_>>()).await;
    }
    let process = world.start_with("one", |settings| settings.per_host = 6).await;
    world.until(|seen| seen.delivered() == 64).await;
    process.drain().await;
    assert_eq!(at_once(world.seen().requests.iter()), 6);
    all_final(&reckon(&world).await);
}

/// Five requests without an answer, then one after 1 s and one after 2 s more.
async fn a_breaker_spares_an_endpoint_that_does_not_answer(backend: Backend) {
    let mut world = World::new(backend).await;
    let dead = world.endpoint_with(&[1; 9], |endpoint| endpoint.max_in_flight = Some(1)).await;
    let other = world.endpoint(&[1]).await;
    let url = dead.url.clone();
    world.subscribers.follow(move |sent| match sent.url == url {
        true => Does::fail(ErrorClass::Connect),
        false => Does::answer(200),
    });
    let process = world.start("one").await;
    for number in 0..20 {
        world.accept(&format!("evt_{number}"), &[&dead, &other]).await;
    }
    world.until(|seen| seen.delivered() == 20 && seen.to(&dead.url).count() == 6).await;
    world.subscribers.follow(|_| Does::answer(200));
    world.until(|seen| seen.delivered() == 40).await;
    process.drain().await;
    let begins = begins(&world.seen(), &dead);
    let waits: Vec<i128> = begins.windows(2).map(|two| millis(two[0], two[1])).collect();
    assert!(waits[4] >= 900 && waits[5] >= 1_800, "{waits:?}");
    assert_eq!(begins.len(), 26, "all that failed, and then each once");
    all_final(&reckon(&world).await);
}

async fn a_busy_endpoint_gets_the_pause_that_it_asks_for(backend: Backend) {
    let mut world = World::new(backend).await;
    let (busy, other) = (world.endpoint(&[1; 3]).await, world.endpoint(&[1]).await);
    let (url, mut asked) = (busy.url.clone(), false);
    world.subscribers.follow(move |sent| match sent.url == url && !std::mem::replace(&mut asked, true) {
        true => Does::answer(503).retry_after(1),
        false => Does::answer(200),
    });
    let process = world.start("one").await;
    world.accept("evt_0", &[&busy]).await;
    let parked = world.until_endpoint(&busy, |endpoint| endpoint.parked_until.is_some()).await;
    for number in 1..10 {
        world.accept(&format!("evt_{number}"), &[&busy, &other]).await;
    }
    world.until(|seen| seen.delivered() == 19).await;
    process.drain().await;
    let begins = begins(&world.seen(), &busy);
    let until = parked.parked_until.unwrap();
    assert!(millis(begins[0], until) >= 1_000);
    assert!(begins[1..].iter().all(|at| *at >= until), "parked until {until}: {begins:?}");
    assert_eq!(begins.len(), 11);
    all_final(&reckon(&world).await);
}
