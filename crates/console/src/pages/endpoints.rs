//! The endpoints of a tenant.

use actix_web::{HttpRequest, HttpResponse, ResponseError as _, http::StatusCode};
use askama::Template;
use posthaste_client::{Endpoint, Paged, Tenant, TenantId};

use super::health::Health;
use crate::{
    elements::Badge,
    fault::{Fault, Told},
    fields::Fields,
    names::short,
    page::Page,
    paging::{first, page_of, query},
    visitor::{Visitor, html_as},
};

/// Rows of a page.
const ROWS: u32 = 50;
/// How many tenants can be chosen from.
const TENANTS: u32 = 500;
/// How many of them are named where a tenant has no endpoints.
const OTHERS: usize = 20;

#[derive(Template)]
#[template(path = "endpoints.html")]
struct Endpoints {
    page: Page,
    /// Whose endpoints are asked for, as it was written.
    tenant: String,
    tenants: Vec<Tenant>,
    /// Where to look instead, where this tenant has no endpoints.
    others: Vec<TenantId>,
    rows: Vec<Row>,
    next: Option<String>,
    /// What was wrong with the question.
    refused: Option<Told>,
}

/// An endpoint as a row.
pub(super) struct Row {
    pub(super) path: String,
    pub(super) name: String,
    pub(super) description: String,
    pub(super) topics: String,
    pub(super) badge: Badge,
    pub(super) health: Health,
}

impl Row {
    pub(super) fn of(visitor: &Visitor, endpoint: Endpoint) -> Self {
        let health = Health::of(visitor, &endpoint);
        let Endpoint { id, tenant, url, topics, description, state, .. } = endpoint;
        let topics: Vec<_> = topics.iter().map(ToString::to_string).collect();
        Self {
            path: format!("{}/tenants/{tenant}/endpoints/{id}", visitor.door.prefix()),
            name: short(&url),
            description,
            topics: topics.join(", "),
            badge: Badge::endpoint(state, health.failing_since.is_some(), health.unverified),
            health,
        }
    }
}

pub(super) async fn list(visitor: Visitor, request: HttpRequest) -> Result<HttpResponse, Fault> {
    let fields = Fields::read(request.query_string().as_bytes());
    let tenant = match (visitor.tenant(), fields.get("tenant")) {
        (Some(own), _) => own.to_string(),
        (None, "") => TenantId::default_tenant().to_string(),
        (None, asked) => asked.to_owned(),
    };
    let (found, refused, status) = match find(&visitor, &fields, &tenant).await {
        Ok(found) => (found, None, StatusCode::OK),
        // Whose endpoints are shown can be chosen anew.
        Err(fault) if fault.is_askers() && visitor.operates() => {
            (Paged { data: Vec::new(), next: None }, Some(fault.told()), fault.status_code())
        }
        Err(fault) => return Err(fault),
    };
    let tenants =
        if visitor.operates() { visitor.client.tenants(&first(TENANTS)).await?.data } else { Vec::new() };
    let next = found.next.map(|cursor| query(&cursor, &[("tenant", &tenant)]));
    let rows = found.data.into_iter().map(|endpoint| Row::of(&visitor, endpoint)).collect();
    let others = tenants.iter().map(|of| &of.id).filter(|id| id.as_str() != tenant);
    let others = others.take(OTHERS).cloned().collect();
    let page = visitor.page("endpoints", "Endpoints");
    html_as(status, &Endpoints { page, tenant, tenants, others, rows, next, refused })
}

async fn find(visitor: &Visitor, fields: &Fields, tenant: &str) -> Result<Paged<Endpoint>, Fault> {
    let tenant = tenant.parse().map_err(|_| Fault::field("tenant", tenant, "the id of a tenant"))?;
    Ok(visitor.client.endpoints(&tenant, &page_of(fields, ROWS)).await?)
}
