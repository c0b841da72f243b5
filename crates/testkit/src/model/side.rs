use std::{collections::BTreeMap, fmt::Debug, sync::Arc, time::Duration};

use bytes::Bytes;
use posthaste_model::{
    Attempt, Decision, DeliveryState, Endpoint, EndpointEffect, EndpointId, ErrorClass, Next, Outcome,
    Payload, Tenant, TenantId, Timestamp, Topic, TopicName,
};
use posthaste_store::{
    DeliveryFilter, Epoch, Lease, LeaseRequest, NewEvent, Page, Partition, Result, Retain, Settled,
    Settlement, Store, StoreError, TenantView,
    conformance::{
        Fixture, START, Shown, attempt, failed,
        invariants::{Broken, Step, broken_by, unrecorded},
        replied, sample_endpoint, sample_event,
    },
};

use super::{
    op::{Came, Change, Op, Publication},
    sight::Sight,
};

/// How long claims live.
const TTL: Duration = Duration::from_secs(20);
/// How long leases live: short enough that some run out.
const LEASE_FOR: Duration = Duration::from_secs(8);
/// Short enough that some of a run is over before the run is.
const RETAIN: Retain = Retain { delivered: Duration::from_secs(10), failed: Duration::from_secs(40) };

/// One of the two stores that are compared, with what it has answered so far. What it does next depends on nothing
/// else, so two that answered alike go on alike.
pub(super) struct Side {
    fixture: Box<dyn Fixture>,
    now: Timestamp,
    minted: u64,
    claims: Vec<Vec<(Partition, Epoch)>>,
    /// As they were made.
    endpoints: Vec<Endpoint>,
    views: BTreeMap<TenantId, Arc<TenantView>>,
    leases: Vec<Lease>,
    /// What was attempted under each lease that was settled.
    attempts: BTreeMap<usize, Option<Attempt>>,
    steps: Vec<Step>,
}

/// What an operation came to, without the names that every store gives in its own way.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) text: String,
    /// After a lease: whether there is more, and when.
    next_due: Option<Timestamp>,
    now: Timestamp,
}

impl Answer {
    /// Whether it asks the caller to come back early enough; too early is no fault, but for at once, again and again.
    pub(super) fn comes_in_time(&self, expected: &Self) -> bool {
        match (self.next_due, expected.next_due) {
            (Some(due), Some(latest)) => due <= latest && (due > self.now || latest <= self.now),
            (None, Some(_)) => false,
            (due, None) => due.is_none_or(|due| due > self.now),
        }
    }
}

pub(super) fn tenant_id(n: u8) -> TenantId {
    format!("tenant-{n}").parse().expect("a tenant id")
}

fn topic_name(n: u8) -> TopicName {
    ["order.paid", "order.lost"][usize::from(n) % 2].parse().expect("a topic")
}

fn text<T: Debug>(result: &Result<T>) -> String {
    format!("{result:?}")
}

impl Side {
    /// Begins with a tenant that has two endpoints, and a claim.
    pub(super) async fn new(fixture: impl Fixture) -> Self {
        let mut side = Self {
            fixture: Box::new(fixture),
            now: Timestamp::from_millisecond(START).expect("a time in range"),
            minted: 0,
            claims: Vec::new(),
            endpoints: Vec::new(),
            views: BTreeMap::new(),
            leases: Vec::new(),
            attempts: BTreeMap::new(),
            steps: Vec::new(),
        };
        let endpoint = Op::CreateEndpoint { tenant: 0, state: posthaste_model::EndpointState::Enabled };
        for op in [Op::PutTenant { tenant: 0 }, endpoint.clone(), endpoint, Op::Claim { owner: 0 }] {
            side.perform(&op).await;
        }
        side
    }

    pub(super) fn store(&self) -> &dyn Store {
        self.fixture.store()
    }

    /// What is wrong with what happened, given what is shown now.
    pub(super) fn broken(&self, sight: &Sight) -> Vec<Broken> {
        let unrecorded = sight.tenants.values().flat_map(|shown| unrecorded(&self.steps, shown));
        broken_by(&self.steps).into_iter().chain(unrecorded).collect()
    }

