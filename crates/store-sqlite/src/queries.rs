use async_trait::async_trait;
use posthaste_model::{Attempt, Delivery, DeliveryId, EventId, TenantId};
use posthaste_store::{
    Cursor, DeliveryFilter, EventRecord, Missing, Page, Paged, Queries, Result, StoreError,
};
use rusqlite::{Connection, OptionalExtension as _, named_params};

use crate::{
    catalogue::find_tenant,
    fault::{Fault, Outcome},
    key::DeliveryKey,
    rows::{self, RowState},
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

    async fn events(&self, tenant: &TenantId, page: Page) -> Result<Paged<EventRecord>> {
        let tenant = tenant.clone();
        self.readers.run(move |conn| events(conn, &tenant, &page)).await
    }

    async fn delivery(&self, tenant: &TenantId, id: DeliveryId) -> Result<Delivery> {
        let tenant = tenant.clone();
        let shared = self.shared.clone();
        self.readers.run(move |conn| delivery(conn, &shared, &tenant, id)).await
    }

    async fn deliveries(
        &self,
        tenant: &TenantId,
        filter: DeliveryFilter,
        page: Page,
    ) -> Result<Paged<Delivery>> {
        let tenant = tenant.clone();
        let shared = self.shared.clone();
        self.readers.run(move |conn| deliveries(conn, &shared, &tenant, &filter, &page)).await
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
}

fn tenant_no(conn: &Connection, tenant: &TenantId) -> Outcome<i64> {
    Ok(find_tenant(conn, tenant)?.ok_or(Fault::missing(Missing::Tenant))?.1)
}

/// Where a page begins: everything before this place, newest first.
fn before(page: &Page) -> Outcome<DeliveryKey> {
    match &page.after {
        None => Ok(DeliveryKey { seq: i64::MAX, n: u16::MAX }),
        Some(Cursor(text)) => Ok(DeliveryKey::from_cursor(text).ok_or(StoreError::InvalidCursor)?),
    }
}

fn events(conn: &Connection, tenant: &TenantId, page: &Page) -> Outcome<Paged<EventRecord>> {
    let tenant_no = tenant_no(conn, tenant)?;
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {} FROM events e WHERE e.tenant_no = ? AND e.seq < ? ORDER BY e.seq DESC",
        rows::EVENT
    ))?;
    let mut found = statement.query((tenant_no, before(page)?.seq))?;
    let mut rows = Vec::new();
    let mut last = None;
    while let Some(row) = found.next()? {
        if rows.len() == page.limit as usize {
            return Ok(Paged { rows, next: last.map(Cursor) });
        }
        rows.push(rows::event(row, tenant)?);
        last = Some(DeliveryKey { seq: row.get(6)?, n: 0 }.cursor());
    }
    Ok(Paged { rows, next: None })
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
    let delivery = rows::delivery(row, tenant, shared.leases().contains(key))?;
    if delivery.id == id { Ok(delivery) } else { Err(missing()) }
}

fn deliveries(
    conn: &Connection,
    shared: &Shared,
    tenant: &TenantId,
    filter: &DeliveryFilter,
    page: &Page,
) -> Outcome<Paged<Delivery>> {
    let tenant_no = tenant_no(conn, tenant)?;
    // Both bounds are numbers of this tenant's events: one event alone, or all before the cursor.
    let (mut low, mut high) = (i64::MIN, before(page)?);
    if let Some(event) = &filter.event {
        let seq = conn
            .prepare_cached("SELECT seq FROM events WHERE tenant_no = ? AND id = ?")?
            .query_row((tenant_no, event.as_str()), |row| row.get(0))
            .optional()?;
        let Some(seq) = seq else { return Ok(Paged { rows: Vec::new(), next: None }) };
        low = seq;
        high = high.min(DeliveryKey { seq, n: u16::MAX });
    }
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {} WHERE e.tenant_no = :tenant AND e.seq BETWEEN :low AND :high AND (e.seq, d.n) < (:high, :n)
           AND (:state IS NULL OR d.state BETWEEN :state AND :last_state) AND (:topic IS NULL OR e.topic = :topic)
           AND (:endpoint IS NULL OR p.id = :endpoint)
         ORDER BY e.seq DESC, d.n DESC",
        rows::DELIVERY
    ))?;
    // `n` counts below 65,536, so the last of an event is still before this.
    let n = i64::from(high.n) + i64::from(page.after.is_none() || high.n == u16::MAX);
    let states = filter.state.map(RowState::of);
    let mut found = statement.query(named_params! {
        ":tenant": tenant_no,
        ":low": low,
        ":high": high.seq,
        ":n": n,
        ":state": states.map(|(first, _)| first as i64),
        ":last_state": states.map(|(_, last)| last as i64),
        ":topic": filter.topic.as_ref().map(|topic| topic.as_str()),
        ":endpoint": filter.endpoint.map(|endpoint| *endpoint.uuid().as_bytes()),
    })?;
    let mut rows = Vec::new();
    let mut last = None;
    while let Some(row) = found.next()? {
        let key = rows::delivery_key(row)?;
        let delivery = rows::delivery(row, tenant, shared.leases().contains(key))?;
        // The row alone cannot tell scheduled, held and in flight apart.
        if !filter.admits(&delivery) {
            continue;
        }
        if rows.len() == page.limit as usize {
            return Ok(Paged { rows, next: last.map(Cursor) });
        }
        rows.push(delivery);
        last = Some(key.cursor());
    }
    Ok(Paged { rows, next: None })
}
