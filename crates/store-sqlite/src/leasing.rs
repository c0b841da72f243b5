use std::sync::Arc;

use posthaste_model::{Endpoint, Event, TenantId};
use posthaste_store::{Lease, LeaseId, LeaseRequest, Leases, Missing, StoreError};
use rusqlite::Connection;

use crate::{
    deliveries::{owner, until},
    fault::{Fault, Outcome, damaged},
    key::{DeliveryKey, millis},
    leases::{self, Entry, LiveLease},
    manual, rows,
    schedule::Place,
    throttles::Said,
    turns,
    writer::Work,
};

/// How many requests a call looks at in vain, and how many endpoints beside: more of either would make it long.
pub(crate) const IN_VAIN: usize = 1_000;

/// Leases what was asked for by hand, and then what is due, endpoint by endpoint.
pub(crate) fn lease(work: &mut Work<'_>, request: &LeaseRequest) -> Outcome<Leases> {
    owner(work, request.epoch)?;
    throttle(work, request)?;
    let mut call = Call::new(request);
    let requests_unseen = manual::lease(work, &mut call)?;
    // The batch has its number before its row: the row is written when it is known what goes into it.
    call.batch = work.state.last_lease as i64 + 1;
    turns::lease(work, &mut call)?;
    if !call.entries.is_empty() {
        leases::journal(work.conn, call.batch, request.epoch, call.expires_at, &call.entries)?;
    }
    let next_turn = work.state.schedule.next_turn(call.now);
    let next_due = if work.state.manual_asked { Some(call.now) } else { next_turn };
    let next_due = next_due.map(rows::time).transpose()?;
    let unseen = call.room() > 0 && (call.is_tired() || requests_unseen);
    Ok(Leases { leases: call.leased, next_due, unseen })
}

/// Notes the throttles that are new.
fn throttle(work: &mut Work<'_>, request: &LeaseRequest) -> Outcome<()> {
    for throttle in &request.throttles {
        let no = match work.state.endpoint_no(work.conn, throttle.endpoint) {
            Err(Fault::Refused(StoreError::NotFound(Missing::Endpoint))) => continue,
            found => found?,
        };
        let endpoint = work.state.endpoint(work.conn, no)?;
        if endpoint.is_none_or(|endpoint| endpoint.tenant != throttle.tenant) {
            continue;
        }
        let (until, at_most) = (throttle.until.map(millis), throttle.at_most);
        let said = Said { epoch: request.epoch, until, at_most };
        let state = &mut *work.state;
        state.throttles.set(no, said, &mut state.schedule, millis(request.now));
    }
    Ok(())
}

/// A lease call on its way. Times are Unix milliseconds.
pub(crate) struct Call<'a> {
    pub(crate) request: &'a LeaseRequest,
    pub(crate) now: i64,
    pub(crate) expires_at: i64,
    batch: i64,
    entries: Vec<Entry>,
    leased: Vec<Lease>,
    /// How many endpoints it has looked at without giving anything of them.
    in_vain: usize,
    reader: Reader,
}

impl<'a> Call<'a> {
    pub(crate) fn new(request: &'a LeaseRequest) -> Self {
        Self {
            request,
            now: millis(request.now),
            expires_at: until(request.now, request.lease_for),
            batch: 0,
            entries: Vec::new(),
            leased: Vec::new(),
            in_vain: 0,
            reader: Reader::default(),
        }
    }

    /// How many more it may give.
    pub(crate) fn room(&self) -> usize {
        self.request.limit.saturating_sub(self.leased.len())
    }

    pub(crate) fn look_in_vain(&mut self) {
        self.in_vain += 1;
    }

    /// Whether it is to end before it has seen everybody.
    pub(crate) fn is_tired(&self) -> bool {
        self.in_vain >= IN_VAIN
    }

    /// Whether it may look for more.
    pub(crate) fn goes_on(&self) -> bool {
        self.room() > 0 && !self.is_tired()
    }

    /// Leases a delivery that is due.
    pub(crate) fn lease(
        &mut self,
        work: &mut Work<'_>,
        endpoint_no: i64,
        endpoint: &Arc<Endpoint>,
        Place { due_at: place, key }: Place,
        due_at: i64,
    ) -> Outcome<()> {
        let (over, attempts, failures) = work
            .conn
            .prepare_cached(
                "SELECT leases, attempts, failures FROM deliveries WHERE event_seq = ? AND n = ?",
            )?
            .query_row((key.seq, key.n), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let given = Given { key, attempts, failures, manual: false, due_at };
        let LeaseId { epoch, number } = self.give(work, endpoint, given)?;
        let (expires_at, batch) = (self.expires_at, self.batch);
        let live = LiveLease { number, epoch, expires_at, batch, endpoint_no, due_at: place };
        work.state.leases_mut().insert(key, live);
        self.entries.push(Entry { key, over });
        Ok(())
    }

    /// Adds a lease to the answer; says its name.
    pub(crate) fn give(
        &mut self,
        work: &mut Work<'_>,
        endpoint: &Arc<Endpoint>,
        given: Given,
    ) -> Outcome<LeaseId> {
        let (event, accepted_at) = self.reader.event(work.conn, given.key.seq, &endpoint.tenant)?;
        work.state.last_lease += 1;
        let id = LeaseId { epoch: self.request.epoch, number: work.state.last_lease };
        self.leased.push(Lease {
            id,
            delivery: given.key.id(accepted_at),
            event,
            endpoint: Arc::clone(endpoint),
            attempt: given.attempts + 1,
            failures: given.failures,
            manual: given.manual,
            due_at: rows::time(given.due_at)?,
        });
        Ok(id)
    }
}

/// What is leased.
pub(crate) struct Given {
    pub(crate) key: DeliveryKey,
    pub(crate) attempts: u32,
    pub(crate) failures: u32,
    pub(crate) manual: bool,
    pub(crate) due_at: i64,
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
