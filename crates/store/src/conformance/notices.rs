use std::time::Duration;

use posthaste_model::{Endpoint, EndpointEffects, EndpointState, HealthEffect, Next};

use super::{Driver, TTL, disable, fares, replied};
use crate::{Lease, Notice, Partition, Settled, Told};

/// Makes a tenant with an endpoint, and leases so many events of it.
async fn leased(driver: &mut Driver, count: usize) -> (Endpoint, Vec<Lease>) {
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    for n in 0..count {
        driver.accept(&tenant, &format!("evt-{n}"), &[&endpoint]).await;
    }
    (endpoint, driver.lease().await)
}

fn failed(warning: Option<u8>) -> EndpointEffects {
    fares(HealthEffect::Failed { exhausted: false, warning })
}

async fn settle(driver: &mut Driver, lease: &Lease, next: Next, effects: EndpointEffects) {
    let status = if next == Next::Delivered { 200 } else { 500 };
    driver.settle_with(lease, replied(status), next, effects).await;
}

/// What is told of an endpoint, in the order in which it is.
async fn told(driver: &Driver, endpoint: &Endpoint) -> Vec<Told> {
    let notices = driver.notices().await;
    for notice in &notices {
        assert_eq!((&notice.tenant, notice.endpoint), (&endpoint.tenant, endpoint.id), "{notice:?}");
    }
    assert!(notices.is_sorted_by(|one, next| one.number < next.number), "{notices:?}");
    notices.into_iter().map(|notice| notice.told).collect()
}

/// The partition whose notices there are.
async fn partition(driver: &Driver) -> Partition {
    for &(partition, _) in driver.epochs() {
        if !driver.store().notices(partition, 1).await.unwrap().is_empty() {
            return partition;
        }
    }
    panic!("there are no notices");
}

pub(super) async fn everything_that_operators_are_to_be_told(driver: &mut Driver) {
    let (endpoint, leases) = leased(driver, 5).await;
    let again = Next::Retry { at: driver.secs(3_600) };
    let since = driver.now();
    settle(driver, &leases[0], again, failed(None)).await;
    assert_eq!(driver.notices().await, []);
    driver.pass(1);
    settle(driver, &leases[1], again, failed(Some(50))).await;
    let failing = Told::Failing { since, percent: 50 };
    assert_eq!(told(driver, &endpoint).await, std::slice::from_ref(&failing));
    assert_eq!(driver.notices().await[0].at, driver.now());
    driver.pass(1);
    settle(driver, &leases[2], Next::Delivered, fares(HealthEffect::Well)).await;
    let recovered = Told::Recovered { failing_since: since };
    assert_eq!(told(driver, &endpoint).await, [failing.clone(), recovered.clone()]);
    driver.pass(1);
    settle(driver, &leases[3], Next::Exhausted, EndpointEffects::default()).await;
    let exhausted = Told::Exhausted { delivery: leases[3].delivery };
    driver.pass(1);
    settle(driver, &leases[4], Next::Skipped, disable("it answered 410")).await;
    let disabled = Told::Disabled { reason: "it answered 410".into() };
    assert_eq!(told(driver, &endpoint).await, [failing, recovered, exhausted, disabled]);
    let before = driver.notices().await;
    let times: Vec<_> = before.iter().map(|notice| notice.at).collect();
    assert_eq!(times, [1, 2, 3, 4].map(|secs| since + Duration::from_secs(secs)));
    driver.crash().await;
    assert_eq!(driver.notices().await, before, "after a crash");
}

pub(super) async fn a_settlement_may_leave_several_notices(driver: &mut Driver) {
    let (endpoint, leases) = leased(driver, 1).await;
    let effects = EndpointEffects {
        health: Some(HealthEffect::Failed { exhausted: true, warning: Some(90) }),
        ..disable("it failed for too long")
    };
    settle(driver, &leases[0], Next::Exhausted, effects).await;
    let told = told(driver, &endpoint).await;
    let expected = [
        Told::Failing { since: driver.now(), percent: 90 },
        Told::Disabled { reason: "it failed for too long".into() },
        Told::Exhausted { delivery: leases[0].delivery },
    ];
    assert_eq!(told.len(), expected.len(), "{told:?}");
    assert!(expected.iter().all(|one| told.contains(one)), "{told:?}");
}

pub(super) async fn nothing_is_told_twice(driver: &mut Driver) {
    let (endpoint, leases) = leased(driver, 8).await;
    let again = Next::Retry { at: driver.secs(3_600) };
    let since = driver.now();
    let mut expected = Vec::new();
    for (lease, warning, is_told) in [
        (&leases[0], Some(50), true),
        (&leases[1], Some(50), false),
        (&leases[2], Some(70), true),
        (&leases[3], Some(50), false),
    ] {
        settle(driver, lease, again, failed(warning)).await;
        expected.extend(warning.filter(|_| is_told).map(|percent| Told::Failing { since, percent }));
        assert_eq!(told(driver, &endpoint).await, expected);
    }
    for lease in &leases[4..6] {
        settle(driver, lease, Next::Delivered, fares(HealthEffect::Well)).await;
    }
    expected.push(Told::Recovered { failing_since: since });
    assert_eq!(told(driver, &endpoint).await, expected);
    for lease in &leases[6..8] {
        settle(driver, lease, Next::Skipped, disable("gone")).await;
    }
    expected.push(Told::Disabled { reason: "gone".into() });
    assert_eq!(told(driver, &endpoint).await, expected);
}

