//! Searches events and deliveries, a bounded number in each call (`lua/search.lua`).

use async_trait::async_trait;
use posthaste_model::{
    Delivery, DeliveryState, EndpointId, ErrorClass, EventId, TenantId, Timestamp, TopicName,
};
use posthaste_store::{
    DeliveryFilter, EventFilter, EventRecord, Missing, Order, Partition, Result, StoreError,
};
use redis::Value;

use crate::{
    endpoints::time,
    envelope::{self, pack_id, read_id},
    layout::{DeliveryKey, millis, uuid},
    merge::{Found, Source, Window},
    place::Place,
    record::{self, Slot, error_code},
    reply::Reply,
    script::SEARCH,
    shown::show,
    store::RedisStore,
};

/// Which partitions are searched: that of a tenant, or all.
fn partitions(store: &RedisStore, tenant: Option<&TenantId>) -> Vec<Partition> {
    match tenant {
        Some(tenant) => vec![store.shared.layout.partition(tenant)],
        None => (0..store.shared.layout.partitions()).map(Partition).collect(),
    }
}

/// What the script is to find.
struct Wanted<'a> {
    tenant: Option<&'a TenantId>,
    list: &'static str,
    what: &'static str,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    topic: Option<&'a TopicName>,
    event: Option<&'a EventId>,
    endpoint: Option<EndpointId>,
    states: &'a [DeliveryState],
    failed: bool,
    status: Option<(u16, u16)>,
    error: Option<ErrorClass>,
}

/// How the script knows a state: by what records and places say.
fn state_codes(states: &[DeliveryState]) -> String {
    let code = |state: &DeliveryState| match state {
        DeliveryState::Scheduled => "q",
        DeliveryState::InFlight => "f",
        DeliveryState::Held => "h",
        DeliveryState::Delivered => "1",
        DeliveryState::Exhausted => "2",
        DeliveryState::Skipped => "3",
        DeliveryState::Cancelled => "45n",
    };
    states.iter().map(code).collect()
}

/// What it found: rows that are to be read, and how far it came.
struct Answer {
    rows: Vec<Value>,
    next: Place,
    over: bool,
    reached: Option<i64>,
    top: Option<Place>,
}

impl Wanted<'_> {
    async fn find(
        &self,
        store: &RedisStore,
        partition: Partition,
        order: Order,
        from: Place,
        (wanted, looked_at): (usize, usize),
    ) -> Result<Answer> {
        let order_code = match order {
            Order::NewestFirst => "n",
            Order::OldestFirst => "o",
        };
        // The end is the time itself if it is a whole millisecond, as those of events are.
        let bound = |time: Option<Timestamp>| {
            time.map_or_else(String::new, |time| {
                let whole = time.as_millisecond();
                let later = time.subsec_nanosecond() % 1_000_000 > 0;
                (whole + i64::from(later)).to_string()
            })
        };
        let event = self.event.map(pack_id).unwrap_or_default();
        let endpoint = self.endpoint.map(|id| id.uuid().into_bytes().to_vec()).unwrap_or_default();
        let answer = store
            .shared
            .desk
            .run(&SEARCH, store.shared.layout.base(partition), |call| {
                call.arg(self.tenant.map_or("", TenantId::as_str)).arg(self.list).arg(order_code);
                call.arg(from.number).arg(from.n).arg(wanted).arg(looked_at);
                call.arg(bound(self.since)).arg(bound(self.until));
                call.arg(self.topic.map_or("", TopicName::as_str)).arg(&event[..]).arg(&endpoint[..]);
                call.arg(self.what).arg(state_codes(self.states)).arg(u8::from(self.failed));
                match self.status {
                    Some((first, last)) => call.arg(first).arg(last),
                    None => call.arg("").arg(""),
                };
                match self.error {
                    Some(class) => call.arg(error_code(Some(class))),
                    None => call.arg(""),
                };
            })
            .await?;
        let mut reply = Reply::of(answer)?.ok_or(StoreError::NotFound(Missing::Tenant))?;
        let next = Place { number: reply.number()? as u64, n: reply.number()? as u32 };
        let reached = reply.maybe_number()?;
        let over = reply.number()? == 1;
        let top = reply.maybe_number()?.map(|first| Place { number: first as u64 + 1, n: 0 });
        Ok(Answer { rows: reply.rest().collect(), next, over, reached, top })
    }
}

impl Answer {
    fn window<T>(self, rows: Vec<Found<T>>) -> Window<T> {
        let Self { next, over, reached, top, .. } = self;
        Window { rows, next, over, reached, top }
    }
}

fn event_number(reply: &mut Reply) -> Result<u64> {
    u64::from_str_radix(&reply.text()?, 16).map_err(StoreError::damaged)
}

fn tenant_id(reply: &mut Reply) -> Result<TenantId> {
    reply.text()?.parse().map_err(StoreError::damaged)
}

/// Events, newest first.
pub(crate) struct Events<'a> {
    store: &'a RedisStore,
    partitions: Vec<Partition>,
    tenant: Option<&'a TenantId>,
    filter: &'a EventFilter,
}

impl<'a> Events<'a> {
    pub(crate) fn new(store: &'a RedisStore, tenant: Option<&'a TenantId>, filter: &'a EventFilter) -> Self {
        Self { store, partitions: partitions(store, tenant), tenant, filter }
    }
}

