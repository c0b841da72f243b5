//! A file that an older build has written goes on as if nothing had been.

// A test fails when its preparations do.
#![allow(clippy::unwrap_used)]

use std::{path::Path, time::Duration};

use posthaste_model::{
    AttemptId, Delivery, DeliveryState, EndpointEffects, EndpointId, EventOptions, Health, HealthEffect,
    Next, TenantId, Timestamp, Timings,
};
use posthaste_store::{
    Catalogue as _, Deliveries as _, DeliveryFilter, EventFilter, Intake as _, Notices as _, Order, Page,
    Partition, Queries as _, Reopened, Repairs as _, Replays as _, Retain, Retention as _, Scope, Settled,
    Settlement,
    conformance::{START, TTL, attempt, fares, replied, sample_request},
};
use posthaste_store_sqlite::SqliteStore;
use rusqlite::{Connection, params};

const FIRST: &str = include_str!("../src/schema/0001_first.sql");
const SECOND: &str = include_str!("../src/schema/0002_limits_and_repairs.sql");

const THIRD: &str = include_str!("../src/schema/0003_retention.sql");
const FOURTH: &str = include_str!("../src/schema/0004_leases_given_up.sql");
const FIFTH: &str = include_str!("../src/schema/0005_wire.sql");

fn endpoint_id() -> EndpointId {
    EndpointId::mint(at(0), [7; 10])
}

fn at(secs: i64) -> Timestamp {
    Timestamp::from_millisecond(START + secs * 1_000).unwrap()
}

/// The deliveries of a tenant that a filter finds, newest first.
async fn find(store: &SqliteStore, tenant: &TenantId, filter: DeliveryFilter) -> Vec<Delivery> {
    store.deliveries(Some(tenant), filter, Order::NewestFirst, Page::first(10)).await.unwrap().rows
}

/// Writes what the first build would have: an endpoint with three events. One is delivered, one was in flight when the
/// process stopped, and one is due.
fn write_first(path: &Path) {
    let conn = Connection::open(path).unwrap();
    conn.execute_batch(FIRST).unwrap();
    conn.execute(
        "INSERT INTO tenants (no, id, name, version, created_at, updated_at) VALUES (1, 'acme', '', 1, ?1, ?1)",
        [START],
    )
    .unwrap();
    conn.execute(
        "INSERT INTO endpoints (no, id, tenant_no, url, topics, description, metadata, state, version, created_at,
             updated_at)
         VALUES (1, ?1, 1, 'https://subscriber.example/', '[\"*\"]', '', '{}', 0, 1, ?2, ?2)",
        params![endpoint_id().uuid().as_bytes(), START],
    )
    .unwrap();
    for (seq, id) in [(1, "delivered"), (2, "in-flight"), (3, "due")] {
        conn.execute(
            "INSERT INTO events (seq, tenant_no, id, topic, payload, deliveries, accepted_at)
             VALUES (?1, 1, ?2, 'order.paid', x'31', 1, ?3)",
            params![seq, id, START],
        )
        .unwrap();
        let (state, due_at, completed_at) =
            if seq == 1 { (1, None, Some(START)) } else { (0, Some(START), None) };
        let over = u32::from(seq == 1);
        conn.execute(
            "INSERT INTO deliveries (event_seq, n, endpoint_no, state, leases, attempts, failures, due_at,
                 last_status, completed_at)
             VALUES (?1, 0, 1, ?2, ?3, ?3, 0, ?4, ?5, ?6)",
            params![seq, state, over, due_at, completed_at.map(|_| 200), completed_at],
        )
        .unwrap();
    }
    let attempt = AttemptId::mint(at(0), [1; 10]);
    conn.execute(
        "INSERT INTO attempts (event_seq, n, number, id, started_at, queued_us, total_us, status, headers, body,
             truncated)
         VALUES (1, 0, 1, ?1, ?2, 0, 5, 200, '[]', x'', 0)",
        params![attempt.uuid().as_bytes(), START],
    )
    .unwrap();
    let mut entry = Vec::from(2_i64.to_le_bytes());
    entry.extend([0; 2 + 4]);
    conn.execute("INSERT INTO lease_journal VALUES (1, 1, ?1, ?2)", params![START + 1_000, entry]).unwrap();
    conn.execute("INSERT INTO meta (name, value) VALUES ('epoch', 1)", []).unwrap();
    conn.pragma_update(None, "user_version", 1).unwrap();
}

