//! Opening again what is over.

use std::collections::HashSet;

use posthaste_model::{DeliveryId, TenantId};
use posthaste_store::{Missing, Reopened, StoreError};
use rusqlite::Connection;

use crate::{
    endpoints::{self, Queue},
    fault::{Fault, Outcome},
    key::DeliveryKey,
    repairs::{self, Found},
    rows::RowState,
    schedule::Place,
    writer::Work,
};

/// Opens deliveries of a tenant again, each for itself. All are judged before the first is opened: what cannot be read
/// refuses the whole call, and then nothing is written.
pub(crate) fn reopen(
    work: &mut Work<'_>,
    tenant: &TenantId,
    deliveries: &[DeliveryId],
    over_before: Option<i64>,
    now: i64,
) -> Outcome<Vec<Reopened>> {
    work.state.tenant(work.conn, tenant)?;
    let judged = deliveries
        .iter()
        .map(|id| judge(work, tenant, *id, over_before, now))
        .collect::<Outcome<Vec<_>>>()?;
    // Who is named twice is opened once.
    let mut opened = HashSet::new();
    let mut reopened = Vec::with_capacity(judged.len());
    for judged in judged {
        reopened.push(match judged {
            Ok(openable) if opened.insert(openable.key) => {
                open(work, &openable)?;
                Reopened::Reopened
            }
            Ok(_) => Reopened::Open,
            Err(why_not) => why_not,
        });
    }
    if !opened.is_empty() {
        work.state.wake();
    }
    Ok(reopened)
}

/// A delivery that is over, and can be opened.
struct Openable {
    key: DeliveryKey,
    endpoint_no: i64,
    due_at: i64,
    /// In the queue.
    place: i64,
    retention: Option<i64>,
}

/// Whether a delivery can be opened, or what it is instead.
fn judge(
    work: &mut Work<'_>,
    tenant: &TenantId,
    id: DeliveryId,
    over_before: Option<i64>,
    now: i64,
) -> Outcome<Result<Openable, Reopened>> {
    let Found { key, endpoint_no, state, .. } = match repairs::find(work, tenant, id) {
        Err(Fault::Refused(StoreError::NotFound(Missing::Delivery))) => return Ok(Err(Reopened::Missing)),
        found => found?,
    };
    if !state.is_final() {
        return Ok(Err(Reopened::Open));
    }
    let Queue::Open { ordered } = endpoints::queue(work.conn, endpoint_no)? else {
        return Ok(Err(Reopened::Closed));
    };
    let Was { completed_at, event_due, place, retention, test } = was(work.conn, key)?;
    if over_before.is_some_and(|before| test || completed_at.is_some_and(|at| at >= before)) {
        return Ok(Err(Reopened::Open));
    }
    let due_at = now.max(event_due);
    Ok(Ok(Openable { key, endpoint_no, due_at, place: if ordered { place } else { due_at }, retention }))
}

fn open(work: &mut Work<'_>, openable: &Openable) -> Outcome<()> {
    let Openable { key, endpoint_no, due_at, place, retention } = *openable;
    // Retention may have come by and put the event off: when this one is over, it looks at it again.
    work.conn
        .prepare_cached(
            "UPDATE deliveries SET state = ?, failures = 0, due_at = ?, attempt_at = ?, completed_at = NULL,
                 look_after_ms = ?
             WHERE event_seq = ? AND n = ?",
        )?
        .execute((
            RowState::Scheduled as i64,
            place,
            (place != due_at).then_some(due_at),
            retention.unwrap_or(0),
            key.seq,
            key.n,
        ))?;
    work.state.schedule.add_due(endpoint_no, Place { due_at: place, key }, due_at);
    Ok(())
}

/// A delivery that is over, and its event.
struct Was {
    completed_at: Option<i64>,
    /// When the event was due.
    event_due: i64,
    /// In the order of an ordered endpoint.
    place: i64,
    retention: Option<i64>,
    test: bool,
}

fn was(conn: &Connection, key: DeliveryKey) -> Outcome<Was> {
    let mut statement = conn.prepare_cached(
        "SELECT d.completed_at, max(e.accepted_at, ifnull(e.deliver_at, e.accepted_at)), d.place, e.retention_ms, e.test
         FROM deliveries d JOIN events e ON e.seq = d.event_seq WHERE d.event_seq = ? AND d.n = ?",
    )?;
    Ok(statement.query_row((key.seq, key.n), |row| {
        let (event_due, place): (i64, Option<i64>) = (row.get(1)?, row.get(2)?);
        let place = place.unwrap_or(event_due);
        Ok(Was { completed_at: row.get(0)?, event_due, place, retention: row.get(3)?, test: row.get(4)? })
    })?)
}
