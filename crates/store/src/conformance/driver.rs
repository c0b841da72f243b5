use std::{collections::BTreeSet, time::Duration};

use posthaste_model::{
    Attempt, Decision, Delivery, DeliveryId, Endpoint, EndpointEffects, EndpointState, Event, EventId,
    EventOptions, Next, Outcome, Tenant, TenantId, Timestamp,
};

use super::{
    Fixture, START, Shown, attempt,
    invariants::{self, Step},
    sample_endpoint, sample_event, sample_request,
};
use crate::{
    Accepted, DeliveryFilter, Epoch, Lease, LeaseRequest, Leases, NewEvent, Notice, Order, Page, Partition,
    Reopened, Result, Retain, Sent, Settled, Settlement, Store,
};

/// How long a driver owns the partitions that it claims, and holds the deliveries that it leases.
pub const TTL: Duration = Duration::from_secs(60);

/// Does with a store what the service does, and remembers it. It owns every partition.
pub struct Driver {
    fixture: Box<dyn Fixture>,
    now: Timestamp,
    epochs: Vec<(Partition, Epoch)>,
    minted: u64,
    tenants: BTreeSet<TenantId>,
    steps: Vec<Step>,
}

impl Driver {
    /// Takes all partitions of an empty store.
    pub async fn new(fixture: impl Fixture) -> Self {
        let mut driver = Self {
            fixture: Box::new(fixture),
            now: at(START),
            epochs: Vec::new(),
            minted: 0,
            tenants: BTreeSet::new(),
            steps: Vec::new(),
        };
        driver.claim().await;
        driver
    }

    /// The store.
    pub fn store(&self) -> &dyn Store {
        self.fixture.store()
    }

    /// Whether the store forgets statistics by itself.
    pub fn forgets_by_itself(&self) -> bool {
        self.fixture.forgets_by_itself()
    }

