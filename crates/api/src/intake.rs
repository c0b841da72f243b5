//! What an event goes through before it is accepted. Knows nothing of HTTP.

use std::{cell::LazyCell, sync::Arc};

use bytes::Bytes;
use posthaste_model::{
    EndpointId, Event, EventId, EventOptions, Handshake, Payload, Period, TenantId, Topic, TopicName,
};
use posthaste_policy::{Subject, wants};
use posthaste_store::{Accepted, EventRecord, NewEvent, StoreError, TenantView};
use posthaste_telemetry::{Operation, Telemetry};
use tokio::time::Instant;

use crate::{
    own_topics,
    schemas::Unfit,
    service::Service,
    wishes::{Wishes, Wrong},
};

/// How often an event is matched anew when the catalogue changed meanwhile.
const TRIES: usize = 20;

/// An event as a publisher tells it.
#[derive(Debug, Clone)]
pub(crate) struct Publication {
    pub(crate) topic: TopicName,
    /// None: one is made.
    pub(crate) id: Option<EventId>,
    pub(crate) payload: Payload,
    pub(crate) wishes: Wishes,
}

/// Why events were not accepted. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error("topic '{topic}' is not registered")]
    UnknownTopic { index: usize, topic: TopicName },
    #[error("topic '{topic}' is archived and takes no more events")]
    ArchivedTopic { index: usize, topic: TopicName },
    #[error("topic '{topic}' is Posthaste's own: nobody else publishes it")]
    ReservedTopic { index: usize, topic: TopicName },
    #[error("{unfit}")]
    Unfit { index: usize, unfit: Unfit },
    #[error("no such endpoint")]
    UnknownEndpoint { index: usize },
    #[error("{detail}")]
    Wish { index: usize, field: &'static str, detail: String },
    #[error("event '{id}' was accepted before with other content")]
    Conflict { index: usize, id: EventId },
    #[error("the payload has {size} bytes, more than the {limit} that one may have")]
    TooLarge { index: usize, size: usize, limit: usize },
    #[error("the tenant '{tenant}' is Posthaste's own: nobody else publishes for it")]
    ReservedTenant { tenant: TenantId },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Refused {
    fn wish(index: usize, Wrong { field, detail }: Wrong) -> Self {
        Self::Wish { index, field, detail }
    }
}

/// Matches events against the tenant's endpoints and accepts them, all or none.
pub(crate) async fn publish(
    service: &Service,
    tenant: &TenantId,
    publications: Vec<Publication>,
) -> Result<Vec<Accepted>, Refused> {
    if *tenant == TenantId::posthaste() {
        return Err(Refused::ReservedTenant { tenant: tenant.clone() });
    }
    accept(service, tenant, publications, Purpose::Publication).await
}

/// Accepts an event that only tries an endpoint out.
pub(crate) async fn publish_test(
    service: &Service,
    tenant: &TenantId,
    endpoint: EndpointId,
    topic: TopicName,
    payload: Payload,
) -> Result<EventId, Refused> {
    let wishes = Wishes { endpoint: Some(endpoint), ..Wishes::default() };
    publish_alone(service, tenant, Publication { topic, id: None, payload, wishes }, Purpose::Test).await
}

/// Accepts an event that carries an endpoint's handshake. It is attempted by hand: its own turn comes after `delay`, when
/// nobody waits for it any more.
pub(crate) async fn publish_handshake(
    service: &Service,
    tenant: &TenantId,
    endpoint: EndpointId,
    payload: Payload,
    delay: Period,
) -> Result<EventId, Refused> {
    let topic: TopicName = Handshake::TOPIC.parse().map_err(StoreError::damaged)?;
    let wishes = Wishes { endpoint: Some(endpoint), delay: Some(delay), ..Wishes::default() };
    publish_alone(service, tenant, Publication { topic, id: None, payload, wishes }, Purpose::Handshake).await
}

/// What an event is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Publication,
    /// To try an endpoint out.
    Test,
    /// To have an endpoint show that it wants what it is sent.
    Handshake,
}

