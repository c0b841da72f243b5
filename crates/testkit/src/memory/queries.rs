use std::collections::BTreeMap;

use async_trait::async_trait;
use posthaste_model::{Attempt, Delivery, DeliveryId, DeliveryState, EventId, TenantId, Timestamp};
use posthaste_store::{
    Backlog, DeliveryFilter, EventFilter, EventRecord, Missing, Order, Page, Paged, Queries, Result, Scope,
    StoreError,
};

use super::{
    MemoryStore,
    tables::{DeliveryRow, Tables, page, page_in},
};

#[async_trait]
impl Queries for MemoryStore {
    async fn event(&self, tenant: &TenantId, id: &EventId) -> Result<EventRecord> {
        let tables = self.tables();
        let number = tables.tenant(tenant)?;
        let mut own = tables.events.values().filter(|row| row.tenant == number).map(|row| &row.record);
        own.find(|record| record.event.id == *id).cloned().ok_or(StoreError::NotFound(Missing::Event))
    }

    async fn events(
        &self,
        tenant: Option<&TenantId>,
        filter: EventFilter,
        wanted: Page,
    ) -> Result<Paged<EventRecord>> {
        let tables = self.tables();
        let is_meant = meant(&tables, tenant)?;
        let meant = tables.events.iter().filter(|(_, row)| is_meant(row.tenant));
        let meets = meant.filter(|(_, row)| filter.admits(&row.record));
        page(meets.map(|(number, row)| ((*number, 0), row.record.clone())), &wanted)
    }

    async fn delivery(&self, tenant: &TenantId, id: DeliveryId) -> Result<Delivery> {
        Ok(row(&self.tables(), tenant, id)?.delivery.clone())
    }

    async fn deliveries(
        &self,
        tenant: Option<&TenantId>,
        filter: DeliveryFilter,
        order: Order,
        wanted: Page,
    ) -> Result<Paged<Delivery>> {
        let tables = self.tables();
        let is_meant = meant(&tables, tenant)?;
        let meant = tables.deliveries.iter().filter(|(_, row)| is_meant(row.tenant));
        let meets = meant.filter(|(_, row)| filter.admits(&row.delivery));
        // A delivery that was made later than its event stands with the others of it.
        let rows: BTreeMap<_, _> =
            meets.map(|(number, row)| ((row.event, *number), row.delivery.clone())).collect();
        page_in(order, rows.into_iter(), &wanted)
    }

    async fn attempts(&self, tenant: &TenantId, delivery: DeliveryId) -> Result<Vec<Attempt>> {
        Ok(row(&self.tables(), tenant, delivery)?.attempts.clone())
    }

    async fn backlog(&self, of: Scope, now: Timestamp) -> Result<Backlog> {
        let tables = self.tables();
        match &of {
            Scope::All => {}
            Scope::Tenant(tenant) => drop(tables.tenant(tenant)?),
            Scope::Endpoint(tenant, endpoint) => drop(tables.endpoint_of(tenant, *endpoint)?.id),
        }
        let of_it = |delivery: &&Delivery| match &of {
            Scope::All => true,
            Scope::Tenant(tenant) => delivery.tenant == *tenant,
            Scope::Endpoint(_, endpoint) => delivery.endpoint == *endpoint,
        };
        let own = tables.deliveries.values().map(|row| &row.delivery).filter(of_it);
        // What is in flight outlives its endpoint.
        let open: Vec<_> = own
            .filter(|delivery| !delivery.state.is_final() && tables.endpoint(delivery.endpoint).is_some())
            .collect();
        let in_state = |state| open.iter().filter(move |delivery| delivery.state == state);
        let due = in_state(DeliveryState::Scheduled).filter_map(|delivery| delivery.due_at);
        Ok(Backlog {
            open: (open.len() as u64).min(Backlog::MOST),
            more: open.len() as u64 > Backlog::MOST,
            in_flight: (in_state(DeliveryState::InFlight).count() as u64).min(Backlog::MOST),
            oldest_due: due.filter(|due| *due <= now).min(),
        })
    }
}

/// Which rows are meant, by the number of their tenant: those of one, or of all that are not deleted.
fn meant<'a>(tables: &'a Tables, tenant: Option<&TenantId>) -> Result<impl Fn(u64) -> bool + 'a> {
    let only = tenant.map(|tenant| tables.tenant(tenant)).transpose()?;
    Ok(move |number: u64| only.map_or_else(|| tables.tenants.contains_key(&number), |only| only == number))
}

fn row<'a>(tables: &'a Tables, tenant: &TenantId, id: DeliveryId) -> Result<&'a DeliveryRow> {
    let number = tables.tenant(tenant)?;
    let mut own = tables.deliveries.values().filter(|row| row.tenant == number);
    own.find(|row| row.delivery.id == id).ok_or(StoreError::NotFound(Missing::Delivery))
}