#[tokio::test]
async fn a_file_of_the_first_build_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("posthaste.db");
    write_first(&path);
    let store = SqliteStore::open(&path).unwrap();
    let tenant: TenantId = "acme".parse().unwrap();

    let endpoint = store.endpoint(&tenant, endpoint_id()).await.unwrap();
    assert_eq!((endpoint.max_in_flight, endpoint.rate_limit, endpoint.ordered), (None, None, false));
    assert_eq!(endpoint.health, Health::default());
    let event = store.event(&tenant, &"delivered".parse().unwrap()).await.unwrap();
    assert_eq!((event.event.options, event.deliveries), (EventOptions::default(), 1));
    let shown = find(&store, &tenant, DeliveryFilter::default()).await;
    let states: Vec<_> = shown.iter().map(|delivery| (delivery.state, delivery.reason)).collect();
    let expected = [DeliveryState::Scheduled, DeliveryState::InFlight, DeliveryState::Delivered];
    assert_eq!(states, expected.map(|state| (state, None)));
    assert!(!store.attempts(&tenant, shown[2].id).await.unwrap()[0].manual);

    let partition = Partition(0);
    let epoch = store.claim(partition, "owner", at(5), TTL).await.unwrap().unwrap();
    assert_eq!(store.recover(partition, epoch, at(5)).await.unwrap().interrupted, 1);
    store.retry(&tenant, shown[2].id, false, at(5)).await.unwrap();
    let leases = store.lease(sample_request((partition, epoch), at(5))).await.unwrap().leases;
    let leased: Vec<_> = leases.iter().map(|lease| (lease.event.id.as_str(), lease.manual)).collect();
    assert_eq!(leased, [("delivered", true), ("due", false), ("in-flight", false)]);

    let mut settlement = Settlement {
        lease: leases[1].id,
        delivery: leases[1].delivery,
        manual: false,
        endpoint_version: leases[1].endpoint.version,
        attempt: Some(attempt(1, at(5), replied(500))),
        decision: posthaste_model::Decision {
            next: Next::Exhausted,
            endpoint: fares(HealthEffect::Failed { exhausted: true, warning: Some(50) }),
        },
        now: at(5),
    };
    assert_eq!(store.settle([settlement.clone()].into()).await.unwrap(), [Settled::Applied]);
    assert_eq!(store.notices(partition, 10).await.unwrap().len(), 2);
    settlement.decision.endpoint = EndpointEffects::default();
    assert_eq!(store.settle([settlement].into()).await.unwrap(), [Settled::Stale]);
    let failing = store.endpoint(&tenant, endpoint_id()).await.unwrap().health;
    let expected = Health { failing_since: Some(at(5)), failures: 1, exhausted: 1, warned: 50 };
    assert_eq!(failing, expected);
    assert!(store.view(&tenant).await.is_ok());
}

/// Writes what the second build would have of the same events, each of which is kept for a second, and of one that matched
/// nobody.
fn write_second(path: &Path) {
    write_first(path);
    let conn = Connection::open(path).unwrap();
    conn.execute_batch(SECOND).unwrap();
    conn.execute(
        "INSERT INTO events (seq, tenant_no, id, topic, payload, deliveries, accepted_at)
         VALUES (4, 1, 'unmatched', 'order.paid', x'31', 0, ?1)",
        [START],
    )
    .unwrap();
    conn.execute("UPDATE events SET retention_ms = 1000", []).unwrap();
    conn.pragma_update(None, "user_version", 2).unwrap();
}

