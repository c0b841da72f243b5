use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::Arc,
};

use http::{Uri, uri::Authority};
use posthaste_model::{Endpoint, EndpointId, TenantId, Timestamp};
use posthaste_policy::{Gate, Limits};
use posthaste_store::{Epoch, Partition, Throttle};
use tokio::sync::Notify;

use super::{TURN, bounds::Bounds, underway::Place};

/// What is under way, to whom, and what is to be said of it.
#[derive(Default)]
pub(super) struct State {
    pub(super) endpoints: HashMap<EndpointId, Known>,
    pub(super) hosts: HashMap<Arc<str>, Host>,
    pub(super) tenants: BTreeMap<TenantId, usize>,
    /// How many of all requests are manual attempts.
    pub(super) manual: usize,
    /// Of the partitions that are ours.
    pub(super) news: HashMap<Partition, News>,
}

/// An endpoint that something is known of.
pub(super) struct Known {
    pub(super) gate: Gate,
    pub(super) limits: Limits,
    pub(super) partition: Partition,
    pub(super) tenant: TenantId,
    /// That of the endpoint as it was leased last.
    pub(super) version: u64,
    pub(super) host: Arc<str>,
    /// Whether it is about to be disabled, as far as this version goes.
    pub(super) closed: bool,
    /// What the store was told last.
    pub(super) told: Bounds,
    /// Whether it is among those who wait for room at the host.
    pub(super) waits: bool,
    /// How much room it was called to have there, and has not used.
    pub(super) promised: u32,
}

/// What is under way to a host.
#[derive(Default)]
pub(super) struct Host {
    pub(super) in_flight: u32,
    /// Room that was promised to those who were called.
    pub(super) promised: u32,
    /// Endpoints that wait for room there, in the order in which they found none.
    pub(super) waiting: VecDeque<EndpointId>,
}

/// What the next lease call of a partition is to say.
pub(super) struct News {
    /// Under which the partition is ours.
    pub(super) epoch: Epoch,
    pub(super) throttles: BTreeMap<EndpointId, Throttle>,
    /// Rung when something can be leased that could not before.
    pub(super) bell: Arc<Notify>,
}

impl State {
    /// In an order that is the same from run to run, which simulations need.
    pub(super) fn endpoints_of(&self, partition: Partition) -> BTreeSet<EndpointId> {
        let own = self.endpoints.iter().filter(|(_, known)| known.partition == partition);
        own.map(|(id, _)| *id).collect()
    }

    /// Those of partitions that are not ours any more.
    pub(super) fn endpoints_elsewhere(&self) -> Vec<EndpointId> {
        let elsewhere = |known: &Known| !self.news.contains_key(&known.partition);
        self.endpoints.iter().filter(|(_, known)| elsewhere(known)).map(|(id, _)| *id).collect()
    }

    /// The store knows nothing of the endpoint.
    pub(super) fn untell(&mut self, endpoint: EndpointId) {
        self.release(endpoint);
        if let Some(known) = self.endpoints.get_mut(&endpoint) {
            known.told = Bounds::default();
        }
    }

    /// Calls those who have waited longest for room at a host.
    pub(super) fn call_to(&mut self, name: &Arc<str>, per_host: u32) -> Vec<EndpointId> {
        let Some(host) = self.hosts.get_mut(name) else { return Vec::new() };
        let mut called = Vec::new();
        for (endpoint, room) in host.call(per_host) {
            // One that was forgotten, or goes elsewhere by now, wants nothing here.
            let known = self.endpoints.get_mut(&endpoint);
            if let Some(known) = known.filter(|known| known.waits && known.host == *name) {
                (known.waits, known.promised) = (false, room);
                host.promised += room;
                called.push(endpoint);
            }
        }
        called
    }

    /// Whether the next lease call speaks of the endpoint.
    pub(super) fn is_in_the_news(&self, endpoint: EndpointId) -> bool {
        let known = self.endpoints.get(&endpoint);
        let news = known.and_then(|known| self.news.get(&known.partition));
        news.is_some_and(|news| news.throttles.contains_key(&endpoint))
    }

    /// Takes back what is left of a promise. Answers with the host that has the room again, if there was any.
    pub(super) fn release(&mut self, endpoint: EndpointId) -> Option<Arc<str>> {
        let known = self.endpoints.get_mut(&endpoint).filter(|known| known.promised > 0)?;
        let host = self.hosts.get_mut(&known.host)?;
        host.promised = host.promised.saturating_sub(known.promised);
        known.promised = 0;
        Some(Arc::clone(&known.host))
    }

    pub(super) fn count_down(&mut self, Place { endpoint, host, manual, .. }: &Place) {
        self.manual -= usize::from(*manual);
        if let Some(host) = self.hosts.get_mut(host) {
            host.in_flight = host.in_flight.saturating_sub(1);
        }
        let Some(tenant) = self.endpoints.get(endpoint).map(|known| &known.tenant) else { return };
        if let Some(in_flight) = self.tenants.get_mut(tenant) {
            *in_flight -= 1;
            if *in_flight == 0 {
                let tenant = tenant.clone();
                self.tenants.remove(&tenant);
            }
        }
    }

    /// Forgets an endpoint of which nothing needs to be known, here or in the store. One that is another process's by now
    /// is remembered for as long: its partition may come back.
    pub(super) fn forget_if_free(&mut self, endpoint: EndpointId, now: Timestamp) {
        let Some(known) = self.endpoints.get(&endpoint) else { return };
        if known.told.are_none_at(now) && known.is_forgettable(now) {
            self.release(endpoint);
            self.endpoints.remove(&endpoint);
        }
    }
}

