use posthaste_model::{DeliveryState, Endpoint, EndpointState, Next, TenantId};

use super::{Driver, replied, sample_event};
use crate::{Lease, NewEvent};

/// The events of some leases, in their order.
fn events(leases: &[Lease]) -> Vec<&str> {
    leases.iter().map(|lease| lease.event.id.as_str()).collect()
}

/// Accepts `count` events for an endpoint.
async fn flood(driver: &mut Driver, tenant: &TenantId, endpoint: &Endpoint, count: usize) {
    let events = (0..count)
        .map(|n| {
            let event = sample_event(tenant, &format!("{}-{n}", endpoint.id), driver.now());
            NewEvent { event, endpoints: vec![endpoint.id] }
        })
        .collect();
    driver.accept_all(tenant, events).await.unwrap();
}

pub(super) async fn a_lease_says_what_to_do(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    driver.accept(&tenant, "evt", &[&endpoint]).await;
    let accepted_at = driver.now();
    let delivery = driver.delivery_of(&tenant, "evt").await;
    driver.pass(3);
    let lease = driver.lease_only().await;
    assert_eq!(lease.delivery, delivery.id);
    assert_eq!(*lease.event, sample_event(&tenant, "evt", accepted_at));
    assert_eq!(*lease.endpoint, endpoint);
    assert_eq!((lease.attempt, lease.failures, lease.due_at), (1, 0, accepted_at));

    let at = driver.secs(5);
    driver.settle(&lease, replied(500), Next::Retry { at }).await;
    let changed =
        driver.change(&endpoint, |endpoint| endpoint.url = "https://elsewhere.example/".into()).await;
    driver.pass(7);
    let again = driver.lease_only().await;
    assert_eq!((again.delivery, &*again.endpoint), (delivery.id, &changed));
    assert_eq!((again.attempt, again.failures, again.due_at), (2, 1, at));
    assert_ne!(again.id, lease.id);

    let at = driver.secs(1);
    let release = driver.unattempted(&again, Next::Release { at });
    driver.settle_as(release).await;
    driver.pass(1);
    let third = driver.lease_only().await;
    assert_eq!((third.attempt, third.failures, third.due_at), (2, 1, at));
}

pub(super) async fn only_what_is_due_is_leased(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    driver.accept(&tenant, "evt", &[&endpoint]).await;
    let lease = driver.lease_only().await;
    let at = driver.secs(10);
    driver.settle(&lease, replied(500), Next::Retry { at }).await;
    driver.pass(9);
    assert!(driver.lease().await.is_empty());
    driver.accept(&tenant, "later", &[&endpoint]).await;
    assert_eq!(events(&driver.lease().await), ["later"]);
    driver.pass(1);
    assert_eq!(events(&driver.lease().await), ["evt"]);
}

pub(super) async fn an_endpoints_deliveries_come_in_the_order_of_their_times(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    for id in ["c", "a", "b"] {
        driver.accept(&tenant, id, &[&endpoint]).await;
    }
    let leases = driver.lease().await;
    assert_eq!(events(&leases), ["c", "a", "b"], "accepted in one millisecond");
    for (lease, secs) in leases.iter().zip([30, 10, 20]) {
        let at = driver.secs(secs);
        driver.settle(lease, replied(500), Next::Retry { at }).await;
    }
    driver.pass(15);
    driver.accept(&tenant, "d", &[&endpoint]).await;
    driver.pass(100);
    assert_eq!(events(&driver.lease_up_to(3, 3).await), ["a", "d", "b"]);
    assert_eq!(events(&driver.lease().await), ["c"]);
}

pub(super) async fn a_delivery_is_leased_once(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let (one, two) = (driver.endpoint(&tenant).await, driver.endpoint(&tenant).await);
    driver.accept(&tenant, "evt", &[&one, &two]).await;
    let leases = driver.lease().await;
    assert_eq!(leases.len(), 2);
    for lease in &leases {
        let shown = driver.show(lease).await;
        assert_eq!((shown.state, shown.due_at, shown.attempts), (DeliveryState::InFlight, None, 0));
    }
    driver.pass(1);
    assert!(driver.lease().await.is_empty());
    // Nor does an expired lease free its delivery by itself, nor the return of its neighbour.
    driver.pass(3_600);
    assert!(driver.lease().await.is_empty());
    let release = driver.unattempted(&leases[0], Next::Release { at: driver.now() });
    driver.settle_as(release).await;
    assert_eq!(driver.lease_only().await.delivery, leases[0].delivery);
}

pub(super) async fn limits_are_kept(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let (one, two) = (driver.endpoint(&tenant).await, driver.endpoint(&tenant).await);
    flood(driver, &tenant, &one, 10).await;
    flood(driver, &tenant, &two, 10).await;
    assert!(driver.lease_up_to(0, 1).await.is_empty());
    let count =
        |leases: &[Lease], of: &Endpoint| leases.iter().filter(|lease| lease.endpoint.id == of.id).count();
    let leases = driver.lease_up_to(4, 2).await;
    assert_eq!((count(&leases, &one), count(&leases, &two)), (2, 2), "a turn each");
    let leases = driver.lease_up_to(5, 3).await;
    let turns: Vec<_> = leases.chunk_by(|a, b| a.endpoint.id == b.endpoint.id).map(<[_]>::len).collect();
    assert_eq!(turns, [3, 2], "the last turn ends where the limit is");
    assert_eq!(driver.lease_up_to(100, 1).await.len(), 2);
    assert_eq!(driver.lease().await.len(), 9);
}

