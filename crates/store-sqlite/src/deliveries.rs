use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use posthaste_model::{Endpoint, EndpointId, TenantId, Timestamp};
use posthaste_store::{
    Deliveries, Epoch, LeaseRequest, Leases, Partition, Recovered, Result, Settled, Settlement, StoreError,
};

use crate::{
    endpoints, fault::Outcome, key::millis, leasing::lease, meta, recovery::recover, settling::settle,
    state::Owner, store::SqliteStore, writer::Work,
};

#[async_trait]
impl Deliveries for SqliteStore {
    fn partitions(&self) -> u16 {
        1
    }

    async fn attend(&self, owner: &str, now: Timestamp, ttl: Duration) -> Result<Vec<String>> {
        let owner = owner.to_owned();
        self.writer
            .run(move |work| {
                let attending = &mut work.state.attending;
                attending.insert(owner, until(now, ttl));
                attending.retain(|_, until| millis(now) < *until);
                Ok(attending.keys().cloned().collect())
            })
            .await
    }

    async fn claim(
        &self,
        _partition: Partition,
        owner: &str,
        now: Timestamp,
        ttl: Duration,
    ) -> Result<Option<Epoch>> {
        let owner = owner.to_owned();
        self.writer
            .run(move |work| {
                if work
                    .state
                    .owner
                    .as_ref()
                    .is_some_and(|held| held.name != owner && millis(now) < held.until)
                {
                    return Ok(None);
                }
                let epoch = meta::get::<u64>(work.conn, meta::EPOCH)?.unwrap_or(0) + 1;
                meta::set(work.conn, meta::EPOCH, epoch)?;
                let epoch = Epoch(epoch);
                work.state.owner = Some(Owner { name: owner, epoch, until: until(now, ttl) });
                Ok(Some(epoch))
            })
            .await
    }

    async fn renew(&self, _partition: Partition, epoch: Epoch, now: Timestamp, ttl: Duration) -> Result<()> {
        self.writer
            .run(move |work| {
                let owner = owner(work, epoch)?;
                owner.until = until(now, ttl);
                Ok(())
            })
            .await
    }

    async fn release(&self, _partition: Partition, epoch: Epoch, until: Timestamp) -> Result<()> {
        self.writer
            .run(move |work| {
                work.state.owner.take_if(|owner| owner.epoch == epoch);
                work.state.released.insert(epoch, millis(until));
                Ok(())
            })
            .await
    }

    async fn recover(&self, _partition: Partition, epoch: Epoch, now: Timestamp) -> Result<Recovered> {
        self.writer.run(move |work| recover(work, epoch, millis(now))).await
    }

    async fn lease(&self, request: LeaseRequest) -> Result<Leases> {
        self.writer.run(move |work| lease(work, &request)).await
    }

    async fn settle(&self, settlements: Arc<[Settlement]>) -> Result<Vec<Settled>> {
        self.writer
            .run(move |work| settlements.iter().map(|settlement| settle(work, settlement)).collect())
            .await
    }

    async fn park(&self, tenant: &TenantId, endpoint: EndpointId, until: Timestamp) -> Result<()> {
        let tenant = tenant.clone();
        self.writer
            .run(move |work| {
                let Endpoint { id, .. } = endpoints::find(work.conn, &tenant, endpoint)?;
                let no = work.state.endpoint_no(work.conn, id)?;
                endpoints::park(work, no, millis(until))
            })
            .await
    }

    async fn woken(&self, _partition: Partition) {
        self.shared.woken.notified().await;
    }
}

/// The time `ttl` from now, in Unix milliseconds.
pub(crate) fn until(now: Timestamp, ttl: Duration) -> i64 {
    millis(now).saturating_add(i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX))
}

/// The owner, if `epoch` is the current one.
pub(crate) fn owner<'a>(work: &'a mut Work<'_>, epoch: Epoch) -> Outcome<&'a mut Owner> {
    work.state.owner.as_mut().filter(|owner| owner.epoch == epoch).ok_or(StoreError::NotOwner.into())
}
