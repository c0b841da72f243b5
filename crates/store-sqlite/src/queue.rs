//! What lies in the queue of an endpoint.

use rusqlite::Connection;

use crate::{
    fault::Outcome,
    leases::LiveLeases,
    rows,
    schedule::{Place, Schedule},
    writer::Work,
};

/// What one turn found in a queue.
pub(crate) struct Found {
    /// In this order, each with when it was due.
    pub(crate) due: Vec<(Place, i64)>,
    /// Up to where the queue need not be read again.
    pub(crate) read_to: Place,
    /// When what follows is due; none: nothing follows.
    pub(crate) head: Option<i64>,
    /// The first of an ordered endpoint, if it is not due yet.
    waiting: Option<Place>,
}

impl Found {
    /// Before anything behind a place is read.
    pub(crate) fn nothing(read_to: Place) -> Self {
        Self { due: Vec::new(), read_to, head: None, waiting: None }
    }

    /// Tells the schedule, which had given the turn.
    pub(crate) fn end_turn(&self, schedule: &mut Schedule, endpoint_no: i64, now: i64) {
        if let (Some(first), Some(until)) = (self.waiting, self.head) {
            schedule.wait_for(endpoint_no, first, until);
        }
        schedule.end_turn(endpoint_no, now, self.read_to, self.head);
    }
}

/// Reads up to `room` due deliveries behind `read_to`, and looks at the one after them.
pub(crate) fn read(
    conn: &Connection,
    leases: &LiveLeases,
    endpoint_no: i64,
    read_to: Place,
    now: i64,
    room: usize,
) -> Outcome<Found> {
    let mut statement = conn.prepare_cached(
        "SELECT due_at, event_seq, n FROM deliveries INDEXED BY deliveries_due
         WHERE endpoint_no = ?1 AND due_at IS NOT NULL AND due_at >= ?2
           AND (due_at, event_seq, n) > (?2, ?3, ?4)
         ORDER BY due_at, event_seq, n",
    )?;
    let mut rows = statement.query((endpoint_no, read_to.due_at, read_to.key.seq, read_to.key.n))?;
    let mut found = Found::nothing(read_to);
    while let Some(row) = rows.next()? {
        let place = rows::place(row.get(0)?, row.get(1)?, row.get(2)?);
        let leased = leases.contains(place.key);
        if !leased && (place.due_at > now || found.due.len() == room) {
            found.head = Some(place.due_at);
            break;
        }
        found.read_to = place;
        if !leased {
            found.due.push((place, place.due_at));
        }
    }
    Ok(found)
}

/// Reads the first delivery of an ordered endpoint behind `read_to`, if it is due, and looks at the one after it.
pub(crate) fn read_first(
    conn: &Connection,
    leases: &LiveLeases,
    endpoint_no: i64,
    read_to: Place,
    now: i64,
) -> Outcome<Found> {
    let mut statement = conn.prepare_cached(
        "SELECT due_at, event_seq, n, ifnull(attempt_at, due_at) FROM deliveries INDEXED BY deliveries_due
         WHERE endpoint_no = ?1 AND due_at IS NOT NULL AND due_at >= ?2
           AND (due_at, event_seq, n) > (?2, ?3, ?4)
         ORDER BY due_at, event_seq, n",
    )?;
    let mut rows = statement.query((endpoint_no, read_to.due_at, read_to.key.seq, read_to.key.n))?;
    let mut found = Found::nothing(read_to);
    while let Some(row) = rows.next()? {
        let place = rows::place(row.get(0)?, row.get(1)?, row.get(2)?);
        let due_at: i64 = row.get(3)?;
        if !leases.contains(place.key) {
            let first = found.due.is_empty();
            if !first || due_at > now {
                found.head = Some(due_at);
                found.waiting = first.then_some(place);
                break;
            }
            found.due.push((place, due_at));
        }
        found.read_to = place;
    }
    Ok(found)
}

/// The first in the queue of an endpoint that is not in flight, and when it is due.
pub(crate) fn first(
    conn: &Connection,
    leases: &LiveLeases,
    endpoint_no: i64,
) -> Outcome<Option<(Place, i64)>> {
    let mut statement = conn.prepare_cached(
        "SELECT due_at, event_seq, n, ifnull(attempt_at, due_at) FROM deliveries INDEXED BY deliveries_due
         WHERE endpoint_no = ? AND due_at IS NOT NULL ORDER BY due_at, event_seq, n",
    )?;
    let mut rows = statement.query([endpoint_no])?;
    while let Some(row) = rows.next()? {
        let place = rows::place(row.get(0)?, row.get(1)?, row.get(2)?);
        if !leases.contains(place.key) {
            return Ok(Some((place, row.get(3)?)));
        }
    }
    Ok(None)
}

/// Looks who is the first in a queue that changed otherwise than by turns.
pub(crate) fn look_anew(work: &mut Work<'_>, endpoint_no: i64, now: i64) -> Outcome<()> {
    let first = first(work.conn, &work.state.leases(), endpoint_no)?;
    work.state.schedule.restart(endpoint_no, first.map(|(_, due_at)| due_at), now);
    Ok(())
}
