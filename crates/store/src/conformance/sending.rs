use posthaste_model::{
    Delivery, DeliveryReason, DeliveryState, EndpointState, EventId, EventOptions, Next, TopicPattern,
};

use super::{Driver, catalogue::is_missing, replied};
use crate::{Missing, Sent, StoreError};

pub(super) async fn an_event_is_sent_to_one_more_endpoint(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let first = driver.endpoint(&tenant).await;
    driver.accept(&tenant, "evt", &[&first]).await;
    driver.accept(&tenant, "younger", &[]).await;
    let accepted_at = driver.now();
    let lease = driver.lease_only().await;
    driver.settle(&lease, replied(200), Next::Delivered).await;
    driver.pass(60);
    // Whatever it wants.
    let other: TopicPattern = "invoice.sent".parse().unwrap();
    let later = driver.endpoint_with(&tenant, |endpoint| endpoint.topics = vec![other]).await;
    let sent = driver.send("evt", &later).await.unwrap();
    assert!(sent.created, "{sent:?}");
    let expected = Delivery {
        id: sent.delivery,
        tenant: tenant.clone(),
        event: lease.event.id.clone(),
        topic: lease.event.topic.clone(),
        endpoint: later.id,
        state: DeliveryState::Scheduled,
        reason: None,
        attempts: 0,
        failures: 0,
        due_at: Some(driver.now()),
        last_status: None,
        last_error: None,
        created_at: accepted_at,
        completed_at: None,
    };
    assert_eq!(driver.store().delivery(&tenant, sent.delivery).await.unwrap(), expected);
    let shown = driver.shown(&tenant).await;
    let counts: Vec<_> =
        shown.events.iter().map(|record| (record.event.id.as_str(), record.deliveries)).collect();
    assert_eq!(counts, [("younger", 0), ("evt", 2)]);
    assert!(shown.deliveries.iter().any(|(delivery, _)| *delivery == expected), "{shown:?}");
    let again = driver.lease_only().await;
    assert_eq!((again.delivery, &again.event, &*again.endpoint), (sent.delivery, &lease.event, &later));
    assert_eq!((again.attempt, again.failures, again.due_at), (1, 0, driver.now()));
    driver.settle(&again, replied(200), Next::Delivered).await;
}

pub(super) async fn what_was_sent_stands_with_its_event(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let (one, two) = (driver.endpoint(&tenant).await, driver.endpoint(&tenant).await);
    for event in ["a", "b", "c"] {
        driver.accept(&tenant, event, &[&one]).await;
    }
    for event in ["b", "a"] {
        driver.send(event, &two).await.unwrap();
    }
    let shown = driver.shown(&tenant).await;
    let events: Vec<_> = shown.deliveries.iter().map(|(delivery, _)| delivery.event.as_str()).collect();
    assert_eq!(events, ["c", "b", "b", "a", "a"]);
    driver.crash().await;
    assert_eq!(driver.shown(&tenant).await, shown);
    assert_eq!(driver.lease().await.len(), 5);
}

pub(super) async fn an_event_is_sent_to_an_endpoint_once(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    driver.accept(&tenant, "evt", &[&endpoint]).await;
    let lease = driver.lease_only().await;
    let known = Sent { delivery: lease.delivery, created: false };
    assert_eq!(driver.send("evt", &endpoint).await.unwrap(), known);
    driver.settle(&lease, replied(500), Next::Exhausted).await;
    let before = driver.shown(&tenant).await;
    driver.pass(1);
    assert_eq!(driver.send("evt", &endpoint).await.unwrap(), known);
    assert_eq!(driver.shown(&tenant).await, before);

    let other = driver.endpoint(&tenant).await;
    let first = driver.send("evt", &other).await.unwrap();
    let known = Sent { created: false, ..first };
    assert_eq!(driver.send("evt", &other).await.unwrap(), known);
    assert_eq!(driver.lease().await.len(), 1);
    // Nothing would have to be made, so that it does not matter that the endpoint is closed.
    driver.turn(&other, EndpointState::Disabled).await;
    assert_eq!(driver.send("evt", &other).await.unwrap(), known);
}

pub(super) async fn what_is_sent_to_a_closed_endpoint(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let paused = driver.endpoint_in(&tenant, EndpointState::Paused).await;
    let disabled = driver.endpoint_in(&tenant, EndpointState::Disabled).await;
    driver.accept(&tenant, "evt", &[]).await;
    driver.pass(1);
    let before = driver.shown(&tenant).await;
    let refused = driver.send("evt", &disabled).await;
    assert!(matches!(refused, Err(StoreError::EndpointClosed(EndpointState::Disabled))), "{refused:?}");
    assert_eq!(driver.shown(&tenant).await, before);

    let sent = driver.send("evt", &paused).await.unwrap();
    assert!(sent.created, "{sent:?}");
    let shown = driver.delivery_of(&tenant, "evt").await;
    assert_eq!((shown.state, shown.reason), (DeliveryState::Held, Some(DeliveryReason::EndpointPaused)));
    assert_eq!(shown.due_at, Some(driver.now()));
    assert!(driver.lease().await.is_empty());
    driver.turn(&paused, EndpointState::Enabled).await;
    assert_eq!(driver.lease_only().await.delivery, sent.delivery);
}

pub(super) async fn what_is_not_there_cannot_be_sent(driver: &mut Driver) {
    let (tenant, other) = (driver.tenant("acme").await, driver.tenant("other").await);
    let (own, theirs) = (driver.endpoint(&tenant).await, driver.endpoint(&other).await);
    let deleted = driver.endpoint(&tenant).await;
    driver.delete(&deleted).await;
    driver.accept(&tenant, "evt", &[]).await;
    is_missing(driver.send("none", &own).await, Missing::Event);
    is_missing(driver.send("evt", &deleted).await, Missing::Endpoint);
    is_missing(driver.send("evt", &theirs).await, Missing::Event);
    let event: EventId = "evt".parse().unwrap();
    is_missing(driver.store().send(&tenant, &event, theirs.id, driver.now()).await, Missing::Endpoint);
    assert!(driver.lease().await.is_empty());
}

pub(super) async fn what_is_sent_does_not_wait_for_its_events_time(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    let options = EventOptions { deliver_at: Some(driver.secs(600)), ..EventOptions::default() };
    driver.accept_with(&tenant, "evt", &[], options).await;
    driver.pass(1);
    driver.send("evt", &endpoint).await.unwrap();
    assert_eq!(driver.lease_only().await.due_at, driver.now());
}
