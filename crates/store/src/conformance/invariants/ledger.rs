//! What is wrong with what happened.

use std::collections::{HashMap, HashSet};

use posthaste_model::{
    Delivery, DeliveryId, EndpointId, EndpointState, Event, EventId, Next, TenantId, Timestamp,
};

use super::{
    Breaches, Broken, Step,
    order::{Place, Waiting},
};
use crate::{Epoch, Lease, LeaseId, NewEvent, Partition, Settled, Settlement};

/// What is known at one moment of what happened.
#[derive(Default)]
pub(super) struct Ledger<'a> {
    accepted: HashMap<(&'a TenantId, &'a EventId), Accepted<'a>>,
    endpoints: HashMap<EndpointId, Option<EndpointState>>,
    /// How often each was changed: what is said of an endpoint as it was before counts for nothing.
    changes: HashMap<EndpointId, u32>,
    /// Sent by hand, whatever time their events were to be delivered at.
    at_once: HashSet<(EndpointId, &'a EventId)>,
    waiting: Waiting<'a>,
    live: HashMap<DeliveryId, LiveLease<'a>>,
    /// Manual attempts that were asked for and not leased: when, and whether they are forced.
    asked: HashMap<DeliveryId, Vec<(Timestamp, bool)>>,
    manual: HashMap<(DeliveryId, LeaseId), LiveLease<'a>>,
    released: HashMap<(Partition, Epoch), Timestamp>,
    delivered: HashSet<DeliveryId>,
    breaches: Breaches,
}

struct Accepted<'a> {
    event: &'a Event,
    place: Place,
}

struct LiveLease<'a> {
    lease: &'a Lease,
    partition: Partition,
    expires_at: Timestamp,
    /// Whether its delivery may have been removed: a manual attempt keeps none.
    removed: bool,
    /// How often its endpoint had been changed.
    changes: u32,
}

impl<'a> Ledger<'a> {
    pub(super) fn breaches(self) -> Vec<Broken> {
        self.breaches.0
    }

    pub(super) fn enter(&mut self, step: &'a Step) {
        match step {
            Step::Accepted(NewEvent { event, endpoints }) => {
                let place = Place::new(self.accepted.len(), event);
                self.accepted.insert((&event.tenant, &event.id), Accepted { event, place });
                endpoints.iter().for_each(|endpoint| self.wait(&event.tenant, &event.id, *endpoint));
            }
            Step::Endpoint { id, state } => {
                self.endpoints.insert(*id, *state);
                *self.changes.entry(*id).or_default() += 1;
                if !self.is_open(*id) {
                    self.waiting.end(*id);
                }
            }
            Step::Asked { delivery, force, now } => {
                self.asked.entry(*delivery).or_default().push((*now, *force));
            }
            Step::Cancelled(delivery) => self.cancel(delivery),
            Step::Reopened(delivery) => self.reopen(delivery),
            Step::Sent { tenant, event, endpoint } => {
                self.at_once.insert((*endpoint, event));
                self.wait(tenant, event, *endpoint);
            }
            Step::Pruned { partition } => {
                let own = self.manual.values_mut().filter(|live| live.partition == *partition);
                own.for_each(|live| live.removed = true);
            }
            Step::Leased { partition, lease, now, expires_at } => {
                let released = self.released.contains_key(&(*partition, lease.id.epoch));
                self.breaches
                    .unless(!released, 4, || format!("leased under an epoch that was released: {lease:?}"));
                self.judge_lease(lease, *now);
                self.lease(LiveLease {
                    lease,
                    partition: *partition,
                    expires_at: *expires_at,
                    removed: false,
                    changes: self.changes.get(&lease.endpoint.id).copied().unwrap_or(0),
                });
            }
            Step::Settled { settlement, settled } => self.settle(settlement, *settled),
            Step::Released { partition, epoch, until } => {
                self.released.insert((*partition, *epoch), *until);
            }
            Step::Recovered { partition, epoch, now, interrupted } => {
                let (ended, removed) = self.recover(*partition, *epoch, *now);
                self.breaches.unless((ended..=ended + removed).contains(interrupted), 4, || {
                    format!(
                        "{interrupted} leases were given back, where {ended} had been left behind, and {removed} \
                         of what may have been removed: {step:?}"
                    )
                });
            }
        }
    }

