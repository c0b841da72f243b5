use actix_web::{
    get, post,
    web::{Data, Json},
};
use posthaste_model::{Endpoint, EndpointId, EndpointSecret, Period, Sealed, TenantId, Timestamp};
use posthaste_signing::Secret;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    body::OptionalJson,
    endpoints::change,
    params::BothInPath,
    problem::{Kind, Problem},
    service::Service,
};

/// How long the old secret goes on signing beside the new one, where the caller does not say.
const DEFAULT_OVERLAP: Period = Period::from_secs(24 * 3600);
/// The longest overlap.
const MAX_OVERLAP: Period = Period::from_secs(7 * 24 * 3600);
/// How many secrets may sign at once: each makes the signature header longer.
const MAX_SECRETS: usize = 5;

/// How a secret is rotated.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Rotation {
    /// How long the old secret goes on signing beside the new one: `0s` to `7d`.
    #[serde(default = "default_overlap")]
    #[schema(value_type = Option<String>, example = "24h")]
    overlap: Period,
}

fn default_overlap() -> Period {
    DEFAULT_OVERLAP
}

impl Default for Rotation {
    fn default() -> Self {
        Self { overlap: DEFAULT_OVERLAP }
    }
}

/// The secrets that sign an endpoint's deliveries now.
#[derive(Serialize, ToSchema)]
struct Secrets {
    /// The current one.
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    secret: String,
    /// Older ones whose overlap is not over.
    retiring: Vec<RetiringSecret>,
}

/// A secret that was rotated out.
#[derive(Serialize, ToSchema)]
struct RetiringSecret {
    secret: String,
    /// When it stops signing.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
}

/// Makes a secret for an endpoint, and seals it.
pub(crate) fn new(service: &Service, endpoint: EndpointId) -> Result<(Secret, EndpointSecret), Problem> {
    let record = EndpointSecret::record(endpoint);
    let (secret, sealed) = service.entropy.with(|rng| {
        let secret = Secret::generate(rng);
        let sealed = service.sealer.seal(secret.expose_key(), record.as_bytes(), rng);
        (secret, sealed)
    });
    let sealed = Sealed(sealed.map_err(|e| Problem::internal(&e))?.into());
    Ok((secret, EndpointSecret { sealed, expires_at: None }))
}

/// Reveal the secret that signs an endpoint's deliveries. Each reveal is logged.
#[utoipa::path(tag = "endpoints", params(("tenant" = String, Path), ("endpoint" = String, Path)),
    responses((status = 200, body = Secrets)))]
#[get("/tenants/{tenant}/endpoints/{endpoint}/secret")]
pub(crate) async fn get_secret(
    service: Data<Service>,
    path: BothInPath<TenantId, EndpointId>,
) -> Result<Json<Secrets>, Problem> {
    let endpoint = service.store.endpoint(&path.0, path.1).await?;
    let secrets = reveal(&service, &endpoint)?;
    tracing::info!(tenant = %endpoint.tenant, endpoint = %endpoint.id, "a secret was revealed");
    Ok(Json(secrets))
}

/// Replace the secret by a new one. The old one goes on signing beside it until the overlap ends.
#[utoipa::path(tag = "endpoints", params(("tenant" = String, Path), ("endpoint" = String, Path)),
    request_body = Option<Rotation>, responses((status = 200, body = Secrets)))]
#[post("/tenants/{tenant}/endpoints/{endpoint}/secret/rotate")]
pub(crate) async fn rotate_secret(
    service: Data<Service>,
    path: BothInPath<TenantId, EndpointId>,
    rotation: OptionalJson<Rotation>,
) -> Result<Json<Secrets>, Problem> {
    let OptionalJson(rotation) = rotation;
    if rotation.overlap > MAX_OVERLAP {
        return Err(Problem::field("/overlap", format!("must not be longer than {MAX_OVERLAP}")));
    }
    let (_, fresh) = new(&service, path.1)?;
    let endpoint = change(&service, &path.0, path.1, |endpoint| {
        let now = service.clock.now();
        let ends = now + rotation.overlap.0;
        let mut retiring: Vec<_> = endpoint.live_secrets(now).cloned().collect();
        for secret in &mut retiring {
            secret.expires_at = Some(secret.expires_at.map_or(ends, |before| before.min(ends)));
        }
        retiring.retain(|secret| secret.expires_at.is_some_and(|end| now < end));
        if retiring.len() >= MAX_SECRETS {
            let detail =
                format!("{MAX_SECRETS} secrets are signing already; wait until the first overlap ends");
            return Err(Problem::new(Kind::Conflict, detail));
        }
        endpoint.secrets = std::iter::once(fresh.clone()).chain(retiring).collect();
        Ok(())
    })
    .await
    .map_err(Problem::not_repeatable)?;
    tracing::info!(tenant = %endpoint.tenant, endpoint = %endpoint.id, overlap = %rotation.overlap, "a secret was rotated");
    Ok(Json(reveal(&service, &endpoint)?))
}

fn reveal(service: &Service, endpoint: &Endpoint) -> Result<Secrets, Problem> {
    let record = EndpointSecret::record(endpoint.id);
    let open = |secret: &EndpointSecret| -> Result<String, Problem> {
        let key =
            service.sealer.open(&secret.sealed.0, record.as_bytes()).map_err(|e| Problem::internal(&e))?;
        let secret = Secret::from_key(&key).map_err(|e| Problem::internal(&e))?;
        Ok(secret.expose().to_string())
    };
    let mut current = None;
    let mut retiring = Vec::new();
    for secret in endpoint.live_secrets(service.clock.now()) {
        match secret.expires_at {
            None => current = Some(open(secret)?),
            Some(expires_at) => retiring.push(RetiringSecret { secret: open(secret)?, expires_at }),
        }
    }
    let secret = current.ok_or_else(|| Problem::new(Kind::Internal, "the endpoint has no current secret"))?;
    Ok(Secrets { secret, retiring })
}
