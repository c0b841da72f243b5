use async_trait::async_trait;
use bytes::Bytes;
use posthaste_model::{Attempt, Delivery, DeliveryId, EventId, TenantId, Timestamp};
use posthaste_store::{
    Backlog, DeliveryFilter, EventFilter, EventRecord, Missing, Order, Page, Paged, Partition, Queries,
    Result, Scope, StoreError,
};
use redis::Cmd;

use crate::{
    backlog,
    envelope::{self, Envelope, pack_id},
    layout::{DeliveryKey, event_name},
    merge, record,
    reply::Reply,
    script::EVENTS,
    search,
    shown::show,
    store::RedisStore,
};

/// An event with what became of its deliveries.
pub(crate) struct Found {
    pub(crate) number: u64,
    pub(crate) envelope: Envelope,
    record: Bytes,
    /// Where each delivery waits that is not final; empty if that was not asked for.
    waiting: Vec<String>,
}

impl Found {
    /// The `n`-th of its deliveries.
    pub(crate) fn show(&self, tenant: &TenantId, partition: Partition, n: u16) -> Result<Delivery> {
        let event = &self.envelope.record.event;
        let key = DeliveryKey { partition, event: self.number, n };
        let endpoint = self.envelope.endpoints[usize::from(n)];
        let about = (key, tenant, &event.id, &event.topic, endpoint, event.accepted_at);
        let waiting = self.waiting.get(usize::from(n)).map_or("", String::as_str);
        show(about, &record::slot(&self.record, n)?, waiting)
    }
}

#[async_trait]
impl Queries for RedisStore {
    async fn event(&self, tenant: &TenantId, id: &EventId) -> Result<EventRecord> {
        let found = self.find_event(tenant, id, false).await?;
        found.map(|found| found.envelope.record).ok_or(StoreError::NotFound(Missing::Event))
    }

    async fn events(
        &self,
        tenant: Option<&TenantId>,
        filter: EventFilter,
        page: Page,
    ) -> Result<Paged<EventRecord>> {
        merge::page(&search::Events::new(self, tenant, &filter), Order::NewestFirst, &page).await
    }

    async fn delivery(&self, tenant: &TenantId, id: DeliveryId) -> Result<Delivery> {
        let (key, found) = self.find(tenant, id, true).await?;
        found.show(tenant, key.partition, key.n)
    }

    async fn deliveries(
        &self,
        tenant: Option<&TenantId>,
        filter: DeliveryFilter,
        order: Order,
        page: Page,
    ) -> Result<Paged<Delivery>> {
        merge::page(&search::Deliveries::new(self, tenant, &filter, order), order, &page).await
    }

    async fn attempts(&self, tenant: &TenantId, delivery: DeliveryId) -> Result<Vec<Attempt>> {
        let (key, found) = self.find(tenant, delivery, false).await?;
        record::attempts(&found.record, key.n, found.envelope.record.deliveries)
    }

    async fn backlog(&self, of: Scope, now: Timestamp) -> Result<Backlog> {
        backlog::count(&self.shared, &of, now).await
    }
}

impl RedisStore {
    /// An event of a tenant with its deliveries.
    pub(crate) async fn event_with_deliveries(
        &self,
        tenant: &TenantId,
        id: &EventId,
    ) -> Result<Option<Found>> {
        self.find_event(tenant, id, true).await
    }

    async fn find_event(&self, tenant: &TenantId, id: &EventId, waiting: bool) -> Result<Option<Found>> {
        let fill = |call: &mut Cmd| {
            call.arg("id").arg(pack_id(id)).arg(u8::from(waiting));
        };
        self.read(tenant, fill).await
    }

    /// Reads an event. What is another tenant's under a number is not there.
    async fn read(&self, tenant: &TenantId, fill: impl Fn(&mut Cmd)) -> Result<Option<Found>> {
        let base = self.shared.layout.base(self.shared.layout.partition(tenant));
        let fill = |call: &mut Cmd| {
            call.arg(tenant.as_str());
            fill(call);
        };
        let answer = self.shared.desk.run(&EVENTS, base, fill).await?;
        let mut reply = Reply::of(answer)?.ok_or(StoreError::NotFound(Missing::Tenant))?;
        if reply.is_over() {
            return Ok(None);
        }
        let number = u64::from_str_radix(&reply.text()?, 16).map_err(StoreError::damaged)?;
        let envelope = envelope::read(reply.bytes()?, tenant)?;
        let record = reply.bytes()?;
        let mut waiting = Vec::new();
        while !reply.is_over() {
            waiting.push(reply.text()?);
        }
        Ok(Some(Found { number, envelope, record, waiting }))
    }

    /// The event of a delivery, if it is one of the tenant's.
    async fn find(&self, tenant: &TenantId, id: DeliveryId, waiting: bool) -> Result<(DeliveryKey, Found)> {
        let missing = || StoreError::NotFound(Missing::Delivery);
        let partition = self.shared.layout.partition(tenant);
        let key = DeliveryKey { partition, ..DeliveryKey::of(id).0 };
        let name = event_name(key.event);
        let fill = |call: &mut Cmd| {
            call.arg("event").arg(&name).arg(u8::from(waiting));
        };
        let found = self.read(tenant, fill).await?.ok_or_else(missing)?;
        let accepted_at = found.envelope.record.event.accepted_at.as_millisecond();
        let real = key.id(accepted_at) == id && u32::from(key.n) < found.envelope.record.deliveries;
        if real { Ok((key, found)) } else { Err(missing()) }
    }
}
