//! The turns of a lease call: one for each endpoint that is due, within what its tenant may have.

use std::{collections::HashMap, sync::Arc};

use posthaste_model::{Endpoint, TenantId};
use posthaste_store::LeaseRequest;

use crate::{
    fault::{Outcome, damaged},
    leasing::Call,
    queue::{self, Found},
    schedule::Place,
    writer::Work,
};

/// How many endpoints a call may find whose tenant has had its share: more of them would make it long. What is left over is
/// theirs then, though others may wait behind them; these have their turns in the next call.
const HELD_BACK: usize = 1_000;

/// Leases what is due, endpoint by endpoint.
pub(crate) fn lease(work: &mut Work<'_>, call: &mut Call<'_>) -> Outcome<()> {
    let mut shares = Shares::new(call.request);
    let mut turns = Vec::new();
    let mut held_back = Vec::new();
    while call.room() > 0
        && held_back.len() < HELD_BACK
        && let Some((endpoint_no, read_to)) = work.state.schedule.begin_turn(call.now)
    {
        let mut turn = Turn::begin(work, call.request, endpoint_no, read_to)?;
        let share = shares.left(&turn.endpoint.tenant, call.request.per_tenant);
        turn.give(work, call, &mut shares, share)?;
        if turn.has_more(call.now) && call.room() > 0 {
            held_back.push(turns.len());
        }
        turns.push(turn);
    }
    for index in held_back {
        if call.room() == 0 {
            break;
        }
        let turn = &mut turns[index];
        let share = shares.left(&turn.endpoint.tenant, usize::MAX);
        turn.give(work, call, &mut shares, share)?;
    }
    // Who got nothing stands before those that got something.
    for turn in turns.iter().filter(|turn| turn.read.is_none()) {
        work.state.schedule.postpone_turn(turn.endpoint_no);
    }
    for turn in &turns {
        if let Some(read) = &turn.read {
            read.end_turn(&mut work.state.schedule, turn.endpoint_no, call.now);
        }
    }
    Ok(())
}

/// A turn of an endpoint.
struct Turn {
    endpoint_no: i64,
    endpoint: Arc<Endpoint>,
    /// Where its queue goes on.
    read_to: Place,
    /// How many more it may give.
    room: usize,
    /// What was read of the queue last; none: nothing yet.
    read: Option<Found>,
}

impl Turn {
    fn begin(work: &mut Work<'_>, request: &LeaseRequest, endpoint_no: i64, read_to: Place) -> Outcome<Self> {
        let endpoint = work
            .state
            .endpoint(work.conn, endpoint_no)?
            .ok_or_else(|| damaged("a queue without endpoint"))?;
        let own = endpoint.burst().map(|burst| burst as usize);
        let throttle = work.state.throttles.at_most(endpoint_no);
        let room = own.into_iter().chain(throttle).fold(request.per_endpoint, usize::min);
        // A turn that could give nothing would never end.
        Ok(Self { endpoint_no, endpoint, read_to, room: room.max(1), read: None })
    }

    /// Leases what is due, as far as the turn, the call and the tenant's share go.
    fn give(
        &mut self,
        work: &mut Work<'_>,
        call: &mut Call<'_>,
        shares: &mut Shares,
        share: usize,
    ) -> Outcome<()> {
        let room = self.room.min(share).min(call.room());
        if room == 0 {
            return Ok(());
        }
        let (no, read_to, now) = (self.endpoint_no, self.read_to, call.now);
        let found = {
            let leases = work.state.leases();
            if self.endpoint.ordered {
                queue::read_first(work.conn, &leases, no, read_to, now)?
            } else {
                queue::read(work.conn, &leases, no, read_to, now, room)?
            }
        };
        for (place, due_at) in &found.due {
            call.lease(work, no, &self.endpoint, *place, *due_at)?;
        }
        if self.endpoint.ordered && !found.due.is_empty() {
            work.state.schedule.occupy(no);
        }
        shares.take(&self.endpoint.tenant, found.due.len());
        self.room -= found.due.len();
        self.read_to = found.read_to;
        self.read = Some(found);
        Ok(())
    }

    /// Whether it might give more, if its tenant may have more.
    fn has_more(&self, now: i64) -> bool {
        let due = self.read.as_ref().is_none_or(|read| read.head.is_some_and(|head| head <= now));
        self.room > 0 && due
    }
}

/// How many each tenant was given of a call.
struct Shares<'a> {
    rooms: HashMap<&'a TenantId, usize>,
    given: HashMap<TenantId, usize>,
}

impl<'a> Shares<'a> {
    fn new(request: &'a LeaseRequest) -> Self {
        let rooms = request.rooms.iter().map(|room| (&room.tenant, room.room)).collect();
        Self { rooms, given: HashMap::new() }
    }

    /// How many more a tenant may have, within its room and a share.
    fn left(&self, tenant: &TenantId, share: usize) -> usize {
        let room = self.rooms.get(tenant).copied().unwrap_or(usize::MAX).min(share);
        room.saturating_sub(self.given.get(tenant).copied().unwrap_or(0))
    }

    fn take(&mut self, tenant: &TenantId, count: usize) {
        match self.given.get_mut(tenant) {
            Some(given) => *given += count,
            None => {
                self.given.insert(tenant.clone(), count);
            }
        }
    }
}
