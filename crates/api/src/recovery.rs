//! Sending again what an endpoint missed, and one delivery.

use actix_web::{
    HttpResponse, post,
    web::{Data, Json, ReqData},
};
use posthaste_model::{DeliveryId, DeliveryState, EndpointId, TenantId};
use posthaste_store::{DeliveryFilter, Missing, Reopened, StoreError};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{
    body::{JsonBody, Nothing, OptionalJson},
    caller::Caller,
    deliveries::DeliveryBody,
    moment::{Contradiction, Moment, span},
    params::BothInPath,
    problem::{Kind, Problem},
    replays::{DryReplay, ReplayBody, Wish, begin, check_endpoint, closed},
    service::Service,
};

/// What an endpoint missed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Recovery {
    /// From when on its events were accepted: RFC 3339, or how long ago, such as `1h` or `7d`.
    #[schema(value_type = String, example = "7d")]
    since: Moment,
    /// Before when. Null: now.
    #[schema(value_type = Option<String>)]
    until: Option<Moment>,
    /// How many may be opened in a second, up to 10,000. Null: as many as there are.
    #[schema(example = 50)]
    rate: Option<u32>,
    /// Whether they are only counted.
    #[serde(default)]
    dry_run: bool,
}

/// Send again what an endpoint missed: its exhausted and skipped deliveries since a time, oldest first, as a replay.
#[utoipa::path(tag = "endpoints", params(("tenant" = String, Path), ("endpoint" = String, Path)),
    request_body = Recovery, responses(
        (status = 200, description = "What would be opened: it was a dry run", body = DryReplay),
        (status = 202, description = "It goes on by itself", body = ReplayBody)))]
#[post("/tenants/{tenant}/endpoints/{endpoint}/recover")]
pub(crate) async fn recover_endpoint(
    service: Data<Service>,
    caller: ReqData<Caller>,
    path: BothInPath<TenantId, EndpointId>,
    recovery: JsonBody<Recovery>,
) -> Result<HttpResponse, Problem> {
    let (BothInPath(tenant, endpoint), Recovery { since, until, rate, dry_run }) = (path, recovery.0);
    let (since, until) = span(Some(since), until, service.clock.now())
        .map_err(|Contradiction { field, detail }| Problem::field(format!("/{field}"), detail))?;
    check_endpoint(&service, &tenant, endpoint, dry_run).await.map_err(closed)?;
    let states = vec![DeliveryState::Exhausted, DeliveryState::Skipped];
    let filter =
        DeliveryFilter { states, endpoint: Some(endpoint), since, until, ..DeliveryFilter::default() };
    begin(&service, Wish { by: caller.into_inner(), tenant, filter, rate, dry_run }).await
}

/// Open a delivery again that is over, whatever came of it. Its retry policy begins anew; its attempts are kept and counted on.
#[utoipa::path(tag = "deliveries", params(("tenant" = String, Path), ("delivery" = String, Path)),
    responses((status = 200, body = DeliveryBody)))]
#[post("/tenants/{tenant}/deliveries/{delivery}/replay")]
pub(crate) async fn replay_delivery(
    service: Data<Service>,
    path: BothInPath<TenantId, DeliveryId>,
    _: OptionalJson<Nothing>,
) -> Result<Json<DeliveryBody>, Problem> {
    let BothInPath(tenant, id) = path;
    let reopened = service.store.reopen(&tenant, vec![id], None, service.clock.now()).await;
    let reopened = reopened.map_err(Problem::not_repeatable)?.first().copied();
    let delivery = match reopened {
        None | Some(Reopened::Missing) => return Err(StoreError::NotFound(Missing::Delivery).into()),
        Some(_) => service.store.delivery(&tenant, id).await.map_err(Problem::not_repeatable)?,
    };
    match reopened {
        Some(Reopened::Open) => {
            let detail = "the delivery is open as it is: only what is over is opened again";
            Err(Problem::new(Kind::Conflict, detail))
        }
        Some(Reopened::Closed) => {
            // A deleted one is not found.
            let endpoint = service.store.endpoint(&tenant, delivery.endpoint).await?;
            Err(closed(StoreError::EndpointClosed(endpoint.state)))
        }
        _ => Ok(Json(delivery.into())),
    }
}

#[cfg(test)]
mod tests;
