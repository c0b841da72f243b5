//! What an ordered endpoint waits for is known after a restart, and follows the endpoint when it changes.

// A test fails when its preparations do.
#![allow(clippy::unwrap_used)]

mod fixture;

use fixture::Sqlite;
use posthaste_model::{Endpoint, EventOptions, Next, TenantId};
use posthaste_store::{
    Lease, Settled,
    conformance::{Driver, replied},
};

/// An ordered endpoint that was given some events.
async fn ordered(driver: &mut Driver, ids: &[&str]) -> (TenantId, Endpoint) {
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint_with(&tenant, |endpoint| endpoint.ordered = true).await;
    for id in ids {
        driver.accept(&tenant, id, &[&endpoint]).await;
    }
    (tenant, endpoint)
}

/// Leases what is due, which is one, and delivers it; until nothing is due. Answers with the events.
async fn drain(driver: &mut Driver) -> Vec<String> {
    let mut events = Vec::new();
    loop {
        let leases = driver.lease().await;
        let [lease] = &leases[..] else {
            assert!(leases.is_empty(), "one at a time: {leases:?}");
            return events;
        };
        events.push(lease.event.id.to_string());
        assert_eq!(driver.settle(lease, replied(200), Next::Delivered).await, Settled::Applied);
    }
}

async fn refuse(driver: &mut Driver, lease: &Lease, secs: i64) {
    let at = driver.secs(secs);
    assert_eq!(driver.settle(lease, replied(500), Next::Retry { at }).await, Settled::Applied);
}

#[tokio::test]
async fn after_a_restart_the_others_still_wait_for_the_first() {
    let mut driver = Driver::new(Sqlite::new()).await;
    let (tenant, _) = ordered(&mut driver, &["a", "b"]).await;
    let first = driver.lease_only().await;
    let at = driver.secs(100);
    refuse(&mut driver, &first, 100).await;
    driver.crash().await;
    assert_eq!(driver.recover().await, 0);
    assert_eq!(driver.delivery_of(&tenant, "a").await.due_at, Some(at));
    let leases = driver.lease_until_due(10, 10).await;
    assert!(leases.leases.is_empty(), "{leases:?}");
    assert_eq!(leases.next_due, Some(at));
    driver.accept(&tenant, "c", &[&*first.endpoint]).await;
    assert!(driver.lease().await.is_empty());
    driver.pass(40);
    assert_eq!(drain(&mut driver).await, ["a", "b", "c"]);
    driver.check_invariants().await;
}

#[tokio::test]
async fn after_a_restart_the_others_still_wait_for_what_is_in_flight() {
    let mut driver = Driver::new(Sqlite::new()).await;
    ordered(&mut driver, &["a", "b"]).await;
    let lost = driver.lease_only().await;
    driver.crash().await;
    let before = driver.lease_until_due(10, 10).await;
    assert!(before.leases.is_empty(), "{before:?}");
    assert_eq!(before.next_due, None, "time alone brings nothing");
    assert_eq!(driver.recover().await, 1);
    let again = driver.lease_only().await;
    assert_eq!(again.delivery, lost.delivery);
    driver.settle(&again, replied(200), Next::Delivered).await;
    assert_eq!(drain(&mut driver).await, ["b"]);
    driver.check_invariants().await;
}

#[tokio::test]
async fn after_a_restart_a_clock_that_is_slow_changes_no_order() {
    let mut driver = Driver::new(Sqlite::new()).await;
    let (tenant, endpoint) = ordered(&mut driver, &[]).await;
    driver.pass(61);
    driver.accept(&tenant, "a", &[&endpoint]).await;
    let later = driver.secs(1);
    let delayed = EventOptions { deliver_at: Some(later), ..EventOptions::default() };
    driver.accept_with(&tenant, "delayed", &[&endpoint], delayed).await;
    // A crash lets a minute pass; the clock of the next process stands where it was, but for a second.
    driver.pass(-61);
    driver.crash().await;
    driver.accept(&tenant, "b", &[&endpoint]).await;
    driver.accept(&tenant, "c", &[&endpoint]).await;
    assert_eq!(driver.delivery_of(&tenant, "b").await.due_at, Some(driver.now()));
    driver.pass(10);
    assert_eq!(drain(&mut driver).await, ["a", "b", "c", "delayed"]);
    driver.check_invariants().await;
}

#[tokio::test]
async fn an_endpoint_that_is_ordered_no_more_keeps_the_times_of_its_retries() {
    let mut driver = Driver::new(Sqlite::new()).await;
    let (tenant, endpoint) = ordered(&mut driver, &["a", "b"]).await;
    let first = driver.lease_only().await;
    refuse(&mut driver, &first, 30).await;
    driver.change(&endpoint, |endpoint| endpoint.ordered = false).await;
    assert_eq!(driver.delivery_of(&tenant, "a").await.due_at, Some(driver.secs(30)));
    assert_eq!(drain(&mut driver).await, ["b"]);
    driver.pass(30);
    assert_eq!(drain(&mut driver).await, ["a"]);
    driver.check_invariants().await;
}

#[tokio::test]
async fn an_endpoint_that_becomes_ordered_puts_its_queue_in_order() {
    let mut driver = Driver::new(Sqlite::new()).await;
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    for id in ["a", "b", "c", "d"] {
        driver.accept(&tenant, id, &[&endpoint]).await;
        driver.pass(1);
    }
    let leases = driver.lease_up_to(3, 3).await;
    refuse(&mut driver, &leases[0], 30).await;
    driver.change(&endpoint, |endpoint| endpoint.ordered = true).await;
    // Two are in flight still, and whatever they come to, "a" is the first.
    assert!(driver.lease().await.is_empty());
    refuse(&mut driver, &leases[2], 1).await;
    assert!(driver.lease().await.is_empty());
    driver.settle(&leases[1], replied(200), Next::Delivered).await;
    driver.pass(5);
    assert!(driver.lease().await.is_empty());
    driver.pass(25);
    assert_eq!(drain(&mut driver).await, ["a", "c", "d"]);
    driver.check_invariants().await;
}

#[tokio::test]
async fn nobody_waits_for_a_first_that_is_gone() {
    let mut driver = Driver::new(Sqlite::new()).await;
    let (tenant, _) = ordered(&mut driver, &["a", "b", "c", "d"]).await;
    let first = driver.lease_only().await;
    refuse(&mut driver, &first, 1_000).await;
    assert!(driver.lease().await.is_empty());
    driver.cancel(&driver.delivery_of(&tenant, "a").await).await.unwrap();
    let second = driver.lease_only().await;
    assert_eq!(second.event.id.as_str(), "b");
    refuse(&mut driver, &second, 1_000).await;
    assert!(driver.lease().await.is_empty());
    driver.ask(&driver.delivery_of(&tenant, "b").await, false).await.unwrap();
    let manual = driver.lease_only().await;
    assert!(manual.manual);
    driver.settle(&manual, replied(200), Next::Delivered).await;
    let third = driver.lease_only().await;
    assert_eq!(third.event.id.as_str(), "c");
    driver.cancel(&driver.delivery_of(&tenant, "c").await).await.unwrap();
    assert_eq!(drain(&mut driver).await, ["d"]);
    driver.check_invariants().await;
}
