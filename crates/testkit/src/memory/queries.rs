use std::collections::BTreeMap;

use async_trait::async_trait;
use posthaste_model::{Attempt, Delivery, DeliveryId, EventId, TenantId};
use posthaste_store::{DeliveryFilter, EventRecord, Missing, Page, Paged, Queries, Result, StoreError};

use super::{
    MemoryStore,
    tables::{DeliveryRow, Tables, page},
};

#[async_trait]
impl Queries for MemoryStore {
    async fn event(&self, tenant: &TenantId, id: &EventId) -> Result<EventRecord> {
        let tables = self.tables();
        let number = tables.tenant(tenant)?;
        let mut own = tables.events.values().filter(|row| row.tenant == number).map(|row| &row.record);
        own.find(|record| record.event.id == *id).cloned().ok_or(StoreError::NotFound(Missing::Event))
    }

    async fn events(&self, tenant: &TenantId, wanted: Page) -> Result<Paged<EventRecord>> {
        let tables = self.tables();
        let number = tables.tenant(tenant)?;
        let own = tables.events.iter().filter(|(_, row)| row.tenant == number);
        page(own.map(|(number, row)| ((*number, 0), row.record.clone())), &wanted)
    }

    async fn delivery(&self, tenant: &TenantId, id: DeliveryId) -> Result<Delivery> {
        Ok(row(&self.tables(), tenant, id)?.delivery.clone())
    }

    async fn deliveries(
        &self,
        tenant: &TenantId,
        filter: DeliveryFilter,
        wanted: Page,
    ) -> Result<Paged<Delivery>> {
        let tables = self.tables();
        let number = tables.tenant(tenant)?;
        let own = tables.deliveries.iter().filter(|(_, row)| row.tenant == number);
        let meets = own.filter(|(_, row)| filter.admits(&row.delivery));
        // A delivery that was made later than its event stands with the others of it.
        let rows: BTreeMap<_, _> =
            meets.map(|(number, row)| ((row.event, *number), row.delivery.clone())).collect();
        page(rows.into_iter(), &wanted)
    }

    async fn attempts(&self, tenant: &TenantId, delivery: DeliveryId) -> Result<Vec<Attempt>> {
        Ok(row(&self.tables(), tenant, delivery)?.attempts.clone())
    }
}

fn row<'a>(tables: &'a Tables, tenant: &TenantId, id: DeliveryId) -> Result<&'a DeliveryRow> {
    let number = tables.tenant(tenant)?;
    let mut own = tables.deliveries.values().filter(|row| row.tenant == number);
    own.find(|row| row.delivery.id == id).ok_or(StoreError::NotFound(Missing::Delivery))
}
