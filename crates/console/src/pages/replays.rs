//! Sending again many deliveries at once.

use std::{slice, time::Duration};

use actix_web::{HttpRequest, HttpResponse, ResponseError as _, http::StatusCode, web};
use askama::Template;
use posthaste_client::{
    DeliveryFilter, DeliveryState, DryReplay, EndpointId, Moment, NewReplay, Recovery, Replay, ReplayFilter,
    ReplayId, ReplayState, TenantId,
};

use super::both;
use crate::{
    elements::{Badge, Mood, When},
    fault::{Fault, Told},
    fields::Fields,
    names::Names,
    page::Page,
    paging::{page_of, query},
    posted::Posted,
    search::{Search, moment},
    visitor::{Visitor, html, html_as},
    words,
};

/// Rows of a page.
const ROWS: u32 = 50;
/// How many deliveries are opened in a second where nobody says otherwise: a receiver that has just been mended is spared.
const USUAL_RATE: u32 = 50;

/// A replay as it is shown.
pub(super) struct Job {
    pub(super) path: String,
    pub(super) tenant: String,
    pub(super) badge: Badge,
    pub(super) running: bool,
    pub(super) over: bool,
    /// What it sends again, in words, but for the endpoint.
    pub(super) what: String,
    /// The endpoint; none: whichever.
    pub(super) endpoint: Option<Target>,
    /// Where those deliveries are, whatever became of them.
    pub(super) deliveries: String,
    /// How far it is, and of how many.
    pub(super) done: u64,
    pub(super) found: u64,
    pub(super) progress: String,
    pub(super) rate: String,
    pub(super) created: When,
    pub(super) updated: When,
}

/// The endpoint that a replay is for.
pub(super) struct Target {
    id: EndpointId,
    pub(super) path: String,
    pub(super) name: String,
}

impl Job {
    pub(super) fn of(visitor: &Visitor, replay: Replay) -> Self {
        let badge = match &replay.state {
            ReplayState::Running => Badge::new("running", Mood::Busy),
            ReplayState::Done => Badge::new("done", Mood::Over),
            ReplayState::Cancelled => Badge::new("cancelled", Mood::Over),
            _ => Badge::new("unknown", Mood::Over),
        };
        let at = visitor.door.prefix();
        let of = format!("{at}/tenants/{}", replay.tenant);
        let target =
            |id: EndpointId| Target { id, path: format!("{of}/endpoints/{id}"), name: id.to_string() };
        let done = replay.reopened + replay.passed_over;
        let found = format!("{}{}", words::count(replay.found), if replay.more { "+" } else { "" });
        let passed = match replay.passed_over {
            0 => String::new(),
            passed => format!(", {} passed over", words::count(passed)),
        };
        Self {
            path: format!("{of}/replays/{}", replay.id),
            tenant: replay.tenant.to_string(),
            badge,
            running: replay.state == ReplayState::Running,
            over: replay.state != ReplayState::Running,
            what: what(&replay.filter),
            endpoint: replay.filter.endpoint.map(target),
            deliveries: format!("{at}/deliveries?{}", search_of(&replay).query()),
            done: done.min(replay.found.max(1)),
            found: replay.found.max(1),
            progress: format!("{} of {found} opened again{passed}", words::count(replay.reopened)),
            rate: replay.rate.map_or_else(|| "as fast as it goes".into(), |rate| format!("{rate} a second")),
            created: visitor.when(replay.created_at),
            updated: visitor.when(replay.updated_at),
        }
    }
}

/// Calls endpoints by their URLs.
async fn name_endpoints(visitor: &Visitor, jobs: &mut [Job]) {
    let wanted = jobs.iter().filter_map(|job| Some((job.tenant.parse().ok()?, job.endpoint.as_ref()?.id)));
    let wanted: Vec<(TenantId, EndpointId)> = wanted.collect();
    let names = Names::among(visitor, wanted.iter().map(|(tenant, id)| (tenant, *id)).collect()).await;
    for target in jobs.iter_mut().filter_map(|job| job.endpoint.as_mut()) {
        target.name = names.get(target.id);
    }
}

/// The search for what a replay has opened. Its states and answers of before are left out: they have changed since.
fn search_of(replay: &Replay) -> Search {
    let ReplayFilter { endpoint, event, topic, since, until, .. } = &replay.filter;
    Search {
        tenant: replay.tenant.to_string(),
        endpoint: endpoint.map(|id| id.to_string()).unwrap_or_default(),
        event: event.as_ref().map(ToString::to_string).unwrap_or_default(),
        topic: topic.as_ref().map(ToString::to_string).unwrap_or_default(),
        since: since.map(|at| at.to_string()).unwrap_or_default(),
        until: until.map(|at| at.to_string()).unwrap_or_default(),
        ..Search::default()
    }
}

