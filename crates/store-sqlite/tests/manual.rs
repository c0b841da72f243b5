//! Manual attempts, asked for or leased, outlive the process that knew of them.

// A test fails when its preparations do.
#![allow(clippy::unwrap_used)]

mod fixture;

use std::time::Duration;

use fixture::Sqlite;
use posthaste_model::{DeliveryState, EndpointState, ErrorClass, Next};
use posthaste_store::{
    Retain, Settled,
    conformance::{Driver, replied},
};
use rusqlite::Connection;

#[tokio::test]
async fn what_was_asked_for_outlives_a_crash() {
    let mut driver = Driver::new(Sqlite::new()).await;
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    driver.accept(&tenant, "evt", &[&endpoint]).await;
    let lease = driver.lease_only().await;
    driver.settle(&lease, replied(500), Next::Exhausted).await;
    driver.ask(&driver.show(&lease).await, false).await.unwrap();
    let asked_at = driver.now();
    driver.crash().await;
    let manual = driver.lease_only().await;
    assert_eq!((manual.manual, manual.attempt, manual.due_at), (true, 2, asked_at));
    assert_eq!(driver.settle(&manual, replied(200), Next::Delivered).await, Settled::Applied);
    assert_eq!(driver.show(&lease).await.state, DeliveryState::Delivered);
    driver.check_invariants().await;
}

#[tokio::test]
async fn a_manual_attempt_that_a_crash_interrupts_is_recorded_and_not_made_again() {
    let mut driver = Driver::new(Sqlite::new()).await;
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    driver.accept(&tenant, "evt", &[&endpoint]).await;
    let automatic = driver.lease_only().await;
    let at = driver.secs(1_000);
    driver.settle(&automatic, replied(500), Next::Retry { at }).await;
    let before = driver.show(&automatic).await;
    driver.ask(&before, false).await.unwrap();
    let manual = driver.lease_only().await;
    driver.crash().await;
    assert!(driver.lease().await.is_empty());
    assert_eq!(driver.recover().await, 1);
    assert!(driver.lease().await.is_empty());
    let attempts = driver.attempts(&automatic).await;
    assert_eq!(attempts.len(), 2);
    assert!(attempts[1].manual);
    assert_eq!(attempts[1].outcome.error(), Some(ErrorClass::Unknown));
    let after = driver.show(&automatic).await;
    assert_eq!((after.state, after.due_at, after.failures), (before.state, before.due_at, before.failures));
    // Nor is its number given to another that is live.
    driver.ask(&before, false).await.unwrap();
    let again = driver.lease_only().await;
    assert_ne!(again.id, manual.id);
    assert_eq!(driver.settle(&manual, replied(200), Next::Delivered).await, Settled::Stale);
    assert_eq!(driver.settle(&again, replied(500), Next::Stay).await, Settled::Applied);
    assert_eq!(driver.show(&automatic).await.state, DeliveryState::Scheduled);
    driver.check_invariants().await;
}

#[tokio::test]
async fn what_is_removed_takes_along_what_was_asked_for() {
    let fixture = Sqlite::new();
    let path = fixture.path();
    let mut driver = Driver::new(fixture).await;
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    driver.accept(&tenant, "evt", &[&endpoint]).await;
    let lease = driver.lease_only().await;
    driver.settle(&lease, replied(200), Next::Delivered).await;
    driver.ask(&driver.show(&lease).await, false).await.unwrap();
    let manual = driver.lease_only().await;
    driver.ask(&driver.show(&lease).await, false).await.unwrap();
    let retain = Retain { delivered: Duration::ZERO, failed: Duration::ZERO };
    driver.pass(1);
    let (partition, _) = driver.epochs()[0];
    let pruned = driver.store().prune(partition, retain, driver.now(), None, 10).await.unwrap();
    assert_eq!(pruned.removed, 1);
    let left: u32 = Connection::open(&path)
        .unwrap()
        .query_row("SELECT count(*) FROM manual_attempts", [], |row| row.get(0))
        .unwrap();
    assert_eq!(left, 0);
    let leases = driver.lease_until_due(10, 10).await;
    assert!(leases.leases.is_empty() && leases.next_due.is_none(), "{leases:?}");
    let settlement = driver.settlement(&manual, replied(200), Next::Delivered);
    let settled = driver.store().settle([settlement].into()).await.unwrap();
    assert_eq!(settled, [Settled::Stale]);
}

#[tokio::test]
async fn many_requests_that_come_to_nothing_keep_nobody_waiting() {
    let mut driver = Driver::new(Sqlite::new()).await;
    let tenant = driver.tenant("acme").await;
    let (paused, other) = (driver.endpoint(&tenant).await, driver.endpoint(&tenant).await);
    driver.accept(&tenant, "evt", &[&paused]).await;
    let delivery = driver.delivery_of(&tenant, "evt").await;
    for _ in 0..1_050 {
        driver.ask(&delivery, false).await.unwrap();
    }
    driver.turn(&paused, EndpointState::Paused).await;
    for (id, unseen) in [("a", true), ("b", false)] {
        driver.accept(&tenant, id, &[&other]).await;
        let given = driver.lease_with(|request| request.manual = 10).await;
        let events: Vec<_> = given.leases.iter().map(|lease| lease.event.id.as_str()).collect();
        assert_eq!((events, given.unseen), (vec![id], unseen));
        assert_eq!(given.next_due, unseen.then(|| driver.now()));
    }
}

#[tokio::test]
async fn only_what_waits_is_forgotten_where_its_delivery_is_given_up() {
    let mut driver = Driver::new(Sqlite::new()).await;
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    for id in ["given-up", "kept"] {
        driver.accept(&tenant, id, &[&endpoint]).await;
    }
    let given_up = driver.delivery_of(&tenant, "given-up").await;
    for _ in 0..2 {
        driver.ask(&given_up, false).await.unwrap();
    }
    let begun = driver.lease_up_to(1, 1).await.remove(0);
    driver.ask(&driver.delivery_of(&tenant, "kept").await, false).await.unwrap();
    driver.cancel(&given_up).await.unwrap();
    let given = driver.lease().await;
    let given: Vec<_> = given.iter().map(|lease| (lease.event.id.as_str(), lease.manual)).collect();
    assert_eq!((begun.manual, given), (true, vec![("kept", true), ("kept", false)]));
    assert_eq!(driver.settle(&begun, replied(200), Next::Delivered).await, Settled::Applied);
    driver.check_invariants().await;
}
