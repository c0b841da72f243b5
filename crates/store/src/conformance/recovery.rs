use posthaste_model::{Delivery, DeliveryState, Endpoint, EndpointState, ErrorClass, Next, TenantId};

use super::{Driver, TTL, replied, samples};
use crate::{Lease, Settled};

async fn accepted(driver: &mut Driver, ids: &[&str]) -> (TenantId, Endpoint) {
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    for id in ids {
        driver.accept(&tenant, id, &[&endpoint]).await;
    }
    (tenant, endpoint)
}

/// A delivery whose attempt was interrupted: known to be due again, and by what.
async fn check_given_back(driver: &Driver, lease: &Lease, before: &Delivery) {
    let expected = Delivery {
        state: DeliveryState::Scheduled,
        attempts: before.attempts + 1,
        due_at: Some(driver.now()),
        last_error: Some(ErrorClass::Unknown),
        ..before.clone()
    };
    assert_eq!(driver.show(lease).await, expected);
    let last = driver.attempts(lease).await.pop().unwrap();
    assert_eq!((last.number, last.started_at), (expected.attempts, driver.now()));
    assert_eq!(last.outcome.error(), Some(ErrorClass::Unknown));
}

pub(super) async fn what_is_acknowledged_survives_a_crash(driver: &mut Driver) {
    let (tenant, endpoint) = accepted(driver, &["a", "b", "c", "d"]).await;
    let paused = driver.endpoint_in(&tenant, EndpointState::Paused).await;
    driver.accept(&tenant, "held", &[&paused]).await;
    driver.store().put_topic(samples::topic("order.paid", driver.now())).await.unwrap();
    let leases = driver.lease_up_to(3, 3).await;
    driver.settle(&leases[0], replied(200), Next::Delivered).await;
    let at = driver.secs(600);
    driver.settle(&leases[1], replied(500), Next::Retry { at }).await;
    driver.store().park(&endpoint.tenant, endpoint.id, driver.secs(300)).await.unwrap();
    let before = driver.shown(&tenant).await;
    driver.crash().await;
    assert_eq!(driver.shown(&tenant).await, before);
    assert_eq!(driver.store().topics(crate::Page::first(9)).await.unwrap().rows.len(), 1);
    assert_eq!(driver.recover().await, 1);
    assert!(driver.lease().await.is_empty());
    driver.pass(600);
    assert_eq!(driver.lease().await.len(), 3);
}

pub(super) async fn what_was_in_flight_stays_so_until_it_is_recovered(driver: &mut Driver) {
    accepted(driver, &["a", "b"]).await;
    let leases = driver.lease_up_to(1, 1).await;
    driver.crash().await;
    let others = driver.lease().await;
    assert_eq!(others.len(), 1, "what was not in flight goes on: {others:?}");
    assert_ne!(others[0].delivery, leases[0].delivery);
    assert_eq!(driver.show(&leases[0]).await.state, DeliveryState::InFlight);
    assert_eq!(driver.recover().await, 1);
    assert_eq!(driver.show(&others[0]).await.state, DeliveryState::InFlight, "this one is the new owner's");
    assert_eq!(driver.lease_only().await.delivery, leases[0].delivery);
}

pub(super) async fn recovery_gives_back_what_was_in_flight(driver: &mut Driver) {
    let (_, endpoint) = accepted(driver, &["a"]).await;
    let mut lease = driver.lease_only().await;
    driver.settle(&lease, replied(500), Next::Retry { at: driver.secs(5) }).await;
    driver.pass(5);
    driver.accept(&endpoint.tenant, "b", &[&endpoint]).await;
    let leases = driver.lease().await;
    let mut before = Vec::new();
    for lease in &leases {
        before.push(driver.show(lease).await);
    }
    driver.crash().await;
    assert_eq!(driver.recover().await, 2);
    for (lease, before) in leases.iter().zip(&before) {
        check_given_back(driver, lease, before).await;
    }
    assert_eq!(driver.recover().await, 0);
    let again = driver.lease().await;
    assert_eq!(
        again.iter().map(|lease| (lease.attempt, lease.failures)).collect::<Vec<_>>(),
        [(3, 1), (2, 0)]
    );
    // And once more, after a crash that follows the recovery.
    driver.crash().await;
    assert_eq!(driver.recover().await, 2);
    lease = driver.lease_up_to(1, 1).await.remove(0);
    assert_eq!((lease.attempt, lease.failures), (4, 1));
}

