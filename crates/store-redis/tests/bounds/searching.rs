//! More events than a search looks at in one go.

use std::time::Duration;

use posthaste_model::{Event, Next, TenantId, Timestamp};
use posthaste_store::{
    DeliveryFilter, EventFilter, NewEvent, Order, Page, Paged, Retain,
    conformance::{Driver, all, sample_event},
};

use crate::{Alone, accept, lease_all, name};

async fn found(driver: &Driver, of: Option<&TenantId>, filter: &DeliveryFilter, order: Order) -> Vec<String> {
    let list = |page| driver.store().deliveries(of, filter.clone(), order, page);
    all(300, list).await.unwrap().iter().map(|delivery| delivery.event.to_string()).collect()
}

#[tokio::test]
async fn a_page_ends_where_enough_was_looked_at() {
    const COUNT: usize = 6_000;
    let mut driver = Alone::new().driver().await;
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    let rare = Event { topic: "rare".parse().unwrap(), ..sample_event(&tenant, "rare", driver.now()) };
    driver.accept_all(&tenant, vec![NewEvent { event: rare, endpoints: vec![endpoint.id] }]).await.unwrap();
    accept(&mut driver, &endpoint, 0..COUNT).await;
    let by_topic = DeliveryFilter { topic: Some("rare".parse().unwrap()), ..DeliveryFilter::default() };
    let by_state =
        DeliveryFilter { states: vec![posthaste_model::DeliveryState::Held], ..DeliveryFilter::default() };
    for of in [Some(&tenant), None] {
        for filter in [&by_topic, &by_state] {
            let first =
                driver.store().deliveries(of, filter.clone(), Order::NewestFirst, Page::first(10)).await;
            let first = first.unwrap();
            assert!(first.rows.is_empty() && first.next.is_some(), "{first:?}");
        }
        assert_eq!(found(&driver, of, &by_topic, Order::NewestFirst).await, ["rare"]);
        assert_eq!(found(&driver, of, &by_topic, Order::OldestFirst).await, ["rare"]);
        assert!(found(&driver, of, &by_state, Order::NewestFirst).await.is_empty());
        let filter = EventFilter { topic: Some("rare".parse().unwrap()), ..EventFilter::default() };
        let events = all(10, |page| driver.store().events(of, filter.clone(), page)).await.unwrap();
        assert_eq!(events.len(), 1);
    }
}

#[tokio::test]
async fn what_is_gone_is_passed_over() {
    const COUNT: usize = 9_000;
    let fixture = Alone::new();
    let server = fixture.server.clone();
    let mut driver = fixture.driver().await;
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    accept(&mut driver, &endpoint, 0..COUNT).await;
    let kept = [COUNT / 2, COUNT - 1];
    let over = lease_all(&mut driver).await.into_iter();
    let over = over.filter(|lease| !kept.map(name).contains(&lease.event.id.to_string()));
    let over: Vec<_> = over.map(|lease| driver.unattempted(&lease, Next::Delivered)).collect();
    driver.settle_all(over).await;
    driver.pass(60);
    let retain = Retain { delivered: Duration::ZERO, failed: Duration::ZERO };
    assert_eq!(driver.prune(retain, driver.now(), 1_000).await as usize, COUNT - 2);
    let expected = kept.map(name);
    for of in [Some(&tenant), None] {
        assert_eq!(found(&driver, of, &DeliveryFilter::default(), Order::OldestFirst).await, expected);
        let mut newest = found(&driver, of, &DeliveryFilter::default(), Order::NewestFirst).await;
        newest.reverse();
        assert_eq!(newest, expected);
    }
    // What is gone at the old end is not even looked for.
    for _ in 0..COUNT / 1_000 {
        driver.prune(retain, driver.now(), 1_000).await;
    }
    let floor = server.command(&["HGET", "posthaste:1:{0}:s", "floor"]).unwrap();
    assert_eq!(floor, kept[0].to_string(), "the first that is there has the number behind it");
    let first =
        driver.store().deliveries(None, DeliveryFilter::default(), Order::OldestFirst, Page::first(1));
    assert_eq!(first.await.unwrap().rows[0].event.as_str(), expected[0]);
}

