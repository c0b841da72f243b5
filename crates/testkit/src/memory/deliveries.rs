use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use posthaste_model::{
    Attempt, AttemptId, DeliveryState, EndpointEffect, EndpointId, EndpointState, Next, TenantId, Timestamp,
};
use posthaste_store::{
    Deliveries, Epoch, Lease, LeaseId, LeaseRequest, Leases, Partition, Recovered, Result, Settled,
    Settlement, StoreError,
};

use super::{
    MemoryStore,
    tables::{LiveLease, Owner, Tables, later},
};

#[async_trait]
impl Deliveries for MemoryStore {
    fn partitions(&self) -> u16 {
        self.woken.len() as u16
    }

    async fn claim(
        &self,
        partition: Partition,
        owner: &str,
        now: Timestamp,
        ttl: Duration,
    ) -> Result<Option<Epoch>> {
        let mut tables = self.tables();
        if tables.owners.get(&partition).is_some_and(|held| held.name != owner && now < held.until) {
            return Ok(None);
        }
        let epoch = Epoch(tables.number());
        let owner = Owner { name: owner.to_owned(), epoch, until: later(now, ttl) };
        tables.owners.insert(partition, owner);
        Ok(Some(epoch))
    }

    async fn renew(&self, partition: Partition, epoch: Epoch, now: Timestamp, ttl: Duration) -> Result<()> {
        owner(&mut self.tables(), partition, epoch)?.until = later(now, ttl);
        Ok(())
    }

    async fn attend(&self, owner: &str, now: Timestamp, ttl: Duration) -> Result<Vec<String>> {
        let mut tables = self.tables();
        tables.attending.insert(owner.to_owned(), later(now, ttl));
        tables.attending.retain(|_, until| now < *until);
        Ok(tables.attending.keys().cloned().collect())
    }

    async fn release(&self, partition: Partition, epoch: Epoch, until: Timestamp) -> Result<()> {
        let mut tables = self.tables();
        if owner(&mut tables, partition, epoch).is_ok() {
            tables.owners.remove(&partition);
        }
        tables.released.insert(epoch, until);
        Ok(())
    }

    async fn recover(&self, partition: Partition, epoch: Epoch, now: Timestamp) -> Result<Recovered> {
        let mut tables = self.tables();
        owner(&mut tables, partition, epoch)?;
        let interrupted = recover(&mut tables, |tenant| self.partition_of(tenant) == partition, epoch, now);
        self.wake();
        Ok(Recovered { interrupted })
    }

    async fn lease(&self, request: LeaseRequest) -> Result<Leases> {
        let mut tables = self.tables();
        owner(&mut tables, request.partition, request.epoch)?;
        Ok(lease(&mut tables, |tenant| self.partition_of(tenant) == request.partition, &request))
    }

    async fn settle(&self, settlements: Arc<[Settlement]>) -> Result<Vec<Settled>> {
        let mut tables = self.tables();
        let settled = settlements.iter().map(|settlement| settle(&mut tables, settlement)).collect();
        self.wake();
        Ok(settled)
    }

    async fn park(&self, tenant: &TenantId, endpoint: EndpointId, until: Timestamp) -> Result<()> {
        let mut tables = self.tables();
        tables.endpoint_of(tenant, endpoint)?;
        park(&mut tables, endpoint, until);
        Ok(())
    }

    async fn woken(&self, partition: Partition) {
        self.woken[usize::from(partition.0)].notified().await;
    }
}

fn owner(tables: &mut Tables, partition: Partition, epoch: Epoch) -> Result<&mut Owner> {
    tables.owners.get_mut(&partition).filter(|owner| owner.epoch == epoch).ok_or(StoreError::NotOwner)
}

/// When each scheduled delivery of certain tenants can be leased, as far as time decides: endpoint, when, due when,
/// delivery.
fn ready(
    tables: &Tables,
    of: impl Fn(&TenantId) -> bool,
) -> impl Iterator<Item = (u64, Timestamp, Timestamp, u64)> {
    let endpoints = tables.endpoints.iter().filter(move |(_, row)| of(&row.endpoint.tenant));
    endpoints.flat_map(move |(endpoint, row)| {
        let own = tables.deliveries.iter().filter(|(_, d)| d.delivery.endpoint == row.endpoint.id);
        let scheduled = own.filter(|(_, d)| d.delivery.state == DeliveryState::Scheduled);
        scheduled.filter_map(|(number, d)| {
            let due_at = d.delivery.due_at?;
            Some((*endpoint, row.endpoint.parked_until.map_or(due_at, |t| t.max(due_at)), due_at, *number))
        })
    })
}

