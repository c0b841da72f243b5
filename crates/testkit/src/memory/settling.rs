//! What came of a lease: its attempt, its delivery's next state, and what that means for the endpoint.

use posthaste_model::{
    DeliveryState, EndpointEffects, EndpointId, EndpointState, Health, HealthEffect, Next, Timestamp,
};
use posthaste_store::{Notice, Settled, Settlement, Told};

use super::tables::Tables;

pub(super) fn settle(tables: &mut Tables, settlement: &Settlement) -> Settled {
    let Settlement { lease, delivery, manual, endpoint_version, attempt, decision, now } = settlement;
    let Some((number, row)) = tables.deliveries.iter_mut().find(|(_, row)| row.delivery.id == *delivery)
    else {
        return Settled::Stale;
    };
    let (number, endpoint) = (*number, row.delivery.endpoint);
    let live = if *manual {
        row.manual.extract_if(.., |live| live.id == *lease).count() > 0
    } else {
        row.given_up.retain(|given_up| given_up.id != *lease);
        row.lease.is_some_and(|live| live.id == *lease)
    };
    if let Some(attempt) = attempt {
        row.record(attempt);
    }
    if !live {
        return Settled::Stale;
    }
    if let Some(attempt) = attempt {
        row.note(attempt);
        row.delivery.failures += charged(decision.next);
    }
    if tables.endpoint(endpoint).is_some_and(|stands| stands.version == *endpoint_version) {
        affect(tables, number, &decision.endpoint, *now);
    }
    let waiting = tables.waiting_state(endpoint);
    let Some(row) = tables.deliveries.get_mut(&number) else { return Settled::Stale };
    match (decision.next, manual) {
        (Next::Delivered, true) if row.delivery.state == DeliveryState::Delivered => {}
        (Next::Delivered, true) => row.end(DeliveryState::Delivered, *now),
        (Next::Delivered, _) => row.place(DeliveryState::Delivered, *now, *now),
        // Whatever becomes of its delivery goes on as it would have.
        (_, true) => {}
        (Next::Exhausted, _) => row.place(DeliveryState::Exhausted, *now, *now),
        (Next::Skipped, _) => row.place(DeliveryState::Skipped, *now, *now),
        (Next::Retry { at } | Next::Release { at }, _) => row.place(waiting, at, *now),
        (Next::Stay, _) => row.place(waiting, *now, *now),
    }
    if decision.next == Next::Exhausted && !manual {
        tell(tables, number, *now, Told::Exhausted { delivery: *delivery });
    }
    Settled::Applied
}

/// How many failures an attempt counts for.
fn charged(next: Next) -> u32 {
    match next {
        Next::Retry { .. } | Next::Exhausted | Next::Skipped => 1,
        Next::Delivered | Next::Release { .. } | Next::Stay => 0,
    }
}

/// Does to the endpoint of a delivery what an attempt does to it.
fn affect(tables: &mut Tables, delivery: u64, effects: &EndpointEffects, now: Timestamp) {
    let EndpointEffects { park_until, health, disable } = effects;
    let endpoint = tables.deliveries[&delivery].delivery.endpoint;
    if let Some(until) = park_until {
        park(tables, endpoint, *until);
    }
    let told = health.and_then(|effect| {
        let stands = tables.endpoint_mut(endpoint)?;
        note(&mut stands.health, effect, now)
    });
    told.into_iter().for_each(|told| tell(tables, delivery, now, told));
    if let Some(reason) = disable
        && self::disable(tables, endpoint, reason, now)
    {
        tell(tables, delivery, now, Told::Disabled { reason: reason.clone() });
    }
}

/// Notes an effect on the health of an endpoint, and says what is to be told of it.
fn note(health: &mut Health, effect: HealthEffect, now: Timestamp) -> Option<Told> {
    match effect {
        HealthEffect::Well => {
            let Health { failing_since, warned, .. } = std::mem::take(health);
            failing_since.filter(|_| warned > 0).map(|failing_since| Told::Recovered { failing_since })
        }
        HealthEffect::Failed { exhausted, warning } => {
            let since = *health.failing_since.get_or_insert(now);
            health.failures = health.failures.saturating_add(1);
            health.exhausted = health.exhausted.saturating_add(exhausted.into());
            let percent = warning.filter(|percent| *percent > health.warned)?;
            health.warned = percent;
            Some(Told::Failing { since, percent })
        }
    }
}

/// Leaves a notice about the endpoint of a delivery.
fn tell(tables: &mut Tables, delivery: u64, at: Timestamp, told: Told) {
    let number = tables.number();
    let delivery = &tables.deliveries[&delivery].delivery;
    let (tenant, endpoint) = (delivery.tenant.clone(), delivery.endpoint);
    tables.notices.push(Notice { number, tenant, endpoint, at, told });
}

pub(super) fn park(tables: &mut Tables, endpoint: EndpointId, until: Timestamp) {
    if let Some(endpoint) = tables.endpoint_mut(endpoint) {
        endpoint.parked_until = endpoint.parked_until.max(Some(until));
    }
}

/// Whether it was not disabled before.
fn disable(tables: &mut Tables, id: EndpointId, reason: &str, now: Timestamp) -> bool {
    let Some(endpoint) = tables.endpoint_mut(id).filter(|e| e.state != EndpointState::Disabled) else {
        return false;
    };
    endpoint.state = EndpointState::Disabled;
    endpoint.state_reason = Some(reason.to_owned());
    endpoint.version += 1;
    endpoint.updated_at = now;
    let tenant = endpoint.tenant.clone();
    tables.follow(id, now);
    tables.touch(&tenant);
    true
}
