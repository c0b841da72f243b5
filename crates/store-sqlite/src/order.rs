//! The order of an ordered endpoint.
//!
//! In the queue of an endpoint `due_at` is the place. Where it is ordered, the place follows the acceptance of the event, and
//! the time of the next attempt, if it is another one, has a column of its own (`attempt_at`).

use std::collections::{HashMap, hash_map::Entry};

use posthaste_store::CLOCK_SLACK;
use rusqlite::{Connection, OptionalExtension as _};

use crate::{fault::Outcome, key::DeliveryKey, queue, writer::Work};

/// How many endpoints are kept at hand. Beyond that the memory is emptied, and fills again from the tables.
const AT_HAND: usize = 150_000;

/// The last place that was given at each ordered endpoint, as far as one was asked for.
#[derive(Debug, Default)]
pub(crate) struct LastPlaces {
    by_endpoint: HashMap<i64, i64>,
}

impl LastPlaces {
    /// The place of an event that is accepted now: its time, or that of the last one before it where only the clocks of
    /// those who accepted them put it before that.
    pub(crate) fn next(&mut self, conn: &Connection, endpoint_no: i64, accepted_at: i64) -> Outcome<i64> {
        if self.by_endpoint.len() >= AT_HAND {
            self.by_endpoint.clear();
        }
        let last = match self.by_endpoint.entry(endpoint_no) {
            Entry::Occupied(last) => last.into_mut(),
            Entry::Vacant(none) => none.insert(last_place(conn, endpoint_no)?.unwrap_or(i64::MIN)),
        };
        let slack = CLOCK_SLACK.as_millis() as i64;
        let ahead = last.saturating_sub(accepted_at);
        let place = if (0..=slack).contains(&ahead) { *last } else { accepted_at };
        *last = place;
        Ok(place)
    }

    pub(crate) fn forget(&mut self, endpoint_no: i64) {
        self.by_endpoint.remove(&endpoint_no);
    }
}

/// The last place of the queue that was given for a time of acceptance, and not for one that was asked for.
fn last_place(conn: &Connection, endpoint_no: i64) -> Outcome<Option<i64>> {
    Ok(conn
        .prepare_cached(
            "SELECT d.due_at FROM deliveries d JOIN events e ON e.seq = d.event_seq
             WHERE d.endpoint_no = ? AND d.due_at IS NOT NULL AND e.deliver_at IS NULL
             ORDER BY d.due_at DESC LIMIT 1",
        )?
        .query_row([endpoint_no], |row| row.get(0))
        .optional()?)
}

/// An endpoint becomes ordered: its queue is put into the order in which the events were accepted, and every delivery
/// keeps its time.
pub(crate) fn impose(work: &mut Work<'_>, endpoint_no: i64, now: i64) -> Outcome<()> {
    work.conn
        .prepare_cached(
            "UPDATE deliveries SET attempt_at = due_at,
                 due_at = ifnull(place,
                     (SELECT max(accepted_at, ifnull(deliver_at, accepted_at)) FROM events WHERE seq = event_seq))
             WHERE endpoint_no = ? AND due_at IS NOT NULL",
        )?
        .execute([endpoint_no])?;
    requeue(work, endpoint_no, now)?;
    if work.state.leases().any_of(endpoint_no) {
        work.state.schedule.occupy(endpoint_no);
    }
    Ok(())
}

/// An endpoint is ordered no more: the time of each delivery is its place again.
pub(crate) fn lift(work: &mut Work<'_>, endpoint_no: i64, now: i64) -> Outcome<()> {
    work.conn
        .prepare_cached(
            "UPDATE deliveries SET due_at = attempt_at, attempt_at = NULL
             WHERE endpoint_no = ? AND due_at IS NOT NULL AND attempt_at IS NOT NULL",
        )?
        .execute([endpoint_no])?;
    work.state.last_places.forget(endpoint_no);
    work.state.schedule.free(endpoint_no);
    requeue(work, endpoint_no, now)
}

/// Follows a queue whose places have changed.
fn requeue(work: &mut Work<'_>, endpoint_no: i64, now: i64) -> Outcome<()> {
    let in_flight: Vec<DeliveryKey> = work
        .state
        .leases()
        .iter()
        .filter(|(_, lease)| lease.endpoint_no == endpoint_no)
        .map(|(key, _)| key)
        .collect();
    let mut place =
        work.conn.prepare_cached("SELECT due_at FROM deliveries WHERE event_seq = ? AND n = ?")?;
    for key in in_flight {
        let due_at = place.query_row((key.seq, key.n), |row| row.get(0))?;
        work.state.leases_mut().set_place(key, due_at);
    }
    queue::look_anew(work, endpoint_no, now)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The places of events that were accepted at these times.
    #[track_caller]
    fn check<const N: usize>(accepted_at: [i64; N], expect: [i64; N]) {
        let conn = Connection::open_in_memory().unwrap();
        let mut places = LastPlaces { by_endpoint: HashMap::from([(1, i64::MIN)]) };
        let given = accepted_at.map(|at| places.next(&conn, 1, at).unwrap());
        assert_eq!(given, expect);
    }

    #[test]
    fn a_place_is_not_before_the_last_but_for_a_clock_that_is_wrong() {
        check([5_000, 6_000], [5_000, 6_000]);
        check([5_000, 4_000, 3_000, 5_001], [5_000, 5_000, 5_000, 5_001]);
        check([5_000, 2_999, 3_500], [5_000, 2_999, 3_500]);
    }
}
