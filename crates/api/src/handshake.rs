//! What an endpoint has to answer before it is sent anything else, as callers say and see it.

use posthaste_model::{Endpoint, EndpointState, Handshake, HandshakeKind, Timestamp};
use posthaste_signing::{Profile, SecretKind};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    problem::{Kind, Problem},
    signature, wire,
};

/// The names of the fields of [`HandshakeFields`].
pub(crate) const NAMES: [&str; 1] = ["type"];

/// Which handshake an endpoint is to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = HandshakeFields)]
pub(crate) struct HandshakeFields {
    /// `cloudevents`, `echo` or `hmac`.
    #[serde(rename = "type", deserialize_with = "wire::word")]
    #[schema(value_type = String, example = "echo")]
    pub(crate) kind: HandshakeKind,
}

/// A handshake, and whether it was given.
#[derive(Serialize, ToSchema)]
#[schema(as = Handshake)]
pub(crate) struct HandshakeBody {
    /// `cloudevents`, `echo` or `hmac`.
    #[serde(rename = "type")]
    #[schema(value_type = String, example = "echo")]
    kind: HandshakeKind,
    /// When it was last given; null: not yet, and nothing else is sent until it is.
    #[schema(value_type = Option<String>, format = DateTime)]
    verified_at: Option<Timestamp>,
    /// In the answer to a request that led to it: why it was not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) failure: Option<String>,
}

impl From<&Handshake> for HandshakeFields {
    fn from(handshake: &Handshake) -> Self {
        Self { kind: handshake.kind }
    }
}

impl From<Handshake> for HandshakeBody {
    fn from(Handshake { kind, verified_at, .. }: Handshake) -> Self {
        Self { kind, verified_at, failure: None }
    }
}

/// Refuses what is not for an endpoint that is not verified.
pub(crate) fn require_verified(endpoint: &Endpoint) -> Result<(), Problem> {
    if endpoint.is_verified() {
        return Ok(());
    }
    let detail = "the endpoint has not given its handshake, and is sent nothing else until it does: run it by 'verify'";
    Err(Problem::new(Kind::Unverified, detail))
}

/// Has a new endpoint wait for its handshake.
pub(crate) fn begin(
    endpoint: &mut Endpoint,
    profile: &Profile,
    wanted: Option<HandshakeFields>,
) -> Result<(), Problem> {
    let Some(HandshakeFields { kind }) = wanted else { return Ok(()) };
    suits(kind, profile)?;
    let state = endpoint.state;
    endpoint.await_handshake(kind, state);
    Ok(())
}

/// Does what a change of an endpoint means for its handshake, which may have to be given anew; says whether it has.
///
/// `asked` is the state that the change asks for; none: it asks for none.
pub(crate) fn follow_change(
    before: &Endpoint,
    endpoint: &mut Endpoint,
    wanted: Option<HandshakeFields>,
    asked: Option<EndpointState>,
) -> Result<bool, Problem> {
    let Some(HandshakeFields { kind }) = wanted else {
        waive(endpoint, asked);
        return Ok(false);
    };
    suits(kind, &signature::of(&endpoint.wire)?)?;
    let same_kind = before.handshake.as_ref().is_some_and(|handshake| handshake.kind == kind);
    if !same_kind || endpoint.url != before.url {
        endpoint.await_handshake(kind, asked.unwrap_or(before.intended_state()));
        return Ok(true);
    }
    match asked {
        // What is said as it was shown changes nothing: neither what it is to be once it is verified.
        Some(state) if state == before.state => {}
        Some(EndpointState::Enabled) => enable(endpoint, before.state)?,
        Some(state) => set_state(endpoint, state),
        None => {}
    }
    Ok(false)
}

/// Has an endpoint do without a handshake from now on, in the state that was asked for.
fn waive(endpoint: &mut Endpoint, asked: Option<EndpointState>) {
    endpoint.waive_handshake();
    if let Some(state) = asked {
        endpoint.state = state;
    }
}

/// Enables an endpoint whose state was `from`. One that was disabled need not be verified: it waits for its handshake then.
pub(crate) fn enable(endpoint: &mut Endpoint, from: EndpointState) -> Result<(), Problem> {
    if from != EndpointState::Disabled {
        require_verified(endpoint)?;
    }
    endpoint.state_reason = None;
    set_state(endpoint, EndpointState::Enabled);
    Ok(())
}

/// Gives an endpoint a state. One that waits for its handshake has it when it is verified, and is paused until then unless it
/// is to be disabled.
pub(crate) fn set_state(endpoint: &mut Endpoint, state: EndpointState) {
    match &endpoint.handshake {
        Some(Handshake { kind, verified_at: None, .. }) => endpoint.await_handshake(*kind, state),
        _ => endpoint.state = state,
    }
}

/// Asserts that a secret can be proved with which requests are signed so.
fn suits(kind: HandshakeKind, profile: &Profile) -> Result<(), Problem> {
    if kind == HandshakeKind::Hmac && !profile.kinds().contains(&SecretKind::Shared) {
        let detail = "the endpoint's signature profile has no shared secret to prove: its requests are signed by a key pair";
        return Err(Problem::field("/handshake/type", detail));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
