//! Sending again many deliveries at once.

use actix_web::{HttpRequest, HttpResponse, ResponseError as _, http::StatusCode, web};
use askama::Template;
use posthaste_client::{DryReplay, EndpointId, NewReplay, Recovery, Replay, ReplayId, ReplayState, TenantId};

use super::both;
use crate::{
    elements::{Badge, Mood, When},
    fault::{Fault, Told},
    fields::Fields,
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
    /// What it sends again, in words.
    pub(super) what: String,
    /// How far it is, and of how many.
    pub(super) done: u64,
    pub(super) found: u64,
    pub(super) progress: String,
    pub(super) rate: String,
    pub(super) created: When,
    pub(super) updated: When,
}

impl Job {
    pub(super) fn of(visitor: &Visitor, replay: Replay) -> Self {
        let badge = match &replay.state {
            ReplayState::Running => Badge::new("running", Mood::Busy),
            ReplayState::Done => Badge::new("done", Mood::Good),
            ReplayState::Cancelled => Badge::new("cancelled", Mood::Over),
            _ => Badge::new("unknown", Mood::Over),
        };
        let done = replay.reopened + replay.passed_over;
        let found = format!("{}{}", words::count(replay.found), if replay.more { "+" } else { "" });
        let passed = match replay.passed_over {
            0 => String::new(),
            passed => format!(", {} passed over", words::count(passed)),
        };
        Self {
            path: format!("{}/tenants/{}/replays/{}", visitor.door.prefix(), replay.tenant, replay.id),
            tenant: replay.tenant.to_string(),
            badge,
            running: replay.state == ReplayState::Running,
            what: what(&replay),
            done: done.min(replay.found.max(1)),
            found: replay.found.max(1),
            progress: format!("{} of {found} opened again{passed}", words::count(replay.reopened)),
            rate: replay.rate.map_or_else(|| "as fast as it goes".into(), |rate| format!("{rate} a second")),
            created: visitor.when(replay.created_at),
            updated: visitor.when(replay.updated_at),
        }
    }
}

/// What a replay sends again, in words.
fn what(replay: &Replay) -> String {
    let filter = &replay.filter;
    let states: Vec<_> = filter.states.iter().map(|state| state.as_str()).collect();
    let mut parts = vec![format!("deliveries that are {}", states.join(", "))];
    if filter.failed {
        parts.push("of which an attempt failed".into());
    }
    let named = [
        ("to endpoint", filter.endpoint.map(|id| id.to_string())),
        ("of event", filter.event.as_ref().map(ToString::to_string)),
        ("of topic", filter.topic.as_ref().map(ToString::to_string)),
        ("answered with", filter.status.clone()),
        ("without an answer because of", filter.error.map(|class| class.as_str().to_owned())),
        ("accepted since", filter.since.map(words::clock)),
        ("accepted before", filter.until.map(words::clock)),
    ];
    parts.extend(named.into_iter().filter_map(|(word, value)| Some(format!("{word} {}", value?))));
    parts.join(", ")
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
    let jobs = found.data.into_iter().map(|replay| Job::of(&visitor, replay)).collect();
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
    html(&Shown { page: visitor.page("replays", "Replay"), job: Job::of(&visitor, replay) })
}

#[derive(Template)]
#[template(path = "replay_new.html")]
struct Confirm {
    page: Page,
    search: Search,
    /// The search as the form carries it on.
    query: String,
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
    html_as(status, &Confirm { page, search, query, rate, counted, refused })
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
        let replay = serde_json::json!({
            "id": "rpl_00000000000000000000000000000000", "tenant": "acme",
            "filter": {
                "states": ["exhausted", "skipped"], "endpoint": null, "event": null, "topic": "order.paid",
                "status": "500-599", "error": null, "failed": true, "since": "2026-11-21T10:00:00Z", "until": null,
            },
            "rate": 50, "state": "running", "found": 10, "more": false, "reopened": 3, "passed_over": 1,
            "created_at": "2026-11-21T10:00:00Z", "updated_at": "2026-11-21T10:00:00Z",
        });
        assert_eq!(
            what(&serde_json::from_value(replay).unwrap()),
            "deliveries that are exhausted, skipped, of which an attempt failed, of topic order.paid, \
             answered with 500-599, accepted since 2026-11-21 10:00:00 UTC"
        );
    }

    #[test]
    fn what_was_counted_is_told() {
        let counted = Counted::from(DryReplay { found: 100_000, more: true });
        assert_eq!((counted.found.as_str(), counted.none), ("at least 100,000 deliveries", false));
        assert!(Counted::from(DryReplay { found: 0, more: false }).none);
    }
}
