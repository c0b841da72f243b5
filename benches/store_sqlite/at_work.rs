use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::join_all;
use posthaste_model::{
    Decision, EndpointEffects, EndpointId, Event, Next, Outcome, Payload, Reply, Tenant, TenantId, Timestamp,
};
use posthaste_store::{
    Catalogue as _, Deliveries as _, Epoch, Intake as _, Lease, LeaseRequest, NewEvent, Partition, Settled,
    Settlement, ViewVersion,
    conformance::{START, attempt, sample_endpoint, sample_event},
};
use posthaste_store_sqlite::SqliteStore;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

/// Bytes of an event's payload.
const PAYLOAD: usize = 1_024;
/// How many of one endpoint a lease call gives, in the service as well.
const PER_ENDPOINT: usize = 16;
/// How many of one tenant while others wait, in the service as well.
const PER_TENANT: usize = 64;
/// How much is done in one call where the call itself is not measured.
pub(crate) const BULK: usize = 1_000;
/// How long leases and the hold of the partition last; nothing here outlives its lease or competes for the partition.
const HOLD: Duration = Duration::from_secs(60);

/// A store in a folder of its own, worked as the service works it. Its clock stands still but for [`Self::pass`].
pub(crate) struct StoreAtWork {
    // Closed before its folder goes.
    store: SqliteStore,
    folder: TempDir,
    runtime: Runtime,
    epoch: Epoch,
    version: ViewVersion,
    payload: Payload,
    minted: usize,
    now: Timestamp,
}

impl StoreAtWork {
    /// A new store, and so many endpoints of its default tenant.
    pub(crate) fn with_endpoints(count: u64) -> (Self, Vec<EndpointId>) {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(file(folder.path())).unwrap();
        let runtime = Builder::new_current_thread().build().unwrap();
        let now = Timestamp::from_millisecond(START).unwrap();
        let tenant = TenantId::default_tenant();
        let named = Tenant::new(tenant.clone(), now);
        runtime.block_on(store.put_tenant(named)).unwrap();
        let endpoints: Vec<_> = (0..count).map(|number| sample_endpoint(&tenant, number, now)).collect();
        for some in endpoints.chunks(BULK) {
            let calls = some.iter().map(|endpoint| store.create_endpoint(endpoint.clone()));
            runtime.block_on(join_all(calls)).into_iter().for_each(Result::unwrap);
        }
        let claimed = runtime.block_on(store.claim(Partition(0), "benchmark", now, HOLD));
        let view = runtime.block_on(store.view(&tenant)).unwrap();
        let at_work = Self {
            epoch: claimed.unwrap().unwrap(),
            version: view.version,
            payload: Payload::Data(Bytes::from(vec![b'1'; PAYLOAD])),
            minted: 0,
            now,
            store,
            folder,
            runtime,
        };
        (at_work, endpoints.iter().map(|endpoint| endpoint.id).collect())
    }

    /// So many new events, each for one of `endpoints`, which take turns from one call to the next.
    pub(crate) fn events(&mut self, endpoints: &[EndpointId], count: usize) -> Vec<NewEvent> {
        let tenant = TenantId::default_tenant();
        let event = |_| {
            self.minted += 1;
            let event = sample_event(&tenant, &format!("evt-{:016}", self.minted), self.now);
            NewEvent {
                event: Event { payload: self.payload.clone(), ..event },
                endpoints: vec![endpoints[self.minted % endpoints.len()]],
            }
        };
        (0..count).map(event).collect()
    }

    /// Accepts each batch in a call of its own, all calls at once.
    pub(crate) fn accept(&self, batches: Vec<Vec<NewEvent>>) {
        let tenant = TenantId::default_tenant();
        let calls = batches.into_iter().map(|events| self.store.accept(&tenant, self.version, events));
        for accepted in self.runtime.block_on(join_all(calls)) {
            accepted.unwrap();
        }
    }

    /// Makes so many deliveries due, spread evenly over `endpoints`.
    pub(crate) fn fill(&mut self, endpoints: &[EndpointId], count: usize) {
        for batch in self.events(endpoints, count).chunks(BULK) {
            self.accept(vec![batch.to_vec()]);
        }
    }

    /// Leases exactly so many deliveries, in as many calls as the turns of their endpoints take.
    pub(crate) fn lease(&self, count: usize) -> Vec<Lease> {
        let mut leases = Vec::with_capacity(count);
        while leases.len() < count {
            let given = self.lease_up_to(count - leases.len());
            assert!(!given.is_empty(), "too little was due");
            leases.extend(given);
        }
        leases
    }

    fn lease_up_to(&self, limit: usize) -> Vec<Lease> {
        let request = LeaseRequest {
            partition: Partition(0),
            epoch: self.epoch,
            now: self.now,
            limit,
            manual: limit,
            per_endpoint: PER_ENDPOINT,
            per_tenant: PER_TENANT,
            rooms: Vec::new(),
            throttles: Vec::new(),
            lease_for: HOLD,
        };
        self.runtime.block_on(self.store.lease(request)).unwrap().leases
    }

    /// Settles each lease with an attempt that was answered so.
    pub(crate) fn settle(&self, leases: &[Lease], status: u16, next: Next) {
        let settlements = leases.iter().map(|lease| {
            let attempt = attempt(lease.id.number, self.now, answered(status));
            Settlement { attempt: Some(attempt), ..self.unattempted(lease, next) }
        });
        self.write(settlements.collect());
    }

    /// Gives leases back: each is due again at once, behind everything that was due before it.
    pub(crate) fn give_back(&mut self, leases: &[Lease]) {
        self.pass(Duration::from_millis(1));
        let next = Next::Release { at: self.now };
        self.write(leases.iter().map(|lease| self.unattempted(lease, next)).collect());
    }

    fn unattempted(&self, lease: &Lease, next: Next) -> Settlement {
        Settlement {
            lease: lease.id,
            delivery: lease.delivery,
            manual: false,
            endpoint_version: lease.endpoint.version,
            attempt: None,
            decision: Decision { next, endpoint: EndpointEffects::default() },
            now: self.now,
        }
    }

    fn write(&self, settlements: Vec<Settlement>) {
        let settled = self.runtime.block_on(self.store.settle(settlements.into())).unwrap();
        assert!(settled.iter().all(|settled| *settled == Settled::Applied), "a lease was lost");
    }

    /// Keeps an endpoint's deliveries back for so long.
    pub(crate) fn park(&self, endpoint: EndpointId, pause: Duration) {
        self.runtime
            .block_on(self.store.park(&TenantId::default_tenant(), endpoint, self.now + pause))
            .unwrap();
    }

    /// Lets time pass.
    pub(crate) fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    /// The time now.
    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    /// Closes the store; answers with its folder.
    pub(crate) fn close(self) -> TempDir {
        self.folder
    }
}

/// The store's file.
pub(crate) fn file(folder: &Path) -> PathBuf {
    folder.join("posthaste.db")
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