#[tokio::test]
async fn bounds_of_time_spare_what_lies_beyond_them() {
    const HOURS: i64 = 12;
    const EACH: usize = 700;
    let mut driver = Alone::new().driver().await;
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    let begun = driver.now();
    for hour in 0..HOURS as usize {
        accept(&mut driver, &endpoint, hour * EACH..(hour + 1) * EACH).await;
        driver.pass(3_600);
    }
    let at = |hour: i64| -> Timestamp { begun + Duration::from_secs(3_600 * hour as u64) };
    for (since, until) in [(0, 1), (5, 6), (11, 12), (3, 9), (0, 12)] {
        let filter =
            DeliveryFilter { since: Some(at(since)), until: Some(at(until)), ..DeliveryFilter::default() };
        let mut expected: Vec<_> = (since as usize * EACH..until as usize * EACH).map(name).collect();
        for of in [Some(&tenant), None] {
            for order in [Order::OldestFirst, Order::NewestFirst] {
                let first =
                    driver.store().deliveries(of, filter.clone(), order, Page::first(5)).await.unwrap();
                assert_eq!(first.rows.len(), 5, "hours {since} to {until} of {of:?}, {order:?}");
                assert_eq!(
                    found(&driver, of, &filter, order).await,
                    expected,
                    "{since} to {until}, {order:?}"
                );
                expected.reverse();
            }
        }
    }
    let after = DeliveryFilter { since: Some(at(HOURS)), ..DeliveryFilter::default() };
    let before = DeliveryFilter { until: Some(begun), ..DeliveryFilter::default() };
    for filter in [after, before] {
        for order in [Order::OldestFirst, Order::NewestFirst] {
            let none = driver.store().deliveries(None, filter.clone(), order, Page::first(5)).await.unwrap();
            assert!(none.rows.is_empty() && none.next.is_none(), "{filter:?}, {order:?}: {none:?}");
        }
    }
}

#[tokio::test]
async fn an_event_of_a_wrong_clock_hides_no_other() {
    const COUNT: usize = 3_000;
    let mut driver = Alone::new().driver().await;
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    let begun = driver.now();
    let at = |secs: i64| Timestamp::from_millisecond(begun.as_millisecond() + 1_000 * secs).unwrap();
    // Every 10 s one. Of a stretch of 20 the clock is an hour slow, of every 25th it is slow or fast.
    let error = |n: usize| match n {
        1_500..1_520 => -3_600,
        _ if n % 25 == 12 => [3_600, -3_600][n % 2],
        _ => 0,
    };
    let time = |n: usize| 10 * n as i64 + error(n);
    for hundred in 0..COUNT / 100 {
        let events = (100 * hundred..100 * hundred + 100).map(|n| NewEvent {
            event: sample_event(&tenant, &name(n), at(time(n))),
            endpoints: vec![endpoint.id],
        });
        driver.accept_all(&tenant, events.collect()).await.unwrap();
    }
    for (since, until) in [(0, 30_000), (5_000, 5_100), (14_900, 15_600), (15_200, 15_300), (29_900, 30_000)]
    {
        let filter =
            DeliveryFilter { since: Some(at(since)), until: Some(at(until)), ..DeliveryFilter::default() };
        let mut expected: Vec<_> =
            (0..COUNT).filter(|n| (since..until).contains(&time(*n))).map(name).collect();
        for order in [Order::OldestFirst, Order::NewestFirst] {
            for of in [Some(&tenant), None] {
                assert_eq!(
                    found(&driver, of, &filter, order).await,
                    expected,
                    "{since} to {until}, {order:?}"
                );
            }
            expected.reverse();
        }
    }
}