impl Purpose {
    /// Whether an event may have the topic whatever topics are registered.
    fn owns(self, tenant: &TenantId, topic: &TopicName) -> bool {
        match self {
            Self::Publication => false,
            Self::Test => own_topics::tests(tenant, topic),
            Self::Handshake => true,
        }
    }
}

async fn publish_alone(
    service: &Service,
    tenant: &TenantId,
    publication: Publication,
    purpose: Purpose,
) -> Result<EventId, Refused> {
    let accepted = accept(service, tenant, vec![publication], purpose).await?;
    let only = accepted.into_iter().next().ok_or_else(|| StoreError::damaged("it gave no answer"))?;
    Ok(only.id)
}

/// An event on its way in.
struct Candidate {
    event: Event,
    /// The one endpoint that gets it; none: those that want it.
    endpoint: Option<EndpointId>,
    /// Whether its topic is Posthaste's own, and needs no registration.
    own: bool,
    /// Why it cannot be delivered when it is wished to be.
    untimely: Option<Wrong>,
}

/// Accepts events, all or none, and tells what became of them.
async fn accept(
    service: &Service,
    tenant: &TenantId,
    publications: Vec<Publication>,
    purpose: Purpose,
) -> Result<Vec<Accepted>, Refused> {
    let (telemetry, events, begun) = (&service.telemetry, publications.len(), Instant::now());
    let accepted = take_in(service, tenant, publications, purpose).await;
    match &accepted {
        Ok(_) => telemetry.accept_took(begun.elapsed()),
        Err(Refused::Store(error)) if !matches!(error, StoreError::NotFound(_)) => {
            telemetry.not_accepted(events);
        }
        Err(_) => telemetry.refused(events),
    }
    accepted
}

async fn take_in(
    service: &Service,
    tenant: &TenantId,
    publications: Vec<Publication>,
    purpose: Purpose,
) -> Result<Vec<Accepted>, Refused> {
    let limit = service.settings.payload_limit;
    for (index, publication) in publications.iter().enumerate() {
        let size = publication.payload.bytes().len();
        // What is made here is small, and nobody else chooses it.
        if size > limit && purpose != Purpose::Handshake {
            return Err(Refused::TooLarge { index, size, limit });
        }
        publication.wishes.check().map_err(|wrong| Refused::wish(index, wrong))?;
    }
    let now = service.clock.now();
    let candidates: Vec<Candidate> = publications
        .into_iter()
        .map(|Publication { topic, id, payload, wishes }| {
            let (deliver_at, untimely) = match wishes.due(now, service.settings.retention_failed) {
                Ok(deliver_at) => (deliver_at, None),
                Err(wrong) => (None, Some(wrong)),
            };
            let own = purpose.owns(tenant, &topic);
            let test = purpose != Purpose::Publication;
            let Wishes { metadata, retention, endpoint, .. } = wishes;
            let event = Event {
                tenant: tenant.clone(),
                id: id.unwrap_or_else(|| EventId::mint(now, service.entropy.id())),
                topic,
                payload,
                accepted_at: now,
                options: EventOptions { metadata, deliver_at, retention, test },
            };
            Candidate { event, endpoint, own, untimely }
        })
        .collect();
    for _ in 0..TRIES {
        let view = service.store.view(tenant).await?;
        let matched = match match_events(service, &view, &candidates).await {
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
        let Matched { repeats, fresh } = matched;
        if fresh.is_empty() {
            let accepted: Vec<_> = repeats.into_iter().flatten().collect();
            service.telemetry.repeated(accepted.len());
            return Ok(accepted);
        }
        let wanting: Vec<_> = fresh.iter().map(|new| new.endpoints.clone()).collect();
        let call = service.store.accept(tenant, view.version, fresh);
        match service.telemetry.timed(Operation::Accept, call).await {
            Err(StoreError::StaleView) => continue,
            Err(StoreError::EventConflict { event }) => {
                let mut judged = candidates.iter().zip(&repeats);
                let of_event = |(candidate, repeat): (&Candidate, &Option<Accepted>)| {
                    candidate.event.id == event && repeat.is_none()
                };
                let index = judged.rposition(of_event).unwrap_or_default();
                return Err(Refused::Conflict { index, id: event });
            }
            accepted => {
                let accepted = accepted?;
                tell(&service.telemetry, &candidates, &repeats, wanting.iter().zip(&accepted));
                return in_order(repeats, accepted);
            }
        }
    }
    Err(StoreError::StaleView.into())
}

/// Tells of events that were accepted, each for those endpoints and with that answer, or before.
fn tell<'a>(
    telemetry: &Telemetry,
    candidates: &[Candidate],
    repeats: &[Option<Accepted>],
    mut fresh: impl Iterator<Item = (&'a Vec<EndpointId>, &'a Accepted)>,
) {
    for (candidate, repeat) in candidates.iter().zip(repeats) {
        if repeat.is_some() {
            telemetry.repeated(1);
        } else if let Some((endpoints, answer)) = fresh.next() {
            telemetry.accepted(&candidate.event, endpoints, answer);
        }
    }
}