impl Known {
    pub(super) fn new(partition: Partition, limits: Limits, endpoint: &Endpoint) -> Self {
        Self {
            gate: Gate::new(),
            limits,
            partition,
            host: host_of(&endpoint.url),
            tenant: endpoint.tenant.clone(),
            version: endpoint.version,
            closed: false,
            told: Bounds::default(),
            waits: false,
            promised: 0,
        }
    }

    /// Takes over a change of the endpoint: what it answered before says nothing of it, and the store has forgotten what it
    /// was told.
    pub(super) fn follow(&mut self, endpoint: &Endpoint, hosts: &mut HashMap<Arc<str>, Host>) {
        self.gate.begin_anew();
        let host = host_of(&endpoint.url);
        if host != self.host {
            if let Some(left) = hosts.get_mut(&self.host) {
                left.promised = left.promised.saturating_sub(self.promised);
            }
            (self.host, self.waits, self.promised) = (host, false, 0);
        }
        (self.version, self.closed, self.told) = (endpoint.version, false, Bounds::default());
    }

    /// How many a lease call gives of the endpoint when nothing is throttled.
    pub(super) fn turn(&self) -> usize {
        let of_rate = self.limits.rate.map_or(u32::MAX, |rate| rate.limit());
        TURN.min(self.limits.max_in_flight.min(of_rate) as usize)
    }

    /// Whether nothing is lost by forgetting it.
    pub(super) fn is_forgettable(&self, now: Timestamp) -> bool {
        self.gate.forgettable_from(&self.limits).is_some_and(|from| from <= now)
    }
}

impl Host {
    pub(super) fn is_idle(&self) -> bool {
        self.in_flight == 0 && self.promised == 0 && self.waiting.is_empty()
    }

    /// Whether there is room for one more request, of an endpoint that was promised so much.
    pub(super) fn has_room(&self, per_host: u32, promised: u32) -> bool {
        promised > 0 || self.in_flight + self.promised < per_host
    }

    /// How many more requests may be under way, as far as those are concerned who do not wait: what there is, unless
    /// others wait for it.
    pub(super) fn room(&self, per_host: u32) -> u32 {
        if self.waiting.is_empty() { self.free(per_host) } else { 0 }
    }

    /// Shares the room out among those who wait, if it is enough to be worth a word: the more wait, the less each is given,
    /// because it may have less to do.
    fn call(&mut self, per_host: u32) -> Vec<(EndpointId, u32)> {
        let room = self.free(per_host);
        let waiting = u32::try_from(self.waiting.len()).unwrap_or(u32::MAX);
        if waiting == 0 || room < (per_host / 8).clamp(1, waiting) {
            return Vec::new();
        }
        let each = (room / waiting).max(1);
        let called = (room / each).min(waiting) as usize;
        self.waiting.drain(..called).map(|endpoint| (endpoint, each)).collect()
    }

    fn free(&self, per_host: u32) -> u32 {
        per_host.saturating_sub(self.in_flight + self.promised)
    }
}

impl News {
    pub(super) fn new(epoch: Epoch) -> Self {
        Self { epoch, throttles: BTreeMap::new(), bell: Arc::default() }
    }
}

/// The host and port that a URL names: everything that goes there is counted together.
fn host_of(url: &str) -> Arc<str> {
    // What is no URL is sent nowhere.
    url.parse::<Uri>().ok().as_ref().and_then(Uri::authority).map_or("", Authority::as_str).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a host that takes 16: how many of those who wait are called, and what each may have.
    #[track_caller]
    fn check(in_flight: u32, waiting: u8, expect: (usize, u32)) {
        let ids = (0..waiting).map(|n| EndpointId::mint(Timestamp::UNIX_EPOCH, [n; 10]));
        let mut host = Host { in_flight, promised: 0, waiting: ids.collect() };
        let first = host.waiting.front().copied();
        let called = host.call(16);
        assert_eq!((called.len(), called.first().map_or(0, |(_, each)| *each)), expect);
        assert!(called.is_empty() || called.first().map(|(id, _)| *id) == first);
        assert_eq!(host.waiting.len(), usize::from(waiting) - called.len());
    }

    #[test]
    fn who_waits_elsewhere_by_now_is_promised_nothing() {
        let tenant = posthaste_model::TenantId::default_tenant();
        let (here, there): (Arc<str>, Arc<str>) = ("here".into(), "there".into());
        let id = EndpointId::mint(Timestamp::UNIX_EPOCH, [1; 10]);
        let known = Known {
            gate: Gate::new(),
            limits: Limits { max_in_flight: 32, rate: None },
            partition: Partition(0),
            tenant,
            version: 2,
            host: Arc::clone(&there),
            closed: false,
            told: Bounds::default(),
            waits: true,
            promised: 0,
        };
        let waiting = || Host { in_flight: 0, promised: 0, waiting: [id].into() };
        let mut state = State {
            endpoints: [(id, known)].into(),
            hosts: [(Arc::clone(&here), waiting()), (Arc::clone(&there), waiting())].into(),
            ..State::default()
        };
        assert_eq!(state.call_to(&here, 16), []);
        assert_eq!(state.hosts[&here].promised, 0);
        assert_eq!(state.call_to(&there, 16), [id]);
        assert_eq!(state.hosts[&there].promised, 16);
    }

    #[test]
    fn room_is_shared_out() {
        check(0, 0, (0, 0));
        check(15, 5, (0, 0));
        check(15, 1, (1, 1));
        check(14, 5, (2, 1));
        check(0, 5, (5, 3));
        check(0, 1, (1, 16));
        check(0, 40, (16, 1));
        check(20, 5, (0, 0));
    }
}
