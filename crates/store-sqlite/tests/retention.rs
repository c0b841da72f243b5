//! What is over is found among many events that are not, at the time when it is, and costs nothing before.

// A test fails when its preparations do.
#![allow(clippy::unwrap_used)]

mod fixture;

use std::time::Duration;

use fixture::Sqlite;
use posthaste_model::{Endpoint, EndpointState, EventOptions, Next, Period, TenantId};
use posthaste_store::{
    Retain,
    conformance::{Driver, replied},
};

const RETAIN: Retain = Retain { delivered: Duration::from_secs(100), failed: Duration::from_secs(200) };
/// What failed is kept for less.
const REVERSED: Retain = Retain { delivered: RETAIN.failed, failed: RETAIN.delivered };

fn own_period(secs: Option<u64>) -> EventOptions {
    EventOptions { retention: secs.map(Period::from_secs), ..EventOptions::default() }
}

/// Accepts an event that matches nobody.
async fn keep(driver: &mut Driver, tenant: &TenantId, id: &str, secs: Option<u64>) {
    driver.accept_with(tenant, id, &[], own_period(secs)).await;
}

/// Prunes everything, so many events in a call; answers with what is left, and with how many calls that took.
async fn prune(driver: &Driver, tenant: &TenantId, limit: u32) -> (Vec<String>, usize) {
    prune_under(RETAIN, driver, tenant, limit).await
}

async fn prune_under(retain: Retain, driver: &Driver, tenant: &TenantId, limit: u32) -> (Vec<String>, usize) {
    let (partition, _) = driver.epochs()[0];
    let (mut from, mut calls) = (None, 0);
    loop {
        let pruned = driver.store().prune(partition, retain, driver.now(), from, limit).await.unwrap();
        calls += 1;
        from = pruned.next;
        if from.is_none() {
            let events = driver.shown(tenant).await.events;
            return (events.iter().map(|record| record.event.id.to_string()).collect(), calls);
        }
    }
}

/// Prunes one event at a time; answers with how many calls that took before the one that finds no more to look at.
async fn looks(driver: &Driver, tenant: &TenantId) -> usize {
    looks_under(RETAIN, driver, tenant).await
}

async fn looks_under(retain: Retain, driver: &Driver, tenant: &TenantId) -> usize {
    prune_under(retain, driver, tenant, 1).await.1 - 1
}

/// Fails unless the only event is kept for so many seconds more, and no longer.
async fn check_kept_for(driver: &mut Driver, tenant: &TenantId, secs: i64) {
    driver.pass(secs);
    assert_eq!(prune(driver, tenant, 1).await.0.len(), 1, "for its whole period");
    driver.pass(1);
    assert_eq!(prune(driver, tenant, 1).await.0, [""; 0]);
}

/// Everything that is due is attempted, and comes to this.
async fn attempt_all(driver: &mut Driver, status: u16, next: Next) {
    for lease in driver.lease().await {
        driver.settle(&lease, replied(status), next).await;
    }
}

#[tokio::test]
async fn a_short_period_ends_behind_events_that_are_kept() {
    for limit in [1, 2, 3, 100] {
        let mut driver = Driver::new(Sqlite::new()).await;
        let tenant = driver.tenant("acme").await;
        keep(&mut driver, &tenant, "old", None).await;
        keep(&mut driver, &tenant, "old-and-kept", Some(1_000)).await;
        driver.pass(101);
        for n in 0..5 {
            keep(&mut driver, &tenant, &format!("young-{n}"), None).await;
        }
        for (n, secs) in [20, 5, 10].into_iter().enumerate() {
            keep(&mut driver, &tenant, &format!("short-{n}"), Some(secs)).await;
        }
        driver.pass(10);
        let young = ["young-4", "young-3", "young-2", "young-1", "young-0", "old-and-kept"];
        let (left, _) = prune(&driver, &tenant, limit).await;
        assert_eq!(left, [&["short-2", "short-0"], &young[..]].concat(), "for their whole period");
        driver.pass(1);
        let (left, _) = prune(&driver, &tenant, limit).await;
        assert_eq!(left, [&["short-0"], &young[..]].concat());
        driver.pass(100);
        let (left, calls) = prune(&driver, &tenant, limit).await;
        assert_eq!(left, ["old-and-kept"]);
        assert!(calls <= 9, "{calls} calls for 7 events");
    }
}