    /// Does something, and says what came of it.
    pub(super) async fn perform(&mut self, op: &Op) -> Answer {
        let mut next_due = None;
        let text = match op {
            Op::Pass { secs } => {
                self.now = self.secs(*secs);
                String::new()
            }
            Op::PutTenant { tenant } => {
                let tenant = Tenant {
                    id: tenant_id(*tenant),
                    name: self.mint().to_string(),
                    created_at: self.now,
                    updated_at: self.now,
                };
                text(&self.store().put_tenant(tenant).await)
            }
            Op::DeleteTenant { tenant } => self.delete_tenant(&tenant_id(*tenant)).await,
            Op::PutTopic { topic, archived } => {
                let topic = Topic {
                    name: topic_name(*topic),
                    description: self.mint().to_string(),
                    example: None,
                    archived: *archived,
                    created_at: self.now,
                    updated_at: self.now,
                };
                text(&self.store().put_topic(topic).await)
            }
            Op::DeleteTopic { topic } => text(&self.store().delete_topic(&topic_name(*topic)).await),
            Op::CreateEndpoint { tenant, state } => {
                let endpoint = sample_endpoint(&tenant_id(*tenant), self.mint(), self.now);
                self.create_endpoint(Endpoint { state: *state, ..endpoint }).await
            }
            Op::ChangeEndpoint { endpoint, change, stale } => {
                let made = self.endpoint(*endpoint);
                self.change_endpoint(made, change, *stale).await
            }
            Op::DeleteEndpoint { endpoint } => {
                let Endpoint { tenant, id, .. } = self.endpoint(*endpoint);
                let deleted = self.store().delete_endpoint(&tenant, id, self.now).await;
                if deleted.is_ok() {
                    self.steps.push(Step::Endpoint { id, state: None });
                }
                text(&deleted)
            }
            Op::Park { endpoint, secs } => {
                let until = self.secs(*secs);
                let Endpoint { tenant, id, .. } = self.endpoint(*endpoint);
                text(&self.store().park(&tenant, id, until).await)
            }
            Op::Accept { tenant, stale, events } => self.accept(&tenant_id(*tenant), *stale, events).await,
            Op::Lease { claim, per_endpoint } => {
                let (text, due) = self.lease(*claim, *per_endpoint).await;
                next_due = due;
                text
            }
            Op::Settle { settlements } => self.settle(settlements).await,
            Op::Claim { owner } => self.claim(&format!("owner-{owner}")).await,
            Op::Renew { claim } => {
                let mut answer = Ok(());
                for (partition, epoch) in self.hold(*claim) {
                    answer = answer.and(self.store().renew(partition, epoch, self.now, TTL).await);
                }
                text(&answer)
            }
            Op::Release { claim, secs } => {
                let (mut answer, until) = (Ok(()), self.secs(*secs));
                for (partition, epoch) in self.hold(*claim) {
                    answer = answer.and(self.store().release(partition, epoch, until).await);
                    self.steps.push(Step::Released { partition, epoch, until });
                }
                text(&answer)
            }
            Op::Attend { owner, secs } => {
                let ttl = Duration::from_secs((*secs).into());
                text(&self.store().attend(&format!("owner-{owner}"), self.now, ttl).await)
            }
            Op::Recover { claim } => self.recover(*claim).await,
            Op::Crash { recover } => {
                self.fixture.reopen().await;
                self.now = self.secs(TTL.as_secs() as u8);
                let claimed = self.claim("survivor").await;
                if *recover { claimed + &self.recover(0).await } else { claimed }
            }
            Op::Prune { limit } => self.prune(*limit).await,
        };
        Answer { text, next_due, now: self.now }
    }

    fn secs(&self, secs: u8) -> Timestamp {
        self.now + Duration::from_secs(secs.into())
    }

    fn mint(&mut self) -> u64 {
        self.minted += 1;
        self.minted
    }

    fn endpoint(&self, n: usize) -> Endpoint {
        self.endpoints[n % self.endpoints.len()].clone()
    }

    /// What was claimed, counted back from the last.
    fn hold(&self, back: u8) -> Vec<(Partition, Epoch)> {
        let last = self.claims.len() - 1;
        self.claims[last - usize::from(back) % self.claims.len()].clone()
    }

