use std::fmt::Debug;

use posthaste_model::{Endpoint, EventId, Tenant, Topic};

use super::{Driver, sample_event, samples, shown::all};
use crate::{Cursor, DeliveryFilter, EventFilter, NewEvent, Order, Page, Paged, Result, StoreError};

/// A list reads the same, whatever the size of its pages, and begins at none but its own cursors.
pub(super) async fn check_list<T: Debug, K: Debug + PartialEq, F>(
    mut list: impl FnMut(Page) -> F,
    key: impl Fn(&T) -> K,
    expected: &[K],
) where
    F: Future<Output = Result<Paged<T>>>,
{
    for limit in [1, 2, expected.len().max(1) as u32, 100] {
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
    check_list(
        |page| store.events(Some(&tenant), EventFilter::default(), page),
        |record| record.event.id.clone(),
        &expected,
    )
    .await;
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
        |page| store.deliveries(Some(&tenant), everything.clone(), Order::NewestFirst, page),
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
    let events = driver.store().events(Some(&tenant), EventFilter::default(), Page::first(2)).await.unwrap();
    let deliveries = driver
        .store()
        .deliveries(Some(&tenant), everything.clone(), Order::NewestFirst, Page::first(2))
        .await
        .unwrap();
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
    let rest = store
        .events(Some(&tenant), EventFilter::default(), Page { limit: 2, after: events.next })
        .await
        .unwrap();
    assert_eq!(rest.rows.iter().map(|record| record.event.id.as_str()).collect::<Vec<_>>(), ["a"]);
    let rest = store
        .deliveries(Some(&tenant), everything, Order::NewestFirst, Page { limit: 2, after: deliveries.next })
        .await
        .unwrap();
    assert_eq!(rest.rows.iter().map(|delivery| delivery.event.as_str()).collect::<Vec<_>>(), ["a"]);
    let rest = store.tenants(Page { limit: 2, after: tenants.next }).await.unwrap();
    assert_eq!(rest.rows.iter().map(|tenant| tenant.id.as_str()).collect::<Vec<_>>(), ["acme"]);
    let rest = store.endpoints(&tenant, Page { limit: 2, after: endpoints.next }).await.unwrap();
    assert_eq!(rest.rows, [endpoint]);
    assert!(rest.next.is_none());
}
