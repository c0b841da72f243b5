//! What operators look for is found at once among many that they do not, and what has no index is looked for in small steps.

// A test fails when its preparations do.
#![allow(clippy::unwrap_used)]

mod fixture;

use fixture::Sqlite;
use posthaste_model::{Delivery, DeliveryState, EndpointState, TenantId, Timestamp};
use posthaste_store::{
    DeliveryFilter, EventFilter, Order, Page, Paged, Scope, Store,
    conformance::{Driver, START},
};
use rusqlite::Connection;

/// More than two searches look at.
const MANY: i64 = 5_000;

/// A tenant with an event that goes to a disabled endpoint and to a paused one, and with one that matched nobody. After them
/// come many whose only delivery, to an enabled endpoint, has arrived: one each second.
async fn filled() -> (Driver, TenantId) {
    let fixture = Sqlite::new();
    let path = fixture.path();
    let mut driver = Driver::new(fixture).await;
    let tenant = driver.tenant("acme").await;
    let disabled = driver.endpoint_in(&tenant, EndpointState::Disabled).await;
    let paused = driver.endpoint_in(&tenant, EndpointState::Paused).await;
    driver.endpoint(&tenant).await;
    driver.accept(&tenant, "first", &[&disabled, &paused]).await;
    driver.accept(&tenant, "unmatched", &[]).await;
    let conn = Connection::open(path).unwrap();
    conn.execute_batch(&format!(
        "BEGIN;
         WITH RECURSIVE more (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM more WHERE i < {MANY})
         INSERT INTO events (seq, tenant_no, id, topic, payload, deliveries, accepted_at)
         SELECT 2 + i, 1, 'evt-' || i, 'order.paid', x'31', 1, {START} + 10000 + 1000 * i FROM more;
         INSERT INTO deliveries (event_seq, n, tenant_no, endpoint_no, state, leases, attempts, failures, last_status,
             completed_at)
         SELECT seq, 0, 1, 3, 1, 1, 1, 0, 200, accepted_at FROM events WHERE seq > 2;
         COMMIT"
    ))
    .unwrap();
    (driver, tenant)
}

/// The first page of a search.
async fn first(
    store: &dyn Store,
    tenant: Option<&TenantId>,
    filter: &DeliveryFilter,
    order: Order,
) -> Paged<Delivery> {
    store.deliveries(tenant, filter.clone(), order, Page::first(50)).await.unwrap()
}

/// Finds everything that a filter does in one step, whichever way one looks.
async fn check_at_once(driver: &Driver, tenant: &TenantId, filter: DeliveryFilter, event: &str) {
    for tenant in [None, Some(tenant)] {
        for order in [Order::NewestFirst, Order::OldestFirst] {
            let Paged { rows, next } = first(driver.store(), tenant, &filter, order).await;
            let events: Vec<_> = rows.iter().map(|delivery| delivery.event.as_str()).collect();
            assert_eq!((&events[..], next), (&[event][..], None), "{filter:?} of {tenant:?}, {order:?}");
        }
    }
}

#[tokio::test]
async fn what_is_in_trouble_or_open_is_found_at_once() {
    let (driver, tenant) = filled().await;
    let endpoints = driver.shown(&tenant).await.endpoints;
    let in_state = |state| DeliveryFilter { states: vec![state], ..DeliveryFilter::default() };
    for (state, endpoint) in
        [(DeliveryState::Skipped, EndpointState::Disabled), (DeliveryState::Held, EndpointState::Paused)]
    {
        check_at_once(&driver, &tenant, in_state(state), "first").await;
        let endpoint = endpoints.iter().find(|one| one.state == endpoint).map(|one| one.id);
        check_at_once(&driver, &tenant, DeliveryFilter { endpoint, ..in_state(state) }, "first").await;
    }
    let backlog = driver.store().backlog(Scope::All, driver.now()).await.unwrap();
    assert_eq!((backlog.open, backlog.in_flight, backlog.oldest_due), (1, 0, None));
}

#[tokio::test]
async fn what_was_accepted_at_a_time_is_found_at_once() {
    let (driver, tenant) = filled().await;
    let at = |secs: i64| Timestamp::from_millisecond(START + secs * 1_000).ok();
    let filter = DeliveryFilter { since: at(2_510), until: at(2_511), ..DeliveryFilter::default() };
    check_at_once(&driver, &tenant, filter, "evt-2500").await;
    let filter = EventFilter { since: at(2_510), until: at(2_511), ..EventFilter::default() };
    for tenant in [None, Some(&tenant)] {
        let Paged { rows, next } =
            driver.store().events(tenant, filter.clone(), Page::first(50)).await.unwrap();
        assert_eq!((rows[0].event.id.as_str(), rows.len(), next), ("evt-2500", 1, None));
    }
}

#[tokio::test]
async fn what_matched_nobody_is_found_at_once() {
    let (driver, tenant) = filled().await;
    let unmatched = EventFilter { unmatched: true, ..EventFilter::default() };
    for tenant in [None, Some(&tenant)] {
        let Paged { rows, next } =
            driver.store().events(tenant, unmatched.clone(), Page::first(50)).await.unwrap();
        assert_eq!((rows[0].event.id.as_str(), rows.len(), next), ("unmatched", 1, None));
    }
}

#[tokio::test]
async fn what_has_no_index_is_looked_for_in_steps() {
    let (driver, tenant) = filled().await;
    let topic = Some("no.such".parse().unwrap());
    let deliveries = DeliveryFilter { topic: topic.clone(), ..DeliveryFilter::default() };
    let events = EventFilter { topic, ..EventFilter::default() };
    let store = driver.store();
    for tenant in [None, Some(&tenant)] {
        let (mut page, mut calls) = (Page::first(50), 1);
        for order in [Order::NewestFirst, Order::OldestFirst] {
            loop {
                let found = store.deliveries(tenant, deliveries.clone(), order, page).await.unwrap();
                assert_eq!(found.rows, []);
                page = Page { limit: 50, after: found.next };
                if page.after.is_none() {
                    break;
                }
                calls += 1;
            }
        }
        loop {
            let found = store.events(tenant, events.clone(), page).await.unwrap();
            assert_eq!(found.rows, []);
            page = Page { limit: 50, after: found.next };
            if page.after.is_none() {
                break;
            }
            calls += 1;
        }
        assert_eq!(calls, 1 + 3 * 2, "three searches, each in three steps");
    }
}