#[tokio::test]
async fn what_a_file_of_the_second_build_keeps_is_over_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("posthaste.db");
    write_second(&path);
    let store = SqliteStore::open(&path).unwrap();
    let tenant: TenantId = "acme".parse().unwrap();
    let partition = Partition(0);
    let long = Duration::from_secs(3_600);
    let prune = async |secs| {
        let retain = Retain { delivered: long, failed: long };
        store.prune(partition, retain, at(secs), None, 10).await.unwrap().removed
    };
    assert_eq!(prune(1).await, 0, "for their whole period");
    assert_eq!(prune(2).await, 2);
    let left = store.events(Some(&tenant), EventFilter::default(), Page::first(10)).await.unwrap().rows;
    assert_eq!(left.iter().map(|record| record.event.id.as_str()).collect::<Vec<_>>(), ["due", "in-flight"]);
    for record in left {
        let of_event = DeliveryFilter { event: Some(record.event.id), ..DeliveryFilter::default() };
        let delivery = find(&store, &tenant, of_event).await.remove(0);
        store.cancel(&tenant, delivery.id, at(5)).await.unwrap();
    }
    assert_eq!(prune(6).await, 0, "for their whole period");
    assert_eq!(prune(7).await, 2);
}

/// Writes what the fifth build would have of the same events, of which the one in flight has failed before, and of one that
/// matched nobody.
fn write_fifth(path: &Path) {
    write_second(path);
    let conn = Connection::open(path).unwrap();
    for sql in [THIRD, FOURTH, FIFTH] {
        conn.execute_batch(sql).unwrap();
    }
    conn.execute_batch(
        "UPDATE deliveries SET attempts = 1, leases = 1, failures = 1, last_status = 500 WHERE event_seq = 2;
         INSERT INTO attempts (event_seq, n, number, id, started_at, queued_us, first_byte_us, total_us, status, headers,
             body, truncated)
         SELECT 2, 0, 1, id, started_at, 3, 4, 5, 500, '[]', x'', 0 FROM attempts WHERE event_seq = 1",
    )
    .unwrap();
    conn.pragma_update(None, "user_version", 5).unwrap();
}

#[tokio::test]
async fn what_is_in_trouble_in_a_file_of_the_fifth_build_is_found_and_replayed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("posthaste.db");
    write_fifth(&path);
    let store = SqliteStore::open(&path).unwrap();
    let tenant: TenantId = "acme".parse().unwrap();
    let failed = DeliveryFilter { failed: true, ..DeliveryFilter::default() };
    let of_endpoint = DeliveryFilter { endpoint: Some(endpoint_id()), ..failed.clone() };
    let everywhere =
        store.deliveries(None, failed.clone(), Order::OldestFirst, Page::first(10)).await.unwrap();
    let found = find(&store, &tenant, failed).await;
    assert_eq!(found.iter().map(|delivery| delivery.event.as_str()).collect::<Vec<_>>(), ["in-flight"]);
    assert_eq!((&found, &found), (&everywhere.rows, &find(&store, &tenant, of_endpoint).await));
    let attempts = store.attempts(&tenant, found[0].id).await.unwrap();
    let micros = Duration::from_micros;
    let timings =
        Timings { queued: micros(3), first_byte: Some(micros(4)), total: micros(5), ..Timings::default() };
    assert_eq!((attempts[0].timings, &attempts[0].request), (timings, &None));
    let unmatched = EventFilter { unmatched: true, ..EventFilter::default() };
    let events = store.events(Some(&tenant), unmatched, Page::first(10)).await.unwrap().rows;
    assert_eq!(events.iter().map(|record| record.event.id.as_str()).collect::<Vec<_>>(), ["unmatched"]);

    store.cancel(&tenant, found[0].id, at(5)).await.unwrap();
    assert_eq!(store.reopen(&tenant, vec![found[0].id], None, at(5)).await.unwrap(), [Reopened::Reopened]);
    let backlog = store.backlog(Scope::Tenant(tenant), at(5)).await.unwrap();
    assert_eq!((backlog.open, backlog.oldest_due), (2, Some(at(0))));
}

#[test]
fn a_file_of_a_newer_build_is_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("posthaste.db");
    drop(SqliteStore::open(&path).unwrap());
    let conn = Connection::open(&path).unwrap();
    let own: i64 = conn.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    let newer = own + 1;
    conn.pragma_update(None, "user_version", newer).unwrap();
    drop(conn);
    let refused = SqliteStore::open(&path).err().unwrap().to_string();
    assert!(refused.contains(&format!("schema version {newer}")), "{refused}");
}
