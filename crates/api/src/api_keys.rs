//! API keys: who may do what, for as long as they need it.

use std::sync::Arc;

use actix_web::{
    HttpResponse, delete, get, post,
    web::{Data, Json},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use garde::Validate;
use posthaste_model::{Actor, ApiKey, ApiKeyId, KeyTenant, Role, TenantId, Timestamp};
use posthaste_store::{KeyDigest, StoreError};
use rand::Rng as _;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use utoipa::ToSchema;

use crate::{
    auth::{Refusal, key_digest},
    body::JsonBody,
    caller::Caller,
    cursor::{List, ListQuery, Listed},
    params::{InPath, InQuery},
    problem::Problem,
    recording::Note,
    service::Service,
    validation::validate,
    wire,
};

/// What the secret of a key begins with.
pub(crate) const PREFIX: &str = "phk_";
/// How many random bytes it has.
const RANDOM: usize = 32;

/// What a key is to be.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
struct KeyFields {
    /// What people call it.
    #[serde(default)]
    #[garde(length(max = 200), custom(plain))]
    #[schema(example = "billing")]
    name: String,
    /// What it is for: `admin`, `operator`, `publisher`, `viewer` or `tenant`.
    #[serde(deserialize_with = "wire::word")]
    #[garde(skip)]
    #[schema(value_type = String, example = "publisher")]
    role: Role,
    /// The only tenant that it reaches. Null: all. The role `tenant` needs one, and `admin` has none.
    #[garde(skip)]
    #[schema(value_type = Option<String>)]
    tenant: Option<TenantId>,
    /// When it is good no more. Null: it is good until it is deleted.
    #[serde(default, deserialize_with = "time")]
    #[garde(skip)]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
}

/// Refuses characters that would make a name look like another, or like more than a name.
fn plain(name: &str, (): &()) -> garde::Result {
    // What turns the direction of a text (Unicode Standard Annex 9, section 2).
    let turns = |c| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if name.contains(|c: char| c.is_control() || turns(c)) {
        let detail = "must have no control characters, nor such as turn the direction of a text";
        return Err(garde::Error::new(detail));
    }
    Ok(())
}

/// Reads a time, or null.
fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    text.parse().map(Some).map_err(|_| {
        D::Error::custom(
            "not a time: expected one such as '2026-11-21T10:00:00Z' (RFC 3339), at the latest '9999-12-30T22:00:00Z'",
        )
    })
}

/// A key of the API. It shows nothing of its secret.
#[derive(Serialize, ToSchema)]
#[schema(as = ApiKey)]
struct KeyBody {
    #[schema(value_type = String)]
    id: ApiKeyId,
    /// What people call it.
    name: String,
    /// What it is for: `admin`, `operator`, `publisher`, `viewer` or `tenant`.
    #[schema(value_type = String)]
    role: Role,
    /// The only tenant that it reaches. Null: all.
    #[schema(value_type = Option<String>)]
    tenant: Option<TenantId>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it is good no more. Null: it is good until it is deleted.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
}

/// A key as it was made.
#[derive(Serialize, ToSchema)]
#[schema(as = CreatedApiKey)]
struct CreatedKey {
    #[serde(flatten)]
    key: KeyBody,
    /// Stands in requests: `Authorization: Bearer phk_…`. It is shown this once.
    #[schema(example = "phk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8")]
    secret: String,
}

impl From<ApiKey> for KeyBody {
    fn from(ApiKey { id, name, role, tenant, created_at, expires_at }: ApiKey) -> Self {
        Self { id, name, role, tenant: tenant.map(|tenant| tenant.id), created_at, expires_at }
    }
}

/// What the audit tells of a key: `operator "ann", of tenant acme, until 2026-12-01T00:00:00Z`.
fn detail(key: &ApiKey) -> String {
    let ApiKey { name, role, tenant, expires_at, .. } = key;
    let mut said = role.as_str().to_owned();
    if !name.is_empty() {
        said += &format!(" {name:?}");
    }
    if let Some(tenant) = tenant {
        said += &format!(", of tenant {}", tenant.id);
    }
    if let Some(over) = expires_at {
        said += &format!(", until {over}");
    }
    said
}

/// What the audit tells of a key that was made or deleted.
fn note(key: &ApiKey) -> Note {
    let tenant = key.tenant.as_ref().map(|tenant| tenant.id.clone());
    Note { tenant, detail: Some(detail(key)), created: None }
}

/// Whether a text can be the secret of a key.
fn is_secret(text: &str) -> bool {
    let random = text.strip_prefix(PREFIX).and_then(|random| URL_SAFE_NO_PAD.decode(random).ok());
    random.is_some_and(|random| random.len() == RANDOM)
}

