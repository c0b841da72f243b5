use std::time::Duration;

use posthaste_dispatch::Body;
use posthaste_model::{
    Attempt, BodyFormat, Delivery, DeliveryReason, DeliveryState, Endpoint, ErrorClass, Event, RetryPolicy,
};
use posthaste_policy::max_attempts;
use posthaste_signing::{Profile, Received, Secret, Verifier, VerifyError};
use posthaste_store::conformance::{
    Shown,
    invariants::{self, Step},
};

use crate::{
    seen::{Seen, Sent},
    world::World,
};

/// Fails unless every invariant holds for what happened and for what is shown, and the attempts are the requests that
/// subscribers saw. Nothing may be in flight.
pub(crate) async fn reckon(world: &World) {
    let shown = world.shown().await;
    let seen = world.seen();
    let mut broken = invariants::broken_by(&seen.steps);
    broken.extend(invariants::broken_after(&seen.steps, &shown));
    broken.extend(invariants::unrecorded(&seen.steps, &shown));
    broken.extend(invariants::beyond_policy(&shown, allowed));
    let mut broken: Vec<String> = broken.iter().map(ToString::to_string).collect();
    broken.extend(mismatches(world, &seen, &shown));
    broken.extend(seen.requests.iter().filter_map(|sent| forgery(world, &seen, sent)));
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

fn allowed(endpoint: &Endpoint) -> u32 {
    max_attempts(endpoint.retry.as_ref().unwrap_or(&RetryPolicy::default()))
}

/// Where requests and attempts do not match, delivery by delivery.
fn mismatches(world: &World, seen: &Seen, shown: &Shown) -> Vec<String> {
    let mut all: Vec<&Sent> = seen.requests.iter().filter(|sent| was_made(sent)).collect();
    let mut broken = Vec::new();
    for (delivery, attempts) in &shown.deliveries {
        let (endpoint, _) = &world.endpoints[&delivery.endpoint];
        let of_delivery = |sent: &&Sent| sent.url == endpoint.url && sent.event() == delivery.event.as_str();
        let mut requests: Vec<&Sent> = all.extract_if(.., |sent| of_delivery(sent)).collect();
        let mut unknown = 0;
        for attempt in attempts {
            match attempt.outcome.error() {
                Some(ErrorClass::Unknown) => unknown += 1,
                // Only of what somebody asked for a fault of ours is told.
                Some(ErrorClass::Internal) if attempt.manual => {}
                Some(ErrorClass::Blocked) => {}
                _ => match requests.iter().position(|sent| is_request_of(attempt, sent)) {
                    Some(at) => drop(requests.remove(at)),
                    None => {
                        broken.push(format!("an attempt that no subscriber saw: {delivery:?}, {attempt:?}"))
                    }
                },
            }
        }
        requests.retain(|sent| !was_overtaken(delivery, attempts, sent));
        if requests.len() > unknown {
            broken.push(format!("requests without an attempt: {delivery:?}, {attempts:?}, {requests:?}"));
        }
        let exhausted = delivery.state == DeliveryState::Exhausted;
        if exhausted && delivery.failures != allowed(endpoint) {
            broken.push(format!("exhausted after {} failures: {delivery:?}", delivery.failures));
        }
    }
    broken.extend(all.iter().map(|sent| format!("a request of no delivery: {sent:?}")));
    broken
}

/// Whether somebody ended the delivery by hand while the request was under way, and so its lease: should its process die
/// then, nobody knows of the request.
fn was_overtaken(delivery: &Delivery, attempts: &[Attempt], sent: &Sent) -> bool {
    let success = |attempt: &Attempt| attempt.outcome.status().is_some_and(|s| (200..300).contains(&s));
    let by_hand = delivery.reason == Some(DeliveryReason::Operator)
        || attempts.iter().any(|attempt| attempt.manual && success(attempt));
    let ended = sent.ended.as_ref().map(|(at, _)| *at);
    let meanwhile = |at| sent.at <= at && ended.is_none_or(|ended| at <= ended);
    by_hand && delivery.completed_at.is_some_and(meanwhile)
}

/// A fault of ours is one that kept the request from being made.
fn was_made(sent: &Sent) -> bool {
    sent.ended.as_ref().is_none_or(|(_, outcome)| outcome.error() != Some(ErrorClass::Internal))
}

fn is_request_of(attempt: &Attempt, sent: &Sent) -> bool {
    let outcome = sent.ended.as_ref().map(|(_, outcome)| outcome);
    sent.at == attempt.started_at && outcome == Some(&attempt.outcome)
}

fn accepted(seen: &Seen) -> impl Iterator<Item = &Event> {
    seen.steps.iter().filter_map(|step| match step {
        Step::Accepted(new) => Some(&new.event),
        _ => None,
    })
}

/// What is wrong with a request: other bytes than those of its event, or not signed.
fn forgery(world: &World, seen: &Seen, sent: &Sent) -> Option<String> {
    let event = accepted(seen).find(|event| event.id.as_str() == sent.event());
    let (_, secret) = world.endpoints.values().find(|(endpoint, _)| endpoint.url == sent.url)?;
    let verified = verified(sent, secret);
    let wrong = match (event, verified) {
        (None, _) => "of no event".into(),
        (Some(event), _) if Body::new(event, BodyFormat::Standard, "").bytes != sent.body => {
            "with other bytes than its event's".into()
        }
        (_, Err(error)) => error.to_string(),
        (_, Ok(())) => return None,
    };
    Some(format!("a request {wrong}: {sent:?}"))
}

/// Whether a request was signed with a secret, in the standard format.
pub(crate) fn verified(sent: &Sent, secret: &Secret) -> Result<(), VerifyError> {
    let credentials = [secret.clone().into()];
    let verifier = Verifier::new(&Profile::named("standard").unwrap(), &credentials).unwrap();
    let received = Received { method: "POST", url: &sent.url, body: &sent.body };
    verifier.verify(|name| sent.header(name), &received, sent.at.as_second(), Duration::ZERO)
}
