use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, header::CONTENT_TYPE};
use posthaste_egress::{Exchange, Request};
use posthaste_model::{Attempt, Decision, EndpointEffects, ErrorClass, Next, Outcome, Timestamp, Timings};
use posthaste_policy::{Jitter, Situation, decide};
use posthaste_signing::{HEADER_ID, HEADER_SIGNATURE, HEADER_TIMESTAMP};
use posthaste_store::{Lease, Settlement};

use crate::{
    envelope::envelope,
    gates::{Standing, Underway},
    shared::Shared,
    target::{Target, Unusable},
};

/// Makes the attempt that a lease is for.
pub(crate) async fn attempt(shared: &Shared, lease: &Lease, underway: Underway) -> Settlement {
    let started_at = shared.clock.now();
    let exchange = match shared.targets.get(&lease.endpoint, started_at, &shared.settings) {
        Ok(target) => shared.transport.send(request(lease, &target, started_at)).await,
        Err(unusable) => not_sent(lease, &unusable),
    };
    let now = shared.clock.now();
    let judged =
        |standing, jitter: &mut Jitter| judge(shared, lease, standing, &exchange.outcome, now, jitter);
    let noted = lease.endpoint.health;
    let decision = underway.end(&exchange.outcome, noted, now, &mut shared.chance.jitter(), judged);
    tracing::debug!(
        delivery = %lease.delivery,
        endpoint = %lease.endpoint.id,
        attempt = lease.attempt,
        manual = lease.manual,
        status = exchange.outcome.status(),
        error = exchange.outcome.error().map(ErrorClass::as_str),
        next = ?decision.next,
        "attempted"
    );
    // A fault of ours made no request: there is nothing to record, however often it happens; but whoever asked for the
    // attempt is told of it.
    let recorded = lease.manual || exchange.outcome.error() != Some(ErrorClass::Internal);
    let attempt = recorded.then(|| Attempt {
        id: shared.chance.attempt_id(started_at),
        number: lease.attempt,
        manual: lease.manual,
        started_at,
        timings: Timings {
            queued: started_at.duration_since(lease.due_at).try_into().unwrap_or_default(),
            first_byte: exchange.first_byte,
            total: exchange.total,
        },
        outcome: exchange.outcome,
    });
    Settlement {
        lease: lease.id,
        delivery: lease.delivery,
        manual: lease.manual,
        endpoint_version: lease.endpoint.version,
        attempt,
        decision,
        now,
    }
}

/// Gives a lease back for which there is no room: it stays due, and nothing is charged.
pub(crate) fn give_back(shared: &Shared, lease: &Lease) -> Settlement {
    let decision =
        Decision { next: Next::Release { at: lease.due_at }, endpoint: EndpointEffects::default() };
    let now = shared.clock.now();
    Settlement {
        lease: lease.id,
        delivery: lease.delivery,
        manual: false,
        endpoint_version: lease.endpoint.version,
        attempt: None,
        decision,
        now,
    }
}

/// What comes of an endpoint that cannot be sent to: a forbidden URL is the customer's to mend and costs an attempt, a
/// secret that does not open is ours and costs nothing.
fn not_sent(lease: &Lease, unusable: &Unusable) -> Exchange {
    let class = match unusable {
        Unusable::Forbidden(_) => ErrorClass::Blocked,
        Unusable::Sealed(_) | Unusable::Damaged(_) | Unusable::NoSecret => {
            tracing::error!(endpoint = %lease.endpoint.id, error = unusable as &dyn std::error::Error, "cannot sign");
            ErrorClass::Internal
        }
    };
    let outcome = Outcome::Failed { class, detail: unusable.to_string() };
    Exchange { outcome, first_byte: None, total: Duration::ZERO }
}

/// Signs the event for this attempt: the id stays from one attempt to the next, the timestamp moves.
fn request(lease: &Lease, target: &Target, started_at: Timestamp) -> Request {
    let (content_type, body) = envelope(&lease.event);
    let id = lease.event.id.as_str();
    let timestamp = started_at.as_second();
    let signature = target.keys.sign(id, timestamp, &body);
    let mut headers = HeaderMap::with_capacity(4);
    // Every value is ASCII without control characters by the making of its type, so that none is ever left out.
    let mut set = |name: HeaderName, value: Result<HeaderValue, _>| {
        if let Ok(value) = value {
            headers.insert(name, value);
        }
    };
    set(CONTENT_TYPE, HeaderValue::from_str(content_type));
    set(HeaderName::from_static(HEADER_ID), HeaderValue::from_str(id));
    set(HeaderName::from_static(HEADER_TIMESTAMP), HeaderValue::from_str(&timestamp.to_string()));
    set(HeaderName::from_static(HEADER_SIGNATURE), HeaderValue::from_str(&signature));
    Request { target: target.url.clone(), headers, body, deadline: target.timeout }
}

fn judge(
    shared: &Shared,
    lease: &Lease,
    Standing { health, failing, pauses }: Standing,
    outcome: &Outcome,
    now: Timestamp,
    jitter: &mut Jitter,
) -> Decision {
    let situation = Situation {
        now,
        policy: lease.endpoint.retry.as_ref().unwrap_or(&shared.settings.retry),
        failures: lease.failures,
        health: &health,
        failing,
        auto_disable: &shared.settings.auto_disable,
        pauses,
        manual: lease.manual,
        test: lease.event.options.test,
    };
    decide(&situation, outcome, jitter)
}
