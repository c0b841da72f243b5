//! What holds for every delivery at every moment, as predicates over what the queries show and over what happened.
//!
//! 1. Every accepted event and matching endpoint reach exactly one final state, or wait for a known time.
//! 2. `delivered` only with a recorded 2xx; every attempt that was reported is recorded.
//! 3. Attempts never exceed the policy, and never start before their due time.
//! 4. One live lease per delivery; a stale lease can write an attempt, never a state. None is given under an epoch
//!    that was released, and what was is spared until its time.
//! 5. A repeat happens only after a fault: never after a success that the store knew of.
//! 6. What is leased is what was accepted, byte for byte.
//! 7. An id names one event, and each of its deliveries is in one state.
//! 8. What belongs to a disabled or deleted endpoint is not leased.

#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, HashSet},
    fmt,
};

use posthaste_model::{
    Attempt, Delivery, DeliveryId, DeliveryState, Endpoint, EndpointEffect, EndpointId, EndpointState,
    ErrorClass, Event, EventId, Next, TenantId, Timestamp,
};

use super::Shown;
use crate::{Epoch, Lease, LeaseId, NewEvent, Partition, Settled, Settlement};

/// An invariant that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Its number in the list above.
    pub invariant: u8,
    /// What was seen.
    pub what: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invariant {}: {}", self.invariant, self.what)
    }
}

/// Something that happened to the store.
#[derive(Debug, Clone)]
pub enum Step {
    /// An event was acknowledged for the first time.
    Accepted(NewEvent),
    /// An endpoint was made, changed or deleted.
    Endpoint {
        /// Which.
        id: EndpointId,
        /// Its state from then on; none: it is no more.
        state: Option<EndpointState>,
    },
    /// A lease was given.
    Leased {
        /// From which partition.
        partition: Partition,
        /// The lease.
        lease: Lease,
        /// When it was asked for.
        now: Timestamp,
        /// Until when.
        expires_at: Timestamp,
    },
    /// A lease was settled.
    Settled {
        /// How.
        settlement: Settlement,
        /// What the store made of it.
        settled: Settled,
    },
    /// A partition was given up.
    Released {
        /// Which.
        partition: Partition,
        /// By the holder of which epoch.
        epoch: Epoch,
        /// Until when what was leased under the epoch is spared.
        until: Timestamp,
    },
    /// Leases were given back.
    Recovered {
        /// Those of which partition.
        partition: Partition,
        /// By the holder of which epoch.
        epoch: Epoch,
        /// When.
        now: Timestamp,
        /// How many, as the store says.
        interrupted: u64,
    },
}

#[derive(Default)]
struct Breaches(Vec<Broken>);

impl Breaches {
    fn unless(&mut self, holds: bool, invariant: u8, what: impl FnOnce() -> String) {
        if !holds {
            self.0.push(Broken { invariant, what: what() });
        }
    }
}

/// What is wrong with what the queries show of a tenant.
pub fn broken_in(shown: &Shown) -> Vec<Broken> {
    let mut breaches = Breaches::default();
    let states: HashMap<_, _> =
        shown.endpoints.iter().map(|endpoint| (endpoint.id, endpoint.state)).collect();
    for (delivery, attempts) in &shown.deliveries {
        times_fit_the_state(delivery, &mut breaches);
        attempts_fit_the_delivery(delivery, attempts, &mut breaches);
        state_fits_the_endpoint(delivery, states.get(&delivery.endpoint).copied(), &mut breaches);
    }
    events_fit_the_deliveries(shown, &mut breaches);
    breaches.0
}

/// Which deliveries were attempted more often than `max_attempts` of their endpoint allows. What is not charged to the
/// endpoint does not count.
pub fn beyond_policy(shown: &Shown, max_attempts: impl Fn(&Endpoint) -> u32) -> Vec<Broken> {
    let mut breaches = Breaches::default();
    for (delivery, _) in &shown.deliveries {
        let endpoint = shown.endpoints.iter().find(|endpoint| endpoint.id == delivery.endpoint);
        let allowed = endpoint.map_or(u32::MAX, &max_attempts);
        breaches.unless(delivery.failures <= allowed, 3, || {
            format!("{} failures, {allowed} allowed: {delivery:?}", delivery.failures)
        });
    }
    breaches.0
}

