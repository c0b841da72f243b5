//! Sending again what is over: all that a filter finds, as a job.

use std::{sync::Arc, time::Duration};

use actix_web::{
    HttpResponse, get, post,
    web::{Data, Json, ReqData},
};
use posthaste_model::{
    DeliveryState, EndpointId, EndpointState, ErrorClass, EventId, ReplayId, TenantId, Timestamp, TopicName,
};
use posthaste_store::{DeliveryFilter, Order, Page, Paged, Replay, ReplayState, StoreError};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep, timeout_at};
use utoipa::ToSchema;

use crate::{
    body::{JsonBody, Nothing, OptionalJson},
    caller::Caller,
    conditions::{Conditions, Statuses},
    cursor::{List, ListQuery, Listed},
    moment::Contradiction,
    params::{BothInPath, InPath, InQuery},
    problem::{Kind, Problem},
    recording::{created, unchanged},
    service::Service,
    wire::object,
};

/// How far deliveries are counted.
const MOST_COUNTED: u32 = 100_000;
/// How many are read at a time to count them.
const READ: u32 = 1_000;
/// How long they are counted, waiting for others who count included, so that an answer comes while somebody waits for it.
const COUNT_WITHIN: Duration = Duration::from_secs(10);
/// How many may be opened in a second, at the most that can be asked for.
const MAX_RATE: u32 = 10_000;
/// How often a change is tried again when another one came first.
const TRIES: usize = 10;
/// What is sent again where no states are named: all that is over and did not arrive.
const USUAL_STATES: [DeliveryState; 3] =
    [DeliveryState::Exhausted, DeliveryState::Skipped, DeliveryState::Cancelled];

/// What is sent again, and how.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ReplayFields {
    /// Which deliveries. Where no states are named: `exhausted`, `skipped` and `cancelled`; `delivered` ones only where it is
    /// named. What is open is none of them.
    #[serde(deserialize_with = "object")]
    filter: Conditions,
    /// How many may be opened in a second, up to 10,000. Null: as many as there are.
    #[schema(example = 50)]
    rate: Option<u32>,
    /// Whether they are only counted.
    #[serde(default)]
    dry_run: bool,
}

