//! The turns of a lease call: one for each endpoint that is due, within what its tenant may have.

use std::{collections::HashMap, sync::Arc};

use posthaste_model::{Endpoint, TenantId};
use posthaste_store::LeaseRequest;

use crate::{
    fault::{Outcome, damaged},
    leasing::Call,
    queue::{self, Found},
    schedule::{Begun, Next},
    writer::Work,
};

/// Leases what is due, endpoint by endpoint.
pub(crate) fn lease(work: &mut Work<'_>, call: &mut Call<'_>) -> Outcome<()> {
    let mut turns = Turns { shares: Shares::new(call.request), taken: Vec::new(), held_back: Vec::new() };
    turns.take_all(work, call)?;
    turns.share_out_the_rest(work, call)?;
    turns.end(work, call.now);
    Ok(())
}

/// The turns that a call has taken.
struct Turns<'a> {
    shares: Shares<'a>,
    taken: Vec<Turn>,
    /// Those that might give more, if their tenant may have more than its share.
    held_back: Vec<HeldBack>,
}

enum HeldBack {
    /// One that was taken, by its number.
    Turn(usize),
    /// Those of a tenant that are set aside.
    Aside(TenantId),
}

impl Turns<'_> {
    /// Everyone in line has a turn, within what a tenant may have while others wait.
    fn take_all(&mut self, work: &mut Work<'_>, call: &mut Call<'_>) -> Outcome<()> {
        let per_tenant = call.request.per_tenant;
        let end = work.state.schedule.line_up(call.now);
        while call.goes_on()
            && let Some(next) = work.state.schedule.next(end)
        {
            match next {
                Next::Turn(begun) => self.take_or_set_aside(work, call, begun)?,
                // No look in vain: no more tenants come up than the caller said to have no room, or are given something.
                Next::Tenant(tenant) => {
                    self.take_aside(work, call, &tenant, per_tenant)?;
                    if work.state.schedule.has_aside(&tenant) {
                        self.held_back.push(HeldBack::Aside(tenant));
                    }
                }
            }
        }
        Ok(())
    }

    /// An endpoint has its turn, unless others of its tenant have waited longer for theirs, or the tenant may have nothing
    /// more while others wait.
    fn take_or_set_aside(&mut self, work: &mut Work<'_>, call: &mut Call<'_>, begun: Begun) -> Outcome<()> {
        let endpoint = endpoint(work, begun.endpoint)?;
        let tenant = &endpoint.tenant;
        let per_tenant = call.request.per_tenant;
        let may_have_more = self.shares.left(tenant, per_tenant) > 0;
        let others_wait = work.state.schedule.has_aside(tenant);
        if may_have_more && !others_wait {
            return self.take(work, call, begun, endpoint, per_tenant);
        }
        work.state.schedule.set_aside(begun.endpoint, tenant);
        if may_have_more {
            // It gives its turn to the one that has waited longest.
            return self.take_first_aside(work, call, tenant, per_tenant);
        }
        if !others_wait {
            self.held_back.push(HeldBack::Aside(tenant.clone()));
        }
        call.look_in_vain();
        Ok(())
    }

    /// When everyone has had a turn, what is left of the call goes to those that were held back, as far as their tenants
    /// have room. A call that ends before it has seen everyone leaves it: it may be theirs.
    fn share_out_the_rest(&mut self, work: &mut Work<'_>, call: &mut Call<'_>) -> Outcome<()> {
        for held_back in std::mem::take(&mut self.held_back) {
            if !call.goes_on() {
                break;
            }
            match held_back {
                HeldBack::Turn(number) => {
                    self.taken[number].give(work, call, &mut self.shares, usize::MAX)?
                }
                HeldBack::Aside(tenant) => {
                    let before = self.taken.len();
                    self.take_aside(work, call, &tenant, usize::MAX)?;
                    if self.taken.len() > before {
                        // The rest of the next call is another's.
                        work.state.schedule.go_behind(&tenant);
                    }
                }
            }
        }
        Ok(())
    }

    /// Those of a tenant that are set aside have their turns, as far as its share goes.
    fn take_aside(
        &mut self,
        work: &mut Work<'_>,
        call: &mut Call<'_>,
        tenant: &TenantId,
        share: usize,
    ) -> Outcome<()> {
        while call.goes_on() && self.shares.left(tenant, share) > 0 && work.state.schedule.has_aside(tenant) {
            self.take_first_aside(work, call, tenant, share)?;
        }
        Ok(())
    }

    /// The one of a tenant that was set aside first, if there is one, has its turn.
    fn take_first_aside(
        &mut self,
        work: &mut Work<'_>,
        call: &mut Call<'_>,
        tenant: &TenantId,
        share: usize,
    ) -> Outcome<()> {
        let Some(begun) = work.state.schedule.next_aside(tenant) else { return Ok(()) };
        let endpoint = endpoint(work, begun.endpoint)?;
        self.take(work, call, begun, endpoint, share)
    }

    fn take(
        &mut self,
        work: &mut Work<'_>,
        call: &mut Call<'_>,
        begun: Begun,
        endpoint: Arc<Endpoint>,
        share: usize,
    ) -> Outcome<()> {
        let mut turn = Turn::begin(work, call.request, begun, endpoint);
        turn.give(work, call, &mut self.shares, share)?;
        if turn.found.due.is_empty() {
            call.look_in_vain();
        }
        if turn.has_more(call.now) {
            self.held_back.push(HeldBack::Turn(self.taken.len()));
        }
        self.taken.push(turn);
        Ok(())
    }

    /// Who got something goes behind everyone.
    fn end(self, work: &mut Work<'_>, now: i64) {
        for Turn { endpoint_no, found, .. } in &self.taken {
            found.end_turn(&mut work.state.schedule, *endpoint_no, now);
        }
    }
}