/// What is wrong with what happened, in this order, to a store that was empty at first.
pub fn broken_by(steps: &[Step]) -> Vec<Broken> {
    let mut ledger = Ledger::default();
    steps.iter().for_each(|step| ledger.enter(step));
    ledger.breaches.0
}

/// Which of the attempts that were reported for a tenant's deliveries are not shown.
pub fn unrecorded(steps: &[Step], shown: &Shown) -> Vec<Broken> {
    let recorded: HashMap<DeliveryId, &Vec<Attempt>> =
        shown.deliveries.iter().map(|(delivery, attempts)| (delivery.id, attempts)).collect();
    let mut breaches = Breaches::default();
    for step in steps {
        if let Step::Settled { settlement: Settlement { delivery, attempt: Some(attempt), .. }, .. } = step
            && let Some(attempts) = recorded.get(delivery)
        {
            let times = attempts.iter().filter(|recorded| recorded.id == attempt.id).count();
            breaches.unless(times == 1, 2, || format!("recorded {times} times, on {delivery}: {attempt:?}"));
        }
    }
    breaches.0
}

fn times_fit_the_state(delivery: &Delivery, breaches: &mut Breaches) {
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

fn attempts_fit_the_delivery(delivery: &Delivery, attempts: &[Attempt], breaches: &mut Breaches) {
    let success = |attempt: &Attempt| attempt.outcome.status().is_some_and(|s| (200..300).contains(&s));
    let numbers: Vec<u32> = attempts.iter().map(|attempt| attempt.number).collect();
    breaches.unless(numbers.iter().copied().eq(1..=delivery.attempts), 2, || {
        format!("the attempts are numbered {numbers:?}: {delivery:?}")
    });
    breaches.unless(delivery.state != DeliveryState::Delivered || attempts.iter().any(success), 2, || {
        format!("delivered without a 2xx: {delivery:?}, {attempts:?}")
    });
    breaches.unless(delivery.failures <= delivery.attempts, 3, || {
        format!("more failures than attempts: {delivery:?}")
    });
    breaches.unless(attempts.iter().all(|attempt| attempt.started_at >= delivery.created_at), 3, || {
        format!("an attempt before the event was accepted: {delivery:?}, {attempts:?}")
    });
    let repeated = attempts.iter().rev().skip(1).any(success);
    let fault = attempts.iter().any(|attempt| attempt.outcome.error() == Some(ErrorClass::Unknown));
    breaches.unless(!repeated || fault, 5, || {
        format!("repeated after a success, without a fault: {delivery:?}, {attempts:?}")
    });
}

/// `endpoint`: its state; none: it is no more.
fn state_fits_the_endpoint(delivery: &Delivery, endpoint: Option<EndpointState>, breaches: &mut Breaches) {
    let fits = match delivery.state {
        DeliveryState::Scheduled => endpoint == Some(EndpointState::Enabled),
        DeliveryState::Held => endpoint == Some(EndpointState::Paused),
        _ => true,
    };
    breaches.unless(fits, 8, || format!("at an endpoint that is {endpoint:?}: {delivery:?}"));
}

fn events_fit_the_deliveries(shown: &Shown, breaches: &mut Breaches) {
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

/// What is known at one moment of what happened.
#[derive(Default)]
struct Ledger<'a> {
    accepted: HashMap<(&'a TenantId, &'a EventId), &'a Event>,
    endpoints: HashMap<EndpointId, Option<EndpointState>>,
    live: HashMap<DeliveryId, LiveLease>,
    released: HashMap<(Partition, Epoch), Timestamp>,
    delivered: HashSet<DeliveryId>,
    breaches: Breaches,
}

struct LiveLease {
    id: LeaseId,
    endpoint: EndpointId,
    partition: Partition,
    expires_at: Timestamp,
}

impl<'a> Ledger<'a> {
    fn enter(&mut self, step: &'a Step) {
        match step {
            Step::Accepted(NewEvent { event, .. }) => {
                self.accepted.insert((&event.tenant, &event.id), event);
            }
            Step::Endpoint { id, state } => {
                self.endpoints.insert(*id, *state);
            }
            Step::Leased { partition, lease, now, expires_at } => {
                self.judge_lease(lease, *now);
                let released = self.released.contains_key(&(*partition, lease.id.epoch));
                self.breaches
                    .unless(!released, 4, || format!("leased under an epoch that was released: {lease:?}"));
                let live = LiveLease {
                    id: lease.id,
                    endpoint: lease.endpoint.id,
                    partition: *partition,
                    expires_at: *expires_at,
                };
                let before = self.live.insert(lease.delivery, live);
                self.breaches.unless(before.is_none(), 4, || format!("leased twice: {lease:?}"));
            }
            Step::Settled { settlement, settled } => self.settle(settlement, *settled),
            Step::Released { partition, epoch, until } => {
                self.released.insert((*partition, *epoch), *until);
            }
            Step::Recovered { partition, epoch, now, interrupted } => {
                let before = self.live.len();
                let spared = |live: &LiveLease| {
                    self.released.get(&(*partition, live.id.epoch)).is_some_and(|until| now < until)
                };
                self.live.retain(|_, live| {
                    let own = live.id.epoch >= *epoch || spared(live);
                    live.partition != *partition || own && live.expires_at > *now
                });
                let ended = (before - self.live.len()) as u64;
                self.breaches.unless(*interrupted == ended, 4, || {
                    format!(
                        "{interrupted} leases were given back, where {ended} had been left behind: {step:?}"
                    )
                });
            }
        }
    }

    fn judge_lease(&mut self, lease: &Lease, now: Timestamp) {
        let Self { accepted, endpoints, delivered, breaches, .. } = self;
        breaches.unless(lease.due_at <= now, 3, || format!("leased at {now}, before it was due: {lease:?}"));
        breaches.unless(!delivered.contains(&lease.delivery), 5, || {
            format!("leased though delivered: {lease:?}")
        });
        let event = accepted.get(&(&lease.event.tenant, &lease.event.id));
        breaches.unless(event == Some(&&*lease.event), 6, || {
            format!("leased otherwise than accepted as {event:?}: {lease:?}")
        });
        let state = endpoints.get(&lease.endpoint.id).copied().flatten();
        let open = state == Some(EndpointState::Enabled) && lease.endpoint.state == EndpointState::Enabled;
        breaches.unless(open, 8, || format!("leased at an endpoint that is {state:?}: {lease:?}"));
        let parked = lease.endpoint.parked_until.is_some_and(|until| until > now);
        breaches.unless(!parked, 8, || format!("leased at {now}, while its endpoint was parked: {lease:?}"));
    }

    fn settle(&mut self, settlement: &Settlement, settled: Settled) {
        let live = self.live.get(&settlement.delivery).filter(|live| live.id == settlement.lease);
        self.breaches.unless(live.is_some() == (settled == Settled::Applied), 4, || {
            format!("{settled:?}, though the lease was live: {}: {settlement:?}", live.is_some())
        });
        let endpoint = live.map(|live| live.endpoint);
        if settled == Settled::Stale {
            return;
        }
        self.live.remove(&settlement.delivery);
        if settlement.decision.next == Next::Delivered {
            self.delivered.insert(settlement.delivery);
        }
        if let (Some(EndpointEffect::Disable { .. }), Some(endpoint)) =
            (&settlement.decision.endpoint, endpoint)
            && let Some(Some(state)) = self.endpoints.get_mut(&endpoint)
        {
            *state = EndpointState::Disabled;
        }
    }
}