pub(super) async fn recovery_spares_what_was_settled(driver: &mut Driver) {
    accepted(driver, &["a", "b", "c", "d", "e"]).await;
    let leases = driver.lease().await;
    driver.settle(&leases[0], replied(200), Next::Delivered).await;
    driver.settle(&leases[1], replied(500), Next::Retry { at: driver.secs(600) }).await;
    // Due as it was before, and nothing was tried: it looks as if nothing had happened to it.
    let release = driver.unattempted(&leases[2], Next::Release { at: leases[2].due_at });
    driver.settle_as(release).await;
    driver.settle(&leases[3], replied(500), Next::Retry { at: leases[3].due_at }).await;
    let mut before = Vec::new();
    for lease in &leases {
        before.push(driver.show(lease).await);
    }
    driver.crash().await;
    assert_eq!(driver.recover().await, 1);
    for (lease, before) in leases.iter().zip(&before).take(4) {
        assert_eq!(driver.show(lease).await, *before);
    }
    check_given_back(driver, &leases[4], &before[4]).await;
}

pub(super) async fn recovery_knows_late_attempts(driver: &mut Driver) {
    accepted(driver, &["a"]).await;
    let stale = driver.lease_only().await;
    driver.pass(TTL.as_secs() as i64);
    assert_eq!(driver.recover().await, 1);
    let live = driver.lease_only().await;
    driver.settle(&stale, replied(500), Next::Exhausted).await;
    let before = driver.show(&live).await;
    assert_eq!(before.attempts, 2);
    driver.crash().await;
    assert_eq!(driver.recover().await, 1);
    check_given_back(driver, &live, &before).await;
}

pub(super) async fn an_idle_endpoint_is_held_back_after_a_crash(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let paused = driver.endpoint_in(&tenant, EndpointState::Paused).await;
    let parked = driver.endpoint(&tenant).await;
    driver.store().park(&parked.tenant, parked.id, driver.secs(600)).await.unwrap();
    driver.crash().await;
    driver.accept(&tenant, "evt", &[&paused, &parked]).await;
    assert!(driver.lease().await.is_empty());
    driver.pass(600);
    assert_eq!(driver.lease_only().await.endpoint.id, parked.id);
}

pub(super) async fn an_old_epochs_leases_are_given_back_at_once(driver: &mut Driver) {
    accepted(driver, &["a", "b"]).await;
    let old = driver.lease_up_to(1, 1).await.remove(0);
    let before = driver.show(&old).await;
    driver.claim().await;
    let own = driver.lease_only().await;
    driver.pass(1);
    assert_eq!(driver.recover().await, 1);
    check_given_back(driver, &old, &before).await;
    assert_eq!(driver.show(&own).await.state, DeliveryState::InFlight);
    assert_eq!(driver.settle(&old, replied(200), Next::Delivered).await, Settled::Stale);
    assert_eq!(driver.settle(&own, replied(200), Next::Delivered).await, Settled::Applied);
}

pub(super) async fn expired_leases_are_given_back(driver: &mut Driver) {
    accepted(driver, &["a", "b"]).await;
    let first = driver.lease_up_to(1, 1).await.remove(0);
    driver.pass(1);
    let second = driver.lease_only().await;
    let before = driver.show(&first).await;
    driver.pass(TTL.as_secs() as i64 - 2);
    assert_eq!(driver.recover().await, 0);
    driver.pass(1);
    assert_eq!(driver.recover().await, 1);
    check_given_back(driver, &first, &before).await;
    assert_eq!(driver.show(&second).await.state, DeliveryState::InFlight);
}

pub(super) async fn recovery_ends_what_belongs_to_a_closed_endpoint(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let [disabled, deleted, paused] =
        [driver.endpoint(&tenant).await, driver.endpoint(&tenant).await, driver.endpoint(&tenant).await];
    driver.accept(&tenant, "evt", &[&disabled, &deleted, &paused]).await;
    let leases = driver.lease().await;
    driver.turn(&disabled, EndpointState::Disabled).await;
    driver.delete(&deleted).await;
    driver.turn(&paused, EndpointState::Paused).await;
    driver.crash().await;
    for lease in &leases {
        assert_eq!(driver.show(lease).await.state, DeliveryState::InFlight);
    }
    assert_eq!(driver.recover().await, 3);
    let now = driver.now();
    for lease in &leases {
        let shown = driver.show(lease).await;
        let expected = match lease.endpoint.id {
            id if id == disabled.id => (DeliveryState::Skipped, None, Some(now)),
            id if id == deleted.id => (DeliveryState::Cancelled, None, Some(now)),
            _ => (DeliveryState::Held, Some(now), None),
        };
        assert_eq!((shown.state, shown.due_at, shown.completed_at), expected);
        assert_eq!((shown.attempts, shown.failures), (1, 0));
    }
    assert!(driver.lease().await.is_empty());
}

