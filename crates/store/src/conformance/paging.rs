use std::fmt::Debug;

use posthaste_model::{
    DeliveryState, Endpoint, EndpointState, ErrorClass, EventId, Next, Tenant, TenantId, Topic,
};

use super::{Driver, failed, replied, sample_event, samples, shown::all};
use crate::{Cursor, DeliveryFilter, NewEvent, Page, Paged, Result, StoreError};

/// A list reads the same, whatever the size of its pages, and begins at none but its own cursors.
async fn check_list<T: Debug, K: Debug + PartialEq, F>(
    mut list: impl FnMut(Page) -> F,
    key: impl Fn(&T) -> K,
    expected: &[K],
) where
    F: Future<Output = Result<Paged<T>>>,
{
    for limit in [1, 2, expected.len() as u32, 100] {
        let keys: Vec<K> = all(limit, &mut list).await.unwrap().iter().map(&key).collect();
        assert_eq!(keys, expected, "in pages of {limit}");
    }
    for cursor in ["", "no cursor!", "/"] {
        let refused = list(Page { limit: 1, after: Some(Cursor(cursor.into())) }).await;
        assert!(matches!(refused, Err(StoreError::InvalidCursor)), "{cursor:?}: {refused:?}");
    }
}

pub(super) async fn tenants_are_newest_first(driver: &mut Driver) {
    for id in ["m", "a", "z", "k", "b"] {
        driver.tenant(id).await;
        driver.pass(1);
    }
    let gone = "z".parse().unwrap();
    driver.delete_tenant(&gone).await;
    // One that is changed keeps its place.
    driver.tenant("a").await;
    let store = driver.store();
    check_list(
        |page| store.tenants(page),
        |t: &Tenant| t.id.to_string(),
        &["b", "k", "a", "m"].map(String::from),
    )
    .await;
}

pub(super) async fn topics_are_in_the_order_of_their_names(driver: &mut Driver) {
    for name in ["order.paid", "invoice", "order", "Order", "order-x", "order.a"] {
        driver.store().put_topic(samples::topic(name, driver.now())).await.unwrap();
    }
    let store = driver.store();
    check_list(
        |page| store.topics(page),
        |t: &Topic| t.name.to_string(),
        &["Order", "invoice", "order", "order-x", "order.a", "order.paid"].map(String::from),
    )
    .await;
}

pub(super) async fn endpoints_are_newest_first(driver: &mut Driver) {
    let (tenant, other) = (driver.tenant("acme").await, driver.tenant("other").await);
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(driver.endpoint(&tenant).await);
        driver.endpoint(&other).await;
    }
    driver.delete(&made.remove(3)).await;
    driver.change(&made[1], |endpoint| endpoint.description = "changed".into()).await;
    let expected: Vec<_> = made.iter().rev().map(|endpoint| endpoint.id).collect();
    let store = driver.store();
    check_list(|page| store.endpoints(&tenant, page), |endpoint: &Endpoint| endpoint.id, &expected).await;
}

pub(super) async fn events_are_newest_first(driver: &mut Driver) {
    let (tenant, other) = (driver.tenant("acme").await, driver.tenant("other").await);
    for id in ["c", "a", "d"] {
        driver.accept(&tenant, id, &[]).await;
        driver.accept(&other, id, &[]).await;
    }
    let batch = ["b", "e"].map(|id| {
        let event = sample_event(&tenant, id, driver.now());
        NewEvent { event, endpoints: Vec::new() }
    });
    driver.accept_all(&tenant, batch.to_vec()).await.unwrap();
    let expected = ["e", "b", "d", "a", "c"].map(|id| id.parse::<EventId>().unwrap());
    let store = driver.store();
    check_list(|page| store.events(&tenant, page), |record| record.event.id.clone(), &expected).await;
}

pub(super) async fn deliveries_are_newest_first(driver: &mut Driver) {
    let (tenant, other) = (driver.tenant("acme").await, driver.tenant("other").await);
    let (one, two, theirs) =
        (driver.endpoint(&tenant).await, driver.endpoint(&tenant).await, driver.endpoint(&other).await);
    for id in ["c", "a", "b"] {
        driver.accept(&tenant, id, &[&one, &two]).await;
        driver.accept(&other, id, &[&theirs]).await;
    }
    let expected = ["b", "b", "a", "a", "c", "c"].map(|id| id.parse::<EventId>().unwrap());
    let store = driver.store();
    let everything = DeliveryFilter::default();
    check_list(
        |page| store.deliveries(&tenant, everything.clone(), page),
        |delivery| delivery.event.clone(),
        &expected,
    )
    .await;
}

