use std::sync::Arc;

use async_trait::async_trait;
use posthaste_model::{Event, EventId, TenantId, Timestamp};
use posthaste_store::{Accepted, EventRecord, Intake, NewEvent, Result, StoreError, TenantView, ViewVersion};

use super::{
    MemoryStore,
    tables::{EventRow, Tables},
};

#[async_trait]
impl Intake for MemoryStore {
    async fn view(&self, tenant: &TenantId) -> Result<Arc<TenantView>> {
        let tables = self.tables();
        let own = tables.endpoints.values().filter(|row| row.endpoint.tenant == *tenant);
        let topics = tables.topics.values().map(|topic| (topic.name.clone(), Arc::new(topic.clone())));
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

fn known<'a>(tables: &'a Tables, tenant: u64, id: &EventId) -> Option<&'a EventRow> {
    tables.events.values().find(|row| row.tenant == tenant && row.record.event.id == *id)
}

/// Whether every event of a batch can be accepted.
fn check(tables: &Tables, tenant: u64, events: &[NewEvent]) -> Result<()> {
    for (n, NewEvent { event, endpoints }) in events.iter().enumerate() {
        let before = known(tables, tenant, &event.id).map(|row| &row.record.event);
        let earlier = events[..n].iter().map(|new| &new.event).filter(|earlier| earlier.id == event.id);
        if before.into_iter().chain(earlier).any(|other| !same(other, event)) {
            return Err(StoreError::EventConflict { event: event.id.clone() });
        }
        if endpoints.len() > usize::from(StoreError::MOST_DELIVERIES) {
            return Err(StoreError::TooManyDeliveries);
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
        return Accepted { id: event.id.clone(), deliveries: before.matched, duplicate: true };
    }
    let matched = endpoints.len() as u32;
    let accepted = Accepted { id: event.id.clone(), deliveries: matched, duplicate: false };
    let (due_at, accepted_at, place) = (event.due_at(), event.accepted_at, place(tables, tenant, &event));
    let number = tables.number();
    let record = EventRecord { event, deliveries: 0 };
    tables.events.insert(number, EventRow { tenant, record, matched, place });
    for endpoint in endpoints {
        tables.deliver(number, endpoint, due_at, accepted_at);
    }
    accepted
}

/// The place of an event that is accepted now: its time if it has one, and else behind all that were accepted before,
/// whatever the clocks of those who accepted them said.
fn place(tables: &Tables, tenant: u64, event: &Event) -> Timestamp {
    if event.options.deliver_at.is_some() {
        return event.due_at();
    }
    let own = tables.events.values().filter(|row| row.tenant == tenant);
    let at_once = own.filter(|row| row.record.event.options.deliver_at.is_none());
    at_once.map(|row| row.place).max().map_or(event.accepted_at, |last| last.max(event.accepted_at))
}
