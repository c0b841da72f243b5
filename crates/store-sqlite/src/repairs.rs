use async_trait::async_trait;
use posthaste_model::{DeliveryId, DeliveryState, EndpointId, EndpointState, EventId, TenantId, Timestamp};
use posthaste_store::{Missing, Repairs, Result, Sent, StoreError};
use rusqlite::OptionalExtension as _;

use crate::{
    endpoints,
    fault::{Fault, Outcome},
    intake::{self, Whose},
    key::{DeliveryKey, millis},
    manual, queue,
    rows::{self, RowState},
    schedule::Place,
    settling::give_lease_up,
    store::SqliteStore,
    writer::Work,
};

#[async_trait]
impl Repairs for SqliteStore {
    async fn retry(
        &self,
        tenant: &TenantId,
        delivery: DeliveryId,
        force: bool,
        now: Timestamp,
    ) -> Result<()> {
        let tenant = tenant.clone();
        self.writer.run(move |work| retry(work, &tenant, delivery, force, millis(now))).await
    }

    async fn cancel(&self, tenant: &TenantId, delivery: DeliveryId, now: Timestamp) -> Result<()> {
        let tenant = tenant.clone();
        self.writer.run(move |work| cancel(work, &tenant, delivery, millis(now))).await
    }

    async fn send(
        &self,
        tenant: &TenantId,
        event: &EventId,
        endpoint: EndpointId,
        now: Timestamp,
    ) -> Result<Sent> {
        let (tenant, event) = (tenant.clone(), event.clone());
        self.writer.run(move |work| send(work, &tenant, &event, endpoint, millis(now))).await
    }
}

/// A delivery that is to be put right.
pub(crate) struct Found {
    pub(crate) key: DeliveryKey,
    pub(crate) endpoint_no: i64,
    pub(crate) state: DeliveryState,
    /// None: the endpoint is deleted.
    endpoint: Option<EndpointState>,
}

pub(crate) fn find(work: &mut Work<'_>, tenant: &TenantId, id: DeliveryId) -> Outcome<Found> {
    let tenant_no = work.state.tenant(work.conn, tenant)?.no;
    let key = DeliveryKey::of(id);
    let leased = work.state.leases().contains(key);
    let mut statement = work.conn.prepare_cached(
        "SELECT e.accepted_at, d.state, d.endpoint_no, p.state, p.deleted_at IS NOT NULL
         FROM events e JOIN deliveries d ON d.event_seq = e.seq JOIN endpoints p ON p.no = d.endpoint_no
         WHERE d.event_seq = ? AND d.n = ? AND e.tenant_no = ?",
    )?;
    let mut found = statement.query((key.seq, key.n, tenant_no))?;
    let missing = || Fault::missing(Missing::Delivery);
    let row = found.next()?.ok_or_else(missing)?;
    if key.id(row.get(0)?) != id {
        return Err(missing());
    }
    let endpoint = rows::endpoint_state(row.get(3)?)?;
    let (state, _) = RowState::read(row.get(1)?, leased, endpoint)?;
    let deleted: bool = row.get(4)?;
    Ok(Found { key, endpoint_no: row.get(2)?, state, endpoint: (!deleted).then_some(endpoint) })
}

fn retry(work: &mut Work<'_>, tenant: &TenantId, id: DeliveryId, force: bool, now: i64) -> Outcome<()> {
    let found = find(work, tenant, id)?;
    match found.endpoint {
        None => Err(Fault::missing(Missing::Endpoint)),
        Some(state) if state != EndpointState::Enabled && !force => {
            Err(StoreError::EndpointClosed(state).into())
        }
        Some(_) => manual::ask(work, found.key, force, now),
    }
}

fn cancel(work: &mut Work<'_>, tenant: &TenantId, id: DeliveryId, now: i64) -> Outcome<()> {
    let Found { key, endpoint_no, state, .. } = find(work, tenant, id)?;
    if state.is_final() {
        return Err(StoreError::DeliveryOver(state).into());
    }
    give_lease_up(work, key)?;
    manual::forget_asked(work.conn, key)?;
    work.conn
        .prepare_cached(
            "UPDATE deliveries SET state = ?, due_at = NULL, attempt_at = NULL, completed_at = ?
             WHERE event_seq = ? AND n = ?",
        )?
        .execute((RowState::GivenUp as i64, now, key.seq, key.n))?;
    queue::look_anew(work, endpoint_no, now)?;
    work.state.wake();
    Ok(())
}

fn send(
    work: &mut Work<'_>,
    tenant: &TenantId,
    event: &EventId,
    endpoint: EndpointId,
    now: i64,
) -> Outcome<Sent> {
    let tenant_no = work.state.tenant(work.conn, tenant)?.no;
    let (seq, accepted_at, place, retention): (i64, i64, i64, Option<i64>) = work
        .conn
        .prepare_cached(
            "SELECT seq, accepted_at, max(accepted_at, ifnull(deliver_at, accepted_at)), retention_ms
             FROM events WHERE tenant_no = ? AND id = ?",
        )?
        .query_row((tenant_no, event.as_str()), |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })
        .optional()?
        .ok_or(Fault::missing(Missing::Event))?;
    let endpoint = endpoints::find(work.conn, tenant, endpoint)?;
    let endpoint_no = work.state.endpoint_no(work.conn, endpoint.id)?;
    let (next, known): (i64, Option<u16>) = work
        .conn
        .prepare_cached(
            "SELECT ifnull(max(n) + 1, 0), min(n) FILTER (WHERE endpoint_no = ?)
             FROM deliveries WHERE event_seq = ?",
        )?
        .query_row((endpoint_no, seq), |row| Ok((row.get(0)?, row.get(1)?)))?;
    if let Some(n) = known {
        return Ok(Sent { delivery: DeliveryKey { seq, n }.id(accepted_at), created: false });
    }
    if endpoint.state == EndpointState::Disabled {
        return Err(StoreError::EndpointClosed(endpoint.state).into());
    }
    let room = u16::try_from(next).ok().filter(|n| *n < StoreError::MOST_DELIVERIES);
    let n = room.ok_or(StoreError::TooManyDeliveries)?;
    let key = DeliveryKey { seq, n };
    work.conn
        .prepare_cached("UPDATE events SET deliveries = deliveries + 1, sent = sent + 1 WHERE seq = ?")?
        .execute([seq])?;
    let place = if endpoint.ordered { place } else { now };
    // The first delivery of an event must say when that is over: retention may have come by, and looks for it no more.
    let look_after = retention.or((next == 0).then_some(0));
    let whose = Whose { tenant_no, endpoint_no };
    intake::schedule(work, whose, Place { due_at: place, key }, now, look_after)?;
    work.state.wake();
    Ok(Sent { delivery: key.id(accepted_at), created: true })
}
