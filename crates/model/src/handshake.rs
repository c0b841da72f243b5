//! How an endpoint shows that it wants what it is sent.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Endpoint, EndpointState};

/// What an endpoint has to answer before it is sent anything else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handshake {
    /// Which kind of answer.
    pub kind: HandshakeKind,
    /// When it last gave that answer; none: not yet, or not for the URL that it has now.
    #[serde(default)]
    pub verified_at: Option<Timestamp>,
    /// Whether the endpoint is to be enabled once it is verified: it is paused until then.
    #[serde(default)]
    pub enables: bool,
}

/// The kinds of handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HandshakeKind {
    /// The receiver consents in a header (CloudEvents, HTTP 1.1 Web Hooks for Event Delivery, section 4).
    CloudEvents,
    /// It repeats a challenge.
    Echo,
    /// It proves that it holds the endpoint's secret.
    Hmac,
}

impl HandshakeKind {
    /// Each of them.
    pub const ALL: [Self; 3] = [Self::CloudEvents, Self::Echo, Self::Hmac];

    /// The kind's name, as the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CloudEvents => "cloudevents",
            Self::Echo => "echo",
            Self::Hmac => "hmac",
        }
    }
}

impl fmt::Display for HandshakeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Handshake {
    /// The topic of the events that carry handshakes. Nobody else publishes any.
    pub const TOPIC: &'static str = "posthaste.handshake";

    /// One that the endpoint has not given yet.
    pub fn awaited(kind: HandshakeKind, enables: bool) -> Self {
        Self { kind, verified_at: None, enables }
    }

    /// Why an endpoint is paused that has not given it, and what it is to be then, for people.
    pub fn awaited_reason(&self) -> &'static str {
        if self.enables {
            "waits for its handshake, then enabled"
        } else {
            "waits for its handshake, then paused"
        }
    }
}

impl Endpoint {
    /// Whether it may be sent more than a handshake: it needs none, or gave it.
    pub fn is_verified(&self) -> bool {
        self.handshake.as_ref().is_none_or(|handshake| handshake.verified_at.is_some())
    }

    /// Has it wait for a handshake, whatever it gave before. `state` is what it is to be once it is verified: it is paused
    /// until then, unless it is to be disabled.
    pub fn await_handshake(&mut self, kind: HandshakeKind, state: EndpointState) {
        let handshake = Handshake::awaited(kind, state == EndpointState::Enabled);
        if state == EndpointState::Disabled {
            self.state = state;
        } else {
            self.state = EndpointState::Paused;
            self.state_reason = Some(handshake.awaited_reason().to_owned());
        }
        self.handshake = Some(handshake);
    }

    /// Notes that it gave its handshake. It is from now on what it was to be.
    pub fn verify(&mut self, now: Timestamp) {
        self.go_on();
        if let Some(handshake) = &mut self.handshake {
            handshake.verified_at = Some(now);
        }
    }

    /// Needs no handshake any more. It is from now on what it was to be.
    pub fn waive_handshake(&mut self) {
        self.go_on();
        self.handshake = None;
    }

    /// What it is to be if it does not wait for its handshake.
    pub fn intended_state(&self) -> EndpointState {
        match &self.handshake {
            Some(Handshake { verified_at: None, enables: true, .. })
                if self.state == EndpointState::Paused =>
            {
                EndpointState::Enabled
            }
            _ => self.state,
        }
    }

    fn go_on(&mut self) {
        if !self.is_verified() && self.state == EndpointState::Paused {
            self.state = self.intended_state();
            self.state_reason = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EndpointId, TenantId};

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn endpoint() -> Endpoint {
        Endpoint::new(EndpointId::mint(NOW, [7; 10]), TenantId::default_tenant(), "u".into(), NOW)
    }

    /// Waits for a handshake, gives it, and does without: the states and reasons.
    #[track_caller]
    fn check(asked: EndpointState, waits: (EndpointState, Option<&str>), then: EndpointState) {
        let mut endpoint = endpoint();
        assert!(endpoint.is_verified());
        endpoint.await_handshake(HandshakeKind::Echo, asked);
        assert!(!endpoint.is_verified());
        assert_eq!((endpoint.state, endpoint.state_reason.as_deref()), waits);
        assert_eq!(endpoint.intended_state(), asked);
        let mut waived = endpoint.clone();
        endpoint.verify(NOW);
        waived.waive_handshake();
        for endpoint in [endpoint, waived] {
            assert!(endpoint.is_verified());
            assert_eq!((endpoint.state, endpoint.state_reason), (then, None));
        }
    }

    #[test]
    fn an_endpoint_is_paused_until_it_is_verified() {
        use EndpointState::{Disabled, Enabled, Paused};
        check(Enabled, (Paused, Some("waits for its handshake, then enabled")), Enabled);
        check(Paused, (Paused, Some("waits for its handshake, then paused")), Paused);
        check(Disabled, (Disabled, None), Disabled);
    }

    /// What was disabled meanwhile stays so.
    #[test]
    fn a_handshake_enables_nothing_that_is_disabled() {
        let mut endpoint = endpoint();
        endpoint.await_handshake(HandshakeKind::Hmac, EndpointState::Enabled);
        endpoint.state = EndpointState::Disabled;
        endpoint.state_reason = Some("they left".into());
        endpoint.verify(NOW);
        assert_eq!(
            (endpoint.state, endpoint.state_reason.as_deref()),
            (EndpointState::Disabled, Some("they left"))
        );
    }

    #[test]
    fn kinds_are_written_as_they_are_named() {
        for kind in HandshakeKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }
}
