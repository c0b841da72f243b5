use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use posthaste_dispatch::{DispatchSettings, Dispatcher, Parts};
use posthaste_egress::{EgressPolicy, Guard};
use posthaste_model::{
    Attempt, Clock, Delivery, Endpoint, EndpointId, EndpointSecret, EndpointState, Event, RetryPolicy,
    Sealed, Tenant, TenantId, Timestamp,
};
use posthaste_signing::{EncryptionKey, Sealer, Secret};
use posthaste_store::{
    Catalogue as _, Intake as _, NewEvent, Retain,
    conformance::{START, Shown, invariants::Step, sample_endpoint, sample_event},
};
use posthaste_testkit::simulated_clock;
use rand::{SeedableRng as _, rngs::StdRng};
use tokio::{sync::watch, time::timeout};

use crate::{
    access::{Access, Road},
    process::Process,
    seen::{Record, Seen},
    subscribers::{Line, Subscribers},
};

/// Longer than anything here takes, in simulated time, so that a test that waits for it has failed.
const AMPLE: Duration = Duration::from_secs(100 * 3_600);
const YEAR: Duration = Duration::from_secs(365 * 24 * 3_600);

/// What is around the dispatchers: a tenant, its endpoints, a store, subscribers.
pub(crate) struct World {
    pub(crate) clock: Clock,
    pub(crate) road: Arc<Road>,
    pub(crate) subscribers: Arc<Subscribers>,
    pub(crate) tenant: TenantId,
    /// Everything that was accepted.
    pub(crate) events: Vec<Event>,
    /// Every endpoint as it was made, deleted ones included, with its first secret.
    pub(crate) endpoints: BTreeMap<EndpointId, (Endpoint, Secret)>,
    record: Arc<Record>,
    sealer: Arc<Sealer>,
    guard: Guard,
    rng: Mutex<StdRng>,
}

impl World {
    /// A store with a tenant. Nothing runs yet.
    pub(crate) async fn new() -> Self {
        Self::seeded(7).await
    }

    pub(crate) async fn seeded(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let record = Arc::new(watch::Sender::new(Seen::default()));
        let clock = simulated_clock(Timestamp::from_millisecond(START).unwrap());
        let road = Arc::new(Road::new(Arc::clone(&record)));
        let (id, now) = (TenantId::default_tenant(), clock.now());
        let tenant = Tenant { id: id.clone(), name: String::new(), created_at: now, updated_at: now };
        road.store.put_tenant(tenant).await.unwrap();
        Self {
            subscribers: Arc::new(Subscribers::new(clock.clone(), Arc::clone(&record))),
            clock,
            road,
            tenant: id,
            events: Vec::new(),
            endpoints: BTreeMap::new(),
            record,
            sealer: Arc::new(Sealer::new(EncryptionKey::generate(&mut rng))),
            guard: Guard::new(EgressPolicy::default()),
            rng: Mutex::new(rng),
        }
    }

    /// Starts a process.
    pub(crate) fn start(&self, name: &str) -> Process {
        self.start_with(name, |_| {})
    }

    pub(crate) fn start_with(&self, name: &str, change: impl FnOnce(&mut DispatchSettings)) -> Process {
        let mut settings = DispatchSettings {
            owner: name.into(),
            max_in_flight: 16,
            per_endpoint: 4,
            timeout: Duration::from_secs(15),
            retry: RetryPolicy::default(),
            ownership: Duration::from_secs(3),
            retain: Retain { delivered: YEAR, failed: YEAR },
        };
        change(&mut settings);
        let process = name.to_owned();
        Process::new(|life| {
            let line = Line {
                process: process.clone(),
                life: life.clone(),
                subscribers: Arc::clone(&self.subscribers),
            };
            let access = Access { process, life, road: Arc::clone(&self.road) };
            let parts = Parts {
                store: Arc::new(access),
                transport: Arc::new(line),
                guard: self.guard.clone(),
                sealer: Arc::clone(&self.sealer),
                clock: self.clock.clone(),
                seed: self.rng.lock().unwrap().fork(),
            };
            Dispatcher::start(parts, settings)
        })
    }

    /// Makes an endpoint.
    pub(crate) async fn endpoint(&mut self) -> Endpoint {
        self.endpoint_with(|_| {}).await
    }