/// A job that opens deliveries again, oldest first.
#[derive(Serialize, ToSchema)]
#[schema(as = Replay)]
pub(crate) struct ReplayBody {
    #[schema(value_type = String)]
    id: ReplayId,
    #[schema(value_type = String)]
    tenant: TenantId,
    filter: FilterBody,
    /// How many may be opened in a second; null: as many as there are.
    rate: Option<u32>,
    /// `running`, `done` or `cancelled`.
    #[schema(value_type = String)]
    state: ReplayState,
    /// How many deliveries there were when it was asked for, as far as they were counted.
    found: u64,
    /// Whether there were more than were counted.
    more: bool,
    /// How many were opened.
    reopened: u64,
    /// How many were passed over: they were open as it is or since it was asked for, were only tests, or their endpoint is
    /// disabled or deleted.
    passed_over: u64,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

/// Which deliveries a replay means.
#[derive(Serialize, ToSchema)]
#[schema(as = ReplayFilter)]
struct FilterBody {
    #[schema(value_type = Vec<String>)]
    states: Vec<DeliveryState>,
    #[schema(value_type = Option<String>)]
    endpoint: Option<EndpointId>,
    #[schema(value_type = Option<String>)]
    event: Option<EventId>,
    #[schema(value_type = Option<String>)]
    topic: Option<TopicName>,
    #[schema(value_type = Option<String>, example = "500-599")]
    status: Option<Statuses>,
    #[schema(value_type = Option<String>)]
    error: Option<ErrorClass>,
    failed: bool,
    #[schema(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
}

/// What a replay would open.
#[derive(Serialize, ToSchema)]
pub(crate) struct DryReplay {
    /// How many deliveries there are, as far as they were counted: up to 100,000, and for up to 10 seconds.
    found: u64,
    /// Whether there may be more.
    more: bool,
}

impl From<DeliveryFilter> for FilterBody {
    fn from(filter: DeliveryFilter) -> Self {
        let DeliveryFilter { states, endpoint, event, topic, status, error, failed, since, until } = filter;
        let status = status.map(|(first, last)| Statuses { first, last });
        Self { states, endpoint, event, topic, status, error, failed, since, until }
    }
}

impl From<Replay> for ReplayBody {
    fn from(replay: Replay) -> Self {
        Self {
            id: replay.id,
            tenant: replay.tenant,
            filter: replay.filter.into(),
            rate: replay.rate,
            state: replay.state,
            found: replay.found,
            more: replay.found_more,
            reopened: replay.reopened,
            passed_over: replay.passed_over,
            created_at: replay.created_at,
            updated_at: replay.updated_at,
        }
    }
}

/// What is asked for, once it was judged.
pub(crate) struct Wish {
    /// Who asks.
    pub(crate) by: Caller,
    pub(crate) tenant: TenantId,
    pub(crate) filter: DeliveryFilter,
    pub(crate) rate: Option<u32>,
    pub(crate) dry_run: bool,
}

/// Counts what is found, and writes down the job that opens it, unless that is all that was asked for.
pub(crate) async fn begin(service: &Service, wish: Wish) -> Result<HttpResponse, Problem> {
    let Wish { by, tenant, filter, rate, dry_run } = wish;
    if rate.is_some_and(|rate| !(1..=MAX_RATE).contains(&rate)) {
        return Err(Problem::field("/rate", format!("must lie between 1 and {MAX_RATE}")));
    }
    let now = service.clock.now();
    // What is accepted from now on is not meant.
    let until = filter.until.map_or(now, |until| until.min(now));
    let bounded = DeliveryFilter { until: Some(until), ..filter.clone() };
    let counted = count(service, &tenant, &bounded, MOST_COUNTED).await?;
    if dry_run {
        return Ok(unchanged(HttpResponse::Ok().json(counted)));
    }
    let replay = Replay {
        id: ReplayId::mint(now, service.entropy.id()),
        tenant,
        filter,
        rate,
        state: ReplayState::Running,
        found: counted.found,
        found_more: counted.more,
        reopened: 0,
        passed_over: 0,
        cursor: None,
        version: 1,
        created_at: now,
        updated_at: now,
    };
    service.store.create_replay(replay.clone()).await.map_err(Problem::not_repeatable)?;
    let Replay { id, tenant, found, .. } = &replay;
    tracing::info!(%by, %tenant, replay = %id, found, "a replay was asked for");
    let path = format!("/v1/tenants/{tenant}/replays/{id}");
    Ok(created(HttpResponse::Accepted().json(ReplayBody::from(replay)), path))
}

/// Counts what a filter finds, up to `most`. A few do so at a time, and pause for as long as each page took: that leaves half of the
/// store's time to others.
async fn count(
    service: &Service,
    tenant: &TenantId,
    filter: &DeliveryFilter,
    most: u32,
) -> Result<DryReplay, Problem> {
    let until = Instant::now() + COUNT_WITHIN;
    let place = Arc::clone(&service.places.counting).take(tenant.clone());
    let Ok(_place) = timeout_at(until, place).await else {
        return Ok(DryReplay { found: 0, more: true });
    };
    let (mut left, mut after) = (most, None);
    loop {
        let begun = Instant::now();
        let page = Page { limit: READ.min(left), after };
        let Paged { rows, next } =
            service.store.deliveries(Some(tenant), filter.clone(), Order::OldestFirst, page).await?;
        left = left.saturating_sub(u32::try_from(rows.len()).unwrap_or(u32::MAX));
        let pause = begun.elapsed();
        if next.is_none() || left == 0 || Instant::now() + pause >= until {
            return Ok(DryReplay { found: (most - left).into(), more: next.is_some() });
        }
        sleep(pause).await;
        after = next;
    }
}

/// Refuses an endpoint to which nothing can be sent. Where deliveries are only counted it may be disabled.
pub(crate) async fn check_endpoint(
    service: &Service,
    tenant: &TenantId,
    id: EndpointId,
    dry_run: bool,
) -> Result<(), StoreError> {
    let endpoint = service.store.endpoint(tenant, id).await?;
    if endpoint.state == EndpointState::Disabled && !dry_run {
        return Err(StoreError::EndpointClosed(endpoint.state));
    }
    Ok(())
}

/// Says what to do about an endpoint to which nothing can be sent.
pub(crate) fn closed(error: StoreError) -> Problem {
    match error {
        StoreError::EndpointClosed(_) => {
            Problem::new(Kind::EndpointClosed, format!("{error}; enable it first"))
        }
        error => error.into(),
    }
}

/// Send again what is over: the deliveries that a filter finds, oldest first. A dry run only counts them.
///
/// Each is opened again with its retry policy from the beginning, and keeps its attempts. What is accepted after the replay was
/// asked for is not meant, nor is what was only a test, though it is counted.
#[utoipa::path(tag = "replays", params(("tenant" = String, Path)), request_body = ReplayFields, responses(
    (status = 200, description = "What would be opened: it was a dry run", body = DryReplay),
    (status = 202, description = "It goes on by itself", body = ReplayBody)))]
