use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use posthaste_model::{
    Auth, BodyFormat, DeliveryId, Endpoint, EndpointSecret, EndpointState, ExponentialRetry, Handshake,
    HandshakeKind, Method, Next, Period, RateLimit, RetryPolicy, Sealed, Tenant, TenantId, Topic, Wire,
};

use super::{Driver, Shown, replied, sample_endpoint, samples};
use crate::{
    DeliveryFilter, EventFilter, Missing, Order, Page, Put, Result, Settled, Settlement, StoreError,
};

#[track_caller]
pub(super) fn is_missing<T: std::fmt::Debug>(result: Result<T>, what: Missing) {
    assert!(
        matches!(&result, Err(StoreError::NotFound(missing)) if *missing == what),
        "{what:?}: {result:?}"
    );
}

pub(super) async fn a_tenant_is_made_then_changed(driver: &mut Driver) {
    let id: TenantId = "acme".parse().unwrap();
    let signature = Some(serde_json::json!({ "profile": "stripe", "ü": [null] }));
    let made = Tenant { name: "Acme".into(), signature, ..Tenant::new(id.clone(), driver.now()) };
    let put = driver.store().put_tenant(made.clone()).await.unwrap();
    assert_eq!(put, Put { now: made.clone(), created: true });
    assert_eq!(driver.store().tenant(&id).await.unwrap(), made);

    driver.pass(1);
    let again = Tenant { name: "Äcme".into(), ..Tenant::new(id.clone(), driver.now()) };
    let put = driver.store().put_tenant(again.clone()).await.unwrap();
    let changed = Tenant { created_at: made.created_at, ..again };
    assert_eq!(put, Put { now: changed.clone(), created: false });
    assert_eq!(driver.store().tenant(&id).await.unwrap(), changed);
}

pub(super) async fn a_topic_is_made_then_changed(driver: &mut Driver) {
    let made = Topic {
        description: "An order was paid.".into(),
        example: Some(serde_json::json!({ "total": [1.5, null], "ü": "\u{1F4E6}" })),
        schema: Some(serde_json::json!({ "type": "object", "not": false })),
        ..samples::topic("order.paid", driver.now())
    };
    let put = driver.store().put_topic(made.clone()).await.unwrap();
    assert_eq!(put, Put { now: made.clone(), created: true });
    assert_eq!(driver.store().topic(&made.name).await.unwrap(), made);

    driver.pass(1);
    let again = Topic { archived: true, ..samples::topic("order.paid", driver.now()) };
    let put = driver.store().put_topic(again.clone()).await.unwrap();
    let changed = Topic { created_at: made.created_at, ..again };
    assert_eq!(put, Put { now: changed.clone(), created: false });
    assert_eq!(driver.store().topic(&made.name).await.unwrap(), changed);
}

