//! What is under way to whom, and the room that their limits leave.

mod bounds;
mod state;
mod underway;

use std::{
    collections::BTreeSet,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use posthaste_model::{Endpoint, EndpointId, Timestamp};
use posthaste_policy::{Limits, tenant_room};
use posthaste_store::{Lease, Partition, TenantRoom, Throttle};
use posthaste_telemetry::Load;
use tokio::sync::Notify;

pub(crate) use self::underway::{Standing, Underway};
use self::{
    bounds::Bounds,
    state::{Host, Known, News, State},
    underway::Place,
};
use crate::hold::Hold;

/// How many of one endpoint a lease call gives: few, so that the others' turns come soon.
pub(crate) const TURN: usize = 16;
/// For how long an answer to what is held back is good.
const LOAD_HOLDS: Duration = Duration::from_secs(1);

/// What this process knows of the endpoints, hosts and tenants that it is sending to: how much is under way, and what
/// their limits leave. `policy` judges; what follows is said to the store as throttles, so that what has to wait waits
/// there.
pub(crate) struct Gates {
    per_endpoint: u32,
    per_host: u32,
    state: Mutex<State>,
    /// What was found when the load was last looked at, and when.
    looked: Mutex<Option<(Timestamp, Load)>>,
}

impl Gates {
    pub(crate) fn new(per_endpoint: u32, per_host: u32) -> Self {
        Self { per_endpoint, per_host, state: Mutex::default(), looked: Mutex::default() }
    }

    /// A partition was taken: its store knows of no throttle. Answers with what rings when something of the partition can
    /// be leased that could not before.
    pub(crate) fn enter(&self, Hold { partition, epoch }: Hold, now: Timestamp) -> Arc<Notify> {
        let mut state = self.state();
        let news = News::new(epoch);
        let bell = Arc::clone(&news.bell);
        state.news.insert(partition, news);
        for endpoint in state.endpoints_of(partition) {
            state.untell(endpoint);
            self.tell(&mut state, endpoint, now).wait();
        }
        bell
    }

    /// A partition is not ours any more, unless we have taken it again: nobody is told of its endpoints.
    pub(crate) fn leave(&self, Hold { partition, epoch }: Hold, now: Timestamp) {
        let mut state = self.state();
        if state.news.get(&partition).is_some_and(|news| news.epoch == epoch) {
            state.news.remove(&partition);
            for endpoint in state.endpoints_of(partition) {
                state.untell(endpoint);
                state.forget_if_free(endpoint, now);
            }
        }
    }

    /// Takes what the next lease call of a partition is to say.
    pub(crate) fn news(&self, partition: Partition) -> Vec<Throttle> {
        let mut state = self.state();
        let throttles = state.news.get_mut(&partition).map(|news| mem::take(&mut news.throttles));
        throttles.unwrap_or_default().into_values().collect()
    }

    /// Gives back what a lease call that failed may not have said, unless there is newer news.
    pub(crate) fn unsaid(&self, partition: Partition, throttles: Vec<Throttle>) {
        if let Some(news) = self.state().news.get_mut(&partition) {
            for throttle in throttles {
                news.throttles.entry(throttle.endpoint).or_insert(throttle);
            }
        }
    }

    /// The tenants that may not have as many as `limit`, when so many permits are free and so many in use.
    pub(crate) fn rooms(&self, free: usize, in_use: usize, limit: usize) -> Vec<TenantRoom> {
        // Nobody has more in flight than all have together.
        if tenant_room(free, in_use) >= limit {
            return Vec::new();
        }
        let state = self.state();
        let rooms = state.tenants.iter().map(|(tenant, in_flight)| (tenant, tenant_room(free, *in_flight)));
        let short = rooms.filter(|(_, room)| *room < limit);
        short.map(|(tenant, room)| TenantRoom { tenant: tenant.clone(), room }).collect()
    }

    /// What is held back, and of how many partitions; as it was within the last second, so that nobody who asks often holds
    /// up what is sent.
    pub(crate) fn load(&self, now: Timestamp) -> Load {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, load)) = *looked
            && now.duration_since(at).unsigned_abs() < LOAD_HOLDS
        {
            return load;
        }
        let state = self.state();
        // The backlog lies in all partitions: whoever has the first one looks at it.
        let (partitions, looks) = (state.news.len(), state.news.contains_key(&Partition(0)));
        let mut load = Load { partitions, looks, ..Load::default() };
        for known in state.endpoints.values().filter(|known| state.news.contains_key(&known.partition)) {
            load.throttled += usize::from(known.told.until().is_some_and(|until| until > now));
            load.open_breakers += usize::from(known.gate.breaker_open(now));
        }
        *looked = Some((now, load));
        load
    }

    /// How many manual attempts are under way.
    pub(crate) fn manual(&self) -> usize {
        self.state().manual
    }

    /// Lets the requests of leases begin, as far as there is room; in their order. None: the lease is to be given back.
    /// A manual attempt always begins. `said`: the throttles that went with the lease call.
    pub(crate) fn admit(
        self: &Arc<Self>,
        partition: Partition,
        leases: &[Lease],
        said: &[Throttle],
        now: Timestamp,
    ) -> Vec<Option<Underway>> {
        let mut state = self.state();
        let admitted = leases.iter().map(|lease| {
            self.meet(&mut state, partition, &lease.endpoint);
            let place = self.begin(&mut state, lease, now)?;
            Some(Underway::new(Arc::clone(self), place))
        });
        let admitted = admitted.collect();
        // Whoever was called and did not come leaves the room to others.
        for throttle in said {
            if let Some(host) = state.release(throttle.endpoint) {
                self.call_to(&mut state, &host, now);
            }
        }
        let mut last = None;
        for endpoint in leases.iter().map(|lease| lease.endpoint.id) {
            // Those of one endpoint lie side by side.
            if last.replace(endpoint) != Some(endpoint) {
                self.tell(&mut state, endpoint, now).wait();
            }
        }
        admitted
    }

    /// Counts a request as over, and notes how it ended. Its endpoint is known for as long as it is under way.
    fn over<T>(&self, place: &Place, now: Timestamp, note: impl FnOnce(Option<&mut Known>) -> T) -> T {
        let mut state = self.state();
        let noted = note(state.endpoints.get_mut(&place.endpoint));
        state.count_down(place);
        self.tell(&mut state, place.endpoint, now).ring();
        state.forget_if_free(place.endpoint, now);
        self.call_to(&mut state, &place.host, now);
        if state.hosts.get(&place.host).is_some_and(Host::is_idle) {
            state.hosts.remove(&place.host);
        }
        noted
    }

    /// A request that had begun was never made.
    fn withdrawn(&self, place: &Place) {
        // Nobody knows the time here: what there is room for is told with the next request of the endpoint, or tidied.
        let mut state = self.state();
        if let Some(known) = state.endpoints.get_mut(&place.endpoint) {
            known.gate.withdraw(place.began);
        }
        state.count_down(place);
    }

    /// Forgets the endpoints of a partition of which nothing needs to be known any more.
    pub(crate) fn tidy(&self, partition: Partition, now: Timestamp) {
        let mut state = self.state();
        for endpoint in state.endpoints_of(partition) {
            self.tell(&mut state, endpoint, now).ring();
            state.forget_if_free(endpoint, now);
        }
        for endpoint in state.endpoints_elsewhere() {
            state.forget_if_free(endpoint, now);
        }
        let hosts: BTreeSet<Arc<str>> = state.hosts.keys().cloned().collect();
        for host in hosts {
            self.call_to(&mut state, &host, now);
        }
        state.hosts.retain(|_, host| !host.is_idle());
    }

    /// Makes the endpoint known as it is now.
    fn meet(&self, state: &mut State, partition: Partition, endpoint: &Endpoint) {
        let State { endpoints, hosts, .. } = state;
        let per_endpoint = if endpoint.ordered { Some(1) } else { endpoint.max_in_flight };
        let limits =
            Limits { max_in_flight: per_endpoint.unwrap_or(self.per_endpoint), rate: endpoint.rate_limit };
        let known = endpoints.entry(endpoint.id).or_insert_with(|| Known::new(partition, limits, endpoint));
        (known.partition, known.limits) = (partition, limits);
        if known.version != endpoint.version {
            known.follow(endpoint, hosts);
        }
    }

    /// Counts a request as under way, if there is room for it.
    fn begin(&self, state: &mut State, lease: &Lease, now: Timestamp) -> Option<Place> {
        let endpoint = lease.endpoint.id;
        let known = state.endpoints.get_mut(&endpoint)?;
        let host = state.hosts.entry(Arc::clone(&known.host)).or_default();
        let room = known.gate.room(&known.limits, now);
        let none_here = room.at_most == 0 || room.from.is_some_and(|from| from > now) || known.closed;
        if !lease.manual && (none_here || !host.has_room(self.per_host, known.promised)) {
            // It is throttled still, whatever it was told: what it was told did not arrive, or it changed.
            known.told = Bounds::default();
            return None;
        }
        if known.promised > 0 {
            known.promised -= 1;
            host.promised -= 1;
        }
        let began = known.gate.begin(&known.limits, now);
        host.in_flight += 1;
        let place = Place { endpoint, host: Arc::clone(&known.host), manual: lease.manual, began };
        *state.tenants.entry(known.tenant.clone()).or_default() += 1;
        state.manual += usize::from(lease.manual);
        Some(place)
    }

    /// Lets those have room at a host who wait for it.
    fn call_to(&self, state: &mut State, host: &Arc<str>, now: Timestamp) {
        for endpoint in state.call_to(host, self.per_host) {
            self.tell(state, endpoint, now).ring();
            if !state.is_in_the_news(endpoint) {
                // It is its own requests that it waits for.
                state.release(endpoint);
            }
        }
    }

    /// Leaves word for the store of what an endpoint may have, if that is not what it was told last.
    fn tell(&self, state: &mut State, endpoint: EndpointId, now: Timestamp) -> Word {
        let State { endpoints, hosts, news, .. } = state;
        let Some(known) = endpoints.get_mut(&endpoint) else { return Word(None) };
        let Some(news) = news.get_mut(&known.partition) else { return Word(None) };
        let host = hosts.entry(Arc::clone(&known.host)).or_default();
        let room = known.gate.room(&known.limits, now);
        let at_host = if known.promised > 0 { known.promised } else { host.room(self.per_host) };
        let crowded = at_host < room.at_most;
        if crowded && at_host == 0 && !known.waits {
            known.waits = true;
            host.waiting.push_back(endpoint);
        }
        let turn = known.turn();
        let at_most = room.at_most.min(at_host) as usize;
        let bounds = if at_most == 0 || known.closed {
            Bounds::no_room(now)
        } else if !crowded && known.is_forgettable(now) {
            // Of an endpoint that has been quiet for long, the store need not know anything either.
            Bounds::default()
        } else {
            Bounds::new(room.from, at_most, turn, now)
        };
        // Where it is only the endpoint's own requests that take the room up, more of it comes soon.
        let left = known.limits.max_in_flight.saturating_sub(known.gate.in_flight());
        let worthwhile = if crowded || room.at_most < left { 1 } else { turn.div_ceil(4) };
        if !bounds.are_news_after(known.told, turn, worthwhile, now) {
            return Word(None);
        }
        known.told = bounds;
        let throttle = Throttle {
            tenant: known.tenant.clone(),
            endpoint,
            until: bounds.until(),
            at_most: bounds.at_most(),
        };
        news.throttles.insert(endpoint, throttle);
        Word((!bounds.are_full()).then(|| Arc::clone(&news.bell)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Word that was left for the store.
#[must_use]
struct Word(Option<Arc<Notify>>);

impl Word {
    /// Has it said soon, if it makes room.
    fn ring(self) {
        if let Some(bell) = self.0 {
            bell.notify_one();
        }
    }

    /// It is said with the next lease call, whenever that is.
    fn wait(self) {}
}
