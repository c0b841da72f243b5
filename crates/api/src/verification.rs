//! Running an endpoint's handshake. It goes the way of every request, as an event for the endpoint alone: nothing here
//! opens a connection.

use actix_web::{
    post,
    web::{Data, Json},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use posthaste_model::{
    Endpoint, EndpointId, EndpointState, ErrorClass, HandshakeKind, Outcome, Payload, Period, TenantId,
};
use posthaste_policy::{Consent, Question, judge_handshake};
use posthaste_store::{Missing, StoreError};
use rand::Rng as _;

use crate::{
    body::{Nothing, OptionalJson},
    endpoint_state::require_not_disabled,
    endpoints::{EndpointBody, change},
    events::refused_event,
    intake::{Refused, publish_handshake},
    params::BothInPath,
    problem::{Kind, Problem},
    secrets,
    service::Service,
    stop::Stop,
    trial::{self, Manner, Tried},
};

/// How many random bytes a challenge has.
const CHALLENGE: usize = 32;
/// Why a handshake has to wait whose secret was made just now.
const SECRET_IS_NEW: &str =
    "it was not run: the subscriber has to know the secret first, so run it by 'verify' then";
/// Why that of an endpoint has to wait which is disabled.
const IS_DISABLED: &str = "it was not run: the endpoint is disabled, so enable it once it is to be used, \
     and run it by 'verify' then";
/// What is said of one instead of what the store has said of itself.
const STORE_FAILED: &str = "it could not be run: the store was away, so run it by 'verify'";
/// What is said of one that the endpoint has no part in.
const NOT_OVER: &str =
    "it was not sent, or not answered, in time; nothing has changed, so run it again by 'verify'";
/// The same, where it was attempted.
const NOT_HEARD: &str = "it could not be sent, or its answer was lost, by no fault of the endpoint's; \
     nothing has changed, so run it again by 'verify'";

/// What the audit tells of one that the endpoint was asked for in vain.
const IN_VAIN: &str = "the endpoint was asked, and nothing has changed";

/// Run an endpoint's handshake, and wait for what comes of it. Once it is given, what was held goes out. One that is disabled
/// is sent nothing.
#[utoipa::path(tag = "endpoints", params(("tenant" = String, Path), ("endpoint" = String, Path)),
    responses((status = 200, description = "The endpoint is verified", body = EndpointBody)))]
#[post("/tenants/{tenant}/endpoints/{endpoint}/verify")]
pub(crate) async fn verify_endpoint(
    service: Data<Service>,
    stop: Data<Stop>,
    path: BothInPath<TenantId, EndpointId>,
    _: OptionalJson<Nothing>,
) -> Result<Json<EndpointBody>, Problem> {
    let endpoint = service.store.endpoint(&path.0, path.1).await?;
    require_not_disabled(&endpoint)?;
    Ok(Json(verify(&service, &stop, &endpoint).await?.into()))
}

/// Runs the handshake of an endpoint that is waiting for it since just now, if that can be: the endpoint after it, and what
/// failed.
pub(crate) async fn verify_at_once(
    service: &Data<Service>,
    stop: &Stop,
    endpoint: Endpoint,
    secret_is_new: bool,
) -> (Endpoint, Option<String>) {
    if endpoint.state == EndpointState::Disabled {
        return (endpoint, Some(IS_DISABLED.to_owned()));
    }
    let kind = endpoint.handshake.as_ref().map(|handshake| handshake.kind);
    if secret_is_new && kind == Some(HandshakeKind::Hmac) {
        return (endpoint, Some(SECRET_IS_NEW.to_owned()));
    }
    match verify(service, stop, &endpoint).await {
        Ok(endpoint) => (endpoint, None),
        // The endpoint stands, whatever has become of its handshake: that can be run again.
        Err(problem) => {
            let failure = problem.where_store_failed(STORE_FAILED).to_string();
            let stands = service.store.endpoint(&endpoint.tenant, endpoint.id).await;
            (stands.unwrap_or(endpoint), Some(failure))
        }
    }
}

