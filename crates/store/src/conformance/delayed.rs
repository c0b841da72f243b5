use posthaste_model::{DeliveryReason, DeliveryState, EndpointState, EventOptions, Next, Timestamp};

use super::{Driver, replied};

fn at(deliver_at: Timestamp) -> EventOptions {
    EventOptions { deliver_at: Some(deliver_at), ..EventOptions::default() }
}

pub(super) async fn an_event_waits_for_its_time(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    let (accepted_at, due_at) = (driver.now(), driver.secs(100));
    driver.accept_with(&tenant, "later", &[&endpoint], at(due_at)).await;
    let shown = driver.delivery_of(&tenant, "later").await;
    assert_eq!((shown.state, shown.due_at), (DeliveryState::Scheduled, Some(due_at)));
    assert_eq!(shown.created_at, accepted_at);
    driver.accept(&tenant, "now", &[&endpoint]).await;
    let given = driver.lease_until_due(100, 100).await;
    assert_eq!((given.leases.len(), given.next_due), (1, Some(due_at)));
    assert_eq!(given.leases[0].event.id.as_str(), "now");
    driver.crash().await;
    driver.pass(39);
    assert!(driver.lease().await.is_empty());
    driver.pass(1);
    let lease = driver.lease_only().await;
    assert_eq!((lease.due_at, lease.event.options.deliver_at), (due_at, Some(due_at)));
    // From then on it is like any other.
    let again = driver.secs(5);
    driver.settle(&lease, replied(500), Next::Retry { at: again }).await;
    assert_eq!(driver.show(&lease).await.due_at, Some(again));
}

pub(super) async fn a_time_that_has_passed_is_at_once(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    let past = driver.secs(-100);
    driver.accept_with(&tenant, "late", &[&endpoint], at(past)).await;
    assert_eq!(driver.delivery_of(&tenant, "late").await.due_at, Some(driver.now()));
    let lease = driver.lease_only().await;
    assert_eq!((lease.due_at, lease.event.options.deliver_at), (driver.now(), Some(past)));
}

pub(super) async fn deliveries_come_in_the_order_of_their_times(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    for (event, secs) in [("d", 40), ("b", 20), ("e", 50), ("a", 10)] {
        let time = driver.secs(secs);
        driver.accept_with(&tenant, event, &[&endpoint], at(time)).await;
    }
    driver.pass(30);
    driver.accept(&tenant, "c", &[&endpoint]).await;
    driver.pass(30);
    let leases = driver.lease().await;
    let events: Vec<_> = leases.iter().map(|lease| lease.event.id.as_str()).collect();
    assert_eq!(events, ["a", "b", "c", "d", "e"]);
}

pub(super) async fn what_waits_for_its_time_at_a_closed_endpoint(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let paused = driver.endpoint_in(&tenant, EndpointState::Paused).await;
    let disabled = driver.endpoint_in(&tenant, EndpointState::Disabled).await;
    let (now, due_at) = (driver.now(), driver.secs(10));
    driver.accept_with(&tenant, "held", &[&paused], at(due_at)).await;
    driver.accept_with(&tenant, "skipped", &[&disabled], at(due_at)).await;
    let held = driver.delivery_of(&tenant, "held").await;
    assert_eq!((held.state, held.due_at), (DeliveryState::Held, Some(due_at)));
    let skipped = driver.delivery_of(&tenant, "skipped").await;
    assert_eq!(
        (skipped.state, skipped.reason),
        (DeliveryState::Skipped, Some(DeliveryReason::EndpointDisabled))
    );
    assert_eq!((skipped.due_at, skipped.completed_at), (None, Some(now)));
    driver.turn(&paused, EndpointState::Enabled).await;
    assert_eq!(driver.lease_until_due(9, 9).await.next_due, Some(due_at));
    driver.pass(10);
    assert_eq!(driver.lease_only().await.event.id.as_str(), "held");
}