    async fn delete_tenant(&mut self, id: &TenantId) -> String {
        let shown = Shown::of(self.store(), id).await;
        let deleted = self.store().delete_tenant(id, self.now).await;
        let endpoints = shown.into_iter().flat_map(|shown| shown.endpoints);
        self.steps.extend(endpoints.map(|endpoint| Step::Endpoint { id: endpoint.id, state: None }));
        text(&deleted)
    }

    async fn create_endpoint(&mut self, endpoint: Endpoint) -> String {
        let created = self.store().create_endpoint(endpoint.clone()).await;
        if created.is_ok() {
            self.steps.push(Step::Endpoint { id: endpoint.id, state: Some(endpoint.state) });
            self.endpoints.push(endpoint);
        }
        text(&created)
    }

    async fn change_endpoint(&mut self, made: Endpoint, change: &Change, stale: bool) -> String {
        let stands = match self.store().endpoint(&made.tenant, made.id).await {
            Ok(stands) => stands,
            Err(_) => made.clone(),
        };
        let mut new = Endpoint { updated_at: self.now, ..stands };
        match change {
            Change::Description => new.description = self.mint().to_string(),
            Change::Url => new.url = format!("https://elsewhere.example/{}", self.mint()),
            Change::State(state) => new.state = *state,
        }
        if stale {
            new.version = made.version;
        }
        let changed = self.store().update_endpoint(new).await;
        if let Ok(Endpoint { id, state, .. }) = changed {
            self.steps.push(Step::Endpoint { id, state: Some(state) });
        }
        text(&changed)
    }

    async fn accept(&mut self, tenant: &TenantId, stale: bool, events: &[Publication]) -> String {
        let fresh = match self.store().view(tenant).await {
            Ok(view) => view,
            Err(error) => return text::<()>(&Err(error)),
        };
        let before = self.views.insert(tenant.clone(), Arc::clone(&fresh));
        let view = before.filter(|_| stale).unwrap_or(fresh);
        let events: Vec<NewEvent> = events
            .iter()
            .map(|new| {
                let mut event = sample_event(tenant, &format!("evt-{}", new.id), self.now);
                event.topic = topic_name(new.topic);
                if new.payload {
                    event.payload = Payload::Raw { content_type: "text/plain".into(), body: Bytes::new() };
                }
                let wanted =
                    view.endpoints.iter().enumerate().filter(|(n, _)| new.targets >> (n % 8) & 1 == 1);
                NewEvent { event, endpoints: wanted.map(|(_, endpoint)| endpoint.id).collect() }
            })
            .collect();
        let accepted = self.store().accept(tenant, view.version, events.clone()).await;
        for (new, accepted) in events.into_iter().zip(accepted.iter().flatten()) {
            if !accepted.duplicate {
                self.steps.push(Step::Accepted(new));
            }
        }
        match accepted {
            // Which of several conflicts is named is each store's own.
            Err(StoreError::EventConflict { .. }) => "a conflict".into(),
            accepted => text(&accepted),
        }
    }

    async fn claim(&mut self, owner: &str) -> String {
        let mut epochs = Vec::new();
        for partition in (0..self.store().partitions()).map(Partition) {
            let epoch = self.store().claim(partition, owner, self.now, TTL).await.expect("a claim");
            epochs.extend(epoch.map(|epoch| (partition, epoch)));
        }
        let claimed = !epochs.is_empty();
        if claimed {
            assert_eq!(epochs.len(), usize::from(self.store().partitions()), "some partitions, but not all");
            self.claims.push(epochs);
        }
        format!("claimed: {claimed}")
    }

    async fn recover(&mut self, claim: u8) -> String {
        let now = self.now;
        let mut sum = 0;
        for (partition, epoch) in self.hold(claim) {
            match self.store().recover(partition, epoch, now).await {
                Ok(recovered) => {
                    let interrupted = recovered.interrupted;
                    self.steps.push(Step::Recovered { partition, epoch, now, interrupted });
                    sum += interrupted;
                }
                Err(error) => return text::<()>(&Err(error)),
            }
        }
        format!("recovered: {sum}")
    }