    /// Whether what waits at an endpoint goes on waiting.
    fn is_open(&self, endpoint: EndpointId) -> bool {
        let state = self.endpoints.get(&endpoint).copied().flatten();
        state.is_some_and(|state| state != EndpointState::Disabled)
    }

    fn wait(&mut self, tenant: &TenantId, event: &'a EventId, endpoint: EndpointId) {
        let accepted = self.accepted.get(&(tenant, event)).map(|accepted| accepted.place);
        if let Some(place) = accepted.filter(|_| self.is_open(endpoint)) {
            self.waiting.add(endpoint, event, place);
        }
    }

    fn judge_lease(&mut self, lease: &'a Lease, now: Timestamp) {
        let event = self.accepted.get(&(&lease.event.tenant, &lease.event.id)).map(|accepted| accepted.event);
        let breaches = &mut self.breaches;
        breaches.unless(event == Some(&*lease.event), 6, || {
            format!("leased otherwise than accepted as {event:?}: {lease:?}")
        });
        // Who asks for a manual one may have a clock that is ahead.
        breaches.unless(lease.manual || lease.due_at <= now, 3, || {
            format!("leased at {now}, before it was due: {lease:?}")
        });
        if lease.manual {
            self.judge_manual(lease);
        } else {
            self.judge_automatic(lease, now);
        }
    }

    fn judge_manual(&mut self, lease: &Lease) {
        let asked = self.asked.entry(lease.delivery).or_default();
        let state = self.endpoints.get(&lease.endpoint.id).copied().flatten();
        let may = |forced: bool| state == Some(EndpointState::Enabled) || (state.is_some() && forced);
        let then = |asked: &&(Timestamp, bool)| asked.0.as_millisecond() == lease.due_at.as_millisecond();
        let (wanted, allowed) =
            (asked.iter().any(|one| then(&one)), asked.iter().position(|one| then(&one) && may(one.1)));
        self.breaches.unless(wanted, 3, || format!("a manual attempt that nobody asked for: {lease:?}"));
        self.breaches.unless(!wanted || allowed.is_some(), 8, || {
            format!("a manual attempt that is not forced, at an endpoint that is {state:?}: {lease:?}")
        });
        if let Some(one) = allowed {
            asked.remove(one);
        }
    }

    fn judge_automatic(&mut self, lease: &'a Lease, now: Timestamp) {
        let Self { endpoints, delivered, breaches, at_once, .. } = self;
        let (id, event) = (lease.endpoint.id, &lease.event);
        breaches.unless(event.due_at() <= now || at_once.contains(&(id, &event.id)), 3, || {
            format!("leased at {now}, before its event was to be delivered: {lease:?}")
        });
        breaches.unless(!delivered.contains(&lease.delivery), 5, || {
            format!("leased though delivered: {lease:?}")
        });
        let state = endpoints.get(&id).copied().flatten();
        let open = state == Some(EndpointState::Enabled) && lease.endpoint.state == EndpointState::Enabled;
        breaches.unless(open, 8, || format!("leased at an endpoint that is {state:?}: {lease:?}"));
        let parked = lease.endpoint.parked_until.is_some_and(|until| until > now);
        breaches.unless(!parked, 8, || format!("leased at {now}, while its endpoint was parked: {lease:?}"));
        if lease.endpoint.ordered {
            self.judge_order(lease);
        }
    }

    fn judge_order(&mut self, lease: &Lease) {
        let endpoint = lease.endpoint.id;
        let busy = self.live.values().any(|live| live.lease.endpoint.id == endpoint);
        self.breaches.unless(!busy, 4, || {
            format!("leased though its endpoint is ordered, and another lease of it is live: {lease:?}")
        });
        let accepted = self.accepted.get(&(&lease.event.tenant, &lease.event.id));
        let before = accepted.and_then(|accepted| self.waiting.before(endpoint, &accepted.place));
        self.breaches.unless(before.is_none(), 4, || {
            format!("leased though its endpoint is ordered, and {before:?} waits before it: {lease:?}")
        });
    }

