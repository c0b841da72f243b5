//! A tenant with very many endpoints makes no lease call long, and is overtaken all the same.

// A test fails when its preparations do.
#![allow(clippy::unwrap_used)]

mod fixture;

use std::path::Path;

use fixture::Sqlite;
use posthaste_model::{Next, TenantId};
use posthaste_store::{
    Lease, LeaseRequest, TenantRoom,
    conformance::{Driver, replied},
};
use rusqlite::Connection;

/// Gives the only endpoint that there is so many like it, each with a delivery of the only event.
fn multiply(path: &Path, count: u32) {
    let conn = Connection::open(path).unwrap();
    conn.execute(
        "WITH RECURSIVE more (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM more WHERE n < ?1)
         INSERT INTO endpoints (id, tenant_no, url, topics, description, metadata, state, version, created_at, updated_at)
         SELECT randomblob(16), tenant_no, url, topics, description, metadata, state, version, created_at, updated_at
         FROM more, endpoints",
        [count],
    )
    .unwrap();
    conn.execute_batch(
        "INSERT INTO deliveries (event_seq, n, endpoint_no, state, leases, attempts, failures, due_at)
         SELECT d.event_seq, p.no, p.no, d.state, 0, 0, 0, d.due_at
         FROM deliveries d, endpoints p WHERE p.no <> d.endpoint_no",
    )
    .unwrap();
}

/// How many of some leases are a tenant's.
fn count(leases: &[Lease], of: &TenantId) -> usize {
    leases.iter().filter(|lease| lease.event.tenant == *of).count()
}

#[tokio::test]
async fn a_crowd_of_one_tenant_delays_the_others_by_no_more_than_a_call() {
    let fixture = Sqlite::new();
    let path = fixture.path();
    let mut driver = Driver::new(fixture).await;
    let (crowd, alone) = (driver.tenant("crowd").await, driver.tenant("alone").await);
    let endpoint = driver.endpoint(&crowd).await;
    driver.accept(&crowd, "evt", &[&endpoint]).await;
    multiply(&path, 1_500);
    driver.crash().await;
    let other = driver.endpoint(&alone).await;
    driver.accept(&alone, "evt", &[&other]).await;

    let few = |request: &mut LeaseRequest| (request.limit, request.per_tenant) = (50, 10);
    let first = driver.lease_with(few).await;
    assert_eq!((count(&first.leases, &crowd), count(&first.leases, &alone), first.unseen), (10, 0, true));
    assert_eq!(first.next_due, Some(driver.now()));
    // What is left over is given when all have been seen.
    let second = driver.lease_with(few).await;
    assert_eq!((count(&second.leases, &crowd), count(&second.leases, &alone), second.unseen), (49, 1, false));
}

#[tokio::test]
async fn turns_that_find_nothing_due_make_no_call_long() {
    let mut driver = Driver::new(Sqlite::new()).await;
    let tenant = driver.tenant("acme").await;
    let mut crowd = Vec::new();
    for _ in 0..1_100 {
        crowd.push(driver.endpoint_with(&tenant, |endpoint| endpoint.ordered = true).await);
    }
    let crowd: Vec<_> = crowd.iter().collect();
    for id in ["first", "second"] {
        driver.accept(&tenant, id, &crowd).await;
    }
    let everything = |request: &mut LeaseRequest| (request.limit, request.per_tenant) = (2_000, 2_000);
    let first = driver.lease_with(everything).await.leases;
    assert_eq!(first.len(), crowd.len());
    // The second is due, but waits for the first.
    let (at, outcome) = (driver.secs(60), replied(500));
    let settle = |lease| driver.settlement(lease, outcome.clone(), Next::Retry { at });
    let settlements = first.iter().map(settle).collect();
    driver.settle_all(settlements).await;
    for (unseen, next_due) in [(true, driver.now()), (false, at)] {
        let given = driver.lease_with(everything).await;
        assert_eq!((given.leases.len(), given.unseen, given.next_due), (0, unseen, Some(next_due)));
    }
}

#[tokio::test]
async fn what_is_left_over_is_another_crowds_in_the_next_call() {
    let mut driver = Driver::new(Sqlite::new()).await;
    let crowds = [driver.tenant("one").await, driver.tenant("two").await];
    for tenant in &crowds {
        let mut endpoints = Vec::new();
        for _ in 0..20 {
            endpoints.push(driver.endpoint(tenant).await);
        }
        driver.accept(tenant, "evt", &endpoints.iter().collect::<Vec<_>>()).await;
    }
    for expected in [[6, 2], [2, 6], [6, 2]] {
        let few = |request: &mut LeaseRequest| (request.limit, request.per_tenant) = (8, 2);
        let given = driver.lease_with(few).await.leases;
        assert_eq!(crowds.each_ref().map(|tenant| count(&given, tenant)), expected);
    }
}

#[tokio::test]
async fn any_number_of_tenants_without_room_is_seen_in_one_call() {
    let mut driver = Driver::new(Sqlite::new()).await;
    let mut rooms = Vec::new();
    for n in 0..1_100 {
        let tenant = driver.tenant(&format!("cramped-{n}")).await;
        let endpoint = driver.endpoint(&tenant).await;
        driver.accept(&tenant, "evt", &[&endpoint]).await;
        rooms.push(TenantRoom { tenant, room: 0 });
    }
    let free = driver.tenant("free").await;
    let endpoint = driver.endpoint(&free).await;
    // The first call sets so many aside as it may look at in vain. From then on each tenant costs one look.
    for (id, unseen, given) in [("a", true, 0), ("b", false, 2), ("c", false, 1)] {
        driver.accept(&free, id, &[&endpoint]).await;
        let leases = driver.lease_with(|request| request.rooms = rooms.clone()).await;
        assert_eq!((leases.unseen, count(&leases.leases, &free)), (unseen, given));
    }
}

#[tokio::test]
async fn who_is_newly_due_does_not_overtake_who_is_set_aside() {
    let mut driver = Driver::new(Sqlite::new()).await;
    let (cramped, free) = (driver.tenant("cramped").await, driver.tenant("free").await);
    let room = |room| {
        let rooms = vec![TenantRoom { tenant: cramped.clone(), room }];
        move |request: &mut LeaseRequest| {
            (request.limit, request.per_endpoint, request.rooms) = (1, 1, rooms.clone());
        }
    };
    let mut expected = Vec::new();
    for id in ["old-0", "old-1"] {
        let endpoint = driver.endpoint(&cramped).await;
        driver.accept(&cramped, id, &[&endpoint]).await;
        expected.push(id.to_owned());
    }
    assert!(driver.lease_with(room(0)).await.leases.is_empty());
    let other = driver.endpoint(&free).await;
    let mut given = Vec::new();
    for n in 0..4 {
        driver.accept(&free, &format!("evt-{n}"), &[&other]).await;
        driver.pass(1);
        let (endpoint, id) = (driver.endpoint(&cramped).await, format!("new-{n}"));
        driver.accept(&cramped, &id, &[&endpoint]).await;
        // The tenant comes up while it has no room, and the call ends before the new one does.
        assert_eq!(count(&driver.lease_with(room(0)).await.leases, &free), 1);
        let leases = driver.lease_with(room(1)).await.leases;
        given.extend(leases.iter().map(|lease| lease.event.id.to_string()));
        expected.push(id);
    }
    assert_eq!(given, expected[..4]);
}
