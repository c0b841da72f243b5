use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::join_all;
use posthaste_model::{
    Attempt, Decision, Endpoint, EndpointEffects, Event, Next, Outcome, Payload, Reply, Tenant, TenantId,
    Timestamp,
};
use posthaste_store::{
    Catalogue as _, Deliveries as _, Epoch, Intake as _, Lease, LeaseRequest, NewEvent, Partition, Retain,
    Retention as _, Settled, Settlement,
    conformance::{START, attempt, sample_endpoint, sample_event},
};
use posthaste_store_redis::{RedisSettings, RedisStore};
use posthaste_testkit::redis::{Persistence, RedisServer};

/// Bytes of an event's payload.
pub(crate) const PAYLOAD: usize = 1_024;

/// What is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// An order as a shop would write it.
    Json,
    /// Digits without a pattern: the least that text can be compressed.
    Noise,
}
/// How many of one endpoint a lease call gives in a turn, in the service as well.
const PER_ENDPOINT: usize = 32;
/// How many of one tenant while others wait.
const PER_TENANT: usize = 64;
/// How many deliveries a lease call gives, in the service as well.
pub(crate) const BATCH: usize = 256;
/// How long leases and holds last: nothing here outlives its lease or competes for a partition.
const HOLD: Duration = Duration::from_secs(600);

impl Content {
    /// So many bytes, other ones for each seed.
    fn bytes(self, seed: u64, count: usize) -> Bytes {
        let mut state = seed;
        let mut next = || {
            // SplitMix64: a sequence without a pattern, the same in every run.
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ (mixed >> 31)
        };
        let mut text = String::new();
        match self {
            Self::Noise => {
                while text.len() < count {
                    text += &format!("{:016x}", next());
                }
            }
            Self::Json => {
                text += &format!(
                    r#"{{"order_id":"ord_{:016x}","customer":"cus_{:016x}","lines":["#,
                    next(),
                    next()
                );
                while text.len() < count {
                    text += &format!(
                        r#"{{"sku":"{:08x}","quantity":{},"unit_price":{}.{:02},"currency":"EUR"}},"#,
                        next() as u32,
                        next() % 9 + 1,
                        next() % 500,
                        next() % 100,
                    );
                }
            }
        }
        text.truncate(count);
        text.into()
    }
}

/// A store on a server of its own, worked as the service works it. Its clock stands still but for [`Self::pass`].
pub(crate) struct StoreAtWork {
    pub(crate) store: RedisStore,
    server: RedisServer,
    epochs: Vec<Epoch>,
    content: Content,
    minted: u64,
    now: Timestamp,
}

impl StoreAtWork {
    /// With events of such content.
    pub(crate) async fn new(content: Content) -> Self {
        // Rewriting the file is the server's own business, begins when it likes, and slows everything meanwhile.
        let server = RedisServer::with(Persistence::AofEverysec).option("auto-aof-rewrite-percentage", "0");
        let server = server.start().unwrap();
        let settings = RedisSettings::at(server.url().parse().unwrap());
        let store = RedisStore::open(settings).await.unwrap();
        let now = Timestamp::from_millisecond(START).unwrap();
        let mut epochs = Vec::new();
        for partition in (0..store.partitions()).map(Partition) {
            epochs.push(store.claim(partition, "benchmark", now, HOLD).await.unwrap().unwrap());
        }
        Self { store, server, epochs, content, minted: 0, now }
    }

    /// A new tenant with so many endpoints.
    pub(crate) async fn tenant(&mut self, name: &str, count: usize) -> Vec<Endpoint> {
        let id: TenantId = name.parse().unwrap();
        let tenant = Tenant::new(id.clone(), self.now);
        self.store.put_tenant(tenant).await.unwrap();
        let endpoints: Vec<_> = (0..count)
            .map(|_| {
                self.minted += 1;
                sample_endpoint(&id, self.minted, self.now)
            })
            .collect();
        for some in endpoints.chunks(500) {
            let calls = some.iter().map(|endpoint| self.store.create_endpoint(endpoint.clone()));
            join_all(calls).await.into_iter().for_each(Result::unwrap);
        }
        endpoints
    }

