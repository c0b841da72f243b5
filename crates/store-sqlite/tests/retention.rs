//! Events with a period of their own are found among many that have none.

// A test fails when its preparations do.
#![allow(clippy::unwrap_used)]

mod fixture;

use std::time::Duration;

use fixture::Sqlite;
use posthaste_model::{EventOptions, Period, TenantId};
use posthaste_store::{Retain, conformance::Driver};

const RETAIN: Retain = Retain { delivered: Duration::from_secs(100), failed: Duration::from_secs(200) };

/// Accepts an event that matches nobody.
async fn keep(driver: &mut Driver, tenant: &TenantId, id: &str, secs: Option<u64>) {
    let options = EventOptions { retention: secs.map(Period::from_secs), ..EventOptions::default() };
    driver.accept_with(tenant, id, &[], options).await;
}

/// Prunes everything, so many events in a call; answers with what is left, and with how many calls that took.
async fn prune(driver: &Driver, tenant: &TenantId, limit: u32) -> (Vec<String>, usize) {
    let (partition, _) = driver.epochs()[0];
    let (mut from, mut calls) = (None, 0);
    loop {
        let pruned = driver.store().prune(partition, RETAIN, driver.now(), from, limit).await.unwrap();
        calls += 1;
        from = pruned.next;
        if from.is_none() {
            let events = driver.shown(tenant).await.events;
            return (events.iter().map(|record| record.event.id.to_string()).collect(), calls);
        }
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
