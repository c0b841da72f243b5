//! Attempts that somebody asked for. There are few of them, so their rows say everything, their leases included.

use posthaste_model::{Attempt, EndpointState, Next};
use posthaste_store::{Epoch, LeaseId, Settled, Settlement};
use rusqlite::{Connection, OptionalExtension as _};

use crate::{
    endpoints,
    fault::{Outcome, damaged},
    key::{DeliveryKey, millis},
    leasing::{Call, Given, IN_VAIN},
    queue,
    rows::{self, RowState},
    settling::{give_lease_up, insert_attempt},
    writer::Work,
};

/// Whether any waits for its lease.
pub(crate) fn asked(conn: &Connection) -> Outcome<bool> {
    rows::exists(conn, "SELECT 1 FROM manual_attempts WHERE lease IS NULL LIMIT 1", [])
}

/// The highest number of a live lease.
pub(crate) fn last_lease(conn: &Connection) -> Outcome<u64> {
    Ok(conn.query_row("SELECT ifnull(max(lease), 0) FROM manual_attempts", [], |row| row.get(0))?)
}

/// Asks for an attempt.
pub(crate) fn ask(work: &mut Work<'_>, key: DeliveryKey, forced: bool, now: i64) -> Outcome<()> {
    work.conn
        .prepare_cached("INSERT INTO manual_attempts (event_seq, n, forced, asked_at) VALUES (?, ?, ?, ?)")?
        .execute((key.seq, key.n, forced, now))?;
    work.state.manual_asked = true;
    work.state.wake();
    Ok(())
}

/// An attempt that was asked for.
struct Asked {
    no: i64,
    key: DeliveryKey,
    asked_at: i64,
    endpoint_no: i64,
    attempts: u32,
    failures: u32,
    /// Whether its endpoint takes it.
    wanted: bool,
}

/// Leases what was asked for, in that order, and forgets what may not be made any more; says whether it was tired of that
/// before it had seen all.
pub(crate) fn lease(work: &mut Work<'_>, call: &mut Call<'_>) -> Outcome<bool> {
    let mut room = call.request.manual.min(call.room());
    let mut in_vain = 0;
    while work.state.manual_asked && room > 0 && in_vain < IN_VAIN {
        let asked = next(work.conn, room)?;
        work.state.manual_asked = asked.len() == room;
        for one in asked {
            if one.wanted {
                lease_one(work, call, &one)?;
                room -= 1;
            } else {
                forget(work.conn, one.no)?;
                in_vain += 1;
            }
        }
    }
    if room == 0 && work.state.manual_asked {
        work.state.manual_asked = self::asked(work.conn)?;
    }
    Ok(work.state.manual_asked && in_vain >= IN_VAIN)
}

