//! Whose key a request carries, for pages that have nothing but the key.

use actix_web::{
    get,
    web::{Data, Json, ReqData},
};
use posthaste_model::{Actor, ApiKeyId, Role, TenantId, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{caller::Caller, problem::Problem, service::Service};

/// Whose key it is, and what it is for.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Key)]
struct KeyBody {
    /// `admin_key` (that of the settings), `api_key` or `portal_link`.
    #[schema(example = "api_key")]
    kind: &'static str,
    /// What it is for: `admin`, `operator`, `publisher`, `viewer` or `tenant`.
    #[schema(value_type = String, example = "operator")]
    role: Role,
    /// The API key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    id: Option<ApiKeyId>,
    /// What people call the API key.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// The only tenant that it reaches. Where it is missing: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<KeyTenant>,
    /// When it is good no more. Where it is missing: it is good until it is deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
}

/// The tenant that a key is bound to.
#[derive(Debug, Serialize, ToSchema)]
struct KeyTenant {
    #[schema(value_type = String)]
    id: TenantId,
    /// What people call it.
    name: String,
}

/// Whose key is this? Says what the key of the request is for, and which tenant it is bound to.
#[utoipa::path(tag = "keys", responses((status = 200, body = KeyBody)))]
#[get("/key")]
pub(crate) async fn get_key(
    service: Data<Service>,
    caller: ReqData<Caller>,
) -> Result<Json<KeyBody>, Problem> {
    let Caller { by, role, tenant, expires_at } = caller.into_inner();
    let tenant = match tenant {
        Some(id) => Some(KeyTenant { name: service.store.tenant(&id).await?.name, id }),
        None => None,
    };
    let (kind, id, name) = match by {
        Actor::AdminKey => ("admin_key", None, None),
        Actor::ApiKey { id, name, .. } => ("api_key", Some(id), Some(name)),
        Actor::PortalLink { .. } => ("portal_link", None, None),
    };
    Ok(Json(KeyBody { kind, role, id, name, tenant, expires_at }))
}

#[cfg(test)]
mod tests;
