use posthaste_model::{DeliveryState, Endpoint, EndpointState, EventOptions, Next, Timestamp};

use super::{Driver, TTL, replied, sample_event};
use crate::{CLOCK_SLACK, Lease, Leases, NewEvent};

/// Makes a tenant with one ordered endpoint, and accepts events for it.
pub(super) async fn ordered(driver: &mut Driver, events: &[&str]) -> Endpoint {
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint_with(&tenant, |endpoint| endpoint.ordered = true).await;
    for event in events {
        driver.accept(&tenant, event, &[&endpoint]).await;
    }
    endpoint
}

/// Leases the only delivery that can be leased, which is the one of this event.
pub(super) async fn next(driver: &mut Driver, event: &str) -> Lease {
    let lease = driver.lease_only().await;
    assert_eq!(lease.event.id.as_str(), event);
    lease
}

/// Leases and delivers what can be leased one after the other, and expects these events.
pub(super) async fn deliver(driver: &mut Driver, events: &[&str]) {
    for event in events {
        let lease = next(driver, event).await;
        driver.settle(&lease, replied(200), Next::Delivered).await;
    }
    nothing(driver, None).await;
}

/// Nothing can be leased before then.
pub(super) async fn nothing(driver: &mut Driver, before: Option<Timestamp>) {
    let Leases { leases, next_due, .. } = driver.lease_until_due(100, 100).await;
    assert!(leases.is_empty() && next_due == before, "{leases:?}, {next_due:?}, {before:?}");
}

pub(super) async fn an_ordered_endpoint_gets_one_lease_at_a_time(driver: &mut Driver) {
    let endpoint = ordered(driver, &["c", "a", "b"]).await;
    for event in ["c", "a"] {
        let lease = next(driver, event).await;
        nothing(driver, None).await;
        driver.pass(TTL.as_secs() as i64 * 2);
        nothing(driver, None).await;
        driver.settle(&lease, replied(200), Next::Delivered).await;
    }
    // Neither does a crash give another one away.
    let lease = next(driver, "b").await;
    driver.accept(&endpoint.tenant, "d", &[&endpoint]).await;
    driver.crash().await;
    nothing(driver, None).await;
    driver.settle(&lease, replied(500), Next::Exhausted).await;
    deliver(driver, &["d"]).await;
}

pub(super) async fn what_is_tried_again_keeps_its_place(driver: &mut Driver) {
    let endpoint = ordered(driver, &["a", "b", "c"]).await;
    let lease = next(driver, "a").await;
    let at = driver.secs(10);
    driver.settle(&lease, replied(500), Next::Retry { at }).await;
    let shown = driver.show(&lease).await;
    assert_eq!((shown.state, shown.due_at), (DeliveryState::Scheduled, Some(at)));
    nothing(driver, Some(at)).await;
    driver.pass(9);
    driver.accept(&endpoint.tenant, "d", &[&endpoint]).await;
    nothing(driver, Some(at)).await;
    driver.pass(1);
    let lease = next(driver, "a").await;
    assert_eq!((lease.attempt, lease.failures, lease.due_at), (2, 1, at));
    // Nor does it lose its place when it was not attempted at all.
    let at = driver.secs(1);
    let release = driver.unattempted(&lease, Next::Release { at });
    driver.settle_as(release).await;
    nothing(driver, Some(at)).await;
    driver.pass(1);
    let lease = next(driver, "a").await;
    driver.settle(&lease, replied(500), Next::Exhausted).await;
    deliver(driver, &["b", "c", "d"]).await;
}

pub(super) async fn what_is_given_back_keeps_its_place(driver: &mut Driver) {
    ordered(driver, &["a", "b"]).await;
    next(driver, "a").await;
    driver.crash().await;
    assert_eq!(driver.recover().await, 1);
    let lease = next(driver, "a").await;
    driver.settle(&lease, replied(500), Next::Retry { at: driver.secs(10) }).await;
    driver.crash().await;
    driver.recover().await;
    deliver(driver, &["a", "b"]).await;
}

