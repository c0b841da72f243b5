//! An event goes to so many endpoints, and to no more.

// A test fails when its preparations do.
#![allow(clippy::unwrap_used)]

mod fixture;

use fixture::Sqlite;
use posthaste_store::{StoreError, conformance::Driver};
use rusqlite::Connection;

#[tokio::test]
async fn an_event_with_as_many_deliveries_as_it_can_have_gets_no_more() {
    let fixture = Sqlite::new();
    let path = fixture.path();
    let mut driver = Driver::new(fixture).await;
    let tenant = driver.tenant("acme").await;
    let [first, last, beyond] =
        [driver.endpoint(&tenant).await, driver.endpoint(&tenant).await, driver.endpoint(&tenant).await];
    driver.accept(&tenant, "evt", &[&first]).await;
    let conn = Connection::open(&path).unwrap();
    conn.execute_batch(
        "WITH RECURSIVE more (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM more WHERE n < 65533)
         INSERT INTO deliveries (event_seq, n, endpoint_no, state, leases, attempts, failures, completed_at)
         SELECT event_seq, more.n, endpoint_no, 1, 0, 0, 0, due_at FROM more, deliveries;
         UPDATE events SET deliveries = 65534",
    )
    .unwrap();
    assert!(driver.send("evt", &last).await.unwrap().created);
    let refused = driver.send("evt", &beyond).await;
    assert!(matches!(&refused, Err(StoreError::TooManyDeliveries)), "{refused:?}");
    // Whom it went to before is told still.
    assert!(!driver.send("evt", &last).await.unwrap().created);
    let event = driver.store().event(&tenant, &"evt".parse().unwrap()).await.unwrap();
    assert_eq!(event.deliveries, 65_535);
    assert_eq!(driver.lease().await.len(), 2);
}
