use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use posthaste_dispatch::{DispatchSettings, Dispatcher, Parts, WireSettings};
use posthaste_egress::{EgressPolicy, Guard};
use posthaste_model::{
    Attempt, Clock, Credentials, Delivery, Endpoint, EndpointId, EndpointSecret, EndpointState, Event,
    RetryPolicy, Sealed, Tenant, TenantId, Timestamp, Wire,
};
use posthaste_policy::AutoDisable;
use posthaste_signing::{EncryptionKey, Sealer, Secret};
use posthaste_store::{
    Catalogue as _, Intake as _, NewEvent, Partition, Repairs as _, Retain, StoreError,
    conformance::{START, Shown, invariants::Step, sample_endpoint, sample_event},
};
use posthaste_telemetry::Telemetry;
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

/// What is around the dispatchers: tenants, their endpoints, a store, subscribers.
pub(crate) struct World {
    pub(crate) clock: Clock,
    pub(crate) road: Arc<Road>,
    pub(crate) subscribers: Arc<Subscribers>,
    /// One for each partition of the store, in their order; then others.
    pub(crate) tenants: Vec<TenantId>,
    /// Everything that was accepted.
    pub(crate) events: Vec<Event>,
    /// Every endpoint as it was made, deleted ones included, with its first secret.
    pub(crate) endpoints: BTreeMap<EndpointId, (Endpoint, Secret)>,
    /// What all processes tell.
    pub(crate) telemetry: Arc<Telemetry>,
    record: Arc<Record>,
    sealer: Arc<Sealer>,
    guard: Guard,
    rng: Mutex<StdRng>,
}

impl World {
    /// A store of one partition, with a tenant. Nothing runs yet.
    pub(crate) async fn new() -> Self {
        Self::partitioned(1).await
    }

    /// A store of so many partitions, with a tenant in each.
    pub(crate) async fn partitioned(partitions: u16) -> Self {
        Self::seeded(7, partitions).await
    }