/// The answers for all events, in the order in which they came.
fn in_order(repeats: Vec<Option<Accepted>>, accepted: Vec<Accepted>) -> Result<Vec<Accepted>, Refused> {
    let mut accepted = accepted.into_iter();
    let answers = repeats.into_iter().map(|repeat| repeat.or_else(|| accepted.next()));
    let answers: Option<Vec<_>> = answers.collect();
    Ok(answers.ok_or_else(|| StoreError::damaged("it gave too few answers"))?)
}

/// What is known of events before they are accepted.
struct Matched {
    /// For each event its answer, if it was accepted before and is not accepted again.
    repeats: Vec<Option<Accepted>>,
    /// The others, with the endpoints they go to.
    fresh: Vec<NewEvent>,
}

/// Finds out where events go, as far as the view tells.
async fn match_events(
    service: &Service,
    view: &TenantView,
    candidates: &[Candidate],
) -> Result<Matched, Refused> {
    let mut repeats = Vec::with_capacity(candidates.len());
    let mut fresh = Vec::with_capacity(candidates.len());
    for (index, candidate) in candidates.iter().enumerate() {
        let event = &candidate.event;
        let repeat = match match_event(service, view, index, candidate) {
            Ok(endpoints) => {
                fresh.push(NewEvent { event: event.clone(), endpoints });
                None
            }
            // What was accepted while its topic was open, or before its time had passed, stays accepted. It is not given
            // to the store again: that may have forgotten it by then, and would take it for a new one.
            Err(refused) => Some(repeat(service, event).await?.ok_or(refused)?),
        };
        repeats.push(repeat);
    }
    Ok(Matched { repeats, fresh })
}

/// The endpoints that get an event, if its topic takes events and its wishes can be granted.
fn match_event(
    service: &Service,
    view: &TenantView,
    index: usize,
    candidate: &Candidate,
) -> Result<Vec<EndpointId>, Refused> {
    let Candidate { event, endpoint, own, untimely } = candidate;
    if !own {
        admit(service, view.topics.get(&event.topic), index, &event.topic, &event.payload)?;
    }
    if let Some(wrong) = untimely {
        return Err(Refused::wish(index, wrong.clone()));
    }
    match *endpoint {
        None => Ok(wanting(service, view, event)),
        Some(id) if view.endpoints.iter().any(|endpoint| endpoint.id == id) => Ok(vec![id]),
        Some(_) => Err(Refused::UnknownEndpoint { index }),
    }
}

