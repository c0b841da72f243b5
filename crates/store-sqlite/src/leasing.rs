use std::sync::Arc;

use posthaste_model::{Event, TenantId};
use posthaste_store::{Lease, LeaseId, LeaseRequest, Leases};
use rusqlite::Connection;

use crate::{
    deliveries::{owner, until},
    fault::{Outcome, damaged},
    key::millis,
    leases::{self, Entry, LiveLease},
    rows,
    schedule::Place,
    writer::Work,
};

/// Leases what is due, endpoint by endpoint.
pub(crate) fn lease(work: &mut Work<'_>, request: &LeaseRequest) -> Outcome<Leases> {
    owner(work, request.epoch)?;
    let now = millis(request.now);
    let expires_at = until(request.now, request.lease_for);
    let mut leased = Vec::new();
    let mut entries = Vec::new();
    let mut reader = Reader::default();
    // The batch has its number before its row: the row is written when it is known what goes into it.
    let batch = work.state.last_lease as i64 + 1;
    while leased.len() < request.limit
        && let Some((endpoint_no, read_to)) = work.state.schedule.begin_turn(now)
    {
        // A turn that gave nothing would never end.
        let room = request.per_endpoint.max(1).min(request.limit - leased.len());
        let turn = read_queue(work, endpoint_no, read_to, now, room)?;
        work.state.schedule.end_turn(endpoint_no, now, turn.read_to, turn.head);
        if turn.due.is_empty() {
            continue;
        }
        let endpoint = work
            .state
            .endpoint(work.conn, endpoint_no)?
            .ok_or_else(|| damaged("a queue without endpoint"))?;
        for Place { due_at, key } in turn.due {
            let (event, accepted_at) = reader.event(work.conn, key.seq, &endpoint.tenant)?;
            let (over, attempts, failures): (u32, u32, u32) = work
                .conn
                .prepare_cached(
                    "SELECT leases, attempts, failures FROM deliveries WHERE event_seq = ? AND n = ?",
                )?
                .query_row((key.seq, key.n), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            work.state.last_lease += 1;
            let id = LeaseId { epoch: request.epoch, number: work.state.last_lease };
            entries.push(Entry { key, over });
            let live =
                LiveLease { number: id.number, epoch: id.epoch, expires_at, batch, endpoint_no, due_at };
            work.state.leases_mut().insert(key, live);
            leased.push(Lease {
                id,
                delivery: key.id(accepted_at),
                event,
                endpoint: Arc::clone(&endpoint),
                attempt: attempts + 1,
                failures,
                due_at: rows::time(due_at)?,
            });
        }
    }
    if !entries.is_empty() {
        leases::journal(work.conn, batch, request.epoch, expires_at, &entries)?;
    }
    let next_due = work.state.schedule.next_turn(now).map(rows::time).transpose()?;
    Ok(Leases { leases: leased, next_due })
}

/// What one turn found in a queue.
struct Turn {
    due: Vec<Place>,
    read_to: Place,
    head: Option<i64>,
}

/// Reads up to `room` due deliveries behind `read_to`, and looks at the one after them.
fn read_queue(work: &mut Work<'_>, endpoint_no: i64, read_to: Place, now: i64, room: usize) -> Outcome<Turn> {
    let mut statement = work.conn.prepare_cached(
        "SELECT due_at, event_seq, n FROM deliveries INDEXED BY deliveries_due
         WHERE endpoint_no = ?1 AND due_at IS NOT NULL AND due_at >= ?2
           AND (due_at, event_seq, n) > (?2, ?3, ?4)
         ORDER BY due_at, event_seq, n",
    )?;
    let mut found = statement.query((endpoint_no, read_to.due_at, read_to.key.seq, read_to.key.n))?;
    let mut turn = Turn { due: Vec::with_capacity(room), read_to, head: None };
    let leases = work.state.leases();
    while let Some(row) = found.next()? {
        let place = rows::place(row.get(0)?, row.get(1)?, row.get(2)?);
        let leased = leases.contains(place.key);
        if !leased && (place.due_at > now || turn.due.len() == room) {
            turn.head = Some(place.due_at);
            break;
        }
        turn.read_to = place;
        if !leased {
            turn.due.push(place);
        }
    }
    Ok(turn)
}

/// Reads events, and the same one only once in a row: the deliveries of one event lie side by side.
#[derive(Default)]
struct Reader {
    last: Option<(i64, Arc<Event>, i64)>,
}

impl Reader {
    fn event(&mut self, conn: &Connection, seq: i64, tenant: &TenantId) -> Outcome<(Arc<Event>, i64)> {
        if let Some((of, event, accepted_at)) = &self.last
            && *of == seq
        {
            return Ok((Arc::clone(event), *accepted_at));
        }
        let mut statement =
            conn.prepare_cached(&format!("SELECT {} FROM events e WHERE e.seq = ?", rows::EVENT))?;
        let mut found = statement.query([seq])?;
        let row = found.next()?.ok_or_else(|| damaged("a delivery without event"))?;
        let event = Arc::new(rows::event(row, tenant)?.event);
        let accepted_at = millis(event.accepted_at);
        self.last = Some((seq, Arc::clone(&event), accepted_at));
        Ok((event, accepted_at))
    }
}