/// Who shows a secret of a key.
pub(crate) async fn open(service: &Service, secret: &str, digest: &KeyDigest) -> Result<Caller, Refusal> {
    const WHAT: &str = "key";
    // What nobody was given, nobody looks for.
    if !is_secret(secret) {
        return Err(Refusal::Unknown);
    }
    let known = service.keys.get(digest);
    let key = match &known {
        Ok(key) => Arc::clone(key),
        Err(_) => service.store.key(digest).await?.map(Arc::new).ok_or(Refusal::Unknown)?,
    };
    if key.expires_at.is_some_and(|over| service.clock.now() >= over) {
        return Err(Refusal::Expired { what: WHAT });
    }
    if let Err(look_up) = known {
        if !has_its_tenant(service, &key).await? {
            return Err(Refusal::Orphaned { what: WHAT });
        }
        service.keys.remember(look_up, Arc::clone(&key));
    }
    let ApiKey { id, name, role, tenant, expires_at, .. } = &*key;
    let by = Actor::ApiKey { id: *id, name: name.clone(), role: *role };
    let tenant = tenant.as_ref().map(|tenant| tenant.id.clone());
    Ok(Caller { by, role: *role, tenant, expires_at: *expires_at })
}

/// Whether the tenant that a key is bound to is there still, and is no other under the same id.
async fn has_its_tenant(service: &Service, key: &ApiKey) -> Result<bool, StoreError> {
    let Some(KeyTenant { id, created_at }) = &key.tenant else { return Ok(true) };
    match service.store.tenant(id).await {
        // Not every store keeps more than milliseconds.
        Ok(tenant) => Ok(tenant.created_at.as_millisecond() == created_at.as_millisecond()),
        Err(StoreError::NotFound(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Make a key. The answer holds its secret, which is shown this once.
#[utoipa::path(tag = "keys", request_body = KeyFields, responses((status = 201, body = CreatedKey)))]
#[post("/keys")]
pub(crate) async fn create_key(
    service: Data<Service>,
    fields: JsonBody<KeyFields>,
) -> Result<HttpResponse, Problem> {
    let KeyFields { name, role, tenant, expires_at } = validate(fields.0)?;
    let now = service.clock.now();
    if expires_at.is_some_and(|over| over <= now) {
        return Err(Problem::field("/expires_at", "must lie in the future"));
    }
    let tenant = match (tenant, role) {
        (None, Role::Tenant) => {
            return Err(Problem::field("/tenant", "a key with the role 'tenant' needs its tenant"));
        }
        (Some(_), Role::Admin) => {
            let detail = "a key with the role 'admin' reaches all tenants: it cannot be bound to one";
            return Err(Problem::field("/tenant", detail));
        }
        (None, _) => None,
        (Some(id), _) => {
            let tenant = service.store.tenant(&id).await.map_err(|error| match error {
                StoreError::NotFound(_) => Problem::field("/tenant", error),
                error => error.into(),
            })?;
            Some(KeyTenant { id, created_at: tenant.created_at })
        }
    };
    let id = ApiKeyId::mint(now, service.entropy.id());
    let key = ApiKey { id, name, role, tenant, created_at: now, expires_at };
    let secret = secret(&service);
    let made = service.store.create_key(key.clone(), key_digest(&secret)).await;
    made.map_err(Problem::not_repeatable)?;
    let note = Note { created: Some(format!("/v1/keys/{id}")), ..note(&key) };
    Ok(note.on(HttpResponse::Created().json(CreatedKey { key: key.into(), secret })))
}

fn secret(service: &Service) -> String {
    let mut random = [0; RANDOM];
    service.entropy.with(|rng| rng.fill_bytes(&mut random));
    format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(random))
}

/// List keys, newest first, also those whose time is over. Their secrets are not shown.
#[utoipa::path(tag = "keys", params(ListQuery), responses((status = 200, body = Listed<KeyBody>)))]
#[get("/keys")]
pub(crate) async fn list_keys(
    service: Data<Service>,
    query: InQuery<ListQuery>,
) -> Result<Json<Listed<KeyBody>>, Problem> {
    let list = List::new("keys", &());
    let page = service.store.keys(list.query(&query)?).await?;
    Ok(Json(list.answer(page, KeyBody::from)))
}

/// Delete a key. It opens nothing any more; in other processes after a second at the most.
#[utoipa::path(tag = "keys", params(("key" = String, Path)), responses((status = 204)))]
#[delete("/keys/{key}")]
pub(crate) async fn delete_key(
    service: Data<Service>,
    id: InPath<ApiKeyId>,
) -> Result<HttpResponse, Problem> {
    let deleted = service.store.delete_key(id.0).await;
    // Also where the answer was lost.
    service.keys.forget();
    Ok(note(&deleted?).on(HttpResponse::NoContent().finish()))
}

#[cfg(test)]
mod tests;
