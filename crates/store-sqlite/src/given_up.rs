//! Leases that ended while their requests were under way, because an operator ended their deliveries. What comes of such a
//! request is recorded, and so is that nobody knows it, where its process dies first.

use posthaste_store::{Epoch, LeaseId};
use rusqlite::Connection;

use crate::{fault::Outcome, key::DeliveryKey, leases::LiveLease};

/// Remembers a lease that was live until now.
pub(crate) fn remember(conn: &Connection, key: DeliveryKey, lease: &LiveLease) -> Outcome<()> {
    conn.prepare_cached(
        "INSERT INTO leases_given_up (number, epoch, expires_at, event_seq, n) VALUES (?, ?, ?, ?, ?)",
    )?
    .execute((lease.number, lease.epoch.0, lease.expires_at, key.seq, key.n))?;
    Ok(())
}

/// Forgets a lease, if it was given up: it is known what came of its request.
pub(crate) fn forget(conn: &Connection, key: DeliveryKey, lease: LeaseId) -> Outcome<()> {
    conn.prepare_cached(
        "DELETE FROM leases_given_up WHERE number = ? AND epoch = ? AND event_seq = ? AND n = ?",
    )?
    .execute((lease.number, lease.epoch.0, key.seq, key.n))?;
    Ok(())
}

/// The highest number of those that are remembered.
pub(crate) fn last_lease(conn: &Connection) -> Outcome<u64> {
    Ok(conn.query_row("SELECT ifnull(max(number), 0) FROM leases_given_up", [], |row| row.get(0))?)
}

/// Those of which nobody will tell what came of them.
pub(crate) fn left_behind(
    conn: &Connection,
    is_left_behind: impl Fn(Epoch, i64) -> bool,
) -> Outcome<Vec<(DeliveryKey, LeaseId)>> {
    let mut statement = conn.prepare_cached(
        "SELECT event_seq, n, number, epoch, expires_at FROM leases_given_up ORDER BY number",
    )?;
    let mut found = statement.query([])?;
    let mut left_behind = Vec::new();
    while let Some(row) = found.next()? {
        let lease = LeaseId { number: row.get(2)?, epoch: Epoch(row.get(3)?) };
        if is_left_behind(lease.epoch, row.get(4)?) {
            left_behind.push((DeliveryKey { seq: row.get(0)?, n: row.get(1)? }, lease));
        }
    }
    Ok(left_behind)
}
