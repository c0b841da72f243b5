use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use posthaste_model::{EndpointId, TenantId, Timestamp};
use posthaste_store::{
    Deliveries, Epoch, LeaseRequest, Leases, Partition, Recovered, Result, Settled, Settlement, StoreError,
};

use super::{
    MemoryStore,
    leasing::lease,
    recovery::recover,
    settling::{park, settle},
    tables::{Owner, Tables, later},
};

#[async_trait]
impl Deliveries for MemoryStore {
    fn partitions(&self) -> u16 {
        self.woken.len() as u16
    }

    async fn claim(
        &self,
        partition: Partition,
        owner: &str,
        now: Timestamp,
        ttl: Duration,
    ) -> Result<Option<Epoch>> {
        let mut tables = self.tables();
        if tables.owners.get(&partition).is_some_and(|held| held.name != owner && now < held.until) {
            return Ok(None);
        }
        let epoch = Epoch(tables.number());
        let owner = Owner { name: owner.to_owned(), epoch, until: later(now, ttl) };
        tables.owners.insert(partition, owner);
        Ok(Some(epoch))
    }

    async fn renew(&self, partition: Partition, epoch: Epoch, now: Timestamp, ttl: Duration) -> Result<()> {
        owner(&mut self.tables(), partition, epoch)?.until = later(now, ttl);
        Ok(())
    }

    async fn attend(&self, owner: &str, now: Timestamp, ttl: Duration) -> Result<Vec<String>> {
        let mut tables = self.tables();
        tables.attending.insert(owner.to_owned(), later(now, ttl));
        tables.attending.retain(|_, until| now < *until);
        Ok(tables.attending.keys().cloned().collect())
    }

    async fn release(&self, partition: Partition, epoch: Epoch, until: Timestamp) -> Result<()> {
        let mut tables = self.tables();
        if owner(&mut tables, partition, epoch).is_ok() {
            tables.owners.remove(&partition);
        }
        tables.released.insert(epoch, until);
        Ok(())
    }

    async fn recover(&self, partition: Partition, epoch: Epoch, now: Timestamp) -> Result<Recovered> {
        let mut tables = self.tables();
        owner(&mut tables, partition, epoch)?;
        let interrupted = recover(&mut tables, |tenant| self.partition_of(tenant) == partition, epoch, now);
        self.wake();
        Ok(Recovered { interrupted })
    }

    async fn lease(&self, request: LeaseRequest) -> Result<Leases> {
        let mut tables = self.tables();
        owner(&mut tables, request.partition, request.epoch)?;
        Ok(lease(&mut tables, |tenant| self.partition_of(tenant) == request.partition, &request))
    }

    async fn settle(&self, settlements: Arc<[Settlement]>) -> Result<Vec<Settled>> {
        let mut tables = self.tables();
        let settled = settlements.iter().map(|settlement| settle(&mut tables, settlement)).collect();
        self.wake();
        Ok(settled)
    }

    async fn park(&self, tenant: &TenantId, endpoint: EndpointId, until: Timestamp) -> Result<()> {
        let mut tables = self.tables();
        tables.endpoint_of(tenant, endpoint)?;
        park(&mut tables, endpoint, until);
        Ok(())
    }

    async fn woken(&self, partition: Partition) {
        self.woken[usize::from(partition.0)].notified().await;
    }
}

fn owner(tables: &mut Tables, partition: Partition, epoch: Epoch) -> Result<&mut Owner> {
    tables.owners.get_mut(&partition).filter(|owner| owner.epoch == epoch).ok_or(StoreError::NotOwner)
}