/// Two endpoints of a tenant, the second of which is paused.
async fn one_paused(driver: &mut Driver) -> (TenantId, Endpoint, Endpoint) {
    let tenant = driver.tenant("acme").await;
    let enabled = driver.endpoint(&tenant).await;
    let paused = driver.endpoint_in(&tenant, EndpointState::Paused).await;
    (tenant, enabled, paused)
}

#[tokio::test]
async fn what_is_open_is_looked_at_once() {
    // With a period of its own, an event is looked at when that has passed; the others are by their age.
    for (own, secs) in [(Some(5), 6), (None, 101)] {
        let mut driver = Driver::new(Sqlite::new()).await;
        let (tenant, enabled, paused) = one_paused(&mut driver).await;
        for n in 0..3 {
            driver.accept_with(&tenant, &format!("half-{n}"), &[&enabled, &paused], own_period(own)).await;
        }
        driver.accept_with(&tenant, "held", &[&paused], own_period(own)).await;
        attempt_all(&mut driver, 200, Next::Delivered).await;
        driver.pass(secs);
        assert!(looks(&driver, &tenant).await >= 3, "{own:?}");
        for _ in 0..2 {
            driver.pass(secs);
            assert_eq!(looks(&driver, &tenant).await, 0, "{own:?}");
        }
        driver.turn(&paused, EndpointState::Enabled).await;
        attempt_all(&mut driver, 200, Next::Delivered).await;
        driver.pass(secs - 1);
        assert_eq!(prune(&driver, &tenant, 1).await.0.len(), 4, "for their whole period: {own:?}");
        driver.pass(1);
        assert_eq!(prune(&driver, &tenant, 1).await.0, [""; 0], "{own:?}");
    }
}

#[tokio::test]
async fn what_failed_is_looked_at_once_before_its_time() {
    let mut driver = Driver::new(Sqlite::new()).await;
    let (tenant, enabled, _) = one_paused(&mut driver).await;
    for n in 0..3 {
        driver.accept(&tenant, &format!("failed-{n}"), &[&enabled]).await;
    }
    attempt_all(&mut driver, 500, Next::Exhausted).await;
    driver.pass(101);
    assert_eq!(looks(&driver, &tenant).await, 3);
    driver.pass(99);
    assert_eq!(looks(&driver, &tenant).await, 0);
    driver.pass(1);
    assert_eq!(prune(&driver, &tenant, 1).await.0, [""; 0]);
}

/// An event that failed and is put off, with the endpoint where it did and another one; 101 s after it failed.
async fn failed_and_put_off(driver: &mut Driver) -> (TenantId, Endpoint, Endpoint) {
    let (tenant, enabled, other) = one_paused(driver).await;
    driver.accept(&tenant, "evt", &[&enabled]).await;
    attempt_all(driver, 500, Next::Exhausted).await;
    driver.pass(101);
    assert_eq!(looks(driver, &tenant).await, 1);
    (tenant, enabled, other)
}

#[tokio::test]
async fn what_was_put_off_and_is_delivered_by_hand_is_over_sooner() {
    let mut driver = Driver::new(Sqlite::new()).await;
    let (tenant, ..) = failed_and_put_off(&mut driver).await;
    driver.ask(&driver.delivery_of(&tenant, "evt").await, false).await.unwrap();
    attempt_all(&mut driver, 200, Next::Delivered).await;
    check_kept_for(&mut driver, &tenant, 100).await;
}

#[tokio::test]
async fn what_was_put_off_and_is_sent_again_is_kept_longer() {
    let mut driver = Driver::new(Sqlite::new()).await;
    let (tenant, _, other) = failed_and_put_off(&mut driver).await;
    driver.send("evt", &other).await.unwrap();
    driver.pass(1_000);
    assert_eq!(looks(&driver, &tenant).await, 1);
    assert_eq!(looks(&driver, &tenant).await, 0);
    driver.turn(&other, EndpointState::Enabled).await;
    attempt_all(&mut driver, 200, Next::Delivered).await;
    check_kept_for(&mut driver, &tenant, 200).await;
}

