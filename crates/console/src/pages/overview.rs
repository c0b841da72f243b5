//! How things are.

use std::collections::HashMap;

use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use futures_util::{
    StreamExt as _, TryStreamExt as _,
    future::{try_join, try_join3},
    stream,
};
use posthaste_client::{
    ClientError, Delivery, DeliveryFilter, EndpointId, EndpointState, EventFilter, Moment, Period,
    ProblemKind, ReplayState, TenantId,
};

use super::{
    figures::{Span, Tile, charts, span, tiles},
    health::is_unverified,
    replays::Job,
};
use crate::{
    charts::Chart,
    elements::{Badge, When},
    fault::Fault,
    names::short,
    page::Page,
    paging::first,
    visitor::{Visitor, html},
    words,
};

/// How many of the newest failures are looked at to find out where they come from.
const LOOKED_AT: u32 = 500;
/// How many endpoints are named.
const WORST: usize = 5;
/// How many endpoints are asked for at once.
const AT_ONCE: usize = 5;
/// How many of the newest replays are looked at to find out which go on.
const REPLAYS: u32 = 200;

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview {
    page: Page,
    spans: Vec<Span>,
    tiles: Vec<Tile>,
    charts: Vec<Chart>,
    failures: Failures,
    running: Vec<Job>,
    /// What to do first, where nothing has happened yet.
    first_steps: Option<FirstSteps>,
}

/// Where deliveries fail.
struct Failures {
    /// The endpoints where most of them do, as far as these are still there.
    worst: Vec<Worst>,
    /// How many deliveries were looked at.
    found: usize,
    /// Whether there are more.
    more: bool,
}

/// An endpoint where deliveries fail.
struct Worst {
    path: String,
    failures: String,
    name: String,
    tenant: String,
    badge: Badge,
    /// How many of its deliveries had an attempt that failed.
    failed: String,
    failing_since: Option<When>,
}

/// What there is already.
struct FirstSteps {
    has_topic: bool,
    has_endpoint: bool,
    /// Where to make an endpoint.
    tenant: String,
}

pub(super) async fn show(visitor: Visitor, request: HttpRequest) -> Result<HttpResponse, Fault> {
    let (asked, spans) = span(request.query_string(), "1h");
    let client = &visitor.client;
    let stats = async {
        Ok::<_, Fault>(match visitor.tenant() {
            Some(tenant) => client.tenant_stats(tenant, &asked, None).await?,
            None => client.stats(&asked, None).await?,
        })
    };
    let (stats, failures, running) = try_join3(stats, failures(&visitor), running(&visitor)).await?;
    let idle = stats.total.events == 0
        && stats.total.attempts == 0
        && failures.found == 0
        && stats.backlog.is_none_or(|backlog| backlog.open == 0);
    // Nothing in this stretch of time need not be nothing ever.
    let first_steps =
        if idle && is_unused(&visitor).await? { Some(first_steps(&visitor).await?) } else { None };
    html(&Overview {
        page: visitor.page("overview", "Overview"),
        tiles: tiles(&stats, true, visitor.now),
        charts: charts(&stats, true),
        spans,
        failures,
        running,
        first_steps,
    })
}

/// Whether no event is known: none was ever accepted, or all are forgotten.
async fn is_unused(visitor: &Visitor) -> Result<bool, Fault> {
    let (any, one) = (EventFilter::default(), first(1));
    let found = match visitor.tenant() {
        Some(tenant) => visitor.client.search_events(tenant, &any, &one).await?,
        None => visitor.client.all_events(&any, &one).await?,
    };
    Ok(found.data.is_empty() && found.next.is_none())
}

/// Where the newest failures come from.
async fn failures(visitor: &Visitor) -> Result<Failures, Fault> {
    let since = Some(Moment::Back(Period::from_secs(24 * 3_600)));
    let filter = DeliveryFilter { failed: true, since, ..DeliveryFilter::default() };
    let options = first(LOOKED_AT);
    let failed = match visitor.tenant() {
        Some(tenant) => visitor.client.deliveries(tenant, &filter, &options).await?,
        None => visitor.client.all_deliveries(&filter, &options).await?,
    };
    let named = stream::iter(by_endpoint(&failed.data))
        .map(|(tenant, id, failed)| name(visitor, tenant, id, failed))
        .buffered(AT_ONCE)
        .try_filter_map(async |named| Ok(named))
        .take(WORST);
    Ok(Failures { worst: named.try_collect().await?, found: failed.data.len(), more: failed.next.is_some() })
}

