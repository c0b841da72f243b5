use actix_web::{
    HttpResponse, get, post,
    web::{Data, Json},
};
use posthaste_model::{Endpoint, EndpointId, EndpointSecret, Period, Sealed, TenantId, Timestamp};
use posthaste_signing::{Profile, PublicKey, Secret, SecretKind};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    body::OptionalJson,
    endpoints::change,
    params::BothInPath,
    problem::{Kind, Problem},
    recording::Note,
    service::Service,
    signature,
    wire::SecretField,
};

/// How long the old secret goes on signing beside the new one, where the caller does not say.
const DEFAULT_OVERLAP: Period = Period::from_secs(24 * 3600);
/// The longest overlap.
const MAX_OVERLAP: Period = Period::from_secs(7 * 24 * 3600);
/// How many secrets of a kind may sign at once: each makes the signature header longer.
const MAX_SECRETS: usize = 5;

/// How a secret is rotated.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Rotation {
    /// How long the old secret goes on signing beside the new one: `0s` to `7d`. Left out: `24h`, or `0s` where the
    /// signature profile carries one signature only; then it can be nothing else.
    #[schema(value_type = Option<String>, example = "24h")]
    overlap: Option<Period>,
    /// The new secret, of which the one of the same kind is replaced. Left out: new ones are made.
    #[schema(value_type = Option<String>)]
    secret: Option<SecretField>,
}

/// The current secrets of an endpoint.
#[derive(Serialize, ToSchema)]
pub(crate) struct CurrentSecrets {
    /// What signs. A `whsk_` is the private half of a key pair; anything else is what the subscriber verifies with.
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    secret: String,
    /// What the subscriber verifies ed25519 signatures with, where there are such.
    #[serde(skip_serializing_if = "Option::is_none")]
    public_key: Option<String>,
    /// Both secrets, where the signature profile takes a shared one and a key pair.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    secrets: Vec<String>,
}

/// The secrets that sign an endpoint's deliveries now.
#[derive(Serialize, ToSchema)]
struct Secrets {
    #[serde(flatten)]
    current: CurrentSecrets,
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

/// The secrets after a rotation.
#[derive(Serialize, ToSchema)]
struct RotatedSecrets {
    #[serde(flatten)]
    secrets: Secrets,
    /// When requests are no longer signed with the old secret, too.
    cut_over: CutOver,
}

/// When requests are no longer signed with the old secret, too.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CutOver {
    /// From now on: subscribers have to have the new one already, or refuse what comes until they do.
    AtOnce,
    /// When the overlap ends.
    AfterOverlap,
}

/// A secret of an endpoint, opened.
struct Opened {
    secret: Secret,
    kept: EndpointSecret,
}

/// Gives a new endpoint its secrets: the one that the caller brings, and new ones of the kinds that are missing. Says whether
/// the shared one is new.
pub(crate) fn begin(
    service: &Service,
    endpoint: &mut Endpoint,
    profile: &Profile,
    brought: Option<SecretField>,
) -> Result<bool, Problem> {
    if let Some(brought) = brought {
        endpoint.secrets = vec![keep(service, endpoint.id, &import(&brought, profile)?)?];
    }
    complete(service, endpoint, profile)
}

/// Gives an endpoint secrets of the kinds that a profile needs and that it has not. Says whether one of them is shared: no
/// subscriber knows it yet.
///
/// Those of a kind that it needs no more stay: the profile may come back.
///
/// # Errors
/// The profile cannot use a current secret.
pub(crate) fn complete(
    service: &Service,
    endpoint: &mut Endpoint,
    profile: &Profile,
) -> Result<bool, Problem> {
    let opened = open(service, endpoint)?;
    for Opened { secret, kept } in &opened {
        if kept.expires_at.is_none() && profile.kinds().contains(&secret.kind()) {
            profile.accepts(secret).map_err(|error| {
                let detail = format!(
                    "the endpoint's secret does not suit it ({error}): rotate to one that does first"
                );
                Problem::field("/signature", detail)
            })?;
        }
    }
    let has =
        |kind| opened.iter().any(|opened| opened.kept.expires_at.is_none() && opened.secret.kind() == kind);
    let mut fresh = service.entropy.with(|rng| profile.generate(rng));
    fresh.retain(|secret| !has(secret.kind()));
    for secret in &fresh {
        endpoint.secrets.push(keep(service, endpoint.id, secret)?);
    }
    Ok(fresh.iter().any(|secret| secret.kind() == SecretKind::Shared))
}