    async fn lease(&mut self, claim: u8, per_endpoint: usize) -> (String, Option<Timestamp>) {
        let now = self.now;
        let (mut given, mut next_due) = (Vec::new(), None);
        for (partition, epoch) in self.hold(claim) {
            let request =
                LeaseRequest { partition, epoch, now, limit: usize::MAX, per_endpoint, lease_for: LEASE_FOR };
            match self.store().lease(request).await {
                Ok(leases) => {
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
        let mut last: BTreeMap<EndpointId, Timestamp> = BTreeMap::new();
        for lease in &given {
            let before = last.insert(lease.endpoint.id, lease.due_at);
            assert!(before <= Some(lease.due_at), "out of order: {given:?}");
        }
        // Turns are each store's own.
        given.sort_by_key(|lease| (lease.endpoint.id, lease.due_at, lease.event.id.clone()));
        let neutral: Vec<_> =
            given.iter().map(|l| (&l.event, &l.endpoint, l.attempt, l.failures, l.due_at)).collect();
        let text = format!("{neutral:?}");
        self.leases.extend(given);
        (text, next_due)
    }

    async fn settle(&mut self, settlements: &[(usize, Came)]) -> String {
        if self.leases.is_empty() {
            return String::new();
        }
        let mut all = Vec::new();
        for (index, came) in settlements {
            let index = index % self.leases.len();
            all.push(self.settlement(index, came));
        }
        let settled = self.store().settle(all.clone().into()).await;
        for (settlement, settled) in all.into_iter().zip(settled.iter().flatten()) {
            self.steps.push(Step::Settled { settlement, settled: *settled });
        }
        let applied = settled.map(|settled| settled.iter().filter(|one| **one == Settled::Applied).count());
        text(&applied)
    }

    fn settlement(&mut self, index: usize, came: &Came) -> Settlement {
        let (outcome, next, endpoint) = self.judged(came);
        // A dispatcher makes one attempt of a lease, however often it reports it.
        let number = self.mint();
        let started_at = self.now;
        let made = outcome.map(|outcome| attempt(number, started_at, outcome));
        let attempt = self.attempts.entry(index).or_insert(made).clone();
        let lease = &self.leases[index];
        Settlement {
            lease: lease.id,
            delivery: lease.delivery,
            attempt,
            decision: Decision { next, endpoint },
            now: self.now,
        }
    }

    fn judged(&self, came: &Came) -> (Option<Outcome>, Next, Option<EndpointEffect>) {
        let retry = |secs: &u8| Next::Retry { at: self.secs(*secs) };
        match came {
            Came::Arrived => (Some(replied(200)), Next::Delivered, None),
            Came::Refused { secs } => (Some(replied(500)), retry(secs), None),
            Came::Silence { secs } => (Some(failed(ErrorClass::Timeout)), retry(secs), None),
            Came::Exhausted => (Some(failed(ErrorClass::Dns)), Next::Exhausted, None),
            Came::Gone => {
                let reason = "it answered 410".into();
                (Some(replied(410)), Next::Skipped, Some(EndpointEffect::Disable { reason }))
            }
            Came::Throttled { secs, park } => {
                let until = self.secs(*park);
                (Some(replied(429)), retry(secs), Some(EndpointEffect::Park { until }))
            }
            Came::OurFault { secs, attempted } => {
                let outcome = attempted.then(|| failed(ErrorClass::Internal));
                (outcome, Next::Release { at: self.secs(*secs) }, None)
            }
        }
    }

    async fn prune(&self, limit: u32) -> String {
        let mut removed = 0;
        for partition in (0..self.store().partitions()).map(Partition) {
            let mut from = None;
            loop {
                let pruned =
                    self.store().prune(partition, RETAIN, self.now, from, limit).await.expect("a pruning");
                removed += pruned.removed;
                from = pruned.next;
                if from.is_none() {
                    break;
                }
            }
        }
        format!("removed: {removed}")
    }

    /// Fails unless the list of the deliveries in each state has exactly those that the whole list shows in it.
    pub(super) async fn check_filters(&self) {
        for (tenant, shown) in Sight::of(self).await.tenants {
            for state in DeliveryState::ALL {
                let filter = DeliveryFilter { state: Some(state), ..DeliveryFilter::default() };
                let found = self.store().deliveries(&tenant, filter, Page::first(1_000)).await;
                let all = shown.deliveries.iter().map(|(delivery, _)| delivery);
                let expected: Vec<_> = all.filter(|delivery| delivery.state == state).cloned().collect();
                assert_eq!(found.expect("deliveries").rows, expected, "{tenant}, {state:?}");
            }
        }
    }
}
