use std::time::Duration;

use http::header::AUTHORIZATION;
use posthaste_egress::{Exchange, Request};
use posthaste_model::{Attempt, Decision, EndpointEffects, ErrorClass, Next, Outcome, Timestamp, Timings};
use posthaste_policy::{Jitter, Situation, decide};
use posthaste_store::{Lease, Settlement};
use tokio::time::Instant;

use crate::{
    echo::{hide, shown_in_confidence},
    gates::{Standing, Underway},
    handshake,
    request::request,
    sent::told,
    shared::Shared,
    target::{Target, Unusable},
};

/// Makes the attempt that a lease is for.
pub(crate) async fn attempt(shared: &Shared, lease: &Lease, underway: Underway) -> Settlement {
    let started_at = shared.clock.now();
    let target = handshake::permit(lease, started_at)
        .and_then(|()| shared.targets.get(&lease.endpoint, started_at, &shared.settings));
    let (exchange, was_sent) = match &target {
        Ok(target) => exchange(shared, lease, target, started_at).await,
        Err(unusable) => (not_sent(lease, unusable), false),
    };
    let now = shared.clock.now();
    let judged =
        |standing, jitter: &mut Jitter| judge(shared, lease, standing, &exchange.outcome, now, jitter);
    let noted = lease.endpoint.health;
    let mut jitter = shared.chance.jitter();
    let decision = if handshake::tells_how_it_fares(lease) {
        underway.end(&exchange.outcome, noted, now, &mut jitter, judged)
    } else {
        underway.end_unheeded(now);
        let Decision { next, .. } = judged(Standing::noted(noted), &mut jitter);
        Decision { next, endpoint: EndpointEffects::default() }
    };
    drop(jitter);
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
    let arrived = exchange.outcome.status().is_some_and(|status| (200..=299).contains(&status));
    let wanted = !arrived || lease.manual || lease.event.options.test;
    // Most arrive, and are kept without their request: the few others' are made once more.
    let sent = target.ok().filter(|_| was_sent && recorded && wanted).and_then(|target| {
        let request = request(lease, &target, started_at, &shared.settings.wire).ok()?;
        Some(Box::new(told(&request, target.tokens.is_some())))
    });
    let attempt = recorded.then(|| Attempt {
        id: shared.chance.attempt_id(started_at),
        number: lease.attempt,
        manual: lease.manual,
        started_at,
        timings: Timings {
            queued: started_at.duration_since(lease.due_at).try_into().unwrap_or_default(),
            dns: exchange.dns,
            connect: exchange.connect,
            tls: exchange.tls,
            first_byte: exchange.first_byte,
            total: exchange.total,
        },
        request: sent,
        outcome: exchange.outcome,
    });
    let settlement = Settlement {
        lease: lease.id,
        delivery: lease.delivery,
        manual: lease.manual,
        endpoint_version: lease.endpoint.version,
        attempt,
        decision,
        now,
    };
    shared.telemetry.attempted(lease, &settlement);
    settlement
}

/// Sends the request of an attempt, with a token if the receiver wants one. Answers with whether it was sent, too.
async fn exchange(
    shared: &Shared,
    lease: &Lease,
    target: &Target,
    started_at: Timestamp,
) -> (Exchange, bool) {
    let mut request = match request(lease, target, started_at, &shared.settings.wire) {
        Ok(request) => request,
        Err(error) => return (not_sent(lease, &error.into()), false),
    };
    let Some(tokens) = &target.tokens else {
        return (send(shared, target, request).await, true);
    };
    let begun = Instant::now();
    let token = match tokens.authorization(&*shared.transport, begun + request.deadline).await {
        Ok(token) => token,
        Err(outcome) => return (Exchange::unsent(outcome, begun.elapsed()), false),
    };
    request.headers.insert(AUTHORIZATION, token.clone());
    // The token has its part of the time.
    request.deadline = request.deadline.saturating_sub(begun.elapsed());
    let exchange = send(shared, target, request).await;
    if exchange.outcome.status() == Some(401) {
        tokens.refused(&token).await;
    }
    (exchange, true)
}

/// Sends a request; what it showed the receiver in confidence is not in what is kept of the answer.
async fn send(shared: &Shared, target: &Target, request: Request) -> Exchange {
    let shown = shown_in_confidence(&request.headers);
    let mut exchange = shared.transport.send(request).await;
    hide(&mut exchange.outcome, &shown, target.password.as_ref().map(|password| password.as_str()));
    exchange
}

/// Gives a lease back for which there is no room: it stays due, and nothing is charged.
pub(crate) fn give_back(shared: &Shared, lease: &Lease) -> Settlement {
    without_attempt(shared, lease, Next::Release { at: lease.due_at })
}

/// Gives a handshake up that was left behind: whoever asked for it is gone, and it goes out for nobody.
pub(crate) fn give_up(shared: &Shared, lease: &Lease) -> Settlement {
    without_attempt(shared, lease, Next::Exhausted)
}

fn without_attempt(shared: &Shared, lease: &Lease, next: Next) -> Settlement {
    Settlement {
        lease: lease.id,
        delivery: lease.delivery,
        manual: false,
        endpoint_version: lease.endpoint.version,
        attempt: None,
        decision: Decision { next, endpoint: EndpointEffects::default() },
        now: shared.clock.now(),
    }
}

/// What comes of an endpoint that cannot be sent to: a forbidden URL, or a handshake that is missing, is the customer's to
/// mend and costs an attempt; what was judged when it came in and is damaged now is ours, and costs nothing.
fn not_sent(lease: &Lease, unusable: &Unusable) -> Exchange {
    let class = match unusable {
        Unusable::Forbidden(_) | Unusable::Unverified | Unusable::Overdue => ErrorClass::Blocked,
        unusable => {
            tracing::error!(endpoint = %lease.endpoint.id, error = unusable as &dyn std::error::Error, "cannot send");
            ErrorClass::Internal
        }
    };
    let outcome = Outcome::Failed { class, detail: unusable.to_string() };
    Exchange::unsent(outcome, Duration::ZERO)
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