pub(super) async fn clocks_that_differ_a_little_keep_the_order(driver: &mut Driver) {
    let endpoint = ordered(driver, &[]).await;
    let slack = CLOCK_SLACK.as_millis() as i64;
    let ahead = [("a", slack), ("b", 0), ("c", slack - 1), ("d", 1), ("e", slack / 2)];
    for (id, ahead) in ahead {
        let clock = Timestamp::from_millisecond(driver.now().as_millisecond() + ahead).unwrap();
        let event = sample_event(&endpoint.tenant, id, clock);
        let new = NewEvent { event, endpoints: vec![endpoint.id] };
        driver.accept_all(&endpoint.tenant, vec![new]).await.unwrap();
    }
    driver.pass(10);
    deliver(driver, &["a", "b", "c", "d", "e"]).await;
}

pub(super) async fn the_place_of_what_is_to_be_delivered_later_is_its_time(driver: &mut Driver) {
    let endpoint = ordered(driver, &[]).await;
    let tenant = endpoint.tenant.clone();
    let (soon, late) = (driver.secs(10), driver.secs(30));
    let at = |at| EventOptions { deliver_at: Some(at), ..EventOptions::default() };
    driver.accept_with(&tenant, "late", &[&endpoint], at(late)).await;
    driver.accept_with(&tenant, "soon", &[&endpoint], at(soon)).await;
    driver.accept(&tenant, "a", &[&endpoint]).await;
    driver.accept(&tenant, "b", &[&endpoint]).await;
    let lease = next(driver, "a").await;
    driver.settle(&lease, replied(200), Next::Delivered).await;
    let lease = next(driver, "b").await;
    driver.settle(&lease, replied(200), Next::Delivered).await;
    nothing(driver, Some(soon)).await;
    driver.pass(20);
    driver.accept(&tenant, "c", &[&endpoint]).await;
    driver.pass(20);
    driver.accept(&tenant, "d", &[&endpoint]).await;
    deliver(driver, &["soon", "c", "late", "d"]).await;
}

pub(super) async fn whatever_ends_the_first_lets_the_next_go(driver: &mut Driver) {
    let endpoint = ordered(driver, &["cancelled", "by_hand", "in_flight", "last"]).await;
    let tenant = endpoint.tenant.clone();
    let waiting = driver.secs(600);
    let cancelled = next(driver, "cancelled").await;
    driver.settle(&cancelled, replied(500), Next::Retry { at: waiting }).await;
    let cancelled = driver.show(&cancelled).await;
    driver.cancel(&cancelled).await.unwrap();

    let by_hand = next(driver, "by_hand").await;
    driver.settle(&by_hand, replied(500), Next::Retry { at: waiting }).await;
    let by_hand = driver.show(&by_hand).await;
    driver.ask(&by_hand, false).await.unwrap();
    let manual = driver.lease_only().await;
    assert!(manual.manual, "{manual:?}");
    driver.settle(&manual, replied(200), Next::Delivered).await;

    let in_flight = next(driver, "in_flight").await;
    let shown = driver.show(&in_flight).await;
    driver.cancel(&shown).await.unwrap();
    let last = next(driver, "last").await;
    driver.settle(&last, replied(500), Next::Retry { at: waiting }).await;
    driver.turn(&endpoint, EndpointState::Disabled).await;
    driver.turn(&endpoint, EndpointState::Enabled).await;
    driver.accept(&tenant, "after", &[&endpoint]).await;
    deliver(driver, &["after"]).await;
}

pub(super) async fn each_ordered_endpoint_has_its_own_order(driver: &mut Driver) {
    let one = ordered(driver, &["a", "b"]).await;
    let two = driver.endpoint_with(&one.tenant, |endpoint| endpoint.ordered = true).await;
    let free = driver.endpoint(&one.tenant).await;
    driver.accept(&one.tenant, "c", &[&one, &two, &free]).await;
    driver.accept(&one.tenant, "d", &[&two, &free]).await;
    let leases = driver.lease().await;
    let of = |endpoint: &Endpoint| -> Vec<&str> {
        let own = leases.iter().filter(|lease| lease.endpoint.id == endpoint.id);
        own.map(|lease| lease.event.id.as_str()).collect()
    };
    assert_eq!((of(&one), of(&two), of(&free)), (vec!["a"], vec!["c"], vec!["c", "d"]));
}