    /// The tenants that there are.
    pub fn tenants(&self) -> &BTreeSet<TenantId> {
        &self.tenants
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The time `secs` seconds from now.
    pub fn secs(&self, secs: i64) -> Timestamp {
        at(self.now.as_millisecond() + secs * 1_000)
    }

    /// Lets time pass.
    pub fn pass(&mut self, secs: i64) {
        self.now = self.secs(secs);
    }

    /// A number that was not given before.
    pub fn mint(&mut self) -> u64 {
        self.minted += 1;
        self.minted
    }

    /// Every partition with the driver's hold of it.
    pub fn epochs(&self) -> &[(Partition, Epoch)] {
        &self.epochs
    }

    /// Takes every partition under a new epoch.
    pub async fn claim(&mut self) {
        self.epochs.clear();
        for partition in (0..self.store().partitions()).map(Partition) {
            let epoch = self.store().claim(partition, "driver", self.now, TTL).await.expect("a claim");
            self.epochs.push((partition, epoch.expect("nobody else has the partition")));
        }
    }

    /// Gives every partition up; what is leased is spared until `until`.
    pub async fn release(&mut self, until: Timestamp) {
        self.release_as(self.epochs.clone(), until).await;
    }

    /// Gives up what was held under certain epochs.
    pub async fn release_as(&mut self, epochs: Vec<(Partition, Epoch)>, until: Timestamp) {
        for (partition, epoch) in epochs {
            self.store().release(partition, epoch, until).await.expect("a release");
            self.steps.push(Step::Released { partition, epoch, until });
        }
    }

    /// Lets the process crash; another one takes over when the crashed one's time has run out. It did not recover yet.
    pub async fn crash(&mut self) {
        self.fixture.reopen().await;
        self.now = at(self.now.as_millisecond() + TTL.as_millis() as i64);
        self.claim().await;
    }

    /// Gives back what was left behind, and says how many deliveries.
    pub async fn recover(&mut self) -> u64 {
        let mut sum = 0;
        for (partition, epoch) in self.epochs.clone() {
            let interrupted =
                self.store().recover(partition, epoch, self.now).await.expect("a recovery").interrupted;
            self.steps.push(Step::Recovered { partition, epoch, now: self.now, interrupted });
            sum += interrupted;
        }
        sum
    }

    /// Puts a tenant.
    pub async fn tenant(&mut self, id: &str) -> TenantId {
        let id: TenantId = id.parse().expect("a tenant id");
        let tenant = Tenant::new(id.clone(), self.now);
        self.store().put_tenant(tenant).await.expect("a tenant");
        self.tenants.insert(id.clone());
        id
    }

    /// Deletes a tenant.
    pub async fn delete_tenant(&mut self, id: &TenantId) {
        let Shown { endpoints, .. } = Shown::of(self.store(), id).await.expect("a tenant");
        self.store().delete_tenant(id, self.now).await.expect("a deletion");
        self.tenants.remove(id);
        self.steps.extend(endpoints.iter().map(|endpoint| Step::Endpoint { id: endpoint.id, state: None }));
    }

    /// Makes an enabled endpoint.
    pub async fn endpoint(&mut self, tenant: &TenantId) -> Endpoint {
        self.endpoint_in(tenant, EndpointState::Enabled).await
    }

    /// Makes an endpoint.
    pub async fn endpoint_in(&mut self, tenant: &TenantId, state: EndpointState) -> Endpoint {
        self.endpoint_with(tenant, |endpoint| endpoint.state = state).await
    }

    /// Makes an endpoint that `ask` has changed before.
    pub async fn endpoint_with(&mut self, tenant: &TenantId, ask: impl FnOnce(&mut Endpoint)) -> Endpoint {
        let mut endpoint = sample_endpoint(tenant, self.mint(), self.now);
        ask(&mut endpoint);
        self.store().create_endpoint(endpoint.clone()).await.expect("an endpoint");
        self.steps.push(Step::Endpoint { id: endpoint.id, state: Some(endpoint.state) });
        endpoint
    }

    /// Changes what stands of an endpoint.
    pub async fn change(&mut self, of: &Endpoint, change: impl FnOnce(&mut Endpoint)) -> Endpoint {
        let mut endpoint = self.reread(of).await;
        change(&mut endpoint);
        endpoint.updated_at = self.now;
        let endpoint = self.store().update_endpoint(endpoint).await.expect("a change");
        self.steps.push(Step::Endpoint { id: endpoint.id, state: Some(endpoint.state) });
        endpoint
    }

    /// Brings an endpoint into another state.
    pub async fn turn(&mut self, of: &Endpoint, state: EndpointState) -> Endpoint {
        self.change(of, |endpoint| endpoint.state = state).await
    }

    /// Deletes an endpoint.
    pub async fn delete(&mut self, endpoint: &Endpoint) {
        self.store().delete_endpoint(&endpoint.tenant, endpoint.id, self.now).await.expect("a deletion");
        self.steps.push(Step::Endpoint { id: endpoint.id, state: None });
    }

    /// What stands of an endpoint.
    pub async fn reread(&self, endpoint: &Endpoint) -> Endpoint {
        self.store().endpoint(&endpoint.tenant, endpoint.id).await.expect("an endpoint")
    }

    /// Accepts an event of the topic `order.paid`.
    pub async fn accept(&mut self, tenant: &TenantId, id: &str, endpoints: &[&Endpoint]) -> Accepted {
        self.accept_with(tenant, id, endpoints, EventOptions::default()).await
    }

    /// Accepts an event of the topic `order.paid` for which something was asked for.
    pub async fn accept_with(
        &mut self,
        tenant: &TenantId,
        id: &str,
        endpoints: &[&Endpoint],
        options: EventOptions,
    ) -> Accepted {
        let event = Event { options, ..sample_event(tenant, id, self.now) };
        let endpoints = endpoints.iter().map(|endpoint| endpoint.id).collect();
        self.accept_all(tenant, vec![NewEvent { event, endpoints }])
            .await
            .expect("an accepted event")
            .remove(0)
    }

    /// Accepts events on a fresh view.
    ///
    /// # Errors
    /// The store's.
    pub async fn accept_all(&mut self, tenant: &TenantId, events: Vec<NewEvent>) -> Result<Vec<Accepted>> {
        let view = self.store().view(tenant).await?;
        let accepted = self.store().accept(tenant, view.version, events.clone()).await?;
        for (new, accepted) in events.into_iter().zip(&accepted) {
            if !accepted.duplicate {
                self.steps.push(Step::Accepted(new));
            }
        }
        Ok(accepted)
    }

    /// Asks for a manual attempt of a delivery.
    ///
    /// # Errors
    /// The store's.
    pub async fn ask(&mut self, delivery: &Delivery, force: bool) -> Result<()> {
        let Delivery { id, tenant, .. } = delivery;
        self.store().retry(tenant, *id, force, self.now).await?;
        self.steps.push(Step::Asked { delivery: *id, force, now: self.now });
        Ok(())
    }

    /// Gives a delivery up.
    ///
    /// # Errors
    /// The store's.
    pub async fn cancel(&mut self, delivery: &Delivery) -> Result<()> {
        self.store().cancel(&delivery.tenant, delivery.id, self.now).await?;
        self.steps.push(Step::Cancelled(delivery.clone()));
        Ok(())
    }

    /// Opens a delivery again.
    pub async fn reopen(&mut self, delivery: &Delivery) -> Reopened {
        self.reopen_all(&delivery.tenant, vec![delivery.id]).await.expect("an answer")[0]
    }

    /// Opens deliveries of a tenant again in one call.
    ///
    /// # Errors
    /// The store's.
    pub async fn reopen_all(
        &mut self,
        tenant: &TenantId,
        deliveries: Vec<DeliveryId>,
    ) -> Result<Vec<Reopened>> {
        self.reopen_over_before(tenant, deliveries, None).await
    }

    /// Opens those deliveries of a tenant again that were over before a time.
    ///
    /// # Errors
    /// The store's.
    pub async fn reopen_over_before(
        &mut self,
        tenant: &TenantId,
        deliveries: Vec<DeliveryId>,
        over_before: Option<Timestamp>,
    ) -> Result<Vec<Reopened>> {
        let reopened = self.store().reopen(tenant, deliveries.clone(), over_before, self.now).await?;
        assert_eq!(reopened.len(), deliveries.len(), "an answer for each delivery");
        for (delivery, reopened) in deliveries.into_iter().zip(&reopened) {
            if *reopened == Reopened::Reopened {
                let shown = self.store().delivery(tenant, delivery).await?;
                self.steps.push(Step::Reopened(shown));
            }
        }
        Ok(reopened)
    }

    /// Sends an event to one more endpoint.
    ///
    /// # Errors
    /// The store's.
    pub async fn send(&mut self, event: &str, endpoint: &Endpoint) -> Result<Sent> {
        let event: EventId = event.parse().expect("an event id");
        let sent = self.store().send(&endpoint.tenant, &event, endpoint.id, self.now).await?;
        if sent.created {
            let (tenant, endpoint) = (endpoint.tenant.clone(), endpoint.id);
            self.steps.push(Step::Sent { tenant, event, endpoint });
        }
        Ok(sent)
    }

    /// Removes what is over at `now`, looking at `limit` events at a time; answers with how many events.
    pub async fn prune(&mut self, retain: Retain, now: Timestamp, limit: u32) -> u32 {
        let mut removed = 0;
        for (partition, _) in self.epochs.clone() {
            let mut from = None;
            loop {
                let pruned =
                    self.store().prune(partition, retain, now, from, limit).await.expect("a pruning");
                assert!(pruned.removed <= limit, "{pruned:?}");
                removed += pruned.removed;
                from = pruned.next;
                if from.is_none() {
                    break;
                }
            }
            self.steps.push(Step::Pruned { partition });
        }
        removed
    }

    /// Everything that operators are to be told.
    pub async fn notices(&self) -> Vec<Notice> {
        let mut all = Vec::new();
        for &(partition, _) in &self.epochs {
            all.extend(self.store().notices(partition, 1_000).await.expect("notices"));
        }
        all
    }

    /// Leases everything that is due.
    pub async fn lease(&mut self) -> Vec<Lease> {
        self.lease_up_to(1_000, 1_000).await
    }

    /// Leases up to `limit` deliveries from each partition.
    pub async fn lease_up_to(&mut self, limit: usize, per_endpoint: usize) -> Vec<Lease> {
        self.lease_until_due(limit, per_endpoint).await.leases
    }

    /// As [`Self::lease_up_to`], with when there is more in any partition.
    pub async fn lease_until_due(&mut self, limit: usize, per_endpoint: usize) -> Leases {
        self.lease_with(|request| (request.limit, request.per_endpoint) = (limit, per_endpoint)).await
    }

    /// Leases from each partition, after `ask` has changed what asks for everything.
    pub async fn lease_with(&mut self, ask: impl Fn(&mut LeaseRequest)) -> Leases {
        let now = self.now;
        let mut all = Leases::default();
        for (partition, epoch) in self.epochs.clone() {
            let mut request = sample_request((partition, epoch), now);
            ask(&mut request);
            let (limit, lease_for) = (request.limit, request.lease_for);
            let Leases { leases, next_due, unseen } =
                self.store().lease(request).await.expect("a lease call");
            assert!(leases.len() <= limit, "{} leases, {limit} wanted", leases.len());
            let expires_at = at(now.as_millisecond() + lease_for.as_millis() as i64);
            for lease in &leases {
                self.steps.push(Step::Leased { partition, lease: lease.clone(), now, expires_at });
            }
            all.leases.extend(leases);
            all.next_due = all.next_due.into_iter().chain(next_due).min();
            all.unseen |= unseen;
        }
        all
    }

    /// Leases the only delivery that is due.
    pub async fn lease_only(&mut self) -> Lease {
        let mut leases = self.lease().await;
        assert_eq!(leases.len(), 1, "one delivery is due: {leases:?}");
        leases.remove(0)
    }

    /// An attempt that begins now.
    pub fn attempt(&mut self, outcome: Outcome) -> Attempt {
        attempt(self.mint(), self.now, outcome)
    }

    /// What came of a lease, with an attempt that begins now.
    pub fn settlement(&mut self, lease: &Lease, outcome: Outcome, next: Next) -> Settlement {
        let attempt = Attempt { manual: lease.manual, ..self.attempt(outcome) };
        Settlement { attempt: Some(attempt), ..self.unattempted(lease, next) }
    }

    /// What comes next where no request was made.
    pub fn unattempted(&self, lease: &Lease, next: Next) -> Settlement {
        Settlement {
            lease: lease.id,
            delivery: lease.delivery,
            manual: lease.manual,
            endpoint_version: lease.endpoint.version,
            attempt: None,
            decision: Decision { next, endpoint: EndpointEffects::default() },
            now: self.now,
        }
    }

    /// Settles a lease with an attempt that begins now.
    pub async fn settle(&mut self, lease: &Lease, outcome: Outcome, next: Next) -> Settled {
        let settlement = self.settlement(lease, outcome, next);
        self.settle_as(settlement).await
    }

    /// Settles a lease with an attempt that begins now, and does something to its endpoint.
    pub async fn settle_with(
        &mut self,
        lease: &Lease,
        outcome: Outcome,
        next: Next,
        effects: EndpointEffects,
    ) -> Settled {
        let mut settlement = self.settlement(lease, outcome, next);
        settlement.decision.endpoint = effects;
        self.settle_as(settlement).await
    }

    /// Settles one lease.
    pub async fn settle_as(&mut self, settlement: Settlement) -> Settled {
        self.settle_all(vec![settlement]).await[0]
    }

    /// Settles leases in one call.
    pub async fn settle_all(&mut self, settlements: Vec<Settlement>) -> Vec<Settled> {
        let settled = self.store().settle(settlements.clone().into()).await.expect("settlements");
        assert_eq!(settled.len(), settlements.len(), "an answer for each settlement");
        let steps = settlements.into_iter().zip(&settled);
        self.steps.extend(steps.map(|(settlement, settled)| Step::Settled { settlement, settled: *settled }));
        settled
    }

    /// The delivery that was leased, as it stands.
    pub async fn show(&self, lease: &Lease) -> Delivery {
        self.store().delivery(&lease.event.tenant, lease.delivery).await.expect("a delivery")
    }

    /// The attempts of the delivery that was leased.
    pub async fn attempts(&self, lease: &Lease) -> Vec<Attempt> {
        self.store().attempts(&lease.event.tenant, lease.delivery).await.expect("attempts")
    }

    /// The only delivery of an event.
    pub async fn delivery_of(&self, tenant: &TenantId, event: &str) -> Delivery {
        let mut deliveries = self.deliveries_of(tenant, event).await;
        assert_eq!(deliveries.len(), 1, "{event} has one delivery: {deliveries:?}");
        deliveries.remove(0)
    }

    /// The deliveries of an event.
    pub async fn deliveries_of(&self, tenant: &TenantId, event: &str) -> Vec<Delivery> {
        let event: EventId = event.parse().expect("an event id");
        let filter = DeliveryFilter { event: Some(event), ..DeliveryFilter::default() };
        self.store()
            .deliveries(Some(tenant), filter, Order::NewestFirst, Page::first(100))
            .await
            .expect("deliveries")
            .rows
    }

    /// Everything that the queries show of a tenant.
    pub async fn shown(&self, tenant: &TenantId) -> Shown {
        Shown::of(self.store(), tenant).await.expect("a tenant")
    }

    /// What happened so far.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Fails unless every invariant holds for what happened and for what is shown of every tenant.
    pub async fn check_invariants(&self) {
        let mut broken = invariants::broken_by(&self.steps);
        for tenant in &self.tenants {
            let shown = self.shown(tenant).await;
            broken.extend(invariants::broken_after(&self.steps, &shown));
            broken.extend(invariants::unrecorded(&self.steps, &shown));
        }
        let broken: Vec<String> = broken.iter().map(ToString::to_string).collect();
        assert!(broken.is_empty(), "{}", broken.join("\n"));
    }
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).expect("a time in range")
}
