//! What an endpoint is asked before it is sent anything else.

use std::time::Duration;

use http::{HeaderName, HeaderValue};
use posthaste_egress::{Method, Request};
use posthaste_model::{Handshake, HandshakeKind, Timestamp};
use posthaste_store::Lease;

use crate::{
    WireSettings,
    target::{Target, Unusable},
};

/// Who asks (CloudEvents, HTTP 1.1 Web Hooks for Event Delivery, section 4.1).
const ORIGIN: HeaderName = HeaderName::from_static("webhook-request-origin");
/// How many requests per minute there may be (the same).
const RATE: HeaderName = HeaderName::from_static("webhook-request-rate");
/// Longer than anybody waits for what comes of a handshake: the longest exchange of an endpoint, 30 s, and 5 s beside it.
const WAITED_FOR: Duration = Duration::from_secs(60);

/// The handshake that a lease is for; none: it is for an event as any other.
pub(crate) fn asked(lease: &Lease) -> Option<HandshakeKind> {
    let Handshake { kind, .. } = lease.endpoint.handshake.as_ref()?;
    lease.event.is_handshake().then_some(*kind)
}

/// Whether a lease is that of a handshake that was left behind: whoever asks for one has it attempted by hand.
pub(crate) fn is_left_behind(lease: &Lease) -> bool {
    lease.event.is_handshake() && !lease.manual
}

/// Asserts that a lease may be sent: to an endpoint that is not verified goes nothing but the handshake, and that only while
/// somebody waits for what comes of it.
pub(crate) fn permit(lease: &Lease, now: Timestamp) -> Result<(), Unusable> {
    match lease.event.is_handshake() {
        true if now > lease.event.accepted_at + WAITED_FOR => Err(Unusable::Overdue),
        true => Ok(()),
        false if lease.endpoint.is_verified() => Ok(()),
        false => Err(Unusable::Unverified),
    }
}

/// Whether what comes of a lease says how its endpoint fares. That is told by its deliveries, of which one that is not
/// verified gets none.
pub(crate) fn tells_how_it_fares(lease: &Lease) -> bool {
    lease.endpoint.is_verified() && !lease.event.is_handshake()
}

/// Asks for consent: with no body, and unsigned.
pub(crate) fn consent(lease: &Lease, target: &Target, settings: &WireSettings) -> Request {
    let mut headers = target.headers.clone();
    // It was judged when the settings were read.
    if let Ok(origin) = HeaderValue::from_str(&settings.origin) {
        headers.insert(ORIGIN, origin);
    }
    if let Some(rate) = lease.endpoint.rate_limit {
        headers.insert(RATE, rate.per_minute().into());
    }
    let request = Request::post(target.url.clone(), Default::default(), target.timeout);
    Request { method: Method::Options, headers, identity: target.identity.clone(), ..request }
}