/// Judges an event by its topic; none: nobody registered that.
pub(crate) fn admit(
    service: &Service,
    topic: Option<&Arc<Topic>>,
    index: usize,
    name: &TopicName,
    payload: &Payload,
) -> Result<(), Refused> {
    if own_topics::is_reserved(name) {
        return Err(Refused::ReservedTopic { index, topic: name.clone() });
    }
    match topic {
        Some(topic) if topic.archived => Err(Refused::ArchivedTopic { index, topic: name.clone() }),
        Some(topic) => {
            let judged = service.compiled.schemas.check(topic, payload);
            judged.map_err(|unfit| Refused::Unfit { index, unfit })
        }
        None if service.settings.open_topics => Ok(()),
        None => Err(Refused::UnknownTopic { index, topic: name.clone() }),
    }
}

/// The endpoints that want an event: its topic is one of theirs, and their filter lets it through.
fn wanting(service: &Service, view: &TenantView, event: &Event) -> Vec<EndpointId> {
    let Event { topic, payload, options, .. } = event;
    // Most tenants have no filters.
    let subject = LazyCell::new(|| Subject::new(topic, &options.metadata, payload));
    let of_topic = view.endpoints.iter().filter(|endpoint| wants(&endpoint.topics, topic));
    let wanting = of_topic
        .filter(|endpoint| endpoint.filter.is_none() || service.compiled.filters.pass(endpoint, &subject));
    wanting.map(|endpoint| endpoint.id).collect()
}

/// The answer for an event that was accepted before.
async fn repeat(service: &Service, event: &Event) -> Result<Option<Accepted>, StoreError> {
    match service.store.event(&event.tenant, &event.id).await {
        Ok(EventRecord { event: known, deliveries }) => {
            let same = known.topic == event.topic && known.payload == event.payload;
            Ok(same.then_some(Accepted { id: known.id, deliveries, duplicate: true }))
        }
        Err(StoreError::NotFound(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The bytes of a JSON value, as they were written.
pub(crate) fn json_payload(raw: &serde_json::value::RawValue) -> Payload {
    Payload::Data(Bytes::copy_from_slice(raw.get().as_bytes()))
}

#[cfg(test)]
mod tests {
    use posthaste_store::{Catalogue as _, Intake as _};

    use super::*;
    use crate::fixture::{ShapedStore, service, topic};

    async fn publish_on(store: &Arc<ShapedStore>, service: &Service, topic: &str) -> Result<(), Refused> {
        let topic = topic.parse().unwrap();
        let payload = Payload::Data("1".into());
        let publication = Publication { topic, id: None, payload, wishes: Wishes::default() };
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

    #[tokio::test]
    async fn what_becomes_of_events_is_told() {
        let store = Arc::new(ShapedStore::default());
        let service = service(&store).await;
        let tenant = TenantId::default_tenant();
        let publication = |topic: &str, id: &str| Publication {
            topic: topic.parse().unwrap(),
            id: Some(id.parse().unwrap()),
            payload: Payload::Data("1".into()),
            wishes: Wishes::default(),
        };
        let both = || vec![publication("order.paid", "evt_1"), publication("order.paid", "evt_2")];
        publish(&service, &tenant, both()).await.unwrap();
        publish(&service, &tenant, [both(), vec![publication("order.paid", "evt_3")]].concat())
            .await
            .unwrap();
        // Two were accepted while their topic was registered, and stay accepted.
        store.delete_topic(&"order.paid".parse().unwrap()).await.unwrap();
        publish(&service, &tenant, both()).await.unwrap();
        publish(&service, &tenant, vec![publication("unheard.of", "evt_4")]).await.unwrap_err();
        publish(&service, &"nobody".parse().unwrap(), both()).await.unwrap_err();
        store.away(true);
        publish(&service, &tenant, both()).await.unwrap_err();
        let text = service.telemetry.render();
        for (result, count) in
            [("accepted", 0), ("unmatched", 3), ("duplicate", 4), ("refused", 3), ("failed", 2)]
        {
            let line = format!("posthaste_events_total{{result=\"{result}\"}} {count}");
            assert!(text.lines().any(|known| known == line), "{line} is not in {text}");
        }
        assert!(text.contains("posthaste_accept_seconds_count 3\n"), "{text}");
    }
}
