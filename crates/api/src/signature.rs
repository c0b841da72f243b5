//! How deliveries are signed, as callers say it: a profile, or nothing, and then the default of the tenant or the service.

use std::collections::BTreeMap;

use posthaste_model::{TenantId, Wire};
use posthaste_signing::{InvalidProfile, Profile};
use serde::Serialize;
use serde_json::{Value, value::RawValue};
use utoipa::ToSchema;

use crate::{problem::Problem, service::Service};

/// The longest profile, in bytes of JSON.
const MAX_PROFILE: usize = 16 * 1024;

/// What a profile sends, by way of example: signed with a secret that everybody knows.
#[derive(Serialize, ToSchema)]
pub(crate) struct SignatureSample {
    /// The headers that it sets.
    #[schema(example = json!({"webhook-id": "evt_1", "webhook-timestamp": "1764000000", "webhook-signature": "v1,…"}))]
    headers: BTreeMap<String, String>,
    /// The text that was signed.
    signed: String,
}

/// Reads the profile that a body has in its field `signature`, and tries it out.
pub(crate) fn read(given: &RawValue) -> Result<Profile, Problem> {
    if given.get().len() > MAX_PROFILE {
        return Err(Problem::field("/signature", format!("must not be longer than {MAX_PROFILE} bytes")));
    }
    let profile = Profile::parse(given.get()).map_err(refused)?;
    profile.dry_run().map_err(refused)?;
    Ok(profile)
}

/// What a profile sends. It was tried out when it was read.
pub(crate) fn sample(profile: &Profile) -> Result<SignatureSample, Problem> {
    let sample = profile.dry_run().map_err(refused)?;
    Ok(SignatureSample { headers: sample.headers.into_iter().collect(), signed: sample.signed })
}

/// The profile of an endpoint that is given one, or none: then it is the tenant's default, or the service's.
///
/// What is chosen is written to the endpoint. A default that changes later changes nothing for whoever verifies already.
pub(crate) async fn choose(
    service: &Service,
    tenant: &TenantId,
    given: Option<&RawValue>,
) -> Result<Profile, Problem> {
    if let Some(given) = given {
        return read(given);
    }
    match service.store.tenant(tenant).await?.signature {
        Some(kept) => stored(&kept),
        None => Ok(service.settings.signature.clone()),
    }
}

/// The profile that an endpoint's requests are signed by.
pub(crate) fn of(wire: &Wire) -> Result<Profile, Problem> {
    stored(&shown(wire))
}

/// The same, as it is shown.
pub(crate) fn shown(wire: &Wire) -> Value {
    // Endpoints that were made before there were profiles are signed as they always were.
    wire.signature.clone().unwrap_or_else(|| serde_json::json!({ "profile": "standard" }))
}

/// A profile as it is kept.
pub(crate) fn kept(profile: &Profile) -> Result<Value, Problem> {
    serde_json::to_value(profile).map_err(|e| Problem::internal(&e))
}

fn stored(kept: &Value) -> Result<Profile, Problem> {
    Profile::parse(&kept.to_string()).map_err(|e| Problem::internal(&e))
}

fn refused(InvalidProfile { pointer, reason }: InvalidProfile) -> Problem {
    Problem::field(format!("/signature{pointer}"), reason)
}

#[cfg(test)]
mod tests;