/// What a replay sends again, in words, but for the endpoint.
fn what(filter: &ReplayFilter) -> String {
    let ReplayFilter { states, event, topic, status, error, failed, since, until, .. } = filter.clone();
    let [since, until] = [since, until].map(|at| at.map(Moment::At));
    let order = Default::default();
    told(&DeliveryFilter { states, endpoint: None, event, topic, status, error, failed, since, until, order })
}

/// Which deliveries a filter means, in words, but for the endpoint. Where it names no state, these are the ones that a replay
/// takes then.
fn told(filter: &DeliveryFilter) -> String {
    let usual = [DeliveryState::Exhausted, DeliveryState::Skipped, DeliveryState::Cancelled];
    let states = if filter.states.is_empty() { &usual[..] } else { &filter.states };
    let states: Vec<_> = states.iter().map(|state| state.as_str()).collect();
    let mut parts = vec![format!("deliveries that are {}", states.join(", "))];
    if filter.failed {
        parts.push("of which an attempt failed".into());
    }
    let named = [
        ("of event", filter.event.as_ref().map(ToString::to_string)),
        ("of topic", filter.topic.as_ref().map(ToString::to_string)),
        ("answered with", filter.status.clone()),
        ("without an answer because of", filter.error.map(|class| class.as_str().to_owned())),
        ("accepted since", filter.since.as_ref().map(moment_in_words)),
        ("accepted before", filter.until.as_ref().map(moment_in_words)),
    ];
    parts.extend(named.into_iter().filter_map(|(word, value)| Some(format!("{word} {}", value?))));
    parts.join(", ")
}

fn moment_in_words(moment: &Moment) -> String {
    match moment {
        Moment::At(at) => words::clock(*at),
        Moment::Back(period) => format!("{} ago", words::span(Duration::from_millis(period.as_millis()))),
    }
}

#[derive(Template)]
#[template(path = "replays.html")]
struct Replays {
    page: Page,
    jobs: Vec<Job>,
    next: Option<String>,
}

pub(super) async fn list(visitor: Visitor, request: HttpRequest) -> Result<HttpResponse, Fault> {
    let fields = Fields::read(request.query_string().as_bytes());
    let found = visitor.client.all_replays(&page_of(&fields, ROWS)).await?;
    let next = found.next.map(|cursor| query(&cursor, &[]));
    let mut jobs: Vec<_> = found.data.into_iter().map(|replay| Job::of(&visitor, replay)).collect();
    name_endpoints(&visitor, &mut jobs).await;
    html(&Replays { page: visitor.page("replays", "Replays"), jobs, next })
}

#[derive(Template)]
#[template(path = "replay.html")]
struct Shown {
    page: Page,
    job: Job,
}

pub(super) async fn show(visitor: Visitor, path: web::Path<(String, String)>) -> Result<HttpResponse, Fault> {
    let (tenant, id): (TenantId, ReplayId) = both(&path)?;
    let replay = visitor.client.replay(&tenant, id).await?;
    let mut job = Job::of(&visitor, replay);
    name_endpoints(&visitor, slice::from_mut(&mut job)).await;
    html(&Shown { page: visitor.page("replays", "Replay"), job })
}

#[derive(Template)]
#[template(path = "replay_new.html")]
struct Confirm {
    page: Page,
    search: Search,
    /// The search as the form carries it on.
    query: String,
    /// Which deliveries it means, in words; empty: the search cannot be read.
    what: String,
    rate: String,
    counted: Option<Counted>,
    refused: Option<Told>,
}

/// What would be opened again.
struct Counted {
    /// In words.
    found: String,
    none: bool,
}

impl From<DryReplay> for Counted {
    fn from(DryReplay { found, more }: DryReplay) -> Self {
        let least = if more { "at least " } else { "" };
        Self { found: format!("{least}{}", words::counted(found, "delivery")), none: found == 0 }
    }
}

/// Shows how many deliveries a replay would open, before it does.
pub(super) async fn confirm(visitor: Visitor, request: HttpRequest) -> Result<HttpResponse, Fault> {
    ask(&visitor, Search::read(request.query_string()), USUAL_RATE.to_string(), None).await
}

pub(super) async fn begin(posted: Posted) -> Result<HttpResponse, Fault> {
    let Posted { visitor, fields } = posted;
    let search = Search::read(fields.get("search"));
    match start(&visitor, &search, &fields).await {
        Ok(replay) => Ok(visitor.go(&format!("/tenants/{}/replays/{}", replay.tenant, replay.id), None)),
        Err(fault) if fault.is_askers() => {
            ask(&visitor, search, fields.get("rate").to_owned(), Some(fault)).await
        }
        Err(fault) => Err(fault),
    }
}

async fn start(visitor: &Visitor, search: &Search, fields: &Fields) -> Result<Replay, Fault> {
    let tenant = search.tenant()?.ok_or_else(no_tenant)?;
    let rate = fields.parse("rate", "a number of deliveries in a second")?;
    let new = NewReplay { filter: search.filter()?, rate };
    Ok(visitor.client.create_replay(&tenant, &new).await?)
}

