use posthaste_model::{DeliveryState, EndpointState, Next};

use super::{Driver, park, replied};

pub(super) async fn a_parked_endpoint_waits_for_its_time(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let (parked, free) = (driver.endpoint(&tenant).await, driver.endpoint(&tenant).await);
    driver.accept(&tenant, "evt", &[&parked, &free]).await;
    let until = driver.secs(10);
    driver.store().park(&parked.tenant, parked.id, until).await.unwrap();
    assert_eq!(driver.reread(&parked).await.parked_until, Some(until));
    assert_eq!(driver.lease_only().await.endpoint.id, free.id);
    // Parked is not held: its deliveries stay due as they were.
    let waiting = driver.deliveries_of(&tenant, "evt").await;
    let waiting = waiting.iter().find(|delivery| delivery.endpoint == parked.id).unwrap();
    assert_eq!((waiting.state, waiting.due_at), (DeliveryState::Scheduled, Some(driver.now())));
    driver.pass(9);
    driver.accept(&tenant, "evt-2", &[&parked]).await;
    assert!(driver.lease().await.is_empty());
    driver.pass(1);
    assert_eq!(driver.lease().await.len(), 2);
}

pub(super) async fn a_shorter_pause_does_not_shorten_a_longer(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    driver.accept(&tenant, "a", &[&endpoint]).await;
    driver.accept(&tenant, "b", &[&endpoint]).await;
    let leases = driver.lease().await;
    let (until, shorter, at) = (driver.secs(20), driver.secs(5), driver.now());
    driver.store().park(&endpoint.tenant, endpoint.id, until).await.unwrap();
    driver.store().park(&endpoint.tenant, endpoint.id, shorter).await.unwrap();
    let retry = Next::Retry { at };
    driver.settle_with(&leases[0], replied(429), retry, park(shorter)).await;
    assert_eq!(driver.reread(&endpoint).await.parked_until, Some(until));
    driver.pass(19);
    assert!(driver.lease().await.is_empty());
    let longer = driver.secs(10);
    driver.settle_with(&leases[1], replied(429), retry, park(longer)).await;
    driver.pass(9);
    assert!(driver.lease().await.is_empty());
    driver.pass(1);
    assert_eq!(driver.lease().await.len(), 2);
}

pub(super) async fn a_pause_may_come_with_a_settlement(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    driver.accept(&tenant, "a", &[&endpoint]).await;
    driver.accept(&tenant, "b", &[&endpoint]).await;
    let lease = driver.lease_up_to(1, 1).await.remove(0);
    let until = driver.secs(120);
    driver.settle_with(&lease, replied(200), Next::Delivered, park(until)).await;
    assert_eq!(driver.show(&lease).await.state, DeliveryState::Delivered);
    assert_eq!(driver.reread(&endpoint).await.parked_until, Some(until));
    driver.crash().await;
    assert!(driver.lease().await.is_empty(), "a pause outlives a crash");
    driver.pass(60);
    assert_eq!(driver.lease_only().await.event.id.as_str(), "b");
}

pub(super) async fn a_new_url_or_state_lifts_a_pause(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    for (n, lifts, url, states) in [
        (1, false, None, &[][..]),
        (2, true, Some("https://elsewhere.example/"), &[]),
        (3, true, None, &[EndpointState::Paused, EndpointState::Enabled]),
        (4, true, None, &[EndpointState::Disabled, EndpointState::Enabled]),
    ] {
        driver.pass(3_600);
        let until = driver.secs(60);
        driver.store().park(&endpoint.tenant, endpoint.id, until).await.unwrap();
        let mut stands = driver
            .change(&endpoint, |endpoint| {
                endpoint.description = n.to_string();
                endpoint.url = url.map_or(endpoint.url.clone(), String::from);
            })
            .await;
        for state in states {
            stands = driver.turn(&endpoint, *state).await;
        }
        assert_eq!(stands.parked_until, Some(until).filter(|_| !lifts), "{n}");
        assert_eq!(driver.reread(&endpoint).await, stands, "{n}");
        driver.accept(&tenant, &format!("evt-{n}"), &[&endpoint]).await;
        assert_eq!(driver.lease().await.len(), usize::from(lifts), "{n}");
        driver.pass(60);
        assert_eq!(driver.lease().await.len(), usize::from(!lifts), "{n}");
    }
}

pub(super) async fn a_parked_endpoint_is_leased_as_it_is_shown(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    driver.accept(&tenant, "a", &[&endpoint]).await;
    let lease = driver.lease_only().await;
    let (at, until) = (driver.now(), driver.secs(10));
    driver.settle_with(&lease, replied(429), Next::Retry { at }, park(until)).await;
    driver.pass(10);
    let shown = driver.reread(&endpoint).await;
    assert_eq!(shown.parked_until, Some(until));
    assert_eq!(*driver.lease_only().await.endpoint, shown);
}
