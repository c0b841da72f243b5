mod catalogue;
mod leasing;
mod notices;
mod repairs;
mod searching;
mod settling;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use posthaste_model::{
    Attempt, DeliveryId, Endpoint, EndpointId, EndpointState, Payload, Period, Tenant, TenantId, Timestamp,
    Topic, TopicName,
};
use posthaste_store::{
    DeliveryFilter, Epoch, Lease, NewEvent, Order, Page, Partition, Result, Retain, Store, StoreError,
    TenantView, Throttle,
    conformance::{
        Fixture, START,
        invariants::{Broken, Step, broken_after, broken_by, unrecorded},
        sample_endpoint, sample_event,
    },
};

use super::{
    op::{Ask, Came, Op, Publication, Wants},
    sight::Sight,
};
use catalogue::want;

/// How long claims live.
const TTL: Duration = Duration::from_secs(20);
/// How much time each operation takes: more than there is between the times that one of them gives.
const STEP: Duration = Duration::from_millis(8);
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
    /// As they were made, those of one event in the order of their endpoints.
    deliveries: Vec<(TenantId, DeliveryId)>,
    /// Endpoints of tenants that are deleted.
    orphans: BTreeSet<EndpointId>,
    /// Endpoints that were throttled, and whether that may have been forgotten by a crash.
    throttled: BTreeMap<EndpointId, Throttle>,
    throttles_in_doubt: bool,
    /// Whether a manual attempt may wait that was asked for.
    asked: bool,
    /// What was attempted under each lease that was settled.
    attempts: BTreeMap<usize, Option<Attempt>>,
    steps: Vec<Step>,
}

/// What an operation came to, without the names that every store gives in its own way.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) text: String,
    /// After a lease: whether there is more, and when. None: it is each store's own.
    next_due: Option<Option<Timestamp>>,
    now: Timestamp,
}

