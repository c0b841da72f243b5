use async_trait::async_trait;
use bytes::Bytes;
use posthaste_model::{
    Attempt, Delivery, DeliveryId, DeliveryReason, DeliveryState, EventId, TenantId, Timestamp,
};
use posthaste_store::{DeliveryFilter, EventRecord, Missing, Page, Paged, Queries, Result, StoreError};
use redis::Cmd;

use crate::{
    endpoints::time,
    envelope::{self, Envelope, pack_id},
    layout::{DeliveryKey, event_name},
    page::{numbered, place},
    record::{self, End, end},
    reply::Reply,
    script::EVENTS,
    store::RedisStore,
};

/// How many events a search looks at in one call.
const WINDOW: usize = 64;

/// An event with what became of its deliveries.
struct Found {
    number: u64,
    envelope: Envelope,
    record: Bytes,
    /// Where each delivery waits that is not final; empty if that was not asked for.
    waiting: Vec<String>,
}

#[async_trait]
impl Queries for RedisStore {
    async fn event(&self, tenant: &TenantId, id: &EventId) -> Result<EventRecord> {
        let mut found = self
            .read(tenant, "id", |call| {
                call.arg(pack_id(id)).arg(0);
            })
            .await?;
        found.pop().map(|found| found.envelope.record).ok_or(StoreError::NotFound(Missing::Event))
    }

    async fn events(&self, tenant: &TenantId, page: Page) -> Result<Paged<EventRecord>> {
        let bound = bound(place(&page, i64::MAX)?);
        let limit = page.limit as usize + 1;
        let found = self
            .read(tenant, "list", |call| {
                call.arg(&bound).arg(limit).arg(0);
            })
            .await?;
        let rows = found.into_iter().map(|found| (found.number as i64, found.envelope.record));
        Ok(numbered(rows.collect(), page.limit))
    }

    async fn delivery(&self, tenant: &TenantId, id: DeliveryId) -> Result<Delivery> {
        let (key, found) = self.find(tenant, id, true).await?;
        self.show(tenant, &found, key.n)
    }

    async fn deliveries(
        &self,
        tenant: &TenantId,
        filter: DeliveryFilter,
        page: Page,
    ) -> Result<Paged<Delivery>> {
        // A place is an event's number and a delivery's place in its fan-out.
        let mut below = place(&page, i64::MAX)?;
        let wanted = page.limit as usize + 1;
        let mut rows: Vec<(i64, Delivery)> = Vec::new();
        loop {
            let found = match &filter.event {
                Some(id) => {
                    self.read(tenant, "id", |call| {
                        call.arg(pack_id(id)).arg(1);
                    })
                    .await?
                }
                None => {
                    // The event in which the place lies is looked at once more.
                    let bound = bound(below.checked_add(0xffff).map_or(i64::MAX, |below| below >> 16));
                    self.read(tenant, "list", |call| {
                        call.arg(&bound).arg(WINDOW).arg(1);
                    })
                    .await?
                }
            };
            let last = filter.event.is_some() || found.len() < WINDOW;
            for event in &found {
                if filter.topic.as_ref().is_some_and(|topic| event.envelope.record.event.topic != *topic) {
                    continue;
                }
                for n in (0..event.envelope.endpoints.len() as u16).rev() {
                    let at = (event.number as i64) << 16 | i64::from(n);
                    if at >= below {
                        continue;
                    }
                    let delivery = self.show(tenant, event, n)?;
                    if filter.admits(&delivery) {
                        rows.push((at, delivery));
                    }
                    if rows.len() == wanted {
                        return Ok(numbered(rows, page.limit));
                    }
                }
                below = below.min((event.number as i64) << 16);
            }
            if last {
                return Ok(numbered(rows, page.limit));
            }
        }
    }

    async fn attempts(&self, tenant: &TenantId, delivery: DeliveryId) -> Result<Vec<Attempt>> {
        let (key, found) = self.find(tenant, delivery, false).await?;
        record::attempts(&found.record, key.n, found.envelope.record.deliveries)
    }
}

