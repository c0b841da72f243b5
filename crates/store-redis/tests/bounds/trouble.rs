//! More trouble than a piece of its index holds.

use std::{sync::Arc, time::Duration};

use posthaste_model::{Delivery, DeliveryState, Endpoint, EndpointState, Next, TenantId};
use posthaste_store::{
    DeliveryFilter, Lease, Order, Page, Retain,
    conformance::{Driver, all, replied},
};
use posthaste_testkit::redis::RedisServer;

use crate::{Alone, accept, lease_all};

/// What there is of the index.
const INDEX: [&str; 2] = ["KEYS", "*:z:*"];

/// A text of every number in the index, piece by piece.
const NUMBERS: &str = "local all = {} for _, key in ipairs(redis.call('KEYS', '*:z:*')) do \
    if redis.call('TYPE', key).ok == 'zset' then \
        for _, piece in ipairs(redis.call('ZRANGE', key, 0, -1)) do \
            for _, number in ipairs(redis.call('SMEMBERS', key .. ':' .. piece)) do \
                all[#all + 1] = key .. ' ' .. tonumber(piece, 16) + number end end end end \
    table.sort(all) return all";

/// The largest piece of the index, and how Redis keeps it.
const LARGEST: &str = "local most, how = 0, '' for _, key in ipairs(redis.call('KEYS', '*:z:*:*')) do \
    local count = redis.call('SCARD', key) \
    if count > most then most, how = count, redis.call('OBJECT', 'ENCODING', key) end end return most .. ' ' .. how";

/// How many pieces the longest list of the index has.
const PIECES: &str = "local most = 0 for _, key in ipairs(redis.call('KEYS', '*:z:*')) do \
    if redis.call('TYPE', key).ok == 'zset' then most = math.max(most, redis.call('ZCARD', key)) end end \
    return most";

/// Makes the store one of before there was an index.
const FORGET: &str = "for _, key in ipairs(redis.call('KEYS', '*:z:*')) do redis.call('DEL', key) end \
    for _, key in ipairs(redis.call('KEYS', '*:r:*')) do \
        local marks = string.byte(redis.call('GETRANGE', key, 9, 9)) \
        redis.call('SETRANGE', key, 9, string.char(marks % 4)) end \
    return redis.call('HDEL', 'posthaste:1:{0}:s', 'unindexed')";

fn failed() -> DeliveryFilter {
    DeliveryFilter { failed: true, ..DeliveryFilter::default() }
}

/// The numbers of the events that a search finds, in its order.
async fn search(
    driver: &Driver,
    of: Option<&TenantId>,
    filter: &DeliveryFilter,
    order: Order,
) -> Vec<String> {
    let list = |page| driver.store().deliveries(of, filter.clone(), order, page);
    let found: Vec<Delivery> = all(100, list).await.unwrap();
    found.into_iter().map(|delivery| delivery.event.to_string()).collect()
}

/// Every search for trouble finds these events, of which the endpoint has every one.
async fn check(driver: &Driver, endpoint: &Endpoint, expected: &[String]) {
    let to_it = DeliveryFilter { endpoint: Some(endpoint.id), ..failed() };
    for of in [Some(&endpoint.tenant), None] {
        for filter in [&failed(), &to_it] {
            assert_eq!(search(driver, of, filter, Order::OldestFirst).await, expected);
            let mut newest = search(driver, of, filter, Order::NewestFirst).await;
            newest.reverse();
            assert_eq!(newest, expected);
        }
    }
}

/// Brings leases into an order that has nothing to do with that of their events.
fn shuffle(leases: &mut [Lease]) {
    leases.sort_by_key(|lease| {
        let digits = lease.event.id.as_str().bytes().fold(0_u64, |sum, byte| sum * 10 + u64::from(byte));
        digits.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    });
}

async fn settle(driver: &mut Driver, leases: &[Lease], status: u16, next: Next) {
    let settlements = leases.iter().map(|lease| driver.settlement(lease, replied(status), next));
    let settlements = settlements.collect();
    driver.settle_all(settlements).await;
}

/// A store with so many events, of which two of three are exhausted, in no order; answers with their names, too.
async fn trouble(count: usize) -> (Driver, Arc<RedisServer>, Endpoint, Vec<String>) {
    let fixture = Alone::new();
    let server = fixture.server.clone();
    let mut driver = fixture.driver().await;
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    accept(&mut driver, &endpoint, 0..count).await;
    let mut leases = lease_all(&mut driver).await;
    leases.sort_by_key(|lease| lease.event.id.clone());
    let (mut bad, mut good) = (Vec::new(), Vec::new());
    for (n, lease) in leases.into_iter().enumerate() {
        if n % 3 == 0 { good.push(lease) } else { bad.push(lease) }
    }
    let names = bad.iter().map(|lease| lease.event.id.to_string()).collect();
    settle(&mut driver, &good, 200, Next::Delivered).await;
    assert_eq!(server.command(&INDEX).unwrap(), "", "what arrives at once is not in it");
    shuffle(&mut bad);
    settle(&mut driver, &bad, 500, Next::Exhausted).await;
    (driver, server, endpoint, names)
}

