use actix_web::{
    HttpRequest, HttpResponse, get,
    http::header::CONTENT_TYPE,
    post,
    web::{Data, Json},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use posthaste_model::{EndpointId, EventId, EventOptions, Payload, Period, TenantId, Timestamp, TopicName};
use posthaste_store::{Accepted, DeliveryFilter, EventRecord, Order, Page};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use crate::{
    body::{self, RawBody},
    deliveries::DeliveryBody,
    intake::{Publication, Refused, json_payload, publish},
    metadata::{Metadata, MetadataText},
    params::{BothInPath, InPath, InQuery},
    problem::{Kind, Place, Problem, ProblemBody},
    schemas::Unfit,
    service::Service,
    wishes::Wishes,
};

/// Events of a batch at the most.
const MAX_BATCH: usize = 1_000;
/// Deliveries that are shown with their event; the others are listed by `deliveries?event=`.
const SHOWN_DELIVERIES: u32 = 100;
/// Carries the event's id where the body does not.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// An event to accept.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct EventFields {
    /// Its type.
    #[schema(value_type = String, example = "order.paid")]
    topic: TopicName,
    /// Any JSON value: the `data` that subscribers receive, byte for byte.
    #[schema(value_type = serde_json::Value)]
    data: Box<RawValue>,
    /// Unique within the tenant: publishing it again changes nothing. Made where it is missing.
    #[schema(value_type = Option<String>, example = "ord-42-paid")]
    id: Option<EventId>,
    /// The publisher's own facts about it: up to 50. Subscribers see them only where their endpoint has
    /// `metadata_headers`.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, String>)]
    metadata: Metadata,
    /// Nothing of it is sent before this time, which is at most 30 days ahead, and no longer than the event is kept. Only
    /// what is sent to one more endpoint by hand goes out at once.
    #[schema(value_type = Option<String>, format = DateTime)]
    deliver_at: Option<Timestamp>,
    /// The same as a length of time from now, instead of `deliver_at`.
    #[schema(value_type = Option<String>, example = "10m")]
    delay: Option<Period>,
    /// How long it is kept once its last delivery is over, and its id is known: `1m` to `365d`. Where it is missing, the
    /// settings say.
    #[schema(value_type = Option<String>, example = "90d")]
    retention: Option<Period>,
    /// The one endpoint that gets it, whatever topics that wants. Where it is missing, all that want the topic.
    #[schema(value_type = Option<String>)]
    endpoint: Option<EndpointId>,
}

/// Events to accept, all or none.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Batch {
    /// 1 to 1,000 events.
    events: Vec<EventFields>,
}

/// What a publisher sends: an event, or a batch.
#[derive(ToSchema)]
#[schema(as = Publish)]
#[serde(untagged)]
#[allow(
    dead_code,
    reason = "says in the specification that either body is taken; which one is told by its fields"
)]
enum PublishBody {
    Event(EventFields),
    Batch(Batch),
}

/// The parameters of a raw body.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct RawQuery {
    /// The topic of a raw body. With it, the body is taken as it comes, with its `Content-Type`.
    #[param(value_type = Option<String>)]
    topic: Option<TopicName>,
    /// The event's id, for a raw body.
    #[param(value_type = Option<String>)]
    id: Option<EventId>,
    /// For a raw body: the publisher's own facts about it, as a JSON object.
    #[param(value_type = Option<String>, example = r#"{"source": "billing"}"#)]
    metadata: Option<MetadataText>,
    /// For a raw body: nothing of it is sent before this time.
    #[param(value_type = Option<String>, format = DateTime)]
    deliver_at: Option<Timestamp>,
    /// For a raw body: the same as a length of time from now.
    #[param(value_type = Option<String>, example = "10m")]
    delay: Option<Period>,
    /// For a raw body: how long it is kept once its last delivery is over.
    #[param(value_type = Option<String>, example = "90d")]
    retention: Option<Period>,
    /// For a raw body: the one endpoint that gets it.
    #[param(value_type = Option<String>)]
    endpoint: Option<EndpointId>,
}

impl RawQuery {
    /// A parameter that says something of a raw body.
    fn of_raw(&self) -> Option<&'static str> {
        let Self { topic: _, id, metadata, deliver_at, delay, retention, endpoint } = self;
        let there = [
            ("id", id.is_some()),
            ("metadata", metadata.is_some()),
            ("deliver_at", deliver_at.is_some()),
            ("delay", delay.is_some()),
            ("retention", retention.is_some()),
            ("endpoint", endpoint.is_some()),
        ];
        there.into_iter().find(|(_, there)| *there).map(|(name, _)| name)
    }
}

