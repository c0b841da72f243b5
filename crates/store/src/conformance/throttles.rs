use posthaste_model::{DeliveryState, Endpoint, Timestamp};

use super::{
    Driver,
    turns::{count, flood},
};
use crate::{Leases, Throttle};

fn throttle(endpoint: &Endpoint, until: Option<Timestamp>, at_most: Option<usize>) -> Throttle {
    Throttle { tenant: endpoint.tenant.clone(), endpoint: endpoint.id, until, at_most }
}

/// Leases everything that is due after some throttles are said.
async fn lease_after(driver: &mut Driver, throttles: &[Throttle]) -> Leases {
    driver.lease_with(|ask| ask.throttles = throttles.to_vec()).await
}

/// Makes a tenant with one endpoint that has so many deliveries.
async fn flooded(driver: &mut Driver, deliveries: usize) -> Endpoint {
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    flood(driver, &endpoint, deliveries).await;
    endpoint
}

pub(super) async fn a_throttled_endpoint_gets_no_turn_before_its_time(driver: &mut Driver) {
    let throttled = flooded(driver, 2).await;
    let free = driver.endpoint(&throttled.tenant).await;
    flood(driver, &free, 1).await;
    let until = driver.secs(10);
    let given = lease_after(driver, &[throttle(&throttled, Some(until), None)]).await;
    assert_eq!((count(&given.leases, &throttled), count(&given.leases, &free)), (0, 1), "it counts at once");
    assert_eq!(given.next_due, Some(until));
    // Nothing of it is to be seen.
    assert_eq!(driver.reread(&throttled).await, throttled);
    let shown = driver.shown(&throttled.tenant).await;
    let waiting = shown.deliveries.iter().filter(|(delivery, _)| delivery.endpoint == throttled.id);
    for (delivery, _) in waiting {
        assert_eq!((delivery.state, delivery.due_at), (DeliveryState::Scheduled, Some(driver.now())));
    }
    driver.pass(9);
    flood(driver, &throttled, 1).await;
    let given = driver.lease_until_due(100, 100).await;
    assert!(given.leases.is_empty() && given.next_due == Some(until), "{given:?}");
    driver.pass(1);
    assert_eq!(driver.lease().await.len(), 3);
}

pub(super) async fn a_throttle_bounds_what_a_call_gives(driver: &mut Driver) {
    let endpoint = flooded(driver, 6).await;
    let given = lease_after(driver, &[throttle(&endpoint, None, Some(2))]).await;
    assert_eq!(given.leases.len(), 2);
    assert!(given.next_due.is_some_and(|due| due <= driver.now()), "{:?}", given.next_due);
    driver.pass(3_600);
    assert_eq!(driver.lease().await.len(), 2, "it counts in later calls, too");
    assert_eq!(driver.lease_up_to(100, 1).await.len(), 1, "the caller's bound is there as well");
    assert_eq!(driver.lease().await.len(), 1);
    let given = driver.lease_until_due(100, 100).await;
    assert!(given.leases.is_empty() && given.next_due.is_none(), "{given:?}");
}

pub(super) async fn a_throttle_counts_until_another_is_given(driver: &mut Driver) {
    let endpoint = flooded(driver, 9).await;
    let until = driver.secs(10);
    assert!(lease_after(driver, &[throttle(&endpoint, Some(until), Some(1))]).await.leases.is_empty());
    let sooner = driver.secs(1);
    let given = lease_after(driver, &[throttle(&endpoint, Some(sooner), Some(1))]).await;
    assert_eq!(given.next_due, Some(sooner), "the last one counts, not the longest");
    driver.pass(1);
    assert_eq!(driver.lease().await.len(), 1);
    assert_eq!(lease_after(driver, &[throttle(&endpoint, None, Some(3))]).await.leases.len(), 3);
    let until = driver.secs(10);
    assert!(lease_after(driver, &[throttle(&endpoint, Some(until), None)]).await.leases.is_empty());
    // With neither bound it lifts the one before.
    assert_eq!(lease_after(driver, &[throttle(&endpoint, None, None)]).await.leases.len(), 5);
}

pub(super) async fn a_newer_owners_recovery_lifts_throttles(driver: &mut Driver) {
    let endpoint = flooded(driver, 3).await;
    let until = driver.secs(3_600);
    assert!(lease_after(driver, &[throttle(&endpoint, Some(until), None)]).await.leases.is_empty());
    driver.recover().await;
    assert!(driver.lease().await.is_empty(), "its own owner's recovery leaves it");
    driver.claim().await;
    assert!(driver.lease().await.is_empty(), "a new owner has not recovered yet");
    driver.recover().await;
    assert_eq!(lease_after(driver, &[throttle(&endpoint, None, Some(1))]).await.leases.len(), 1);
    driver.recover().await;
    assert_eq!(driver.lease().await.len(), 1, "what the new owner said itself stays");
    driver.crash().await;
    driver.recover().await;
    assert_eq!(driver.lease().await.len(), 3);
}

pub(super) async fn a_throttle_for_no_endpoint_is_nothing(driver: &mut Driver) {
    let endpoint = flooded(driver, 1).await;
    let other = driver.tenant("other").await;
    let deleted = driver.endpoint(&endpoint.tenant).await;
    driver.delete(&deleted).await;
    let until = Some(driver.secs(10));
    let foreign = Throttle { tenant: other, ..throttle(&endpoint, until, None) };
    let given = lease_after(driver, &[throttle(&deleted, until, None), foreign]).await;
    assert_eq!(given.leases.len(), 1);
}

pub(super) async fn a_throttle_and_a_pause_are_both_kept(driver: &mut Driver) {
    let endpoint = flooded(driver, 1).await;
    let (sooner, later) = (driver.secs(10), driver.secs(20));
    driver.store().park(&endpoint.tenant, endpoint.id, sooner).await.unwrap();
    let given = lease_after(driver, &[throttle(&endpoint, Some(later), None)]).await;
    assert!(given.leases.is_empty() && given.next_due == Some(later), "{given:?}");
    assert_eq!(driver.reread(&endpoint).await.parked_until, Some(sooner));
    let given = lease_after(driver, &[throttle(&endpoint, None, None)]).await;
    assert!(given.leases.is_empty() && given.next_due == Some(sooner), "{given:?}");
    driver.pass(10);
    assert_eq!(driver.lease().await.len(), 1);
}

pub(super) async fn a_change_of_the_endpoint_lifts_its_throttle(driver: &mut Driver) {
    let endpoint = flooded(driver, 4).await;
    let until = driver.secs(10);
    lease_after(driver, &[throttle(&endpoint, Some(until), Some(1))]).await;
    assert!(driver.lease().await.is_empty());
    driver.change(&endpoint, |endpoint| endpoint.description = "mended".into()).await;
    assert_eq!(driver.lease().await.len(), 4);
}
