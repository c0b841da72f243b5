use bytes::Bytes;
use posthaste_model::{
    Delivery, DeliveryReason, DeliveryState, Endpoint, EndpointState, Event, EventOptions, Payload, Period,
    TenantId,
};

use super::{Driver, catalogue::is_missing, nameless, sample_event};
use crate::{Accepted, Missing, NewEvent, Result, StoreError};

fn new(event: Event, endpoints: &[&Endpoint]) -> NewEvent {
    NewEvent { event, endpoints: endpoints.iter().map(|endpoint| endpoint.id).collect() }
}

fn accepted(id: &str, deliveries: u32, duplicate: bool) -> Accepted {
    Accepted { id: id.parse().unwrap(), deliveries, duplicate }
}

fn is_conflict(result: Result<Vec<Accepted>>, id: &str) {
    assert!(
        matches!(&result, Err(StoreError::EventConflict { event }) if event.as_str() == id),
        "{id}: {result:?}"
    );
}

pub(super) async fn an_event_goes_to_each_endpoint(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let endpoints = [driver.endpoint(&tenant).await, driver.endpoint(&tenant).await];
    let [one, two] = &endpoints;
    driver.endpoint(&tenant).await;
    assert_eq!(driver.accept(&tenant, "evt", &[one, two]).await, accepted("evt", 2, false));

    let shown = driver.shown(&tenant).await;
    let event = sample_event(&tenant, "evt", driver.now());
    assert_eq!(shown.events, [crate::EventRecord { event: event.clone(), deliveries: 2 }]);
    assert_eq!(driver.store().event(&tenant, &event.id).await.unwrap(), shown.events[0]);
    for endpoint in &endpoints {
        let (delivery, attempts) =
            shown.deliveries.iter().find(|(delivery, _)| delivery.endpoint == endpoint.id).unwrap();
        let expected = Delivery {
            id: delivery.id,
            tenant: tenant.clone(),
            event: event.id.clone(),
            topic: event.topic.clone(),
            endpoint: endpoint.id,
            state: DeliveryState::Scheduled,
            reason: None,
            attempts: 0,
            failures: 0,
            due_at: Some(driver.now()),
            last_status: None,
            last_error: None,
            created_at: driver.now(),
            completed_at: None,
        };
        assert_eq!(*delivery, expected);
        assert_eq!(driver.store().delivery(&tenant, delivery.id).await.unwrap(), expected);
        assert_eq!(*attempts, []);
    }
}

pub(super) async fn an_event_that_matched_nobody_is_kept(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    assert_eq!(driver.accept(&tenant, "evt", &[]).await, accepted("evt", 0, false));
    let shown = driver.shown(&tenant).await;
    assert_eq!(shown.events[0].deliveries, 0);
    assert_eq!(shown.deliveries, []);
    assert!(driver.lease().await.is_empty());
    let view = driver.store().view(&tenant).await.unwrap();
    assert_eq!(driver.store().accept(&tenant, view.version, Vec::new()).await.unwrap(), []);
}

pub(super) async fn a_payload_comes_back_byte_for_byte(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    let raw = |content_type: &str, body: &'static [u8]| Payload::Raw {
        content_type: content_type.into(),
        body: Bytes::from_static(body),
    };
    for (n, payload) in [
        Payload::Data(Bytes::from_static(b" { \"b\" : 1.50e+00,\n\"a\":\"\\u00e9\" } ")),
        Payload::Data(Bytes::from_static(b"null")),
        raw("application/octet-stream", &[0, 255, 13, 10, 0]),
        raw("", b""),
        raw("application/json", b"{}"),
        Payload::Data(Bytes::from(vec![b'7'; 300_000])),
    ]
    .into_iter()
    .enumerate()
    {
        let event = Event { payload, ..sample_event(&tenant, &format!("evt-{n}"), driver.now()) };
        driver.accept_all(&tenant, vec![new(event.clone(), &[&endpoint])]).await.unwrap();
        assert_eq!(driver.store().event(&tenant, &event.id).await.unwrap().event, event);
        assert_eq!(*driver.lease_only().await.event, event);
    }
}

