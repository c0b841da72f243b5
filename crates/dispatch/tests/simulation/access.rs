use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use posthaste_model::{DeliveryId, EndpointId, EventId, ReplayId, TenantId, Timestamp};
use posthaste_store::{
    Accepted, Bucket, Cursor, Deliveries, Durability, Epoch, Finding, Intake, KeyId, LeaseRequest, Leases,
    NewEvent, NotAdded, Notice, Notices, Page, Paged, Partition, Pruned, Queries, Recovered, Reopened,
    Repairs, Replay, Replays, Result, Retain, Retention, Sent, Settled, Settlement, Statistics, Store,
    StoreError, Stretch, Subject, Tally, TenantView, ViewVersion, conformance::invariants::Step,
};
use posthaste_testkit::{MemoryStore, pass_on};
use tokio::time::{Instant, sleep};

use crate::{
    process::{Life, while_alive},
    seen::{Call, Op, Record},
};

/// How a call to the store goes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Course {
    /// How long it is on its way to the store.
    pub(crate) there: Duration,
    /// How long its answer is on the way back.
    pub(crate) back: Duration,
    pub(crate) fault: Option<Fault>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// The store is not reached.
    Away,
    /// The store does it, and its answer is lost.
    Lost,
    /// The store refuses to do it.
    Refused,
    /// The store has no room to do it.
    Full,
    /// The caller has a fault that shows now.
    Panic,
}

impl From<Fault> for Course {
    fn from(fault: Fault) -> Self {
        Self { fault: Some(fault), ..Self::default() }
    }
}

type Script = Box<dyn FnMut(&Call) -> Course + Send>;

/// The road to the store, which all processes share.
pub(crate) struct Road {
    pub(crate) store: MemoryStore,
    pub(crate) record: Arc<Record>,
    script: Mutex<Script>,
}

impl Road {
    /// Free of trouble.
    pub(crate) fn new(partitions: u16, record: Arc<Record>) -> Self {
        let store = MemoryStore::with_partitions(partitions);
        Self { store, record, script: Mutex::new(Box::new(|_| Course::default())) }
    }

    /// From now on calls go as `script` says.
    pub(crate) fn follow(&self, mut script: impl FnMut(Op) -> Course + Send + 'static) {
        self.follow_each(move |call| script(call.op));
    }

    /// As [`Self::follow`], with who calls, and for which partition.
    pub(crate) fn follow_each(&self, script: impl FnMut(&Call) -> Course + Send + 'static) {
        *self.script.lock().unwrap() = Box::new(script);
    }

    pub(crate) fn note(&self, steps: impl IntoIterator<Item = Step>) {
        self.record.send_modify(|seen| seen.steps.extend(steps));
    }
}

/// The store as one process reaches it.
pub(crate) struct Access {
    pub(crate) process: String,
    pub(crate) life: Life,
    pub(crate) road: Arc<Road>,
}

impl Access {
    /// `work` is done in one go once it is begun, so that what is noted in it has the order in which it happened.
    async fn call<T>(
        &self,
        op: Op,
        partition: impl Into<Option<Partition>>,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let at = Instant::now();
        let call = Call { process: self.process.clone(), op, partition: partition.into(), at };
        let Course { there, back, fault } = (self.road.script.lock().unwrap())(&call);
        self.road.record.send_modify(|seen| seen.calls.push(call));
        let course = async {
            pass(there).await;
            let done = match fault {
                Some(Fault::Away) => Err(away()),
                Some(Fault::Refused) => Err(StoreError::damaged("a row that cannot be")),
                Some(Fault::Full) => Err(StoreError::Full { reason: "no room".into() }),
                Some(Fault::Panic) => panic!("a fault of the dispatcher, in {op:?}"),
                Some(Fault::Lost) => work.await.and(Err(away())),
                None => work.await,
            };
            pass(back).await;
            done
        };
        while_alive(&self.life, course).await
    }

    fn store(&self) -> &MemoryStore {
        &self.road.store
    }
}