pub(super) async fn pages_do_not_move_when_rows_are_added(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    for id in ["a", "b", "c"] {
        driver.accept(&tenant, id, &[&endpoint]).await;
    }
    let everything = DeliveryFilter::default();
    let events = driver.store().events(&tenant, Page::first(2)).await.unwrap();
    let deliveries = driver.store().deliveries(&tenant, everything.clone(), Page::first(2)).await.unwrap();
    let tenants = {
        driver.tenant("second").await;
        driver.store().tenants(Page::first(1)).await.unwrap()
    };
    let endpoints = {
        driver.endpoint(&tenant).await;
        driver.store().endpoints(&tenant, Page::first(1)).await.unwrap()
    };

    driver.accept(&tenant, "d", &[&endpoint]).await;
    driver.tenant("third").await;
    driver.endpoint(&tenant).await;

    let store = driver.store();
    let rest = store.events(&tenant, Page { limit: 2, after: events.next }).await.unwrap();
    assert_eq!(rest.rows.iter().map(|record| record.event.id.as_str()).collect::<Vec<_>>(), ["a"]);
    let rest =
        store.deliveries(&tenant, everything, Page { limit: 2, after: deliveries.next }).await.unwrap();
    assert_eq!(rest.rows.iter().map(|delivery| delivery.event.as_str()).collect::<Vec<_>>(), ["a"]);
    let rest = store.tenants(Page { limit: 2, after: tenants.next }).await.unwrap();
    assert_eq!(rest.rows.iter().map(|tenant| tenant.id.as_str()).collect::<Vec<_>>(), ["acme"]);
    let rest = store.endpoints(&tenant, Page { limit: 2, after: endpoints.next }).await.unwrap();
    assert_eq!(rest.rows, [endpoint]);
    assert!(rest.next.is_none());
}

/// Filters by `filter`, in pages of one row, and expects what a look at every delivery finds.
async fn check_filter(driver: &Driver, tenant: &TenantId, filter: DeliveryFilter, expected: usize) {
    let everything = driver.shown(tenant).await.deliveries;
    let wanted: Vec<_> = everything
        .into_iter()
        .map(|(delivery, _)| delivery)
        .filter(|d| filter.state.is_none_or(|state| d.state == state))
        .filter(|d| filter.endpoint.is_none_or(|endpoint| d.endpoint == endpoint))
        .filter(|d| filter.event.as_ref().is_none_or(|event| d.event == *event))
        .filter(|d| filter.topic.as_ref().is_none_or(|topic| d.topic == *topic))
        .collect();
    assert_eq!(wanted.len(), expected, "{filter:?}");
    let store = driver.store();
    for limit in [1, 3] {
        let found = all(limit, |page| store.deliveries(tenant, filter.clone(), page)).await.unwrap();
        assert_eq!(found, wanted, "{filter:?} in pages of {limit}");
    }
}

pub(super) async fn deliveries_are_filtered(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let (one, two) = (driver.endpoint(&tenant).await, driver.endpoint(&tenant).await);
    let paused = driver.endpoint_in(&tenant, EndpointState::Paused).await;
    let disabled = driver.endpoint_in(&tenant, EndpointState::Disabled).await;
    driver.accept(&tenant, "a", &[&one, &two, &paused]).await;
    let leases = driver.lease().await;
    let (to_one, to_two) = match &leases[..] {
        [a, b] if a.endpoint.id == one.id => (a, b),
        [a, b] => (b, a),
        other => panic!("{other:?}"),
    };
    driver.settle(to_one, replied(200), Next::Delivered).await;
    driver.settle(to_two, failed(ErrorClass::Timeout), Next::Exhausted).await;
    let mut event = sample_event(&tenant, "b", driver.now());
    event.topic = "invoice.sent".parse().unwrap();
    let endpoints = vec![one.id, disabled.id];
    driver.accept_all(&tenant, vec![NewEvent { event, endpoints }]).await.unwrap();
    driver.lease_only().await;
    driver.accept(&tenant, "c", &[&one]).await;

    let by = DeliveryFilter::default;
    check_filter(driver, &tenant, by(), 6).await;
    for (state, expected) in [
        (DeliveryState::Scheduled, 1),
        (DeliveryState::InFlight, 1),
        (DeliveryState::Delivered, 1),
        (DeliveryState::Exhausted, 1),
        (DeliveryState::Held, 1),
        (DeliveryState::Skipped, 1),
        (DeliveryState::Cancelled, 0),
    ] {
        check_filter(driver, &tenant, DeliveryFilter { state: Some(state), ..by() }, expected).await;
    }
    let event = |id: &str| Some(id.parse().unwrap());
    let topic = |name: &str| Some(name.parse().unwrap());
    for (filter, expected) in [
        (DeliveryFilter { endpoint: Some(one.id), ..by() }, 3),
        (DeliveryFilter { endpoint: Some(paused.id), ..by() }, 1),
        (DeliveryFilter { event: event("a"), ..by() }, 3),
        (DeliveryFilter { event: event("z"), ..by() }, 0),
        (DeliveryFilter { topic: topic("order.paid"), ..by() }, 4),
        (DeliveryFilter { topic: topic("no.such"), ..by() }, 0),
        (DeliveryFilter { endpoint: Some(one.id), topic: topic("order.paid"), ..by() }, 2),
        (DeliveryFilter { state: Some(DeliveryState::Delivered), event: event("a"), ..by() }, 1),
        (DeliveryFilter { state: Some(DeliveryState::InFlight), event: event("a"), ..by() }, 0),
    ] {
        check_filter(driver, &tenant, filter, expected).await;
    }
    driver.delete(&one).await;
    let cancelled = DeliveryFilter { state: Some(DeliveryState::Cancelled), endpoint: Some(one.id), ..by() };
    check_filter(driver, &tenant, cancelled, 1).await;
}