/// An endpoint that has something in every field.
fn full(tenant: &TenantId, driver: &Driver) -> Endpoint {
    Endpoint {
        topics: ["order.*", "invoice.sent"].map(|pattern| pattern.parse().unwrap()).to_vec(),
        filter: Some(r#"{"data.total": {"$gte": 1.50}, "ü": [null]}"#.into()),
        description: "für die Buchhaltung".into(),
        metadata: BTreeMap::from([("team".into(), "billing".into()), (String::new(), "\"{}\"".into())]),
        timeout: Some(Period(Duration::from_millis(2_500))),
        retry: Some(RetryPolicy::Exponential(ExponentialRetry {
            initial_interval: Period::from_secs(5),
            multiplier: 1.5,
            randomization_factor: 0.1,
            max_interval: Period::from_secs(60),
            max_elapsed_time: None,
            max_attempts: 7,
        })),
        max_in_flight: Some(u32::MAX),
        rate_limit: Some(RateLimit::new(100, Period::from_millis(1_500)).unwrap()),
        ordered: true,
        wire: Wire {
            method: Method::Put,
            format: BodyFormat::CloudEventsBinary,
            signature: Some(serde_json::json!({ "profile": "standard", "versions": ["v1", "v1a"] })),
            headers: BTreeMap::from([("X-Env".into(), Some("prod".into())), ("X-Key".into(), None)]),
            metadata_headers: true,
            auth: Some(Auth::Basic { username: "ü".into() }),
            certificate: Some("-----BEGIN".into()),
            roots: Some("-----BEGIN CERTIFICATE".into()),
        },
        credentials: Some(Sealed(Bytes::from_static(&[0, 254, 7]))),
        handshake: Some(Handshake {
            verified_at: Some(driver.secs(1)),
            ..Handshake::awaited(HandshakeKind::Hmac, true)
        }),
        state: EndpointState::Disabled,
        state_reason: Some("made so".into()),
        secrets: vec![
            EndpointSecret { sealed: Sealed(Bytes::from_static(&[0, 255, 1])), expires_at: None },
            EndpointSecret {
                sealed: Sealed(Bytes::from_static(b"older")),
                expires_at: Some(driver.secs(60)),
            },
        ],
        version: 4,
        ..sample_endpoint(tenant, 1, driver.now())
    }
}

pub(super) async fn an_endpoint_reads_back_whole(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let made = full(&tenant, driver);
    driver.store().create_endpoint(made.clone()).await.unwrap();
    assert_eq!(driver.reread(&made).await, made);
    driver.crash().await;
    assert_eq!(driver.reread(&made).await, made);
    assert_eq!(driver.shown(&tenant).await.endpoints, [made]);
}

pub(super) async fn a_changed_endpoint_reads_back_whole(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let made = full(&tenant, driver);
    driver.store().create_endpoint(made.clone()).await.unwrap();
    driver.pass(1);
    for changed in [
        Endpoint {
            url: "https://elsewhere.example/".into(),
            topics: vec!["*".parse().unwrap()],
            description: String::new(),
            metadata: BTreeMap::new(),
            timeout: None,
            retry: Some(RetryPolicy::schedule(vec![Period::from_secs(1), Period::from_secs(2)]).unwrap()),
            max_in_flight: None,
            rate_limit: None,
            ordered: false,
            filter: None,
            wire: Wire::default(),
            credentials: None,
            handshake: Some(Handshake::awaited(HandshakeKind::CloudEvents, false)),
            state: EndpointState::Enabled,
            state_reason: None,
            secrets: vec![
                EndpointSecret { sealed: Sealed(Bytes::from_static(b"newest")), expires_at: None },
                EndpointSecret { expires_at: Some(driver.secs(9)), ..made.secrets[0].clone() },
            ],
            updated_at: driver.now(),
            ..made.clone()
        },
        Endpoint { version: 5, secrets: Vec::new(), ..made.clone() },
    ] {
        let stands = driver.store().update_endpoint(changed.clone()).await.unwrap();
        assert_eq!(stands, Endpoint { version: changed.version + 1, ..changed });
        assert_eq!(driver.reread(&made).await, stands);
    }
}

pub(super) async fn a_change_keeps_what_is_the_stores_own(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let made = driver.endpoint(&tenant).await;
    let until = driver.secs(60);
    driver.store().park(&made.tenant, made.id, until).await.unwrap();
    driver.pass(1);
    let (created_at, parked_until) = (driver.now(), Some(driver.secs(5)));
    let stands = driver
        .change(&made, |endpoint| {
            endpoint.created_at = created_at;
            endpoint.parked_until = parked_until;
        })
        .await;
    let expected =
        Endpoint { version: 2, parked_until: Some(until), updated_at: driver.now(), ..made.clone() };
    assert_eq!(stands, expected);
    assert_eq!(driver.reread(&made).await, expected);
}

pub(super) async fn a_stale_change_is_refused(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let made = driver.endpoint(&tenant).await;
    let stands = driver.change(&made, |endpoint| endpoint.description = "first".into()).await;
    for version in [made.version, stands.version + 1] {
        let late = Endpoint { description: "second".into(), version, ..made.clone() };
        let refused = driver.store().update_endpoint(late).await;
        assert!(matches!(refused, Err(StoreError::StaleEndpoint)), "{refused:?}");
    }
    assert_eq!(driver.reread(&made).await, stands);
}

pub(super) async fn what_does_not_exist_is_not_found(driver: &mut Driver) {
    let known = driver.tenant("acme").await;
    let (now, store) = (driver.now(), driver.store());
    let nobody: TenantId = "nobody".parse().unwrap();
    let topic = "no.such".parse().unwrap();
    let endpoint = sample_endpoint(&known, 9, now);
    let event = "none".parse().unwrap();
    let delivery = DeliveryId::mint(now, [9; 10]);
    let page = || Page::first(1);

    is_missing(store.tenant(&nobody).await, Missing::Tenant);
    is_missing(store.delete_tenant(&nobody, now).await, Missing::Tenant);
    is_missing(store.create_endpoint(sample_endpoint(&nobody, 9, now)).await, Missing::Tenant);
    is_missing(store.endpoints(&nobody, page()).await, Missing::Tenant);
    is_missing(store.events(Some(&nobody), EventFilter::default(), page()).await, Missing::Tenant);
    is_missing(
        store.deliveries(Some(&nobody), DeliveryFilter::default(), Order::NewestFirst, page()).await,
        Missing::Tenant,
    );
    is_missing(store.view(&nobody).await, Missing::Tenant);
    let view = store.view(&known).await.unwrap();
    is_missing(store.accept(&nobody, view.version, Vec::new()).await, Missing::Tenant);

    is_missing(store.topic(&topic).await, Missing::Topic);
    is_missing(store.delete_topic(&topic).await, Missing::Topic);

    is_missing(store.endpoint(&known, endpoint.id).await, Missing::Endpoint);
    is_missing(store.delete_endpoint(&known, endpoint.id, now).await, Missing::Endpoint);
    is_missing(store.park(&endpoint.tenant, endpoint.id, now).await, Missing::Endpoint);
    is_missing(store.update_endpoint(endpoint.clone()).await, Missing::Endpoint);

    is_missing(store.retry(&known, delivery, true, now).await, Missing::Delivery);
    is_missing(store.cancel(&known, delivery, now).await, Missing::Delivery);
    is_missing(store.send(&known, &event, endpoint.id, now).await, Missing::Event);

    is_missing(store.event(&known, &event).await, Missing::Event);
    is_missing(store.delivery(&known, delivery).await, Missing::Delivery);
    is_missing(store.attempts(&known, delivery).await, Missing::Delivery);
}

pub(super) async fn another_tenants_ids_are_not_found(driver: &mut Driver) {
    let (acme, other) = (driver.tenant("acme").await, driver.tenant("other").await);
    let endpoint = driver.endpoint(&acme).await;
    driver.accept(&acme, "evt", &[&endpoint]).await;
    let lease = driver.lease_only().await;
    let (now, store) = (driver.now(), driver.store());

    let theirs = Endpoint { tenant: other.clone(), ..endpoint.clone() };
    is_missing(store.endpoint(&other, endpoint.id).await, Missing::Endpoint);
    is_missing(store.update_endpoint(theirs).await, Missing::Endpoint);
    is_missing(store.delete_endpoint(&other, endpoint.id, now).await, Missing::Endpoint);
    is_missing(store.event(&other, &lease.event.id).await, Missing::Event);
    is_missing(store.delivery(&other, lease.delivery).await, Missing::Delivery);
    is_missing(store.attempts(&other, lease.delivery).await, Missing::Delivery);
    let nothing = Shown { endpoints: Vec::new(), events: Vec::new(), deliveries: Vec::new() };
    assert_eq!(driver.shown(&other).await, nothing);
    for filter in [
        DeliveryFilter { endpoint: Some(endpoint.id), ..DeliveryFilter::default() },
        DeliveryFilter { event: Some(lease.event.id.clone()), ..DeliveryFilter::default() },
    ] {
        let found = driver
            .store()
            .deliveries(Some(&other), filter, Order::NewestFirst, Page::first(9))
            .await
            .unwrap();
        assert_eq!(found.rows, []);
    }
    assert_eq!(driver.reread(&endpoint).await, endpoint);
}

pub(super) async fn an_id_with_a_wrong_digit_is_not_found(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    driver.accept(&tenant, "evt", &[&endpoint]).await;
    let lease = driver.lease_only().await;
    driver.settle(&lease, replied(200), Next::Delivered).await;
    let before = driver.shown(&tenant).await;
    let text = lease.delivery.to_string();
    for place in DeliveryId::PREFIX.len()..text.len() {
        let mut wrong = text.clone();
        let digit = if &text[place..=place] == "0" { "1" } else { "0" };
        wrong.replace_range(place..=place, digit);
        let wrong: DeliveryId = wrong.parse().unwrap();
        is_missing(driver.store().delivery(&tenant, wrong).await, Missing::Delivery);
        is_missing(driver.store().attempts(&tenant, wrong).await, Missing::Delivery);
        let settlement = driver.settlement(&lease, replied(500), Next::Exhausted);
        let settled = driver.settle_as(Settlement { delivery: wrong, ..settlement }).await;
        assert_eq!(settled, Settled::Stale, "{wrong}");
    }
    assert_eq!(driver.shown(&tenant).await, before);
}

pub(super) async fn what_is_deleted_is_gone(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let (kept, gone) = (driver.endpoint(&tenant).await, driver.endpoint(&tenant).await);
    let topics = ["kept", "gone"].map(|name| samples::topic(name, driver.now()));
    for topic in topics.clone() {
        driver.store().put_topic(topic).await.unwrap();
    }
    driver.delete(&gone).await;
    driver.store().delete_topic(&topics[1].name).await.unwrap();
    driver.crash().await;

    let store = driver.store();
    is_missing(store.endpoint(&tenant, gone.id).await, Missing::Endpoint);
    is_missing(store.update_endpoint(gone.clone()).await, Missing::Endpoint);
    is_missing(store.delete_endpoint(&tenant, gone.id, driver.now()).await, Missing::Endpoint);
    is_missing(store.park(&gone.tenant, gone.id, driver.now()).await, Missing::Endpoint);
    is_missing(store.topic(&topics[1].name).await, Missing::Topic);
    assert_eq!(store.endpoints(&tenant, Page::first(9)).await.unwrap().rows, [kept]);
    assert_eq!(store.topics(Page::first(9)).await.unwrap().rows, topics[..1]);
}

pub(super) async fn a_deleted_tenants_id_begins_anew(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    driver.accept(&tenant, "evt", &[&endpoint]).await;
    let lease = driver.lease_only().await;
    driver.delete_tenant(&tenant).await;
    is_missing(driver.store().tenant(&tenant).await, Missing::Tenant);
    is_missing(driver.store().view(&tenant).await, Missing::Tenant);
    is_missing(
        driver.store().events(Some(&tenant), EventFilter::default(), Page::first(1)).await,
        Missing::Tenant,
    );
    assert_eq!(driver.store().tenants(Page::first(9)).await.unwrap().rows, []);

    driver.pass(1);
    driver.tenant("acme").await;
    assert_eq!(driver.store().tenant(&tenant).await.unwrap().created_at, driver.now());
    let nothing = Shown { endpoints: Vec::new(), events: Vec::new(), deliveries: Vec::new() };
    assert_eq!(driver.shown(&tenant).await, nothing);
    is_missing(driver.store().endpoint(&tenant, endpoint.id).await, Missing::Endpoint);
    is_missing(driver.store().delivery(&tenant, lease.delivery).await, Missing::Delivery);

    let fresh = driver.endpoint(&tenant).await;
    let accepted = driver.accept(&tenant, "evt", &[&fresh]).await;
    assert!(!accepted.duplicate, "the old tenant's event is not the new one's");
    assert_eq!(driver.lease_only().await.endpoint.id, fresh.id);
}