/// Does not even yield for no time.
async fn pass(time: Duration) {
    if !time.is_zero() {
        sleep(time).await;
    }
}

fn away() -> StoreError {
    StoreError::Unavailable { reason: "it is away".into(), source: None }
}

#[async_trait]
impl Deliveries for Access {
    fn partitions(&self) -> u16 {
        self.store().partitions()
    }

    async fn claim(
        &self,
        partition: Partition,
        owner: &str,
        now: Timestamp,
        ttl: Duration,
    ) -> Result<Option<Epoch>> {
        self.call(Op::Claim, partition, self.store().claim(partition, owner, now, ttl)).await
    }

    async fn renew(&self, partition: Partition, epoch: Epoch, now: Timestamp, ttl: Duration) -> Result<()> {
        self.call(Op::Renew, partition, self.store().renew(partition, epoch, now, ttl)).await
    }

    async fn attend(&self, owner: &str, now: Timestamp, ttl: Duration) -> Result<Vec<String>> {
        self.call(Op::Attend, None, self.store().attend(owner, now, ttl)).await
    }

    async fn release(&self, partition: Partition, epoch: Epoch, until: Timestamp) -> Result<()> {
        let work = async {
            self.store().release(partition, epoch, until).await?;
            self.road.note([Step::Released { partition, epoch, until }]);
            Ok(())
        };
        self.call(Op::Release, partition, work).await
    }

    async fn recover(&self, partition: Partition, epoch: Epoch, now: Timestamp) -> Result<Recovered> {
        let work = async {
            let recovered = self.store().recover(partition, epoch, now).await?;
            let interrupted = recovered.interrupted;
            self.road.note([Step::Recovered { partition, epoch, now, interrupted }]);
            Ok(recovered)
        };
        self.call(Op::Recover, partition, work).await
    }

    async fn lease(&self, request: LeaseRequest) -> Result<Leases> {
        let LeaseRequest { partition, now, lease_for, .. } = request;
        let work = async {
            let given = self.store().lease(request).await?;
            let expires_at = now.checked_add(lease_for).unwrap();
            let leases = given.leases.iter().cloned();
            self.road.note(leases.map(|lease| Step::Leased { partition, lease, now, expires_at }));
            Ok(given)
        };
        self.call(Op::Lease, partition, work).await
    }

    async fn settle(&self, settlements: Arc<[Settlement]>) -> Result<Vec<Settled>> {
        let work = async {
            let settled = self.store().settle(Arc::clone(&settlements)).await?;
            let steps = settlements.iter().cloned().zip(settled.iter().copied());
            self.road.note(steps.map(|(settlement, settled)| Step::Settled { settlement, settled }));
            Ok(settled)
        };
        self.call(Op::Settle, None, work).await
    }

    async fn park(&self, tenant: &TenantId, endpoint: EndpointId, until: Timestamp) -> Result<()> {
        self.store().park(tenant, endpoint, until).await
    }

    async fn woken(&self, partition: Partition) {
        while_alive(&self.life, self.store().woken(partition)).await;
    }
}

#[async_trait]
impl Retention for Access {
    async fn prune(
        &self,
        partition: Partition,
        retain: Retain,
        now: Timestamp,
        from: Option<Cursor>,
        limit: u32,
    ) -> Result<Pruned> {
        self.call(Op::Prune, partition, self.store().prune(partition, retain, now, from, limit)).await
    }
}

#[async_trait]
impl Store for Access {
    fn durability(&self) -> Durability {
        self.store().durability()
    }

    async fn check(&self) -> Result<()> {
        self.store().check().await
    }

    async fn examine(&self, now: Timestamp) -> Result<Vec<Finding>> {
        self.store().examine(now).await
    }

    async fn bind_key(&self, key: KeyId) -> Result<()> {
        self.store().bind_key(key).await
    }
}

