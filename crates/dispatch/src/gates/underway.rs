use std::sync::Arc;

use posthaste_model::{Decision, EndpointId, ErrorClass, Health, Outcome, Timestamp};
use posthaste_policy::Jitter;

use super::Gates;

/// A request that counts as under way until it is over. One that is dropped was never made.
pub(crate) struct Underway {
    gates: Arc<Gates>,
    place: Option<Place>,
}

/// Where a request counts.
pub(super) struct Place {
    pub(super) endpoint: EndpointId,
    pub(super) host: Arc<str>,
    pub(super) manual: bool,
    pub(super) began: Timestamp,
}

/// How an endpoint stood before a request to it was over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standing {
    /// What is left of the health that was noted when the request was leased.
    pub(crate) health: Health,
    /// Whether an attempt has failed since the last success.
    pub(crate) failing: bool,
    /// How many pauses in a row it has been given.
    pub(crate) pauses: u32,
}

impl Standing {
    /// Where nothing else is known than what was noted.
    pub(crate) fn noted(noted: Health) -> Self {
        Self { health: noted, failing: false, pauses: 0 }
    }
}

impl Underway {
    pub(super) fn new(gates: Arc<Gates>, place: Place) -> Self {
        Self { gates, place: Some(place) }
    }

    /// The request is over. What follows is decided by how the endpoint stood before, and counts at once: before what
    /// is decided has reached the store, the endpoint may be leased again.
    pub(crate) fn end(
        mut self,
        outcome: &Outcome,
        noted: Health,
        now: Timestamp,
        jitter: &mut Jitter,
        decide: impl FnOnce(Standing, &mut Jitter) -> Decision,
    ) -> Decision {
        let Some(place) = self.place.take() else { return decide(Standing::noted(noted), jitter) };
        self.gates.over(&place, now, |known| {
            let Some(known) = known else { return decide(Standing::noted(noted), jitter) };
            let gate = &mut known.gate;
            let standing =
                Standing { health: gate.health(noted), failing: gate.is_failing(), pauses: gate.pauses() };
            let decision = decide(standing, jitter);
            if outcome.error() == Some(ErrorClass::Internal) {
                gate.withdraw(place.began);
                return decision;
            }
            gate.end(outcome, now, jitter);
            if let Some(until) = decision.endpoint.park_until {
                gate.paused(until);
            }
            known.closed |= decision.endpoint.disable.is_some();
            decision
        })
    }

    /// The request is over, and says nothing of how the endpoint fares: for that it counts as never made.
    pub(crate) fn end_unheeded(mut self, now: Timestamp) {
        if let Some(place) = self.place.take() {
            self.gates.over(&place, now, |known| {
                if let Some(known) = known {
                    known.gate.withdraw(place.began);
                }
            });
        }
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            self.gates.withdrawn(&place);
        }
    }
}
