use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use posthaste_model::{EndpointId, TenantId, Timestamp};
use posthaste_store::{
    Deliveries, Epoch, LeaseRequest, Leases, Missing, Partition, Recovered, Result, Settled, Settlement,
    StoreError,
};
use redis::{Cmd, Value};

use crate::{
    layout::millis,
    recovery,
    reply::{Reply, number, text},
    script::{ATTEND, CLAIM, Operation, PARK, RELEASE, RENEW},
    settling,
    store::RedisStore,
};

#[async_trait]
impl Deliveries for RedisStore {
    fn partitions(&self) -> u16 {
        self.shared.layout.partitions()
    }

    async fn attend(&self, owner: &str, now: Timestamp, ttl: Duration) -> Result<Vec<String>> {
        let home = self.shared.layout.home();
        let answer = self
            .shared
            .work
            .run(&ATTEND, home, |call| {
                call.arg(owner).arg(millis(now)).arg(until(now, ttl));
            })
            .await?;
        let mut names = Reply::items(answer)?.rest().map(text).collect::<Result<Vec<_>, _>>()?;
        names.sort();
        Ok(names)
    }

    async fn claim(
        &self,
        partition: Partition,
        owner: &str,
        now: Timestamp,
        ttl: Duration,
    ) -> Result<Option<Epoch>> {
        let fill = |call: &mut Cmd| {
            call.arg(owner).arg(millis(now)).arg(until(now, ttl));
        };
        match self.owning(&CLAIM, partition, fill).await? {
            Value::Nil => Ok(None),
            epoch => Ok(Some(Epoch(number(epoch)? as u64))),
        }
    }

    async fn renew(&self, partition: Partition, epoch: Epoch, now: Timestamp, ttl: Duration) -> Result<()> {
        let fill = |call: &mut Cmd| {
            call.arg(epoch.0).arg(until(now, ttl));
        };
        match self.owning(&RENEW, partition, fill).await? {
            Value::Nil => Err(StoreError::NotOwner),
            _ => Ok(()),
        }
    }

    async fn release(&self, partition: Partition, epoch: Epoch, until: Timestamp) -> Result<()> {
        let channel = self.shared.layout.channel();
        let fill = |call: &mut Cmd| {
            call.arg(channel).arg(epoch.0).arg(millis(until));
        };
        self.owning(&RELEASE, partition, fill).await?;
        Ok(())
    }

    async fn recover(&self, partition: Partition, epoch: Epoch, now: Timestamp) -> Result<Recovered> {
        recovery::recover(&self.shared, partition, epoch, now).await
    }

    async fn lease(&self, request: LeaseRequest) -> Result<Leases> {
        self.lessors[usize::from(request.partition.0)].lease(&self.shared, &request).await
    }

    async fn settle(&self, settlements: Arc<[Settlement]>) -> Result<Vec<Settled>> {
        settling::settle(&self.settling, settlements).await
    }

    async fn park(&self, tenant: &TenantId, endpoint: EndpointId, until: Timestamp) -> Result<()> {
        let partition = self.shared.layout.partition(tenant);
        let fill = |call: &mut Cmd| {
            call.arg(tenant.as_str()).arg(&endpoint.uuid().as_bytes()[..]).arg(millis(until));
        };
        match self.owning(&PARK, partition, fill).await? {
            Value::Nil => Err(StoreError::NotFound(Missing::Endpoint)),
            _ => Ok(()),
        }
    }

    async fn woken(&self, partition: Partition) {
        self.shared.woken(partition).await;
    }
}

impl RedisStore {
    async fn owning(
        &self,
        operation: &Operation,
        partition: Partition,
        fill: impl Fn(&mut Cmd),
    ) -> Result<Value> {
        Ok(self.shared.work.run(operation, self.shared.layout.base(partition), fill).await?)
    }
}

/// Unix milliseconds `ttl` from now.
fn until(now: Timestamp, ttl: Duration) -> i64 {
    millis(now).saturating_add(i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX >> 1))
}