#[tokio::test]
async fn the_deliveries_of_an_endpoint_are_found_in_large_fan_outs() {
    const EVENTS: usize = 60;
    let mut driver = Alone::new().driver().await;
    let tenant = driver.tenant("acme").await;
    let crowd = crate::crowd(&mut driver, &tenant, 1_200).await;
    let expected: Vec<_> = (0..EVENTS).map(name).collect();
    for event in &expected {
        driver.accept(&tenant, event, &crowd.iter().rev().collect::<Vec<_>>()).await;
    }
    for (n, endpoint) in [(0, &crowd[0]), (700, &crowd[700]), (1_199, &crowd[1_199])] {
        let filter = DeliveryFilter { endpoint: Some(endpoint.id), ..DeliveryFilter::default() };
        for of in [Some(&tenant), None] {
            let list =
                |limit| driver.store().deliveries(of, filter.clone(), Order::OldestFirst, Page::first(limit));
            let Paged { rows, next } = list(100).await.unwrap();
            assert!(next.is_none(), "all are on one page");
            assert!(rows.iter().all(|row| row.endpoint == endpoint.id));
            let events: Vec<_> = rows.iter().map(|row| row.event.to_string()).collect();
            assert!(events[0] == "for-all" && events[1..] == expected, "of {n}: {events:?}");
            // On several pages, either way.
            for order in [Order::OldestFirst, Order::NewestFirst] {
                let list = |page| driver.store().deliveries(of, filter.clone(), order, page);
                let mut ids: Vec<_> = all(7, list).await.unwrap().iter().map(|row| row.id).collect();
                if order == Order::NewestFirst {
                    ids.reverse();
                }
                assert!(ids.iter().eq(rows.iter().map(|row| &row.id)), "of {n}, {order:?}");
            }
        }
    }
}

#[tokio::test]
async fn an_event_with_many_deliveries_is_on_several_pages() {
    let mut driver = Alone::new().driver().await;
    let tenant = driver.tenant("acme").await;
    let crowd = crate::crowd(&mut driver, &tenant, 1_200).await;
    driver.accept(&tenant, "for-one", &[&crowd[700]]).await;
    for of in [Some(&tenant), None] {
        for order in [Order::NewestFirst, Order::OldestFirst] {
            let list = |page| driver.store().deliveries(of, DeliveryFilter::default(), order, page);
            for limit in [97, 1_000] {
                let mut found: Vec<_> =
                    all(limit, list).await.unwrap().iter().map(|one| one.endpoint).collect();
                let own = if order == Order::NewestFirst { found.remove(0) } else { found.pop().unwrap() };
                assert_eq!(own, crowd[700].id);
                if order == Order::NewestFirst {
                    found.reverse();
                }
                assert!(found.iter().eq(crowd.iter().map(|endpoint| &endpoint.id)), "{order:?}");
            }
        }
        let to_it = DeliveryFilter { endpoint: Some(crowd[700].id), ..DeliveryFilter::default() };
        let both = found(&driver, of, &to_it, Order::OldestFirst).await;
        assert_eq!(both, ["for-all", "for-one"]);
    }
}

#[tokio::test]
async fn large_events_come_some_at_a_time() {
    let mut driver = Alone::new().driver().await;
    let tenant = driver.tenant("acme").await;
    // Bytes that cannot be compressed.
    let noise = |seed: u64| -> Vec<u8> {
        let mut state = seed;
        let byte = |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        };
        (0..200_000).map(byte).collect()
    };
    let mut expected = Vec::new();
    for n in 0..120 {
        let payload = posthaste_model::Payload::Raw { content_type: "x/y".into(), body: noise(n).into() };
        let event = Event { payload, ..sample_event(&tenant, &name(n as usize), driver.now()) };
        expected.insert(0, event.id.clone());
        driver.accept_all(&tenant, vec![NewEvent { event, endpoints: Vec::new() }]).await.unwrap();
    }
    for of in [Some(&tenant), None] {
        let list = |page| driver.store().events(of, EventFilter::default(), page);
        let first = list(Page::first(500)).await.unwrap();
        assert!((20..120).contains(&first.rows.len()) && first.next.is_some(), "{}", first.rows.len());
        let found: Vec<_> = all(500, list).await.unwrap().into_iter().map(|record| record.event.id).collect();
        assert_eq!(found, expected);
    }
}
