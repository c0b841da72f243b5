use posthaste_model::{Delivery, DeliveryReason, DeliveryState, Endpoint, EndpointState, Next};

use super::{Driver, disable, nameless, replied};
use crate::{Lease, Settled};

/// An endpoint with three deliveries: two in flight, and one that waits for its retry.
struct Busy {
    endpoint: Endpoint,
    in_flight: [Lease; 2],
    waiting: Lease,
}

async fn busy(driver: &mut Driver) -> Busy {
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    for id in ["a", "b", "waiting"] {
        driver.accept(&tenant, id, &[&endpoint]).await;
    }
    let [a, b, waiting]: [Lease; 3] = driver.lease().await.try_into().unwrap();
    let at = driver.secs(5);
    driver.settle(&waiting, replied(500), Next::Retry { at }).await;
    driver.pass(1);
    Busy { endpoint, in_flight: [a, b], waiting }
}

/// How a delivery that was open ends now.
fn ended(before: &Delivery, state: DeliveryState, driver: &Driver) -> Delivery {
    let reason = match state {
        DeliveryState::Skipped => Some(DeliveryReason::EndpointDisabled),
        _ => Some(DeliveryReason::EndpointDeleted),
    };
    Delivery { state, reason, due_at: None, completed_at: Some(driver.now()), ..before.clone() }
}

/// After the endpoint was closed: what waited has ended so, and what was in flight ends so when it would be retried.
async fn check_closed(driver: &mut Driver, busy: &Busy, waiting: Delivery, end: DeliveryState) {
    let [a, b] = &busy.in_flight;
    assert_eq!(driver.show(&busy.waiting).await, ended(&waiting, end, driver));
    assert_eq!(driver.show(a).await.state, DeliveryState::InFlight);
    driver.pass(1);
    let at = driver.now();
    assert_eq!(driver.settle(a, replied(500), Next::Retry { at }).await, Settled::Applied);
    let release = driver.unattempted(b, Next::Release { at });
    assert_eq!(driver.settle_as(release).await, Settled::Applied);
    for (lease, attempts) in [(a, 1), (b, 0)] {
        let shown = driver.show(lease).await;
        assert_eq!(shown, Delivery { attempts, failures: attempts, ..ended(&shown, end, driver) });
    }
    driver.pass(3_600);
    assert!(driver.lease().await.is_empty());
}

pub(super) async fn disabling_skips_what_is_open(driver: &mut Driver) {
    let busy = busy(driver).await;
    let before = driver.show(&busy.waiting).await;
    driver.turn(&busy.endpoint, EndpointState::Disabled).await;
    check_closed(driver, &busy, before, DeliveryState::Skipped).await;
}

pub(super) async fn deleting_cancels_what_is_open(driver: &mut Driver) {
    let busy = busy(driver).await;
    let before = driver.show(&busy.waiting).await;
    driver.delete(&busy.endpoint).await;
    check_closed(driver, &busy, before, DeliveryState::Cancelled).await;
}

pub(super) async fn what_is_in_flight_may_still_arrive(driver: &mut Driver) {
    let Busy { endpoint, in_flight: [a, b], .. } = busy(driver).await;
    driver.turn(&endpoint, EndpointState::Disabled).await;
    driver.settle(&a, replied(200), Next::Delivered).await;
    driver.delete(&endpoint).await;
    driver.settle(&b, replied(500), Next::Exhausted).await;
    assert_eq!(driver.show(&a).await.state, DeliveryState::Delivered);
    assert_eq!(driver.show(&b).await.state, DeliveryState::Exhausted);
}

pub(super) async fn a_deleted_tenants_deliveries_end(driver: &mut Driver) {
    let Busy { endpoint, in_flight: [a, b], .. } = busy(driver).await;
    driver.delete_tenant(&endpoint.tenant).await;
    let at = driver.now();
    let gone = disable("gone");
    assert_eq!(driver.settle(&a, replied(500), Next::Retry { at }).await, Settled::Applied);
    assert_eq!(driver.settle_with(&b, replied(410), Next::Skipped, gone).await, Settled::Applied);
    // Nothing of it reaches the tenant that gets the id.
    driver.tenant("acme").await;
    let view = driver.store().view(&endpoint.tenant).await.unwrap();
    assert!(view.endpoints.is_empty(), "{view:?}");
    driver.pass(3_600);
    let late = driver.lease_until_due(10, 10).await;
    assert!(late.leases.is_empty() && late.next_due.is_none(), "{late:?}");
}

