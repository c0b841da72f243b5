//! What came of leases.

use posthaste_model::{Attempt, Decision, EndpointEffects, ErrorClass, HealthEffect, Next, Outcome};
use posthaste_store::{
    Settled, Settlement,
    conformance::{self, attempt, disable, failed, invariants::Step, replied},
};

use super::{Side, millis, text};
use crate::model::op::Came;

impl Side {
    pub(super) async fn settle(&mut self, settlements: &[(usize, Came, Option<HealthEffect>)]) -> String {
        if self.leases.is_empty() {
            return String::new();
        }
        let mut all = Vec::new();
        for (n, (index, came, health)) in settlements.iter().enumerate() {
            let index = index % self.leases.len();
            let mut settlement = self.settlement(index, came, n);
            settlement.decision.endpoint.health = *health;
            all.push(settlement);
        }
        let settled = self.store().settle(all.clone().into()).await;
        for (settlement, settled) in all.into_iter().zip(settled.iter().flatten()) {
            self.steps.push(Step::Settled { settlement, settled: *settled });
        }
        let applied = settled.map(|settled| settled.iter().filter(|one| **one == Settled::Applied).count());
        text(&applied)
    }

    /// `n`: which of its call it is.
    fn settlement(&mut self, index: usize, came: &Came, n: usize) -> Settlement {
        let (outcome, next, endpoint) = self.judged(came, n);
        // A dispatcher makes one attempt of a lease, however often it reports it.
        let number = self.mint();
        let started_at = self.now;
        let lease = &self.leases[index];
        let manual = lease.manual;
        let next = if manual && next != Next::Delivered { Next::Stay } else { next };
        let made = outcome.map(|outcome| Attempt { manual, ..attempt(number, started_at, outcome) });
        let attempt = self.attempts.entry(index).or_insert(made).clone();
        Settlement {
            lease: lease.id,
            delivery: lease.delivery,
            manual,
            endpoint_version: lease.endpoint.version,
            attempt,
            decision: Decision { next, endpoint },
            now: self.now,
        }
    }

    fn judged(&self, came: &Came, n: usize) -> (Option<Outcome>, Next, EndpointEffects) {
        let at = |secs: &u8| self.secs(*secs) + millis(n);
        let retry = |secs: &u8| Next::Retry { at: at(secs) };
        match came {
            Came::Arrived => (Some(replied(200)), Next::Delivered, EndpointEffects::default()),
            Came::Refused { secs } => (Some(replied(500)), retry(secs), EndpointEffects::default()),
            Came::Silence { secs } => {
                (Some(failed(ErrorClass::Timeout)), retry(secs), EndpointEffects::default())
            }
            Came::Exhausted => (Some(failed(ErrorClass::Dns)), Next::Exhausted, EndpointEffects::default()),
            Came::Gone => (Some(replied(410)), Next::Skipped, disable("it answered 410")),
            Came::Throttled { secs, park } => {
                (Some(replied(429)), retry(secs), conformance::park(self.secs(*park)))
            }
            Came::OurFault { secs, attempted } => {
                let outcome = attempted.then(|| failed(ErrorClass::Internal));
                (outcome, Next::Release { at: at(secs) }, EndpointEffects::default())
            }
        }
    }
}