    /// An event for an endpoint.
    pub(crate) fn event(&mut self, endpoint: &Endpoint) -> NewEvent {
        self.minted += 1;
        // As long as one that the service makes.
        let event = sample_event(&endpoint.tenant, &format!("evt_{:032x}", self.minted), self.now);
        let payload = Payload::Data(self.content.bytes(self.minted, PAYLOAD));
        NewEvent { event: Event { payload, ..event }, endpoints: vec![endpoint.id] }
    }

    /// Accepts events, each in a call of its own, so many at once.
    pub(crate) async fn accept(&self, events: Vec<NewEvent>, at_once: usize) {
        for some in events.chunks(at_once) {
            let calls = some.iter().map(async |new| {
                let tenant = &new.event.tenant;
                let view = self.store.view(tenant).await.unwrap();
                self.store.accept(tenant, view.version, vec![new.clone()]).await.unwrap();
            });
            join_all(calls).await;
        }
    }

    /// Accepts events of one tenant in one call.
    pub(crate) async fn accept_together(&self, events: Vec<NewEvent>) {
        let tenant = events[0].event.tenant.clone();
        let view = self.store.view(&tenant).await.unwrap();
        self.store.accept(&tenant, view.version, events).await.unwrap();
    }

    /// Leases up to a batch from each partition.
    pub(crate) async fn lease(&self, limit: usize) -> Vec<Lease> {
        let mut all = Vec::new();
        for (n, epoch) in self.epochs.iter().enumerate() {
            let request = LeaseRequest {
                partition: Partition(n as u16),
                epoch: *epoch,
                now: self.now,
                limit,
                manual: 0,
                per_endpoint: PER_ENDPOINT,
                per_tenant: PER_TENANT,
                rooms: Vec::new(),
                throttles: Vec::new(),
                lease_for: HOLD,
            };
            all.extend(self.store.lease(request).await.unwrap().leases);
        }
        all
    }

    pub(crate) async fn settle(&self, leases: &[Lease], status: u16, next: Next) {
        let settlements: Arc<[Settlement]> = leases
            .iter()
            .map(|lease| Settlement {
                lease: lease.id,
                delivery: lease.delivery,
                manual: lease.manual,
                endpoint_version: lease.endpoint.version,
                attempt: Some(self.attempt(lease, status)),
                decision: Decision { next, endpoint: EndpointEffects::default() },
                now: self.now,
            })
            .collect();
        let settled = self.store.settle(settlements).await.unwrap();
        assert!(settled.iter().all(|settled| *settled == Settled::Applied), "a lease was lost");
    }

    fn attempt(&self, lease: &Lease, status: u16) -> Attempt {
        attempt(lease.id.number, self.now, answered(status))
    }

    /// Forgets everything that is over.
    pub(crate) async fn prune(&self) -> u32 {
        let retain = Retain { delivered: Duration::ZERO, failed: Duration::ZERO };
        let now = self.now + Duration::from_secs(1);
        let mut removed = 0;
        for partition in (0..self.store.partitions()).map(Partition) {
            let mut from = None;
            loop {
                let pruned = self.store.prune(partition, retain, now, from, 200).await.unwrap();
                removed += pruned.removed;
                from = pruned.next;
                if from.is_none() {
                    break;
                }
            }
        }
        removed
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    /// Seconds of CPU that the server has used.
    pub(crate) fn cpu(&self) -> f64 {
        self.info("cpu", "used_cpu_user:") + self.info("cpu", "used_cpu_sys:")
    }

    /// Bytes that the server has allocated.
    pub(crate) fn memory(&self) -> f64 {
        self.info("memory", "used_memory:")
    }

    fn info(&self, section: &str, name: &str) -> f64 {
        let info = self.server.command(&["INFO", section]).unwrap();
        let line = info.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().parse().unwrap()
    }
}

/// What a usual receiver answers.
fn answered(status: u16) -> Outcome {
    let headers = [
        ("date", "Tue, 14 Nov 2023 22:13:20 GMT"),
        ("content-type", "text/plain; charset=utf-8"),
        ("content-length", "2"),
        ("connection", "keep-alive"),
    ];
    Outcome::Replied(Reply {
        status,
        headers: headers.map(|(name, value)| (name.into(), value.into())).into(),
        body: Bytes::from_static(b"ok"),
        truncated: false,
    })
}