pub(super) async fn what_is_no_news_leaves_no_notice(driver: &mut Driver) {
    let (endpoint, leases) = leased(driver, 6).await;
    let again = Next::Retry { at: driver.secs(3_600) };
    settle(driver, &leases[0], Next::Delivered, fares(HealthEffect::Well)).await;
    settle(driver, &leases[1], again, failed(None)).await;
    // It failed, but nobody was warned.
    settle(driver, &leases[2], Next::Delivered, fares(HealthEffect::Well)).await;
    settle(driver, &leases[3], Next::Skipped, EndpointEffects::default()).await;
    let shown = driver.show(&leases[4]).await;
    driver.cancel(&shown).await.unwrap();
    driver.pass(TTL.as_secs() as i64);
    assert_eq!(driver.recover().await, 1);
    // Both are stale.
    settle(driver, &leases[4], Next::Exhausted, failed(Some(50))).await;
    settle(driver, &leases[5], Next::Exhausted, disable("gone")).await;
    // An operator knows what it does.
    for state in [EndpointState::Disabled, EndpointState::Enabled, EndpointState::Paused] {
        driver.turn(&endpoint, state).await;
    }
    driver.delete(&endpoint).await;
    assert_eq!(driver.notices().await, []);
}

pub(super) async fn an_operators_change_ends_what_was_told(driver: &mut Driver) {
    let (endpoint, leases) = leased(driver, 2).await;
    settle(driver, &leases[0], Next::Exhausted, failed(Some(50))).await;
    let before = driver.notices().await;
    driver.change(&endpoint, |endpoint| endpoint.url = "https://elsewhere.example/".into()).await;
    settle(driver, &leases[1], Next::Delivered, fares(HealthEffect::Well)).await;
    assert_eq!(driver.notices().await, before, "it was well already");
}

pub(super) async fn a_settlement_that_is_repeated_leaves_no_second_notice(driver: &mut Driver) {
    let (_, leases) = leased(driver, 1).await;
    let mut settlement = driver.settlement(&leases[0], replied(500), Next::Exhausted);
    settlement.decision.endpoint = failed(Some(50));
    let settled = driver.settle_all(vec![settlement.clone(), settlement.clone()]).await;
    assert_eq!(settled, [Settled::Applied, Settled::Stale]);
    assert_eq!(driver.notices().await.len(), 2);
    driver.settle_as(settlement).await;
    assert_eq!(driver.notices().await.len(), 2);
}

pub(super) async fn notices_are_read_until_they_are_forgotten(driver: &mut Driver) {
    let (endpoint, leases) = leased(driver, 6).await;
    for lease in &leases[..4] {
        settle(driver, lease, Next::Exhausted, EndpointEffects::default()).await;
        driver.pass(1);
    }
    let all = driver.notices().await;
    let numbers = |notices: &[Notice]| notices.iter().map(|notice| notice.number).collect::<Vec<_>>();
    let exhausted: Vec<_> =
        leases[..4].iter().map(|lease| Told::Exhausted { delivery: lease.delivery }).collect();
    assert_eq!(told(driver, &endpoint).await, exhausted, "oldest first");
    let partition = partition(driver).await;
    assert_eq!(driver.store().notices(partition, 3).await.unwrap(), all[..3]);
    for _ in 0..2 {
        driver.store().forget_notices(partition, all[1].number).await.unwrap();
        assert_eq!(driver.notices().await, all[2..]);
    }
    driver.crash().await;
    assert_eq!(driver.notices().await, all[2..], "after a crash");
    driver.store().forget_notices(partition, all[3].number).await.unwrap();
    assert_eq!(driver.notices().await, []);
    // Numbers grow on, whatever was forgotten.
    settle(driver, &leases[4], Next::Exhausted, EndpointEffects::default()).await;
    let next = driver.notices().await;
    assert!(next[0].number > all[3].number, "{:?} after {:?}", numbers(&next), numbers(&all));
    driver.store().forget_notices(partition, next[0].number).await.unwrap();
    driver.crash().await;
    settle(driver, &leases[5], Next::Exhausted, EndpointEffects::default()).await;
    let last = driver.notices().await;
    assert!(last[0].number > next[0].number, "{:?} after {:?}", numbers(&last), numbers(&next));
}

pub(super) async fn every_partition_has_its_own_notices(driver: &mut Driver) {
    for tenant in ["a", "b", "c", "d"] {
        let tenant = driver.tenant(tenant).await;
        let endpoint = driver.endpoint(&tenant).await;
        driver.accept(&tenant, "evt", &[&endpoint]).await;
        let lease = driver.lease_only().await;
        settle(driver, &lease, Next::Exhausted, EndpointEffects::default()).await;
    }
    let mut left = driver.notices().await;
    assert_eq!(left.len(), 4);
    for &(partition, _) in driver.epochs() {
        let own = driver.store().notices(partition, 100).await.unwrap();
        let Some(last) = own.last() else { continue };
        driver.store().forget_notices(partition, last.number).await.unwrap();
        left.retain(|notice| !own.contains(notice));
        assert_eq!(driver.notices().await, left);
    }
    assert_eq!(left, []);
}