/// When requests are no longer signed with the older secrets that signed until the profile was changed; none: there were
/// none.
pub(crate) fn cut_over(
    service: &Service,
    before: &Endpoint,
    after: &Endpoint,
) -> Result<Option<CutOver>, Problem> {
    // A profile that cannot be read any more signed nothing.
    let before = retiring(service, before).unwrap_or_default();
    let after = retiring(service, after)?;
    let goes_on = |old: &RetiringSecret| after.iter().any(|kept| kept.secret == old.secret);
    let cut_over = if before.iter().all(goes_on) { CutOver::AfterOverlap } else { CutOver::AtOnce };
    Ok((!before.is_empty()).then_some(cut_over))
}

/// The older secrets that sign an endpoint's deliveries beside the current ones.
fn retiring(service: &Service, endpoint: &Endpoint) -> Result<Vec<RetiringSecret>, Problem> {
    let profile = signature::of(&endpoint.wire)?;
    if !profile.carries_several() {
        return Ok(Vec::new());
    }
    let opened = open(service, endpoint)?.into_iter();
    let signing = opened.filter(|Opened { secret, .. }| profile.accepts(secret).is_ok());
    let retiring = signing.filter_map(|Opened { secret, kept }| {
        let secret = secret.expose().to_string();
        kept.expires_at.map(|expires_at| RetiringSecret { secret, expires_at })
    });
    Ok(retiring.collect())
}

/// What a subscriber makes of a challenge who holds the endpoint's current shared secret.
pub(crate) fn proof(service: &Service, endpoint: &Endpoint, challenge: &str) -> Result<String, Problem> {
    let profile = signature::of(&endpoint.wire)?;
    let mut current = open(service, endpoint)?.into_iter().filter(|opened| opened.kept.expires_at.is_none());
    let shared = current.find(|opened| opened.secret.kind() == SecretKind::Shared);
    let Some(Opened { secret, .. }) = shared else {
        return Err(Problem::new(Kind::Internal, "the endpoint has no current secret"));
    };
    profile.proof(&secret, challenge).map_err(|e| Problem::internal(&e))
}

/// Shows the current secrets of an endpoint.
pub(crate) fn current(service: &Service, endpoint: &Endpoint) -> Result<CurrentSecrets, Problem> {
    show(service, endpoint).map(|secrets| secrets.current)
}

/// Reveal the secrets that sign an endpoint's deliveries. Each reveal is recorded in the audit.
#[utoipa::path(tag = "endpoints", params(("tenant" = String, Path), ("endpoint" = String, Path)),
    responses((status = 200, body = Secrets)))]
#[get("/tenants/{tenant}/endpoints/{endpoint}/secret")]
pub(crate) async fn get_secret(
    service: Data<Service>,
    path: BothInPath<TenantId, EndpointId>,
) -> Result<Json<Secrets>, Problem> {
    let endpoint = service.store.endpoint(&path.0, path.1).await?;
    Ok(Json(show(&service, &endpoint)?))
}

/// Replace the secret by a new one. The old one goes on signing beside it until the overlap ends, where the signature
/// profile carries several signatures.
#[utoipa::path(tag = "endpoints", params(("tenant" = String, Path), ("endpoint" = String, Path)),
    request_body = Option<Rotation>, responses((status = 200, body = RotatedSecrets)))]
#[post("/tenants/{tenant}/endpoints/{endpoint}/secret/rotate")]
pub(crate) async fn rotate_secret(
    service: Data<Service>,
    path: BothInPath<TenantId, EndpointId>,
    rotation: OptionalJson<Rotation>,
) -> Result<HttpResponse, Problem> {
    let OptionalJson(rotation) = rotation;
    if rotation.overlap.is_some_and(|overlap| overlap > MAX_OVERLAP) {
        return Err(Problem::field("/overlap", format!("must not be longer than {MAX_OVERLAP}")));
    }
    let changed = change(&service, &path.0, path.1, |endpoint| rotate(&service, endpoint, &rotation)).await;
    let endpoint = changed.map_err(Problem::not_repeatable)?.endpoint;
    let secrets = show(&service, &endpoint)?;
    let overlap = overlap(&signature::of(&endpoint.wire)?, &rotation)?;
    let cut_over = if overlap.0.is_zero() { CutOver::AtOnce } else { CutOver::AfterOverlap };
    let response = HttpResponse::Ok().json(RotatedSecrets { secrets, cut_over });
    let detail = Some(format!("overlap {overlap}"));
    Ok(Note { detail, ..Note::default() }.on(response))
}

