//! What is leased: manual attempts first, then a turn for each endpoint that can be leased something.

use std::{collections::HashMap, sync::Arc};

use posthaste_model::{DeliveryState, EndpointState, TenantId, Timestamp};
use posthaste_store::{Lease, LeaseId, LeaseRequest, Leases};

use super::tables::{LiveLease, RequestRow, Tables, later};

pub(super) fn lease(tables: &mut Tables, of: impl Fn(&TenantId) -> bool, request: &LeaseRequest) -> Leases {
    throttle(tables, &of, request);
    let mut leases = manual(tables, &of, request);
    leases.extend(turns(tables, &of, request, request.limit - leases.len()));
    Leases { leases, next_due: next_due(tables, of, request.now), unseen: false }
}

/// Notes the throttles that are new.
fn throttle(tables: &mut Tables, of: impl Fn(&TenantId) -> bool, request: &LeaseRequest) {
    for throttle in request.throttles.iter().filter(|throttle| of(&throttle.tenant)) {
        let mut rows = tables.endpoints.values_mut();
        let own =
            rows.find(|row| row.endpoint.id == throttle.endpoint && row.endpoint.tenant == throttle.tenant);
        if let Some(row) = own {
            row.throttle = Some((request.epoch, throttle.clone()));
        }
    }
}

/// The manual attempts that were asked for, in their order. What may not be made any more is forgotten.
fn manual(tables: &mut Tables, of: impl Fn(&TenantId) -> bool, request: &LeaseRequest) -> Vec<Lease> {
    let mut leases = Vec::new();
    let asked: Vec<u64> = tables.requests.keys().copied().collect();
    for number in asked {
        if leases.len() >= request.manual.min(request.limit) {
            break;
        }
        let RequestRow { delivery, force, asked_at } = tables.requests[&number];
        let state = match tables.deliveries.get(&delivery) {
            Some(row) if !of(&row.delivery.tenant) => continue,
            Some(row) => tables.endpoint(row.delivery.endpoint).map(|endpoint| endpoint.state),
            None => None,
        };
        tables.requests.remove(&number);
        if state == Some(EndpointState::Enabled) || (state.is_some() && force) {
            leases.extend(lease_one(tables, delivery, Some(asked_at), request));
        }
    }
    leases
}

/// The deliveries that an endpoint can be leased one after the other, by their numbers, and from when on as far as time
/// decides.
fn queue(tables: &Tables, endpoint: u64) -> Vec<(Timestamp, u64)> {
    let row = &tables.endpoints[&endpoint];
    let own = || tables.deliveries.iter().filter(|(_, d)| d.delivery.endpoint == row.endpoint.id);
    let kept_back =
        row.endpoint.parked_until.max(row.throttle.as_ref().and_then(|(_, throttle)| throttle.until));
    let scheduled = own().filter(|(_, d)| d.delivery.state == DeliveryState::Scheduled);
    let waiting = scheduled.filter_map(|(number, d)| Some((d.delivery.due_at?, d.event, *number)));
    let ready = |(due_at, _, number)| (kept_back.map_or(due_at, |until| until.max(due_at)), number);
    if row.endpoint.ordered {
        let busy = own().any(|(_, d)| d.lease.is_some());
        let first = waiting.min_by_key(|&(_, event, number)| (tables.events[&event].place, event, number));
        return first.filter(|_| !busy).map(ready).into_iter().collect();
    }
    let mut queue: Vec<_> = waiting.collect();
    queue.sort_unstable();
    queue.into_iter().map(ready).collect()
}

/// A turn of an endpoint.
struct Turn {
    endpoint: u64,
    tenant: TenantId,
    /// What it can be given in a call, in this order.
    due: Vec<u64>,
    /// Since when it has waited: since something can be leased, or since its last turn.
    waiting_since: (Timestamp, Option<u64>, u64),
}

fn turn(tables: &Tables, endpoint: u64, request: &LeaseRequest) -> Option<Turn> {
    let row = &tables.endpoints[&endpoint];
    let mut due = queue(tables, endpoint);
    due.retain(|(ready_at, _)| *ready_at <= request.now);
    let (ready_at, _) = *due.first()?;
    let own = row.endpoint.burst().map(|burst| burst as usize);
    let throttle = row.throttle.as_ref().and_then(|(_, throttle)| throttle.at_most);
    due.truncate([own, throttle].into_iter().flatten().fold(request.per_endpoint, usize::min));
    Some(Turn {
        endpoint,
        tenant: row.endpoint.tenant.clone(),
        due: due.into_iter().map(|(_, number)| number).collect(),
        waiting_since: match row.last_turn {
            None => (ready_at, None, endpoint),
            Some((at, turn)) => (at.max(ready_at), Some(turn), endpoint),
        },
    })
}

