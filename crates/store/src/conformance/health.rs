use posthaste_model::{DeliveryState, Endpoint, EndpointState, Health, HealthEffect, Next};

use super::{Driver, TTL, disable, fares, park, replied};
use crate::{Lease, Settled, Told};

fn failed(exhausted: bool, warning: Option<u8>) -> HealthEffect {
    HealthEffect::Failed { exhausted, warning }
}

/// Makes a tenant with an endpoint, and leases so many events of it.
async fn leased(driver: &mut Driver, count: usize) -> (Endpoint, Vec<Lease>) {
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    for n in 0..count {
        driver.accept(&tenant, &format!("evt-{n}"), &[&endpoint]).await;
    }
    (endpoint, driver.lease().await)
}

/// Lets an attempt of a lease end, with what that says of the endpoint.
async fn settle(driver: &mut Driver, lease: &Lease, effect: HealthEffect) {
    let (status, next) = match effect {
        HealthEffect::Well => (200, Next::Delivered),
        HealthEffect::Failed { exhausted: true, .. } => (500, Next::Exhausted),
        HealthEffect::Failed { .. } => (500, Next::Retry { at: driver.secs(3_600) }),
    };
    assert_eq!(driver.settle_with(lease, replied(status), next, fares(effect)).await, Settled::Applied);
}

async fn health(driver: &Driver, endpoint: &Endpoint) -> Health {
    driver.reread(endpoint).await.health
}

pub(super) async fn failures_are_counted_from_the_first_on(driver: &mut Driver) {
    let (endpoint, leases) = leased(driver, 4).await;
    assert_eq!(health(driver, &endpoint).await, Health::default());
    driver.pass(1);
    let since = driver.now();
    for (lease, exhausted, expected) in [
        (&leases[0], false, (1, 0)),
        (&leases[1], true, (2, 1)),
        (&leases[2], false, (3, 1)),
        (&leases[3], true, (4, 2)),
    ] {
        settle(driver, lease, failed(exhausted, None)).await;
        let (failures, exhausted) = expected;
        let expected = Health { failing_since: Some(since), failures, exhausted, warned: 0 };
        assert_eq!(health(driver, &endpoint).await, expected);
        driver.pass(1);
    }
    let before = driver.reread(&endpoint).await;
    driver.crash().await;
    assert_eq!(driver.reread(&endpoint).await, before, "after a crash");
}

pub(super) async fn failures_of_one_call_add_up(driver: &mut Driver) {
    let (endpoint, leases) = leased(driver, 3).await;
    let mut settlements = Vec::new();
    for (lease, warning) in leases.iter().zip([None, Some(70), Some(50)]) {
        let mut settlement = driver.settlement(lease, replied(500), Next::Exhausted);
        settlement.decision.endpoint = fares(failed(true, warning));
        settlements.push(settlement);
    }
    driver.settle_all(settlements).await;
    let expected = Health { failing_since: Some(driver.now()), failures: 3, exhausted: 3, warned: 70 };
    assert_eq!(health(driver, &endpoint).await, expected);
}

pub(super) async fn a_success_ends_what_was_noted(driver: &mut Driver) {
    let (endpoint, leases) = leased(driver, 4).await;
    settle(driver, &leases[0], failed(true, Some(50))).await;
    settle(driver, &leases[1], HealthEffect::Well).await;
    assert_eq!(health(driver, &endpoint).await, Health::default());
    settle(driver, &leases[2], HealthEffect::Well).await;
    assert_eq!(health(driver, &endpoint).await, Health::default());
    driver.pass(5);
    settle(driver, &leases[3], failed(false, None)).await;
    let expected = Health { failing_since: Some(driver.now()), failures: 1, ..Health::default() };
    assert_eq!(health(driver, &endpoint).await, expected);
}

pub(super) async fn what_says_nothing_of_it_leaves_health(driver: &mut Driver) {
    let (endpoint, leases) = leased(driver, 3).await;
    settle(driver, &leases[0], failed(false, None)).await;
    let before = health(driver, &endpoint).await;
    driver.settle(&leases[1], replied(200), Next::Delivered).await;
    driver.settle(&leases[2], replied(500), Next::Exhausted).await;
    assert_eq!(health(driver, &endpoint).await, before);
}

pub(super) async fn warnings_only_grow(driver: &mut Driver) {
    let (endpoint, leases) = leased(driver, 6).await;
    for (lease, warning, warned) in [
        (&leases[0], None, 0),
        (&leases[1], Some(50), 50),
        (&leases[2], Some(50), 50),
        (&leases[3], Some(90), 90),
        (&leases[4], Some(70), 90),
        (&leases[5], None, 90),
    ] {
        settle(driver, lease, failed(false, warning)).await;
        assert_eq!(health(driver, &endpoint).await.warned, warned, "{warning:?}");
    }
}