    pub(crate) async fn seeded(seed: u64, partitions: u16) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let record = Arc::new(watch::Sender::new(Seen::default()));
        let clock = simulated_clock(Timestamp::from_millisecond(START).unwrap());
        let road = Arc::new(Road::new(partitions, Arc::clone(&record)));
        let mut tenants = Vec::new();
        put_tenant(&road, TenantId::posthaste(), clock.now()).await;
        for partition in (0..partitions).map(Partition) {
            let mut names = (0..).map(|number| format!("tenant-{number}").parse::<TenantId>().unwrap());
            let id = names.find(|id| road.store.partition_of(id) == partition).unwrap();
            put_tenant(&road, id.clone(), clock.now()).await;
            tenants.push(id);
        }
        Self {
            subscribers: Arc::new(Subscribers::new(clock.clone(), Arc::clone(&record))),
            telemetry: Arc::new(Telemetry::new(clock.clone(), "1.2.3")),
            clock,
            road,
            tenants,
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

    /// Starts a process for a test that lasts for days, which would be spent on saying that it is still there.
    pub(crate) fn start_for_days(&self, name: &str) -> Process {
        self.start_with(name, |settings| settings.ownership = Duration::from_secs(120))
    }

    pub(crate) fn start_with(&self, name: &str, change: impl FnOnce(&mut DispatchSettings)) -> Process {
        let mut settings = DispatchSettings {
            owner: name.into(),
            max_in_flight: 16,
            per_endpoint: 16,
            per_host: 1_000,
            timeout: Duration::from_secs(15),
            retry: RetryPolicy::default(),
            auto_disable: AutoDisable::default(),
            ownership: Duration::from_secs(3),
            retain: Retain { delivered: YEAR, failed: YEAR },
            wire: WireSettings::default(),
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
                telemetry: Arc::clone(&self.telemetry),
                seed: self.rng.lock().unwrap().fork(),
            };
            Dispatcher::start(parts, settings)
        })
    }

    /// Makes an endpoint, of the first tenant.
    pub(crate) async fn endpoint(&mut self) -> Endpoint {
        self.endpoint_with(|_| {}).await
    }

    pub(crate) async fn endpoint_with(&mut self, change: impl FnOnce(&mut Endpoint)) -> Endpoint {
        self.endpoint_in(0, change).await
    }

    /// Makes an endpoint in every partition.
    pub(crate) async fn endpoint_in_each(&mut self) -> Vec<Endpoint> {
        let mut endpoints = Vec::new();
        for partition in 0..self.tenants.len() {
            endpoints.push(self.endpoint_in(partition, |_| {}).await);
        }
        endpoints
    }

    /// Makes an endpoint of the tenant in a partition.
    pub(crate) async fn endpoint_in(
        &mut self,
        partition: usize,
        change: impl FnOnce(&mut Endpoint),
    ) -> Endpoint {
        let number = self.endpoints.len() as u64;
        let mut endpoint = sample_endpoint(&self.tenants[partition], number, self.clock.now());
        let (secret, sealed) = self.secret(endpoint.id);
        endpoint.secrets = vec![EndpointSecret { sealed, expires_at: None }];
        change(&mut endpoint);
        self.road.store.create_endpoint(endpoint.clone()).await.unwrap();
        self.road.note([Step::Endpoint { id: endpoint.id, state: Some(endpoint.state) }]);
        self.endpoints.insert(endpoint.id, (endpoint.clone(), secret));
        endpoint
    }

    /// Makes another tenant in a partition; answers with its place among the tenants.
    pub(crate) async fn another_tenant(&mut self, partition: u16) -> usize {
        let mut names = (0..).map(|number| format!("other-{number}").parse::<TenantId>().unwrap());
        let free = |id: &TenantId| !self.tenants.contains(id);
        let here = |id: &TenantId| self.road.store.partition_of(id) == Partition(partition);
        let id = names.find(|id| here(id) && free(id)).unwrap();
        put_tenant(&self.road, id.clone(), self.clock.now()).await;
        self.tenants.push(id);
        self.tenants.len() - 1
    }

    /// A new secret, as it is and as it is kept for an endpoint.
    pub(crate) fn secret(&self, of: EndpointId) -> (Secret, Sealed) {
        let secret = Secret::generate(&mut *self.rng.lock().unwrap());
        let sealed = self.seal(of, secret.expose().as_bytes());
        (secret, sealed)
    }

    pub(crate) fn seal(&self, of: EndpointId, key: &[u8]) -> Sealed {
        let record = EndpointSecret::record(of);
        let mut rng = self.rng.lock().unwrap();
        Sealed(Bytes::from(self.sealer.seal(key, record.as_bytes(), &mut *rng).unwrap()))
    }

    pub(crate) fn seal_credentials(&self, of: EndpointId, credentials: &Credentials) -> Sealed {
        let text = serde_json::to_vec(credentials).unwrap();
        let record = Credentials::record(of);
        let mut rng = self.rng.lock().unwrap();
        Sealed(Bytes::from(self.sealer.seal(&text, record.as_bytes(), &mut *rng).unwrap()))
    }

    /// Has an endpoint's requests made in another way.
    pub(crate) async fn dress(&self, endpoint: &Endpoint, wire: Wire, credentials: Credentials) {
        let sealed = self.seal_credentials(endpoint.id, &credentials);
        self.change(endpoint, |endpoint| (endpoint.wire, endpoint.credentials) = (wire, Some(sealed))).await;
    }

    /// What stands of an endpoint.
    pub(crate) async fn reread(&self, endpoint: &Endpoint) -> Endpoint {
        self.road.store.endpoint(&endpoint.tenant, endpoint.id).await.unwrap()
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
        self.road.store.delete_endpoint(&endpoint.tenant, endpoint.id, self.clock.now()).await.unwrap();
        self.road.note([Step::Endpoint { id: endpoint.id, state: None }]);
    }

    /// Asks for an attempt by hand.
    pub(crate) async fn retry(&self, delivery: &Delivery, force: bool) -> posthaste_store::Result<()> {
        let now = self.clock.now();
        self.road.store.retry(&delivery.tenant, delivery.id, force, now).await?;
        self.road.note([Step::Asked { delivery: delivery.id, force, now }]);
        Ok(())
    }

    /// Sends an event to one more endpoint, unless that is disabled.
    pub(crate) async fn send(&self, event: &Event, endpoint: &Endpoint) {
        let now = self.clock.now();
        match self.road.store.send(&event.tenant, &event.id, endpoint.id, now).await {
            Ok(sent) if sent.created => self.road.note([Step::Sent {
                tenant: event.tenant.clone(),
                event: event.id.clone(),
                endpoint: endpoint.id,
            }]),
            Ok(_) | Err(StoreError::EndpointClosed(EndpointState::Disabled)) => {}
            Err(error) => panic!("{error}"),
        }
    }

    /// Gives a delivery up.
    pub(crate) async fn cancel(&self, delivery: &Delivery) {
        self.road.store.cancel(&delivery.tenant, delivery.id, self.clock.now()).await.unwrap();
        self.road.note([Step::Cancelled(delivery.clone())]);
    }

    /// Accepts an event for endpoints of one tenant.
    pub(crate) async fn accept(&mut self, id: &str, endpoints: &[&Endpoint]) {
        let tenant = endpoints.first().map_or(&self.tenants[0], |endpoint| &endpoint.tenant);
        let event = sample_event(tenant, id, self.clock.now());
        self.accept_event(event, endpoints).await;
    }

    pub(crate) async fn accept_event(&mut self, event: Event, endpoints: &[&Endpoint]) {
        let store = &self.road.store;
        let endpoints = endpoints.iter().map(|endpoint| endpoint.id).collect();
        let new = NewEvent { event: event.clone(), endpoints };
        let tenant = &event.tenant;
        let version = store.view(tenant).await.unwrap().version;
        store.accept(tenant, version, vec![new.clone()]).await.unwrap();
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

    /// Everything that the queries show, of all tenants: no two have events with the same id.
    pub(crate) async fn shown(&self) -> Shown {
        let mut all = Shown { endpoints: Vec::new(), events: Vec::new(), deliveries: Vec::new() };
        for tenant in &self.tenants {
            let Shown { endpoints, events, deliveries } = Shown::of(&self.road.store, tenant).await.unwrap();
            all.endpoints.extend(endpoints);
            all.events.extend(events);
            all.deliveries.extend(deliveries);
        }
        all
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

async fn put_tenant(road: &Road, id: TenantId, now: Timestamp) {
    let tenant = Tenant::new(id, now);
    road.store.put_tenant(tenant).await.unwrap();
}
