//! Searching deliveries, and watching them.

use actix_web::{HttpRequest, HttpResponse, ResponseError as _, http::StatusCode};
use askama::Template;
use posthaste_client::{Delivery, ListOptions, Paged};

use super::rows::{Row, rows};
use crate::{
    fault::{Fault, Told},
    page::Page,
    search::Search,
    visitor::{Visitor, html_as},
    words,
};

/// Rows of a page.
const ROWS: u32 = 50;

#[derive(Template)]
#[template(path = "deliveries.html")]
struct Deliveries {
    page: Page,
    search: Search,
    rows: Vec<Row>,
    /// What was wrong with the search.
    refused: Option<Told>,
    /// The query of the next page.
    next: Option<String>,
    /// Whether the page ended before it was full, since a search looks at a bounded number of deliveries.
    ended_early: bool,
    /// How far back the rows go.
    back_to: Option<String>,
}

#[derive(Template)]
#[template(path = "live.html")]
struct Live {
    page: Page,
    search: Search,
    rows: Vec<Row>,
    /// What was wrong with the search.
    refused: Option<Told>,
}

/// What came of a search.
struct Searched {
    found: Paged<Delivery>,
    /// What was wrong with it: then nothing was found, and the form keeps its fields.
    refused: Option<Told>,
    status: StatusCode,
}

pub(super) async fn show(visitor: Visitor, request: HttpRequest) -> Result<HttpResponse, Fault> {
    let search = read(&visitor, &request);
    let Searched { found, refused, status } = run(&visitor, &search).await?;
    let back_to = found.data.last().map(|delivery| words::clock(delivery.created_at));
    let ended_early = found.next.is_some() && found.data.len() < ROWS as usize;
    let next = found.next.map(|cursor| search.query_from(&cursor));
    let rows = rows(&visitor, found.data).await;
    let page = visitor.page("deliveries", "Deliveries");
    html_as(status, &Deliveries { page, search, rows, refused, next, ended_early, back_to })
}

pub(super) async fn live(visitor: Visitor, request: HttpRequest) -> Result<HttpResponse, Fault> {
    let search = Search { cursor: String::new(), oldest: false, ..read(&visitor, &request) };
    let Searched { found, refused, status } = run(&visitor, &search).await?;
    let rows = rows(&visitor, found.data).await;
    html_as(status, &Live { page: visitor.page("live", "Live"), search, rows, refused })
}

/// What is looked for. A tenant's people look at their own.
fn read(visitor: &Visitor, request: &HttpRequest) -> Search {
    let search = Search::read(request.query_string());
    match visitor.tenant() {
        Some(own) => Search { tenant: own.to_string(), ..search },
        None => search,
    }
}

async fn run(visitor: &Visitor, search: &Search) -> Result<Searched, Fault> {
    match find(visitor, search).await {
        Ok(found) => Ok(Searched { found, refused: None, status: StatusCode::OK }),
        Err(fault) if fault.is_askers() => {
            let nothing = Paged { data: Vec::new(), next: None };
            Ok(Searched { found: nothing, refused: Some(fault.told()), status: fault.status_code() })
        }
        Err(fault) => Err(fault),
    }
}

async fn find(visitor: &Visitor, search: &Search) -> Result<Paged<Delivery>, Fault> {
    let (tenant, filter) = (search.tenant()?, search.filter()?);
    let cursor = Some(search.cursor.clone()).filter(|cursor| !cursor.is_empty());
    let options = ListOptions { limit: Some(ROWS), cursor };
    Ok(match tenant {
        Some(tenant) => visitor.client.deliveries(&tenant, &filter, &options).await?,
        None => visitor.client.all_deliveries(&filter, &options).await?,
    })
}
