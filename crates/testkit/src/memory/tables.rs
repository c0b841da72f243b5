use std::{collections::BTreeMap, time::Duration};

use posthaste_model::{
    ApiKey, Attempt, AuditEntry, Counts, Delivery, DeliveryId, DeliveryReason, DeliveryState, Endpoint,
    EndpointId, EndpointState, Event, Tenant, TenantId, Timestamp, Topic, TopicName,
};
use posthaste_store::{
    Cursor, Epoch, EventRecord, KeyDigest, KeyId, LeaseId, Missing, Notice, Order, Page, Paged, Partition,
    Replay, Result, StoreError, Stretch, Subject, Throttle,
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
    /// Manual attempts that were asked for and are not leased yet.
    pub(super) requests: BTreeMap<u64, RequestRow>,
    pub(super) notices: Vec<Notice>,
    pub(super) replays: BTreeMap<u64, Replay>,
    pub(super) keys: BTreeMap<u64, (ApiKey, KeyDigest)>,
    /// In the order in which they came.
    pub(super) audit: Vec<AuditEntry>,
    /// What was counted, by when the stretch began in Unix milliseconds.
    pub(super) counts: BTreeMap<(Subject, Stretch, i64), Counts>,
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
    /// What the owner of its partition said last, under which epoch.
    pub(super) throttle: Option<(Epoch, Throttle)>,
}

pub(super) struct EventRow {
    /// The number of its tenant, who may have been deleted.
    pub(super) tenant: u64,
    pub(super) record: EventRecord,
    /// How many deliveries were made of it when it was accepted.
    pub(super) matched: u32,
    /// Where its deliveries stand at an ordered endpoint; of two at the same time the one that was accepted first.
    pub(super) place: Timestamp,
}

pub(super) struct DeliveryRow {
    pub(super) tenant: u64,
    pub(super) event: u64,
    pub(super) delivery: Delivery,
    pub(super) attempts: Vec<Attempt>,
    /// Set exactly while it is in flight.
    pub(super) lease: Option<LiveLease>,
    /// Those of its manual attempts, whatever its state.
    pub(super) manual: Vec<LiveLease>,
    /// Those that ended while their requests were under way.
    pub(super) given_up: Vec<LiveLease>,
}

pub(super) struct RequestRow {
    /// The number of the delivery, which may have been removed since.
    pub(super) delivery: u64,
    pub(super) force: bool,
    pub(super) asked_at: Timestamp,
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

    /// Makes a delivery of a stored event.
    pub(super) fn deliver(
        &mut self,
        event: u64,
        endpoint: EndpointId,
        due_at: Timestamp,
        now: Timestamp,
    ) -> Option<DeliveryId> {
        let (number, state) = (self.number(), self.waiting_state(endpoint));
        let mut random = [0; 10];
        random[2..].copy_from_slice(&number.to_be_bytes());
        let EventRow { tenant, record, .. } = self.events.get_mut(&event)?;
        record.deliveries += 1;
        let Event { id, topic, accepted_at, .. } = &record.event;
        let delivery = Delivery {
            id: DeliveryId::mint(*accepted_at, random),
            tenant: record.event.tenant.clone(),
            event: id.clone(),
            topic: topic.clone(),
            endpoint,
            state,
            reason: None,
            attempts: 0,
            failures: 0,
            due_at: None,
            last_status: None,
            last_error: None,
            created_at: *accepted_at,
            completed_at: None,
        };
        let id = delivery.id;
        let mut row = DeliveryRow {
            tenant: *tenant,
            event,
            delivery,
            attempts: Vec::new(),
            lease: None,
            manual: Vec::new(),
            given_up: Vec::new(),
        };
        row.place(state, due_at, now);
        self.deliveries.insert(number, row);
        Some(id)
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
        self.delivery.reason = match state {
            DeliveryState::Held => Some(DeliveryReason::EndpointPaused),
            DeliveryState::Skipped => Some(DeliveryReason::EndpointDisabled),
            DeliveryState::Cancelled => Some(DeliveryReason::EndpointDeleted),
            _ => None,
        };
        self.delivery.due_at = (!state.is_final()).then_some(due_at);
        self.delivery.completed_at = state.is_final().then_some(now);
    }

    /// Brings it into a final state, whatever it was before. If it is in flight, what comes of the request is only recorded.
    pub(super) fn end(&mut self, state: DeliveryState, now: Timestamp) {
        self.given_up.extend(self.lease.take());
        self.place(state, now, now);
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

/// A page of rows with keys that tell their order, newest first.
pub(super) fn page<T>(
    rows: impl DoubleEndedIterator<Item = ((u64, u64), T)>,
    page: &Page,
) -> Result<Paged<T>> {
    page_in(Order::NewestFirst, rows, page)
}

/// A page of rows with keys that grow.
pub(super) fn page_in<T>(
    order: Order,
    rows: impl DoubleEndedIterator<Item = ((u64, u64), T)>,
    page: &Page,
) -> Result<Paged<T>> {
    let from = page.after.as_ref().map(key).transpose()?;
    let mut rows: Box<dyn Iterator<Item = _>> = match order {
        Order::NewestFirst => Box::new(rows.rev()),
        Order::OldestFirst => Box::new(rows),
    };
    let is_left = |key: (u64, u64)| match (from, order) {
        (None, _) => true,
        (Some(from), Order::NewestFirst) => key < from,
        (Some(from), Order::OldestFirst) => key > from,
    };
    let mut left = rows.by_ref().filter(|(key, _)| is_left(*key)).peekable();
    let (mut rows, mut last) = (Vec::new(), None);
    for ((first, second), row) in left.by_ref().take(page.limit as usize) {
        rows.push(row);
        last = Some(Cursor(format!("{first}.{second}")));
    }
    Ok(Paged { rows, next: last.filter(|_| left.peek().is_some()) })
}

/// The key that a cursor of a page names.
fn key(cursor: &Cursor) -> Result<(u64, u64)> {
    let (first, second) = cursor.0.split_once('.').ok_or(StoreError::InvalidCursor)?;
    let parse = |number: &str| number.parse().map_err(|_| StoreError::InvalidCursor);
    Ok((parse(first)?, parse(second)?))
}
