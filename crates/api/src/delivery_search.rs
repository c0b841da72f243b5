//! Searching deliveries, of a tenant and of all.

use actix_web::{
    get,
    web::{Data, Json},
};
use posthaste_model::{DeliveryState, EndpointId, ErrorClass, EventId, TenantId, TopicName};
use posthaste_store::Order;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::{
    conditions::{Conditions, Statuses},
    cursor::{List, Listed},
    deliveries::DeliveryBody,
    moment::{Contradiction, Moment},
    params::{InPath, InQuery},
    problem::Problem,
    service::Service,
};

/// Which deliveries are wanted: those that meet every condition.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct DeliveryQuery {
    /// In this state, or in one of several: `exhausted,skipped`.
    #[param(value_type = Option<String>, example = "exhausted,skipped")]
    state: Option<States>,
    /// To this endpoint.
    #[param(value_type = Option<String>)]
    endpoint: Option<EndpointId>,
    /// Of this event.
    #[param(value_type = Option<String>)]
    event: Option<EventId>,
    /// Of this topic.
    #[param(value_type = Option<String>)]
    topic: Option<TopicName>,
    /// Whose last attempt was answered with such a status: `503`, `5xx` or `400-499`.
    #[param(value_type = Option<String>, example = "5xx")]
    status: Option<Statuses>,
    /// Whose last attempt got no answer, because of this: `blocked`, `dns`, `connect`, `tls`, `timeout`, `protocol`, `internal`,
    /// `unknown` or `auth`. It does not go with `status`.
    #[param(value_type = Option<String>, example = "timeout")]
    error: Option<ErrorClass>,
    /// `true`: only those of which an attempt has failed that counts, since it was made, or opened again.
    #[serde(default)]
    #[param(value_type = Option<bool>)]
    failed: bool,
    /// Whose event was accepted at this time or later: RFC 3339, or how long ago, such as `1h` or `7d`.
    #[param(value_type = Option<String>, example = "7d")]
    since: Option<Moment>,
    /// Whose event was accepted before this time.
    #[param(value_type = Option<String>)]
    until: Option<Moment>,
    /// `newest` events first, or `oldest`. Where nothing is said, the newest.
    #[serde(default)]
    #[param(value_type = Option<String>, example = "newest")]
    order: Wanted,
    /// Rows of a page: 1 to 500, 50 where nothing is said.
    limit: Option<u32>,
    /// Where to go on: `next` of the page before.
    cursor: Option<String>,
}

/// Which deliveries come first.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Wanted {
    #[default]
    Newest,
    Oldest,
}

/// States, separated by commas.
#[derive(Debug, Default, Deserialize)]
#[serde(try_from = "String")]
struct States(Vec<DeliveryState>);

impl TryFrom<String> for States {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let state = |name: &str| {
            DeliveryState::ALL.into_iter().find(|state| state.as_str() == name).ok_or_else(|| {
                let known = DeliveryState::ALL.map(DeliveryState::as_str).join("', '");
                format!("unknown state '{name}': expected '{known}', or several of them, separated by commas")
            })
        };
        text.split(',').map(state).collect::<Result<_, _>>().map(Self)
    }
}

async fn search(
    service: &Service,
    tenant: Option<&TenantId>,
    query: DeliveryQuery,
) -> Result<Json<Listed<DeliveryBody>>, Problem> {
    let DeliveryQuery {
        state,
        endpoint,
        event,
        topic,
        status,
        error,
        failed,
        since,
        until,
        order,
        limit,
        cursor,
    } = query;
    let States(states) = state.unwrap_or_default();
    let conditions = Conditions { states, endpoint, event, topic, status, error, failed, since, until };
    // By what was said, and not by what it means: a span back from now begins a little later on the next page.
    let list = List::new("deliveries", &(tenant, &conditions, order));
    let page = list.page(limit, cursor.as_deref())?;
    let filter = conditions
        .filter(service.clock.now())
        .map_err(|Contradiction { field, detail }| Problem::parameter(field, detail))?;
    let order = match order {
        Wanted::Newest => Order::NewestFirst,
        Wanted::Oldest => Order::OldestFirst,
    };
    let page = service.store.deliveries(tenant, filter, order, page).await?;
    Ok(Json(list.answer(page, DeliveryBody::from)))
}

/// Search a tenant's deliveries, in the order of their events.
///
/// A page may hold fewer deliveries than were asked for, even none, and still have a `next`: a search looks at a bounded number
/// of them at a time. Whoever goes on until `next` is null has seen all.
#[utoipa::path(tag = "deliveries", params(("tenant" = String, Path), DeliveryQuery),
    responses((status = 200, body = Listed<DeliveryBody>)))]
#[get("/tenants/{tenant}/deliveries")]
pub(crate) async fn list_deliveries(
    service: Data<Service>,
    tenant: InPath<TenantId>,
    query: InQuery<DeliveryQuery>,
) -> Result<Json<Listed<DeliveryBody>>, Problem> {
    search(&service, Some(&tenant.0), query.0).await
}

/// Search the deliveries of all tenants, in the order of their events.
///
/// A page may hold fewer deliveries than were asked for, even none, and still have a `next`: a search looks at a bounded number
/// of them at a time. Whoever goes on until `next` is null has seen all.
#[utoipa::path(tag = "deliveries", params(DeliveryQuery),
    responses((status = 200, body = Listed<DeliveryBody>)))]
#[get("/deliveries")]
pub(crate) async fn list_all_deliveries(
    service: Data<Service>,
    query: InQuery<DeliveryQuery>,
) -> Result<Json<Listed<DeliveryBody>>, Problem> {
    search(&service, None, query.0).await
}

#[cfg(test)]
mod tests;
