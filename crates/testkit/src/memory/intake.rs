use std::sync::Arc;

use async_trait::async_trait;
use posthaste_model::{Delivery, DeliveryId, DeliveryState, Event, EventId, TenantId};
use posthaste_store::{Accepted, EventRecord, Intake, NewEvent, Result, StoreError, TenantView, ViewVersion};

use super::{
    MemoryStore,
    tables::{DeliveryRow, EventRow, Tables},
};

#[async_trait]
impl Intake for MemoryStore {
    async fn view(&self, tenant: &TenantId) -> Result<Arc<TenantView>> {
        let tables = self.tables();
        let own = tables.endpoints.values().filter(|row| row.endpoint.tenant == *tenant);
        let topics = tables.topics.values().map(|topic| (topic.name.clone(), !topic.archived));
        Ok(Arc::new(TenantView {
            version: version(&tables, tenant)?,
            endpoints: own.map(|row| Arc::new(row.endpoint.clone())).collect(),
            topics: Arc::new(topics.collect()),
        }))
    }

    async fn accept(
        &self,
        tenant: &TenantId,
        matched_against: ViewVersion,
        events: Vec<NewEvent>,
    ) -> Result<Vec<Accepted>> {
        let mut tables = self.tables();
        if version(&tables, tenant)? != matched_against {
            return Err(StoreError::StaleView);
        }
        let number = tables.tenant(tenant)?;
        check(&tables, number, &events)?;
        let accepted = events.into_iter().map(|new| accept(&mut tables, number, new)).collect();
        self.wake();
        Ok(accepted)
    }
}

fn version(tables: &Tables, tenant: &TenantId) -> Result<ViewVersion> {
    let tenant = tables.tenants[&tables.tenant(tenant)?].version;
    Ok(ViewVersion { tenant, topics: tables.topics_version })
}

fn known<'a>(tables: &'a Tables, tenant: u64, id: &EventId) -> Option<&'a EventRecord> {
    let mut own = tables.events.values().filter(|row| row.tenant == tenant).map(|row| &row.record);
    own.find(|record| record.event.id == *id)
}

/// Whether every event of a batch can be accepted.
fn check(tables: &Tables, tenant: u64, events: &[NewEvent]) -> Result<()> {
    for (n, NewEvent { event, endpoints }) in events.iter().enumerate() {
        let before = known(tables, tenant, &event.id).map(|record| &record.event);
        let earlier = events[..n].iter().map(|new| &new.event).filter(|earlier| earlier.id == event.id);
        if before.into_iter().chain(earlier).any(|other| !same(other, event)) {
            return Err(StoreError::EventConflict { event: event.id.clone() });
        }
        for endpoint in endpoints {
            tables.endpoint_of(&tables.tenants[&tenant].tenant.id, *endpoint)?;
        }
    }
    Ok(())
}

fn same(one: &Event, other: &Event) -> bool {
    one.topic == other.topic && one.payload == other.payload
}

fn accept(tables: &mut Tables, tenant: u64, NewEvent { event, endpoints }: NewEvent) -> Accepted {
    if let Some(before) = known(tables, tenant, &event.id) {
        return Accepted { id: event.id, deliveries: before.deliveries, duplicate: true };
    }
    let event_number = tables.number();
    for endpoint in &endpoints {
        let number = tables.number();
        let mut random = [0; 10];
        random[2..].copy_from_slice(&number.to_be_bytes());
        let delivery = Delivery {
            id: DeliveryId::mint(event.accepted_at, random),
            tenant: event.tenant.clone(),
            event: event.id.clone(),
            topic: event.topic.clone(),
            endpoint: *endpoint,
            state: DeliveryState::Scheduled,
            attempts: 0,
            failures: 0,
            due_at: None,
            last_status: None,
            last_error: None,
            created_at: event.accepted_at,
            completed_at: None,
        };
        let mut row =
            DeliveryRow { tenant, event: event_number, delivery, attempts: Vec::new(), lease: None };
        row.place(tables.waiting_state(*endpoint), event.accepted_at, event.accepted_at);
        tables.deliveries.insert(number, row);
    }
    let accepted = Accepted { id: event.id.clone(), deliveries: endpoints.len() as u32, duplicate: false };
    let record = EventRecord { event, deliveries: accepted.deliveries };
    tables.events.insert(event_number, EventRow { tenant, record });
    accepted
}
