use posthaste_model::{
    Delivery, DeliveryId, DeliveryReason, DeliveryState, EndpointState, ErrorClass, HealthEffect, Next,
};

use super::{Driver, catalogue::is_missing, disable, fares, replied};
use crate::{Missing, Result, Settled, StoreError};

/// How a delivery that an operator gave up now looks.
fn given_up(before: &Delivery, driver: &Driver) -> Delivery {
    Delivery {
        state: DeliveryState::Cancelled,
        reason: Some(DeliveryReason::Operator),
        due_at: None,
        completed_at: Some(driver.now()),
        ..before.clone()
    }
}

#[track_caller]
fn is_over(result: Result<()>, expected: DeliveryState) {
    assert!(
        matches!(&result, Err(StoreError::DeliveryOver(state)) if *state == expected),
        "{expected:?}: {result:?}"
    );
}

pub(super) async fn what_waits_can_be_given_up(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    let paused = driver.endpoint_in(&tenant, EndpointState::Paused).await;
    for event in ["first", "again", "kept"] {
        driver.accept(&tenant, event, &[&endpoint]).await;
    }
    let again = driver.lease_up_to(2, 2).await.pop().unwrap();
    driver.settle(&again, replied(500), Next::Retry { at: driver.secs(5) }).await;
    driver.accept(&tenant, "held", &[&paused]).await;
    driver.accept(&tenant, "waits", &[&endpoint]).await;
    driver.pass(1);
    for event in ["again", "held", "waits"] {
        let before = driver.delivery_of(&tenant, event).await;
        driver.cancel(&before).await.unwrap();
        assert_eq!(driver.delivery_of(&tenant, event).await, given_up(&before, driver), "{event}");
    }
    driver.turn(&paused, EndpointState::Enabled).await;
    driver.pass(60);
    driver.crash().await;
    assert_eq!(driver.lease_only().await.event.id.as_str(), "kept");
}

pub(super) async fn the_lease_of_what_is_given_up_ends(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    driver.accept(&tenant, "evt", &[&endpoint]).await;
    let lease = driver.lease_only().await;
    let before = driver.show(&lease).await;
    driver.pass(1);
    driver.cancel(&before).await.unwrap();
    let expected = given_up(&before, driver);
    assert_eq!(driver.show(&lease).await, expected);
    assert!(driver.lease().await.is_empty());

    // What comes of the request is recorded, and that is all.
    driver.pass(1);
    let mut late = driver.settlement(&lease, replied(410), Next::Skipped);
    late.decision.endpoint = disable("it answered 410");
    late.decision.endpoint.health = Some(HealthEffect::Failed { exhausted: true, warning: Some(50) });
    assert_eq!(driver.settle_as(late.clone()).await, Settled::Stale);
    assert_eq!(driver.show(&lease).await, Delivery { attempts: 1, ..expected });
    assert_eq!(driver.attempts(&lease).await, [late.attempt.unwrap()]);
    assert_eq!(driver.reread(&endpoint).await, endpoint);
    assert_eq!(driver.notices().await, []);
}

pub(super) async fn what_is_given_up_is_not_given_back(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    driver.accept(&tenant, "evt", &[&endpoint]).await;
    let lease = driver.lease_only().await;
    let before = driver.show(&lease).await;
    driver.cancel(&before).await.unwrap();
    let expected = given_up(&before, driver);
    driver.crash().await;
    assert_eq!(driver.recover().await, 0);
    // But what may have reached the receiver is recorded, once.
    assert_eq!(driver.recover().await, 0);
    assert_eq!(driver.show(&lease).await, Delivery { attempts: 1, ..expected.clone() });
    assert_eq!(driver.attempts(&lease).await[0].outcome.error(), Some(ErrorClass::Unknown));
    assert_eq!(driver.settle(&lease, replied(200), Next::Delivered).await, Settled::Stale);
    assert_eq!(driver.show(&lease).await, Delivery { attempts: 2, ..expected });
    assert!(driver.lease().await.is_empty());
}

pub(super) async fn what_is_over_cannot_be_given_up(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    for (event, status, next, state) in [
        ("delivered", 200, Next::Delivered, DeliveryState::Delivered),
        ("exhausted", 500, Next::Exhausted, DeliveryState::Exhausted),
        ("skipped", 500, Next::Skipped, DeliveryState::Skipped),
        ("cancelled", 500, Next::Retry { at: driver.secs(9) }, DeliveryState::Cancelled),
    ] {
        driver.accept(&tenant, event, &[&endpoint]).await;
        let lease = driver.lease_only().await;
        driver.settle(&lease, replied(status), next).await;
        let shown = driver.show(&lease).await;
        if state == DeliveryState::Cancelled {
            driver.cancel(&shown).await.unwrap();
        }
        let before = driver.show(&lease).await;
        driver.pass(1);
        is_over(driver.cancel(&before).await, state);
        assert_eq!(driver.show(&lease).await, before);
    }
}

pub(super) async fn what_is_not_there_cannot_be_given_up(driver: &mut Driver) {
    let (tenant, other) = (driver.tenant("acme").await, driver.tenant("other").await);
    let endpoint = driver.endpoint(&tenant).await;
    driver.accept(&tenant, "evt", &[&endpoint]).await;
    let before = driver.delivery_of(&tenant, "evt").await;
    let unknown = DeliveryId::mint(driver.now(), [9; 10]);
    is_missing(driver.cancel(&Delivery { id: unknown, ..before.clone() }).await, Missing::Delivery);
    is_missing(driver.cancel(&Delivery { tenant: other, ..before.clone() }).await, Missing::Delivery);
    assert_eq!(driver.delivery_of(&tenant, "evt").await, before);
}

pub(super) async fn giving_up_is_no_change_of_the_endpoint(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    driver.accept(&tenant, "a", &[&endpoint]).await;
    driver.accept(&tenant, "b", &[&endpoint]).await;
    let lease = driver.lease_up_to(1, 1).await.remove(0);
    let failed = fares(HealthEffect::Failed { exhausted: true, warning: None });
    driver.settle_with(&lease, replied(500), Next::Exhausted, failed).await;
    let before = (driver.reread(&endpoint).await, driver.notices().await);
    let waiting = driver.delivery_of(&tenant, "b").await;
    driver.cancel(&waiting).await.unwrap();
    assert_eq!((driver.reread(&endpoint).await, driver.notices().await), before);
}
