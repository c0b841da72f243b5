use std::{collections::BTreeMap, time::Duration};

use posthaste_model::{
    Attempt, Delivery, DeliveryState, Endpoint, EndpointId, EndpointState, Tenant, TenantId, Timestamp,
    Topic, TopicName,
};
use posthaste_store::{
    Cursor, Epoch, EventRecord, KeyId, LeaseId, Missing, Page, Paged, Partition, Result, StoreError,
};

/// What is stored. Rows have numbers that grow and are never used again, whatever they are of.
#[derive(Default)]
pub(super) struct Tables {
    last_number: u64,
    pub(super) tenants: BTreeMap<u64, TenantRow>,
    pub(super) topics: BTreeMap<TopicName, Topic>,
    pub(super) topics_version: u64,
    /// Those that are not deleted.
    pub(super) endpoints: BTreeMap<u64, EndpointRow>,
    pub(super) events: BTreeMap<u64, EventRow>,
    pub(super) deliveries: BTreeMap<u64, DeliveryRow>,
    pub(super) owners: BTreeMap<Partition, Owner>,
    /// Until when what was leased under a released epoch is spared. No two holds have the same epoch.
    pub(super) released: BTreeMap<Epoch, Timestamp>,
    /// Who drives partitions, and until when.
    pub(super) attending: BTreeMap<String, Timestamp>,
    pub(super) key: Option<KeyId>,
}

pub(super) struct TenantRow {
    pub(super) tenant: Tenant,
    /// Of its view.
    pub(super) version: u64,
}

pub(super) struct EndpointRow {
    pub(super) endpoint: Endpoint,
    /// When it last had a turn, and the number of that turn.
    pub(super) last_turn: Option<(Timestamp, u64)>,
}

pub(super) struct EventRow {
    /// The number of its tenant, who may have been deleted.
    pub(super) tenant: u64,
    pub(super) record: EventRecord,
}

pub(super) struct DeliveryRow {
    pub(super) tenant: u64,
    pub(super) event: u64,
    pub(super) delivery: Delivery,
    pub(super) attempts: Vec<Attempt>,
    /// Set exactly while it is in flight.
    pub(super) lease: Option<LiveLease>,
}

#[derive(Clone, Copy)]
pub(super) struct LiveLease {
    pub(super) id: LeaseId,
    pub(super) expires_at: Timestamp,
}

pub(super) struct Owner {
    pub(super) name: String,
    pub(super) epoch: Epoch,
    pub(super) until: Timestamp,
}

impl Tables {
    /// A number that nothing has.
    pub(super) fn number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    pub(super) fn tenant(&self, id: &TenantId) -> Result<u64> {
        let found = self.tenants.iter().find(|(_, row)| row.tenant.id == *id);
        found.map(|(number, _)| *number).ok_or(StoreError::NotFound(Missing::Tenant))
    }

    pub(super) fn endpoint(&self, id: EndpointId) -> Option<&Endpoint> {
        self.endpoints.values().map(|row| &row.endpoint).find(|endpoint| endpoint.id == id)
    }

    pub(super) fn endpoint_mut(&mut self, id: EndpointId) -> Option<&mut Endpoint> {
        self.endpoints.values_mut().map(|row| &mut row.endpoint).find(|endpoint| endpoint.id == id)
    }

    /// An endpoint of a tenant.
    pub(super) fn endpoint_of(&self, tenant: &TenantId, id: EndpointId) -> Result<&Endpoint> {
        let found = self.endpoint(id).filter(|endpoint| endpoint.tenant == *tenant);
        found.ok_or(StoreError::NotFound(Missing::Endpoint))
    }

    /// Makes the views of a tenant stale.
    pub(super) fn touch(&mut self, tenant: &TenantId) {
        let version = self.number();
        if let Some(row) = self.tenants.values_mut().find(|row| row.tenant.id == *tenant) {
            row.version = version;
        }
    }

    /// The state of a delivery that waits at an endpoint.
    pub(super) fn waiting_state(&self, endpoint: EndpointId) -> DeliveryState {
        match self.endpoint(endpoint).map(|endpoint| endpoint.state) {
            None => DeliveryState::Cancelled,
            Some(EndpointState::Disabled) => DeliveryState::Skipped,
            Some(EndpointState::Paused) => DeliveryState::Held,
            Some(EndpointState::Enabled) => DeliveryState::Scheduled,
        }
    }

    /// Brings what waits at an endpoint into the state that the endpoint gives it.
    pub(super) fn follow(&mut self, endpoint: EndpointId, now: Timestamp) {
        let state = self.waiting_state(endpoint);
        for row in self.deliveries.values_mut().filter(|row| row.delivery.endpoint == endpoint) {
            if let Some(due_at) = row.delivery.due_at {
                row.place(state, due_at, now);
            }
        }
    }
}

impl DeliveryRow {
    /// Moves it into a state that is not in flight: due at a time if it waits there, and over by `now` if not.
    pub(super) fn place(&mut self, state: DeliveryState, due_at: Timestamp, now: Timestamp) {
        self.lease = None;
        self.delivery.state = state;
        self.delivery.due_at = (!state.is_final()).then_some(due_at);
        self.delivery.completed_at = state.is_final().then_some(now);
    }

    /// Appends an attempt, unless it is known.
    pub(super) fn record(&mut self, attempt: &Attempt) {
        if self.attempts.iter().all(|known| known.id != attempt.id) {
            self.delivery.attempts += 1;
            self.attempts.push(Attempt { number: self.delivery.attempts, ..attempt.clone() });
        }
    }

    /// What an attempt that counts says about the delivery.
    pub(super) fn note(&mut self, attempt: &Attempt) {
        self.delivery.last_error = attempt.outcome.error();
        self.delivery.last_status = attempt.outcome.status().or(self.delivery.last_status);
    }
}

/// The partition of a tenant, of so many: FNV-1a of its id, counted round.
pub(super) fn partition_of(tenant: &TenantId, partitions: u16) -> Partition {
    let step = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    let hash = tenant.as_str().bytes().fold(0xcbf2_9ce4_8422_2325, step);
    Partition((hash % u64::from(partitions)) as u16)
}

/// The time `after` a time, or the end of all times.
pub(super) fn later(time: Timestamp, after: Duration) -> Timestamp {
    time.checked_add(after).unwrap_or(Timestamp::MAX)
}

/// The number that a cursor names.
pub(super) fn number(cursor: &Cursor) -> Result<u64> {
    cursor.0.parse().map_err(|_| StoreError::InvalidCursor)
}

/// A page of numbered rows, newest first.
pub(super) fn page<T>(rows: impl DoubleEndedIterator<Item = (u64, T)>, page: &Page) -> Result<Paged<T>> {
    let before = page.after.as_ref().map_or(Ok(u64::MAX), number)?;
    let mut left = rows.rev().filter(|(number, _)| *number < before).peekable();
    let (mut rows, mut last) = (Vec::new(), None);
    for (number, row) in left.by_ref().take(page.limit as usize) {
        rows.push(row);
        last = Some(Cursor(number.to_string()));
    }
    Ok(Paged { rows, next: last.filter(|_| left.peek().is_some()) })
}