fn turns(
    tables: &mut Tables,
    of: impl Fn(&TenantId) -> bool,
    request: &LeaseRequest,
    mut limit: usize,
) -> Vec<Lease> {
    let own = tables.endpoints.iter().filter(|(_, row)| of(&row.endpoint.tenant));
    let mut turns: Vec<Turn> = own.filter_map(|(number, _)| turn(tables, *number, request)).collect();
    turns.sort_by_key(|turn| turn.waiting_since);
    let mut leases = Vec::new();
    let mut given: HashMap<TenantId, usize> = HashMap::new();
    let (mut served, mut held_back) = (Vec::new(), Vec::new());
    // All have a turn within what their tenants may have while others wait; then those that got less for that go on.
    for per_tenant in [request.per_tenant, usize::MAX] {
        for mut turn in std::mem::take(&mut turns) {
            if limit == 0 {
                // It had no turn, but for one that was held back in the first round.
                if per_tenant == usize::MAX {
                    held_back.push(turn);
                }
                continue;
            }
            let given = given.entry(turn.tenant.clone()).or_default();
            let room = room(request, &turn.tenant).min(per_tenant).saturating_sub(*given);
            let count = turn.due.len().min(room).min(limit);
            let numbers: Vec<u64> = turn.due.drain(..count).collect();
            *given += count;
            limit -= count;
            leases.extend(numbers.into_iter().filter_map(|number| lease_one(tables, number, None, request)));
            if count > 0 {
                served.push(turn.endpoint);
            }
            if room == count && !turn.due.is_empty() {
                held_back.push(turn);
            }
        }
        turns = std::mem::take(&mut held_back);
    }
    // Who got nothing stands behind those that had no turn, and before those that got something.
    let idle = turns.iter().map(|turn| turn.endpoint).filter(|endpoint| !served.contains(endpoint));
    for endpoint in idle.chain(served.iter().copied()).collect::<Vec<_>>() {
        let turn = tables.number();
        if let Some(row) = tables.endpoints.get_mut(&endpoint) {
            row.last_turn = Some((request.now, turn));
        }
    }
    leases
}

/// How many a tenant may have of a call, whoever waits.
fn room(request: &LeaseRequest, tenant: &TenantId) -> usize {
    request.rooms.iter().find(|room| room.tenant == *tenant).map_or(usize::MAX, |room| room.room)
}

/// `asked_at`: when a manual attempt was asked for; none: it is an automatic one.
fn lease_one(
    tables: &mut Tables,
    number: u64,
    asked_at: Option<Timestamp>,
    request: &LeaseRequest,
) -> Option<Lease> {
    let id = LeaseId { epoch: request.epoch, number: tables.number() };
    let endpoint = Arc::new(tables.endpoint(tables.deliveries[&number].delivery.endpoint)?.clone());
    let row = tables.deliveries.get_mut(&number)?;
    let live = LiveLease { id, expires_at: later(request.now, request.lease_for) };
    let due_at = match asked_at {
        Some(asked_at) => {
            row.manual.push(live);
            asked_at
        }
        None => {
            row.lease = Some(live);
            row.delivery.state = DeliveryState::InFlight;
            row.delivery.due_at.take()?
        }
    };
    Some(Lease {
        id,
        delivery: row.delivery.id,
        event: Arc::new(tables.events[&row.event].record.event.clone()),
        endpoint,
        attempt: row.delivery.attempts + 1,
        failures: row.delivery.failures,
        manual: asked_at.is_some(),
        due_at,
    })
}

fn next_due(tables: &Tables, of: impl Fn(&TenantId) -> bool, now: Timestamp) -> Option<Timestamp> {
    let mut requests = tables.requests.values().filter_map(|asked| tables.deliveries.get(&asked.delivery));
    let asked = requests.any(|row| of(&row.delivery.tenant)).then_some(now);
    let own = tables.endpoints.iter().filter(|(_, row)| of(&row.endpoint.tenant));
    let ready = own.filter_map(|(number, _)| queue(tables, *number).first().map(|(ready_at, _)| *ready_at));
    ready.chain(asked).min().map(|due| due.max(now))
}
