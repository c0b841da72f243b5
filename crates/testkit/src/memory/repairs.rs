use async_trait::async_trait;
use posthaste_model::{
    DeliveryId, DeliveryReason, DeliveryState, EndpointId, EndpointState, EventId, TenantId, Timestamp,
};
use posthaste_store::{Missing, Repairs, Result, Sent, StoreError};

use super::{
    MemoryStore,
    tables::{EventRow, RequestRow, Tables},
};

#[async_trait]
impl Repairs for MemoryStore {
    async fn retry(
        &self,
        tenant: &TenantId,
        delivery: DeliveryId,
        force: bool,
        now: Timestamp,
    ) -> Result<()> {
        let mut tables = self.tables();
        let delivery = number_of(&tables, tenant, delivery)?;
        let endpoint = tables.endpoint_of(tenant, tables.deliveries[&delivery].delivery.endpoint)?;
        if endpoint.state != EndpointState::Enabled && !force {
            return Err(StoreError::EndpointClosed(endpoint.state));
        }
        let number = tables.number();
        tables.requests.insert(number, RequestRow { delivery, force, asked_at: now });
        self.wake();
        Ok(())
    }

    async fn cancel(&self, tenant: &TenantId, delivery: DeliveryId, now: Timestamp) -> Result<()> {
        let mut tables = self.tables();
        let number = number_of(&tables, tenant, delivery)?;
        let row = tables.deliveries.get_mut(&number).ok_or(StoreError::NotFound(Missing::Delivery))?;
        if row.delivery.state.is_final() {
            return Err(StoreError::DeliveryOver(row.delivery.state));
        }
        row.end(DeliveryState::Cancelled, now);
        row.delivery.reason = Some(DeliveryReason::Operator);
        tables.requests.retain(|_, asked| asked.delivery != number);
        self.wake();
        Ok(())
    }

    async fn send(
        &self,
        tenant: &TenantId,
        event: &EventId,
        endpoint: EndpointId,
        now: Timestamp,
    ) -> Result<Sent> {
        let mut tables = self.tables();
        let number = tables.tenant(tenant)?;
        let own = |row: &EventRow| row.tenant == number && row.record.event.id == *event;
        let missing = StoreError::NotFound(Missing::Event);
        let event = *tables.events.iter().find(|(_, row)| own(row)).ok_or(missing)?.0;
        let state = tables.endpoint_of(tenant, endpoint)?.state;
        let mut rows = tables.deliveries.values().map(|row| (row.event, &row.delivery));
        if let Some((_, known)) = rows.find(|(of, known)| *of == event && known.endpoint == endpoint) {
            return Ok(Sent { delivery: known.id, created: false });
        }
        if state == EndpointState::Disabled {
            return Err(StoreError::EndpointClosed(state));
        }
        let known = tables.deliveries.values().filter(|row| row.event == event).count();
        if known >= usize::from(StoreError::MOST_DELIVERIES) {
            return Err(StoreError::TooManyDeliveries);
        }
        let delivery =
            tables.deliver(event, endpoint, now, now).ok_or(StoreError::NotFound(Missing::Event))?;
        self.wake();
        Ok(Sent { delivery, created: true })
    }
}

fn number_of(tables: &Tables, tenant: &TenantId, id: DeliveryId) -> Result<u64> {
    let number = tables.tenant(tenant)?;
    let mut own = tables.deliveries.iter().filter(|(_, row)| row.tenant == number);
    let found = own.find(|(_, row)| row.delivery.id == id);
    found.map(|(number, _)| *number).ok_or(StoreError::NotFound(Missing::Delivery))
}
