use std::time::Duration;

use posthaste_model::{DeliveryState, Endpoint, EndpointState, EventOptions, Next, Period, TenantId};

use super::{Driver, catalogue::is_missing, replied};
use crate::{Cursor, Lease, Missing, NewEvent, Retain, Settled, StoreError};

/// What was delivered is kept for 10 s, what failed for 20 s.
const RETAIN: Retain = Retain { delivered: Duration::from_secs(10), failed: Duration::from_secs(20) };

/// Prunes everything that is over now; answers with how many events were removed.
async fn prune(driver: &mut Driver) -> u32 {
    driver.prune(RETAIN, driver.now(), 100).await
}

/// The ids of a tenant's events, newest first.
async fn events(driver: &Driver, tenant: &TenantId) -> Vec<String> {
    let shown = driver.shown(tenant).await;
    shown.events.iter().map(|record| record.event.id.to_string()).collect()
}

async fn settled(driver: &mut Driver, id: &str, endpoint: &Endpoint, status: u16, next: Next) -> Lease {
    driver.accept(&endpoint.tenant, id, &[endpoint]).await;
    let lease = driver.lease_only().await;
    driver.settle(&lease, replied(status), next).await;
    lease
}

pub(super) async fn what_is_over_is_removed(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    let (cancelling, disabled) =
        (driver.endpoint(&tenant).await, driver.endpoint_in(&tenant, EndpointState::Disabled).await);
    driver.accept(&tenant, "cancelled", &[&cancelling]).await;
    driver.delete(&cancelling).await;
    driver.accept(&tenant, "skipped", &[&disabled]).await;
    // The period begins with the end, not with the acceptance.
    driver.accept(&tenant, "delivered", &[&endpoint]).await;
    driver.accept(&tenant, "exhausted", &[&endpoint]).await;
    let leases = driver.lease().await;
    driver.pass(100);
    assert_eq!(prune(driver).await, 2);
    driver.settle(&leases[0], replied(200), Next::Delivered).await;
    driver.settle(&leases[1], replied(500), Next::Exhausted).await;
    assert_eq!(events(driver, &tenant).await, ["exhausted", "delivered"]);

    driver.pass(10);
    assert_eq!(prune(driver).await, 0, "kept for its whole period");
    driver.pass(1);
    assert_eq!(prune(driver).await, 1);
    assert_eq!(events(driver, &tenant).await, ["exhausted"]);
    driver.pass(9);
    assert_eq!(prune(driver).await, 0, "kept for its whole period");
    driver.pass(1);
    assert_eq!(prune(driver).await, 1);
    assert_eq!(events(driver, &tenant).await, [""; 0]);
}

pub(super) async fn what_is_open_is_kept(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    let paused = driver.endpoint_in(&tenant, EndpointState::Paused).await;
    let at = driver.secs(100_000);
    settled(driver, "retried", &endpoint, 500, Next::Retry { at }).await;
    driver.accept(&tenant, "in_flight", &[&endpoint]).await;
    driver.lease_only().await;
    driver.accept(&tenant, "held", &[&paused]).await;
    driver.accept(&tenant, "scheduled", &[&endpoint]).await;
    driver.accept(&tenant, "half", &[&endpoint, &paused]).await;
    driver.pass(10_000);
    assert_eq!(prune(driver).await, 0);
    assert_eq!(events(driver, &tenant).await, ["half", "scheduled", "held", "in_flight", "retried"]);
}

pub(super) async fn one_failure_keeps_an_event_longer(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let (one, two) = (driver.endpoint(&tenant).await, driver.endpoint(&tenant).await);
    driver.accept(&tenant, "evt", &[&one, &two]).await;
    let leases = driver.lease().await;
    driver.settle(&leases[0], replied(500), Next::Exhausted).await;
    driver.pass(5);
    driver.settle(&leases[1], replied(200), Next::Delivered).await;
    // Counted from the end of its last delivery.
    driver.pass(20);
    assert_eq!(prune(driver).await, 0);
    driver.pass(1);
    assert_eq!(prune(driver).await, 1);
}

pub(super) async fn an_events_own_period_counts_instead(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    for (event, secs) in [("short", 5), ("none", 0), ("long", 30)] {
        let own = EventOptions { retention: Some(Period::from_secs(secs)), ..EventOptions::default() };
        let id = |what: &str| format!("{event}-{what}");
        for what in ["delivered", "failed"] {
            driver.accept_with(&tenant, &id(what), &[&endpoint], own.clone()).await;
        }
        driver.accept_with(&tenant, &id("unmatched"), &[], own).await;
        let leases = driver.lease().await;
        driver.settle(&leases[0], replied(200), Next::Delivered).await;
        driver.settle(&leases[1], replied(500), Next::Exhausted).await;
    }
    for (secs, removed) in [(0, 0), (1, 3), (4, 0), (1, 3), (15, 0), (9, 0), (1, 3)] {
        driver.pass(secs);
        assert_eq!(prune(driver).await, removed, "{secs} s later");
    }
    assert_eq!(events(driver, &tenant).await, [""; 0]);
}

pub(super) async fn what_is_sent_again_keeps_its_event(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let (endpoint, other) = (driver.endpoint(&tenant).await, driver.endpoint(&tenant).await);
    settled(driver, "evt", &endpoint, 200, Next::Delivered).await;
    driver.pass(10);
    driver.send("evt", &other).await.unwrap();
    driver.pass(60);
    assert_eq!(prune(driver).await, 0);
    let lease = driver.lease_only().await;
    driver.settle(&lease, replied(200), Next::Delivered).await;
    driver.pass(10);
    assert_eq!(prune(driver).await, 0, "its period begins anew");
    driver.pass(1);
    assert_eq!(prune(driver).await, 1);
}

