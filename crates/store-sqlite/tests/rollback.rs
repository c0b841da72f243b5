//! When SQLite fails in the middle of a group of writes, the group never was.

// A test fails when its sabotage does.
#![allow(clippy::unwrap_used)]

mod fixture;

use std::path::Path;

use fixture::Sqlite;
use posthaste_model::{DeliveryState, Next};
use posthaste_store::{
    Leases, Result, Settled, StoreError, Throttle,
    conformance::{Driver, replied, sample_request},
};
use rusqlite::Connection;

/// Lets every lease call fail after it chose what to lease, until [`repair`].
fn sabotage(path: &Path) {
    let sql =
        "CREATE TRIGGER fails BEFORE INSERT ON lease_journal BEGIN SELECT RAISE(ABORT, 'disk full'); END";
    Connection::open(path).unwrap().execute_batch(sql).unwrap();
}

fn repair(path: &Path) {
    Connection::open(path).unwrap().execute_batch("DROP TRIGGER fails").unwrap();
}

async fn try_lease(driver: &Driver) -> Result<Leases> {
    driver.store().lease(sample_request(driver.epochs()[0], driver.now())).await
}

#[tokio::test]
async fn a_failed_lease_call_leaves_nothing_in_flight() {
    let fixture = Sqlite::new();
    let path = fixture.path();
    let mut driver = Driver::new(fixture).await;
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    driver.accept(&tenant, "evt", &[&endpoint]).await;

    sabotage(&path);
    for _ in 0..2 {
        let failed = try_lease(&driver).await;
        assert!(matches!(failed, Err(StoreError::Unavailable { .. })), "{failed:?}");
    }
    repair(&path);
    assert_eq!(driver.recover().await, 0);
    assert_eq!(driver.delivery_of(&tenant, "evt").await.state, DeliveryState::Scheduled);
    let lease = driver.lease_only().await;
    assert_eq!(driver.settle(&lease, replied(200), Next::Delivered).await, Settled::Applied);
    driver.check_invariants().await;
}

#[tokio::test]
async fn what_was_in_flight_before_a_failure_still_is() {
    let fixture = Sqlite::new();
    let path = fixture.path();
    let mut driver = Driver::new(fixture).await;
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    for id in ["a", "b", "c"] {
        driver.accept(&tenant, id, &[&endpoint]).await;
    }
    let leases = driver.lease_up_to(2, 2).await;
    driver.settle(&leases[0], replied(200), Next::Delivered).await;

    sabotage(&path);
    assert!(try_lease(&driver).await.is_err());
    repair(&path);
    // The owner is the same, the live lease is live, and the one that was settled is not.
    assert_eq!(driver.recover().await, 0);
    assert_eq!(driver.show(&leases[1]).await.state, DeliveryState::InFlight);
    let third = driver.lease_only().await;
    let again = driver.unattempted(&leases[0], Next::Delivered);
    assert_eq!(driver.settle_as(again).await, Settled::Stale);
    for lease in [&leases[1], &third] {
        assert_eq!(driver.settle(lease, replied(200), Next::Delivered).await, Settled::Applied);
    }
    driver.check_invariants().await;
}

#[tokio::test]
async fn what_a_failed_call_gave_by_hand_is_given_again() {
    let fixture = Sqlite::new();
    let path = fixture.path();
    let mut driver = Driver::new(fixture).await;
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    driver.accept(&tenant, "evt", &[&endpoint]).await;
    driver.ask(&driver.delivery_of(&tenant, "evt").await, false).await.unwrap();

    sabotage(&path);
    assert!(try_lease(&driver).await.is_err());
    repair(&path);
    let leases = driver.lease().await;
    assert_eq!(leases.iter().map(|lease| lease.manual).collect::<Vec<_>>(), [true, false]);
    assert_ne!(leases[0].id, leases[1].id);
    assert_eq!(driver.settle(&leases[0], replied(500), Next::Stay).await, Settled::Applied);
    assert_eq!(driver.settle(&leases[1], replied(200), Next::Delivered).await, Settled::Applied);
    driver.check_invariants().await;
}

#[tokio::test]
async fn a_failure_lifts_no_throttle() {
    let fixture = Sqlite::new();
    let path = fixture.path();
    let mut driver = Driver::new(fixture).await;
    let tenant = driver.tenant("acme").await;
    let (throttled, other) = (driver.endpoint(&tenant).await, driver.endpoint(&tenant).await);
    let until = driver.secs(30);
    let throttle =
        Throttle { tenant: tenant.clone(), endpoint: throttled.id, until: Some(until), at_most: Some(1) };
    driver.lease_with(|request| request.throttles = vec![throttle.clone()]).await;
    for id in ["a", "b"] {
        driver.accept(&tenant, id, &[&throttled, &other]).await;
    }

    sabotage(&path);
    assert!(try_lease(&driver).await.is_err());
    repair(&path);
    let leases = driver.lease_until_due(10, 10).await;
    assert!(leases.leases.iter().all(|lease| lease.endpoint.id == other.id), "{leases:?}");
    assert_eq!((leases.leases.len(), leases.next_due), (2, Some(until)));
    driver.pass(30);
    assert_eq!(driver.lease().await.len(), 1);
    // The next owner knows nothing of it.
    driver.claim().await;
    driver.recover().await;
    driver.pass(1);
    assert_eq!(driver.lease().await.len(), 4);
    driver.check_invariants().await;
}
