//! A tenant with very many endpoints makes no lease call long, and is overtaken all the same.

// A test fails when its preparations do.
#![allow(clippy::unwrap_used)]

mod fixture;

use std::path::Path;

use fixture::Sqlite;
use posthaste_model::TenantId;
use posthaste_store::{Lease, LeaseRequest, conformance::Driver};
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
    let count = |leases: &[Lease], of: &TenantId| leases.iter().filter(|l| l.event.tenant == *of).count();
    let first = driver.lease_with(few).await;
    // What is left over is not wasted on those that wait too far behind.
    assert_eq!((count(&first.leases, &crowd), count(&first.leases, &alone)), (50, 0));
    assert_eq!(first.next_due, Some(driver.now()));
    let second = driver.lease_with(few).await;
    assert_eq!((count(&second.leases, &crowd), count(&second.leases, &alone)), (49, 1));
}
