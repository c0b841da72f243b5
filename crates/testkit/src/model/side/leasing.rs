//! Lease calls.

use std::collections::BTreeMap;

use posthaste_model::{Endpoint, EndpointId, Timestamp};
use posthaste_store::{
    LeaseRequest, TenantRoom, Throttle,
    conformance::{invariants::Step, sample_request},
};

use super::{LEASE_FOR, Side, tenant_id, text};
use crate::model::op::Ask;

impl Side {
    /// The throttles of a lease call, and those that a crash may have made the store forget.
    fn throttles(&self, ask: &Ask) -> BTreeMap<EndpointId, Throttle> {
        let lifted = self.throttled.values().filter(|_| self.throttles_in_doubt);
        let lifted = lifted.map(|throttle| Throttle { until: None, at_most: None, ..throttle.clone() });
        let new = ask.throttles.iter().map(|throttled| {
            let Endpoint { tenant, id: endpoint, .. } = self.endpoint(throttled.endpoint);
            let until = throttled.secs.map(|secs| self.secs(secs));
            Throttle { tenant, endpoint, until, at_most: throttled.at_most }
        });
        lifted.chain(new).map(|throttle| (throttle.endpoint, throttle)).collect()
    }

    pub(super) async fn lease(&mut self, claim: u8, ask: &Ask) -> (String, Option<Option<Timestamp>>) {
        let now = self.now;
        let throttles = self.throttles(ask);
        let cramped = ask.cramped.map(|tenant| TenantRoom { tenant: tenant_id(tenant), room: 0 });
        let (mut given, mut next_due) = (Vec::new(), None);
        for (partition, epoch) in self.hold(claim) {
            let all = sample_request((partition, epoch), now);
            let request = LeaseRequest {
                manual: if ask.manual { all.manual } else { 0 },
                per_endpoint: ask.per_endpoint,
                per_tenant: ask.per_tenant,
                rooms: cramped.iter().cloned().collect(),
                throttles: throttles.values().cloned().collect(),
                lease_for: LEASE_FOR,
                ..all
            };
            match self.store().lease(request).await {
                Ok(leases) => {
                    let manual_first = leases.leases.is_sorted_by_key(|lease| !lease.manual);
                    let manual = leases.leases.iter().filter(|lease| lease.manual);
                    assert!(manual_first && manual.is_sorted_by_key(|lease| lease.due_at), "{leases:?}");
                    for lease in &leases.leases {
                        let (lease, expires_at) = (lease.clone(), now + LEASE_FOR);
                        self.steps.push(Step::Leased { partition, lease, now, expires_at });
                    }
                    given.extend(leases.leases);
                    next_due = next_due.into_iter().chain(leases.next_due).min();
                }
                Err(error) => return (text::<()>(&Err(error)), None),
            }
        }
        self.throttled.extend(throttles);
        self.throttles_in_doubt = false;
        self.asked &= !ask.manual;
        let mut last: BTreeMap<EndpointId, Timestamp> = BTreeMap::new();
        for lease in given.iter().filter(|lease| !lease.manual) {
            let before = last.insert(lease.endpoint.id, lease.due_at);
            assert!(before <= Some(lease.due_at), "out of order: {given:?}");
        }
        // Turns are each store's own.
        given.sort_by_key(|lease| (lease.manual, lease.endpoint.id, lease.due_at, lease.event.id.clone()));
        let neutral: Vec<_> = given
            .iter()
            .map(|l| (&l.event, &l.endpoint, l.attempt, l.failures, l.manual, l.due_at))
            .collect();
        let text = format!("{neutral:?}");
        self.leases.extend(given);
        // Whether what may not be made any more is looked through before it is wanted is each store's own.
        (text, Some(next_due).filter(|_| !self.asked))
    }
}
