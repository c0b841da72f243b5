//! Portal links: keys that a tenant's own people are given for a while, so that they look after their endpoints themselves.

use actix_web::{
    HttpResponse, post,
    web::{Data, ReqData},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use posthaste_model::{Actor, ApiKeyId, Period, Role, TenantId, Timestamp};
use posthaste_store::StoreError;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    auth::Refusal, body::OptionalJson, caller::Caller, params::InPath, problem::Problem, recording::Note,
    service::Service,
};

/// What the token of a portal link begins with.
const PREFIX: &str = "php_";
/// What a token is sealed as: nothing else that the service has sealed opens as one.
const RECORD: &[u8] = b"portal-link";
/// How long a link is good where nothing is said.
const USUAL_TTL: Period = Period::from_secs(3_600);
const MIN_TTL: Period = Period::from_secs(60);
const MAX_TTL: Period = Period::from_secs(24 * 3_600);

/// What a portal link is to be.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PortalLinkFields {
    /// How long it is good: `1m` to `24h`. Where nothing is said, `1h`.
    #[schema(value_type = Option<String>, example = "1h")]
    ttl: Option<Period>,
}

/// A key for a tenant's own people.
#[derive(Serialize, ToSchema)]
#[schema(as = PortalLink)]
struct PortalLinkBody {
    /// Stands where the key stands: `Authorization: Bearer php_…`.
    #[schema(example = "php_AWZoeq0AAQIDBAUGBwgJCgsMDQ4PEBESExQVFhfQtpY3glgA")]
    token: String,
    /// When it is good no more: no later than the key that made it.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
}

/// What a token says for itself.
struct Token {
    expires_at: Timestamp,
    /// When the tenant was made, in Unix milliseconds: that tells it from another one with the same id.
    made_at: i64,
    tenant: TenantId,
    /// The API key that it was made with; none: the admin key.
    made_by: Option<ApiKeyId>,
}

/// Makes a token. Nothing of it is kept: it says for itself whose it is and until when, and only the service can read it.
fn make(service: &Service, token: &Token) -> Result<String, Problem> {
    let Token { expires_at, made_at, tenant, made_by } = token;
    let mut text = format!("{} {made_at} {tenant}", expires_at.as_millisecond());
    if let Some(key) = made_by {
        text += &format!(" {key}");
    }
    let sealed = service.entropy.with(|rng| service.sealer.seal(text.as_bytes(), RECORD, rng));
    let sealed = sealed.map_err(|e| Problem::internal(&e))?;
    Ok(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(sealed)))
}

/// Who shows a token. One that was made with another encryption key is unknown.
pub(crate) async fn open(service: &Service, token: &str) -> Result<Caller, Refusal> {
    const WHAT: &str = "portal link";
    let Token { expires_at, made_at, tenant, made_by } = read(service, token).ok_or(Refusal::Unknown)?;
    if service.clock.now() >= expires_at {
        return Err(Refusal::Expired { what: WHAT });
    }
    match service.store.tenant(&tenant).await {
        Ok(known) if known.created_at.as_millisecond() == made_at => {
            let (by, role) = (Actor::PortalLink { tenant: tenant.clone(), made_by }, Role::Tenant);
            Ok(Caller { by, role, tenant: Some(tenant), expires_at: Some(expires_at) })
        }
        Ok(_) | Err(StoreError::NotFound(_)) => Err(Refusal::Orphaned { what: WHAT }),
        Err(error) => Err(error.into()),
    }
}

fn read(service: &Service, token: &str) -> Option<Token> {
    let sealed = URL_SAFE_NO_PAD.decode(token.strip_prefix(PREFIX)?).ok()?;
    let opened = service.sealer.open(&sealed, RECORD).ok()?;
    let mut words = std::str::from_utf8(&opened).ok()?.split(' ');
    let read = Token {
        expires_at: Timestamp::from_millisecond(words.next()?.parse().ok()?).ok()?,
        made_at: words.next()?.parse().ok()?,
        tenant: words.next()?.parse().ok()?,
        made_by: words.next().map(str::parse).transpose().ok()?,
    };
    words.next().is_none().then_some(read)
}

/// Make a key for a tenant's own people: good for a while, and only for what a subscriber needs.
///
/// It reaches the tenant's endpoints, events, deliveries and stats, and reads topics. It is good until its time is over
/// or the tenant is deleted, and cannot be taken back before. It is good no longer than the key that makes it.
#[utoipa::path(tag = "portal", params(("tenant" = String, Path)), request_body = Option<PortalLinkFields>,
    responses((status = 201, body = PortalLinkBody)))]
#[post("/tenants/{tenant}/portal-links")]
pub(crate) async fn create_portal_link(
    service: Data<Service>,
    caller: ReqData<Caller>,
    tenant: InPath<TenantId>,
    fields: OptionalJson<PortalLinkFields>,
) -> Result<HttpResponse, Problem> {
    let OptionalJson(PortalLinkFields { ttl }) = fields;
    let ttl = ttl.unwrap_or(USUAL_TTL);
    if !(MIN_TTL..=MAX_TTL).contains(&ttl) {
        return Err(Problem::field("/ttl", format!("must lie between {MIN_TTL} and {MAX_TTL}")));
    }
    let tenant = service.store.tenant(&tenant.0).await?;
    let asked = service.clock.now() + ttl.0;
    // Nobody reaches anything by a link that their own key does not reach any more.
    let expires_at = caller.expires_at.map_or(asked, |over| asked.min(over));
    let Caller { by, .. } = caller.into_inner();
    let made_by = match by {
        Actor::ApiKey { id, .. } => Some(id),
        Actor::AdminKey | Actor::PortalLink { .. } => None,
    };
    let made_at = tenant.created_at.as_millisecond();
    let token = make(&service, &Token { expires_at, made_at, tenant: tenant.id, made_by })?;
    let note = Note { detail: Some(format!("until {expires_at}")), ..Note::default() };
    Ok(note.on(HttpResponse::Created().json(PortalLinkBody { token, expires_at })))
}

#[cfg(test)]
mod tests;
