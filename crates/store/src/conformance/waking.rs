use std::{
    pin::pin,
    task::{Context, Poll, Waker},
};

use posthaste_model::{EndpointState, Next};

use super::{Driver, replied};
use crate::Store;

/// Forgets what the store may still have to tell.
async fn quiet(store: &dyn Store, driver: &Driver) {
    for &(partition, _) in driver.epochs() {
        while pin!(store.woken(partition)).poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(()) {}
    }
}

/// Waits until the store wakes the owner of any partition.
async fn woken(driver: &Driver) {
    let mut waiting: Vec<_> =
        driver.epochs().iter().map(|&(partition, _)| driver.store().woken(partition)).collect();
    std::future::poll_fn(|context| {
        let woken = waiting.iter_mut().any(|one| one.as_mut().poll(context).is_ready());
        if woken { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// The test's time limit is what fails it when the store stays silent.
pub(super) async fn whatever_makes_deliveries_due_wakes(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    quiet(driver.store(), driver).await;

    driver.accept(&tenant, "a", &[&endpoint]).await;
    woken(driver).await;

    let lease = driver.lease_only().await;
    let at = driver.now();
    driver.settle(&lease, replied(500), Next::Retry { at }).await;
    woken(driver).await;

    let lease = driver.lease_only().await;
    let release = driver.unattempted(&lease, Next::Release { at });
    driver.settle_as(release).await;
    woken(driver).await;

    driver.lease_only().await;
    driver.claim().await;
    assert_eq!(driver.recover().await, 1);
    woken(driver).await;

    driver.turn(&endpoint, EndpointState::Paused).await;
    quiet(driver.store(), driver).await;
    driver.turn(&endpoint, EndpointState::Enabled).await;
    woken(driver).await;

    driver.store().park(&endpoint.tenant, endpoint.id, driver.secs(60)).await.unwrap();
    quiet(driver.store(), driver).await;
    driver.change(&endpoint, |endpoint| endpoint.url = "https://elsewhere.example/".into()).await;
    woken(driver).await;
    assert_eq!(driver.lease().await.len(), 1);
}

pub(super) async fn whatever_is_done_by_hand_wakes(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    driver.accept(&tenant, "evt", &[]).await;
    quiet(driver.store(), driver).await;

    driver.send("evt", &endpoint).await.unwrap();
    woken(driver).await;

    let lease = driver.lease_only().await;
    let delivery = driver.show(&lease).await;
    quiet(driver.store(), driver).await;
    driver.ask(&delivery, false).await.unwrap();
    woken(driver).await;
    assert!(driver.lease_only().await.manual);

    driver.settle(&lease, replied(500), Next::Exhausted).await;
    quiet(driver.store(), driver).await;
    driver.reopen(&delivery).await;
    woken(driver).await;
    assert_eq!(driver.lease_only().await.delivery, delivery.id);
}

/// The next of an ordered endpoint is due when the one before it is over, however it ended.
pub(super) async fn the_end_of_one_wakes_for_the_next_in_order(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint_with(&tenant, |endpoint| endpoint.ordered = true).await;
    for event in ["delivered", "exhausted", "cancelled", "by_hand", "waits", "last"] {
        driver.accept(&tenant, event, &[&endpoint]).await;
    }
    for (event, next) in [("delivered", Next::Delivered), ("exhausted", Next::Exhausted)] {
        let lease = driver.lease_only().await;
        assert_eq!(lease.event.id.as_str(), event);
        quiet(driver.store(), driver).await;
        driver.settle(&lease, replied(if next == Next::Delivered { 200 } else { 500 }), next).await;
        woken(driver).await;
    }
    let lease = driver.lease_only().await;
    let delivery = driver.show(&lease).await;
    quiet(driver.store(), driver).await;
    driver.cancel(&delivery).await.unwrap();
    woken(driver).await;

    let lease = driver.lease_only().await;
    let delivery = driver.show(&lease).await;
    driver.ask(&delivery, false).await.unwrap();
    let manual = driver.lease_only().await;
    quiet(driver.store(), driver).await;
    driver.settle(&manual, replied(200), Next::Delivered).await;
    woken(driver).await;

    let lease = driver.lease_only().await;
    let at = driver.secs(600);
    driver.settle(&lease, replied(500), Next::Retry { at }).await;
    let waits = driver.show(&lease).await;
    assert!(driver.lease().await.is_empty());
    quiet(driver.store(), driver).await;
    driver.cancel(&waits).await.unwrap();
    woken(driver).await;
    assert_eq!(driver.lease_only().await.event.id.as_str(), "last");
}