fn lease(tables: &mut Tables, of: impl Fn(&TenantId) -> bool, request: &LeaseRequest) -> Leases {
    let mut due: Vec<_> = ready(tables, &of).filter(|(_, ready_at, ..)| *ready_at <= request.now).collect();
    due.sort_by_key(|&(_, _, due_at, number)| (due_at, number));
    let mut queues: BTreeMap<u64, VecDeque<(Timestamp, u64)>> = BTreeMap::new();
    for (endpoint, ready_at, _, delivery) in due {
        queues.entry(endpoint).or_default().push_back((ready_at, delivery));
    }
    let mut leases = Vec::new();
    while leases.len() < request.limit {
        // Since when an endpoint has waited: since something can be leased, or since its last turn.
        let waiting_since = |(endpoint, queue): (&u64, &VecDeque<(Timestamp, u64)>)| {
            let (ready_at, _) = queue.front()?;
            let turn = tables.endpoints[endpoint].last_turn;
            Some((turn.map_or(*ready_at, |(at, _)| at.max(*ready_at)), turn.map(|(_, turn)| turn), *endpoint))
        };
        let Some((_, _, endpoint)) = queues.iter().filter_map(waiting_since).min() else { break };
        let turn = tables.number();
        if let Some(row) = tables.endpoints.get_mut(&endpoint) {
            row.last_turn = Some((request.now, turn));
        }
        let room = request.per_endpoint.min(request.limit - leases.len());
        let queue = queues.entry(endpoint).or_default();
        let given = queue.drain(..room.min(queue.len()));
        leases.extend(given.filter_map(|(_, delivery)| lease_one(tables, delivery, request)));
    }
    Leases { leases, next_due: ready(tables, &of).map(|(_, ready_at, ..)| ready_at).min() }
}

fn lease_one(tables: &mut Tables, number: u64, request: &LeaseRequest) -> Option<Lease> {
    let id = LeaseId { epoch: request.epoch, number: tables.number() };
    let endpoint = Arc::new(tables.endpoint(tables.deliveries[&number].delivery.endpoint)?.clone());
    let row = tables.deliveries.get_mut(&number)?;
    row.lease = Some(LiveLease { id, expires_at: later(request.now, request.lease_for) });
    row.delivery.state = DeliveryState::InFlight;
    Some(Lease {
        id,
        delivery: row.delivery.id,
        event: Arc::new(tables.events[&row.event].record.event.clone()),
        endpoint,
        attempt: row.delivery.attempts + 1,
        failures: row.delivery.failures,
        due_at: row.delivery.due_at.take()?,
    })
}

fn settle(tables: &mut Tables, settlement: &Settlement) -> Settled {
    let Settlement { lease, delivery, attempt, decision, now } = settlement;
    let Some(row) = tables.deliveries.values_mut().find(|row| row.delivery.id == *delivery) else {
        return Settled::Stale;
    };
    let endpoint = row.delivery.endpoint;
    let live = row.lease.is_some_and(|live| live.id == *lease);
    if let Some(attempt) = attempt {
        row.record(attempt);
    }
    if !live {
        return Settled::Stale;
    }
    if let Some(attempt) = attempt {
        row.note(attempt);
        let charged = match decision.next {
            Next::Delivered | Next::Release { .. } => 0,
            Next::Retry { .. } | Next::Exhausted | Next::Skipped => 1,
        };
        row.delivery.failures += charged;
    }
    match &decision.endpoint {
        None => {}
        Some(EndpointEffect::Park { until }) => park(tables, endpoint, *until),
        Some(EndpointEffect::Disable { reason }) => disable(tables, endpoint, reason, *now),
    }
    let (state, due_at) = match decision.next {
        Next::Delivered => (DeliveryState::Delivered, *now),
        Next::Exhausted => (DeliveryState::Exhausted, *now),
        Next::Skipped => (DeliveryState::Skipped, *now),
        Next::Retry { at } | Next::Release { at } => (tables.waiting_state(endpoint), at),
    };
    if let Some(row) = tables.deliveries.values_mut().find(|row| row.delivery.id == *delivery) {
        row.place(state, due_at, *now);
    }
    Settled::Applied
}

fn park(tables: &mut Tables, endpoint: EndpointId, until: Timestamp) {
    if let Some(endpoint) = tables.endpoint_mut(endpoint) {
        endpoint.parked_until = endpoint.parked_until.max(Some(until));
    }
}

fn disable(tables: &mut Tables, id: EndpointId, reason: &str, now: Timestamp) {
    let Some(endpoint) = tables.endpoint_mut(id).filter(|e| e.state != EndpointState::Disabled) else {
        return;
    };
    endpoint.state = EndpointState::Disabled;
    endpoint.state_reason = Some(reason.to_owned());
    endpoint.version += 1;
    endpoint.updated_at = now;
    let tenant = endpoint.tenant.clone();
    tables.follow(id, now);
    tables.touch(&tenant);
}

fn recover(tables: &mut Tables, of: impl Fn(&TenantId) -> bool, epoch: Epoch, now: Timestamp) -> u64 {
    let spared = |epoch| tables.released.get(&epoch).is_some_and(|until| now < *until);
    let left_behind =
        |live: LiveLease| live.expires_at <= now || (live.id.epoch < epoch && !spared(live.id.epoch));
    let own = tables.deliveries.iter().filter(|(_, row)| of(&row.delivery.tenant));
    let rows = own.filter(|(_, row)| row.lease.is_some_and(left_behind));
    let numbers: Vec<u64> = rows.map(|(number, _)| *number).collect();
    for number in &numbers {
        let state = tables.waiting_state(tables.deliveries[number].delivery.endpoint);
        // Not to be mistaken for one that a test made from a number.
        let mut random = [0xff; 10];
        random[2..].copy_from_slice(&tables.number().to_be_bytes());
        let unknown = Attempt::interrupted(AttemptId::mint(now, random), now);
        if let Some(row) = tables.deliveries.get_mut(number) {
            row.record(&unknown);
            row.note(&unknown);
            row.place(state, now, now);
        }
    }
    numbers.len() as u64
}