pub(super) async fn what_was_given_up_or_delivered_by_hand_is_over(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    driver.accept(&tenant, "cancelled", &[&endpoint]).await;
    let cancelled = driver.delivery_of(&tenant, "cancelled").await;
    driver.cancel(&cancelled).await.unwrap();
    let exhausted = settled(driver, "by_hand", &endpoint, 500, Next::Exhausted).await;
    let exhausted = driver.show(&exhausted).await;
    driver.pass(5);
    driver.ask(&exhausted, false).await.unwrap();
    let lease = driver.lease_only().await;
    driver.settle(&lease, replied(200), Next::Delivered).await;
    driver.pass(10);
    assert_eq!(prune(driver).await, 0);
    driver.pass(1);
    assert_eq!(prune(driver).await, 1);
    assert_eq!(events(driver, &tenant).await, ["cancelled"]);
    driver.pass(5);
    assert_eq!(prune(driver).await, 1);
}

pub(super) async fn an_unmatched_event_is_over_when_accepted(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    driver.accept(&tenant, "evt", &[]).await;
    driver.pass(10);
    assert_eq!(prune(driver).await, 0);
    driver.pass(1);
    assert_eq!(prune(driver).await, 1);
}

pub(super) async fn a_cursor_goes_on(driver: &mut Driver) {
    let (tenant, other) = (driver.tenant("acme").await, driver.tenant("other").await);
    let endpoint = driver.endpoint(&tenant).await;
    for n in 0..7 {
        let kept: &[&Endpoint] = if n % 3 == 0 { &[&endpoint] } else { &[] };
        driver.accept(&tenant, &format!("evt-{n}"), kept).await;
        driver.accept(&other, &format!("evt-{n}"), &[]).await;
    }
    driver.pass(11);
    driver.accept(&tenant, "young", &[]).await;
    assert_eq!(driver.prune(RETAIN, driver.now(), 2).await, 4 + 7);
    assert_eq!(events(driver, &tenant).await, ["young", "evt-6", "evt-3", "evt-0"]);
    assert_eq!(events(driver, &other).await, [""; 0]);
}

pub(super) async fn a_strange_cursor_is_refused(driver: &mut Driver) {
    for cursor in ["", "no cursor!", "/"] {
        let (partition, _) = driver.epochs()[0];
        let from = Some(Cursor(cursor.into()));
        let refused = driver.store().prune(partition, RETAIN, driver.now(), from, 10).await;
        assert!(matches!(refused, Err(StoreError::InvalidCursor)), "{cursor:?}: {refused:?}");
    }
}

pub(super) async fn what_is_removed_leaves_nothing(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    let lease = settled(driver, "evt", &endpoint, 200, Next::Delivered).await;
    driver.pass(11);
    assert_eq!(prune(driver).await, 1);
    let store = driver.store();
    is_missing(store.event(&tenant, &lease.event.id).await, Missing::Event);
    is_missing(store.delivery(&tenant, lease.delivery).await, Missing::Delivery);
    is_missing(store.attempts(&tenant, lease.delivery).await, Missing::Delivery);
    let shown = driver.shown(&tenant).await;
    assert_eq!((shown.events, shown.deliveries), (Vec::new(), Vec::new()));
    assert_eq!(driver.settle(&lease, replied(200), Next::Delivered).await, Settled::Stale);
    assert!(!driver.accept(&tenant, "evt", &[&endpoint]).await.duplicate, "its id is free again");
}

pub(super) async fn a_removed_delivery_lends_its_id_to_no_other(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    let old = settled(driver, "evt", &endpoint, 200, Next::Delivered).await;
    // In the same millisecond as far as the store is told.
    assert_eq!(driver.prune(RETAIN, driver.secs(11), 100).await, 1);
    driver.accept(&tenant, "evt", &[&endpoint]).await;
    let new = driver.lease_only().await;
    assert_ne!(new.delivery, old.delivery);
    assert_eq!(driver.settle(&old, replied(500), Next::Exhausted).await, Settled::Stale);
    let shown = driver.show(&new).await;
    assert_eq!((shown.state, shown.attempts), (DeliveryState::InFlight, 0));
    driver.settle(&new, replied(200), Next::Delivered).await;
    // Nor after a crash.
    let event = (*new.event).clone();
    assert_eq!(driver.prune(RETAIN, driver.secs(11), 100).await, 1);
    driver.crash().await;
    driver.accept_all(&tenant, vec![NewEvent { event, endpoints: vec![endpoint.id] }]).await.unwrap();
    let newest = driver.lease_only().await;
    assert!(newest.delivery != old.delivery && newest.delivery != new.delivery);
}

pub(super) async fn events_of_a_deleted_tenant_are_removed(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    settled(driver, "delivered", &endpoint, 200, Next::Delivered).await;
    driver.accept(&tenant, "unmatched", &[]).await;
    driver.accept(&tenant, "in_flight", &[&endpoint]).await;
    let lease = driver.lease_only().await;
    driver.accept(&tenant, "cancelled", &[&endpoint]).await;
    driver.delete_tenant(&tenant).await;
    driver.pass(11);
    assert_eq!(prune(driver).await, 2);
    driver.pass(10);
    assert_eq!(prune(driver).await, 1);
    driver.settle(&lease, replied(200), Next::Delivered).await;
    driver.pass(11);
    assert_eq!(prune(driver).await, 1);
}
