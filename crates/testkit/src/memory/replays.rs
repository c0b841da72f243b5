use async_trait::async_trait;
use posthaste_model::{DeliveryId, EndpointState, ReplayId, TenantId, Timestamp};
use posthaste_store::{
    EventRecord, Missing, Page, Paged, Partition, Reopened, Replay, ReplayState, Replays, Result, StoreError,
};

use super::{
    MemoryStore,
    tables::{DeliveryRow, EventRow, Tables, page},
};

#[async_trait]
impl Replays for MemoryStore {
    async fn reopen(
        &self,
        tenant: &TenantId,
        deliveries: Vec<DeliveryId>,
        over_before: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Vec<Reopened>> {
        let mut tables = self.tables();
        let number = tables.tenant(tenant)?;
        let reopened =
            deliveries.into_iter().map(|id| reopen(&mut tables, number, id, over_before, now)).collect();
        self.wake();
        Ok(reopened)
    }

    async fn create_replay(&self, replay: Replay) -> Result<()> {
        let mut tables = self.tables();
        tables.tenant(&replay.tenant)?;
        if tables.replays.values().any(|known| known.id == replay.id) {
            return Ok(());
        }
        let runs = |known: &&Replay| known.tenant == replay.tenant && known.state == ReplayState::Running;
        let running = tables.replays.values().filter(runs).count();
        if replay.state == ReplayState::Running && running >= Replay::MOST_RUNNING as usize {
            return Err(StoreError::TooManyReplays);
        }
        let number = tables.number();
        tables.replays.insert(number, replay);
        Ok(())
    }

    async fn replay(&self, tenant: &TenantId, id: ReplayId) -> Result<Replay> {
        let tables = self.tables();
        tables.tenant(tenant)?;
        let mut own = tables.replays.values().filter(|replay| replay.tenant == *tenant);
        own.find(|replay| replay.id == id).cloned().ok_or(StoreError::NotFound(Missing::Replay))
    }

    async fn replays(&self, tenant: Option<&TenantId>, wanted: Page) -> Result<Paged<Replay>> {
        let tables = self.tables();
        tenant.map(|tenant| tables.tenant(tenant)).transpose()?;
        let meant = |replay: &Replay| tenant.is_none_or(|tenant| replay.tenant == *tenant);
        let meant = tables.replays.iter().filter(|(_, replay)| meant(replay));
        page(meant.map(|(number, replay)| ((*number, 0), replay.clone())), &wanted)
    }

    async fn running_replays(&self, partition: Partition) -> Result<Vec<Replay>> {
        let tables = self.tables();
        let running = tables.replays.values().filter(|replay| replay.state == ReplayState::Running);
        Ok(running.filter(|replay| self.partition_of(&replay.tenant) == partition).cloned().collect())
    }

    async fn update_replay(&self, replay: Replay) -> Result<Replay> {
        let mut tables = self.tables();
        tables.tenant(&replay.tenant)?;
        let mut known = tables.replays.values_mut().filter(|known| known.tenant == replay.tenant);
        let missing = StoreError::NotFound(Missing::Replay);
        let known = known.find(|known| known.id == replay.id).ok_or(missing)?;
        if known.version != replay.version {
            return Err(StoreError::StaleReplay);
        }
        *known = Replay { version: replay.version + 1, ..replay };
        let changed = known.clone();
        if changed.state != ReplayState::Running {
            forget_oldest(&mut tables, &changed);
        }
        Ok(changed)
    }
}

/// Forgets the oldest replays that are over, but for those that are kept and the one that has just ended.
fn forget_oldest(tables: &mut Tables, ended: &Replay) {
    let others = tables.replays.iter().filter(|(_, replay)| {
        replay.tenant == ended.tenant && replay.state != ReplayState::Running && replay.id != ended.id
    });
    let forgotten: Vec<_> =
        others.map(|(number, _)| *number).rev().skip(Replay::MOST_OVER as usize - 1).collect();
    for number in forgotten {
        tables.replays.remove(&number);
    }
}

fn reopen(
    tables: &mut Tables,
    tenant: u64,
    id: DeliveryId,
    over_before: Option<Timestamp>,
    now: Timestamp,
) -> Reopened {
    let own = |row: &DeliveryRow| row.tenant == tenant && row.delivery.id == id;
    let Some((number, row)) = tables.deliveries.iter().find(|(_, row)| own(row)) else {
        return Reopened::Missing;
    };
    let (number, endpoint) = (*number, row.delivery.endpoint);
    if !row.delivery.state.is_final() {
        return Reopened::Open;
    }
    if tables.endpoint(endpoint).is_none_or(|endpoint| endpoint.state == EndpointState::Disabled) {
        return Reopened::Closed;
    }
    let Some(EventRow { record: EventRecord { event, .. }, .. }) = tables.events.get(&row.event) else {
        return Reopened::Missing;
    };
    let is_over_since = |before| row.delivery.completed_at.is_some_and(|at| at >= before);
    if over_before.is_some_and(|before| event.options.test || is_over_since(before)) {
        return Reopened::Open;
    }
    let (due_at, state) = (now.max(event.due_at()), tables.waiting_state(endpoint));
    let Some(row) = tables.deliveries.get_mut(&number) else { return Reopened::Missing };
    row.delivery.failures = 0;
    row.place(state, due_at, now);
    Reopened::Reopened
}
