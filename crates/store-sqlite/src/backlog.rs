//! What is open, counted along the queues.

use posthaste_model::EndpointState;
use posthaste_store::{Backlog, Scope};
use rusqlite::Connection;

use crate::{catalogue::tenant_no, endpoints, fault::Outcome, key::DeliveryKey, rows, shared::Shared};

/// How many queues are looked at: some ten milliseconds' worth. What lies in others is not counted.
const QUEUES: usize = 5_000;
/// How far the queue of an ordered endpoint is read: what stands behind another there may have been due before it.
const ORDERED: i64 = 100;

/// The queue of an endpoint that is not deleted.
struct Queue {
    endpoint_no: i64,
    state: EndpointState,
    ordered: bool,
}

/// Counts what is open.
pub(crate) fn backlog(conn: &Connection, shared: &Shared, of: &Scope, now: i64) -> Outcome<Backlog> {
    let mut queues = match of {
        Scope::All => all(conn)?,
        Scope::Tenant(tenant) => of_tenant(conn, tenant_no(conn, tenant)?)?,
        Scope::Endpoint(tenant, endpoint) => {
            let id = endpoints::find(conn, tenant, *endpoint)?.id;
            of_one(conn, id.uuid().as_bytes())?
        }
    };
    let cut = queues.len() > QUEUES;
    queues.truncate(QUEUES);
    let (mut open, mut in_flight, mut oldest_due): (u64, u64, Option<i64>) = (0, 0, None);
    for queue in &queues {
        if open <= Backlog::MOST {
            open += count(conn, queue, Backlog::MOST + 1 - open)?;
        }
        in_flight += shared.leases().count_of(queue.endpoint_no) as u64;
        if queue.state == EndpointState::Enabled {
            let oldest = self::oldest_due(conn, shared, queue)?.filter(|due_at| *due_at <= now);
            oldest_due = [oldest_due, oldest].into_iter().flatten().min();
        }
    }
    Ok(Backlog {
        open: open.min(Backlog::MOST),
        more: cut || open > Backlog::MOST,
        in_flight: in_flight.min(Backlog::MOST),
        oldest_due: oldest_due.map(rows::time).transpose()?,
    })
}

/// The queues in which there is something, up to one more than is looked at.
fn all(conn: &Connection) -> Outcome<Vec<Queue>> {
    let sql = "WITH RECURSIVE queues (endpoint_no) AS (
             SELECT min(endpoint_no) FROM deliveries WHERE due_at IS NOT NULL
             UNION ALL
             SELECT (SELECT min(endpoint_no) FROM deliveries
                     WHERE due_at IS NOT NULL AND endpoint_no > queues.endpoint_no)
             FROM queues WHERE queues.endpoint_no IS NOT NULL
         )
         SELECT p.no, p.state, p.ordered FROM queues q CROSS JOIN endpoints p ON p.no = q.endpoint_no
         WHERE p.deleted_at IS NULL LIMIT ?";
    queues(conn, sql, [QUEUES as i64 + 1])
}

/// The same for a tenant.
fn of_tenant(conn: &Connection, tenant_no: i64) -> Outcome<Vec<Queue>> {
    let sql = "SELECT p.no, p.state, p.ordered FROM endpoints p
         WHERE p.tenant_no = ? AND p.deleted_at IS NULL AND EXISTS (
             SELECT 1 FROM deliveries d INDEXED BY deliveries_due
             WHERE d.endpoint_no = p.no AND d.due_at IS NOT NULL
         ) LIMIT ?";
    queues(conn, sql, [tenant_no, QUEUES as i64 + 1])
}

fn of_one(conn: &Connection, id: &[u8]) -> Outcome<Vec<Queue>> {
    queues(conn, "SELECT no, state, ordered FROM endpoints WHERE id = ?", [id])
}

fn queues(conn: &Connection, sql: &str, params: impl rusqlite::Params) -> Outcome<Vec<Queue>> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut found = statement.query(params)?;
    let mut queues = Vec::new();
    while let Some(row) = found.next()? {
        let state = rows::endpoint_state(row.get(1)?)?;
        queues.push(Queue { endpoint_no: row.get(0)?, state, ordered: row.get(2)? });
    }
    Ok(queues)
}

/// How many are in a queue, up to so many.
fn count(conn: &Connection, queue: &Queue, most: u64) -> Outcome<u64> {
    let mut statement = conn.prepare_cached(
        "SELECT count(*) FROM (SELECT 1 FROM deliveries INDEXED BY deliveries_due
         WHERE endpoint_no = ? AND due_at IS NOT NULL LIMIT ?)",
    )?;
    Ok(statement.query_row((queue.endpoint_no, most), |row| row.get(0))?)
}

/// Since when the one of a queue has been due that has been so for longest and is not in flight.
fn oldest_due(conn: &Connection, shared: &Shared, queue: &Queue) -> Outcome<Option<i64>> {
    let mut statement = conn.prepare_cached(
        "SELECT event_seq, n, ifnull(attempt_at, due_at) FROM deliveries INDEXED BY deliveries_due
         WHERE endpoint_no = ? AND due_at IS NOT NULL ORDER BY due_at, event_seq, n",
    )?;
    let waiting = statement
        .query_map([queue.endpoint_no], |row| Ok((rows::delivery_key(row)?, row.get(2)?)))?
        .filter(|found: &rusqlite::Result<(DeliveryKey, i64)>| {
            found.as_ref().map_or(true, |(key, _)| !shared.leases().contains(*key))
        });
    let mut oldest: Option<i64> = None;
    for waiting in waiting.take(if queue.ordered { ORDERED as usize } else { 1 }) {
        let (_, due_at) = waiting?;
        oldest = Some(oldest.map_or(due_at, |oldest| oldest.min(due_at)));
    }
    Ok(oldest)
}
