use actix_web::{
    HttpResponse, delete, get, patch, put,
    web::{Data, Json},
};
use garde::Validate;
use posthaste_model::{Tenant, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    body::JsonBody,
    cursor::{List, ListQuery, Listed},
    params::{InPath, InQuery},
    problem::Problem,
    service::Service,
    validation::validate,
};

/// What a tenant is given.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
struct TenantFields {
    /// What people call it.
    #[serde(default)]
    #[garde(length(max = 200))]
    name: String,
}

/// A change to a tenant (RFC 7396). What is not named stays.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
struct TenantPatch {
    /// What people call it.
    #[garde(length(max = 200))]
    name: Option<String>,
}

/// A customer of the SaaS.
#[derive(Serialize, ToSchema)]
#[schema(as = Tenant)]
struct TenantBody {
    #[schema(value_type = String, example = "acme")]
    id: TenantId,
    name: String,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

impl From<Tenant> for TenantBody {
    fn from(tenant: Tenant) -> Self {
        let Tenant { id, name, created_at, updated_at } = tenant;
        Self { id, name, created_at, updated_at }
    }
}

/// Create or change a tenant.
#[utoipa::path(tag = "tenants", params(("tenant" = String, Path)), request_body = TenantFields,
    responses((status = 200, body = TenantBody), (status = 201, body = TenantBody)))]
#[put("/tenants/{tenant}")]
pub(crate) async fn put_tenant(
    service: Data<Service>,
    id: InPath<TenantId>,
    fields: JsonBody<TenantFields>,
) -> Result<HttpResponse, Problem> {
    let fields = validate(fields.0)?;
    let now = service.clock.now();
    let tenant = Tenant { id: id.0, name: fields.name, created_at: now, updated_at: now };
    let put = service.store.put_tenant(tenant).await?;
    let mut response = if put.created { HttpResponse::Created() } else { HttpResponse::Ok() };
    Ok(response.json(TenantBody::from(put.now)))
}

/// Read a tenant.
#[utoipa::path(tag = "tenants", params(("tenant" = String, Path)), responses((status = 200, body = TenantBody)))]
#[get("/tenants/{tenant}")]
pub(crate) async fn get_tenant(
    service: Data<Service>,
    id: InPath<TenantId>,
) -> Result<Json<TenantBody>, Problem> {
    Ok(Json(service.store.tenant(&id.0).await?.into()))
}

/// Change a tenant.
#[utoipa::path(tag = "tenants", params(("tenant" = String, Path)), request_body = TenantPatch,
    responses((status = 200, body = TenantBody)))]
#[patch("/tenants/{tenant}")]
pub(crate) async fn patch_tenant(
    service: Data<Service>,
    id: InPath<TenantId>,
    patch: JsonBody<TenantPatch>,
) -> Result<Json<TenantBody>, Problem> {
    let patch = validate(patch.0)?;
    let mut tenant = service.store.tenant(&id.0).await?;
    if let Some(name) = patch.name {
        tenant.name = name;
        tenant.updated_at = service.clock.now();
        tenant = service.store.put_tenant(tenant).await?.now;
    }
    Ok(Json(tenant.into()))
}

/// Delete a tenant with its endpoints. Its open deliveries are cancelled.
#[utoipa::path(tag = "tenants", params(("tenant" = String, Path)), responses((status = 204)))]
#[delete("/tenants/{tenant}")]
pub(crate) async fn delete_tenant(
    service: Data<Service>,
    id: InPath<TenantId>,
) -> Result<HttpResponse, Problem> {
    service.store.delete_tenant(&id.0, service.clock.now()).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// List tenants, newest first.
#[utoipa::path(tag = "tenants", params(ListQuery), responses((status = 200, body = Listed<TenantBody>)))]
#[get("/tenants")]
pub(crate) async fn list_tenants(
    service: Data<Service>,
    query: InQuery<ListQuery>,
) -> Result<Json<Listed<TenantBody>>, Problem> {
    let list = List::new("tenants", &());
    let page = service.store.tenants(list.query(&query)?).await?;
    Ok(Json(list.answer(page, TenantBody::from)))
}