    fn lease(&mut self, live: LiveLease<'a>) {
        let lease = live.lease;
        let before = if lease.manual {
            self.manual.insert((lease.delivery, lease.id), live)
        } else {
            self.waiting.remove(lease.endpoint.id, &lease.event.id);
            self.live.insert(lease.delivery, live)
        };
        self.breaches.unless(before.is_none(), 4, || format!("leased twice: {lease:?}"));
    }

    fn cancel(&mut self, delivery: &Delivery) {
        self.live.remove(&delivery.id);
        self.waiting.remove(delivery.endpoint, &delivery.event);
    }

    fn reopen(&mut self, delivery: &'a Delivery) {
        let Delivery { id, tenant, event, endpoint, .. } = delivery;
        let open = self.live.contains_key(id) || self.waiting.has(*endpoint, event);
        self.breaches.unless(!open, 1, || format!("opened again, though it was not over: {delivery:?}"));
        let (closed, state) = (!self.is_open(*endpoint), self.endpoints.get(endpoint));
        self.breaches
            .unless(!closed, 8, || format!("opened again at an endpoint that is {state:?}: {delivery:?}"));
        self.delivered.remove(id);
        self.at_once.remove(&(*endpoint, event));
        self.wait(tenant, event, *endpoint);
    }

    /// Ends what was left behind; answers with how many leases, and how many of what may have been removed.
    fn recover(&mut self, partition: Partition, epoch: Epoch, now: Timestamp) -> (u64, u64) {
        let Self { live, manual, released, .. } = self;
        let is_left_behind = |live: &LiveLease<'_>| {
            let under = live.lease.id.epoch;
            let spared = released.get(&(partition, under)).is_some_and(|until| now < *until);
            live.partition == partition && (live.expires_at <= now || (under < epoch && !spared))
        };
        let ended: Vec<_> = live.extract_if(|_, live| is_left_behind(live)).collect();
        let by_hand = manual.extract_if(|_, live| is_left_behind(live));
        let (removed, sure): (Vec<_>, Vec<_>) = by_hand.partition(|(_, live)| live.removed);
        for (_, LiveLease { lease, .. }) in &ended {
            self.wait(&lease.event.tenant, &lease.event.id, lease.endpoint.id);
        }
        ((ended.len() + sure.len()) as u64, removed.len() as u64)
    }

    fn settle(&mut self, settlement: &Settlement, settled: Settled) {
        let Settlement { lease, delivery, manual, decision, .. } = settlement;
        let live = if *manual {
            self.manual.remove(&(*delivery, *lease))
        } else {
            self.live
                .extract_if(|id, live| id == delivery && live.lease.id == *lease)
                .next()
                .map(|(_, live)| live)
        };
        let live = live.filter(|live| !live.removed || settled == Settled::Applied);
        self.breaches.unless(live.is_some() == (settled == Settled::Applied), 4, || {
            format!("{settled:?}, though the lease was live: {}: {settlement:?}", live.is_some())
        });
        let Some(LiveLease { lease, changes, .. }) = live else { return };
        let (endpoint, event) = (lease.endpoint.id, &lease.event.id);
        let now = self.changes.entry(endpoint).or_default();
        if decision.endpoint.disable.is_some()
            && *now == changes
            && let Some(Some(state)) = self.endpoints.get_mut(&endpoint)
        {
            *now += 1;
            *state = EndpointState::Disabled;
            self.waiting.end(endpoint);
        }
        match decision.next {
            Next::Delivered => {
                self.delivered.insert(*delivery);
                self.live.remove(delivery);
                self.waiting.remove(endpoint, event);
            }
            Next::Retry { .. } | Next::Release { .. } if !manual => {
                self.wait(&lease.event.tenant, event, endpoint);
            }
            _ => {}
        }
    }
}
