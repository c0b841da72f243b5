//! Events, matched or not.

use actix_web::{HttpRequest, HttpResponse, ResponseError as _, http::StatusCode, web};
use askama::Template;
use posthaste_client::{Endpoint, Event, EventFilter, EventId, Paged, TenantId};
use posthaste_model::Handshake;

use super::{
    both,
    delivery::file,
    id,
    payload::Payload,
    rows::{Row, rows},
};
use crate::{
    body::Body,
    elements::When,
    fault::{Fault, Told},
    fields::Fields,
    names::short,
    page::Page,
    paging::{first, page_of, query},
    posted::Posted,
    search::moment,
    visitor::{Visitor, html, html_as},
    words,
};

/// Rows of a page.
const ROWS: u32 = 50;
/// How many endpoints an event can be sent to by hand.
const ENDPOINTS: u32 = 200;

#[derive(Template)]
#[template(path = "events.html")]
struct Events {
    page: Page,
    tenant: String,
    topic: String,
    since: String,
    until: String,
    unmatched: bool,
    rows: Vec<Listed>,
    /// What was wrong with the search.
    refused: Option<Told>,
    /// Whether anything was looked for in particular, beside a tenant.
    narrows: bool,
    next: Option<String>,
    ended_early: bool,
}

/// An event as a row.
struct Listed {
    path: String,
    id: String,
    tenant: String,
    topic: String,
    accepted: When,
    /// To how many endpoints it goes, in words.
    deliveries: String,
    /// Whether nobody wants it who might have.
    unmatched: bool,
    test: bool,
}

impl Listed {
    fn of(visitor: &Visitor, event: Event) -> Self {
        let Event { id, tenant, topic, accepted_at, delivery_count, test, .. } = event;
        // What the service tells of itself need not go to anybody.
        let own = tenant == TenantId::posthaste();
        Self {
            path: format!("{}/tenants/{tenant}/events/{id}", visitor.door.prefix()),
            id: id.to_string(),
            tenant: tenant.to_string(),
            topic: topic.to_string(),
            accepted: visitor.when(accepted_at),
            deliveries: match delivery_count {
                0 => "–".into(),
                count => words::counted(count.into(), "delivery"),
            },
            unmatched: delivery_count == 0 && !own,
            test,
        }
    }
}

pub(super) async fn list(visitor: Visitor, request: HttpRequest) -> Result<HttpResponse, Fault> {
    let fields = Fields::read(request.query_string().as_bytes());
    // A tenant's people look at their own.
    let tenant = visitor.tenant().map_or_else(|| fields.get("tenant").to_owned(), ToString::to_string);
    let (found, refused, status) = match find(&visitor, &fields, &tenant).await {
        Ok(found) => (found, None, StatusCode::OK),
        Err(fault) if fault.is_askers() => {
            (Paged { data: Vec::new(), next: None }, Some(fault.told()), fault.status_code())
        }
        Err(fault) => return Err(fault),
    };
    let ended_early = found.next.is_some() && found.data.len() < ROWS as usize;
    let kept = ["topic", "since", "until", "unmatched"].map(|name| (name, fields.get(name)));
    let narrows = kept.iter().any(|(_, value)| !value.is_empty()) || !fields.get("cursor").is_empty();
    let next = found.next.map(|cursor| query(&cursor, &[&[("tenant", tenant.as_str())], &kept[..]].concat()));
    let page = Events {
        page: visitor.page("events", "Events"),
        topic: fields.get("topic").to_owned(),
        since: fields.get("since").to_owned(),
        until: fields.get("until").to_owned(),
        unmatched: fields.get("unmatched") == "true",
        rows: found.data.into_iter().map(|event| Listed::of(&visitor, event)).collect(),
        tenant,
        refused,
        narrows,
        next,
        ended_early,
    };
    html_as(status, &page)
}

async fn find(visitor: &Visitor, fields: &Fields, tenant: &str) -> Result<Paged<Event>, Fault> {
    let filter = EventFilter {
        topic: fields.parse("topic", "the name of a topic")?,
        unmatched: fields.get("unmatched") == "true",
        since: moment("since", fields.get("since"))?,
        until: moment("until", fields.get("until"))?,
    };
    let options = page_of(fields, ROWS);
    if tenant.is_empty() {
        return Ok(visitor.client.all_events(&filter, &options).await?);
    }
    let tenant: TenantId =
        tenant.parse().map_err(|_| Fault::field("tenant", tenant, "the id of a tenant"))?;
    Ok(visitor.client.search_events(&tenant, &filter, &options).await?)
}

#[derive(Template)]
#[template(path = "event.html")]
struct Shown {
    page: Page,
    event: Event,
    accepted: When,
    deliver_at: Option<When>,
    retention: Option<String>,
    payload: Payload,
    rows: Vec<Row>,
    /// How many deliveries it has, where that is more than are shown.
    of: Option<String>,
    /// Whom it can be sent to by hand: an id and a name.
    endpoints: Vec<(String, String)>,
}

pub(super) async fn show(visitor: Visitor, path: web::Path<(String, String)>) -> Result<HttpResponse, Fault> {
    let (tenant, id): (TenantId, EventId) = both(&path)?;
    let detail = visitor.client.event(&tenant, &id).await?;
    let (event, deliveries) = (detail.event, detail.deliveries);
    // A handshake is for the endpoint that it was made for.
    let can_be_sent = visitor.may().operate && event.topic.as_str() != Handshake::TOPIC;
    let endpoints = if can_be_sent {
        visitor.client.endpoints(&tenant, &first(ENDPOINTS)).await?.data
    } else {
        Vec::new()
    };
    let count = u64::from(event.delivery_count);
    let of = (count > deliveries.len() as u64).then(|| words::count(count));
    let has = |endpoint: &Endpoint| deliveries.iter().any(|delivery| delivery.endpoint == endpoint.id);
    let endpoints = endpoints
        .iter()
        .filter(|endpoint| !has(endpoint))
        .map(|endpoint| (endpoint.id.to_string(), short(&endpoint.url)))
        .collect();
    let rows = rows(&visitor, deliveries).await;
    html(&Shown {
        page: visitor.page("events", format!("Event {id}")),
        accepted: visitor.when(event.accepted_at),
        deliver_at: event.deliver_at.map(|at| visitor.when(at)),
        retention: event.retention.map(|period| period.to_string()),
        payload: Payload::of(&event),
        event,
        rows,
        of,
        endpoints,
    })
}

/// The payload as a file.
pub(super) async fn payload(
    visitor: Visitor,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Fault> {
    let (tenant, id): (TenantId, EventId) = both(&path)?;
    let event = visitor.client.event(&tenant, &id).await?.event;
    Ok(file(&format!("{id}.payload"), Body::published(&event).bytes))
}

/// Sends it to one more endpoint.
pub(super) async fn send(posted: Posted, path: web::Path<(String, String)>) -> Result<HttpResponse, Fault> {
    let Posted { visitor, fields } = posted;
    let (tenant, event): (TenantId, EventId) = both(&path)?;
    let endpoint = id(fields.get("endpoint"))?;
    let sent = visitor.client.send_event(&tenant, &event, endpoint).await?;
    let said = if sent.created { "sent" } else { "sent-before" };
    Ok(visitor.go(&format!("/tenants/{tenant}/deliveries/{}", sent.delivery.id), Some(said)))
}