#[tokio::test]
async fn it_is_found_in_the_order_of_its_events() {
    let (driver, server, endpoint, expected) = trouble(2_100).await;
    assert_eq!(expected.len(), 1_400);
    check(&driver, &endpoint, &expected).await;
    let largest = server.command(&["EVAL", LARGEST, "0"]).unwrap();
    let (count, how) = largest.split_once(' ').unwrap();
    assert!((256..=512).contains(&count.parse().unwrap()), "{largest}");
    assert_eq!(how, "intset", "it is packed");
}

#[tokio::test]
async fn retention_takes_it_out_of_the_index() {
    let (mut driver, server, endpoint, mut expected) = trouble(1_500).await;
    driver.pass(60);
    // One that is tried again has its event in the index all the same.
    accept(&mut driver, &endpoint, 9_000..9_001).await;
    let lease = driver.lease_only().await;
    driver.settle(&lease, replied(500), Next::Retry { at: driver.secs(600) }).await;
    expected.push("evt-09000".into());
    check(&driver, &endpoint, &expected).await;
    let retain = Retain { delivered: Duration::ZERO, failed: Duration::ZERO };
    assert_eq!(driver.prune(retain, driver.now(), 200).await, 1_500);
    check(&driver, &endpoint, &expected[1_000..]).await;
    driver.pass(600);
    let lease = driver.lease_only().await;
    driver.settle(&lease, replied(200), Next::Delivered).await;
    check(&driver, &endpoint, &expected[1_000..]).await;
    driver.pass(60);
    assert_eq!(driver.prune(retain, driver.now(), 200).await, 1);
    check(&driver, &endpoint, &[]).await;
    assert_eq!(server.command(&INDEX).unwrap(), "", "nothing is left of it");
}

#[tokio::test]
async fn trouble_of_before_there_was_an_index_is_found() {
    let (mut driver, server, endpoint, expected) = trouble(1_500).await;
    let numbers = || server.command(&["EVAL", NUMBERS, "0"]).unwrap();
    let before = numbers();
    server.command(&["EVAL", FORGET, "0"]).unwrap();
    check(&driver, &endpoint, &expected).await;
    // Whoever has the partition writes the index, some events at a time.
    driver.claim().await;
    check(&driver, &endpoint, &expected).await;
    assert_eq!(numbers(), "");
    let forever = Duration::from_secs(1 << 30);
    let retain = Retain { delivered: forever, failed: forever };
    assert_eq!(driver.prune(retain, driver.now(), 10).await, 0);
    assert_eq!(numbers(), before);
    let pieces = server.command(&["EVAL", PIECES, "0"]).unwrap();
    assert!((2..=4).contains(&pieces.parse().unwrap()), "1000 numbers are in {pieces} pieces");
    assert_eq!(server.command(&["HGET", "posthaste:1:{0}:s", "unindexed"]).unwrap(), "0");
    check(&driver, &endpoint, &expected).await;
    let soon = Retain { delivered: Duration::ZERO, failed: Duration::ZERO };
    driver.pass(1);
    assert_eq!(driver.prune(soon, driver.now(), 200).await, 1_500);
    assert_eq!(server.command(&INDEX).unwrap(), "");
}

#[tokio::test]
async fn an_event_with_many_deliveries_comes_into_the_index_in_parts() {
    const COUNT: usize = 1_100;
    let fixture = Alone::new();
    let server = fixture.server.clone();
    let mut driver = fixture.driver().await;
    let tenant = driver.tenant("acme").await;
    let crowd = crate::crowd(&mut driver, &tenant, COUNT).await;
    accept(&mut driver, &crowd[7], 0..1).await;
    let leases = lease_all(&mut driver).await;
    settle(&mut driver, &leases, 500, Next::Exhausted).await;
    let numbers = || server.command(&["EVAL", NUMBERS, "0"]).unwrap();
    let before = numbers();
    server.command(&["EVAL", FORGET, "0"]).unwrap();
    driver.claim().await;
    let forever = Duration::from_secs(1 << 30);
    let retain = Retain { delivered: forever, failed: forever };
    let (partition, _) = driver.epochs()[0];
    let (mut calls, mut from) = (0, None);
    loop {
        assert_ne!(numbers(), before, "it takes several calls");
        calls += 1;
        from = driver.store().prune(partition, retain, driver.now(), from, 10).await.unwrap().next;
        if from.is_none() {
            break;
        }
    }
    assert_eq!((calls, numbers()), (3, before));
    let on_two = search(&driver, Some(&tenant), &failed(), Order::OldestFirst).await;
    assert_eq!(on_two.len(), COUNT + 1);
}

