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
        let mut matched = Vec::with_capacity(events.len());
        for (index, event) in events.iter().enumerate() {
            let endpoints = match match_event(service, &view, index, event) {
                Ok(endpoints) => endpoints,
                // What was accepted while its topic was open stays accepted: nothing is fanned out again.
                Err(_) if is_repeat(service, event).await? => Vec::new(),
                Err(refused) => return Err(refused),
            };
            matched.push(NewEvent { event: event.clone(), endpoints });
        }
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