pub(super) async fn what_a_publisher_asked_for_comes_back(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    let metadata = [("customer", "ü\u{1F4E6}"), ("", ""), ("quoted", "\"{}\"\\")];
    let full = EventOptions {
        metadata: metadata.map(|(name, value)| (name.into(), value.into())).into(),
        deliver_at: Some(driver.secs(-60)),
        retention: Some(Period::from_millis(86_400_001)),
        test: true,
    };
    for (n, options) in [
        full.clone(),
        EventOptions { test: true, ..EventOptions::default() },
        EventOptions { retention: Some(Period::from_secs(0)), ..EventOptions::default() },
        EventOptions { metadata: full.metadata.clone(), ..EventOptions::default() },
        EventOptions::default(),
    ]
    .into_iter()
    .enumerate()
    {
        let event = Event { options, ..sample_event(&tenant, &format!("evt-{n}"), driver.now()) };
        driver.accept_all(&tenant, vec![new(event.clone(), &[&endpoint])]).await.unwrap();
        assert_eq!(driver.store().event(&tenant, &event.id).await.unwrap().event, event);
        assert_eq!(*driver.lease_only().await.event, event);
    }
    let before = driver.shown(&tenant).await.events;
    driver.crash().await;
    assert_eq!(driver.shown(&tenant).await.events, before, "after a crash");
    assert_eq!(driver.recover().await, 5);
    let leases = driver.lease().await;
    assert!(leases.iter().any(|lease| lease.event.options == full), "after a crash: {leases:?}");
}

pub(super) async fn what_is_asked_for_does_not_tell_events_apart(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    driver.accept(&tenant, "evt", &[&endpoint]).await;
    let before = driver.shown(&tenant).await;
    let other = EventOptions { deliver_at: Some(driver.secs(60)), test: true, ..EventOptions::default() };
    assert_eq!(driver.accept_with(&tenant, "evt", &[&endpoint], other).await, accepted("evt", 1, true));
    assert_eq!(driver.shown(&tenant).await, before);
}

pub(super) async fn a_repetition_is_answered_as_the_first_time(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let (one, two) = (driver.endpoint(&tenant).await, driver.endpoint(&tenant).await);
    driver.accept(&tenant, "evt", &[&one]).await;
    let before = driver.shown(&tenant).await;
    driver.pass(5);
    assert_eq!(driver.accept(&tenant, "evt", &[&one, &two]).await, accepted("evt", 1, true));
    assert_eq!(driver.accept(&tenant, "evt", &[]).await, accepted("evt", 1, true));
    assert_eq!(driver.shown(&tenant).await, before);

    driver.delete(&one).await;
    driver.crash().await;
    assert_eq!(driver.accept(&tenant, "evt", &[&two]).await, accepted("evt", 1, true));
    assert!(driver.lease().await.is_empty());
}

