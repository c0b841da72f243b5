//! What holds for every delivery at every moment, as predicates over what the queries show and over what happened.
//!
//! 1. Every accepted event and matching endpoint reach exactly one final state, or wait for a known time. Only what is
//!    over is opened again.
//! 2. `delivered` only with a recorded 2xx; every attempt that was reported is recorded.
//! 3. Attempts never exceed the policy, and never start before their due time. Manual ones are beside the policy, and
//!    are never more than were asked for.
//! 4. One live lease per delivery, beside those of manual attempts; a stale lease can write an attempt, never a state.
//!    None is given under an epoch that was released, and what was is spared until its time. An ordered endpoint has
//!    one in all, and they come in its order.
//! 5. A repeat happens only after a fault, or by hand: never after a success that the store knew of, unless the delivery
//!    was opened again since.
//! 6. What is leased is what was accepted, byte for byte.
//! 7. An id names one event, and each of its deliveries is in one state.
//! 8. What belongs to a disabled or deleted endpoint is not leased, but for what is forced, and not opened again.
//! 9. What is noted of an endpoint's health begins with a failure.

mod ledger;
mod order;
mod sights;
#[cfg(test)]
mod tests;

use std::{collections::HashMap, fmt};

use posthaste_model::{
    Attempt, Delivery, DeliveryId, Endpoint, EndpointId, EndpointState, EventId, TenantId, Timestamp,
};

use super::Shown;
use crate::{Epoch, Lease, NewEvent, Partition, Settled, Settlement};
use ledger::Ledger;

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
    /// A manual attempt was asked for.
    Asked {
        /// Of which delivery.
        delivery: DeliveryId,
        /// Whether it goes out although the endpoint is paused or disabled.
        force: bool,
        /// When.
        now: Timestamp,
    },
    /// A delivery was given up: this one, as it was shown then.
    Cancelled(Delivery),
    /// A delivery that was over was opened again: this one, as it was shown then.
    Reopened(Delivery),
    /// An event that was accepted before was sent to one more endpoint.
    Sent {
        /// Whose.
        tenant: TenantId,
        /// Which.
        event: EventId,
        /// To whom.
        endpoint: EndpointId,
    },
    /// What was over was removed: nobody says what.
    Pruned {
        /// From which partition.
        partition: Partition,
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

/// What is wrong with what the queries show of a tenant, of whom nothing was opened again.
pub fn broken_in(shown: &Shown) -> Vec<Broken> {
    broken_after(&[], shown)
}

/// What is wrong with what the queries show of a tenant after all that happened.
pub fn broken_after(steps: &[Step], shown: &Shown) -> Vec<Broken> {
    let mut breaches = Breaches::default();
    let mut reopened: HashMap<DeliveryId, usize> = HashMap::new();
    for step in steps {
        if let Step::Reopened(delivery) = step {
            *reopened.entry(delivery.id).or_default() += 1;
        }
    }
    let states: HashMap<_, _> =
        shown.endpoints.iter().map(|endpoint| (endpoint.id, endpoint.state)).collect();
    for (delivery, attempts) in &shown.deliveries {
        sights::times_fit_the_state(delivery, &mut breaches);
        sights::reason_fits_the_state(delivery, &mut breaches);
        sights::attempts_fit_the_delivery(delivery, attempts, &mut breaches);
        let reopened = reopened.get(&delivery.id).copied().unwrap_or(0);
        sights::nothing_follows_a_success(delivery, attempts, reopened, &mut breaches);
        sights::state_fits_the_endpoint(delivery, states.get(&delivery.endpoint).copied(), &mut breaches);
    }
    for endpoint in &shown.endpoints {
        sights::health_begins_with_a_failure(endpoint, &mut breaches);
    }
    sights::events_fit_the_deliveries(shown, &mut breaches);
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
    ledger.breaches()
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
            let is_it = |recorded: &&Attempt| recorded.id == attempt.id && recorded.manual == attempt.manual;
            let times = attempts.iter().filter(is_it).count();
            breaches.unless(times == 1, 2, || format!("recorded {times} times, on {delivery}: {attempt:?}"));
        }
    }
    breaches.0
}
