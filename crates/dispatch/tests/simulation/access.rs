use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use posthaste_model::{
    Attempt, Delivery, DeliveryId, Endpoint, EndpointId, EventId, Tenant, TenantId, Timestamp, Topic,
    TopicName,
};
use posthaste_store::{
    Accepted, Catalogue, Cursor, Deliveries, DeliveryFilter, Durability, Epoch, EventRecord, Intake, KeyId,
    LeaseRequest, Leases, NewEvent, Page, Paged, Partition, Pruned, Put, Queries, Recovered, Result, Retain,
    Retention, Settled, Settlement, Store, StoreError, TenantView, ViewVersion,
    conformance::invariants::Step,
};
use posthaste_testkit::MemoryStore;
use tokio::time::sleep;

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
}

impl From<Fault> for Course {
    fn from(fault: Fault) -> Self {
        Self { fault: Some(fault), ..Self::default() }
    }
}

type Script = Box<dyn FnMut(Op) -> Course + Send>;

/// The road to the store, which all processes share.
pub(crate) struct Road {
    pub(crate) store: MemoryStore,
    pub(crate) record: Arc<Record>,
    script: Mutex<Script>,
}

impl Road {
    /// Free of trouble.
    pub(crate) fn new(record: Arc<Record>) -> Self {
        Self { store: MemoryStore::default(), record, script: Mutex::new(Box::new(|_| Course::default())) }
    }

    /// From now on calls go as `script` says.
    pub(crate) fn follow(&self, script: impl FnMut(Op) -> Course + Send + 'static) {
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
    async fn call<T>(&self, op: Op, work: impl Future<Output = Result<T>>) -> Result<T> {
        let call = Call { process: self.process.clone(), op };
        self.road.record.send_modify(|seen| seen.calls.push(call));
        let Course { there, back, fault } = (self.road.script.lock().unwrap())(op);
        let course = async {
            pass(there).await;
            let done = match fault {
                Some(Fault::Away) => Err(away()),
                Some(Fault::Refused) => Err(StoreError::damaged("a row that cannot be")),
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
        self.call(Op::Claim, self.store().claim(partition, owner, now, ttl)).await
    }

    async fn renew(&self, partition: Partition, epoch: Epoch, now: Timestamp, ttl: Duration) -> Result<()> {
        self.call(Op::Renew, self.store().renew(partition, epoch, now, ttl)).await
    }

    async fn release(&self, partition: Partition, epoch: Epoch) -> Result<()> {
        self.call(Op::Release, self.store().release(partition, epoch)).await
    }

    async fn recover(&self, partition: Partition, epoch: Epoch, now: Timestamp) -> Result<Recovered> {
        let work = async {
            let recovered = self.store().recover(partition, epoch, now).await?;
            let interrupted = recovered.interrupted;
            self.road.note([Step::Recovered { partition, epoch, now, interrupted }]);
            Ok(recovered)
        };
        self.call(Op::Recover, work).await
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
        self.call(Op::Lease, work).await
    }

    async fn settle(&self, settlements: Vec<Settlement>) -> Result<Vec<Settled>> {
        let work = async {
            let settled = self.store().settle(settlements.clone()).await?;
            let steps = settlements.iter().cloned().zip(settled.iter().copied());
            self.road.note(steps.map(|(settlement, settled)| Step::Settled { settlement, settled }));
            Ok(settled)
        };
        self.call(Op::Settle, work).await
    }

    async fn park(&self, endpoint: EndpointId, until: Timestamp) -> Result<()> {
        self.store().park(endpoint, until).await
    }

    async fn woken(&self, partition: Partition) {
        while_alive(&self.life, self.store().woken(partition)).await;
    }
}

#[async_trait]
impl Retention for Access {
    async fn prune(
        &self,
        retain: Retain,
        now: Timestamp,
        from: Option<Cursor>,
        limit: u32,
    ) -> Result<Pruned> {
        self.call(Op::Prune, self.store().prune(retain, now, from, limit)).await
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
        self.store().accept(tenant, matched_against, events).await
    }
}

#[async_trait]
impl Queries for Access {
    async fn event(&self, tenant: &TenantId, id: &EventId) -> Result<EventRecord> {
        self.store().event(tenant, id).await
    }

    async fn events(&self, tenant: &TenantId, page: Page) -> Result<Paged<EventRecord>> {
        self.store().events(tenant, page).await
    }

    async fn delivery(&self, tenant: &TenantId, id: DeliveryId) -> Result<Delivery> {
        self.store().delivery(tenant, id).await
    }

    async fn deliveries(
        &self,
        tenant: &TenantId,
        filter: DeliveryFilter,
        page: Page,
    ) -> Result<Paged<Delivery>> {
        self.store().deliveries(tenant, filter, page).await
    }

    async fn attempts(&self, tenant: &TenantId, delivery: DeliveryId) -> Result<Vec<Attempt>> {
        self.store().attempts(tenant, delivery).await
    }
}

#[async_trait]
impl Catalogue for Access {
    async fn put_tenant(&self, tenant: Tenant) -> Result<Put<Tenant>> {
        self.store().put_tenant(tenant).await
    }

    async fn tenant(&self, id: &TenantId) -> Result<Tenant> {
        self.store().tenant(id).await
    }

    async fn tenants(&self, page: Page) -> Result<Paged<Tenant>> {
        self.store().tenants(page).await
    }

    async fn delete_tenant(&self, id: &TenantId, now: Timestamp) -> Result<()> {
        self.store().delete_tenant(id, now).await
    }

    async fn put_topic(&self, topic: Topic) -> Result<Put<Topic>> {
        self.store().put_topic(topic).await
    }

    async fn topic(&self, name: &TopicName) -> Result<Topic> {
        self.store().topic(name).await
    }

    async fn topics(&self, page: Page) -> Result<Paged<Topic>> {
        self.store().topics(page).await
    }

    async fn delete_topic(&self, name: &TopicName) -> Result<()> {
        self.store().delete_topic(name).await
    }

    async fn create_endpoint(&self, endpoint: Endpoint) -> Result<()> {
        self.store().create_endpoint(endpoint).await
    }

    async fn endpoint(&self, tenant: &TenantId, id: EndpointId) -> Result<Endpoint> {
        self.store().endpoint(tenant, id).await
    }

    async fn endpoints(&self, tenant: &TenantId, page: Page) -> Result<Paged<Endpoint>> {
        self.store().endpoints(tenant, page).await
    }

    async fn update_endpoint(&self, endpoint: Endpoint) -> Result<Endpoint> {
        self.store().update_endpoint(endpoint).await
    }

    async fn delete_endpoint(&self, tenant: &TenantId, id: EndpointId, now: Timestamp) -> Result<()> {
        self.store().delete_endpoint(tenant, id, now).await
    }
}