/// What an event may not become under the same id.
fn others(event: &Event) -> Vec<Event> {
    let bytes = event.payload.bytes().clone();
    let raw = |content_type: &str| Payload::Raw { content_type: content_type.into(), body: bytes.clone() };
    let with = |payload| Event { payload, ..event.clone() };
    vec![
        Event { topic: "order.lost".parse().unwrap(), ..event.clone() },
        with(Payload::Data(Bytes::from_static(br#"{"total": 1.5}"#))),
        with(raw("application/json")),
        with(raw("")),
    ]
}

pub(super) async fn other_content_under_a_known_id_is_a_conflict(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    driver.accept(&tenant, "evt", &[&endpoint]).await;
    let before = driver.shown(&tenant).await;
    for other in others(&sample_event(&tenant, "evt", driver.now())) {
        is_conflict(driver.accept_all(&tenant, vec![new(other, &[&endpoint])]).await, "evt");
    }
    assert_eq!(driver.shown(&tenant).await, before);

    let raw = |content_type: &str| Event {
        payload: Payload::Raw { content_type: content_type.into(), body: Bytes::from_static(b"a") },
        ..sample_event(&tenant, "raw", driver.now())
    };
    let events = [raw("text/plain"), raw("text/html")];
    driver.accept_all(&tenant, vec![new(events[0].clone(), &[])]).await.unwrap();
    is_conflict(driver.accept_all(&tenant, vec![new(events[1].clone(), &[])]).await, "raw");
}

pub(super) async fn a_conflict_refuses_its_whole_batch(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    driver.accept(&tenant, "known", &[&endpoint]).await;
    let before = driver.shown(&tenant).await;
    let event = |id: &str| sample_event(&tenant, id, driver.now());
    let conflict = others(&event("known")).remove(0);
    for place in 0..3 {
        let mut batch = vec![new(event("first"), &[&endpoint]), new(event("second"), &[])];
        batch.insert(place, new(conflict.clone(), &[&endpoint]));
        let view = driver.store().view(&tenant).await.unwrap();
        is_conflict(driver.store().accept(&tenant, view.version, batch).await, "known");
    }
    assert_eq!(driver.shown(&tenant).await, before);
    assert_eq!(driver.accept(&tenant, "first", &[]).await, accepted("first", 0, false));
}

pub(super) async fn a_batch_may_repeat_itself(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let (one, two) = (driver.endpoint(&tenant).await, driver.endpoint(&tenant).await);
    driver.accept(&tenant, "known", &[&one, &two]).await;
    let event = |id: &str| sample_event(&tenant, id, driver.now());
    let batch = vec![
        new(event("a"), &[&one]),
        new(event("known"), &[]),
        new(event("a"), &[&one, &two]),
        new(event("b"), &[]),
        new(event("known"), &[&one]),
    ];
    let answer = driver.accept_all(&tenant, batch).await.unwrap();
    let expected = [("a", 1, false), ("known", 2, true), ("a", 1, true), ("b", 0, false), ("known", 2, true)];
    assert_eq!(answer, expected.map(|(id, deliveries, duplicate)| accepted(id, deliveries, duplicate)));
    assert_eq!(driver.deliveries_of(&tenant, "a").await.len(), 1);
}

pub(super) async fn a_batch_may_not_contradict_itself(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    let first = sample_event(&tenant, "evt", driver.now());
    for other in others(&first) {
        let batch = vec![new(first.clone(), &[&endpoint]), new(other, &[])];
        is_conflict(driver.accept_all(&tenant, batch).await, "evt");
    }
    let shown = driver.shown(&tenant).await;
    assert_eq!((shown.events, shown.deliveries), (Vec::new(), Vec::new()));
}

pub(super) async fn tenants_do_not_share_ids(driver: &mut Driver) {
    for tenant in ["acme", "other"] {
        let tenant = driver.tenant(tenant).await;
        let event = Event {
            payload: Payload::Data(Bytes::from(format!("{tenant:?}"))),
            ..sample_event(&tenant, "evt", driver.now())
        };
        let answer = driver.accept_all(&tenant, vec![new(event, &[])]).await.unwrap();
        assert_eq!(answer, [accepted("evt", 0, false)]);
    }
}

async fn single(driver: &mut Driver, tenant: &TenantId, id: &str, state: EndpointState) -> Delivery {
    let endpoint = driver.endpoint_in(tenant, state).await;
    assert_eq!(driver.accept(tenant, id, &[&endpoint]).await, accepted(id, 1, false));
    let delivery = driver.delivery_of(tenant, id).await;
    assert_eq!(delivery.endpoint, endpoint.id);
    delivery
}

pub(super) async fn a_disabled_endpoint_skips_and_a_paused_one_holds(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let now = Some(driver.now());
    let (paused, disabled) = (DeliveryReason::EndpointPaused, DeliveryReason::EndpointDisabled);
    for (id, state, expected, reason, due_at, completed_at) in [
        ("a", EndpointState::Enabled, DeliveryState::Scheduled, None, now, None),
        ("b", EndpointState::Paused, DeliveryState::Held, Some(paused), now, None),
        ("c", EndpointState::Disabled, DeliveryState::Skipped, Some(disabled), None, now),
    ] {
        let delivery = single(driver, &tenant, id, state).await;
        let expected = Delivery { state: expected, reason, due_at, completed_at, ..delivery.clone() };
        assert_eq!(nameless(&delivery), nameless(&expected));
    }
    assert_eq!(driver.lease_only().await.event.id.as_str(), "a");
}

pub(super) async fn anothers_endpoint_refuses_the_whole_batch(driver: &mut Driver) {
    let (tenant, other) = (driver.tenant("acme").await, driver.tenant("other").await);
    let (own, theirs) = (driver.endpoint(&tenant).await, driver.endpoint(&other).await);
    let deleted = driver.endpoint(&tenant).await;
    driver.delete(&deleted).await;
    let event = |id: &str| sample_event(&tenant, id, driver.now());
    for foreign in [&theirs, &deleted] {
        let batch = vec![new(event("a"), &[&own]), new(event("b"), &[&own, foreign])];
        let view = driver.store().view(&tenant).await.unwrap();
        is_missing(driver.store().accept(&tenant, view.version, batch).await, Missing::Endpoint);
    }
    let shown = driver.shown(&tenant).await;
    assert_eq!((shown.events, shown.deliveries), (Vec::new(), Vec::new()));
    assert!(driver.lease().await.is_empty());
}