#[async_trait]
impl Source for Events<'_> {
    type Row = EventRecord;

    fn lists(&self) -> usize {
        self.partitions.len()
    }

    async fn window(
        &self,
        list: usize,
        from: Place,
        wanted: usize,
        looked_at: usize,
    ) -> Result<Window<EventRecord>> {
        let EventFilter { topic, unmatched, since, until } = self.filter;
        let search = Wanted {
            tenant: self.tenant,
            list: "e",
            what: if *unmatched { "u" } else { "e" },
            since: *since,
            until: *until,
            topic: topic.as_ref(),
            event: None,
            endpoint: None,
            states: &[],
            failed: false,
            status: None,
            error: None,
        };
        let mut answer = search
            .find(self.store, self.partitions[list], Order::NewestFirst, from, (wanted, looked_at))
            .await?;
        let mut rows = Vec::new();
        for row in std::mem::take(&mut answer.rows) {
            let mut row = Reply::items(row)?;
            let (number, tenant) = (event_number(&mut row)?, tenant_id(&mut row)?);
            let record = envelope::read(row.bytes()?, &tenant)?.record;
            if self.filter.admits(&record) {
                let behind = Place { number, n: 0 };
                rows.push(Found { behind, at: millis(record.event.accepted_at), row: record });
            }
        }
        Ok(answer.window(rows))
    }
}

/// Deliveries, in either order of their events.
pub(crate) struct Deliveries<'a> {
    store: &'a RedisStore,
    partitions: Vec<Partition>,
    tenant: Option<&'a TenantId>,
    filter: &'a DeliveryFilter,
    order: Order,
}

impl<'a> Deliveries<'a> {
    pub(crate) fn new(
        store: &'a RedisStore,
        tenant: Option<&'a TenantId>,
        filter: &'a DeliveryFilter,
        order: Order,
    ) -> Self {
        Self { store, partitions: partitions(store, tenant), tenant, filter, order }
    }

    /// All deliveries of the event that the filter names.
    async fn of_event(&self, tenant: &TenantId, event: &EventId, from: Place) -> Result<Window<Delivery>> {
        let found = self.store.event_with_deliveries(tenant, event).await?;
        let mut rows = Vec::new();
        if let Some(found) = &found {
            for n in 0..found.envelope.endpoints.len() as u16 {
                self.push(&mut rows, found.number, n, found.show(tenant, self.partitions[0], n)?, from);
            }
        }
        if self.order == Order::NewestFirst {
            rows.reverse();
        }
        Ok(Window { rows, next: from, over: true, reached: None, top: None })
    }

    fn push(&self, rows: &mut Vec<Found<Delivery>>, number: u64, n: u16, delivery: Delivery, from: Place) {
        let place = Place { number, n: n.into() };
        if from.is_before(self.order, place) && self.filter.admits(&delivery) {
            let behind = Place::behind(self.order, place);
            rows.push(Found { behind, at: millis(delivery.created_at), row: delivery });
        }
    }
}

#[async_trait]
impl Source for Deliveries<'_> {
    type Row = Delivery;

    fn lists(&self) -> usize {
        self.partitions.len()
    }

    async fn window(
        &self,
        list: usize,
        from: Place,
        wanted: usize,
        looked_at: usize,
    ) -> Result<Window<Delivery>> {
        let DeliveryFilter { states, endpoint, event, topic, status, error, failed, since, until } =
            self.filter;
        if let (Some(tenant), Some(event)) = (self.tenant, event) {
            return self.of_event(tenant, event, from).await;
        }
        let partition = self.partitions[list];
        let list = match (self.filter.wants_trouble(), endpoint) {
            (false, _) => "e",
            (true, None) => "t",
            (true, Some(_)) => "p",
        };
        let search = Wanted {
            tenant: self.tenant,
            list,
            what: "d",
            since: *since,
            until: *until,
            topic: topic.as_ref(),
            event: event.as_ref(),
            endpoint: *endpoint,
            states,
            failed: *failed,
            status: *status,
            error: *error,
        };
        let mut answer = search.find(self.store, partition, self.order, from, (wanted, looked_at)).await?;
        let mut rows = Vec::new();
        for row in std::mem::take(&mut answer.rows) {
            let mut row = Reply::items(row)?;
            let (event, tenant) = (event_number(&mut row)?, tenant_id(&mut row)?);
            let created_at = time(row.number()?)?;
            let id = read_id(&row.bytes()?)?;
            let topic: TopicName = row.text()?.parse().map_err(StoreError::damaged)?;
            while !row.is_over() {
                let n = u16::try_from(row.number()?).map_err(StoreError::damaged)?;
                let endpoint = EndpointId::from_uuid(uuid(&row.bytes()?).map_err(StoreError::damaged)?);
                let slot = row.bytes()?;
                let slot = if slot.is_empty() { Slot::default() } else { record::read_slot(&slot)? };
                let key = DeliveryKey { partition, event, n };
                let about = (key, &tenant, &id, &topic, endpoint, created_at);
                self.push(&mut rows, event, n, show(about, &slot, &row.text()?)?, from);
            }
        }
        Ok(answer.window(rows))
    }
}