    pub(crate) async fn endpoint_with(&mut self, change: impl FnOnce(&mut Endpoint)) -> Endpoint {
        let number = self.endpoints.len() as u64;
        let mut endpoint = sample_endpoint(&self.tenant, number, self.clock.now());
        let (secret, sealed) = self.secret(endpoint.id);
        endpoint.secrets = vec![EndpointSecret { sealed, expires_at: None }];
        change(&mut endpoint);
        self.road.store.create_endpoint(endpoint.clone()).await.unwrap();
        self.road.note([Step::Endpoint { id: endpoint.id, state: Some(endpoint.state) }]);
        self.endpoints.insert(endpoint.id, (endpoint.clone(), secret));
        endpoint
    }

    /// A new secret, as it is and as it is kept for an endpoint.
    pub(crate) fn secret(&self, of: EndpointId) -> (Secret, Sealed) {
        let secret = Secret::generate(&mut *self.rng.lock().unwrap());
        let sealed = self.seal(of, secret.expose_key());
        (secret, sealed)
    }

    pub(crate) fn seal(&self, of: EndpointId, key: &[u8]) -> Sealed {
        let record = EndpointSecret::record(of);
        let mut rng = self.rng.lock().unwrap();
        Sealed(Bytes::from(self.sealer.seal(key, record.as_bytes(), &mut *rng).unwrap()))
    }

    /// What stands of an endpoint.
    pub(crate) async fn reread(&self, endpoint: &Endpoint) -> Endpoint {
        self.road.store.endpoint(&self.tenant, endpoint.id).await.unwrap()
    }

    /// Changes what stands of an endpoint.
    pub(crate) async fn change(&self, endpoint: &Endpoint, change: impl FnOnce(&mut Endpoint)) {
        let mut endpoint = self.reread(endpoint).await;
        change(&mut endpoint);
        endpoint.updated_at = self.clock.now();
        let Endpoint { id, state, .. } = self.road.store.update_endpoint(endpoint).await.unwrap();
        self.road.note([Step::Endpoint { id, state: Some(state) }]);
    }

    pub(crate) async fn turn(&self, endpoint: &Endpoint, state: EndpointState) {
        self.change(endpoint, |endpoint| endpoint.state = state).await;
    }

    pub(crate) async fn delete(&self, endpoint: &Endpoint) {
        self.road.store.delete_endpoint(&self.tenant, endpoint.id, self.clock.now()).await.unwrap();
        self.road.note([Step::Endpoint { id: endpoint.id, state: None }]);
    }

    /// Accepts an event.
    pub(crate) async fn accept(&mut self, id: &str, endpoints: &[&Endpoint]) {
        let event = sample_event(&self.tenant, id, self.clock.now());
        self.accept_event(event, endpoints).await;
    }

    pub(crate) async fn accept_event(&mut self, event: Event, endpoints: &[&Endpoint]) {
        let store = &self.road.store;
        let endpoints = endpoints.iter().map(|endpoint| endpoint.id).collect();
        let new = NewEvent { event: event.clone(), endpoints };
        let version = store.view(&self.tenant).await.unwrap().version;
        store.accept(&self.tenant, version, vec![new.clone()]).await.unwrap();
        self.road.note([Step::Accepted(new)]);
        self.events.push(event);
    }

    /// Lets time pass.
    pub(crate) async fn pass(&self, secs: u64) {
        tokio::time::sleep(Duration::from_secs(secs)).await;
    }

    /// What was seen so far.
    pub(crate) fn seen(&self) -> watch::Ref<'_, Seen> {
        self.record.borrow()
    }

    /// Waits for a fact.
    pub(crate) async fn until(&self, fact: impl Fn(&Seen) -> bool) {
        let mut seen = self.record.subscribe();
        let over = timeout(AMPLE, seen.wait_for(|seen| fact(seen))).await;
        assert!(over.is_ok(), "it never came to that");
    }

    /// Everything that the queries show.
    pub(crate) async fn shown(&self) -> Shown {
        Shown::of(&self.road.store, &self.tenant).await.unwrap()
    }

    /// The delivery of an event to an endpoint, with its attempts.
    pub(crate) async fn delivery(&self, event: &str, endpoint: &Endpoint) -> (Delivery, Vec<Attempt>) {
        let shown = self.shown().await.deliveries;
        let found = |(delivery, _): &(Delivery, _)| {
            delivery.event.as_str() == event && delivery.endpoint == endpoint.id
        };
        shown.into_iter().find(found).unwrap()
    }
}