impl RedisStore {
    /// Reads events. What it finds of another tenant's under a number is not there.
    async fn read(&self, tenant: &TenantId, what: &str, fill: impl Fn(&mut Cmd)) -> Result<Vec<Found>> {
        let base = self.shared.layout.base(self.shared.layout.partition(tenant));
        let fill = |call: &mut Cmd| {
            call.arg(tenant.as_str()).arg(what);
            fill(call);
        };
        let answer = self.shared.desk.run(&EVENTS, base, fill).await?;
        let mut reply = Reply::of(answer)?.ok_or(StoreError::NotFound(Missing::Tenant))?;
        let mut found = Vec::new();
        while !reply.is_over() {
            let mut row = Reply::items(reply.next()?)?;
            let number = u64::from_str_radix(&row.text()?, 16).map_err(StoreError::damaged)?;
            let envelope = envelope::read(row.bytes()?, tenant)?;
            let record = row.bytes()?;
            let mut waiting = Vec::new();
            while !row.is_over() {
                waiting.push(row.text()?);
            }
            found.push(Found { number, envelope, record, waiting });
        }
        Ok(found)
    }

    /// The event of a delivery, if it is one of the tenant's.
    async fn find(&self, tenant: &TenantId, id: DeliveryId, waiting: bool) -> Result<(DeliveryKey, Found)> {
        let missing = || StoreError::NotFound(Missing::Delivery);
        let (key, _) = DeliveryKey::of(id);
        let name = event_name(key.event);
        let mut found = self
            .read(tenant, "event", |call| {
                call.arg(&name).arg(u8::from(waiting));
            })
            .await?;
        let found = found.pop().ok_or_else(missing)?;
        let partition = self.shared.layout.partition(tenant);
        let accepted_at = found.envelope.record.event.accepted_at.as_millisecond();
        let real = DeliveryKey { partition, ..key }.id(accepted_at) == id
            && u32::from(key.n) < found.envelope.record.deliveries;
        if real { Ok((key, found)) } else { Err(missing()) }
    }

    fn show(&self, tenant: &TenantId, found: &Found, n: u16) -> Result<Delivery> {
        let event = &found.envelope.record.event;
        let slot = record::slot(&found.record, n)?;
        let waiting = found.waiting.get(usize::from(n)).map_or("", String::as_str);
        let ((state, reason), due_at, completed_at) = match slot.end {
            Some((end, at)) => (end, None, Some(at)),
            None => waiting_state(waiting)?,
        };
        let key = DeliveryKey { partition: self.shared.layout.partition(tenant), event: found.number, n };
        Ok(Delivery {
            id: key.id(event.accepted_at.as_millisecond()),
            tenant: tenant.clone(),
            event: event.id.clone(),
            topic: event.topic.clone(),
            endpoint: found.envelope.endpoints[usize::from(n)],
            state,
            reason,
            attempts: slot.attempts,
            failures: slot.failures,
            due_at,
            last_status: slot.last_status,
            last_error: slot.last_error,
            created_at: event.accepted_at,
            completed_at,
        })
    }
}

/// What the place where a delivery waits says about its state: the state, when it is due, when it was completed.
fn waiting_state(place: &str) -> Result<(End, Option<Timestamp>, Option<Timestamp>)> {
    let at = |text: &str| time(text.parse().map_err(StoreError::damaged)?);
    Ok(match place.split_at_checked(1) {
        Some(("f", _)) => ((DeliveryState::InFlight, None), None, None),
        Some(("q", due)) => ((DeliveryState::Scheduled, None), Some(at(due)?), None),
        Some(("h", due)) => {
            ((DeliveryState::Held, Some(DeliveryReason::EndpointPaused)), Some(at(due)?), None)
        }
        Some(("c", closed)) => match closed.split_at_checked(1) {
            Some((code, when)) => (end(code.parse().map_err(StoreError::damaged)?)?, None, Some(at(when)?)),
            None => return Err(StoreError::damaged(format!("a queue was closed as '{closed}'"))),
        },
        // Nowhere: a crash of the server took its place and left the event.
        _ => ((DeliveryState::Cancelled, None), None, None),
    })
}

/// A bound of events' numbers, as sorted sets write it.
fn bound(number: i64) -> String {
    if number == i64::MAX { "+inf".into() } else { number.to_string() }
}