#[post("/tenants/{tenant}/replays")]
pub(crate) async fn create_replay(
    service: Data<Service>,
    caller: ReqData<Caller>,
    tenant: InPath<TenantId>,
    fields: JsonBody<ReplayFields>,
) -> Result<HttpResponse, Problem> {
    let (InPath(tenant), ReplayFields { filter, rate, dry_run }) = (tenant, fields.0);
    if let Some(open) = filter.states.iter().position(|state| !state.is_final()) {
        let detail = "is a state of what is open as it is: only what is over is sent again";
        return Err(Problem::field(format!("/filter/states/{open}"), detail));
    }
    let mut filter = filter
        .filter(service.clock.now())
        .map_err(|Contradiction { field, detail }| Problem::field(format!("/filter/{field}"), detail))?;
    if filter.states.is_empty() {
        filter.states = USUAL_STATES.to_vec();
    }
    service.store.tenant(&tenant).await?;
    if let Some(endpoint) = filter.endpoint {
        check_endpoint(&service, &tenant, endpoint, dry_run).await.map_err(|refused| match refused {
            StoreError::NotFound(_) => Problem::field("/filter/endpoint", refused),
            refused => closed(refused),
        })?;
    }
    begin(&service, Wish { by: caller.into_inner(), tenant, filter, rate, dry_run }).await
}

/// List a tenant's replays, newest first.
#[utoipa::path(tag = "replays", params(("tenant" = String, Path), ListQuery),
    responses((status = 200, body = Listed<ReplayBody>)))]
#[get("/tenants/{tenant}/replays")]
pub(crate) async fn list_replays(
    service: Data<Service>,
    tenant: InPath<TenantId>,
    query: InQuery<ListQuery>,
) -> Result<Json<Listed<ReplayBody>>, Problem> {
    list(&service, Some(&tenant.0), &query).await
}

/// List the replays of all tenants, newest first.
#[utoipa::path(tag = "replays", params(ListQuery), responses((status = 200, body = Listed<ReplayBody>)))]
#[get("/replays")]
pub(crate) async fn list_all_replays(
    service: Data<Service>,
    query: InQuery<ListQuery>,
) -> Result<Json<Listed<ReplayBody>>, Problem> {
    list(&service, None, &query).await
}

async fn list(
    service: &Service,
    tenant: Option<&TenantId>,
    query: &ListQuery,
) -> Result<Json<Listed<ReplayBody>>, Problem> {
    let list = List::new("replays", &tenant);
    let page = service.store.replays(tenant, list.query(query)?).await?;
    Ok(Json(list.answer(page, ReplayBody::from)))
}

/// Read a replay, and how far it has come.
#[utoipa::path(tag = "replays", params(("tenant" = String, Path), ("replay" = String, Path)),
    responses((status = 200, body = ReplayBody)))]
#[get("/tenants/{tenant}/replays/{replay}")]
pub(crate) async fn get_replay(
    service: Data<Service>,
    path: BothInPath<TenantId, ReplayId>,
) -> Result<Json<ReplayBody>, Problem> {
    Ok(Json(service.store.replay(&path.0, path.1).await?.into()))
}

/// Give a replay up. What it has opened stays open. Cancelling it again changes nothing.
#[utoipa::path(tag = "replays", params(("tenant" = String, Path), ("replay" = String, Path)),
    responses((status = 200, body = ReplayBody)))]
#[post("/tenants/{tenant}/replays/{replay}/cancel")]
pub(crate) async fn cancel_replay(
    service: Data<Service>,
    path: BothInPath<TenantId, ReplayId>,
    _: OptionalJson<Nothing>,
) -> Result<HttpResponse, Problem> {
    // The owner of the partition writes down how far it has come all the time.
    for _ in 0..TRIES {
        let replay = service.store.replay(&path.0, path.1).await?;
        match replay.state {
            ReplayState::Cancelled => {
                return Ok(unchanged(HttpResponse::Ok().json(ReplayBody::from(replay))));
            }
            ReplayState::Done => return Err(Problem::new(Kind::Conflict, "the replay is done already")),
            ReplayState::Running => {}
        }
        let cancelled = Replay { state: ReplayState::Cancelled, updated_at: service.clock.now(), ..replay };
        match service.store.update_replay(cancelled).await {
            Err(StoreError::StaleReplay) => continue,
            result => return Ok(HttpResponse::Ok().json(ReplayBody::from(result?))),
        }
    }
    Err(StoreError::StaleReplay.into())
}

#[cfg(test)]
mod tests;