impl Answer {
    /// Whether it asks the caller to come back early enough; too early is no fault, but for at once, again and again.
    pub(super) fn comes_in_time(&self, expected: &Self) -> bool {
        let (Some(due), Some(expected)) = (self.next_due, expected.next_due) else { return true };
        match (due, expected) {
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

fn event_id(n: u8) -> String {
    format!("evt-{n}")
}

fn millis(n: usize) -> Duration {
    Duration::from_millis(n as u64)
}

fn text<T: Debug>(result: &Result<T>) -> String {
    format!("{result:?}")
}

impl Side {
    /// Begins with a tenant that has two endpoints, a claim, and some deliveries that have come to something.
    pub(super) async fn new(fixture: impl Fixture) -> Self {
        let mut side = Self {
            fixture: Box::new(fixture),
            now: Timestamp::from_millisecond(START).expect("a time in range"),
            minted: 0,
            claims: Vec::new(),
            endpoints: Vec::new(),
            views: BTreeMap::new(),
            leases: Vec::new(),
            deliveries: Vec::new(),
            orphans: BTreeSet::new(),
            throttled: BTreeMap::new(),
            throttles_in_doubt: false,
            asked: false,
            attempts: BTreeMap::new(),
            steps: Vec::new(),
        };
        let (state, wants) = (EndpointState::Enabled, Wants::default());
        let endpoint = Op::CreateEndpoint { tenant: 0, state, wants };
        let publication =
            |id| Publication { id, topic: id, payload: false, targets: 0b11, later: None, kept: None };
        let events = [0, 1].map(publication).to_vec();
        let came = [Came::Exhausted, Came::Arrived, Came::Refused { secs: 5 }];
        for op in [
            Op::PutTenant { tenant: 0 },
            endpoint.clone(),
            endpoint,
            Op::Claim { owner: 0 },
            Op::Accept { tenant: 0, stale: false, events },
            Op::Lease { claim: 0, ask: Ask { per_endpoint: 9, per_tenant: 9, ..Ask::default() } },
            Op::Settle { settlements: (0..).zip(came).map(|(lease, came)| (lease, came, None)).collect() },
        ] {
            side.perform(&op).await;
        }
        side
    }

    pub(super) fn store(&self) -> &dyn Store {
        self.fixture.store()
    }

    pub(super) fn now(&self) -> Timestamp {
        self.now
    }

    /// What is wrong with what happened, and with what is shown now.
    pub(super) fn broken(&self, sight: &Sight) -> Vec<Broken> {
        let mut broken = broken_by(&self.steps);
        for shown in sight.tenants.values() {
            broken.extend(broken_after(&self.steps, shown));
            broken.extend(unrecorded(&self.steps, shown));
        }
        broken
    }

    /// Does something, and says what came of it.
    pub(super) async fn perform(&mut self, op: &Op) -> Answer {
        // No two operations at the same time: which of two deliveries that are due at one time goes first is each
        // store's own.
        self.now += STEP;
        let mut next_due = None;
        let text = match op {
            Op::Pass { secs } => {
                self.now = self.secs(*secs);
                String::new()
            }
            Op::PutTenant { tenant } => {
                let name = self.mint().to_string();
                let tenant = Tenant { name, ..Tenant::new(tenant_id(*tenant), self.now) };
                text(&self.store().put_tenant(tenant).await)
            }
            Op::DeleteTenant { tenant } => self.delete_tenant(&tenant_id(*tenant)).await,
            Op::PutTopic { topic, archived } => {
                let (description, archived) = (self.mint().to_string(), *archived);
                let topic = Topic { description, archived, ..Topic::new(topic_name(*topic), self.now) };
                text(&self.store().put_topic(topic).await)
            }
            Op::DeleteTopic { topic } => text(&self.store().delete_topic(&topic_name(*topic)).await),
            Op::CreateEndpoint { tenant, state, wants } => {
                let mut endpoint = sample_endpoint(&tenant_id(*tenant), self.mint(), self.now);
                endpoint.state = *state;
                want(&mut endpoint, wants);
                self.create_endpoint(endpoint).await
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
            Op::Lease { claim, ask } => {
                let (text, due) = self.lease(*claim, ask).await;
                next_due = due;
                text
            }
            Op::Retry { delivery, force } => self.retry(*delivery, *force).await,
            Op::Cancel { delivery } => self.cancel(*delivery).await,
            Op::Reopen { tenant, deliveries, over } => {
                self.reopen(&tenant_id(*tenant), deliveries, *over).await
            }
            Op::Search { tenant, wanted, order, limit } => {
                self.search(tenant.map(tenant_id), wanted, *order, *limit).await
            }
            Op::SearchEvents { tenant, topic, unmatched, age, limit } => {
                let filter = self.event_filter(*topic, *unmatched, age);
                self.search_events(tenant.map(tenant_id), filter, *limit).await
            }
            Op::Send { event, endpoint } => {
                let Endpoint { tenant, id, .. } = self.endpoint(*endpoint);
                self.send(&tenant, *event, id).await
            }
            Op::Forget { notice } => self.forget(*notice).await,
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
                self.throttles_in_doubt = true;
                self.now = self.secs(TTL.as_secs() as u8);
                let claimed = self.claim("survivor").await;
                if *recover { claimed + &self.recover(0).await } else { claimed }
            }
            Op::Prune { limit } => self.prune(*limit).await,
        };
        Answer { text, next_due, now: self.now }
    }

    /// The name of a delivery that it has with every store.
    pub(super) fn number_of(&self, delivery: DeliveryId) -> Option<usize> {
        self.deliveries.iter().position(|(_, known)| *known == delivery)
    }

    fn delivery(&self, n: usize) -> Option<(TenantId, DeliveryId)> {
        self.deliveries.get(n % self.deliveries.len().max(1)).cloned()
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

    async fn accept(&mut self, tenant: &TenantId, stale: bool, events: &[Publication]) -> String {
        let fresh = match self.store().view(tenant).await {
            Ok(view) => view,
            Err(error) => return text::<()>(&Err(error)),
        };
        let before = self.views.insert(tenant.clone(), Arc::clone(&fresh));
        let view = before.filter(|_| stale).unwrap_or(fresh);
        let events: Vec<NewEvent> = events
            .iter()
            .enumerate()
            .map(|(n, new)| {
                let mut event = sample_event(tenant, &event_id(new.id), self.now);
                event.topic = topic_name(new.topic);
                event.options.deliver_at = new.later.map(|secs| self.secs(secs) + millis(n));
                event.options.retention = new.kept.map(|secs| Period::from_secs(secs.into()));
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
                let filter =
                    DeliveryFilter { event: Some(new.event.id.clone()), ..DeliveryFilter::default() };
                let made = self
                    .store()
                    .deliveries(Some(tenant), filter, Order::NewestFirst, Page::first(1_000))
                    .await;
                let mut made = made.expect("the deliveries of a new event").rows;
                made.sort_by_key(|delivery| delivery.endpoint);
                self.deliveries.extend(made.into_iter().map(|delivery| (tenant.clone(), delivery.id)));
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

    async fn prune(&mut self, limit: u32) -> String {
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
            self.steps.push(Step::Pruned { partition });
        }
        format!("removed: {removed}")
    }
}
