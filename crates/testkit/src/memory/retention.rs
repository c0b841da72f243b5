use async_trait::async_trait;
use posthaste_model::{DeliveryState, Event, Period, Timestamp};
use posthaste_store::{Cursor, Partition, Pruned, Result, Retain, Retention};

use super::{
    MemoryStore,
    tables::{Tables, later, number},
};

#[async_trait]
impl Retention for MemoryStore {
    async fn prune(
        &self,
        partition: Partition,
        retain: Retain,
        now: Timestamp,
        from: Option<Cursor>,
        limit: u32,
    ) -> Result<Pruned> {
        let after = from.as_ref().map_or(Ok(0), number)?;
        let mut tables = self.tables();
        let own = tables.events.iter().filter(|(number, row)| {
            **number > after && self.partition_of(&row.record.event.tenant) == partition
        });
        let looked_at: Vec<u64> = own.map(|(number, _)| *number).take(limit as usize).collect();
        let over: Vec<u64> =
            looked_at.iter().copied().filter(|event| is_over(&tables, *event, retain, now)).collect();
        tables.events.retain(|event, _| !over.contains(event));
        tables.deliveries.retain(|_, row| !over.contains(&row.event));
        let last = looked_at.last().filter(|_| looked_at.len() == limit as usize);
        Ok(Pruned { removed: over.len() as u32, next: last.map(|n| Cursor(n.to_string())) })
    }
}

fn is_over(tables: &Tables, event: u64, retain: Retain, now: Timestamp) -> bool {
    let Event { accepted_at, options, .. } = &tables.events[&event].record.event;
    let mut ended = *accepted_at;
    let mut period = retain.delivered;
    for row in tables.deliveries.values().filter(|row| row.event == event) {
        let Some(completed_at) = row.delivery.completed_at else { return false };
        ended = ended.max(completed_at);
        if row.delivery.state != DeliveryState::Delivered {
            period = retain.failed;
        }
    }
    later(ended, options.retention.map_or(period, |Period(own)| own)) < now
}
