use std::time::Duration;

use posthaste_model::{Attempt, Decision, Next, Outcome as AttemptOutcome};
use posthaste_store::{Settled, Settlement, Told};
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::{
    endpoints::{self, Queue},
    fault::{Outcome, damaged},
    given_up,
    key::{DeliveryKey, millis},
    leases::{Ended, LiveLease},
    manual, notices,
    rows::{self, RowState},
    schedule::Place,
    writer::Work,
};

/// Ends a lease with what came of it.
pub(crate) fn settle(work: &mut Work<'_>, settlement: &Settlement) -> Outcome<Settled> {
    let key = DeliveryKey::of(settlement.delivery);
    let settled = if settlement.manual {
        manual::settle(work, key, settlement)?
    } else {
        settle_due(work, key, settlement)?
    };
    if settled == Settled::Stale {
        given_up::forget(work.conn, key, settlement.lease)?;
        if let Some(attempt) = &settlement.attempt {
            record_late(work.conn, key, settlement, attempt)?;
        }
    }
    Ok(settled)
}

/// Ends the lease of a delivery that was due, if it is live.
fn settle_due(work: &mut Work<'_>, key: DeliveryKey, settlement: &Settlement) -> Outcome<Settled> {
    let Settlement { lease, delivery, endpoint_version, attempt, decision, .. } = settlement;
    let now = millis(settlement.now);
    let live = work.state.leases().get(key).copied();
    let Some(live) = live.filter(|live| live.epoch == lease.epoch && live.number == lease.number) else {
        return Ok(Settled::Stale);
    };
    if let Some(attempt) = attempt {
        insert_attempt(work.conn, key, attempt)?;
    }
    end_lease(work, key)?;
    endpoints::affect(work, live.endpoint_no, *endpoint_version, &decision.endpoint, now)?;
    move_on(work, key, &live, decision, attempt.as_ref(), now)?;
    if decision.next == Next::Exhausted {
        notices::leave(work.conn, live.endpoint_no, now, &Told::Exhausted { delivery: *delivery })?;
    }
    Ok(Settled::Applied)
}

/// Writes where a delivery goes from here, after its lease was ended, and its attempt, if there was one, was inserted.
pub(crate) fn move_on(
    work: &mut Work<'_>,
    key: DeliveryKey,
    lease: &LiveLease,
    decision: &Decision,
    attempt: Option<&Attempt>,
    now: i64,
) -> Outcome<()> {
    let endpoint_no = lease.endpoint_no;
    let (state, due_at, charged) = match decision.next {
        Next::Delivered => (RowState::Delivered, None, false),
        Next::Exhausted => (RowState::Exhausted, None, true),
        Next::Skipped => (RowState::Skipped, None, true),
        Next::Retry { at } => (RowState::Scheduled, Some(millis(at)), true),
        Next::Release { at } => (RowState::Scheduled, Some(millis(at)), false),
        // Said of what is no manual attempt: it is due as it was.
        Next::Stay => (RowState::Scheduled, Some(now), false),
    };
    let (state, place, attempt_at) = match due_at {
        None => (state, None, None),
        Some(at) => match endpoints::queue(work.conn, endpoint_no)? {
            Queue::Closed(end) => (end, None, None),
            Queue::Open { ordered: false } => (state, Some(at), None),
            Queue::Open { ordered: true } => (state, Some(lease.due_at), Some(at)),
        },
    };
    let completed_at = place.is_none().then_some(now);
    match attempt {
        Some(attempt) => work
            .conn
            .prepare_cached(
                "UPDATE deliveries SET state = ?, due_at = ?, attempt_at = ?, completed_at = ?,
                     leases = leases + 1, attempts = attempts + 1, failures = failures + ?,
                     last_status = ifnull(?, last_status), last_error = ?
                 WHERE event_seq = ? AND n = ?",
            )?
            .execute((
                state as i64,
                place,
                attempt_at,
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
                "UPDATE deliveries SET state = ?, due_at = ?, attempt_at = ?, completed_at = ?, leases = leases + 1
                 WHERE event_seq = ? AND n = ?",
            )?
            .execute((state as i64, place, attempt_at, completed_at, key.seq, key.n))?,
    };
    if let Some(due_at) = place {
        work.state.schedule.add_due(endpoint_no, Place { due_at, key }, attempt_at.unwrap_or(due_at));
        work.state.wake();
    }
    Ok(())
}

/// Ends a lease that is live, and its row in the journal with the last lease of the call.
pub(crate) fn end_lease(work: &mut Work<'_>, key: DeliveryKey) -> Outcome<()> {
    let ended = work.state.leases_mut().remove(key);
    let Some(Ended { batch, endpoint_no }) = ended else { return Ok(()) };
    if let Some(batch) = batch {
        work.conn.prepare_cached("DELETE FROM lease_journal WHERE batch = ?")?.execute([batch])?;
    }
    // The next one of an ordered endpoint may go.
    if let Some(endpoint_no) = endpoint_no
        && work.state.schedule.free(endpoint_no)
    {
        work.state.wake();
    }
    Ok(())
}

/// Ends the lease of a delivery that is in flight, and counts it as over: what comes of the request changes nothing.
pub(crate) fn give_lease_up(work: &mut Work<'_>, key: DeliveryKey) -> Outcome<()> {
    let Some(lease) = work.state.leases().get(key).copied() else { return Ok(()) };
    end_lease(work, key)?;
    work.conn
        .prepare_cached("UPDATE deliveries SET leases = leases + 1 WHERE event_seq = ? AND n = ?")?
        .execute((key.seq, key.n))?;
    given_up::remember(work.conn, key, &lease)
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
    if recorded { Ok(()) } else { record_only(conn, key, attempt) }
}

/// Records an attempt that changes nothing of its delivery.
pub(crate) fn record_only(conn: &Connection, key: DeliveryKey, attempt: &Attempt) -> Outcome<()> {
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
    let request = attempt.request.as_deref().map(rows::sent_request_json).transpose()?;
    conn.prepare_cached(
        "INSERT INTO attempts (event_seq, n, number, id, started_at, queued_us, first_byte_us, total_us, status,
             headers, body, truncated, error, detail, manual, dns_us, connect_us, tls_us, request)
         SELECT event_seq, n, attempts + 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?
         FROM deliveries WHERE event_seq = ? AND n = ?",
    )?
    .execute(params![
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
        attempt.manual,
        attempt.timings.dns.map(micros),
        attempt.timings.connect.map(micros),
        attempt.timings.tls.map(micros),
        request,
        key.seq,
        key.n,
    ])?;
    Ok(())
}