fn endpoint(work: &mut Work<'_>, endpoint_no: i64) -> Outcome<Arc<Endpoint>> {
    work.state.endpoint(work.conn, endpoint_no)?.ok_or_else(|| damaged("a queue without endpoint"))
}

/// A turn of an endpoint.
struct Turn {
    endpoint_no: i64,
    endpoint: Arc<Endpoint>,
    /// How many more it may give.
    room: usize,
    /// What was read of the queue last.
    found: Found,
}

impl Turn {
    fn begin(work: &Work<'_>, request: &LeaseRequest, begun: Begun, endpoint: Arc<Endpoint>) -> Self {
        let own = endpoint.burst().map(|burst| burst as usize);
        let throttle = work.state.throttles.at_most(begun.endpoint);
        let room = own.into_iter().chain(throttle).fold(request.per_endpoint, usize::min);
        // A turn that could give nothing would never end.
        let room = room.max(1);
        Self { endpoint_no: begun.endpoint, endpoint, room, found: Found::nothing(begun.read_to) }
    }

    /// Leases what is due, as far as the turn, the call and the tenant's share go.
    fn give(
        &mut self,
        work: &mut Work<'_>,
        call: &mut Call<'_>,
        shares: &mut Shares<'_>,
        share: usize,
    ) -> Outcome<()> {
        let room = self.room.min(shares.left(&self.endpoint.tenant, share)).min(call.room());
        if room == 0 {
            return Ok(());
        }
        let (no, read_to, now) = (self.endpoint_no, self.found.read_to, call.now);
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
        self.found = found;
        Ok(())
    }

    /// Whether it might give more, if its tenant may have more.
    fn has_more(&self, now: i64) -> bool {
        self.room > 0 && self.found.head.is_some_and(|head| head <= now)
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

#[cfg(test)]
mod tests {
    use posthaste_model::Timestamp;
    use posthaste_store::{
        Epoch, Partition, TenantRoom,
        conformance::{START, sample_endpoint, sample_request},
    };
    use rusqlite::Connection;

    use super::*;
    use crate::{endpoints, key::DeliveryKey, schedule::Place, schema, shared::Shared, state::State};

    #[test]
    fn a_tenant_is_held_back_once_in_a_call_however_many_are_set_aside() {
        let conn = Connection::open_in_memory().unwrap();
        schema::migrate(&conn).unwrap();
        let insert =
            "INSERT INTO tenants (id, name, version, created_at, updated_at) VALUES ('acme', '', 1, ?1, ?1)";
        conn.execute(insert, [START]).unwrap();
        let mut state = State::load(&conn, Shared::default()).unwrap();
        let mut work = Work { conn: &conn, state: &mut state };
        let (tenant, now): (TenantId, _) =
            ("acme".parse().unwrap(), Timestamp::from_millisecond(START).unwrap());
        let mut request = sample_request((Partition(0), Epoch(1)), now);
        request.rooms = vec![TenantRoom { tenant: tenant.clone(), room: 0 }];
        for number in 1..=6 {
            endpoints::create(&mut work, &sample_endpoint(&tenant, number, now)).unwrap();
            let key = DeliveryKey { seq: number as i64, n: 0 };
            work.state.schedule.add(conn.last_insert_rowid(), Place { due_at: START, key });
            // First those that are new, then one that is so beside those that are set aside.
            if number >= 5 {
                let shares = Shares::new(&request);
                let mut turns = Turns { shares, taken: Vec::new(), held_back: Vec::new() };
                turns.take_all(&mut work, &mut Call::new(&request)).unwrap();
                assert!(turns.taken.is_empty());
                assert!(matches!(&turns.held_back[..], [HeldBack::Aside(of)] if *of == tenant));
            }
        }
    }
}
