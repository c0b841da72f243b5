//! Who changed what.

use actix_web::{
    get,
    web::{Data, Json},
};
use posthaste_model::{Actor, ApiKeyId, AuditEntry, AuditId, AuditOutcome, Role, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    cursor::{List, Listed},
    params::InQuery,
    problem::Problem,
    service::Service,
};

/// Which entries are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct AuditQuery {
    /// Only what was done to this tenant, which may be deleted by now.
    #[param(value_type = Option<String>)]
    tenant: Option<TenantId>,
    /// Rows of a page: 1 to 500, 50 where nothing is said.
    limit: Option<u32>,
    /// Where to go on: `next` of the page before.
    cursor: Option<String>,
}

/// Something that somebody did.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditEntry)]
struct EntryBody {
    #[schema(value_type = String)]
    id: AuditId,
    /// When it was done.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    by: ActorBody,
    /// From which IP address, as the service saw it: that of a proxy in between, or of the console.
    address: Option<String>,
    /// What was done: the name of an operation of this specification.
    #[schema(example = "pause_endpoint")]
    action: String,
    /// What it was done to, or what was created by it: a path of this API.
    #[schema(example = "/v1/tenants/acme/endpoints/ep_0192f5d1c0007a8b9c0d1e2f3a4b5c6d")]
    subject: String,
    /// The tenant of the request's path, or of the key that was made or deleted. Null: there is none.
    #[schema(value_type = Option<String>)]
    tenant: Option<TenantId>,
    /// The names of the fields that the request's body had.
    fields: Vec<String>,
    /// What else has to be known, in words, such as what a key is that was made or deleted.
    #[schema(example = "operator \"ann\", of tenant acme, until 2026-12-01T00:00:00Z")]
    detail: Option<String>,
    /// `done`; or `unknown`: it failed on the way, or its answer was lost, so that it may have been done.
    #[schema(value_type = String, example = "done")]
    outcome: AuditOutcome,
}

/// Who did something, by the key that they showed.
#[derive(Serialize, ToSchema)]
#[schema(as = Actor)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum ActorBody {
    /// Whoever has the admin key of the settings.
    AdminKey,
    /// Whoever has this API key.
    ApiKey {
        #[schema(value_type = String)]
        id: ApiKeyId,
        /// What it was called then.
        name: String,
        /// What it is for.
        #[schema(value_type = String, example = "operator")]
        role: Role,
    },
    /// Whoever has a portal link: mostly a tenant's own people.
    PortalLink {
        #[schema(value_type = String)]
        tenant: TenantId,
        /// The API key that the link was made with. Null: the admin key.
        #[schema(value_type = Option<String>)]
        made_by: Option<ApiKeyId>,
    },
}

impl From<Actor> for ActorBody {
    fn from(actor: Actor) -> Self {
        match actor {
            Actor::AdminKey => Self::AdminKey,
            Actor::ApiKey { id, name, role } => Self::ApiKey { id, name, role },
            Actor::PortalLink { tenant, made_by } => Self::PortalLink { tenant, made_by },
        }
    }
}

impl From<AuditEntry> for EntryBody {
    fn from(entry: AuditEntry) -> Self {
        let AuditEntry { id, at, by, address, action, subject, tenant, fields, detail, outcome } = entry;
        Self { id, at, by: by.into(), address, action, subject, tenant, fields, detail, outcome }
    }
}

/// List who changed what, and to whom secrets were shown, newest first.
///
/// Publishing is not among it, nor are dry runs, what has changed nothing, and what was refused, but for a handshake that was
/// run. The last 100,000 entries are kept of what tenants' own people did, and as many of what others did.
#[utoipa::path(tag = "audit", params(AuditQuery), responses((status = 200, body = Listed<EntryBody>)))]
#[get("/audit")]
pub(crate) async fn list_audit(
    service: Data<Service>,
    query: InQuery<AuditQuery>,
) -> Result<Json<Listed<EntryBody>>, Problem> {
    let AuditQuery { tenant, limit, cursor } = query.0;
    let list = List::new("audit", &tenant);
    let page = service.store.audit(tenant.as_ref(), list.page(limit, cursor.as_deref())?).await?;
    Ok(Json(list.answer(page, EntryBody::from)))
}

#[cfg(test)]
mod tests;
