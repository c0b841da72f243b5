//! Trying an endpoint out: an event for it alone, and what came of it.

use actix_web::{HttpResponse, post, web::Data};
use posthaste_model::{Endpoint, EndpointId, EndpointState, Payload, TenantId, TopicName};
use posthaste_store::{Missing, Store, StoreError};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::{
    body::OptionalJson,
    deliveries::{AttemptBody, DeliveryBody},
    events::{EventBody, refused_event},
    handshake::require_verified,
    intake::{Refused, json_payload, publish_test},
    own_topics,
    params::BothInPath,
    problem::{Kind, Problem},
    service::Service,
    stop::Stop,
    trial::{self, Manner, Tried},
};

/// How an endpoint is tried out.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = TestEvent)]
struct Test {
    /// The topic of the event: one that takes events. Where it is missing, `posthaste.test`, which needs no registration.
    /// For the tenant `posthaste` it is that, or one of what operators are told.
    #[schema(value_type = Option<String>, example = "order.paid")]
    topic: Option<TopicName>,
    /// The event's data. Where it is missing, the topic's example, and where that has none, `{"test": true}`. For the
    /// tenant `posthaste` it is always that.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<serde_json::Value>)]
    data: Option<Box<RawValue>>,
    /// Whether it goes out although the endpoint is paused or disabled.
    force: bool,
}

/// Reads a field that is there: null is a value as any other.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::deserialize(deserializer).map(Some)
}

/// What came of a test event.
#[derive(Serialize, ToSchema)]
struct Tested {
    event: EventBody,
    delivery: DeliveryBody,
    /// The attempt; null: none was made, or it was not over in time.
    attempt: Option<AttemptBody>,
}

/// Send a test event to an endpoint, and wait for what comes of it. What fails is not tried again, and what could not be
/// sent in time is cancelled.
#[utoipa::path(tag = "endpoints", params(("tenant" = String, Path), ("endpoint" = String, Path)),
    request_body = Option<Test>, responses(
        (status = 200, description = "The delivery is over", body = Tested),
        (status = 202, description = "It was not over within the endpoint's timeout and 5 seconds, or the service stops",
            body = Tested)))]
#[post("/tenants/{tenant}/endpoints/{endpoint}/test")]
pub(crate) async fn test_endpoint(
    service: Data<Service>,
    stop: Data<Stop>,
    path: BothInPath<TenantId, EndpointId>,
    test: OptionalJson<Test>,
) -> Result<HttpResponse, Problem> {
    try_out(&service, &stop, &path, test.0).await.map_err(Problem::not_repeatable)
}

async fn try_out(
    service: &Data<Service>,
    stop: &Stop,
    BothInPath(tenant, id): &BothInPath<TenantId, EndpointId>,
    Test { topic, data, force }: Test,
) -> Result<HttpResponse, Problem> {
    let store = &*service.store;
    let endpoint = store.endpoint(tenant, *id).await?;
    require_verified(&endpoint)?;
    if endpoint.state != EndpointState::Enabled && !force {
        return Err(closed(&endpoint));
    }
    let topic = match topic {
        Some(topic) => topic,
        None => own_topics::TEST.parse().map_err(|e| Problem::internal(&e))?,
    };
    let payload = payload(store, tenant, &topic, data).await?;
    let event =
        publish_test(service, tenant, *id, topic, payload).await.map_err(|refused| match refused {
            Refused::UnknownEndpoint { .. } => StoreError::NotFound(Missing::Endpoint).into(),
            refused => refused_event(refused),
        })?;
    let manner = if force { Manner::Forced } else { Manner::InTurn };
    let Tried { delivery, attempt, in_time } =
        trial::follow(service, stop, &endpoint, &event, manner).await?;
    let event = store.event(tenant, &event).await?.into();
    let mut response = if in_time { HttpResponse::Ok() } else { HttpResponse::Accepted() };
    let attempt = attempt.map(AttemptBody::from);
    Ok(response.json(Tested { event, delivery: delivery.into(), attempt }))
}

/// The event's data. What operators are told nobody else can tell them: for the tenant `posthaste` it cannot be chosen.
async fn payload(
    store: &dyn Store,
    tenant: &TenantId,
    topic: &TopicName,
    data: Option<Box<RawValue>>,
) -> Result<Payload, Problem> {
    let own = *tenant == TenantId::posthaste();
    if own && !own_topics::tests(tenant, topic) {
        let detail = format!("for the tenant '{tenant}' it must be one of {}", own_topics::listed());
        return Err(Problem::field("/topic", detail));
    }
    match data {
        Some(_) if own => Err(Problem::field("/data", format!("cannot be given for the tenant '{tenant}'"))),
        Some(data) => Ok(json_payload(&data)),
        None if own => Ok(made_up()),
        None => sample(store, topic).await,
    }
}

/// What an event of the topic may look like.
async fn sample(store: &dyn Store, topic: &TopicName) -> Result<Payload, Problem> {
    let example = match store.topic(topic).await {
        Ok(topic) => topic.example,
        Err(StoreError::NotFound(_)) => None,
        Err(error) => return Err(error.into()),
    };
    Ok(example.map_or_else(made_up, |example| Payload::Data(example.to_string().into())))
}

/// Data that says only what it is for.
fn made_up() -> Payload {
    Payload::Data(serde_json::json!({ "test": true }).to_string().into())
}

fn closed(endpoint: &Endpoint) -> Problem {
    let state = endpoint.state.as_str();
    let why = endpoint.state_reason.as_ref().map_or_else(String::new, |reason| format!(" ({reason})"));
    let detail = format!("the endpoint is {state}{why}; with \"force\": true the event is sent all the same");
    Problem::new(Kind::EndpointClosed, detail)
}

#[cfg(test)]
mod tests;