pub(super) async fn an_ordered_endpoint_is_resumed_in_its_order(driver: &mut Driver) {
    let endpoint = ordered(driver, &["a", "b"]).await;
    let lease = next(driver, "a").await;
    driver.turn(&endpoint, EndpointState::Paused).await;
    let at = driver.secs(10);
    driver.settle(&lease, replied(500), Next::Retry { at }).await;
    driver.accept(&endpoint.tenant, "c", &[&endpoint]).await;
    driver.turn(&endpoint, EndpointState::Enabled).await;
    nothing(driver, Some(at)).await;
    driver.store().park(&endpoint.tenant, endpoint.id, driver.secs(20)).await.unwrap();
    driver.pass(10);
    nothing(driver, Some(driver.secs(10))).await;
    driver.pass(10);
    deliver(driver, &["a", "b", "c"]).await;
}

pub(super) async fn an_endpoint_may_become_ordered_and_cease_to_be(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    for event in ["a", "b", "c", "d"] {
        driver.accept(&tenant, event, &[&endpoint]).await;
    }
    let [a, b]: [Lease; 2] = driver.lease_up_to(2, 2).await.try_into().unwrap();
    driver.change(&endpoint, |endpoint| endpoint.ordered = true).await;
    nothing(driver, None).await;
    let at = driver.secs(10);
    driver.settle(&a, replied(500), Next::Retry { at }).await;
    nothing(driver, None).await;
    driver.settle(&b, replied(200), Next::Delivered).await;
    nothing(driver, Some(at)).await;
    driver.change(&endpoint, |endpoint| endpoint.ordered = false).await;
    let leases = driver.lease().await;
    let events: Vec<_> = leases.iter().map(|lease| lease.event.id.as_str()).collect();
    assert_eq!(events, ["c", "d"]);
    for lease in leases.iter().rev() {
        let release = driver.unattempted(lease, Next::Release { at: driver.now() });
        driver.settle_as(release).await;
    }
    driver.change(&endpoint, |endpoint| endpoint.ordered = true).await;
    nothing(driver, Some(at)).await;
    driver.pass(10);
    deliver(driver, &["a", "c", "d"]).await;
}

pub(super) async fn manual_attempts_go_beside_the_order(driver: &mut Driver) {
    ordered(driver, &["a", "b"]).await;
    let tenant = "acme".parse().unwrap();
    let live = next(driver, "a").await;
    let waiting = driver.delivery_of(&tenant, "b").await;
    driver.ask(&waiting, false).await.unwrap();
    let manual = driver.lease_only().await;
    assert!(manual.manual && manual.delivery == waiting.id, "{manual:?}");
    driver.settle(&live, replied(200), Next::Delivered).await;
    let automatic = next(driver, "b").await;
    driver.settle(&manual, replied(500), Next::Stay).await;
    driver.settle(&automatic, replied(200), Next::Delivered).await;
    nothing(driver, None).await;
}

pub(super) async fn what_is_sent_once_more_stands_where_its_event_does(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint_with(&tenant, |endpoint| endpoint.ordered = true).await;
    driver.accept(&tenant, "old", &[]).await;
    driver.pass(10);
    driver.accept(&tenant, "a", &[&endpoint]).await;
    driver.accept(&tenant, "b", &[&endpoint]).await;
    driver.accept(&tenant, "young", &[]).await;
    let lease = next(driver, "a").await;
    for event in ["young", "old"] {
        driver.send(event, &endpoint).await.unwrap();
    }
    driver.settle(&lease, replied(500), Next::Retry { at: driver.now() }).await;
    deliver(driver, &["old", "a", "b", "young"]).await;
}
