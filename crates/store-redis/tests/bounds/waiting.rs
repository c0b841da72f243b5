//! More endpoints than are looked at in one go to count what waits.

use posthaste_model::{EndpointState, Next};
use posthaste_store::{Backlog, Scope, conformance::replied};

use crate::{Alone, accept, crowd};

#[tokio::test]
async fn every_endpoint_is_counted() {
    let mut driver = Alone::new().driver().await;
    let begun = driver.now();
    let mut first = Vec::new();
    // Tenants that end within a call, with it, and beyond it; and some without endpoints.
    for (tenant, count) in [("none", 0), ("some", 499), ("one", 1), ("many", 600), ("nobody", 0), ("last", 3)]
    {
        let tenant = driver.tenant(tenant).await;
        if count > 0 {
            first.push(crowd(&mut driver, &tenant, count).await.remove(0));
        }
        driver.pass(1);
        let of_it = driver.store().backlog(Scope::Tenant(tenant), driver.now()).await.unwrap();
        assert_eq!((of_it.open, of_it.in_flight), (count as u64, 0));
    }
    let all = |open, in_flight, oldest_due| Backlog { open, more: false, in_flight, oldest_due };
    let count = driver.store().backlog(Scope::All, driver.now()).await.unwrap();
    assert_eq!(count, all(1_103, 0, Some(begun + std::time::Duration::from_secs(1))));
    driver.turn(&first[0], EndpointState::Paused).await;
    assert_eq!(driver.lease_up_to(10, 1).await.len(), 10);
    let count = driver.store().backlog(Scope::All, driver.now()).await.unwrap();
    assert_eq!((count.open, count.in_flight), (1_103, 10));
}

#[tokio::test]
async fn counting_ends_somewhere() {
    let mut driver = Alone::new().driver().await;
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    for n in 0..11 {
        accept(&mut driver, &endpoint, n * 1_000..(n + 1) * 1_000).await;
    }
    let of_it = Scope::Endpoint(tenant.clone(), endpoint.id);
    for of in [Scope::All, Scope::Tenant(tenant), of_it] {
        let count = driver.store().backlog(of, driver.now()).await.unwrap();
        assert_eq!((count.open, count.more), (Backlog::MOST, true));
    }
}

#[tokio::test]
async fn endpoints_in_order_are_counted_in_several_calls() {
    const COUNT: usize = 400;
    let mut driver = Alone::new().driver().await;
    let tenant = driver.tenant("acme").await;
    let mut crowd = Vec::new();
    for _ in 0..COUNT {
        crowd.push(driver.endpoint_with(&tenant, |endpoint| endpoint.ordered = true).await);
    }
    let crowd: Vec<_> = crowd.iter().collect();
    let begun = driver.now();
    for n in 0..20 {
        driver.accept(&tenant, &format!("for-all-{n}"), &crowd).await;
        driver.pass(1);
    }
    // The first of the queue is due last.
    let lease = driver.lease_up_to(1, 1).await.remove(0);
    driver.settle(&lease, replied(500), Next::Retry { at: driver.secs(600) }).await;
    for of in [Scope::All, Scope::Tenant(tenant.clone())] {
        let count = driver.store().backlog(of, driver.now()).await.unwrap();
        assert_eq!((count.open, count.oldest_due), (8_000, Some(begun)));
    }
    let of_one = Scope::Endpoint(tenant, lease.endpoint.id);
    let count = driver.store().backlog(of_one, driver.now()).await.unwrap();
    assert_eq!((count.open, count.oldest_due), (20, Some(begun + std::time::Duration::from_secs(1))));
}