/// What became of an event.
#[derive(Serialize, ToSchema)]
#[schema(as = Accepted)]
struct AcceptedBody {
    #[schema(value_type = String)]
    id: EventId,
    /// To how many endpoints it goes.
    deliveries: u32,
    /// Whether it had been accepted before.
    duplicate: bool,
}

/// What became of a batch, in its order.
#[derive(Serialize, ToSchema)]
struct AcceptedBatch {
    events: Vec<AcceptedBody>,
}

/// What a publisher receives: as it sent, an event or a batch.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum Answer {
    Event(AcceptedBody),
    Batch(AcceptedBatch),
}

/// An event that was accepted.
#[derive(Serialize, ToSchema)]
#[schema(as = Event)]
pub(crate) struct EventBody {
    #[schema(value_type = String)]
    id: EventId,
    #[schema(value_type = String)]
    tenant: TenantId,
    #[schema(value_type = String)]
    topic: TopicName,
    #[schema(value_type = String, format = DateTime)]
    accepted_at: Timestamp,
    /// To how many endpoints it goes; 0: it matched nobody.
    delivery_count: u32,
    /// `unmatched`: no endpoint wanted it.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    /// The publisher's own facts about it.
    #[schema(value_type = BTreeMap<String, String>)]
    metadata: Metadata,
    /// Nothing of it is sent before this time, but for what is sent to one more endpoint by hand.
    #[schema(value_type = Option<String>, format = DateTime)]
    deliver_at: Option<Timestamp>,
    /// How long it is kept once its last delivery is over; null: as long as the service's settings say.
    #[schema(value_type = Option<String>)]
    retention: Option<Period>,
    /// Whether it only tries an endpoint out: what fails is not tried again.
    test: bool,
    /// The JSON value that was published.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    data: Option<Box<RawValue>>,
    /// The content type of a raw body.
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<String>,
    /// A raw body that is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    /// A raw body that is not text, in base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
}

/// An event with its deliveries.
#[derive(Serialize, ToSchema)]
struct EventDetail {
    #[serde(flatten)]
    event: EventBody,
    /// The newest 100.
    deliveries: Vec<DeliveryBody>,
}

impl From<Accepted> for AcceptedBody {
    fn from(Accepted { id, deliveries, duplicate }: Accepted) -> Self {
        Self { id, deliveries, duplicate }
    }
}

impl From<EventRecord> for EventBody {
    fn from(EventRecord { event, deliveries }: EventRecord) -> Self {
        let (mut data, mut content_type, mut text, mut base64) = (None, None, None, None);
        let EventOptions { metadata, deliver_at, retention, test } = event.options;
        match event.payload {
            Payload::Data(bytes) => data = serde_json::from_slice(&bytes).ok(),
            Payload::Raw { content_type: kind, body } => {
                content_type = Some(kind);
                match std::str::from_utf8(&body) {
                    Ok(body) => text = Some(body.to_owned()),
                    Err(_) => base64 = Some(STANDARD.encode(&body)),
                }
            }
        }
        Self {
            id: event.id,
            tenant: event.tenant,
            topic: event.topic,
            accepted_at: event.accepted_at,
            delivery_count: deliveries,
            reason: (deliveries == 0).then_some("unmatched"),
            metadata,
            deliver_at,
            retention,
            test,
            data,
            content_type,
            body: text,
            body_base64: base64,
        }
    }
}

impl EventFields {
    fn publication(self) -> Publication {
        let Self { topic, data, id, metadata, deliver_at, delay, retention, endpoint } = self;
        let wishes = Wishes { metadata, deliver_at, delay, retention, endpoint, waited: false };
        Publication { topic, id, payload: json_payload(&data), wishes }
    }
}

/// Publish an event, a batch of events, or (with `?topic=`) a raw body.
///
/// Answers 202 once it is as durable as the store is set to be. Publishing the same id with the same bytes again
/// changes nothing and says so, whatever else is asked for then; with other bytes it is refused. `Idempotency-Key` stands in
/// for a missing id.
#[utoipa::path(tag = "events", params(("tenant" = String, Path), RawQuery,
        ("Idempotency-Key" = Option<String>, Header, description = "the event's id where the body has none")),
    request_body = PublishBody, responses(
        (status = 202, body = Answer),
        (status = 503, description = "The store is away: publish again, with the same id",
            body = ProblemBody<'static>, content_type = "application/problem+json",
            headers(("Retry-After" = u32, description = "Seconds after which to try again"))),
        (status = 507, description = "The store has no room: nothing was written. Publish again later",
            body = ProblemBody<'static>, content_type = "application/problem+json",
            headers(("Retry-After" = u32, description = "Seconds after which to try again")))))]
