use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use posthaste_model::{DeliveryId, EndpointId, EventId, TenantId, Timestamp};
use posthaste_store::{
    Accepted, Cursor, Deliveries, Durability, Epoch, Finding, Intake, KeyId, LeaseRequest, Leases, NewEvent,
    Partition, Pruned, Recovered, Repairs, Result, Retain, Retention, Sent, Settled, Settlement, Store,
    TenantView, ViewVersion,
};

use posthaste_testkit::pass_on;

use crate::seen::{Lent, Record, Recovery, Report};

/// The store as one process has it open: what matters is noted.
pub(crate) struct Watched {
    pub(crate) process: String,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) record: Arc<Record>,
}

impl Watched {
    fn under(&self) -> &dyn Store {
        &*self.store
    }
}

#[async_trait]
impl Deliveries for Watched {
    fn partitions(&self) -> u16 {
        self.store.partitions()
    }

    async fn claim(
        &self,
        partition: Partition,
        owner: &str,
        now: Timestamp,
        ttl: Duration,
    ) -> Result<Option<Epoch>> {
        self.store.claim(partition, owner, now, ttl).await
    }

    async fn renew(&self, partition: Partition, epoch: Epoch, now: Timestamp, ttl: Duration) -> Result<()> {
        self.store.renew(partition, epoch, now, ttl).await
    }

    async fn attend(&self, owner: &str, now: Timestamp, ttl: Duration) -> Result<Vec<String>> {
        self.store.attend(owner, now, ttl).await
    }

    async fn release(&self, partition: Partition, epoch: Epoch, until: Timestamp) -> Result<()> {
        self.store.release(partition, epoch, until).await
    }

    async fn recover(&self, partition: Partition, epoch: Epoch, now: Timestamp) -> Result<Recovered> {
        let asked = Instant::now();
        let mut number = 0;
        self.record.send_modify(|seen| {
            number = seen.recoveries.len();
            seen.recoveries.push(Recovery { partition, epoch, asked, interrupted: None });
        });
        let recovered = self.store.recover(partition, epoch, now).await?;
        self.record.send_modify(|seen| seen.recoveries[number].interrupted = Some(recovered.interrupted));
        Ok(recovered)
    }

    async fn lease(&self, request: LeaseRequest) -> Result<Leases> {
        let LeaseRequest { partition, now, .. } = request;
        let asked = Instant::now();
        let leased = self.store.lease(request).await?;
        let given = Instant::now();
        let lent = |lease| Lent { process: self.process.clone(), partition, lease, now, asked, given };
        if !leased.leases.is_empty() {
            self.record.send_modify(|seen| seen.lent.extend(leased.leases.iter().cloned().map(lent)));
        }
        Ok(leased)
    }

    async fn settle(&self, settlements: Arc<[Settlement]>) -> Result<Vec<Settled>> {
        let asked = Instant::now();
        let mut first = 0;
        self.record.send_modify(|seen| {
            first = seen.reports.len();
            let settlements = settlements.iter().cloned();
            seen.reports.extend(settlements.map(|settlement| Report { settlement, asked, answer: None }));
        });
        let settled = self.store.settle(settlements).await?;
        let at = Instant::now();
        self.record.send_modify(|seen| {
            for (report, settled) in seen.reports[first..].iter_mut().zip(&settled) {
                report.answer = Some((at, *settled));
            }
        });
        Ok(settled)
    }

    async fn park(&self, tenant: &TenantId, endpoint: EndpointId, until: Timestamp) -> Result<()> {
        self.store.park(tenant, endpoint, until).await
    }

    async fn woken(&self, partition: Partition) {
        self.store.woken(partition).await;
    }
}

#[async_trait]
impl Retention for Watched {
    async fn prune(
        &self,
        partition: Partition,
        retain: Retain,
        now: Timestamp,
        from: Option<Cursor>,
        limit: u32,
    ) -> Result<Pruned> {
        self.store.prune(partition, retain, now, from, limit).await
    }
}

#[async_trait]
impl Store for Watched {
    fn durability(&self) -> Durability {
        self.store.durability()
    }

    async fn check(&self) -> Result<()> {
        self.store.check().await
    }

    async fn examine(&self, now: Timestamp) -> Result<Vec<Finding>> {
        self.store.examine(now).await
    }

    async fn bind_key(&self, key: KeyId) -> Result<()> {
        self.store.bind_key(key).await
    }
}

#[async_trait]
impl Intake for Watched {
    async fn view(&self, tenant: &TenantId) -> Result<Arc<TenantView>> {
        self.store.view(tenant).await
    }

    async fn accept(
        &self,
        tenant: &TenantId,
        matched_against: ViewVersion,
        events: Vec<NewEvent>,
    ) -> Result<Vec<Accepted>> {
        self.store.accept(tenant, matched_against, events).await
    }
}

#[async_trait]
impl Repairs for Watched {
    async fn retry(
        &self,
        tenant: &TenantId,
        delivery: DeliveryId,
        force: bool,
        now: Timestamp,
    ) -> Result<()> {
        self.store.retry(tenant, delivery, force, now).await
    }

    async fn cancel(&self, tenant: &TenantId, delivery: DeliveryId, now: Timestamp) -> Result<()> {
        self.store.cancel(tenant, delivery, now).await
    }

    async fn send(
        &self,
        tenant: &TenantId,
        event: &EventId,
        endpoint: EndpointId,
        now: Timestamp,
    ) -> Result<Sent> {
        self.store.send(tenant, event, endpoint, now).await
    }
}

pass_on! { Watched, under: Catalogue, Keys, Audit, Queries, Statistics, Replays, Notices }
