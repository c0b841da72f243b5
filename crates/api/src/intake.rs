//! What an event goes through before it is accepted. Knows nothing of HTTP.

use bytes::Bytes;
use posthaste_model::{EndpointId, Event, EventId, Payload, TenantId, TopicName};
use posthaste_policy::wants;
use posthaste_store::{Accepted, NewEvent, StoreError, TenantView};

use crate::service::Service;

/// How often an event is matched anew when the catalogue changed meanwhile.
const TRIES: usize = 20;

/// An event as a publisher tells it.
#[derive(Debug, Clone)]
pub(crate) struct Publication {
    pub(crate) topic: TopicName,
    /// None: one is made.
    pub(crate) id: Option<EventId>,
    pub(crate) payload: Payload,
}

/// Why events were not accepted. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error("topic '{topic}' is not registered")]
    UnknownTopic { index: usize, topic: TopicName },
    #[error("topic '{topic}' is archived and takes no more events")]
    ArchivedTopic { index: usize, topic: TopicName },
    #[error("event '{id}' was accepted before with other content")]
    Conflict { index: usize, id: EventId },
    #[error("the payload has {size} bytes, more than the {limit} that one may have")]
    TooLarge { index: usize, size: usize, limit: usize },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Matches events against the tenant's endpoints and accepts them, all or none.
pub(crate) async fn publish(
    service: &Service,
    tenant: &TenantId,
    publications: Vec<Publication>,
) -> Result<Vec<Accepted>, Refused> {
    let limit = service.settings.payload_limit;
    for (index, publication) in publications.iter().enumerate() {
        let size = publication.payload.bytes().len();
        if size > limit {
            return Err(Refused::TooLarge { index, size, limit });
        }
    }
    let now = service.clock.now();
    let events: Vec<Event> = publications
        .into_iter()
        .map(|Publication { topic, id, payload }| Event {
            tenant: tenant.clone(),
            id: id.unwrap_or_else(|| EventId::mint(now, service.entropy.id())),
            topic,
            payload,
            accepted_at: now,
        })
        .collect();
    for _ in 0..TRIES {
        let view = service.store.view(tenant).await?;
        let matched = match match_events(service, &view, &events).await {
            Ok(matched) => matched,
            Err(refused) => {
                // Another process may have registered the topic since. To accept nothing tells whether the view is old.
                match service.store.accept(tenant, view.version, Vec::new()).await {
                    Err(StoreError::StaleView) => continue,
                    current => current?,
                };
                return Err(refused);
            }
        };
        match service.store.accept(tenant, view.version, matched).await {
            Err(StoreError::StaleView) => continue,
            Err(StoreError::EventConflict { event }) => {
                let index = events.iter().rposition(|other| other.id == event).unwrap_or_default();
                return Err(Refused::Conflict { index, id: event });
            }
            result => return Ok(result?),
        }
    }
    Err(StoreError::StaleView.into())
}

/// Finds out where events go, as far as the view tells.
async fn match_events(
    service: &Service,
    view: &TenantView,
    events: &[Event],
) -> Result<Vec<NewEvent>, Refused> {
    let mut matched = Vec::with_capacity(events.len());
    for (index, event) in events.iter().enumerate() {
        let endpoints = match match_event(service, view, index, event) {
            Ok(endpoints) => endpoints,
            // What was accepted while its topic was open stays accepted: nothing is fanned out again.
            Err(_) if is_repeat(service, event).await? => Vec::new(),
            Err(refused) => return Err(refused),
        };
        matched.push(NewEvent { event: event.clone(), endpoints });
    }
    Ok(matched)
}

/// The endpoints that want an event, if its topic takes events.
fn match_event(
    service: &Service,
    view: &TenantView,
    index: usize,
    event: &Event,
) -> Result<Vec<EndpointId>, Refused> {
    match view.topics.get(&event.topic) {
        Some(true) => {}
        Some(false) => return Err(Refused::ArchivedTopic { index, topic: event.topic.clone() }),
        None if service.settings.open_topics => {}
        None => return Err(Refused::UnknownTopic { index, topic: event.topic.clone() }),
    }
    let wanting = view.endpoints.iter().filter(|endpoint| wants(&endpoint.topics, &event.topic));
    Ok(wanting.map(|endpoint| endpoint.id).collect())
}

/// Whether the same event was accepted before.
async fn is_repeat(service: &Service, event: &Event) -> Result<bool, StoreError> {
    match service.store.event(&event.tenant, &event.id).await {
        Ok(known) => Ok(known.event.topic == event.topic && known.event.payload == event.payload),
        Err(StoreError::NotFound(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The bytes of a JSON value, as they were written.
pub(crate) fn json_payload(raw: &serde_json::value::RawValue) -> Payload {
    Payload::Data(Bytes::copy_from_slice(raw.get().as_bytes()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use posthaste_store::{Catalogue as _, Intake as _};

    use super::*;
    use crate::fixture::{ShapedStore, service, topic};

    async fn publish_on(store: &Arc<ShapedStore>, service: &Service, topic: &str) -> Result<(), Refused> {
        let topic = topic.parse().unwrap();
        let publication = Publication { topic, id: None, payload: Payload::Data("1".into()) };
        let tenant = TenantId::default_tenant();
        let accepted = publish(service, &tenant, vec![publication]).await?;
        assert_eq!(accepted.len(), 1);
        assert!(store.view(&tenant).await.is_ok());
        Ok(())
    }

    /// Another process registered the topic, and this one has not heard of it yet.
    #[tokio::test]
    async fn nothing_is_refused_on_an_old_view() {
        let store = Arc::new(ShapedStore::default());
        let service = service(&store).await;
        let tenant = TenantId::default_tenant();
        for (name, before) in [("order.new", None), ("order.back", Some(true))] {
            if let Some(archived) = before {
                store.put_topic(topic(name, archived)).await.unwrap();
            }
            let old = store.view(&tenant).await.unwrap();
            store.put_topic(topic(name, false)).await.unwrap();
            for _ in 0..3 {
                store.remembers(Arc::clone(&old));
            }
            publish_on(&store, &service, name).await.unwrap();
        }
    }

    #[tokio::test]
    async fn what_a_current_view_refuses_is_refused() {
        let store = Arc::new(ShapedStore::default());
        let service = service(&store).await;
        let tenant = TenantId::default_tenant();
        let old = store.view(&tenant).await.unwrap();
        store.put_topic(topic("order.paid", true)).await.unwrap();
        // The old view would let it pass.
        store.remembers(old);
        let refused = publish_on(&store, &service, "order.paid").await;
        assert!(matches!(refused, Err(Refused::ArchivedTopic { index: 0, .. })), "{refused:?}");
        let refused = publish_on(&store, &service, "unheard.of").await;
        assert!(matches!(refused, Err(Refused::UnknownTopic { index: 0, .. })), "{refused:?}");
    }

    /// Whether a view is old cannot be told: that is no reason to tell the publisher that it is wrong.
    #[tokio::test]
    async fn nothing_is_refused_for_good_while_the_store_is_away() {
        let store = Arc::new(ShapedStore::default());
        let service = service(&store).await;
        let view = store.view(&TenantId::default_tenant()).await.unwrap();
        store.remembers(view);
        store.away(true);
        let refused = publish_on(&store, &service, "unheard.of").await;
        assert!(matches!(refused, Err(Refused::Store(StoreError::Unavailable { .. }))), "{refused:?}");
    }
}