#[post("/tenants/{tenant}/events")]
pub(crate) async fn publish_events(
    service: Data<Service>,
    tenant: InPath<TenantId>,
    query: InQuery<RawQuery>,
    request: HttpRequest,
    body: RawBody,
) -> Result<HttpResponse, Problem> {
    let key = idempotency_key(&request)?;
    let InQuery(query) = query;
    if query.topic.is_some() {
        let raw = raw(&request, query, key, body)?;
        let accepted = publish(&service, &tenant.0, vec![raw]).await.map_err(refused_raw)?;
        return Ok(HttpResponse::Accepted().json(only(accepted)?));
    }
    if let Some(name) = query.of_raw() {
        let detail = "goes with 'topic', for a raw body; a JSON body carries its own";
        return Err(Problem::parameter(name, detail));
    }
    body::require_json(&request)?;
    let answer = match read_json(&body, key)? {
        Read::Event(publication) => {
            let accepted = publish(&service, &tenant.0, vec![publication]).await.map_err(refused_event)?;
            Answer::Event(only(accepted)?)
        }
        Read::Batch(publications) => {
            let accepted = publish(&service, &tenant.0, publications).await.map_err(refused_batch)?;
            Answer::Batch(AcceptedBatch { events: accepted.into_iter().map(AcceptedBody::from).collect() })
        }
    };
    Ok(HttpResponse::Accepted().json(answer))
}

/// The answer for the one event that was published.
fn only(accepted: Vec<Accepted>) -> Result<AcceptedBody, Problem> {
    let only = accepted.into_iter().next().map(AcceptedBody::from);
    only.ok_or_else(|| Problem::new(Kind::Internal, "the store gave no answer"))
}

/// What a JSON body publishes.
enum Read {
    Event(Publication),
    Batch(Vec<Publication>),
}

fn idempotency_key(request: &HttpRequest) -> Result<Option<EventId>, Problem> {
    let Some(value) = request.headers().get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let text = value.to_str().map_err(|_| Problem::header(IDEMPOTENCY_KEY, "is not text"))?;
    text.parse().map(Some).map_err(|error| Problem::header(IDEMPOTENCY_KEY, error))
}

/// Takes a body as it is. What else is to be known of it are parameters.
fn raw(
    request: &HttpRequest,
    query: RawQuery,
    key: Option<EventId>,
    RawBody(body): RawBody,
) -> Result<Publication, Problem> {
    let RawQuery { topic, id, metadata, deliver_at, delay, retention, endpoint } = query;
    let topic = topic.ok_or_else(|| Problem::parameter("topic", "is missing"))?;
    let content_type = body::content_type(request);
    if content_type.is_empty() {
        return Err(Problem::header("content-type", "a raw body needs one: it is sent as it came"));
    }
    let metadata = metadata.map(|MetadataText(metadata)| metadata).unwrap_or_default();
    let wishes = Wishes { metadata, deliver_at, delay, retention, endpoint, waited: false };
    let payload = Payload::Raw { content_type: content_type.to_owned(), body };
    Ok(Publication { topic, id: id.or(key), payload, wishes })
}

/// Reads an event or a batch: a body with `events` is a batch.
fn read_json(RawBody(body): &RawBody, key: Option<EventId>) -> Result<Read, Problem> {
    #[derive(Deserialize)]
    struct Probe {
        events: Option<serde::de::IgnoredAny>,
    }
    body::refuse_list(body)?;
    // Whatever cannot be probed is told apart by the error that it meets as an event.
    let is_batch = match serde_json::from_slice::<Probe>(body) {
        Ok(probe) => probe.events.is_some(),
        Err(error) if error.is_data() => false,
        Err(error) => return Err(Problem::new(Kind::MalformedJson, error.to_string())),
    };
    if !is_batch {
        let event: EventFields = body::parse(body)?;
        let mut publication = event.publication();
        publication.id = publication.id.or(key);
        return Ok(Read::Event(publication));
    }
    if key.is_some() {
        return Err(Problem::header(
            IDEMPOTENCY_KEY,
            "cannot stand for the ids of a batch; give each event its 'id'",
        ));
    }
    let Batch { events } = body::parse(body)?;
    if !(1..=MAX_BATCH).contains(&events.len()) {
        return Err(Problem::field("/events", format!("must hold 1 to {MAX_BATCH} events")));
    }
    Ok(Read::Batch(events.into_iter().map(EventFields::publication).collect()))
}

