use std::{collections::BTreeMap, sync::Arc};

use posthaste_model::{EndpointState, Next, Topic};

use super::{Driver, disable, park, replied, sample_event, samples};
use crate::{Accepted, NewEvent, Result, StoreError, TenantView};

pub(super) async fn a_view_shows_endpoints_and_topics(driver: &mut Driver) {
    let (tenant, other) = (driver.tenant("acme").await, driver.tenant("other").await);
    let empty = driver.store().view(&tenant).await.unwrap();
    assert!(empty.endpoints.is_empty() && empty.topics.is_empty(), "{empty:?}");

    driver.endpoint(&other).await;
    let mut made = Vec::new();
    for state in [EndpointState::Enabled, EndpointState::Paused, EndpointState::Disabled] {
        made.push(driver.endpoint_in(&tenant, state).await);
    }
    let open = samples::topic("order.paid", driver.now());
    let archived = Topic { archived: true, ..samples::topic("order.lost", driver.now()) };
    for topic in [&open, &archived] {
        driver.store().put_topic(topic.clone()).await.unwrap();
    }
    driver.delete(&made.remove(1)).await;
    made[0] = driver.change(&made[0], |endpoint| endpoint.url = "https://elsewhere.example/".into()).await;

    let shows = |view: &TenantView| {
        let endpoints: Vec<_> = view.endpoints.iter().map(|endpoint| (**endpoint).clone()).collect();
        assert_eq!(endpoints, made);
        let topics = [&open, &archived].map(|topic| (topic.name.clone(), Arc::new(topic.clone())));
        assert_eq!(*view.topics, BTreeMap::from(topics));
    };
    let view = driver.store().view(&tenant).await.unwrap();
    shows(&view);
    assert_eq!(*driver.store().view(&tenant).await.unwrap(), *view, "nothing changed meanwhile");
    driver.crash().await;
    shows(&driver.store().view(&tenant).await.unwrap());
}

/// Accepts an event that went to nobody when the view was taken.
async fn accept_on(driver: &Driver, view: &TenantView, id: &str) -> Result<Vec<Accepted>> {
    let event = sample_event(&"acme".parse().unwrap(), id, driver.now());
    let new = NewEvent { event: event.clone(), endpoints: Vec::new() };
    driver.store().accept(&event.tenant, view.version, vec![new]).await
}

pub(super) async fn every_change_of_the_catalogue_makes_views_stale(driver: &mut Driver) {
    #[derive(Debug, Clone, Copy)]
    enum Step {
        CreateEndpoint,
        EditEndpoint,
        PauseEndpoint,
        DeleteEndpoint,
        Gone,
        PutTopic,
        ArchiveTopic,
        DeleteTopic,
    }
    use Step::*;
    let tenant = driver.tenant("acme").await;
    let (one, gone) = (driver.endpoint(&tenant).await, driver.endpoint(&tenant).await);
    driver.accept(&tenant, "evt", &[&gone]).await;
    let lease = driver.lease_only().await;
    let topic = samples::topic("order.paid", driver.now());
    for (n, change) in [
        CreateEndpoint,
        EditEndpoint,
        PauseEndpoint,
        DeleteEndpoint,
        Gone,
        PutTopic,
        ArchiveTopic,
        DeleteTopic,
    ]
    .into_iter()
    .enumerate()
    {
        let view = driver.store().view(&tenant).await.unwrap();
        match change {
            CreateEndpoint => drop(driver.endpoint(&tenant).await),
            EditEndpoint => drop(driver.change(&one, |e| e.description = "changed".into()).await),
            PauseEndpoint => drop(driver.turn(&one, EndpointState::Paused).await),
            DeleteEndpoint => driver.delete(&one).await,
            Gone => {
                let disable = disable("gone");
                driver.settle_with(&lease, replied(410), Next::Skipped, disable).await;
            }
            PutTopic => drop(driver.store().put_topic(topic.clone()).await.unwrap()),
            ArchiveTopic => {
                let topic = Topic { archived: true, ..topic.clone() };
                drop(driver.store().put_topic(topic).await.unwrap());
            }
            DeleteTopic => driver.store().delete_topic(&topic.name).await.unwrap(),
        }
        let id = format!("evt-{n}");
        let refused = accept_on(driver, &view, &id).await;
        assert!(matches!(refused, Err(StoreError::StaleView)), "{change:?}: {refused:?}");
        let fresh = driver.store().view(&tenant).await.unwrap();
        assert_ne!(fresh.version, view.version, "{change:?}");
        let accepted = accept_on(driver, &fresh, &id).await.unwrap();
        assert!(!accepted[0].duplicate, "{change:?}: what was refused has been written");
    }
}

pub(super) async fn what_is_no_change_of_it_leaves_views_fresh(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let endpoint = driver.endpoint(&tenant).await;
    let view = driver.store().view(&tenant).await.unwrap();
    driver.accept(&tenant, "evt", &[&endpoint]).await;
    let lease = driver.lease_only().await;
    let until = driver.secs(1);
    driver.settle_with(&lease, replied(200), Next::Delivered, park(until)).await;
    driver.store().park(&endpoint.tenant, endpoint.id, driver.secs(60)).await.unwrap();
    let other = driver.tenant("other").await;
    driver.endpoint(&other).await;
    accept_on(driver, &view, "evt-2").await.unwrap();
    assert_eq!(driver.store().view(&tenant).await.unwrap().version, view.version);
}

pub(super) async fn a_new_tenants_view_is_not_the_deleted_ones(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let (fresh, _) = (driver.store().view(&tenant).await.unwrap(), driver.endpoint(&tenant).await);
    let full = driver.store().view(&tenant).await.unwrap();
    driver.delete_tenant(&tenant).await;
    driver.tenant("acme").await;
    for view in [fresh, full] {
        let refused = accept_on(driver, &view, "evt").await;
        assert!(matches!(refused, Err(StoreError::StaleView)), "{refused:?}");
    }
    let view = driver.store().view(&tenant).await.unwrap();
    assert!(view.endpoints.is_empty(), "{view:?}");
    accept_on(driver, &view, "evt").await.unwrap();
}