fn no_tenant() -> Fault {
    Fault::field("tenant", "", "the id of a tenant: a replay is of one tenant")
}

async fn ask(
    visitor: &Visitor,
    search: Search,
    rate: String,
    refused: Option<Fault>,
) -> Result<HttpResponse, Fault> {
    let counted = count(visitor, &search).await;
    let (counted, refused) = match (counted, refused) {
        (counted, Some(fault)) => (counted.ok(), Some(fault)),
        (Ok(counted), None) => (Some(counted), None),
        // Which tenant is asked for by the page itself.
        (Err(_), None) if search.tenant.is_empty() => (None, None),
        (Err(fault), None) if fault.is_askers() => (None, Some(fault)),
        (Err(fault), None) => return Err(fault),
    };
    let status = refused.as_ref().map_or(StatusCode::OK, Fault::status_code);
    let query = search.query();
    let page = visitor.page("replays", "New replay");
    let refused = refused.as_ref().map(Fault::told);
    let what = what_is_searched(visitor, &search).await.unwrap_or_default();
    html_as(status, &Confirm { page, search, query, what, rate, counted, refused })
}

async fn what_is_searched(visitor: &Visitor, search: &Search) -> Result<String, Fault> {
    let (tenant, filter) = (search.tenant()?.ok_or_else(no_tenant)?, search.filter()?);
    let Some(endpoint) = filter.endpoint else { return Ok(told(&filter)) };
    let names = Names::among(visitor, [(&tenant, endpoint)].into()).await;
    Ok(format!("{}, to {}", told(&filter), names.get(endpoint)))
}

async fn count(visitor: &Visitor, search: &Search) -> Result<Counted, Fault> {
    let tenant = search.tenant()?.ok_or_else(no_tenant)?;
    let new = NewReplay { filter: search.filter()?, rate: None };
    Ok(visitor.client.count_replay(&tenant, &new).await?.into())
}

pub(super) async fn cancel(posted: Posted, path: web::Path<(String, String)>) -> Result<HttpResponse, Fault> {
    let visitor = posted.visitor;
    let (tenant, id): (TenantId, ReplayId) = both(&path)?;
    visitor.client.cancel_replay(&tenant, id).await?;
    Ok(visitor.go(&format!("/tenants/{tenant}/replays/{id}"), Some("replay-cancelled")))
}

/// Sends again what an endpoint missed.
pub(super) async fn recover(
    posted: Posted,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Fault> {
    let Posted { visitor, fields } = posted;
    let (tenant, id): (TenantId, EndpointId) = both(&path)?;
    let since = moment("since", fields.get("since"))?
        .ok_or_else(|| Fault::field("since", "", "a time, or how long ago it was, such as 7d"))?;
    let rate = fields.parse("rate", "a number of deliveries in a second")?;
    let recovery = Recovery { rate, ..Recovery::since(since) };
    let replay = visitor.client.recover_endpoint(&tenant, id, &recovery).await?;
    Ok(visitor.go(&format!("/tenants/{tenant}/replays/{}", replay.id), None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replay_is_told_in_words() {
        let replay: Replay = serde_json::from_value(serde_json::json!({
            "id": "rpl_00000000000000000000000000000000", "tenant": "acme",
            "filter": {
                "states": ["exhausted", "skipped"], "endpoint": null, "event": null, "topic": "order.paid",
                "status": "500-599", "error": null, "failed": true, "since": "2026-11-21T10:00:00Z", "until": null,
            },
            "rate": 50, "state": "running", "found": 10, "more": false, "reopened": 3, "passed_over": 1,
            "created_at": "2026-11-21T10:00:00Z", "updated_at": "2026-11-21T10:00:00Z",
        }))
        .unwrap();
        assert_eq!(
            search_of(&replay).query(),
            "tenant=acme&topic=order.paid&since=2026-11-21T10%3A00%3A00Z",
            "those that were delivered since are among them"
        );
        assert_eq!(
            what(&replay.filter),
            "deliveries that are exhausted, skipped, of which an attempt failed, of topic order.paid, \
             answered with 500-599, accepted since 2026-11-21 10:00:00 UTC"
        );
    }

    #[test]
    fn what_a_search_means_is_told_before_it_is_replayed() {
        let said = |query| told(&Search::read(query).filter().unwrap());
        assert_eq!(said("tenant=acme"), "deliveries that are exhausted, skipped, cancelled");
        assert_eq!(
            said("state=exhausted&status=5xx&since=7d&until=2026-11-21T10:00:00Z"),
            "deliveries that are exhausted, answered with 5xx, accepted since 7 d ago, \
             accepted before 2026-11-21 10:00:00 UTC"
        );
    }

    #[test]
    fn what_was_counted_is_told() {
        let counted = Counted::from(DryReplay { found: 100_000, more: true });
        assert_eq!((counted.found.as_str(), counted.none), ("at least 100,000 deliveries", false));
        assert!(Counted::from(DryReplay { found: 0, more: false }).none);
    }
}