/// An endpoint with so many deliveries that failed; none: it was deleted.
async fn name(
    visitor: &Visitor,
    tenant: TenantId,
    id: EndpointId,
    failed: u64,
) -> Result<Option<Worst>, Fault> {
    let endpoint = match visitor.client.endpoint(&tenant, id).await {
        Err(ClientError::Problem(problem)) if problem.kind == ProblemKind::NotFound => return Ok(None),
        endpoint => endpoint?,
    };
    let at = visitor.door.prefix();
    Ok(Some(Worst {
        path: format!("{at}/tenants/{tenant}/endpoints/{id}"),
        failures: format!("{at}/deliveries?tenant={tenant}&endpoint={id}&failed=true&since=24h"),
        name: short(&endpoint.url),
        tenant: tenant.to_string(),
        badge: Badge::endpoint(
            endpoint.state,
            endpoint.health.failing_since.is_some(),
            is_unverified(&endpoint),
        ),
        failed: words::counted(failed, "delivery"),
        failing_since: endpoint.health.failing_since.map(|at| visitor.when(at)),
    }))
}

/// Endpoints and how many of the deliveries are theirs, most first.
fn by_endpoint(deliveries: &[Delivery]) -> Vec<(TenantId, EndpointId, u64)> {
    let mut counts: HashMap<EndpointId, (TenantId, u64)> = HashMap::new();
    for delivery in deliveries {
        counts.entry(delivery.endpoint).or_insert_with(|| (delivery.tenant.clone(), 0)).1 += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().map(|(id, (tenant, count))| (tenant, id, count)).collect();
    counts.sort_by(|a, b| b.2.cmp(&a.2).then(a.1.cmp(&b.1)));
    counts
}

/// The replays that go on, which only those can list who look across tenants.
async fn running(visitor: &Visitor) -> Result<Vec<Job>, Fault> {
    if !visitor.operates() {
        return Ok(Vec::new());
    }
    let replays = visitor.client.all_replays(&first(REPLAYS)).await?.data;
    let running = replays.into_iter().filter(|replay| replay.state == ReplayState::Running);
    Ok(running.map(|replay| Job::of(visitor, replay)).collect())
}

async fn first_steps(visitor: &Visitor) -> Result<FirstSteps, Fault> {
    let one = first(1);
    let tenant = visitor.tenant().cloned().unwrap_or_else(TenantId::default_tenant);
    let topics = async { Ok::<_, Fault>(visitor.client.topics(&one).await?) };
    let endpoints = async {
        // The tenant that is there from the beginning may have been deleted.
        Ok::<_, Fault>(
            visitor.client.endpoints(&tenant, &one).await.map(|page| page.data).unwrap_or_default(),
        )
    };
    let (topics, endpoints) = try_join(topics, endpoints).await?;
    let has_endpoint = endpoints.iter().any(|endpoint| endpoint.state == EndpointState::Enabled);
    Ok(FirstSteps { has_topic: !topics.data.is_empty(), has_endpoint, tenant: tenant.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_come_first() {
        let delivery = |endpoint: u8| {
            serde_json::from_value::<Delivery>(serde_json::json!({
                "id": "dlv_00000000000000000000000000000000", "tenant": "acme", "event": "e1",
                "topic": "order.paid", "endpoint": format!("ep_{endpoint:032x}"), "state": "exhausted",
                "reason": null, "attempts": 3, "failures": 3, "due_at": null, "last_status": 503,
                "last_error": null, "created_at": "2026-11-21T10:00:00Z", "completed_at": null,
            }))
            .unwrap()
        };
        let failed: Vec<_> = [3, 1, 2, 3, 2, 3, 4, 5, 6].map(delivery).into();
        let worst = by_endpoint(&failed);
        let ids: Vec<_> = worst.iter().map(|(_, id, count)| (id.uuid().as_u128(), *count)).collect();
        assert_eq!(ids, [(3, 3), (2, 2), (1, 1), (4, 1), (5, 1), (6, 1)]);
    }
}
