//! Searching events, of a tenant and of all.

use actix_web::{
    get,
    web::{Data, Json},
};
use posthaste_model::{TenantId, TopicName};
use posthaste_store::EventFilter;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::{
    cursor::{List, Listed},
    events::EventBody,
    moment::{Contradiction, Moment, span},
    params::{InPath, InQuery},
    problem::Problem,
    service::Service,
};

/// Which events are wanted: those that meet every condition.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct EventQuery {
    /// Of this topic.
    #[param(value_type = Option<String>)]
    topic: Option<TopicName>,
    /// `true`: only those that no endpoint wanted.
    #[serde(default)]
    #[param(value_type = Option<bool>)]
    unmatched: bool,
    /// Accepted at this time or later: RFC 3339, or how long ago, such as `1h` or `7d`.
    #[param(value_type = Option<String>, example = "7d")]
    since: Option<Moment>,
    /// Accepted before this time.
    #[param(value_type = Option<String>)]
    until: Option<Moment>,
    /// Rows of a page: 1 to 500, 50 where nothing is said.
    limit: Option<u32>,
    /// Where to go on: `next` of the page before.
    cursor: Option<String>,
}

async fn search(
    service: &Service,
    tenant: Option<&TenantId>,
    query: EventQuery,
) -> Result<Json<Listed<EventBody>>, Problem> {
    let EventQuery { topic, unmatched, since, until, limit, cursor } = query;
    let list = List::new("events", &(tenant, &topic, unmatched, since, until));
    let page = list.page(limit, cursor.as_deref())?;
    let (since, until) = span(since, until, service.clock.now())
        .map_err(|Contradiction { field, detail }| Problem::parameter(field, detail))?;
    let filter = EventFilter { topic, unmatched, since, until };
    let page = service.store.events(tenant, filter, page).await?;
    Ok(Json(list.answer(page, EventBody::from)))
}

/// Search a tenant's events, newest first.
///
/// A page may hold fewer events than were asked for, even none, and still have a `next`: a search looks at a bounded number of
/// them at a time. Whoever goes on until `next` is null has seen all.
#[utoipa::path(tag = "events", params(("tenant" = String, Path), EventQuery),
    responses((status = 200, body = Listed<EventBody>)))]
#[get("/tenants/{tenant}/events")]
pub(crate) async fn list_events(
    service: Data<Service>,
    tenant: InPath<TenantId>,
    query: InQuery<EventQuery>,
) -> Result<Json<Listed<EventBody>>, Problem> {
    search(&service, Some(&tenant.0), query.0).await
}

/// Search the events of all tenants, newest first.
///
/// A page may hold fewer events than were asked for, even none, and still have a `next`: a search looks at a bounded number of
/// them at a time. Whoever goes on until `next` is null has seen all.
#[utoipa::path(tag = "events", params(EventQuery), responses((status = 200, body = Listed<EventBody>)))]
#[get("/events")]
pub(crate) async fn list_all_events(
    service: Data<Service>,
    query: InQuery<EventQuery>,
) -> Result<Json<Listed<EventBody>>, Problem> {
    search(&service, None, query.0).await
}

#[cfg(test)]
mod tests;