pub(super) async fn gone_disables_the_endpoint(driver: &mut Driver) {
    let busy = busy(driver).await;
    let [a, b] = &busy.in_flight;
    let before = [driver.reread(&busy.endpoint).await, driver.endpoint(&busy.endpoint.tenant).await];
    let waiting = driver.show(&busy.waiting).await;
    driver.pass(1);
    let gone = disable("it answered 410");
    driver.settle_with(a, replied(410), Next::Skipped, gone).await;

    let expected = Endpoint {
        state: EndpointState::Disabled,
        state_reason: Some("it answered 410".into()),
        version: before[0].version + 1,
        updated_at: driver.now(),
        ..before[0].clone()
    };
    assert_eq!(driver.reread(&busy.endpoint).await, expected);
    assert_eq!(driver.reread(&before[1]).await, before[1]);
    assert_eq!(driver.show(a).await.state, DeliveryState::Skipped);
    assert_eq!(driver.show(&busy.waiting).await, ended(&waiting, DeliveryState::Skipped, driver));
    assert_eq!(driver.show(b).await.state, DeliveryState::InFlight);
    driver.accept(&busy.endpoint.tenant, "later", &[&busy.endpoint]).await;
    assert_eq!(driver.delivery_of(&busy.endpoint.tenant, "later").await.state, DeliveryState::Skipped);
    let at = driver.now();
    driver.settle(b, replied(500), Next::Retry { at }).await;
    assert_eq!(driver.show(b).await.state, DeliveryState::Skipped);
}

pub(super) async fn gone_changes_nothing_of_a_disabled_endpoint(driver: &mut Driver) {
    let Busy { endpoint, in_flight: [a, _], .. } = busy(driver).await;
    let disabled = driver
        .change(&endpoint, |endpoint| {
            endpoint.state = EndpointState::Disabled;
            endpoint.state_reason = Some("by an operator".into());
        })
        .await;
    let view = driver.store().view(&endpoint.tenant).await.unwrap();
    driver.pass(1);
    let gone = disable("it answered 410");
    driver.settle_with(&a, replied(410), Next::Skipped, gone).await;
    assert_eq!(driver.reread(&endpoint).await, disabled);
    assert_eq!(driver.store().view(&endpoint.tenant).await.unwrap().version, view.version);
    assert_eq!(driver.show(&a).await.state, DeliveryState::Skipped);
}

pub(super) async fn pausing_holds_and_enabling_releases_in_order(driver: &mut Driver) {
    let Busy { endpoint, waiting, .. } = busy(driver).await;
    let before = driver.show(&waiting).await;
    driver.turn(&endpoint, EndpointState::Paused).await;
    let held = Delivery {
        state: DeliveryState::Held,
        reason: Some(DeliveryReason::EndpointPaused),
        ..before.clone()
    };
    assert_eq!(driver.show(&waiting).await, held);
    driver.accept(&endpoint.tenant, "first", &[&endpoint]).await;
    driver.pass(60);
    driver.accept(&endpoint.tenant, "last", &[&endpoint]).await;
    assert!(driver.lease().await.is_empty());
    driver.turn(&endpoint, EndpointState::Enabled).await;
    assert_eq!(nameless(&driver.show(&waiting).await), nameless(&before));
    let leases = driver.lease().await;
    let events: Vec<_> = leases.iter().map(|lease| lease.event.id.as_str()).collect();
    assert_eq!(events, ["first", "waiting", "last"]);
}

pub(super) async fn a_retry_at_a_paused_endpoint_is_held(driver: &mut Driver) {
    let Busy { endpoint, in_flight: [a, b], .. } = busy(driver).await;
    driver.turn(&endpoint, EndpointState::Paused).await;
    assert_eq!(driver.show(&a).await.state, DeliveryState::InFlight);
    let at = driver.secs(1);
    driver.settle(&a, replied(500), Next::Retry { at }).await;
    let shown = driver.show(&a).await;
    assert_eq!((shown.state, shown.due_at), (DeliveryState::Held, Some(at)));
    driver.pass(1);
    assert!(driver.lease().await.is_empty());
    driver.turn(&endpoint, EndpointState::Enabled).await;
    assert_eq!(driver.lease_only().await.delivery, a.delivery);
    driver.settle(&b, replied(200), Next::Delivered).await;
}

pub(super) async fn enabling_does_not_revive_what_was_skipped(driver: &mut Driver) {
    let Busy { endpoint, in_flight: [a, b], waiting } = busy(driver).await;
    driver.turn(&endpoint, EndpointState::Disabled).await;
    let at = driver.now();
    driver.settle(&a, replied(500), Next::Retry { at }).await;
    driver.turn(&endpoint, EndpointState::Enabled).await;
    // What was in flight all the while goes on as if nothing had been.
    driver.settle(&b, replied(500), Next::Retry { at }).await;
    driver.pass(60);
    assert_eq!(driver.lease_only().await.delivery, b.delivery);
    for lease in [&a, &waiting] {
        assert_eq!(driver.show(lease).await.state, DeliveryState::Skipped);
    }
}
