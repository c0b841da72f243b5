//! What would come of an event, and why. Nothing is written.

use std::{convert::identity, slice, sync::Arc};

use actix_web::{
    post,
    web::{Data, Json},
};
use posthaste_model::{
    DeliveryState, Endpoint, EndpointId, EndpointState, Payload, TenantId, TopicName, TopicPattern,
};
use posthaste_policy::{Explanation, Subject, wants};
use posthaste_store::{Missing, Paged, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::{
    body::JsonBody,
    cursor::{List, ListQuery, Listed},
    events::refused_event,
    filters,
    intake::{Refused, admit, json_payload},
    metadata::{self, Metadata},
    own_topics,
    params::{InPath, InQuery},
    problem::{Problem, ProblemBody},
    service::Service,
};

/// An event that nobody has published, and what is asked about it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Question {
    /// Its type.
    #[schema(value_type = String, example = "order.paid")]
    topic: TopicName,
    /// Any JSON value.
    #[schema(value_type = serde_json::Value)]
    data: Box<RawValue>,
    /// The publisher's own facts about it.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, String>)]
    metadata: Metadata,
    /// The one endpoint that is asked about. Where it is missing, all of the tenant's.
    #[schema(value_type = Option<String>)]
    endpoint: Option<EndpointId>,
    /// A filter to try, which no endpoint need have: no endpoint is asked about.
    #[schema(value_type = Option<Object>)]
    filter: Option<Box<RawValue>>,
}

/// What would come of an event.
#[derive(Serialize, ToSchema)]
struct Matching {
    /// The error that publishing it would be answered with. Null: it would be accepted.
    #[schema(value_type = Option<ProblemBody>)]
    refused: Option<Problem>,
    /// Whether the filter that was given matches it, and why. Null: none was.
    #[schema(value_type = Option<Object>)]
    filter: Option<Explanation>,
    #[serde(flatten)]
    endpoints: Listed<EndpointMatch>,
}

/// Whether an endpoint would get an event, and why.
#[derive(Serialize, ToSchema)]
struct EndpointMatch {
    #[schema(value_type = String)]
    endpoint: EndpointId,
    /// Whether it would get it: its topics and its filter match.
    matches: bool,
    /// What its delivery would be at first: `scheduled`, `held` (the endpoint is paused) or `skipped` (it is disabled). Null:
    /// there would be none.
    #[schema(value_type = Option<String>)]
    delivery: Option<DeliveryState>,
    /// Those of its topics that stand for the event's; empty: none does.
    #[schema(value_type = Vec<String>)]
    topics: Vec<TopicPattern>,
    /// Whether its filter matches, and why. Null: it has none, or one that cannot be read, which lets everything through.
    #[schema(value_type = Option<Object>)]
    filter: Option<Explanation>,
}

/// Say which of a tenant's endpoints would get an event, and why. Nothing is written.
#[utoipa::path(tag = "events", params(("tenant" = String, Path), ListQuery), request_body = Question,
    responses((status = 200, body = Matching)))]
#[post("/tenants/{tenant}/match")]
pub(crate) async fn match_event(
    service: Data<Service>,
    tenant: InPath<TenantId>,
    query: InQuery<ListQuery>,
    question: JsonBody<Question>,
) -> Result<Json<Matching>, Problem> {
    let InPath(tenant) = tenant;
    let Question { topic, data, metadata, endpoint, filter } = question.0;
    if endpoint.is_some() && filter.is_some() {
        return Err(Problem::field("/filter", "cannot stand beside 'endpoint'"));
    }
    if let Some(excess) = metadata::excess(&metadata) {
        return Err(Problem::field("/metadata", excess));
    }
    let tried = filter.map(|filter| filters::read(&filter)).transpose()?;
    let list = List::new("match", &tenant);
    let page = list.query(&query)?;
    let payload = json_payload(&data);
    refuse_large(&service, &payload)?;
    let refused = refusal(&service, &tenant, &topic, &payload).await?;
    let subject = || Subject::new(&topic, &metadata, &payload);

    let endpoints = if tried.is_some() {
        // Whether the tenant exists is said all the same.
        service.store.tenant(&tenant).await?;
        Listed::whole(Vec::new())
    } else if let Some(id) = endpoint {
        let endpoint = service.store.endpoint(&tenant, id).await.map_err(|error| match error {
            StoreError::NotFound(Missing::Endpoint) => Problem::field("/endpoint", error),
            error => error.into(),
        })?;
        Listed::whole(vec![judge(&service, &endpoint, &topic, &subject())])
    } else {
        let Paged { rows, next } = service.store.endpoints(&tenant, page).await?;
        let rows = judge_all(&service, &rows, &topic, &subject()).await;
        list.answer(Paged { rows, next }, identity)
    };
    let filter = tried.map(|filter| filter.explain(&subject()));
    Ok(Json(Matching { refused, filter, endpoints }))
}

/// Refuses data that no event may have: how long judging takes is bounded for those that one may.
fn refuse_large(service: &Service, payload: &Payload) -> Result<(), Problem> {
    let (size, limit) = (payload.bytes().len(), service.settings.payload_limit);
    if size > limit {
        return Err(refused_event(Refused::TooLarge { index: 0, size, limit }));
    }
    Ok(())
}

/// What publishing such an event would be answered with.
async fn refusal(
    service: &Service,
    tenant: &TenantId,
    name: &TopicName,
    payload: &Payload,
) -> Result<Option<Problem>, Problem> {
    // What operators are told needs no registration.
    if *tenant == TenantId::posthaste() && own_topics::tests(tenant, name) {
        return Ok(None);
    }
    let topic = match service.store.topic(name).await {
        Ok(topic) => Some(Arc::new(topic)),
        Err(StoreError::NotFound(_)) => None,
        Err(error) => return Err(error.into()),
    };
    Ok(admit(service, topic.as_ref(), 0, name, payload).err().map(refused_event))
}

/// Judges one endpoint after the other. Other requests have their turn in between: a page of costly filters takes a while.
async fn judge_all(
    service: &Service,
    endpoints: &[Endpoint],
    topic: &TopicName,
    subject: &Subject<'_>,
) -> Vec<EndpointMatch> {
    let mut judged = Vec::with_capacity(endpoints.len());
    for endpoint in endpoints {
        judged.push(judge(service, endpoint, topic, subject));
        tokio::task::yield_now().await;
    }
    judged
}

fn judge(service: &Service, endpoint: &Endpoint, topic: &TopicName, subject: &Subject<'_>) -> EndpointMatch {
    let standing = endpoint.topics.iter().filter(|pattern| wants(slice::from_ref(*pattern), topic));
    let topics: Vec<_> = standing.cloned().collect();
    let filter = endpoint.filter.as_ref().and_then(|text| service.compiled.filters.get(text, endpoint));
    let filter = filter.map(|filter| filter.explain(subject));
    let matches = !topics.is_empty() && filter.as_ref().is_none_or(|filter| filter.matches);
    let delivery = matches.then_some(match endpoint.state {
        EndpointState::Enabled => DeliveryState::Scheduled,
        EndpointState::Paused => DeliveryState::Held,
        EndpointState::Disabled => DeliveryState::Skipped,
    });
    EndpointMatch { endpoint: endpoint.id, matches, delivery, topics, filter }
}

#[cfg(test)]
mod tests;
