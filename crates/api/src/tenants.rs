use actix_web::{
    HttpResponse, delete, get, patch, put,
    web::{Data, Json},
};
use garde::Validate;
use posthaste_model::{Tenant, TenantId, Timestamp};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, value::RawValue};
use utoipa::ToSchema;

use crate::{
    body::JsonBody,
    cursor::{List, ListQuery, Listed},
    params::{InPath, InQuery},
    problem::{Kind, Place, Problem},
    recording::unchanged,
    service::Service,
    signature,
    validation::validate,
    wire,
};

/// What a tenant is given.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
struct TenantFields {
    /// What people call it.
    #[serde(default)]
    #[garde(length(max = 200))]
    name: String,
    /// How deliveries of its new endpoints are signed, where these do not say. Null: as the service has it by default.
    #[garde(skip)]
    #[schema(value_type = Option<Object>, example = json!({"profile": "standard"}))]
    signature: Option<Box<RawValue>>,
}

/// A change to a tenant (RFC 7396). What is not named stays.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
struct TenantPatch {
    /// What people call it.
    #[garde(length(max = 200))]
    name: Option<String>,
    /// How deliveries of its new endpoints are signed, where these do not say. It is replaced as a whole; null: as the service
    /// has it by default.
    #[serde(default, deserialize_with = "named")]
    #[garde(skip)]
    #[schema(value_type = Option<Object>, example = json!({"profile": "standard"}))]
    signature: Option<Option<Box<RawValue>>>,
}

/// Tells null from nothing.
fn named<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<Box<RawValue>>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// A customer of the SaaS.
#[derive(Serialize, ToSchema)]
#[schema(as = Tenant)]
struct TenantBody {
    #[schema(value_type = String, example = "acme")]
    id: TenantId,
    name: String,
    /// How deliveries of its new endpoints are signed. Null: as the service has it by default.
    #[schema(value_type = Option<Object>, example = json!({"profile": "standard"}))]
    signature: Option<Value>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

impl From<Tenant> for TenantBody {
    fn from(tenant: Tenant) -> Self {
        let Tenant { id, name, signature, created_at, updated_at } = tenant;
        Self { id, name, signature, created_at, updated_at }
    }
}

/// Refuses to change the tenant that Posthaste's own events belong to.
fn changeable(id: &TenantId) -> Result<(), Problem> {
    if *id == TenantId::posthaste() {
        let detail = format!("the tenant '{id}' is Posthaste's own: it can be neither changed nor deleted");
        return Err(Problem::new(Kind::Reserved, detail).at(Place::Parameter("tenant".to_owned())));
    }
    Ok(())
}

/// A signature profile as it is kept.
fn judge(service: &Service, given: Option<Box<RawValue>>) -> Result<Option<Value>, Problem> {
    let Some(given) = given else { return Ok(None) };
    let profile = signature::read(&given)?;
    // Else every endpoint that takes it would be refused.
    wire::check_default(service, &profile)?;
    signature::kept(&profile).map(Some)
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
    changeable(&id.0)?;
    let fields = validate(fields.0)?;
    let now = service.clock.now();
    let signature = judge(&service, fields.signature)?;
    let tenant = Tenant { name: fields.name, signature, ..Tenant::new(id.0, now) };
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
) -> Result<HttpResponse, Problem> {
    changeable(&id.0)?;
    let patch = validate(patch.0)?;
    let signature = patch.signature.map(|given| judge(&service, given)).transpose()?;
    let before = service.store.tenant(&id.0).await?;
    let mut tenant = before.clone();
    if let Some(name) = patch.name {
        tenant.name = name;
    }
    if let Some(signature) = signature {
        tenant.signature = signature;
    }
    if tenant == before {
        return Ok(unchanged(HttpResponse::Ok().json(TenantBody::from(before))));
    }
    tenant.updated_at = service.clock.now();
    let now = service.store.put_tenant(tenant).await?.now;
    Ok(HttpResponse::Ok().json(TenantBody::from(now)))
}

/// Delete a tenant with its endpoints. Its open deliveries are cancelled.
#[utoipa::path(tag = "tenants", params(("tenant" = String, Path)), responses((status = 204)))]
#[delete("/tenants/{tenant}")]
pub(crate) async fn delete_tenant(
    service: Data<Service>,
    id: InPath<TenantId>,
) -> Result<HttpResponse, Problem> {
    changeable(&id.0)?;
    let deleted = service.store.delete_tenant(&id.0, service.clock.now()).await;
    // With the tenant its keys have ended, also where the answer was lost.
    service.keys.forget();
    deleted?;
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

#[cfg(test)]
mod tests {
    use crate::fixture::{Api, NOW};
    use posthaste_model::{Tenant, TenantId};
    use posthaste_store::Catalogue as _;

    #[tokio::test]
    async fn a_default_that_no_endpoint_could_take_is_refused() {
        let api = Api::new().await;
        for (header, why) in
            [("Posthaste-Topic", "is a header of the service's own"), ("X-Forwarded-For", "is for proxies")]
        {
            let profile = serde_json::json!({ "profile": "custom", "signed": "{ts}.{body}", "algorithm": "hmac-sha256",
                "encoding": "hex", "key": "raw", "headers": { "X-Time": "{ts}", header: "{signature}" } });
            let body = serde_json::json!({ "signature": profile }).to_string();
            let refused = format!("422 invalid-field pointer /signature/headers/{header}: {why}");
            api.refuses("PUT /v1/tenants/default", &body, &refused).await;
            api.refuses("PATCH /v1/tenants/default", &body, &refused).await;
        }
    }

    #[tokio::test]
    async fn the_tenant_of_posthaste_is_nobodys() {
        let api = Api::new().await;
        let own = Tenant { name: "Own".into(), ..Tenant::new(TenantId::posthaste(), NOW) };
        api.store.put_tenant(own).await.unwrap();
        let tenant = "/v1/tenants/posthaste";
        let refused =
            "403 reserved parameter tenant: the tenant 'posthaste' is Posthaste's own: it can be neither";
        api.refuses(&format!("PUT {tenant}"), r#"{"name": "Mine"}"#, refused).await;
        api.refuses(&format!("PATCH {tenant}"), r#"{"name": "Mine"}"#, refused).await;
        api.refuses(&format!("DELETE {tenant}"), "", refused).await;
        for (events, body) in [
            ("events", r#"{"topic": "order.paid", "data": 1}"#),
            ("events", r#"{"events": [{"topic": "order.paid", "data": 1}]}"#),
            ("events?topic=order.paid", "1"),
        ] {
            let refused =
                "403 reserved parameter tenant: the tenant 'posthaste' is Posthaste's own: nobody else";
            api.refuses(&format!("POST {tenant}/{events}"), body, refused).await;
        }
        assert_eq!(api.json(&format!("GET {tenant}"), "", 200).await["name"], "Own");
        let endpoints = format!("POST {tenant}/endpoints");
        let made = api.json(&endpoints, r#"{"url": "https://example.com/"}"#, 201).await;
        let endpoint = format!("{tenant}/endpoints/{}", made["id"].as_str().unwrap());
        api.json(&format!("PATCH {endpoint}"), r#"{"topics": ["endpoint.*"]}"#, 200).await;
        api.json(&format!("POST {endpoint}/pause"), "", 200).await;
        api.json(&format!("DELETE {endpoint}"), "", 204).await;
    }
}