#[tokio::test]
async fn what_matched_nobody_and_is_sent_is_kept_for_its_own_period() {
    let mut driver = Driver::new(Sqlite::new()).await;
    let (tenant, enabled, _) = one_paused(&mut driver).await;
    keep(&mut driver, &tenant, "evt", Some(5)).await;
    driver.send("evt", &enabled).await.unwrap();
    driver.pass(6);
    assert_eq!(looks(&driver, &tenant).await, 0, "it is open");
    attempt_all(&mut driver, 200, Next::Delivered).await;
    check_kept_for(&mut driver, &tenant, 5).await;
}

#[tokio::test]
async fn what_was_skipped_at_once_is_kept_for_its_own_period() {
    let mut driver = Driver::new(Sqlite::new()).await;
    let tenant = driver.tenant("acme").await;
    let disabled = driver.endpoint_in(&tenant, EndpointState::Disabled).await;
    driver.accept_with(&tenant, "evt", &[&disabled], own_period(Some(5))).await;
    check_kept_for(&mut driver, &tenant, 5).await;
}

#[tokio::test]
async fn what_was_put_off_is_found_by_the_next_process_and_under_other_periods() {
    let mut driver = Driver::new(Sqlite::new()).await;
    let (tenant, ..) = failed_and_put_off(&mut driver).await;
    driver.crash().await;
    assert_eq!(prune(&driver, &tenant, 1).await.0, ["evt"]);
    let secs = Duration::from_secs;
    let longer = Retain { failed: secs(400), ..RETAIN };
    driver.pass(200);
    assert_eq!(prune_under(longer, &driver, &tenant, 1).await.0, ["evt"]);
    let shorter = Retain { failed: secs(300), ..RETAIN };
    assert_eq!(prune_under(shorter, &driver, &tenant, 1).await.0, [""; 0]);
}

#[tokio::test]
async fn what_matched_nobody_is_found_behind_what_is_kept_for_less() {
    let mut driver = Driver::new(Sqlite::new()).await;
    let (tenant, enabled, _) = one_paused(&mut driver).await;
    keep(&mut driver, &tenant, "unmatched", None).await;
    driver.accept(&tenant, "failed", &[&enabled]).await;
    attempt_all(&mut driver, 500, Next::Exhausted).await;
    for (secs, left) in
        [(100, &["failed", "unmatched"][..]), (1, &["unmatched"]), (99, &["unmatched"]), (1, &[])]
    {
        driver.pass(secs);
        assert_eq!(prune_under(REVERSED, &driver, &tenant, 1).await.0, left);
    }
}

#[tokio::test]
async fn what_matched_nobody_is_looked_at_once_before_its_time() {
    let mut driver = Driver::new(Sqlite::new()).await;
    let tenant = driver.tenant("acme").await;
    for n in 0..3 {
        keep(&mut driver, &tenant, &format!("evt-{n}"), None).await;
    }
    for (secs, looks) in [(101, 3), (1, 0), (98, 0), (1, 3)] {
        assert_eq!(driver.shown(&tenant).await.events.len(), 3, "for their whole period");
        driver.pass(secs);
        assert_eq!(looks_under(REVERSED, &driver, &tenant).await, looks);
    }
    assert_eq!(prune_under(REVERSED, &driver, &tenant, 1).await.0, [""; 0]);
}

#[tokio::test]
async fn what_matched_nobody_and_is_sent_after_it_was_put_off_is_found() {
    let mut driver = Driver::new(Sqlite::new()).await;
    let (tenant, enabled, _) = one_paused(&mut driver).await;
    keep(&mut driver, &tenant, "evt", None).await;
    driver.pass(101);
    assert_eq!(looks_under(REVERSED, &driver, &tenant).await, 1);
    driver.send("evt", &enabled).await.unwrap();
    driver.pass(100);
    assert_eq!(looks_under(REVERSED, &driver, &tenant).await, 0, "it is open");
    attempt_all(&mut driver, 200, Next::Delivered).await;
    for (secs, left) in [(200, &["evt"][..]), (1, &[])] {
        driver.pass(secs);
        assert_eq!(prune_under(REVERSED, &driver, &tenant, 1).await.0, left);
    }
}
