//! How an endpoint fares.

use posthaste_client::{Endpoint, EndpointState};

use crate::{elements::When, visitor::Visitor, words};

/// How an endpoint has fared since its last success, for its page and for its row.
pub(super) struct Health {
    /// In words.
    pub(super) told: String,
    /// Since when nothing has succeeded; none: it is well.
    pub(super) failing_since: Option<When>,
    /// Until when it is sent nothing, because it asked for a pause.
    pub(super) parked: Option<When>,
    /// Whether it has to give a handshake before it is sent anything else.
    pub(super) unverified: bool,
}

impl Health {
    pub(super) fn of(visitor: &Visitor, endpoint: &Endpoint) -> Self {
        let health = &endpoint.health;
        let parked = endpoint.parked_until.filter(|until| *until > visitor.now);
        Self {
            told: told(endpoint),
            failing_since: health.failing_since.map(|at| visitor.when(at)),
            parked: parked.map(|at| visitor.when(at)),
            unverified: is_unverified(endpoint),
        }
    }
}

/// Whether nothing but its handshake is sent to an endpoint.
pub(super) fn is_unverified(endpoint: &Endpoint) -> bool {
    endpoint.handshake.as_ref().is_some_and(|handshake| handshake.verified_at.is_none())
}

fn told(endpoint: &Endpoint) -> String {
    let health = &endpoint.health;
    if is_unverified(endpoint) && endpoint.state == EndpointState::Paused {
        return "waits for its handshake".into();
    }
    if health.failing_since.is_none() {
        return "well".into();
    }
    let failed = words::counted(health.failures.into(), "attempt");
    match health.exhausted {
        0 => format!("{failed} failed"),
        exhausted => format!("{failed} failed, {} given up", words::counted(exhausted.into(), "delivery")),
    }
}

#[cfg(test)]
mod tests {
    use posthaste_client::{EndpointHandshake, EndpointHealth, HandshakeKind};

    use super::{super::example, *};

    #[test]
    fn it_is_told_in_words() {
        assert_eq!(told(&example::endpoint()), "well");
        let since = "2026-11-21T10:00:00Z".parse().unwrap();
        let failing = |failures, exhausted| {
            let health = EndpointHealth { failing_since: Some(since), failures, exhausted, warned: 0 };
            told(&Endpoint { health, ..example::endpoint() })
        };
        assert_eq!(failing(1, 0), "1 attempt failed");
        assert_eq!(failing(30, 1), "30 attempts failed, 1 delivery given up");
    }

    #[test]
    fn it_says_that_a_handshake_is_awaited() {
        let of = |verified_at, state| {
            let handshake = Some(EndpointHandshake { kind: HandshakeKind::Echo, verified_at, failure: None });
            Endpoint { handshake, state, ..example::endpoint() }
        };
        assert_eq!(told(&of(None, EndpointState::Paused)), "waits for its handshake");
        assert!(is_unverified(&of(None, EndpointState::Disabled)));
        assert_eq!(told(&of(None, EndpointState::Disabled)), "well");
        let verified = of(Some("2026-11-21T10:00:00Z".parse().unwrap()), EndpointState::Paused);
        assert!(!is_unverified(&verified));
        assert_eq!(told(&verified), "well");
    }
}