pub(crate) fn refused_event(refused: Refused) -> Problem {
    let detail = refused.to_string();
    match refused {
        Refused::UnknownTopic { .. } | Refused::ArchivedTopic { .. } => Problem::field("/topic", detail),
        Refused::ReservedTopic { .. } => {
            Problem::new(Kind::Reserved, detail).at(Place::Pointer("/topic".to_owned()))
        }
        Refused::Unfit { unfit, .. } => unfit_for("/data", &unfit),
        Refused::UnknownEndpoint { .. } => Problem::field("/endpoint", detail),
        Refused::Wish { field, .. } => Problem::field(format!("/{field}"), detail),
        Refused::TooLarge { .. } => {
            Problem::new(Kind::TooLarge, detail).at(Place::Pointer("/data".to_owned()))
        }
        Refused::Conflict { .. } => {
            Problem::new(Kind::EventConflict, detail).at(Place::Pointer("/id".to_owned()))
        }
        Refused::ReservedTenant { .. } => reserved(detail),
        Refused::Store(error) => error.into(),
    }
}

fn refused_batch(refused: Refused) -> Problem {
    let index = match &refused {
        Refused::UnknownTopic { index, .. }
        | Refused::ArchivedTopic { index, .. }
        | Refused::ReservedTopic { index, .. }
        | Refused::Unfit { index, .. }
        | Refused::UnknownEndpoint { index }
        | Refused::Wish { index, .. }
        | Refused::Conflict { index, .. }
        | Refused::TooLarge { index, .. } => Some(*index),
        Refused::ReservedTenant { .. } | Refused::Store(_) => None,
    };
    let prefix = index.map_or_else(|| "/events".to_owned(), |index| format!("/events/{index}"));
    refused_event(refused).within(&prefix)
}

/// A raw body has no fields: what is said of it are parameters.
fn refused_raw(refused: Refused) -> Problem {
    let detail = refused.to_string();
    match refused {
        Refused::UnknownTopic { .. } | Refused::ArchivedTopic { .. } => Problem::parameter("topic", detail),
        Refused::ReservedTopic { .. } => {
            Problem::new(Kind::Reserved, detail).at(Place::Parameter("topic".to_owned()))
        }
        // The body is the data.
        Refused::Unfit { unfit, .. } => unfit_for("", &unfit),
        Refused::UnknownEndpoint { .. } => Problem::parameter("endpoint", detail),
        Refused::Wish { field, .. } => Problem::parameter(field, detail),
        Refused::TooLarge { .. } => Problem::new(Kind::TooLarge, detail),
        Refused::Conflict { .. } => {
            Problem::new(Kind::EventConflict, detail).at(Place::Parameter("id".to_owned()))
        }
        Refused::ReservedTenant { .. } => reserved(detail),
        Refused::Store(error) => error.into(),
    }
}

/// What is wrong with data that stand there in the body.
fn unfit_for(place: &str, unfit: &Unfit) -> Problem {
    match unfit {
        Unfit::Data(wrong) => Problem::field(format!("{place}{}", wrong.pointer), unfit),
        Unfit::NotJson { .. } => Problem::new(Kind::UnsupportedMediaType, unfit.to_string())
            .at(Place::Header(CONTENT_TYPE.as_str().to_owned())),
    }
}

fn reserved(detail: String) -> Problem {
    Problem::new(Kind::Reserved, detail).at(Place::Parameter("tenant".to_owned()))
}

/// Read an event with its payload and its deliveries.
#[utoipa::path(tag = "events", params(("tenant" = String, Path), ("event" = String, Path)),
    responses((status = 200, body = EventDetail)))]
#[get("/tenants/{tenant}/events/{event}")]
pub(crate) async fn get_event(
    service: Data<Service>,
    path: BothInPath<TenantId, EventId>,
) -> Result<Json<EventDetail>, Problem> {
    let BothInPath(tenant, id) = &path;
    let record = service.store.event(tenant, id).await?;
    let filter = DeliveryFilter { event: Some(id.clone()), ..DeliveryFilter::default() };
    let deliveries = service
        .store
        .deliveries(Some(tenant), filter, Order::NewestFirst, Page::first(SHOWN_DELIVERIES))
        .await?;
    let deliveries = deliveries.rows.into_iter().map(DeliveryBody::from).collect();
    Ok(Json(EventDetail { event: record.into(), deliveries }))
}

#[cfg(test)]
mod tests;