pub(super) async fn a_lease_shows_the_health_of_its_endpoint(driver: &mut Driver) {
    let (endpoint, leases) = leased(driver, 1).await;
    assert_eq!(leases[0].endpoint.health, Health::default());
    settle(driver, &leases[0], failed(true, Some(50))).await;
    driver.accept(&endpoint.tenant, "next", &[&endpoint]).await;
    assert_eq!(*driver.lease_only().await.endpoint, driver.reread(&endpoint).await);
}

pub(super) async fn a_stale_settlement_counts_nothing(driver: &mut Driver) {
    let (endpoint, leases) = leased(driver, 1).await;
    driver.pass(TTL.as_secs() as i64);
    assert_eq!(driver.recover().await, 1);
    let late = failed(true, Some(50));
    let settled = driver.settle_with(&leases[0], replied(500), Next::Exhausted, fares(late)).await;
    assert_eq!(settled, Settled::Stale);
    assert_eq!(health(driver, &endpoint).await, Health::default());
    // Nor does one that is told twice count twice.
    let again = driver.lease_only().await;
    let mut settlement = driver.settlement(&again, replied(500), Next::Exhausted);
    settlement.decision.endpoint = fares(late);
    driver.settle_all(vec![settlement.clone(), settlement]).await;
    assert_eq!(health(driver, &endpoint).await.failures, 1);
}

pub(super) async fn a_new_url_or_state_makes_an_endpoint_well(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    for (n, (url, state, well)) in [
        (false, EndpointState::Enabled, false),
        (true, EndpointState::Enabled, true),
        (false, EndpointState::Paused, true),
        (false, EndpointState::Disabled, true),
    ]
    .into_iter()
    .enumerate()
    {
        let endpoint = driver.endpoint(&tenant).await;
        driver.accept(&tenant, &format!("evt-{n}"), &[&endpoint]).await;
        let lease = driver.lease_only().await;
        settle(driver, &lease, failed(true, Some(50))).await;
        let before = health(driver, &endpoint).await;
        let stands = driver
            .change(&endpoint, |endpoint| {
                endpoint.description = "changed".into();
                // It is the store's own.
                endpoint.health = Health { failures: 99, ..Health::default() };
                endpoint.state = state;
                if url {
                    endpoint.url = "https://elsewhere.example/".into();
                }
            })
            .await;
        assert_eq!(stands.health, if well { Health::default() } else { before }, "{n}");
        assert_eq!(driver.reread(&endpoint).await, stands, "{n}");
        driver.crash().await;
        assert_eq!(driver.reread(&endpoint).await, stands, "{n}, after a crash");
    }
    assert!(driver.notices().await.iter().all(|notice| notice.number > 0));
}

pub(super) async fn what_is_noted_of_its_health_is_no_change_of_an_endpoint(driver: &mut Driver) {
    let (endpoint, leases) = leased(driver, 2).await;
    let view = driver.store().view(&endpoint.tenant).await.unwrap();
    driver.pass(1);
    settle(driver, &leases[0], failed(false, Some(50))).await;
    let shown = driver.reread(&endpoint).await;
    assert_eq!(Endpoint { health: Health::default(), ..shown }, endpoint, "its version and its time stay");
    driver.accept(&endpoint.tenant, "next", &[]).await;
    settle(driver, &leases[1], HealthEffect::Well).await;
    assert_eq!(driver.store().view(&endpoint.tenant).await.unwrap().version, view.version);
}

pub(super) async fn a_deleted_endpoint_has_no_health(driver: &mut Driver) {
    let (endpoint, leases) = leased(driver, 2).await;
    driver.delete(&endpoint).await;
    settle(driver, &leases[0], failed(true, Some(50))).await;
    settle(driver, &leases[1], HealthEffect::Well).await;
    assert_eq!(driver.show(&leases[0]).await.state, DeliveryState::Exhausted);
    assert_eq!(driver.show(&leases[1]).await.state, DeliveryState::Delivered);
}

pub(super) async fn what_an_attempt_says_of_a_changed_endpoint_is_old(driver: &mut Driver) {
    let (endpoint, leases) = leased(driver, 3).await;
    let mended =
        driver.change(&endpoint, |endpoint| endpoint.url = "https://elsewhere.example/".into()).await;
    settle(driver, &leases[0], failed(true, Some(50))).await;
    for (lease, effects) in [(1, park(driver.secs(60))), (2, disable("gone"))] {
        let mut settlement = driver.settlement(&leases[lease], replied(500), Next::Exhausted);
        settlement.decision.endpoint = effects;
        assert_eq!(driver.settle_as(settlement).await, Settled::Applied);
    }
    assert_eq!(driver.reread(&endpoint).await, mended);
    let told = driver.notices().await;
    assert!(told.iter().all(|notice| matches!(notice.told, Told::Exhausted { .. })), "{told:?}");
}
