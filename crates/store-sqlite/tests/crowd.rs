//! A tenant with more endpoints than are looked at in one go.

// A test fails when its preparations do.
#![allow(clippy::unwrap_used)]

mod fixture;

use fixture::Sqlite;
use posthaste_model::{DeliveryState, TenantId};
use posthaste_store::{
    Backlog, DeliveryFilter, Order, Page, Scope,
    conformance::{Driver, START},
};
use rusqlite::Connection;

/// One more endpoint than there are queues that are counted.
const CROWD: u64 = 5_001;

/// A tenant with an event that goes to the last of its endpoints, and the file.
async fn crowd() -> (Driver, TenantId, Connection) {
    let fixture = Sqlite::new();
    let conn = Connection::open(fixture.path()).unwrap();
    let mut driver = Driver::new(fixture).await;
    let tenant = driver.tenant("acme").await;
    conn.execute_batch(&format!(
        "WITH RECURSIVE more (no) AS (SELECT 1 UNION ALL SELECT no + 1 FROM more WHERE no < {CROWD} - 1)
         INSERT INTO endpoints (no, id, tenant_no, url, topics, description, metadata, state, version, created_at,
             updated_at)
         SELECT no, randomblob(16), 1, '', '[]', '', '{{}}', 0, 1, 0, 0 FROM more"
    ))
    .unwrap();
    let last = driver.endpoint(&tenant).await;
    driver.accept(&tenant, "evt", &[&last]).await;
    (driver, tenant, conn)
}

/// Counts what is open of all, and of the tenant.
async fn check(driver: &Driver, tenant: &TenantId, open: u64, more: bool) {
    for of in [Scope::All, Scope::Tenant(tenant.clone())] {
        let counted = driver.store().backlog(of.clone(), driver.now()).await.unwrap();
        let begun = driver.now();
        assert_eq!(begun.as_millisecond(), START);
        assert_eq!(counted, Backlog { open, more, in_flight: 0, oldest_due: Some(begun) }, "{of:?}");
    }
}

#[tokio::test]
async fn what_is_due_at_the_last_of_many_endpoints_is_counted() {
    let (driver, tenant, conn) = crowd().await;
    check(&driver, &tenant, 1, false).await;
    let to_first = |count: u64| {
        conn.execute(
            "INSERT OR IGNORE INTO deliveries (event_seq, n, tenant_no, endpoint_no, state, leases, attempts, failures,
                 due_at)
             SELECT 1, p.no, 1, p.no, 0, 0, 0, 0, ?1 FROM endpoints p WHERE p.no <= ?2",
            (START, count as i64),
        )
        .unwrap()
    };
    to_first(CROWD - 2);
    check(&driver, &tenant, CROWD - 1, false).await;
    // In one queue more there is something, and it may be much.
    to_first(CROWD - 1);
    check(&driver, &tenant, CROWD - 1, true).await;
}

#[tokio::test]
async fn what_is_open_at_the_last_of_many_endpoints_is_found() {
    let (driver, tenant, _) = crowd().await;
    let scheduled = DeliveryFilter { states: vec![DeliveryState::Scheduled], ..DeliveryFilter::default() };
    for order in [Order::NewestFirst, Order::OldestFirst] {
        let found = driver.store().deliveries(Some(&tenant), scheduled.clone(), order, Page::first(50)).await;
        let found = found.unwrap();
        assert_eq!((found.rows.len(), found.next), (1, None), "{order:?}");
        assert_eq!(found.rows[0].event.as_str(), "evt");
    }
}
