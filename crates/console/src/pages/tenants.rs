//! Tenants, and links for their own people.

use actix_web::{HttpRequest, HttpResponse, ResponseError as _, http::StatusCode, web};
use askama::Template;
use futures_util::future::try_join3;
use posthaste_client::{ClientError, Period, ProblemKind, Tenant, TenantFields, TenantId, TenantPatch};

use super::{
    endpoints::Row,
    figures::{Span, Tile, charts, span, tiles},
    id,
};
use crate::{
    charts::Chart,
    elements::When,
    fault::{Fault, Told},
    fields::Fields,
    page::Page,
    paging::{first, page_of, query},
    posted::Posted,
    visitor::{Visitor, html, html_as},
};

/// Rows of a page.
const ROWS: u32 = 50;

#[derive(Template)]
#[template(path = "tenants.html")]
struct Tenants {
    page: Page,
    rows: Vec<(Tenant, When)>,
    next: Option<String>,
    new: New,
    /// What was wrong with the new one, or with the id that was looked for.
    refused: Option<Told>,
}

/// The form of a new tenant, as it was filled in.
#[derive(Default)]
struct New {
    id: String,
    name: String,
}

pub(super) async fn list(visitor: Visitor, request: HttpRequest) -> Result<HttpResponse, Fault> {
    let fields = Fields::read(request.query_string().as_bytes());
    // Whoever knows an id goes there.
    let refused = match find(&visitor, &fields).await {
        Ok(Some(tenant)) => return Ok(visitor.go(&format!("/tenants/{tenant}"), None)),
        Ok(None) => None,
        Err(fault) if fault.is_askers() => Some(fault),
        Err(fault) => return Err(fault),
    };
    listed(&visitor, &fields, New::default(), refused).await
}

async fn find(visitor: &Visitor, fields: &Fields) -> Result<Option<TenantId>, Fault> {
    let Some(id) = fields.parse::<TenantId>("find", "the id of a tenant")? else { return Ok(None) };
    Ok(Some(visitor.client.tenant(&id).await?.id))
}

async fn listed(
    visitor: &Visitor,
    fields: &Fields,
    new: New,
    refused: Option<Fault>,
) -> Result<HttpResponse, Fault> {
    let found = visitor.client.tenants(&page_of(fields, ROWS)).await?;
    let next = found.next.map(|cursor| query(&cursor, &[]));
    let rows = found.data.into_iter().map(|tenant| {
        let made = visitor.when(tenant.created_at);
        (tenant, made)
    });
    let status = refused.as_ref().map_or(StatusCode::OK, Fault::status_code);
    let (rows, refused) = (rows.collect(), refused.map(|fault| fault.told()));
    html_as(status, &Tenants { page: visitor.page("tenants", "Tenants"), rows, next, new, refused })
}

/// Makes a tenant, or renames one.
pub(super) async fn put(posted: Posted) -> Result<HttpResponse, Fault> {
    let Posted { visitor, fields } = posted;
    let name = fields.get("name").to_owned();
    if fields.get("rename") == "true" {
        let id: TenantId = id(fields.get("id"))?;
        let patch = TenantPatch { name: Some(name), signature: None };
        visitor.client.patch_tenant(&id, &patch).await?;
        return Ok(visitor.go(&format!("/tenants/{id}"), Some("tenant")));
    }
    match create(&visitor, &fields, name.clone()).await {
        Ok(id) => Ok(visitor.go(&format!("/tenants/{id}"), Some("tenant"))),
        Err(fault) if fault.is_askers() => {
            let new = New { id: fields.get("id").to_owned(), name };
            listed(&visitor, &Fields::default(), new, Some(fault)).await
        }
        Err(fault) => Err(fault),
    }
}

/// Makes a tenant. One that is there already stays as it is.
async fn create(visitor: &Visitor, fields: &Fields, name: String) -> Result<TenantId, Fault> {
    let expected = "the id of a tenant: letters, digits, '-', '_' and '.'";
    let id: TenantId = fields.parse("id", expected)?.ok_or_else(|| Fault::field("id", "", expected))?;
    match visitor.client.tenant(&id).await {
        Ok(_) => return Err(Fault::field("id", id.as_str(), "free: there is such a tenant already")),
        Err(ClientError::Problem(problem)) if problem.kind == ProblemKind::NotFound => {}
        Err(error) => return Err(error.into()),
    }
    visitor.client.put_tenant(&id, &TenantFields { name, signature: None }).await?;
    Ok(id)
}

#[derive(Template)]
#[template(path = "tenant.html")]
struct Shown {
    page: Page,
    /// Its path.
    here: String,
    tenant: Tenant,
    created: When,
    spans: Vec<Span>,
    tiles: Vec<Tile>,
    charts: Vec<Chart>,
    endpoints: Vec<Row>,
    /// Whether there are more than are shown.
    more: bool,
}

pub(super) async fn show(
    visitor: Visitor,
    request: HttpRequest,
    path: web::Path<String>,
) -> Result<HttpResponse, Fault> {
    let id: TenantId = id(&path)?;
    let (asked, spans) = span(request.query_string(), "24h");
    let options = first(ROWS);
    let client = &visitor.client;
    let (tenant, stats, endpoints) = try_join3(
        client.tenant(&id),
        client.tenant_stats(&id, &asked, None),
        client.endpoints(&id, &options),
    )
    .await?;
    let named = if tenant.name.is_empty() { id.to_string() } else { tenant.name.clone() };
    html(&Shown {
        page: visitor.page("tenants", format!("Tenant {named}")),
        here: format!("{}/tenants/{id}", visitor.door.prefix()),
        created: visitor.when(tenant.created_at),
        tenant,
        spans,
        tiles: tiles(&stats, true, visitor.now),
        charts: charts(&stats, true),
        more: endpoints.next.is_some(),
        endpoints: endpoints.data.into_iter().map(|endpoint| Row::of(&visitor, endpoint)).collect(),
    })
}

#[derive(Template)]
#[template(path = "portal_link.html")]
struct Link {
    page: Page,
    tenant: TenantId,
    /// The address, as far as this service knows it.
    address: String,
    expires: When,
}

/// Makes a link for a tenant's own people.
pub(super) async fn link(
    request: HttpRequest,
    posted: Posted,
    path: web::Path<String>,
) -> Result<HttpResponse, Fault> {
    let Posted { visitor, fields } = posted;
    let tenant: TenantId = id(&path)?;
    let ttl: Option<Period> = fields.parse("ttl", "a length of time such as 1h")?;
    let link = visitor.client.create_portal_link(&tenant, ttl).await?;
    let scheme = if visitor.console.is_secure(&request) { "https" } else { "http" };
    let host = request.connection_info().host().to_owned();
    html(&Link {
        page: visitor.page("tenants", "Portal link"),
        address: format!("{scheme}://{host}/portal?token={}", link.token.expose()),
        expires: visitor.when(link.expires_at),
        tenant,
    })
}
