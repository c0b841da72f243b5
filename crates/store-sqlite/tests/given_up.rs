//! A delivery that an operator ended while a request of it was under way leaves a trace of that request, whoever dies.

// A test fails when its preparations do.
#![allow(clippy::unwrap_used)]

mod fixture;

use std::time::Duration;

use fixture::Sqlite;
use posthaste_model::{Delivery, ErrorClass, Next};
use posthaste_store::{
    Lease, Retain, Settled,
    conformance::{Driver, replied},
};
use rusqlite::Connection;

/// How an operator ends a delivery that is in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Cancelled,
    DeliveredByHand,
}

/// A lease whose delivery was ended so, and how that stands.
async fn ended(driver: &mut Driver, how: End) -> (Lease, Delivery) {
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    driver.accept(&tenant, "evt", &[&endpoint]).await;
    let lease = driver.lease_only().await;
    let shown = driver.show(&lease).await;
    match how {
        End::Cancelled => driver.cancel(&shown).await.unwrap(),
        End::DeliveredByHand => {
            driver.ask(&shown, false).await.unwrap();
            let manual = driver.lease_only().await;
            driver.settle(&manual, replied(200), Next::Delivered).await;
        }
    }
    let ended = driver.show(&lease).await;
    assert!(ended.state.is_final(), "{ended:?}");
    (lease, ended)
}

/// The attempts that nobody asked for, by how they failed.
async fn automatic(driver: &Driver, lease: &Lease) -> Vec<Option<ErrorClass>> {
    let attempts = driver.attempts(lease).await;
    attempts.iter().filter(|attempt| !attempt.manual).map(|attempt| attempt.outcome.error()).collect()
}

#[tokio::test]
async fn a_crash_leaves_an_attempt_of_unknown_outcome() {
    for how in [End::Cancelled, End::DeliveredByHand] {
        let mut driver = Driver::new(Sqlite::new()).await;
        let (lease, ended) = ended(&mut driver, how).await;
        driver.crash().await;
        for _ in 0..2 {
            assert_eq!(driver.recover().await, 0, "nothing is given back: {how:?}");
            assert_eq!(automatic(&driver, &lease).await, [Some(ErrorClass::Unknown)], "{how:?}");
        }
        let expected = Delivery { attempts: ended.attempts + 1, ..ended };
        assert_eq!(driver.show(&lease).await, expected, "{how:?}");
        assert!(driver.lease().await.is_empty(), "{how:?}");
        // Should the process be alive after all, what it knows is recorded beside.
        assert_eq!(driver.settle(&lease, replied(500), Next::Exhausted).await, Settled::Stale);
        assert_eq!(automatic(&driver, &lease).await, [Some(ErrorClass::Unknown), None], "{how:?}");
        assert_eq!(driver.show(&lease).await.state, expected.state, "{how:?}");
        driver.check_invariants().await;
    }
}

#[tokio::test]
async fn what_is_reported_is_not_unknown() {
    for attempted in [true, false] {
        let mut driver = Driver::new(Sqlite::new()).await;
        let (lease, _) = ended(&mut driver, End::Cancelled).await;
        let settlement = if attempted {
            driver.settlement(&lease, replied(500), Next::Exhausted)
        } else {
            driver.unattempted(&lease, Next::Stay)
        };
        assert_eq!(driver.settle_as(settlement).await, Settled::Stale);
        driver.crash().await;
        driver.recover().await;
        assert_eq!(automatic(&driver, &lease).await.len(), usize::from(attempted));
        driver.check_invariants().await;
    }
}

#[tokio::test]
async fn what_is_spared_may_still_be_reported() {
    let mut driver = Driver::new(Sqlite::new()).await;
    let (lease, _) = ended(&mut driver, End::Cancelled).await;
    let until = driver.secs(3);
    driver.release(until).await;
    driver.claim().await;
    driver.recover().await;
    assert_eq!(automatic(&driver, &lease).await, []);
    driver.pass(3);
    driver.recover().await;
    assert_eq!(automatic(&driver, &lease).await, [Some(ErrorClass::Unknown)]);
}

#[tokio::test]
async fn its_number_is_given_to_no_other_lease() {
    let mut driver = Driver::new(Sqlite::new()).await;
    let (lease, ended) = ended(&mut driver, End::Cancelled).await;
    driver.crash().await;
    driver.accept(&ended.tenant, "next", &[&*lease.endpoint]).await;
    let next = driver.lease_only().await;
    assert_ne!(next.id.number, lease.id.number);
    driver.cancel(&driver.show(&next).await).await.unwrap();
    driver.recover().await;
    assert_eq!(automatic(&driver, &lease).await, [Some(ErrorClass::Unknown)]);
    assert_eq!(automatic(&driver, &next).await, []);
}

#[tokio::test]
async fn what_is_removed_takes_it_along() {
    let fixture = Sqlite::new();
    let path = fixture.path();
    let mut driver = Driver::new(fixture).await;
    let (lease, _) = ended(&mut driver, End::Cancelled).await;
    driver.pass(1);
    let none = Duration::ZERO;
    let now = driver.now();
    assert_eq!(driver.prune(Retain { delivered: none, failed: none }, now, 10).await, 1);
    let left: u32 = Connection::open(&path)
        .unwrap()
        .query_row("SELECT count(*) FROM leases_given_up", [], |row| row.get(0))
        .unwrap();
    assert_eq!(left, 0);
    assert_eq!(driver.settle(&lease, replied(200), Next::Delivered).await, Settled::Stale);
    driver.crash().await;
    assert_eq!(driver.recover().await, 0);
}