pub(super) async fn a_flood_does_not_starve_the_others(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let flooding = driver.endpoint(&tenant).await;
    flood(driver, &tenant, &flooding, 200).await;
    let mut others = Vec::new();
    for n in 0..4 {
        driver.pass(1);
        let other = driver.endpoint(&tenant).await;
        driver.accept(&tenant, &format!("evt-{n}"), &[&other]).await;
        others.push(other.id);
    }
    driver.pass(1);
    // Five turns of ten are enough for all five.
    let leases = driver.lease_up_to(50, 10).await;
    for other in &others {
        assert!(leases.iter().any(|lease| lease.endpoint.id == *other), "{other} was not leased");
    }
    // Who comes now stands behind the flood's next turn, and not behind all of it.
    let late = driver.endpoint(&tenant).await;
    driver.accept(&tenant, "late", &[&late]).await;
    let leases = driver.lease_up_to(20, 10).await;
    assert!(leases.iter().any(|lease| lease.endpoint.id == late.id), "who came late was not leased");
}

pub(super) async fn a_long_wait_is_not_lost_by_new_deliveries(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let (one, two) = (driver.endpoint(&tenant).await, driver.endpoint(&tenant).await);
    let once_parked = driver.endpoint(&tenant).await;
    driver.store().park(&once_parked.tenant, once_parked.id, driver.secs(1)).await.unwrap();
    driver.pass(2);
    for endpoint in [&one, &two, &once_parked] {
        flood(driver, &tenant, endpoint, 30).await;
    }
    let mut turns = Vec::new();
    for n in 0..6 {
        // Nobody loses a place because more came meanwhile.
        driver.accept(&tenant, &format!("evt-{n}"), &[&one, &two, &once_parked]).await;
        turns.extend(driver.lease_up_to(1, 1).await.into_iter().map(|lease| lease.endpoint.id));
    }
    let (first, second) = turns.split_at(3);
    for endpoint in [&one, &two, &once_parked] {
        assert!(first.contains(&endpoint.id), "{} had no turn in {turns:?}", endpoint.id);
    }
    assert_eq!(first, second, "turns come round in the same order");
}

pub(super) async fn next_due_is_when_there_is_more(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let (one, two) = (driver.endpoint(&tenant).await, driver.endpoint(&tenant).await);
    let next = async |driver: &mut Driver, limit| driver.lease_until_due(limit, 10).await.next_due;
    assert_eq!(next(driver, 10).await, None, "nothing was ever scheduled");

    driver.accept(&tenant, "a", &[&one, &two]).await;
    let first = driver.lease_until_due(1, 1).await;
    assert_eq!(first.leases.len(), 1);
    assert!(first.next_due.is_some_and(|due| due <= driver.now()), "there is more now: {:?}", first.next_due);
    let second = driver.lease_until_due(10, 10).await;
    assert_eq!(second.leases.len(), 1);
    assert_eq!(second.next_due, None, "all is in flight");

    let (soon, late) = (driver.secs(10), driver.secs(20));
    driver.settle(&first.leases[0], replied(500), Next::Retry { at: late }).await;
    assert_eq!(next(driver, 10).await, Some(late));
    driver.settle(&second.leases[0], replied(500), Next::Retry { at: soon }).await;
    assert_eq!(next(driver, 10).await, Some(soon));

    // What waits for a pause is due when the pause is over; what is held waits for nobody knows what.
    let [early, other] = [&second.leases[0], &first.leases[0]].map(|lease| Endpoint::clone(&lease.endpoint));
    let until = driver.secs(15);
    driver.store().park(&early.tenant, early.id, until).await.unwrap();
    assert_eq!(next(driver, 10).await, Some(until));
    driver.turn(&early, EndpointState::Paused).await;
    assert_eq!(next(driver, 10).await, Some(late));
    driver.turn(&other, EndpointState::Disabled).await;
    assert_eq!(next(driver, 10).await, None);
    driver.turn(&early, EndpointState::Enabled).await;
    assert_eq!(next(driver, 10).await, Some(soon));
}

/// Whatever path a delivery comes back by, and however the queue was read before, it is found when it is due.
pub(super) async fn nothing_due_is_left_behind(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    flood(driver, &tenant, &endpoint, 6).await;
    let leases = driver.lease_up_to(4, 4).await;
    // Back to where they were, from the last to the first, and behind what is still to be read.
    let ats = [driver.now(), driver.now(), driver.secs(-5), driver.secs(1)];
    for (lease, at) in leases.iter().zip(ats).rev() {
        let release = driver.unattempted(lease, Next::Release { at });
        driver.settle_as(release).await;
    }
    let again = driver.lease().await;
    assert_eq!(again.len(), 5);
    assert_eq!(again[0].delivery, leases[2].delivery, "what has been due longest comes first");
    driver.pass(1);
    assert_eq!(driver.lease_only().await.delivery, leases[3].delivery);
    assert!(driver.lease().await.is_empty());
}