fn rotate(service: &Service, endpoint: &mut Endpoint, rotation: &Rotation) -> Result<(), Problem> {
    let profile = signature::of(&endpoint.wire)?;
    let now = service.clock.now();
    let ends = now + overlap(&profile, rotation)?.0;
    let fresh = match &rotation.secret {
        Some(brought) => vec![import(brought, &profile)?],
        None => service.entropy.with(|rng| profile.generate(rng)),
    };
    let mut opened = open(service, endpoint)?;
    if opened.iter().any(|opened| fresh.contains(&opened.secret)) {
        return Err(Problem::field("/secret", "is a secret of the endpoint already"));
    }
    for secret in &fresh {
        let mut retiring = 0;
        for old in opened.iter_mut().filter(|opened| opened.secret.kind() == secret.kind()) {
            let expires_at = old.kept.expires_at.map_or(ends, |before| before.min(ends));
            old.kept.expires_at = Some(expires_at);
            retiring += usize::from(now < expires_at);
        }
        if retiring >= MAX_SECRETS {
            let detail =
                format!("{MAX_SECRETS} secrets are signing already; wait until the first overlap ends");
            return Err(Problem::new(Kind::Conflict, detail));
        }
    }
    let mut secrets =
        fresh.iter().map(|secret| keep(service, endpoint.id, secret)).collect::<Result<Vec<_>, _>>()?;
    let retiring = opened.into_iter().map(|opened| opened.kept);
    secrets.extend(retiring.filter(|secret| secret.expires_at.is_none_or(|end| now < end)));
    endpoint.secrets = secrets;
    Ok(())
}

/// How long the old secret goes on signing.
fn overlap(profile: &Profile, rotation: &Rotation) -> Result<Period, Problem> {
    let none = Period::from_secs(0);
    match rotation.overlap {
        Some(overlap) if overlap > none && !profile.carries_several() => {
            let detail = format!(
                "a request of the profile '{}' carries one signature, so that the new secret takes over at once: leave the \
                 overlap out, or give 0s",
                profile.name()
            );
            Err(Problem::field("/overlap", detail))
        }
        Some(overlap) => Ok(overlap),
        None if profile.carries_several() => Ok(DEFAULT_OVERLAP),
        None => Ok(none),
    }
}

/// Reads a secret that a caller brings.
fn import(brought: &SecretField, profile: &Profile) -> Result<Secret, Problem> {
    let SecretField::Given(text) = brought else {
        return Err(Problem::field("/secret", "expected a text"));
    };
    let secret = Secret::parse(text).map_err(|error| Problem::field("/secret", error))?;
    profile.accepts(&secret).map_err(|error| Problem::field("/secret", error))?;
    Ok(secret)
}

/// Seals a secret that is current from now on.
fn keep(service: &Service, endpoint: EndpointId, secret: &Secret) -> Result<EndpointSecret, Problem> {
    let record = EndpointSecret::record(endpoint);
    let sealed = service.entropy.with(|rng| service.sealer.seal_secret(secret, record.as_bytes(), rng));
    let sealed = Sealed(sealed.map_err(|e| Problem::internal(&e))?.into());
    Ok(EndpointSecret { sealed, expires_at: None })
}

/// The secrets that are current or in their overlap, newest first.
fn open(service: &Service, endpoint: &Endpoint) -> Result<Vec<Opened>, Problem> {
    let record = EndpointSecret::record(endpoint.id);
    let open = |kept: &EndpointSecret| {
        let secret = service.sealer.open_secret(&kept.sealed.0, record.as_bytes());
        secret.map(|secret| Opened { secret, kept: kept.clone() }).map_err(|e| Problem::internal(&e))
    };
    endpoint.live_secrets(service.clock.now()).map(open).collect()
}

/// Shows the secrets that an endpoint's profile signs with.
fn show(service: &Service, endpoint: &Endpoint) -> Result<Secrets, Problem> {
    let kinds = signature::of(&endpoint.wire)?.kinds();
    let opened = open(service, endpoint)?.into_iter();
    let in_use = opened.filter(|opened| opened.kept.expires_at.is_none());
    let mut current: Vec<_> =
        in_use.map(|opened| opened.secret).filter(|secret| kinds.contains(&secret.kind())).collect();
    // The one that is shared comes first, in whichever order they were made.
    current.sort_by_key(|secret| secret.kind() != SecretKind::Shared);
    let public_key = current.iter().find_map(Secret::public_key).as_ref().map(PublicKey::to_string);
    let mut secrets: Vec<String> = current.iter().map(|secret| secret.expose().to_string()).collect();
    let Some(secret) = secrets.first().cloned() else {
        return Err(Problem::new(Kind::Internal, "the endpoint has no current secret"));
    };
    if secrets.len() == 1 {
        secrets.clear();
    }
    let retiring = retiring(service, endpoint)?;
    Ok(Secrets { current: CurrentSecrets { secret, public_key, secrets }, retiring })
}

#[cfg(test)]
mod tests;
