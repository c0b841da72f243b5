use std::time::Duration;

use posthaste_model::{Attempt, Decision, EndpointEffect, Next, Outcome as AttemptOutcome};
use posthaste_store::{Settled, Settlement};
use rusqlite::{Connection, OptionalExtension as _};

use crate::{
    endpoints,
    fault::{Outcome, damaged},
    key::{DeliveryKey, millis},
    rows::{self, RowState},
    schedule::Place,
    writer::Work,
};

/// Ends a lease with what came of it.
pub(crate) fn settle(work: &mut Work<'_>, settlement: &Settlement) -> Outcome<Settled> {
    let key = DeliveryKey::of(settlement.delivery);
    let live = work.state.leases().get(key).copied();
    let now = millis(settlement.now);
    let Some(live) =
        live.filter(|live| live.epoch == settlement.lease.epoch && live.number == settlement.lease.number)
    else {
        if let Some(attempt) = &settlement.attempt {
            record_late(work.conn, key, settlement, attempt)?;
        }
        return Ok(Settled::Stale);
    };
    if let Some(attempt) = &settlement.attempt {
        insert_attempt(work.conn, key, attempt)?;
    }
    end_lease(work, key)?;
    if let Some(effect) = &settlement.decision.endpoint {
        match effect {
            EndpointEffect::Park { until } => endpoints::park(work, live.endpoint_no, millis(*until))?,
            EndpointEffect::Disable { reason } => endpoints::disable(work, live.endpoint_no, reason, now)?,
        }
    }
    move_on(work, key, live.endpoint_no, &settlement.decision, settlement.attempt.as_ref(), now)?;
    Ok(Settled::Applied)
}

/// Writes where a delivery goes from here, after its attempt, if there was one, was inserted.
pub(crate) fn move_on(
    work: &mut Work<'_>,
    key: DeliveryKey,
    endpoint_no: i64,
    decision: &Decision,
    attempt: Option<&Attempt>,
    now: i64,
) -> Outcome<()> {
    let (state, due_at, charged) = match decision.next {
        Next::Delivered => (RowState::Delivered, None, false),
        Next::Exhausted => (RowState::Exhausted, None, true),
        Next::Skipped => (RowState::Skipped, None, true),
        Next::Retry { at } => (RowState::Scheduled, Some(millis(at)), true),
        Next::Release { at } => (RowState::Scheduled, Some(millis(at)), false),
    };
    let (state, due_at) = match due_at {
        Some(_) => match endpoints::closed_as(work.conn, endpoint_no)? {
            Some(end) => (end, None),
            None => (state, due_at),
        },
        None => (state, None),
    };
    let completed_at = due_at.is_none().then_some(now);
    match attempt {
        Some(attempt) => work
            .conn
            .prepare_cached(
                "UPDATE deliveries SET state = ?, due_at = ?, completed_at = ?, leases = leases + 1,
                     attempts = attempts + 1, failures = failures + ?,
                     last_status = ifnull(?, last_status), last_error = ?
                 WHERE event_seq = ? AND n = ?",
            )?
            .execute((
                state as i64,
                due_at,
                completed_at,
                charged,
                attempt.outcome.status(),
                attempt.outcome.error().map(rows::error_code),
                key.seq,
                key.n,
            ))?,
        None => work
            .conn
            .prepare_cached(
                "UPDATE deliveries SET state = ?, due_at = ?, completed_at = ?, leases = leases + 1
                 WHERE event_seq = ? AND n = ?",
            )?
            .execute((state as i64, due_at, completed_at, key.seq, key.n))?,
    };
    if let Some(due_at) = due_at {
        work.state.schedule.add(endpoint_no, Place { due_at, key });
        work.state.wake();
    }
    Ok(())
}

/// Ends a lease, and its row in the journal with the last lease of the call.
pub(crate) fn end_lease(work: &mut Work<'_>, key: DeliveryKey) -> Outcome<()> {
    let batch = work.state.leases_mut().remove(key);
    if let Some(batch) = batch {
        work.conn.prepare_cached("DELETE FROM lease_journal WHERE batch = ?")?.execute([batch])?;
    }
    Ok(())
}

/// Records the attempt of a lease that is not live any more, once.
fn record_late(
    conn: &Connection,
    key: DeliveryKey,
    settlement: &Settlement,
    attempt: &Attempt,
) -> Outcome<()> {
    let accepted_at = conn
        .prepare_cached(
            "SELECT e.accepted_at FROM deliveries d JOIN events e ON e.seq = d.event_seq
             WHERE d.event_seq = ? AND d.n = ?",
        )?
        .query_row((key.seq, key.n), |row| row.get(0))
        .optional()?;
    // Retention may have taken the delivery meanwhile, or the id was never one of ours.
    if accepted_at.is_none_or(|accepted_at| key.id(accepted_at) != settlement.delivery) {
        return Ok(());
    }
    let recorded = rows::exists(
        conn,
        "SELECT 1 FROM attempts WHERE event_seq = ? AND n = ? AND id = ?",
        (key.seq, key.n, attempt.id.uuid().as_bytes()),
    )?;
    if recorded {
        return Ok(());
    }
    insert_attempt(conn, key, attempt)?;
    conn.prepare_cached("UPDATE deliveries SET attempts = attempts + 1 WHERE event_seq = ? AND n = ?")?
        .execute((key.seq, key.n))?;
    Ok(())
}

/// Writes an attempt, under the number that follows those of its delivery.
pub(crate) fn insert_attempt(conn: &Connection, key: DeliveryKey, attempt: &Attempt) -> Outcome<()> {
    let micros = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX >> 1);
    let (reply, failure) = match &attempt.outcome {
        AttemptOutcome::Replied(reply) => (Some(reply), None),
        AttemptOutcome::Failed { class, detail } => (None, Some((*class, detail))),
    };
    let headers = reply.map(|reply| serde_json::to_string(&reply.headers)).transpose().map_err(damaged)?;
    conn.prepare_cached(
        "INSERT INTO attempts (event_seq, n, number, id, started_at, queued_us, first_byte_us, total_us, status,
             headers, body, truncated, error, detail)
         SELECT event_seq, n, attempts + 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?
         FROM deliveries WHERE event_seq = ? AND n = ?",
    )?
    .execute((
        attempt.id.uuid().as_bytes(),
        millis(attempt.started_at),
        micros(attempt.timings.queued),
        attempt.timings.first_byte.map(micros),
        micros(attempt.timings.total),
        reply.map(|reply| reply.status),
        headers,
        reply.map(|reply| &reply.body[..]),
        reply.map(|reply| reply.truncated),
        failure.map(|(class, _)| rows::error_code(class)),
        failure.map(|(_, detail)| detail),
        key.seq,
        key.n,
    ))?;
    Ok(())
}