#[tokio::test]
async fn a_queue_that_was_closed_is_found_before_it_is_written_down() {
    const COUNT: usize = 700;
    let fixture = Alone::new();
    let server = fixture.server.clone();
    let mut driver = fixture.driver().await;
    let tenant = driver.tenant("acme").await;
    let (endpoint, other) = (driver.endpoint(&tenant).await, driver.endpoint(&tenant).await);
    accept(&mut driver, &endpoint, 0..COUNT).await;
    accept(&mut driver, &other, COUNT..COUNT + 1).await;
    driver.delete(&endpoint).await;
    let ended = DeliveryFilter { states: vec![DeliveryState::Cancelled], ..DeliveryFilter::default() };
    let mut expected: Vec<_> = (0..COUNT).map(crate::name).collect();
    for written_down in [false, true] {
        assert_eq!(server.command(&INDEX).unwrap().is_empty(), !written_down);
        for of in [Some(&tenant), None] {
            assert_eq!(search(&driver, of, &ended, Order::OldestFirst).await, expected);
        }
        let kept = Retain { delivered: Duration::from_secs(60), failed: Duration::from_secs(60) };
        driver.prune(kept, driver.now(), 100).await;
    }
    // A page that was begun before goes on after it.
    let list = |page| driver.store().deliveries(Some(&tenant), ended.clone(), Order::NewestFirst, page);
    let newest: Vec<_> = all(30, list).await.unwrap().iter().map(|one| one.event.to_string()).collect();
    expected.reverse();
    assert_eq!(newest, expected);
}

/// The first page has all that a filter finds, either way: it was not looked for among thousands.
async fn check_at_once(driver: &Driver, of: &TenantId, filter: &DeliveryFilter, expected: &[&str]) {
    for of in [Some(of), None] {
        for order in [Order::NewestFirst, Order::OldestFirst] {
            let page = driver.store().deliveries(of, filter.clone(), order, Page::first(50)).await.unwrap();
            let events: Vec<_> = page.rows.iter().map(|delivery| delivery.event.as_str()).collect();
            assert_eq!((&events[..], page.next), (expected, None), "{filter:?} of {of:?}, {order:?}");
        }
    }
}

#[tokio::test]
async fn what_is_in_trouble_is_found_at_once_among_many() {
    const COUNT: usize = 5_000;
    let fixture = Alone::new();
    let server = fixture.server.clone();
    let mut driver = fixture.driver().await;
    let tenant = driver.tenant("acme").await;
    let (endpoint, disabled) = (driver.endpoint(&tenant).await, driver.endpoint(&tenant).await);
    accept(&mut driver, &endpoint, 0..COUNT).await;
    let mut leases = lease_all(&mut driver).await;
    let bad = leases.swap_remove(COUNT / 2);
    let event = bad.event.id.to_string();
    settle(&mut driver, &leases, 200, Next::Delivered).await;
    settle(&mut driver, &[bad], 500, Next::Exhausted).await;
    let exhausted = DeliveryFilter { states: vec![DeliveryState::Exhausted], ..DeliveryFilter::default() };
    let filters = [
        exhausted.clone(),
        DeliveryFilter { endpoint: Some(endpoint.id), ..exhausted },
        DeliveryFilter { endpoint: Some(endpoint.id), ..failed() },
        DeliveryFilter { status: Some((500, 599)), ..DeliveryFilter::default() },
        DeliveryFilter { states: vec![DeliveryState::Exhausted, DeliveryState::Skipped], ..failed() },
    ];
    for filter in &filters {
        check_at_once(&driver, &tenant, filter, &[&event]).await;
    }
    // Queues of others that were closed change nothing of that, while they are not written down.
    let other = driver.tenant("other").await;
    let theirs = driver.endpoint(&other).await;
    accept(&mut driver, &theirs, COUNT..COUNT + 1).await;
    driver.delete(&theirs).await;
    accept(&mut driver, &disabled, COUNT..COUNT + 1).await;
    driver.turn(&disabled, EndpointState::Disabled).await;
    assert_eq!(
        server.command(&["EVAL", "return redis.call('HLEN', 'posthaste:1:{0}:c')", "0"]).unwrap(),
        "2"
    );
    for filter in &filters {
        check_at_once(&driver, &tenant, filter, &[&event]).await;
    }
    let skipped = DeliveryFilter { states: vec![DeliveryState::Skipped], ..DeliveryFilter::default() };
    let of_endpoint = DeliveryFilter { endpoint: Some(endpoint.id), ..skipped.clone() };
    check_at_once(&driver, &tenant, &of_endpoint, &[]).await;
    // What is in them is found all the same.
    assert_eq!(search(&driver, Some(&tenant), &skipped, Order::NewestFirst).await, [crate::name(COUNT)]);
}

#[tokio::test]
async fn what_had_arrived_before_its_queue_was_closed_is_found() {
    let mut driver = Alone::new().driver().await;
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    accept(&mut driver, &endpoint, 0..1).await;
    let lease = driver.lease_only().await;
    driver.settle(&lease, replied(200), Next::Delivered).await;
    let delivered = driver.show(&lease).await;
    driver.pass(1);
    driver.reopen(&delivered).await;
    driver.turn(&endpoint, EndpointState::Disabled).await;
    // It is skipped, and nothing of it had ever failed.
    let skipped = DeliveryFilter { states: vec![DeliveryState::Skipped], ..DeliveryFilter::default() };
    let answered_well = DeliveryFilter { status: Some((200, 299)), ..skipped.clone() };
    for filter in [skipped, answered_well] {
        check_at_once(&driver, &tenant, &filter, &[&crate::name(0)]).await;
    }
}