/// The next that wait for their lease.
fn next(conn: &Connection, limit: usize) -> Outcome<Vec<Asked>> {
    let mut statement = conn.prepare_cached(
        "SELECT m.no, m.event_seq, m.n, m.asked_at, d.endpoint_no, d.attempts, d.failures,
             p.deleted_at IS NULL AND (m.forced OR p.state = ?)
         FROM manual_attempts m JOIN deliveries d ON d.event_seq = m.event_seq AND d.n = m.n
             JOIN endpoints p ON p.no = d.endpoint_no
         WHERE m.lease IS NULL ORDER BY m.no LIMIT ?",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let enabled = rows::endpoint_state_code(EndpointState::Enabled);
    let asked = statement.query_map((enabled, limit), |row| {
        Ok(Asked {
            no: row.get(0)?,
            key: DeliveryKey { seq: row.get(1)?, n: row.get(2)? },
            asked_at: row.get(3)?,
            endpoint_no: row.get(4)?,
            attempts: row.get(5)?,
            failures: row.get(6)?,
            wanted: row.get(7)?,
        })
    })?;
    Ok(asked.collect::<rusqlite::Result<_>>()?)
}

fn lease_one(work: &mut Work<'_>, call: &mut Call<'_>, asked: &Asked) -> Outcome<()> {
    let Asked { key, attempts, failures, asked_at, .. } = *asked;
    let endpoint = work
        .state
        .endpoint(work.conn, asked.endpoint_no)?
        .ok_or_else(|| damaged("a manual attempt without endpoint"))?;
    let given = Given { key, attempts, failures, manual: true, due_at: asked_at };
    let LeaseId { epoch, number } = call.give(work, &endpoint, given)?;
    work.conn
        .prepare_cached("UPDATE manual_attempts SET lease = ?, epoch = ?, expires_at = ? WHERE no = ?")?
        .execute((number, epoch.0, call.expires_at, asked.no))?;
    Ok(())
}

/// Forgets what was asked for of a delivery and has not begun.
pub(crate) fn forget_asked(conn: &Connection, key: DeliveryKey) -> Outcome<()> {
    conn.prepare_cached("DELETE FROM manual_attempts WHERE event_seq = ? AND n = ? AND lease IS NULL")?
        .execute((key.seq, key.n))?;
    Ok(())
}

fn forget(conn: &Connection, no: i64) -> Outcome<()> {
    conn.prepare_cached("DELETE FROM manual_attempts WHERE no = ?")?.execute([no])?;
    Ok(())
}

/// Ends the lease of a manual attempt with what came of it, if it is live.
pub(crate) fn settle(work: &mut Work<'_>, key: DeliveryKey, settlement: &Settlement) -> Outcome<Settled> {
    let LeaseId { epoch, number } = settlement.lease;
    let live: Option<(i64, i64, i64)> = work
        .conn
        .prepare_cached(
            "SELECT m.no, d.endpoint_no, e.accepted_at
             FROM manual_attempts m JOIN deliveries d ON d.event_seq = m.event_seq AND d.n = m.n
                 JOIN events e ON e.seq = m.event_seq
             WHERE m.lease = ? AND m.epoch = ? AND m.event_seq = ? AND m.n = ?",
        )?
        .query_row((number, epoch.0, key.seq, key.n), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let Some((no, endpoint_no, _)) =
        live.filter(|(.., accepted_at)| key.id(*accepted_at) == settlement.delivery)
    else {
        return Ok(Settled::Stale);
    };
    let now = millis(settlement.now);
    forget(work.conn, no)?;
    if let Some(attempt) = &settlement.attempt {
        record(work.conn, key, attempt)?;
    }
    let Settlement { endpoint_version, decision, .. } = settlement;
    endpoints::affect(work, endpoint_no, *endpoint_version, &decision.endpoint, now)?;
    if settlement.decision.next == Next::Delivered {
        deliver(work, key, endpoint_no, now)?;
    }
    Ok(Settled::Applied)
}

/// Writes an attempt, which counts for nothing else of its delivery.
fn record(conn: &Connection, key: DeliveryKey, attempt: &Attempt) -> Outcome<()> {
    insert_attempt(conn, key, attempt)?;
    conn.prepare_cached(
        "UPDATE deliveries SET attempts = attempts + 1, last_status = ifnull(?, last_status), last_error = ?
         WHERE event_seq = ? AND n = ?",
    )?
    .execute((
        attempt.outcome.status(),
        attempt.outcome.error().map(rows::error_code),
        key.seq,
        key.n,
    ))?;
    Ok(())
}

/// Makes a delivery delivered, whatever it was before. Its event may be over sooner for that.
fn deliver(work: &mut Work<'_>, key: DeliveryKey, endpoint_no: i64, now: i64) -> Outcome<()> {
    give_lease_up(work, key)?;
    work.conn
        .prepare_cached(
            "UPDATE deliveries SET state = ?1, due_at = NULL, attempt_at = NULL, completed_at = ?2, look_after_ms = 0
             WHERE event_seq = ?3 AND n = ?4 AND state <> ?1",
        )?
        .execute((RowState::Delivered as i64, now, key.seq, key.n))?;
    queue::look_anew(work, endpoint_no, now)?;
    work.state.wake();
    Ok(())
}

/// The lease of a manual attempt that nobody will settle.
pub(crate) struct LeftBehind {
    no: i64,
    pub(crate) key: DeliveryKey,
    pub(crate) lease: LeaseId,
}

/// The leases that nobody will settle.
pub(crate) fn left_behind(
    conn: &Connection,
    is_left_behind: impl Fn(Epoch, i64) -> bool,
) -> Outcome<Vec<LeftBehind>> {
    let mut statement = conn.prepare_cached(
        "SELECT no, event_seq, n, lease, epoch, expires_at FROM manual_attempts
         WHERE lease IS NOT NULL ORDER BY lease",
    )?;
    let mut found = statement.query([])?;
    let mut left_behind = Vec::new();
    while let Some(row) = found.next()? {
        let lease = LeaseId { epoch: Epoch(row.get(4)?), number: row.get(3)? };
        if is_left_behind(lease.epoch, row.get(5)?) {
            let key = DeliveryKey { seq: row.get(1)?, n: row.get(2)? };
            left_behind.push(LeftBehind { no: row.get(0)?, key, lease });
        }
    }
    Ok(left_behind)
}

/// Ends the lease of a manual attempt, which is not made again.
pub(crate) fn interrupt(conn: &Connection, left: &LeftBehind, unknown: &Attempt) -> Outcome<()> {
    forget(conn, left.no)?;
    record(conn, left.key, unknown)
}