pub(super) async fn an_older_leases_settlement_counts_until_recovery(driver: &mut Driver) {
    accepted(driver, &["a"]).await;
    let lease = driver.lease_only().await;
    driver.pass(TTL.as_secs() as i64 + 1);
    driver.claim().await;
    assert_eq!(driver.settle(&lease, replied(200), Next::Delivered).await, Settled::Applied);
    assert_eq!(driver.show(&lease).await.state, DeliveryState::Delivered);
    assert_eq!(driver.recover().await, 0);
}

/// Leases a delivery, and lets another hold of its partition follow after a release.
async fn handed_over(driver: &mut Driver, spare: i64) -> (Lease, Delivery) {
    accepted(driver, &["a"]).await;
    let lease = driver.lease_only().await;
    let before = driver.show(&lease).await;
    driver.release(driver.secs(spare)).await;
    driver.claim().await;
    (lease, before)
}

pub(super) async fn what_a_released_epoch_leased_is_spared_until_its_time(driver: &mut Driver) {
    let (lease, before) = handed_over(driver, 10).await;
    assert_eq!(driver.recover().await, 0);
    assert_eq!(driver.show(&lease).await, before);
    assert!(driver.lease().await.is_empty(), "nobody else gets it");
    driver.pass(9);
    assert_eq!(driver.recover().await, 0);
    driver.pass(1);
    assert_eq!(driver.show(&lease).await, before, "it waits for a recovery");
    assert_eq!(driver.recover().await, 1);
    check_given_back(driver, &lease, &before).await;
    assert_eq!(driver.recover().await, 0);
    let again = driver.lease_only().await;
    assert_eq!((again.delivery, again.failures), (lease.delivery, lease.failures));
    assert_eq!(driver.settle(&again, replied(200), Next::Delivered).await, Settled::Applied);
}

pub(super) async fn what_is_spared_can_be_settled(driver: &mut Driver) {
    let (lease, _) = handed_over(driver, 10).await;
    assert_eq!(driver.recover().await, 0);
    driver.pass(5);
    let at = driver.secs(2);
    assert_eq!(driver.settle(&lease, replied(500), Next::Retry { at }).await, Settled::Applied);
    driver.pass(2);
    let retried = driver.lease_only().await;
    assert_eq!((retried.attempt, retried.failures), (2, 1));
    assert!(retried.id.epoch > lease.id.epoch);
    driver.pass(10);
    assert_eq!(driver.recover().await, 0, "what is over is not given back, and this one is the new owner's");
    assert_eq!(driver.settle(&retried, replied(200), Next::Delivered).await, Settled::Applied);
}

pub(super) async fn releasing_again_moves_the_time(driver: &mut Driver) {
    let before = driver.epochs().to_vec();
    let (lease, shown) = handed_over(driver, 5).await;
    driver.pass(4);
    driver.release_as(before.clone(), driver.secs(5)).await;
    driver.pass(4);
    assert_eq!(driver.recover().await, 0, "it is later now");
    driver.release_as(before, driver.now()).await;
    assert_eq!(driver.recover().await, 1, "it is over now");
    check_given_back(driver, &lease, &shown).await;
}

pub(super) async fn every_released_epoch_has_its_own_time(driver: &mut Driver) {
    accepted(driver, &["a", "b", "c"]).await;
    let mut leases = Vec::new();
    for spare in [30, 10, 20] {
        leases.extend(driver.lease_up_to(1, 1).await);
        driver.release(driver.secs(spare)).await;
        driver.claim().await;
        assert_eq!(driver.recover().await, 0);
    }
    for over in [1, 2, 0] {
        driver.pass(9);
        assert_eq!(driver.recover().await, 0);
        driver.pass(1);
        let before = driver.show(&leases[over]).await;
        assert_eq!(driver.recover().await, 1);
        check_given_back(driver, &leases[over], &before).await;
    }
}

pub(super) async fn what_was_not_released_is_not_spared(driver: &mut Driver) {
    accepted(driver, &["a", "b"]).await;
    let spared = driver.lease_up_to(1, 1).await.remove(0);
    driver.release(driver.secs(30)).await;
    driver.claim().await;
    let lost = driver.lease_only().await;
    let before = driver.show(&lost).await;
    driver.claim().await;
    assert_eq!(driver.recover().await, 1);
    check_given_back(driver, &lost, &before).await;
    assert_eq!(driver.show(&spared).await.state, DeliveryState::InFlight);
    assert_eq!(driver.settle(&spared, replied(200), Next::Delivered).await, Settled::Applied);
}
