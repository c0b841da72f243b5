use async_trait::async_trait;
use posthaste_model::{Attempt, Delivery, DeliveryId, EventId, TenantId, Timestamp};
use posthaste_store::{
    Backlog, DeliveryFilter, EventFilter, EventRecord, Missing, Order, Page, Paged, Queries, Result, Scope,
};
use rusqlite::Connection;

use crate::{
    backlog::backlog,
    catalogue::tenant_no,
    delivery_search::deliveries,
    event_search::events,
    fault::{Fault, Outcome},
    key::{DeliveryKey, millis},
    rows,
    shared::Shared,
    store::SqliteStore,
};

#[async_trait]
impl Queries for SqliteStore {
    async fn event(&self, tenant: &TenantId, id: &EventId) -> Result<EventRecord> {
        let (tenant, id) = (tenant.clone(), id.clone());
        self.readers
            .run(move |conn| {
                let tenant_no = tenant_no(conn, &tenant)?;
                let mut statement = conn.prepare_cached(&format!(
                    "SELECT {} FROM events e WHERE e.tenant_no = ? AND e.id = ?",
                    rows::EVENT
                ))?;
                let mut found = statement.query((tenant_no, id.as_str()))?;
                rows::event(found.next()?.ok_or(Fault::missing(Missing::Event))?, &tenant)
            })
            .await
    }

    async fn events(
        &self,
        tenant: Option<&TenantId>,
        filter: EventFilter,
        page: Page,
    ) -> Result<Paged<EventRecord>> {
        let tenant = tenant.cloned();
        self.readers.run(move |conn| events(conn, tenant.as_ref(), &filter, &page)).await
    }

    async fn delivery(&self, tenant: &TenantId, id: DeliveryId) -> Result<Delivery> {
        let tenant = tenant.clone();
        let shared = self.shared.clone();
        self.readers.run(move |conn| delivery(conn, &shared, &tenant, id)).await
    }

    async fn deliveries(
        &self,
        tenant: Option<&TenantId>,
        filter: DeliveryFilter,
        order: Order,
        page: Page,
    ) -> Result<Paged<Delivery>> {
        let tenant = tenant.cloned();
        let shared = self.shared.clone();
        self.readers.run(move |conn| deliveries(conn, &shared, tenant.as_ref(), &filter, order, &page)).await
    }

    async fn attempts(&self, tenant: &TenantId, id: DeliveryId) -> Result<Vec<Attempt>> {
        let tenant = tenant.clone();
        let shared = self.shared.clone();
        self.readers
            .run(move |conn| {
                delivery(conn, &shared, &tenant, id)?;
                let key = DeliveryKey::of(id);
                let mut statement = conn.prepare_cached(&format!(
                    "SELECT {} WHERE event_seq = ? AND n = ? ORDER BY number",
                    rows::ATTEMPT
                ))?;
                let mut found = statement.query((key.seq, key.n))?;
                let mut attempts = Vec::new();
                while let Some(row) = found.next()? {
                    attempts.push(rows::attempt(row)?);
                }
                Ok(attempts)
            })
            .await
    }

    async fn backlog(&self, of: Scope, now: Timestamp) -> Result<Backlog> {
        let shared = self.shared.clone();
        self.readers.run(move |conn| backlog(conn, &shared, &of, millis(now))).await
    }
}

fn delivery(conn: &Connection, shared: &Shared, tenant: &TenantId, id: DeliveryId) -> Outcome<Delivery> {
    let missing = || Fault::missing(Missing::Delivery);
    let tenant_no = tenant_no(conn, tenant)?;
    let key = DeliveryKey::of(id);
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {} WHERE d.event_seq = ? AND d.n = ? AND e.tenant_no = ?",
        rows::DELIVERY
    ))?;
    let mut found = statement.query((key.seq, key.n, tenant_no))?;
    let row = found.next()?.ok_or_else(missing)?;
    let delivery = rows::delivery(row, shared.leases().contains(key))?;
    if delivery.id == id { Ok(delivery) } else { Err(missing()) }
}