/// Asks an endpoint, and notes its consent.
async fn verify(service: &Data<Service>, stop: &Stop, endpoint: &Endpoint) -> Result<Endpoint, Problem> {
    let Some(handshake) = &endpoint.handshake else {
        return Err(Problem::new(Kind::Conflict, "the endpoint has no handshake to give"));
    };
    let challenge = challenge(service);
    let proof;
    let question = match handshake.kind {
        HandshakeKind::CloudEvents => Question::CloudEvents { origin: &service.settings.origin },
        HandshakeKind::Echo => Question::Echo { challenge: &challenge },
        HandshakeKind::Hmac => {
            proof = secrets::proof(service, endpoint, &challenge)?;
            Question::Hmac { challenge: &challenge, proof: &proof }
        }
    };
    let outcome = ask(service, stop, endpoint, &challenge).await?;
    let verified = consent(service, endpoint, question, &outcome).await;
    let verified = verified.map_err(|problem| problem.having_done(IN_VAIN))?;
    tracing::info!(tenant = %verified.tenant, endpoint = %verified.id, kind = %handshake.kind, "an endpoint is verified");
    Ok(verified)
}

/// Notes the consent that an endpoint has given, if it has.
async fn consent(
    service: &Service,
    endpoint: &Endpoint,
    question: Question<'_>,
    outcome: &Outcome,
) -> Result<Endpoint, Problem> {
    let Consent { allowed_rate } = judge_handshake(question, outcome)
        .map_err(|withheld| Problem::new(Kind::HandshakeFailed, withheld.to_string()))?;
    let now = service.clock.now();
    let changed = change(service, &endpoint.tenant, endpoint.id, |stands| {
        // It is the endpoint that was asked which has consented.
        if stands.version != endpoint.version {
            let detail = "the endpoint was changed while its handshake was under way; run it again";
            return Err(Problem::new(Kind::Conflict, detail));
        }
        stands.verify(now);
        if let Some(allowed) = allowed_rate {
            let stricter = stands.rate_limit.map_or(allowed, |own| own.stricter(allowed));
            stands.rate_limit = Some(stricter);
        }
        Ok(())
    });
    Ok(changed.await?.endpoint)
}

/// Sends the handshake: what comes of it.
async fn ask(
    service: &Data<Service>,
    stop: &Stop,
    endpoint: &Endpoint,
    challenge: &str,
) -> Result<Outcome, Problem> {
    // A challenge has no character that JSON escapes.
    let data = format!(r#"{{"type":"url_verification","challenge":"{challenge}"}}"#);
    let payload = Payload::Data(data.into());
    let delay = Period(trial::patience(service, endpoint));
    let published = publish_handshake(service, &endpoint.tenant, endpoint.id, payload, delay).await;
    let event = published.map_err(|refused| match refused {
        Refused::UnknownEndpoint { .. } => StoreError::NotFound(Missing::Endpoint).into(),
        refused => refused_event(refused),
    })?;
    let Tried { attempt, .. } = trial::follow(service, stop, endpoint, &event, Manner::ByHand).await?;
    let ours = |detail| Err(Problem::new(Kind::Unavailable, detail));
    match attempt.map(|attempt| attempt.outcome) {
        None => ours(NOT_OVER),
        Some(Outcome::Failed { class: ErrorClass::Internal | ErrorClass::Unknown, .. }) => ours(NOT_HEARD),
        Some(outcome) => Ok(outcome),
    }
}

/// What nobody can know who did not receive it.
fn challenge(service: &Service) -> String {
    let mut random = [0; CHALLENGE];
    service.entropy.with(|rng| rng.fill_bytes(&mut random));
    URL_SAFE_NO_PAD.encode(random)
}

#[cfg(test)]
mod tests;