#[async_trait]
impl Intake for Access {
    async fn view(&self, tenant: &TenantId) -> Result<Arc<TenantView>> {
        self.store().view(tenant).await
    }

    async fn accept(
        &self,
        tenant: &TenantId,
        matched_against: ViewVersion,
        events: Vec<NewEvent>,
    ) -> Result<Vec<Accepted>> {
        let work = async {
            let accepted = self.store().accept(tenant, matched_against, events.clone()).await?;
            let new = events.into_iter().zip(&accepted).filter(|(_, accepted)| !accepted.duplicate);
            self.road.note(new.map(|(event, _)| Step::Accepted(event)));
            Ok(accepted)
        };
        self.call(Op::Accept, None, work).await
    }
}

#[async_trait]
impl Repairs for Access {
    async fn retry(
        &self,
        tenant: &TenantId,
        delivery: DeliveryId,
        force: bool,
        now: Timestamp,
    ) -> Result<()> {
        self.store().retry(tenant, delivery, force, now).await
    }

    async fn cancel(&self, tenant: &TenantId, delivery: DeliveryId, now: Timestamp) -> Result<()> {
        self.store().cancel(tenant, delivery, now).await
    }

    async fn send(
        &self,
        tenant: &TenantId,
        event: &EventId,
        endpoint: EndpointId,
        now: Timestamp,
    ) -> Result<Sent> {
        self.store().send(tenant, event, endpoint, now).await
    }
}

#[async_trait]
impl Notices for Access {
    async fn notices(&self, partition: Partition, limit: u32) -> Result<Vec<Notice>> {
        self.call(Op::Notices, partition, self.store().notices(partition, limit)).await
    }

    async fn forget_notices(&self, partition: Partition, up_to: u64) -> Result<()> {
        self.call(Op::Notices, partition, self.store().forget_notices(partition, up_to)).await
    }
}

#[async_trait]
impl Replays for Access {
    async fn reopen(
        &self,
        tenant: &TenantId,
        deliveries: Vec<DeliveryId>,
        over_before: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Vec<Reopened>> {
        let work = async {
            let reopened = self.store().reopen(tenant, deliveries.clone(), over_before, now).await?;
            for (delivery, reopened) in deliveries.into_iter().zip(&reopened) {
                if *reopened == Reopened::Reopened {
                    let shown = self.store().delivery(tenant, delivery).await?;
                    self.road.note([Step::Reopened(shown)]);
                }
            }
            Ok(reopened)
        };
        self.call(Op::Reopen, None, work).await
    }

    async fn create_replay(&self, replay: Replay) -> Result<()> {
        self.store().create_replay(replay).await
    }

    async fn replay(&self, tenant: &TenantId, id: ReplayId) -> Result<Replay> {
        self.store().replay(tenant, id).await
    }

    async fn replays(&self, tenant: Option<&TenantId>, page: Page) -> Result<Paged<Replay>> {
        self.store().replays(tenant, page).await
    }

    async fn running_replays(&self, partition: Partition) -> Result<Vec<Replay>> {
        self.call(Op::RunningReplays, partition, self.store().running_replays(partition)).await
    }

    async fn update_replay(&self, replay: Replay) -> Result<Replay> {
        self.call(Op::UpdateReplay, None, self.store().update_replay(replay)).await
    }
}

#[async_trait]
impl Statistics for Access {
    async fn add_stats(&self, tallies: Vec<Tally>) -> Vec<NotAdded> {
        self.store().add_stats(tallies).await
    }

    async fn stats(
        &self,
        of: Subject,
        stretch: Stretch,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<Bucket>> {
        self.store().stats(of, stretch, since, until).await
    }

    async fn forget_stats(
        &self,
        minutes_before: Timestamp,
        hours_before: Timestamp,
        limit: u32,
    ) -> Result<bool> {
        let work = self.store().forget_stats(minutes_before, hours_before, limit);
        self.call(Op::ForgetStats, None, work).await
    }
}

pass_on! { Access, store: Catalogue, Keys, Audit, Queries }
