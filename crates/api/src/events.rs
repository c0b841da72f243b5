use actix_web::{
    HttpRequest, HttpResponse, get, post,
    web::{Data, Json},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use posthaste_model::{EventId, Payload, TenantId, Timestamp, TopicName};
use posthaste_store::{Accepted, DeliveryFilter, EventRecord, Page};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use crate::{
    body::{self, RawBody},
    cursor::{List, ListQuery, Listed},
    deliveries::DeliveryBody,
    intake::{Publication, Refused, json_payload, publish},
    params::{BothInPath, InPath, InQuery},
    problem::{Kind, Place, Problem, ProblemBody},
    service::Service,
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
    #[schema(value_type = Object)]
    data: Box<RawValue>,
    /// Unique within the tenant: publishing it again changes nothing. Made where it is missing.
    #[schema(value_type = Option<String>, example = "ord-42-paid")]
    id: Option<EventId>,
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
struct EventBody {
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
    /// The JSON value that was published.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
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
            data,
            content_type,
            body: text,
            body_base64: base64,
        }
    }
}

impl EventFields {
    fn publication(self) -> Publication {
        Publication { topic: self.topic, id: self.id, payload: json_payload(&self.data) }
    }
}

/// Publish an event, a batch of events, or (with `?topic=`) a raw body.
///
/// Answers 202 once it is as durable as the store is set to be. Publishing the same id with the same bytes again
/// changes nothing and says so; with other bytes it is refused. `Idempotency-Key` stands in for a missing id.
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
    let read = match &query.topic {
        Some(topic) => {
            let raw = raw(&request, topic.clone(), query.id.clone().or(key), body)?;
            let accepted = publish(&service, &tenant.0, vec![raw]).await.map_err(refused_raw)?;
            return Ok(HttpResponse::Accepted().json(only(accepted)?));
        }
        None if query.id.is_some() => {
            return Err(Problem::parameter(
                "id",
                "goes with 'topic', for a raw body; a JSON body carries its own id",
            ));
        }
        None => {
            body::require_json(&request)?;
            read_json(&body, key)?
        }
    };
    let answer = match read {
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

fn raw(
    request: &HttpRequest,
    topic: TopicName,
    id: Option<EventId>,
    RawBody(body): RawBody,
) -> Result<Publication, Problem> {
    let content_type = body::content_type(request);
    if content_type.is_empty() {
        return Err(Problem::header("content-type", "a raw body needs one: it is sent as it came"));
    }
    Ok(Publication { topic, id, payload: Payload::Raw { content_type: content_type.to_owned(), body } })
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

fn refused_event(refused: Refused) -> Problem {
    refused_at("", refused)
}

/// A raw body has no fields: its topic and id are parameters.
fn refused_raw(refused: Refused) -> Problem {
    let detail = refused.to_string();
    match refused {
        Refused::UnknownTopic { .. } | Refused::ArchivedTopic { .. } => Problem::parameter("topic", detail),
        Refused::TooLarge { .. } => Problem::new(Kind::TooLarge, detail),
        Refused::Conflict { .. } => {
            Problem::new(Kind::EventConflict, detail).at(Place::Parameter("id".to_owned()))
        }
        Refused::Store(error) => error.into(),
    }
}

fn refused_batch(refused: Refused) -> Problem {
    let prefix = match &refused {
        Refused::UnknownTopic { index, .. }
        | Refused::ArchivedTopic { index, .. }
        | Refused::Conflict { index, .. }
        | Refused::TooLarge { index, .. } => format!("/events/{index}"),
        Refused::Store(_) => "/events".to_owned(),
    };
    refused_at(&prefix, refused)
}

fn refused_at(prefix: &str, refused: Refused) -> Problem {
    let detail = refused.to_string();
    match refused {
        Refused::UnknownTopic { .. } | Refused::ArchivedTopic { .. } => Problem::field("/topic", detail),
        Refused::TooLarge { .. } => {
            Problem::new(Kind::TooLarge, detail).at(Place::Pointer("/data".to_owned()))
        }
        Refused::Conflict { .. } => {
            Problem::new(Kind::EventConflict, detail).at(Place::Pointer("/id".to_owned()))
        }
        Refused::Store(error) => error.into(),
    }
    .within(prefix)
}

/// List a tenant's events, newest first.
#[utoipa::path(tag = "events", params(("tenant" = String, Path), ListQuery),
    responses((status = 200, body = Listed<EventBody>)))]
#[get("/tenants/{tenant}/events")]
pub(crate) async fn list_events(
    service: Data<Service>,
    tenant: InPath<TenantId>,
    query: InQuery<ListQuery>,
) -> Result<Json<Listed<EventBody>>, Problem> {
    let list = List::new("events", &tenant.0);
    let page = service.store.events(&tenant.0, list.query(&query)?).await?;
    Ok(Json(list.answer(page, EventBody::from)))
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
    let deliveries = service.store.deliveries(tenant, filter, Page::first(SHOWN_DELIVERIES)).await?;
    let deliveries = deliveries.rows.into_iter().map(DeliveryBody::from).collect();
    Ok(Json(EventDetail { event: record.into(), deliveries }))
}
