//! What is wrong with one look at a tenant.

use std::collections::{HashMap, HashSet};

use posthaste_model::{
    Attempt, Delivery, DeliveryReason, DeliveryState, Endpoint, EndpointId, EndpointState, ErrorClass,
    EventId, Health,
};

use super::{Breaches, Shown};

pub(super) fn times_fit_the_state(delivery: &Delivery, breaches: &mut Breaches) {
    let (due, completed) = match delivery.state {
        DeliveryState::Scheduled | DeliveryState::Held => (true, false),
        DeliveryState::InFlight => (false, false),
        DeliveryState::Delivered
        | DeliveryState::Exhausted
        | DeliveryState::Skipped
        | DeliveryState::Cancelled => (false, true),
    };
    breaches.unless(
        delivery.due_at.is_some() == due && delivery.completed_at.is_some() == completed,
        1,
        || format!("the times do not fit the state: {delivery:?}"),
    );
}

pub(super) fn attempts_fit_the_delivery(delivery: &Delivery, attempts: &[Attempt], breaches: &mut Breaches) {
    let numbers: Vec<u32> = attempts.iter().map(|attempt| attempt.number).collect();
    breaches.unless(numbers.iter().copied().eq(1..=delivery.attempts), 2, || {
        format!("the attempts are numbered {numbers:?}: {delivery:?}")
    });
    breaches.unless(delivery.state != DeliveryState::Delivered || attempts.iter().any(is_success), 2, || {
        format!("delivered without a 2xx: {delivery:?}, {attempts:?}")
    });
    // Those that nobody asked for: they alone are charged.
    let automatic = attempts.iter().filter(|attempt| !attempt.manual).count();
    breaches.unless(delivery.failures as usize <= automatic, 3, || {
        format!("more failures than attempts: {delivery:?}, {attempts:?}")
    });
    breaches.unless(attempts.iter().all(|attempt| attempt.started_at >= delivery.created_at), 3, || {
        format!("an attempt before the event was accepted: {delivery:?}, {attempts:?}")
    });
}

/// `reopened`: how often the delivery was opened again. Each time allows one success before the last attempt.
pub(super) fn nothing_follows_a_success(
    delivery: &Delivery,
    attempts: &[Attempt],
    reopened: usize,
    breaches: &mut Breaches,
) {
    let automatic = attempts.iter().filter(|attempt| !attempt.manual);
    let repeated = automatic.rev().skip(1).filter(|attempt| is_success(attempt)).count();
    let fault = attempts.iter().any(|attempt| attempt.outcome.error() == Some(ErrorClass::Unknown));
    breaches.unless(repeated <= reopened || fault, 5, || {
        format!("repeated after a success, without a fault: {delivery:?}, {attempts:?}")
    });
}

fn is_success(attempt: &Attempt) -> bool {
    attempt.outcome.status().is_some_and(|status| (200..300).contains(&status))
}

/// `endpoint`: its state; none: it is no more.
pub(super) fn state_fits_the_endpoint(
    delivery: &Delivery,
    endpoint: Option<EndpointState>,
    breaches: &mut Breaches,
) {
    let fits = match delivery.state {
        DeliveryState::Scheduled => endpoint == Some(EndpointState::Enabled),
        DeliveryState::Held => endpoint == Some(EndpointState::Paused),
        _ => true,
    };
    let deleted = delivery.reason == Some(DeliveryReason::EndpointDeleted);
    breaches.unless(fits && !(deleted && endpoint.is_some()), 8, || {
        format!("at an endpoint that is {endpoint:?}: {delivery:?}")
    });
}

pub(super) fn reason_fits_the_state(delivery: &Delivery, breaches: &mut Breaches) {
    let reasons: &[Option<DeliveryReason>] = match delivery.state {
        DeliveryState::Held => &[Some(DeliveryReason::EndpointPaused)],
        DeliveryState::Skipped => &[Some(DeliveryReason::EndpointDisabled)],
        DeliveryState::Cancelled => &[Some(DeliveryReason::EndpointDeleted), Some(DeliveryReason::Operator)],
        _ => &[None],
    };
    breaches.unless(reasons.contains(&delivery.reason), 1, || {
        format!("the reason does not fit the state: {delivery:?}")
    });
}

pub(super) fn health_begins_with_a_failure(endpoint: &Endpoint, breaches: &mut Breaches) {
    let Health { failing_since, failures, exhausted, .. } = endpoint.health;
    let fits = match failing_since {
        None => endpoint.health == Health::default(),
        Some(_) => failures >= exhausted.max(1),
    };
    breaches.unless(fits, 9, || format!("its health does not fit together: {endpoint:?}"));
}

pub(super) fn events_fit_the_deliveries(shown: &Shown, breaches: &mut Breaches) {
    let mut ids = HashSet::new();
    let mut targets: HashMap<&EventId, HashSet<EndpointId>> = HashMap::new();
    for (delivery, _) in &shown.deliveries {
        breaches.unless(ids.insert(delivery.id), 7, || format!("shown twice: {delivery:?}"));
        let new = targets.entry(&delivery.event).or_default().insert(delivery.endpoint);
        breaches.unless(new, 1, || format!("delivered twice to one endpoint: {delivery:?}"));
        let event = shown.events.iter().find(|record| record.event.id == delivery.event);
        let fits = event.is_some_and(|record| {
            record.event.topic == delivery.topic && record.event.accepted_at == delivery.created_at
        });
        breaches.unless(fits, 7, || format!("does not fit its event {event:?}: {delivery:?}"));
    }
    let mut events = HashSet::new();
    for record in &shown.events {
        breaches.unless(events.insert(&record.event.id), 7, || format!("an id for two events: {record:?}"));
        let found = targets.get(&record.event.id).map_or(0, HashSet::len);
        breaches.unless(found == record.deliveries as usize, 7, || {
            format!("{found} deliveries are shown: {record:?}")
        });
    }
}
